"""The pages for those who build on the project, followed to the letter."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.engine import (
    converge,
    document,
    plan,
    reader,
    references,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types import registry
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import (
    expectations,
    plays,
    rules,
    snapshot,
    topology,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view, interfaces
from ansible_collections.stackwright.cloud.plugins.module_utils.stig import catalogue, files
from ansible_collections.stackwright.cloud.plugins.module_utils.stig.host import Host
from ansible_collections.stackwright.cloud.tests import pages, role_variables
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator, network

ROOT = Path(__file__).resolve().parents[3]


def program(name: str) -> Any:
    """A program of tools/ as a module."""
    loader = importlib.machinery.SourceFileLoader(f"tools_{name}", str(ROOT / "tools" / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


# Now, and not in a test: another one may have set Ansible's own finder of collections up by then.
TOOL = program("modules")


def test_control_of_the_page_is_found_judged_and_made_so(tmp_path: Path) -> None:
    ((place, text),) = pages.blocks("controls").items()
    shutil.copytree(ROOT / "roles/hardening/files", tmp_path / "files")
    path = tmp_path / "files" / Path(place.split(",")[0]).relative_to("roles/hardening/files")
    path.write_text(f"{path.read_text()}\n{text}")
    known = catalogue.load(tmp_path / "files")
    (control,) = [one for one in catalogue.resolve(known, profile="baseline") if one["id"] == "STACKWRIGHT-009990"]
    (spec,) = control["resources"]
    (tmp_path / "root/etc/systemd").mkdir(parents=True)
    (tmp_path / "root/etc/systemd/coredump.conf").write_text("[Coredump]\n#Storage=external\n")
    host = Host(str(tmp_path / "root"), run=lambda argv: (0, ""))
    kind = files.TYPES[spec["type"]]
    assert not kind.check(host, spec).ok
    kind.fix(host, spec)
    assert kind.check(host, spec).ok
    path.write_text(re.sub(r"type: option(\s+file: /etc/systemd/coredump)", r"type: optoin\1", path.read_text()))
    with pytest.raises(catalogue.CatalogueError, match=r"beyond-files\.yml, STACKWRIGHT-009990.*Did you mean 'option'"):
        catalogue.load(tmp_path / "files")


def test_resource_type_of_the_page_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = pages.blocks("resource-types")
    space: dict[str, Any] = {}
    exec(code["plugins/module_utils/cloud/types/local_ip.py"], space)
    kind = space["LOCAL_IP"]
    monkeypatch.setitem(registry.BY_NAME, kind.name, kind)
    monkeypatch.setitem(registry.BY_PLURAL, kind.plural, kind)
    for place in (plan, reader, references):
        monkeypatch.setattr(place, "TYPES", (*registry.TYPES, kind))
    declared: list[Any] = []
    exec(
        f"found.append({code['tests/cloud_simulator/network.py, a collection'].strip()})",
        {"declare": network.declare, "found": declared},
    )
    monkeypatch.setattr(network, "COLLECTIONS", [*network.COLLECTIONS, *declared])
    (entry,) = yaml.safe_load(code["entry of local_ips"])
    with CloudSimulator() as cloud:
        login = Login(auth=cloud.login["auth"], auth_type="password", region_name=cloud.region)
        cloud.put("network", name="lan", project_id=cloud.admin_project)

        def run(**more: Any) -> list[str]:
            options = converge.Options(owner="shop", ledger=str(tmp_path / "ledger"), timeout=5)
            result, failure = converge.converge(
                login, {"local_ips": [{**entry, **more}]}, options, lambda one: Cloud(one, sleep=lambda _: None)
            )
            assert failure is None, failure
            return list(result["changes"])

        assert run() == ["create local ip cache"]
        assert run() == []
        assert run(description="For the cache") == ["update local ip cache: description  -> For the cache"]
        assert run(state="absent") == ["delete local ip cache"]
    assert document.parse({"local_ips": [entry]})[0].label == "local ip cache"


def test_module_of_the_page_s_type_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    code = pages.blocks("resource-types")
    space: dict[str, Any] = {}
    exec(code["plugins/module_utils/cloud/types/local_ip.py"], space)
    monkeypatch.setitem(registry.BY_NAME, "local_ip", space["LOCAL_IP"])
    text = TOOL.module_text(space["LOCAL_IP"], {})
    assert "module: local_ip\n" in text and 'run_resource("local_ip")' in text


@pytest.mark.parametrize("with_play", [True, False])
def test_kind_of_nodes_of_the_page_is_deployed_by_its_play_alone(tmp_path: Path, with_play: bool) -> None:
    code = pages.blocks("node-kinds")
    for part in ("roles", "playbooks"):
        shutil.copytree(ROOT / part, tmp_path / part)
    pages.write({name: text for name, text in code.items() if with_play or not name.startswith("playbooks/")}, tmp_path)
    if with_play:
        with (tmp_path / "playbooks/site.yml").open("a") as site:
            site.write("- name: Gateway\n  ansible.builtin.import_playbook: gateway.yml\n")
    roles = interfaces.load_roles(tmp_path / "roles")
    nodes = {**roles["stackwright"].defaults["stackwright_nodes"], **yaml.safe_load(code["entry of stackwright_nodes"])}
    policy = Policy.parse(nodes, roles, {}, True)
    hosts = {"controller": "10.9.0.11", "compute": "10.9.0.21", "gateway": "10.9.0.31"}
    inventory = {kind: {"hosts": {f"{kind}1": {"ansible_host": address}}} for kind, address in hosts.items()}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": inventory}}))
    data = DataLoader()
    manager = InventoryManager(loader=data, sources=[str(tmp_path / "hosts.yml")])
    variables = VariableManager(loader=data, inventory=manager)
    given = plays.load(tmp_path / "playbooks/site.yml")
    seen = snapshot.take(
        manager, variables, data, interfaces.all_defaults(roles), interfaces.all_internals(roles), given
    )
    found = [(one.host, one.cause) for one in topology.check(seen, seen, policy)]
    if not with_play:
        assert found == [
            (
                "gateway1",
                "this host is in 'gateway', and no play of site.yml applies gateway to it: nothing of "
                "it would be deployed",
            )
        ]
        return
    assert found == []
    expected = expectations.of(seen, policy)["gateway1"]
    assert "ovn-controller" in expected["units"]
    assert [name for name, _value in expected["addresses"]] == ["stackwright_management_address", "ovn_tunnel_address"]
    assert not expected["hypervisor"]


@pytest.fixture
def with_page_s_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the roles with the page's service among them, which everything reads."""
    shutil.copytree(ROOT / "roles", tmp_path / "roles")
    pages.write(pages.blocks("services"), tmp_path)
    monkeypatch.setattr(host_view, "ROLES", tmp_path / "roles")
    monkeypatch.setattr(role_variables, "ROLES", tmp_path / "roles")
    for cached in (host_view.roles, host_view._variables):
        cached.cache_clear()
    yield tmp_path / "roles"
    for cached in (host_view.roles, host_view._variables):
        cached.cache_clear()


