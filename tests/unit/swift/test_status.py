"""How the object store is, asked of real HTTP servers that answer as recon does."""

from __future__ import annotations

import http.server
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.swift import recon
from ansible_collections.stackwright.cloud.plugins.modules import swift_status

Run = Callable[..., dict[str, Any]]
HOUR = 3600.0


def answers(**more: Any) -> dict[str, Any]:
    """What a healthy node says."""
    now = time.time()
    return {
        "diskusage": [{"device": "d1", "mounted": True, "size": 1000, "used": 400, "avail": 600}],
        "unmounted": [],
        "quarantined": {"accounts": 0, "containers": 0, "objects": 0, "policies": {}},
        "async": {"async_pending": 3},
        "replication/object": {"object_replication_last": now - 60, "object_replication_time": 1},
        "reconstruction/object": {"object_reconstruction_last": now - 90},
        "auditor/object": {"object_auditor_stats_ALL": {"audit_time": 120.0}},
        "ringmd5": {"/etc/swift/object.ring.gz": "a" * 32},
        "time": time.time,
        "replication/container": {"replication_last": now - 150, "replication_stats": {"attempted": 2}},
        "replication/account": {"replication_last": now - 30, "replication_stats": {"attempted": 1}},
        "auditor/container": {"container_audits_passed": 2},
        "auditor/account": {"account_audits_passed": 1},
        **more,
    }


