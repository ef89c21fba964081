"""What an operator needs to read of a task's result: what changed, or why it failed and what to do."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HIDDEN = "The task hides its output, because it handles secrets (no_log)."
TAIL_LINES = 10
SHOWN = 6

CHANGE_LISTS: tuple[tuple[str, str, str], ...] = (
    ("changes", "", ""),
    ("changed_files", "", ""),
    ("created", "created", "create"),
    ("updated", "updated", "update"),
    ("deleted", "deleted", "delete"),
    ("added", "added", "add"),
    ("removed", "removed", "remove"),
    ("restart", "restart due:", "restart due:"),
    ("restarted", "restarted", "restart"),
)
"""Result keys that list what changed: key, the verb in front of the list, the same in check mode.

`changes` is the whole story where a module gives it; the others add up."""

SUBJECTS = ("dest", "path", "name", "unit", "repo", "key")
"""Result keys of other modules that name the one thing they changed."""

NOISE = (
    re.compile(r"^Task failed(?:\.|: )\s*"),
    re.compile(r"^(?:Action|Module) failed(?:\.|: )\s*"),
    re.compile(r"^Unexpected \w+ error(?:\.|: )\s*"),
    re.compile(r"^Finalization of task args for '[^']*' failed(?:\.|: )\s*"),
    re.compile(r"^Error loading loop expression: "),
)

CRASH = re.compile(r"\bModule failed: ")

CONTEXT = (
    (re.compile(r"^Error while resolving value for '([^']*)'(?:\.|: )\s*"), "in the value of {0}"),
    (re.compile(r"^Error while evaluating conditional(?:\.|: )\s*"), "in a condition"),
    (re.compile(r"^Error rendering template(?:\.|: )\s*"), "in a template"),
)

ADVICE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        (
            r"permission denied \(|permission denied, please try again|publickey",
            "Let your SSH key in on the host, or correct ansible_user and the key in the inventory.",
        ),
        (
            r"host key verification failed|host identification has changed",
            "The host's SSH key is unknown or new. If it was reinstalled: ssh-keygen -R ADDRESS, then log in by hand.",
        ),
        (
            r"proxyerror|(unable|cannot|failed) to connect to proxy|tunnel connection failed",
            "A proxy from the environment was asked (http_proxy, https_proxy). Add the cloud's addresses to no_proxy.",
        ),
        (
            # When ssh ends before Ansible has written to it, ssh's own words are lost and the last of these remains.
            r"connection (refused|timed out|closed|reset)|no route to host|operation timed out|could "
            r"not be sent to remote host",
            "See whether the machine runs and its address (ansible_host) is right, then try: ssh ADDRESS.",
        ),
        (
            r"could not resolve hostname|name or service not known",
            "Correct the host's name or set ansible_host in the inventory.",
        ),
        (
            r"(missing|incorrect) sudo password|password is required",
            "The user needs sudo without a password on the host, or give --ask-become-pass.",
        ),
        (r"no space left on device|disk quota exceeded", "Make room on the host's disk (see df -h)."),
        (
            r"could not get lock|unable to (?:acquire|lock).*dpkg|dpkg frontend lock",
            "Another package manager runs on the host; wait for its end.",
        ),
        (
            r"temporary failure resolving|temporary failure in name resolution|could not resolve '",
            "The host cannot resolve names; mend its DNS servers (/etc/resolv.conf).",
        ),
        (
            r"unable to fetch some archives|failed to fetch|could not connect to .*:80",
            "The package mirror does not answer from the host; mend the network or choose another mirror.",
        ),
        (
            r"attempting to decrypt but no vault secrets found|decryption failed",
            "No vault key in use opens a file of the inventory. The first line of an encrypted file "
            "names its label, if it has one: give "
            "--vault-id LABEL@FILE. Otherwise put its key into the file that tools/vault-key path names.",
        ),
        (
            r"' is undefined\b|is undefined$|has no attribute '",
            "Define the variable in the inventory; docs/reference lists what each role takes.",
        ),
        (r"/usr/bin/python3: not found|python3?: (?:command )?not found", "Install python3 on the host."),
        (r"^The module broke off", "This is a defect of the module; the trace is shown with -vvv."),
    )
)
"""Causes that modules and Ansible itself report without a remedy."""


@dataclass(frozen=True)
class Failure:
    """Why a task failed on a host, reduced to what an operator reads."""

    cause: str
    details: tuple[str, ...] = ()
    advice: str = ""
    where: str = ""


def is_hidden(data: Mapping[str, Any]) -> bool:
    """Whether the result may not be shown (no_log)."""
    return bool(data.get("_ansible_no_log")) or "censored" in data


def text_of(value: Any) -> str:
    """`value` as an operator reads it: strings as they are, lists of strings as lines, the rest as JSON."""
    if isinstance(value, str):
        return value.strip("\n")
    if isinstance(value, Sequence) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    return json.dumps(value, indent=2, sort_keys=True, default=str, ensure_ascii=False)


def listing(names: Iterable[Any], shown: int = SHOWN) -> str:
    """The first of `names` with commas, and how many more there are."""
    all_names = [brief(name) for name in names]
    if len(all_names) <= shown + 1:
        return ", ".join(all_names)
    return f"{', '.join(all_names[:shown])} and {len(all_names) - shown} more"


def brief(value: Any, width: int = 160) -> str:
    """One line for an entry of a list: text, or the name in a mapping."""
    if isinstance(value, Mapping):
        value = next(
            (value[key] for key in ("path", "name", "title", "key", "id") if key in value), f"{len(value)} values"
        )
    line = " ".join(str(value).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def item_label(data: Mapping[str, Any]) -> str:
    """What tells this round of a loop from the others; empty for no loop and where nothing short does."""
    if is_hidden(data):
        return ""
    item = data.get("_ansible_item_label", data.get("item"))
    if isinstance(item, Mapping) and not any(key in item for key in ("path", "name", "title", "key", "id")):
        return ""
    if item is None or (isinstance(item, Sequence) and not isinstance(item, str)):
        return ""
    return brief(item, 60)


def changes(data: Mapping[str, Any], check: bool = False) -> str:
    """One line that says what a task changed, or in check mode would; empty when the result does not tell."""
    if is_hidden(data):
        return ""
    if isinstance(data.get("results"), list):
        rounds = [entry for entry in data["results"] if isinstance(entry, Mapping) and entry.get("changed")]
        return listing(filter(None, (item_label(entry) or changes(entry, check) for entry in rounds)))
    parts = []
    for key, done, would in CHANGE_LISTS:
        entries = data.get(key)
        if isinstance(entries, (list, tuple)) and entries:
            verb = would if check else done
            parts.append(f"{verb} {listing(entries)}".strip())
            if key == "changes":
                break
    if parts:
        return "; ".join(parts)
    subject = next((data[key] for key in SUBJECTS if isinstance(data.get(key), str) and data[key]), "")
    return brief(subject)


def parts(data: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Titles and results of the phases that one task did, where a task tells them apart."""
    found = data.get("parts")
    if is_hidden(data) or not isinstance(found, list):
        return []
    return [(str(one["title"]), one) for one in found if isinstance(one, Mapping) and "title" in one]


