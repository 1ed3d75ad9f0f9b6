"""Items in parts: what each cutter calls a part, and what is left where parts are hidden."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fixtures.media import encoded, sound
from plait.explain.inputs.columns import cut_columns
from plait.explain.inputs.members import cut_members
from plait.explain.inputs.options import InputOptions
from plait.explain.inputs.regions import cut_regions
from plait.explain.inputs.spans import cut_spans
from plait.explain.inputs.words import MOST_PARTS, cut_words


def kept(count: int, *hidden: int) -> np.ndarray:
    mask = np.ones(count, dtype=bool)
    mask[list(hidden)] = False
    return mask


def test_words_are_cut_at_spaces_and_chinese_by_letter() -> None:
    cut = cut_words("a  red car\n我爱")
    assert [p["text"] for p in cut.parts] == ["a", "red", "car", "我", "爱"]
    assert all(cut.shown["text"][p["start"] : p["end"]] == p["text"] for p in cut.parts)
    assert cut.hidden(kept(5), 0) == "a  red car\n我爱"  # with everything, the text as it stands
    assert cut.hidden(kept(5, 1, 3), 0) == "a car 爱"
    assert cut_words("a red car", "[MASK]").hidden(kept(3, 1), 0) == "a [MASK] car"
    assert cut.hidden(np.zeros(5, dtype=bool), 0) == "" and len(cut_words("  ")) == 0


def test_a_long_text_has_runs_of_words_and_none_is_lost() -> None:
    text = " ".join(f"w{i}" for i in range(150))
    cut = cut_words(text)
    assert len(cut) <= MOST_PARTS and "150 words, in runs of 3" in (cut.note or "")
    assert " ".join(p["text"] for p in cut.parts) == text


@pytest.mark.parametrize(("instead", "colour"), [("grey", (128, 128, 128)), ("mean", (130, 0, 20))])
def test_a_hidden_region_is_even_and_the_rest_untouched(instead: str, colour: tuple[int, ...]) -> None:
    pixels = np.zeros((40, 20, 3), dtype=np.uint8)
    pixels[:, :, 0], pixels[:, :, 2] = np.linspace(60, 200, 40)[:, None].round(), 20
    cut = cut_regions(encoded(Image.fromarray(pixels)), 4, instead)
    assert len(cut) == 16 and cut.parts[0]["box"] == [0, 0, 0.25, 0.25] and cut.parts[15]["place"] == "row 4, column 4"
    made = np.asarray(Image.open(io.BytesIO(cut.hidden(kept(16, 5), 0))))
    assert (made[10:20, 5:10] == colour).all()
    made = made.copy()
    made[10:20, 5:10] = pixels[10:20, 5:10]
    assert (made == pixels).all()


def test_a_grid_has_no_cells_of_one_pixel_and_blur_keeps_a_plain_picture() -> None:
    plain = encoded(Image.new("RGB", (6, 40), (10, 90, 200)))
    cut = cut_regions(plain, 7, "blur")
    assert cut.shown["grid"] == [7, 3] and len(cut) == 21
    made = np.asarray(Image.open(io.BytesIO(cut.hidden(np.zeros(21, dtype=bool), 0))))
    assert (made == (10, 90, 200)).all()


def test_a_hidden_span_is_silent_and_the_others_keep_their_middle() -> None:
    soundfile = pytest.importorskip("soundfile", reason="extra audio")
    samples = np.sin(np.arange(16_000) / 5).astype(np.float32) * 0.5
    cut = cut_spans(sound(samples), 4)
    assert [(p["from"], p["to"]) for p in cut.parts] == [(0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)]
    whole, rate = soundfile.read(io.BytesIO(cut.hidden(kept(4), 0)), dtype="float32")
    assert rate == 16_000 and np.array_equal(whole, samples)
    part, _ = soundfile.read(io.BytesIO(cut.hidden(kept(4, 1), 0)), dtype="float32")
    assert (part[4000:8000] == 0).all()
    fade = 81
    assert np.array_equal(part[: 4000 - fade], samples[: 4000 - fade])
    assert np.array_equal(part[8000 + fade :], samples[8000 + fade :])
    assert len(cut_spans(sound(samples[:1600]), 16)) == 2  # no span below 50 ms
    assert "first 0.5 s of 1.0 s" in (cut_spans(sound(samples), 4, max_seconds=0.5).note or "")


def test_hidden_cells_come_from_one_other_row_or_are_missing() -> None:
    cell, others = {"area": 3.0, "zip": "a"}, [{"area": 9.0, "zip": "b"}, {"area": 7.0, "zip": "c"}]
    cut = cut_columns(cell, others)
    assert cut.draws == 2 and cut.hidden(np.zeros(2, dtype=bool), 1) == others[1]
    assert cut.hidden(kept(2, 0), 0) == {"area": 9.0, "zip": "a"}
    missing = cut_columns(cell, others, "missing")
    assert missing.draws == 1 and missing.hidden(kept(2, 1), 0) == {"area": 3.0, "zip": None}
    alone = cut_columns(cell, [])
    assert "no other row" in (alone.note or "") and alone.hidden(kept(2, 1), 0) == {"area": 3.0, "zip": None}


def test_members_leave_their_set() -> None:
    assert cut_members([4, 7, 9], [None] * 3).hidden(kept(3, 1), 0) == [4, 9]


def test_choices_that_do_not_exist_are_refused() -> None:
    for wrong, message in (
        ({"method": "lime"}, "occlusion"), ({"regions": "red"}, "grey"), ({"cells": "zero"}, "marginal"),
        ({"grid": 1}, "grid is 1"), ({"orders": 0}, "orders is 0"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            InputOptions(**wrong)
