"""Problems an operator must mend: what in which document entry, why, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean


@dataclass(frozen=True)
class Problem:
    """One fault. ``path`` is the place in the document ("users[2].domain"), ``resource`` what it is about ("user 'eve'")."""

    cause: str
    mend: str = ""
    path: str = ""
    resource: str = ""

    def __post_init__(self) -> None:
        # A cause may quote what an API said, and with it what tenants wrote.
        for name in ("cause", "mend", "path", "resource"):
            object.__setattr__(self, name, clean(getattr(self, name)))

    def __str__(self) -> str:
        where = " ".join(part for part in (self.path, f"({self.resource})" if self.resource else "") if part)
        text = f"{where}: {self.cause}" if where else self.cause
        return f"{text} {self.mend}" if self.mend else text

    def as_dict(self) -> dict[str, str]:
        """The fields of this problem, for a module's result."""
        return asdict(self)


class CloudError(Exception):
    """Something cannot be done; ``problems`` holds every reason that is known."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ApiError(Exception):
    """A service refused a request or could not be asked. ``status`` is 0 when there was no answer."""

    def __init__(self, status: int, message: str, request: str, mend: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.request = request
        self.mend = mend

    def __str__(self) -> str:
        answer = f"answered {self.status}: " if self.status else ""
        return f"{self.request}: {answer}{self.message}"

    def problem(self, path: str = "", resource: str = "") -> Problem:
        """This error as a problem of one document entry."""
        return Problem(cause=ensure_stop(str(self)), mend=self.mend, path=path, resource=resource)


def unforeseen(error: Exception, path: str = "", resource: str = "") -> Problem:
    """A fault of our own, or an answer that no service should give, as a problem with the place in the code."""
    import os.path

    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})" if trace else ""
    return Problem(
        f"Unforeseen {type(error).__name__}{place}: {ensure_stop(str(error) or 'no text')}",
        "Run again; if it stays, this is a fault of Stackwright: report it with this message.",
        path,
        resource,
    )


def ensure_stop(text: str) -> str:
    """End a sentence with a full stop."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
