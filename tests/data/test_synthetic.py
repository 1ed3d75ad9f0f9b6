"""Planted data: the signal is where it was planted, measured on the pixels and words themselves."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plait.data.synthetic import MODES, make_synthetic
from plait.data.table import Table


def seen(table: Table) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """What an observer reads off each cell: redder than blue, sunny, above zero; and the label."""
    columns = table.arrow.to_pydict()
    pixels = [np.asarray(Image.open(io.BytesIO(cell)).convert("RGB"), np.float64) for cell in columns["image"]]
    return {
        "red": np.array([image[..., 0].mean() > image[..., 2].mean() for image in pixels]),
        "sunny": np.array(["sunny" in text.split() for text in columns["text"]]),
        "above": np.array(columns["number"]) > 0,
        "yes": np.array(columns["label"]) == "yes",
        "split": np.array(columns["split"]),
    }


def ceiling(bits: list[np.ndarray[Any, np.dtype[Any]]], yes: np.ndarray[Any, np.dtype[Any]]) -> float:
    """The best accuracy of any rule that sees these bits only."""
    right = 0
    for cell in itertools.product([False, True], repeat=len(bits)):
        labels = yes[np.all([bit == value for bit, value in zip(bits, cell, strict=True)], axis=0)]
        right += max(int(labels.sum()), int((~labels).sum()))
    return right / len(yes)


def test_xor_needs_both() -> None:
    found = seen(make_synthetic("xor", 400))
    assert (found["yes"] == (found["red"] ^ found["sunny"])).all()
    for split in ("train", "val", "test"):
        part = {name: values[found["split"] == split] for name, values in found.items()}
        for alone in ("red", "sunny", "above"):
            assert ceiling([part[alone]], part["yes"]) == 0.5
        assert ceiling([part["red"], part["sunny"]], part["yes"]) == 1.0
        assert ceiling([part["red"], part["above"]], part["yes"]) == 0.5


def test_xor_is_at_chance_for_the_best_additive_rule() -> None:
    """Least squares on the three bits finds nothing at all: every weight is zero."""
    found = seen(make_synthetic("xor", 400))
    design = np.stack([np.ones(400), found["red"], found["sunny"], found["above"]], axis=1).astype(float)
    weights = np.linalg.lstsq(design, found["yes"].astype(float), rcond=None)[0]
    assert np.allclose(weights, [0.5, 0, 0, 0], atol=1e-12)


def test_additive_needs_all_three_and_a_sum_is_enough() -> None:
    found = seen(make_synthetic("additive", 400))
    votes = found["red"].astype(int) + found["sunny"] + found["above"]
    assert ((votes >= 2) == found["yes"]).all()
    bits = [found["red"], found["sunny"], found["above"]]
    assert [ceiling([bit], found["yes"]) for bit in bits] == [0.75] * 3
    assert ceiling(bits[:2], found["yes"]) == 0.75


def test_dead_picture_carries_nothing() -> None:
    table = make_synthetic("dead", 800, seed=2)
    found = seen(table)
    assert (found["yes"] == found["sunny"]).all()
    assert ceiling([found["red"]], found["yes"]) < 0.56  # what noise gives by luck
    pixels = np.asarray(Image.open(io.BytesIO(table.arrow.column("image")[0].as_py())))
    assert pixels.shape == (32, 32, 3) and 60 < pixels.std() < 90  # uniform noise: 255 / sqrt(12) = 74


@pytest.mark.parametrize("mode", list(MODES))
def test_idle_words_and_sizes_of_splits(mode: str) -> None:
    table = make_synthetic(mode, 100, seed=5)
    splits = table.arrow.column("split").to_pylist()
    assert [splits.count(name) for name in ("train", "val", "test")] == [60, 20, 20]
    assert table.arrow.column_names == ["id", "image", "text", "number", "label", "split"]
    assert len(set(table.arrow.column("text").to_pylist())) > 40
    assert not any("red" in text.split() or "blue" in text.split() for text in table.arrow.column("text").to_pylist())


def test_seed_decides_every_byte() -> None:
    assert make_synthetic("xor", 20, seed=1).arrow.equals(make_synthetic("xor", 20, seed=1).arrow)
    assert not make_synthetic("xor", 20, seed=1).arrow.equals(make_synthetic("xor", 20, seed=2).arrow)


def test_label_noise_turns_exactly_that_share() -> None:
    found = seen(make_synthetic("xor", 400, label_noise=0.1))
    assert (found["yes"] != (found["red"] ^ found["sunny"])).sum() == 40
    assert len(make_synthetic("xor", 1).arrow) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"mode": "xnor"}, "unknown mode of planted data 'xnor'. Did you mean 'xor'"),
        ({"mode": "xor", "num_rows": 0}, "num_rows is 0"),
        ({"mode": "xor", "num_rows": True}, "num_rows is True"),
        ({"mode": "xor", "image_size": 7}, "image_size is 7"),
        ({"mode": "xor", "label_noise": float("nan")}, "label_noise is nan"),
        ({"mode": "xor", "fractions": (0.5, 0.5, 0.5)}, "add up to 1"),
        ({"mode": "xor", "fractions": (float("nan"), 0.5, 0.5)}, "add up to 1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_synthetic(**arguments)
