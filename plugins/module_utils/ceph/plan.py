"""From a document and what the cluster holds to the commands that bring one to the other. Pure: nothing here connects.

What is asked and done comes in waves; commands of one wave do not depend on each other. All that is wrong is found
before the first command that changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.document import (
    ERASURE,
    FLAGS,
    REPLICATED,
    Document,
    DocumentError,
    Pool,
    Rule,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.ceph.session import Command
from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.common.cephx import new_key
from ansible_collections.stackwright.cloud.plugins.module_utils.common.problem import Problem

# What the monitors allow where nobody set it. Source: mon_max_pg_per_osd in Ceph's src/common/options/global.yaml.in.
PG_PER_OSD = 250
# The rule that a new cluster brings.
FIRST_RULE = "replicated_rule"
# The managers' own pool, as they make it. Source: MgrModule.create_mgr_pool in Ceph's src/pybind/mgr/mgr_module.py.
MANAGERS_POOL, MANAGERS_APPLICATION = ".mgr", "mgr"
_MANAGERS_POOL = {"pool_type": REPLICATED, "pg_num": 1, "pg_num_min": 1, "pg_num_max": 32, "yes_i_really_mean_it": True}
# The class of an OSD that nobody knows yet.
ANY_CLASS = "*"
# The order of waves: each kind asks once, and does at most two waves.
SETTINGS, RULES, POOLS, DETAILS = range(4)
_SUFFIXED = re.compile(r"(\d+)\s*([KMGTP])i?B?\Z", re.IGNORECASE)

# What is asked, by the part of a document that needs it.
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "settings": ("config dump", "config ls"),
    "flags": ("osd dump",),
    "modules": ("mgr module ls", "osd dump"),
    "muted": ("health",),
    "erasure_profiles": ("osd dump",),
    "rules": ("osd crush dump", "osd dump"),
    "pools": ("osd dump", "osd crush dump", "config dump"),
    "users": ("auth ls",),
    "locations": ("osd crush dump",),
}


@dataclass(frozen=True)
class Action:
    """One change: what it is about, how that was and is to be, and the command; many users share one."""

    about: str
    before: str
    after: str
    wave: int
    command: Command | None


@dataclass(frozen=True)
class State:
    """What the cluster said, by the command that asked."""

    said: Mapping[str, Any] = field(default_factory=dict)

    def of(self, prefix: str, *keys: str) -> Any:
        """A part of an answer; None where it is not there."""
        found = self.said.get(prefix)
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    @property
    def rules(self) -> dict[str, Mapping[str, Any]]:
        """CRUSH rules by name."""
        return {one["rule_name"]: one for one in self.of("osd crush dump", "rules") or []}

    @property
    def pools(self) -> dict[str, Mapping[str, Any]]:
        """Pools by name."""
        return {one["pool_name"]: one for one in self.of("osd dump", "pools") or []}

    @property
    def osds(self) -> int:
        """OSDs that take data."""
        return sum(1 for one in self.of("osd dump", "osds") or [] if one.get("in"))


def questions(document: Document) -> list[Command]:
    """What has to be asked for a document: all in one wave."""
    asked = {prefix for part, prefixes in QUESTIONS.items() if getattr(document, part) for prefix in prefixes}
    return [Command(prefix) for prefix in sorted(asked)]


def plan(document: Document, state: State) -> list[Action]:
    """The changes, in the order of their waves.

    :raises DocumentError: the cluster cannot hold what the document says; all reasons at once.
    """
    problems: list[Problem] = []
    parts = (_settings, _flags, _modules, _managers_pool, _muted, _locations, _profiles, _rules, _pools, _users)
    actions = [action for part in parts for action in part(document, state, problems)]
    problems += capacity(document, state)
    if problems:
        raise DocumentError(problems)
    return sorted(actions, key=lambda one: one.wave)


def capacity(document: Document, state: State) -> list[Problem]:
    """What of a document has no room: copies for which there are too few places, and placement groups beyond what OSDs
    may carry."""
    return [*_domains(document, placed(document, state)), *_placement_groups(document, state)]


def waves(actions: Iterable[Action]) -> Iterator[list[Command]]:
    """The commands, wave by wave."""
    listed = list(actions)
    for number in sorted({one.wave for one in listed}):
        yield [one.command for one in listed if one.wave == number and one.command]


# ---- central configuration, flags, modules, mutes


def _option(name: str) -> str:
    return name if "/" in name else name.replace("-", "_").replace(" ", "_")


def spelled(value: Any) -> str:
    """A value as the monitors keep it, as far as that can be known."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if found := _SUFFIXED.match(text):
        return str(int(found[1]) << 10 * ("KMGTP".index(found[2].upper()) + 1))
    return text


