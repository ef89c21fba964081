"""Block devices of a server: what it boots from and what else it is made with, asked for and found again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Field, Operation, Query, Raw

SOURCES = ("image", "volume", "snapshot", "blank")
# 2.79 tells tag and lifetime of what is attached, 2.85 changes the lifetime.
READ_VERSION = "2.79"
LIFETIME_VERSION = "2.85"
# From here on the block storage service tells the type of a volume by its identifier.
VOLUME_VERSION = "3.63"
# What of a device the service tells once it is there; bus and kind it keeps to itself.
TOLD = ("size", "volume_type", "delete_on_termination", "tag")
KEYS = (
    Field(
        "source", "What it is made of: that of the keys below that is there; blank for an empty one.", choices=SOURCES
    ),
    Field("image", "Image that it is made of.", ref="image"),
    Field("volume", "Volume that it is.", ref="volume"),
    Field("snapshot", "Snapshot that it is made of.", ref="snapshot"),
    Field("destination", "volume (the default), or local for a disk of the host.", choices=("volume", "local")),
    Field(
        "boot_index", "0 for what it boots from, other numbers for what comes next; none for what never boots.", "int"
    ),
    Field("size", "Size in GiB of what is made.", "int"),
    Field("volume_type", "Type of the volume that is made.", ref="volume_type"),
    Field("disk_bus", "Bus, such as virtio or scsi."),
    Field("device_type", "Kind of device.", choices=("disk", "cdrom", "floppy", "lun")),
    Field("delete_on_termination", "Whether it goes with the server.", "bool"),
    Field("tag", "Label by which the guest finds it."),
)
# Keys that the service calls the same.
KEPT_NAMES = ("volume_type", "disk_bus", "device_type", "delete_on_termination", "tag")
Element = Mapping[str, Any]


def source_of(element: Element) -> str:
    """What a device is made of; empty if the entry does not say."""
    return str(element.get("source") or next((key for key in SOURCES if key in element), ""))


def roots(values: Mapping[str, Any]) -> list[Element]:
    """The devices that an entry boots from."""
    return [element for element in values.get("block_devices") or [] if element.get("boot_index") == 0]


def bodies(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The devices as the compute service takes them; with the image that it boots from, where none of them is for
    that."""
    found = []
    for element in values.get("block_devices") or []:
        source = source_of(element)
        body = {"source_type": source, "destination_type": element.get("destination", "volume")}
        body |= {"uuid": element[source]} if source != "blank" else {}
        body |= {
            api: element[key]
            for key, api in (("boot_index", "boot_index"), ("size", "volume_size"), *((k, k) for k in KEPT_NAMES))
            if key in element
        }
        body.setdefault("boot_index", -1)
        if body["destination_type"] == "local":
            # A disk of the host cannot outlive the server.
            body["delete_on_termination"] = True
        found.append(body)
    if found and "image" in values and not roots(values) and "boot_volume_size" not in values:
        root = {"source_type": "image", "uuid": values["image"], "destination_type": "local"}
        found.insert(0, {**root, "boot_index": 0, "delete_on_termination": True})
    return found


