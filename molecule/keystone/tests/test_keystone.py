"""The identity service gives tokens to those who have a password, and to nobody else."""

from __future__ import annotations

import json

import pytest

REQUEST = {
    "auth": {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": ""}},
        },
        "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
    }
}


def ask(host, password):
    """Ask for a token with the password on standard input; return status and body."""
    request = json.loads(json.dumps(REQUEST))
    request["auth"]["identity"]["password"]["user"]["password"] = password
    address = host.ansible.get_variables()["lab_management_address"]
    script = (
        "import json, sys, urllib.request as u, urllib.error as e\n"
        f"r = u.Request('https://{address}:5000/v3/auth/tokens', sys.argv[1].encode(), {{'Content-Type': "
        f"'application/json'}})\n"
        "try:\n    a = u.urlopen(r); print(a.status, len(a.headers['X-Subject-Token']), a.read().decode())\n"
        "except e.HTTPError as x:\n    print(x.code, 0, x.read().decode())\n"
    )
    status, length, body = host.check_output("python3 -c %s %s", script, json.dumps(request)).split(" ", 2)
    return int(status), int(length), json.loads(body)


def test_nobody_is_served_without_tls(host):
    """A client that sends a request as it would stand in an answer's log, and no more."""
    address = host.ansible.get_variables()["lab_management_address"]
    script = (
        "import http.client, sys\n"
        "c = http.client.HTTPConnection(sys.argv[1], 5000, timeout=30)\n"
        "try:\n    c.request('GET', '/v3'); print('served', c.getresponse().status)\n"
        "except (http.client.HTTPException, ConnectionError) as e:\n    print('refused', type(e).__name__)\n"
    )
    assert host.check_output("python3 -c %s %s", script, address).startswith("refused")


def test_other_certificates_were_taken_while_clients_asked_and_none_was_refused(host):
    with host.sudo():
        if not host.file("/root/api-clients.json").exists:
            pytest.skip("nothing was replaced here")
        told = json.loads(host.file("/root/api-clients.json").content_string)
    assert told["failed"] == [] and told["served"] > 50
    assert len(told["certificates"]) == 2


def test_the_key_of_the_api_is_the_service_s_alone(host):
    with host.sudo():
        key = host.file("/etc/keystone/stackwright/key.pem")
        assert (key.user, key.group, key.mode) == ("root", "keystone", 0o440)


def secret(host, name):
    return host.ansible("debug", f"msg={{{{ stackwright_secrets.{name} }}}}", become=False)["msg"]


def test_the_administrator_gets_a_fernet_token_and_the_catalogue(host):
    status, length, body = ask(host, secret(host, "keystone_admin"))
    assert status == 201
    assert length > 150
    (identity,) = [service for service in body["token"]["catalog"] if service["type"] == "identity"]
    assert {endpoint["interface"] for endpoint in identity["endpoints"]} == {"admin", "internal", "public"}


def as_administrator(host, script, *arguments):
    """Run Python that finds the API at ``b``, a token's header in ``t`` and urllib.request as ``u``; return the JSON
    that it prints."""
    request = json.loads(json.dumps(REQUEST))
    request["auth"]["identity"]["password"]["user"]["password"] = secret(host, "keystone_admin")
    address = host.ansible.get_variables()["lab_management_address"]
    login = (
        "import json, sys, urllib.request as u\n"
        f"b = 'https://{address}:5000/v3/'\n"
        "a = u.urlopen(u.Request(b + 'auth/tokens', sys.argv[1].encode(), {'Content-Type': 'application/json'}))\n"
        "t = {'X-Auth-Token': a.headers['X-Subject-Token']}\n"
    )
    words = " ".join(["%s"] * len(arguments))
    return json.loads(host.check_output(f"python3 -c %s %s {words}", login + script, json.dumps(request), *arguments))


def names(host, kind):
    """Names of all objects of a kind, as the identity service lists them to the administrator."""
    script = "print(u.urlopen(u.Request(b + sys.argv[2], headers=t)).read().decode())\n"
    return [one["name"] for one in as_administrator(host, script, kind)[kind]]


def test_the_services_have_a_project_and_their_roles(host):
    assert sorted(names(host, "projects")) == ["admin", "service"]
    assert {"admin", "member", "reader", "service"} <= set(names(host, "roles"))


