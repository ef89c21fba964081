"""A small OpenStack cloud in one process, for tests: real sockets, real status codes, no dependency beyond Python.

Use it as a context manager::

    with CloudSimulator() as cloud:
        conn = openstack.connect(**cloud.login)          # admin of project "admin"
        conn.identity.create_project(name="shop", domain_id="default")
        assert cloud.count("POST", type="project") == 1
        assert cloud.find("project", name="shop")

* ``cloud.login``: arguments for ``openstack.connect`` (and a ``clouds.yaml`` entry: ``cloud.clouds``).
  ``cloud.login_as(user, password, project)`` for others. The admin is "admin" with password "secret".
* ``cloud.put("network", name="n", project_id=...)`` adds an object without a request, thousands per second;
  ``cloud.find(type, field=value)``, ``cloud.all(type)`` and ``cloud.objects[type]`` show what is there. ``cloud.types``
  has all type names.
* ``cloud.calls`` (method, service, type, path, status), ``cloud.count(method, service, type)``, ``cloud.writes()``,
  ``cloud.lists()``, ``cloud.forget_calls()``.
* ``cloud.fault(method="POST", service="network", path="/networks", status=429, retry_after=1, times=2, skip=3)``; also
  ``delay=0.5``, ``drop="before"`` or ``"after"`` the work; ``method="write"`` means all but GET and HEAD; ``times=0``
  for ever. ``cloud.heal()`` ends all faults. ``cloud.expire_tokens()`` makes every token answer 401.
* ``cloud.polls_until_ready = 2``: servers, images, volumes and stacks need so many looks to become ready;
  ``cloud.fail_next["server"] = 1`` lets the next one end in ERROR. ``cloud.page_size`` bounds the pages.
* ``cloud.extra["console"] = lambda server: "text"`` is what servers print; ``server["_boots"]`` counts rebuilds.
* ``CloudSimulator(services=("identity", "network"))`` offers only these in the catalogue.
* ``python -m ansible_collections.stackwright.cloud.tests.cloud_simulator --help`` runs it as a process of its own.

Roots on the port: /identity /compute /network /image /volume /orchestration /object-store /dns /placement.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import compute, dns, identity, image, network, object_store, orchestration, placement, volume
from .core import Collection, Fault, Route, State
from .server import Server

__all__ = ["CloudSimulator", "Fault"]

# Catalogue type, path below the port and module of each service.
CATALOGUE: dict[str, tuple[str, str]] = {
    "identity": ("keystone", "/identity/v3"),
    "network": ("neutron", "/network"),
    "compute": ("nova", "/compute/v2.1"),
    "image": ("glance", "/image"),
    "block-storage": ("cinder", "/volume/v3/%(project_id)s"),
    "volumev3": ("cinderv3", "/volume/v3/%(project_id)s"),
    "orchestration": ("heat", "/orchestration/v1/%(project_id)s"),
    "object-store": ("swift", "/object-store/v1/AUTH_%(project_id)s"),
    "dns": ("designate", "/dns"),
    "placement": ("placement", "/placement"),
}
MODULES: list[Any] = [identity, network, compute, image, volume, orchestration, object_store, dns, placement]


class CloudSimulator(State):
    """A cloud with its admin, on a free port of 127.0.0.1 (or ``port``)."""

    def __init__(self, services: Iterable[str] = (), port: int = 0, region: str = "RegionOne") -> None:
        collections: list[Collection] = [c for m in MODULES for c in m.COLLECTIONS]
        routes: list[Route] = [r for m in MODULES for r in m.ROUTES]
        super().__init__(collections, routes)
        self.region = region
        self.server = Server(self, port)
        self.url = self.server.url
        self.extra |= {"assignments": set(), "members": set()}
        self.put("domain", id="default", name="Default", description="The default domain")
        self.put("region", id=region)
        self.admin_project = self.put("project", name="admin", domain_id="default", parent_id="default")["id"]
        self.put("project", name="service", domain_id="default", parent_id="default")
        self.admin_user = self.put("user", name="admin", domain_id="default", _password="secret")["id"]
        for name in ("admin", "manager", "member", "reader"):
            self.put("role", name=name)
        self.grant("admin", self.admin_user, project=self.admin_project)
        self.grant("admin", self.admin_user, domain="default")
        self.grant("admin", self.admin_user, system=True)
        for kind, (name, path) in CATALOGUE.items():
            if not services or kind in services:
                service = self.put("service", name=name, type=kind)["id"]
                for interface in ("public", "internal", "admin"):
                    self.put("endpoint", service_id=service, interface=interface, region_id=region, region=region,
                             url=f"{self.url}{path}")  # fmt: skip
        for module in MODULES:
            if hasattr(module, "seed"):
                module.seed(self)

    def grant(self, role: str, user: str, project: str = "", domain: str = "", system: bool = False) -> None:
        """Give a user (identifier) a role (name) on a target (identifier)."""
        target, where = ("system", "all") if system else (("project", project) if project else ("domain", domain))
        self.extra["assignments"].add((self.find("role", name=role)[0]["id"], "user", user, target, where, False))

    def fill(self, ports: int, servers: int) -> None:
        """Add many ports and servers of the admin's project."""
        network = self.put("network", name="big", project_id=self.admin_project)["id"]
        flavor = compute.flavor_view(self.put("flavor", name="big.small", ram=512, vcpus=1, disk=1, _access=set()))
        group = [self.put("security_group", name="big", project_id=self.admin_project)["id"]]
        made = [
            self.put("server", name=f"server-{n}", tenant_id=self.admin_project, flavor=flavor)["id"]
            for n in range(servers)
        ]
        for n in range(ports):
            low = f"{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
            self.put(
                "port",
                name=f"port-{n}",
                network_id=network,
                project_id=self.admin_project,
                status="ACTIVE",
                security_groups=group,
                fixed_ips=[{"subnet_id": "big", "ip_address": f"10.{low}"}],
                device_id=made[n] if n < servers else "",
                mac_address=f"fa:16:3e:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}",
            )

    def login_as(self, username: str, password: str, project: str) -> dict[str, Any]:
        """Arguments for ``openstack.connect`` as a user of the default domain."""
        login: dict[str, Any] = self.clouds["clouds"]["simulated"]
        return login | {
            "auth": {"auth_url": f"{self.url}/identity/v3", "username": username, "password": password,
                     "project_name": project, "user_domain_id": "default", "project_domain_id": "default"},
        }  # fmt: skip

    @property
    def login(self) -> dict[str, Any]:
        """Arguments for ``openstack.connect`` as the admin."""
        return self.login_as("admin", "secret", "admin")

    @property
    def clouds(self) -> dict[str, Any]:
        """The content of a ``clouds.yaml`` with the cloud "simulated"."""
        auth = {
            "auth_url": f"{self.url}/identity/v3",
            "username": "admin",
            "password": "secret",
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        return {"clouds": {"simulated": {"auth": auth, "region_name": self.region, "auth_type": "password"}}}

    def fault(self, **order: Any) -> Fault:
        """Order a fault; the fields are those of :class:`Fault`."""
        fault = Fault(**order)
        with self.lock:
            self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """End all faults."""
        with self.lock:
            self.faults.clear()

    def expire_tokens(self) -> None:
        """Let every token be expired."""
        with self.lock:
            for token in self.tokens.values():
                token.expires = 0.0

    def forget_calls(self) -> None:
        """Begin to count anew."""
        self.calls.clear()

    def start(self) -> CloudSimulator:
        """Answer requests from now on."""
        self.server.begin()
        return self

    def stop(self) -> None:
        """Close the port and its connections."""
        self.server.end()

    def __enter__(self) -> CloudSimulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