def _same(wanted: str, present: str | None) -> bool:
    if present is None:
        return False
    try:
        return wanted == present or float(wanted) == float(present)
    except ValueError:
        return wanted.lower() == present.lower() and wanted.lower() in ("true", "false")


def _settings(document: Document, state: State, problems: list[Problem]) -> Iterator[Action]:
    known = set(state.of("config ls") or [])
    present = {
        (f"{one['section']}/{one['mask']}" if one.get("mask") else one["section"], one["name"]): str(one["value"])
        for one in state.of("config dump") or []
    }
    for who, options in document.settings.items():
        for given, value in options.items():
            name = _option(str(given))
            if "/" not in name and name not in known:
                problems.append(
                    Problem(
                        "the cluster's daemons know no such option.", words.hint(name, known), f"settings.{who}", given
                    )
                )
                continue
            about, old = f"setting {who} {name}", present.get((str(who), name))
            if value is None:
                if old is not None:
                    yield Action(about, old, "", SETTINGS, Command("config rm", {"who": who, "name": name}))
            elif not _same(spelled(value), old):
                command = Command("config set", {"who": who, "name": name, "value": spelled(value)})
                yield Action(about, old or "", spelled(value), SETTINGS, command)


def _flags(document: Document, state: State, _problems: list[Problem]) -> Iterator[Action]:
    present = set(state.of("osd dump", "flags_set") or [])
    # monitors show pause as what it stands for
    if {"pauserd", "pausewr"} <= present:
        present.add("pause")
    for name in FLAGS:
        wanted = document.flags.get(name)
        if wanted is not None and wanted != (name in present):
            words_of = {True: "set", False: "not set"}
            command = Command("osd set" if wanted else "osd unset", {"key": name})
            yield Action(f"flag {name}", words_of[not wanted], words_of[wanted], SETTINGS, command)


def _modules(document: Document, state: State, problems: list[Problem]) -> Iterator[Action]:
    enabled = set(state.of("mgr module ls", "enabled_modules") or [])
    always = set(state.of("mgr module ls", "always_on_modules") or [])
    others = {str(one["name"]) for one in state.of("mgr module ls", "disabled_modules") or []}
    for name, wanted in document.modules.items():
        known = enabled | always | others
        if name not in known:
            if wanted:
                problems.append(
                    Problem("the managers have no such module.", words.hint(name, known), "modules", str(name))
                )
        elif name in always:
            if not wanted:
                problems.append(Problem("this module is always on.", where="modules", about=str(name)))
        elif wanted != (name in enabled):
            said = {True: "enabled", False: "disabled"}
            command = Command(f"mgr module {'enable' if wanted else 'disable'}", {"module": name})
            yield Action(f"manager module {name}", said[not wanted], said[wanted], SETTINGS, command)


def _managers_pool(document: Document, state: State, _problems: list[Problem]) -> Iterator[Action]:
    """Make the managers' pool and name its application, which no manager does any more once one was ended in between:
    switching a module on ends them, so that a new cluster would warn of that pool for ever."""
    pool = state.pools.get(MANAGERS_POOL)
    if not document.modules or (pool and MANAGERS_APPLICATION in (pool.get("application_metadata") or {})):
        return
    about = f"pool {MANAGERS_POOL}"
    if pool is None:
        yield Action(
            about, "", REPLICATED, POOLS, Command("osd pool create", {"pool": MANAGERS_POOL, **_MANAGERS_POOL})
        )
    command = Command("osd pool application enable", {"pool": MANAGERS_POOL, "app": MANAGERS_APPLICATION})
    yield Action(f"{about}: application", "", MANAGERS_APPLICATION, DETAILS, command)


def _muted(document: Document, state: State, _problems: list[Problem]) -> Iterator[Action]:
    present = {str(one["code"]) for one in state.of("health", "mutes") or [] if one.get("sticky")}
    for code in document.muted:
        if code not in present:
            command = Command("health mute", {"code": code, "sticky": True})
            yield Action(f"health check {code}", "", "muted", SETTINGS, command)


