"""What takes a service off a running host, and who keeps it there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import host_view, plan, removal
from ansible_collections.stackwright.cloud.plugins.module_utils.service.derive import Site, derived
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import Book, component

API = {"name": "tide", "type": "tidal", "port": 7000, "unit": "tide-api"}
TIDE: dict[str, Any] = {
    "packages": ["tide-api"],
    "account": "tide",
    "databases": ["tide"],
    "messaging": True,
    "needs": ["moon"],
    "api": API,
    "files": {"/etc/tide.conf": {"content": "{{ not_worked_out }}"}},
    "units": [{"name": "tide-worker"}, {"name": "web"}, {"name": "tide-other", "state": "stopped"}],
}
BOOK = Book(
    {},
    {
        "__tide_specifications": {"tide": TIDE},
        "__moon_specifications": {"moon": {"api": {**API, "name": "moon", "type": "identity"}}},
        "__reef_specifications": {"reef": {"uses": ["tide.tide"], "units": [{"name": "web"}]}},
        "__rock_specifications": {"rock": {"stays": "everything stands on it"}},
    },
)
SITE = Site({"stackwright_region": "North"}.__getitem__)
KEPT = [derived("reef", component("reef", {"units": [{"name": "web"}]}), SITE)]


def removed() -> removal.Removal:
    return removal.of_host(["tide"], KEPT, BOOK, lambda raw: raw, SITE)


def test_units_stop_but_for_those_that_something_else_runs_in() -> None:
    assert removed().units == [
        {"name": name, "state": "stopped", "enabled": False} for name in ("tide-api", "tide-worker")
    ]


def test_service_and_endpoints_leave_the_catalogue() -> None:
    assert removed().identity == {
        "services": [{"name": "tide", "type": "tidal", "state": "absent"}],
        "endpoints": [
            {"service": "tide", "interface": interface, "region": "North", "state": "absent"}
            for interface in ("internal", "public")
        ],
    }


def test_what_is_left_is_told() -> None:
    assert removed().told == [
        "tide is taken off this host. What it leaves: the database tide; the virtual host tide of the message queue; "
        "the user tide of the identity service; the secrets tide_*; the packages tide-api; the files /etc/tide.conf, "
        "/etc/tide/stackwright/certificate.pem, /etc/tide/stackwright/key.pem; its data and logs."
    ]


def test_a_plan_unregisters_first_and_stops_last() -> None:
    whole = plan.without(plan.combine(KEPT), removed())
    assert [unit["name"] for unit in whole["units"]] == ["web", "tide-api", "tide-worker"]
    assert list(whole["identity"]) == ["services", "endpoints"]
    assert whole["packages"] == [] and whole["files"] == {}
    follower = plan.for_host(whole, "two", "one", ["one", "two"])
    assert follower["identity"] == {} and len(follower["units"]) == 3


@pytest.mark.parametrize(
    ("absent", "carried", "told"),
    [
        (["tide"], {"one": ["moon"]}, []),
        (["moon"], {"one": ["rock"], "two": ["tide"]}, ["moon cannot be taken off while tide needs it"]),
        (["moon", "tide"], {"one": []}, []),
        (["tide"], {"one": ["moon", "reef"]}, ["tide cannot be taken off while reef needs it"]),
        (["moon"], {"one": ["tide.tide", "tide"]}, ["moon cannot be taken off while tide, tide.tide need it"]),
        (["rock"], {"one": []}, ["rock is not taken off a host: everything stands on it"]),
        (["tide"], {"two": ["tide.tide"]}, ["two is to keep tide, whose place in the catalogue is the cloud's"]),
    ],
)
def test_what_is_needed_stays(absent: list[str], carried: dict[str, list[str]], told: list[str]) -> None:
    assert [reason for _, reason in removal.refusals(absent, carried, BOOK)] == told


def test_components_are_used_by_names_that_exist() -> None:
    book = host_view.book({})
    for term in book.names():
        for used in book.read(term).uses:
            book.read(used)
