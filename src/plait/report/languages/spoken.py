"""The language a page is being written in, and :func:`tr`, through which every word of ours goes on its way there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from plait.registry import unknown_name
from plait.report.languages.catalogue import Catalogue

ENGLISH = "en"
LANGUAGES = (ENGLISH, "zh")

_NOW: ContextVar[tuple[str, frozenset[str]]] = ContextVar("plait_language", default=(ENGLISH, frozenset()))


def check_language(lang: str) -> str:
    """The language, if there is such a one.

    Raises:
        ValueError: There is not; the message names those that there are.

    Example:
        >>> check_language("zh")
        'zh'
    """
    if lang not in LANGUAGES:
        raise ValueError(unknown_name("language", lang, list(LANGUAGES), where="lang="))
    return lang


@contextlib.contextmanager
def spoken(lang: str, names: Collection[str] = ()) -> Iterator[None]:
    """Within this, :func:`tr` speaks the language.

    Args:
        lang: One of ``LANGUAGES``.
        names: Names of the data (columns, modalities), which stay as they are wherever a sentence holds one.

    Raises:
        ValueError: As :func:`check_language`.
    """
    before = _NOW.set((check_language(lang), frozenset(names)))
    try:
        yield
    finally:
        _NOW.reset(before)


def language() -> str:
    """The language that is spoken."""
    return _NOW.get()[0]


def tr(text: Any, context: str = "") -> Any:
    """A text of ours in the language that is spoken; text that the catalogue lacks, and what is no text, as it is.

    Args:
        text: A finished English message, or several of them in a row.
        context: What kind of word it is, where it is one that data could hold too ("kind" of a column called "text").

    Example:
        >>> with spoken("zh"):
        ...     tr("Rows left out: 3; cells counted as missing: 1,024.")
        '剔除的行：3；按缺失处理的单元格：1,024。'
    """
    lang, names = _NOW.get()
    if lang == ENGLISH or not isinstance(text, str) or not text:
        return text
    return catalogue(lang).translated(text, context, names)


def tr_in(lang: str, text: str, names: Collection[str] = ()) -> str:
    """A text of ours in a language, outside of any page.

    Raises:
        ValueError: As :func:`check_language`.
    """
    with spoken(lang, names):
        return str(tr(text))


@cache
def catalogue(lang: str) -> Catalogue:
    """The messages of a language other than English."""
    return Catalogue(json.loads((Path(__file__).parent / f"{lang}.json").read_text(encoding="utf-8")))
