"""The name that somebody probably meant, and how an error says so: one function, one measure, one phrase."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Ratio of difflib's from which on two words are alike: what a hint offers for a word that is wrong anyway.
ALIKE = 0.6
# From here on the likeness itself is the evidence that a name is a slip of the pen and not one of the operator's own.
# Names of one role share a long beginning, so what remains behind it must be alike as well.
SLIP = 0.86
# So many names are listed where none is alike.
LISTED = 40


def nearest(word: str, known: Iterable[str], measure: float = ALIKE) -> str:
    """The known name that is most like ``word``, or nothing."""
    found = difflib.get_close_matches(word, sorted(set(known)), 1, measure)
    return found[0] if found else ""


def slip_of(word: str, known: Iterable[str]) -> str:
    """The known name of which ``word`` is a misspelling, or nothing: for words that may well be right."""
    return nearest(word, known, SLIP)


def ask(name: str) -> str:
    """The phrase that offers a name."""
    return f"Did you mean '{name}'?"


def hint(word: str, known: Iterable[str], before: str = "") -> str:
    """The sentence that names the nearest known name, or nothing.

    :param before: what joins it to the sentence in front of it.
    """
    found = nearest(word, known)
    return before + ask(found) if found else ""


def hint_or_list(word: str, known: Iterable[str]) -> str:
    """The same; where no name is alike all known ones, if they are few."""
    names = sorted(set(known))
    return hint(word, names) or (f"Known: {', '.join(names)}." if 0 < len(names) <= LISTED else "")
