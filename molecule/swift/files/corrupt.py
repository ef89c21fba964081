"""Changes bytes in the middle of one stored object of the first policy, and remembers which file it was."""

from __future__ import annotations

import pathlib

found = sorted(pathlib.Path("/srv/node").glob("*/objects/*/*/*/*.data"))
path = next(one for one in found if one.stat().st_size > 1000)
with path.open("r+b") as stream:
    stream.seek(path.stat().st_size // 2)
    stream.write(b"\0" * 16)
pathlib.Path("/var/tmp/corrupted").write_text(str(path))
