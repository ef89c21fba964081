"""README.md and docs/: what their commands, paths, links and variables name exists."""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
GENERATED = ROOT / "docs" / "reference"
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    if path.is_file() and GENERATED not in path.parents
)
OUTSIDE = {
    "cd",
    "git",
    "ssh",
    "ssh-keygen",
    "scp",
    "openstack",
    "sudo",
    "apt-get",
    "podman",
    "ansible",
    "ansible-vault",
    "ansible-inventory",
    "python",
    "systemctl",
    "journalctl",
    "virsh",
    "cat",
    "dig",
    "less",
    "cp",
    "tail",
    "curl",
    "nft",
    "df",
    "free",
    "rm",
    "jq",
    "source",
    "export",
    "install",
    "mv",
}
"""Programs that are not ours. Their arguments are checked only where they are paths of the checkout."""
ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
OWN_FILE = re.compile(r"<!-- file: .*? -->\n *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")
TOPS = ("docs/", "inventories/", "molecule/", "playbooks/", "plugins/", "roles/", "tests/", "tools/")
MADE = re.compile(r"group_vars/all/secrets\.yml$|^inventories/(mine|[A-Z]+)\b|[*<>{}]|\bNAME\b")
"""Paths that the reader makes, or that stand for many."""


@dataclass(frozen=True)
class Known:
    """What the checkout offers."""

    root: Path
    targets: frozenset[str]
    make_variables: frozenset[str]
    variables: frozenset[str]
    tags: frozenset[str]
    environment: frozenset[str]

    def path_exists(self, name: str) -> bool:
        """Whether the checkout has it, or the reader is to make it."""
        return bool(MADE.search(name)) or (self.root / name.rstrip("/")).exists()


def survey(root: Path) -> Known:
    """Read the names that documentation may use."""
    makefile = (root / "Makefile").read_text() if (root / "Makefile").is_file() else ""
    targets = {name for line in re.findall(r"^([\w .-]+):(?!=)", makefile, re.MULTILINE) for name in line.split()}
    assigned = set(re.findall(r"^(?:export )?([A-Z_]+) *[?:]?=", makefile, re.MULTILINE)) | set(
        re.findall(r"\$[({]([A-Z_]+)", makefile)
    )
    variables: set[str] = set()
    for path in root.glob("roles/*/meta/argument_specs.yml"):
        for entry in (yaml.safe_load(path.read_text()) or {}).get("argument_specs", {}).values():
            variables |= set(entry.get("options") or {})
    for pattern in ("roles/*/defaults/**/*.yml", "inventories/*/group_vars/**/*.yml"):
        for path in root.glob(pattern):
            if path.name != "secrets.yml":
                variables |= set(re.findall(r"^#? ?([a-z]\w+):", path.read_text(), re.MULTILINE))
    playbooks = "\n".join(path.read_text() for path in root.glob("playbooks/*.yml"))
    variables |= set(re.findall(r"\b([a-z]+_[a-z_]+)\b", playbooks))
    sources = [*root.glob("playbooks/*.yml"), *root.glob("roles/*/tasks/*.yml")]
    text = "\n".join(path.read_text() for path in sources)
    tags = {tag.strip() for line in re.findall(r"tags: *\[([^\]]*)\]", text) for tag in line.split(",")}
    tags |= set(re.findall(r"tags: *(\w+)$", text, re.MULTILINE))
    everything = makefile + "".join(
        path.read_text(errors="replace")
        for folder in ("plugins", "tools", "inventories", "playbooks", "roles")
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix in ("", ".py", ".yml", ".j2")
    )
    return Known(
        root,
        frozenset(targets),
        frozenset(assigned),
        frozenset(variables),
        frozenset(tags),
        frozenset(re.findall(r"\bSTACKWRIGHT_[A-Z_]+\b", everything)),
    )


def commands(page: str) -> list[str]:
    """Lines of shell in the page's fenced blocks, continued ones joined, comments and prompts taken away."""
    found = []
    for language, body in FENCE.findall(page):
        if language in ("sh", "shell", "bash", "console"):
            for line in body.replace("\\\n", " ").splitlines():
                line = line.removeprefix("$ ").strip()
                if line and not line.startswith("#"):
                    found.append(line)
    return found


def wrong_with_command(line: str, known: Known) -> list[str]:
    """What a command names that does not exist."""
    wrong: list[str] = []
    for part in re.split(r"\s(?:&&|\|\||\||;)\s", line):
        words = shlex.split(part, comments=True)
        while words and ASSIGNMENT.match(words[0]):
            name = words.pop(0).partition("=")[0]
            if name.startswith("STACKWRIGHT_") and name not in known.environment:
                wrong.append(f"nothing reads the environment variable {name}")
        if not words:
            continue
        program, arguments = words[0].removeprefix(".venv/bin/"), words[1:]
        if program == "sudo" and arguments:
            program, arguments = arguments[0], arguments[1:]
        if program == "make":
            for word in arguments:
                name = word.partition("=")[0]
                if "=" in word and name not in known.make_variables:
                    wrong.append(f"the Makefile knows no variable {name}")
                elif "=" not in word and not word.startswith("-") and word not in known.targets:
                    wrong.append(f"the Makefile has no target {word}")
        elif program in ("ansible-playbook", "ansible", "ansible-inventory"):
            wrong += _wrong_with_ansible(program, arguments, known)
        elif program.startswith(("tools/", "./tools/", "tests/", ".ci/")):
            path = known.root / program
            if not path.is_file() or not path.stat().st_mode & 0o100:
                wrong.append(f"{program} is no program of the checkout")
        elif program == "molecule":
            for flag, value in itertools.pairwise(arguments):
                if flag == "-s" and not (known.root / "molecule" / value / "molecule.yml").is_file():
                    wrong.append(f"there is no Molecule scenario {value}")
        elif program == "pytest":
            paths = [word for word in arguments if not word.startswith("-")]
            wrong += [f"there are no tests {word}" for word in paths if not (known.root / word).exists()]
        elif program not in OUTSIDE:
            wrong.append(f"{program} is no known program")
        wrong += [
            f"{word} does not exist" for word in arguments if word.startswith(TOPS) and not known.path_exists(word)
        ]
    return wrong


