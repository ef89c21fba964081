"""Freshness of services and agents: what counts as alive, by whose clock, and what is said of what is not."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import agents

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()


def stamp(age: float) -> str:
    """A time stamp as nova writes it: UTC without a zone."""
    return datetime.fromtimestamp(NOW - age, UTC).replace(tzinfo=None).isoformat()


def nova(binary: str, host: str, age: float | None = 3, **more: Any) -> dict[str, Any]:
    entry = {"id": 7, "binary": binary, "host": host, "status": "enabled", "state": "up", "disabled_reason": None}
    return entry | {"updated_at": None if age is None else stamp(age)} | more


def judge(*entries: dict[str, Any], hosts: tuple[str, ...] = ("compute1",), service: str = "compute") -> list[str]:
    seen = [agents.parse_agent(service, entry) for entry in entries]
    expected = [agents.Expected(service, "nova-compute", hosts)]
    return agents.judge_agents(seen, expected, {service: NOW}, max_age=30, max_age_network=75)


class Response:
    def __init__(self, body: Any, date: float | None = None, status: int = 200) -> None:
        self.status_code, self.text = status, json.dumps(body)
        self.headers = {"Date": format_datetime(datetime.fromtimestamp(date, UTC), usegmt=True)} if date else {}

    def json(self) -> Any:
        return json.loads(self.text)


class Api:
    """Answers each path from a list, the last answer for ever."""

    def __init__(self, **answers: list[Response]) -> None:
        self.microversions: list[str | None] = []
        self.answers = {"/" + path.replace("__", "/"): list(given) for path, given in answers.items()}

    def get(self, path: str, microversion: str | None = None) -> Response:
        self.microversions.append(microversion)
        path = path.replace("os-services", "os_services")
        left = self.answers[path]
        return left.pop(0) if len(left) > 1 else left[0]


class Cloud:
    """Stands in for an openstacksdk connection with a token issued at ``issued``."""

    def __init__(self, issued: float | None = None, catalogue: tuple[str, ...] = ("compute",), **apis: Api) -> None:
        self.session = self
        self.auth = self
        self.issued = datetime.fromtimestamp(issued, UTC) if issued else None
        self.service_catalog = self
        self.catalog = [{"type": name} for name in catalogue]
        self.__dict__.update(apis)

    def get_auth_ref(self, session: Any) -> Any:
        return self


def services(*entries: dict[str, Any], date: float | None = None) -> Response:
    return Response({"services": list(entries)}, date)


def placement(**inventories: dict[str, int]) -> Api:
    providers = [{"name": name, "uuid": name} for name in inventories]
    answers = {"resource_providers": [Response({"resource_providers": providers})]}
    for name, totals in inventories.items():
        body = {"inventories": {key: {"total": total, "reserved": 0} for key, total in totals.items()}}
        answers[f"resource_providers__{name}__inventories"] = [Response(body)]
    return Api(**answers)


def test_fresh_service_passes_also_under_its_full_name() -> None:
    assert judge(nova("nova-compute", "compute1.example.org")) == []


def test_missing_service_is_named() -> None:
    problems = judge(
        nova("nova-compute", "compute1"), nova("nova-conductor", "compute2"), hosts=("compute1", "compute2")
    )
    assert problems == [
        "nova-compute on compute2: not registered; see whether its unit runs there and what its log says"
    ]


def test_service_that_is_down_is_named_with_the_age_of_its_heartbeat() -> None:
    assert judge(nova("nova-compute", "compute1", 95, state="down")) == [
        "nova-compute on compute1: down, last heartbeat 95 s ago"
    ]


def test_service_listed_as_up_with_an_old_heartbeat_fails() -> None:
    assert judge(nova("nova-compute", "compute1", 30)) == []
    assert judge(nova("nova-compute", "compute1", 31)) == [
        "nova-compute on compute1: listed as up, but last heartbeat 31 s ago (at most 30 s are healthy)"
    ]
    assert "never heard of" in judge(nova("nova-compute", "compute1", None))[0]


def test_heartbeat_from_the_future_tells_of_clocks() -> None:
    assert judge(nova("nova-compute", "compute1", -4)) == []
    assert "60 s in the future; compare the clocks" in judge(nova("nova-compute", "compute1", -60))[0]


def test_dead_service_that_nobody_expects_fails_with_the_way_to_forget_it() -> None:
    problems = judge(nova("nova-compute", "compute1"), nova("nova-compute", "old9", 9000, state="down", id=42))
    assert problems == [
        "nova-compute on old9: down, last heartbeat 9000 s ago; if this host is gone for good: "
        "openstack compute service delete 42"
    ]


def test_agents_of_neutron_and_heat_are_read_in_their_own_words() -> None:
    agent = agents.parse_agent(
        "network",
        {
            "id": "u",
            "binary": "ovn-controller",
            "host": "c",
            "alive": False,
            "admin_state_up": False,
            "heartbeat_timestamp": "2026-03-01 11:59:50.123456",
        },
    )
    assert (agent.up, agent.disabled, agent.heartbeat) == (False, "administratively down", NOW - 9.876544)
    engine = {
        "id": "e",
        "binary": "heat-engine",
        "host": "c",
        "status": "up",
        "updated_at": "2026-03-01T11:58:20Z",
        "report_interval": 60,
    }
    assert agents.parse_agent("orchestration", engine).up
    assert agents.judge_agents([agents.parse_agent("orchestration", engine)], [], {"orchestration": NOW}, 30, 75) == []
    assert agents.judge_agents([agents.parse_agent("orchestration", engine)], [], {"orchestration": NOW + 60}, 30, 75)


def test_engines_of_a_former_start_are_passed_over_while_a_present_one_lives() -> None:
    engine = {"binary": "heat-engine", "host": "c", "status": "up", "updated_at": "2026-03-01T11:59:50Z"}
    dead = agents.parse_agent("orchestration", engine | {"status": "down", "updated_at": "2026-03-01T11:50:00Z"})
    live = agents.parse_agent("orchestration", engine)
    expected = [agents.Expected("orchestration", "heat-engine", ("c",))]
    assert agents.judge_agents([dead, live], expected, {"orchestration": NOW}, 30, 75) == []
    assert "down" in agents.judge_agents([dead], expected, {"orchestration": NOW}, 30, 75)[0]
    elsewhere = agents.parse_agent("orchestration", engine | {"host": "d"})
    assert "down" in agents.judge_agents([dead, elsewhere], expected, {"orchestration": NOW}, 30, 75)[0]


def test_agents_of_designate_and_cinder_are_read_in_their_own_words() -> None:
    central = {
        "id": "s",
        "service_name": "central",
        "hostname": "compute1.example.org",
        "status": "UP",
        "heartbeated_at": "2026-03-01T11:59:30.000000",
    }
    seen = agents.parse_agent("dns", central)
    assert (seen.binary, seen.up, seen.heartbeat) == ("designate-central", True, NOW - 30)
    expected = [agents.Expected("dns", "designate-central", ("compute1",))]
    assert agents.judge_agents([seen], expected, {"dns": NOW}, 30, 75) == []
    assert "last heartbeat 51 s ago" in agents.judge_agents([seen], expected, {"dns": NOW + 21}, 30, 75)[0]
    (gone,) = agents.judge_agents([agents.parse_agent("dns", central | {"status": "DOWN"})], [], {"dns": NOW}, 30, 75)
    assert gone.endswith("if this host is gone for good: delete from Designate's table service_statuses the row s")
    volume = agents.parse_agent("volume", nova("cinder-volume", "compute1@local"))
    assert (
        agents.judge_agents(
            [volume], [agents.Expected("volume", "cinder-volume", ("compute1.example.org",))], {"volume": NOW}, 30, 75
        )
        == []
    )


def test_network_agents_have_a_limit_of_their_own() -> None:
    entry = {"id": "u", "binary": "l3", "host": "c", "alive": True, "heartbeat_timestamp": stamp(70)}
    seen = [agents.parse_agent("network", entry)]
    assert agents.judge_agents(seen, [], {"network": NOW}, 30, 75) == []
    assert agents.judge_agents(seen, [], {"network": NOW}, 30, 60)


def test_age_is_measured_by_the_date_of_the_answer() -> None:
    """Our clock and the identity service's are an hour off; the answer's Date is what counts."""
    api = Api(os_services=[services(nova("nova-conductor", "c1", 20), date=NOW)])
    expected = [agents.Expected("compute", "nova-conductor", ("c1",))]
    observer = agents.Observer(Cloud(NOW + 3600, compute=api), expected, wall=lambda: NOW + 3600)
    assert observer.look(30, 75).problems == []
    # from here on Nova names its services by UUID, which is what the command that forgets one takes
    assert api.microversions == ["2.53"]


def test_age_is_measured_by_the_token_where_answers_have_no_date() -> None:
    expected = [agents.Expected("compute", "nova-conductor", ("c1",))]
    for age, problems in ((20, 0), (50, 1)):
        api = Api(os_services=[services(nova("nova-conductor", "c1", age))])
        observer = agents.Observer(Cloud(NOW, compute=api), expected, wall=lambda: NOW - 3600)
        assert len(observer.look(30, 75).problems) == problems


def test_time_stamps_without_a_zone_are_utc_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Caracas")
    time.tzset()
    try:
        assert agents.parse_time("2026-03-01T12:00:00") == agents.parse_time("2026-03-01T12:00:00Z") == NOW
    finally:
        monkeypatch.undo()
        time.tzset()
    assert agents.parse_time("soon") is None


def test_clock_offset_ignores_the_duration_of_the_request() -> None:
    assert agents.clock_offset(100, 100.9, 103) == 0
    assert agents.clock_offset(102, 100, 103) == 0
    assert agents.clock_offset(160, 100, 102) == 59
    assert agents.clock_offset(None, 100, 102) == 0


def test_services_in_the_catalogue_are_asked_although_nobody_expects_them() -> None:
    api = Api(os_services=[services(nova("cinder-volume", "c1@rbd", 90, state="down"))])
    cloud = Cloud(NOW, ("block-storage",), block_storage=api)
    problems = agents.Observer(cloud, [], wall=lambda: NOW).look(30, 75).problems
    assert problems[0].startswith("cinder-volume on c1@rbd: down")


def test_cell_that_does_not_answer_is_told_instead_of_missing_services() -> None:
    api = Api(os_services=[services(date=NOW)])
    observer = agents.Observer(Cloud(NOW, compute=api), [agents.Expected("compute", "nova-conductor", ("c1",))])
    (problem,) = observer.look(30, 75).problems
    assert problem.startswith("the compute API lists no services at all: nova leaves out cells whose database")


def test_api_that_fails_is_told_once_and_the_others_are_still_asked() -> None:
    cloud = Cloud(
        NOW,
        compute=Api(os_services=[Response({"message": "no\ndatabase"}, status=500)]),
        network=Api(agents=[Response({"agents": []}, NOW)]),
    )
    expected = [
        agents.Expected("compute", "nova-conductor", ("c1",)),
        agents.Expected("network", "ovn-controller", ("c1",)),
    ]
    problems = agents.Observer(cloud, expected, wall=lambda: NOW).look(30, 75).problems
    assert len(problems) == 2
    assert problems[0].startswith("the compute API does not list its services: HTTP 500: ")
    assert problems[1].startswith("ovn-controller on c1: not registered")


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ({"VCPU": 4, "MEMORY_MB": 512}, None),
        ({"VCPU": 4}, "offers no MEMORY_MB"),
        ({"VCPU": 0, "MEMORY_MB": 512}, "offers no VCPU"),
        (None, "has no resource provider"),
    ],
)
def test_placement_must_offer_what_each_compute_host_has(provider: dict[str, int] | None, words: str | None) -> None:
    known = {"c1": provider} if provider else {"other": {"VCPU": 1, "MEMORY_MB": 1}}
    cloud = Cloud(
        NOW,
        compute=Api(os_services=[services(nova("nova-compute", "c1"), date=NOW)]),
        placement=placement(**known),
    )
    observer = agents.Observer(cloud, [agents.Expected("compute", "nova-compute", ("c1",))], wall=lambda: NOW)
    problems = observer.look(30, 75).problems
    assert (words is None and not problems) or (words is not None and words in problems[0])


def test_service_that_comes_up_is_waited_for() -> None:
    api = Api(
        os_services=[
            services(date=NOW),
            services(nova("nova-conductor", "c1", 99, state="down"), date=NOW),
            services(nova("nova-conductor", "c1"), date=NOW),
        ]
    )
    observer = agents.Observer(
        Cloud(NOW, compute=api), [agents.Expected("compute", "nova-conductor", ("c1",))], wall=lambda: NOW
    )
    clock = [0.0]
    finding, seconds = agents.wait_alive(
        observer, 60, 30, 75, now=lambda: clock[0], sleep=lambda s: clock.__setitem__(0, clock[0] + s)
    )
    assert finding.problems == []
    assert seconds == 6


def test_waiting_ends_at_the_timeout_and_tells_all() -> None:
    api = Api(os_services=[services(nova("nova-conductor", "c1", 99, state="down"), date=NOW)])
    observer = agents.Observer(
        Cloud(NOW, compute=api), [agents.Expected("compute", "nova-conductor", ("c1",))], wall=lambda: NOW
    )
    clock = [0.0]
    finding, seconds = agents.wait_alive(
        observer, 10, 30, 75, now=lambda: clock[0], sleep=lambda s: clock.__setitem__(0, clock[0] + s)
    )
    assert seconds == 10
    assert agents.failure_message(finding, seconds, "http://k:5000").splitlines() == [
        "the cloud at http://k:5000 has 1 problems with its services and agents after 10 s:",
        "- nova-conductor on c1: down, last heartbeat 99 s ago",
    ]


def test_summary_mentions_what_is_switched_off() -> None:
    seen = agents.parse_agent("compute", nova("nova-compute", "c1", status="disabled", disabled_reason="disk swap"))
    finding = agents.Finding([seen], [], ages={"nova-compute on c1": 3.4}, providers=1)
    assert agents.summary(finding) == [
        "1 services and agents alive, oldest heartbeat 3 s ago, 1 hosts offer resources",
        "note: nova-compute on c1 takes no new work: disk swap",
    ]
