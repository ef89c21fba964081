"""Lines on a terminal, with one live line below them that is rewritten in place; or plain lines into a pipe."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TextIO

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean_painted, one_line

ERASE = "\r\x1b[K"


class Screen:
    """Safe to use from the thread that keeps the live line up to date. Nothing but colors gets to the terminal as a
    command."""

    def __init__(self, stream: TextIO, terminal: bool) -> None:
        """:param terminal: whether `stream` can rewrite a line; without that live lines are dropped."""
        self.terminal = terminal
        self._stream = stream
        self._lock = threading.RLock()
        self._live = ""

    def line(self, text: str, stream: TextIO | None = None) -> None:
        """Write `text` and a line end above the live line, to `stream` if another one is given."""
        with self._lock:
            if self._live:
                self._put(self._stream, ERASE)
            self._put(stream or self._stream, clean_painted(text) + "\n")
            if self._live:
                self._draw()

    def live(self, text: str) -> None:
        """Replace the live line by `text`; an empty one removes it."""
        if not self.terminal:
            return
        text = one_line(text)
        with self._lock:
            if text == self._live:
                return
            had, self._live = self._live, text
            if text:
                self._draw()
            elif had:
                self._put(self._stream, ERASE)

    def _draw(self) -> None:
        width = max(20, shutil.get_terminal_size().columns - 1)
        text = self._live if len(self._live) <= width else self._live[: width - 1] + "…"
        self._put(self._stream, ERASE + text)

    @staticmethod
    def _put(stream: TextIO, text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            # The reader left (a pipe into head, a closed window). The run goes on, into the log alone.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
