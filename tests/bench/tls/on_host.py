"""The part of the measurement that runs on the controller: see bench.py."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import statistics
import subprocess
import sys
import time

HOST, CLEAR, SECURE = "127.0.0.1", 15000, 15001
CA, SHOWN = "/etc/ssl/stackwright/ca.pem", "/etc/keystone/stackwright"
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
INI = "/etc/keystone/keystone-uwsgi.ini"
TRUSTED = ssl.create_default_context(cafile=CA)
DOMAIN = {"id": "default"}
USER = {"name": "admin", "domain": DOMAIN, "password": os.environ["BENCH_PASSWORD"]}
LOGIN = {
    "identity": {"methods": ["password"], "password": {"user": USER}},
    "scope": {"project": {"name": "admin", "domain": DOMAIN}},
}


def answered(secure: bool, path: str, headers: dict[str, str], body: str | None = None) -> http.client.HTTPResponse:
    """The answer to a call on a connection of its own."""
    connection = (
        http.client.HTTPSConnection(HOST, SECURE, timeout=60, context=TRUSTED)
        if secure
        else http.client.HTTPConnection(HOST, CLEAR, timeout=60)
    )
    connection.request("POST" if body else "GET", path, body, {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status >= 400:
        raise SystemExit(f"{path}: HTTP {answer.status}")
    return answer


def call(secure: bool, path: str, headers: dict[str, str]) -> float:
    """Milliseconds of one call."""
    begun = time.perf_counter()
    answered(secure, path, headers)
    return (time.perf_counter() - begun) * 1000


def ready(server: subprocess.Popen[bytes]) -> None:
    """Wait until both listen and answer."""
    end = time.monotonic() + 120
    while True:
        try:
            for secure in (False, True):
                call(secure, "/v3", {})
            return
        except OSError as error:
            if server.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"uWSGI does not serve: {error}") from error
            time.sleep(0.5)


def main() -> None:
    """Measure, and print a line for each kind of call."""
    pairs = int(sys.argv[1])
    command = ["runuser", "-u", "keystone", "--", "uwsgi_python3", "--http-socket", f"{HOST}:{CLEAR}"]
    shown = f"{SHOWN}/certificate.pem,{SHOWN}/key.pem,{CIPHERS}"
    command += ["--https-socket", f"{HOST}:{SECURE},{shown}", "--ini", INI]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ready(server)
        token = answered(True, "/v3/auth/tokens", {}, json.dumps({"auth": LOGIN})).headers["X-Subject-Token"]
        calls = {"page": ("/v3", {}), "token": ("/v3/auth/tokens", {"X-Auth-Token": token, "X-Subject-Token": token})}
        for name, asked in calls.items():
            times: dict[bool, list[float]] = {True: [], False: []}
            for number in range(pairs):
                for secure in (True, False) if number % 2 else (False, True):
                    times[secure].append(call(secure, *asked))
            with_tls, without = (statistics.median(times[secure]) for secure in (True, False))
            print(
                f"{name}: {with_tls:.1f} ms with TLS, {without:.1f} ms without, "
                f"{with_tls - without:+.1f} ms, ratio {with_tls / without:.2f}"
            )
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