# ---- where hosts stand


def place(state: State, name: str = "", osd: int | None = None) -> dict[str, str]:
    """Where a bucket, or an OSD, stands: kinds and names of those above it."""
    buckets, _ = _tree(state)
    number = next((one for one, bucket in buckets.items() if bucket.get("name") == name), osd)
    found: dict[str, str] = {}
    while number is not None:
        below = number
        number = None
        for one, bucket in buckets.items():
            if below in [int(item["id"]) for item in bucket.get("items", [])] and "~" not in str(bucket.get("name")):
                found[str(bucket["type_name"])] = str(bucket["name"])
                number = one
                break
    return found


def _locations(document: Document, state: State, problems: list[Problem]) -> Iterator[Action]:
    kinds = {str(one["name"]) for one in state.of("osd crush dump", "types") or []}
    names = {str(one["name"]) for one in state.of("osd crush dump", "buckets") or []}
    for host, wanted in document.locations.items():
        unknown = [kind for kind in wanted if kind not in kinds]
        if unknown:
            hint = words.hint_or_list(str(unknown[0]), kinds)
            problems.append(Problem(f"there is no kind of place {unknown[0]!r}.", hint, f"locations.{host}"))
        # a host without OSDs is put where it belongs when its first one starts
        elif host in names and (old := place(state, host)) != dict(wanted):
            listed = [f"{kind}={name}" for kind, name in sorted(wanted.items())]
            before = " ".join(f"{kind}={name}" for kind, name in sorted(old.items()))
            command = Command("osd crush move", {"name": host, "args": listed})
            yield Action(f"location of {host}", before, " ".join(listed), SETTINGS, command)


def placed(document: Document, state: State) -> State:
    """The state as it will be once hosts stand where the document says."""
    crush = state.of("osd crush dump")
    if not document.locations or not crush:
        return state
    order = {str(one["name"]): int(one["type_id"]) for one in crush.get("types", [])}
    buckets = [{**one, "items": list(one.get("items", []))} for one in crush.get("buckets", [])]
    by_name = {str(one["name"]): one for one in buckets}
    for host, wanted in document.locations.items():
        if host not in by_name or not set(wanted) <= set(order) or place(state, host) == dict(wanted):
            continue
        child = by_name[host]
        for one in buckets:
            one["items"] = [item for item in one["items"] if item["id"] != child["id"]]
        for kind in sorted(wanted, key=lambda kind: order[kind]):
            known = wanted[kind] in by_name
            if not known:
                lowest = min(int(one["id"]) for one in buckets) - 1
                by_name[wanted[kind]] = {"id": lowest, "name": wanted[kind], "type_name": kind, "items": []}
                buckets.append(by_name[wanted[kind]])
            parent = by_name[wanted[kind]]
            if all(item["id"] != child["id"] for item in parent["items"]):
                parent["items"].append({"id": child["id"]})
            child = parent
    return State({**state.said, "osd crush dump": {**crush, "buckets": buckets}})


# ---- erasure profiles and rules


def _profiles(document: Document, state: State, problems: list[Problem]) -> Iterator[Action]:
    present = state.of("osd dump", "erasure_code_profiles") or {}
    for name, wanted in document.erasure_profiles.items():
        texts = {str(key).replace("_", "-"): str(value) for key, value in wanted.items()}
        old = present.get(name)
        if old is None:
            listed = [f"{key}={value}" for key, value in sorted(texts.items())]
            command = Command("osd erasure-code-profile set", {"name": name, "profile": listed})
            yield Action(f"erasure profile {name}", "", " ".join(listed), SETTINGS, command)
        elif wrong := [f"{key} {old.get(key)}" for key, value in sorted(texts.items()) if old.get(key) != value]:
            problems.append(
                Problem(
                    f"the cluster has it with {', '.join(wrong)}: data written so could not be read otherwise.",
                    "Give the other profile another name.",
                    "erasure_profiles",
                    str(name),
                )
            )


def shape(rule: Mapping[str, Any]) -> tuple[str, str, str]:
    """Root, device class and failure domain of a rule that is there."""
    root = device_class = domain = ""
    for step in rule.get("steps", []):
        if step.get("op") == "take":
            root, _, device_class = str(step.get("item_name", "")).partition("~")
        elif str(step.get("op", "")).startswith("choose"):
            domain = str(step.get("type", ""))
    return root, device_class, domain


