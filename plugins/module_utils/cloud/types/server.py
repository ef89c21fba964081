"""The resource type "server": boot sources, interfaces, volumes, resize, rebuild and power states."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import (
    born_tags,
    mark_tag,
    set_tags,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    Field,
    Item,
    Operation,
    Plan,
    Query,
    Raw,
    ResourceType,
    fault_of,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types import block_devices, interfaces
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import (
    DESCRIPTION,
    NAME,
    metadata_field,
    pattern,
    per_project,
    project_field,
    set_metadata,
    wants,
    without_none,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.network import outside_subnets

# 2.46 is the last version that tells a server's flavor by its identifier.
READ_VERSION = "2.46"
# 2.67 takes tags and the type of a boot volume with a new server; 2.57 takes user data with a rebuild.
WRITE_VERSION = "2.67"
# 2.74 takes the host of a new server, 2.63 certificates of images, 2.90 the name inside.
PLACE_VERSION = "2.74"
CERTIFICATES_VERSION = "2.63"
HOSTNAME_VERSION = "2.90"
# 2.70 takes the label of an interface that comes later.
LABEL_VERSION = "2.70"
REBUILD_VERSION = "2.57"
POWER = {
    "ACTIVE": "started",
    "SHUTOFF": "stopped",
    "SHELVED": "shelved",
    "SHELVED_OFFLOADED": "shelved",
    "PAUSED": "paused",
    "SUSPENDED": "suspended",
}
# The action that brings a started server into a state, and the one that starts it again from there.
INTO = {"stopped": "os-stop", "shelved": "shelve", "paused": "pause", "suspended": "suspend"}
BACK = {"stopped": "os-start", "shelved": "unshelve", "paused": "unpause", "suspended": "resume", "rescue": "unrescue"}
STATES = {
    "started": ("ACTIVE",),
    "stopped": ("SHUTOFF",),
    "shelved": ("SHELVED_OFFLOADED", "SHELVED"),
    "paused": ("PAUSED",),
    "suspended": ("SUSPENDED",),
}
STEADY = tuple(POWER)
# The shortest line that tools write base64 in, and the most user data that the service takes, in base64.
SHORTEST_LINE = 40
LONGEST_USER_DATA = 65535
HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
EMPTY_DISK = "which erases the root disk and keeps identifier and addresses"

# Reading -------------------------------------------------------------------------------------------------------------


def _servers(query: Query) -> list[Raw]:
    searches: list[list[tuple[str, Any]]] = [[]]
    begin = pattern(query.names or ())
    if begin:
        searches = [[("name", begin)]]
        if query.owner:
            searches.append([("tags", mark_tag(query.owner))])
    elif query.names is not None and not query.names and query.owner:
        searches = [[("tags", mark_tag(query.owner))]]
    found: dict[str, Raw] = {}
    for params in searches:
        for raw in per_project(query, "/servers/detail", params, "tenant_id"):
            found.setdefault(raw["id"], raw)
    servers = list(found.values())
    joined = [server for server in servers if wants(query, server["name"], "networks", "security_groups")]
    interfaces.join_ports(query.cloud, joined)
    volumes = [server for server in servers if wants(query, server["name"], "volumes", "block_devices")]
    _join_root(query, [server for server in volumes if not server.get("image")])
    block_devices.join(query, [server for server in servers if wants(query, server["name"], "block_devices")])
    return servers


def _join_root(query: Query, servers: list[Raw]) -> None:
    """Tell servers that boot from a volume which one it is: the volumes know the device."""
    if not servers or not query.cloud.endpoint("block-storage"):
        return
    by_id = {server["id"]: server for server in servers}
    for project in query.projects:
        for volume in query.cloud.pages("block-storage", "/volumes/detail", "volumes", project=project):
            for attachment in volume.get("attachments") or []:
                server = by_id.get(attachment.get("server_id"))
                if server is not None and block_devices.is_root(attachment.get("device")):
                    server["(root)"] = volume["id"]


def _image_of(raw: Raw) -> Any:
    image = raw.get("image")
    return image.get("id") if isinstance(image, Mapping) else None


def _compare_image(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    # A server that boots from a volume does not tell which image the volume was made of.
    return (wanted, wanted) if not _image_of(raw) and _boots_from_volume(values) else (_image_of(raw), wanted)


def _boots_from_volume(values: Mapping[str, Any]) -> bool:
    return "boot_volume" in values or "boot_volume_size" in values or bool(block_devices.roots(values))


def _compare_flavor(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    now = raw["flavor"].get("id")
    # A resize that was cut off: the server has the flavor already, and waits to be told that it is right.
    return (f"{now} (not confirmed)" if raw.get("status") in ("RESIZE", "VERIFY_RESIZE") else now), wanted


def _compare_user_data(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    # Only administrators are told the user data.
    now = raw.get("OS-EXT-SRV-ATTR:user_data", wanted)
    return (now, wanted) if (now or "") != user_data_of(values) else (wanted, wanted)


def encoded(text: Any) -> str:
    """User data as the service keeps them: what is in base64, in lines or not, without white space, all else
    encoded."""
    given = str(text or "")
    lines = given.split()
    widths = {len(line) for line in lines[:-1]}
    # Words of a text can be base64 by chance; lines of one width that no word has cannot.
    if len(lines) > 1 and (len(widths) != 1 or min(widths) < SHORTEST_LINE or len(lines[-1]) > min(widths)):
        return base64.b64encode(given.encode()).decode()
    try:
        base64.b64decode("".join(lines), validate=True)
        return "".join(lines)
    except ValueError:
        return base64.b64encode(given.encode()).decode()


def user_data_of(values: Mapping[str, Any]) -> str | None:
    """The user data of an entry as the service keeps them; None if it names none."""
    if "user_data_base64" in values:
        return "".join(str(values["user_data_base64"]).split())
    return encoded(values["user_data"]) if "user_data" in values else None


def _compare_hostname(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    return raw.get("OS-EXT-SRV-ATTR:hostname", wanted), wanted


def _compare_zone(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    now = raw.get("OS-EXT-AZ:availability_zone")
    # A shelved server is nowhere. "zone:host" names a host as well.
    return (now, wanted) if now and now != str(wanted).split(":")[0] else (wanted, wanted)


def _compare_volumes(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    root = raw.get("(root)") or values.get("boot_volume")
    own = {root, *block_devices.volumes_of(raw, values)}
    attached = [
        volume["id"] for volume in raw.get("os-extended-volumes:volumes_attached") or [] if volume["id"] not in own
    ]
    held = [element for element in wanted if element.get("volume") in attached]
    if not _image_of(raw) and not root:
        # Nobody knows which one it boots from: none is taken away.
        attached = [ident for ident in attached if ident in [element.get("volume") for element in wanted]]
    foreign = [ident for ident in attached if ident not in [element.get("volume") for element in wanted]]
    return [*held, *({"volume": ident} for ident in foreign)], wanted


def _broken(raw: Raw) -> tuple[str, bool] | None:
    if raw.get("status") != "ERROR":
        return None
    why = fault_of(raw)
    launched = bool(raw.get("OS-SRV-USG:launched_at"))
    text = "it is in state ERROR" if launched else "it failed when it was made, state ERROR"
    return f"{text}{f': {why}' if why else ''}", launched


def _fixed(what: str) -> Any:
    def why(raw: Raw, before: Any, after: Any, values: Mapping[str, Any]) -> str:
        return "" if values.get("rebuild") else f"{what} changes only with rebuild: true, {EMPTY_DISK}, or anew"

    return why


# Writing -------------------------------------------------------------------------------------------------------------


def _disks(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The block devices of a new server: its root disk, when that is a volume, and those that the entry lists."""
    others = block_devices.bodies(values)
    keep = values.get("boot_volume_keep", "boot_volume" in values)
    disk = {"boot_index": 0, "destination_type": "volume", "delete_on_termination": not keep}
    if "boot_volume" in values:
        return [{**disk, "source_type": "volume", "uuid": values["boot_volume"]}, *others]
    if "boot_volume_size" not in values:
        return others
    disk |= {"source_type": "image", "uuid": values["image"], "volume_size": values["boot_volume_size"]}
    return [{**disk, "volume_type": values["boot_volume_type"]} if "boot_volume_type" in values else disk, *others]


