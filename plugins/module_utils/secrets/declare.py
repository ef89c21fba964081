"""Secrets of a cloud: what the roles declare, how values are made, which values are refused.

A role says in `meta/secrets.yml` which secrets it needs:

    - name: nova_database
      description: Password of Nova's database user
      kind: password          # password (default), hex, base64, uuid, cephx or authority
      length: 32              # characters of a password or hex string, bytes of a base64 one
      irreplaceable: true     # nothing else opens what it encrypted: it is not rotated (default false)
      unreserved: true        # letters, digits and -_.~ alone, for a service that cannot read an encoded one (default
      false)

The values live in one variable, `stackwright_secrets: {name: value}`, in an encrypted file of the inventory.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import secrets as random
import string
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.common import cephx
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority

VARIABLE = "stackwright_secrets"
KEYS = ("name", "description", "kind", "length", "unreserved", "irreplaceable")
DEFAULT_LENGTH = 32
KINDS = ("password", "hex", "base64", "uuid", "cephx", "authority")
# Kinds whose length is not chosen; that of a certificate authority means nothing.
SIZED = {"uuid": 36, "cephx": 40, "authority": DEFAULT_LENGTH}
MINIMUM_LENGTH = 16
MINIMUM_DISTINCT = 8
MAXIMUM_LENGTH = 256
# Letters and digits only: nothing that a shell, a URL, an INI file or a template would read as something else.
ALPHABET = string.ascii_letters + string.digits
TEMPLATES = ("{{", "{%", "{#")
UNRESERVED = ALPHABET + "-_.~"
NO_KEY = b"stackwright-no-vault-key-"  # what tools/vault-key hands out when there is no key
WEAK_WORDS = frozenset(
    {
        "admin",
        "administrator",
        "changeme",
        "change-me",
        "default",
        "demo",
        "guest",
        "letmein",
        "mypass",
        "openstack",
        "pass",
        "passw0rd",
        "password",
        "qwerty",
        "rabbit",
        "root",
        "secret",
        "stackwright",
        "supersecret",
        "test",
        "toor",
    }
)
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class DeclarationError(ValueError):
    """A role's meta/secrets.yml is wrong; the text names the file, the entry and the mend."""


class UnknownSecretError(ValueError):
    """A secret was named that no role declares and the file does not hold."""


class IrreplaceableSecretError(ValueError):
    """A secret was to be rotated with which data is encrypted."""


@dataclass(frozen=True)
class Declaration:
    """One secret that roles need. `length` counts characters (password, hex) or bytes (base64).

    `unreserved` secrets hold only what no URL encodes; data is encrypted with `irreplaceable` ones.
    """

    name: str
    description: str
    kind: str = "password"
    length: int = DEFAULT_LENGTH
    roles: tuple[str, ...] = ()
    unreserved: bool = False
    irreplaceable: bool = False


