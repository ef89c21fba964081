"""Proofs that need data of their own: what a user's key opens and what it does not, and how fast OSDs write."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import secrets
from collections.abc import Callable
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph import health
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import CONFIGURATION
from ansible_collections.stackwright.cloud.plugins.module_utils.common import command

ANSWER_SECONDS = 30
# What a client writes and reads for its bench: pieces of 1 MB, as many as this or for so many seconds.
SPEED_PIECE, SPEED_OBJECTS, SPEED_SECONDS, SPEED_LIMIT = 1 << 20, 256, 5, 120.0
Run = Callable[..., Any]
# What an OSD writes for its bench: 16 MB, in pieces of 1 MB.
BENCH_BYTES, BENCH_PIECE = 16 << 20, 1 << 20


def prove(access: health.Access, key: str) -> str:
    """Try what a user must and must not be able to do, with its own key; what is wrong, or nothing.

    What is written is removed, by the user that wrote it.
    """
    rados: Any = importlib.import_module("rados")
    settings = {"key": key, "client_mount_timeout": str(ANSWER_SECONDS), "rados_osd_op_timeout": str(ANSWER_SECONDS)}
    cluster = rados.Rados(name=access.user, conffile=CONFIGURATION, conf=settings)
    try:
        cluster.connect()
        with contextlib.closing(cluster.open_ioctx(access.pool)) as pool:
            return _tried(access, pool, rados)
    except rados.Error as error:
        return f"{access.user} in pool {access.pool}: {error}"
    finally:
        cluster.shutdown()


def _tried(access: health.Access, pool: Any, rados: Any) -> str:
    name, text = f"stackwright-proof-{secrets.token_hex(8)}", secrets.token_bytes(4096)
    about = f"{access.user} in pool {access.pool}"
    try:
        pool.write_full(name, text)
    except rados.PermissionError:
        if access.may == health.WRITE:
            return f"{about} may not write"
    else:
        try:
            read = pool.read(name, len(text) + 1)
        finally:
            pool.remove_object(name)
        if access.may != health.WRITE:
            return f"{about} wrote, though it may {'only read' if access.may == health.READ else 'do nothing there'}"
        return "" if read == text else f"{about} read something else than it wrote"
    try:
        pool.stat(name)
    except rados.ObjectNotFound:
        return "" if access.may == health.READ else f"{about} looked at an object, though it may do nothing there"
    except rados.PermissionError:
        return "" if access.may == health.NOTHING else f"{about} may not read"
    return ""


def speed(pool: str, run: Run = command.run) -> tuple[float, float]:
    """Bytes a second that a client writes to a pool, and reads of it again; what it wrote is removed.

    :raises OSError: Ceph's own bench fails.
    """
    name = f"stackwright-bench-{secrets.token_hex(8)}"
    common = ["rados", "--pool", pool, "--run-name", name, "--format", "json"]
    size = ["-b", str(SPEED_PIECE), "-O", str(SPEED_PIECE), "--max-objects", str(SPEED_OBJECTS), "-t", "4"]
    try:
        write = _bench([*common, *size, "bench", str(SPEED_SECONDS), "write", "--no-cleanup"], run)
        return write, _bench([*common, "-t", "4", "bench", str(SPEED_SECONDS), "seq"], run)
    finally:
        run([*common, "cleanup"], SPEED_LIMIT)


def _bench(words: list[str], run: Run) -> float:
    done = run(words, SPEED_LIMIT)
    try:
        # megabytes of 1024 kilobytes
        return float(json.loads(done.stdout)["bandwidth"]) * 1048576
    except (KeyError, TypeError, ValueError) as error:
        said = " ".join((done.stderr or done.stdout).split())[-200:]
        raise OSError(errno.EIO, f"rados bench ended with {done.returncode}: {said}") from error


def bench(cluster: Any, osd: int) -> float:
    """Bytes a second that one OSD writes to its own disk.

    :raises OSError: it does not answer.
    """
    command = {"prefix": "bench", "count": BENCH_BYTES, "size": BENCH_PIECE, "format": "json"}
    status, output, said = cluster.osd_command(osd, json.dumps(command), b"", timeout=ANSWER_SECONDS)
    if status:
        raise OSError(-status, f"osd.{osd} does not write for its bench: {said}")
    return float(json.loads(output)["bytes_per_sec"])
