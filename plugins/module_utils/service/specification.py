"""What service roles say of themselves, read into typed components.

A role keeps its specification in ``__<role>_specifications``: a mapping of components (``api``, ``compute``) to the
keys of
:class:`Component`. This is the one reader of it: plans, packet filter, health checks, packages, preflight and
verification ask a
:class:`Book`. The classes say what there may be; ``docs/reference/specification.md`` is written from them.

A specification is read twice: as the role has it, where a template may stand for a value of any kind, and worked out
for a host.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words
from ansible_collections.stackwright.cloud.plugins.module_utils.service.interfaces import Role
from ansible_collections.stackwright.cloud.plugins.module_utils.service.terms import (
    ABSENT,
    PRESENT,
    canonical,
    listed,
    split_term,
)

Part = TypeVar("Part")
# Works data of a role out for one host; a variable is asked for as a template.
View = Callable[[Any], Any]


class WideView(Protocol):
    """A view that takes more variables, which nothing else knows."""

    def __call__(self, raw: Any, more: Mapping[str, Any] | None = None) -> Any:
        """Work data out."""


class SpecificationError(Exception):
    """A specification, or the name of a component, is wrong; the text says where and what was probably meant."""


@dataclass(frozen=True)
class Shape:
    """What a key may hold: in a reader's words, and how it is read. `part` is the class of its entries, for the
    documentation."""

    said: str
    read: Callable[[str, Any], Any]
    part: type | None = None


def is_template(value: Any) -> bool:
    """Whether a value is known only once it is worked out for a host."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _plain(said: str, *kinds: type) -> Shape:
    def read(where: str, value: Any) -> Any:
        # true and false are numbers to Python
        if isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds):
            return value
        raise SpecificationError(f"{where} must be {said}, not {value!r}")

    return Shape(said, read)


def _list_of(inner: Shape, said: str) -> Shape:
    def read(where: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise SpecificationError(f"{where} must be {said}, not {value!r}")
        return tuple(_read(inner, f"{where}, entry {number}", one) for number, one in enumerate(value, start=1))

    return Shape(said, read, inner.part)


def _read(shape: Shape, where: str, value: Any) -> Any:
    return value if is_template(value) else shape.read(where, value)


def _number(where: str, value: Any) -> Any:
    if (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdigit()):
        return value
    raise SpecificationError(f"{where} must be a number, not {value!r}")


TEXT = _plain("a text", str)
NUMBER = Shape("a number", _number)
FLAG = _plain("true or false", bool)
MAPPING = _plain("a mapping", Mapping)
ANYTHING = Shape("a value", lambda where, value: value)
TEXTS = _list_of(TEXT, "a list of texts")
VALUES = _list_of(ANYTHING, "a list")


def _key(
    shape: Shape, says: str, *, default: Any = None, factory: Any = None, required: bool = False, name: str = ""
) -> Any:
    """A field of a part: what it may hold and what it says. None is what is not given."""
    metadata = {"shape": shape, "says": says, "required": required, "name": name}
    return field(default_factory=factory, metadata=metadata) if factory else field(default=default, metadata=metadata)


def keys_of(part: type) -> dict[str, dataclasses.Field[Any]]:
    """The keys of a part by their names in a specification."""
    return {one.metadata["name"] or one.name: one for one in dataclasses.fields(part) if "shape" in one.metadata}


def read(part: type[Part], where: str, data: Any) -> Part:
    """One part of a specification.

    :param where: what is read, for messages.
    :raises SpecificationError: an unknown key, a wrong kind of value, or a key that must be there.
    """
    if not isinstance(data, Mapping):
        raise SpecificationError(f"{where} must be a mapping, not {data!r}")
    keys = keys_of(part)
    for name in data:
        if name not in keys:
            raise SpecificationError(f"{where}: unknown key {name!r}{words.hint(str(name), keys, '. ')}")
    found: dict[str, Any] = {}
    for name, one in keys.items():
        if data.get(name) is not None:
            found[one.name] = _read(one.metadata["shape"], f"{where}: {name}", data[name])
        elif one.metadata["required"]:
            raise SpecificationError(f"{where}: {name} is missing: {one.metadata['says']}")
    return part(**found)


def plain(part: Any) -> dict[str, Any]:
    """A part as the data that modules take: the keys that were given."""
    values = {name: getattr(part, one.name) for name, one in keys_of(type(part)).items()}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None
    }


