"""One configuration transaction: every file of a host is rendered, compared, validated and only then written.

Nothing is written before all files are known to be good. Each write is atomic; what a transaction replaces is kept as a
generation under :data:`GENERATIONS`, so that the previous state can be looked at or put back.
"""

from __future__ import annotations

import datetime
import grp
import os
import pwd
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs
from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files as descriptors
from ansible_collections.stackwright.cloud.plugins.module_utils.service import hosts_file, masking
from ansible_collections.stackwright.cloud.plugins.module_utils.service import options as option_definitions

GENERATIONS = "/var/lib/stackwright/generations"
GENERATIONS_KEPT = 10
# Seconds in which a file's validator has to say what it thinks.
VALIDATOR_SECONDS = 60.0
HEADER = "# Written by Stackwright. Change it through the inventory; edits made here are overwritten.\n"


class ConfigurationError(Exception):
    """The transaction cannot be carried out; ``problems`` has a sentence for each reason, and nothing was written."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass
class File:
    """What one path is to be. ``state`` is file, directory, link or absent; ``content`` is None unless it is a file.

    ``ini`` files are made of ``sections``; ``known`` are their services' definitions, once they were asked for. The
    text of other files is shown in differences only if they are ``public``.
    """

    path: str
    state: str = "file"
    content: str | None = None
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    target: str = ""
    units: list[str] = field(default_factory=list)
    reloads: list[str] = field(default_factory=list)
    validate: list[str] = field(default_factory=list)
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    definitions: list[str] = field(default_factory=list)
    free_sections: list[str] = field(default_factory=list)
    hosts: dict[str, str] | None = None
    lines: list[str] = field(default_factory=list)
    ini: bool = False
    public: bool = False
    known: option_definitions.Definitions | None = None


@dataclass
class Change:
    """A difference between a path and what it is to be: texts for the diff, and the units that read the file."""

    path: str
    before: str
    after: str
    units: list[str]


@dataclass
class Outcome:
    """What a transaction did (or would do): changes and the files that they are of, warnings, the generation's
    directory."""

    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    generation: str = ""
    files: list[File] = field(default_factory=list)

    @property
    def units(self) -> list[str]:
        return sorted({unit for change in self.changes for unit in change.units})

    @property
    def reloads(self) -> list[str]:
        return sorted({unit for file in self.files for unit in file.reloads})


def masked(text: str, hidden: Iterable[str] = ()) -> str:
    """Hide what is or looks like a secret in a text that is only shown, such as a value that has just been rotated
    away."""
    return masking.hide(text, hidden)


def shown(file: File, change: Change, secrets: Iterable[Any] = ()) -> tuple[str, str]:
    """The texts of a change as its difference shows them. What is not known to be harmless is counted, not shown.

    :param secrets: values that the operator keeps secret, in any form.
    """
    hidden = masking.words(secrets)
    if file.ini:
        definitions = file.known

        def secret(section: str, name: str) -> bool:
            option = definitions.option(section, name) if definitions else None
            return option.secret if option else bool(masking.SOUNDS_SECRET.search(name))

        before, after = (masking.hide_options(text, secret, hidden) for text in (change.before, change.after))
    elif file.public:
        before, after = (masking.hide(text, hidden) for text in (change.before, change.after))
    else:
        before, after = masking.count_only(change.before), masking.count_only(change.after)
    if before == after:
        after += "(what is not shown differs)\n"
    return before, after


def secrets_in(file: File) -> set[str]:
    """Values of a file that its service marks as secret, and the passwords in its URLs.

    They are taken out of everything that is said, so a name that only sounds like a secret is not enough: with the
    value of `change_password_upon_first_use` every "false" would go.
    """
    found: set[str] = set()
    for section, options in file.sections.items():
        for name, value in options.items():
            option = file.known.option(section, name) if file.known else None
            texts = [option_definitions.text_of(one) for one in _leaves(value)]
            if option and option.secret:
                found |= {text for text in texts if len(text) >= masking.SHORTEST}
            for text in texts:
                found |= masking.logins(text)
    return found


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    return [leaf for one in value for leaf in _leaves(one)] if isinstance(value, list) else [value]


def render_ini(
    sections: dict[str, dict[str, Any]],
    definitions: option_definitions.Definitions | None = None,
    path: str = "",
    problems: list[str] | None = None,
) -> str:
    """Render nested data as the INI dialect of oslo.config. None leaves an option out, an empty section is left out
    whole.

    Sections and options keep their order, so that the same data always gives the same bytes.

    :param definitions: say how a list or mapping is written for its option; without them, a list is one line per
        element.
    :param problems: takes a sentence for each value that its option cannot hold.
    """
    blocks = []
    for section, options in sections.items():
        lines = [f"[{section}]"]
        for name, value in options.items():
            option = definitions.option(section, name) if definitions else None
            if option is None and isinstance(value, dict):
                option = option_definitions.Option(option_definitions.DICT)
            try:
                texts = option_definitions.lines_of(value, option)
            except ValueError as error:
                if problems is not None:
                    problems.append(f"{path}: [{section}] {name} {error}")
                continue
            # a value of several lines goes on in lines that begin with white space
            lines += [f"{name} = {text}".rstrip(" ").replace("\n", "\n  ") for text in texts]
        if len(lines) > 1:
            blocks.append("\n".join(lines) + "\n")
    return HEADER + "\n" + "\n".join(blocks)


def from_data(path: str, data: dict[str, Any]) -> File:
    """Build a :class:`File` from one entry of the module's ``files`` argument.

    :raises ValueError: the entry contradicts itself; the text names the path.
    """
    known = {
        "content",
        "options",
        "link",
        "state",
        "owner",
        "group",
        "mode",
        "units",
        "reloads",
        "validate",
        "definitions",
        "free_sections",
        "hosts",
        "lines",
        "public",
    }
    unknown = sorted(set(data) - known)
    if unknown:
        raise ValueError(f"{path}: unknown key {unknown[0]!r}{words.hint(unknown[0], known, '. ')}")
    if not path.startswith("/"):
        raise ValueError(f"{path}: the path must be absolute")
    kinds = [key for key in ("content", "options", "link", "hosts") if data.get(key) is not None]
    state = data.get("state") or ("link" if "link" in kinds else "file")
    if state not in ("file", "directory", "link", "absent"):
        raise ValueError(f"{path}: state {state!r} is none of file, directory, link, absent")
    if len(kinds) > 1 or (state == "file" and not kinds):
        raise ValueError(f"{path}: give exactly one of content, options, link and hosts")
    sections = data.get("options") or {}
    for section, options in sections.items():
        if not isinstance(options, dict):
            raise ValueError(f"{path}: section [{section}] must map options to values, not {type(options).__name__}")
        for name, value in options.items():
            if isinstance(value, dict) and not data.get("definitions"):
                raise ValueError(f"{path}: [{section}] {name} must be a value or a list, not a mapping")
    # a number is the octal one that was meant, the decimal one that YAML made of it, or neither
    mode = data.get("mode") or ("0755" if state == "directory" else "0644")
    if not isinstance(mode, str) or not re.fullmatch(r"0?[0-7]{3,4}", mode):
        raise ValueError(f"{path}: mode {mode!r} must be a string of octal digits in quotes, such as '0640'")
    content = data.get("content")
    if "options" in kinds:
        content = render_ini(sections, path=path)
    if "hosts" in kinds:
        content = ""  # known once the present file is read
    return File(
        path=path,
        state=state,
        content=content,
        owner=data.get("owner") or "root",
        group=data.get("group") or "root",
        mode=int(mode, 8),
        target=data.get("link") or "",
        units=list(data.get("units") or []),
        reloads=list(data.get("reloads") or []),
        validate=list(data.get("validate") or []),
        sections={s: {n: v for n, v in o.items() if v is not None} for s, o in sections.items()},
        definitions=list(data.get("definitions") or []),
        free_sections=list(data.get("free_sections") or []),
        hosts=dict(data["hosts"]) if "hosts" in kinds else None,
        lines=list(data.get("lines") or []),
        ini="options" in kinds,
        public=data.get("public") is True or "hosts" in kinds,
    )


def _identities(file: File) -> tuple[int, int]:
    try:
        return pwd.getpwnam(file.owner).pw_uid, grp.getgrnam(file.group).gr_gid
    except KeyError as error:
        raise ConfigurationError(
            [f"{file.path}: {error.args[0]!s}; is the package that makes it installed?"]
        ) from error


def _describe(path: str) -> tuple[str, str]:
    """Return the present kind of a path (absent, file, directory, link, other) and its text (the link's target for a
    link)."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "absent", ""
    if stat.S_ISLNK(info.st_mode):
        return "link", os.readlink(path)
    if stat.S_ISDIR(info.st_mode):
        return "directory", ""
    if stat.S_ISREG(info.st_mode):
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return "file", stream.read()
    return "other", ""