@dataclass
class Plan:
    """What a run makes of the values; the lists hold names, never values."""

    values: dict[str, str]
    generated: list[str] = field(default_factory=list)
    rotated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether the values differ from those that were there."""
        return bool(self.generated or self.rotated or self.removed)


def parse_declarations(role: str, path: str, document: object) -> list[Declaration]:
    """The declarations in one loaded `meta/secrets.yml`.

    :raises DeclarationError: naming every entry of the file that is wrong.
    """
    if document is None:
        return []
    if not isinstance(document, list):
        raise DeclarationError(f"{path}: must be a list of secrets, each with name and description.")
    found: list[Declaration] = []
    faults: list[str] = []
    for number, entry in enumerate(document, start=1):
        label = f"{path}: entry {number}"
        if not isinstance(entry, dict):
            faults.append(f"{label} must be a mapping with name and description, not {entry!r}.")
            continue
        name = entry.get("name")
        label += f" ({name})" if isinstance(name, str) else ""
        wrong = _entry_faults(entry)
        faults += [f"{label} {text}" for text in wrong]
        if not wrong:
            kind = entry.get("kind", "password")
            length = SIZED[kind] if kind in SIZED else entry.get("length", DEFAULT_LENGTH)
            flags = (entry.get("unreserved") is True, entry.get("irreplaceable") is True)
            found.append(Declaration(entry["name"], entry["description"], kind, length, (role,), *flags))
    if faults:
        raise DeclarationError("\n".join(faults))
    return found


def _entry_faults(entry: dict[Any, Any]) -> list[str]:
    faults = [f"has the unknown key {key!r}." for key in entry if key not in KEYS]
    if not isinstance(entry.get("name"), str) or not _NAME.match(entry["name"]):
        faults.append("needs a name of small letters, digits and underscores.")
    if not isinstance(entry.get("description"), str) or not entry["description"].strip():
        faults.append("needs a description: what the secret protects.")
    kind = entry.get("kind", "password")
    length = entry.get("length", DEFAULT_LENGTH)
    if kind not in KINDS:
        faults.append(f"has the kind {kind!r}; the kinds are {', '.join(KINDS)}.")
    elif kind in SIZED and "length" in entry:
        faults.append(f"is a {kind}, which has no length of its own choice.")
    elif not isinstance(length, int) or isinstance(length, bool) or not MINIMUM_LENGTH <= length <= MAXIMUM_LENGTH:
        faults.append(f"has the length {length!r}; it must be {MINIMUM_LENGTH} to {MAXIMUM_LENGTH}.")
    return faults


def load_declarations(roles: Path) -> dict[str, Declaration]:
    """All secrets that the roles below the directory `roles` declare, by name.

    Two roles may share a secret when both declare the same kind and length.

    :raises DeclarationError: when a file is not YAML, an entry is wrong, or two roles disagree.
    """
    found: dict[str, Declaration] = {}
    faults: list[str] = []
    for path in sorted(roles.glob("*/meta/secrets.yml")):
        role = path.parent.parent.name
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
            declarations = parse_declarations(role, str(path), document)
        except yaml.YAMLError as error:
            faults.append(f"{path}: is not valid YAML: {error}")
            continue
        except DeclarationError as error:
            faults.append(str(error))
            continue
        for one in declarations:
            other = found.get(one.name)
            if other is None:
                found[one.name] = one
            elif (one.kind, one.length) == (other.kind, other.length):
                shared = (*other.roles, role)
                found[one.name] = replace(
                    other,
                    roles=shared,
                    unreserved=one.unreserved or other.unreserved,
                    irreplaceable=one.irreplaceable or other.irreplaceable,
                )
            else:
                faults.append(
                    f"{path}: {one.name} is a {one.kind} of {one.length} here, but a {other.kind} of {other.length} "
                    f"in the role {other.roles[0]}: let both say the same, or rename one."
                )
    if faults:
        raise DeclarationError("\n".join(faults))
    return found


def generate(declaration: Declaration) -> str:
    """A new random value from the system's generator, of the declared kind and length."""
    while True:
        match declaration.kind:
            case "hex":
                value = "".join(random.choice("0123456789abcdef") for _ in range(declaration.length))
            case "base64":
                value = base64.b64encode(random.token_bytes(declaration.length)).decode()
                # Readers differ over the two signs beyond letters and digits; a value without them suits all.
                if "+" in value or "/" in value:
                    continue
            case "uuid":
                value = str(uuid.uuid4())
            case "cephx":
                value = cephx.new_key()
            case "authority":
                value = authority.text_of(authority.new(datetime.datetime.now(datetime.UTC)))
            case _:
                value = "".join(random.choice(ALPHABET) for _ in range(declaration.length))
        if weakness(declaration.name, value, declaration) is None:
            return value


