"""Caches of three hosts, restarted one after the other."""

from __future__ import annotations


def test_the_cache_runs_with_the_new_size(host):
    command = """python3 -c 'import socket
s = socket.create_connection(("127.0.0.1", 11211), 5)
s.sendall(b"stats settings\\r\\n")
print(s.recv(4096).decode())'"""
    assert f"STAT maxbytes {48 << 20}" in host.check_output(command)


def test_the_cache_was_restarted_since(host):
    before = int(host.file("/root/before").content_string)
    now = int(host.check_output("systemctl show --property ActiveEnterTimestampMonotonic --value memcached"))
    assert now > before