def _attributes(path: str, follow: bool) -> str:
    info = os.stat(path) if follow else os.lstat(path)
    try:
        owner = pwd.getpwuid(info.st_uid).pw_name
    except KeyError:
        owner = str(info.st_uid)
    try:
        group = grp.getgrgid(info.st_gid).gr_name
    except KeyError:
        group = str(info.st_gid)
    return f"{owner}:{group} {stat.S_IMODE(info.st_mode):04o}"


def compare(file: File, packages_pending: bool = False) -> Change | None:
    """Return how a path differs from what it is to be, or None.

    :param packages_pending: owners may not exist yet, because check mode did not install their packages.
    """
    kind, text = _describe(file.path)
    if file.hosts is not None:
        try:
            file.content = hosts_file.merge(text if kind == "file" else "", file.hosts, file.lines)
        except ValueError as error:
            raise ConfigurationError([f"{file.path}: {error}"]) from error
    if file.state == "absent":
        return None if kind == "absent" else Change(file.path, text or f"({kind})\n", "", file.units)
    if kind in ("directory", "other") and file.state != kind:
        raise ConfigurationError([f"{file.path}: is a {kind} on this host, and a {file.state} is to be written there"])
    if file.state == "link":
        if kind == "link" and text == file.target:
            return None
        return Change(file.path, text, f"-> {file.target}\n", file.units)
    wanted = f"{file.owner}:{file.group} {file.mode:04o}"
    present = "" if kind == "absent" else _attributes(file.path, follow=False)
    if file.state == "directory":
        if kind == "directory" and present == wanted:
            return None
        return Change(file.path, f"({present or 'absent'})\n", f"({wanted})\n", file.units)
    assert file.content is not None
    before, after = (text if kind == "file" else ""), file.content
    if kind == "link":
        before = f"-> {text}\n"
    if kind == "file" and before == after and present == wanted:
        return None
    if kind == "file" and present != wanted:
        before, after = f"({present})\n{before}", f"({wanted})\n{after}"
    if not packages_pending:
        _identities(file)
    return Change(file.path, before, after, file.units)


