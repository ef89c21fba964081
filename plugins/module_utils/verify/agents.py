"""Whether a cloud's services and agents live: registered, up, and with a heartbeat that is young by the cloud's clock.

Nova, Cinder, Heat, Manila and Designate write a time stamp with each heartbeat. Neutron does so for agents of its own
kind; for those of OVN its time stamp is that of their last answer it has noticed, or just the present time, depending
on the release, so that their heartbeat is checked with OVN as well (``ovn_heartbeat``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.cloud import API_ERRORS, first_line

# An API that does not answer, or not with what was asked for.
ANSWER_ERRORS: tuple[type[Exception], ...] = (*API_ERRORS, ValueError, KeyError)
# A heartbeat from the future by more than this many seconds means that clocks differ.
AHEAD = 5.0

# Nova names its services by UUID from this microversion on; "openstack compute service delete" takes nothing else.
MICROVERSIONS = {"compute": "2.53", "share": "2.60"}
# Service of an operator's list -> service types in the catalogue, path, key of the listing.
LISTINGS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "compute": (("compute",), "/os-services", "services"),
    "network": (("network",), "/agents", "agents"),
    "volume": (("block-storage", "volumev3"), "/os-services", "services"),
    "orchestration": (("orchestration",), "/services", "services"),
    "share": (("shared-file-system", "sharev2"), "/services", "services"),
    "dns": (("dns",), "/service_statuses", "service_statuses"),
}
# Seconds between two heartbeats of Designate, which does not tell them. Source: its option heartbeat_interval.
DNS_INTERVAL = 10.0
# Command that makes a service forget a host that is gone for good.
FORGET = {
    "compute": "openstack compute service delete",
    "network": "openstack network agent delete",
    "volume": "cinder-manage service remove",
    "orchestration": "heat-manage service clean",
    "share": "manila-manage service cleanup",
    # it has no command for that
    "dns": "delete from Designate's table service_statuses the row",
}


@dataclass(frozen=True)
class Agent:
    """One service process as its API lists it; ``heartbeat`` is in seconds since the epoch, ``None`` without one."""

    service: str
    binary: str
    host: str
    up: bool
    heartbeat: float | None
    identity: str = ""
    disabled: str = ""
    interval: float = 0.0

    @property
    def name(self) -> str:
        """Binary and host."""
        return f"{self.binary} on {self.host}"


@dataclass(frozen=True)
class Expected:
    """A binary of a service that must live on each of ``hosts``."""

    service: str
    binary: str
    hosts: tuple[str, ...]


@dataclass
class Finding:
    """Result of one look: agents seen, and a sentence for each that is not well."""

    agents: list[Agent] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ages: dict[str, float] = field(default_factory=dict)
    providers: int = 0


def short(host: str) -> str:
    """A host's name in lower case and without its domain, and without the back end that Cinder puts behind it."""
    return host.split("@")[0].split(".")[0].lower()


def parse_time(text: str | None) -> float | None:
    """Seconds since the epoch of an API's time stamp; those without a zone are UTC."""
    if not text:
        return None
    try:
        stamp = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


def parse_agent(service: str, data: dict[str, Any]) -> Agent:
    """Turn an entry of a listing into an :class:`Agent`."""
    common: dict[str, Any] = {"service": service, "binary": data.get("binary") or "?", "host": data.get("host") or "?"}
    if service == "network":
        return Agent(
            **common,
            up=bool(data.get("alive")),
            heartbeat=parse_time(data.get("heartbeat_timestamp")),
            identity=str(data.get("id", "")),
            disabled="" if data.get("admin_state_up", True) else "administratively down",
        )
    if service == "dns":
        # its names of its parts are those of the units without what they have in common
        return Agent(
            service=service,
            binary=f"designate-{data.get('service_name') or '?'}",
            host=data.get("hostname") or "?",
            up=data.get("status") == "UP",
            heartbeat=parse_time(data.get("heartbeated_at")),
            identity=str(data.get("id") or ""),
            interval=DNS_INTERVAL,
        )
    state = data.get("state") if service != "orchestration" else data.get("status")
    disabled = service != "orchestration" and data.get("status") == "disabled"
    return Agent(
        **common,
        up=state == "up",
        heartbeat=parse_time(data.get("updated_at")),
        # Manila's command finds dead services by itself
        identity="" if service == "share" else str(data.get("id") or ""),
        disabled=str(data.get("disabled_reason") or "disabled") if disabled else "",
        interval=float(data.get("report_interval") or 0),
    )


