"""The page that says which kinds of roles there are names each, and no other."""

import re
from pathlib import Path

ROLES = Path(__file__).parents[3] / "roles"


def test_page_names_every_role_once():
    table = [line for line in (ROLES / "README.md").read_text().splitlines() if line.startswith("| ")]
    named = [*re.findall(r"`([a-z_]+)`", " ".join(line.split("|")[2] for line in table)), "stackwright"]
    assert sorted(named) == sorted(path.name for path in ROLES.iterdir() if path.is_dir())


def test_kinds_are_what_they_say():
    for line in (ROLES / "README.md").read_text().splitlines():
        if line.startswith("| Service"):
            for name in re.findall(r"`([a-z_]+)`", line.split("|")[2]):
                variables = ROLES / name / "vars"
                assert (variables / "main.yml").exists() or (variables / "main").is_dir(), name
                assert not (ROLES / name / "tasks").exists(), name