def _save(generation: str, path: str) -> None:
    """Keep what a path holds now, with its attributes, below the generation's directory."""
    if not os.path.lexists(path):
        return
    kept = os.path.join(generation, path.lstrip("/"))
    os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), kept)
    elif os.path.isfile(path):
        shutil.copy2(path, kept)
        info = os.stat(path)
        os.chown(kept, info.st_uid, info.st_gid)


def _write(file: File) -> None:
    """Make one path so. Directories on the way may belong to services: nothing is done through a link of theirs."""
    with descriptors.opened(file.path, make=file.state != "absent") as place:
        found = descriptors.look(place)
        if file.state == "absent":
            if found is not None and stat.S_ISDIR(found.st_mode):
                shutil.rmtree(place.name, dir_fd=place.directory)
            else:
                os.unlink(place.name, dir_fd=place.directory)
            return
        if file.state == "link":
            partial = f".{place.name}.{secrets.token_hex(8)}.stackwright-new"
            os.symlink(file.target, partial, dir_fd=place.directory)
            os.rename(partial, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
            return
        uid, gid = _identities(file)
        if file.state == "directory":
            if found is None:
                os.mkdir(place.name, 0o700, dir_fd=place.directory)
            # A link of root's to another disk is followed, one of a service's is not.
            with descriptors.opened(f"{file.path}/x") as inside:
                handle = f"/proc/self/fd/{inside.directory}"
                os.chown(handle, uid, gid)
                os.chmod(handle, file.mode)
            return
        assert file.content is not None
        content = file.content.encode("utf-8", "surrogateescape")
        descriptors.write_at(place, content, file.mode, uid, gid)


def _validate(file: File) -> str:
    """Run the file's own validator on a copy (``%s`` stands for it); return what it says against it, or nothing."""
    assert file.content is not None
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", errors="surrogateescape", suffix=os.path.basename(file.path)
    ) as copy:
        copy.write(file.content)
        copy.flush()
        command = [copy.name if word == "%s" else word for word in file.validate]
        try:
            done = programs.run(command, VALIDATOR_SECONDS)
        except programs.CommandTimeoutError as error:
            return f"{file.path}: its validator tells nothing: {error}"
    if done.returncode == 0:
        return ""
    said = " ".join((done.stderr or done.stdout).replace(copy.name, file.path).split()[-60:])
    return f"{file.path}: {file.validate[0]} refuses it: {said}"


