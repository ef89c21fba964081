"""What the machines of a lab share: its state directory, its key, its networks. And how all of it goes away."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.lab import host, image, isolation, machine
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import (
    SIZES_FILE,
    Lab,
    Network,
    control_path_directory,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import Podman, run

CONFIGURATION = "containers.conf"


@dataclass
class Plan:
    """What has to change: names of containers and networks, and files with their new content."""

    remove_containers: list[str] = field(default_factory=list)
    remove_networks: list[str] = field(default_factory=list)
    create_networks: list[Network] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    make_key: bool = False

    def empty(self) -> bool:
        """Tell whether everything is as wanted."""
        return not (
            self.remove_containers or self.remove_networks or self.create_networks or self.files or self.make_key
        )

    def summary(self) -> dict[str, list[str]]:
        """Return the plan for people: what is removed, created and written."""
        created = [network.name for network in self.create_networks] + (["id_ed25519"] if self.make_key else [])
        return {
            "removed": [*self.remove_containers, *self.remove_networks],
            "created": created,
            "written": sorted(self.files),
        }


def podman_of(state_directory: str) -> Podman:
    """Return podman with the lab's configuration."""
    return Podman(Path(state_directory) / CONFIGURATION)


def check_owner(name: str, state_directory: str, containers: Mapping[str, Mapping[str, Any]], take_over: bool) -> None:
    """Refuse to touch a lab of the same name that another checkout made and still has.

    Raises:
        LabError: The containers belong to another directory.
    """
    for container, entry in containers.items():
        owner = entry["labels"].get(f"{machine.LABEL}.directory", state_directory)
        if owner != state_directory and Path(owner).exists() and not take_over:
            raise LabError(
                f"Looking for the machines of lab {name}",
                f"{container} belongs to the lab of the same name in {owner}",
                "Give this lab another name and network in its inventory file, remove the other one with its own "
                "lab_clean.yml, or set lab_take_over: true",
            )


def network_matches(network: Network, found: Mapping[str, Any]) -> bool:
    """Tell whether an existing network, as podman describes it, is the wanted one."""
    subnets = [(subnet.get("subnet"), subnet.get("gateway")) for subnet in found.get("subnets") or []]
    return (
        subnets == [(network.cidr, network.gateway)]
        and bool(found.get("internal")) == network.internal
        and not found.get("dns_enabled")
        and str((found.get("options") or {}).get("mtu", 0)) == str(network.mtu)
    )


def network_command(network: Network, lab: str) -> list[str]:
    """Return podman's arguments that make a network."""
    return [
        "network",
        "create",
        "--disable-dns",
        "--subnet",
        network.cidr,
        "--gateway",
        network.gateway,
        *(["--internal"] if network.internal else []),
        *(["--opt", f"mtu={network.mtu}"] if network.mtu else []),
        "--label",
        f"{machine.LABEL}={lab}",
        network.name,
    ]


def plan(
    lab: Lab,
    configuration: str,
    containers: Mapping[str, Mapping[str, Any]],
    networks: Mapping[str, Mapping[str, Any]],
    recreate: bool,
) -> Plan:
    """Compare a lab with what exists.

    Args:
        lab: What is wanted.
        configuration: Wanted content of containers.conf.
        containers: The lab's containers, from `Podman.containers`.
        networks: Networks by name, from `Podman.networks`.
        recreate: Machines may be removed when a network has to change.

    Raises:
        LabError: A network has to change while machines use it and ``recreate`` is false.
    """
    wanted = {one.container for one in lab.machines.values()}
    result = Plan(remove_containers=sorted(set(containers) - wanted))
    for network in lab.networks.values():
        found = networks.get(network.name)
        if found is not None and network_matches(network, found):
            continue
        if found is not None:
            if not recreate and set(containers) & wanted:
                raise LabError(
                    f"Comparing network {network.name} with its definition",
                    f"it is {found.get('subnets')} {found.get('options') or ''}, wanted {network.cidr} with MTU "
                    f"{network.mtu or 'of podman'}, and machines use it",
                    "Set lab_recreate: true to make these machines anew, losing what is on them",
                )
            result.remove_containers = sorted(containers)
            result.remove_networks.append(network.name)
        result.create_networks.append(network)
    state = Path(lab.state_directory)
    files = {CONFIGURATION: configuration, SIZES_FILE: json.dumps(lab.sizes, sort_keys=True) + "\n"}
    for name, content in files.items():
        path = state / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            result.files[str(path)] = content
    result.make_key = not (state / "id_ed25519").is_file() or not (state / "id_ed25519.pub").is_file()
    return result


