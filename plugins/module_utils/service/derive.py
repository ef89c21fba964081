"""What follows from a component's facts: the text that every service would otherwise spell out itself.

Of ``account``, ``databases``, ``messaging`` and ``api`` become users, passwords, registration, units, uWSGI's files,
listeners, packet filter rules and health checks. All functions are pure: a component worked out for a host, and the
:class:`Site` that it stands in.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority, leaf
from ansible_collections.stackwright.cloud.plugins.module_utils.service.configuration import HEADER
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import (
    Account,
    Api,
    Book,
    Certificate,
    Component,
    Served,
    SpecificationError,
    WideView,
    keys_of,
    plain,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.service.urls import (
    database_url,
    endpoint_url,
    host_and_port,
    transport_url,
)

USERS, MEMBERS = "users", "members"
# The type of the API that registers all others: its own bootstrap registers it.
IDENTITY = "identity"
# Registration with the identity service is done by the host itself, through the distribution's SDK.
REGISTRATION_PACKAGE = "python3-openstacksdk"
# The project that service users belong to; the identity service's role makes it.
SERVICE_PROJECT = "service"
# What a client of the Ceph cluster needs on its host, and where it finds the cluster.
CEPH_PACKAGES = ("ceph-common", "python3-rados", "python3-rbd")
CEPH_CONFIGURATION = "/etc/ceph/ceph.conf"
# libvirt reads what it knows of secrets when it starts, and hands the value of a private one to QEMU alone.
LIBVIRT_SECRET = """<secret ephemeral='no' private='yes'>
  <uuid>{uuid}</uuid>
  <usage type='ceph'>
    <name>{entity}</name>
  </usage>
</secret>
"""
# The variable with what an account's files say of its logins.
ACCOUNT = "services_account"
# Where the message queue speaks TLS, and nothing else.
MESSAGING_PORT = 5671
# The secret with the certificate authorities, and what a certificate's directory holds.
AUTHORITY = "pki_authority"
CERTIFICATE, KEY = "certificate.pem", "key.pem"
# Names that every certificate bears, since a host also asks itself.
OWN_NAMES = ("localhost", "127.0.0.1")
# What APIs offer where TLS 1.2 is spoken: forward secrecy and authenticated encryption. TLS 1.3 knows nothing else.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# The master runs the same program again in its place: its sockets stay open, so that who comes meanwhile waits.
RELOADED = "[Service]\nExecReload=/bin/kill -HUP $MAINPID\n"
# Keys that a plan is made of: what is found out first, let in, expected to be alive and
# possible on several hosts is asked for apart.
PLANNED = tuple(key for key in keys_of(Component) if key not in ("filter", "facts", "agents", "several"))
# Runs Python's applications, whatever the distribution runs a service with.
UWSGI_PROGRAM = "/usr/bin/uwsgi_python3"
# Options of uWSGI that all APIs share.
UWSGI: dict[str, Any] = {
    "buffer-size": 65535,
    "rem-header": "Content-Length",
    "master": True,
    "thunder-lock": True,
    "plugins": "python3",
    "lazy-apps": True,
    "paste-logger": True,
    "no-orphans": True,
    "die-on-term": True,
    "close-on-exec": True,
    "close-on-exec2": True,
    "enable-threads": True,
    "listen": 100,
    "add-header": "Connection: close",
}


@dataclass(frozen=True)
class Site:
    """Where a component stands. ``variable`` works out a variable of its host, and is asked for no more than is
    needed."""

    variable: Callable[[str], Any]
    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)

    @property
    def host(self) -> str:
        """The host's name in the inventory."""
        return str(self.variable("inventory_hostname"))

    @property
    def management(self) -> str:
        """The host's own address."""
        return str(self.variable("stackwright_management_address"))

    @property
    def ca(self) -> str:
        """File with the authorities that vouch for the cloud's own services."""
        return str(self.variable("stackwright_ca_file"))

    @property
    def balanced(self) -> bool:
        """Whether users reach APIs through a load balancer, and not where they listen."""
        return bool(self.variable("loadbalancer_members"))

    @property
    def listening(self) -> list[str]:
        """Own addresses on which users are served."""
        return [str(one) for one in self.variable("stackwright_listen_addresses")]

    def secret(self, name: str, wanted_by: str) -> str:
        """A secret of the cloud.

        :raises SpecificationError: there is none of this name.
        """
        secrets = self.variable("stackwright_secrets") or {}
        if name not in secrets:
            raise SpecificationError(
                f"specification {wanted_by}: there is no secret {name!r}; playbooks/secrets.yml makes "
                f"those in roles/*/meta/secrets.yml"
            )
        return str(secrets[name])


