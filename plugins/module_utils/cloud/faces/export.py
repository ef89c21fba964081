"""The document for a running cloud, for the module cloud_export: applied to that cloud, it changes nothing."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import (
    DEFAULT_FIELDS,
    DEFAULTS,
    takes_default,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError, Problem, as_result
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.content import Content
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.info import kind_of
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.login import LOGIN_OPTIONS, login_of, mask
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Raw, ResourceType, read_field
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME, BY_PLURAL, TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.common.text import clean, one_line
from ansible_collections.stackwright.cloud.plugins.module_utils.common.words import hint_or_list
from ansible_collections.stackwright.cloud.plugins.module_utils.host import files

VARIABLE = "cloud_state_document"
# What `keystone-manage bootstrap` makes, and where the services' own accounts are by convention.
BOOTSTRAP_ROLES = frozenset({"admin", "manager", "member", "reader", "service"})
BOOTSTRAP_NAME = "admin"
BOOTSTRAP = "made by the bootstrap of the identity service"
SERVICES = "project of the services' accounts"
SERVICE_PROJECTS = frozenset({"service", "services"})
CATALOGUE = ("region", "service", "endpoint")
SHOWN = 5
# A text of these alone is no template, whatever a header or a setting makes of delimiters. All others are marked.
INERT = re.compile(r"[A-Za-z0-9._/@+-](?:[A-Za-z0-9 ._:/@+,()=-]*[A-Za-z0-9._/@+()=-])?")


@dataclass(frozen=True)
class Choice:
    """What is exported. ``types`` empty stands for all; ``project`` is a name or identifier, empty for the whole
    cloud."""

    types: frozenset[str] = frozenset()
    project: str = ""
    system: bool = False


@dataclass
class Export:
    """A document, the secrets it lacks, and what was left out with the reason."""

    # Entries by type, and what most of them have alike below "defaults".
    document: dict[str, Any] = field(default_factory=dict)
    secrets: list[dict[str, str]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    by_id: list[str] = field(default_factory=list)


class Exporter:
    """Makes the document of one cloud."""

    def __init__(self, cloud: Cloud, choice: Choice, parallel: int = 8) -> None:
        self.cloud, self.choice = cloud, choice
        self.content = Content(cloud, parallel, full=True)
        self._reasons: dict[tuple[str, str], list[str]] = defaultdict(list)

    def export(self) -> Export:
        """Read the cloud and write down what it holds.

        :raises CloudError: the project does not exist, or a type that was asked for by name cannot be read.
        """
        chosen = [kind for kind in TYPES if not self.choice.types or kind.name in self.choice.types]
        self._read(chosen)
        project = self._project()
        result = Export()
        kept: set[tuple[str, str]] = set()
        own = self._of_the_deployment() if not self.choice.system else {}
        for kind in TYPES:
            entries = []
            for raw in self.content.objects.get(kind.name, []):
                ident = str(raw[kind.id_key])
                if kind.singleton or (project and not self._belongs(kind, raw, project, kept)):
                    continue
                reason = own.get((kind.name, ident)) or self._part_of_left_out(kind, raw, own)
                reason = reason or (kind.skip_export(raw) if kind.skip_export else "")
                if reason:
                    own[(kind.name, ident)] = reason
                    if kind in chosen:
                        self._reasons[(kind.plural, reason)].append(self.content.label(kind, raw))
                    continue
                kept.add((kind.name, ident))
                if kind in chosen:
                    entries.append((self.content.entry(kind, raw), raw))
            if entries:
                entries.sort(key=lambda pair: self._order(kind, pair[0]))
                result.document[kind.plural] = [entry for entry, _ in entries]
                self._note(result, kind, entries)
        result.left_out = self._left_out(chosen)
        defaults = shorten(result.document)
        result.document = {DEFAULTS: defaults, **result.document} if defaults else result.document
        return result

    def _read(self, chosen: list[ResourceType]) -> None:
        offered = [kind for kind in TYPES if self.cloud.endpoint(kind.service)]
        missing = [kind for kind in chosen if kind not in offered]
        if self.choice.types:
            self.cloud.require({kind.service: f"types.{kind.plural}" for kind in missing})
        for kind in missing:
            self._reasons[(kind.plural, "the catalogue does not offer the service")] = []
        self.content.read({}, ["project"])
        projects = sorted(
            str(raw["id"])
            for raw in self.content.objects.get("project", [])
            if self.choice.system or not self._is_service_project(raw)
        )
        if self.choice.project:
            projects = [self._project()]
        wanted: dict[str, set[str] | None] = {kind.name: None for kind in chosen if self.choice.types}
        others = [kind.name for kind in offered if kind.name not in wanted]
        places = ("", *(ident for ident in projects if ident != self.cloud.project_id))
        self.content.read(wanted, others, places)
        for name, place, error in self.content.refused:
            if BY_NAME[name] in chosen:
                where = f" in project {self.content.reference('project', place)}" if place else ""
                why = "the login has no role in it" if place and error.status in (401, 403, 404) else str(error)
                self._reasons[(BY_NAME[name].plural, f"cannot be listed{where}: {why}")] = []

    def _project(self) -> str:
        wanted = self.choice.project
        if not wanted:
            return ""
        if wanted in (self.cloud.project_id, self.cloud.project_name):
            return self.cloud.project_id
        projects = self.content.objects.get("project", [])
        found = [str(raw["id"]) for raw in projects if wanted in (raw["id"], raw["name"])]
        if len(found) == 1:
            return found[0]
        if found:
            raise CloudError(
                Problem(
                    f"The project '{wanted}' is ambiguous: {', '.join(sorted(found))}.",
                    "Give the identifier.",
                    "project",
                )
            )
        raise CloudError(
            Problem(
                f"There is no project '{wanted}'.",
                hint_or_list(wanted, {str(raw["name"]) for raw in projects}),
                "project",
            )
        )

    def _belongs(self, kind: ResourceType, raw: Raw, project: str, kept: set[tuple[str, str]]) -> bool:
        """Whether an object is a project's: it is the project, names it as owner, or is a part of what is kept."""
        if kind.name == "project":
            return str(raw[kind.id_key]) == project
        if "project" in kind.field_names:
            return bool(read_field(kind.field("project"), raw) == project)
        return any(
            (declared.ref, str(read_field(declared, raw))) in kept
            for declared in kind.fields
            if declared.ref and declared.required and declared.kind == "str"
        )

    def _of_the_deployment(self) -> dict[tuple[str, str], str]:
        """What the deployment itself makes in every cloud, with the reason why it is left out."""
        objects = self.content.objects
        found: dict[tuple[str, str], str] = {}
        for kind in CATALOGUE:
            for raw in objects.get(kind, []):
                found[(kind, str(raw["id"]))] = "part of the service catalogue"
        for raw in objects.get("domain", []):
            if raw["id"] == "default":
                found[("domain", "default")] = BOOTSTRAP
        for raw in objects.get("role", []):
            if raw["name"] in BOOTSTRAP_ROLES and not raw.get("domain_id"):
                found[("role", str(raw["id"]))] = BOOTSTRAP
        for kind in ("project", "user"):
            for raw in objects.get(kind, []):
                if raw["name"] == BOOTSTRAP_NAME and raw.get("domain_id") == "default":
                    found[(kind, str(raw["id"]))] = BOOTSTRAP
        services = {str(raw["id"]) for raw in objects.get("project", []) if self._is_service_project(raw)}
        found |= {("project", ident): SERVICES for ident in services}
        for raw in objects.get("role_assignment", []):
            if raw["project"] in services and raw["user"]:
                found.setdefault(("user", str(raw["user"])), "account of a service")
        return found

    @staticmethod
    def _is_service_project(raw: Raw) -> bool:
        return raw["name"] in SERVICE_PROJECTS and raw.get("domain_id") == "default"

    def _part_of_left_out(self, kind: ResourceType, raw: Raw, own: dict[tuple[str, str], str]) -> str:
        """The reason of what an object cannot be without: the account of an assignment, the services' project."""
        # What the bootstrap's account was given beyond the bootstrap is somebody's decision.
        beyond = kind.name == "role_assignment" and raw["project"] and ("project", str(raw["project"])) not in own
        names = ("user",) if kind.name == "role_assignment" else ()
        for declared in kind.fields:
            if not declared.ref or declared.kind != "str":
                continue
            ident = str(read_field(declared, raw))
            reason = own.get((declared.ref, ident), "")
            services = declared.ref == "project" and reason == SERVICES
            if reason and ((declared.name in names and not (beyond and reason == BOOTSTRAP)) or services):
                return reason
            if reason and declared.required and declared.ref not in ("project", "domain", "role", "user", "region"):
                return f"part of a {declared.ref.replace('_', ' ')} that is left out"
        return ""

    def _order(self, kind: ResourceType, entry: dict[str, Any]) -> str:
        return json.dumps([str(entry.get(name, "")) for name in kind.identity] + [str(entry.get("id", ""))])

    def _note(self, result: Export, kind: ResourceType, entries: list[tuple[dict[str, Any], Raw]]) -> None:
        """List the secrets that the entries lack, and those that only an identifier tells apart."""
        secrets = [declared for declared in kind.fields if declared.secret]
        for number, (entry, raw) in enumerate(entries):
            path = f"{kind.plural}[{number}]"
            label = self.content.label(kind, raw)
            if "id" in entry:
                result.by_id.append(f"{path} ({label})")
            for declared in secrets:
                result.secrets.append({"path": f"{path}.{declared.name}", "resource": label, "doc": declared.doc})

    def _left_out(self, chosen: Iterable[ResourceType]) -> list[dict[str, Any]]:
        order = {kind.plural: number for number, kind in enumerate(chosen)}
        return [
            {"type": plural, "reason": reason, "count": len(labels), "resources": sorted(labels)[:SHOWN]}
            for (plural, reason), labels in sorted(self._reasons.items(), key=lambda item: (order[item[0][0]], item[0]))
        ]


