"""Placement: resource providers and traits, for what aggregates and flavors refer to."""

from __future__ import annotations

from .core import Answer, Collection, Route

SERVICE = "placement"

COLLECTIONS = [
    Collection(
        "resource_provider",
        SERVICE,
        "/resource_providers",
        bare=True,
        admin_read=True,
        admin_write=True,
        id_key="uuid",
        own_id=True,
        unique=(("name",),),
        page="none",
        methods=("POST", "GET", "PUT", "DELETE"),
        statuses={"POST": 200},
        defaults={"generation": 0, "parent_provider_uuid": None},
    ),
]

ROUTES = [
    Route(SERVICE, "GET", "/", lambda s, r, m: Answer(200, {"versions": [
        {"id": "v1.0", "status": "CURRENT", "min_version": "1.0", "max_version": "1.39", "links": [
            {"rel": "self", "href": ""}]}]}), "version", open=True),
    Route(SERVICE, "GET", "/traits", lambda s, r, m: Answer(200, {"traits": ["HW_CPU_X86_VMX"]}), "trait"),
]  # fmt: skip
