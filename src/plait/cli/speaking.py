"""The language of what a verb prints: lines of ours in it, names of the data as they are, columns aligned."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from plait.cli.wording import as_typed

_TYPED: ContextVar[str | None] = ContextVar("plait_typed_language", default=None)


class Speaker:
    """Says lines of ours in the language of pages.

    Args:
        lang: The language; None: English.
        report: What is shown: the names of its data stay as they are.
    """

    def __init__(self, lang: str | None, report: dict[str, Any] | None = None) -> None:
        found = report or {}
        self.lang, self.terms = lang, frozenset(found.get("terms") or {})
        columns = [column["name"] for column in found.get("schema") or [] if isinstance(column, dict)]
        alone = (found.get("evaluation") or {}).get("alone") or {}
        self.names = frozenset(map(str, (*columns, *alone, *found.get("modalities", ())))) - self.terms

    @property
    def colon(self) -> str:
        """What stands between a heading and what it heads, full width in Chinese."""
        return self._sign(": ", "\uff1a")

    @property
    def semicolon(self) -> str:
        """What stands between two statements of a line, full width in Chinese."""
        return self._sign("; ", "\uff1b")

    def listed(self, parts: Iterable[str]) -> str:
        """Parts one after the other, between them the comma of lists."""
        return self._sign(", ", "\u3001").join(parts)

    def bracketed(self, text: str) -> str:
        """What stands in brackets behind a word, full width in Chinese."""
        return self._sign(f" ({text})", f"\uff08{text}\uff09")

    def _sign(self, narrow: str, wide: str) -> str:
        return narrow if self.lang in (None, "en") else wide

    def __call__(self, text: str, kind: str = "") -> str:
        """A line, or a word of a kind such as "metric"."""
        from plait.api import in_language

        return in_language(self.lang, text, self.names, kind)

    def named(self, name: str) -> str:
        """A modality: the name of its column, or what stands for several columns."""
        return self(name, "modality") if name in self.terms else name

    def alone(self, name: str) -> str:
        """A modality that answers alone."""
        return self(f"{self.named(name)} alone")

    def problem(self, text: str) -> str:
        """What is wrong with a row: reasons behind the names of their columns."""
        said = []
        for part in re.split(r"; (?=[^;:]+: )", text):
            column, colon, reason = part.partition(": ")
            told = self(reason) if colon else reason
            said.append(self(part) if told == reason else f"{column}{self.colon}{told}")
        return self.semicolon.join(said)


def typed_language() -> str | None:
    """What was typed as ``--lang`` of the verb that runs; None: nothing, or it has no such option."""
    return _TYPED.get()


@contextlib.contextmanager
def speaking(lang: str) -> Iterator[None]:
    """Within this, ``--lang`` was typed."""
    before = _TYPED.set(lang)
    try:
        yield
    finally:
        _TYPED.reset(before)


def note(text: str) -> str:
    """A note for the terminal, in the language of ``--lang``."""
    tr = Speaker(typed_language())
    return f"{tr('note')}{tr.colon}{as_typed(tr(text))}"


def padded(text: str, width: int) -> str:
    """Text filled up with spaces to a width, a Chinese character counting two.

    Example:
        >>> padded("ab", 4) + "|", padded("\u56fe", 4) + "|"
        ('ab  |', '\u56fe  |')
    """
    return text + " " * max(0, width - wide(text))


def wide(text: str) -> int:
    """How many columns of a terminal a text takes, a Chinese character two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
