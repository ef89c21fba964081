"""Runs Swift's own functional and S3 tests on a proxy of the object store, as users of a domain that it makes for them
and removes again, and says what passed, what failed and what was skipped for which reason.

run.py LOGIN TESTS WORKERS [FILE ...]

LOGIN names a file with the administrator's login and the region as JSON, TESTS the directory with the package ``test``
of Swift's sources. Each file of tests gets accounts that nobody used before; WORKERS files are run at the same time.
"""

from __future__ import annotations

import concurrent.futures
import configparser
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DOMAIN = "swift-functional"
PACKAGES = ("test/functional", "test/functional/s3api", "test/s3api")
# The slowest first, so that none begins when all others have ended.
SLOWEST = ("tests.py", "test_object.py", "test_slo.py", "test_symlink.py", "test_access_control.py")
SECONDS = 3000
SAID = 400
KEYS = ("access", "secret")
# Tests that cannot pass on a store that is set up as this one, by the end of their names, and why.
NAMES = "names in access lists are not regarded (allow_names_in_acls), and this test wants a user to be let in by name"
SAME = (
    "users of this run are named as their identifiers, which access lists may hold, and this test wants names refused"
)
OWNER = "the owner of a bucket is named after project and user, and this test wants the name of the key"
ROOM = "each node would reserve four times 5 GB for it, on a disk that lab machines share with all others"
TOKEN = "a service token of a user who is no service is refused, and this test wants it to be disregarded"
LEFT_OUT = {
    "TestContainerACL::test_container_acl": NAMES,
    "TestContainerACLsAccount4::test_cross_account_acl_names_with_project_in_non_default_domain": SAME,
    "TestRBAC::test_rbac": TOKEN,
    "TestFile::testFileSizeLimit": ROOM,
    "TestFileUTF8::testFileSizeLimit": ROOM,
    **{f"TestGetService{kind}": OWNER for kind in ("SigV2", "SigV4", "PresignedV2", "PresignedV4")},
}