def _one(part: type) -> Shape:
    return Shape("a mapping", lambda where, value: read(part, where, value), part)


def _some(part: type) -> Shape:
    return _list_of(_one(part), "a list of mappings")


@dataclass(frozen=True)
class File:
    """One file, by its path."""

    path: str | None = _key(TEXT, "The path, where variables decide it.")
    content: str | None = _key(TEXT, "The text.")
    options: Any = _key(MAPPING, "Sections, options and values of an INI file, which gets the engine's header.")
    hosts: Any = _key(MAPPING, "Names and addresses of a block in /etc/hosts.")
    lines: Any = _key(TEXTS, "More lines of that block.")
    link: str | None = _key(TEXT, "What a symbolic link leads to.")
    state: str | None = _key(TEXT, "`directory` or `absent`.")
    header: bool | None = _key(FLAG, "Whether the text begins with the engine's header, in lines that begin with `#`.")
    public: bool | None = _key(FLAG, "Whether the text holds no secret, so that differences show it.")
    owner: str | None = _key(TEXT, "Owner; root by default.")
    group: str | None = _key(TEXT, "Group; root by default.")
    mode: str | None = _key(TEXT, "Mode in octal digits; 0644 by default, 0755 for directories.")
    units: Any = _key(TEXTS, "Units that read it, which are restarted when it changes.")
    reloads: Any = _key(TEXTS, "Units that read it and take it anew when they are reloaded, which no client notices.")
    validate: Any = _key(TEXTS, "Command that judges the file before it is written.")
    definitions: Any = _key(TEXTS, "Namespaces of option definitions (oslo.config) that the options must be among.")
    free_sections: Any = _key(TEXTS, "Sections whose names the definitions do not know.")


