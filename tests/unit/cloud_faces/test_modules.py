"""The everyday modules: generated from the declarations, and run by a real ansible-playbook against a simulated
cloud."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import parse
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import Problem
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces import resource
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import Field, ResourceType
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_NAME

from .conftest import ROOT, Desk, Run

WIDGET = ResourceType(
    "widget",
    "widgets",
    "network",
    "/widgets",
    (
        Field("name", "Name.", required=True),
        Field("project", "Owner.", ref="project"),
        Field("size", "Size in GB.", "int", required=True, immutable=True),
        Field("interface", "Side.", choices=("left", "right")),
        Field("pin", "Code.", secret=True),
        Field(
            "parts", "Parts.", "list", keys=(Field("kind", "Kind.", required=True), Field("user", "Who.", ref="user"))
        ),
    ),
    doc="A widget.",
)


@pytest.fixture(scope="module")
def tool() -> Any:
    """tools/modules as a module."""
    loader = importlib.machinery.SourceFileLoader("tools_modules", str(ROOT / "tools" / "modules"))
    spec = importlib.util.spec_from_loader("tools_modules", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_committed_modules_are_current(tool: Any) -> None:
    assert tool.main(["--check"]) == 0


@pytest.mark.parametrize("kind", resource.module_types(), ids=lambda kind: kind.name)
def test_every_example_is_sound(tool: Any, kind: ResourceType, monkeypatch: pytest.MonkeyPatch) -> None:
    # Files that an example names are the reader's own.
    monkeypatch.setattr("os.path.isfile", lambda path: True)
    for task in tool.example_of(kind, tool.load_examples()):
        (options,) = (value for key, value in task.items() if key != "name")
        arguments = {**dict.fromkeys(resource.own_arguments(kind)), "state": "present", "id": None, **options}
        (item,) = parse({kind.plural: [resource.entry_of(kind, arguments)]})
        told = kind.check_new(item.values) if kind.check_new and not item.absent else []
        assert [problem for problem in told if not problem[0].endswith("file")] == []


def test_a_changed_or_left_over_module_is_told(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plugins" / "modules").mkdir(parents=True)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "runtime.yml").write_text("requires_ansible: '>=2.19.0'\n")
    assert tool.main(["--root", str(tmp_path)]) == 0
    assert tool.main(["--root", str(tmp_path), "--check"]) == 0
    user = tmp_path / "plugins" / "modules" / "user.py"
    user.write_text(user.read_text().replace("Mail address", "Post"))
    (tmp_path / "plugins" / "modules" / "gone.py").write_text(f"{tool.NOTE}\n")
    capsys.readouterr()
    assert tool.main(["--root", str(tmp_path), "--check"]) == 1
    told = capsys.readouterr().err
    assert "modules/user.py" in told and "modules/gone.py" in told and "group.py" not in told
    assert tool.main(["--root", str(tmp_path)]) == 0
    assert not (tmp_path / "plugins" / "modules" / "gone.py").exists()
    assert tool.main(["--root", str(tmp_path), "--check"]) == 0


def test_a_new_type_needs_nothing_but_its_declaration(tool: Any) -> None:
    text = tool.module_text(WIDGET, {})
    parts = dict(re.findall(r'^([A-Z]+) = r"""\n(.*?)^"""$', text, re.MULTILINE | re.DOTALL))
    options = yaml.safe_load(parts["DOCUMENTATION"])["options"]
    assert list(options) == ["name", "project", "size", "widget_interface", "pin", "parts", "state", "id"]
    assert options["name"]["required"] and "required" not in options["size"]
    assert "Required when O(state=present)." in options["size"]["description"]
    assert "Cannot be changed in place, see O(replace)." in options["size"]["description"]
    assert options["project"]["type"] == "raw"
    assert options["parts"]["suboptions"]["kind"]["required"]
    tasks = yaml.safe_load(parts["EXAMPLES"])
    assert tasks[0]["stackwright.cloud.widget"] == {"cloud": "company", "name": "name", "size": 1}
    assert tasks[1]["stackwright.cloud.widget"] == {"cloud": "company", "name": "name", "state": "absent"}
    compile(text, "widget.py", "exec")


def test_options_are_checked_as_declared() -> None:
    arguments = resource.own_arguments(WIDGET)
    assert arguments["pin"]["no_log"] and not arguments["name"]["no_log"]
    assert arguments["widget_interface"]["choices"] == ["left", "right"]
    assert arguments["parts"]["elements"] == "dict" and arguments["parts"]["options"]["user"]["type"] == "raw"
    assert resource.wanted_when_present(WIDGET) == ["size"]
    given = {**dict.fromkeys(arguments), "name": "a", "widget_interface": "left", "state": "present", "id": None}
    assert resource.entry_of(WIDGET, given) == {"name": "a", "interface": "left", "state": "present"}


@pytest.mark.parametrize(
    ("path", "told"),
    [("widgets[0].interface", "widget_interface"), ("widgets[0].parts[1].kind", "parts[1].kind"), ("widgets[0]", "")],
)
def test_problems_name_the_option(path: str, told: str) -> None:
    assert resource.told_by_option(WIDGET, Problem("x", "y", path, "widget a")) == Problem("x", "y", told, "widget a")


def test_no_option_of_a_type_hides_a_common_one() -> None:
    for kind in resource.module_types():
        assert not set(resource.own_arguments(kind)) & resource.TAKEN, kind.name
        assert BY_NAME[kind.name] is kind


def test_modules_make_change_keep_and_remove(desk: Desk) -> None:
    project = {"name": "web", "description": "Sites"}
    user = {"name": "alice", "password": "Xy7-secret-1", "default_project": "web"}
    tasks = [
        {"stackwright.cloud.project": project},
        {"stackwright.cloud.user": user},
        {"stackwright.cloud.role_assignment": {"role": "member", "user": "alice", "project": "web"}},
    ]
    planned = desk.play({"stackwright.cloud.project": project}, flags=("--check", "--diff"))
    assert planned.code == 0, planned.output
    assert planned.results[0]["changes"] == ["create project web"]
    assert planned.results[0]["resource"] == {"id": "", **project}
    assert "Sites" in planned.output and not desk.cloud.writes()
    first = desk.play(*tasks, flags=("--diff", "-vvv"))
    assert first.code == 0, first.output
    assert [result["changed"] for result in first.results] == [True] * 3
    made = desk.cloud.find("user", name="alice")[0]
    assert first.results[1]["id"] == made["id"]
    assert first.results[1]["resource"]["default_project"] == "web"
    assert "Xy7-secret-1" not in first.output and "Xy7-secret-1" not in str(first.results)
    assert "alice" in first.output, "only secrets are masked"
    desk.cloud.forget_calls()
    second = desk.play(*tasks)
    assert [result["changed"] for result in second.results] == [False] * 3
    assert not desk.cloud.writes()
    assert second.results[1]["resource"]["id"] == made["id"]
    third = desk.play(
        {"stackwright.cloud.project": {"name": "web", "description": "Shops"}},
        {"stackwright.cloud.user": {"name": "alice", "state": "absent"}},
        flags=("--diff",),
    )
    assert third.results[0]["changes"] == ["update project web: description Sites -> Shops"]
    assert third.results[0]["diff"]["after"] == {"project web": {"description": "Shops"}}
    assert '-        "description": "Sites"' in third.output
    assert third.results[1]["changes"] == ["delete user alice"] and third.results[1]["id"] == ""
    assert not desk.cloud.find("user", name="alice")


def test_an_endpoint_has_its_own_interface_and_the_login_another(desk: Desk) -> None:
    common = {"service": "identity", "region": "RegionOne", "endpoint_interface": "admin"}
    done = desk.play(
        {"stackwright.cloud.endpoint": {**common, "url": "http://127.0.0.1:1/v3"}},
        {"stackwright.cloud.endpoint": {**common}},
    )
    assert done.results[0]["changes"][0].startswith("update endpoint")
    assert done.code and "state is present but all of the following are missing: url" in done.output


def test_faults_are_told_by_option(desk: Desk) -> None:
    done = desk.play(
        {"stackwright.cloud.user": {"name": "alice", "default_project": {"name": "web", "domian": "x"}}},
    )
    assert done.code and done.results[0]["errors"][0]["path"] == "default_project"
    assert "Unknown key 'domian' in a reference to a project. Did you mean 'domain'?" in done.results[0]["msg"]
    assert "Traceback" not in done.output


def run(desk: Desk, run_module: Run, kind: str, **arguments: Any) -> dict[str, Any]:
    """A module's answer, in this process."""
    login = {"auth": desk.cloud.login["auth"], "region_name": desk.cloud.region}
    return run_module(lambda: resource.run_resource(kind), **login, **arguments)


