"""How a cloud is logged in to and asked: what goes to the SDK, bad answers, pauses, pages, and what an operator is
told."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud import api
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.api import Cloud, Login
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.errors import ApiError, CloudError
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.faces.login import run_cloud_state

from .conftest import Desk

PASSWORD = {"auth_url": "https://cloud:5000", "username": "eve", "password": "pw", "project_name": "shop"}


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        (Login(cloud="lab", region_name="one"), {"cloud": "lab", "region_name": "one"}),
        (
            Login(auth=PASSWORD),
            {
                "auth_type": "v3password",
                "auth": {
                    **PASSWORD,
                    "auth_url": "https://cloud:5000/v3",
                    "user_domain_id": "default",
                    "project_domain_id": "default",
                },
            },
        ),
        (
            Login(
                auth={**PASSWORD, "user_domain_name": "d", "project_domain_id": "e", "auth_url": "https://cloud/v3/"}
            ),
            {
                "auth_type": "v3password",
                "auth": {
                    **PASSWORD,
                    "user_domain_name": "d",
                    "project_domain_id": "e",
                    "auth_url": "https://cloud/v3/",
                },
            },
        ),
        (
            Login(
                auth={
                    "application_credential_id": "i",
                    "application_credential_secret": "s",
                    "auth_url": "https://cloud",
                }
            ),
            {
                "auth_type": "v3applicationcredential",
                "auth": {
                    "application_credential_id": "i",
                    "application_credential_secret": "s",
                    "auth_url": "https://cloud/v3",
                },
            },
        ),
        (
            Login(auth={"token": "t", "auth_url": "https://cloud", "project_id": None}),
            {"auth_type": "v3token", "auth": {"token": "t", "auth_url": "https://cloud/v3"}},
        ),
        (Login(auth={"token": "t"}, auth_type="token"), {"auth_type": "token", "auth": {"token": "t"}}),
        (Login(validate_certs=False, ca_cert="/ca"), {"verify": False}),
        (Login(ca_cert="/ca", client_cert="/c", client_key="/k"), {"cacert": "/ca", "cert": "/c", "key": "/k"}),
    ],
)
def test_login_is_completed_with_what_operators_leave_out(login: Login, sent: dict[str, Any]) -> None:
    assert api._arguments(login) == {"interface": "public", **sent}


@pytest.mark.parametrize(
    ("login", "cause", "mend"),
    [
        (
            Login(cloud="no-such-cloud"),
            "The login data for cloud 'no-such-cloud' cannot be used",
            "Give the option auth, or cloud with a clouds.yaml file.",
        ),
        (Login(auth={"auth_url": "http://127.0.0.1:1"}, auth_type="v3password"), "The login data", "Give"),
        (Login(auth=PASSWORD, auth_type="v9"), "The login data", "Give"),
    ],
)
def test_login_that_cannot_be_one_is_told_before_anything_is_sent(
    login: Login, cause: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/no/such/clouds.yaml")
    with pytest.raises(CloudError) as told:
        Cloud(login)
    assert cause in str(told.value) and mend in str(told.value)


@pytest.mark.parametrize(("more", "asked"), [({}, ["POST"]), ({"default_domain_id": "default"}, ["GET", "POST"])])
def test_version_that_the_address_says_is_not_asked_for(
    more: dict[str, str], asked: list[str], desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clouds = copy.deepcopy(desk.cloud.clouds)
    (name,) = clouds["clouds"]
    clouds["clouds"][name]["auth"] |= more
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump(clouds))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    desk.cloud.forget_calls()
    assert Cloud(Login(cloud=name)).project_name == "admin"
    assert [call.method for call in desk.cloud.calls] == asked


def test_misspelt_service_of_an_override_is_told(desk: Desk) -> None:
    login = Login(auth=desk.login.auth, auth_type="password", endpoint_overrides={"netwrok": "http://x"})
    with pytest.raises(
        CloudError, match=r"endpoint_overrides: Unknown type of service 'netwrok'. Did you mean 'network'"
    ):
        Cloud(login)


def cloud(desk: Desk) -> Cloud:
    return Cloud(desk.login, sleep=desk.pauses.append)


@pytest.mark.parametrize(
    ("status", "after", "pauses", "fails"),
    [
        (429, 3.0, [3.0], False),
        (503, 7.0, [7.0], False),
        # longer than anybody waits, and what is no time at all
        (429, 86400.0, [60.0], False),
        (429, -5.0, [1.0], False),
        (429, float("nan"), [1.0], False),
        (429, None, [1.0], False),
        # a service that is down and does not say for how long is not waited for
        (503, None, [], True),
    ],
)
def test_service_that_is_busy_is_asked_again_when_it_says(
    desk: Desk, status: int, after: float | None, pauses: list[float], fails: bool
) -> None:
    made = cloud(desk)
    desk.cloud.fault(service="network", method="GET", status=status, retry_after=after)
    if fails:
        with pytest.raises(ApiError, match=f"answered {status}"):
            list(made.pages("network", "/networks", "networks"))
    else:
        assert list(made.pages("network", "/networks", "networks")) == []
    assert desk.pauses == pauses


def test_service_that_stays_busy_is_given_up(desk: Desk) -> None:
    made = cloud(desk)
    desk.cloud.fault(service="network", status=429, retry_after=2.0, times=0)
    with pytest.raises(ApiError, match=r"GET .*/networks: answered 429: A fault that was ordered") as told:
        made.call("network", "GET", "/networks")
    assert len(desk.pauses) == api.ATTEMPTS - 1
    assert "lower the option parallel" in told.value.mend


@pytest.mark.parametrize(
    ("status", "mend"),
    [(403, "roles do not allow"), (409, "in the way"), (500, "See the log of the network service"), (418, "")],
)
def test_refusal_is_told_with_the_request_and_what_to_do(desk: Desk, status: int, mend: str) -> None:
    made = cloud(desk)
    desk.cloud.fault(service="network", status=status, times=0)
    with pytest.raises(ApiError, match=rf"POST http.*/v2.0/networks: answered {status}") as told:
        made.call("network", "POST", "/networks", {"network": {}})
    assert mend in told.value.mend and bool(mend) == bool(told.value.mend)
    assert made.call("network", "GET", "/networks", accept=(status,)).status == status


def test_quota_is_told_as_one_though_the_status_says_forbidden(desk: Desk) -> None:
    made = cloud(desk)
    desk.cloud.fault(
        service="compute", status=403, message="Quota exceeded for instances: Requested 1, but already used 10"
    )
    with pytest.raises(ApiError) as told:
        made.call("compute", "POST", "/servers", {"server": {}})
    assert "The quota is used up" in told.value.mend


def test_answer_that_is_cut_off_is_told(desk: Desk) -> None:
    made = cloud(desk)
    desk.cloud.fault(service="network", method="POST", drop="before")
    with pytest.raises(ApiError, match=r"POST .*: no answer \(") as told:
        made.call("network", "POST", "/networks", {"network": {"name": "n"}})
    assert told.value.status == 0 and "can be reached" in told.value.mend


class Response(SimpleNamespace):
    """An answer of a service that is none of the simulator's."""

    def json(self) -> Any:
        return json.loads(self.text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"NeutronError": {"type": "x", "message": "No more\\n addresses", "detail": ""}}', "No more addresses"),
        (
            '{"explanation": "The resource could not be found.", "error": {"message": "Stack shop not found"}}',
            "Stack shop not found",
        ),
        ('{"badRequest": {"code": 400}}', '{"badRequest": {"code": 400}}'),
        ('[{"faultstring": "wrong"}]', "wrong"),
        (
            "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1>The server <b>is</b> "
            "away</body></html>",
            "The server is away",
        ),
        ("", "Bad Gateway"),
    ],
)
def test_words_of_a_service_are_found_wherever_it_puts_them(text: str, said: str) -> None:
    assert api.message_of(Response(text=text, reason="Bad Gateway")) == said


