"""Images: their data come whole or not at all, from files and addresses."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.tests.cloud_simulator import image

from .conftest import Desk

DATA = b"a root file system" * 100000
SHA512, SHA256 = hashlib.sha512(DATA).hexdigest(), hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def address() -> Iterator[str]:
    """A web server that has the data, with and without their length."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "nonsense" in self.path:
                self.wfile.write(b"220 ftp.example ready\r\n")
                return
            self.send_response(404 if "missing" in self.path else 200)
            if "vague" in self.path:
                self.send_header("Content-Length", "many")
            if "whole" in self.path:
                self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA if "missing" not in self.path else b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def document(**more: Any) -> dict[str, Any]:
    return {"images": [{"name": "web", "disk_format": "raw", **more}]}


def test_an_address_that_speaks_something_else_is_told(desk: Desk, address: str) -> None:
    error = desk.refuse(document(url=f"{address}/nonsense", checksum=f"sha512:{SHA512}"))
    assert f"GET {address}/nonsense: 220 ftp.example ready" in error["cause"] and "proxy of this host" in error["mend"]


def test_a_length_that_is_no_number_is_none(desk: Desk, address: str) -> None:
    desk.run(document(url=f"{address}/vague", checksum=f"sha512:{SHA512}"))
    assert desk.one("image", name="web")["_data"] == DATA


def test_a_file_is_uploaded_and_then_known_by_its_checksum(desk: Desk, file: Path) -> None:
    desk.cloud.polls_until_ready = 1
    desk.run(document(file=str(file)))
    image = desk.one("image", name="web")
    assert (image["_data"], image["status"], image["container_format"]) == (DATA, "active", "bare")
    assert desk.run(document(file=str(file)))["changes"] == []
    # With the checksum the file need not be there any more.
    file.unlink()
    assert desk.run(document(file=str(file), checksum=f"sha512:{SHA512}"))["changes"] == []
    error = desk.refuse(document(file=str(file)))
    assert (error["path"], "No such file" in error["cause"]) == ("images[0].file", True)


@pytest.mark.parametrize("content", [DATA[:-1] + b"!", b"short"])
def test_other_data_are_another_image(desk: Desk, file: Path, content: bytes) -> None:
    desk.run(document(file=str(file)))
    file.write_bytes(content)
    error = desk.refuse(document(file=str(file)))
    assert error["cause"].startswith("The data of an image never change: file is ")
    assert desk.cloud.writes() == []
    assert desk.run(document(file=str(file)), replace=True)["changes"][0].startswith("replace image web: file ")
    assert desk.one("image", name="web")["_data"] == content


@pytest.mark.parametrize("path", ["whole", "chunked"])
def test_an_address_is_fetched_by_this_host(desk: Desk, address: str, path: str) -> None:
    wanted = document(url=f"{address}/{path}", checksum=f"sha256:{SHA256}")
    desk.run(wanted)
    assert desk.one("image", name="web")["_data"] == DATA
    assert desk.run(wanted)["changes"] == []
    assert desk.run(document(url=f"{address}/moved", checksum=f"sha256:{SHA256}"))["changes"] == []
    assert "never change" in desk.refuse(document(url=f"{address}/other"))["cause"]
    assert "never change" in desk.refuse(document(url=f"{address}/{path}", checksum=f"sha256:{'0' * 64}"))["cause"]
    assert "never change" in desk.refuse(document(url=f"{address}/{path}", checksum=f"md5:{'0' * 32}"))["cause"]


def test_data_with_another_checksum_are_removed_again(desk: Desk, address: str, file: Path) -> None:
    for source in ({"url": f"{address}/whole"}, {"file": str(file)}):
        error = desk.refuse(document(**source, checksum=f"sha256:{'0' * 64}"))
        assert f"have the sha256 {SHA256}, not {'0' * 64}; the image was removed" in error["cause"]
        assert not desk.cloud.find("image", name="web")
    wanted = document(url=f"{address}/whole", download="cloud", checksum=f"md5:{'0' * 32}")
    assert "the image was removed" in desk.refuse(wanted)["cause"]
    assert not desk.cloud.find("image", name="web")