def _create(op: Operation) -> Raw:
    values = op.values
    server: dict[str, Any] = {
        "name": values["name"],
        "flavorRef": values["flavor"],
        "metadata": without_none(values.get("metadata")) or {},
    }
    disks = _disks(values)
    if disks:
        server["block_device_mapping_v2"] = disks
    if "image" in values and (not disks or disks[0]["destination_type"] == "local"):
        server["imageRef"] = values["image"]
    if "security_groups" in values:
        server["security_groups"] = [{"name": group} for group in values["security_groups"]]
    for name, key in (
        ("keypair", "key_name"),
        ("description", "description"),
        ("availability_zone", "availability_zone"),
        ("config_drive", "config_drive"),
        ("admin_password", "adminPass"),
        ("host", "host"),
        ("hostname", "hostname"),
        ("trusted_image_certificates", "trusted_image_certificates"),
    ):
        if name in values:
            server[key] = values[name]
    if tags := born_tags(op):
        server["tags"] = tags
    if (data := user_data_of(values)) is not None:
        server["user_data"] = data
    body: dict[str, Any] = {"server": server}
    hints = dict(values.get("scheduler_hints") or {})
    if "server_group" in values:
        hints["group"] = values["server_group"]
    if hints:
        body["os:scheduler_hints"] = hints
    _await_volumes(op, [disk["uuid"] for disk in disks if disk["source_type"] == "volume"])
    version = HOSTNAME_VERSION if "hostname" in values else PLACE_VERSION if "host" in values else WRITE_VERSION
    elements = values.get("networks") or []
    with interfaces.prepared(op, elements) as ports:
        server["networks"] = "auto" if "networks" not in values else "none"
        if elements:
            server["networks"] = [_network(element, ports.get(number)) for number, element in enumerate(elements)]
        raw: Raw = op.call("POST", "/servers", body, microversion=version).body["server"]
    return raw