def test_a_module_answers_with_the_resource_or_the_faults(desk: Desk, run_module: Run) -> None:
    answer = run(desk, run_module, "user", name="eve", password="Xy7-secret-1", email="eve@example.com")
    assert answer["changed"] and answer["resource"]["email"] == "eve@example.com" and answer["calls"] > 1
    assert "password" not in answer["resource"] and "Xy7-secret-1" not in str(answer)
    answer = run(desk, run_module, "user", name="eve", password="Xy7-secret-2", update_password="always", enabled=False)
    assert answer["changes"][0].startswith("update user eve: enabled True -> False, password (another) -> ")
    keep = {"name": "eve", "password": "Xy7-secret-3", "update_password": "always"}
    done = desk.play({"stackwright.cloud.user": keep})
    assert not done.results[0]["changed"] and "user eve is disabled" in " ".join(done.output.split())
    answer = run(desk, run_module, "user", name="eve", default_project="shp")
    assert answer["failed"] and answer["errors"][0]["path"] == "default_project"
    answer = run(desk, run_module, "user", name="mallory", id=desk.cloud.find("user", name="eve")[0]["id"])
    assert answer["changes"] == ["update user mallory: name eve -> mallory"]


def test_the_examples_are_sound(tool: Any) -> None:
    """What the documentation shows is accepted, and no type is shown twice."""
    entries = tool.load_examples()
    for plural, entry in entries.items():
        parse({plural: [entry]})
    names = [set(tool.load_document(ROOT / "docs" / "examples" / name)) for name in tool.DOCUMENTS]
    assert len(names) == 2 and not names[0] & names[1]