def failure(data: Mapping[str, Any], where: str = "", unreachable: bool = False) -> Failure:
    """The cause of a failed or unreachable result, with the end of its error output and advice.

    :param where: place in a playbook, role or inventory that the error points at.
    """
    if is_hidden(data):
        return Failure(
            HIDDEN,
            advice="Look on the host itself: the service's log, systemctl status, or run the task's command by hand.",
        )
    said = text_of(data.get("msg") or data.get("reason") or data.get("exception") or "")
    crashed = CRASH.search(said) is not None
    cause, context = _reduced(said)
    details: list[str] = []
    streams = True
    if crashed:
        cause = f"The module broke off on an error of its own: {cause}"
    elif "cmd" in data and "rc" in data and cause in ("", "non-zero return code"):
        command = data["cmd"] if isinstance(data["cmd"], str) else shlex.join(str(word) for word in data["cmd"])
        cause = f"{brief(command)} ended with code {data['rc']}"
    elif data.get("failed_when_result") and not cause:
        cause = "The result meets the task's condition of failure."
    elif "module_stderr" in data or "deserialization failed" in cause:
        trace = text_of(data.get("module_stderr") or data.get("module_stdout") or "").strip()
        last = trace.splitlines()[-1] if trace else "no output"
        cause, streams = f"The module broke off: {brief(last)}", "Traceback" not in trace
    elif unreachable and not cause:
        cause = "The host cannot be reached."
    if "assertion" in data and cause in ("", "Assertion failed"):
        cause = f"Not true: {text_of(data['assertion'])}"
    if data.get("attempts", 1) > 1:
        cause += f" (after {data['attempts']} attempts)"
    problems = data.get("problems")
    if isinstance(problems, (str, list)) and problems:
        entries = problems.splitlines() if isinstance(problems, str) else [_problem(entry) for entry in problems]
        details += [entry for entry in entries if len(entries) > 1 or entry not in cause]
    if streams:
        details += _tail(data, cause)
    remedy = text_of(data.get("hint") or data.get("advice") or "") or advice_of(
        "\n".join([*cause.splitlines()[:1], *details])
    )
    place = ", ".join(filter(None, (where, context)))
    return Failure(cause or "The module gave no cause.", tuple(details), remedy, place)


