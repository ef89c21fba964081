"""What monitors know: taken into a sealed file, and, when all of them are lost, gathered anew from OSDs' own copies.

A monitor's store holds maps, keys and central configuration. OSDs keep the maps and their own keys, always the newest,
so that a cluster whose monitors are all lost is had back from them. What only monitors know (users' keys, what was
configured, stored values, file systems) comes from a back-up. An older store itself would be of no use: OSDs refuse
monitors that know less than they do.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import osds
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import Command, Session, connected
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs
from ansible_collections.stackwright.cloud.plugins.module_utils.common import sealed
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files

DIRECTORY = "/var/lib/ceph/mon"
ACCOUNT = "ceph"
# Where a store grows on its way from host to host, and is made one of a monitor; nobody else may be there.
GATHERED = "/var/lib/stackwright/ceph-gathered"
TOOL_SECONDS = 1800.0
PORT, LISTEN_SECONDS = 3300, 3.0
# Monitors that listen and have a quorum answer in a moment.
ANSWER_SECONDS = 20
STORE, MANIFEST, KEYRING = "store", "manifest", "keyring"
# What is asked for a back-up, by the name that it gets there.
ASKED = {
    "config": "config dump",
    "config-keys": "config-key dump",
    "filesystems": "fs dump",
    "monitors": "mon dump",
    "osds": "osd dump",
    "places": "osd crush dump",
}

Run = Callable[..., Any]


class StoreError(Exception):
    """A store cannot be taken, put back or made; the text says why and what to do."""


def directory_of(name: str) -> str:
    """The directory of a monitor."""
    return os.path.join(DIRECTORY, f"ceph-{name}")


def has_store(name: str) -> bool:
    """Whether a monitor's store is on this host."""
    return os.path.isdir(os.path.join(directory_of(name), "store.db"))


def keyring_of(users: Sequence[Mapping[str, Any]]) -> str:
    """The keyring of entries as the monitors tell them."""
    lines = []
    for one in users:
        lines += [f"[{one['entity']}]", f"  key = {one['key']}"]
        lines += [f'  caps {service} = "{text}"' for service, text in sorted(one.get("caps", {}).items())]
    return "\n".join([*lines, ""])


def merged(own: str, other: str) -> str:
    """Two keyrings as one; where both have an entry, the first one's counts."""
    entries = {}
    for text in (other, own):
        for block in filter(None, (one.strip() for one in text.split("[")[1:])):
            entries[block.split("]")[0]] = f"[{block}\n"
    return "".join(entries.values())


def told(session: Session, cluster: str) -> dict[str, str]:
    """What the cluster says of itself, for a back-up: texts by their names.

    :raises CephError: it does not answer.
    """
    answers = session.ask_all([*(Command(one) for one in ASKED.values()), Command("auth ls")])
    texts = {name: json.dumps(answer) for name, answer in zip(ASKED, answers[:-1], strict=True)}
    manifest = {
        "cluster": cluster,
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "osdmap": int(json.loads(texts["osds"])["epoch"]),
    }
    return {MANIFEST: json.dumps(manifest), KEYRING: keyring_of(answers[-1]["auth_dump"]), **texts}


def manifest_of(texts: Mapping[str, str], path: str, cluster: str) -> dict[str, Any]:
    """What a back-up says of itself.

    :raises StoreError: it is none, or another cluster's.
    """
    try:
        found = dict(json.loads(texts[MANIFEST]))
    except (KeyError, ValueError) as error:
        raise StoreError(f"{path} is no back-up of Ceph's monitors") from error
    if found.get("cluster") != cluster:
        raise StoreError(f"{path} is of the cluster {found.get('cluster')}, not of {cluster}: name another back-up")
    return found


def _tool(words: Sequence[str], doing: str, run: Run) -> None:
    try:
        done = run(list(words), TOOL_SECONDS)
    except programs.CommandTimeoutError as error:
        raise StoreError(f"{doing}: {error}") from error
    if done.returncode:
        said = " | ".join(line.strip() for line in (done.stderr or done.stdout).splitlines()[-3:])
        raise StoreError(f"{doing}: {words[0]} ended with {done.returncode}: {said}")


def answering(monitors: Mapping[str, str]) -> dict[str, str]:
    """Those monitors that listen. :param monitors: their addresses by their names."""
    found = {}
    for name, address in monitors.items():
        with contextlib.suppress(OSError), socket.create_connection((address, PORT), LISTEN_SECONDS):
            found[name] = address
    return found


