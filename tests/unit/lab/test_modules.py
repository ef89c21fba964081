"""The lab's modules against a podman that keeps containers, networks, volumes and images in this process."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import environment, host, image, machine
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab, resolve
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import Podman
from ansible_collections.stackwright.cloud.plugins.modules import lab_environment, lab_image, lab_machine
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

Run = Callable[..., dict[str, Any]]


def values(words: list[str], option: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words) if word == option]


@dataclass
class Engine:
    """What podman keeps. ``fails`` has what it says against a command that begins so."""

    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    images: dict[str, dict[str, str]] = field(default_factory=dict)
    inside: dict[str, list[str]] = field(default_factory=dict)
    state: str = "running"
    failed_units: str = ""
    fails: dict[str, str] = field(default_factory=dict)
    made: int = 0
    tables: dict[str, str] = field(default_factory=dict)

    def nft(self, call: Call) -> Said:
        """A kernel that keeps tables as they are written."""
        name = call.words[-1]
        if "list" in call.words:
            return (
                Said(self.tables[name]) if name in self.tables else Said(status=1, errors="No such file or directory")
            )
        if "delete" in call.words:
            del self.tables[name]
        else:
            self.tables[call.given.split()[2]] = call.given
        return Said()

    def __call__(self, call: Call) -> Said:
        against = next((text for begin, text in self.fails.items() if " ".join(call.words).startswith(begin)), "")
        if against:
            return Said(status=125, errors=f"Error: {against}\n")
        name = "_".join(call.words[:2] if call.words[0] in ("network", "volume", "image") else call.words[:1])
        answer = getattr(self, f"do_{name}")(call, call.words)
        return answer if isinstance(answer, Said) else Said(answer or "")

    def do_ps(self, call: Call, words: list[str]) -> str:
        label = (
            words[-1].removeprefix("label=")
            if "--quiet" in words
            else values(words, "--filter")[0].removeprefix("label=")
        )
        key, _, value = label.partition("=")
        found = {name: one for name, one in self.containers.items() if one["Labels"].get(key) == value}
        if "--quiet" in words:
            return "".join(f"{one['Id']}\n" for one in found.values())
        return json.dumps([{"Names": [name], **one} for name, one in found.items()])

    def do_network_ls(self, call: Call, words: list[str]) -> str:
        return json.dumps([{"name": name, **one} for name, one in self.networks.items()])

    def do_network_create(self, call: Call, words: list[str]) -> None:
        subnets = [{"subnet": values(words, "--subnet")[0], "gateway": values(words, "--gateway")[0]}]
        options = dict(word.split("=", 1) for word in values(words, "--opt"))
        self.networks[words[-1]] = {
            "subnets": subnets,
            "internal": "--internal" in words,
            "dns_enabled": False,
            "network_interface": "podman1",
            "options": options,
        }

    def do_network_rm(self, call: Call, words: list[str]) -> None:
        del self.networks[words[-1]]

    def do_volume_ls(self, call: Call, words: list[str]) -> str:
        return "\n".join(self.volumes)

    def do_volume_exists(self, call: Call, words: list[str]) -> Said:
        return Said(status=0 if words[-1] in self.volumes else 1)

    def do_volume_create(self, call: Call, words: list[str]) -> None:
        self.volumes.append(words[-1])

    def do_volume_rm(self, call: Call, words: list[str]) -> None:
        self.volumes.remove(words[-1])

    def do_image_exists(self, call: Call, words: list[str]) -> Said:
        return Said(status=0 if words[-1] in self.images else 1)

    def do_images(self, call: Call, words: list[str]) -> str:
        filters = [
            one.removeprefix("label=").partition("=") for one in values(words, "--filter") if one.startswith("label=")
        ]
        found = {
            name: labels
            for name, labels in self.images.items()
            if all(labels.get(key) == value for key, _, value in filters)
        }
        if "distribution" in words[-1]:
            return "\n".join(labels["stackwright.lab.distribution"] for labels in found.values())
        return "\n".join(found)

    def do_rmi(self, call: Call, words: list[str]) -> Said:
        return Said(status=0 if self.images.pop(words[-1], None) is not None else 1)

    def labels(self, words: list[str]) -> dict[str, str]:
        return dict(one.removeprefix("LABEL ").split("=", 1) for one in values(words, "--change"))

    def do_import(self, call: Call, words: list[str]) -> None:
        with tarfile.open(fileobj=io.BytesIO(call.given.encode("utf-8", "surrogateescape"))) as tar:
            self.inside[words[-1]] = tar.getnames()
        self.images[words[-1]] = self.labels(words)

    def do_commit(self, call: Call, words: list[str]) -> None:
        assert words[-2] in self.containers
        self.images[words[-1]] = self.labels(words)

    def do_create(self, call: Call, words: list[str]) -> None:
        self.made += 1
        name = values(words, "--name")[0]
        assert name not in self.containers
        labels = dict(one.split("=", 1) for one in values(words, "--label"))
        self.containers[name] = {"Id": f"id{self.made}", "State": "created", "Labels": labels}

    do_run = do_create

    def do_cp(self, call: Call, words: list[str]) -> None:
        assert Path(call.environment["TMPDIR"]).is_dir()
        with tarfile.open(fileobj=io.BytesIO(call.given.encode("utf-8", "surrogateescape"))) as tar:
            self.inside[words[-1]] = tar.getnames()

    def do_start(self, call: Call, words: list[str]) -> None:
        self.containers[words[-1]]["State"] = "running"

    def do_inspect(self, call: Call, words: list[str]) -> str:
        return str(self.containers[words[-1]]["Id"]) + "\n"

    def do_rm(self, call: Call, words: list[str]) -> None:
        skip = values(words, "--time")
        for name in [word for word in words[1:] if not word.startswith("--") and word not in skip]:
            known = [key for key, one in self.containers.items() if name in (key, one["Id"])]
            assert known or "--ignore" in words, name
            for key in known:
                del self.containers[key]

    def do_exec(self, call: Call, words: list[str]) -> str:
        if "is-system-running" in words:
            return self.state + "\n"
        return self.failed_units if "--failed" in words else ""


@pytest.fixture
def engine(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """A host on which podman, ssh and apt-config are programs of this test, and no network is routed yet."""
    engine = Engine()
    stand_ins.add("podman", engine)
    stand_ins.add("nft", engine.nft)
    stand_ins.add("ssh", Said())
    stand_ins.add("apt-config", Said('Acquire::http::Proxy "http://127.0.0.1:3142";\n'))
    stand_ins.add("ip", Said("[]"))
    stand_ins.add("modprobe", lambda call: Said(status=1 if call.words[-1] == "geneve" else 0))
    monkeypatch.setattr(host, "detect", lambda: host.Host("v2", "crun", ("a=1",), 4096, 4096))
    monkeypatch.setattr(image, "WORK", tmp_path / "work")
    monkeypatch.setattr(lab_image.lab_image, "host_certificates", lambda: ())
    for one in (lab_environment, lab_image, lab_machine):
        monkeypatch.setattr(one, "ignore_hangup", lambda: None)
    return engine


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return resolve({"name": "lab", "network": "10.137.88.0/22", "groups": {"compute": {}}}, "lab.yml", tmp_path, {})


@pytest.fixture
def shared(engine: Engine, lab: Lab, run_module: Run) -> dict[str, Any]:
    """What the machines of the lab share is there."""
    return run_module(lab_environment, definition=lab.document())


# ---------------------------------------------------------------- what machines share


def test_environment_is_made_once_and_goes_away_without_a_trace(
    engine: Engine, lab: Lab, run_module: Run, stand_ins: StandIns
) -> None:
    foretold = run_module(lab_environment, check=True, definition=lab.document(), kernel_modules=["geneve"])
    assert foretold["changed"] and not engine.networks and not Path(lab.state_directory).exists()
    made = run_module(lab_environment, definition=lab.document(), kernel_modules=["tun", "geneve"])
    assert made["created"] == foretold["created"]
    assert set(engine.networks) == {network.name for network in lab.networks.values()}
    assert Path(lab.state_directory, "id_ed25519").stat().st_mode & 0o777 == 0o600
    if Path("/proc/modules").exists():
        assert made["missing_modules"] == ["geneve"]
    assert not run_module(lab_environment, definition=lab.document())["changed"]
    assert all(
        f"ip daddr {network.cidr} ct state" in engine.tables["stackwright_lab_lab"] for network in lab.networks.values()
    )
    engine.tables.clear()
    assert run_module(lab_environment, definition=lab.document())["created"] == ["packet filter"]
    engine.volumes, engine.images = ["stackwright-lab-compute1-srv"], {"localhost/stackwright-node:trixie-1": {}}
    gone = run_module(lab_environment, definition=lab.document(), state="absent")
    assert (engine.networks, engine.volumes, len(engine.images), engine.tables) == ({}, [], 1, {})
    assert lab.state_directory in gone["removed"] and not Path(lab.state_directory).exists()
    assert run_module(lab_environment, definition=lab.document(), state="absent", images=True)["changed"]
    assert engine.images == {}
    assert not run_module(lab_environment, definition=lab.document(), state="absent", images=True)["changed"]


def test_removal_ends_connections_and_takes_the_machines(
    engine: Engine, lab: Lab, run_module: Run, shared: Any, stand_ins: StandIns
) -> None:
    engine.containers["stackwright-lab-compute1"] = {
        "Id": "1",
        "State": "running",
        "Labels": {"stackwright.lab": "lab"},
    }
    connections = Path(environment.control_path_directory(lab.state_directory))
    connections.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as connection, contextlib.chdir(connections):
        connection.bind("compute1")
    run_module(lab_environment, definition=lab.document(), state="absent")
    assert stand_ins.lines("ssh") == [f"ssh -o ControlPath={connections}/compute1 -O exit lab"]
    assert engine.containers == {} and not connections.exists()


def test_connection_that_hangs_does_not_stop_the_run(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CLOSING", 0.3)
    stand_ins.add("ssh", Said(hangs=True))
    (tmp_path / "socket").touch()
    begin = time.monotonic()
    machine.close_connections(tmp_path)
    assert 0.3 <= time.monotonic() - begin < 5
    assert stand_ins.lines("ssh") == [f"ssh -o ControlPath={tmp_path}/socket -O exit lab"]


def test_network_that_is_routed_elsewhere_is_refused_before_anything_is_made(
    engine: Engine, lab: Lab, run_module: Run, stand_ins: StandIns
) -> None:
    stand_ins.add("ip", Said(json.dumps([{"dst": "10.137.0.0/16", "dev": "vpn0"}])))
    answer = run_module(lab_environment, definition=lab.document())
    assert answer["failed"] and "overlaps the route to 10.137.0.0/16 on vpn0" in answer["msg"]
    assert "Set another `network`" in answer["msg"]
    assert engine.networks == {} and not Path(lab.state_directory).exists()


def test_network_that_changed_is_made_anew_with_its_machines(
    engine: Engine, lab: Lab, run_module: Run, shared: Any, stand_ins: StandIns
) -> None:
    engine.containers["stackwright-lab-compute1"] = {
        "Id": "1",
        "State": "running",
        "Labels": {"stackwright.lab": "lab"},
    }
    engine.networks["stackwright-lab-tunnel"]["internal"] = False
    # its own route is no conflict
    stand_ins.add("ip", Said(json.dumps([{"dst": lab.networks["tunnel"].cidr, "dev": "podman1"}])))
    answer = run_module(lab_environment, definition=lab.document(), recreate=True)
    assert answer["removed"] == ["stackwright-lab-compute1", "stackwright-lab-tunnel"]
    assert engine.networks["stackwright-lab-tunnel"]["internal"] and engine.containers == {}


def test_what_podman_refuses_is_told_with_what_was_being_done(engine: Engine, lab: Lab, run_module: Run) -> None:
    engine.fails["network create"] = "subnet 10.137.88.0/24 is already used on the host"
    answer = run_module(lab_environment, definition=lab.document())
    assert answer["msg"].startswith(
        "Making network stackwright-lab-management (10.137.88.0/24): Error: subnet 10.137.88.0/24 is already used"
    )


# ---------------------------------------------------------------- machines


def up(run_module: Run, lab: Lab, check: bool = False, **more: Any) -> dict[str, Any]:
    given = {
        "definition": lab.document(),
        "name": "compute1",
        "image": "image",
        "nameservers": ["192.0.2.53"],
        "volumes": ["/srv"],
        "patience": 1,
    }
    return run_module(lab_machine, check=check, **{**given, **more})


def test_machine_is_made_started_and_left_alone(
    engine: Engine, lab: Lab, run_module: Run, shared: Any, stand_ins: StandIns
) -> None:
    assert up(run_module, lab, check=True)["action"] == "created" and engine.containers == {}
    answer = up(run_module, lab)
    assert (answer["action"], answer["system_state"], answer["failed_units"]) == ("created", "running", [])
    assert engine.volumes == ["stackwright-lab-compute1-srv"]
    assert {"etc/machine-id", "etc/ssh/ssh_host_ed25519_key", "etc/apt/apt.conf.d/91stackwright-lab"} <= set(
        engine.inside["stackwright-lab-compute1:/"]
    )
    login = next(call for call in stand_ins.calls if call.name == "ssh")
    assert login.words[-2:] == ["operator@10.137.88.11", "sudo -n true"]
    known = Path(lab.state_directory, "known_hosts").read_text()
    assert up(run_module, lab)["action"] == ""
    engine.containers["stackwright-lab-compute1"]["State"] = "exited"
    assert up(run_module, lab)["action"] == "started"
    assert engine.made == 1 and Path(lab.state_directory, "known_hosts").read_text() == known
    # one whose making was cut off holds nothing, and gets an identity of its own anew
    engine.containers["stackwright-lab-compute1"]["Id"] = "cut off"
    assert up(run_module, lab)["action"] == "created"
    assert engine.made == 2 and Path(lab.state_directory, "known_hosts").read_text() != known
    assert engine.volumes == ["stackwright-lab-compute1-srv"]


def test_machine_that_is_up_with_failed_units_is_told(engine: Engine, lab: Lab, run_module: Run, shared: Any) -> None:
    engine.state, engine.failed_units = "degraded", "nova-compute.service loaded failed failed Nova\n"
    answer = up(run_module, lab)
    assert answer["failed_units"] == ["nova-compute.service"]
    assert "compute1 is up with failed units: nova-compute.service" in str(answer["warnings"])


def test_machine_without_name_servers_is_warned_of(
    engine: Engine, lab: Lab, run_module: Run, shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "host_nameservers", list)
    assert "set lab_nameservers" in str(up(run_module, lab, nameservers=[])["warnings"])


def test_definition_of_another_podman_counts_as_changed(lab: Lab) -> None:
    one = lab.machines["compute1"]
    options = machine.Options("trixie", True, (), ())
    assert len(machine.drift({"stackwright.lab.definition": "{"}, lab, one, options)) == 4


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"name": "compute9"}, "Making machine compute9: lab lab has no such machine"),
        ({"definition": {"name": "lab"}}, "Reading the lab's definition: KeyError 'state_directory'"),
    ],
)
def test_machine_that_nobody_defined_is_named(
    engine: Engine, lab: Lab, run_module: Run, more: dict[str, Any], told: str
) -> None:
    assert told in up(run_module, lab, **more)["msg"]


# ---------------------------------------------------------------- images

SOURCES = [{"uri": "http://mirror.example/debian", "suite": "trixie"}]


@pytest.fixture
def build(engine: Engine, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A host whose mmdebstrap unpacks a system of one file, and whose mirror has a release; what ran is kept."""
    ran: list[str] = []

    def unshare(call: Call) -> Said:
        command = call.words[call.words.index("--") + 1 :]
        ran.append(command[0])
        if command[0] == "mmdebstrap":
            tree = Path(command[-2])
            for name in ("etc/apt", "dev", "usr/bin"):
                (tree / name).mkdir(parents=True)
            (tree / "etc/apt/sources.list").touch()
            (tree / "dev/null").touch()
            (tree / "usr/bin/big").write_bytes(bytes(1 << 20))
        return Said(f"I: {command[0]}\n")

    def helper(call: Call) -> Said:
        Path(call.words[-1]).write_text("Suite: stable\nVersion: 13.1\n")
        return Said()

    stand_ins.add("unshare", unshare)
    monkeypatch.setattr(image, "HELPER", stand_ins.add("apt-helper", helper))
    (tmp_path / "keyring.gpg").touch()
    monkeypatch.setattr(image.apt, "KEYRINGS", (str(tmp_path / "keyring.gpg"),))
    return ran


