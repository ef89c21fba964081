"""Option definitions of OpenStack services, and the check of configuration data against them.

The definitions come from the service itself: ``oslo-config-generator --format json`` prints every option of the given
namespaces with its type, choices and deprecations. That takes seconds, so the answer is reduced to what the check needs
and kept on the host until a package that owns one of the namespaces changes.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import command as programs

CACHE_DIRECTORY = "/var/cache/stackwright/options"
DPKG_STATUS = "/var/lib/dpkg/status"
GENERATOR = "/usr/bin/oslo-config-generator"
# Seconds that it may take; on a busy machine it needs ten.
GENERATOR_SECONDS = 300.0

TRUE_WORDS = ("true", "1", "yes", "on")
FALSE_WORDS = ("false", "0", "no", "off")

# Options that keystoneauth registers only once `auth_type` is read, so no generator lists them. Source: the option lists of
# keystoneauth1.loading for the adapter, the session and the password plug-in.
KEYSTONEAUTH_OPTIONS = frozenset(
    """auth_type auth_section auth_url username user_id password user_domain_name user_domain_id project_name project_id
    project_domain_name project_domain_id default_domain_name default_domain_id domain_name domain_id system_scope trust_id
    cafile certfile keyfile insecure timeout collect_timing split_loggers service_type service_name valid_interfaces
    region_name endpoint_override min_version max_version connect_retries connect_retry_delay status_code_retries
    status_code_retry_delay retriable_status_codes interface tenant_name tenant_id""".split()
)


@dataclass(frozen=True)
class Option:
    """One option as its service defines it: ``type`` is oslo.config's short type name, bounds are inclusive or None."""

    type: str = "string value"
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    deprecated_for: str = ""


@dataclass
class Definitions:
    """Options by section and name."""

    sections: dict[str, dict[str, Option]] = field(default_factory=dict)

    def as_json(self) -> dict[str, dict[str, list[Any]]]:
        return {
            section: {
                name: [o.type, list(o.choices), o.minimum, o.maximum, o.deprecated_for] for name, o in options.items()
            }
            for section, options in self.sections.items()
        }

    @classmethod
    def from_json(cls, data: dict[str, dict[str, list[Any]]]) -> Definitions:
        return cls(
            {
                section: {name: Option(o[0], tuple(o[1]), o[2], o[3], o[4]) for name, o in options.items()}
                for section, options in data.items()
            }
        )


def from_generator(data: dict[str, Any]) -> Definitions:
    """Reduce what ``oslo-config-generator --format json`` prints to definitions.

    ``data`` is the parsed document: ``options`` maps a group to ``opts``, a list of dictionaries; ``deprecated_options`` maps
    a group to the names that still work under an older name.
    """
    definitions = Definitions()
    for group, content in data.get("options", {}).items():
        section = definitions.sections.setdefault(group, {})
        for option in content.get("opts", []):
            choices = tuple("" if c[0] is None else str(c[0]) for c in option.get("choices") or [])
            known = Option(str(option.get("type", "")), choices, option.get("min"), option.get("max"))
            section[option["dest"]] = known
            section[option["name"]] = known
    for group, options in data.get("deprecated_options", {}).items():
        section = definitions.sections.setdefault(group, {})
        for option in options:
            name = option["name"].replace("-", "_")
            replaced_by = f"[{option['replacement_group']}] {option['replacement_name']}"
            section.setdefault(name, Option(deprecated_for=replaced_by))
    return definitions


def _state_of_packages() -> str:
    """Identify the present package set cheaply: inode, size and time of dpkg's database."""
    try:
        state = os.stat(DPKG_STATUS)
    except OSError:
        return "none"
    return f"{state.st_size}-{state.st_mtime_ns}"


def load(namespaces: list[str]) -> Definitions | None:
    """Return the definitions of the namespaces, or None where the host has no generator (nothing to check against).

    :raises RuntimeError: the generator failed; the text has its last lines.
    """
    if not os.path.exists(GENERATOR):
        return None
    key = hashlib.sha256(json.dumps(sorted(namespaces)).encode()).hexdigest()[:24]
    cached = os.path.join(CACHE_DIRECTORY, f"{key}.json")
    state = _state_of_packages()
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
    os.makedirs(CACHE_DIRECTORY, mode=0o755, exist_ok=True)
    partial = f"{cached}.{os.getpid()}"
    with open(partial, "w", encoding="utf-8") as stream:
        json.dump({"packages": state, "sections": definitions.as_json()}, stream)
    os.replace(partial, cached)
    return definitions


def _type_problem(option: Option, text: str) -> str:
    """Say why a value does not fit an option's type; empty when it does or when it refers to another option (``$name``)."""
    if "$" in text:
        return ""
    if option.choices:
        if text in option.choices:
            return ""
        return f"must be one of {', '.join(repr(c) for c in option.choices)}"
    kind = option.type
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

    :param sections: the file's data: section, option, value (a list is one line per element).
    :param free_sections: sections whose names the operator or another option chooses; not checked.
    :returns: errors and warnings, each a sentence that names file, section, option and, for a misspelling, the nearest name.
    """
    errors: list[str] = []
    warnings: list[str] = []
    for section, options in sections.items():
        if section in free_sections:
            continue
        known = definitions.sections.get(section)
        if known is None:
            near = difflib.get_close_matches(section, definitions.sections, 1)
            hint = f"; did you mean [{near[0]}]?" if near else ""
            errors.append(f"{path}: the service has no section [{section}]{hint}")
            continue
        keystoneauth = "auth_type" in options or "auth_section" in options or "auth_type" in known
        for name, value in options.items():
            if keystoneauth and name in KEYSTONEAUTH_OPTIONS:
                continue
            option = known.get(name)
            if option is None:
                elsewhere = [s for s, names in definitions.sections.items() if name in names]
                near = difflib.get_close_matches(name, known, 1)
                if near:
                    hint = f"; did you mean {near[0]!r}?"
                elif elsewhere:
                    hint = f"; it belongs to section [{elsewhere[0]}]"
                else:
                    hint = ""
                errors.append(f"{path}: section [{section}] has no option {name!r}{hint}")
                continue
            if option.deprecated_for:
                warnings.append(f"{path}: [{section}] {name} is deprecated for {option.deprecated_for}")
            for one in value if isinstance(value, list) else [value]:
                problem = _type_problem(option, text_of(one))
                if problem:
                    errors.append(f"{path}: [{section}] {name} = {text_of(one)}: {problem}")
    return errors, warnings


def text_of(value: Any) -> str:
    """Write a value the way oslo.config reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