class Servers:
    """Simulated nodes behind one port: the first part of the path says which."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                node = self.headers["Host"].split(":")[0]
                said = owner.nodes.get(node, {}).get(self.path.removeprefix("/recon/"))
                said = said() if callable(said) else said
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(404 if said is None else 200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        # all addresses of 127/8 are this machine's
        self.server = http.server.ThreadingHTTPServer(("", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name: str, said: dict[str, Any]) -> str:
        """A node at an address of its own; returns what the module is told."""
        number = len(self.nodes)
        address = f"127.0.{number // 200 + 1}.{number % 200 + 1}"
        self.nodes[address] = said
        port = self.server.server_address[1]
        return f"{address},object={port},container={port},account={port}"


@pytest.fixture
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_healthy_cluster_has_a_table_and_no_problem(servers: Servers, run_module: Run, tmp_path: Path) -> None:
    nodes = {f"object{number}": servers.add(f"object{number}", answers()) for number in (1, 2)}
    samples = tmp_path / "usage.json"
    answer = run_module(swift_status, nodes=nodes, rings={"object.ring.gz": "a" * 32}, samples=str(samples))
    assert answer["problems"] == [] and answer["days"] is None
    lines = answer["table"].splitlines()
    assert lines[0].split() == [
        *"node used fullest unmounted quarantined pending replicated reconstructed audit".split()
    ]
    assert lines[1].split()[:4] == ["object1", "40.0", "%", "40.0"] and lines[1].endswith("2.0 min")
    # the pass that is the longest ago
    assert lines[1].split()[8:10] == ["2.5", "min"]
    assert lines[-1] == "2 nodes, 40.0 % used, full: not foreseen"
    assert answer["nodes"][0]["pending"] == 3 and len(json.loads(samples.read_text())) == 1


def test_everything_to_look_at_is_told(servers: Servers, run_module: Run, tmp_path: Path) -> None:
    said = answers(
        diskusage=[
            {"device": "d1", "mounted": True, "size": 100, "used": 95},
            {"device": "d2", "size": "", "used": ""},
        ],
        unmounted=[{"device": "d2\x1b[31m", "mounted": False}],
        quarantined={"objects": 2},
        ringmd5={"/etc/swift/object.ring.gz": "b" * 32},
        time=lambda: time.time() + 60,
    )
    said["async"] = {"async_pending": 5000}
    said["replication/object"] = {"object_replication_last": time.time() - 49 * HOUR}
    said["replication/account"] = {"replication_last": time.time() - 72 * HOUR, "replication_stats": {"attempted": 0}}
    del said["replication/container"]
    nodes = {"object1": servers.add("object1", said), "object2": "127.0.0.1,object=1,container=1,account=1"}
    options = {"nodes": nodes, "rings": {"object.ring.gz": "a" * 32}, "samples": str(tmp_path / "none.json")}
    answer = run_module(swift_status, check=True, **options)
    told = "\n".join(answer["problems"])
    for expected in (
        "object1: container server: HTTP Error 404" if "HTTP Error" in told else "object1: container server: Not Found",
        "object1: device d2\\x1b[31m is not mounted",
        "object1: its fullest disk is 95 % full",
        "object1: 2 objects are quarantined",
        "object1: 5000 updates of listings are pending",
        "object1: last replicated 2.0 d ago",
        "object1: last replicated account databases 3.0 d ago",
        "object1: its account replicator sees no database though there are some",
        "object1: its clock is off by +60 s",
        "object1: /etc/swift/object.ring.gz is not the ring of the inventory",
        "object2: object server: ",
    ):
        assert expected in told
    about = [one.partition(": ")[2].split(" ")[0] for one in answer["missing"]]
    assert about == ["container", "device", *["object", "container", "account"]]
    assert set(answer["missing"]) < set(answer["problems"])
    assert not (tmp_path / "none.json").exists()
    assert "is not mounted" not in "\n".join(
        run_module(swift_status, check=True, plain=["object1"], **options)["problems"]
    )


def test_a_node_without_databases_is_not_idle() -> None:
    said = answers()
    said["replication/account"] = {"replication_stats": {"attempted": 0}}
    for read, idle in (({}, ()), ({"account_audits_passed": 0}, ()), ({"account_audits_passed": 3}, ("account",))):
        said["auditor/account"] = read
        assert recon.row(recon.Node("object1", said), time.time()).idle == idle


@pytest.mark.parametrize("said", [None, [], "text", {"object_replication_last": "yesterday"}, b"<html>"])
def test_answers_of_another_shape_are_unknown(servers: Servers, said: Any) -> None:
    node = servers.add("object1", dict.fromkeys(answers(), said))
    row = recon.row(recon.gather({"object1": node}, 8, 2.0)[0], time.time())
    assert (row.fullest, row.size, row.unmounted, row.replicated, row.audited, row.skew) == (
        None,
        0,
        (),
        None,
        None,
        None,
    )
    assert recon.table([row], None).splitlines()[1].split()[1] == "-"


def test_two_hundred_nodes_are_asked_a_bounded_number_at_a_time() -> None:
    at_once = 32
    together, begun = threading.Barrier(at_once, timeout=60), itertools.count()
    running, most, lock = 0, 0, threading.Lock()
    said = answers()

    def question(url: str, timeout: float) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if next(begun) < at_once:
            # the first ones answer once as many as may be are asked, so that fewer would never end
            together.wait()
        with lock:
            running -= 1
        return said[url.split("/recon/")[1]]

    nodes = {f"object{number}": f"192.0.2.{number}" for number in range(200)}
    gathered = recon.gather(nodes, at_once, 3.0, question)
    assert len(gathered) == 200 and not any(one.faults for one in gathered)
    assert most == at_once


def test_a_node_that_does_not_answer_is_asked_once_for_each_server() -> None:
    asked: list[str] = []

    def silent(url: str, timeout: float) -> Any:
        asked.append(url)
        raise TimeoutError("timed out")

    (slow,) = recon.gather({"slow": "192.0.2.1"}, 4, 0.1, silent)
    assert len(slow.faults) == len(asked) == 3


def test_the_forecast_follows_how_it_filled() -> None:
    day = 24 * HOUR
    samples = [{"time": number * day, "used": 100.0 + 10 * number, "size": 1000.0} for number in range(11)]
    assert recon.forecast(samples) == pytest.approx(70)
    assert recon.forecast(samples[:1]) is None and recon.forecast([]) is None
    assert recon.forecast([{**one, "used": 500.0} for one in samples]) is None
    assert recon.forecast([samples[0], {**samples[1], "time": 60.0}]) is None
    assert recon.table([], 70.2).endswith("full: in 70 days")


@pytest.mark.parametrize("text", ["{", "[1]", '[{"time": 1}]'])
def test_samples_that_cannot_be_read_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "usage.json").write_text(text)
    assert swift_status.earlier(tmp_path / "usage.json") == []


def test_times_are_short() -> None:
    assert [recon.duration(one) for one in (None, 5, 90, 7200, 172800)] == ["-", "5 s", "1.5 min", "2.0 h", "2.0 d"]