class Identity:
    """The identity service, as its administrator."""

    def __init__(self, login: Mapping[str, str]) -> None:
        self.login, self.token = login, ""
        self.catalog: list[dict[str, Any]] = []
        self.token = self._log_in()
        self.roles = {one["name"]: one["id"] for one in self.ask("GET", "/roles")["roles"]}

    def _log_in(self) -> str:
        login = self.login
        user = {"name": login["username"], "password": login["password"], "domain": {"name": login["user_domain_name"]}}
        project = {"name": login["project_name"], "domain": {"name": login["project_domain_name"]}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                         "scope": {"project": project}}}  # fmt: skip
        told, headers = self._send("POST", "/auth/tokens", body)
        self.catalog = told["token"]["catalog"]
        return headers["X-Subject-Token"]

    def _send(self, method: str, path: str, body: Any = None) -> tuple[Any, Mapping[str, str]]:
        headers = {"Content-Type": "application/json", "X-Auth-Token": self.token}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.login["auth_url"] + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                content = answer.read()
                return (json.loads(content) if content else None), answer.headers
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: HTTP {error.code}: {error.read().decode(errors='replace')}") from error

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return what the service answers; a refusal ends the program."""
        return self._send(method, path, body)[0]

    def proxy(self) -> str:
        """Where the object store is."""
        ends = next(one for one in self.catalog if one["type"] == "object-store")["endpoints"]
        return str(next(one["url"] for one in ends if one["interface"] == "public")).split("/v1/")[0]

    def make(self, kind: str, domain: str, name: str = "", **more: Any) -> str:
        """Make a user or a project; without a name it is named as its identifier."""
        asked = {kind: {"name": name or secrets.token_hex(8), "domain_id": domain, **more}}
        made = str(self.ask("POST", f"/{kind}s", asked)[kind]["id"])
        if not name:
            self.ask("PATCH", f"/{kind}s/{made}", {kind: {"name": made}})
        return made

    def account(self, project: str) -> None:
        """Have the object store know the account of a project, which some tests take for granted."""
        url = f"{self.proxy()}/v1/AUTH_{project}"
        request = urllib.request.Request(url, headers={"X-Auth-Token": self.token}, method="POST")
        with urllib.request.urlopen(request, timeout=120):
            pass

    def let(self, user: str, project: str, role: str) -> None:
        """Give a user a role in a project."""
        self.ask("PUT", f"/projects/{project}/users/{user}/roles/{self.roles[role]}")

    def key(self, user: str, project: str) -> tuple[str, str]:
        """Make a key of S3."""
        made = self.ask("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": project})["credential"]
        return made["access"], made["secret"]


@contextlib.contextmanager
def domain(identity: Identity) -> Iterator[str]:
    """A domain for the time of a block. One that an earlier run could not remove goes first."""

    def remove(identifier: str) -> None:
        identity.ask("PATCH", f"/domains/{identifier}", {"domain": {"enabled": False}})
        identity.ask("DELETE", f"/domains/{identifier}")

    for left in identity.ask("GET", f"/domains?name={DOMAIN}")["domains"]:
        remove(left["id"])
    made = str(identity.ask("POST", "/domains", {"domain": {"name": DOMAIN}})["domain"]["id"])
    try:
        yield made
    finally:
        remove(made)


@dataclasses.dataclass(frozen=True)
class Cast:
    """Users of the tests by their number, and whether they have the names that tests of access expect."""

    users: Mapping[int, str]
    named: bool
    password: str


# What each user may do in the project of its number; the third and the seventh are in the first one's project.
ROLES = {1: "member", 2: "member", 3: "reader", 4: "member", 5: "service", 6: "ResellerAdmin", 7: "member"}
PROJECT = {1: 1, 2: 2, 3: 1, 4: 4, 5: 5, 6: 6, 7: 1}


def number(of: int) -> str:
    """The end of the names of options and users: the first has none."""
    return "" if of == 1 else str(of)


def called(kind: str, one: int, named: bool) -> str:
    """The name of a user or project; none where it is to be the identifier. The fourth has one in any case: a test
    wants it refused by name."""
    return f"{kind}{number(one)}" if named else f"other-{kind}" if one == 4 else ""


def cast(identity: Identity, within: str, named: bool) -> Cast:
    """Make the users."""
    password = secrets.token_urlsafe(24) + "aA1!"
    users = {one: identity.make("user", within, called("tester", one, named), password=password) for one in ROLES}
    return Cast(users, named, password)


def settings(identity: Identity, within: str, cast: Cast, proxy: str, region: str) -> configparser.ConfigParser:
    """Make projects for one file of tests; return the configuration for it."""
    names, projects, option = {}, {}, {}
    for one in sorted({PROJECT[one] for one in cast.users}):
        names[one] = called("test", one, cast.named)
        names[one] += f"-{secrets.token_hex(4)}" if names[one] and not cast.named else ""
        projects[one] = identity.make("project", within, names[one])
        names[one] = names[one] or projects[one]
        identity.account(projects[one])
    for one, user in cast.users.items():
        identity.let(user, projects[PROJECT[one]], ROLES[one])
        name = called("tester", one, cast.named) or user
        option |= {f"account{number(one)}": names[PROJECT[one]], f"username{number(one)}": name,
                   f"password{number(one)}": cast.password, f"domain{number(one)}": DOMAIN}  # fmt: skip
    read = configparser.ConfigParser(interpolation=None)
    keys = [identity.key(cast.users[one], projects[1]) for one in (1, 7, 3)]
    for at, (access, secret) in enumerate(keys, 1):
        option |= {f"s3_access_key{number(at)}": access, f"s3_secret_key{number(at)}": secret}
    read["func_test"] = {"auth_version": "3", "auth_uri": identity.login["auth_url"], "s3_storage_url": f"{proxy}/",
                         "s3_region": region, "collate": "C", **option}  # fmt: skip
    by_number = {
        f"{what}_key{at}": key for at, pair in enumerate(keys, 1) for what, key in zip(KEYS, pair, strict=True)
    }
    read["s3api_test"] = {"endpoint": proxy, "region": region, **by_number}
    return read


def reason(text: str) -> str:
    """Why a test was skipped, without the place in the sources."""
    return re.sub(r"^\S+:\d+: ", "", " ".join(text.split())) or "it says no reason"


def told(report: pathlib.Path, name: str) -> dict[str, Any]:
    """What the report of one file of tests says."""
    found: dict[str, Any] = {"passed": 0, "failed": {}, "skipped": {}}
    for case in ElementTree.parse(report).iter("testcase"):
        what = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        wrong = [one for one in case if one.tag in ("failure", "error")]
        skipped = case.find("skipped")
        if wrong:
            said = " ".join((wrong[0].get("message") or "").split())[:SAID]
            lines = re.findall(rf"{re.escape(name)}:(\d+)", wrong[0].text or "")
            found["failed"][f"{name} {what}"] = f"line {lines[-1]}: {said}" if lines else said
        elif skipped is not None:
            found["skipped"].setdefault(reason(skipped.get("message") or ""), []).append(what)
        else:
            found["passed"] += 1
    return found


def one_file(
    path: str, tests: pathlib.Path, scratch: pathlib.Path, config: configparser.ConfigParser
) -> dict[str, Any]:
    """Run one file of tests."""
    base = scratch / path.replace("/", "-")
    report = base.with_suffix(".xml")
    with open(os.open(base.with_suffix(".conf"), os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as stream:
        config.write(stream)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", f"--junitxml={report}", path]
    argv += [word for one in LEFT_OUT for word in ("--deselect", f"{path}::{one}")]
    environment = {
        **os.environ,
        "SWIFT_TEST_CONFIG_FILE": str(base.with_suffix(".conf")),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    begun = time.monotonic()
    try:
        done = subprocess.run(argv, cwd=tests, env=environment, capture_output=True, text=True, timeout=SECONDS)
        said = (done.stdout + done.stderr)[-SAID:]
    except subprocess.TimeoutExpired:
        said = f"not within {SECONDS} s"
    found = told(report, path) if report.exists() else {"passed": 0, "failed": {path: said}, "skipped": {}}
    return {**found, "file": path, "seconds": round(time.monotonic() - begun, 1)}


def chosen(tests: pathlib.Path, wanted: Sequence[str]) -> list[str]:
    """Files of tests, the slowest first."""
    found = [
        str(one.relative_to(tests))
        for package in PACKAGES
        for one in sorted((tests / package).glob("*.py"))
        if one.name.startswith("test") and (not wanted or str(one.relative_to(tests)) in wanted)
    ]
    return sorted(
        found, key=lambda one: SLOWEST.index(one.rpartition("/")[2]) if one.rpartition("/")[2] in SLOWEST else 99
    )


def main() -> int:
    """Do what was asked."""
    login = json.loads(pathlib.Path(sys.argv[1]).read_text())
    tests, workers = pathlib.Path(sys.argv[2]), int(sys.argv[3])
    identity = Identity(login)
    proxy, region = identity.proxy(), login["region"]
    begun, found = time.monotonic(), []
    with domain(identity) as within, tempfile.TemporaryDirectory() as scratch:
        casts = {named: cast(identity, within, named) for named in (True, False)}

        def run(path: str) -> dict[str, Any]:
            own = casts[path.endswith("test_access_control.py")]
            return one_file(path, tests, pathlib.Path(scratch), settings(identity, within, own, proxy, region))

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for one in pool.map(run, chosen(tests, sys.argv[4:])):
                found.append(one)
    skipped: dict[str, list[str]] = {}
    for one in found:
        for why, names in one["skipped"].items():
            skipped.setdefault(why, []).extend(f"{one['file']} {name}" for name in names)
    for name, why in LEFT_OUT.items():
        skipped.setdefault(why, []).append(name)
    failed = {name: said for one in found for name, said in one["failed"].items()}
    passed = sum(one["passed"] for one in found)
    files = {
        one["file"]: {"passed": one["passed"], "failed": len(one["failed"]), "seconds": one["seconds"]} for one in found
    }
    print(json.dumps({"passed": passed, "failed": failed, "skipped": skipped, "files": files,
                      "seconds": round(time.monotonic() - begun)}))  # fmt: skip
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