def check(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What the compute service would refuse."""
    found = []
    numbers: dict[int, int] = {}
    for number, element in enumerate(values.get("block_devices") or []):
        key = f"block_devices[{number}]"
        source = source_of(element)
        named = [name for name in SOURCES if name in element]
        if not source or len(named) > 1:
            found.append((key, "Exactly one of image, volume and snapshot is wanted, or source: blank.", ""))
            continue
        if (source == "blank") == bool(named) or (named and named != [source]):
            found.append(
                (f"{key}.source", f"The source {source} does not fit {', '.join(named) or 'what is missing'}.", "")
            )
        if source == "volume":
            for name in ("size", "volume_type"):
                if name in element:
                    found.append((f"{key}.{name}", "A volume that is there has its own.", "Set it at the volume."))
        elif "size" not in element and element.get("destination") != "local" and source != "snapshot":
            found.append((f"{key}.size", f"A volume made of {source} needs a size.", "Give it in GiB."))
        if element.get("destination") == "local" and source not in ("image", "blank"):
            found.append((f"{key}.destination", f"A {source} is no disk of the host.", "Leave it out."))
        index = element.get("boot_index")
        if index is not None and index >= 0:
            if index in numbers:
                cause = f"The place {index} is taken by block_devices[{numbers[index]}]."
                found.append((f"{key}.boot_index", cause, "Each can be there once."))
            numbers[index] = number
    if (
        values.get("block_devices")
        and 0 not in numbers
        and not {"image", "boot_volume", "boot_volume_size"} & values.keys()
    ):
        found.append(
            (
                "block_devices",
                "There is nothing to boot from.",
                "Give one of them boot_index: 0, or the server an image.",
            )
        )
    if 0 in numbers:
        found += [
            (key, "The server boots from a block device already.", "Remove one of the two.")
            for key in ("boot_volume", "boot_volume_size")
            if key in values
        ]
    return found


def join(query: Query, servers: Iterable[Raw]) -> None:
    """Tell servers what is attached to them, with the volumes: ``(devices)``."""
    servers = [server for server in servers if server.get("os-extended-volumes:volumes_attached")]
    if not servers or not query.cloud.endpoint("block-storage"):
        return
    volumes: dict[str, Raw] = {}
    for project in query.projects:
        for volume in query.cloud.pages(
            "block-storage", "/volumes/detail", "volumes", microversion=VOLUME_VERSION, project=project
        ):
            volumes[str(volume["id"])] = volume
    for server in servers:
        path = f"/servers/{server['id']}/os-volume_attachments"
        answer = query.call("GET", path, microversion=READ_VERSION, project=str(server.get("tenant_id") or "")).body
        server["(devices)"] = [
            {**one, "(volume)": volumes.get(str(one["volumeId"]), {})}
            for one in sorted(answer["volumeAttachments"], key=lambda one: str(one.get("device")))
        ]


def is_root(device: Any) -> bool:
    """Whether a device is the first disk: vda, sda, xvda."""
    return str(device or "").rstrip("/").endswith("da")


def _fits(element: Element, device: Raw) -> bool:
    volume, source = device["(volume)"], source_of(element)
    if "tag" in element and device.get("tag") not in (None, element["tag"]):
        return False
    if (element.get("boot_index") == 0) != is_root(device.get("device")):
        return False
    if source == "volume":
        return bool(device["volumeId"] == element["volume"])
    image = (volume.get("volume_image_metadata") or {}).get("image_id")
    made_of = {"image": image, "snapshot": volume.get("snapshot_id"), "blank": ""}
    if source == "blank":
        return not (image or volume.get("snapshot_id") or volume.get("source_volid"))
    return bool(made_of[source] == element[source])


def matched(raw: Raw, wanted: Iterable[Element], others: Iterable[str] = ()) -> list[tuple[Element, Raw | None]]:
    """Every wanted device with the one that stands for it; None where there is none. ``others`` stand for other
    keys."""
    left = [device for device in raw.get("(devices)") or [] if device["volumeId"] not in others]
    found: list[tuple[Element, Raw | None]] = []
    # What is named, or has a label, is not taken by what any would do for.
    order = sorted(enumerate(wanted), key=lambda pair: (source_of(pair[1]) != "volume", "tag" not in pair[1], pair[0]))
    places: dict[int, Raw | None] = {}
    for number, element in order:
        fit = next((device for device in left if _fits(element, device)), None)
        # Of equal ones, that of the wanted size.
        fit = next((d for d in left if _fits(element, d) and d["(volume)"].get("size") == element.get("size")), fit)
        if fit is not None:
            left.remove(fit)
        places[number] = fit
    for number, element in enumerate(wanted):
        found.append((element, places[number]))
    return found


def _told(element: Element, device: Raw) -> dict[str, Any]:
    """A wanted device as it is."""
    volume = device["(volume)"]
    now = {
        "size": volume.get("size"),
        "volume_type": volume.get("volume_type_id") or volume.get("volume_type"),
        "delete_on_termination": device.get("delete_on_termination"),
        "tag": device.get("tag"),
    }
    return {**element, **{key: now[key] for key in TOLD if key in element and now[key] is not None}}


def compare(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    """Both sides; what the service does not tell is taken as it is wanted."""
    if "(devices)" not in raw:
        return wanted, wanted
    others = [str(element.get("volume")) for element in values.get("volumes") or []] + [str(values.get("boot_volume"))]
    held = []
    for element, device in matched(raw, wanted, others):
        if element.get("destination") == "local":
            held.append(element)
        elif device is not None:
            held.append(_told(element, device))
    return held, wanted


def volumes_of(raw: Raw, values: Mapping[str, Any]) -> set[str]:
    """Volumes that stand for an entry's block devices."""
    pairs = matched(raw, values.get("block_devices") or [])
    return {str(device["volumeId"]) for _, device in pairs if device is not None} | set(raw.get("(born)") or ())


def fixed(raw: Raw, before: Any, after: Any, values: Mapping[str, Any]) -> str:
    """Why a change needs a new server: all but how long a device lives."""

    def without(those: Iterable[Element]) -> list[dict[str, Any]]:
        return [{key: value for key, value in one.items() if key != "delete_on_termination"} for one in those]

    same = without(before or []) == without(after or [])
    return "" if same else "block devices belong to the server from the start"


def set_lifetimes(op: Operation, wanted: Iterable[Element]) -> None:
    """Change whether devices go with the server."""
    for element, device in matched(op.raw, list(wanted)):
        if device is None or "delete_on_termination" not in element:
            continue
        if bool(device.get("delete_on_termination")) != element["delete_on_termination"]:
            body = {"volumeId": device["volumeId"], "delete_on_termination": element["delete_on_termination"]}
            path = f"/servers/{op.id}/os-volume_attachments/{device['volumeId']}"
            op.call("PUT", path, {"volumeAttachment": body}, microversion=LIFETIME_VERSION)


def read(raw: Raw) -> list[dict[str, Any]] | None:
    """What is attached, where the other keys could not say it: something has a label, or goes with the server."""
    devices = raw.get("(devices)") or []
    if not any(device.get("tag") or device.get("delete_on_termination") for device in devices):
        return None
    found = []
    for device in devices:
        entry: dict[str, Any] = {"volume": device["volumeId"]}
        entry |= {"boot_index": 0} if is_root(device.get("device")) else {}
        entry |= {"delete_on_termination": True} if device.get("delete_on_termination") else {}
        found.append(entry | ({"tag": device["tag"]} if device.get("tag") else {}))
    return found