def _files(where: str, value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise SpecificationError(f"{where} must map paths to files, not {value!r}")
    for path, given in value.items():
        read(File, f"{where}: {path}", given)
    return {str(path): dict(given) for path, given in value.items()}


@dataclass(frozen=True)
class Secrets:
    """Passwords of an account that are not in `stackwright_secrets`."""

    identity: str | None = _key(TEXT, "Password with the identity service; by default the secret `<name>_identity`.")
    database: str | None = _key(TEXT, "Password with the database; by default the secret `<name>_database`.")
    messaging: str | None = _key(TEXT, "Password with the message queue; by default the secret `<name>_messaging`.")


@dataclass(frozen=True)
class Account:
    """The service's account, with which it logs in everywhere. A text is its name alone.

    Files take its logins from the variable `services_account`, which has as many of these as the account has secrets:
    `database.<name>`, the section with the login with a database; `authtoken`, the section by which an API has tokens
    validated; `credentials`, the login with other services; `transport_url`, that with the message queue.
    """

    name: str = _key(
        TEXT,
        "User of the identity service, the databases and the message queue, and the system's own user.",
        required=True,
    )
    roles: Sequence[str] = _key(
        TEXTS,
        "Roles in the project `service`; by default `admin` and `service`. With none there is no user "
        "of the identity service.",
        default=("admin", "service"),
    )
    secrets: Secrets = _key(_one(Secrets), "Passwords that lie elsewhere.", default=Secrets())
    queue_user: str | None = _key(
        TEXT,
        "User of the message queue, where it is one of the `queue_users` of another component of the account; its "
        "password is the secret `<queue_user>_messaging`.",
    )


def _account(where: str, value: Any) -> Account:
    return read(Account, where, {"name": value} if isinstance(value, str) else value)


@dataclass(frozen=True)
class TopicRights:
    """Which routing keys of a topic exchange a user may write to, and bind queues to: regular expressions."""

    write: str = _key(TEXT, "Routing keys that it may publish with.", required=True)
    read: str = _key(TEXT, "Routing keys that it may bind queues to.", required=True)


def _topics(where: str, value: Any) -> dict[str, TopicRights]:
    if not isinstance(value, Mapping):
        raise SpecificationError(f"{where} must map exchanges to rights, not {value!r}")
    return {str(exchange): read(TopicRights, f"{where}: {exchange}", given) for exchange, given in value.items()}


@dataclass(frozen=True)
class QueueUser:
    """A further user in the account's virtual host, for hosts that may do less there than the account. What it may
    configure, write and read are regular expressions over the names of queues and exchanges."""

    name: str = _key(TEXT, "Name; its password is the secret `<name>_messaging`.", required=True)
    configure: str = _key(TEXT, "What it may declare and delete.", required=True)
    write: str = _key(TEXT, "What it may publish to, and bind.", required=True)
    read: str = _key(TEXT, "What it may consume, and bind to.", required=True)
    topics: Mapping[str, TopicRights] = _key(
        Shape("exchanges and rights", _topics, TopicRights), "Rights by routing keys, by topic exchange.", factory=dict
    )


@dataclass(frozen=True)
class Wsgi:
    """A Python application that uWSGI serves."""

    application: str = _key(TEXT, "File with the WSGI application.", required=True)
    workers: Any = _key(NUMBER, "Processes.", required=True)
    threads: Any = _key(NUMBER, "Threads of each process; 1 by default.", default=1)
    name: str | None = _key(TEXT, "Name of the processes; by default the unit's.")
    options: Any = _key(MAPPING, "More options of uWSGI.", factory=dict)
    settings: str | None = _key(TEXT, "Name of the unit's file in /etc/default; by default the unit's.")


@dataclass(frozen=True)
class Api:
    """An HTTP server, from which follow unit, listener, packet filter, health check, certificate and, with a type,
    service and endpoints.

    It speaks TLS, and nothing else. The certificate of an account's APIs lies in `/etc/NAME/stackwright`, where NAME is
    the account's; a unit that is its own server is told of it in its own files.
    """

    name: str = _key(TEXT, "Name in the catalogue of services, such as `glance`.", required=True)
    type: str | None = _key(
        TEXT,
        "Type in the catalogue, such as `image`. Without one nothing is registered; `identity` is what "
        "registers the others.",
    )
    description: str | None = _key(TEXT, "Description in the catalogue.")
    title: str | None = _key(TEXT, "Name for people; by default the name with a capital letter.")
    port: Any = _key(NUMBER, "TCP port.", required=True)
    path: str | None = _key(TEXT, "What the endpoints' URLs end with.", default="")
    health: str | None = _key(TEXT, "Path of the health check; `/` by default.", default="/")
    timeout: Any = _key(NUMBER, "Seconds in which the health check has to be answered; 20 by default.", default=20)
    unit: str = _key(TEXT, "systemd unit that serves it.", required=True)
    wsgi: Wsgi | None = _key(
        _one(Wsgi), "The application, where uWSGI serves it; otherwise the unit is its own server."
    )
    origins: Sequence[str] = _key(
        TEXTS,
        "Who may reach it: `users` (the default), `members`, `local`, components. Only for users it "
        "listens on the public address too.",
        default=("users",),
        name="from",
    )

    @property
    def title_or_name(self) -> str:
        """The name for people."""
        return self.title or self.name[:1].upper() + self.name[1:]


def _apis(where: str, value: Any) -> tuple[Api, ...]:
    entries: tuple[Api, ...] = _some(Api).read(where, [value] if isinstance(value, Mapping) else value)
    return entries


@dataclass(frozen=True)
class Step:
    """One command that makes a service's beginnings, once. See the module `bootstrap`."""

    name: str = _key(TEXT, "Unique name.", required=True)
    command: Any = _key(TEXTS, "Command and arguments, without secrets.", required=True)
    user: str | None = _key(TEXT, "User who runs it; root by default.")
    environment: Any = _key(MAPPING, "Environment variables, also for secrets.")
    after: Any = _key(TEXTS, "Steps that come first.")
    packages: Any = _key(TEXTS, "Packages whose new version makes the step due again.")
    inputs: Any = _key(VALUES, "Values whose change makes the step due again.")
    database: str | None = _key(TEXT, "Database that the step fills.")
    creates: str | None = _key(TEXT, "Path that the step makes.")
    removes: str | None = _key(
        TEXT, "Path that the step takes away. It is due as long as that is there, and never otherwise."
    )
    done_query: str | None = _key(TEXT, "SQL statement that finds a row once the step's work is there.")
    once: bool | None = _key(FLAG, "Whether one host of a group, its leader, does it for all; otherwise each does.")


@dataclass(frozen=True)
class Unit:
    """One systemd unit."""

    name: str = _key(TEXT, "Name; `.service` may be left out.", required=True)
    state: str | None = _key(TEXT, "`started`, the default, or `stopped`.")
    enabled: bool | None = _key(FLAG, "Whether it starts with the machine; true by default.")
    log: str | None = _key(TEXT, "Log file that tells more than the journal.")


@dataclass(frozen=True)
class Health:
    """One question that a running component answers."""

    name: str = _key(TEXT, "Name for people.", required=True)
    url: str | None = _key(TEXT, "URL that must answer.")
    status: Any = _key(VALUES, "Status codes that are right.")
    host: str | None = _key(TEXT, "Address of a TCP port.")
    port: Any = _key(NUMBER, "TCP port that must answer.")
    send: str | None = _key(TEXT, "What is sent to it.")
    contains: str | None = _key(TEXT, "What the answer must contain.")
    ca: str | None = _key(TEXT, "File with the certificate authorities. With it, a TCP port is asked over TLS.")
    certificate: str | None = _key(TEXT, "File with the certificate that has to be shown, and no other.")
    client: str | None = _key(TEXT, "Directory of the certificate by which a TCP port is asked over TLS.")
    command: Any = _key(
        TEXTS,
        "Command on the host that looks itself. Its exit status says how it is: 0 well; 3 something is missing that "
        "is there twice, so that it serves all the same; otherwise it does not. An empty one asks nothing.",
    )
    unit: str | None = _key(TEXT, "Unit that explains a failure, or, alone, must be active.")
    log: str | None = _key(TEXT, "Log file that explains a failure.")
    timeout: Any = _key(NUMBER, "Seconds for one answer.")


@dataclass(frozen=True)
class Agent:
    """One agent or service that an API lists, which verification expects to be alive on every host that carries the
    component."""

    api: str = _key(
        TEXT,
        "The API that lists it: `compute`, `network`, `volume`, `orchestration`, `share` or `dns`.",
        required=True,
    )
    binary: str = _key(TEXT, "Its name in the listing.", required=True)


@dataclass(frozen=True)
class Served:
    """Where a certificate is shown to clients, so that verification looks at it there."""

    port: Any = _key(NUMBER, "TCP port.", required=True)
    address: str | None = _key(TEXT, "Address; by default the host's own.")
    protocol: str = _key(
        TEXT,
        "`tls`, the default; `mutual`, whose clients show a certificate of the cloud's as well; `https`; or `mysql`, "
        "whose clients ask for TLS after the server's greeting.",
        default="tls",
    )


@dataclass(frozen=True)
class Certificate:
    """A certificate of the host with a key of its own, which the cloud's authority issues.

    The host shows it to its clients, or to servers as their client. It bears the host's name, which is its common name,
    its address, `localhost`, and the names that are given. The certificate is written to `certificate.pem`, the key to
    `key.pem` of its directory. Who else is trusted stands in the file `pki_ca_file`.
    """

    path: str = _key(TEXT, "Directory that holds the two files.", required=True)
    names: Sequence[str] = _key(TEXTS, "More names and addresses under which clients ask for it.", default=())
    owner: str = _key(TEXT, "Owner of the key; root by default.", default="root")
    group: str = _key(TEXT, "Group of key and directory; root by default.", default="root")
    mode: str = _key(TEXT, "Mode of the key; 0400 by default.", default="0400")
    units: Sequence[str] = _key(TEXTS, "Units that are restarted when it is another one.", default=())
    reloads: Sequence[str] = _key(TEXTS, "Units that are reloaded then, which no client notices.", default=())
    served: Sequence[Served] = _key(_some(Served), "Where it is shown to clients.", default=())


@dataclass(frozen=True)
class Facts:
    """What is found out on the host before it is planned; the answers are in `services_facts`. See the module
    `compute_probe`."""

    datapath: str | None = _key(TEXT, "Asks which datapath Open vSwitch gets: `auto`, or the one that is wanted.")
    kvm: bool | None = _key(FLAG, "Asks whether guests run with KVM.")
    cpu_mode: str | None = _key(TEXT, "CPU mode of guests.")
    cpu_models: Any = _key(TEXTS, "CPU models of guests.")
    machine: str | None = _key(TEXT, "Machine type of guests.")
    again: bool | None = _key(FLAG, "Whether to ask although there is an answer.")


@dataclass(frozen=True)
class Switch:
    """Open vSwitch, as the module `open_vswitch` takes it."""

    external_ids: Any = _key(MAPPING, "External identifiers.", required=True)
    other_config: Any = _key(MAPPING, "Other settings.")
    datapath: str = _key(TEXT, "Datapath of the bridges.", required=True)
    bridges: Any = _key(VALUES, "Bridges: name, interface, and the address that the bridge takes over.")
    needed: Any = _key(VALUES, "Addresses that the host must keep.")
    forbidden_managers: Any = _key(TEXTS, "Connections that the database must not offer.")


@dataclass(frozen=True)
class CephClient:
    """A login with the Ceph cluster, and the pools that it keeps data in.

    From it follow `ceph.conf` and the keyring on the host, and, in the cluster, the user with no more than these
    capabilities and the pools.
    """

    name: str = _key(TEXT, "User, without `client.`; its key is the secret `ceph_<name>`.", required=True)
    writes: Sequence[str] = _key(TEXTS, "Pools of block devices that it keeps data in.", default=())
    reads: Sequence[str] = _key(TEXTS, "Pools of block devices that it only reads.", default=())
    group: str | None = _key(
        TEXT, "System's group that reads the keyring. Without one there is none, since somebody else holds the key."
    )
    units: Any = _key(TEXTS, "Units that read key and configuration.")
    libvirt: str | None = _key(TEXT, "UUID under which libvirt has the key, with which QEMU opens disks.")

    @property
    def entity(self) -> str:
        """Whole name of the user."""
        return f"client.{self.name}"

    @property
    def secret(self) -> str:
        """Name of the secret with its key."""
        return f"ceph_{self.name.replace('-', '_')}"


@dataclass(frozen=True)
class Component:
    """One component of a role: what a host that carries it is to have."""

    packages: Sequence[str] = _key(TEXTS, "Distribution packages.", default=())
    account: Account | None = _key(Shape("a mapping, or a text", _account, Account), "The service's account.")
    needs: Sequence[str] = _key(
        TEXTS, "Components that must answer before its units start, where the host carries them.", default=()
    )
    uses: Sequence[str] = _key(
        TEXTS,
        "Components that it is of no use without, wherever they are, beside those that it needs: they are not taken "
        "off a host while it is listed.",
        default=(),
    )
    stays: str | None = _key(TEXT, "Why it is never taken off a host, in a sentence; most components can be.")
    databases: Sequence[str] = _key(TEXTS, "Databases that the account owns.", default=())
    messaging: bool = _key(
        FLAG, "Whether the account has a virtual host of the message queue, named after it.", default=False
    )
    queue_users: Sequence[QueueUser] = _key(
        _some(QueueUser), "Further users in that virtual host, with fewer rights.", default=()
    )
    api: Sequence[Api] = _key(Shape("a mapping, or a list of such", _apis, Api), "HTTP servers.", default=())
    facts: Facts | None = _key(_one(Facts), "What is found out on the host first.")
    switch: Switch | None = _key(_one(Switch), "Open vSwitch.")
    ceph: Sequence[CephClient] = _key(_some(CephClient), "Logins with the Ceph cluster.", default=())
    files: Mapping[str, dict[str, Any]] = _key(
        Shape("paths and files", _files, File), "Files by their paths.", factory=dict
    )
    certificates: Sequence[Certificate] = _key(
        _some(Certificate),
        "Certificates that the component shows to its clients, or to servers whose client it is.",
        default=(),
    )
    identity: Mapping[str, Any] = _key(
        MAPPING, "What else the identity service knows, as `cloud_state` takes it.", factory=dict
    )
    bootstrap: Sequence[Step] = _key(_some(Step), "Steps that run once.", default=())
    several: bool = _key(
        FLAG,
        "Whether it can run on several hosts, beside each other or as a cluster; preflight refuses to deploy it on "
        "several otherwise.",
        default=False,
    )
    rolling: bool = _key(
        FLAG,
        "Whether its units are restarted host by host where several hosts carry it, each healthy before the next.",
        default=False,
    )
    units: Sequence[Unit] = _key(_some(Unit), "systemd units, behind those of the HTTP servers.", default=())
    health: Sequence[Health] = _key(_some(Health), "Health checks, behind those of the HTTP servers.", default=())
    agents: Sequence[Agent] = _key(_some(Agent), "What verification expects to be alive.", default=())
    filter: Sequence[Any] = _key(
        VALUES,
        "Ports, and who may reach them, behind those of the HTTP servers: see [the packet "
        "filter](../packet-filter.md).",
        default=(),
    )


def component(term: str, data: Any) -> Component:
    """Read one component, as the role has it or worked out for a host.

    :raises SpecificationError: the text names the component and the key.
    """
    return read(Component, f"specification {term}", data)


@dataclass(frozen=True)
class Book:
    """The specifications of all roles, raw, and the services that node roles stand for."""

    roles: Mapping[str, Role]
    more: Mapping[str, Any] = field(default_factory=dict)
    """Variables with the specifications of services that are no roles."""

    def of_role(self, role: str) -> Mapping[str, Any]:
        """The components of a role; empty where it has none."""
        own = self.roles[role].internals if role in self.roles else self.more
        return own.get(f"__{role}_specifications") or {}

    def raw(self, term: str) -> Mapping[str, Any]:
        """The specification of one component, with its templates.

        :raises SpecificationError: there is no such role or component.
        """
        role, name = split_term(term)
        known = self.of_role(role)
        if not known:
            roles = [one for one in self.roles if self.of_role(one)]
            raise SpecificationError(
                f"service {term!r}: there is no role {role!r} with specifications{words.hint(role, roles, '. ')}"
            )
        if name not in known:
            raise SpecificationError(
                f"service {term!r}: role {role} has the components {', '.join(known)}{words.hint(name, known, '. ')}"
            )
        found: Mapping[str, Any] = known[name]
        return found

    def names(self) -> set[str]:
        """The whole names of all components of the roles."""
        return {f"{role}.{name}" for role in self.roles for name in self.of_role(role)}

    def services_of(self, names: Iterable[Any], view: View) -> list[str]:
        """The services that a host carries, each once.

        :param names: node roles, which stand for the services in their ``<role>_services``, or services.
        :param view: works the host's variables out.
        :raises SpecificationError: a list of services is none, or says both that one is to be there and that it is not.
        """
        return self._listed(names, view)[0]

    def absent_of(self, names: Iterable[Any], view: View) -> list[str]:
        """The services that are to be taken off a host, each once; with the parameters and errors of `services_of`."""
        return self._listed(names, view)[1]

    def _listed(self, names: Iterable[Any], view: View) -> tuple[list[str], list[str]]:
        present: dict[str, str] = {}
        absent: dict[str, str] = {}
        for name in names:
            where, entries = "services", [name]
            if isinstance(name, str) and name in self.roles and f"{name}_services" in self.roles[name].defaults:
                where = f"{name}_services"
                entries = view("{{ " + where + " }}")
                if not isinstance(entries, list):
                    raise SpecificationError(f"{where} must be a list of services, not {entries!r}")
            try:
                for known, state in ((present, PRESENT), (absent, ABSENT)):
                    for one in listed(entries, state):
                        known.setdefault(canonical(one), one)
            except ValueError as error:
                raise SpecificationError(f"{where}: {error}") from None
        if both := sorted(present.keys() & absent.keys()):
            raise SpecificationError(f"service {present[both[0]]!r} is listed twice, once with the state {ABSENT}")
        return list(present.values()), list(absent.values())

    def read(self, term: str) -> Component:
        """One component as the role has it, with its templates.

        :raises SpecificationError: it is unknown or malformed.
        """
        return component(term, self.raw(term))

    def services(self, names: Iterable[str], view: View, *keys: str) -> Iterator[tuple[str, Component]]:
        """Name and component of every service that a host carries, in order. :param keys: what is asked for, as in
        `component`."""
        for term in self.services_of(names, view):
            yield term, self.component(term, view, *keys)

    def component(self, term: str, view: View, *keys: str) -> Component:
        """One component worked out for a host.

        :param keys: what is asked for: nothing else is worked out, and all is if none is named.
        :raises SpecificationError: it is malformed.
        """
        raw = self.raw(term)
        component(term, raw)  # a wrong key is told, and not what the template in it lacks
        return component(term, view({key: value for key, value in raw.items() if key in keys or not keys}))
