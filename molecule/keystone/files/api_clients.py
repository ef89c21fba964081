"""Asks the identity service again and again as clients that check chain and name, until it is stopped; then it tells in
/root/api-clients.json what became of their requests."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import ssl
import sys
import threading
import time
from typing import Any

CA = "/etc/ssl/stackwright/ca.pem"
HOST = sys.argv[1]
CLIENTS = 4
told: dict[str, Any] = {"served": 0, "certificates": [], "failed": [], "longest": 0.0}
stopped = threading.Event()
lock = threading.Lock()


def ask() -> tuple[str, int]:
    """One request on a connection of its own: the certificate that was shown, and the status."""
    context = ssl.create_default_context(cafile=CA)
    connection = http.client.HTTPSConnection(HOST, 5000, timeout=120, context=context)
    try:
        connection.request("GET", "/v3")
        shown = connection.sock.getpeercert(binary_form=True)
        answer = connection.getresponse()
        answer.read()
        return hashlib.sha256(shown or b"").hexdigest(), answer.status
    finally:
        connection.close()


def client() -> None:
    """One client."""
    while not stopped.is_set():
        begun = time.monotonic()
        try:
            shown, status = ask()
            failure = "" if status == 200 else f"HTTP {status}"
        except (OSError, http.client.HTTPException) as error:
            shown, failure = "", f"{type(error).__name__}: {error}"
        with lock:
            told["longest"] = max(told["longest"], round(time.monotonic() - begun, 2))
            if failure:
                told["failed"].append(f"{time.strftime('%T')} {failure}")
            else:
                told["served"] += 1
                if shown not in told["certificates"]:
                    told["certificates"].append(shown)
        time.sleep(0.05)


signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
for one in clients:
    one.start()
while not stopped.wait(1):
    pass
for one in clients:
    one.join()
with open("/root/api-clients.json", "w", encoding="utf-8") as stream:
    json.dump(told, stream)