def own_routes(networks: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> set[str]:
    """Return the bridges of networks that will be removed; routes through them are no conflict."""
    return {str(networks[name].get("network_interface")) for name in names if name in networks}


def check_routes(created: Sequence[Network], ignored: set[str]) -> None:
    """Refuse networks that overlap what this host already routes.

    Raises:
        LabError: There is an overlap.
    """
    routes = json.loads(run(["ip", "-json", "route"], "Reading this host's routes") or "[]")
    others = [route for route in routes if route.get("dev") not in ignored]
    problems = host.conflicting_routes([network.cidr for network in created], others)
    if problems:
        raise LabError(
            "Making the lab's networks", "; ".join(problems), "Set another `network` in the lab's inventory file"
        )


def apply(lab: Lab, todo: Plan, podman: Podman) -> None:
    """Carry out a plan. Every step may be cut off and is done again by the next run.

    Raises:
        LabError: A step failed.
    """
    state = Path(lab.state_directory)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path, content in todo.files.items():
        machine.write_atomically(Path(path), content)
    if todo.make_key:
        machine.make_key(state / "id_ed25519", f"stackwright-{lab.name}")
    if todo.remove_containers:
        machine.close_connections(Path(control_path_directory(lab.state_directory)))
    podman.remove_containers(todo.remove_containers)
    for name in todo.remove_networks:
        podman("network", "rm", name, doing=f"Removing network {name}")
    for network in todo.create_networks:
        podman(*network_command(network, lab.name), doing=f"Making network {network.name} ({network.cidr})")


def remaining(lab: Lab, podman: Podman, images: bool) -> dict[str, list[str]]:
    """Return what of a lab exists: names of containers, networks, volumes and, if asked for, images."""
    volumes = podman(
        "volume", "ls", "--quiet", "--filter", f"label={machine.LABEL}={lab.name}", doing="Listing volumes"
    ).split()
    stored = image.listed(podman, image.NAME, f"reference={image.REPOSITORY}") if images else []
    known = podman.networks("stackwright-")
    return {
        "containers": sorted(podman.containers(lab.name)),
        "networks": [network.name for network in lab.networks.values() if network.name in known],
        "volumes": sorted(volumes),
        "images": sorted(stored, key=len, reverse=True),
        "packet filter": [isolation.table(lab.name)] if isolation.exists(lab) else [],
        "state": [lab.state_directory] if Path(lab.state_directory).exists() else [],
    }


def remove(lab: Lab, found: Mapping[str, Sequence[str]], podman: Podman) -> None:
    """Remove what `remaining` found, the state last, so that an interrupted removal can be repeated.

    Raises:
        LabError: A step failed.
    """
    connections = Path(control_path_directory(lab.state_directory))
    machine.close_connections(connections)
    shutil.rmtree(connections, ignore_errors=True)
    podman.remove_containers(found["containers"])
    if found.get("packet filter"):
        isolation.remove(lab)
    for name in found["networks"]:
        podman("network", "rm", name, doing=f"Removing network {name}")
    for name in found["volumes"]:
        podman("volume", "rm", name, doing=f"Removing volume {name}")
    image.remove_images(found["images"], podman)
    shutil.rmtree(lab.state_directory, ignore_errors=True)


def load_modules(names: Sequence[str]) -> list[str]:
    """Load kernel modules and return those that this host's kernel does not have.

    A kernel without loadable modules has what it has, so nothing is reported there.
    """
    if not Path("/proc/modules").exists() or not shutil.which("modprobe"):
        return []
    return [
        name
        for name in names
        if subprocess.run(["modprobe", "--quiet", name], capture_output=True, check=False, timeout=60).returncode
    ]