def join(name: str, cluster: str, others: Mapping[str, str], keyring: str, run: Run = programs.run) -> None:
    """Make the store of a monitor that joins others, with their map of monitors.

    With a map of its own, two new ones could take themselves for the majority and begin an empty cluster.

    :param others: addresses of monitors that answer. :param keyring: the keyring that a monitor begins with.
    :raises StoreError: they do not tell, or are of another cluster.
    """
    shutil.rmtree(GATHERED, ignore_errors=True)
    os.makedirs(GATHERED, mode=0o700)
    try:
        keys, path = os.path.join(GATHERED, "keyring"), os.path.join(GATHERED, "monmap")
        files.replace(keys, keyring, 0o600)
        files.replace(path, _map(cluster, others, keys), 0o600)
        store = os.path.join(GATHERED, STORE)
        os.mkdir(store, 0o750)
        words = ["ceph-mon", "--mkfs", "-i", name, "--mon-data", store, "--monmap", path, "--keyring", keys]
        _tool(words, "making the monitor's store", run)
        set_aside(name)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(directory_of(name))
        shutil.move(store, directory_of(name))
        own(directory_of(name))
    finally:
        shutil.rmtree(GATHERED)


def _map(cluster: str, others: Mapping[str, str], keyring: str) -> bytes:
    """The map of monitors, as they have it."""
    ends = ",".join(f"[v2:{address}:{PORT}]" for address in others.values())
    settings = {"mon_host": ends, "ms_mon_client_mode": "secure", "ms_client_mode": "secure"}
    settings["client_mount_timeout"] = str(ANSWER_SECONDS)
    with connected("mon.", keyring, "", settings) as session:
        if (found := str(session.cluster.get_fsid())) != cluster:
            raise StoreError(f"the monitors {', '.join(others)} are of the cluster {found}, not of {cluster}")
        status, output, said = session.cluster.mon_command(json.dumps({"prefix": "mon getmap"}), b"", timeout=60)
    if status:
        raise StoreError(f"the monitors {', '.join(others)} do not tell who they are: {said or status}")
    return bytes(output)


def gather(found: Sequence[osds.Osd], before: str, after: str, passphrase: str, run: Run = programs.run) -> None:
    """Add to a store what the OSDs of this host know, all of which stand still.

    :param before: the sealed store of the hosts before; empty on the first one. :param after: where it is put.
    :raises StoreError: a program fails. :raises sealed.SealError: ``before`` cannot be opened.
    """
    shutil.rmtree(GATHERED, ignore_errors=True)
    os.makedirs(GATHERED, mode=0o700)
    if before:
        sealed.unseal(before, passphrase, GATHERED)
    store = os.path.join(GATHERED, STORE)
    os.makedirs(store, mode=0o700, exist_ok=True)
    for one in found:
        home = os.path.join(osds.DIRECTORY, f"ceph-{one.number}")
        words = ["ceph-objectstore-tool", "--no-mon-config", "--data-path", home, "--op", "update-mon-db"]
        _tool([*words, "--mon-store-path", store], f"asking osd.{one.number} for the maps that it has", run)
        # the tool runs as root and leaves files of its own
        own(home)
    sealed.seal(after, passphrase, {}, {STORE: store})
    shutil.rmtree(GATHERED)


def own(directory: str) -> None:
    """Give a directory with all in it, but not what links lead to, to the account of Ceph's daemons."""
    account = pwd.getpwnam(ACCOUNT)
    for _place, below, names, handle in os.fwalk(directory):
        for name in (*below, *names):
            os.chown(name, account.pw_uid, account.pw_gid, dir_fd=handle, follow_symlinks=False)
        os.fchown(handle, account.pw_uid, account.pw_gid)


def set_aside(name: str) -> str:
    """Put a monitor's directory out of the way; its new name, or nothing where there is none."""
    directory = directory_of(name)
    if not os.path.isdir(directory) or not os.listdir(directory):
        return ""
    aside = f"{directory}.{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    os.rename(directory, aside)
    return aside


