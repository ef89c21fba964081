"""An image is named after everything that goes into it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import image
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.apt import Source
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

BASE = image.Base(
    suite="trixie",
    packages=("systemd-sysv", "sudo"),
    sources=(Source("http://a.example/debian", "trixie", ("main",)),),
    user="operator",
    certificates=(("own.crt", "PEM"),),
    distribution="0123",
)


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, suite="bookworm"),
        replace(BASE, packages=("systemd-sysv",)),
        replace(BASE, sources=(Source("http://b.example/debian", "trixie", ("main",)),)),
        replace(BASE, user="someone"),
        replace(BASE, certificates=()),
        replace(BASE, distribution="4567"),
    ],
)
def test_every_input_changes_the_name(changed: image.Base) -> None:
    assert changed.name() != BASE.name()


def test_order_of_packages_does_not_matter() -> None:
    assert replace(BASE, packages=("sudo", "systemd-sysv")).name() == BASE.name()
    one = image.preloaded_name(BASE.name(), ["a", "b", "a"], False)
    assert one == image.preloaded_name(BASE.name(), ["b", "a"], False)
    assert one.startswith(BASE.name() + "-")
    assert one != image.preloaded_name(BASE.name(), ["a", "b"], True)
    assert one != image.preloaded_name(replace(BASE, user="x").name(), ["a", "b"], False)


def test_a_changed_step_changes_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = BASE.name(), image.preloaded_name("base", ["a"], False)
    monkeypatch.setattr(image, "FINISH", image.FINISH + "\ntrue")
    monkeypatch.setattr(image, "PRELOAD", image.PRELOAD + "\ntrue")
    assert BASE.name() != before[0]
    assert image.preloaded_name("base", ["a"], False) != before[1]


def test_files_of_the_base_image(tmp_path: Path) -> None:
    (tmp_path / "etc/apt").mkdir(parents=True)
    (tmp_path / "etc/apt/sources.list").touch()
    image.write_base_files(tmp_path, BASE, {"Acquire::Retries": "3"})
    assert not (tmp_path / "etc/apt/sources.list").exists()
    assert "Suites: trixie" in (tmp_path / "etc/apt/sources.list.d/debian.sources").read_text()
    assert (tmp_path / "usr/local/share/ca-certificates/own.crt").read_text() == "PEM"
    assert "Retries" in (tmp_path / "etc/apt/apt.conf.d/00stackwright-build").read_text()
    for unit in image.MASKED:
        assert (tmp_path / "etc/systemd/system" / unit).readlink() == Path("/dev/null")
    image.write_base_files(tmp_path, BASE, {})


def test_what_the_build_needs_does_not_stay_in_the_image() -> None:
    for script in (image.FINISH, image.PRELOAD):
        removed = script[script.rindex("rm -") :]
        assert "policy-rc.d" in removed
        assert "00stackwright-build" in removed
    assert "ssh_host_" in image.FINISH


def test_host_certificates_are_found_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.crt").write_text("B")
    (tmp_path / "a.crt").write_text("A")
    (tmp_path / "readme").write_text("no")
    assert image.host_certificates(tmp_path) == (("a.crt", "A"), ("sub/b.crt", "B"))


def test_proxies_of_programs_without_apt_s_settings() -> None:
    options = {"Acquire::http::Proxy": "http://p.example:1", "Acquire::https::Proxy": "DIRECT"}
    assert image.proxy_environment(options) == {"http_proxy": "http://p.example:1"}


def test_a_build_dies_with_its_children_and_mounts() -> None:
    command = image.isolated(["mmdebstrap", "x"])
    assert {"--kill-child", "--mount", "--pid"} <= set(command)
    assert command[-2:] == ["mmdebstrap", "x"]


def test_a_system_is_installed_from_all_its_sources_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = tmp_path / "ring.gpg"
    ring.touch()
    monkeypatch.setattr(image.apt, "KEYRINGS", (str(ring),))
    base = replace(
        BASE,
        sources=(Source("http://m/debian", "trixie", ("main",)), Source("http://m/sec", "trixie-security", ("main",))),
    )
    command = image.bootstrap(base, tmp_path / "tree", {"Acquire::http::Proxy": "http://p:3142"})
    assert command[command.index("trixie") + 1 :] == [
        str(tmp_path / "tree"),
        f"deb [signed-by={ring}] http://m/debian trixie main",
        f"deb [signed-by={ring}] http://m/sec trixie-security main",
    ]
    assert '--aptopt=Acquire::http::Proxy "http://p:3142"' in command
    assert f"--include={','.join(base.packages)}" in command


def test_modules_are_compiled_once_at_the_end_of_an_installation(tmp_path: Path, stand_ins: StandIns) -> None:
    """The compiler of packages only notes what it was asked for; private directories are made up one by one."""
    compiler, state = tmp_path / "py3compile", tmp_path / "state"
    state.mkdir()
    compiler.write_text(f'#!/bin/sh\necho "really $*" >>{tmp_path}/said\n')
    compiler.chmod(0o755)

    def divert(call: Call) -> Said:
        kept = Path(call.words[call.words.index("--divert") + 1])
        moved = (compiler, kept) if "--add" in call.words else (kept, compiler)
        moved[0].rename(moved[1])
        return Said()

    stand_ins.add("dpkg-divert", divert)
    ran = stand_ins.add("python3", Said())
    script = image.COMPILE.replace("/usr/bin/py3compile", str(compiler)).replace("/var/lib/stackwright-lab", str(state))
    asked = f"{compiler} -p python3-one; {compiler} -p two /usr/share/two -V 3.13"
    subprocess.run(["sh", "-euc", f"{script}put_off; {asked}; test ! -e {tmp_path}/said; make_up"], check=True)
    assert (tmp_path / "said").read_text() == "really -p two /usr/share/two -V 3.13\n"
    assert ran and not list(state.iterdir()) and not list(tmp_path.glob("*.kept"))


def test_labels() -> None:
    assert image.label_changes({"suite": "trixie"}) == ["--change", "LABEL stackwright.lab.suite=trixie"]
