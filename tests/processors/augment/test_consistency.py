"""What words forbid: sides, colours and places in English and Chinese, and items that must agree."""

from __future__ import annotations

import numpy as np
import pytest

from plait.processors.augment.consistency import Allowed, Shown, allowed_by, mirrored, names_colour, names_side, spread


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a dog to the left of a car", Allowed(flip=False, turn=False)),
        ("the LEFTMOST cup", Allowed(flip=False, turn=False)),
        ("copyright of a leftover", Allowed()),
        ("a red car", Allowed(recolour=False)),
        ("is it colourful?", Allowed(recolour=False)),
        ("a bored cat in an incredible redwood", Allowed()),
        ("a lamp above a bed", Allowed(turn=False)),
        ("狗在猫的左边", Allowed(flip=False, turn=False)),
        ("一辆红车", Allowed(recolour=False)),
        ("这是什么颜色", Allowed(recolour=False)),
        ("一只猫和一只狗", Allowed()),
    ],
)
def test_what_one_text_allows(text: str, wanted: Allowed) -> None:
    assert allowed_by([text, "two dogs"]) == wanted


def test_names_of_columns_count_as_words() -> None:
    assert names_side("left_eye") and names_side("view-right") and not names_side("leftover_eye")
    assert names_colour("red_channel") and not names_colour("shared")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a dog on the left", "a dog on the right"),
        ("Left of the tree, the RIGHT side, leftmost", "Right of the tree, the LEFT side, rightmost"),
        ("猫在左边,狗在右边", "猫在右边,狗在左边"),
        ("a left-hand glove", "a right-hand glove"),
        ("two dogs", "two dogs"),
        ("the man on his right in a hat", "the man on his left in a hat"),
        ("at the right time", None),
        ("the right answer", None),
        ("all right", None),
        ("she left early", None),
        ("五点左右", None),
        ("turn it clockwise, to the left", None),
        ("on the lEft side", None),
    ],
)
def test_mirrored_words_or_none_where_they_may_mean_something_else(text: str, wanted: str | None) -> None:
    assert mirrored(text) == wanted
    if wanted is not None:
        assert mirrored(wanted) == text  # twice is the identity


def test_what_one_row_forbids_is_forbidden_wherever_its_items_are_shown() -> None:
    """Rows 0 and 1 show one picture, rows 1 and 2 one text: row 0 forbids for all three, not for row 3."""
    pictures = Shown(np.arange(4), np.array([0, 0, 1, 2]), 3)
    texts = Shown(np.array([1, 2, 3]), np.array([0, 0, 1]), 2)
    allowed = np.array([False, True, True, True])
    assert spread(allowed, [pictures]).tolist() == [False, False, True, True]
    assert spread(allowed, [pictures, texts]).tolist() == [False, False, False, True]
    assert spread(allowed, []).tolist() == allowed.tolist() == [False, True, True, True]
    assert spread(np.ones(2, dtype=bool), [Shown(np.zeros(0, int), np.zeros(0, int), 0)]).all()


def test_words_that_name_a_side_and_cannot_be_exchanged_are_not_mirrored() -> None:
    assert mirrored("the left_eye of this animal is closed") is None


@pytest.mark.parametrize("text", ["順時針", "在東邊", "在东面", "朝东走", "鏡像", "翻轉的圖", "lefts"])
def test_sides_in_both_chinese_scripts_and_in_the_plural(text: str) -> None:
    assert not allowed_by([text]).flip
    assert mirrored(text) is None or text == "lefts"


@pytest.mark.parametrize("text", ["紅車", "黃狗", "綠樹", "the reds", "two blacks"])
def test_colours_in_both_chinese_scripts_and_in_the_plural(text: str) -> None:
    assert not allowed_by([text]).recolour
    assert allowed_by(["这是一个东西"]).flip
