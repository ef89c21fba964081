"""Nova: flavors, key pairs, groups, aggregates, servers and their actions, quotas."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from .core import Answer, Collection, Object, Refusal, Request, Route, State, fetch, microversion, new_id, remove, shown
from .network import default_group, new_port

SERVICE = "compute"
QUOTAS = {
    "instances": 10, "cores": 20, "ram": 51200, "metadata_items": 128, "key_pairs": 100, "server_groups": 10,
    "server_group_members": 10,
}  # fmt: skip
HIDDEN_QUOTAS = {"injected_files": 5, "injected_file_content_bytes": 10240, "injected_file_path_bytes": 255}


def declare(type: str, path: str, **more: Any) -> Collection:
    """A nova collection."""
    more.setdefault("methods", ("POST", "GET", "PUT", "DELETE"))
    more.setdefault("statuses", {"POST": 200, "DELETE": 202})
    return Collection(type=type, service=SERVICE, path=f"/v2.1/{path}", **more)


def see_flavor(state: State, request: Request, obj: Object) -> bool:
    """Public flavors, and those with access."""
    if request.who.admin:
        return request.one("is_public", "None").lower() in ("none", str(obj["os-flavor-access:is_public"]).lower())
    return bool(obj["os-flavor-access:is_public"]) or request.who.project_id in obj["_access"]


def new_flavor(state: State, request: Request, obj: Object) -> None:
    """Sizes are positive, the identifier may be given."""
    for name in ("ram", "vcpus"):
        if not str(obj[name]).isdigit() or int(obj[name]) < 1:
            raise Refusal(400, f"Invalid input for field/attribute {name}: {obj[name]!r}.")
    if obj["id"] == "auto":
        obj["id"] = new_id()
    obj["_access"] = set()
    obj["extra_specs"] = {}


def show_flavor(state: State, request: Request, out: Object) -> Object:
    """What older versions of the API leave out or write otherwise."""
    version = microversion(request)
    for word, since in (("description", (2, 55)), ("extra_specs", (2, 61))):
        if version < since:
            out.pop(word, None)
    if version < (2, 75):
        out["swap"] = out["swap"] or ""
    return out


def extra_specs(state: State, request: Request, match: dict[str, str]) -> Answer:
    """The extra specs of a flavor: read, add, remove."""
    flavor = fetch(state, request, state.types["flavor"], {"id": match["id"]})
    specs, key = flavor.setdefault("extra_specs", {}), match.get("key")
    if request.method == "GET":
        return Answer(200, {"extra_specs": specs} if key is None else {key: specs.get(key)})
    request.need_admin()
    if request.method == "DELETE":
        if key not in specs:
            raise Refusal(404, f"Flavor {flavor['id']} has no extra specs with key {key}.")
        del specs[key]
        return Answer(200)
    given = request.json() if key else request.wrapped("extra_specs")
    if any(not isinstance(v, str) for v in given.values()):
        raise Refusal(400, "Extra specs are words.")
    specs |= given
    return Answer(200, given if key else {"extra_specs": specs})


def flavor_action(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of addTenantAccess and removeTenantAccess."""
    request.need_admin()
    flavor = state.get("flavor", match["id"])
    action, given = next(iter(request.json().items()))
    if flavor["os-flavor-access:is_public"]:
        raise Refusal(409, "Can not add access to a public flavor.")
    if action == "addTenantAccess":
        if given["tenant"] in flavor["_access"]:
            raise Refusal(409, f"Flavor access already exists for flavor {flavor['id']} and project {given['tenant']}.")
        state.get("project", given["tenant"], 400)
        flavor["_access"].add(given["tenant"])
    elif given["tenant"] not in flavor["_access"]:
        raise Refusal(404, f"Flavor access not found for {flavor['id']} and project {given['tenant']}.")
    else:
        flavor["_access"].discard(given["tenant"])
    return flavor_access(state, request, match)