def test_nobody_is_refused_while_the_policy_is_read(host):
    """The first requests after a start come all at once, and each needs a rule."""
    script = (
        "import concurrent.futures, subprocess, time, urllib.error\n"
        "def status(path):\n"
        "    try:\n        return u.urlopen(u.Request(b + path, headers=t)).status\n"
        "    except urllib.error.HTTPError as error:\n        return error.code\n"
        "    except urllib.error.URLError:\n        return 0\n"
        "subprocess.run(['systemctl', 'restart', 'keystone'], check=True)\n"
        "while not status(''):\n    time.sleep(0.05)\n"
        "with concurrent.futures.ThreadPoolExecutor(16) as pool:\n"
        "    print(json.dumps(list(pool.map(status, ['users', 'projects', 'roles', 'services'] * 8))))\n"
    )
    with host.sudo():
        assert set(as_administrator(host, script)) == {200}


def test_a_wrong_password_is_refused(host):
    assert ask(host, "not-the-password")[0] == 401


def test_keys_and_configuration_are_private(host):
    keys = host.file("/etc/keystone/fernet-keys")
    assert (keys.user, keys.group, keys.mode) == ("root", "keystone", 0o750)
    configuration = host.file("/etc/keystone/keystone.conf")
    assert (configuration.user, configuration.group, configuration.mode) == ("root", "keystone", 0o640)


def test_secrets_stand_in_no_log_of_the_host(host):
    password = secret(host, "keystone_database")
    # sudo logs this command: the pattern matches the password without holding it
    found = host.run("grep -rls %s /var/log", f"[{password[0]}]{password[1:]}")
    assert found.stdout == ""
    assert host.run("grep -ls %s /etc/keystone/keystone.conf", f"[{password[0]}]{password[1:]}").rc == 0


@pytest.fixture
def no_timer(host):
    """The timer stays out of the way: at midnight it would rotate between two looks at the keys."""
    with host.sudo():
        host.check_output("systemctl stop keystone-fernet-rotate.timer")
        yield
        host.check_output("systemctl start keystone-fernet-rotate.timer")


# Takes new tokens beside the one it has, with the password in the environment's place, and asks Keystone itself about
# them: what it remembers of tokens is taken from it.
KEYS = """
import glob, os, socket, subprocess, time
from urllib.error import HTTPError
keys = "/etc/keystone/fernet-keys"
program = "/usr/local/lib/stackwright/keystone-keys"
def token():
    a = u.urlopen(u.Request(b + "auth/tokens", sys.argv[1].encode(), {"Content-Type": "application/json"}))
    return a.headers["X-Subject-Token"]
def primary():
    return max((os.path.basename(path) for path in glob.glob(keys + "/*")), key=int)
def text(name):
    with open(f"{keys}/{name}") as file:
        return file.read()
# a slow machine spends many periods of a few seconds
def rotate(period):
    kind = ["tokens", f"--period={period}", "--keep=40"]
    subprocess.run([program, "/etc/keystone-keys/tokens", *kind, keys], check=True)
def asked(held):
    with socket.create_connection(("127.0.0.1", 11211), timeout=10) as cache:
        cache.sendall(b"flush_all\\r\\n")
        assert cache.recv(16) == b"OK\\r\\n"
    said = []
    for one in held:
        try:
            said.append(u.urlopen(u.Request(b + "users", headers={"X-Auth-Token": one})).status)
        except HTTPError as error:
            said.append(error.code)
    return said
"""


def test_tokens_are_good_through_three_rotations_and_afterwards(host, no_timer):
    script = KEYS + (
        "def turn():\n"
        "    before = text(primary())\n"
        "    time.sleep(3 - time.time() % 3 + 0.1)\n"
        "    rotate(3)\n"
        "    return before != text(primary()) != text('0')\n"
        "rotate(3)\n"
        "held, turned = [t['X-Auth-Token']], []\n"
        "for each in range(3):\n    held.append(token())\n    turned.append(turn())\n"
        "during = asked(held)\n"
        "subprocess.run(['systemctl', 'start', 'keystone-fernet-rotate.service'], check=True)\n"
        "print(json.dumps([turned, during, asked([*held, token()]), sorted(os.listdir(keys))]))\n"
    )
    with host.sudo():
        turned, during, after, names = as_administrator(host, script)
        # another key encrypts each time, and yet another one waits
        assert turned == [True] * 3
        assert (during, after) == ([200] * 4, [200] * 5)
        assert all(name.isdigit() for name in names)
        for name in names:
            key = host.file(f"/etc/keystone/fernet-keys/{name}")
            assert (key.user, key.group, key.mode) == ("root", "keystone", 0o640)
    assert host.service("keystone-fernet-rotate.timer").is_enabled


