"""WAV without soundfile: the same samples as libsndfile gives, and other formats are an error that names it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fixtures.media import sound
from plait.data.media import CellError
from plait.data.sound import decode_sound, sound_length
from plait.processors.clip import read_clip

pytest.importorskip("soundfile", reason="extra audio")


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Importing these fails."""
    with pytest.MonkeyPatch.context() as patched:
        for name in packages:
            patched.setitem(sys.modules, name, None)
        yield


def clip(channels: int = 1, num: int = 1001) -> np.ndarray:
    return np.clip(np.random.default_rng(channels).normal(0, 0.4, (num, channels)), -1, 1)


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_samples_are_those_of_libsndfile(kind: str, channels: int, form: str, tmp_path: Path) -> None:
    data = sound(clip(channels), 8000, form, kind)
    file = tmp_path / "\u94c3.wav"
    file.write_bytes(data)
    for seconds in (1.0, 0.01):
        expected = decode_sound(data, max_seconds=seconds)
        with without("soundfile"):
            for source in (data, file):
                found = decode_sound(source, max_seconds=seconds)
                assert np.array_equal(found.samples, expected.samples) and found.samples.dtype == np.float32
                assert (found.rate, found.seconds, found.is_cut) == (8000, expected.seconds, expected.is_cut)
    assert sound_length(file)[1:] == (8000, channels)


def test_a_length_that_a_pipe_left_open(tmp_path: Path) -> None:
    data = sound(clip(), subtype="PCM_16")
    start = data.index(b"data") + 8
    for size in (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"):
        opened = data[: start - 4] + size + data[start:] + b"\x01"  # half a sample behind the last
        whole = opened if size[0] else opened[:4] + b"\x24\x00\x00\x00" + opened[8:]
        expected = decode_sound(whole, max_seconds=1).samples
        with without("soundfile"):
            assert np.array_equal(decode_sound(whole, max_seconds=1).samples, expected) and len(expected) == 1001


@pytest.mark.parametrize(("data", "message"), [
    (sound(clip(), subtype="PCM_16")[:900], "cut short"),
    (sound(np.zeros(0), subtype="PCM_16"), "holds no samples"),
    (b"RIFF\x10\x00\x00\x00WAVEjunk", "broken or cut short"),
    (b"RIFF\x10\x00\x00\x00WAVEfmt \x04\x00\x00\x00abcddata\x00\x00\x00\x00", "no format chunk|broken"),
    (sound([0.0, np.nan], subtype="FLOAT"), "1 of 2 samples are not numbers"),
    (b"hello, this is text", "not a sound that plait reads"),
    (b"\x00\x00\x00\x20ftypM4A " + bytes(20), "ffmpeg"),
], ids=["cut", "empty", "junk", "no header", "not numbers", "a text", "M4A"])  # fmt: skip  # bytes hold the time
def test_what_cannot_be_heard_says_why(data: bytes, message: str) -> None:
    with pytest.raises(CellError, match=message):
        decode_sound(data, max_seconds=1)
    with without("soundfile"), pytest.raises(CellError, match=message):
        decode_sound(data, max_seconds=1)


@pytest.mark.parametrize(("form", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "ULAW"), ("AIFF", None)])
def test_other_formats_need_soundfile(form: str, subtype: str | None, tmp_path: Path) -> None:
    file = tmp_path / f"a.{form.lower()}"
    file.write_bytes(sound(clip(), 8000, form, subtype))
    for source in (file, file.read_bytes()):
        with without("soundfile"), pytest.raises(ImportError, match="soundfile") as caught:
            decode_sound(source, max_seconds=1)
        assert caught.value.name == "soundfile"


def test_other_rates_need_soxr() -> None:
    data = sound(clip(), 8000, subtype="PCM_16")
    with without("soxr"), pytest.raises(ImportError, match=r"8,000 to 16,000 .* package soxr") as caught:
        read_clip(data, 16_000, 1)
    assert caught.value.name == "soxr"
    with without("soundfile", "soxr"):
        assert len(read_clip(data, 8000, 1)) == 1001