def _rules(document: Document, state: State, problems: list[Problem]) -> Iterator[Action]:
    for rule in document.rules:
        about = f"rule {rule.name}"
        profile = _profile(rule.profile, document, state) if rule.type == ERASURE else None
        if rule.type == ERASURE and profile is None:
            problems.append(Problem(f"there is no erasure profile {rule.profile!r}.", about=about))
            continue
        wanted = _wanted_shape(rule, profile)
        old = state.rules.get(rule.name)
        if old is None:
            yield Action(about, "", _said(wanted), RULES, _rule_command(rule))
        elif shape(old) != wanted:
            problems.append(
                Problem(
                    f"the cluster has it as {_said(shape(old))}, not {_said(wanted)}; a rule cannot be changed.",
                    "Give the other rule another name, and the pools that.",
                    about=about,
                )
            )


def _wanted_shape(rule: Rule, profile: Mapping[str, str] | None) -> tuple[str, str, str]:
    if profile is None:
        return rule.root, rule.device_class, rule.failure_domain
    return (
        profile.get("crush-root", "default"),
        profile.get("crush-device-class", ""),
        profile.get("crush-failure-domain", "host"),
    )


def _said(shape: tuple[str, str, str]) -> str:
    root, device_class, domain = shape
    return f"{domain} below {root}{f', {device_class} only' if device_class else ''}"


def _rule_command(rule: Rule) -> Command:
    if rule.type == ERASURE:
        return Command("osd crush rule create-erasure", {"name": rule.name, "profile": rule.profile})
    arguments = {"name": rule.name, "root": rule.root, "type": rule.failure_domain}
    if rule.device_class:
        arguments["class"] = rule.device_class
    return Command("osd crush rule create-replicated", arguments)


def _profile(name: str, document: Document, state: State) -> dict[str, str] | None:
    given = document.erasure_profiles.get(name)
    found = given if given is not None else (state.of("osd dump", "erasure_code_profiles") or {}).get(name)
    return None if found is None else {str(key).replace("_", "-"): str(value) for key, value in found.items()}


# ---- pools


def _present_pool(pool: Mapping[str, Any], state: State) -> dict[str, Any]:
    """What a pool of the cluster is, in the document's keys."""
    options = pool.get("options") or {}
    flags = str(pool.get("flags_names", "")).split(",")
    names = {one["rule_id"]: name for name, one in state.rules.items()}
    return {
        "size": pool.get("size"),
        "min_size": pool.get("min_size"),
        "pg_num": pool.get("pg_num_target", pool.get("pg_num")),
        "autoscale": pool.get("pg_autoscale_mode"),
        "rule": names.get(pool.get("crush_rule")),
        "application": ",".join(sorted(pool.get("application_metadata") or {})),
        "quota_bytes": pool.get("quota_max_bytes", 0),
        "quota_objects": pool.get("quota_max_objects", 0),
        "compression": options.get("compression_mode", "none"),
        "compression_algorithm": options.get("compression_algorithm", ""),
        "bulk": "bulk" in flags,
        "target_size_ratio": options.get("target_size_ratio", 0.0),
        "overwrites": "ec_overwrites" in flags,
    }


# Keys that `osd pool set` takes, by the name that it has for them.
_SET = {
    "size": "size",
    "min_size": "min_size",
    "pg_num": "pg_num",
    "autoscale": "pg_autoscale_mode",
    "rule": "crush_rule",
    "compression": "compression_mode",
    "compression_algorithm": "compression_algorithm",
    "bulk": "bulk",
    "target_size_ratio": "target_size_ratio",
    "overwrites": "allow_ec_overwrites",
}


def _pools(document: Document, state: State, problems: list[Problem]) -> Iterator[Action]:
    rules = {one.name for one in document.rules} | state.rules.keys()
    for pool in document.pools:
        about = f"pool {pool.name!r}"
        if pool.rule is not None and pool.rule not in rules:
            problems.append(
                Problem(f"there is no rule {pool.rule!r}.", words.hint_or_list(pool.rule, rules), about=about)
            )
        if pool.type == ERASURE and _profile(pool.profile, document, state) is None:
            problems.append(Problem(f"there is no erasure profile {pool.profile!r}.", about=about))
        old = state.pools.get(pool.name)
        if old is None:
            yield _create(pool)
            yield from _details(pool, {})
            continue
        kind = {1: REPLICATED, 3: ERASURE}.get(int(old.get("type", 0)), "of another kind")
        if kind != pool.type or (pool.type == ERASURE and old.get("erasure_code_profile") != pool.profile):
            shown = f"{kind}{' ' + str(old.get('erasure_code_profile')) if kind == ERASURE else ''}"
            problems.append(
                Problem(
                    f"the cluster has it as {shown}, which cannot be changed.",
                    "Make a pool of another name and move the data.",
                    about=about,
                )
            )
            continue
        yield from _details(pool, _present_pool(old, state))


