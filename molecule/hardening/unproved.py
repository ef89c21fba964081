"""Makes a journaled change of access that nobody confirms, as an enforcement leaves it that its control node has
abandoned.

Run as root on a hardened host: the journal's own code, which lies beside each run, does the work.
"""

from __future__ import annotations

import glob
import importlib.util
import pathlib
import sys

PATH = "/etc/ssh/sshd_config.d/99-unproved.conf"


def main() -> None:
    program = pathlib.Path(sorted(glob.glob("/var/lib/stackwright/hardening/2*/undo.py"))[-1])
    specification = importlib.util.spec_from_file_location("journal", program)
    assert specification is not None
    assert specification.loader is not None
    journal = importlib.util.module_from_spec(specification)
    sys.modules["journal"] = journal
    specification.loader.exec_module(journal)
    run = journal.Journal("abandoned", base="/var/lib/stackwright/boot")
    run.begin({}, program.read_bytes())
    reload = ["systemctl", "try-reload-or-restart", "ssh.service"]
    run.add(
        [
            {"kind": "file", "group": "sshd", "path": PATH, "before": run.before(PATH)},
            {"kind": "after-undo", "group": "sshd", "argv": reload},
        ]
    )
    pathlib.Path(PATH).write_text("AllowUsers nobody\n", "ascii")
    pathlib.Path(run.directory, "unproved").write_text("sshd", "ascii")
    journal.guard_boot(run)


if __name__ == "__main__":
    main()