def weakness(name: str, value: object, declaration: Declaration | None = None) -> str | None:
    """Why `value` is refused for the secret `name`, as the end of a sentence without the value; None when it is fit."""
    if not isinstance(value, str):
        return f"is not a text but a {type(value).__name__}"
    plain = value.strip().lower()
    if not plain:
        return "is empty"
    if value != value.strip():
        return "begins or ends with blank space"
    if plain in WEAK_WORDS or plain.strip(string.digits + string.punctuation) in WEAK_WORDS:
        return "is a well-known word"
    roles = declaration.roles if declaration else ()
    if plain == name.lower():
        return "equals its own name"
    if plain in (*name.lower().split("_"), *roles):
        return "equals the name of its user or service"
    if len(value) < MINIMUM_LENGTH:
        return f"is shorter than {MINIMUM_LENGTH} characters"
    if len(set(value)) < MINIMUM_DISTINCT:
        return f"has fewer than {MINIMUM_DISTINCT} different characters"
    if not value.isascii() or not value.isprintable():
        return "holds line breaks, control characters or letters beyond ASCII, which not every service reads alike"
    if any(mark in value for mark in TEMPLATES) or value.startswith("#jinja2:"):
        return "would be taken for a template: it may not hold '{{', '{%' or '{#'"
    if declaration and declaration.unreserved and set(value) - set(UNRESERVED):
        return "may hold letters, digits and -_.~ only, since its service reads it from a URL before it is decoded"
    return _kind_fault(value, declaration) if declaration else None


def _kind_fault(value: str, declaration: Declaration) -> str | None:
    match declaration.kind:
        case "hex":
            fit = len(value) == declaration.length and not set(value) - set(string.hexdigits)
            return None if fit else f"is not a hexadecimal number of {declaration.length} digits"
        case "uuid":
            try:
                uuid.UUID(value)
            except ValueError:
                return "is not a UUID"
        case "cephx":
            return None if cephx.is_key(value) else "is not a key of cephx, as ceph-authtool --gen-print-key makes one"
        case "authority":
            try:
                authority.read(value)
            except authority.AuthorityError as error:
                return str(error)
        case "base64":
            try:
                size = len(base64.b64decode(value, altchars=b"-_" if set(value) & set("-_") else None, validate=True))
            except binascii.Error:
                size = -1
            return None if size == declaration.length else f"is not the base64 form of {declaration.length} bytes"
    return None


def weaknesses(values: Mapping[str, object], declarations: Mapping[str, Declaration]) -> dict[str, str]:
    """Every refused secret of `values` with the reason, values that two secrets share included."""
    reasons: dict[str, str] = {}
    holders: dict[str, list[str]] = {}
    for name, value in sorted(values.items()):
        reason = weakness(name, value, declarations.get(name))
        if reason:
            reasons[name] = reason
        elif isinstance(value, str):
            holders.setdefault(value, []).append(name)
    for names in holders.values():
        for name in names if len(names) > 1 else []:
            reasons[name] = f"has the same value as {', '.join(other for other in names if other != name)}"
    return reasons


def plan(
    existing: Mapping[str, str],
    declarations: Mapping[str, Declaration],
    rotate: Iterable[str] = (),
    remove_unknown: bool = False,
) -> Plan:
    """The values after the run: what was there stays, what is missing or to be rotated is made.

    :param rotate: names of secrets to replace by new values.
    :param remove_unknown: drop values that no role declares; otherwise they stay and are only listed.
    :raises UnknownSecretError: when `rotate` names a secret that no role declares.
    :raises IrreplaceableSecretError: when `rotate` names a secret with which data is encrypted.
    """
    wanted = set(rotate)
    strange = sorted(wanted - set(declarations))
    if strange:
        raise UnknownSecretError(f"No role declares {', '.join(strange)}, so there is no way to make a new value.")
    if kept := sorted(name for name in wanted if declarations[name].irreplaceable):
        raise IrreplaceableSecretError(
            f"No new value is made for {', '.join(kept)}: what is encrypted with it could not be read any more. "
            f"docs/changing-configuration.md says how such secrets are changed."
        )
    unknown = sorted(set(existing) - set(declarations))
    values = {name: value for name, value in existing.items() if not (remove_unknown and name in unknown)}
    result = Plan(values, unknown=[] if remove_unknown else unknown, removed=unknown if remove_unknown else [])
    for name, declaration in sorted(declarations.items()):
        if name not in existing:
            values[name] = generate(declaration)
            result.generated.append(name)
        elif name in wanted:
            values[name] = generate(declaration)
            result.rotated.append(name)
    return result