def addresses(api: Api, site: Site) -> list[str]:
    """Addresses on which an API listens. A daemon that takes one gets all, where there are several, and the packet
    filter decides."""
    if USERS not in api.origins:
        return [site.management]
    return site.listening if api.wsgi or len(site.listening) == 1 else ["0.0.0.0"]


def _account(term: str, component: Component) -> Account:
    if component.account is None:
        raise SpecificationError(
            f"specification {term}: account is missing: databases, messaging and wsgi belong to one"
        )
    return component.account


def _log(account: Account, api: Api) -> str:
    return f"/var/log/{account.name}/{api.unit}.log"


def _paths(account: Account, api: Api) -> tuple[str, str, str]:
    """uWSGI's configuration, the settings of the unit, and how it is reloaded."""
    own = api.wsgi.settings if api.wsgi and api.wsgi.settings else api.unit
    ini, reloading = f"/etc/{account.name}/{api.unit}-uwsgi.ini", f"/etc/systemd/system/{api.unit}.service.d"
    return ini, f"/etc/default/{own}", f"{reloading}/stackwright-reload.conf"


def _shown(component: Component) -> str:
    """Directory of the certificate that the APIs of a component show."""
    return f"/etc/{component.account.name}/stackwright" if component.api and component.account else ""


def paths(term: str, component: Component) -> list[str]:
    """Paths of all files of a component; it need not be worked out."""
    derived = [path for api in component.api if api.wsgi for path in _paths(_account(term, component), api)]
    directories = dict.fromkeys([*(one.path for one in component.certificates), _shown(component)])
    issued = [f"{directory}/{name}" for directory in directories if directory for name in (CERTIFICATE, KEY)]
    return [*component.files, *derived, *issued]


def paths_of(book: Book, role: str) -> list[str]:
    """Paths of all files that any component of a role has."""
    terms = [f"{role}.{name}" for name in book.of_role(role)]
    return sorted({path for term in terms for path in paths(term, book.read(term))})


