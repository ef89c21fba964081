"""Option definitions of OpenStack services, and the check of configuration data against them.

The definitions come from the service itself: ``oslo-config-generator --format json`` prints every option of the given
namespaces with its type, choices and deprecations. That takes seconds, so the answer is reduced to what the check needs
and kept on the host until a package that owns one of the namespaces changes.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs
from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.host import dpkg, files

CACHE_DIRECTORY = "/var/cache/stackwright/options"
GENERATOR = "/usr/bin/oslo-config-generator"
# Seconds that it may take; on a busy machine it needs ten.
GENERATOR_SECONDS = 300.0

TRUE_WORDS = ("true", "1", "yes", "on")
LIST, MULTI, DICT = "list value", "multi valued", "dict value"
FALSE_WORDS = ("false", "0", "no", "off")

# Options that keystoneauth registers only once `auth_type` is read, so no generator lists them. Source: the option
# lists of keystoneauth1.loading for the adapter, the session and the password plug-in.
KEYSTONEAUTH_LISTS = frozenset({"valid_interfaces", "retriable_status_codes"})
KEYSTONEAUTH_SECRETS = frozenset({"password"})
KEYSTONEAUTH_OPTIONS = frozenset(
    """auth_type auth_section auth_url username user_id password user_domain_name user_domain_id project_name
    project_id project_domain_name project_domain_id default_domain_name default_domain_id domain_name domain_id
    system_scope trust_id cafile certfile keyfile insecure timeout collect_timing split_loggers service_type
    service_name valid_interfaces region_name endpoint_override min_version max_version connect_retries
    connect_retry_delay status_code_retries status_code_retry_delay retriable_status_codes interface tenant_name
    tenant_id""".split()
)


@dataclass(frozen=True)
class Option:
    """One option as its service defines it: ``type`` is oslo.config's short type name, bounds are inclusive or None.

    ``secret`` is the service's own mark of what may not be shown.
    """

    type: str = "string value"
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    deprecated_for: str = ""
    secret: bool = False


@dataclass
class Definitions:
    """Options by section and name."""

    sections: dict[str, dict[str, Option]] = field(default_factory=dict)

    def as_json(self) -> dict[str, dict[str, list[Any]]]:
        return {
            section: {
                name: [o.type, list(o.choices), o.minimum, o.maximum, o.deprecated_for, o.secret]
                for name, o in options.items()
            }
            for section, options in self.sections.items()
        }

    @classmethod
    def from_json(cls, data: dict[str, dict[str, list[Any]]]) -> Definitions:
        return cls(
            {
                section: {name: Option(o[0], tuple(o[1]), o[2], o[3], o[4], o[5]) for name, o in options.items()}
                for section, options in data.items()
            }
        )

    def option(self, section: str, name: str) -> Option | None:
        """The definition of an option, also of one that keystoneauth reads, or that stands in a section of the
        operator's naming.

        In such a section any section's option of the name may be meant: it counts where all of them are of one type.
        """
        known = self.sections.get(section)
        if known and name in known:
            return known[name]
        alike = [options[name] for options in self.sections.values() if name in options] if known is None else []
        if alike and len({one.type for one in alike}) == 1:
            return replace(alike[0], secret=any(one.secret for one in alike))
        if name in KEYSTONEAUTH_OPTIONS:
            kind = LIST if name in KEYSTONEAUTH_LISTS else "string value"
            return Option(kind, secret=name in KEYSTONEAUTH_SECRETS)
        return None


def from_generator(data: dict[str, Any]) -> Definitions:
    """Reduce what ``oslo-config-generator --format json`` prints to definitions.

    ``data`` is the parsed document: ``options`` maps a group to ``opts``, a list of dictionaries;
    ``deprecated_options`` maps a group to the names that still work under an older name.
    """
    definitions = Definitions()
    for group, content in data.get("options", {}).items():
        section = definitions.sections.setdefault(group, {})
        for option in content.get("opts", []):
            choices = tuple("" if c[0] is None else str(c[0]) for c in option.get("choices") or [])
            known = Option(
                str(option.get("type", "")),
                choices,
                option.get("min"),
                option.get("max"),
                secret=option.get("secret") is True,
            )
            section[option["dest"]] = known
            section[option["name"]] = known
    for group, options in data.get("deprecated_options", {}).items():
        section = definitions.sections.setdefault(group, {})
        for option in options:
            name = option["name"].replace("-", "_")
            group_now, name_now = option["replacement_group"], str(option["replacement_name"])
            known = definitions.sections.get(group_now, {}).get(name_now, Option())
            section.setdefault(name, replace(known, deprecated_for=f"[{group_now}] {name_now}"))
    return definitions


def load(namespaces: list[str]) -> Definitions | None:
    """Return the definitions of the namespaces, or None where the host has no generator (nothing to check against).

    :raises RuntimeError: the generator failed; the text has its last lines.
    """
    if not os.path.exists(GENERATOR):
        return None
    key = hashlib.sha256(json.dumps(sorted(namespaces)).encode()).hexdigest()[:24]
    cached = os.path.join(CACHE_DIRECTORY, f"{key}.json")
    state = dpkg.mark()
    try:
        with open(cached, encoding="utf-8") as stream:
            kept = json.load(stream)
        if kept["packages"] == state:
            return Definitions.from_json(kept["sections"])
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        # none, or written by another release: the generator has the truth
        pass
    command = [GENERATOR, "--format", "json"]
    for namespace in namespaces:
        command += ["--namespace", namespace]
    try:
        done = programs.run(command, GENERATOR_SECONDS)
    except programs.CommandTimeoutError as error:
        raise RuntimeError(str(error)) from error
    if done.returncode:
        raise RuntimeError(
            f"oslo-config-generator failed for {', '.join(namespaces)}: {' '.join(done.stderr.split()[-40:])}"
        )
    try:
        definitions = from_generator(json.loads(done.stdout))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise RuntimeError(
            f"oslo-config-generator's answer for {', '.join(namespaces)} is not the JSON it prints otherwise: {error}"
        ) from error
    files.replace(cached, json.dumps({"packages": state, "sections": definitions.as_json()}), 0o644)
    return definitions


def _type_problem(option: Option, text: str) -> str:
    """Say why a value does not fit an option's type; empty when it does or when it refers to another option
    (``$name``)."""
    if "$" in text:
        return ""
    if option.choices:
        if text in option.choices:
            return ""
        return f"must be one of {', '.join(repr(c) for c in option.choices)}"
    kind = option.type
    if kind in (LIST, MULTI, DICT):
        return ""
    if kind == "boolean value" and text.lower() not in TRUE_WORDS + FALSE_WORDS:
        return "must be true or false"
    if kind in ("integer value", "port value", "floating point value"):
        try:
            number = float(text) if kind == "floating point value" else int(text)
        except ValueError:
            return f"must be {'an integer' if kind != 'floating point value' else 'a number'}"
        if option.minimum is not None and number < option.minimum:
            return f"must be at least {option.minimum:g}"
        if option.maximum is not None and number > option.maximum:
            return f"must be at most {option.maximum:g}"
        if kind == "port value" and not 0 <= number <= 65535:
            return "must be a port number from 0 to 65535"
    return ""


def check(
    path: str, sections: dict[str, dict[str, Any]], definitions: Definitions, free_sections: list[str]
) -> tuple[list[str], list[str]]:
    """Compare configuration data with the definitions.

    :param sections: the file's data: section, option, value (see :func:`lines_of`).
    :param free_sections: sections whose names the operator or another option chooses; not checked.
    :returns: errors and warnings, each a sentence that names file, section, option and, for a misspelling, the nearest
        name.
    """
    errors: list[str] = []
    warnings: list[str] = []
    for section, options in sections.items():
        if section in free_sections:
            continue
        known = definitions.sections.get(section)
        if known is None:
            hint = words.hint(f"[{section}]", [f"[{one}]" for one in definitions.sections], ". ")
            errors.append(f"{path}: the service has no section [{section}]{hint}")
            continue
        keystoneauth = "auth_type" in options or "auth_section" in options or "auth_type" in known
        for name, value in options.items():
            if keystoneauth and name in KEYSTONEAUTH_OPTIONS:
                continue
            option = known.get(name)
            if option is None:
                elsewhere = [s for s, names in definitions.sections.items() if name in names]
                hint = words.hint(name, known, ". ") or (
                    f"; it belongs to section [{elsewhere[0]}]" if elsewhere else ""
                )
                errors.append(f"{path}: section [{section}] has no option {name!r}{hint}")
                continue
            if option.deprecated_for:
                warnings.append(f"{path}: [{section}] {name} is deprecated for {option.deprecated_for}")
            for one in value if isinstance(value, list) else [] if isinstance(value, dict) else [value]:
                problem = _type_problem(option, text_of(one))
                if problem:
                    shown = "********" if option.secret else text_of(one)
                    errors.append(f"{path}: [{section}] {name} = {shown}: {problem}")
    return errors, warnings


def lines_of(value: Any, option: Option | None) -> list[str]:
    """What stands behind ``name =``, one text for each line that the option takes, in the form that its type reads.

    A list is one line with commas for a list option and a line per element for one that may be repeated; a mapping is
    ``key:value`` with commas. Without a definition a list is a line per element. None leaves the option out.

    :raises ValueError: the option cannot hold the value; the text goes on from the option's name and does not quote the
        value.
    """
    if value is None:
        return []
    if isinstance(value, dict):
        if option is None or option.type != DICT:
            raise ValueError(f"is given a mapping, but takes {_a(option)}")
        return [",".join(f"{_element(key, ',:')}:{_element(one, ',')}" for key, one in value.items())]
    if not isinstance(value, list):
        return [text_of(value)]
    if option is None or option.type == MULTI:
        return [text_of(one) for one in value if one is not None]
    if option.type in (LIST, DICT):
        return [",".join(_element(one, ",") for one in value)]
    raise ValueError(f"is given a list, but takes {_a(option)}")


def _a(option: Option | None) -> str:
    """What an option takes, for messages."""
    if option is None:
        return "one value or a list"
    kind = (
        option.type
        if option.type and not option.type.startswith("unknown")
        else "value of a type that is not known: write its text"
    )
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def _element(value: Any, separators: str) -> str:
    if value is None or isinstance(value, dict | list):
        raise ValueError(
            f"has an element that is no single value but {'nothing' if value is None else 'a ' + type(value).__name__}"
        )
    text = text_of(value)
    found = [mark for mark in separators if mark in text] or (["a line break"] if "\n" in text else [])
    if found:
        raise ValueError(f"has an element with {found[0]!r} in it, which divides elements")
    return text


def text_of(value: Any) -> str:
    """Write a value the way oslo.config reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
