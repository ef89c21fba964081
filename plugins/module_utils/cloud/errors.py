"""Problems an operator must mend: what in which document entry, why, and what to do."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem as Problem


def as_result(problem: Problem) -> dict[str, str]:
    """A problem as modules return it: its path in the document and the resource that it is about."""
    return {"cause": problem.cause, "mend": problem.mend, "path": problem.where, "resource": problem.about}


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
        return Problem(cause=ensure_stop(str(self)), mend=self.mend, where=path, about=resource)


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