def _uwsgi_files(account: Account, api: Api, site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    if api.wsgi is None:
        return
    ini, settings, reloading = _paths(account, api)
    options = {
        **UWSGI,
        "processes": api.wsgi.workers,
        "threads": api.wsgi.threads,
        "uid": account.name,
        "gid": account.name,
        "name": api.wsgi.name or api.unit,
        "chdir": f"/var/lib/{account.name}",
        "wsgi-file": api.wsgi.application,
        "logto": _log(account, api),
        **api.wsgi.options,
    }
    yield ini, {"options": {"uwsgi": options}, "units": [api.unit]}
    shown = ",".join([*(f"/etc/{account.name}/stackwright/{name}" for name in (CERTIFICATE, KEY)), CIPHERS])
    sockets = " ".join(f"--https-socket {host_and_port(one, api.port)},{shown}" for one in addresses(api, site))
    # a service that the distribution runs by itself is brought to uWSGI by the first and the last of them
    lines = [f"DAEMON={UWSGI_PROGRAM}", f'DAEMON_ARGS="{sockets} --ini {ini}"', "NO_OPENSTACK_LOGFILE_DAEMON_ARG=yes"]
    yield settings, {"public": True, "content": HEADER + "".join(f"{line}\n" for line in lines), "units": [api.unit]}
    yield reloading, {"public": True, "content": RELOADED, "units": [api.unit]}


def certificates(component: Component, site: Site) -> list[Certificate]:
    """All certificates of a component: that of its APIs, unless it says itself what is in that place, and its own.

    What is behind uWSGI takes it by a reload. Who reaches an API asks for it by the addresses of the cloud.
    """
    path = _shown(component)
    own = list(component.certificates)
    if not path or path in [one.path for one in own]:
        return own
    account = component.account.name if component.account else ""
    names = (str(site.variable("stackwright_internal_address")), str(site.variable("stackwright_public_address")))
    served = tuple(
        Served(port=api.port, address=None if address == "0.0.0.0" else address, protocol="https")
        for api in component.api
        for address in addresses(api, site)
    )
    reloads = tuple(api.unit for api in component.api if api.wsgi)
    shown = Certificate(path=path, names=names, group=account, mode="0440", reloads=reloads, served=served)
    return [shown, *own]


def certificate_names(one: Certificate, site: Site) -> list[str]:
    """All names that a certificate bears."""
    return sorted({site.host, site.management, *OWN_NAMES, *map(str, one.names)})


def _certificate_files(term: str, one: Certificate, site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    """The directory of a certificate, and what is in it."""
    try:
        known = authority.read(site.secret(AUTHORITY, term))
        terms = leaf.Terms(int(site.variable("pki_days")), int(site.variable("pki_renewal_days")))
        issued = leaf.issue(known, site.host, one.path, certificate_names(one, site), terms, site.now())
    except ValueError as error:
        raise SpecificationError(f"specification {term}: no certificate for {one.path}: {error}") from None
    readers = {key: list(value) for key, value in (("units", one.units), ("reloads", one.reloads)) if value}
    yield one.path, {"state": "directory", "group": one.group, "mode": "0750"}
    yield f"{one.path}/{CERTIFICATE}", {"public": True, "content": issued.certificate, **readers}
    owned = {"owner": one.owner, "group": one.group, "mode": one.mode}
    yield f"{one.path}/{KEY}", {"content": issued.key, **owned, **readers}


def places(term: str, component: Component, site: Site) -> list[dict[str, Any]]:
    """Where a component shows its certificates, under the name that clients use first."""
    return [
        {
            "service": term,
            "host": served.address or site.management,
            "port": int(served.port),
            "name": str(next(iter(one.names), served.address or site.management)),
            "protocol": served.protocol,
            "ca": site.ca,
        }
        for one in certificates(component, site)
        for served in one.served
    ]


def keys_in(files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The private keys among the files of certificates."""
    return [str(one["content"]) for path, one in files.items() if path.endswith(f"/{KEY}") and one.get("content")]


def _ceph_files(term: str, component: Component, site: Site) -> Iterator[tuple[str, dict[str, Any]]]:
    """How clients find the Ceph cluster, and their keys."""
    units = sorted({unit for client in component.ceph for unit in client.units or ()})
    # a host of the cluster has a longer one, which its own role writes
    if component.ceph and not any(str(one).startswith("ceph.") for one in site.variable("stackwright_carried")):
        yield CEPH_CONFIGURATION, {"options": site.variable("ceph_client_file"), "units": units}
    for client in component.ceph:
        if client.group:
            text = f"[{client.entity}]\n  key = {site.secret(client.secret, term)}\n"
            keyring = {"content": text, "group": client.group, "mode": "0640", "units": list(client.units or ())}
            yield f"/etc/ceph/ceph.{client.entity}.keyring", keyring
        if client.libvirt:
            place, only = f"/etc/libvirt/secrets/{client.libvirt}", {"mode": "0600", "units": ["libvirtd"]}
            described = LIBVIRT_SECRET.format(uuid=client.libvirt, entity=client.entity)
            yield f"{place}.xml", {"content": described, "public": True, **only}
            yield f"{place}.base64", {"content": site.secret(client.secret, term), **only}


def files(term: str, component: Component, site: Site) -> dict[str, dict[str, Any]]:
    """All files, with the engine's header where a file asks for it."""
    found: dict[str, dict[str, Any]] = dict(_ceph_files(term, component, site))
    for path, given in component.files.items():
        entry = {key: value for key, value in given.items() if key != "header"}
        if given.get("header"):
            entry["content"] = HEADER + str(given.get("content", ""))
        found[path] = entry
    for api in component.api if any(one.wsgi for one in component.api) else []:
        found |= dict(_uwsgi_files(_account(term, component), api, site))
    for one in certificates(component, site):
        found |= dict(_certificate_files(term, one, site))
    return found


def _turns(term: str, component: Component, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Units or health checks, marked where the component is restarted host by host."""
    return [{**one, "rolling": term} for one in entries] if component.rolling else entries


def units(component: Component) -> list[dict[str, Any]]:
    """All units, those of the APIs first."""
    account = component.account
    own = [{"name": api.unit, **({"log": _log(account, api)} if account else {})} for api in component.api]
    return [*own, *map(plain, component.units)]


def health(component: Component, site: Site) -> list[dict[str, Any]]:
    """All health checks, those of the APIs first. The host asks itself."""
    shown = {"certificate": f"{_shown(component)}/{CERTIFICATE}"} if _shown(component) else {}
    own = [
        {
            "name": api.title_or_name,
            "url": endpoint_url(site.management, api.port, api.health or "/"),
            "ca": site.ca,
            **shown,
            "unit": api.unit,
            "timeout": api.timeout,
        }
        for api in component.api
    ]
    return [*own, *(plain(one) for one in component.health if one.command is None or one.command)]


def _origins(api: Api, site: Site) -> list[str]:
    """Who may reach an API where it listens."""
    if USERS in api.origins and site.balanced:
        return [MEMBERS if one == USERS else one for one in api.origins]
    return list(api.origins)


def filter_entries(component: Component, site: Site) -> list[Any]:
    """All entries of the packet filter, those of the APIs first."""
    own = [
        {
            "name": api.title_or_name,
            "ports": [api.port],
            "addresses": addresses(api, site),
            "unit": api.unit,
            "from": _origins(api, site),
        }
        for api in component.api
    ]
    return [*own, *component.filter]


def identity(term: str, component: Component, site: Site) -> dict[str, list[Any]]:
    """What the identity service has to know, as ``cloud_state`` takes it."""
    found: dict[str, list[Any]] = {}
    account = component.account
    if account and account.roles:
        password = account.secrets.identity or site.secret(f"{account.name}_identity", term)
        options = site.variable("stackwright_service_user_options")
        found["users"] = [{"name": account.name, "password": password, "update_password": "always", "options": options}]
        found["role_assignments"] = [
            {"role": role, "user": account.name, "project": SERVICE_PROJECT} for role in account.roles
        ]
    for api in component.api:
        if api.type and api.type != IDENTITY:
            service = {"name": api.name, "type": api.type, "description": api.description}
            found.setdefault("services", []).append({key: value for key, value in service.items() if value})
            for interface in ("internal", "public"):
                url = endpoint_url(str(site.variable(f"stackwright_{interface}_address")), api.port, api.path or "")
                endpoint = {
                    "service": api.name,
                    "interface": interface,
                    "url": url,
                    "region": site.variable("stackwright_region"),
                }
                found.setdefault("endpoints", []).append(endpoint)
    for kind, resources in component.identity.items():
        found[kind] = [*found.get(kind, []), *resources]
    return found


def databases(term: str, component: Component, site: Site) -> list[dict[str, str]]:
    """Databases with their user and its password."""
    if not component.databases:
        return []
    account = _account(term, component)
    password = account.secrets.database or site.secret(f"{account.name}_database", term)
    return [{"name": name, "user": account.name, "password": password} for name in component.databases]


def messaging(term: str, component: Component, site: Site) -> list[dict[str, Any]]:
    """The users of the message queue with their passwords, the account's own first."""
    if not component.messaging:
        return []
    account = _account(term, component)
    own = account.secrets.messaging or site.secret(f"{account.name}_messaging", term)
    further = [
        {
            **plain(user),
            "topics": {exchange: plain(rights) for exchange, rights in user.topics.items()},
            "password": site.secret(f"{user.name}_messaging", term),
            "vhost": f"/{account.name}",
        }
        for user in component.queue_users
    ]
    return [{"name": account.name, "password": own}, *further]


def logins(component: Component, site: Site) -> dict[str, Any]:
    """What files of a component say of its account's logins: sections and options, for those logins that it has."""
    account = component.account
    if account is None:
        return {}
    secrets = site.variable("stackwright_secrets") or {}
    own = account.secrets
    queue_user = account.queue_user or account.name
    identity, database, messages = (
        given or secrets.get(f"{name}_{kind}")
        for name, kind, given in (
            (account.name, "identity", own.identity),
            (account.name, "database", own.database),
            (queue_user, "messaging", own.messaging),
        )
    )
    found: dict[str, Any] = {}
    if identity:
        login = {"username": account.name, "password": str(identity)}
        found["credentials"] = {**site.variable("stackwright_service_credentials"), **login}
        found["authtoken"] = {**site.variable("stackwright_keystone_authtoken"), **login}
    if database and component.databases:
        options, host = site.variable("stackwright_database_options"), site.variable("stackwright_database_address")
        found["database"] = {
            name: {**options, "connection": database_url(str(database), account.name, host, name, ca=site.ca)}
            for name in component.databases
        }
    if messages:
        hosts = site.variable("stackwright_messaging_address")
        found["transport_url"] = transport_url(str(messages), queue_user, hosts, f"/{account.name}", MESSAGING_PORT)
    return found


@dataclass(frozen=True)
class Derived:
    """A component with all that follows from it, as plain data for the modules."""

    term: str
    packages: list[str]
    files: dict[str, dict[str, Any]]
    databases: list[dict[str, str]]
    messaging: list[dict[str, Any]]
    identity: dict[str, list[Any]]
    bootstrap: list[dict[str, Any]]
    units: list[dict[str, Any]]
    health: list[dict[str, Any]]
    needs: list[str]
    switch: dict[str, Any] = field(default_factory=dict)
    registers: bool = False
    """Whether it is the identity service, which registers the others."""

    def with_files(self, given: dict[str, dict[str, Any]]) -> Derived:
        """The same with other files."""
        return dataclasses.replace(self, files=given)


def registration_packages(component: Component) -> list[str]:
    """What a component's registration with the identity service needs on its host; the component need not be worked
    out."""
    account = bool(component.account and component.account.roles)
    registered = account or component.identity or any(one.type and one.type != IDENTITY for one in component.api)
    return [REGISTRATION_PACKAGE] if registered else []


def packages(component: Component, raw: Component) -> list[str]:
    """All packages.

    :param component: worked out as far as ``packages`` and ``ceph``. :param raw: the same as its role has it.
    """
    return [*component.packages, *(CEPH_PACKAGES if component.ceph else ()), *registration_packages(raw)]


def derived(term: str, component: Component, site: Site) -> Derived:
    """A component of a host with all that follows from it.

    :raises SpecificationError: it lacks what something else of it needs.
    """
    return Derived(
        term=term,
        packages=packages(component, component),
        files=files(term, component, site),
        databases=databases(term, component, site),
        messaging=messaging(term, component, site),
        identity=identity(term, component, site),
        bootstrap=[plain(step) for step in component.bootstrap],
        units=_turns(term, component, units(component)),
        health=_turns(term, component, health(component, site)),
        needs=list(component.needs),
        switch=plain(component.switch) if component.switch else {},
        registers=any(api.type == IDENTITY for api in component.api),
    )


def planned(book: Book, term: str, view: WideView, site: Site, keys: Sequence[str] | None = None) -> Derived:
    """A component worked out for a host, its account's logins known to its files, with all that follows from it.

    :param keys: what of it is worked out; all that belongs to a plan by default.
    :raises SpecificationError: it is unknown or malformed, or lacks what something else of it needs.
    """
    own = book.component(term, view, "account", "databases", "messaging", "queue_users")
    derived(term, own, site)  # a secret that is nowhere is told, and not what the files lack of it
    known = {ACCOUNT: logins(own, site)}
    return derived(term, book.component(term, lambda raw: view(raw, known), *(keys or PLANNED)), site)
