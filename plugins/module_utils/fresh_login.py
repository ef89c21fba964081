"""The proof that one can still log in: a second connection over the same path, which becomes root.

Runs on the control node inside an action plug-in, for whatever may lock operators out (sshd, PAM, sudo, the packet filter).
"""

from __future__ import annotations

from typing import Any

# No connection that is open already may answer in the place of a new one; the first value that ssh reads counts.
FRESH = "-o ControlMaster=no -o ControlPath=none -o ConnectTimeout=15"


def fresh_login(action: Any) -> str:
    """Log in anew over the action's own path and become root.

    :param action: the action plug-in, whose connection, become method and options are used.
    :returns: why that failed, or nothing.
    """
    from ansible.errors import AnsibleError
    from ansible.plugins.loader import connection_loader

    old = action._connection
    name = old.ansible_name if hasattr(old, "ansible_name") else old._load_name
    fresh = connection_loader.get(name, action._play_context, getattr(old, "_new_stdin", None))
    if fresh is None:
        return f"the connection {name} cannot be opened a second time"
    fresh._options = dict(old._options)
    fresh._origins = dict(getattr(old, "_origins", {}))
    if name.rsplit(".", 1)[-1] == "ssh":
        fresh.set_option("ssh_args", FRESH)
    if old.become is not None:
        fresh.set_become_plugin(old.become)
    action._connection = fresh
    try:
        done = action._low_level_execute_command("id -u", sudoable=True)
    except AnsibleError as error:
        return str(error)
    finally:
        action._connection = old
        fresh.close()
    if done.get("rc") != 0:
        return (done.get("stderr") or done.get("stdout") or "no output").strip()[-300:]
    return "" if done.get("stdout", "").strip().split("\n")[-1:] == ["0"] else "the login did not become root"
