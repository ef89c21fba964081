"""What follows from a component's facts, without Ansible."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.pki import authority, leaf
from ansible_collections.stackwright.cloud.plugins.module_utils.service import derive
from ansible_collections.stackwright.cloud.plugins.module_utils.service.configuration import HEADER
from ansible_collections.stackwright.cloud.plugins.module_utils.service.specification import (
    Book,
    SpecificationError,
    component,
)

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
KNOWN = authority.new(NOW)
VARIABLES = {
    "inventory_hostname": "controller1",
    "loadbalancer_members": {},
    "pki_days": 365,
    "pki_renewal_days": 60,
    "stackwright_ca_file": "/etc/ca.pem",
    "stackwright_management_address": "192.0.2.11",
    "stackwright_listen_addresses": ["192.0.2.11", "fd00::11"],
    "stackwright_internal_address": "192.0.2.10",
    "stackwright_public_address": "cloud.example",
    "stackwright_region": "North",
    "stackwright_secrets": {
        "orbit_identity": "of identity",
        "orbit_database": "of databases",
        "orbit_messaging": "of queues",
        "pki_authority": authority.text_of(KNOWN),
    },
    "stackwright_service_user_options": {"ignore_password_expiry": True},
}
WSGI = {"application": "/usr/bin/orbit-wsgi", "workers": 3, "options": {"threads": 9, "env": "A=b"}}
API = {
    "name": "orbit",
    "type": "rating",
    "description": "Rating",
    "port": 8888,
    "path": "/v1",
    "health": "/up",
    "unit": "orbit-api",
}
FACTS = {"account": "orbit", "databases": ["orbit", "orbit_cell"], "messaging": True, "api": {**API, "wsgi": WSGI}}


def derived(data: dict[str, Any], **variables: Any) -> derive.Derived:
    return derive.derived(
        "orbit.api", component("orbit.api", data), derive.Site({**VARIABLES, **variables}.__getitem__, lambda: NOW)
    )


def test_an_account_logs_in_everywhere_with_its_own_secrets() -> None:
    found = derived(FACTS)
    assert found.databases == [
        {"name": name, "user": "orbit", "password": "of databases"} for name in ("orbit", "orbit_cell")
    ]
    assert found.messaging == [{"name": "orbit", "password": "of queues"}]
    (user,) = found.identity["users"]
    assert user == {
        "name": "orbit",
        "password": "of identity",
        "update_password": "always",
        "options": {"ignore_password_expiry": True},
    }
    assert found.identity["role_assignments"] == [
        {"role": role, "user": "orbit", "project": "service"} for role in ("admin", "service")
    ]


def test_hosts_that_may_do_less_have_a_user_of_their_own_in_the_accounts_virtual_host() -> None:
    rights = {"configure": "^node$", "write": "^orbit$", "read": "^node$"}
    keys = {"write": "^main$", "read": "^node"}
    users = [{"name": "orbit_node", **rights, "topics": {"orbit": keys}}]
    secrets = {**VARIABLES["stackwright_secrets"], "orbit_node_messaging": "of nodes"}
    found = derived({**FACTS, "queue_users": users}, stackwright_secrets=secrets)
    assert found.messaging == [
        {"name": "orbit", "password": "of queues"},
        {"name": "orbit_node", "password": "of nodes", "vhost": "/orbit", **rights, "topics": {"orbit": keys}},
    ]
    node = component("orbit.node", {"account": {"name": "orbit", "roles": [], "queue_user": "orbit_node"}})
    site = derive.Site({**VARIABLES, **SHARED, "stackwright_secrets": secrets}.__getitem__)
    login = "orbit_node:of%20nodes"
    url = f"rabbit://{login}@192.0.2.10:5671,{login}@192.0.2.11:5671//orbit"
    assert derive.logins(node, site)["transport_url"] == url


def test_a_secret_may_lie_elsewhere_and_one_that_is_nowhere_is_told() -> None:
    account = {"name": "orbit", "roles": [], "secrets": {"database": "another"}}
    assert derived({"account": account, "databases": ["orbit"]}).databases[0]["password"] == "another"
    with pytest.raises(SpecificationError, match=r"specification orbit\.api: there is no secret 'tide_messaging'"):
        derived({"account": {"name": "tide", "roles": []}, "messaging": True})
    with pytest.raises(SpecificationError, match="account is missing"):
        derived({"databases": ["orbit"]})


SHARED = {
    "stackwright_service_credentials": {"auth_type": "password", "region_name": "North"},
    "stackwright_keystone_authtoken": {"auth_type": "password", "service_token_roles": "service"},
    "stackwright_database_options": {"max_pool_size": 5},
    "stackwright_database_address": "192.0.2.10",
    "stackwright_messaging_address": ["192.0.2.10", "192.0.2.11"],
}


def test_files_know_the_accounts_logins() -> None:
    site = derive.Site({**VARIABLES, **SHARED}.__getitem__)
    login = {"username": "orbit", "password": "of identity"}
    assert derive.logins(component("orbit.api", FACTS), site) == {
        "credentials": {"auth_type": "password", "region_name": "North", **login},
        "authtoken": {"auth_type": "password", "service_token_roles": "service", **login},
        "database": {
            name: {
                "max_pool_size": 5,
                "connection": f"mysql+pymysql://orbit:of%20databases@192.0.2.10/{name}?charset=utf8mb4"
                "&ssl_ca=/etc/ca.pem",
            }
            for name in ("orbit", "orbit_cell")
        },
        "transport_url": "rabbit://orbit:of%20queues@192.0.2.10:5671,orbit:of%20queues@192.0.2.11:5671//orbit",
    }


def test_logins_are_those_that_the_account_has_secrets_for() -> None:
    site = derive.Site({**VARIABLES, **SHARED}.__getitem__)
    assert derive.logins(component("orbit.log", {}), site) == {}
    assert derive.logins(component("orbit.log", {"account": "tide", "databases": ["tide"]}), site) == {}
    own = {"account": {"name": "tide", "secrets": {"database": "another"}}, "databases": ["tide"]}
    assert list(derive.logins(component("orbit.log", own), site)) == ["database"]


def test_a_secret_that_is_nowhere_is_told_before_the_files_that_would_hold_it() -> None:
    raw = {"account": {"name": "tide", "roles": []}, "databases": ["tide"], "files": {"/etc/x": {"content": "{{ y }}"}}}
    book = Book({}, {"__orbit_specifications": {"api": raw}})
    asked: list[Any] = []

    def view(given: Any, more: Any = None) -> Any:
        asked.append(list(given))
        return given

    with pytest.raises(SpecificationError, match=r"specification orbit\.api: there is no secret 'tide_database'"):
        derive.planned(book, "orbit.api", view, derive.Site({**VARIABLES, **SHARED}.__getitem__))
    assert asked == [["account", "databases"]]


def test_an_api_is_registered_under_both_addresses() -> None:
    identity = derived(FACTS).identity
    assert identity["services"] == [{"name": "orbit", "type": "rating", "description": "Rating"}]
    assert [(one["interface"], one["url"], one["region"]) for one in identity["endpoints"]] == [
        ("internal", "https://192.0.2.10:8888/v1", "North"),
        ("public", "https://cloud.example:8888/v1", "North"),
    ]
    extra = derived({**FACTS, "identity": {"users": [{"name": "more"}], "domains": [{"name": "orbit"}]}}).identity
    assert [one["name"] for one in extra["users"]] == ["orbit", "more"] and extra["domains"] == [{"name": "orbit"}]
    untyped = {key: value for key, value in API.items() if key != "type"}
    assert derived({"account": {"name": "orbit", "roles": []}, "api": untyped}).identity == {}


def test_the_identity_service_registers_itself_by_its_bootstrap() -> None:
    found = derived({"api": {**API, "type": "identity"}})
    assert found.identity == {} and found.registers
    assert not derived(FACTS).registers


SHOWN = "/etc/orbit/stackwright/certificate.pem,/etc/orbit/stackwright/key.pem,ECDHE+AESGCM:ECDHE+CHACHA20"


def test_the_apis_of_an_account_show_one_certificate_which_clients_are_told_to_check() -> None:
    files = derived({**FACTS, "api": [{**API, "wsgi": WSGI}, {**API, "name": "two", "unit": "two"}]}).files
    certificate, key = (files[f"/etc/orbit/stackwright/{name}.pem"] for name in ("certificate", "key"))
    names = ["127.0.0.1", "192.0.2.10", "192.0.2.11", "cloud.example", "controller1", "localhost"]
    issued = leaf.issue(KNOWN, "controller1", "/etc/orbit/stackwright", names, leaf.Terms(365, 60), NOW)
    assert (certificate["content"], key["content"]) == (issued.certificate, issued.key)
    # what is its own server looks at the files itself
    assert certificate["reloads"] == key["reloads"] == ["orbit-api"]
    assert (key["group"], key["mode"], key.get("owner")) == ("orbit", "0440", "root")


def test_a_component_may_say_itself_what_its_apis_show() -> None:
    own = {"path": "/etc/orbit/stackwright", "reloads": ["orbit-daemon"]}
    part = component("orbit.api", {**FACTS, "certificates": [own]})
    (found,) = derive.certificates(part, derive.Site(VARIABLES.__getitem__))
    assert found.reloads == ("orbit-daemon",)


def test_the_places_of_apis_are_all_addresses_on_which_they_listen() -> None:
    part = component("orbit.api", {**FACTS, "api": [{**API, "wsgi": WSGI}, {**API, "port": 9}]})
    found = derive.places("orbit.api", part, derive.Site(VARIABLES.__getitem__))
    assert [(one["host"], one["port"], one["name"], one["protocol"]) for one in found] == [
        ("192.0.2.11", 8888, "192.0.2.10", "https"),
        ("fd00::11", 8888, "192.0.2.10", "https"),
        ("192.0.2.11", 9, "192.0.2.10", "https"),
    ]


def test_an_application_gets_its_servers_files_and_its_unit() -> None:
    found = derived(FACTS)
    ini = found.files["/etc/orbit/orbit-api-uwsgi.ini"]
    options = ini["options"]["uwsgi"]
    assert list(options)[-1] == "env" and (options["threads"], options["processes"], options["uid"]) == (9, 3, "orbit")
    assert (options["wsgi-file"], options["logto"], options["name"]) == (
        "/usr/bin/orbit-wsgi",
        "/var/log/orbit/orbit-api.log",
        "orbit-api",
    )
    assert found.files["/etc/default/orbit-api"] == {
        "public": True,
        "content": f"{HEADER}DAEMON=/usr/bin/uwsgi_python3\n"
        f'DAEMON_ARGS="--https-socket 192.0.2.11:8888,{SHOWN} --https-socket [fd00::11]:8888,{SHOWN} --ini '
        f'/etc/orbit/orbit-api-uwsgi.ini"\nNO_OPENSTACK_LOGFILE_DAEMON_ARG=yes\n',
        "units": ["orbit-api"],
    }
    # the same processes go on with other files: who comes meanwhile waits
    assert "exit-on-reload" not in options
    reloading = found.files["/etc/systemd/system/orbit-api.service.d/stackwright-reload.conf"]
    assert "ExecReload=/bin/kill -HUP $MAINPID" in reloading["content"] and reloading["units"] == ["orbit-api"]
    assert found.units == [{"name": "orbit-api", "log": "/var/log/orbit/orbit-api.log"}]
    other = derived({**FACTS, "api": {**API, "wsgi": {**WSGI, "settings": "orbit-server"}}})
    assert "/etc/default/orbit-server" in other.files
    assert derive.paths("orbit.api", component("orbit.api", FACTS)) == [
        "/etc/orbit/orbit-api-uwsgi.ini",
        "/etc/default/orbit-api",
        "/etc/systemd/system/orbit-api.service.d/stackwright-reload.conf",
        "/etc/orbit/stackwright/certificate.pem",
        "/etc/orbit/stackwright/key.pem",
    ]


def test_who_may_reach_an_api_decides_where_it_listens() -> None:
    def entries(**more: Any) -> list[Any]:
        api = {key: value for key, value in {**API, **more}.items() if value is not None}
        return derive.filter_entries(component("orbit.api", {"api": api}), derive.Site(VARIABLES.__getitem__))

    assert entries(wsgi=WSGI) == [
        {
            "name": "Orbit",
            "ports": [8888],
            "addresses": ["192.0.2.11", "fd00::11"],
            "unit": "orbit-api",
            "from": ["users"],
        }
    ]
    assert entries()[0]["addresses"] == ["0.0.0.0"]
    assert (entries(**{"from": ["nova.compute"]})[0]["addresses"], entries(title="Rating of orbits")[0]["name"]) == (
        ["192.0.2.11"],
        "Rating of orbits",
    )


def test_behind_a_load_balancer_only_members_reach_an_api_where_it_listens() -> None:
    balanced = derive.Site({**VARIABLES, "loadbalancer_members": {"controller1": "192.0.2.11"}}.__getitem__)
    for given, reached in (({}, ["members"]), ({"from": ["nova.compute"]}, ["nova.compute"])):
        (entry,) = derive.filter_entries(component("orbit.api", {"api": {**API, **given}}), balanced)
        assert entry["from"] == reached


def test_a_host_asks_its_own_api_for_its_health() -> None:
    found = derived({**FACTS, "health": [{"name": "agent", "unit": "orbit-agent"}]})
    assert found.health == [
        {
            "name": "Orbit",
            "url": "https://192.0.2.11:8888/up",
            "ca": "/etc/ca.pem",
            "certificate": "/etc/orbit/stackwright/certificate.pem",
            "unit": "orbit-api",
            "timeout": 20,
        },
        {"name": "agent", "unit": "orbit-agent"},
    ]


def test_the_header_is_put_before_the_text_of_files_that_ask_for_it() -> None:
    files = {"/a": {"content": "x\n", "header": True, "units": ["u"]}, "/b": {"content": "x\n"}}
    assert derived({"files": files}).files == {
        "/a": {"content": f"{HEADER}x\n", "units": ["u"]},
        "/b": {"content": "x\n"},
    }


def test_a_host_that_registers_services_has_what_that_takes() -> None:
    def packages(**data: Any) -> list[str]:
        return derived({"packages": ["a"], **data}).packages

    assert packages() == ["a"] and packages(account={"name": "orbit", "roles": []}) == ["a"]
    for data in (
        {"account": "orbit"},
        {"api": API},
        {"identity": {"roles": []}, "api": API},
        {"identity": {"roles": [{"name": "r"}]}},
    ):
        assert packages(**data) == ["a", "python3-openstacksdk"]


def test_a_certificate_is_written_with_its_key_for_those_who_read_it() -> None:
    known = authority.new(NOW)
    own = {"pki_authority": authority.text_of(known)}
    facts = {
        "path": "/etc/orbit/tls",
        "names": ["orbit.example"],
        "owner": "orbit",
        "group": "orbit",
        "units": ["orbit-api"],
        "reloads": ["orbit-db"],
    }
    more = {"inventory_hostname": "controller1", "pki_days": 365, "pki_renewal_days": 60, "stackwright_secrets": own}
    site = derive.Site({**VARIABLES, **more}.__getitem__, lambda: NOW)
    part = component("orbit.api", {"certificates": [facts]})
    found = derive.derived("orbit.api", part, site).files
    readers = {"units": ["orbit-api"], "reloads": ["orbit-db"]}
    certificate, key = found["/etc/orbit/tls/certificate.pem"], found["/etc/orbit/tls/key.pem"]
    assert found["/etc/orbit/tls"] == {"state": "directory", "group": "orbit", "mode": "0750"}
    assert {**certificate, "content": ""} == {"public": True, "content": "", **readers}
    assert {**key, "content": ""} == {"content": "", "owner": "orbit", "group": "orbit", "mode": "0400", **readers}
    names = ["127.0.0.1", "192.0.2.11", "controller1", "localhost", "orbit.example"]
    terms = leaf.Terms(365, 60)
    assert certificate["content"] == leaf.issue(known, "controller1", "/etc/orbit/tls", names, terms, NOW).certificate
    assert derive.keys_in(found) == [key["content"]]
    assert derive.paths("orbit.api", part) == ["/etc/orbit/tls/certificate.pem", "/etc/orbit/tls/key.pem"]
    wrong = {"stackwright_secrets": {"pki_authority": "x"}}
    for broken, said in (({"pki_days": 60}, "cannot be renewed"), (wrong, "is no certificate authority")):
        told = rf"specification orbit\.api: no certificate for /etc/orbit/tls: .*{said}"
        with pytest.raises(SpecificationError, match=told):
            derive.derived("orbit.api", part, derive.Site({**VARIABLES, **more, **broken}.__getitem__, lambda: NOW))
