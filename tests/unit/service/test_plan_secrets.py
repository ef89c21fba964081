"""What a host gets to know: the plan of a node, made by Ansible from the roles' own variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.stackwright.cloud.tests.role_variables import MADE

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
PASSWORD = "the key of this test"
ROLES = ("stackwright", "keystone", "glance", "placement", "nova", "neutron", "ovn", "horizon")


def made_up() -> dict[str, str]:
    """A secret for each that the roles declare, with signs that URLs and option files read as something else."""
    names = [entry["name"] for role in ROLES for entry in declared(role)]
    return {name: f"{name}:$1/@%q9" for name in names} | MADE


def declared(role: str) -> list[dict[str, Any]]:
    path = ROOT / "roles" / role / "meta" / "secrets.yml"
    return yaml.safe_load(path.read_text()) if path.exists() else []


def encrypted(value: bytes) -> str:
    """`value` as ansible-vault writes it."""
    from ansible.parsing.vault import VaultLib, VaultSecret

    secret = VaultSecret(PASSWORD.encode())
    return VaultLib([("default", secret)]).encrypt(value, secret).decode()


@pytest.fixture
def plan_of(tmp_path: Path) -> Any:
    """Makes the plan of a host with these services and variables."""
    (tmp_path / "key").write_text(PASSWORD)
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")
    files = [ROOT / "roles" / role / "vars/main.yml" for role in ROLES]
    (tmp_path / "group_vars/all").mkdir(parents=True)
    for role in ROLES:
        # read before the operator's own, as defaults are
        (tmp_path / "group_vars/all" / f"0_{role}.yml").symlink_to(ROOT / "roles" / role / "defaults/main.yml")

    def run(*services: str, **variables: Any) -> dict[str, Any]:
        (tmp_path / "group_vars/all/own.yml").write_text(yaml.safe_dump(variables))
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars_files": [str(file) for file in files if file.exists()],
            "vars": {"services_facts": {"kvm": False, "security_module": "none"}, "services": list(services)},
            "tasks": [
                {
                    "ansible.builtin.copy": {
                        "content": "{{ lookup('stackwright.cloud.service_plan', services) | to_json }}",
                        "dest": str(tmp_path / "plan.json"),
                        "mode": "0600",
                    },
                    "no_log": True,
                }
            ],
        }
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        (tmp_path / "hosts").write_text(
            "localhost ansible_connection=local ansible_python_interpreter=" + sys.executable + "\n"
        )
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "STACKWRIGHT_"))}
        ran = subprocess.run(
            [str(BIN / "ansible-playbook"), "-i", "hosts", "--vault-password-file", "key", "play.yml"],
            cwd=tmp_path,
            env={**keep, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        found: dict[str, Any] = json.loads((tmp_path / "plan.json").read_text())
        return found

    run.path = tmp_path  # type: ignore[attr-defined]
    return run


def test_a_compute_node_learns_no_secret_of_the_control_plane(plan_of: Any) -> None:
    secrets = made_up()
    found = plan_of("nova.compute", "neutron.metadata", stackwright_secrets=secrets)
    assert "problem" not in found, found
    held = {name for name, value in secrets.items() if value in found["secrets"]}
    assert held == {"nova_compute_messaging", "nova_identity", "neutron_identity", "neutron_metadata_proxy"} | (
        held & {"memcached_encryption"}
    )
    assert not [name for name in held if name.startswith("keystone") or name.endswith("_database")]
    controller = plan_of("keystone", "nova.api", stackwright_secrets=secrets)
    assert {secrets["keystone_database"], secrets["nova_database"], secrets["keystone_admin"]} <= set(
        controller["secrets"]
    )
    options = controller["files"]["/etc/nova/nova.conf"]["options"]
    assert options["DEFAULT"]["transport_url"].startswith("rabbit://nova:nova_messaging%3A%241%2F%40%25q9@")
    assert options["keystone_authtoken"]["password"] == secrets["nova_identity"].replace("$", "$$")


def test_vaulted_values_of_the_operator_are_secrets_of_the_plan(plan_of: Any) -> None:
    folder = plan_of.path / "group_vars/all"
    (folder / "file.yml").write_text(encrypted(b"ldap_word: kept in a file\nunused_word: never used here\n"))
    single = encrypted(b"kept alone").replace("\n", "\n  ")
    (folder / "single.yml").write_text(f"cache_word: !vault |\n  {single}\nplain_word: not a secret\n")
    found = plan_of(
        "keystone",
        stackwright_secrets=made_up(),
        keystone_config_overrides={
            "keystone.conf": {
                "ldap": {"password": "{{ ldap_word }}"},
                "cache": {"backend_argument": ["url:redis://:{{ cache_word }}@h", "x:{{ plain_word }}"]},
            }
        },
    )
    assert {"kept in a file", "kept alone"} <= set(found["secrets"])
    assert not {"never used here", "not a secret"} & set(found["secrets"])
