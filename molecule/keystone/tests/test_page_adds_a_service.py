"""The page on adding a service, followed to the letter: its role deploys, registers, works and survives a restart."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from ansible_collections.stackwright.cloud.tests import pages

SCENARIO = Path(__file__).resolve().parents[1]
PARTS = ("meta", "playbooks", "plugins", "roles", "tools")
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
UNITS = ("mistral-api", "mistral-engine", "mistral-executor")


def play(copy, name, *arguments):
    """Run a playbook of the copy, whose roles and plug-ins are found before those of the checkout."""
    command = [PLAYBOOK, copy / "playbooks" / name, "--inventory", SCENARIO / "inventory", *arguments]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(copy.parents[2])}
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def deployed(host, tmp_path_factory):
    """The page's service on the controller; a function that runs the controller's playbook again."""
    copy = tmp_path_factory.mktemp("page") / "ansible_collections" / "stackwright" / "cloud"
    for part in PARTS:
        shutil.copytree(pages.ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    code = pages.blocks("services")
    pages.write(code, copy)
    services = ["keystone", *yaml.safe_load(code["entry of controller_services"])]
    chosen = ("--extra-vars", json.dumps({"controller_services": services}))
    play(copy, "secrets.yml", "--extra-vars", f"secrets_file={SCENARIO}/inventory/group_vars/all/secrets.yml")
    play(copy, "base.yml", *chosen)
    play(copy, "controller.yml", *chosen)
    return lambda: play(copy, "controller.yml", *chosen)


class Api:
    """Asks from this machine, as users do, with the administrator's token."""

    def __init__(self, host):
        variables = host.ansible.get_variables()
        self.address = variables["lab_management_address"]
        password = host.ansible("debug", "msg={{ stackwright_secrets.keystone_admin }}", become=False)["msg"]
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        login = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        trusted = ssl.create_default_context(cadata=host.file("/etc/ssl/stackwright/ca.pem").content_string)
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
        )
        self.headers = {}
        answer, headers = self.ask(5000, "/v3/auth/tokens", login)
        self.catalogue = answer["token"]["catalog"]
        self.headers = {"X-Auth-Token": headers["X-Subject-Token"]}

    def ask(self, port, path, body=None, kind="application/json"):
        """Answer and headers of a request, which has a body of JSON or text, or none."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"https://{self.address}:{port}{path}", data, {**self.headers, "Content-Type": kind}
        )
        with self.opener.open(request, timeout=60) as answer:
            return json.load(answer), answer.headers

    def work(self, name):
        """What the page's workflow says to a name, through engine and executor."""
        made, _headers = self.ask(
            8989, "/v2/executions", {"workflow_name": "hello", "input": json.dumps({"name": name})}
        )
        end = time.monotonic() + 60
        while made["state"] in ("IDLE", "RUNNING") and time.monotonic() < end:
            time.sleep(0.5)
            made, _headers = self.ask(8989, f"/v2/executions/{made['id']}")
        assert made["state"] == "SUCCESS", made
        return json.loads(made["output"])["said"]


@pytest.fixture(scope="module")
def api(host, deployed):
    return Api(host)


@pytest.fixture(scope="module")
def workflow(api):
    """The page's workflow, known to the service."""
    try:
        api.ask(8989, "/v2/workflows", pages.blocks("services")["workflow that says hello"], "text/plain")
    except urllib.error.HTTPError as error:
        if error.code != 409:  # an earlier run of the tests made it
            raise


def test_it_is_registered(api):
    (service,) = [one for one in api.catalogue if one["type"] == "workflowv2"]
    assert service["name"] == "mistral"
    assert {one["url"] for one in service["endpoints"]} == {f"https://{api.address}:8989/v2"}


def test_strangers_without_a_token_are_refused(api):
    nobody = urllib.request.Request(f"https://{api.address}:8989/v2/workflows")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        api.opener.open(nobody, timeout=60)


def test_it_works_and_survives_a_restart(host, api, workflow, deployed):
    assert api.work("world") == "hello world"
    with host.sudo():
        host.check_output("systemctl restart " + " ".join(UNITS))
    # answers once its health check, a part of the playbook, is satisfied
    assert "changed=0 " in deployed()
    assert api.work("again") == "hello again"
