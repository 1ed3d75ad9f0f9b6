"""Half a sound is no shorter sound; a stream that leaves its length open is whole."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from fixtures.media import sound
from plait.data.media import CellError
from plait.data.sound import decode_sound
from plait.data.sound_ending import cut_short

NOISE = (np.random.default_rng(0).standard_normal(24_000) * 0.1).astype(np.float32)
KINDS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", None), ("RF64", None), ("W64", None), ("FLAC", None),
         ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("AIFF", None), ("CAF", None), ("AU", None)]  # fmt: skip


@pytest.mark.parametrize(("format", "subtype"), KINDS)
def test_a_sound_that_is_cut_anywhere_is_broken(tmp_path: Path, format: str, subtype: str | None) -> None:
    whole = sound(NOISE, format=format, subtype=subtype)
    assert decode_sound(whole, max_seconds=60).seconds == pytest.approx(1.5, abs=0.01)
    assert decode_sound(whole, max_seconds=0.2).is_cut
    for kept in (len(whole) // 2, len(whole) - 3):
        for source in (whole[:kept], tmp_path / "x"):
            (tmp_path / "x").write_bytes(whole[:kept])
            with pytest.raises(CellError, match="cut short"):
                decode_sound(source, max_seconds=0.2)  # though its beginning is there


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_out_of_a_pipe_is_whole(tmp_path: Path, size: int) -> None:
    data = bytearray(sound(NOISE, subtype="PCM_16"))
    place = data.index(b"data")
    data[place + 4 : place + 8] = data[4:8] = struct.pack("<I", size)
    (tmp_path / "pipe.wav").write_bytes(data)
    for source in (bytes(data), tmp_path / "pipe.wav"):
        assert len(decode_sound(source, max_seconds=60).samples) == len(NOISE)


def test_a_wav_without_samples_has_none_though_tags_follow() -> None:
    empty = sound(np.zeros(0), subtype="PCM_16")
    tagged = bytearray(empty + b"LIST" + struct.pack("<I", 4) + b"INFO")
    tagged[4:8] = struct.pack("<I", len(tagged) - 8)
    for data in (empty, bytes(tagged)):
        with pytest.raises(CellError, match="no samples"):
            decode_sound(data, max_seconds=1)


def test_a_flac_that_does_not_say_its_length_is_whole() -> None:
    data = bytearray(sound(NOISE, format="FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    found = decode_sound(bytes(data), max_seconds=60)
    assert len(found.samples) == len(NOISE) and found.seconds == 1.5 and not found.is_cut
    assert decode_sound(bytes(data), max_seconds=0.5).is_cut


def test_an_mp3_without_contents_ends_with_a_whole_frame() -> None:
    whole = sound(NOISE, format="MP3")
    frames = whole[288:]  # behind the frame that holds the table of contents
    tagged = b"ID3\x03\x00\x00\x00\x00\x00\x05hello" + frames + b"TAG" + b" " * 125
    assert cut_short(frames) is None and cut_short(tagged) is None
    assert decode_sound(tagged, max_seconds=60).seconds == pytest.approx(1.55, abs=0.06)  # not guessed from one frame
    assert "last frame" in (cut_short(frames[:-10]) or "")


def test_odd_rates_and_many_channels() -> None:
    wav = bytearray(sound(NOISE, subtype="PCM_16"))
    for rate, message in ((0, "broken"), (10_000_000, "10,000,000 samples a second")):
        wav[24:28] = struct.pack("<I", rate)
        with pytest.raises(CellError, match=message):
            decode_sound(bytes(wav), max_seconds=1)
    assert decode_sound(sound(NOISE, rate=768_000), max_seconds=1).rate == 768_000
    assert len(decode_sound(sound(np.stack([NOISE] * 20, axis=1)), max_seconds=60).samples) == len(NOISE)


def test_decoders_are_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    whole = sound(NOISE, format="MP3")
    for data in (whole[:1000] + bytes(500) + whole[1500:], whole[: len(whole) // 2], b"\xff\xfb" * 4000):
        try:
            decode_sound(data, max_seconds=60)
        except CellError as error:
            assert str(error)
    assert capfd.readouterr().err == ""
