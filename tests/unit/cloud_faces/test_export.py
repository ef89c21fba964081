"""cloud_export: the document of a running cloud, which changes nothing when it is applied to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.converge import Options, converge
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine.document import takes_default
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.export import (
    Choice,
    Export,
    Exporter,
    render,
    run_cloud_export,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.registry import BY_PLURAL
from ansible_collections.stackwright.cloud.tests import hostile
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator
from ansible_collections.stackwright.cloud.tests.reading import read

from .conftest import Desk, Run

DOCUMENT: dict[str, Any] = {
    "domains": [{"name": "customers", "description": "All of them"}],
    "projects": [
        {"name": "web", "domain": "customers", "description": "Sites: all", "tags": ["b", "a"]},
        {"name": "web", "domain": "Default"},
        {"name": "shop", "domain": "customers", "parent": {"name": "web", "domain": "customers"}},
    ],
    "users": [
        {
            "name": "alice",
            "domain": "customers",
            "password": "Xy7-secret-1",
            "default_project": {"name": "web", "domain": "customers"},
        },
        {"name": "bob", "domain": "Default", "password": "Xy7-secret-2", "enabled": False},
    ],
    "groups": [{"name": "staff", "domain": "customers"}],
    "roles": ["auditor"],
    "role_assignments": [
        {"role": "auditor", "user": "alice", "project": {"name": "web", "domain": "customers"}},
        {"role": "member", "group": "staff", "domain": "customers", "inherited": True},
        {"role": "reader", "user": "bob", "system": "all"},
    ],
}


def login(desk: Desk) -> Login:
    return Login(auth=desk.cloud.login["auth"], region_name=desk.cloud.region)


def apply(desk: Desk, document: Any, **options: Any) -> dict[str, Any]:
    result, failure = converge(login(desk), document, Options(**options))
    assert failure is None, failure
    return result


def export(desk: Desk, **choice: Any) -> Export:
    return Exporter(Cloud(login(desk)), Choice(**choice)).export()


def entries(found: Export) -> dict[str, list[dict[str, Any]]]:
    """What was exported by type, with the defaults in every entry that takes them."""
    own = found.document.get("defaults", {})
    return {
        plural: [
            {**{name: value for name, value in own.items() if takes_default(BY_PLURAL[plural], name)}, **entry}
            for entry in those
        ]
        for plural, those in found.document.items()
        if plural != "defaults"
    }


def test_applying_an_export_changes_nothing(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    found = export(desk)
    desk.cloud.forget_calls()
    again = apply(desk, read(render(found))["cloud_state_document"])
    assert (again["changed"], again["plan"]) == (False, [])
    assert not desk.cloud.writes()
    assert again["summary"]["unchanged"] == sum(map(len, entries(found).values())) >= 10


def test_what_the_deployment_makes_is_exported_on_demand_only(desk: Desk) -> None:
    service = desk.cloud.find("project", name="service")[0]["id"]
    nova = desk.cloud.put("user", name="nova", domain_id="default", _password="x")["id"]
    desk.cloud.grant("admin", nova, project=service)
    apply(desk, DOCUMENT)
    found = export(desk)
    assert {name for those in entries(found).values() for e in those for name in [e.get("name")]}.isdisjoint(
        {"admin", "service", "nova", "member", "Default", "keystone"}
    )
    reasons = {(entry["type"], entry["reason"]): entry for entry in found.left_out}
    assert reasons[("users", "account of a service")]["resources"] == ["user nova"]
    assert reasons[("role_assignments", "account of a service")]["count"] == 1
    whole = export(desk, system=True)
    assert {"nova", "admin"} <= {user["name"] for user in whole.document["users"]}
    assert len(whole.document["endpoints"]) > 20
    assert not apply(desk, whole.document)["changed"]


def test_what_the_first_account_was_given_later_is_exported(desk: Desk) -> None:
    """Without it, the login could not make servers in that project again."""
    apply(desk, {"projects": ["web"], "role_assignments": [{"role": "admin", "user": "admin", "project": "web"}]})
    assert export(desk).document["role_assignments"] == [{"role": "admin", "user": "admin", "project": "web"}]


def test_secrets_are_left_out_and_listed(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    found = export(desk)
    assert [(secret["path"], secret["resource"]) for secret in found.secrets] == [
        ("users[0].password", "user alice"),
        ("users[1].password", "user bob"),
    ]
    text = render(found)
    assert "Xy7" not in text and "# Not known: users[0].password (user alice)" in text


def test_references_are_names_and_mappings_where_names_are_ambiguous(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    document = entries(export(desk))
    users = {user["name"]: user for user in document["users"]}
    assert users["alice"]["default_project"] == {"name": "web", "domain": "customers"}
    assert users["alice"]["domain"] == "customers" and users["bob"]["domain"] == "Default"
    assert not any("id" in entry for entries in document.values() for entry in entries)


def test_the_text_is_the_same_whatever_the_order_of_the_answers(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    first = render(export(desk))
    for kind in ("user", "project", "group"):
        desk.cloud.objects[kind] = dict(reversed(desk.cloud.objects[kind].items()))
    assert render(export(desk)) == first
    assert first.index("name: shop") < first.index("name: web")


def test_a_project_is_exported_with_what_belongs_to_it(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    web = next(p["id"] for p in desk.cloud.find("project", name="web") if p["domain_id"] != "default")
    document = export(desk, project=web).document
    assert [project["description"] for project in document["projects"]] == ["Sites: all"]
    assert [(a["role"], a["user"]) for a in document["role_assignments"]] == [("auditor", "alice")]
    assert set(document) <= {"projects", "role_assignments"} or "users" not in document
    assert not apply(desk, document)["changed"]
    with pytest.raises(CloudError, match="The project 'web' is ambiguous"):
        export(desk, project="web")
    with pytest.raises(CloudError, match=r"There is no project 'shp'. Did you mean 'shop'"):
        export(desk, project="shp")


def test_only_the_types_that_are_asked_for(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    assert list(export(desk, types=frozenset({"group"})).document) == ["groups"]


def test_two_of_one_name_are_told_apart_by_identifier(desk: Desk) -> None:
    for description in ("one", "two"):
        desk.cloud.put("service", name="twin", type="dns", description=description)
    found = export(desk, system=True, types=frozenset({"service"}))
    twins = [entry for entry in found.document["services"] if entry["name"] == "twin"]
    assert all(twin["id"] for twin in twins) and len(found.by_id) == 2
    assert "stands for this cloud's own object: services[" in render(found)
    assert not apply(desk, found.document)["changed"]


def test_ownership_marks_stay_out(desk: Desk) -> None:
    apply(desk, DOCUMENT, owner="company", ledger=str(desk.path / "ledger"))
    assert "stackwright-owner" not in render(export(desk))


def test_a_type_that_may_not_be_listed_is_told_and_the_rest_is_written(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    desk.cloud.fault(method="GET", service="identity", path="/v3/groups", status=403, times=0)
    found = export(desk)
    assert "groups" not in found.document and "users" in found.document
    assert any(e["type"] == "groups" and "403" in e["reason"] for e in found.left_out)
    with pytest.raises(CloudError, match=r"groups.*403"):
        export(desk, types=frozenset({"group"}))


def run(desk: Desk, run_module: Run, **arguments: Any) -> dict[str, Any]:
    """The module's answer, in this process."""
    return run_module(run_cloud_export, auth=desk.cloud.login["auth"], region_name=desk.cloud.region, **arguments)


