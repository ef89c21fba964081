"""The dashboard is proved with a form as its first page has it, by users who have containers or cannot have any."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs import dashboard, objects
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import ProofError
from keystoneauth1.exceptions import EndpointNotFound

from .test_proofs import Cloud, Reply

FORM = """<form><input type="hidden" name="csrfmiddlewaretoken" value="t0k3n"><input name="username">
<input type="password" name="password"><input type="hidden" name="region" value="default"></form>"""


class Site(Cloud):
    """A cloud with a dashboard, which has an object store unless it lacks one."""

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.boxes: set[str] = set()
        self.sent: list[Mapping[str, str]] = []

    def connection(self, user: str) -> Any:
        made = super().connection(user)

        def get_endpoint(service_type: str, **_: str) -> str:
            where = {
                "identity": "https://cloud.example:5000/v3",
                objects.SERVICE: "https://cloud.example:8080/v1/AUTH_p",
            }
            if self.wrong("no objects") and service_type == objects.SERVICE:
                raise EndpointNotFound(f"internal endpoint for {service_type} service not found")
            return where[service_type]

        made.session.get_endpoint = get_endpoint
        return made

    def service(self, admin: bool, project: str, method: str, parts: list[str], **more: Any) -> Reply:
        (self.boxes.add if method == "PUT" else self.boxes.remove)(parts[0])
        return Reply(201 if method == "PUT" else 204)

    def browse(self, base: str) -> dashboard.Send:
        assert base == "https://cloud.example:8443/horizon"
        known = SimpleNamespace(user="")

        def send(path: str, fields: Mapping[str, str] | None) -> tuple[int, str]:
            if path == dashboard.LOGIN:
                if fields:
                    self.sent.append(fields)
                    right = {one["name"]: one["password"] for one in self.things["users"].values()}
                    is_right = right.get(fields["username"]) == fields["password"] and not self.wrong("lets none in")
                    known.user = fields["username"] if is_right or self.wrong("lets all in") else ""
                return 200, "no form" if self.wrong("no form") else FORM
            if not known.user:
                return 401, ""
            if path == dashboard.CONTAINERS and self.wrong("shows no"):
                return 500, "no container"
            shown = [] if self.wrong("hides") else sorted(self.boxes)
            return 200, json.dumps({"items": [{"name": one} for one in shown]})

        return send


@pytest.fixture
def site(tmp_path: Path) -> str:
    path = tmp_path / "site.conf"
    path.write_text(
        "<VirtualHost 192.0.2.1:80>\n  RedirectMatch x y\n</VirtualHost>\n"
        "<VirtualHost 192.0.2.1:8443 192.0.2.2:8443>\n  SSLEngine on\n</VirtualHost>\n"
    )
    return str(path)


def test_a_user_gets_in_and_sees_containers(site: str) -> None:
    cloud = Site()
    assert dashboard.prove(cloud.bench(), cloud.browse, site)[1:] == ["it shows a user's containers"]
    assert cloud.is_empty() and not cloud.boxes
    assert cloud.sent[1]["csrfmiddlewaretoken"] == "t0k3n" and cloud.sent[1]["domain"] == "Default"
    assert cloud.sent[0]["password"] != cloud.sent[1]["password"]


def test_without_an_object_store_there_are_none_to_be_seen(site: str) -> None:
    cloud = Site("no objects")
    assert dashboard.prove(cloud.bench(), cloud.browse, site) == ["users get in with their passwords and with no other"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no form", "the dashboard's first page gives HTTP 200, without the field csrfmiddlewaretoken"),
        ("lets all in", "lets somebody in with a wrong password"),
        ("lets none in", "does not let a user in; see /var/log/apache2/horizon-error.log"),
        ("hides", r"shows the containers \[\] of an account that has sw-shown-"),
        ("shows no", "the dashboard shows no containers: HTTP 500: no container"),
    ],
)
def test_faults_of_a_dashboard_are_found(fault: str, said: str, site: str) -> None:
    cloud = Site(fault)
    with pytest.raises(ProofError, match=said):
        dashboard.prove(cloud.bench(), cloud.browse, site)
    assert cloud.is_empty() and not cloud.boxes


def test_where_it_answers_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="where the dashboard answers is not known"):
        dashboard.port(str(tmp_path / "none"))
    (tmp_path / "plain").write_text("<VirtualHost 192.0.2.1:80>\n</VirtualHost>\n")
    with pytest.raises(ProofError, match="names no port on which the dashboard speaks TLS"):
        dashboard.port(str(tmp_path / "plain"))


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives a cookie for a form, and tells who has it."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Set-Cookie", f"session={self.rfile.read(int(self.headers['Content-Length'])).decode()}")
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200 if "Cookie" in self.headers else 401)
        self.end_headers()
        self.wfile.write(f"{self.headers['Cookie']} from {self.headers['Referer']}".encode())

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_browser_keeps_its_cookies_to_itself(server: str) -> None:
    one, other = dashboard.browser(server), dashboard.browser(server)
    assert one("/", {"a": "b"})[0] == 200
    assert one("/", None) == (200, f"session=a=b from {server}/auth/login/")
    assert other("/", None)[0] == 401
    with pytest.raises(ProofError, match=r"http://127\.0\.0\.1:1/ does not answer: "):
        dashboard.browser("http://127.0.0.1:1")("/", None)