def _problem(entry: Any) -> str:
    if isinstance(entry, Mapping):
        return "  ".join(str(value) for value in entry.values() if value not in (None, ""))
    return str(entry)


def _reduced(message: str) -> tuple[str, str]:
    """The message without what Ansible puts around it, and what that said of the place."""
    context = ""
    found = True
    while found:
        found = False
        for pattern in NOISE:
            shorter = pattern.sub("", message, count=1)
            if shorter and shorter != message:
                message, found = shorter, True
        for pattern, words in CONTEXT:
            match = pattern.match(message)
            if match and match.end() < len(message):
                message, found = message[match.end() :], True
                context = words.format(*match.groups())
    return message.strip(), context


def _tail(data: Mapping[str, Any], cause: str) -> list[str]:
    """The last lines of the error output, or of the output if there is none."""
    for key in ("stderr", "module_stderr", "stdout", "module_stdout"):
        lines = [line.rstrip() for line in text_of(data.get(key) or "").splitlines() if line.strip()]
        if lines and not (len(lines) == 1 and cause.endswith(lines[0].strip())):
            return lines[-TAIL_LINES:]
    return []


def advice_of(text: str) -> str:
    """What to do about a cause that others report without a remedy; empty where nothing is known."""
    return next((advice for pattern, advice in ADVICE if pattern.search(text)), "")


def failures(data: Mapping[str, Any], where: str = "") -> list[tuple[str, Failure]]:
    """(item, failure) of each failed round of a loop; one with an empty item otherwise."""
    if isinstance(data.get("results"), list):
        failed = [
            entry
            for entry in data["results"]
            if isinstance(entry, Mapping) and (entry.get("failed") or entry.get("unreachable"))
        ]
        if failed:
            return [(item_label(entry), failure(entry, where)) for entry in failed]
    return [(item_label(data), failure(data, where))]


def message(data: Mapping[str, Any]) -> str:
    """What a `debug` task says."""
    if is_hidden(data):
        return ""
    if "msg" in data:
        return text_of(data["msg"])
    return "\n".join(
        f"{key}: {text_of(value)}"
        for key, value in data.items()
        if not key.startswith("_ansible")
        and key not in ("changed", "failed", "skipped", "warnings", "ansible_loop_var", "item", "results")
    )


UNLOGGED = (
    "invocation",
    "diff",
    "warnings",
    "deprecations",
    "stdout_lines",
    "stderr_lines",
    "changed",
    "ansible_loop_var",
)
"""What the log has elsewhere, twice, or (the arguments) should not have."""

FACT_SOURCES = ("ansible.builtin.setup", "ansible.builtin.gather_facts", "setup", "gather_facts")


def dump(data: Mapping[str, Any], action: str = "") -> list[str]:
    """The result as lines for the log. Arguments are left out, and the values of variables (they may be secrets)."""
    if is_hidden(data):
        return [HIDDEN]
    lines: list[str] = []
    for key in sorted(data):
        value = data[key]
        if key.startswith("_ansible") or key in UNLOGGED or value is False:
            continue
        if key == "exception" and value == "(traceback unavailable)":
            continue
        if key == "ansible_facts" and action not in FACT_SOURCES and isinstance(value, Mapping):
            value = f"(names only) {', '.join(sorted(value))}"
        if key == "parts" and parts(data):
            for title, entry in parts(data):
                lines.append(f"- {title} ({entry.get('took', 0)} s)")
                own = {name: one for name, one in entry.items() if name not in ("title", "took")}
                lines += [f"  {line}" for line in dump(own, action)]
            continue
        if key == "results" and isinstance(value, list):
            for entry in value:
                if isinstance(entry, Mapping):
                    lines.append(f"- {item_label(entry)}")
                    lines += [f"  {line}" for line in dump(entry, action)]
            continue
        if isinstance(value, str) and "\n" in value.strip("\n"):
            lines.append(f"{key}:")
            lines += [f"  {line}" for line in value.strip("\n").splitlines()]
        elif value not in ("", None, [], {}):
            shown = (
                value.strip("\n")
                if isinstance(value, str)
                else json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
            )
            lines.append(f"{key}: {shown}")
    return lines