def test_the_file_is_written_once_and_only_for_its_owner(desk: Desk, run_module: Run) -> None:
    apply(desk, DOCUMENT)
    dest = desk.path / "cloud.yml"
    planned = run(desk, run_module, dest=str(dest), _ansible_check_mode=True)
    assert planned["changed"] and not dest.exists() and "alice" in planned["diff"]["after"]
    assert run(desk, run_module, dest=str(dest))["changed"]
    assert dest.stat().st_mode & 0o777 == 0o600
    assert not run(desk, run_module, dest=str(dest))["changed"]
    assert run(desk, run_module, dest=str(dest), mode="0640")["changed"]
    assert dest.stat().st_mode & 0o777 == 0o640
    desk.cloud.put("group", name="late", domain_id="default")
    later = run(desk, run_module, dest=str(dest))
    assert later["changed"] and "late" in dest.read_text() and "late" not in later["diff"]["before"]
    assert dest.stat().st_mode & 0o777 == 0o640


def test_faults_are_told(desk: Desk, run_module: Run) -> None:
    assert "Did you mean 'projects'" in run(desk, run_module, types=["projecs"])["msg"]
    assert "Make the directory first" in run(desk, run_module, dest=str(desk.path / "no" / "x.yml"))["msg"]
    (desk.path / "latin").write_bytes(b"\xff")
    assert "cannot be read" in run(desk, run_module, dest=str(desk.path / "latin"))["msg"]