def judge_agents(
    agents: Iterable[Agent],
    expected: Iterable[Expected],
    clocks: dict[str, float],
    max_age: float,
    max_age_network: float,
) -> list[str]:
    """Name every agent that is missing, down, or whose heartbeat is too old or lies in the future.

    ``clocks`` holds the present time by service, in seconds since the epoch, as its API sees it. Agents that nobody
    expects must live as well: a listing with a dead service in it is not a healthy cloud.
    """
    seen = list(agents)
    problems: list[str] = []
    for wanted in expected:
        hosts = {
            short(agent.host) for agent in seen if (agent.service, agent.binary) == (wanted.service, wanted.binary)
        }
        problems += [
            f"{wanted.binary} on {host}: not registered; see whether its unit runs there and what its log says"
            for host in wanted.hosts
            if short(host) not in hosts
        ]
    known = {(wanted.service, wanted.binary, short(host)) for wanted in expected for host in wanted.hosts}
    for agent in (one for one in seen if not _followed(one, seen)):
        limit = max_age_network if agent.service == "network" else max_age + 2 * agent.interval
        age = None if agent.heartbeat is None else clocks[agent.service] - agent.heartbeat
        when = "never heard of" if age is None else f"last heartbeat {age:.0f} s ago"
        if (agent.service, agent.binary, short(agent.host)) in known:
            hint = ""
        else:
            hint = f"; if this host is gone for good: {FORGET[agent.service]} {agent.identity}".rstrip()
        if not agent.up:
            problems.append(f"{agent.name}: down, {when}{hint}")
        elif age is None or age > limit:
            problems.append(f"{agent.name}: listed as up, but {when} (at most {limit:.0f} s are healthy){hint}")
        elif age < -AHEAD:
            problems.append(
                f"{agent.name}: its heartbeat lies {-age:.0f} s in the future; compare the clocks of the hosts"
            )
    return problems


def _followed(agent: Agent, seen: Iterable[Agent]) -> bool:
    """Whether this is what a former start left. Heat registers each start of an engine anew, and a start forgets the
    former ones only if they have been silent for two intervals by then."""
    return (
        agent.service == "orchestration"
        and not agent.up
        and any(one.up and (one.binary, one.host) == (agent.binary, agent.host) for one in seen)
    )


def judge_providers(hosts: Iterable[str], inventories: dict[str, dict[str, Any]]) -> list[str]:
    """Name every compute host without a resource provider, or whose provider offers no VCPU or no MEMORY_MB.

    ``inventories`` maps the names of resource providers to their inventories by resource class.
    """
    by_host = {short(name): inventory for name, inventory in inventories.items()}
    problems = []
    for host in hosts:
        inventory = by_host.get(short(host))
        if inventory is None:
            problems.append(f"placement: {host} has no resource provider; see the log of nova-compute there")
            continue
        for resource in ("VCPU", "MEMORY_MB"):
            entry = inventory.get(resource, {})
            if int(entry.get("total", 0)) - int(entry.get("reserved", 0)) <= 0:
                problems.append(f"placement: {host} offers no {resource}; see the log of nova-compute there")
    return problems


def clock_offset(issued: float | None, before: float, after: float) -> float:
    """Seconds by which the cloud's clock is ahead of ours, by the time stamp of a token asked for between two times.

    Anything within the duration of the request, or the second to which the stamp may be rounded, counts as none.
    """
    if issued is None or before - 1 <= issued <= after + 1:
        return 0.0
    return issued - (before + after) / 2