def _network(element: Mapping[str, Any], port: str | None) -> dict[str, Any]:
    """An interface of a new server as the compute service takes it; with the port that was made for it, if any."""
    label = {"tag": element["tag"]} if "tag" in element else {}
    if port or "port" in element:
        return {"port": port or element["port"], **label}
    return {"uuid": element["network"], **label, **({"fixed_ip": element["fixed_ip"]} if "fixed_ip" in element else {})}


def _settle(op: Operation) -> Raw:
    """Wait for a new server, then do what can be done only with a running one."""
    if "security_groups" in op.values and any("port" in element for element in op.values.get("networks") or []):
        # The compute service gives the groups to ports of its own making only.
        ports = [element["port"] for element in op.values["networks"] if "port" in element]
        found = op.cloud.pages("network", "/ports", "ports", [("id", ident) for ident in ports])
        interfaces.give_groups(op, found)
    wanted: dict[str, Any] = {name: op.values[name] for name in ("volumes", "power", "locked") if name in op.values}
    if (
        not op.wait
        and not wanted.get("volumes")
        and wanted.get("power", "started") == "started"
        and not wanted.get("locked")
    ):
        raw: Raw = op.call("GET", f"/servers/{op.id}").body["server"]
        return raw
    op.raw = op.wait_until("ACTIVE")
    # What a new server has attached is what it boots from.
    born = [volume["id"] for volume in op.raw.get("os-extended-volumes:volumes_attached") or []]
    op.raw |= {"(root)": next(iter(born), ""), "(born)": born}
    _steps(op, wanted)
    return op.raw


def _update(op: Operation, changes: dict[str, Any]) -> None:
    if op.raw.get("status") in ("BUILD", "REBUILD", "REBOOT"):
        op.raw = {**op.raw, **op.wait_until(*STEADY)}
    body = {name: changes[name] for name in ("name", "description") if name in changes}
    if body:
        op.call("PUT", f"/servers/{op.id}", {"server": body})
    if "hostname" in changes:
        op.call(
            "PUT", f"/servers/{op.id}", {"server": {"hostname": changes["hostname"]}}, microversion=HOSTNAME_VERSION
        )
    _steps(op, changes)


