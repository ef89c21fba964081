"""The resource type "server": boot sources, interfaces, volumes, resize, rebuild and power states."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import (
    LONGEST_QUERY,
    Operation,
    Query,
    born_tags,
    fault_of,
    mark_tag,
    set_tags,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Field, Raw, ResourceType
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types_common import (
    DESCRIPTION,
    NAME,
    metadata_field,
    pattern,
    per_project,
    project_field,
    set_metadata,
    without_none,
)

# 2.46 is the last version that tells a server's flavor by its identifier.
READ_VERSION = "2.46"
# 2.67 takes tags and the type of a boot volume with a new server; 2.57 takes user data with a rebuild.
WRITE_VERSION = "2.67"
# 2.74 takes the host of a new server.
PLACE_VERSION = "2.74"
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
    ports, volumes = (
        {str(entry.get("name")) for entry in query.entries if entry.keys() & keys}
        for keys in ({"networks", "security_groups"}, {"volumes"})
    )
    _join_ports(query, [server for server in servers if server["name"] in ports])
    _join_root(query, [server for server in servers if server["name"] in volumes and not server.get("image")])
    return servers


def _join_ports(query: Query, servers: list[Raw]) -> None:
    """Give servers the ports that they have, in as few calls as the length of an address allows."""
    chunk = LONGEST_QUERY // 50
    for start in range(0, len(servers), chunk):
        group = {server["id"]: server for server in servers[start : start + chunk]}
        for server in group.values():
            server["(ports)"] = []
        params = [("device_id", ident) for ident in group]
        for port in query.cloud.pages("network", "/ports", "ports", params):
            if port["device_id"] in group:
                group[port["device_id"]]["(ports)"].append(port)


def _join_root(query: Query, servers: list[Raw]) -> None:
    """Tell servers that boot from a volume which one it is: the volumes know the device."""
    if not servers:
        return
    by_id = {server["id"]: server for server in servers}
    for project in query.projects:
        for volume in query.cloud.pages("block-storage", "/volumes/detail", "volumes", project=project):
            for attachment in volume.get("attachments") or []:
                server = by_id.get(attachment.get("server_id"))
                if server is not None and is_root(attachment.get("device")):
                    server["(root)"] = volume["id"]


def is_root(device: Any) -> bool:
    """Whether a device is the first disk: vda, sda, xvda."""
    return str(device or "").rstrip("/").endswith("da")


def _image_of(raw: Raw) -> Any:
    image = raw.get("image")
    return image.get("id") if isinstance(image, Mapping) else None


def _compare_image(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    # A server that boots from a volume does not tell which image the volume was made of.
    return (wanted, wanted) if not _image_of(raw) and _boots_from_volume(values) else (_image_of(raw), wanted)


def _boots_from_volume(values: Mapping[str, Any]) -> bool:
    return "boot_volume" in values or "boot_volume_size" in values


def _compare_flavor(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    now = raw["flavor"].get("id")
    # A resize that was cut off: the server has the flavor already, and waits to be told that it is right.
    return (f"{now} (not confirmed)" if raw.get("status") in ("RESIZE", "VERIFY_RESIZE") else now), wanted


def _compare_user_data(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    # Only administrators are told the user data.
    now = raw.get("OS-EXT-SRV-ATTR:user_data", wanted)
    return (now, wanted) if encoded(now) != encoded(wanted) else (wanted, wanted)


def encoded(text: Any) -> str:
    """User data as the service keeps them."""
    try:
        base64.b64decode(str(text or ""), validate=True)
        return str(text or "")
    except ValueError:
        return base64.b64encode(str(text).encode()).decode()


def _compare_zone(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    now = raw.get("OS-EXT-AZ:availability_zone")
    # A shelved server is nowhere. "zone:host" names a host as well.
    return (now, wanted) if now and now != str(wanted).split(":")[0] else (wanted, wanted)


def _compare_networks(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    if "(ports)" not in raw:
        return wanted, wanted
    left: list[Raw] = list(raw["(ports)"])
    before: list[Any] = []
    for element in sorted(wanted, key=lambda e: ("port" not in e, "fixed_ip" not in e)):
        match = next((port for port in left if _is_interface(port, element)), None)
        if match is not None:
            left.remove(match)
            before.append(element)
    ordered = [element for element in wanted if any(element is other for other in before)]
    return [*ordered, *({"network": port["network_id"], "port": port["id"]} for port in left)], wanted


def _is_interface(port: Raw, element: Mapping[str, Any]) -> bool:
    if "port" in element:
        return bool(port["id"] == element["port"])
    addresses = [ip["ip_address"] for ip in port.get("fixed_ips") or []]
    return port["network_id"] == element.get("network") and element.get("fixed_ip") in (None, *addresses)


def _interfaces_of(raw: Raw) -> list[dict[str, Any]]:
    """Interfaces as an entry has them: ports that somebody named, and addresses in a network for those of the server's own."""
    found: list[dict[str, Any]] = []
    for port in raw.get("(ports)", []):
        if port.get("name"):
            found.append({"port": port["id"]})
            continue
        addresses = [ip["ip_address"] for ip in port.get("fixed_ips") or []]
        found.append({"network": port["network_id"]} | ({"fixed_ip": addresses[0]} if addresses else {}))
    return found