def flavor_access(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the projects that may use a flavor."""
    flavor = state.get("flavor", match["id"])
    if flavor["os-flavor-access:is_public"]:
        raise Refusal(404, "Access list not available for public flavors.")
    return Answer(
        200, {"flavor_access": [{"flavor_id": flavor["id"], "tenant_id": p} for p in sorted(flavor["_access"])]}
    )


# -- key pairs: names of a user, wrapped one by one


def keypair_id(user: str, name: str) -> str:
    """Where a key pair is stored."""
    return f"{user}/{name}"


def keypairs(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the user's key pairs."""
    user = request.one("user_id", request.who.user_id)
    found = [k for k in state.all("keypair") if k["user_id"] == user]
    marker = request.one("marker")
    if marker:
        found = found[[k["name"] for k in found].index(marker) + 1 :]
    page = found[: int(request.one("limit") or state.page_size)]
    body: Object = {
        "keypairs": [{"keypair": {k: v for k, v in one.items() if k not in ("user_id", "id")}} for one in page]
    }
    if len(page) < len(found):
        href = f"{request.base}{request.path}?limit={len(page)}&marker={page[-1]['name']}"
        body["keypairs_links"] = [{"rel": "next", "href": href}]
    return Answer(200, body)


def new_keypair(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of a key pair, with a public key or to be generated."""
    given = request.wrapped("keypair")
    user = given.get("user_id") or request.who.user_id
    if not given.get("name"):
        raise Refusal(400, "'name' is a required property.")
    if keypair_id(user, given["name"]) in state.objects["keypair"]:
        raise Refusal(409, f"Key pair '{given['name']}' already exists.")
    public = given.get("public_key") or "ssh-rsa " + base64.b64encode(new_id().encode()).decode()
    parts = public.split()
    try:
        digest = hashlib.md5(base64.b64decode(parts[1]), usedforsecurity=False).hexdigest()
    except (IndexError, ValueError) as error:
        raise Refusal(400, "Keypair data is invalid: failed to generate fingerprint.") from error
    made = state.put(
        "keypair",
        id=keypair_id(user, given["name"]),
        name=given["name"],
        user_id=user,
        public_key=public,
        type=given.get("type", "ssh"),
        fingerprint=":".join(digest[i : i + 2] for i in range(0, 32, 2)),
    )
    out = {k: v for k, v in made.items() if k != "id"}
    return Answer(201, {"keypair": out if given.get("public_key") else out | {"private_key": "PRIVATE KEY"}})


def keypair(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET or DELETE of one key pair."""
    key = keypair_id(request.one("user_id", request.who.user_id), match["name"])
    found = state.objects["keypair"].get(key)
    if found is None:
        raise Refusal(404, f"Keypair {match['name']} not found for user {request.who.user_id}.")
    if request.method == "DELETE":
        del state.objects["keypair"][key]
        return Answer(204)
    return Answer(200, {"keypair": {k: v for k, v in found.items() if k != "id"}})


# -- server groups and aggregates


def new_group(state: State, request: Request, obj: Object) -> None:
    """One policy, under its new and old key; nothing that the schema lacks."""
    for name in request.wrapped("server_group").keys() - {"name", "policy", "policies", "rules"}:
        raise Refusal(400, f"Additional properties are not allowed ({name!r} was unexpected).")
    obj["policy"] = obj.get("policy") or (obj.get("policies") or [None])[0]
    if obj["policy"] not in ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"):
        raise Refusal(400, f"Invalid input for field/attribute policy: {obj['policy']!r}.")
    obj["policies"] = [obj["policy"]]
    obj["user_id"] = request.who.user_id


def new_aggregate(state: State, request: Request, obj: Object) -> None:
    """Numbers identify aggregates."""
    state.extra["aggregates"] = state.extra.get("aggregates", 0) + 1
    obj["id"] = state.extra["aggregates"]
    zone = obj.get("availability_zone")
    obj["metadata"] = {"availability_zone": zone} if zone else {}


def change_aggregate(state: State, request: Request, obj: Object, values: Object) -> None:
    """The zone is metadata as well, and never empty."""
    if values.get("availability_zone") == "":
        raise Refusal(400, "Aggregate does not support empty named availability zone.")
    if values.get("availability_zone"):
        obj["metadata"]["availability_zone"] = values["availability_zone"]


def drop_aggregate(state: State, request: Request, obj: Object) -> None:
    """Hosts keep an aggregate."""
    if obj["hosts"]:
        raise Refusal(400, f"Cannot remove aggregate {obj['id']}: host aggregate is not empty.")


def aggregate_action(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of add_host, remove_host, set_metadata."""
    request.need_admin()
    obj = state.get("aggregate", match["id"])
    action, given = next(iter(request.json().items()))
    if action == "set_metadata":
        if "availability_zone" in given["metadata"] and not given["metadata"]["availability_zone"]:
            raise Refusal(400, "Aggregate does not support empty named availability zone.")
        for key, value in given["metadata"].items():
            if value is None:
                obj["metadata"].pop(key, None)
            else:
                obj["metadata"][key] = value
        obj["availability_zone"] = obj["metadata"].get("availability_zone")
    else:
        host = given["host"]
        if not state.find("compute_service", host=host):
            raise Refusal(404, f"Compute host {host} could not be found.")
        if (host in obj["hosts"]) == (action == "add_host"):
            raise Refusal(
                409 if action == "add_host" else 404, f"Aggregate {obj['id']}: host {host} is in the wrong state."
            )
        zones = {a["metadata"].get("availability_zone") for a in state.all("aggregate") if host in a["hosts"]} - {None}
        if (
            action == "add_host"
            and obj["metadata"].get("availability_zone")
            and zones - {obj["metadata"]["availability_zone"]}
        ):
            raise Refusal(409, f"Cannot add host {host} to aggregate {obj['id']}: it is in another availability zone.")
        if action == "add_host":
            obj["hosts"].append(host)
        else:
            obj["hosts"].remove(host)
    return Answer(200, {"aggregate": obj})


# -- servers


def new_server(state: State, request: Request, obj: Object) -> None:
    """Flavor, image or volume, networks, quota."""
    flavor = state.get("flavor", str(obj.pop("flavorRef", "")).rsplit("/", 1)[-1], 400)
    image = obj.pop("imageRef", None)
    mapping = obj.pop("block_device_mapping_v2", None) or []
    check_mapping(state, mapping, image)
    if image:
        found = state.get("image", image, 400)
        if found["status"] != "active":
            raise Refusal(400, f"Image {image} is not active.")
        if found.get("min_disk", 0) > flavor["disk"] > 0 or found.get("min_ram", 0) > flavor["ram"]:
            raise Refusal(400, "Flavor's disk or memory is too small for requested image.")
    elif not mapping:
        raise Refusal(400, "Invalid imageRef provided.")
    if obj.get("key_name") and keypair_id(request.who.user_id, obj["key_name"]) not in state.objects["keypair"]:
        raise Refusal(400, f"Invalid key_name provided: {obj['key_name']}.")
    project = request.who.project_id
    limits = quota_of(state, project)
    mine = [s for s in state.objects["server"].values() if s["tenant_id"] == project]
    cores = sum(s["flavor"].get("vcpus", 0) for s in mine) + flavor["vcpus"]
    for name, used in (("instances", len(mine) + 1), ("cores", cores)):
        if 0 <= limits[name] < used:
            raise Refusal(
                403, f"Quota exceeded for {name}: Requested 1, but already used {used - 1} of {limits[name]} {name}."
            )
    networks = obj.pop("networks", "auto")
    zone = obj.pop("availability_zone", None) or "nova"
    hints = request.json().get("os:scheduler_hints") or request.json().get("OS-SCH-HNT:scheduler_hints") or {}
    if hints.get("group"):
        state.get("server_group", hints["group"], 400)["members"].append(obj["id"])
    version = microversion(request)
    if version >= (2, 37) and networks == "auto" and "networks" not in request.wrapped("server"):
        raise Refusal(400, "Invalid input for field/attribute server: 'networks' is a required property.")
    if version < (2, 52) and obj.get("tags"):
        raise Refusal(400, "Invalid input for field/attribute server: Additional properties are not allowed ('tags').")
    if version < (2, 90) and "hostname" in request.wrapped("server"):
        raise Refusal(400, "Additional properties are not allowed ('hostname' was unexpected)")
    if version < (2, 63) and "trusted_image_certificates" in request.wrapped("server"):
        raise Refusal(400, "Additional properties are not allowed ('trusted_image_certificates' was unexpected)")
    for wanted in networks if isinstance(networks, list) else ():
        if unknown := wanted.keys() - {"uuid", "port", "fixed_ip", "tag"}:
            raise Refusal(400, f"Invalid input for field/attribute networks: {sorted(unknown)} were unexpected.")
        if wanted.get("tag") and not 1 <= len(wanted["tag"]) <= 60:
            raise Refusal(400, f"Invalid input for field/attribute tag: {wanted['tag']!r}.")
    obj["_hostname"] = obj.pop("hostname", None) or obj["name"].lower().replace(" ", "-")
    host = obj.pop("host", None)
    if host:
        request.need_admin()
        if version < (2, 74):
            raise Refusal(400, "Additional properties are not allowed ('host' was unexpected).")
        if not state.find("compute_service", host=host):
            raise Refusal(400, f"Compute host {host} could not be found.")
    groups = obj.pop("security_groups", None) or [{"name": "default"}]
    for word in ("min_count", "max_count", "return_reservation_id"):
        obj.pop(word, None)
    obj |= {
        "tenant_id": project,
        "user_id": request.who.user_id,
        "image": {"id": image} if image else "",
        "addresses": {},
        "flavor": flavor_view(flavor),
        "OS-EXT-AZ:availability_zone": zone,
        "security_groups": groups,
        "OS-EXT-SRV-ATTR:host": host or "compute-1",
        "os-extended-volumes:volumes_attached": [],
        "OS-EXT-STS:power_state": 1,
        "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:task_state": None,
        "hostId": "h",
        "_user_data": obj.pop("user_data", None),
        "adminPass": obj.pop("adminPass", None) or "generated",
    }
    for entry in mapping:
        if entry.get("destination_type") == "volume":
            volume = entry["uuid"] if entry["source_type"] == "volume" else new_volume(state, project, entry)["id"]
            root = entry.get("boot_index") == 0
            attach_volume(state, obj, volume, bool(entry.get("delete_on_termination")), root=root, tag=entry.get("tag"))
    if networks not in ("none", "auto"):
        for wanted in networks:
            plug(state, request, obj, wanted, group_ids(state, project, [group["name"] for group in groups]))
    obj["_stillborn"] = bool(state.fail_next["server"])
    state.settle("server", obj, "BUILD", "ACTIVE")


def check_mapping(state: State, mapping: list[Object], image: str | None) -> None:
    """Devices have a source, a size where they are made, and one boots first."""
    first = [one for one in mapping if one.get("boot_index") == 0]
    if mapping and (len(first) != 1 if not image else len(first) > 1):
        raise Refusal(
            400,
            "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping "
            "combination is not valid.",
        )
    tags = [one["tag"] for one in mapping if one.get("tag")]
    if len(tags) != len(set(tags)):
        raise Refusal(400, f"Block Device Mapping is Invalid: Duplicate tag(s): {tags}.")
    for one in mapping:
        source, local = one["source_type"], one.get("destination_type") == "local"
        if source not in ("image", "volume", "snapshot", "blank") or (source == "blank") == ("uuid" in one):
            raise Refusal(400, "Invalid input for field/attribute block_device_mapping_v2.")
        if local and source not in ("image", "blank"):
            raise Refusal(400, f"Block Device Mapping is Invalid: Mapping {source} to local is not supported.")
        if local and source == "image" and one["uuid"] != image:
            raise Refusal(400, "Block Device Mapping is Invalid: mapping image to local is not supported.")
        if not local and source in ("image", "blank") and not one.get("volume_size"):
            raise Refusal(
                400,
                f"Block Device Mapping is Invalid: {source.title()}s with destination_type 'volume' need to have a "
                "non-zero size specified.",
            )
        if source != "blank":
            state.get(source, one["uuid"], 400)


def new_volume(state: State, project: str, entry: Object) -> Object:
    """The volume that a block device is made as."""
    source = entry["source_type"]
    kinds = {one["id"]: one["name"] for one in state.all("volume_type")} | {
        one["name"]: one["name"] for one in state.all("volume_type")
    }
    wanted = entry.get("volume_type")
    if wanted and wanted not in kinds:
        raise Refusal(400, f"Invalid volume type {wanted}.")
    made = dict(state.types["volume"].defaults) | {
        "name": "", "bootable": str(source in ("image", "snapshot")).lower(), "volume_type": kinds.get(wanted or ""),
        "os-vol-tenant-attr:tenant_id": project,
        "size": entry.get("volume_size") or state.get("snapshot", entry["uuid"])["size"]}  # fmt: skip
    if source == "snapshot":
        made["snapshot_id"] = entry["uuid"]
    elif source == "image":
        made["volume_image_metadata"] = {
            "image_id": entry["uuid"],
            "image_name": state.get("image", entry["uuid"])["name"],
        }
    return state.put("volume", **made)


def flavor_view(flavor: Object) -> Object:
    """A flavor inside a server, as newer microversions have it."""
    return {"original_name": flavor["name"], "ram": flavor["ram"], "vcpus": flavor["vcpus"], "disk": flavor["disk"],
            "ephemeral": 0, "swap": 0, "extra_specs": flavor.get("extra_specs", {}), "id": flavor["id"]}  # fmt: skip


def group_ids(state: State, project: str, names: list[str]) -> list[str]:
    """Identifiers of a project's security groups, by name or identifier."""
    found = []
    for name in names:
        if name == "default":
            found.append(default_group(state, project)["id"])
            continue
        one = [
            g["id"] for g in state.all("security_group") if name in (g["id"], g["name"]) and g["project_id"] == project
        ]
        if not one:
            raise Refusal(400, f"Security group {name} not found.")
        found += one[:1]
    return found


def plug(state: State, request: Request, server: Object, wanted: Object, groups: list[str] | None = None) -> Object:
    """Give a server a port; a new one gets its security groups."""
    if wanted.get("port"):
        port = state.get("port", wanted["port"], 400)
        if port["device_id"]:
            raise Refusal(409, f"Port {port['id']} is still in use.")
        if not port["fixed_ips"]:
            raise Refusal(400, f"Port {port['id']} requires a FixedIP in order to be used.")
    else:
        ip = wanted.get("fixed_ip") or ((wanted.get("fixed_ips") or [{}])[0].get("ip_address"))
        network = state.get("network", wanted.get("uuid") or wanted.get("net_id") or "none", 400)
        port = dict(state.types["port"].defaults) | {
            "network_id": network["id"],
            "project_id": server["tenant_id"],
            "_own": True,
            "id": new_id(),
            "security_groups": groups,
            "fixed_ips": [{"ip_address": ip}] if ip else None,
        }
        new_port(state, request, port)
        state.objects["port"][port["id"]] = port
    state.extra["plugs"] = state.extra.get("plugs", 0) + 1
    port |= {
        "device_id": server["id"],
        "device_owner": "compute:nova",
        "status": "ACTIVE",
        "_plug": state.extra["plugs"],
    }
    return port


def show_server(state: State, request: Request, out: Object) -> Object:
    """Addresses come from the ports; the password only with the answer that makes the server."""
    index = state.extra.get("device_index")
    if index is None or request.method != "GET" or state.extra.get("device_count") != len(state.calls):
        index = {}
        for port in state.objects["port"].values():
            if port["device_id"]:
                index.setdefault(port["device_id"], []).append(port)
        state.extra |= {"device_index": index, "device_count": len(state.calls)}
    out["addresses"] = {}
    for port in sorted(index.get(out["id"], []), key=lambda port: port.get("_plug", 0)):
        name = state.get("network", port["network_id"])["name"]
        for ip in port["fixed_ips"]:
            out["addresses"].setdefault(name, []).append(
                {
                    "addr": ip["ip_address"],
                    "version": 6 if ":" in ip["ip_address"] else 4,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": port["mac_address"],
                }
            )
            for floating in state.find("floating_ip", port_id=port["id"]):
                out["addresses"][name].append({"addr": floating["floating_ip_address"], "version": 4,
                                               "OS-EXT-IPS:type": "floating",
                                               "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]})  # fmt: skip
    version = microversion(request)
    stored = state.objects["server"].get(out["id"], out)
    out["flavor"] = {k: v for k, v in out["flavor"].items() if (k == "id") == (version < (2, 47))}
    for word, since in (("locked", (2, 9)), ("description", (2, 19)), ("tags", (2, 26))):
        if version < since:
            out.pop(word, None)
    if request.who.admin and version >= (2, 3):
        out["OS-EXT-SRV-ATTR:user_data"] = stored.get("_user_data")
        out["OS-EXT-SRV-ATTR:hostname"] = stored.get("_hostname")
    if version < (2, 3):
        out["os-extended-volumes:volumes_attached"] = [
            {"id": v["id"]} for v in out["os-extended-volumes:volumes_attached"]
        ]
    out["OS-SRV-USG:launched_at"] = None if out["status"] == "BUILD" or stored.get("_stillborn") else out["created"]
    if out["status"] == "ERROR":
        out["fault"] = {"code": 500, "message": "No valid host was found.", "created": out["created"]}
    password = out.pop("adminPass", None)
    if request.method == "POST" and request.path.endswith("/servers"):
        out["adminPass"] = password
    out["links"] = [{"rel": "self", "href": f"{request.base}/v2.1/servers/{out['id']}"}]
    return out


def drop_server(state: State, request: Request, obj: Object) -> None:
    """Its own ports go, given ones are freed, volumes are let go."""
    for port in state.find("port", device_id=obj["id"]):
        if port.get("_own"):
            remove(state, request, state.types["port"], port)
        else:
            port |= {"device_id": "", "device_owner": "", "status": "DOWN"}
    for attachment in state.find("volume_attachment", serverId=obj["id"]):
        detach_volume(state, obj, attachment["volumeId"])
        if attachment["delete_on_termination"]:
            state.objects["volume"].pop(attachment["volumeId"], None)
    for group in state.all("server_group"):
        if obj["id"] in group["members"]:
            group["members"].remove(obj["id"])


def attach_volume(
    state: State, server: Object, volume_id: str, delete: bool = False, root: bool = False, tag: str | None = None
) -> Object:
    """Attach an available volume; Refusal 400 when it is not."""
    volume = state.get("volume", volume_id)
    if volume["status"] != "available":
        raise Refusal(400, f"Invalid volume: volume {volume_id} status must be available, but is {volume['status']}.")
    device = "/dev/vda" if root else f"/dev/vd{'bcdefghijkl'[len(server['os-extended-volumes:volumes_attached'])]}"
    volume |= {"status": "in-use", "attachments": [{"server_id": server["id"], "device": device, "id": volume_id}]}
    server["os-extended-volumes:volumes_attached"].append({"id": volume_id, "delete_on_termination": delete})
    return state.put("volume_attachment", id=f"{server['id']}-{volume_id}", serverId=server["id"], volumeId=volume_id,
                     device=device, delete_on_termination=delete, tag=tag)  # fmt: skip


def detach_volume(state: State, server: Object, volume_id: str) -> None:
    """Let go of a volume."""
    if state.objects["volume_attachment"].pop(f"{server['id']}-{volume_id}", None) is None:
        raise Refusal(404, f"Volume {volume_id} is not attached to {server['id']}.")
    state.get("volume", volume_id).update(status="available", attachments=[])
    server["os-extended-volumes:volumes_attached"] = [
        v for v in server["os-extended-volumes:volumes_attached"] if v["id"] != volume_id
    ]


def attachments(state: State, request: Request, match: dict[str, str]) -> Answer:
    """Volumes of a server: list, attach, show, detach."""
    server = fetch(state, request, state.types["server"], {"id": match["server"]})
    volume = match.get("volume")
    mine = state.find("volume_attachment", serverId=server["id"])
    if request.method in ("POST", "DELETE"):
        free(state, request, server)

    def view(one: Object) -> Object:
        version = microversion(request)
        return {
            key: value
            for key, value in one.items()
            if version >= {"tag": (2, 70), "delete_on_termination": (2, 79)}.get(key, (2, 1))
        }

    if request.method == "POST":
        made = attach_volume(state, server, request.wrapped("volumeAttachment").get("volumeId", ""))
        state.settle("attachment", state.get("volume", made["volumeId"]), "attaching", "in-use")
        return Answer(200, {"volumeAttachment": made})
    if volume is None:
        return Answer(200, {"volumeAttachments": [view(one) for one in mine]})
    if request.method == "PUT":
        if microversion(request) < (2, 85):
            raise Refusal(400, "Additional properties are not allowed ('delete_on_termination' was unexpected)")
        delete = request.wrapped("volumeAttachment")["delete_on_termination"]
        state.objects["volume_attachment"][f"{server['id']}-{volume}"]["delete_on_termination"] = delete
        for one in server["os-extended-volumes:volumes_attached"]:
            one |= {"delete_on_termination": delete} if one["id"] == volume else {}
        return Answer(202)
    if request.method == "DELETE":
        detach_volume(state, server, volume)
        state.settle("attachment", state.get("volume", volume), "detaching", "available")
        return Answer(202)
    found = [a for a in mine if a["volumeId"] == volume]
    if not found:
        raise Refusal(404, f"Volume {volume} is not attached.")
    return Answer(200, {"volumeAttachment": view(found[0])})


def change_server(state: State, request: Request, obj: Object, values: Object) -> None:
    """The name inside is told by its own key, in newer versions."""
    if "hostname" in values:
        if microversion(request) < (2, 90):
            raise Refusal(400, "Additional properties are not allowed ('hostname' was unexpected)")
        obj["_hostname"] = values.pop("hostname")


def free(state: State, request: Request, server: Object) -> None:
    """Refusal 409 while a server is being built, or is locked against this user."""
    state.poll(server)
    if server["status"] in ("BUILD", "REBUILD", "RESIZE"):
        raise Refusal(409, f"Cannot do this to instance {server['id']} while it is in task_state spawning.")
    if server["locked"] and not request.who.admin:
        raise Refusal(409, f"Instance {server['id']} is locked.")


def interfaces(state: State, request: Request, match: dict[str, str]) -> Answer:
    """Ports of a server: list, plug, show, unplug."""
    server = fetch(state, request, state.types["server"], {"id": match["server"]})
    mine = state.find("port", device_id=server["id"])

    def view(port: Object) -> Object:
        return {
            "port_id": port["id"],
            "net_id": port["network_id"],
            "mac_addr": port["mac_address"],
            "port_state": "ACTIVE",
            "fixed_ips": port["fixed_ips"],
        }

    if request.method == "POST":
        given = request.wrapped("interfaceAttachment")
        if given.get("tag") and microversion(request) < (2, 49):
            raise Refusal(400, "Additional properties are not allowed ('tag' was unexpected)")
        if unknown := given.keys() - {"net_id", "port_id", "fixed_ips", "tag"}:
            raise Refusal(400, f"Additional properties are not allowed ({sorted(unknown)} were unexpected)")
        addresses = given.get("fixed_ips") or []
        if len(addresses) > 1 or any(one.keys() != {"ip_address"} for one in addresses):
            raise Refusal(400, f"Invalid input for field/attribute fixed_ips: {addresses}.")
        if addresses and (given.get("port_id") or not given.get("net_id")):
            raise Refusal(400, "Addresses of a new interface need its network, and no port.")
        return Answer(
            200, {"interfaceAttachment": view(plug(state, request, server, {"port": given.get("port_id")} | given))}
        )
    if "port" not in match:
        return Answer(200, {"interfaceAttachments": [view(p) for p in mine]})
    found = [p for p in mine if p["id"] == match["port"]]
    if not found:
        raise Refusal(404, f"Port {match['port']} is not attached.")
    if request.method == "DELETE":
        if found[0].get("_own"):
            remove(state, request, state.types["port"], found[0])
        else:
            found[0] |= {"device_id": "", "device_owner": "", "status": "DOWN"}
        return Answer(202)
    return Answer(200, {"interfaceAttachment": view(found[0])})


# Action: states in which it is allowed, and the state afterwards.
ACTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "os-start": (("SHUTOFF",), "ACTIVE"),
    "os-stop": (("ACTIVE", "ERROR"), "SHUTOFF"),
    "reboot": (("ACTIVE", "SHUTOFF"), "ACTIVE"),
    "pause": (("ACTIVE",), "PAUSED"),
    "unpause": (("PAUSED",), "ACTIVE"),
    "suspend": (("ACTIVE",), "SUSPENDED"),
    "resume": (("SUSPENDED",), "ACTIVE"),
    "lock": ((), ""),
    "unlock": ((), ""),
    "shelve": (("ACTIVE", "SHUTOFF"), "SHELVED_OFFLOADED"),
    "unshelve": (("SHELVED_OFFLOADED",), "ACTIVE"),
    "rescue": (("ACTIVE", "SHUTOFF"), "RESCUE"),
    "unrescue": (("RESCUE",), "ACTIVE"),
    "rebuild": (("ACTIVE", "SHUTOFF", "ERROR"), "ACTIVE"),
    "resize": (("ACTIVE", "SHUTOFF"), "VERIFY_RESIZE"),
    "migrate": (("ACTIVE", "SHUTOFF"), "VERIFY_RESIZE"),
    "confirmResize": (("VERIFY_RESIZE",), "ACTIVE"),
    "revertResize": (("VERIFY_RESIZE",), "ACTIVE"),
    "addSecurityGroup": ((), ""),
    "removeSecurityGroup": ((), ""),
    "createImage": (("ACTIVE", "SHUTOFF"), ""),
    "os-getConsoleOutput": ((), ""),
}


def server_action(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of an action."""
    server = fetch(state, request, state.types["server"], {"id": match["id"]})
    state.poll(server)
    if server["locked"] and not request.who.admin and "unlock" not in request.json():
        raise Refusal(409, f"Instance {server['id']} is locked.")
    action, given = next(iter(request.json().items()))
    if action not in ACTIONS:
        raise Refusal(400, f"There is no such action: {action}.")
    allowed, after = ACTIONS[action]
    if action in ("confirmResize", "revertResize"):
        after = server.pop("_before_resize", after)
    elif action == "rebuild" and server["status"] == "SHUTOFF":
        after = "SHUTOFF"
    if allowed and server["status"] not in allowed:
        raise Refusal(
            409, f"Cannot '{action}' instance {server['id']} while it is in vm_state {server['status'].lower()}."
        )
    answer = Answer(202)
    if after == "VERIFY_RESIZE":
        server["_before_resize"] = server["status"]
    if action == "resize":
        flavor = state.get("flavor", given["flavorRef"], 400)
        if flavor["id"] == server["flavor"]["id"]:
            raise Refusal(400, "When resizing, instances must change flavor!")
        if state.fail_next["resize"]:
            # No host has room: the server stays as it is, and nobody is told.
            state.fail_next["resize"] -= 1
            state.settle("resize", server, "RESIZE", server["status"])
            return answer
        server["_old_flavor"], server["flavor"] = server["flavor"], flavor_view(flavor)
    elif action == "revertResize":
        server["flavor"] = server.pop("_old_flavor")
    elif action == "migrate":
        request.need_admin()
        old = server["OS-EXT-SRV-ATTR:host"]
        server["OS-EXT-SRV-ATTR:host"] = "compute-1" if old == "compute-2" else "compute-2"
    elif action == "rebuild":
        server["image"] = {"id": state.get("image", given["imageRef"], 400)["id"]}
        server["_boots"] = server.get("_boots", 1) + 1
        server |= {k: given[k] for k in ("name", "metadata", "description", "key_name") if k in given}
        if "user_data" in given:
            if microversion(request) < (2, 57):
                raise Refusal(400, "Additional properties are not allowed ('user_data' was unexpected).")
            server["_user_data"] = given["user_data"]
        answer = Answer(202, {"server": shown(state, request, state.types["server"], server)})
    elif action in ("lock", "unlock"):
        server["locked"] = action == "lock"
    elif action.endswith("SecurityGroup"):
        group = {"name": given["name"]}
        server["security_groups"] = [g for g in server["security_groups"] if g != group]
        server["security_groups"] += [group] if action.startswith("add") else []
        (ident,) = group_ids(state, server["tenant_id"], [given["name"]])
        for port in state.find("port", device_id=server["id"]):
            port["security_groups"] = [g for g in port["security_groups"] if g != ident]
            port["security_groups"] += [ident] if action.startswith("add") else []
    elif action == "os-getConsoleOutput":
        return Answer(200, {"output": state.extra["console"](server) if "console" in state.extra else ""})
    elif action == "createImage":
        made = state.put("image", name=given["name"], status="active", owner=server["tenant_id"])
        return Answer(202, {"image_id": made["id"]}, {"Location": f"{request.base}/images/{made['id']}"})
    if after:
        pending: str = {"rebuild": "REBUILD", "resize": "RESIZE", "migrate": "RESIZE", "reboot": "REBOOT"}.get(
            action, str(server["status"])
        )
        state.settle("server", server, pending, after)
    return answer


def history(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of what was done with a server: its creation, and on which host it failed."""
    server = fetch(state, request, state.types["server"], {"id": match["id"]})
    one: Object = {"action": "create", "request_id": "req-1", "instance_uuid": server["id"], "message": None}
    if "request" not in match:
        return Answer(200, {"instanceActions": [one]})
    events: list[Object] = [
        {"event": "conductor_schedule_and_build_instances", "result": "Success", "host": "controller-1"}
    ]
    if server["status"] == "ERROR":
        trace = "Traceback\n  libvirtError: the hypervisor does not answer\n"
        host = server["OS-EXT-SRV-ATTR:host"]
        events.append(
            {"event": "compute__do_build_and_run_instance", "result": "Error", "host": host, "traceback": trace}
        )
    return Answer(200, {"instanceAction": one | {"events": events}})


def remote_console(state: State, request: Request, match: dict[str, str]) -> Answer:
    """POST of a console: its address, with a token that opens it."""
    server = fetch(state, request, state.types["server"], {"id": match["id"]})
    wanted = request.json()["remote_console"]
    url = f"https://console.example:6080/vnc_lite.html?path=%3Ftoken%3D{server['id']}"
    return Answer(200, {"remote_console": {**wanted, "url": url}})


def diagnostics(state: State, request: Request, match: dict[str, str]) -> Answer:
    """What the hypervisor says now: refused with the state's name when the domain does not run."""
    server = fetch(state, request, state.types["server"], {"id": match["id"]})
    domain = state.extra.get("domain", lambda server: "running")(server)
    if domain != "running":
        remembered = state.extra.get("power_state", lambda server: domain)(server)
        raise Refusal(409, f"Cannot 'get_diagnostics' instance {server['id']} while it is in power state {remembered}")
    return Answer(200, {"state": domain, "driver": "libvirt"})


def metadata(state: State, request: Request, match: dict[str, str]) -> Answer:
    """Metadata of a server: read, merge (POST), replace (PUT), one key."""
    server = fetch(state, request, state.types["server"], {"id": match["id"]})
    key = match.get("key")
    if request.method != "GET":
        free(state, request, server)
    if request.method == "DELETE":
        if server["metadata"].pop(key or "", None) is None:
            raise Refusal(404, f"Metadata item {key} was not found.")
        return Answer(204)
    if request.method == "PUT" and not key:
        server["metadata"] = request.wrapped("metadata")
    elif request.method in ("POST", "PUT"):
        server["metadata"] |= request.wrapped("meta" if key else "metadata")
    return Answer(200, {"meta": {key: server["metadata"].get(key)}} if key else {"metadata": server["metadata"]})


def server_tags(state: State, request: Request, match: dict[str, str]) -> Answer:
    """Tags of a server."""
    server = fetch(state, request, state.types["server"], {"id": match["id"]})
    if request.method == "PUT":
        server["tags"] = list(request.json()["tags"])
    elif request.method == "DELETE":
        server["tags"] = []
        return Answer(204)
    return Answer(200, {"tags": server["tags"]})


# -- quotas, services, limits


def quota_of(state: State, project: str) -> dict[str, int]:
    """The limits of a project."""
    own: dict[str, int] = state.extra.setdefault("compute_quotas", {}).get(project, {})
    return QUOTAS | own


def use_of(state: State, project: str) -> dict[str, int]:
    """What a project uses."""
    mine = [s for s in state.objects["server"].values() if s["tenant_id"] == project]
    return {"instances": len(mine), "cores": sum(s["flavor"].get("vcpus", 0) for s in mine),
            "ram": sum(s["flavor"].get("ram", 0) for s in mine)}  # fmt: skip


def quota(state: State, request: Request, match: dict[str, str]) -> Answer:
    """The quota of a project: read, defaults, use, set, reset."""
    project, what = match["project"], match.get("what", "")
    if request.method == "DELETE":
        request.need_admin()
        state.extra.setdefault("compute_quotas", {}).pop(project, None)
        return Answer(202)
    if request.method == "PUT":
        request.need_admin()
        given = request.wrapped("quota_set")
        force, used = given.pop("force", False), use_of(state, project)
        for name, value in given.items():
            if name not in QUOTAS | HIDDEN_QUOTAS or not isinstance(value, int) or value < -1:
                raise Refusal(400, f"Invalid input for field/attribute {name}: {value!r}.")
            if not force and 0 <= value < used.get(name, 0):
                raise Refusal(
                    400, f"Quota limit {value} for {name} must be greater than or equal to already used {used[name]}."
                )
        state.extra.setdefault("compute_quotas", {}).setdefault(project, {}).update(given)
        return Answer(200, {"quota_set": quota_of(state, project)})
    limits: Object = dict(QUOTAS if what == "defaults" else quota_of(state, project))
    # The old API still puts files into servers, and limits them.
    limits = {**HIDDEN_QUOTAS, **limits} if microversion(request) < (2, 57) else limits
    if what == "detail":
        used = use_of(state, project)
        limits = {k: {"limit": v, "in_use": used.get(k, 0), "reserved": 0} for k, v in limits.items()}
    return Answer(200, {"quota_set": limits | {"id": project}})


def zones(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the availability zones: "nova" and those of the aggregates."""
    names = {"nova", *(a["availability_zone"] for a in state.all("aggregate") if a["availability_zone"])}
    return Answer(200, {"availabilityZoneInfo": [
        {"zoneName": n, "zoneState": {"available": True}, "hosts": None} for n in sorted(names)]})  # fmt: skip


def limits(state: State, request: Request, match: dict[str, str]) -> Answer:
    """GET of the absolute limits."""
    used, own = use_of(state, request.who.project_id), quota_of(state, request.who.project_id)
    return Answer(
        200,
        {
            "limits": {
                "rate": [],
                "absolute": {
                    "maxTotalInstances": own["instances"],
                    "maxTotalCores": own["cores"],
                    "maxTotalRAMSize": own["ram"],
                    "totalInstancesUsed": used["instances"],
                    "totalCoresUsed": used["cores"],
                    "totalRAMUsed": used["ram"],
                },
            }
        },
    )


def version_of(request: Request) -> Object:
    return {"id": "v2.1", "status": "CURRENT", "version": "2.96", "min_version": "2.1",
            "links": [{"rel": "self", "href": f"{request.base}/v2.1/"}]}  # fmt: skip


COLLECTIONS = [
    declare(
        "flavor",
        "flavors",
        required=("name", "ram", "vcpus"),
        admin_write=True,
        own_id=True,
        detail=True,
        unique=(("name",),),
        visible=see_flavor,
        view=show_flavor,
        on_create=new_flavor,
        immutable=("name", "ram", "vcpus", "disk"),
        defaults={
            "disk": 0,
            "swap": 0,
            "OS-FLV-EXT-DATA:ephemeral": 0,
            "OS-FLV-DISABLED:disabled": False,
            "rxtx_factor": 1.0,
            "os-flavor-access:is_public": True,
            "description": None,
            "extra_specs": {},
            "_access": frozenset(),
        },
    ),
    declare("keypair", "os-keypairs-stored", methods=()),
    declare(
        "server_group",
        "os-server-groups",
        owner="project_id",
        own_only=True,
        on_create=new_group,
        page="offset",
        methods=("POST", "GET", "DELETE"),
        defaults={"members": [], "metadata": {}, "rules": {}},
        statuses={"POST": 200, "DELETE": 204},
    ),
    declare(
        "aggregate",
        "os-aggregates",
        admin_write=True,
        admin_read=True,
        unique=(("name",),),
        on_create=new_aggregate,
        on_update=change_aggregate,
        on_delete=drop_aggregate,
        statuses={"POST": 200, "DELETE": 200},
        defaults={"hosts": [], "metadata": {}, "availability_zone": None, "deleted": False},
    ),
    declare(
        "server",
        "servers",
        owner="tenant_id",
        own_only=True,
        detail=True,
        on_create=new_server,
        on_update=change_server,
        on_delete=drop_server,
        view=show_server,
        patterns=("name",),
        lingers="ACTIVE",
        statuses={"POST": 202, "DELETE": 204},
        defaults={
            "status": "ACTIVE",
            "metadata": {},
            "tags": [],
            "key_name": None,
            "description": None,
            "locked": False,
            "config_drive": "",
            "created": "2026-01-01T00:00:00Z",
            "updated": "2026-01-01T00:00:00Z",
            "accessIPv4": "",
            "accessIPv6": "",
            "security_groups": [],
            "os-extended-volumes:volumes_attached": [],
            "flavor": {},
            "image": "",
            "OS-EXT-AZ:availability_zone": "nova",
            "user_id": "",
            "OS-DCF:diskConfig": "MANUAL",
        },
    ),
    declare("volume_attachment", "volume-attachments-stored", methods=()),
    declare(
        "compute_service",
        "os-services",
        methods=("GET", "PUT"),
        admin_read=True,
        key="service",
        page="none",
        defaults={
            "binary": "nova-compute",
            "status": "enabled",
            "state": "up",
            "zone": "nova",
            "disabled_reason": None,
        },
    ),
    declare(
        "hypervisor",
        "os-hypervisors",
        methods=("GET",),
        admin_read=True,
        detail=True,
        defaults={"status": "enabled", "state": "up", "hypervisor_type": "QEMU", "servers": []},
    ),
]

ROUTES = [
    Route(SERVICE, "GET", "/", lambda s, r, m: Answer(200, {"versions": [version_of(r)]}), "version", open=True),
    Route(SERVICE, "GET", "/v2.1", lambda s, r, m: Answer(200, {"version": version_of(r)}), "version", open=True),
    *(
        Route(SERVICE, m, "/v2.1/flavors/{id}/os-extra_specs", extra_specs, "flavor_extra_specs")
        for m in ("GET", "POST")
    ),
    *(
        Route(SERVICE, m, "/v2.1/flavors/{id}/os-extra_specs/{key}", extra_specs, "flavor_extra_specs")
        for m in ("GET", "PUT", "DELETE")
    ),
    Route(SERVICE, "POST", "/v2.1/flavors/{id}/action", flavor_action, "flavor_access"),
    Route(SERVICE, "GET", "/v2.1/flavors/{id}/os-flavor-access", flavor_access, "flavor_access"),
    Route(SERVICE, "GET", "/v2.1/os-keypairs", keypairs, "keypair"),
    Route(SERVICE, "POST", "/v2.1/os-keypairs", new_keypair, "keypair"),
    Route(SERVICE, "GET", "/v2.1/os-keypairs/{name}", keypair, "keypair"),
    Route(SERVICE, "DELETE", "/v2.1/os-keypairs/{name}", keypair, "keypair"),
    Route(SERVICE, "POST", "/v2.1/os-aggregates/{id}/action", aggregate_action, "aggregate"),
    Route(SERVICE, "POST", "/v2.1/servers/{id}/action", server_action, "server_action"),
    Route(SERVICE, "POST", "/v2.1/servers/{id}/remote-consoles", remote_console, "remote_console"),
    Route(SERVICE, "GET", "/v2.1/servers/{id}/diagnostics", diagnostics, "server_diagnostics"),
    Route(SERVICE, "GET", "/v2.1/servers/{id}/os-instance-actions", history, "server_history"),
    Route(SERVICE, "GET", "/v2.1/servers/{id}/os-instance-actions/{request}", history, "server_history"),
    *(Route(SERVICE, m, "/v2.1/servers/{id}/metadata", metadata, "server_metadata") for m in ("GET", "POST", "PUT")),
    *(
        Route(SERVICE, m, "/v2.1/servers/{id}/metadata/{key}", metadata, "server_metadata")
        for m in ("GET", "PUT", "DELETE")
    ),
    *(Route(SERVICE, m, "/v2.1/servers/{id}/tags", server_tags, "server_tags") for m in ("GET", "PUT", "DELETE")),
    *(
        Route(SERVICE, m, "/v2.1/servers/{server}/os-volume_attachments", attachments, "volume_attachment")
        for m in ("GET", "POST")
    ),
    *(
        Route(SERVICE, m, "/v2.1/servers/{server}/os-volume_attachments/{volume}", attachments, "volume_attachment")
        for m in ("GET", "PUT", "DELETE")
    ),
    *(
        Route(SERVICE, m, "/v2.1/servers/{server}/os-interface", interfaces, "server_interface")
        for m in ("GET", "POST")
    ),
    *(
        Route(SERVICE, m, "/v2.1/servers/{server}/os-interface/{port}", interfaces, "server_interface")
        for m in ("GET", "DELETE")
    ),
    *(Route(SERVICE, m, "/v2.1/os-quota-sets/{project}", quota, "compute_quota") for m in ("GET", "PUT", "DELETE")),
    Route(SERVICE, "GET", "/v2.1/os-quota-sets/{project}/{what}", quota, "compute_quota"),
    Route(SERVICE, "GET", "/v2.1/os-availability-zone", zones, "availability_zone"),
    Route(SERVICE, "GET", "/v2.1/os-availability-zone/detail", zones, "availability_zone"),
    Route(SERVICE, "GET", "/v2.1/limits", limits, "limits"),
]


def seed(state: State) -> None:
    """Two compute hosts."""
    for host in ("compute-1", "compute-2"):
        state.put("compute_service", host=host)
        state.put("hypervisor", hypervisor_hostname=host)
