"""Sounds out of cells: every form and rate, what is broken, and hours of which only the start is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixtures.media import sound
from plait.data.checks.check import check_table
from plait.data.media import CellError
from plait.data.sound import decode_sound, find_sound, looks_like_sound, sound_key, sound_length
from plait.data.table import read_table

sf = pytest.importorskip("soundfile", reason="extra audio")


def tone(seconds: float = 0.5, hertz: float = 440.0, rate: int = 16_000) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def test_stereo_is_averaged_and_integers_are_scaled() -> None:
    heard = decode_sound(sound([[0.5, 0.0], [-0.25, 0.25]], subtype="FLOAT"), max_seconds=1)
    assert heard.samples.tolist() == [0.25, 0.0] and heard.samples.dtype == np.float32
    whole = decode_sound(sound(np.array([16384, -32768], dtype=np.int16), subtype="PCM_16"), max_seconds=1)
    assert whole.samples.tolist() == [0.5, -1.0] and whole.rate == 16_000 and not whole.is_cut


@pytest.mark.parametrize(("format", "subtype", "error"), [
    ("WAV", "PCM_24", 1e-6), ("WAV", "PCM_U8", 0.01), ("FLAC", "PCM_16", 1e-4), ("OGG", "VORBIS", 0.05),
    ("MP3", "MPEG_LAYER_III", 0.05), ("AIFF", "PCM_16", 1e-4),
])  # fmt: skip
def test_every_format_says_the_same(format: str, subtype: str, error: float) -> None:
    samples = tone(rate=44_100)
    heard = decode_sound(sound(samples, 44_100, format, subtype), max_seconds=5)
    middle = slice(5000, 15_000)  # lossy codecs soften both ends
    lag = np.argmax(np.correlate(heard.samples[4000:16_000], samples[middle], "valid")) - 1000 if format == "MP3" else 0
    got = heard.samples[5000 + lag : 15_000 + lag]
    assert np.abs(got - samples[middle]).max() < error and heard.rate == 44_100


def test_an_hour_costs_no_more_than_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate, path = 1000, tmp_path / "hour.wav"
    sf.write(path, np.tile(np.float32([0.5, -0.5]), rate * 1800), rate, subtype="PCM_16")
    asked: list[int] = []
    read = sf.SoundFile.read
    monkeypatch.setattr(sf.SoundFile, "read", lambda self, frames, **k: asked.append(frames) or read(self, frames, **k))
    heard = decode_sound(find_sound("hour.wav", tmp_path), max_seconds=30)
    assert sum(asked) == 30_000 == len(heard.samples) and heard.is_cut and heard.seconds == 3600
    assert sound_length(path) == (3600.0, 1000, 1)


def test_one_sample_is_a_sound_and_none_is_not() -> None:
    assert decode_sound(sound([0.25], subtype="FLOAT"), max_seconds=1).samples.tolist() == [0.25]
    with pytest.raises(CellError, match="holds no samples"):
        decode_sound(sound(np.zeros(0)), max_seconds=1)


@pytest.mark.parametrize(("data", "message"), [
    (sound([0.0, np.nan, np.inf], subtype="FLOAT"), "2 of 3 samples are not numbers"),
    (sound([1e12], subtype="FLOAT"), "beyond 1e"),
    (sound(tone(), format="FLAC")[:300], "broken or cut short|cut short"),
    (b"RIFF\x10\x00\x00\x00WAVEjunk", "broken or cut short"),
    (b"\x89PNG\r\n\x1a\n" + bytes(20), "not a sound that plait reads"),
    (b"\x00\x00\x00\x20ftypM4A " + bytes(20), "ffmpeg"),
], ids=["not numbers", "too loud", "cut short", "junk", "a picture", "M4A"])  # fmt: skip  # bytes hold the time of day
def test_what_cannot_be_heard_says_why(data: bytes, message: str) -> None:
    with pytest.raises(CellError, match=message):
        decode_sound(data, max_seconds=1)


def test_cells_of_every_form_have_one_key(tmp_path: Path) -> None:
    import base64

    data = sound(tone(0.01))
    (tmp_path / "a.wav").write_bytes(data)
    cells = ["a.wav", tmp_path / "a.wav", data, {"bytes": data, "path": "x"}, {"bytes": None, "path": "a.wav"},
             "data:audio/wav;base64," + base64.b64encode(data).decode()]  # fmt: skip
    found = [find_sound(cell, tmp_path) for cell in cells]
    assert isinstance(found[0], Path) and isinstance(found[2], bytes)  # files stay where they are
    assert len({sound_key(one) for one in found}) == 1
    (tmp_path / "empty.wav").write_bytes(b"")
    with pytest.raises(CellError, match="is empty"):
        find_sound("empty.wav", tmp_path)
    with pytest.raises(CellError, match="no such file"):
        find_sound("b.wav", tmp_path)
    assert looks_like_sound(data) and looks_like_sound("x/y.FLAC") and not looks_like_sound(b"RIFF....WEBP")


def test_check_names_broken_sounds(tmp_path: Path) -> None:
    cells: list[object] = [sound(tone(0.1, 200 + 10 * i)) for i in range(60)]
    cells[3], cells[7], cells[9], cells[59] = sound([np.nan], subtype="FLOAT"), None, "gone.wav", cells[0]
    split = ["train"] * 50 + ["test"] * 10
    columns = {"sound": [{"bytes": c, "path": None} if isinstance(c, bytes) else {"bytes": None, "path": c}
                         for c in cells], "label": ["a", "b"] * 30, "split": split}  # fmt: skip
    report = check_table(read_table(columns), target="label")
    assert report.finding("P035").rows == [3] and "not numbers" in report.finding("P035").detail
    assert report.finding("P030").rows == [9] and report.finding("P036").rows == [7]
    assert report.finding("P044").severity == "error" and report.finding("P044").rows == [0, 59]
    assert report.finding("P031").severity == "n/a"