def define(files: list[File], packages_pending: bool = False) -> None:
    """Ask the services for the definitions of these files, and write lists and mappings as their options want them.

    :param packages_pending: a service that is not installed yet has none.
    :raises ConfigurationError: an option cannot hold the list or mapping that it is given.
    """
    problems: list[str] = []
    asked: dict[tuple[str, ...], option_definitions.Definitions | None] = {}
    for file in files:
        names = tuple(file.definitions)
        if not names or file.known is not None:
            continue
        if names not in asked:
            try:
                asked[names] = option_definitions.load(file.definitions)
            except RuntimeError:
                if not packages_pending:
                    raise
                asked[names] = None
        file.known = asked[names]
        file.content = render_ini(file.sections, file.known, file.path, problems)
    if problems:
        raise ConfigurationError(problems)


def _has_lists(file: File) -> bool:
    return any(isinstance(value, list | dict) for options in file.sections.values() for value in options.values())


def _check(files: list[File], packages_pending: bool) -> list[str]:
    """Hold the files against option definitions and validators; raise with every problem, return the warnings."""
    problems: list[str] = []
    warnings: list[str] = []
    for file in files:
        if file.known is not None and not packages_pending:
            errors, notes = option_definitions.check(file.path, file.sections, file.known, file.free_sections)
            problems += errors
            warnings += notes
        if file.validate and file.content is not None and os.path.exists(file.validate[0]):
            said = _validate(file)
            if said:
                problems.append(said)
    if problems:
        raise ConfigurationError(problems)
    return warnings


def apply(files: list[File], check_mode: bool, packages_pending: bool = False) -> Outcome:
    """Carry out one transaction.

    :param files: every file of the host; a path may occur once.
    :param check_mode: compare and validate only.
    :param packages_pending: the packages that bring owners and option definitions are not installed yet (check mode on
        a new host).
    :raises ConfigurationError: a path, option or value is wrong; nothing was written.
    """
    # Definitions are read where they decide what is written, and for what changes: a host that is as it should be costs
    # no more.
    define([file for file in files if _has_lists(file)], packages_pending)
    changed = [(file, change) for file in files if (change := compare(file, packages_pending))]
    define([file for file, _ in changed], packages_pending)
    warnings = _check([file for file, _ in changed], packages_pending)
    outcome = Outcome([change for _, change in changed], warnings, files=[file for file, _ in changed])
    if check_mode or not changed:
        return outcome
    # to the microsecond: one process may carry out several transactions (Mitogen), and names sort by time
    begun = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%f")
    outcome.generation = os.path.join(GENERATIONS, f"{begun}-{os.getpid()}")
    os.makedirs(outcome.generation, mode=0o700)
    os.chmod(GENERATIONS, 0o700)
    for file, _ in changed:
        _save(outcome.generation, file.path)
    # directories first, so that files find them; removals last
    order = {"directory": 0, "file": 1, "link": 2, "absent": 3}
    for file, _ in sorted(changed, key=lambda pair: (order[pair[0].state], pair[0].path)):
        try:
            _write(file)
        except OSError as error:
            raise ConfigurationError(
                [
                    f"{file.path}: cannot be written: {error.strerror}; files before it were written, "
                    f"the state before is kept in"
                    f" {outcome.generation}; mend the cause and run again"
                ]
            ) from error
    for old in sorted(os.listdir(GENERATIONS))[:-GENERATIONS_KEPT]:
        shutil.rmtree(os.path.join(GENERATIONS, old))
    return outcome