def test_data_that_were_damaged_on_the_way_are_removed(desk: Desk, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha512

    class Damaged:
        """The simulated store's checksums, of other data."""

        md5 = staticmethod(hashlib.md5)
        sha512 = staticmethod(lambda data: digest(data + b"!"))

    monkeypatch.setattr(image, "hashlib", Damaged)
    assert "the service stored other data" in desk.refuse(document(file=str(file)))["cause"]
    assert not desk.cloud.find("image", name="web")


def test_an_address_that_cannot_be_fetched_is_named(desk: Desk, address: str) -> None:
    error = desk.refuse(document(url=f"{address}/missing"))
    assert f"GET {address}/missing: answered 404" in error["cause"]
    assert error["path"] == "images[0]"
    # The empty image is there, and the next run fills it.
    assert desk.run(document(url=f"{address}/whole"))["changes"] == [
        f"update image web: url (no data) -> {address}/whole"
    ]
    assert desk.one("image", name="web")["_data"] == DATA


def test_an_upload_that_was_cut_off_is_finished(desk: Desk, file: Path) -> None:
    desk.cloud.fault(method="PUT", path="/file", drop="before")
    assert "no answer" in desk.refuse(document(file=str(file)))["cause"]
    assert desk.one("image", name="web")["status"] == "queued"
    (change,) = desk.run(document(file=str(file), checksum=f"sha512:{SHA512}"))["plan"]
    assert (change["action"], change["before"], change["after"]) == (
        "update",
        {"file": "(no data)"},
        {"file": str(file)},
    )
    assert desk.one("image", name="web")["_data"] == DATA


def test_a_busy_store_gets_the_data_again_from_the_start(desk: Desk, file: Path) -> None:
    desk.cloud.fault(method="PUT", path="/file", status=503, retry_after=0, times=2)
    desk.run(document(file=str(file)))
    assert desk.one("image", name="web")["_data"] == DATA


def test_an_import_that_fails_is_told(desk: Desk, address: str) -> None:
    desk.cloud.fail_next["image"] = 1
    error = desk.refuse(document(url=f"{address}/whole", download="cloud"))
    assert "the image service could not fetch" in error["cause"]
    assert "download: host" in error["mend"]


def test_a_protected_image_stays(desk: Desk, file: Path) -> None:
    desk.run(document(file=str(file), protected=True))
    error = desk.refuse(document(file=str(file)), state="absent")
    assert "It is protected" in error["cause"]
    assert desk.one("image", name="web")
    desk.run(document(protected=False))
    desk.run(document(), state="absent")
    assert not desk.cloud.find("image", name="web")


def test_hidden_images_are_found(desk: Desk, file: Path) -> None:
    desk.run(document(file=str(file), hidden=True))
    assert desk.run(document(hidden=True))["changes"] == []
    assert desk.run({}, prune="owned")["changes"] == ["delete image web (no longer in the document)"]


def test_without_waiting_the_data_are_sent_all_the_same(desk: Desk, file: Path) -> None:
    desk.run(document(file=str(file)), wait=False)
    desk.run(
        {"images": [{"name": "far", "disk_format": "raw", "url": "http://127.0.0.1:9/x", "download": "cloud"}]},
        wait=False,
    )
    assert desk.one("image", name="web")["_data"] == DATA
    assert desk.one("image", name="far")["status"] == "active"


@pytest.mark.parametrize(
    ("entry", "path", "words"),
    [
        ({"file": "/nowhere/disk"}, "images[0].file", "There is no file /nowhere/disk."),
        ({"file": "a", "url": "http://b"}, "images[0].url", "one source"),
        ({"file": "a", "disk_format": None}, "images[0].disk_format", "missing"),
        ({"url": "http://mirror.example/image"}, "images[0].checksum", "may be changed on its way"),
        ({"url": "ftp://b"}, "images[0].url", "no address of http"),
        ({"checksum": "sha512:12"}, "images[0].checksum", "This is no checksum."),
        (
            {"url": "http://b", "download": "cloud", "checksum": f"sha256:{SHA256}"},
            "images[0].checksum",
            "makes no sha256",
        ),
        ({"download": "cloud"}, "images[0].download", "no url"),
        ({"visibility": "public", "members": ["admin"]}, "images[0].members", "Only an image of visibility shared"),
        ({"properties": {"size": 3}}, "images[0].properties.size", "is no property"),
    ],
)
def test_wrong_entries_are_refused_before_any_change(desk: Desk, entry: Any, path: str, words: str) -> None:
    error = desk.refuse(document(**entry))
    assert error["path"] == path
    assert words in f"{error['cause']} {error['mend']}"
    assert desk.cloud.writes() == []


@pytest.mark.parametrize(
    ("head", "wanted", "mend"),
    [
        (b"QFI\xfb\x00\x00\x00\x03", "raw", "Write disk_format: qcow2."),
        (b"QFI\xfb\x00\x00\x00\x03", "vmdk", "Write disk_format: qcow2."),
        (b"KDMV\x01\x00\x00\x00", "qcow2", "Write disk_format: vmdk."),
        (b"# Disk DescriptorFile", "raw", "Write disk_format: vmdk."),
        (b"vhdxfile", "vhd", "Write disk_format: vhdx."),
        (b"\0" * 64 + b"\x7f\x10\xda\xbe", "raw", "Write disk_format: vdi."),
        (b"\0" * 0x8001 + b"CD001", "qcow2", "Write disk_format: iso."),
        (b"plain", "qcow2", "Name its own, or raw"),
        (b"plain", "raw", ""),
        (b"QFI\xfb\x00\x00\x00\x03", "qcow2", ""),
        (b"\0" * 0x8001 + b"CD001", "iso", ""),
        # A hybrid image is a disk as well.
        (b"\0" * 0x8001 + b"CD001", "raw", ""),
    ],
)
def test_the_format_is_that_of_the_data(desk: Desk, tmp_path: Path, head: bytes, wanted: str, mend: str) -> None:
    path = tmp_path / "disk"
    path.write_bytes(head.ljust(1024, b"\0"))
    entry = {"images": [{"name": "web", "file": str(path), "disk_format": wanted}]}
    if not mend:
        desk.run(entry)
        return
    error = desk.refuse(entry)
    assert (error["path"], mend in error["mend"]) == ("images[0].disk_format", True)
    assert not desk.cloud.writes()