def _steps(op: Operation, changes: Mapping[str, Any]) -> None:
    """Changes that are actions, in the order in which a server takes them."""
    if "metadata" in changes:
        declared = op.type.field("metadata")
        assert declared.read and declared.normal
        set_metadata(op, declared.read(op.raw), declared.normal(changes["metadata"]))
    if "tags" in changes:
        set_tags(op, changes["tags"])
    if op.raw.get("locked") and changes.keys() - {"metadata", "tags", "description", "name", "locked"}:
        _act(op, "unlock")
        changes = {"locked": True, **changes}
    rebuilt = changes.keys() & {"image", "user_data", "user_data_base64", "keypair"}
    if rebuilt or "flavor" in changes:
        changes = _awake(op, changes)
    if "flavor" in changes:
        _resize(op, changes["flavor"])
    if rebuilt:
        _rebuild(op)
    if "networks" in changes:
        _set_interfaces(op)
    if "security_groups" in op.values and changes.keys() & {"networks", "security_groups"}:
        _set_groups(op)
    if "volumes" in changes:
        _set_volumes(op, changes["volumes"])
    if "block_devices" in changes:
        block_devices.set_lifetimes(op, changes["block_devices"])
    if "power" in changes:
        _set_power(op, changes["power"])
    if "locked" in changes and changes["locked"] != bool(op.raw.get("locked")):
        _act(op, "lock" if changes["locked"] else "unlock")


def _act(op: Operation, action: str, argument: Any = None, **options: Any) -> None:
    op.call("POST", f"/servers/{op.id}/action", {action: argument}, **options)
    if action in ("lock", "unlock"):
        op.raw["locked"] = action == "lock"


def _await(op: Operation, *states: str) -> None:
    op.raw = {**op.raw, **op.wait_until(*states)}


