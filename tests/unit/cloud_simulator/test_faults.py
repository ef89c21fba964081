"""Pages, tokens, ordered faults and call counting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from ansible_collections.stackwright.cloud.tests.cloud_simulator import CloudSimulator
from keystoneauth1 import exceptions as auth_errors
from openstack.exceptions import SDKException


@pytest.fixture
def cloud() -> Iterator[CloudSimulator]:
    with CloudSimulator() as made:
        yield made


@pytest.fixture
def conn(cloud: CloudSimulator) -> Iterator[Any]:
    with openstack.connect(**cloud.login) as made:
        made.authorize()
        made.network.get("/networks")
        cloud.forget_calls()
        yield made


@pytest.mark.parametrize(
    ("kind", "proxy", "noun", "owner"),
    [
        ("network", "network", "networks", "project_id"),
        ("server", "compute", "servers", "tenant_id"),
        ("image", "image", "images", "owner"),
        ("volume", "block_storage", "volumes", "os-vol-tenant-attr:tenant_id"),
        ("zone", "dns", "zones", "project_id"),
    ],
)
def test_pages_are_followed_to_the_end(
    cloud: CloudSimulator, conn: Any, kind: str, proxy: str, noun: str, owner: str
) -> None:
    for number in range(25):
        cloud.put(kind, name=f"n{number}", **{owner: cloud.admin_project})
    cloud.page_size = 10
    assert {one.name for one in getattr(getattr(conn, proxy), noun)()} == {f"n{number}" for number in range(25)}
    assert cloud.count("GET", type=kind) >= 3


def test_an_unknown_marker_is_refused(cloud: CloudSimulator, conn: Any) -> None:
    assert conn.network.get("/networks?marker=nowhere").status_code == 400


def test_filters_choose(cloud: CloudSimulator, conn: Any) -> None:
    for name, tags in (("a", ["x"]), ("b", ["x", "y"]), ("c", [])):
        cloud.put("network", name=name, tags=tags, project_id=cloud.admin_project)
    assert [n.name for n in conn.network.networks(tags="x,y")] == ["b"]
    assert [n["name"] for n in conn.network.get("/networks?name=a&name=c").json()["networks"]] == ["a", "c"]
    assert conn.network.get("/networks?name=a&fields=name").json() == {"networks": [{"name": "a"}]}


def test_an_expired_token_is_fetched_anew(cloud: CloudSimulator, conn: Any) -> None:
    cloud.expire_tokens()
    list(conn.network.networks())
    assert [c.status for c in cloud.calls if c.type == "network"] == [401, 200]
    assert cloud.count("POST", type="token") == 1


def test_a_wrong_password_is_refused(cloud: CloudSimulator) -> None:
    with (
        openstack.connect(**cloud.login_as("admin", "wrong", "admin")) as conn,
        pytest.raises(SDKException, match="401"),
    ):
        conn.authorize()


def test_a_member_sees_his_own_project_only(cloud: CloudSimulator, conn: Any) -> None:
    project = cloud.put("project", name="shop", domain_id="default")["id"]
    user = cloud.put("user", name="eve", domain_id="default", _password="pw")["id"]
    cloud.grant("member", user, project=project)
    cloud.put("network", name="mine", project_id=project)
    hidden = cloud.put("network", name="theirs", project_id=cloud.admin_project)["id"]
    with openstack.connect(**cloud.login_as("eve", "pw", "shop")) as eve:
        assert [n.name for n in eve.network.networks()] == ["mine"]
        assert eve.network.get(f"/networks/{hidden}").status_code == 404
        assert (
            eve.network.post(
                "/networks", json={"network": {"name": "x", "project_id": cloud.admin_project}}
            ).status_code
            == 403
        )
        assert eve.compute.get("/os-aggregates").status_code == 403


@pytest.mark.parametrize("status", [413, 429, 503])
def test_an_ordered_error_comes_once_with_its_wait(cloud: CloudSimulator, conn: Any, status: int) -> None:
    cloud.fault(method="POST", service="network", status=status, retry_after=3)
    answer = conn.network.post("/networks", json={"network": {"name": "n"}}, status_code_retries=0)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "3")
    assert not cloud.all("network")
    assert conn.network.post("/networks", json={"network": {"name": "n"}}).status_code == 201


@pytest.mark.parametrize(("moment", "left"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_before_or_after_the_work(
    cloud: CloudSimulator, conn: Any, moment: str, left: int
) -> None:
    cloud.fault(method="POST", path="/networks", drop=moment)
    with pytest.raises(auth_errors.ConnectFailure):
        conn.network.post("/networks", json={"network": {"name": "n"}}, connect_retries=0)
    assert len(cloud.all("network")) == left
    assert cloud.calls[-1].status == 0


def test_all_writes_fail_from_the_third_on(cloud: CloudSimulator, conn: Any) -> None:
    cloud.fault(method="write", skip=2, times=0, status=503)
    codes = [conn.network.post("/networks", json={"network": {"name": "n"}}).status_code for _ in range(4)]
    assert codes == [201, 201, 503, 503]
    assert conn.network.get("/networks").status_code == 200
    cloud.heal()
    assert conn.network.post("/networks", json={"network": {"name": "n"}}).status_code == 201


def test_a_slow_answer_does_not_hold_up_others(cloud: CloudSimulator, conn: Any) -> None:
    cloud.fault(method="GET", path="/routers", delay=0.5)
    slow = threading.Thread(target=lambda: conn.network.get("/routers"))
    began = time.monotonic()
    slow.start()
    conn.network.get("/networks")
    quick = time.monotonic() - began
    slow.join()
    assert quick < 0.4
    assert time.monotonic() - began >= 0.5


def test_parallel_writes_are_all_kept(cloud: CloudSimulator, conn: Any) -> None:
    def work(number: int) -> None:
        conn.network.post("/networks", json={"network": {"name": f"n{number}"}})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({n["id"] for n in cloud.all("network")}) == 20
    assert cloud.count("POST", "network", "network") == len(cloud.writes()) == 20


def test_what_is_not_offered_is_not_in_the_catalogue() -> None:
    with CloudSimulator(services=("identity", "network")) as cloud, openstack.connect(**cloud.login) as conn:
        assert conn.session.get_endpoint(service_type="network")
        with pytest.raises((auth_errors.EndpointNotFound, SDKException), match="dns service"):
            list(conn.dns.zones())


def test_thousands_of_objects_are_cheap(cloud: CloudSimulator, conn: Any) -> None:
    began = time.process_time()
    cloud.fill(ports=5000, servers=1000)
    assert time.process_time() - began < 2
    found = conn.compute.get("/servers/detail").json()
    assert len(found["servers"]) == 1000
    assert found["servers"][1]["addresses"]["big"][0]["addr"] == "10.0.0.1"


def test_stopping_closes_the_port() -> None:
    cloud = CloudSimulator().start()
    with openstack.connect(**cloud.login) as conn:
        conn.authorize()
        began = time.monotonic()
        cloud.stop()
        assert time.monotonic() - began < 1
        with pytest.raises(auth_errors.ConnectFailure):
            conn.identity.get("/users", connect_retries=0)
