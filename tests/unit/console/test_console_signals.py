"""What the console does when it is told to end."""

from __future__ import annotations

import os
import signal
import threading

from ansible_collections.stackwright.cloud.plugins.callback.console import CallbackModule


class Reporter:
    """Notes when the run is broken off, which needs the lock that whoever writes a line holds."""

    def __init__(self):
        self.lock = threading.RLock()
        self.steps = []

    def interrupted(self):
        self.steps.append("interrupted")

    def run_broken_off(self):
        with self.lock:
            self.steps.append("broken off")


def test_a_line_is_written_to_its_end_before_the_run_ends():
    reporter, acted = Reporter(), threading.Event()
    console = CallbackModule()
    console._reporter = reporter
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGTERM, lambda *_: (reporter.steps.append("Ansible"), acted.set()))
        console._handle_signals()
        with reporter.lock:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not acted.wait(0.2)
            assert reporter.steps == ["interrupted"]
        # the signal comes from another thread, and Python handles it in this one, between two steps of it
        assert any(acted.wait(0.1) for _ in range(300))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert [step for step in reporter.steps if step != "interrupted"] == ["broken off", "Ansible"]
