"""Declarations, values and what is refused."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.common import cephx
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets import declare as cloud_secrets
from ansible_collections.stackwright.cloud.plugins.module_utils.secrets.declare import Declaration
from hypothesis import given
from hypothesis import strategies as st

ROLES = Path(__file__).resolve().parents[3] / "roles"
STRONG = "wG3xkEr9PqLm2TzNhV7bYc5d"


def declare(roles: Path, role: str, text: str) -> None:
    path = roles / role / "meta" / "secrets.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def test_own_roles_declare_valid_secrets() -> None:
    declared = cloud_secrets.load_declarations(ROLES)
    assert {"keystone_admin", "nova_database", "nova_messaging", "neutron_identity"} <= set(declared)


def test_declaration_is_read_with_its_defaults(tmp_path: Path) -> None:
    declare(
        tmp_path,
        "nova",
        "- {name: nova_database, description: Database user}\n- {name: nova_id, description: Id, kind: uuid}\n",
    )
    assert cloud_secrets.load_declarations(tmp_path) == {
        "nova_database": Declaration("nova_database", "Database user", "password", 32, ("nova",)),
        "nova_id": Declaration("nova_id", "Id", "uuid", 36, ("nova",)),
    }


def test_roles_may_share_a_secret(tmp_path: Path) -> None:
    for role in ("neutron", "nova"):
        declare(tmp_path, role, "- {name: metadata_proxy, description: Shared, kind: hex, length: 32}\n")
    assert cloud_secrets.load_declarations(tmp_path)["metadata_proxy"].roles == ("neutron", "nova")


def test_roles_that_disagree_are_refused(tmp_path: Path) -> None:
    declare(tmp_path, "neutron", "- {name: metadata_proxy, description: Shared, kind: hex, length: 32}\n")
    declare(tmp_path, "nova", "- {name: metadata_proxy, description: Shared, kind: hex, length: 64}\n")
    with pytest.raises(
        cloud_secrets.DeclarationError, match=r"nova/meta/secrets.yml: metadata_proxy is a hex of 64 here"
    ):
        cloud_secrets.load_declarations(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x", "must be a list of secrets"),
        ("- x", "entry 1 must be a mapping"),
        ("- {name: Nova-DB, description: x}", "small letters, digits and underscores"),
        ("- {name: nova_db}", r"entry 1 \(nova_db\) needs a description"),
        ("- {name: nova_db, description: x, kind: word}", "has the kind 'word'; the kinds are password, hex"),
        ("- {name: nova_db, description: x, length: 8}", "has the length 8; it must be 16 to 256"),
        ("- {name: nova_db, description: x, length: yes}", "has the length True"),
        ("- {name: nova_db, description: x, kind: uuid, length: 36}", "a uuid, which has no length"),
        ("- {name: nova_db, description: x, size: 3}", "unknown key 'size'"),
        ("- {name: [", "is not valid YAML"),
    ],
)
def test_wrong_declaration_is_refused_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    declare(tmp_path, "nova", text)
    with pytest.raises(cloud_secrets.DeclarationError, match=message) as caught:
        cloud_secrets.load_declarations(tmp_path)
    assert "nova/meta/secrets.yml" in str(caught.value)


def test_all_wrong_declarations_are_named_at_once(tmp_path: Path) -> None:
    declare(tmp_path, "glance", "- {name: a}")
    declare(tmp_path, "nova", "- {name: b}\n- {name: c}")
    with pytest.raises(cloud_secrets.DeclarationError) as caught:
        cloud_secrets.load_declarations(tmp_path)
    assert len(str(caught.value).splitlines()) == 3


@given(length=st.integers(cloud_secrets.MINIMUM_LENGTH, 64), kind=st.sampled_from(cloud_secrets.KINDS))
def test_generated_value_fits_its_declaration(length: int, kind: str) -> None:
    declaration = Declaration("some_secret", "For the test", kind, length)
    value = cloud_secrets.generate(declaration)
    assert cloud_secrets.weakness("some_secret", value, declaration) is None
    match kind:
        case "base64":
            assert len(base64.b64decode(value)) == len(base64.urlsafe_b64decode(value)) == length
        case "uuid":
            assert str(uuid.UUID(value)) == value
        case "cephx":
            assert cephx.is_key(value)
            assert cloud_secrets.weakness("some_secret", value[:-4] + "AAA=", declaration)
        case "authority":
            assert cloud_secrets.weakness("some_secret", value[:-40], declaration)
        case _:
            assert len(value) == length
            assert value.isalnum()


def test_generated_values_differ() -> None:
    declaration = Declaration("some_secret", "For the test")
    assert len({cloud_secrets.generate(declaration) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("admin", "a well-known word"),
        ("changeme", "a well-known word"),
        ("mypass", "a well-known word"),
        ("password", "a well-known word"),
        ("Password123!", "a well-known word"),
        ("secret", "a well-known word"),
        ("nova", "the name of its user or service"),
        ("NOVA", "the name of its user or service"),
        ("compute_service", "the name of its user or service"),
        ("nova_database", "its own name"),
        ("", "empty"),
        ("  ", "empty"),
        (" " + STRONG, "blank space"),
        ("f7Gk2mQz", "shorter than 16"),
        ("abababababababababab", "fewer than 8 different"),
        (12345678901234567890, "not a text but a int"),
        (None, "not a text"),
    ],
)
def test_weak_value_is_refused(value: object, reason: str) -> None:
    declaration = Declaration("nova_database", "For the test", roles=("compute_service",))
    found = cloud_secrets.weakness("nova_database", value, declaration)
    assert found is not None
    assert reason in found
    if isinstance(value, str) and len(value) > 8:
        assert value not in found or value == "nova_database"


def test_strong_value_is_taken() -> None:
    assert cloud_secrets.weakness("nova_database", STRONG, Declaration("nova_database", "For the test")) is None


@pytest.mark.parametrize(
    ("kind", "length", "value"),
    [
        ("hex", 32, "0123456789abcdef0123456789abcdeg"),
        ("hex", 32, "0123456789abcdef"),
        ("uuid", 36, "12345678-1234-1234-1234-12345678901"),
        ("base64", 32, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"),
        ("base64", 32, "not base64 at all, is it really?"),
    ],
)
def test_value_of_another_kind_is_refused(kind: str, length: int, value: str) -> None:
    assert cloud_secrets.weakness("x", value, Declaration("x", "For the test", kind, length)) is not None


def test_shared_values_are_refused() -> None:
    found = cloud_secrets.weaknesses({"a": STRONG, "b": STRONG, "c": STRONG + "x"}, {})
    assert found == {"a": "has the same value as b", "b": "has the same value as a"}


DECLARED = {name: Declaration(name, "For the test") for name in ("a_one", "b_two")}


def test_plan_keeps_what_is_there_and_makes_what_is_missing() -> None:
    plan = cloud_secrets.plan({"a_one": STRONG}, DECLARED)
    assert plan.values["a_one"] == STRONG
    assert plan.generated == ["b_two"]
    assert plan.changed


def test_complete_plan_changes_nothing() -> None:
    values = {"a_one": STRONG, "b_two": STRONG + "x", "own": "kept"}
    plan = cloud_secrets.plan(values, DECLARED)
    assert plan.values == values
    assert plan.unknown == ["own"]
    assert not plan.changed


def test_rotation_replaces_only_what_is_named() -> None:
    plan = cloud_secrets.plan({"a_one": STRONG, "b_two": STRONG + "x"}, DECLARED, rotate=["b_two"])
    assert plan.values["a_one"] == STRONG
    assert plan.values["b_two"] != STRONG + "x"
    assert plan.rotated == ["b_two"]


def test_rotation_of_an_unknown_name_is_refused() -> None:
    with pytest.raises(cloud_secrets.UnknownSecretError, match="No role declares c_three"):
        cloud_secrets.plan({}, DECLARED, rotate=["c_three"])


def test_a_secret_with_which_data_is_encrypted_is_not_rotated() -> None:
    declared = {**DECLARED, "c_kek": Declaration("c_kek", "Encrypts data", irreplaceable=True)}
    existing = {"a_one": STRONG, "b_two": STRONG + "x", "c_kek": STRONG + "y"}
    with pytest.raises(
        cloud_secrets.IrreplaceableSecretError, match="No new value is made for c_kek: what is encrypted"
    ):
        cloud_secrets.plan(existing, declared, rotate=["a_one", "c_kek"])
    assert not cloud_secrets.plan(existing, declared).changed


@pytest.mark.parametrize("first", [True, False])
def test_a_shared_secret_is_irreplaceable_where_one_role_says_so(tmp_path: Path, first: bool) -> None:
    for role, said in (("a", first), ("b", not first)):
        declare(tmp_path, role, f"- {{name: shared, description: Encrypts data, irreplaceable: {str(said).lower()}}}")
    declared = cloud_secrets.load_declarations(tmp_path)["shared"]
    assert (declared.irreplaceable, declared.roles) == (True, ("a", "b"))


def test_unknown_values_go_only_on_demand() -> None:
    plan = cloud_secrets.plan({"a_one": STRONG, "b_two": STRONG + "x", "own": "x"}, DECLARED, remove_unknown=True)
    assert plan.removed == ["own"]
    assert set(plan.values) == {"a_one", "b_two"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("line one\nand another line", "line breaks, control characters or letters beyond ASCII"),
        ("tabulated\tand more of it", "line breaks, control characters or letters beyond ASCII"),
        ("escape\x1b[31m and more", "line breaks, control characters or letters beyond ASCII"),
        ("Überläufer unter Wolken", "line breaks, control characters or letters beyond ASCII"),
        ("a{{ lookup('x') }}bcdefgh", "would be taken for a template"),
        ("#jinja2:variable_start_string", "would be taken for a template"),
        (" leading blank and more", "begins or ends with blank space"),
    ],
)
def test_what_not_every_service_reads_alike_is_refused(value: str, reason: str) -> None:
    told = cloud_secrets.weakness("nova_messaging", value, Declaration("nova_messaging", "For the test"))
    assert told is not None and reason in told and value not in told


def test_signs_are_fine_unless_a_service_reads_its_url_undecoded() -> None:
    value = "Team/Night@Shift#2024:ok?$%&'\"\\"
    assert cloud_secrets.weakness("nova_messaging", value, Declaration("nova_messaging", "For the test")) is None
    plain = Declaration("keystone_database", "For the test", unreserved=True)
    assert "letters, digits and -_.~ only" in str(cloud_secrets.weakness("keystone_database", value, plain))
    assert cloud_secrets.weakness("keystone_database", STRONG, plain) is None
    declared = cloud_secrets.load_declarations(Path(__file__).resolve().parents[3] / "roles")
    assert declared["keystone_database"].unreserved and not declared["keystone_admin"].unreserved
