"""Cleaning of texts before they are cut into tokens: "none" (the default), or "social" for posts.

In comes a text, out comes a text; what was changed is counted. "social" does, in this order:

* an address on the web becomes ``http`` and a user name ``@user``, the words that encoders of posts were trained with
  (an e-mail address is no user name);
* a hashtag becomes its words: ``#GoodMorning2U`` gives ``good morning 2 u`` (a tag in small letters only stays one
  word; a Chinese tag between two ``#`` stays as it is);
* an emoji becomes its Unicode name between colons: ``:face with tears of joy:``; flags give their letters, tones of
  skin are left out.

It is off unless asked for, a setting of the run and of the saved processor, part of the key under which features are
stored, and shown in the report.

Reference: Barbieri et al. 2020 (TweetEval), section 3, for the two words.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Any

from plait.registry import Registry

_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>\"\uff0c\u3002]+", re.I)
_USER = re.compile(r"(?<![\w.+@])@\w+(?:[.-]\w+)*")
_WIDE_TAG = re.compile(r"#([^#\s]*[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af][^#\s]*)#")
_TAG = re.compile(r"(?<![\w&])[#\uff03](\w*[^\W\d]\w*)")
_JOINERS = {0x200D, 0xFE0E, 0xFE0F, 0x20E3}
_RANGES = ((0x2300, 0x23FF), (0x2600, 0x27BF), (0x2B00, 0x2BFF), (0x1F000, 0x1FAFF))
_TONES = (0x1F3FB, 0x1F3FF)
_FLAGS = (0x1F1E6, 0x1F1FF)

Cleaning = Callable[[str, Counter[str]], str]
"""Takes a text and a counter of changes, which it completes; returns the cleaned text."""

CLEANINGS: Registry[Cleaning] = Registry("text cleaning")


def clean_texts(texts: list[str], cleaning: str) -> tuple[list[str], Counter[str]]:
    """Clean texts, and count what was changed.

    Args:
        texts: The texts.
        cleaning: A name of `CLEANINGS`.

    Raises:
        ValueError: No cleaning of that name.

    Example:
        >>> clean_texts(["@anna #GoodMorning \U0001f600"], "social")[0]
        ['@user good morning :grinning face:']
    """
    clean, counts = CLEANINGS.get(cleaning), Counter[str]()
    return [clean(text, counts) for text in texts], counts


def cleaning_of(description: dict[str, Any]) -> str:
    """The cleaning that the description of a processor names; "none" where it names none.

    Raises:
        ValueError: No cleaning of that name.
    """
    name = str(description.get("cleaning", "none"))
    CLEANINGS.get(name)
    return name


def leave(text: str, counts: Counter[str]) -> str:
    """The text as it is."""
    return text


def social(text: str, counts: Counter[str]) -> str:
    """Addresses, user names, hashtags and emoji of a post as words."""
    made, num = _ADDRESS.subn("http", text)
    counts["addresses"] += num
    made, num = _USER.subn("@user", made)
    counts["user names"] += num
    made, wide = _WIDE_TAG.subn(r" \1 ", made)
    made, num = _TAG.subn(lambda match: hashtag_words(match[1]), made)
    counts["hashtags"] += num + wide
    made = _spell_emoji(made, counts)
    made = " ".join(made.split())
    counts["texts changed"] += made != text
    return made


def hashtag_words(tag: str) -> str:
    """The words of a hashtag, in small letters.

    Example:
        >>> hashtag_words("GoodMorning"), hashtag_words("NASALaunch_2024"), hashtag_words("sunday")
        ('good morning', 'nasa launch 2024', 'sunday')
    """
    spaced = ""
    for before, letter, after in zip(" " + tag, tag, tag[1:] + " ", strict=False):
        begins = letter.isupper() and (before.islower() or before.isupper() and after.islower())
        if begins or letter.isdigit() != before.isdigit():
            spaced += " "
        spaced += letter
    return " ".join(spaced.replace("_", " ").split()).lower()


def _spell_emoji(text: str, counts: Counter[str]) -> str:
    pieces: list[str] = []
    flag = ""
    for letter in text:
        point = ord(letter)
        if _FLAGS[0] <= point <= _FLAGS[1]:
            flag += chr(point - _FLAGS[0] + ord("a"))
            if len(flag) == 2:
                pieces.append(f" :flag {flag}: ")
                counts["emoji"] += 1
                flag = ""
            continue
        flag = ""
        if point in _JOINERS or _TONES[0] <= point <= _TONES[1]:
            pieces.append("")
        elif unicodedata.category(letter) == "So" and any(low <= point <= high for low, high in _RANGES):
            pieces.append(f" :{unicodedata.name(letter, 'emoji').lower()}: ")
            counts["emoji"] += 1
        else:
            pieces.append(letter)
    return "".join(pieces)


CLEANINGS.add("none", leave)
CLEANINGS.add("social", social)