def _groups_of(raw: Raw) -> list[str]:
    return sorted({group for port in raw.get("(ports)", []) for group in port.get("security_groups") or []})


def _compare_groups(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    if not raw.get("(ports)"):
        return wanted, wanted
    return _groups_of(raw), sorted(wanted, key=str)


def _compare_volumes(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    root = raw.get("(root)") or values.get("boot_volume")
    attached = [
        volume["id"] for volume in raw.get("os-extended-volumes:volumes_attached") or [] if volume["id"] != root
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
    """The block devices of a new server: its root disk, when that is a volume."""
    keep = values.get("boot_volume_keep", "boot_volume" in values)
    disk = {"boot_index": 0, "destination_type": "volume", "delete_on_termination": not keep}
    if "boot_volume" in values:
        return [{**disk, "source_type": "volume", "uuid": values["boot_volume"]}]
    if "boot_volume_size" not in values:
        return []
    disk |= {"source_type": "image", "uuid": values["image"], "volume_size": values["boot_volume_size"]}
    return [{**disk, "volume_type": values["boot_volume_type"]} if "boot_volume_type" in values else disk]


def _interface(element: Mapping[str, Any], network: str, port: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {port: element["port"]} if "port" in element else {network: element["network"]}
    return wanted


def _create(op: Operation) -> Raw:
    values = op.values
    server: dict[str, Any] = {"name": values["name"], "flavorRef": values["flavor"], "metadata": without_none(values.get("metadata")) or {}}
    disks = _disks(values)
    if disks:
        server["block_device_mapping_v2"] = disks
    elif "image" in values:
        server["imageRef"] = values["image"]
    if "networks" in values:
        server["networks"] = [
            _interface(e, "uuid", "port") | ({"fixed_ip": e["fixed_ip"]} if "fixed_ip" in e else {})
            for e in values["networks"]
        ] or "none"
    else:
        server["networks"] = "auto"
    if "security_groups" in values:
        server["security_groups"] = [{"name": group} for group in values["security_groups"]]
    for name, key in (
        ("keypair", "key_name"),
        ("description", "description"),
        ("availability_zone", "availability_zone"),
        ("config_drive", "config_drive"),
        ("admin_password", "adminPass"),
        ("host", "host"),
    ):
        if name in values:
            server[key] = values[name]
    if tags := born_tags(op):
        server["tags"] = tags
    if "user_data" in values:
        server["user_data"] = encoded(values["user_data"])
    body: dict[str, Any] = {"server": server}
    hints = dict(values.get("scheduler_hints") or {})
    if "server_group" in values:
        hints["group"] = values["server_group"]
    if hints:
        body["os:scheduler_hints"] = hints
    _await_volumes(op, [disk["uuid"] for disk in disks if disk["source_type"] == "volume"])
    version = PLACE_VERSION if "host" in values else WRITE_VERSION
    raw: Raw = op.call("POST", "/servers", body, microversion=version).body["server"]
    return raw


def _settle(op: Operation) -> Raw:
    """Wait for a new server, then do what can be done only with a running one."""
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
    op.raw["(root)"] = next((volume["id"] for volume in op.raw.get("os-extended-volumes:volumes_attached") or []), "")
    _steps(op, wanted)
    return op.raw


def _update(op: Operation, changes: dict[str, Any]) -> None:
    if op.raw.get("status") in ("BUILD", "REBUILD", "REBOOT"):
        op.raw = {**op.raw, **op.wait_until(*STEADY)}
    body = {name: changes[name] for name in ("name", "description") if name in changes}
    if body:
        op.call("PUT", f"/servers/{op.id}", {"server": body})
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
    if "flavor" in changes:
        _resize(op, changes["flavor"])
    if changes.keys() & {"image", "user_data", "keypair"}:
        _rebuild(op)
    if "networks" in changes:
        _set_interfaces(op, changes["networks"])
    if "security_groups" in changes:
        _set_groups(op, changes["security_groups"])
    if "volumes" in changes:
        _set_volumes(op, changes["volumes"])
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
    if "user_data" in op.values:
        argument["user_data"] = encoded(op.values["user_data"])
    if "keypair" in op.values:
        argument["key_name"] = op.values["keypair"]
    if "admin_password" in op.values:
        argument["adminPass"] = op.values["admin_password"]
    _act(op, "rebuild", argument, microversion=REBUILD_VERSION)
    _await(op, "ACTIVE", "SHUTOFF")


def _set_interfaces(op: Operation, wanted: list[Mapping[str, Any]]) -> None:
    held, _ = _compare_networks(op.raw, wanted, op.values)
    for element in held:
        if not any(element is other for other in wanted):
            op.call("DELETE", f"/servers/{op.id}/os-interface/{element['port']}", accept=(404,))
            op.poll(_without(_ports, op, element["port"]), f"Take port {element['port']} from server {op.id}")
    for element in wanted:
        if not any(element is other for other in held):
            body = _interface(element, "net_id", "port_id")
            if "fixed_ip" in element:
                body["fixed_ips"] = [{"ip_address": element["fixed_ip"]}]
            op.call("POST", f"/servers/{op.id}/os-interface", {"interfaceAttachment": body})


def _ports(op: Operation) -> list[str]:
    return [i["port_id"] for i in op.call("GET", f"/servers/{op.id}/os-interface").body["interfaceAttachments"]]


def _without(present: Callable[[Operation], list[str]], op: Operation, ident: str) -> Callable[[], bool]:
    return lambda: ident not in present(op)


def _set_groups(op: Operation, wanted: list[str]) -> None:
    now, _ = _compare_groups(op.raw, wanted, op.values)
    for action, groups in (
        ("addSecurityGroup", set(wanted) - set(now)),
        ("removeSecurityGroup", set(now) - set(wanted)),
    ):
        for group in sorted(groups):
            _act(op, action, {"name": group})


def _set_volumes(op: Operation, wanted: list[Mapping[str, Any]]) -> None:
    held, _ = _compare_volumes(op.raw, wanted, op.values)
    path = f"/servers/{op.id}/os-volume_attachments"
    for ident in [element["volume"] for element in held if element not in wanted]:
        op.call("DELETE", f"{path}/{ident}", accept=(404,))
        op.poll(_without(_attached, op, ident), f"Detach volume {ident} from server {op.id}")
    new = [element for element in wanted if element not in held]
    _await_volumes(op, [element["volume"] for element in new])
    for element in new:
        body = {"volumeId": element["volume"]}
        if "device" in element:
            body["device"] = element["device"]
        op.call("POST", path, {"volumeAttachment": body})
        _await_volumes(op, [element["volume"]], "in-use")


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
    op.call("DELETE", f"/servers/{op.id}", accept=(404,))
    if op.wait:
        op.wait_gone()


def _check(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    if "boot_volume" in values and "boot_volume_size" in values:
        found.append(("boot_volume_size", "The server boots from boot_volume already.", "Remove one of the two."))
    if "boot_volume" not in values and "image" not in values:
        found.append(("", "There is nothing to boot from.", "Give image, or boot_volume."))
    for key in ("boot_volume_type", "boot_volume_keep"):
        if key in values and not _boots_from_volume(values):
            found.append((key, "The server has no boot volume.", "Give boot_volume_size with it."))
    for number, element in enumerate(values.get("networks") or []):
        if ("network" in element) == ("port" in element):
            found.append((f"networks[{number}]", "Exactly one of network and port is wanted.", ""))
        if "port" in element and "fixed_ip" in element:
            found.append((f"networks[{number}].fixed_ip", "A port has its own addresses.", "Set them at the port."))
    for tag in values.get("tags") or []:
        if len(tag) > 60 or "/" in tag or "," in tag:
            found.append(
                ("tags", f"'{tag}' is no tag of a server.", "A tag has up to 60 characters, no slash or comma.")
            )
    return found


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
        Field("boot_volume", "Volume that it boots from. It outlives the server.", ref="volume", write_only=True),
        Field("boot_volume_size", "Size in GiB of a boot volume to be made of the image.", "int", write_only=True),
        Field("boot_volume_type", "Type of the boot volume to be made.", ref="volume_type", write_only=True),
        Field("boot_volume_keep", "Whether the boot volume that is made outlives the server.", "bool", write_only=True),
        Field(
            "networks",
            "Its interfaces, in order; others are taken away. None for an empty list.",
            "list",
            read=_interfaces_of,
            compare=_compare_networks,
            keys=(
                Field("network", "Network that a port is made in.", ref="network"),
                Field("port", "Port that exists already.", ref="port"),
                Field("fixed_ip", "Address in the network."),
            ),
        ),
        Field(
            "security_groups",
            "Security groups of all its interfaces.",
            "set",
            ref="security_group",
            read=_groups_of,
            compare=_compare_groups,
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
            "User data, as text or in base64. Compared where the login may see them.",
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
                if v["id"] != raw.get("(root)")
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
    uses=("floating_ip", "port", "subnet", "network", "security_group", "server_group", "volume"),
    listing=_servers,
    create=_create,
    settle=_settle,
    update=_update,
    delete=_delete,
    check=_check,
    broken=_broken,
)
