"""Package sources and options are taken from this host and translated to the machines' release."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import apt
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from hypothesis import given
from hypothesis import strategies as st

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/security/
Suites: bookworm-security
Components: main
"""


def write_host(root: Path, files: dict[str, str], codename: str = "bookworm") -> Path:
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / "etc/os-release").write_text(f'ID=debian\nVERSION_CODENAME="{codename}"\n', encoding="utf-8")
    for name, content in files.items():
        (root / "etc/apt" / name).write_text(content, encoding="utf-8")
    return root


def test_fields_format_yields_one_source_per_suite() -> None:
    assert [(source.uri, source.suite) for source, _ in apt.parse_deb822(DEB822)] == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
        ("http://mirror.example/security", "bookworm-security"),
    ]


def test_folded_and_disabled_stanzas() -> None:
    text = "Types: deb\nURIs:\n http://a.example\n http://b.example\nSuites: trixie\nComponents: main\n\n"
    assert [source.uri for source, _ in apt.parse_deb822(text)] == ["http://a.example", "http://b.example"]
    assert apt.parse_deb822(text.replace("Types: deb", "Enabled: no\nTypes: deb")) == []


def test_one_line_format_with_options_comments_and_sources() -> None:
    text = (
        "# deb http://no.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main contrib # here\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb cdrom:[Debian]/ bookworm\n"
    )
    assert apt.parse_one_line(text) == [
        (apt.Source("http://mirror.example/debian", "bookworm", ("main", "contrib")), "/k.gpg")
    ]


def test_a_hosts_sources_are_named_for_the_machines_release(tmp_path: Path) -> None:
    root = write_host(tmp_path, {"sources.list.d/debian.sources": DEB822})
    assert apt.host_sources("trixie", root) == [
        apt.Source("http://mirror.example/debian", "trixie", ("main",)),
        apt.Source("http://mirror.example/debian", "trixie-updates", ("main",)),
        apt.Source("http://mirror.example/security", "trixie-security", ("main",)),
    ]


def test_other_peoples_repositories_are_left_out(tmp_path: Path) -> None:
    foreign = (
        "deb http://docker.example/debian bookworm stable\n"
        "deb [signed-by=/usr/share/keyrings/other.gpg] http://other.example bookworm main\n"
        "deb http://mirror.example/debian stable main\n"
        "deb cdrom:[Debian_12]/ bookworm main\n"
    )
    root = write_host(tmp_path, {"sources.list": foreign})
    assert apt.host_sources("bookworm", root) == [apt.Source("http://mirror.example/debian", "bookworm", ("main",))]


def test_a_host_without_a_source_gets_an_answer_that_helps(tmp_path: Path) -> None:
    root = write_host(tmp_path, {"sources.list": "deb http://x.example noble main\n"}, codename="noble-ish")
    with pytest.raises(LabError, match=r"no source there offers noble-ish.*Set lab_apt_sources"):
        apt.host_sources("trixie", root)


def test_a_mirror_list_in_a_file_is_followed(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# first is best\nhttps://one.example/debian/\nhttps://two.example/debian\n", encoding="utf-8")
    assert apt.resolve_mirror(f"mirror+file:{mirrors}") == "https://one.example/debian"
    assert apt.resolve_mirror(f"mirror+file://{mirrors}") == "https://one.example/debian"
    assert apt.resolve_mirror("mirror+file:/nowhere") == "mirror+file:/nowhere"
    assert apt.resolve_mirror("http://a.example") == "http://a.example"


def test_rendered_sources_are_read_back_unchanged() -> None:
    sources = [apt.Source("http://a.example/debian", "trixie", ("main", "contrib"))]
    assert [source for source, _ in apt.parse_deb822(apt.render_sources(sources))] == sources


def test_given_sources_need_uri_and_suite() -> None:
    assert apt.given_sources([{"uri": "http://a.example/", "suite": "trixie"}]) == [
        apt.Source("http://a.example", "trixie", ("main",))
    ]
    with pytest.raises(LabError, match="lacks uri or suite"):
        apt.given_sources([{"uri": "http://a.example/"}])


def test_only_options_about_reaching_mirrors_are_taken() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.example:3142";\n'
        'Acquire::http::Proxy::mirror.example "DIRECT";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::Retries "3";\n'
        'Acquire::https "";\n'
        'APT::Periodic::Enable "1";\n'
        'DPkg::Pre-Install-Pkgs:: "/usr/sbin/hook";\n'
    )
    assert apt.transport_options(dump) == {
        "Acquire::http::Proxy": "http://proxy.example:3142",
        "Acquire::http::Proxy::mirror.example": "DIRECT",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": "3",
    }


def test_a_proxy_on_the_hosts_loopback_is_reached_by_the_gateway() -> None:
    options = {"Acquire::http::Proxy": "http://localhost:3142/", "Acquire::Retries": "3"}
    rendered = apt.render_options(options, "10.1.2.1")
    assert rendered == 'Acquire::Retries "3";\nAcquire::http::Proxy "http://10.1.2.1:3142/";\n'
    assert "localhost" in apt.render_options(options)


@given(st.text())
def test_no_text_upsets_the_parsers(text: str) -> None:
    apt.parse_deb822(text)
    apt.parse_one_line(text)
    apt.transport_options(text)
