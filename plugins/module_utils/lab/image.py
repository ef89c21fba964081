"""The machines' image: a minimal Debian with systemd and sshd, and layers with packages preloaded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.stackwright.cloud.plugins.module_utils.common import progress
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import apt
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import (
    Podman,
    locked,
    private_directory,
    run,
    tail,
)

REPOSITORY = "localhost/stackwright-node"
LABEL = "stackwright.lab"
# Not where other accounts may put files and links of these names first.
WORK = Path("/var/lib/stackwright-lab")
# The lock of who lists or removes stored images, and the form in which podman names them.
STORED = "stackwright-images.lock"
NAME = "{{.Repository}}:{{.Tag}}"
CERTIFICATES = Path("/usr/local/share/ca-certificates")
HELPER = "/usr/lib/apt/apt-helper"
# A machine has no hardware of its own: modules and devices are the host's business, and so is every kernel setting
# outside the network namespace.
MASKED = (
    "systemd-modules-load.service",
    "systemd-udevd.service",
    "systemd-udevd-kernel.socket",
    "systemd-udevd-control.socket",
    "systemd-udev-trigger.service",
    "systemd-udev-settle.service",
    "systemd-hwdb-update.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
)
# Nobody reads manuals in a machine that is thrown away, and they are an eighth of what is written for a controller.
UNREAD = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
FILES = {
    "etc/dpkg/dpkg.cfg.d/stackwright-lab": "\n".join(
        ["force-unsafe-io", *(f"path-exclude={path}" for path in UNREAD), "path-include=/usr/share/doc/*/copyright", ""]
    ),
    "etc/apt/apt.conf.d/90stackwright-lab": 'Acquire::GzipIndexes "true";\nAcquire::Languages "none";\n',
    "etc/systemd/system/systemd-sysctl.service.d/lab.conf": (
        "[Service]\nExecStart=\nExecStart=/usr/lib/systemd/systemd-sysctl --prefix=/net\n"
    ),
}
POLICY = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"
FINISH = """
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
if [ -x /usr/sbin/update-ca-certificates ]; then update-ca-certificates; fi
if getent group "$1" >/dev/null; then group=--gid=$1; else group=--user-group; fi
useradd --uid 1000 --create-home --shell /bin/bash --password '*' "$group" "$1"
install -d -m 700 -o 1000 -g "$(id -g "$1")" "/home/$1/.ssh"
printf '%s ALL=(ALL:ALL) NOPASSWD: ALL\\n' "$1" >"/etc/sudoers.d/$1"
chmod 440 "/etc/sudoers.d/$1"
apt-get clean
rm -rf /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/00stackwright-build /etc/apt/apt.conf.d/99mmdebstrap \
  /etc/dpkg/dpkg.cfg.d/99mmdebstrap /etc/ssh/ssh_host_* /var/lib/apt/lists/* /var/lib/dbus/machine-id /etc/hostname \
  /etc/resolv.conf /var/log/apt/* /var/log/dpkg.log /var/cache/apt/*.bin
: >/etc/machine-id
"""
RESTORE = "/var/lib/stackwright-lab/enabled.tar"
# Each Python package compiles its modules when it is configured, in a process of its own: 350 packages spend 27 of
# their 58 seconds of processor time on that. Here they only say so, and all are compiled at the end, by as many
# processes as there are processors. What cannot be compiled, such as a template, is left out, as py3compile does.
COMPILE = """
compiler=/usr/bin/py3compile later=/var/lib/stackwright-lab/compile
put_off() {
  [ -e $compiler ] || return 0
  dpkg-divert --quiet --local --rename --divert $compiler.kept --add $compiler
  printf '#!/bin/sh\\necho "$*" >>%s\\n' $later >$compiler
  chmod 755 $compiler
}
make_up() {
  [ -e $compiler.kept ] || return 0
  rm $compiler
  dpkg-divert --quiet --local --rename --divert $compiler.kept --remove $compiler
  [ -e $later ] || return 0
  python3 -m compileall -q -j 0 /usr/lib/python3/dist-packages >/dev/null || :
  # private directories, which the packages name
  grep ' /' $later | (set -f; while read -r words; do $compiler $words; done)
  rm $later
}
"""
# Units that a package enables would start when the machine boots. Their links wait in an archive, which is unpacked
# once the machine is up: enabled but not started, as after `apt-get install` under a policy that forbids starts.
PRELOAD = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
{POLICY}{COMPILE}
links() {{
  find /etc/systemd/system /etc/rc?.d -type l \\
    \\( -path '*.wants/*' -o -path '*.requires/*' -o -path '/etc/rc?.d/S*' \\) | sort
}}
mkdir -p /var/lib/stackwright-lab
links >/var/lib/stackwright-lab/before
apt-get -q update
put_off
apt-get -q -y install "$@"
make_up
links | comm -13 /var/lib/stackwright-lab/before - | sed 's,^/,,' >/var/lib/stackwright-lab/enabled
tar -C / -cf {RESTORE} --no-recursion -T /var/lib/stackwright-lab/enabled
cd / && xargs -r rm -f </var/lib/stackwright-lab/enabled
apt-get clean
rm -f /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/00stackwright-build /var/lib/stackwright-lab/before \
  /var/lib/stackwright-lab/enabled /var/cache/apt/*.bin
"""


@dataclass(frozen=True)
class Base:
    """What the base image is made of; two equal ones give the same image."""

    suite: str
    packages: tuple[str, ...]
    sources: tuple[apt.Source, ...]
    user: str
    certificates: tuple[tuple[str, str], ...]
    distribution: str

    def key(self) -> str:
        """Return the hash of everything that goes into the image."""
        steps = [FINISH, FILES, MASKED]
        sources = [[source.uri, source.suite, *source.components] for source in self.sources]
        return digest(
            [self.suite, sorted(self.packages), sources, self.user, self.certificates, self.distribution, steps]
        )

    def name(self) -> str:
        """Return the image's name."""
        return f"{REPOSITORY}:{self.suite}-{self.key()}"


def digest(content: object) -> str:
    """Return twelve hexadecimal digits that stand for this content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def preloaded_name(base: str, packages: Iterable[str], recommends: bool) -> str:
    """Return the name of a base image's layer with these packages; their order does not matter."""
    return f"{base}-{digest([sorted(set(packages)), recommends, PRELOAD])}"


def host_certificates(directory: Path = CERTIFICATES) -> tuple[tuple[str, str], ...]:
    """Return the certificates that this host trusts besides the distribution's own: pairs of name and content."""
    return tuple(
        (path.relative_to(directory).as_posix(), path.read_text(encoding="utf-8", errors="replace"))
        for path in sorted(directory.rglob("*.crt"))
        if path.is_file()
    )


def distribution_state(source: apt.Source, podman: Podman) -> str:
    """Return what identifies the state of a release at a mirror: the hash of its signed index.

    A stable release's index changes with a point release. When the mirror does not answer, the state of the newest
    image of that release is taken, so that a cached image serves without a network.

    Raises:
        LabError: The mirror does not answer and there is no image yet.
    """
    address = f"{source.uri}/dists/{source.suite}/InRelease"
    with tempfile.TemporaryDirectory(prefix="stackwright-") as directory:
        # apt downloads as an account of its own.
        Path(directory).chmod(0o777)
        target = Path(directory) / "InRelease"
        try:
            run(
                [HELPER, "-o", "Acquire::Retries=2", "download-file", address, str(target)],
                f"Reading the state of {source.suite} from {source.uri}",
                timeout=120,
                remedy="Check the mirror and the network, or set lab_apt_sources",
            )
            return hashlib.sha256(target.read_bytes()).hexdigest()[:16]
        except LabError:
            form = f'{{{{index .Labels "{LABEL}.distribution"}}}}'
            known = listed(podman, form, f"label={LABEL}.suite={source.suite}")
            if known:
                return known[0]
            raise


def keyring() -> str:
    """Return the distribution's key ring on this host.

    Raises:
        LabError: It is not installed.
    """
    for path in apt.KEYRINGS:
        if Path(path).is_file():
            return path
    raise LabError("Looking for Debian's archive keys", f"no {apt.KEYRINGS[0]}", "Install debian-archive-keyring")


def unmount_below(directory: Path) -> None:
    """Unmount whatever an interrupted build left mounted below a directory, so that removing it removes no more."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4] for line in mounts]
    for point in sorted((p for p in points if p.startswith(f"{directory}/")), reverse=True):
        run(["umount", "--lazy", point], f"Unmounting {point}")


def remove_tree(directory: Path) -> None:
    """Remove a build's directory with everything that an interrupted build may have left there."""
    if directory.exists():
        unmount_below(directory)
        shutil.rmtree(directory)


def isolated(command: Sequence[str]) -> list[str]:
    """Return a command that takes its mounts and all its children with it when it ends or is killed."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", *command]


def write_base_files(tree: Path, base: Base, options: Mapping[str, str]) -> None:
    """Write sources, certificates and settings into an unpacked system."""
    files = dict(FILES)
    files["etc/apt/sources.list.d/debian.sources"] = apt.render_sources(base.sources)
    files["etc/apt/apt.conf.d/00stackwright-build"] = apt.render_options(options)
    for name, content in base.certificates:
        files[f"usr/local/share/ca-certificates/{name}"] = content
    for name, content in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (tree / "etc/apt/sources.list").unlink(missing_ok=True)
    units = tree / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")


def proxy_environment(options: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables for programs that do not read apt's configuration."""
    found = {}
    for scheme in ("http", "https"):
        value = options.get(f"Acquire::{scheme}::Proxy", "")
        if value and urlsplit(value).scheme in ("http", "https"):
            found[f"{scheme}_proxy"] = value
    return found


def bootstrap(base: Base, tree: Path, options: Mapping[str, str]) -> list[str]:
    """Return the command that installs a minimal system from all sources at once, so that nothing is upgraded later.

    What is unpacked before the system has certificates of its own trusts those of this host.
    """
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    trust = f'if [ -s {bundle} ]; then mkdir -p "$1/etc/ssl/certs"; cp {bundle} "$1/etc/ssl/certs/"; fi'
    ring = keyring()
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join(base.packages)}",
        f"--keyring={ring}",
        "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
        f"--setup-hook={trust}",
        "--dpkgopt=force-unsafe-io",
        *(f'--aptopt={name} "{value}"' for name, value in sorted(options.items())),
        base.suite,
        str(tree),
        *(f"deb [signed-by={ring}] {one.uri} {one.suite} {' '.join(one.components)}" for one in base.sources),
    ]


def label_changes(labels: Mapping[str, str]) -> list[str]:
    """Return podman's arguments that label an image."""
    return [word for key, value in labels.items() for word in ("--change", f"LABEL {LABEL}.{key}={value}")]


def import_tree(tree: Path, name: str, labels: Mapping[str, str], podman: Podman) -> None:
    """Make an image out of a directory; it appears under its name only when it is complete.

    Raises:
        LabError: tar or podman failed.
    """
    changes = label_changes(labels)
    doing = f"Storing image {name}"
    command = [
        "tar",
        "-c",
        "--xattrs",
        "--xattrs-include=*",
        "--one-file-system",
        "--exclude=./dev/*",
        "-C",
        str(tree),
        ".",
    ]
    # What tar says waits in a file, and only podman holds the end of the pipe that is read: neither waits for this
    # process.
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as tar:
        try:
            done = subprocess.run(
                ["podman", "import", "--quiet", *changes, "-", name],
                env={**os.environ, **podman.environment},
                stdin=tar.stdout,
                capture_output=True,
                check=False,
            )
        finally:
            if tar.stdout:
                tar.stdout.close()
        tar.wait()
        said.seek(0)
        errors = said.read().decode(errors="replace")
    if tar.returncode and not done.returncode:
        # it was stored with a part of the files
        remove_images([name], podman)
    if done.returncode or tar.returncode:
        raise LabError(doing, tail(done.stderr.decode(errors="replace") + errors), "Check the free space of the host")


def build_base(base: Base, options: Mapping[str, str], podman: Podman, log: Path) -> None:
    """Build the base image unless it is stored already. Safe against a run at the same time and one cut off earlier.

    Args:
        base: What to build.
        options: apt's options for reaching the mirror.
        podman: How to call podman.
        log: File for the output of the build.

    Raises:
        LabError: A step failed; the message names it and the log.
    """
    tree = WORK / f"stackwright-image-{base.suite}"
    doing = f"Building the image {base.name()}"
    private_directory(WORK, doing)
    with locked(WORK / f"stackwright-image-{base.suite}.lock", doing):
        if podman.image_exists(base.name()):
            return
        remove_tree(tree)
        tree.mkdir(mode=0o755)
        log.unlink(missing_ok=True)
        remedy = "Check that the mirror answers and that the host has free space."
        progress.tell(f"mmdebstrap installs Debian {base.suite}")
        run(
            isolated(bootstrap(base, tree, options)),
            doing,
            environment=proxy_environment(options),
            log=log,
            remedy=remedy,
        )
        write_base_files(tree, base, options)
        finish = ["chroot", str(tree), "/bin/sh", "-c", FINISH, "finish", base.user]
        run(isolated(finish), doing, environment=proxy_environment(options), log=log, remedy=remedy)
        progress.tell(f"the image of Debian {base.suite} is stored")
        labels = {"suite": base.suite, "distribution": base.distribution, "purpose": f"base-{base.suite}"}
        import_tree(tree, base.name(), labels, podman)
        remove_tree(tree)


def build_preloaded(
    name: str,
    base: str,
    packages: Sequence[str],
    recommends: bool,
    purpose: str,
    options: Mapping[str, str],
    podman: Podman,
    log: Path,
) -> None:
    """Build a layer with packages installed but nothing started, unless it is stored already.

    Args:
        name: The image's name, from `preloaded_name`.
        base: The image to start from.
        packages: Names of packages.
        recommends: Install recommended packages as well.
        purpose: What the image is for, for example ``lab-compute``; an older image for the same purpose is removed.
        options: apt's options for reaching the mirror.
        podman: How to call podman.
        log: File for the output of the build.

    Raises:
        LabError: A step failed; the message names it and the log.
    """
    key = name.rsplit("-", 1)[-1]
    container = f"stackwright-build-{key}"
    doing = f"Preloading packages for {purpose}"
    private_directory(WORK, doing)
    with locked(WORK / f"{container}.lock", doing):
        if podman.image_exists(name):
            return
        log.unlink(missing_ok=True)
        # What an interrupted build left, also one of another list of packages.
        mark = f"{LABEL}.build={purpose}"
        left = podman("ps", "--all", "--quiet", "--filter", f"label={mark}", doing=doing).split()
        podman("rm", "--force", "--ignore", container, *left, doing=doing)
        progress.tell(f"{len(set(packages))} packages and what they need are installed for {purpose}")
        podman(
            "run",
            "--name",
            container,
            "--label",
            mark,
            "--network",
            "host",
            "--hostname",
            "localhost",
            "--uts",
            "private",
            "--stop-signal",
            "SIGKILL",
            base,
            "/bin/sh",
            "-c",
            write_options(options) + PRELOAD,
            "preload",
            "--install-recommends" if recommends else "--no-install-recommends",
            *sorted(set(packages)),
            doing=doing,
            log=log,
            remedy="Check the package names and the mirror.",
        )
        progress.tell(f"the image for {purpose} is stored")
        changes = label_changes({"purpose": purpose, "packages": str(len(set(packages)))})
        podman("commit", "--quiet", "--pause=false", *changes, container, name, doing=f"Storing image {name}")
        podman("rm", "--force", container, doing=doing)


def write_options(options: Mapping[str, str]) -> str:
    """Return shell lines that put apt's options into the file that the build removes at its end."""
    content = apt.render_options(options)
    return f"cat >/etc/apt/apt.conf.d/00stackwright-build <<'OPTIONS'\n{content}OPTIONS\n" if content else ""


def listed(podman: Podman, form: str, *filters: str) -> list[str]:
    """Return stored images in podman's form, a word each; podman cannot list while another run removes one.

    Raises:
        LabError: podman could not list them, or another run kept the lock of the stored images.
    """
    doing = "Listing images"
    chosen = [word for one in filters for word in ("--filter", one)]
    with locked(WORK / STORED, doing):
        return podman("images", *chosen, "--format", form, doing=doing).split()


def superseded(purpose: str, keep: str, podman: Podman) -> list[str]:
    """Return images that were made for the same purpose earlier."""
    names = listed(podman, NAME, f"label={LABEL}.purpose={purpose}", f"reference={REPOSITORY}")
    return [name for name in names if name != keep]


def remove_images(names: Iterable[str], podman: Podman) -> list[str]:
    """Remove images that nothing uses; return the names of those that are gone."""
    with locked(WORK / STORED, "Removing images"):
        return [name for name in names if podman.succeeds("rmi", name)]
