"""Texts that a tenant, a guest or a host may write and that must do no harm wherever they are read or shown.

`corpus(trap)` gives them by name. Those that Ansible would evaluate, if it took them for the operator's, make the file
`trap`.
"""

from __future__ import annotations

from pathlib import Path

# Names that are somebody else's: the control node's, every host's, and a host's and a group's of an operator.
TAKEN = ("localhost", "127.0.0.1", "::1", "all", "ungrouped", "controller1", "controller")
# Characters that reach no terminal, page or log as they are.
RAW = tuple(map(chr, [0, 7, 8, 0x1B, 0x7F, 0x85, 0x9B, 0x9D, 0x200B, 0x200F, 0x2028, 0x202E, 0x2066, 0xFEFF]))


def templates(trap: Path) -> dict[str, str]:
    """What runs a command when it is taken for a template: with Ansible's delimiters, and with a header that chooses
    others."""
    run = f"lookup('ansible.builtin.pipe', 'touch {trap}')"
    return {
        "expression": f"{{{{ {run} }}}}",
        "statement": f"{{% set x = {run} %}}",
        "comment": f"{{# a #}}{{{{ {run} }}}}",
        "header": f"#jinja2:variable_start_string:'[%',variable_end_string:'%]'\n[% {run} %]",
        "header_blocks": f"#jinja2:block_start_string:'<%',block_end_string:'%>'\n<% set x = {run} %>",
        "header_lines": f"#jinja2:line_statement_prefix:'%'\n% set x = {run}",
        "header_brackets": f"#jinja2: variable_start_string:'((', variable_end_string:'))'\n(({run}))",
    }


def shown() -> dict[str, str]:
    """What deceives or breaks whatever shows it."""
    return {
        "escape": "\x1b[2J\x1b[1;1Hall is well",
        "title": "\x1b]0;owned\x07",
        "c1": "a\x9b31mb\x9d0;x\x9c",
        "bidi": "user\u202etxt.exe\u2066\u2069",
        "invisible": "ad\u200bmin\ufeff",
        "nul": "a\x00b",
        "line": "one\ntwo: three\n- four",
        "return": "good\rbad",
        "separators": "a\u2028b\u2029c\x85d",
        "markup": "<script>alert(1)</script>]]>&amp;\"'",
        "formula": "=cmd|' /C calc'!A0",
        "yaml": "- x: !!python/object/apply:os.system [id]",
        "percent": "%(x)s ${x} $(id) `id`",
        "blank": "  two  words ",
        "not_latin": "Überläufer 漢字",
        "long": "x" * 65_536,
    }


def surrogates() -> dict[str, str]:
    """What is no Unicode text at all, and what JSON lets through all the same."""
    return {"surrogate": "a\ud800b", "swapped": "\udc00\ud800"}


def corpus(trap: Path) -> dict[str, str]:
    """Every text, by a name for it."""
    return {**templates(trap), **shown(), **surrogates(), **{f"taken_{name}": name for name in TAKEN}}


def raw(text: str) -> list[str]:
    """The characters in `text` that no terminal, page or log should get."""
    return sorted({repr(one) for one in text if one in RAW or 0x80 <= ord(one) < 0xA0 or 0xD800 <= ord(one) < 0xE000})
