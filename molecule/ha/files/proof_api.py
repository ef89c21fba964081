"""A service over HTTPS that tells what reaches it, on two ports of an address."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import sys
import threading
from typing import Any

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/rabbitmq/stackwright/certificate.pem", "/etc/rabbitmq/stackwright/key.pem")


class Answer(http.server.BaseHTTPRequestHandler):
    """Name of the host, and the request's headers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"host": socket.gethostname(), "headers": list(self.headers.items())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Speaks TLS in the thread of each connection."""

    request_queue_size = 128

    def finish_request(self, request: Any, address: Any) -> None:
        super().finish_request(context.wrap_socket(request, server_side=True), address)

    def handle_error(self, request: Any, address: Any) -> None:
        """A client that went away is no error."""


threading.Thread(target=Server((sys.argv[1], 8900), Answer).serve_forever, daemon=True).start()
Server((sys.argv[1], 8899), Answer).serve_forever()
