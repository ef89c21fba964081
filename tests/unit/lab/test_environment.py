"""What the machines share is compared with what exists; nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import environment, image
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab, resolve
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import Podman, locked, private_directory, run


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    content = {"name": "lab", "network": "10.137.88.0/22", "groups": {"compute": {}}}
    return resolve(content, "lab.yml", tmp_path, {})


def existing(lab: Lab) -> dict[str, dict[str, Any]]:
    return {
        net.name: {
            "subnets": [{"subnet": net.cidr, "gateway": net.gateway}],
            "internal": net.internal,
            "dns_enabled": False,
            "options": {"mtu": str(net.mtu)} if net.mtu else {},
            "network_interface": f"podman{index}",
        }
        for index, net in enumerate(lab.networks.values())
    }


CONTAINERS = {"stackwright-lab-compute1": {"id": "1", "state": "running", "labels": {}}}


def test_everything_is_made_for_a_new_lab(lab: Lab) -> None:
    todo = environment.plan(lab, "conf", {}, {}, False)
    assert todo.summary() == {
        "removed": [],
        "created": [net.name for net in lab.networks.values()] + ["id_ed25519"],
        "written": [f"{lab.state_directory}/containers.conf", f"{lab.state_directory}/sizes.json"],
    }


def test_nothing_is_done_for_a_whole_lab(lab: Lab) -> None:
    state = Path(lab.state_directory)
    state.mkdir(parents=True)
    (state / "containers.conf").write_text("conf")
    (state / "sizes.json").write_text("{}\n")
    (state / "id_ed25519").touch()
    (state / "id_ed25519.pub").touch()
    assert environment.plan(lab, "conf", CONTAINERS, existing(lab), False).empty()


def test_machines_that_the_definition_lost_are_removed(lab: Lab) -> None:
    surplus = {**CONTAINERS, "stackwright-lab-compute2": CONTAINERS["stackwright-lab-compute1"]}
    assert environment.plan(lab, "c", surplus, existing(lab), False).remove_containers == ["stackwright-lab-compute2"]


@pytest.mark.parametrize(
    "difference",
    [
        {"subnets": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1"}]},
        {"internal": False},
        {"dns_enabled": True},
        {"options": {}},
    ],
)
def test_a_network_in_use_changes_only_with_consent(lab: Lab, difference: dict[str, Any]) -> None:
    networks = existing(lab)
    networks["stackwright-lab-tunnel"].update(difference)
    with pytest.raises(LabError, match="lab_recreate: true"):
        environment.plan(lab, "c", CONTAINERS, networks, False)
    todo = environment.plan(lab, "c", CONTAINERS, networks, True)
    assert todo.remove_containers == ["stackwright-lab-compute1"]
    assert todo.remove_networks == ["stackwright-lab-tunnel"]
    assert [net.role for net in todo.create_networks] == ["tunnel"]
    assert environment.plan(lab, "c", {}, networks, False).remove_networks == ["stackwright-lab-tunnel"]


def test_a_vanished_network_is_made_again_under_its_machines(lab: Lab) -> None:
    networks = existing(lab)
    del networks["stackwright-lab-external"]
    todo = environment.plan(lab, "c", CONTAINERS, networks, False)
    assert [net.role for net in todo.create_networks] == ["external"]
    assert todo.remove_containers == []


def test_network_commands(lab: Lab) -> None:
    command = environment.network_command(lab.networks["tunnel"], "lab")
    assert {"--internal", "--disable-dns", "10.137.89.0/24", "10.137.89.1"} <= set(command)
    assert "--internal" not in environment.network_command(lab.networks["management"], "lab")


def test_another_checkouts_lab_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    labels = {"stackwright.lab.directory": str(other)}
    containers = {"c": {"labels": labels}}
    environment.check_owner("lab", str(tmp_path / "mine"), containers, False)
    other.mkdir()
    with pytest.raises(LabError, match="belongs to the lab of the same name"):
        environment.check_owner("lab", str(tmp_path / "mine"), containers, False)
    environment.check_owner("lab", str(tmp_path / "mine"), containers, True)
    environment.check_owner("lab", str(other), containers, False)


def test_podman_uses_the_labs_configuration_once_there_is_one(tmp_path: Path) -> None:
    podman = Podman(tmp_path / "containers.conf")
    assert podman.environment == {}
    (tmp_path / "containers.conf").touch()
    assert podman.environment == {"CONTAINERS_CONF": str(tmp_path / "containers.conf")}


def test_a_failed_command_says_what_was_done_and_why_it_failed(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"^Doing it: gone wrong\. Mend it\.$"):
        run(["sh", "-c", "echo gone wrong >&2; exit 3"], "Doing it", remedy="Mend it")
    with pytest.raises(LabError, match="status 3"):
        run(["sh", "-c", "exit 3"], "Doing it")
    with pytest.raises(LabError, match="tools/setup"):
        run(["/no/such/program"], "Doing it")
    with pytest.raises(LabError, match="did not end within 1 seconds"):
        run(["sleep", "5"], "Doing it", timeout=1)
    log = tmp_path / "log" / "build.log"
    with pytest.raises(LabError, match=f"bad.*whole output is in {log}"):
        run(["sh", "-c", "echo good; echo bad >&2; exit 1"], "Doing it", log=log)
    assert log.read_text() == "good\nbad\n"


def test_a_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    script = (
        f"import fcntl, time; f = open({str(lock)!r}, 'w'); fcntl.flock(f, 2); print('held', flush=True); "
        f"time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(LabError, match="another run has been holding"), locked(lock, "Building", patience=0):
            pass
        holder.kill()
    with locked(lock, "Building", patience=5):
        pass


def test_an_interrupted_tree_is_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "proc").mkdir(parents=True)
    (tree / "proc/file").touch()
    image.remove_tree(tree)
    image.remove_tree(tree)
    assert not tree.exists()


def test_a_lock_never_follows_a_link_nor_cuts_a_file(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(LabError, match="lock cannot be opened: it is a link"), locked(tmp_path / "lock", "Building"):
        pass
    with locked(victim, "Building"):
        pass
    assert victim.read_text() == "precious\n"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LabError, match="not a file of this user's"), locked(tmp_path / "pipe", "Building"):
        pass


def test_the_build_has_a_directory_that_nobody_else_enters(tmp_path: Path) -> None:
    private_directory(tmp_path / "a/work", "Building")
    assert (tmp_path / "a/work").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a/work").chmod(0o755)
    private_directory(tmp_path / "a/work", "Building")
    assert (tmp_path / "a/work").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(LabError, match="not a directory of this user's"):
        private_directory(tmp_path / "link", "Building")
    assert not str(image.WORK).startswith(("/tmp", "/var/tmp"))


class Stored:
    """Stands for podman, and asks at each call whether another run could get the lock of the stored images."""

    def __init__(self) -> None:
        self.free: list[bool] = []

    def look(self) -> None:
        try:
            with locked(image.WORK / image.STORED, "Looking", patience=0):
                self.free.append(True)
        except LabError:
            self.free.append(False)

    def __call__(self, *arguments: str, doing: str) -> str:
        self.look()
        return "localhost/stackwright-node:one localhost/stackwright-node:two"

    def succeeds(self, *arguments: str) -> bool:
        self.look()
        return True


def test_images_are_listed_by_nobody_while_one_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "WORK", tmp_path)
    stored = Stored()
    old = image.superseded("lab", "localhost/stackwright-node:one", stored)  # type: ignore[arg-type]
    assert image.remove_images(old, stored) == ["localhost/stackwright-node:two"]  # type: ignore[arg-type]
    stored.look()
    assert stored.free == [False, False, True]
