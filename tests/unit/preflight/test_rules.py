"""What roles say of their options in meta/checks.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudcase
import pytest
import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight import kinds, rules
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.policy import Policy, nodes_of
from ansible_collections.stackwright.cloud.plugins.module_utils.preflight.snapshot import Snapshot
from ansible_collections.stackwright.cloud.plugins.module_utils.service import interfaces
from ansible_collections.stackwright.cloud.plugins.module_utils.service.interfaces import InterfaceError, Role

OPTIONS: dict[str, dict[str, Any]] = {
    "web_port": {"type": "int"},
    "web_cidr": {"type": "str"},
    "web_gateway": {"type": "str"},
}


def role(**checks: Any) -> dict[str, Role]:
    return {"web": Role("web", OPTIONS, checks=checks)}


def test_rules_of_the_product_are_sound_and_know_every_number() -> None:
    roles = interfaces.load_roles(cloudcase.ROLES)
    known = rules.parse(roles)
    numbers = {name for name, option in interfaces.all_options(roles).items() if option.get("type") in ("int", "float")}
    assert numbers - {one.option for one in known.rules} == set(), "say in the role's meta/checks.yml what they are"
    assert {one.role for one in known.rules} >= {"stackwright", "ovn", "nova"}
    for one in known.rules:
        default = interfaces.all_defaults(roles).get(one.option)
        if not (isinstance(default, str) and "{{" in default) and default not in (None, ""):
            assert one.fault(default) is None, one.option


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        ({"web_prot": {"is": "port"}}, "web_prot: the role web has no such option. Did you mean 'web_port'?"),
        ({"web_port": {"is": "prot"}}, "web_port: there is no kind 'prot'. Did you mean 'port'?"),
        ({"web_port": "port"}, "web_port: must be a mapping with the key 'is'"),
        ({"web_port": {"is": "port", "sames": True}}, "takes no setting 'sames'. Did you mean 'same'?"),
        ({"web_port": {"is": "number", "from": 1, "to": 2}}, "the kind 'number' needs the setting 'meaning'"),
        ({"web_port": {"is": "number", "from": "1", "to": 2, "meaning": "x"}}, "from: '1' is no int"),
        ({"web_port": {"is": "cloud_address", "asked_by": "user"}}, "asked_by: 'user' is none of hosts, users"),
        (
            {"web_cidr": {"is": "network", "gateway": "web_gatway"}},
            "no role has an option 'web_gatway'. Did you mean 'web_gateway'?",
        ),
    ],
)
def test_wrong_rule_is_named_with_its_role(checks: dict[str, Any], message: str) -> None:
    with pytest.raises(InterfaceError, match=r"^roles/web/meta/checks\.yml: ") as caught:
        rules.parse(role(**checks))
    assert message in str(caught.value)


def test_wrong_rule_stops_preflight_by_name(tmp_path: Path) -> None:
    (tmp_path / "web" / "meta").mkdir(parents=True)
    (tmp_path / "web" / "meta" / "checks.yml").write_text("web_port: {is: port}\n", encoding="utf-8")
    with pytest.raises(InterfaceError, match="the role web has no such option"):
        Policy.parse({}, interfaces.load_roles(tmp_path), {}, True)


def test_longer_names_go_on_from_overrides_alone() -> None:
    roles = {
        "web": Role(
            "web",
            {"web_more": {}, "web_port": {}},
            checks={"web_more": {"is": "overrides"}, "web_port": {"is": "port"}},
        )
    }
    known = rules.parse(roles)
    assert [known.of(name).option for name in ("web_more", "web_more_of_mine") if known.of(name)] == [
        "web_more",
        "web_more",
    ]  # type: ignore[union-attr]
    assert known.of("web_port_of_mine") is None


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"web": []}, "'web': must be a mapping with roles"),
        ({"web": {"role": ["web"]}}, "unknown key 'role'"),
        ({"web": {"minimum": "one"}}, "minimum: 'one' is no int"),
        ({"web": {"carries": ["guest"]}}, "'guest' is none of apis, guests, virtual_address"),
        ({"web": {"roles": ["proxy"]}}, "there is no role 'proxy'"),
        ({"web": {"apart": {"db": "noise"}}}, "there is no kind of nodes 'db'"),
    ],
)
def test_kinds_of_nodes_that_make_no_sense_are_refused(nodes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="nodes") as caught:
        Policy.parse(nodes, role(), {}, True)
    assert message in str(caught.value)


def test_kinds_of_nodes_are_the_inventorys_before_the_products(tmp_path: Path) -> None:
    roles = interfaces.load_roles(cloudcase.ROLES)
    assert "swift_proxy" in nodes_of(Snapshot({}, {}), roles)
    seen = cloudcase.view(cloudcase.write({}, tmp_path))
    assert "swift_proxy" not in nodes_of(seen, roles)
    with pytest.raises(InterfaceError, match="no role has an option of the kind 'nodes'"):
        nodes_of(seen, role())


def test_no_role_and_no_plug_in_names_a_group_of_the_inventory() -> None:
    """Groups are named in the mapping of kinds and in playbooks."""
    groups = interfaces.load_roles(cloudcase.ROLES)["stackwright"].defaults["stackwright_nodes"]
    plugins = cloudcase.CHECKOUT / "plugins"
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in [*plugins.glob("module_utils/**/*.py"), *plugins.glob("lookup/*.py"), *plugins.glob("action/*.py")]
    }
    texts |= {
        path: path.read_text(encoding="utf-8")
        for part in ("tasks", "vars", "defaults")
        for path in cloudcase.ROLES.glob(f"*/{part}/*.yml")
    }
    named = [
        f"{path.relative_to(cloudcase.CHECKOUT)}: {call}"
        for path, text in texts.items()
        for name in groups
        for call in (
            f"groups['{name}']",
            f"groups.{name}",
            f'groups["{name}"]',
            f'groups.get("{name}"',
            f"'{name}' in group_names",
        )
        if call in text
    ]
    assert named == []


def test_files_of_rules_are_plain_mappings() -> None:
    for path in cloudcase.ROLES.glob("*/meta/checks.yml"):
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("10.0.0.1", ""),
        (["10.0.0.1", "queue.example"], ""),
        (["10.0.0.1", "https://queue"], "'https://queue' is neither"),
        ([], "[] is neither"),
    ],
)
def test_a_service_may_be_in_several_places(value: Any, words: str) -> None:
    fault = kinds._service_fault(value)
    assert (words in fault[0]) if fault else not words
