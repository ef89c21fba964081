"""Stacks, zones and record sets: templates from files, states that fail, names that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import Choice, Exporter

from .conftest import Desk

EMPTY = {"heat_template_version": "2018-08-31", "resources": {}}


def stack(**more: Any) -> dict[str, Any]:
    return {"stacks": [{"name": "st", "template": EMPTY, **more}]}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template that takes in a script and a template of its own, which takes in another script."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "init.sh").write_text("echo 1")
    (tmp_path / "sub" / "deep.sh").write_text("echo 2")
    (tmp_path / "sub" / "node.yaml").write_text(
        "heat_template_version: 2018-08-31\nresources: {a: {type: 'OS::Heat::Value', properties: "
        "{value: {get_file: deep.sh}}}}\n"
    )
    (tmp_path / "main.yaml").write_text(
        "heat_template_version: 2018-08-31\nresources:\n  node: {type: sub/node.yaml}\n"
        "  list: {type: 'OS::Heat::Value', properties: {value: [{get_file: init.sh}, {get_file: 'http://a/b'}]}}\n"
    )
    return tmp_path / "main.yaml"


def of_file(path: Path) -> dict[str, Any]:
    return {"stacks": [{"name": "st", "template_file": str(path)}]}


def test_a_template_brings_its_files(desk: Desk, template: Path) -> None:
    desk.cloud.polls_until_ready = 1
    desk.run(of_file(template))
    made = desk.one("stack")
    assert set(made["_files"]) == {"init.sh", "deep.sh", "sub/node.yaml"}
    assert made["_template"]["heat_template_version"] == "2018-08-31"
    assert desk.run(of_file(template))["changes"] == []
    (template.parent / "init.sh").write_text("echo 3")
    assert desk.run(of_file(template))["plan"][0]["before"] == {"template_file": "(other files: init.sh)"}
    assert desk.one("stack")["_files"]["init.sh"] == "echo 3"
    template.write_text("heat_template_version: 2018-08-31\nresources: {}\n")
    assert desk.run(of_file(template))["plan"][0]["before"]["template_file"].startswith("(another in resources")
    assert desk.run(of_file(template))["changes"] == []


def test_a_template_that_cannot_be_read_is_told_before_any_change(desk: Desk, template: Path) -> None:
    (template.parent / "init.sh").unlink()
    error = desk.refuse(of_file(template))
    assert error["path"] == "stacks[0].template_file"
    assert "init.sh: No such file" in error["cause"]
    template.write_text("a: [")
    assert "it is no YAML" in desk.refuse(of_file(template))["cause"]
    assert desk.cloud.writes() == []


def test_a_stack_that_fails_tells_why_and_is_made_anew(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 1
    desk.cloud.fail_next["stack"] = 1
    error = desk.refuse(stack())
    assert (error["path"], error["resource"]) == ("stacks[0]", "stack st")
    assert "its state became CREATE_FAILED: Resource CREATE failed: no sand." in error["cause"]
    line = "replace stack st (it failed when it was made, state CREATE_FAILED: Resource CREATE failed: no sand.)"
    assert desk.run(stack())["changes"] == [line]
    assert desk.one("stack")["stack_status"] == "CREATE_COMPLETE"


def test_an_update_that_fails_is_tried_again(desk: Desk) -> None:
    desk.run(stack())
    desk.cloud.fail_next["stack"] = 1
    wanted = stack(template={**EMPTY, "description": "x"})
    assert "its state became UPDATE_FAILED: Resource CREATE failed" in desk.refuse(wanted)["cause"]
    assert desk.run(wanted)["plan"][0]["before"]["template"].startswith("(in state UPDATE_FAILED")
    assert desk.run(wanted)["changes"] == []


def test_a_removal_that_fails_is_told(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 1
    desk.run(stack())
    desk.cloud.fail_next["stack_delete"] = 1
    error = desk.refuse(stack(), state="absent")
    assert "its state became DELETE_FAILED" in error["cause"]
    desk.run(stack(), state="absent")
    assert desk.cloud.all("stack") == []


def test_a_stack_that_is_all_but_gone_is_none(desk: Desk) -> None:
    desk.run(stack())
    desk.one("stack").update(stack_status="DELETE_IN_PROGRESS", _settle=[0, "stack_status", "DELETE_COMPLETE"])
    assert desk.run(stack(), state="absent")["changes"] == []


def test_an_update_waits_for_one_under_way(desk: Desk) -> None:
    desk.run(stack())
    desk.one("stack").update(stack_status="UPDATE_IN_PROGRESS", _settle=[2, "stack_status", "UPDATE_COMPLETE"])
    desk.run(stack(tags=["a"]))
    assert desk.one("stack")["tags"] == ["a", "stackwright-owner=shop"]


def test_secret_and_hidden_parameters_are_not_shown_or_compared(desk: Desk) -> None:
    template = {**EMPTY, "parameters": {"p": {"type": "string", "hidden": True}, "q": {"type": "json"}}}
    wanted = stack(template=template, secret_parameters={"p": "Sand-1"}, parameters={"q": {"b": 1, "a": 2}})
    result = desk.run(wanted)
    assert "Sand-1" not in json.dumps(result)
    assert desk.run(wanted)["changes"] == []
    hidden = wanted["stacks"][0] | {"tags": ["a"]}
    del hidden["secret_parameters"]
    desk.run({"stacks": [hidden]})
    assert desk.one("stack")["_given"] == {"p": "Sand-1", "q": {"b": 1, "a": 2}}


def test_what_an_entry_leaves_out_stays_when_the_stack_changes(desk: Desk) -> None:
    template = {**EMPTY, "parameters": {"p": {"type": "string"}}}
    more = {
        "environment": {"resource_registry": {"My::Own": "own.yaml"}},
        "files": {"own.yaml": "heat_template_version: 2018-08-31"},
    }
    desk.run(stack(template=template, parameters={"p": "x"}, **more))
    before = {key: dict(desk.one("stack")[key]) for key in ("_given", "_files")}
    registry = desk.one("stack")["_environment"]["resource_registry"]
    assert desk.run(stack(template=template, tags=["a"]))["changes"] != []
    assert {key: desk.one("stack")[key] for key in before} == before
    assert (
        desk.one("stack")["_environment"]["resource_registry"] == registry == more["environment"]["resource_registry"]
    )


def test_a_parameter_that_is_no_longer_named_has_its_default_again(desk: Desk) -> None:
    template = {
        **EMPTY,
        "parameters": {"p": {"type": "string", "default": "y"}, "q": {"type": "boolean", "default": False}},
    }
    desk.run(stack(template=template, parameters={"p": "x", "q": True}))
    change = desk.run(stack(template=template, parameters={"q": True}))["plan"][0]
    assert (change["before"], change["after"]) == (
        {"parameters": {"p": "x", "q": "true"}},
        {"parameters": {"p": None, "q": "true"}},
    )
    assert desk.one("stack")["_given"] == {"q": True}
    assert desk.run(stack(template=template, parameters={"q": True}))["changes"] == []


def test_a_stack_that_is_taken_back_tells_what_had_failed(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 1
    desk.cloud.fail_next["stack"] = 1
    told = "its state became ROLLBACK_COMPLETE: bucket: no sand"
    assert told in desk.refuse(stack(rollback=True))["cause"]
    assert desk.run(stack(rollback=True))["summary"] == {"update": 1}
    desk.cloud.fail_next["stack"] = 1
    assert told in desk.refuse(stack(rollback=True, tags=["a"]))["cause"]


def test_without_waiting_the_answer_is_enough(desk: Desk) -> None:
    desk.cloud.polls_until_ready = 3
    desk.run(stack(), wait=False)
    assert desk.one("stack")["stack_status"] == "CREATE_IN_PROGRESS"
    desk.run(stack(tags=["a"]), wait=False)
    desk.run(stack(tags=["a"]), wait=False, state="absent")


def test_a_zone_that_the_name_servers_refuse_is_made_anew(desk: Desk) -> None:
    zone = {"zones": [{"name": "a.org.", "email": "x@a.org"}]}
    desk.cloud.fail_next["zone"] = 1
    error = desk.refuse(zone)
    assert "its state became error" in error["cause"] and "designate-worker" in error["mend"]
    desk.one("zone")["action"] = "CREATE"
    assert desk.run(zone)["changes"] == [
        "replace zone a.org. (the name servers did not take it when it was made, state ERROR)"
    ]


def test_records_of_many_zones_take_one_request(desk: Desk) -> None:
    names = [f"z{n}.org." for n in range(6)]
    wanted = {
        "zones": [{"name": name, "email": "x@a.org"} for name in names],
        "recordsets": [{"zone": name, "name": f"w.{name}", "type": "A", "records": ["192.0.2.1"]} for name in names],
    }
    desk.run(wanted)
    again = desk.run(wanted)
    assert (again["changes"], again["calls"]) == ([], 3)


def test_the_usual_port_of_a_master_is_no_difference(desk: Desk) -> None:
    zone = {"name": "a.org.", "type": "SECONDARY", "masters": ["192.0.2.1:53", "192.0.2.2:5300"]}
    desk.run({"zones": [zone]})
    assert desk.one("zone")["masters"] == ["192.0.2.1", "192.0.2.2:5300"]
    assert desk.run({"zones": [zone]})["changes"] == []


def test_the_records_that_the_service_keeps_are_not_exported(desk: Desk) -> None:
    delegation = {"name": "sub.a.org.", "type": "NS", "zone": "a.org.", "records": ["ns.b.org."]}
    desk.run({"zones": [{"name": "a.org.", "email": "x@a.org"}], "recordsets": [delegation]})
    found = Exporter(Cloud(desk.login), Choice(types=frozenset({"recordset"}))).export()
    assert [entry["name"] for entry in found.document["recordsets"]] == ["sub.a.org."]
    assert [(entry["reason"], entry["count"]) for entry in found.left_out] == [("made by the service itself", 2)]


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        (stack(template_file="x"), "stacks[0]", "Exactly one of template"),
        (stack(name="1st"), "stacks[0].name", "does not begin with a letter"),
        (stack(timeout_mins=0), "stacks[0].timeout_mins", "at least one minute"),
        (stack(tags=["a,b"]), "stacks[0].tags", "no tag of a stack"),
        ({"zones": [{"name": "a.org", "email": "x"}]}, "zones[0].name", "Write a.org. with the dot"),
        ({"zones": [{"name": "a.org."}]}, "zones[0].email", "'email' is missing"),
        ({"zones": [{"name": "a.org.", "email": "x", "ttl": -1}]}, "zones[0].ttl", "out of range"),
        ({"zones": [{"name": "a.org.", "type": "SECONDARY"}]}, "zones[0].masters", "needs its masters"),
        ({"zones": [{"name": "a.org.", "email": "x", "masters": ["b"]}]}, "zones[0].masters", "Only a secondary"),
        (
            {"recordsets": [{"zone": "a.org.", "name": "w.b.org.", "type": "A", "records": ["192.0.2.1"]}]},
            "recordsets[0].name",
            "is not in the zone a.org.",
        ),
        (
            {"recordsets": [{"zone": "a.org.", "name": "a.org.", "type": "TXT", "records": ["v=spf1 -all"]}]},
            "recordsets[0].records",
            """Write '"v=spf1 -all"'.""",
        ),
        (
            {"recordsets": [{"zone": "a.org.", "name": "a.org.", "type": "A", "records": []}]},
            "recordsets[0].records",
            "at least one record",
        ),
    ],
)
def test_wrong_entries_are_refused_before_any_change(desk: Desk, document: Any, path: str, words: str) -> None:
    error = desk.refuse(document)
    assert error["path"] == path
    assert words in f"{error['cause']} {error['mend']}"
    assert desk.cloud.writes() == []


def test_a_stack_without_labels_is_found_unchanged_after_an_update(desk: Desk) -> None:
    template = {"heat_template_version": "2018-08-31"}
    for more in ({}, {"tags": []}, {"tags": ["x"]}, {"tags": []}):
        document = {"stacks": [{"name": "amber", "template": {**template, "description": str(more)}, **more}]}
        desk.run(document)
        assert desk.run(document)["changed"] is False
