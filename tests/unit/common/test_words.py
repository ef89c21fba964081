"""Nearest names: one measure for what is wrong anyway, a stricter one where likeness is the only evidence, one
phrase."""

import re
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.common import words

PLUGINS = Path(__file__).parents[3] / "plugins"


def test_the_known_name_most_alike_is_offered():
    assert words.hint("enabld", {"enabled": 1, "enable_x": 2}) == "Did you mean 'enabled'?"
    assert words.hint("enabld", ["enabled"], ". ") == ". Did you mean 'enabled'?"
    assert words.hint("colour", ["enabled"]) == ""


def test_few_names_are_listed_where_none_is_alike():
    assert words.hint_or_list("colour", ["b", "a"]) == "Known: a, b."
    assert words.hint_or_list("colour", []) == words.hint_or_list("colour", map(str, range(41))) == ""


def test_a_name_of_the_operators_own_is_no_slip():
    known = ["nova_cpu_allocation_ratio", "nova_ram_allocation_ratio"]
    assert words.slip_of("nova_cpu_alocation_ratio", known) == "nova_cpu_allocation_ratio"
    assert words.slip_of("nova_site_location", known) == ""
    assert words.nearest("nova_allocation", known)


def test_nobody_else_measures_likeness_or_phrases_a_hint():
    # The hints of other tools' words in the cloud's document are looked up, not measured.
    allowed = {"words.py", "document.py"}
    for file in PLUGINS.rglob("*.py"):
        text = file.read_text()
        assert "get_close_matches" not in text or file.name == "words.py", file
        if file.name not in allowed and not file.is_relative_to(PLUGINS / "modules"):
            assert not re.search(r"[Dd]id you mean", text), file
