"""One item that cannot be prepared is a bad row, whatever comes out of the decoder; the rest goes on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fixtures.lazy import lazy
from fixtures.media import encoded, red_or_blue, sound
from plait.data.bad_rows import warn_of_bad_rows
from plait.data.modality import Modality
from plait.data.table import BadRow, read_table
from plait.settings import EncoderSettings

load_inputs = lazy("plait.inputs.inputs", "load_inputs")
prepare = lazy("plait.inputs.prepare", "prepare")
dataset = lazy("plait.inputs.dataset")


def prepared_of(column: str, kind: str, files: dict[str, bytes], folder: Path, max_pixels: int = 10**6) -> Any:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "t.csv").write_text(f"{column}\n" + "".join(f"{name}\n" for name in files))
    settings = EncoderSettings(image="scratch:image", audio="scratch:audio", image_size=32)
    inputs = load_inputs((Modality(column, kind, (column,)),), settings, with_tokens=False, max_pixels=max_pixels)
    return prepare(read_table(folder / "t.csv"), inputs)


def test_what_passes_the_examination_is_prepared(tmp_path: Path) -> None:
    nan = encoded(Image.fromarray(np.array([[0.5, np.nan]], dtype=np.float32)), "TIFF")
    files = {"a.png": red_or_blue(True, 3), "nan.tiff": nan, "wide.png": encoded(Image.new("L", (1, 30_000)))}
    prepared = prepared_of("image", "image", files, tmp_path)
    assert [(bad.row, "not numbers" in bad.reason) for bad in prepared.rows.bad] == [(1, True)]
    taken = dataset.RowBatches(prepared.sources, prepared.rows.index_NM)  # every row can be put into a batch
    assert len(taken) == 3 and prepared.sources["image"].take(prepared.rows.items["image"].index_N)


def test_the_blank_of_a_missing_picture_is_within_any_limit(tmp_path: Path) -> None:
    """It had 32 x 32 pixels, and a run with ``data.max_pixels`` below that ended at the first missing picture."""
    files = {"a.png": encoded(Image.new("RGB", (4, 4))), "large.png": encoded(Image.new("RGB", (5, 4)))}
    prepared = prepared_of("image", "image", files, tmp_path, max_pixels=16)
    assert [(bad.row, "5 x 4, the limit is 16" in bad.reason) for bad in prepared.rows.bad] == [(1, True)]
    black, blank = (prepared.sources["image"].take(np.array([n]))["pixel_values"] for n in (0, -1))
    assert np.array_equal(black, blank)


def test_a_table_of_nothing_but_broken_pictures_is_reported_row_by_row(tmp_path: Path) -> None:
    cut = encoded(Image.new("RGB", (64, 64), "red"), "JPEG")[:300]
    prepared = prepared_of("image", "image", {"a.jpg": cut, "b.png": b"hello"}, tmp_path)
    assert [bad.row for bad in prepared.rows.bad] == [0, 1]
    assert prepared.sources["image"].take(np.array([-1, -1]))


@pytest.mark.parametrize("error", [MemoryError(), OverflowError("odd"), IndexError()])
def test_whatever_a_processor_raises_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def odd(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.setattr("plait.processors.audio.read_clip", odd)
    prepared = prepared_of("call", "audio", {"a.wav": sound(np.ones(1600) * 0.1)}, tmp_path)
    (bad,) = prepared.rows.bad
    assert ("memory" in bad.reason and "no fault" in bad.reason) == isinstance(error, MemoryError)


def test_answers_without_room_for_reasons_log_them(caplog: pytest.LogCaptureFixture) -> None:
    table = read_table({"image": ["a.png", "b.png"]})
    with caplog.at_level(logging.WARNING):
        warn_of_bad_rows([], table)
        assert not caplog.records
        warn_of_bad_rows([BadRow(1, "image", "it lies outside")], table)
    assert "1 of 2 rows" in caplog.text and "row 1, column 'image': it lies outside" in caplog.text
