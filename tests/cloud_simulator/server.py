"""The HTTP side: one port on 127.0.0.1, a thread per connection, keep-alive, and the ordered faults."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .core import Answer, Call, Dropped, Refusal, Request, State

TITLES = {400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest",
          413: "overLimit", 429: "overLimit", 503: "serviceUnavailable"}  # fmt: skip


def error_body(service: str, status: int, message: str) -> Any:
    """An error as the service words it."""
    if service == "identity":
        return {"error": {"code": status, "message": message, "title": TITLES.get(status, "Error")}}
    if service == "network":
        return {"NeutronError": {"type": TITLES.get(status, "Error"), "message": message, "detail": ""}}
    if service == "dns":
        return {"code": status, "type": TITLES.get(status, "error"), "message": message}
    if service == "orchestration":
        return {"code": status, "title": TITLES.get(status, "Error"), "error": {"message": message, "type": "Error"}}
    if service in ("image", "object-store"):
        return f"<html><head><title>{status}</title></head><body>{message}</body></html>".encode()
    if service == "placement":
        return {"errors": [{"status": status, "title": TITLES.get(status, "Error"), "detail": message}]}
    return {TITLES.get(status, "computeFault"): {"code": status, "message": message}}


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: tests read the calls instead."""

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self) -> None:
        state = self.server.state
        body = self.read_body()
        parts = urlsplit(self.path)
        service, _, rest = parts.path.lstrip("/").partition("/")
        path = "/" + unquote(rest)
        request = Request(
            self.command, service, path, parse_qs(parts.query, keep_blank_values=True), self.headers, body,
            f"{self.server.url}/{service}",
        )  # fmt: skip
        kind = ""
        try:
            with state.lock:
                faults = [f for f in state.faults if f.strikes(self.command, service, parts.path)]
            for fault in faults:
                if fault.delay:
                    time.sleep(fault.delay)
                if fault.drop == "before":
                    raise Dropped
                if fault.status:
                    late = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
                    raise Refusal(fault.status, fault.message, late)
            answer, kind = state.dispatch(request)
            if any(f.drop == "after" for f in faults):
                raise Dropped
        except Refusal as refusal:
            kind = refusal.type
            answer = Answer(refusal.status, error_body(service, refusal.status, refusal.message), refusal.headers)
        except Dropped:
            state.calls.append(Call(self.command, service, kind, parts.path, 0))
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        state.calls.append(Call(self.command, service, kind, parts.path, answer.status, tuple(request.query)))
        self.send(answer)

    def send(self, answer: Answer) -> None:
        data: bytes = b""
        headers = dict(answer.headers)
        if isinstance(answer.body, bytes):
            data = answer.body
            headers.setdefault("Content-Type", "text/html" if answer.status >= 400 else "application/octet-stream")
        elif answer.body is not None:
            data = json.dumps(answer.body).encode()
            headers.setdefault("Content-Type", "application/json")
        headers["x-openstack-request-id"] = f"req-{len(self.server.state.calls)}"
        if answer.status != 204:
            headers.setdefault("Content-Length", str(len(data)))
        lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        # One write for both, so that no packet waits for an acknowledgement.
        self.wfile.write(head if self.command == "HEAD" or answer.status == 204 else head + data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer


class Server(ThreadingHTTPServer):
    """The listening socket."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, state: State, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.state = state
        self.open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error; anything else shows as the traceback."""
        import sys

        if not isinstance(sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def begin(self) -> None:
        """Answer requests from now on."""
        self.thread.start()

    def end(self) -> None:
        """Close the port and all connections."""
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