def base(run_module: Run, lab: Lab, check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(
        lab_image, check=check, definition=lab.document(), packages=["systemd-sysv"], apt_sources=SOURCES, **more
    )


def test_base_image_is_built_once_for_a_state_of_the_mirror(
    engine: Engine, lab: Lab, run_module: Run, build: list[str], stand_ins: StandIns
) -> None:
    foretold = base(run_module, lab, check=True)
    assert foretold["changed"] and build == []
    name = base(run_module, lab)["image"]
    assert name == foretold["image"] and build == ["mmdebstrap", "chroot"]
    assert engine.images[name]["stackwright.lab.purpose"] == "base-trixie"
    assert "./usr/bin/big" in engine.inside[name] and "./dev/null" not in engine.inside[name]
    assert not (image.WORK / "stackwright-image-trixie").exists()
    assert not base(run_module, lab)["changed"]
    # a point release is another image, and the older one goes
    stand_ins.add("apt-helper", lambda call: Said(str(Path(call.words[-1]).write_text("Version: 13.2\n"))))
    second = base(run_module, lab)
    assert second["changed"] and second["removed"] == [name] and list(engine.images) == [second["image"]]
    # a mirror that does not answer is no reason to build: the newest image serves
    stand_ins.add("apt-helper", Said(status=100, errors="E: Failed to fetch\n"))
    assert not base(run_module, lab)["changed"]


def test_mirror_that_never_answered_is_told_with_the_remedy(
    engine: Engine, lab: Lab, run_module: Run, build: list[str], stand_ins: StandIns
) -> None:
    stand_ins.add("apt-helper", Said(status=100, errors="E: Failed to fetch http://mirror.example\n"))
    told = base(run_module, lab)["msg"]
    assert told.startswith(
        "Reading the state of trixie from http://mirror.example/debian: E: Failed to fetch http://mirror.example"
    )
    assert "set lab_apt_sources" in told


def test_build_that_fails_names_its_log_and_is_begun_anew(
    engine: Engine, lab: Lab, run_module: Run, build: list[str], stand_ins: StandIns
) -> None:
    unshare = stand_ins.answers["unshare"]
    stand_ins.add("unshare", Said(status=1, errors="E: Couldn't download packages: libc6\n"))
    told = base(run_module, lab)["msg"]
    assert "E: Couldn't download packages: libc6" in told and f"{lab.state_directory}/log/image-trixie.log" in told
    assert engine.images == {}
    (image.WORK / "stackwright-image-trixie/half").mkdir()
    stand_ins.add("unshare", unshare)
    name = base(run_module, lab)["image"]
    assert "./half" not in engine.inside[name]


def test_image_that_podman_cannot_store_is_told_and_does_not_hang(
    engine: Engine, lab: Lab, run_module: Run, build: list[str], stand_ins: StandIns
) -> None:
    """podman ends without reading what tar has for it, which is more than a pipe holds."""
    engine.fails["import"] = "no space left on device"
    stand_ins.add("podman", engine, deaf=True)
    told = base(run_module, lab)["msg"]
    assert told.startswith("Storing image localhost/stackwright-node:trixie-")
    assert "Error: no space left on device" in told and told.endswith("Check the free space of the host.")


def test_image_that_tar_could_not_read_whole_is_not_kept(
    engine: Engine, lab: Lab, run_module: Run, build: list[str], stand_ins: StandIns, tmp_path: Path
) -> None:
    with contextlib.closing(io.BytesIO()) as empty:
        tarfile.open(fileobj=empty, mode="w").close()
        stand_ins.add(
            "tar",
            Said(empty.getvalue().decode(), status=2, errors="tar: ./etc/shadow: Cannot open: Input/output error\n"),
        )
    told = base(run_module, lab)["msg"]
    assert "./etc/shadow: Cannot open: Input/output error" in told
    assert engine.images == {}


def test_host_without_the_archives_keys_is_told_what_to_install(
    engine: Engine, lab: Lab, run_module: Run, build: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image.apt, "KEYRINGS", ("/no/such/keyring.gpg",))
    assert "Install debian-archive-keyring" in base(run_module, lab)["msg"]


def test_build_that_was_interrupted_leaves_no_mount_in_the_way(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts = "".join(
        f"30 29 0:5 / {point} rw - proc proc rw\n"
        for point in ("/", tmp_path / "tree/proc", tmp_path / "tree/proc/sys", tmp_path / "tree2")
    )
    stand_ins.add("umount", Said())
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, **more: mounts if str(self) == "/proc/self/mountinfo" else read(self, **more)
    )
    image.unmount_below(tmp_path / "tree")
    assert stand_ins.lines() == [f"umount --lazy {tmp_path}/tree/proc/sys", f"umount --lazy {tmp_path}/tree/proc"]


def preload(run_module: Run, lab: Lab, *packages: str) -> dict[str, Any]:
    return run_module(
        lab_image,
        definition=lab.document(),
        packages=list(packages),
        base="localhost/stackwright-node:trixie-1",
        purpose="lab-compute",
    )


def test_layer_is_built_from_what_an_interrupted_build_left_nothing_of(
    engine: Engine, lab: Lab, run_module: Run, stand_ins: StandIns
) -> None:
    engine.containers["stackwright-build-old"] = {
        "Id": "9",
        "State": "exited",
        "Labels": {"stackwright.lab.build": "lab-compute"},
    }
    answer = preload(run_module, lab, "nova-compute", "ceph-osd", "nova-compute")
    assert answer["changed"] and engine.containers == {}
    assert engine.images[answer["image"]] == {"stackwright.lab.purpose": "lab-compute", "stackwright.lab.packages": "2"}
    ran = next(call for call in stand_ins.calls if call.words[0] == "run")
    assert ran.words[-4:] == ["preload", "--no-install-recommends", "ceph-osd", "nova-compute"]
    script = ran.words[ran.words.index("-c") + 1]
    # the mirror is reached as this host reaches it
    assert (
        script.startswith("cat >/etc/apt/apt.conf.d/00stackwright-build <<'OPTIONS'\n") and "127.0.0.1:3142" in script
    )
    assert not preload(run_module, lab, "ceph-osd", "nova-compute")["changed"]
    newer = preload(run_module, lab, "nova-compute")
    assert newer["removed"] == [answer["image"]]


def test_layer_that_fails_names_packages_or_mirror(engine: Engine, lab: Lab, run_module: Run) -> None:
    engine.fails["run"] = "E: Unable to locate package nova-comput"
    told = preload(run_module, lab, "nova-comput")["msg"]
    assert (
        "Unable to locate package nova-comput. Check the package names and the mirror. The whole output is in" in told
    )
    assert engine.images == {}


def test_podman_that_says_nothing_has_nothing(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.add("podman", Said("null\n"))
    podman = Podman(tmp_path / "none")
    assert (podman.containers("lab"), podman.networks("stackwright-")) == ({}, {})
    podman.remove_containers([])
    stand_ins.add("podman", Said(status=125, errors="Error: cannot connect\n"))
    with pytest.raises(LabError, match="Listing containers: Error: cannot connect"):
        podman.containers("lab")