def _wrong_with_ansible(program: str, arguments: list[str], known: Known) -> list[str]:
    wrong = []
    playbooks = [word for word in arguments if word.endswith(".yml") and "/" in word and not word.startswith("@")]
    if program == "ansible-playbook" and not playbooks:
        wrong.append("ansible-playbook has no playbook")
    for flag, value in itertools.pairwise(arguments):
        if flag in ("-e", "--extra-vars") and "=" in value:
            for name in re.findall(r"(?:^|\s)(\w+)=", value):
                if name not in known.variables:
                    wrong.append(f"nothing uses the variable {name}")
        if flag in ("-t", "--tags", "--skip-tags"):
            wrong += [f"there is no tag {tag}" for tag in value.split(",") if tag not in known.tags]
    return wrong


def wrong_with_page(path: Path, text: str, known: Known) -> list[str]:
    """All that is wrong with a page."""
    wrong = [f"{line}: {what}" for line in commands(text) for what in wrong_with_command(line, known)]
    prose = FENCE.sub("", text)
    for target, _ in LINK.findall(prose):
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
            wrong.append(f"the link to {target} leads nowhere")
    for span in re.findall(r"`([^`\n]+)`", prose):
        first = span.split()[0] if span.split() else ""
        if first.startswith(TOPS) and " " not in span and not known.path_exists(span):
            wrong.append(f"{span} does not exist")
        if first == "make" or first == "ansible-playbook":
            wrong += [f"{span}: {what}" for what in wrong_with_command(span, known)]
        if re.fullmatch(r"STACKWRIGHT_[A-Z_]+", first) and first not in known.environment:
            wrong.append(f"nothing reads the environment variable {first}")
    # Files that the reader makes hold names of their own: those that a comment names, and those of a home, named first.
    for language, body in FENCE.findall(OWN_FILE.sub("", text)):
        if language == "yaml" and not body.startswith("# ~/"):
            for name in re.findall(r"^([a-z]\w+):", body, re.MULTILINE):
                if name not in known.variables and not name.startswith("ansible_") and name not in ("all", "plugin"):
                    wrong.append(f"nothing uses the variable {name}")
    return wrong


@pytest.fixture(scope="module")
def known():
    """The names of this checkout."""
    return survey(ROOT)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_names_exists(path, known):
    assert wrong_with_page(path, path.read_text(), known) == []


def test_every_page_is_reached_from_the_index():
    reached: set[Path] = set()
    ahead = [ROOT / "docs" / "index.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached and page.is_file() and page.suffix == ".md":
            reached.add(page)
            ahead += [(page.parent / target).resolve() for target, _ in LINK.findall(page.read_text())]
    assert [path for path in PAGES if path not in reached and path.parent != ROOT] == []
    assert GENERATED / "index.md" in reached


@pytest.fixture
def small(tmp_path):
    """A checkout with one of everything."""
    for name, text in {
        "Makefile": "COMPUTES ?= 1\ncloud: setup\n\ttrue\n",
        "playbooks/site.yml": "# All.\n- hosts: all\n  tags: [base]\n",
        "inventories/lab/lab.yml": "",
        "roles/nova/defaults/main.yml": "nova_ratio: 1\n",
        "tools/docs": "STACKWRIGHT_X",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "tools/docs").chmod(0o755)
    return survey(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "make cloud COMPUTES=2",
        "STACKWRIGHT_X=1 ansible-playbook -i inventories/lab playbooks/site.yml --tags base -e nova_ratio=2",
        "ansible-playbook -i inventories/mine playbooks/site.yml",
        "sudo apt-get install git && tools/docs --check",
    ],
)
def test_a_right_command_passes(small, line):
    assert wrong_with_command(line, small) == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("make clod", "no target clod"),
        ("make cloud NODES=2", "no variable NODES"),
        ("ansible-playbook playbooks/sight.yml", "playbooks/sight.yml does not exist"),
        ("ansible-playbook -i inventories/laboratory playbooks/site.yml", "inventories/laboratory does not exist"),
        ("ansible-playbook playbooks/site.yml --tags bass", "no tag bass"),
        ("ansible-playbook playbooks/site.yml -e nova_ration=2", "variable nova_ration"),
        ("tools/docks --check", "no program of the checkout"),
        ("STACKWRIGHT_Y=1 make cloud", "variable STACKWRIGHT_Y"),
        ("molecule test -s keystone", "no Molecule scenario keystone"),
        ("frobnicate", "no known program"),
    ],
)
def test_a_wrong_command_is_found(small, line, what):
    assert what in str(wrong_with_command(line, small))


@pytest.mark.parametrize(
    "text",
    [
        "[x](missing.md)",
        "`roles/nofa/defaults`",
        "`make clod`",
        "```yaml\nnova_ration: 1\n```",
        "```sh\n$ make clod\n```",
        "`STACKWRIGHT_Y`",
    ],
)
def test_a_wrong_page_is_found(small, text):
    assert wrong_with_page(small.root / "README.md", f"# Title\n\n{text}\n", small)
