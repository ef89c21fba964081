"""Asks Lynis and OpenSCAP what they think of this host, and prints it as JSON. Run as root: ``python3 judge.py NAME``.

Debian packages no STIG content for itself, so Ubuntu 22.04's STIG and Debian 12's ANSSI profile are made to look at any
Debian: the condition on the distribution is taken out, and the unit that loads audit rules is looked for where Debian
13 has it. Rules about the running kernel and the mounts of files that podman lends are counted apart: a container shows
  those of the machine that
it runs on, whatever it says itself.
So are Lynis's points for the running kernel's values and for the machine's USB ports.
The results of OpenSCAP are kept beside the content in /var/lib/judges, as NAME-stig.xml and NAME-anssi.xml.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from collections import Counter

CONTENT = pathlib.Path("/usr/share/xml/scap/ssg/content")
HERE = pathlib.Path("/var/lib/judges")
PROFILES = {
    "stig": ("ssg-ubuntu2204-ds.xml", "xccdf_org.ssgproject.content_profile_stig"),
    "anssi": ("ssg-debian12-ds.xml", "xccdf_org.ssgproject.content_profile_anssi_bp28_high"),
}
PREFIX = "xccdf_org.ssgproject.content_rule_"
MACHINE = ("kernel_config_", "sysctl_", "mount_option_nodev_nonroot_local_partitions")
MACHINE_TESTS = ("KRNL-6000", "USB-3000")
CONTAINER_MARK = "/run/.containerenv"


def adapt(name: str) -> str:
    """Write the content so that it takes this host for its own; returns the file."""
    text = (CONTENT / name).read_text("utf-8")
    text, count = re.subn(r'<xccdf-1\.2:platform idref="cpe:/o:[^"]*"/>', "", text, count=1)
    if not count:
        raise SystemExit(f"{name} has no condition on the distribution any more: look at the new content.")
    if pathlib.Path("/usr/lib/systemd/system/audit-rules.service").exists():
        text = re.sub(
            r"(object_audit_rules_augenrules:obj:1\" version=\"1\">\s*<ind:filepath>)[^<]*"
            r"(</ind:filepath>\s*<ind:pattern[^>]*>)[^<]*",
            r"\1/usr/lib/systemd/system/audit-rules.service\2^ExecStart=/(usr/)?sbin/augenrules --load$",
            text,
        )
    HERE.mkdir(mode=0o755, exist_ok=True)
    adapted = HERE / name
    adapted.write_text(text, "utf-8")
    return str(adapted)


def scap(label: str, profile: str) -> dict[str, object]:
    """Evaluate one profile: how many rules have which result (``machine``: those that show the machine), and which
    fail."""
    name, identifier = PROFILES[profile]
    results = str(HERE / f"{label}-{profile}.xml")
    argv = ["oscap", "xccdf", "eval", "--profile", identifier, "--results", results, adapt(name)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    if done.returncode not in (0, 2):  # 2: some rules fail
        raise SystemExit(f"oscap ended with {done.returncode}: {done.stderr[-1000:]}")
    found = re.findall(
        r'<rule-result idref="([^"]*)".*?<result>(\w+)</result>', pathlib.Path(results).read_text("utf-8"), re.DOTALL
    )
    selected = [(rule.removeprefix(PREFIX), result) for rule, result in found if result != "notselected"]
    counted = [(rule, result) for rule, result in selected if not rule.startswith(MACHINE)]
    machine = Counter(result for rule, result in selected if rule.startswith(MACHINE))
    names = {kind: sorted(rule for rule, result in counted if result == kind) for kind in ("fail", "error", "unknown")}
    return {**Counter(result for _, result in counted), "rules": len(counted), "names": names, "machine": machine}


def lynis() -> dict[str, object]:
    """The hardening index, the index of the tests that judge the host itself (``own``), and what is suggested."""
    subprocess.run(
        ["lynis", "audit", "system", "--quick", "--no-colors", "--quiet"],
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    lines = pathlib.Path("/var/log/lynis-report.dat").read_text("utf-8", "replace").split("\n")
    values = dict(one.split("=", 1) for one in lines if "=" in one)
    said = [one.partition("=")[2] for one in lines if one.startswith(("suggestion[]=", "warning[]="))]
    return {"index": int(values["hardening_index"]), "own": own_index(), "said": said}


def own_index() -> int:
    """Points that Lynis gave per hundred that it could give, without those of ``MACHINE_TESTS``."""
    test, before = "", (0, 0)
    points = Counter[str]()
    for line in pathlib.Path("/var/log/lynis.log").read_text("utf-8", "replace").split("\n"):
        if begun := re.search(r"Performing test ID (\S+)", line):
            test = begun[1]
        if counted := re.search(r"Currently having (\d+) points \(out of (\d+)\)", line):
            now = (int(counted[1]), int(counted[2]))
            if test not in MACHINE_TESTS:
                points["given"] += now[0] - before[0]
                points["possible"] += now[1] - before[1]
            before = now
    return 100 * points["given"] // points["possible"]


def main() -> None:
    label = sys.argv[1]
    # The content takes a host with this mark for a container and leaves most of its rules out.
    if os.path.exists(CONTAINER_MARK):
        subprocess.run(["umount", CONTAINER_MARK], check=False, capture_output=True)
        os.unlink(CONTAINER_MARK)
    found = {"lynis": lynis(), **{name: scap(label, name) for name in PROFILES}}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
