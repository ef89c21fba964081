"""Makes a newer version of installed packages, with the same content, and offers it to the machine's package manager.

Use: newer.py DIRECTORY PACKAGE ... Their dependencies on others stay, so that these need no newer version.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

place = Path(sys.argv[1])
place.mkdir(parents=True, exist_ok=True)
entries = []
for name in sys.argv[2:]:
    subprocess.run(["apt-get", "download", name], check=True, cwd=place)
    (file,) = place.glob(f"{name}_*.deb")
    tree = place / name
    subprocess.run(["dpkg-deb", "--raw-extract", file, tree], check=True)
    file.unlink()
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines()
    lines = [f"{line}.1" if line.startswith("Version: ") else line for line in lines]
    control.write_text("\n".join([*lines, ""]))
    made = place / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made], check=True)
    subprocess.run(["rm", "-r", tree], check=True)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    entries.append("\n".join([*lines, f"Filename: ./{made.name}", f"Size: {made.stat().st_size}", f"SHA256: {digest}"]))
(place / "Packages").write_text("\n\n".join([*entries, ""]))
Path("/etc/apt/sources.list.d/newer.list").write_text(f"deb [trusted=yes] file:{place} ./\n")
