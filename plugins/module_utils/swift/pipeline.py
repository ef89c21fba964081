"""What requests to the object store pass through, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words

# All middleware in its order. Source: Swift's sample of proxy-server.conf and the headers of its middleware, which say
# of each what it has to stand before and behind: a name is rewritten before anything looks at it; bulk, tempurl and
# formpost open what the identity service's middleware closes; S3 requests are translated before their signature is
# checked, and that is behind authtoken, which takes away what anybody before it says of users; large objects and
# versions are put together behind quotas; what lies on disk is encrypted last.
ORDER = (
    "catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "cache", "etag-quoter", "listing_formats",
    "name_check", "cname_lookup", "domain_remap", "crossdomain", "container_sync", "bulk", "tempurl", "ratelimit",
    "read-only", "formpost", "s3api", "authtoken", "s3token", "keystoneauth", "staticweb", "copy", "container-quotas",
    "account-quotas", "slo", "dlo", "versioned_writes", "symlink", "keymaster", "kms_keymaster", "kmip_keymaster",
    "encryption", "proxy-logging", "proxy-server",
)  # fmt: skip
NEEDED = ("catch_errors", "gatekeeper", "proxy-logging", "cache", "authtoken", "keystoneauth", "proxy-server")
KEYMASTERS = ("keymaster", "kms_keymaster", "kmip_keymaster")
KEYMASTER_FILE = "/etc/swift/keymaster.conf"
# What needs another piece to work, and why.
TOGETHER = {
    "s3api": ("s3token", "nothing would ask the identity service about the signature"),
    "s3token": ("s3api", "nothing would translate the request"),
    "versioned_writes": ("copy", "versions are made by copying"),
    "container-quotas": ("copy", "a copy would get around the quota"),
    "account-quotas": ("copy", "a copy would get around the quota"),
}
# Names of the programs behind names in pipelines, where they differ by more than hyphens.
PROGRAMS = {"cache": "memcache"}


def fault(pipeline: Any) -> tuple[str, str] | None:
    """What is wrong with a pipeline and how to mend it; None where it is right."""
    if not isinstance(pipeline, Sequence) or isinstance(pipeline, str):
        return "is no list", "List the names of middleware, from the client to the proxy."
    for name in pipeline:
        if name not in ORDER:
            return f"{name!r} is no middleware that is known", words.hint_or_list(str(name), ORDER)
    for name in NEEDED:
        if name not in pipeline:
            return f"{name!r} is missing", "The object store does not work, or is open to everybody, without it."
    for name, (other, why) in TOGETHER.items():
        if name in pipeline and other not in pipeline:
            return f"{name!r} is there without {other!r}: {why}", f"Add {other!r}, or take {name!r} out."
    masters = [name for name in pipeline if name in KEYMASTERS]
    if len(masters) > 1 or bool(masters) != ("encryption" in pipeline):
        return (
            "encryption goes with exactly one of keymaster, kms_keymaster and kmip_keymaster",
            "What was encrypted can only be read while both stay.",
        )
    return _disorder(list(pipeline))


def _disorder(pipeline: Sequence[str]) -> tuple[str, str] | None:
    left = list(ORDER)
    for before, name in zip(("", *pipeline), pipeline, strict=False):
        if name not in left:
            often = pipeline.count(name) > ORDER.count(name)
            what = f"{name!r} stands there too often" if often else f"{name!r} stands behind {before!r}"
            return what, f"The order is: {', '.join(one for one in ORDER if one in pipeline)}."
        del left[: left.index(name) + 1]
    return None


def sections(pipeline: Any) -> dict[str, dict[str, str]]:
    """A pipeline as ``proxy-server.conf`` has it, with a section for each middleware that needs no settings.

    :raises ValueError: it is wrong.
    """
    found = fault(pipeline)
    if found:
        raise ValueError(f"{found[0]}. {found[1]}")
    made = {"pipeline:main": {"pipeline": " ".join(pipeline)}}
    for name in pipeline:
        section = {"use": f"egg:swift#{PROGRAMS.get(name, name.replace('-', '_'))}"}
        if name in KEYMASTERS:
            section["keymaster_config_path"] = KEYMASTER_FILE
        if name not in ("proxy-server", "authtoken"):
            made[f"filter:{name}"] = section
    return made


def affinity(policies: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Sections of ``proxy-server.conf`` that say in which regions a policy's objects are read and written first."""
    found = {}
    for one in policies:
        keys = ("read_affinity", "write_affinity", "write_affinity_node_count")
        given = {key: one[key] for key in keys if one.get(key)}
        if "read_affinity" in given:
            given["sorting_method"] = "affinity"
        if given:
            found[f"proxy-server:policy:{one['index']}"] = given
    return found
