"""The one error that the lab's code raises on purpose."""

from __future__ import annotations


class LabError(Exception):
    """Something an operator has to know: what was being done, what went wrong and what to do next.

    Args:
        message: What was being done and to what.
        cause: What went wrong, for example the last lines of a command's output.
        remedy: What the operator can do about it.
    """

    def __init__(self, message: str, cause: str = "", remedy: str = "") -> None:
        self.message = message
        self.cause = cause.strip()
        self.remedy = remedy
        super().__init__(self.text())

    def text(self) -> str:
        """Return message, cause and remedy as one paragraph."""
        parts = [self.message.rstrip(".:")]
        if self.cause:
            parts[0] += f": {self.cause}"
        if self.remedy:
            parts.append(self.remedy)
        return ". ".join(part.rstrip(".") for part in parts) + "."
