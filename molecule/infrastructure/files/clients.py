"""Connects to database and message queue again and again as a client that checks chain and name, until it is stopped;
then it tells in /root/clients.json what became of its requests."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import struct
import sys
import time
from typing import Any

CA = "/etc/ssl/stackwright/ca.pem"
HOST = sys.argv[1]
# a client of MariaDB that asks for TLS: protocol 4.1, secure authentication, its plug-ins
ASKS = struct.pack("<IIB23x", 0x00088A00, 1 << 24, 45)
PORTS = {"database": 3306, "messages": 5671}
told: dict[str, Any] = {"served": dict.fromkeys(PORTS, 0), "issuers": {name: [] for name in PORTS}, "failed": []}
stopped: list[int] = []


def ask(service: str) -> str:
    """One connection; who issued the certificate that was shown."""
    context = ssl.create_default_context(cafile=CA)
    with socket.create_connection((HOST, PORTS[service]), timeout=30) as plain:
        if service == "database":
            plain.recv(4096)
            plain.sendall(len(ASKS).to_bytes(3, "little") + b"\x01" + ASKS)
        with context.wrap_socket(plain, server_hostname=HOST) as connection:
            if service == "messages":
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                if b"RabbitMQ" not in connection.recv(4096):
                    raise ConnectionError("the broker did not say its name")
            return str((connection.getpeercert() or {}).get("issuer"))


signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
while not stopped:
    for service in PORTS:
        try:
            issuer = ask(service)
        except OSError as error:
            told["failed"].append(f"{time.strftime('%T')} {service}: {error}")
            continue
        told["served"][service] += 1
        if issuer not in told["issuers"][service]:
            told["issuers"][service].append(issuer)
    time.sleep(0.1)
with open("/root/clients.json", "w", encoding="utf-8") as stream:
    json.dump(told, stream)
