"""What the roles' specifications come to with their own defaults, and with the variables that an operator may set."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.service import configuration
from ansible_collections.stackwright.cloud.tests.role_variables import component

APIS = {
    "keystone": ("keystone", "/etc/keystone/keystone.conf"),
    "glance": ("glance", "/etc/glance/glance-api.conf"),
    "nova": ("api", "/etc/nova/nova.conf"),
    "neutron": ("server", "/etc/neutron/neutron.conf"),
}


@pytest.mark.parametrize("role", APIS)
def test_forwarded_headers_are_believed_only_where_a_proxy_is_declared(role: str) -> None:
    name, path = APIS[role]
    for declared in (False, True):
        options = component(role, name, stackwright_proxy_headers=declared)["files"][path]["options"]
        assert options["oslo_middleware"]["enable_proxy_headers_parsing"] is declared
    assert component(role, name)["files"][path]["options"]["oslo_middleware"]["enable_proxy_headers_parsing"] is False


@pytest.mark.parametrize("role", ["glance", "nova", "neutron", "placement"])
def test_users_of_services_are_spared_what_locks_people_out(role: str) -> None:
    name = {"nova": "api", "neutron": "server"}.get(role, role)
    (user,) = component(role, name)["identity"]["users"]
    assert user["options"]["ignore_lockout_failure_attempts"] is True
    assert user["options"]["ignore_password_expiry"] is True


def test_keystone_locks_out_and_wants_long_passwords_but_never_the_operator() -> None:
    keystone = component("keystone", "keystone")
    rules = keystone["files"]["/etc/keystone/keystone.conf"]["options"]["security_compliance"]
    assert (rules["lockout_failure_attempts"], rules["lockout_duration"], rules["unique_last_password_count"]) == (
        6,
        1800,
        5,
    )
    assert rules["password_regex"] == "^.{12,}$"
    assert keystone["identity"]["users"] == [{"name": "admin", "options": component_options()}]
    off = component("keystone", "keystone", keystone_lockout_failure_attempts=0, keystone_password_regex="")
    rules = off["files"]["/etc/keystone/keystone.conf"]["options"]["security_compliance"]
    assert rules["lockout_failure_attempts"] is None and rules["password_regex"] is None


def component_options() -> dict[str, bool]:
    """Options of users of services."""
    (user,) = component("glance", "glance")["identity"]["users"]
    options: dict[str, bool] = user["options"]
    return options


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        # an hour and two days of grace: 49 hours hold two rotations and a part, the primary and the staged key come on
        # top
        ({}, 5),
        ({"keystone_fernet_rotation": "hourly"}, 51),
        ({"keystone_fernet_rotation": "weekly"}, 3),
        ({"keystone_token_expiration": 86400}, 5),
        ({"keystone_token_expiration": 86401}, 6),
        ({"keystone_allow_expired_window": 0}, 3),
        ({"keystone_fernet_rotation": ""}, 5),
        ({"keystone_fernet_max_active_keys": 3}, 5),
        ({"keystone_fernet_max_active_keys": 9}, 9),
    ],
)
def test_as_many_keys_are_kept_as_a_token_may_outlive(given: dict[str, Any], keys: int) -> None:
    options = component("keystone", "keystone", **given)["files"]["/etc/keystone/keystone.conf"]["options"]
    assert options["fernet_tokens"]["max_active_keys"] == keys


def test_keys_are_rotated_at_the_same_moment_everywhere_unless_the_site_does_it() -> None:
    keystone = component("keystone", "keystone")
    unit = keystone["files"]["/etc/systemd/system/keystone-fernet-rotate.service"]["content"]
    assert " tokens --period=86400 --keep=5 /etc/keystone/fernet-keys\n" in unit
    assert "NoNewPrivileges=true" in unit and "the-keystone_fernet" not in unit
    timer = keystone["files"]["/etc/systemd/system/keystone-fernet-rotate.timer"]["content"]
    assert "OnCalendar=*-*-* 00:00:00 UTC\n" in timer
    timers = {one["name"]: one for one in keystone["units"]}
    assert (timers["keystone-fernet-rotate.timer"]["state"], timers["keystone-fernet-rotate.timer"]["enabled"]) == (
        "started",
        True,
    )
    timers = {one["name"]: one for one in component("keystone", "keystone", keystone_fernet_rotation="")["units"]}
    assert (timers["keystone-fernet-rotate.timer"]["state"], timers["keystone-fernet-rotate.timer"]["enabled"]) == (
        "stopped",
        False,
    )


def test_glance_fetches_from_named_servers_alone() -> None:
    options = component("glance", "glance")["files"]["/etc/glance/glance-api.conf"]["options"]
    assert options["DEFAULT"]["enabled_import_methods"] == "[glance-direct,copy-image]"
    assert options["import_filtering_opts"]["allowed_hosts"] is None
    named = component("glance", "glance", glance_web_download_hosts=["cloud.debian.org"])["files"][
        "/etc/glance/glance-api.conf"
    ]["options"]
    assert named["DEFAULT"]["enabled_import_methods"] == "[glance-direct,copy-image,web-download]"
    assert named["import_filtering_opts"]["allowed_hosts"] == "[cloud.debian.org]"


@pytest.mark.parametrize(
    ("role", "name", "path", "user"),
    [
        ("nova", "api", "nova/nova.conf", "nova"),
        ("nova", "compute", "nova/nova.conf", "nova_compute"),
        ("neutron", "server", "neutron/neutron.conf", "neutron"),
    ],
)
def test_each_service_speaks_in_a_virtual_host_of_its_own(role: str, name: str, path: str, user: str) -> None:
    probe = {"services_facts": {"kvm": False, "security_module": "", "boots": True}}
    url = component(role, name, **probe)["files"][f"/etc/{path}"]["options"]["DEFAULT"]["transport_url"]
    assert url == f"rabbit://{user}:the-{user}_messaging@192.0.2.11:5671//{role}"


@pytest.mark.parametrize(
    ("role", "name", "path", "section", "database"),
    [
        ("glance", "glance", "glance/glance-api.conf", "database", "glance"),
        ("placement", "placement", "placement/placement.conf", "placement_database", "placement"),
        ("nova", "api", "nova/nova.conf", "api_database", "nova_api"),
        ("nova", "api", "nova/nova.conf", "database", "nova"),
        ("neutron", "server", "neutron/neutron.conf", "database", "neutron"),
    ],
)
def test_each_api_logs_in_as_its_account(role: str, name: str, path: str, section: str, database: str) -> None:
    text = configuration.render_ini(component(role, name)["files"][f"/etc/{path}"]["options"])
    written = {one.split("]")[0]: f"{one}".rstrip("\n") for one in text.split("\n[")}
    assert written[section] == (
        f"{section}]\nmax_pool_size = 5\nmax_overflow = 20\nconnection_recycle_time = 600\n"
        f"connection = mysql+pymysql://{role}:the-{role}_database@192.0.2.11/{database}?charset=utf8mb4"
        "&ssl_ca=/etc/ssl/stackwright/ca.pem"
    )
    assert written["keystone_authtoken"] == (
        "keystone_authtoken]\nauth_type = password\nauth_url = https://192.0.2.11:5000\n"
        "cafile = /etc/ssl/stackwright/ca.pem\nproject_name = service\n"
        "project_domain_name = Default\nuser_domain_name = Default\nregion_name = RegionOne\n"
        "www_authenticate_uri = https://192.0.2.11:5000\nmemcached_servers = 127.0.0.1:11211\n"
        "memcache_security_strategy = ENCRYPT\nmemcache_secret_key = the-memcached_encryption\n"
        "service_token_roles = service\nservice_token_roles_required = true\n"
        f"username = {role}\npassword = the-{role}_identity"
    )


def test_nova_asks_others_as_they_said() -> None:
    probe = {"services_facts": {"kvm": False, "security_module": "", "boots": True}}
    for name in ("api", "compute"):
        options = component("nova", name, **probe)["files"]["/etc/nova/nova.conf"]["options"]
        logins = {key: options[key]["username"] for key in ("neutron", "placement", "service_user")}
        assert logins == {"neutron": "neutron", "placement": "nova", "service_user": "nova"}
        assert options["neutron"]["password"] == "the-neutron_identity"
    assert component("nova", "compute", **probe)["identity"] == {}


def test_cells_find_the_virtual_host_in_the_services_own_configuration() -> None:
    steps = {one["name"]: one for one in component("nova", "api")["bootstrap"]}
    template = "{scheme}://{username}:{password}@{hostname}:{port}//{path}"
    assert steps["nova cell1"]["command"][-1] == template
    assert template in steps["nova cell1 transport"]["command"][-1]
    assert template in steps["nova cell1 transport"]["done_query"]


def test_dashboard_holds_browsers_back() -> None:
    files = component("horizon", "horizon")["files"]
    site = files["/etc/apache2/sites-available/stackwright-horizon.conf"]["content"]
    assert "frame-ancestors 'none'" in site and "frame-src 'self' https://192.0.2.11:6080;" in site
    for header in (
        "X-Content-Type-Options",
        "Referrer-Policy",
        "Content-Security-Policy",
        "Strict-Transport-Security",
    ):
        assert f"Header always set {header} " in site
    settings = files["/etc/openstack-dashboard/local_settings.d/_9000_stackwright.py"]["content"]
    given: dict[str, Any] = {"HORIZON_CONFIG": {}}
    exec(settings, given)
    assert given["ENFORCE_PASSWORD_CHECK"] and given["SESSION_COOKIE_HTTPONLY"]
    assert given["SESSION_COOKIE_SECURE"] and given["CSRF_COOKIE_SECURE"]
    assert given["HORIZON_CONFIG"]["password_autocomplete"] == "off"
    assert given["HORIZON_CONFIG"]["disable_password_reveal"] is True
    assert given["HORIZON_CONFIG"]["password_validator"]["regex"] == "^.{12,}$"


def test_dashboard_sends_browsers_without_tls_to_its_own_port() -> None:
    files = component("horizon", "horizon")["files"]
    assert "Listen 192.0.2.11:443\nListen 192.0.2.11:80\n" in files["/etc/apache2/ports.conf"]["content"]
    site = files["/etc/apache2/sites-available/stackwright-horizon.conf"]["content"]
    assert 'RedirectMatch permanent "^/(.*)$" "https://192.0.2.11/$1"' in site
    other = component("horizon", "horizon", horizon_port=8443)["files"]
    assert "Listen 192.0.2.11:8443\n" in other["/etc/apache2/ports.conf"]["content"]
    assert ":80" not in other["/etc/apache2/ports.conf"]["content"].replace(":8443", "")


def test_whoever_asks_an_api_checks_who_answers() -> None:
    """Every section that names the identity service, and what asks others by the catalogue."""
    probe = {"services_facts": {"kvm": False, "security_module": "", "boots": True}}
    for role, name in (
        ("nova", "api"),
        ("nova", "compute"),
        ("neutron", "server"),
        ("cinder", "cinder"),
        ("manila", "manila"),
        ("aodh", "aodh"),
        ("designate", "designate"),
        ("barbican", "barbican"),
    ):
        for path, entry in component(role, name, **probe)["files"].items():
            for section, options in (entry.get("options") or {}).items():
                if str(options.get("auth_url", "")):
                    assert options["auth_url"].startswith("https://"), (path, section)
                    assert options["cafile"] == "/etc/ssl/stackwright/ca.pem", (path, section)