def test_service_of_the_page_is_whole(with_page_s_service: Path) -> None:
    (entry,) = yaml.safe_load(pages.blocks("services")["entry of controller_services"])
    component = role_variables.component(entry, entry)
    (user,) = component["identity"]["users"]
    (service,) = component["identity"]["services"]
    assert (user["name"], user["password"]) == ("mistral", "the-mistral_identity")
    assert service == {"name": "mistral", "type": "workflowv2", "description": "OpenStack Workflow"}
    assert {one["url"] for one in component["identity"]["endpoints"]} == {"https://192.0.2.11:8989/v2"}
    assert [one["name"] for one in component["units"]] == ["mistral-api", "mistral-engine", "mistral-executor"]
    options = component["files"]["/etc/mistral/mistral.conf"]["options"]
    assert options["DEFAULT"]["transport_url"] == "rabbit://mistral:the-mistral_messaging@192.0.2.11:5671//mistral"
    assert "the-mistral_database@192.0.2.11/mistral" in options["database"]["connection"]
    declared = declare.load_declarations(with_page_s_service)
    assert sorted(name for name in declared if name.startswith("mistral_")) == [
        "mistral_database",
        "mistral_identity",
        "mistral_messaging",
    ]


def test_options_of_the_page_s_service_have_types_rules_and_defaults(with_page_s_service: Path) -> None:
    roles = interfaces.load_roles(with_page_s_service)
    service = roles["mistral"]
    assert set(service.options) == set(service.defaults) == set(service.checks)
    assert {one.option for one in rules.parse(roles).rules} >= set(service.options)


def test_what_the_pages_say_of_what_is_there_is_so() -> None:
    roles = interfaces.load_roles(ROOT / "roles")
    text = (ROOT / "docs/contributing/node-kinds.md").read_text()
    (line,) = re.findall(r"`compute: (\{.*?\})`", text)
    assert yaml.safe_load(line) == roles["stackwright"].defaults["stackwright_nodes"]["compute"]
    (line,) = re.findall(r"`ovn_tunnel_address: (\{.*?\})`", text)
    assert yaml.safe_load(line) == roles["ovn"].checks["ovn_tunnel_address"]
    for page in (ROOT / "docs/contributing").glob("*.md"):
        for path in re.findall(r"`((?:roles|plugins|playbooks|tests|molecule|docs)/[\w./-]+\.\w+)`", page.read_text()):
            new = (
                any(path in name for name in re.findall(r"<!-- file: (.*?) -->", page.read_text()))
                or path == "roles/gateway/tasks/main.yml"
            )
            assert new or path.startswith("roles/gateway") or (ROOT / path).exists(), f"{page.name}: {path}"
