"""The resource type of the image service: images with their data, properties and members."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.request
from collections.abc import Iterator, Mapping
from typing import IO, Any
from urllib.parse import urlsplit

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.operation import LONGEST_QUERY
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import (
    MARK,
    Field,
    Operation,
    Query,
    Raw,
    ResourceType,
    body_of,
    words,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.common import (
    NAME,
    open_file,
    wants,
    without_none,
)

PAGE = 1000
BLOCK = 1 << 20
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
# Where an image remembers what its data were made of.
SOURCE = "stackwright-source"
CHECKSUM = "stackwright-checksum"
BASE = frozenset(
    "id name status visibility protected checksum owner size virtual_size container_format disk_format created_at "
    "updated_at tags direct_url min_ram min_disk self file schema os_hidden os_hash_algo os_hash_value "
    "locations stores".split()
)
DIGESTS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}
NO_DATA = "(no data)"
UNCHANGING = "the data of an image never change"

# Reading -------------------------------------------------------------------------------------------------------------


def _images(query: Query) -> list[Raw]:
    base: list[tuple[str, Any]] = [("limit", PAGE)]
    searches = [base]
    if query.names is not None:
        searches = []
        if query.names:
            quoted = ",".join(f'"{name}"' for name in sorted(query.names))
            plain = len(quoted) < LONGEST_QUERY and not any('"' in name for name in query.names)
            searches = [[*base, ("name", f"in:{quoted}")] if plain else base]
        if query.owner:
            searches.append([*base, (MARK, query.owner)])
    found: dict[str, Raw] = {}
    for params in searches:
        for raw in query.collect(params=params):
            found.setdefault(raw["id"], raw)
    # Hidden images are listed only when asked for.
    missing = query.names is None or query.owner or query.names - {str(raw["name"]) for raw in found.values()}
    for params in searches if missing else []:
        for raw in query.collect(params=[*params, ("os_hidden", "true")]):
            found.setdefault(raw["id"], raw)
    for raw in found.values():
        if raw["visibility"] == "shared" and wants(query, raw["name"], "members"):
            answer = query.call("GET", f"/images/{raw['id']}/members").body
            raw["(members)"] = [member["member_id"] for member in answer["members"]]
    return list(found.values())


def _properties(raw: Raw) -> dict[str, Any]:
    return {
        key: value
        for key, value in raw.items()
        if key not in BASE and not key.startswith(("stackwright-", "os_glance_", "("))
    }


def _compare_file(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    if raw.get("status") == "queued":
        return NO_DATA, wanted
    # Where the checksum is given it decides, and the file need not be there.
    if "checksum" in values or raw.get("os_hash_algo") != "sha512":
        return wanted, wanted
    held = raw.get("os_hash_value")
    with open_file(str(wanted))() as file:
        size = os.fstat(file.fileno()).st_size
        if size != raw.get("size"):
            return f"{raw.get('size')} bytes", f"{size} bytes ({wanted})"
        digest = hashlib.file_digest(file, "sha512").hexdigest()
    return (wanted, wanted) if digest == held else (f"sha512:{held}", f"sha512:{digest} ({wanted})")


def _compare_url(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    if raw.get("status") == "queued":
        return NO_DATA, wanted
    return (wanted if "checksum" in values else raw.get(SOURCE, wanted)), wanted


def _compare_checksum(raw: Raw, wanted: Any, values: Mapping[str, Any]) -> tuple[Any, Any]:
    if raw.get("status") == "queued":
        return wanted, wanted
    wanted = str(wanted).lower()
    kind = wanted.partition(":")[0]
    held = {raw.get("os_hash_algo"): raw.get("os_hash_value"), "md5": raw.get("checksum")}.get(kind)
    if held is None:
        return raw.get(CHECKSUM, wanted), wanted
    return f"{kind}:{held}", wanted


def _fixed_format(raw: Raw, before: Any, after: Any, values: Mapping[str, Any]) -> str:
    return "" if raw.get("status") == "queued" else "the format of an image that has data cannot change"


def _fixed(raw: Raw, before: Any, after: Any, values: Mapping[str, Any]) -> str:
    return "" if raw.get("status") == "queued" else UNCHANGING


# The data ------------------------------------------------------------------------------------------------------------


class Stream:
    """Data on their way to the cloud, counted and summed up as they pass."""

    def __init__(self, file: IO[bytes], size: int, what: str, kinds: set[str]) -> None:
        self._file, self._size, self._what = file, size, what
        self._sums = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            block = self._file.read(size)
        except OSError as error:
            raise ApiError(0, f"{error}", f"Read {self._what}", "Check the source, then run again.") from error
        for one in self._sums.values():
            one.update(block)
        return block

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK):
            yield block

    def close(self) -> None:
        """Let go of the source."""
        self._file.close()

    def digest(self, kind: str) -> str:
        """The sum of all that passed."""
        return self._sums[kind].hexdigest()


def open_url(url: str, timeout: float) -> tuple[IO[bytes], int]:
    """The body of an address and its length, 0 when the server does not tell."""
    try:
        answer = urllib.request.urlopen(url, timeout=timeout)  # the check allows http and https only
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise ApiError(
            getattr(error, "code", 0), said, f"GET {url}", "Check the address and the proxy of this host."
        ) from error
    length = answer.headers.get("Content-Length") or ""
    return answer, int(length) if length.isdigit() else 0


def _upload(op: Operation) -> None:
    """Send the data, and prove that the service holds what was sent and what was wanted."""
    kind, _, wanted = str(op.values.get("checksum", "sha512:")).lower().partition(":")
    source = str(op.values.get("file") or op.values.get("url"))
    streams: list[Stream] = []

    def data() -> Stream:
        file: IO[bytes]
        if "file" in op.values:
            file = open_file(source)()
            size = os.fstat(file.fileno()).st_size
        else:
            file, size = open_url(source, op.cloud.login.timeout)
        streams.append(Stream(file, size, source, {kind, "sha512", "md5"}))
        return streams[-1]

    try:
        op.call(
            "PUT",
            f"/images/{op.id}/file",
            data=data,
            headers={"Content-Type": "application/octet-stream"},
            timeout=op.timeout,
        )
    finally:
        for stream in streams:
            stream.close()
    sent = streams[-1]
    op.raw = op.wait_until("active", path=f"/images/{op.id}") if op.wait else op.call("GET", f"/images/{op.id}").body
    held = op.raw.get("os_hash_value") if op.raw.get("os_hash_algo") == "sha512" else None
    if wanted and sent.digest(kind) != wanted:
        _refuse(op, f"the data of {source} have the {kind} {sent.digest(kind)}, not {wanted}")
    if held and held != sent.digest("sha512"):
        _refuse(op, f"the service stored other data than {source} holds (its sha512 is {held})")


def _refuse(op: Operation, cause: str) -> None:
    """Remove data that are not the wanted ones."""
    op.call("DELETE", f"/images/{op.id}", accept=(404,))
    raise ApiError(0, f"{cause}; the image was removed", f"Upload image {op.id}", "Mend the source or the checksum.")


def _import(op: Operation) -> None:
    url = op.values["url"]
    op.call("POST", f"/images/{op.id}/import", {"method": {"name": "web-download", "uri": url}})
    if not op.wait:
        return

    def arrived() -> bool:
        op.raw = op.call("GET", f"/images/{op.id}").body
        why = op.raw.get("os_glance_failed_import")
        if why or op.raw["status"] == "killed":
            raise ApiError(
                0,
                f"the image service could not fetch {url}{f' (stores {why})' if why else ''}",
                f"Import image {op.id}",
                "Check that the image service reaches the address, or set download: host.",
            )
        return bool(op.raw["status"] == "active")

    op.poll(arrived, f"Wait for image {op.id} to be imported from {url}")
    if "checksum" in op.values:
        before, after = _compare_checksum(op.raw, op.values["checksum"], op.values)
        if before != after:
            _refuse(op, f"the data of {url} have the {before.replace(':', ' ')}, not {after.partition(':')[2]}")


def _fill(op: Operation) -> Raw:
    """Give an image without data its data, where the entry names some."""
    if op.raw.get("status") == "queued" and ("file" in op.values or "url" in op.values):
        if op.values.get("download") == "cloud":
            _import(op)
        else:
            _upload(op)
    return op.raw


# Writing -------------------------------------------------------------------------------------------------------------


def _create(op: Operation) -> Raw:
    values = {name: value for name, value in op.values.items() if name not in ("file", "download", "properties")}
    properties = without_none(op.values.get("properties")) or {}
    body = {"container_format": "bare", **properties, **body_of(op.type, values), **_memory(op)}
    if op.owner:
        body[MARK] = op.owner
    raw: Raw = op.call("POST", "/images", body).body
    return raw


def _memory(op: Operation) -> dict[str, str]:
    found = {}
    if "url" in op.values:
        found[SOURCE] = op.values["url"]
    if "checksum" in op.values:
        found[CHECKSUM] = op.values["checksum"].lower()
    return found


def _update(op: Operation, changes: dict[str, Any]) -> None:
    values = {
        op.type.field(name).key: value
        for name, value in changes.items()
        if name not in ("file", "url", "checksum") and op.type.field(name).apply is None
    }
    values |= words(values.pop("properties", {}))
    if changes.keys() & {"file", "url"}:
        values |= _memory(op)
    operations: list[dict[str, Any]] = []
    for key, value in values.items():
        path = f"/{key.replace('~', '~0').replace('/', '~1')}"
        if value is None and key in op.raw:
            operations.append({"op": "remove", "path": path})
        elif value is not None:
            operations.append({"op": "replace" if key in op.raw else "add", "path": path, "value": value})
    if operations:
        op.call("PATCH", f"/images/{op.id}", operations, headers=PATCH)
    if changes.keys() & {"file", "url"}:
        _fill(op)


def _members(op: Operation, before: Any, after: Any) -> None:
    for project in sorted(set(after) - set(before or ())):
        op.call("POST", f"/images/{op.id}/members", {"member": project})
    for project in sorted(set(before or ()) - set(after)):
        op.call("DELETE", f"/images/{op.id}/members/{project}", accept=(404,))


def _delete(op: Operation) -> None:
    if op.raw.get("protected"):
        raise ApiError(
            0, "it is protected", f"Remove image {op.id}", "Set protected: false first, in a run of its own."
        )
    op.call("DELETE", f"/images/{op.id}", accept=(404,))


def format_of(path: str) -> str:
    """The format of an image file by its first bytes; empty for one that has no mark of its own.

    The marks are those that the formats' specifications give: QEMU's for qcow2, VMware's, VirtualBox's, Microsoft's,
    ISO 9660.
    """
    with open(path, "rb") as file:
        head = file.read(0x9000)
    if head[0x8001:0x8006] == b"CD001":
        return "iso"
    if head[64:68] == b"\x7f\x10\xda\xbe":
        return "vdi"
    if head.startswith((b"KDMV", b"# Disk DescriptorFile")):
        return "vmdk"
    marks = {
        b"QFI\xfb": "qcow2",
        b"vhdxfile": "vhdx",
        b"conectix": "vhd",
        b"WithoutFreeSpace": "ploop",
        b"WithouFreSpacExt": "ploop",
    }
    return next((name for mark, name in marks.items() if head.startswith(mark)), "")


# Formats that cannot be told by the first bytes of a file.
UNMARKED = ("raw", "ami", "ari", "aki", "vhd", "ploop")


def _check_new(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    path = os.path.expanduser(values.get("file", ""))
    if not path:
        return []
    if not os.path.isfile(path):
        return [("file", f"There is no file {path}.", "Name a file on the host that runs the module.")]
    wanted = values.get("disk_format", "")
    if values.get("container_format", "bare") not in ("bare", "ami", "ari", "aki"):
        return []
    try:
        found = format_of(path)
    except OSError as error:
        return [("file", f"The file {path} cannot be read: {error.strerror}.", "Let the module's account read it.")]
    # A hybrid ISO image is a raw disk as well.
    if found and found != wanted and (found, wanted) != ("iso", "raw"):
        return [("disk_format", f"{path} is in the format {found}, not {wanted}.", f"Write disk_format: {found}.")]
    if not found and wanted not in UNMARKED:
        return [
            ("disk_format", f"{path} is no image in the format {wanted}.", "Name its own, or raw; qemu-img info tells.")
        ]
    return []


def _open_way(url: str) -> bool:
    """Whether data come over a network without protection; this host's own servers are on none."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")