def _awake(op: Operation, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Start a server that is shelved, paused or suspended, which nobody can resize or rebuild; return the changes, with
    the state that it goes back to."""
    now = POWER.get(str(op.raw.get("status")), "")
    if now == "stopped" or now not in INTO:
        return changes
    _act(op, BACK[now])
    _await(op, "ACTIVE")
    return {"power": now, **changes}


def _resize(op: Operation, flavor: str) -> None:
    if op.raw["flavor"].get("id") != flavor:
        _act(op, "resize", {"flavorRef": flavor})
    # A resize for which there is no room ends where it began, without an error.
    _await(op, "VERIFY_RESIZE", "ACTIVE", "SHUTOFF")
    if op.raw["flavor"].get("id") != flavor:
        raise ApiError(
            0,
            "the resize did not take place",
            f"Resize server {op.id}",
            "See the server's actions and the compute service's log: mostly no host has room for the flavor.",
        )
    if op.raw["status"] == "VERIFY_RESIZE":
        _act(op, "confirmResize")
        _await(op, "ACTIVE", "SHUTOFF")


def _rebuild(op: Operation) -> None:
    argument: dict[str, Any] = {"imageRef": op.values.get("image") or _image_of(op.raw)}
    if (data := user_data_of(op.values)) is not None:
        argument["user_data"] = data
    if "keypair" in op.values:
        argument["key_name"] = op.values["keypair"]
    if "admin_password" in op.values:
        argument["adminPass"] = op.values["admin_password"]
    version = REBUILD_VERSION
    if "trusted_image_certificates" in op.values:
        argument["trusted_image_certificates"], version = op.values["trusted_image_certificates"], CERTIFICATES_VERSION
    _act(op, "rebuild", argument, microversion=version)
    _await(op, "ACTIVE", "SHUTOFF")


def _set_interfaces(op: Operation) -> None:
    pairs, left = interfaces.pair(op.raw, op.values)
    for port in left:
        _unplug(op, port)
    interfaces.put(op, pairs)
    held = [element for element, _ in pairs]
    new = [element for element in op.values["networks"] if not any(element is other for other in held)]
    with interfaces.prepared(op, new) as ports:
        for number, element in enumerate(new):
            body = {"port_id": ports.get(number) or element.get("port"), "net_id": element.get("network")}
            body.pop("net_id" if body["port_id"] else "port_id")
            if "fixed_ip" in element and number not in ports:
                body["fixed_ips"] = [{"ip_address": element["fixed_ip"]}]
            labelled = {"microversion": LABEL_VERSION} if "tag" in element else {}
            body |= {"tag": element["tag"]} if labelled else {}
            op.call("POST", f"/servers/{op.id}/os-interface", {"interfaceAttachment": body}, **labelled)


def _unplug(op: Operation, port: Raw) -> None:
    ident = port["id"]
    op.call("DELETE", f"/servers/{op.id}/os-interface/{ident}", accept=(404,))
    op.poll(_without(_ports, op, ident), f"Take port {ident} from server {op.id}")
    interfaces.drop(op, [port])


def _ports(op: Operation) -> list[str]:
    return [i["port_id"] for i in op.call("GET", f"/servers/{op.id}/os-interface").body["interfaceAttachments"]]


def _without(present: Callable[[Operation], list[str]], op: Operation, ident: str) -> Callable[[], bool]:
    return lambda: ident not in present(op)


def _set_groups(op: Operation) -> None:
    interfaces.join_ports(op.cloud, [op.raw])
    interfaces.give_groups(op, interfaces.sharing(op.raw, op.values))


def _release(op: Operation, changes: frozenset[str]) -> None:
    """Give up ports and volumes that something else in the run takes."""
    locked = bool(op.raw.get("locked"))
    if "networks" in changes:
        _, left = interfaces.pair(op.raw, op.values)
        gone = [port for port in left if _is_contested(op, port)]
        for port in gone:
            _let_in(op)
            _unplug(op, port)
        op.raw["(ports)"] = [port for port in op.raw.get("(ports)") or [] if port not in gone]
        interfaces.give_up_addresses(op)
    if "volumes" in changes:
        wanted = [element["volume"] for element in op.values["volumes"]]
        before, _ = _compare_volumes(op.raw, op.values["volumes"], op.values)
        taken = [e["volume"] for e in before if e["volume"] not in wanted and ("volume", e["volume"]) in op.contested]
        for ident in taken:
            _let_in(op)
            _detach(op, ident)
        attached = op.raw.get("os-extended-volumes:volumes_attached") or []
        op.raw["os-extended-volumes:volumes_attached"] = [one for one in attached if one["id"] not in taken]
    if locked and not op.raw.get("locked"):
        _act(op, "lock")


def _is_contested(op: Operation, port: Raw) -> bool:
    if ("port", port["id"]) in op.contested:
        return True
    return any(("address", ip["ip_address"]) in op.contested for ip in port.get("fixed_ips") or [])


def _let_in(op: Operation) -> None:
    """Make a server ready for an action."""
    if op.raw.get("status") in ("BUILD", "REBUILD", "REBOOT"):
        op.raw = {**op.raw, **op.wait_until(*STEADY)}
    if op.raw.get("locked"):
        _act(op, "unlock")


def _set_volumes(op: Operation, wanted: list[Mapping[str, Any]]) -> None:
    held, _ = _compare_volumes(op.raw, wanted, op.values)
    path = f"/servers/{op.id}/os-volume_attachments"
    for ident in [element["volume"] for element in held if element not in wanted]:
        _detach(op, ident)
    new = [element for element in wanted if element not in held]
    _await_volumes(op, [element["volume"] for element in new])
    for element in new:
        body = {"volumeId": element["volume"]}
        if "device" in element:
            body["device"] = element["device"]
        op.call("POST", path, {"volumeAttachment": body})
        _await_volumes(op, [element["volume"]], "in-use")


def _detach(op: Operation, volume: str) -> None:
    op.call("DELETE", f"/servers/{op.id}/os-volume_attachments/{volume}", accept=(404,))
    op.poll(_without(_attached, op, volume), f"Detach volume {volume} from server {op.id}")


def _attached(op: Operation) -> list[str]:
    return [a["volumeId"] for a in op.call("GET", f"/servers/{op.id}/os-volume_attachments").body["volumeAttachments"]]


def _await_volumes(op: Operation, volumes: Iterable[str], state: str = "available") -> None:
    """Wait until volumes can be attached, or are."""
    for ident in volumes:

        def arrived(ident: str = ident) -> bool:
            raw = op.cloud.call("block-storage", "GET", f"/volumes/{quote(ident)}", project=op.scope).body["volume"]
            if str(raw["status"]).startswith("error"):
                raise ApiError(
                    0, f"its state is {raw['status']}", f"Wait for volume {ident}", "Mend or replace the volume."
                )
            return bool(raw["status"] == state or (raw["status"] == "in-use" and raw.get("multiattach")))

        op.poll(arrived, f"Wait until volume {ident} is {state} for server {op.values['name']}")


def _set_power(op: Operation, wanted: str) -> None:
    now = POWER.get(str(op.raw.get("status")), str(op.raw.get("status")).lower())
    if now == wanted:
        return
    # From a stopped server a shelved one can be made at once; all else goes over a started one.
    if now != "started" and not (now == "stopped" and wanted == "shelved"):
        _act(op, BACK.get(now, "os-start"))
        _await(op, "ACTIVE")
    if wanted != "started":
        _act(op, INTO[wanted])
        _await(op, *STATES[wanted])


def _delete(op: Operation) -> None:
    if op.raw.get("locked"):
        _act(op, "unlock")
    ports = [*interfaces.of_server(op), *interfaces.strays(op)] if op.cloud.endpoint("network") else []
    op.call("DELETE", f"/servers/{op.id}", accept=(404,))
    # Not after the wait: a run that is cut off there would find no server any more that tells of them.
    interfaces.drop(op, ports)
    if op.wait:
        op.wait_gone()


def _check(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    if "boot_volume" in values and "boot_volume_size" in values:
        found.append(("boot_volume_size", "The server boots from boot_volume already.", "Remove one of the two."))
    found += block_devices.check(values)
    if "boot_volume" not in values and "image" not in values and not values.get("block_devices"):
        found.append(("", "There is nothing to boot from.", "Give image, or boot_volume."))
    for key in ("boot_volume_type", "boot_volume_keep"):
        if key in values and not _boots_from_volume(values):
            found.append((key, "The server has no boot volume.", "Give boot_volume_size with it."))
    found += interfaces.check(values)
    if "hostname" in values and not HOSTNAME.fullmatch(values["hostname"]):
        mend = "Take letters, digits and dashes, up to 63."
        found.append(("hostname", f"'{values['hostname']}' is no name of a host.", mend))
    if len(values.get("trusted_image_certificates") or []) > 50:
        found.append(("trusted_image_certificates", "The compute service takes 50.", "Remove some."))
    if "user_data" in values and "user_data_base64" in values:
        found.append(("user_data_base64", "The user data are said twice.", "Remove one of the two."))
    data = user_data_of(values)
    if "user_data_base64" in values:
        try:
            base64.b64decode(data or "", validate=True)
        except ValueError:
            found.append(("user_data_base64", "This is not base64.", "Give text as user_data."))
    if len(data or "") > LONGEST_USER_DATA:
        key = "user_data_base64" if "user_data_base64" in values else "user_data"
        cause = f"In base64 they have {len(data or '')} characters; the compute service takes {LONGEST_USER_DATA}."
        found.append((key, cause, "Compress them, or let the server fetch the rest."))
    for tag in values.get("tags") or []:
        if len(tag) > 60 or "/" in tag or "," in tag:
            found.append(
                ("tags", f"'{tag}' is no tag of a server.", "A tag has up to 60 characters, no slash or comma.")
            )
    return found


def _validate(planner: Plan, items: list[Item]) -> list[Problem]:
    """Groups of a server that a port's own entry contradicts, and addresses outside of their subnets."""
    problems = []
    for item in items:
        for number, element in enumerate(item.resolved.get("networks") or []):
            place = f"networks[{number}].fixed_ips"
            problems += outside_subnets(planner, item, element.get("fixed_ips") or [], place)
        if "security_groups" not in item.resolved:
            continue
        wanted = _keys(item.resolved["security_groups"])
        for number, element in enumerate(item.resolved.get("networks") or []):
            port = element.get("port")
            entry = next((one for one in planner.own["port"] if port is one or (one.id and port == one.id)), None)
            if entry is None:
                continue
            plain = entry.values.get("port_security") is False
            if plain or ("security_groups" in entry.resolved and _keys(entry.resolved["security_groups"]) != wanted):
                groups = "has no port security" if plain else f"names other groups ({entry.path}.security_groups)"
                problems.append(
                    item.problem(
                        f"security_groups are those of all its interfaces, and the port {entry.title} {groups}.",
                        "Name the groups at the server or at its ports, not otherwise at both.",
                        f"networks[{number}].port",
                    )
                )
    return problems


def _keys(references: Iterable[Any]) -> set[str]:
    return {one if isinstance(one, str) else one.id or one.path for one in references}


def _tell(raw: Raw, planner: Plan) -> dict[str, Any]:
    """Addresses by network, floating ones apart; of those that the document has, it knows better where they lead to."""
    fixed: dict[str, list[str]] = {}
    floating: set[str] = set()
    # The compute service is late to know what changed at a port.
    of_port = {
        port.get("mac_address"): [ip["ip_address"] for ip in port.get("fixed_ips") or []]
        for port in raw.get("(ports)") or []
    }
    for network, those in (raw.get("addresses") or {}).items():
        for one in those:
            if one.get("OS-EXT-IPS:type") == "floating":
                floating.add(one["addr"])
                continue
            found = fixed.setdefault(network, [])
            found += [
                address
                for address in of_port.get(one.get("OS-EXT-IPS-MAC:mac_addr"), [one["addr"]])
                if address not in found
            ]
    ports = {port["id"] for port in raw.get("(ports)") or []}
    inner = {address for those in fixed.values() for address in those}
    for entry in planner.own["floating_ip"]:
        held = entry.current or {}
        if not held.get("floating_ip_address"):
            continue
        port = planner.state.by_id.get("port", {}).get(str(held.get("port_id")), held.get("(port)") or {})
        mine = raw["id"] == port.get("device_id") or held.get("port_id") in ports
        # Where nothing is known of the port, the inner address tells, as far as it does.
        mine = mine or (not port and not ports and held.get("fixed_ip_address") in inner)
        floating -= {held["floating_ip_address"]}
        floating |= {held["floating_ip_address"]} if mine and held.get("port_id") and not entry.absent else set()
    return {
        "addresses": fixed,
        "floating_addresses": sorted(floating),
        "host": raw.get("OS-EXT-SRV-ATTR:host") or "",
        "status": str(raw.get("status", "")),
    }


SERVER = ResourceType(
    "server",
    "servers",
    "compute",
    "/servers",
    (
        NAME,
        project_field("tenant_id"),
        Field(
            "flavor",
            "Flavor. Another one resizes the server.",
            api="flavor.id",
            ref="flavor",
            required=True,
            compare=_compare_flavor,
        ),
        Field(
            "image",
            "Image that it boots from, or that its boot volume is made of.",
            ref="image",
            read=_image_of,
            compare=_compare_image,
            fixed=_fixed("the image"),
        ),
        Field(
            "rebuild",
            f"Leave to rebuild it for another image, key pair or user data, {EMPTY_DISK}.",
            "bool",
            write_only=True,
            export=False,
        ),
        Field(
            "boot_volume",
            "Volume that it boots from. It outlives the server.",
            ref="volume",
            read=lambda raw: raw.get("(root)") if block_devices.read(raw) is None else None,
            write_only=True,
        ),
        Field("boot_volume_size", "Size in GiB of a boot volume to be made of the image.", "int", write_only=True),
        Field("boot_volume_type", "Type of the boot volume to be made.", ref="volume_type", write_only=True),
        Field("boot_volume_keep", "Whether the boot volume that is made outlives the server.", "bool", write_only=True),
        Field(
            "block_devices",
            "What it is made with besides, or boots from with boot_index: 0. Compared as far as the "
            "service tells of volumes:"
            " what they are made of, size, type, label, and whether they go with the server, which alone can change.",
            "list",
            read=block_devices.read,
            compare=block_devices.compare,
            fixed=block_devices.fixed,
            keys=block_devices.KEYS,
        ),
        Field(
            "networks",
            "Its interfaces, of a new server in this order; others are taken away. None for an empty list. "
            "Another order is no change.",
            "list",
            read=interfaces.read,
            compare=interfaces.compare,
            keys=interfaces.KEYS,
        ),
        Field(
            "security_groups",
            "Security groups of all its interfaces that name none themselves, ports that it is given among them; "
            "others are taken away.",
            "set",
            ref="security_group",
            read=interfaces.groups_of,
            compare=interfaces.compare_groups,
        ),
        Field(
            "keypair",
            "Key pair whose key the image puts in.",
            api="key_name",
            ref="keypair",
            fixed=_fixed("the key pair"),
        ),
        Field(
            "user_data",
            "User data, as text or in base64; user_data_base64 leaves no doubt. Compared where the login may see them.",
            secret=True,
            read=lambda raw: raw.get("OS-EXT-SRV-ATTR:user_data"),
            compare=_compare_user_data,
            fixed=_fixed("user data"),
            export=False,
        ),
        Field(
            "user_data_base64",
            "User data in base64, in place of user_data. White space does not count.",
            secret=True,
            read=lambda raw: raw.get("OS-EXT-SRV-ATTR:user_data"),
            compare=_compare_user_data,
            fixed=_fixed("user data"),
            export=False,
        ),
        Field("admin_password", "Password that the image sets, for images that do.", secret=True, write_only=True),
        DESCRIPTION,
        metadata_field("Metadata."),
        Field("tags", "Labels.", "set"),
        Field(
            "availability_zone",
            "Availability zone; zone:host for administrators.",
            api="OS-EXT-AZ:availability_zone",
            immutable=True,
            compare=_compare_zone,
            # What the service takes where no zone was asked for.
            unsaid=("nova",),
        ),
        Field(
            "hostname",
            "Name that the guest is told; made of the name by default. Compared where the login may see it.",
            compare=_compare_hostname,
            export=False,
        ),
        Field(
            "trusted_image_certificates",
            "Identifiers of the certificates that a signed image may be signed with, for a new server or a rebuild.",
            "list",
            write_only=True,
            export=False,
        ),
        Field("host", "Compute host that a new one is placed on, for administrators.", write_only=True, export=False),
        Field("server_group", "Server group, for placement.", ref="server_group", write_only=True),
        Field("scheduler_hints", "Further hints for the scheduler.", "dict", write_only=True),
        Field(
            "config_drive",
            "Whether metadata are on a drive of their own.",
            "bool",
            immutable=True,
            read=lambda raw: str(raw.get("config_drive")).lower() == "true",
        ),
        Field(
            "volumes",
            "Volumes attached to it besides the one it boots from; others are detached.",
            "list",
            read=lambda raw: [
                {"volume": v["id"]}
                for v in raw.get("os-extended-volumes:volumes_attached") or []
                if v["id"] != raw.get("(root)") and block_devices.read(raw) is None
            ],
            compare=_compare_volumes,
            keys=(
                Field("volume", "Volume.", ref="volume", required=True),
                Field("device", "Device name, which most guests choose themselves."),
            ),
        ),
        Field(
            "power",
            "State that it is brought into.",
            choices=tuple(STATES),
            read=lambda raw: POWER.get(str(raw.get("status")), str(raw.get("status", "")).lower()),
        ),
        Field("locked", "Whether it is locked against actions of others.", "bool"),
    ),
    doc="A server.",
    identity=("name", "project"),
    microversion=READ_VERSION,
    mark="tags",
    born_marked=True,
    scoped=True,
    failed=("error", "deleted"),
    # A network gives addresses only of a subnet that is there.
    # It is placed by what its flavor and the aggregates say when it is made.
    after=("subnet", "flavor", "aggregate", "image"),
    uses=("port", "subnet", "network", "security_group", "server_group", "volume"),
    listing=_servers,
    create=_create,
    settle=_settle,
    update=_update,
    release=_release,
    delete=_delete,
    check=_check,
    validate=_validate,
    tells=_tell,
    not_carried=("boot_volume", "block_devices"),
    derived=("user_data_base64",),
    broken=_broken,
)
