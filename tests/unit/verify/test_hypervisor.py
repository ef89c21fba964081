"""A server's domain is told as libvirt and QEMU see it, in a bounded time, without anything raw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.stackwright.cloud.plugins.module_utils.verify import hypervisor
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_shell import Answer
from ansible_collections.stackwright.cloud.plugins.modules import domains
from ansible_collections.stackwright.cloud.tests.stand_ins import Call, Said, StandIns

SERVER = "8f0c3c2e-6a51-4a4e-9d5e-0f5b8f4f2a11"
LOG = """2026-11-26 22:40:00.000+0000: starting up libvirt version: 11.3.0
KVM internal error. Suberror: 3
2026-11-26 22:41:00.000+0000: starting up libvirt version: 11.3.0
LC_ALL=C \\
/usr/bin/qemu-system-x86_64 \\
KVM internal error. Suberror: 1
emulation failure
EAX=00000010 EBX=00000000
"""


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hypervisor, "LOGS", tmp_path)
    return tmp_path


@pytest.fixture
def libvirt(stand_ins: StandIns) -> Callable[[str], None]:
    def put(state: str) -> None:
        def virsh(call: Call) -> Said:
            assert call.words[:2] == ["--connect", "qemu:///system"]
            if call.words[-1] != SERVER:
                return Said(status=1, errors="error: failed to get domain")
            return Said("instance-00000001\n\n" if call.words[2] == "domname" else f"{state}\n\n")

        stand_ins.add("virsh", virsh)

    return put


def test_domain_that_kvm_cannot_run_is_told_with_qemus_words_and_what_to_set(
    libvirt: Callable[[str], None], run_module: Callable[..., dict[str, Any]], logs: Path
) -> None:
    libvirt("paused (crashed)")
    (logs / "instance-00000001.log").write_text(LOG)
    answer = run_module(domains, servers={SERVER: "web1", "another": "web2"})
    where, said, what = answer["lines"]
    assert where.startswith("hypervisor on ")
    assert where.endswith(": web1 (instance-00000001) is paused (crashed)")
    # of the last start only
    assert said == "QEMU said: KVM internal error. Suberror: 1; emulation failure"
    assert "set nova_virt_type to qemu" in what


@pytest.mark.parametrize(
    ("state", "words"),
    [("paused (user)", "virsh resume instance-00000001"), ("paused (I/O error)", "df -h"), ("running (booted)", "")],
)
def test_other_states_have_their_own_advice(libvirt: Callable[[str], None], logs: Path, state: str, words: str) -> None:
    libvirt(state)
    (logs / "instance-00000001.log").write_text("2026-11-26 22:41:00.000+0000: starting up libvirt\n")
    domain = hypervisor.ask(SERVER)
    assert domain is not None
    assert domain == hypervisor.Domain("instance-00000001", state, "")
    assert words in hypervisor.advice(domain)


def test_libvirt_that_hangs_is_the_answer() -> None:
    asked: list[float] = []

    def program(command: Sequence[str], timeout: float) -> Answer:
        asked.append(timeout)
        return Answer(124, "", "no end within 10 s")

    domain = hypervisor.ask(SERVER, program)
    assert domain == hypervisor.Domain("", "libvirt does not answer: no end within 10 s")
    assert asked == [hypervisor.SECONDS]


def test_log_of_a_domain_whose_name_is_a_path_is_not_read(stand_ins: StandIns) -> None:
    stand_ins.add("virsh", Said("../../../etc/passwd\n"))
    assert hypervisor.ask(SERVER) is None


def test_log_that_is_not_there_is_told(libvirt: Callable[[str], None]) -> None:
    libvirt("running (booted)")
    domain = hypervisor.ask(SERVER)
    assert domain is not None
    assert domain.words == "its log cannot be read: No such file or directory"
