"""The example of a small company's cloud, through the playbook, from nothing to the second run and back."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Desk

DATA = b"This stands for a disk image." * 40


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def image(tmp_path: Path) -> Iterator[list[str]]:
    """Options that take the image from a server of this test."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "disk").write_bytes(DATA)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [
        "-e",
        f"company_image_url=http://127.0.0.1:{server.server_address[1]}/disk company_image_format=raw "
        f"company_image_checksum=sha512:{hashlib.sha512(DATA).hexdigest()}",
    ]
    server.shutdown()
    server.server_close()


def playbook(desk: Desk, *flags: str) -> str:
    """The output of the playbook with the example."""
    ran = desk.command(
        "ansible-playbook", str(ROOT / "playbooks" / "cloud_state.yml"), "-e", f"@{ROOT}/docs/examples/company.yml",
        "-e", "cloud_state_cloud=simulated vault_alice_password=Al1ce-secret vault_bob_password=B0b-secret", *flags,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1ce-secret" not in ran.stdout + ran.stderr
    return ran.stdout


def census(desk: Desk) -> dict[str, set[str]]:
    """What the cloud holds, but for the default groups that the service gives to projects that are asked for."""
    return {
        kind: {key for key, one in objects.items() if one.get("name") != "default"}
        for kind, objects in desk.cloud.objects.items()
        if kind != "security_group_rule"
    }


def test_the_example_lives_and_goes(desk: Desk, image: list[str]) -> None:
    before = census(desk)
    planned = playbook(desk, *image, "--check", "--diff")
    assert "create server web1" in planned and not desk.cloud.writes()
    assert "changed=1" in playbook(desk, *image)
    assert {server["name"]: server["status"] for server in desk.cloud.all("server")} == dict.fromkeys(
        ("web1", "web2", "orders"), "ACTIVE"
    )
    assert len(desk.cloud.find("server_group", name="sites")[0]["members"]) == 2
    addresses = {server["name"]: sorted(ip["ip_address"] for port in desk.cloud.find("port", device_id=server["id"])
                 for ip in port["fixed_ips"]) for server in desk.cloud.all("server")}  # fmt: skip
    assert addresses["orders"] == ["10.20.1.10"] and addresses["web1"][0].startswith("10.20.0.")
    desk.cloud.forget_calls()
    again = playbook(desk, *image)
    assert "changed=0" in again, again
    assert "nothing to change" in again and not desk.cloud.writes()
    assert "changed=1" in playbook(desk, *image, "-e", "cloud_state_state=absent")
    assert census(desk) == before


def test_work_in_a_new_project_waits_for_the_role_in_it(desk: Desk) -> None:
    """The role takes its time, and the group of servers needs a login to the project."""
    desk.cloud.fault(method="PUT", service="identity", delay=1.0, times=0)
    document = {
        "projects": ["web"],
        "role_assignments": [{"role": "member", "user": "admin", "project": "web"}],
        "server_groups": [{"name": "sites", "project": "web", "policy": "affinity"}],
    }
    done = desk.play({"stackwright.cloud.cloud_state": {"document": document}})
    assert done.code == 0, done.output