def test_an_export_and_its_use_through_ansible(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    dest = desk.path / "cloud.yml"
    done = desk.play(
        {"stackwright.cloud.cloud_export": {"dest": str(dest)}},
        {"ansible.builtin.include_vars": {"file": str(dest)}},
        {"stackwright.cloud.cloud_state": {"document": "{{ cloud_state_document }}"}},
        flags=("--diff",),
    )
    assert done.code == 0, done.output
    assert done.results[0]["changed"] and not done.results[2]["changed"]


def test_a_project_that_the_login_may_not_enter_is_told(desk: Desk) -> None:
    apply(desk, DOCUMENT)
    reasons = {(entry["type"], entry["reason"]) for entry in export(desk).left_out}
    assert ("servers", "cannot be listed in project shop: the login has no role in it") in reasons
    assert not any("project service" in reason for _, reason in reasons)
    assert ("volume_types", "made by the service itself") in reasons
    assert any("project service" in entry["reason"] for entry in export(desk, system=True).left_out)


def test_a_type_whose_service_is_not_offered_is_told(tmp_path: Path) -> None:
    with CloudSimulator(services=("identity",)) as cloud:
        desk = Desk(cloud, tmp_path)
        reasons = {(entry["type"], entry["reason"]) for entry in export(desk).left_out}
        assert ("servers", "the catalogue does not offer the service") in reasons
        with pytest.raises(
            CloudError, match=r"types.servers: The catalogue of this cloud offers no service of type compute"
        ):
            export(desk, types=frozenset({"server"}))


def test_what_tenants_write_is_never_run(desk: Desk) -> None:
    """A template in a name or description would be evaluated on the operator's machine when the file is read as
    variables."""
    trap = desk.path / "trap"
    texts = {label: text for label, text in hostile.corpus(trap).items() if label != "surrogate" and label != "swapped"}
    for label, text in texts.items():
        # labels of a project hold neither commas nor slashes, nor more than 255 characters
        tags = [text] if len(text) <= 255 and not set(text) & set(",/") else []
        desk.cloud.put("project", name=f"p {label}", domain_id="default", description=text, tags=tags)
        desk.cloud.put("group", name=text, domain_id="default", description="")
        desk.cloud.put("network", name=text, description=text, project_id=desk.cloud.admin_project)
    dest = desk.path / "cloud.yml"
    done = desk.play({"stackwright.cloud.cloud_export": {"dest": str(dest)}}, flags=("--diff", "-v"))
    assert done.code == 0, done.output
    assert not hostile.raw(dest.read_text())
    for flags in (("--check", "--diff"), (), ("--check", "-vvv")):
        again = desk.play(
            {"stackwright.cloud.cloud_state": {"document": "{{ cloud_state_document }}"}},
            flags=("-e", f"@{dest}", *flags),
        )
        assert again.code == 0, again.output[-3000:]
        assert not again.results[0]["changed"], again.results[0]["changes"]
    assert not trap.exists()


def test_texts_that_no_file_can_hold_do_not_spoil_the_export(desk: Desk) -> None:
    for text in hostile.surrogates().values():
        desk.cloud.put("project", name="odd " + text, domain_id="default", description=text)
    dest = desk.path / "cloud.yml"
    done = desk.play(
        {"stackwright.cloud.cloud_export": {"dest": str(dest)}},
        {"stackwright.cloud.cloud_info": {"resources": ["projects"]}},
        {"ansible.builtin.include_vars": {"file": str(dest)}},
    )
    assert done.code == 0, done.output[-3000:]
    assert (
        sum("\ufffd" in one["name"] for one in done.results[2]["ansible_facts"]["cloud_state_document"]["projects"])
        == 2
    )


def test_what_modules_say_of_the_cloud_stays_data_in_later_tasks(desk: Desk) -> None:
    trap = desk.path / "trap"
    texts = hostile.templates(trap)
    for text in texts.values():
        desk.cloud.put("project", name=text, domain_id="default", description=text)
    done = desk.play(
        {"stackwright.cloud.cloud_info": {"resources": ["projects"]}},
        {
            "ansible.builtin.set_fact": {
                "found": "{{ result_0.resources.projects }}",
                "names": "{{ result_0.resources.projects | map(attribute='name') }}",
            }
        },
        {
            "ansible.builtin.debug": {"msg": "{{ found }} {{ names | join(' ') }} {{ item.description }}"},
            "loop": "{{ found }}",
        },
        {
            "stackwright.cloud.cloud_state": {
                "document": {
                    "projects": "{{ found | map('dict2items') | map('selectattr', 'key', 'in', ['name', "
                    "'description']) | map('items2dict') }}"
                }
            }
        },
        {"ansible.builtin.debug": {"msg": "{{ result_3.ids }} {{ result_3.changes }}"}},
        flags=("--diff",),
    )
    assert done.code == 0, done.output[-3000:]
    assert not done.results[3]["changed"] and not trap.exists()


def test_plans_and_errors_show_no_control_characters(desk: Desk) -> None:
    texts = {**hostile.shown(), **hostile.surrogates()}
    wanted = [{"name": f"p{number}", "description": text} for number, text in enumerate(texts.values())]
    apply(desk, {"projects": [{**one, "description": "before"} for one in wanted]})
    result, _ = converge(login(desk), {"projects": wanted}, Options(check=True))
    told = "\n".join(result["changes"])
    assert len(result["changes"]) == len(texts) == len(told.splitlines()) and not hostile.raw(told)
    for text in texts.values():
        _, failure = converge(login(desk), {"projects": [{"name": "p", "domain": text}]}, Options())
        assert failure and not hostile.raw(str(failure))
        assert not hostile.raw("".join(problem.cause + problem.about for problem in failure.problems))
    many = export(desk, types=frozenset({"project"}))
    assert not hostile.raw(render(many).replace("\n", ""))