def _create(pool: Pool) -> Action:
    arguments: dict[str, Any] = {"pool": pool.name, "pool_type": pool.type}
    for key, name in (("pg_num", "pg_num"), ("autoscale", "autoscale_mode"), ("bulk", "bulk")):
        if getattr(pool, key) is not None:
            arguments[name] = getattr(pool, key)
    if pool.type == ERASURE:
        arguments["erasure_code_profile"] = pool.profile
    elif pool.size is not None:
        arguments["size"] = pool.size
    if pool.rule:
        arguments["rule"] = pool.rule
    return Action(f"pool {pool.name}", "", f"{pool.type}", POOLS, Command("osd pool create", arguments))


_CREATED_WITH = ("size", "pg_num", "autoscale", "rule", "bulk")


def _details(pool: Pool, present: Mapping[str, Any]) -> Iterator[Action]:
    for key, name in _SET.items():
        wanted = getattr(pool, key)
        # the autoscaler decides about the number that a pool began with
        mode = pool.autoscale or present.get("autoscale")
        if wanted is None or (not present and key in _CREATED_WITH) or (key == "pg_num" and mode == "on"):
            continue
        old = present.get(key)
        if present and (wanted == old or (isinstance(wanted, float) and _same(str(wanted), str(old)))):
            continue
        if not present and key == "overwrites" and not wanted:
            continue
        # a new size comes before what depends on it
        wave = POOLS if key == "size" else DETAILS
        value = spelled(wanted)
        yield Action(
            f"pool {pool.name}: {key}",
            "" if old is None else spelled(old),
            value,
            wave,
            Command("osd pool set", {"pool": pool.name, "var": name, "val": value}),
        )
    for key, name in (("quota_bytes", "max_bytes"), ("quota_objects", "max_objects")):
        wanted, old = getattr(pool, key), int(present.get(key) or 0)
        if wanted is not None and wanted != old:
            command = Command("osd pool set-quota", {"pool": pool.name, "field": name, "val": str(wanted)})
            yield Action(f"pool {pool.name}: {key}", str(old), str(wanted), DETAILS, command)
    applications = str(present.get("application", "")).split(",")
    if pool.application and pool.application not in applications:
        command = Command("osd pool application enable", {"pool": pool.name, "app": pool.application})
        yield Action(
            f"pool {pool.name}: application", ",".join(filter(None, applications)), pool.application, DETAILS, command
        )


# ---- what the hosts can hold


def _tree(state: State) -> tuple[dict[int, Mapping[str, Any]], dict[int, str]]:
    """Buckets by their numbers, and the device class of each OSD."""
    buckets = {int(one["id"]): one for one in state.of("osd crush dump", "buckets") or []}
    devices = {int(one["id"]): str(one.get("class", "")) for one in state.of("osd crush dump", "devices") or []}
    return buckets, devices


def domains(state: State, root: str, domain: str, device_class: str) -> int:
    """How many failure domains with an OSD of this class there are below a root."""
    buckets, devices = _tree(state)

    def below(number: int) -> Iterator[int]:
        if number >= 0:
            yield number
        for item in buckets.get(number, {}).get("items", []):
            yield from below(int(item["id"]))

    def fit(number: int) -> bool:
        return any(not device_class or devices.get(one) in (device_class, ANY_CLASS) for one in below(number))

    def inside(number: int) -> Iterator[int]:
        found = buckets.get(number, {})
        if (domain == "osd" and number >= 0) or found.get("type_name") == domain:
            yield number
        for item in found.get("items", []):
            yield from inside(int(item["id"]))

    start = next((number for number, one in buckets.items() if one.get("name") == root), None)
    return 0 if start is None else sum(1 for one in inside(start) if fit(one))


