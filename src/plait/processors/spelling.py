"""What the library of a model does to a text before its tokenizer: spaces, small letters, punctuation left out.

Not a setting of ours: the folder of the model says it (``open_clip``), and words are spelt so in training and search
alike. In comes a text, out comes a text. Characters that were decoded wrongly are not repaired; ``open_clip`` does that
by the package ftfy.
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable

from plait.registry import Registry

Spelling = Callable[[str], str]
SPELLINGS: Registry[Spelling] = Registry("spelling of texts")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def as_it_is(text: str) -> str:
    """The text itself."""
    return text


def whitespace(text: str) -> str:
    """Entities of HTML as characters, one space between words.

    Example:
        >>> whitespace(" salt &amp;amp;  pepper ")
        'salt & pepper'
    """
    return " ".join(html.unescape(html.unescape(text)).split())


def lower(text: str) -> str:
    """The same in small letters."""
    return whitespace(text).lower()


def canonicalize(text: str) -> str:
    """The same in small letters, without punctuation; an underscore is a space.

    Example:
        >>> canonicalize("A dog's_life!")
        'a dogs life'
    """
    return " ".join(html.unescape(html.unescape(text)).replace("_", " ").translate(_NO_PUNCTUATION).lower().split())


SPELLINGS.add("none", as_it_is)
SPELLINGS.add("whitespace", whitespace)
SPELLINGS.add("lower", lower)
SPELLINGS.add("canonicalize", canonicalize)
