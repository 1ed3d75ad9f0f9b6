"""What the words of a row forbid its views: no mirrored picture under "left", no other colours under "red".

In: the texts that belong to a row (captions, categories, a target in words, names of columns). Out: which changes of
its pictures keep them true. Words are English or Chinese; a word too many in the lists costs a little variety, one too
few makes a caption false, so the lists are wide. ``mirrored`` gives the words of the mirrored picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

SIDE_WORDS = ("left", "right", "clockwise", "counterclockwise", "anticlockwise", "east", "west", "eastern", "western",
              "port", "starboard", "mirrored", "flipped", "reversed", "backwards")  # fmt: skip
SIDE_SIGNS = (
    "左",
    "右",
    "[顺順逆][时時][针針]",
    "[镜鏡]像",
    "翻[转轉]",
    "[东東西][边邊侧側面方部岸]",
    "[朝向往][东東西]",
)
PLACE_WORDS = ("above", "below", "under", "underneath", "over", "beneath", "top", "bottom", "upper", "lower", "up",
               "down", "upright", "upside", "vertical", "vertically", "horizontal", "horizontally", "tilted", "rotated",
               "diagonal", "diagonally", "north", "south", "angle", "sideways")  # fmt: skip
PLACE_SIGNS = ("上", "下", "[竖豎]", "[横橫]", "斜", "[倾傾]", "倒", "旋[转轉]", "垂直", "水平", "[顶頂]", "底",
               "[朝向往][南北]", "[南北][边邊侧側面方部岸]")  # fmt: skip
COLOUR_WORDS = (
    "red", "green", "blue", "yellow", "orange", "purple", "violet", "pink", "brown", "black", "white", "grey", "gray",
    "gold", "golden", "silver", "beige", "turquoise", "teal", "cyan", "magenta", "maroon", "navy", "tan", "cream",
    "blond", "blonde", "brunette", "crimson", "scarlet", "indigo", "lavender", "lime", "olive", "khaki", "bronze",
    "reddish", "greenish", "bluish", "yellowish", "whitish", "blackish", "dark", "darker", "light", "lighter",
    "bright", "brighter", "pale", "colour", "colours", "coloured", "colourful", "color", "colors", "colored",
    "colorful", "monochrome", "sepia", "tone", "shade", "hue",
)  # fmt: skip
COLOUR_SIGNS = tuple("红紅绿綠蓝藍黄黃橙橘紫粉棕褐黑白灰银銀金青色彩深浅淺亮暗")

# Next to these "left" and "right" are sides; elsewhere they may mean "departed" and "correct".
BEFORE_A_SIDE = (
    r"(?:the|its|his|her|their|your|my|on|to|from|at|far|top|bottom|upper|lower|center|centre|facing|turns?)"
)
AFTER_A_SIDE = r"(?:side|hand|half|corner|edge|end|arm|leg|foot|eye|ear|shoulder|lane|of|wing|profile)"
BEHIND_A_SIDE = (  # what goes on after "on the left"; a noun there would make it "the right answer"
    r"(?:and|or|but|is|are|was|were|has|have|with|in|at|near|behind|beside|next|from|to|as|while|who|which|that|there"
    r"|looks?|holds?|wears?|stands?|sits?)"
)
SIDE = re.compile(r"(?<!\w)(?P<word>left|right)(?P<tail>most|wards?|-?hand(?:ed)?)?(?!\w)", re.IGNORECASE)
NOT_SIDES = re.compile(r"左右|左派|右派|左翼|右翼")
SWAPPED = {"left": "right", "right": "left", "左": "右", "右": "左"}


@dataclass(frozen=True)
class Allowed:
    """Which changes of a picture keep the words beside it true.

    Attributes:
        flip: Left and right may change places.
        turn: It may be turned.
        recolour: Its colours may change.
    """

    flip: bool = True
    turn: bool = True
    recolour: bool = True


def names_side(text: str) -> bool:
    """Whether a text tells left from right.

    Example:
        >>> names_side("a dog LEFT of a car"), names_side("a bright copyright"), names_side("狗在左边")
        (True, False, True)
    """
    return _holds(text, _SIDES)


def names_place(text: str) -> bool:
    """Whether a text tells what is above, below or how something is turned."""
    return _holds(text, _PLACES)


def names_colour(text: str) -> bool:
    """Whether a text names a colour, or asks for one.

    Example:
        >>> names_colour("what color is it?"), names_colour("a bored cat"), names_colour("一只黑猫")
        (True, False, True)
    """
    return _holds(text, _COLOURS)


def allowed_by(texts: Iterable[str]) -> Allowed:
    """What the texts of one row allow of its pictures."""
    known = list(texts)
    has_side = any(map(names_side, known))
    return Allowed(
        flip=not has_side,
        turn=not has_side and not any(map(names_place, known)),
        recolour=not any(map(names_colour, known)),
    )


def mirrored(text: str) -> str | None:
    """The text of the mirrored picture, left and right exchanged; None where a word may mean something else.

    Twice it is the identity.

    Example:
        >>> mirrored("a dog on the left, a cat on the RIGHT side")
        'a dog on the right, a cat on the LEFT side'
        >>> mirrored("he left the room") is None, mirrored("左边的狗")
        (True, '右边的狗')
    """
    if not names_side(text):
        return text
    if NOT_SIDES.search(text) or _holds(text, _OTHER_SIDES):
        return None
    for found in SIDE.finditer(text):
        word = found["word"]
        if word not in (word.lower(), word.upper(), word.capitalize()) or not (found["tail"] or _is_side(text, found)):
            return None
    swapped = SIDE.sub(lambda m: _like(m["word"], SWAPPED[m["word"].lower()]) + (m["tail"] or ""), text)
    swapped = re.sub("[左右]", lambda m: SWAPPED[m[0]], swapped)
    return None if swapped == text else swapped  # a side was named, but in no word that can be exchanged


@dataclass(frozen=True)
class Shown:
    """Which items rows show, as pairs of a row and an item.

    Attributes:
        row_E: Numbers of rows, [E].
        item_E: Number of the item of each, [E].
        count: How many items there are.
    """

    row_E: np.ndarray  # noqa: N815  shape letters
    item_E: np.ndarray  # noqa: N815
    count: int

    def allowed(self, allowed_R: np.ndarray) -> np.ndarray:
        """Whether every row that shows an item allows a change, by item [count]; True of one that no row shows.

        Example:
            >>> shown = Shown(np.array([0, 1, 2]), np.array([0, 0, 1]), 3)
            >>> shown.allowed(np.array([True, False, True])).tolist()
            [False, True, True]
        """
        allowed = np.ones(self.count, dtype=bool)
        allowed[self.item_E[~allowed_R[self.row_E]]] = False
        return allowed


def spread(allowed_R: np.ndarray, shown: Sequence[Shown]) -> np.ndarray:
    """Forbid a change for every row that is tied to a row which forbids it, by an item that both show.

    Args:
        allowed_R: Whether each row allows it, [R].
        shown: The items that must be changed alike wherever they are shown.

    Returns:
        Rows that may be changed, [R]; of the rows of one item all or none.
    """
    allowed_R = allowed_R.copy()
    while True:
        before = int(allowed_R.sum())
        for one in shown:
            allowed_R[one.row_E[~one.allowed(allowed_R)[one.item_E]]] = False
        if int(allowed_R.sum()) == before:
            return allowed_R


def _pattern(words: Sequence[str], signs: Sequence[str]) -> re.Pattern[str]:
    word = "|".join(map(re.escape, words))
    return re.compile(
        rf"(?<![^\W_])(?:{word})(?:most|ward|wards|hand|handed|s)?(?![^\W_])|{'|'.join(signs)}", re.IGNORECASE
    )


_SIDES, _PLACES = _pattern(SIDE_WORDS, SIDE_SIGNS), _pattern(PLACE_WORDS, PLACE_SIGNS)
_COLOURS = _pattern(COLOUR_WORDS, COLOUR_SIGNS)
_OTHER_SIDES = _pattern(SIDE_WORDS[2:], SIDE_SIGNS[2:])


def _holds(text: str, pattern: re.Pattern[str]) -> bool:
    return pattern.search(text) is not None


def _is_side(text: str, found: re.Match[str]) -> bool:
    """Whether the words around say that this is a side; "all right" and "the right answer" do not."""
    before, after = text[: found.start()], text[found.end() :]
    if re.match(rf"[\s-]+{AFTER_A_SIDE}\b", after, re.IGNORECASE):
        return True
    ends = re.match(rf"\s*(?:[.,;:!?)]|$|{BEHIND_A_SIDE}\b)", after, re.IGNORECASE)
    return bool(ends and re.search(rf"\b{BEFORE_A_SIDE}[\s-]+$", before, re.IGNORECASE))


def _like(given: str, word: str) -> str:
    """A word in the case of another."""
    return word.upper() if given.isupper() else word.capitalize() if given[0].isupper() else word
