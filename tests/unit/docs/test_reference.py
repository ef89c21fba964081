"""The generated reference: what it holds, what it refuses, and that the committed one is current."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]

SPECS = """
argument_specs:
  main:
    short_description: Keeps the clock right
    description: [Uses chrony.]
    options:
      time_servers:
        type: list
        elements: str
        description: Where the time comes from, for example V(a|b).
      time_mode:
        choices: [fast, slow]
        default: fast
        description: ["How, see O(time_servers)."]
      time_peers:
        type: list
        elements: dict
        description: Neighbours.
        options:
          name: {required: true, description: Its name.}
"""
MODULE = '''
DOCUMENTATION = r"""
module: tick
short_description: Tick
description: [Ticks.]
author: A
attributes:
  check_mode: {support: full, description: Says what it would do.}
options:
  rate: {description: Per second., type: int, default: 1}
"""
EXAMPLES = "- x.y.tick:\\n"
RETURN = r"""
ticks: {description: How many., type: int, returned: success}
"""
'''


@pytest.fixture(scope="module")
def tool():
    """tools/docs as a module."""
    loader = importlib.machinery.SourceFileLoader("tools_docs", str(ROOT / "tools" / "docs"))
    spec = importlib.util.spec_from_loader("tools_docs", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    """A small collection."""
    for path, text in {
        "roles/time/meta/argument_specs.yml": SPECS,
        "roles/time/defaults/main.yml": "time_servers: [one.example, two.example]\ntime_mode: fast\ntime_peers: "
        "[]\n__time_x: 1\n",
        "roles/time/README.md": "# time\n\n<!-- variables: written by tools/docs -->\nold\n<!-- end of variables "
        "-->\n\nend\n",
        "plugins/modules/tick.py": MODULE,
        "playbooks/site.yml": "---\n# Does all.\n#\n#   ansible-playbook it\n- hosts: all\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def run(tool, tree, *arguments):
    return tool.main(["--root", str(tree), *arguments])


def page(tree, name):
    return (tree / "docs" / "reference" / name).read_text()


def test_a_role_page_has_every_variable_with_type_default_and_meaning(tool, tree):
    assert run(tool, tree) == 0
    text = page(tree, "roles/time.md")
    assert (
        "| `time_servers` | list of str | `[one.example, two.example]` | Where the time comes from, for "
        "example `a\\|b`. |" in text
    )
    assert "| `time_mode` | str | `fast` | How, see `time_servers`. One of `fast`, `slow`. |" in text
    assert "| `time_peers[].name` | str | required | Its name. |" in text
    assert "__time_x" not in text


def test_a_plugin_page_has_options_behaviour_examples_and_results(tool, tree):
    run(tool, tree)
    text = page(tree, "modules/tick.md")
    for part in (
        "# stackwright.cloud.tick",
        "| `rate` | int | `1` | Per second. |",
        "| check_mode | full |",
        "- x.y.tick:",
        "| `ticks` | int | success |",
    ):
        assert part in text


def test_index_and_playbooks_lead_to_everything(tool, tree):
    run(tool, tree)
    index = page(tree, "index.md")
    assert "[time](roles/time.md) | Keeps the clock right" in index
    assert "[tick](modules/tick.md) | Tick" in index
    assert "## site\n\nDoes all.\n\n```text\nansible-playbook it\n```" in page(tree, "playbooks.md")


def test_a_readme_is_filled_between_its_markers_only(tool, tree):
    run(tool, tree)
    text = (tree / "roles/time/README.md").read_text()
    assert text.startswith("# time\n\n<!-- variables") and text.endswith("<!-- end of variables -->\n\nend\n")
    assert "`time_mode`" in text and "old" not in text


def test_a_second_run_writes_nothing(tool, tree, capsys):
    run(tool, tree)
    capsys.readouterr()
    assert run(tool, tree) == 0
    assert capsys.readouterr().out == ""


def test_check_fails_for_what_is_out_of_date_and_writes_nothing(tool, tree, capsys):
    assert run(tool, tree, "--check") == 1
    assert "out of date: docs/reference/roles/time.md" in capsys.readouterr().err
    assert not (tree / "docs").exists()
    run(tool, tree)
    assert run(tool, tree, "--check") == 0
    path = tree / "plugins/modules/tick.py"
    path.write_text(path.read_text().replace("Per second", "Per minute"))
    assert run(tool, tree, "--check") == 1


def test_pages_of_what_is_gone_are_removed(tool, tree):
    run(tool, tree)
    (tree / "plugins/modules/tick.py").unlink()
    assert run(tool, tree, "--check") == 1
    run(tool, tree)
    assert not (tree / "docs/reference/modules/tick.md").exists()


@pytest.mark.parametrize(
    ("path", "old", "new", "problem"),
    [
        (
            "roles/time/defaults/main.yml",
            "time_mode: fast",
            "time_mode: fast\ntime_more: 1",
            "time_more in defaults is not in argument_specs",
        ),
        ("roles/time/defaults/main.yml", "time_mode: fast", "time_mode: slow", "time_mode has other defaults"),
        (
            "roles/time/meta/argument_specs.yml",
            "description: Neighbours.",
            "required: false",
            "time_peers has no description",
        ),
        ("roles/time/meta/argument_specs.yml", "Its name.", "Its name, short", "cut before 'short'"),
        ("plugins/modules/tick.py", "Says what it would do.", "Says, and does not", "cut before 'and does not'"),
        ("plugins/modules/tick.py", "module: tick", "module: tock", "under the name tock"),
        ("plugins/modules/tick.py", "DOCUMENTATION", "OTHER", "has no DOCUMENTATION"),
        ("roles/time/README.md", "<!-- end of variables -->", "", "is not followed by"),
        ("playbooks/site.yml", "# Does all.\n#\n#   ansible-playbook it\n", "", "does not begin with a comment"),
    ],
)
def test_what_is_not_documented_is_an_error(tool, tree, capsys, path, old, new, problem):
    text = (tree / path).read_text()
    assert old in text
    (tree / path).write_text(text.replace(old, new))
    assert run(tool, tree) == 1
    assert problem in capsys.readouterr().err


def test_an_action_of_a_documented_module_needs_no_page(tool, tree):
    (tree / "plugins/action").mkdir()
    (tree / "plugins/action/tick.py").write_text("class ActionModule: ...\n")
    assert run(tool, tree) == 0
    assert not (tree / "docs/reference/action").exists()


def test_the_committed_reference_is_current():
    # as a program of its own, because Ansible finds collections only where it was the first to import them
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/docs"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_comment_above_a_default_is_the_description(tool):
    options = {
        "web_port": {"description": "Port of the V(web) server."},
        "web_kind": {"description": "What it is.", "choices": ["fast", "slow", ""]},
        "web_user": {"description": "Who."},
        "web_group": {"description": "Which."},
        "web_bare": {"description": "Nothing above it."},
    }
    before = (
        "---\n# Port of the\n# `web` server.\nweb_port: 80\n# Told twice, and otherwise.\nweb_kind: fast\n\n"
        "# Both together.\nweb_user: a\nweb_group: b\n\nweb_bare: 1\n\n# Of its own.\n__web_more: [a]\n"
    )
    after = tool.commented(before, options)
    assert after == before.replace("Told twice, and otherwise.", "What it is. One of fast, slow.")
    assert tool.commented(after, options) == after
    assert "# Port of a socket.\nweb_port" in tool.commented(
        before, {"web_port": {"description": ["Port of", "a C(socket)."]}}
    )


# What pages call the kinds of nodes that are to come.
CALLED = {"loadbalancer": "load balancer", "ceph_rgw": "radosgw"}


def test_no_page_promises_what_no_role_deploys():
    """The kinds of nodes without roles are what is to come; what names them says so."""
    nodes = yaml.safe_load((ROOT / "roles/stackwright/defaults/main.yml").read_text())["stackwright_nodes"]
    coming = [CALLED[name] for name, kind in nodes.items() if not kind.get("roles")]
    assert coming, "everything is deployed: let the pages say so"
    pages = [ROOT / "galaxy.yml", ROOT / "docs/index.md", ROOT / "README.md", ROOT / "inventories/ha/hosts.yml"]
    for page in pages:
        first = " ".join(line.lstrip("# ") for line in page.read_text().split("\nall:\n")[0].splitlines())
        for sentence in first.replace("; ", ". ").split(". "):
            if any(one in sentence.lower() for one in coming):
                assert any(sign in sentence for sign in ("not there yet", "will be", "do not", "refuses")), (
                    f"{page}: {sentence}"
                )