class Pages:
    """A session whose service gives these bodies one after the other."""

    def __init__(self, *bodies: Any) -> None:
        self.bodies = list(bodies)
        self.asked: list[Any] = []

    def request(self, url: str, method: str, **options: Any) -> Any:
        self.asked.append(options.get("params"))
        text = json.dumps(self.bodies.pop(0))
        return Response(text=text, content=text.encode(), status_code=200, headers={})


def pages(desk: Desk, *bodies: Any) -> tuple[list[Any], Pages]:
    made, session = cloud(desk), Pages(*bodies)
    made._session = session
    return list(made.pages("network", "/networks", "networks", [("limit", 2)])), session


@pytest.mark.parametrize(
    "link",
    [
        {
            "networks_links": [
                {"rel": "previous", "href": "x"},
                {"rel": "next", "href": "http://inside:9696/v2.0/networks?limit=2&marker=b"},
            ]
        },
        {"links": {"next": "http://inside/v3/networks?limit=2&marker=b", "self": "x"}},
        {"next": "/v2/networks?limit=2&marker=b"},
    ],
)
def test_pages_are_followed_however_a_service_links_them(desk: Desk, link: dict[str, Any]) -> None:
    found, session = pages(desk, {"networks": [{"id": "a"}, {"id": "b"}], **link}, {"networks": [{"id": "c"}]})
    assert [one["id"] for one in found] == ["a", "b", "c"]
    # behind a proxy the link's host may be wrong: only its query counts
    assert session.asked == [[("limit", 2)], [("limit", "2"), ("marker", "b")]]