def _check(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    if "file" in values and "url" in values:
        found.append(("url", "An image has one source, here file and url.", "Keep one."))
    if {"file", "url"} & values.keys() and "disk_format" not in values:
        found.append(("disk_format", "The key 'disk_format' is missing.", "Such as qcow2 or raw."))
    if "url" in values and not re.match(r"https?://", values["url"]):
        found.append(("url", f"'{values['url']}' is no address of http or https.", "Use file for a local one."))
    elif "url" in values and "checksum" not in values and _open_way(values["url"]):
        found.append(
            (
                "checksum",
                "What comes over http may be changed on its way.",
                "Give the checksum, or an address of https.",
            )
        )
    if "checksum" in values:
        kind, _, digest = values["checksum"].lower().partition(":")
        if DIGESTS.get(kind) != len(digest) or not re.fullmatch(r"[0-9a-f]+", digest):
            found.append(
                ("checksum", "This is no checksum.", "Write it as sha512:<128 hexadecimal digits>, or sha256, md5.")
            )
        elif values.get("download") == "cloud" and kind not in ("md5", "sha512"):
            found.append(("checksum", f"The image service makes no {kind}.", "Give the sha512, or set download: host."))
    if values.get("download") == "cloud" and "url" not in values:
        found.append(("download", "There is no url that the cloud could fetch.", "Give url, or remove download."))
    if "members" in values and values.get("visibility", "shared") != "shared":
        found.append(("members", "Only an image of visibility shared has members.", "Set visibility: shared."))
    for key in values.get("properties") or {}:
        if key in BASE:
            found.append((f"properties.{key}", f"'{key}' is no property.", "It is a key of its own, or the service's."))
    return found


IMAGE = ResourceType(
    "image",
    "images",
    "image",
    "/images",
    (
        NAME,
        Field(
            "project",
            "Project that owns it. Another than the login's needs an administrator.",
            api="owner",
            ref="project",
        ),
        Field(
            "file",
            "File of the host that runs the module. Compared by its sha512 unless checksum is given.",
            api="(file)",
            reread=False,
            compare=_compare_file,
            fixed=_fixed,
            export=False,
            read=lambda raw: None,
        ),
        Field(
            "url",
            "Address of the data.",
            api=SOURCE,
            compare=_compare_url,
            fixed=_fixed,
            export=False,
        ),
        Field(
            "download",
            "Who fetches url: the host that runs the module, or the cloud (web-download).",
            choices=("host", "cloud"),
            write_only=True,
            export=False,
        ),
        Field(
            "checksum",
            "Checksum of the data, such as sha512:... or sha256:...; other data are refused.",
            api=CHECKSUM,
            compare=_compare_checksum,
            fixed=_fixed,
        ),
        Field(
            "disk_format",
            "Format of the data.",
            choices=("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ami", "ari", "aki", "ploop"),
            fixed=_fixed_format,
        ),
        Field(
            "container_format",
            "Wrapping of the data, bare for none.",
            choices=("bare", "ovf", "ova", "docker", "ami", "ari", "aki", "compressed"),
            fixed=_fixed_format,
        ),
        Field("visibility", "Who may use it.", choices=("private", "shared", "community", "public")),
        Field("min_disk", "Smallest root disk in GiB.", "int"),
        Field("min_ram", "Smallest memory in MiB.", "int"),
        Field("protected", "Whether it is kept from removal.", "bool"),
        Field("hidden", "Whether lists leave it out.", "bool", api="os_hidden"),
        Field("tags", "Labels.", "set"),
        Field(
            "properties",
            "Further properties, such as hw_disk_bus. Only those named are looked at; null removes one.",
            "dict",
            merge=True,
            normal=words,
            read=_properties,
        ),
        Field(
            "members",
            "Projects that a shared image is offered to; others lose it.",
            "set",
            ref="project",
            read=lambda raw: raw.get("(members)"),
            apply=_members,
        ),
    ),
    doc="An image.",
    identity=("name", "project"),
    loose=("project",),
    mark="property",
    failed=("error", "killed", "deleted"),
    listing=_images,
    create=_create,
    settle=_fill,
    update=_update,
    delete=_delete,
    check=_check,
    check_new=_check_new,
    derived=("checksum",),
    kept_by=lambda raw: (
        ("It is protected.", "Set protected: false first, in a run of its own.") if raw.get("protected") else None
    ),
)

IMAGE_TYPES = (IMAGE,)