def _where(pool: Pool, document: Document, state: State) -> tuple[str, str, str] | None:
    """Where a pool's data is to lie; None where that is not known."""
    described = next((one for one in document.rules if one.name == pool.rule), None)
    if described and not (described.type == ERASURE and not _profile(described.profile, document, state)):
        return _wanted_shape(
            described, _profile(described.profile, document, state) if described.type == ERASURE else None
        )
    if pool.type == ERASURE and not pool.rule:
        profile = _profile(pool.profile, document, state)
        return _wanted_shape(Rule(pool.name), profile) if profile else None
    old = state.pools.get(pool.name, {}).get("crush_rule")
    named = pool.rule or next((name for name, one in state.rules.items() if one["rule_id"] == old), FIRST_RULE)
    found = state.rules.get(named)
    return shape(found) if found else None


def _copies(pool: Pool, document: Document, state: State) -> int:
    if pool.type == ERASURE:
        profile = _profile(pool.profile, document, state) or {}
        return int(profile.get("k", 0)) + int(profile.get("m", 0))
    return int(pool.size or state.pools.get(pool.name, {}).get("size") or 3)


def _domains(document: Document, state: State) -> Iterator[Problem]:
    for pool in document.pools:
        shape = _where(pool, document, state)
        if shape is None:
            continue
        there, copies = domains(state, shape[0], shape[2], shape[1]), _copies(pool, document, state)
        if copies > there:
            what = "pieces (k + m)" if pool.type == ERASURE else "copies"
            yield Problem(
                f"its {copies} {what} need as many places of the kind {_said(shape)}; {there} have OSDs.",
                "Add hosts or OSDs, or ask for fewer; a smaller failure domain keeps several on one host.",
                about=f"pool {pool.name!r}",
            )


def _placement_groups(document: Document, state: State) -> Iterator[Problem]:
    described = {pool.name: pool for pool in document.pools}
    if not any(pool.pg_num for pool in document.pools) or not state.osds:
        return
    limit = next(
        (int(one["value"]) for one in state.of("config dump") or [] if one["name"] == "mon_max_pg_per_osd"), PG_PER_OSD
    )
    limit = int(document.settings.get("global", {}).get("mon_max_pg_per_osd", limit))
    total = 0
    for name in {*described, *state.pools}:
        pool, old = described.get(name), state.pools.get(name, {})
        number = (pool.pg_num if pool else None) or old.get("pg_num_target") or old.get("pg_num") or 32
        total += int(number) * (_copies(pool, document, state) if pool else int(old.get("size", 3)))
    if total > limit * state.osds:
        yield Problem(
            f"all pools together have {total} copies of placement groups on {state.osds} OSDs, "
            f"{total // state.osds} each, and {limit} are the limit.",
            "Lower pg_num, or add OSDs.",
            "pools",
        )


# ---- users


def _caps(caps: Mapping[str, str]) -> dict[str, str]:
    return {service: " ".join(str(text).split()) for service, text in sorted(caps.items())}


def _shown(caps: Mapping[str, str], key: str) -> str:
    return "; ".join([*(f"{service} {text}" for service, text in _caps(caps).items()), *([key] if key else [])])


def _users(document: Document, state: State, _problems: list[Problem]) -> Iterator[Action]:
    present = {one["entity"]: one for one in state.of("auth ls", "auth_dump") or []}
    keyring: list[str] = []
    changed: list[Action] = []
    for user in document.users:
        old = present.get(user.name)
        about = f"user {user.name}"
        if user.state == "absent":
            if old:
                yield Action(about, _shown(old["caps"], ""), "", SETTINGS, Command("auth rm", {"entity": user.name}))
            continue
        other_key = bool(old and user.key and user.key != old["key"])
        if old and _caps(old["caps"]) == _caps(user.caps) and not other_key:
            continue
        key = user.key or (old["key"] if old else new_key())
        keyring.append(f"[{user.name}]\n  key = {key}\n")
        keyring += [f'  caps {service} = "{text}"\n' for service, text in _caps(user.caps).items()]
        before = _shown(old["caps"], "the former key" if other_key else "") if old else ""
        changed.append(Action(about, before, _shown(user.caps, "another key" if other_key else ""), SETTINGS, None))
    if changed:
        # one command for all of them
        first = changed[0]
        command = Command("auth import", data="".join(keyring).encode())
        yield Action(first.about, first.before, first.after, SETTINGS, command)
        yield from changed[1:]