@pytest.mark.parametrize(
    ("bodies", "told"),
    [
        ([{"nets": []}], "the answer holds no 'networks'"),
        (
            [{"networks": [1], "next": "/n?marker=a"}, {"networks": [2], "next": "/n?marker=a"}],
            "page /n?marker=a links to itself",
        ),
    ],
)
def test_pages_without_an_end_or_a_content_are_told(desk: Desk, bodies: list[Any], told: str) -> None:
    with pytest.raises(ApiError) as error:
        pages(desk, *bodies)
    assert told in str(error.value)


def test_answer_without_a_body_or_with_another_one_is_empty(desk: Desk) -> None:
    assert api.Answer(204, {}, Response(content=b"", text="")).body == {}
    assert api.Answer(200, {}, Response(content=b"<html>", text="<html>")).body == {}


def test_service_that_the_catalogue_lacks_is_told_with_what_it_offers(desk: Desk) -> None:
    made = cloud(desk).in_region("elsewhere")
    with pytest.raises(
        CloudError,
        match=r"zones: The catalogue of this cloud offers no service of type dns in region elsewhere with a "
        r"public endpoint",
    ):
        made.require({"dns": "zones"})
    assert cloud(desk).regions("network") == [desk.cloud.region]


def test_project_that_the_user_has_no_role_in_is_told(desk: Desk) -> None:
    made = cloud(desk)
    other = desk.cloud.put("project", name="other", domain_id="default")["id"]
    with pytest.raises(ApiError, match=f"Log in to project {other}: answered 401") as told:
        made.call("network", "GET", "/networks", project=other)
    assert "role in that project" in told.value.mend


class SSLFailure(Exception):
    """As keystoneauth names what TLS refused."""


class NotFound(Exception):
    """As keystoneauth names a 404."""


@pytest.mark.parametrize(
    ("error", "cause", "mend"),
    [
        (SSLFailure("self-signed"), "The certificate of https://c is not trusted: self-signed", "ca_cert"),
        (
            RuntimeError("Could not find versioned ... certificate verify failed"),
            "The certificate of https://c is not trusted",
            "ca_cert",
        ),
        (NotFound("x"), "There is no identity API at https://c (404)", "should end in /v3"),
        (OSError("refused"), "The identity service at https://c does not answer: refused", "Check auth_url"),
    ],
)
def test_login_that_fails_is_told_by_its_cause(error: Exception, cause: str, mend: str) -> None:
    problem = api._login_problem(error, "https://c")
    assert problem.cause.startswith(cause) and mend in problem.mend


def test_certificate_of_a_service_that_is_not_trusted_is_told() -> None:
    told = api._transport_error(SSLFailure("self-signed"), "GET https://c/v2.0/networks")
    assert "certificate is not trusted (self-signed)" in str(told) and "ca_cert" in told.mend


def test_module_applies_a_document_once_and_masks_its_secrets(
    desk: Desk, run_module: Callable[..., dict[str, Any]], tmp_path: Any
) -> None:
    given = {
        "auth": desk.login.auth,
        "auth_type": "password",
        "region_name": desk.cloud.region,
        "owner": "shop",
        "ledger": str(tmp_path / "ledger"),
        "document": {
            "projects": [{"name": "web"}],
            "users": [{"name": "eve", "password": "Xy7-secret-1", "default_project": "web"}],
        },
    }
    foretold = run_module(run_cloud_state, check=True, **given)
    assert foretold["changed"] and not desk.cloud.find("user", name="eve")
    answer = run_module(run_cloud_state, **given)
    assert answer["changes"] == foretold["changes"] and desk.cloud.find("user", name="eve")
    assert "Xy7-secret-1" not in json.dumps(answer)
    assert not run_module(run_cloud_state, **given)["changed"]
    faulty = run_module(run_cloud_state, **{**given, "document": {"projetcs": []}})
    assert faulty["failed"] and "Did you mean 'projects'?" in faulty["msg"]
    gone = run_module(run_cloud_state, **{**given, "state": "absent"})
    assert gone["changed"] and not desk.cloud.find("user", name="eve")


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "token",
        "access_token",
        "refresh_token",
        "code",
        "assertion",
        "passcode",
        "client_secret",
        "application_credential_secret",
        "openid_scope_proof",
        "a_name_of_the_future",
    ],
)
def test_whatever_of_a_login_is_not_known_to_be_harmless_is_masked(
    desk: Desk, run_module: Callable[..., dict[str, Any]], name: str
) -> None:
    auth = {**desk.login.auth, name: "Xy7-proves-who-one-is"}
    answer = run_module(
        run_cloud_state,
        auth=auth,
        auth_type="no-such-plug-in",
        region_name=desk.cloud.region,
        document={"projects": ["web"]},
        client_key="/home/ops/Xy7-key.pem",
    )
    told = json.dumps(answer)
    assert "Xy7" not in told and answer["invocation"]["module_args"]["auth"]["auth_url"] == desk.login.auth["auth_url"]
    assert answer["invocation"]["module_args"]["auth"]["username"] == desk.login.auth["username"]