class Observer:
    """Asks the APIs through an openstacksdk connection."""

    def __init__(self, cloud: Any, expected: list[Expected], wall: Callable[[], float] = time.time) -> None:
        self.cloud, self.expected, self.wall = cloud, expected, wall
        before = wall()
        access = cloud.session.auth.get_auth_ref(cloud.session)
        after = wall()
        issued = access.issued.timestamp() if access is not None and access.issued else None
        self.offset = clock_offset(issued, before, after)
        self.types = {entry.get("type") for entry in (access.service_catalog.catalog if access else [])}

    def services(self) -> list[str]:
        """Services to ask: those expected, and those that the catalogue has."""
        wanted = {one.service for one in self.expected}
        return [name for name, (types, _, _) in LISTINGS.items() if name in wanted or self.types & set(types)]

    def adapter(self, service: str) -> Any:
        """The SDK's client of a service."""
        names = {"volume": "block_storage", "share": "shared_file_system"}
        return getattr(self.cloud, names.get(service, service))

    def look(self, max_age: float, max_age_network: float) -> Finding:
        """Ask every service once."""
        finding = Finding()
        clocks: dict[str, float] = {}
        failed: set[str] = set()
        for service in self.services():
            _, path, key = LISTINGS[service]
            try:
                response = self.adapter(service).get(path, microversion=MICROVERSIONS.get(service))
                if response.status_code != 200:
                    raise OSError(f"HTTP {response.status_code}: {' '.join(response.text.split())[:200]}")
                entries = response.json()[key]
            except ANSWER_ERRORS as error:
                finding.problems.append(f"the {service} API does not list its services: {first_line(error)}")
                failed.add(service)
                continue
            date = response.headers.get("Date")
            if service == "compute" and not entries:
                finding.problems.append(
                    "the compute API lists no services at all: nova leaves out cells whose database "
                    "does not answer, see "
                    "the log of nova-api"
                )
                failed.add(service)
            clocks[service] = parsedate_to_datetime(date).timestamp() if date else self.wall() + self.offset
            finding.agents += [parse_agent(service, entry) for entry in entries]
        expected = [one for one in self.expected if one.service not in failed]
        finding.problems += judge_agents(finding.agents, expected, clocks, max_age, max_age_network)
        finding.ages = {
            agent.name: round(clocks[agent.service] - agent.heartbeat, 1)
            for agent in finding.agents
            if agent.heartbeat is not None
        }
        computes = [host for one in self.expected if one.binary == "nova-compute" for host in one.hosts]
        if computes:
            try:
                inventories = self.inventories(computes)
                finding.providers = len(computes)
                finding.problems += judge_providers(computes, inventories)
            except ANSWER_ERRORS as error:
                finding.problems.append(f"the placement API does not list its resource providers: {first_line(error)}")
        return finding

    def inventories(self, hosts: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Inventories of the resource providers that bear these hosts' names."""
        wanted = {short(host) for host in hosts}
        placement = self.cloud.placement
        providers = placement.get("/resource_providers").json()["resource_providers"]
        return {
            one["name"]: placement.get(f"/resource_providers/{one['uuid']}/inventories").json()["inventories"]
            for one in providers
            if short(one["name"]) in wanted
        }


def wait_alive(
    observer: Observer,
    timeout: float,
    max_age: float,
    max_age_network: float,
    interval: float = 3.0,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Finding, float]:
    """Look until nothing is wrong or ``timeout`` seconds are over; return the last finding and the seconds it took."""
    start = now()
    while True:
        finding = observer.look(max_age, max_age_network)
        spent = now() - start
        if not finding.problems or spent >= timeout:
            return finding, spent
        sleep(min(interval, max(0.1, timeout - spent)))


def summary(finding: Finding) -> list[str]:
    """Counts, age of the oldest heartbeat, and services that are switched off."""
    lines = [
        f"{len(finding.agents)} services and agents alive, oldest heartbeat "
        f"{max([0.0, *finding.ages.values()]):.0f} s ago"
        + (f", {finding.providers} hosts offer resources" if finding.providers else "")
    ]
    lines += [f"note: {agent.name} takes no new work: {agent.disabled}" for agent in finding.agents if agent.disabled]
    return lines


def failure_message(finding: Finding, seconds: float, where: str) -> str:
    """One line per problem."""
    head = (
        f"the cloud at {where} has {len(finding.problems)} problems with its services and agents after {seconds:.0f} s:"
    )
    return "\n".join([head, *(f"- {problem}" for problem in finding.problems)])
