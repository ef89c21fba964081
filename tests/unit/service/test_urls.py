"""URLs and options with secrets of any characters, read back by what reads them in a cloud."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.stackwright.cloud.plugins.filter import database_url, endpoint_url, option_value, transport_url
from ansible_collections.stackwright.cloud.plugins.module_utils.service import urls

SECRETS = [
    "Team/Night@Shift#2024:ok?",
    "Rain$bow%under 17 clouds",
    "p@ss/w@host/db",
    "100%25 [::1] ,;&=+",
    "'quoted'",
    '"quoted too"',
    "back\\slash`tick~-_.",
    "Überläufer",
]
FILTERS = {
    n: f
    for one in (database_url, endpoint_url, option_value, transport_url)
    for n, f in one.FilterModule().filters().items()
}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_database_url_is_read_back_as_it_was_meant(secret: str) -> None:
    """By the rule of SQLAlchemy's make_url: user up to a colon or slash, password up to the last @, both decoded."""
    url = FILTERS["database_url"](secret, "nova", ["192.0.2.1"], "nova_api")
    split = urlsplit(url)
    assert (split.scheme, split.hostname, split.path, split.query) == (
        "mysql+pymysql",
        "192.0.2.1",
        "/nova_api",
        "charset=utf8mb4",
    )
    assert split.username == "nova" and unquote(split.password or "") == secret
    assert not set(url) & set("$'\"\\ ")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_transport_url_is_read_back_as_it_was_meant(secret: str) -> None:
    """By the rule of oslo.messaging: hosts are divided by commas, each has a login, and all of it is decoded.

    Newer Pythons want the last host of those to be in brackets, if any is.
    """
    url = FILTERS["transport_url"](secret, "nova", ["192.0.2.1", "queue:5671", "fd00::1"], "cell/1")
    split = urlsplit(url)
    assert split.scheme == "rabbit" and unquote(split.path) == "/cell/1"
    places = [place.rpartition("@") for place in split.netloc.split(",")]
    assert [host for _, _, host in places] == ["192.0.2.1:5672", "queue:5671", "[fd00::1]:5672"]
    assert {tuple(map(unquote, login.split(":"))) for login, _, _ in places} == {("nova", secret)}


def test_urls_of_letters_and_digits_stay_what_they_were() -> None:
    assert urls.transport_url("Abc1", "nova", "192.0.2.1") == "rabbit://nova:Abc1@192.0.2.1:5672//"
    assert urls.database_url("Abc1", "nova", "db", "nova") == "mysql+pymysql://nova:Abc1@db/nova?charset=utf8mb4"


def test_urls_with_authorities_speak_tls() -> None:
    transport = urls.transport_url("Abc1", "nova", ["192.0.2.1", "192.0.2.2"], "/nova", ca="/etc/ssl/ca.pem")
    assert transport.endswith("@192.0.2.2:5672//nova?ssl=1&ssl_ca_file=/etc/ssl/ca.pem")
    assert urls.database_url("A", "n", "db", "n", ca="/etc/ssl/ca.pem").endswith(
        "/n?charset=utf8mb4&ssl_ca=/etc/ssl/ca.pem"
    )


def test_an_endpoint_has_one_host_and_a_scheme() -> None:
    assert FILTERS["endpoint_url"]("192.0.2.1", 8774, "/v2.1") == "https://192.0.2.1:8774/v2.1"
    assert FILTERS["endpoint_url"](["fd00::1"], 5000) == "https://[fd00::1]:5000"
    for hosts, path, told in (
        ("a,b", "", "one host, not 2"),
        ("a", "v3", "the path 'v3' must begin with /"),
        ("a b", "", "is no host name"),
    ):
        with pytest.raises(AnsibleFilterError, match=f"endpoint_url: .*{told}"):
            FILTERS["endpoint_url"](hosts, 1, path)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("fd00::1", "[fd00::1]:5"),
        ("[fd00::1]", "[fd00::1]:5"),
        ("[fd00::1]:7", "[fd00::1]:7"),
        (" a ", "a:5"),
        ("a:7", "a:7"),
    ],
)
def test_hosts_as_urls_have_them(host: str, shown: str) -> None:
    assert urls.host_and_port(host, 5) == shown


def test_what_cannot_be_spelled_is_refused_without_the_password() -> None:
    with pytest.raises(AnsibleFilterError, match="database_url: the driver mysql\\+pymysql takes one host, not 2"):
        FILTERS["database_url"]("hunter22", "nova", "a,b", "nova")
    for hosts in ("", [], "a b", "x@y"):
        with pytest.raises(AnsibleFilterError) as refused:
            FILTERS["transport_url"]("hunter22", "nova", hosts)
        assert "hunter22" not in str(refused.value)
    with pytest.raises(AnsibleFilterError, match="the password must be a text"):
        FILTERS["database_url"](None, "nova", "a")


def read(text: str) -> str:
    """A value as oslo.config's parser and its substitution read it: one pair of enclosing quotes goes, ``$$`` is a
    dollar."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    assert "$" not in text.replace("$$", ""), "a reference to another option"
    return text.replace("$$", "$")


@pytest.mark.parametrize("secret", [*SECRETS, "$$", "$name", "a$$b", "' ", "#;x"])
def test_an_option_is_read_back_as_it_was_meant(secret: str) -> None:
    assert read(FILTERS["option_value"](secret)) == secret
