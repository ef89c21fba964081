"""A server that boots from a volume in Ceph goes on with its data while a storage node dies and comes back.

Needs the lab with storage nodes, which `make cloud STORAGE=ceph` makes; the others leave it out:

    pytest tests/acceptance/test_storage_node.py

The guest writes and reads back without end, and says when: what it says tells how long its disk stood still.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from running import ROOT, administrator, play, run

PROOF = re.compile(r"^disk-proof (\d+) ([0-9.]+) (new|kept) (same|LOST)\s*$", re.MULTILINE)
# A write stands still until the others miss the dead machine, for about a dozen seconds; with Ceph's own values it
# would for 29.
STALL_SECONDS = 25.0
PATIENCE_SECONDS = 300.0


@dataclass
class Proof:
    """A line of the guest's: seconds since it booted, whether it found data then, and whether they are right."""

    number: int
    seconds: float
    found: str
    state: str


@dataclass
class Server:
    """The server under test."""

    cloud: Cloud
    id: str

    def reboot(self) -> None:
        """Take the power away, and give it back."""
        self.cloud.call("compute", "POST", f"/servers/{self.id}/action", {"reboot": {"type": "HARD"}})

    def console(self) -> str:
        """What the guest has said; nothing while there is none, since a server that is rebooted is made anew."""
        asked: dict[str, object] = {"os-getConsoleOutput": {}}
        answer = self.cloud.call("compute", "POST", f"/servers/{self.id}/action", asked, accept=(404, 409))
        return str(answer.body.get("output", "") if isinstance(answer.body, dict) else "")

    def proofs(self) -> list[Proof]:
        """What the guest has said since its last boot, all of it right."""
        console = self.console()
        said = [Proof(int(n), float(at), found, state) for n, at, found, state in PROOF.findall(console)]
        assert not [one for one in said if one.state == "LOST"], console[-2000:]
        begun = max((place for place, one in enumerate(said) if one.number == 1), default=0)
        return said[begun:]

    def goes_on(self, after: float, more: int, found: str = "new") -> list[Proof]:
        """Wait until the guest has proved its data so often past a second of its own clock; return these proofs and the
        last one before.

        :param found: what it must have found when it booted.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            said = [one for one in self.proofs() if one.found == found]
            past = [one for one in said if one.seconds > after]
            if len(past) >= more:
                return [one for one in said if one.seconds <= after][-1:] + past
            assert time.monotonic() < deadline, f"{len(past)} proofs, not {more}: {said[-3:]}"
            time.sleep(1)


def stall(proofs: list[Proof]) -> float:
    """Seconds between the two neighbours that are the farthest apart."""
    return max(later.seconds - earlier.seconds for earlier, later in itertools.pairwise(proofs))


def told_by(host: str, *arguments: str) -> str:
    """What a module says on a host, as one line of JSON."""
    status, output = run("ansible", host, "-o", *arguments)
    assert status == 0, output
    return output[output.index("=> ") + 3 :]


def guest() -> str:
    """The test guest's image, as verification has it built."""
    files = ROOT / "roles/verify/files"
    wanted = {"directory": str(ROOT / ".stackwright/guest")} | {
        name: (files / f"guest_{name}").read_text(encoding="utf-8") for name in ("init", "udhcpc")
    }
    told = told_by("localhost", "-m", "stackwright.cloud.guest_image", "-a", json.dumps(wanted))
    return str(json.loads(told)["path"])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that boots from a volume and does what `guest_writes` says."""
    login = administrator(tmp_path)
    token = f"acceptance-{secrets.token_hex(3)}"
    document = {
        "images": [{"name": token, "file": guest(), "disk_format": "qcow2", "container_format": "bare"}],
        "flavors": [{"name": token, "ram": 192, "vcpus": 1, "disk": 1, "public": False}],
        "volumes": [{"name": token, "size": 1, "image": token}],
        "servers": [
            {
                "name": token,
                "flavor": token,
                "boot_volume": token,
                "networks": [],
                "config_drive": True,
                "user_data": (Path(__file__).parent / "guest_writes").read_text(encoding="utf-8"),
            }
        ],
    }
    options = Options(timeout=300)
    try:
        made, failure = converge(login, document, options)
        assert failure is None, failure
        yield Server(Cloud(login), made["ids"]["servers"][token])
    finally:
        _, left = converge(login, document, Options(timeout=300, state="absent"))
    assert left is None, left


def container_of(host: str) -> str:
    """The container that a machine of the lab is."""
    told = told_by(
        host, "-m", "ansible.builtin.debug", "-a", "msg={{ lab_definition.machines[inventory_hostname].container }}"
    )
    return str(json.loads(told)["msg"])


def test_a_server_keeps_its_data_while_a_storage_node_dies_and_comes_back(server: Server) -> None:
    calm = server.goes_on(0, 5)
    # the first leads the monitors, and is the one whose death holds clients up the longest
    subprocess.run(["podman", "kill", container_of("storage[0]")], check=True, capture_output=True)
    alone = server.goes_on(calm[-1].seconds, 20)
    play("lab")
    play("verify_ceph")
    whole = server.goes_on(alone[-1].seconds, 5)
    figures = {"at rest": calm, "node killed": alone, "node back": whole}
    print(", ".join(f"{name}: {stall(proofs):.1f} s between two writes" for name, proofs in figures.items()))
    assert stall(alone) < STALL_SECONDS
    server.reboot()
    server.goes_on(0, 3, found="kept")