def rebuild(
    name: str, address: str, cluster: str, gathered: str, keyring: str, passphrase: str, run: Run = programs.run
) -> None:
    """Make the store of a monitor, the first one of all, of what was gathered from OSDs.

    :param address: where it answers. :param keyring: keys of monitors and users, with their capabilities.
    :raises StoreError: a program fails. :raises sealed.SealError: what was gathered cannot be opened.
    """
    shutil.rmtree(GATHERED, ignore_errors=True)
    os.makedirs(GATHERED, mode=0o700)
    sealed.unseal(gathered, passphrase, GATHERED)
    store = os.path.join(GATHERED, STORE)
    keys = os.path.join(store, "keyring")
    files.replace(keys, keyring, 0o600)
    # it takes the monitors of the configuration as many as it is to name; it ends well even where they are not
    alone = f"--mon-host=[v2:{address}:3300]"
    words = ["ceph-monstore-tool", store, "rebuild", alone, "--", "--keyring", keys, "--mon-ids", name]
    _tool(words, "making the monitor's store", run)
    # from now on the store holds the others
    files.replace(keys, "".join(f"[{one}" for one in keyring.split("[") if one.startswith("mon.]")), 0o600)
    _know_alone(name, address, cluster, store, run)
    # otherwise it would wait for the others that the configuration names, which may have nothing
    words = ["ceph-kvstore-tool", "rocksdb", os.path.join(store, "store.db"), "set", "monitor", "joined", "ver", "1"]
    _tool(words, "telling the monitor that it is a member", run)
    set_aside(name)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(directory_of(name))
    shutil.move(store, directory_of(name))
    own(directory_of(name))
    shutil.rmtree(GATHERED)


def _know_alone(name: str, address: str, cluster: str, store: str, run: Run) -> None:
    """Have a monitor know no other: the others join it with stores of their own."""
    path = os.path.join(GATHERED, "monmap")
    create = ["monmaptool", "--create", "--clobber", "--fsid", cluster, "--enable-all-features"]
    create += ["--set-min-mon-release", "reef", "--addv", name, f"[v2:{address}:3300]", path]
    _tool(create, "making the map of monitors", run)
    inject = ["ceph-mon", "-i", name, "--mon-data", store, "--inject-monmap", path]
    _tool(inject, "telling the monitor that it is alone", run)


def restored(texts: Mapping[str, str], session: Session) -> list[tuple[str, Command]]:
    """What of a back-up the cluster does not have: keys, central configuration, stored values, file systems.

    What differs stays as the cluster has it: the inventory may say it anew.
    """
    asked = ("auth ls", "config dump", "config-key ls", "fs dump", "osd dump")
    users, settings, stored, filesystems, dump = session.ask_all([Command(one) for one in asked])
    found: list[tuple[str, Command]] = []
    known = {one["entity"] for one in users["auth_dump"]}
    for block in filter(None, (one.strip() for one in texts[KEYRING].split("[")[1:])):
        entity = block.split("]")[0]
        if entity not in known:
            found.append((f"the key of {entity}", Command("auth import", data=f"[{block}\n".encode())))
    present = {(one["section"], one.get("mask", ""), one["name"]) for one in settings}
    for one in json.loads(texts["config"]):
        mask = one.get("mask", "")
        if (one["section"], mask, one["name"]) not in present:
            who = f"{one['section']}/{mask}" if mask else one["section"]
            command = Command("config set", {"who": who, "name": one["name"], "value": str(one["value"])})
            found.append((f"setting {who} {one['name']}", command))
    for key, value in json.loads(texts["config-keys"]).items():
        # configuration was set above, and its history is history
        if key not in stored and not key.startswith(("config/", "config-history/")):
            found.append((f"stored value {key}", Command("config-key set", {"key": key, "val": value})))
    return found + _filesystems(json.loads(texts["filesystems"]), filesystems, dump)


def _filesystems(
    before: Mapping[str, Any], now: Mapping[str, Any], dump: Mapping[str, Any]
) -> list[tuple[str, Command]]:
    """File systems, whose pools OSDs know, and whose names they do not."""
    pools = {int(one["pool"]): str(one["pool_name"]) for one in dump.get("pools", [])}
    known = {one["mdsmap"]["fs_name"] for one in now["filesystems"]}
    found = []
    for one in before["filesystems"]:
        shape = one["mdsmap"]
        name, metadata = shape["fs_name"], int(shape["metadata_pool"])
        data = [int(number) for number in shape["data_pools"]]
        if name not in known and {metadata, *data} <= pools.keys():
            arguments = {"fs_name": name, "metadata": pools[metadata], "data": pools[data[0]]}
            arguments |= {"fscid": int(one["id"]), "force": True, "recover": True}
            found.append((f"file system {name}", Command("fs new", arguments)))
            found += [
                (
                    f"pool {pools[number]} of file system {name}",
                    Command("fs add_data_pool", {"fs_name": name, "pool": pools[number]}),
                )
                for number in data[1:]
            ]
    return found
