"""The catalogue is complete and valid, and wrong selections, parameters and waivers are refused with the way out."""

from __future__ import annotations

import datetime
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import catalogue, judge

TODAY = datetime.date(2026, 6, 1)
WAIVER = {"control": "UBTU-24-100010", "reason": "a reason", "owner": "someone", "expires": "2026-12-31"}


@pytest.fixture(scope="module")
def known() -> catalogue.Catalogue:
    return catalogue.load()


def test_every_identifier_of_the_stig_has_one_entry(known: catalogue.Catalogue) -> None:
    own = {key for key, one in known.controls.items() if "beyond" in one["tags"]}
    stig = {key: one for key, one in known.controls.items() if key not in own}
    assert len(stig) == 194
    assert len({rule for one in stig.values() for rule in one["rules"]}) == 239
    assert all(re.fullmatch(r"UBTU-24-\d{6}", key) for key in stig)
    assert all(re.fullmatch(r"STACKWRIGHT-\d{6}", key) for key in own)


def test_what_is_not_implemented_says_why(known: catalogue.Catalogue) -> None:
    for entry in known.controls.values():
        assert bool(entry.get("resources")) != bool(entry.get("reason")), entry["id"]


def test_resolved_request_has_no_parameter_left(known: catalogue.Catalogue) -> None:
    assert "${" not in repr([one["resources"] for one in catalogue.resolve(known)])


def test_list_parameter_is_spliced_into_a_list() -> None:
    assert catalogue.fill(["a", "${more}"], {"more": ["b", "c"]}) == ["a", "b", "c"]
    assert catalogue.fill("${one}", {"one": 3}) == 3
    assert catalogue.fill("x ${one}", {"one": 3}) == "x 3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parameters": {"password_minlem": 16}}, "Did you mean 'password_minlen"),
        ({"parameters": {"password_minlen": 8}}, "outside the STIG's range, 15 to 128"),
        ({"parameters": {"password_minlen": "long"}}, "must be a whole number, not 'long'"),
        ({"profile": "stig-hig"}, "Did you mean 'stig-high"),
        ({"exclude": ["UBTU-24-10001"]}, "Did you mean 'UBTU-24-1000"),
        ({"add": ["permission"]}, "Did you mean 'permissions"),
        ({"waivers": [{**WAIVER, "expires": "2026-05-31"}]}, r"Waiver 1 \(UBTU-24-100010\): it expired on 2026-05-31"),
        ({"waivers": [{**WAIVER, "reason": ""}]}, "UBTU-24-100010.*reason missing"),
        ({"waivers": [{**WAIVER, "expires": "soon"}]}, "no date"),
        ({"waivers": [{**WAIVER, "control": "UBTU-24-100011"}]}, "no such control"),
    ],
)
def test_wrong_input_is_refused_with_the_way_out(
    known: catalogue.Catalogue, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(catalogue.CatalogueError, match=message):
        catalogue.resolve(known, today=TODAY, **arguments)


def test_all_problems_are_told_at_once(known: catalogue.Catalogue) -> None:
    with pytest.raises(catalogue.CatalogueError) as caught:
        catalogue.resolve(known, parameters={"x": 1}, waivers=[{**WAIVER, "owner": ""}], today=TODAY)
    assert len(caught.value.problems) == 2


def test_waiver_holds_for_its_hosts_and_groups_only(known: catalogue.Catalogue) -> None:
    waivers = [{**WAIVER, "hosts": ["web*", "storage"]}]
    for host, groups, expected in (("web1", [], True), ("db1", ["storage"], True), ("db1", [], False)):
        controls = catalogue.resolve(known, waivers=waivers, host=host, groups=groups, today=TODAY)
        one = next(one for one in controls if one["id"] == WAIVER["control"])
        assert (one["waiver"] is not None) == expected


def test_profiles_select_what_they_say(known: catalogue.Catalogue) -> None:
    high = catalogue.resolve(known, "stig-high")
    assert {one["severity"] for one in high} == {"high"}
    assert len(high) == sum(one["severity"] == "high" for one in known.controls.values())
    baseline = {one["id"] for one in catalogue.resolve(known, "baseline")}
    assert not baseline & {key for key, one in known.controls.items() if one.get("disrupts")}


def test_deviation_of_a_node_profile_is_a_waiver_with_its_reason(known: catalogue.Catalogue) -> None:
    compute = {one["id"]: one for one in catalogue.resolve(known, "openstack-compute")}
    assert "packet filter" in compute["UBTU-24-100310"]["waiver"]["reason"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"severity": "urgent"}, "severity must be"),
        ({"titel": "x"}, "Did you mean 'title"),
        ({"resources": [{"type": "sysctrl", "key": "a", "value": 1}]}, "Did you mean 'sysctl"),
        ({"resources": [{"type": "sysctl", "kee": "a", "value": 1}]}, "Did you mean 'key"),
        ({"resources": [{"type": "sysctl", "value": 1}]}, "key of sysctl is missing"),
        ({"resources": [{"type": "sysctl", "key": "a", "value": "${nothing}"}]}, "nothing is not a parameter"),
        ({"resources": []}, "neither resources nor a status"),
        ({"status": "manual"}, "needs a reason"),
    ],
)
def test_malformed_entry_is_named(known: catalogue.Catalogue, change: dict[str, Any], message: str) -> None:
    entry = {**known.controls["UBTU-24-600140"], **change}
    assert re.search(message, " ".join(catalogue.entry_problems(entry, known.parameters)))


