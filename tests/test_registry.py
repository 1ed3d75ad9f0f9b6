"""Registries: a miss is loud, a name is taken once."""

from __future__ import annotations

import pytest

from plait.registry import Registry, first_line, unknown_name


def test_records_come_back_in_order() -> None:
    colours: Registry[int] = Registry("colour")
    assert colours.add("red", 1) == 1
    colours.add("blue", 0)
    assert colours.names() == list(colours) == ["red", "blue"]
    assert (colours.get("blue"), len(colours), "red" in colours, "green" in colours) == (0, 2, True, False)


def test_a_miss_names_the_nearest_and_all() -> None:
    colours: Registry[int] = Registry("colour")
    with pytest.raises(ValueError, match="unknown colour 'red'. Known: none"):
        colours.get("red")
    colours.add("red", 1)
    colours.add("blue", 2)
    with pytest.raises(ValueError, match="unknown colour 'bleu'. Did you mean 'blue'\\? Known: red, blue"):
        colours.get("bleu")


def test_a_name_is_taken_once() -> None:
    colours: Registry[int] = Registry("colour")
    colours.add("red", 1)
    with pytest.raises(ValueError, match="the colour 'red' is registered already"):
        colours.add("red", 2)
    assert colours.get("red") == 1


def test_the_sentence_without_a_near_name() -> None:
    assert unknown_name("task", "zzz", ["a", "b"]) == "unknown task 'zzz'. Known: a, b"


def test_the_first_line_of_an_error_is_there_even_where_its_message_is_empty() -> None:
    assert first_line(ValueError("\n too long\nin many lines")) == "too long"
    assert first_line(ValueError("")) == first_line(ValueError(" \n ")) == "ValueError"
