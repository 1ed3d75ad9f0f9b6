"""Texts damaged: typos, dropped words, changed case, swapped words; in every script.

A letter is a character with the marks that sit on it (Arabic vowels, accents, joined emoji), so that no mark is torn
off. Where a text has no spaces (Chinese, Japanese, Thai) its letters are its words.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from plait.evaluation.trust.corruptions.base import CORRUPTIONS, Corruption

JOINER = "\u200d"


def letters_of(text: str) -> list[str]:
    r"""The characters of a text, each with the marks that sit on it.

    Example:
        >>> [len(letter) for letter in letters_of("e\u0301a")]
        [2, 1]
    """
    found: list[str] = []
    for character in text:
        sits = unicodedata.category(character) in ("Mn", "Mc", "Me") or character == JOINER
        if found and (sits or found[-1].endswith(JOINER)):
            found[-1] += character
        else:
            found.append(character)
    return found


def words_of(text: str) -> tuple[list[str], str]:
    """Words and what stands between two; the letters and nothing where a text has no spaces."""
    words = text.split()
    longest = max(map(len, words), default=0)
    spaceless = any(_is_spaceless(c) for c in text)
    return (letters_of(text), "") if spaceless and longest > 4 or (spaceless and len(words) < 2) else (words, " ")


def _is_spaceless(character: str) -> bool:
    """Whether a character is of a script that is written without spaces between words."""
    return bool(re.match(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f\U00020000-\U0002ffff]", character))


def _typos(text: str, strength: float, rng: np.random.Generator) -> str:
    """Letters left out, doubled, or turned round with the next one."""
    letters = letters_of(text)
    chance, kind = rng.random(len(letters)), rng.integers(0, 3, len(letters))
    made: list[str] = []
    held: str | None = None
    for letter, drawn, how in zip(letters, chance, kind, strict=True):
        if held is not None:  # the letter before waits for this one
            made += [letter, held]
            held = None
        elif drawn >= strength or letter.isspace():
            made.append(letter)
        elif how == 1:
            made += [letter, letter]
        elif how == 2:
            held = letter
    return "".join(made) + (held or "")


def _drops(text: str, strength: float, rng: np.random.Generator) -> str:
    """Words left out; the one with the best chance always stays."""
    words, between = words_of(text)
    chance = rng.random(len(words))
    kept = [w for w, drawn in zip(words, chance, strict=True) if drawn >= strength or drawn == chance.max()]
    return between.join(kept)


def _case(text: str, strength: float, rng: np.random.Generator) -> str:
    """Letters in the other case."""
    chance = rng.random(len(text))
    return "".join(c.swapcase() if drawn < strength else c for c, drawn in zip(text, chance, strict=True))


def _swaps(text: str, strength: float, rng: np.random.Generator) -> str:
    """Words of pairs that stand side by side changed with each other."""
    words, between = words_of(text)
    chance = rng.random(len(words) // 2)
    for place in 2 * np.flatnonzero(chance < strength):
        words[place], words[place + 1] = words[place + 1], words[place]
    return between.join(words) if (chance < strength).any() else text


for name, strengths, what, apply in (
    ("typos", (0.03, 0.06, 0.12, 0.2, 0.35), "part of the letters", _typos),
    ("drops", (0.1, 0.2, 0.35, 0.5, 0.7), "part of the words", _drops),
    ("case", (0.1, 0.2, 0.4, 0.7, 1.0), "part of the letters; scripts without case stay", _case),
    ("swaps", (0.1, 0.25, 0.45, 0.7, 1.0), "part of the pairs of words", _swaps),
):
    CORRUPTIONS.add(f"text_{name}", Corruption(("text",), strengths, what, apply))