def test_texts_stay_on_the_control_node(known: catalogue.Catalogue) -> None:
    request = catalogue.resolve(known)
    assert not {"title", "rationale", "remedy"} & set(request[0])
    document = {"findings": [{"id": "UBTU-24-600140"}]}
    assert catalogue.complete(known, document)["findings"][0]["title"]


def test_every_resource_type_is_used(known: catalogue.Catalogue) -> None:
    used = {spec["type"] for one in known.controls.values() for spec in one.get("resources", [])}
    assert used == set(judge.TYPES)


def test_control_whose_parameter_is_empty_does_not_apply(known: catalogue.Catalogue) -> None:
    bare = {one["id"]: one for one in catalogue.resolve(known)}
    given = {one["id"]: one for one in catalogue.resolve(known, parameters={"log_server": "logs.example.org"})}
    assert bare["STACKWRIGHT-000900"]["reason"] == "Parameter log_server is empty."
    assert bare["STACKWRIGHT-000900"]["resources"] == []
    assert "*.* @@logs.example.org" in given["STACKWRIGHT-000900"]["resources"][0]["text"]


def test_malformed_file_of_the_catalogue_is_named_with_its_control(tmp_path: Path) -> None:
    shutil.copytree(catalogue.DIRECTORY, tmp_path / "files")
    time = tmp_path / "files/catalogue/time.yml"
    time.write_text(time.read_text("utf-8").replace("severity: ", "severity: very-", 1), "utf-8")
    (tmp_path / "files/catalogue/broken.yml").write_text("- id: [unclosed\n", "utf-8")
    with pytest.raises(catalogue.CatalogueError) as caught:
        catalogue.load(tmp_path / "files")
    first, second = caught.value.problems
    assert first.startswith("broken.yml cannot be read: ")
    assert re.match(r"time.yml, UBTU-24-\d{6}: severity must be one of", second)


NODES = ("openstack-controller", "openstack-compute", "openstack-network", "ceph", "swift")


@pytest.mark.parametrize("profile", NODES)
def test_nodes_of_a_cloud_forward_packets_and_upgrade_host_by_host(known: catalogue.Catalogue, profile: str) -> None:
    for entry in known.controls.values():
        keys = [one.get("key", "") for one in entry.get("resources", []) if one["type"] == "sysctl"]
        packages = [
            name for one in entry.get("resources", []) for name in one.get("present", []) if one["type"] == "package"
        ]
        if any("forward" in key or "rp_filter" in key for key in keys) or "unattended-upgrades" in packages:
            assert entry["id"] in known.profiles[profile]["deviations"], entry["id"]


def test_baseline_leaves_out_what_closes_new_files_to_others(known: catalogue.Catalogue) -> None:
    chosen = {one["id"] for one in catalogue.resolve(known, "baseline")}
    assert not chosen & {"UBTU-24-300030", "STACKWRIGHT-001050", "STACKWRIGHT-001140"}
    assert "UBTU-24-600160" in chosen


@pytest.mark.parametrize(
    ("control", "parameter", "answer"),
    [
        ("UBTU-24-600130", "sudo_members", ["ada"]),
        ("UBTU-24-100450", "audit_remote_server", "logs.example.org"),
        ("UBTU-24-900950", "audit_offload_directory", "/mnt/audit"),
    ],
)
def test_control_that_only_the_site_can_answer_is_for_people_until_it_does(
    known: catalogue.Catalogue, control: str, parameter: str, answer: object
) -> None:
    bare = {one["id"]: one for one in catalogue.resolve(known)}[control]
    assert (bare["status"], bare["resources"]) == ("manual", [])
    assert parameter in bare["reason"]
    given = {one["id"]: one for one in catalogue.resolve(known, parameters={parameter: answer})}[control]
    assert "status" not in given
    assert given["resources"]
