"""Headless Chromium for the tests of the page, driven over the WebDriver protocol (W3C) with the standard library."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The switches keep Chromium from looking for the network.
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,1000",
]


class Browser:
    """One session of the browser."""

    def __init__(self, address: str, profile: Path) -> None:
        self._address = address
        options = {"binary": "/usr/bin/chromium", "args": [*SWITCHES, f"--user-data-dir={profile}"]}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})["sessionId"]

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._address + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, address: str) -> None:
        """Load a page afresh."""
        self._call("POST", f"/session/{self._session}/url", {"url": "about:blank"})
        self._call("POST", f"/session/{self._session}/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that a script returns."""
        return self._call("POST", f"/session/{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str) -> Any:
        """The value of a script once it is true; the browser's own frames set the pace."""
        loop = (
            "const done = arguments[0], end = performance.now() + 10000;"
            f"const look = () => {{ const value = (() => {{ {script} }})();"
            "if (value || performance.now() > end) done(value); else requestAnimationFrame(look); }; look();"
        )
        return self._call("POST", f"/session/{self._session}/execute/async", {"script": loop, "args": []})

    def click(self, selector: str) -> None:
        """Click as a person does: on what is in sight."""
        found = self._call("POST", f"/session/{self._session}/element", {"using": "css selector", "value": selector})
        element = next(iter(found.values()))
        self._call("POST", f"/session/{self._session}/element/{element}/click", {})

    def keys(self, *keys: str) -> None:
        """Press keys on what has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._call(
            "POST",
            f"/session/{self._session}/actions",
            {"actions": [{"type": "key", "id": "keys", "actions": actions}]},
        )

    def log(self) -> list[str]:
        """What the browser complained of since the last call."""
        entries = self._call("POST", f"/session/{self._session}/se/log", {"type": "browser"})
        return [one["message"] for one in entries]

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of Chromium's own debugging protocol."""
        return self._call("POST", f"/session/{self._session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def close(self) -> None:
        """End the session and its browser."""
        self._call("DELETE", f"/session/{self._session}")


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile, gone at the end."""
    driver = subprocess.Popen(
        ["/usr/bin/chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert driver.stdout is not None
        line = next(one for one in driver.stdout if "started successfully on port" in one)
        session = Browser(f"http://127.0.0.1:{int(line.rstrip().rstrip('.').rsplit(' ', 1)[1])}", profile)
        try:
            yield session
        finally:
            session.close()
    finally:
        driver.terminate()
        driver.wait(timeout=30)