def shorten(document: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The defaults of a document, taken out of its entries: what most say, where all say something."""
    found: dict[str, Any] = {}
    for declared in DEFAULT_FIELDS:
        name = declared.name
        entries = [
            entry for plural, those in document.items() if takes_default(BY_PLURAL[plural], name) for entry in those
        ]
        values = Counter(json.dumps(entry.get(name), sort_keys=True) for entry in entries)
        word, count = values.most_common(1)[0] if values else ("null", 0)
        if "null" in values or count < 2:
            continue
        found[name] = json.loads(word)
        for entry in entries:
            if entry[name] == found[name]:
                del entry[name]
    return found


def render(export: Export) -> str:
    """The document as a file of variables for playbooks/cloud_state.yml; the same cloud gives the same text."""
    lines = ["---", "# Written by cloud_export. Secrets cannot be read and are left out."]
    told = [f"Not known: {secret['path']} ({secret['resource']})" for secret in export.secrets]
    told += [f"Told apart by id only, so it stands for this cloud's own object: {found}" for found in export.by_id]
    # Names are the tenants' own: a line break in one must not end the comment.
    lines += [f"# {' '.join(one_line(line).split())}" for line in told]
    return "\n".join(lines) + "\n" + dump({VARIABLE: export.document})


def dump(value: Any) -> str:
    """A value as YAML in its own order. Texts that could be more than plain words are marked as what tenants wrote.

    Characters that a terminal would obey or an editor hide are written as escapes.
    """
    import yaml

    class Indented(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def scalar(dumper: Any, value: str) -> Any:
        if INERT.fullmatch(value) or not value:
            return dumper.represent_str(value)
        # In double quotes alone, every character is kept as it is (YAML 1.1 has more line breaks than there are
        # elsewhere).
        return dumper.represent_scalar("!unsafe", value, style='"' if clean(value, len(value)) != value else None)

    Indented.add_representer(str, scalar)
    text = yaml.dump(value, Dumper=Indented, sort_keys=False, allow_unicode=True, default_flow_style=False, width=110)
    # Such characters stand in double quotes, where YAML reads the escapes that they are shown as.
    return clean(text, len(text))


def run_cloud_export(connect: Callable[[Login], Cloud] = Cloud) -> None:
    """Entry point of the module cloud_export."""
    module = AnsibleModule(
        argument_spec={
            **LOGIN_OPTIONS,
            "parallel": {"type": "int", "default": 8},
            "types": {"type": "list", "elements": "str", "default": []},
            "project": {"type": "str"},
            "system": {"type": "bool", "default": False},
            "dest": {"type": "path"},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    mask(module, {})
    arguments = module.params
    started = time.monotonic()
    cloud: Cloud | None = None
    try:
        types = frozenset(kind_of(name, f"types.{name}").name for name in arguments["types"])
        cloud = connect(login_of(arguments))
        choice = Choice(types, arguments["project"] or "", arguments["system"])
        export = Exporter(cloud, choice, arguments["parallel"]).export()
    except CloudError as error:
        module.fail_json(
            msg=str(error),
            errors=[as_result(problem) for problem in error.problems],
            calls=cloud.calls if cloud else 0,
            seconds=round(time.monotonic() - started, 3),
        )
        return
    result: dict[str, Any] = {
        "changed": False,
        "document": export.document,
        "secrets": export.secrets,
        "left_out": export.left_out,
        "by_id": export.by_id,
        "calls": cloud.calls,
        "seconds": round(time.monotonic() - started, 3),
    }
    if arguments["dest"]:
        result |= write(module, arguments["dest"], render(export))
    module.exit_json(**result)


def write(module: AnsibleModule, dest: str, text: str) -> dict[str, Any]:
    """Put the text into a file, atomically, readable for its owner only unless told otherwise. Returns changed and
    diff."""
    try:
        with open(dest, encoding="utf-8") as file:
            before = file.read()
    except FileNotFoundError:
        before = None
    except (OSError, UnicodeDecodeError) as error:
        module.fail_json(msg=f"dest: The file {dest} cannot be read: {error}. Name another, or mend it.")
    arguments = module.load_file_common_arguments({**module.params, "path": dest})
    diff: dict[str, Any] = {"before": before or "", "after": text, "before_header": dest, "after_header": dest}
    changed = before != text
    if changed and not module.check_mode:
        try:
            was = os.stat(dest) if before is not None else None
            kept = (stat.S_IMODE(was.st_mode), was.st_uid, was.st_gid) if was else (0o600, -1, -1)
            files.replace_own(dest, text, *kept)
        except OSError as error:
            folder = os.path.dirname(os.path.abspath(dest))
            module.fail_json(msg=f"dest: A file cannot be written in {folder}: {error}. Make the directory first.")
    if before is not None or not module.check_mode:
        changed = module.set_fs_attributes_if_different(arguments, changed)
    return {"changed": changed, "diff": diff, "dest": dest}
