"""The alarming service raises an alarm by an event on the message queue, tells it, and keeps it for its project."""

from __future__ import annotations

import importlib
import json
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Bench, ProofError, Tenant

SERVICE = "alarming"
CONFIGURATION = "/etc/aodh/aodh.conf"
EVENT = "stackwright.verify"
# Types of traits in events. Source: Aodh, aodh/evaluator/event.py.
TEXT = 1


def publish(events: list[dict[str, Any]]) -> None:
    """Put events on the queue that the listener reads, with its own configuration, as a collector of events does.

    :raises ProofError: the host lacks the libraries, or the message queue does not take them.
    """
    try:
        messaging: Any = importlib.import_module("oslo_messaging")
        cfg: Any = importlib.import_module("oslo_config.cfg")
    except ImportError as error:
        raise ProofError("python3-oslo.messaging is not installed where the proof runs") from error
    conf = cfg.ConfigOpts()
    conf.register_opts([cfg.StrOpt("event_alarm_topic", default="alarm.all")], group="listener")
    conf([], project="aodh", default_config_files=[CONFIGURATION], default_config_dirs=[])
    transport = messaging.get_notification_transport(conf)
    try:
        notifier = messaging.Notifier(
            transport, "stackwright-verify", driver="messagingv2", topics=[conf.listener.event_alarm_topic], retry=3
        )
        notifier.sample({}, "event", events)
    except messaging.MessagingException as error:
        raise ProofError(f"the message queue does not take an event: {error}") from error
    finally:
        transport.cleanup()


@contextmanager
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web server of this host, which nobody else reaches: its address, and the messages that it is sent."""
    received: list[dict[str, Any]] = []
    token = secrets.token_urlsafe(16)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == f"/{token}":
                received.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/{token}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _event(project: str, mark: str) -> dict[str, Any]:
    return {
        "message_id": str(uuid.uuid4()),
        "event_type": EVENT,
        "traits": [["project_id", TEXT, project], ["mark", TEXT, mark]],
    }


def _alarm(owner: Tenant, name: str, mark: str, address: str) -> str:
    query = [{"field": "traits.mark", "op": "eq", "type": "string", "value": mark}]
    body = {
        "name": name,
        "type": "event",
        "event_rule": {"event_type": EVENT, "query": query},
        "alarm_actions": [address],
    }
    return str(owner.need(SERVICE, "POST", "/v2/alarms", 201, json=body).body["alarm_id"])


def prove(bench: Bench, send: Callable[[list[dict[str, Any]]], None] = publish) -> list[str]:
    """Make an alarm, raise it by an event, and set it back. Runs on a host that has the service's configuration.

    :raises ProofError: the alarming service fails.
    """
    mark = secrets.token_hex(12)
    with bench.tenant("other") as other, bench.tenant("owner") as owner, told() as (address, received):
        alarm = _alarm(owner, bench.name("alarm"), mark, address)
        path = f"/v2/alarms/{alarm}"
        try:
            if (before := owner.need(SERVICE, "GET", f"{path}/state", 200).body) != "insufficient data":
                raise ProofError(f"a new alarm has the state {before!r}, not 'insufficient data'")
            other.client.refused(SERVICE, "GET", path, "another project sees an alarm")
            other.client.refused(SERVICE, "DELETE", path, "another project removes an alarm")
            # what the alarm is not for comes first: it must not raise it
            send([_event(owner.project, f"not {mark}"), _event(other.project, mark)])
            right = _event(owner.project, mark)
            send([right])
            bench.wait(
                "an event raises the alarm", lambda: owner.need(SERVICE, "GET", f"{path}/state", 200).body == "alarm"
            )
            message = bench.wait("the notifier tells the alarm", lambda: received[:1])[0]
            cause = ((message.get("reason_data") or {}).get("event") or {}).get("message_id")
            if (message.get("alarm_id"), message.get("current"), cause) != (alarm, "alarm", right["message_id"]):
                raise ProofError(f"the notifier tells of {message.get('alarm_id')}, raised by the event {cause}")
            owner.need(SERVICE, "PUT", f"{path}/state", 200, json="ok")
            if (after := owner.need(SERVICE, "GET", f"{path}/state", 200).body) != "ok":
                raise ProofError(f"an alarm that was set to 'ok' has the state {after!r}")
        finally:
            owner.ask(SERVICE, "DELETE", path)
    return ["an event raises an alarm, which is told", "its state is set and read", "another project is refused"]
