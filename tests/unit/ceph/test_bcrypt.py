"""What stands in for bcrypt in Ceph's managers, as the role writes it."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles" / "ceph"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The module, as it lies on a host."""
    text = yaml.safe_load((ROLE / "vars" / "main" / "bcrypt.yml").read_text(encoding="utf-8"))["__ceph_bcrypt"]
    assert "{{" not in text
    found = tmp_path / "mgr" / "bcrypt.py"
    found.parent.mkdir()
    found.write_text(text, encoding="utf-8")
    return found


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the distribution's own module lies."""
    found = tmp_path / "dist-packages"
    found.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "mgr"), str(found)])
    monkeypatch.delitem(sys.modules, "bcrypt", raising=False)
    yield found
    sys.modules.pop("bcrypt", None)


def load(path: Path) -> Any:
    """Import it as Python does: it is known by its name while it runs."""
    module = types.ModuleType("bcrypt")
    module.__file__ = str(path)
    sys.modules["bcrypt"] = module
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    return sys.modules["bcrypt"]


def test_it_hashes_and_checks_where_the_own_module_cannot_be_loaded(path: Path, elsewhere: Path) -> None:
    (elsewhere / "bcrypt.py").write_text("raise ImportError('PyO3 modules do not yet support subinterpreters')\n")
    bcrypt = load(path)
    assert bcrypt.__file__ == str(path)
    made = bcrypt.hashpw("pass word", bcrypt.gensalt(4))
    assert made.startswith(b"$2b$04$")
    assert len(made) == 60
    assert bcrypt.checkpw(b"pass word", made)
    assert not bcrypt.checkpw("another", made)
    assert bcrypt.gensalt(4) != bcrypt.gensalt(4)
    with pytest.raises(ValueError, match="salt"):
        bcrypt.hashpw("x", "$2b$99$nonsense")
    with pytest.raises(ValueError, match="zero"):
        bcrypt.hashpw("x\0y", made)
    with pytest.raises(ValueError, match="rounds"):
        bcrypt.gensalt(3)


def test_it_stands_alone_where_there_is_no_other(path: Path, elsewhere: Path) -> None:
    assert load(path).__file__ == str(path)


def test_it_goes_out_of_the_way_once_the_own_module_can_be_loaded(path: Path, elsewhere: Path) -> None:
    package = elsewhere / "bcrypt"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import hashpw\n")
    (package / "inner.py").write_text("def hashpw(*given):\n    return b'the own one'\n")
    try:
        bcrypt = load(path)
        assert bcrypt.hashpw("x", "y") == b"the own one"
        assert bcrypt.__file__ == str(package / "__init__.py")
    finally:
        sys.modules.pop("bcrypt.inner", None)
