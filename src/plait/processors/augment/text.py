"""Views of a text: words left out, or one span of them masked; words that rules turn on stay.

In and out: a text. Short texts stay as they are, since each of their words may be the one that counts. Chinese and
other scripts without spaces are cut into letters. Colours, sides, negations, numbers and question words are never
taken, for without them a text may mean the opposite.

Reference: Wei and Zou 2019 (EDA, random deletion); Joshi et al. 2020 (SpanBERT, masked spans).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.processors.augment.consistency import mirrored, names_colour, names_place, names_side
from plait.processors.words import WITHOUT_SPACES

# As the words of a bag, but for "isn't", which is one word here.
WORD = re.compile(rf"[{WITHOUT_SPACES}]|[^\W{WITHOUT_SPACES}]+(?:['\u2019][^\W{WITHOUT_SPACES}]+)*")
SHORT = 5  # words; shorter texts are left alone
MASK = "..."  # no encoder's own mask word: it reads like words left out to all of them
KEPT = re.compile(
    r"no|not|never|none|nor|without|nothing|nobody|neither|cannot|\w+n['\u2019]t|isnt|dont|only|is|are|what|which|who|whom|whose"
    r"|where|when|why|how|many|much|more|less|most|least|and|or|\d+|one|two|three|four|five|six|seven|eight|nine|ten"
    r"|[不没无非未别莫谁何哪几多少一二三四五六七八九十两吗么]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TextView:
    """One way to change a text.

    Attributes:
        mirror: Left and right change places in words, for a mirrored picture.
        drop: Numbers of the words that are left out.
        span: First and number behind the last of the words that are masked; equal: none.
    """

    mirror: bool = False
    drop: tuple[int, ...] = ()
    span: tuple[int, int] = (0, 0)

    def __call__(self, text: str) -> str:
        """The changed text."""
        text = (
            (mirrored(text) or text) if self.mirror else text
        )  # first: words left out may have told what "left" means
        return masked(dropped(text, self.drop), *self.span)

    def to_json(self) -> list[Any]:
        """What tells it from other views; an empty list changes nothing."""
        parts = [["mirror"] if self.mirror else [], ["drop", *self.drop] if self.drop else []]
        return [*filter(None, parts), *([["mask", *self.span]] if self.span[0] < self.span[1] else [])]


def draw_text(generator: np.random.Generator, text: str, rate: float, *, mirror: bool = False) -> TextView:
    """Draw a view: half of them leave words out, each with probability ``rate``; half mask a span of so many.

    Args:
        generator: What is drawn from.
        text: The text.
        rate: Share of the words, 0 to 1.
        mirror: Whether left and right change places.
    """
    drops = generator.random() < 0.5
    words = [found[0] for found in WORD.finditer(text)]
    if len(words) < SHORT:
        return TextView(mirror)
    if drops:
        return TextView(mirror, drop=words_to_drop(generator, words, rate))
    return TextView(mirror, span=span_to_mask(generator, words, rate))


def is_kept(word: str) -> bool:
    """Whether a word is never taken."""
    return bool(KEPT.fullmatch(word)) or names_side(word) or names_colour(word) or names_place(word)


def words_to_drop(
    generator: np.random.Generator, words: list[str], rate: float, keep: Callable[[str], bool] = is_kept
) -> tuple[int, ...]:
    """Numbers of the words that are left out: each with probability ``rate``, none at 0, all at 1 but those kept."""
    drawn = generator.random(len(words)) < rate
    return tuple(i for i, word in enumerate(words) if drawn[i] and not keep(word))


def span_to_mask(
    generator: np.random.Generator, words: list[str], rate: float, keep: Callable[[str], bool] = is_kept
) -> tuple[int, int]:
    """A span of ``rate`` of the words, rounded, at a random place; it is shortened where a word that is kept begins."""
    length = round(rate * len(words))
    first = int(generator.integers(len(words) - length + 1))
    end = next((i for i in range(first, first + length) if keep(words[i])), first + length)
    return first, end


def dropped(text: str, numbers: tuple[int, ...]) -> str:
    """The text without the words of these numbers.

    Example:
        >>> dropped("a small red car", (1, 3))
        'a red'
    """
    return _replaced(text, dict.fromkeys(numbers, ""))


def masked(text: str, first: int, end: int) -> str:
    """The text with a mask in place of the words from ``first`` to before ``end``.

    Example:
        >>> masked("a small red car", 1, 3)
        'a ... car'
    """
    return _replaced(text, {i: MASK if i == first else "" for i in range(first, end)}) if first < end else text


def _replaced(text: str, by_number: dict[int, str]) -> str:
    if not by_number:
        return text
    made, last = [], 0
    for number, found in enumerate(WORD.finditer(text)):
        if number in by_number:
            made += [text[last : found.start()], by_number[number]]
            last = found.end()
    return re.sub(r"\s{2,}", " ", "".join([*made, text[last:]])).strip()