def test_without_the_keys_of_before_their_tokens_end(host, no_timer):
    script = KEYS + (
        "held, before = token(), text(primary())\n"
        "subprocess.run(['rm', *glob.glob(keys + '/*')], check=True)\n"
        "subprocess.run(['systemctl', 'start', 'keystone-fernet-rotate.service'], check=True)\n"
        "same = asked([held])\n"
        "for name in os.listdir(keys):\n    os.rename(f'{keys}/{name}', f'/etc/keystone-keys/{name}')\n"
        "with open('/etc/keystone-keys/other', 'w') as file:\n    file.write('ab' * 32)\n"
        "call = ['/etc/keystone-keys/other', 'tokens', '--period=86400', '--keep=5', keys]\n"
        "subprocess.run([program, *call], check=True)\n"
        "ended = asked([held, token()])\n"
        "subprocess.run(['rm', *glob.glob(keys + '/*'), '/etc/keystone-keys/other'], check=True)\n"
        "for path in glob.glob('/etc/keystone-keys/[0-9]*'):\n"
        "    os.rename(path, f'{keys}/{os.path.basename(path)}')\n"
        "print(json.dumps([same, ended, asked([held]), text(primary()) == before]))\n"
    )
    with host.sudo():
        # the root makes the same keys again, another root makes others
        assert as_administrator(host, script) == [[200], [401, 200], [200], True]


def test_the_account_of_the_service_writes_no_keys_and_reads_no_root(host):
    with host.sudo("keystone"):
        assert host.run("cat /etc/keystone/fernet-keys/0").rc == 0
        assert host.run("touch /etc/keystone/fernet-keys/99999").rc != 0
        assert host.run("cat /etc/keystone-keys/tokens").rc != 0


def test_keys_last_as_long_as_tokens(host):
    # an hour of life and two days of grace, a rotation a day
    assert host.check_output("sed -n 's/^max_active_keys = //p' /etc/keystone/keystone.conf") == "5"


def test_who_guesses_is_locked_out_and_the_administrator_is_not(host):
    script = (
        "import urllib.error, secrets\n"
        "def call(path, method='GET', body=None, headers=t):\n"
        "    data = json.dumps(body).encode() if body else None\n"
        "    r = u.Request(b + path, data, {**headers, 'Content-Type': 'application/json'}, method=method)\n"
        "    try:\n        a = u.urlopen(r); return a.status, json.loads(a.read() or b'{}')\n"
        "    except urllib.error.HTTPError as error:\n        return error.code, {}\n"
        "good = secrets.token_hex(16)\n"
        "def login(user, password):\n"
        "    identity = {'methods': ['password'], 'password': {'user': {'id': user, 'password': password}}}\n"
        "    return call('auth/tokens', 'POST', {'auth': {'identity': identity, 'scope': 'unscoped'}}, {})[0]\n"
        "weak = call('users', 'POST', {'user': {'name': 'weak', 'password': 'elevenchars'}})[0]\n"
        "user = call('users', 'POST', {'user': {'name': 'guessed', 'password': good}})[1]['user']['id']\n"
        "first = login(user, good)\n"
        "guesses = [login(user, 'guess') for _ in range(6)]\n"
        "last = login(user, good)\n"
        "call('users/' + user, 'DELETE')\n"
        "own = call('auth/tokens', headers={**t, 'X-Subject-Token': t['X-Auth-Token']})[1]['token']['user']['id']\n"
        "tries = [login(own, 'guess') for _ in range(7)]\n"
        "print(json.dumps([weak, first, guesses, last, tries]))\n"
    )
    assert as_administrator(host, script) == [400, 201, [401] * 6, 401, [401] * 7]
    assert ask(host, secret(host, "keystone_admin"))[0] == 201
