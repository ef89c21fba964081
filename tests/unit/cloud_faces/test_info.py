"""cloud_info: many types in one call, filtered, with names for references."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.info import (
    gather,
    run_cloud_info,
    wishes_of,
)

from .conftest import Desk, Run


def login(desk: Desk) -> Login:
    return Login(auth=desk.cloud.login["auth"], region_name=desk.cloud.region)


def read(desk: Desk, resources: Any, **options: Any) -> Any:
    """What cloud_info would find."""
    return gather(Cloud(login(desk)), wishes_of(resources), **options)


def company(desk: Desk) -> str:
    """Two projects called web in two domains, and a user of one of them."""
    domain = desk.cloud.put("domain", name="customers")["id"]
    web = desk.cloud.put("project", name="web", domain_id="default")["id"]
    desk.cloud.put("project", name="web", domain_id=domain)
    desk.cloud.put("user", name="alice", domain_id="default", default_project_id=web, _password="hidden")
    return str(web)


def test_several_types_come_with_one_login_and_one_list_each(desk: Desk) -> None:
    web = company(desk)
    cloud = Cloud(login(desk))
    desk.cloud.forget_calls()
    found = gather(cloud, wishes_of(["users", "roles", "groups"]))
    assert len(desk.cloud.calls) == 5, "three types, and the projects and domains that they refer to"
    alice = next(user for user in found["users"] if user["name"] == "alice")
    assert alice["default_project"] == {"name": "web", "domain": "Default"}
    assert alice["domain"] == "Default" and "password" not in alice
    assert found["groups"] == []
    plain = gather(cloud, wishes_of(["user"]), named=False)
    assert plain["users"][-1]["default_project"] == web


def test_filters_must_all_hold(desk: Desk) -> None:
    web = company(desk)
    assert sorted(read(desk, "roles, regions")) == ["regions", "roles"]
    assert {p["id"] for p in read(desk, {"projects": {"names": ["web"]}})["projects"]} > {web}
    assert [p["id"] for p in read(desk, {"projects": {"names": "web", "ids": web}})["projects"]] == [web]
    assert read(desk, {"projects": {"names": "shop"}})["projects"] == []
    assignments = read(desk, {"role_assignments": {"project": "admin"}})["role_assignments"]
    assert [(a["role"], a["user"], a["project"]) for a in assignments] == [("admin", "admin", "admin")]


def test_details_hold_the_answer_of_the_service(desk: Desk) -> None:
    company(desk)
    (domain,) = read(desk, {"domains": {"names": ["customers"]}}, details=True)["domains"]
    assert domain["api"]["name"] == "customers" and domain["api"]["id"] == domain["id"]


def test_what_a_login_may_not_list_is_shown_by_identifier(desk: Desk) -> None:
    web = company(desk)
    desk.cloud.fault(method="GET", service="identity", path="/v3/projects", status=403, times=0)
    assert read(desk, {"users": {"names": ["alice"]}})["users"][0]["default_project"] == web
    with pytest.raises(CloudError, match=r"projects.*403"):
        read(desk, ["projects"])


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        (["projcts"], "resources.projcts: Unknown resource type 'projcts'. Did you mean 'projects'?"),
        ({"users": {"nams": "a"}}, "resources.users.nams: Unknown filter 'nams'. Did you mean 'names'?"),
        ({"users": {"project": "a"}}, "resources.users.project: A user belongs to no project."),
        ({"users": "alice"}, "resources.users: A mapping of filters is wanted: names, ids, project."),
        (7, "resources: A list of resource types"),
    ],
)
def test_faults_of_the_request_are_named(resources: Any, told: str) -> None:
    with pytest.raises(CloudError) as caught:
        wishes_of(resources)
    assert told in str(caught.value)


def test_an_unknown_or_ambiguous_project_is_an_error(desk: Desk) -> None:
    company(desk)
    with pytest.raises(CloudError, match=r"no project 'admn'. Did you mean 'admin'"):
        read(desk, {"role_assignments": {"project": "admn"}})
    with pytest.raises(CloudError, match="'web' is ambiguous"):
        read(desk, {"role_assignments": {"project": "web"}})


def run(desk: Desk, run_module: Run, **arguments: Any) -> dict[str, Any]:
    """The module's answer, in this process."""
    return run_module(run_cloud_info, auth=desk.cloud.login["auth"], region_name=desk.cloud.region, **arguments)


def test_the_module_hands_over_results_and_faults(desk: Desk, run_module: Run) -> None:
    answer = run(desk, run_module, resources=["regions"])
    assert answer["resources"]["regions"][0]["id"] == "RegionOne" and not answer["changed"]
    answer = run(desk, run_module, resources=["region", "srvers"])
    assert answer["failed"] and [e["path"] for e in answer["errors"]] == ["resources.srvers"]


def test_it_reads_in_check_mode_too(desk: Desk) -> None:
    company(desk)
    task = {"stackwright.cloud.cloud_info": {"resources": {"projects": {"names": "web"}, "domains": None}}}
    done = desk.play(task, flags=("--check",))
    assert done.code == 0, done.output
    assert sorted(done.results[0]["resources"]) == ["domains", "projects"]
    assert len(done.results[0]["resources"]["projects"]) == 2
    assert not done.results[0]["changed"] and not desk.cloud.writes()
