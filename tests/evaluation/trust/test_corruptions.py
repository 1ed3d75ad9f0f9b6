"""Corruptions: severity 0 changes nothing, more severity changes more, shapes and scripts survive."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np
import pytest

from plait.evaluation.trust.corruptions import CORRUPTIONS, corrupt, corruptions_of
from plait.evaluation.trust.corruptions.text import letters_of

SENTENCES = [
    "the old captain sold three small boats on monday",
    "一位老船长在星期一卖掉了三条小船",
    "باع القبطان العجوز ثلاثة قوارب صغيرة",
]


def contents(kind: str) -> list[Any]:
    """Fifty contents of a kind."""
    draw = np.random.default_rng(0)
    if kind == "image":
        smooth = draw.integers(0, 256, (50, 6, 6, 3), dtype=np.uint8)
        return list(smooth.repeat(5, axis=1).repeat(5, axis=2))
    if kind == "audio":
        return [np.sin(np.arange(800) * (0.02 + 0.001 * i)).astype(np.float32) for i in range(50)]
    if kind == "text":
        return [SENTENCES[i % 3] for i in range(50)]
    return [draw.normal(5, 2, 40) for _ in range(50)]


def change(before: Any, after: Any) -> float:
    if isinstance(before, str):
        return 1 - difflib.SequenceMatcher(None, before, after, autojunk=False).ratio()
    after = np.where(np.isfinite(after), after, before + 1.0)
    return float(np.abs(after.astype(np.float64) - before).mean())


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_change_grows_with_severity_and_the_seed_repeats_it(name: str) -> None:
    kind = CORRUPTIONS.get(name).kinds[0]
    given = contents(kind)
    mean = []
    for severity in range(6):
        made = [corrupt(name, content, severity, [7, i]) for i, content in enumerate(given)]
        again = corrupt(name, given[0], severity, [7, 0])
        assert np.array_equal(made[0], again, equal_nan=kind == "tabular") if kind != "text" else made[0] == again
        if severity == 0:
            assert all(a is b for a, b in zip(made, given, strict=True))
        mean.append(np.mean([change(a, b) for a, b in zip(given, made, strict=True)]))
    assert mean[0] == 0 and (np.diff(mean) > 0).all(), mean


@pytest.mark.parametrize("name", corruptions_of("image"))
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (7, 5), (7, 5, 1), (8, 6, 4), (3, 40, 3)])
def test_pictures_of_every_size_keep_shape_type_and_alpha(name: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    made = corrupt(name, pixels, 5)
    assert made.shape == shape and made.dtype == np.uint8
    if shape[-1] == 4:
        assert np.array_equal(made[..., 3], pixels[..., 3])


def test_noise_has_the_ratio_that_is_asked_for() -> None:
    signal = np.sin(np.arange(100_000) * 0.05).astype(np.float32)
    noise = corrupt("audio_noise", signal, 2) - signal
    assert 10 * np.log10(np.square(signal).mean() / np.square(noise).mean()) == pytest.approx(10, abs=0.1)
    assert np.array_equal(corrupt("audio_noise", np.zeros(9, np.float32), 5), np.zeros(9, np.float32))


def test_marks_stay_on_their_letters() -> None:
    vowelled = "كَتَبَ الوَلَدُ"
    typed = corrupt("text_typos", vowelled, 5, 3)
    assert typed != vowelled and set(letters_of(typed)) <= set(letters_of(vowelled))
    assert corrupt("text_case", SENTENCES[1], 5) == SENTENCES[1]  # no case to change
    assert sorted(corrupt("text_swaps", SENTENCES[1], 5)) == sorted(SENTENCES[1])
    assert corrupt("text_drops", "one two three", 5).split()  # something always stays


def test_unknown_corruptions_and_severities_are_refused() -> None:
    with pytest.raises(ValueError, match="severity is 6"):
        corrupt("text_typos", "a", 6)
    with pytest.raises(ValueError, match="text_typos"):
        corrupt("text_typo", "a", 1)
