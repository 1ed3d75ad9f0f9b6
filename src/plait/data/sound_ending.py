"""Whether a file of sound is whole: what its header promises against the bytes that are there.

Decoders take half a WAV for a shorter one. So the place where the data ought to end is read from the container: the
data chunk of WAV, RF64, W64, AIFF, CAF and AU, the end page of an Ogg stream, and of an MP3 its table of contents
(Xing, Info, VBRI) or its last frame. A length that a stream leaves open (0, all ones) promises nothing. FLAC is left to
its decoder.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_Bytes = bytes | mmap.mmap
_OPEN_ENDED = 0x7FFFF000  # sizes of 32 bits from here on stand for "not known" in streams (sox, ffmpeg)
_LARGEST_OGG_PAGE = 65_307
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_NO_CHUNK = (-1, 0)

_KBITS = {  # by (is MPEG 1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version


def cut_short(source: bytes | Path) -> str | None:
    """How a sound falls short of what its header promises, in words; None where it does not.

    Raises:
        OSError: The file cannot be read.
    """
    with _contents(source) as data:
        head = data[:16]
        if head.startswith(b"OggS"):
            return _ogg(data)
        end = _promised_end(data, head)
        if end is None:
            return None if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC") else _mp3(data)
        if end <= len(data):
            return None
        return f"its header promises data up to byte {end:,}, and there are {len(data):,}"


def with_its_length(source: bytes | Path) -> bytes | None:
    """The sound with its length put into its header, where a decoder would take it for shorter; else None.

    That is a WAV whose size a pipe left at 0 though data follow, and an MP3 of varying bit rate without a table of
    contents, of which a decoder guesses the length from the first frame.
    """
    with _contents(source) as data:
        if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            start, size = _chunk(data, 12, b"data", "little")
            covered = int.from_bytes(data[4:8], "little") + 8
            if start > 0 and size == 0 and start < len(data) and covered < len(data):
                return data[: start - 4] + b"\xff\xff\xff\xff" + data[start:]
            return None
        if data[:4] in (b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS", b"caff", b".snd", b"riff"):
            return None
        start = _after_id3(data)
        length = _frame_length(data, start)
        if length == 0 or 4 - (data[start + 1] >> 1 & 3) != 3:
            return None
        if _bytes_in_contents(data[start : start + length]) is not None:
            return None
        end, rates, count = _walk(data, start)
        return _contents_frame(data[start : start + 4], count, end - start) + data[start:] if len(rates) > 1 else None


@contextmanager
def _contents(source: bytes | Path) -> Iterator[_Bytes]:
    if isinstance(source, bytes):
        yield source
    elif os.path.getsize(source) == 0:
        yield b""
    else:
        with open(source, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _promised_end(data: _Bytes, head: bytes) -> int | None:
    """The byte behind the last one of the data chunk; None where the container says none."""
    kind = head[:4]
    if kind in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        start, size = _chunk(data, 12, b"data", "big" if kind == b"RIFX" else "little")
        if kind == b"RF64":
            sizes, _ = _chunk(data, 12, b"ds64", "little")
            size = int.from_bytes(data[sizes + 8 : sizes + 16], "little") if sizes > 0 else 0
        elif size >= _OPEN_ENDED:
            return None
    elif kind == b"FORM" and head[8:11] == b"AIF":
        start, size = _chunk(data, 12, b"SSND", "big")
    elif kind == b".snd":
        start, size = int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:12], "big")
        if size >= _OPEN_ENDED:
            return None
    elif kind == b"caff":
        start, size = _caf_chunk(data)
    elif kind == b"riff":
        start, size = _w64_chunk(data)
    else:
        return None
    return None if start < 0 or size <= 0 else start + size


def _chunk(data: _Bytes, place: int, name: bytes, order: str) -> tuple[int, int]:
    """Start and size of a chunk of 8 bytes of header, sizes rounded up to even ones."""
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "big" if order == "big" else "little")
        if data[place : place + 4] == name:
            return place + 8, size
        place += 8 + size + size % 2
    return _NO_CHUNK


def _caf_chunk(data: _Bytes) -> tuple[int, int]:
    place = 8
    while place + 12 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 12], "big", signed=True)
        if data[place : place + 4] == b"data":
            return place + 12, size  # -1 where it is left open
        if size < 0:
            break
        place += 12 + size
    return _NO_CHUNK


def _w64_chunk(data: _Bytes) -> tuple[int, int]:
    place = 40
    while place + 24 <= len(data):
        size = int.from_bytes(data[place + 16 : place + 24], "little")
        if data[place : place + 16] == _W64_DATA:
            return place + 24, size - 24
        place += max(24, -(-size // 8) * 8)
    return _NO_CHUNK


def _ogg(data: _Bytes) -> str | None:
    place = data.rfind(b"OggS", max(0, len(data) - 2 * _LARGEST_OGG_PAGE))
    if place < 0 or place + 27 > len(data):
        return "its last page is not whole"
    count = data[place + 26]
    table = data[place + 27 : place + 27 + count]
    if place + 27 + count + sum(table) > len(data) or len(table) < count:
        return "its last page is not whole"
    return None if data[place + 5] & 4 else "its end page is missing"


def _mp3(data: _Bytes) -> str | None:
    """Frames are walked through only where no table of contents says how many bytes there are."""
    start = _after_id3(data)
    length = _frame_length(data, start)
    if length == 0:
        return None  # something in front of the first frame: the decoder looks for it
    promised = _bytes_in_contents(data[start : start + length])
    if promised is not None:
        missing = start + promised - len(data)
        return f"its header promises {promised:,} bytes, {missing:,} more than there are" if missing > 0 else None
    place, _, _ = _walk(data, start)
    is_started = _frame_length(data, place) > 0 or (0 < len(data) - place < 4 and data[place] == 0xFF)
    return "its last frame is not whole" if is_started else None


def _walk(data: _Bytes, place: int) -> tuple[int, set[int], int]:
    """Where the whole frames from here on end, their bit rates (by index), and how many they are."""
    rates: set[int] = set()
    count = 0
    while (length := _frame_length(data, place)) and place + length <= len(data):
        rates.add(data[place + 2] >> 4)
        place += length
        count += 1
    return place, rates, count


def _contents_frame(header: bytes, count: int, size: int) -> bytes:
    """A first frame that holds nothing but a table of contents."""
    frame = bytearray((header[0], header[1] | 1, (header[2] & 0x0C) | 0xE0, header[3]))  # no checksum, high bit rate
    frame += bytes(_frame_length(bytes(frame), 0) - 4)
    place = _contents_place(frame)
    frame[place : place + 16] = b"Xing" + (3).to_bytes(4, "big") + count.to_bytes(4, "big") + size.to_bytes(4, "big")
    return bytes(frame)


def _after_id3(data: _Bytes) -> int:
    place = 0
    while data[place : place + 3] == b"ID3" and place + 10 <= len(data):
        sizes = data[place + 6 : place + 10]
        footer = 10 if data[place + 5] & 0x10 else 0
        place += 10 + footer + sum((byte & 127) << shift for byte, shift in zip(sizes, (21, 14, 7, 0), strict=True))
    return place


def _frame_length(data: _Bytes, place: int) -> int:
    """Bytes of the frame that begins here; 0 where none does, or its length is free."""
    if place + 4 > len(data) or data[place] != 0xFF or data[place + 1] & 0xE0 != 0xE0:
        return 0
    second, third = data[place + 1], data[place + 2]
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    rate_index, bit_index, padding = third >> 2 & 3, third >> 4, third >> 1 & 1
    if version == 1 or layer == 4 or rate_index == 3 or bit_index in (0, 15):
        return 0
    bits, rate = _KBITS[version == 3, layer][bit_index] * 1000, _RATES[version][rate_index]
    if layer == 1:
        return (12 * bits // rate + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // rate + padding


def _contents_place(frame: bytes | bytearray) -> int:
    is_first, is_mono = frame[1] >> 3 & 3 == 3, frame[3] >> 6 == 3
    return 4 + ((17 if is_mono else 32) if is_first else (9 if is_mono else 17))


def _bytes_in_contents(frame: bytes) -> int | None:
    """How many bytes the sound has by the first frame, if that one is a table of contents and says it."""
    place = _contents_place(frame)
    if frame[place : place + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(frame[place + 4 : place + 8], "big")
        place += 12 if flags & 1 else 8
        return int.from_bytes(frame[place : place + 4], "big") if flags & 2 else None
    return int.from_bytes(frame[46:50], "big") if frame[36:40] == b"VBRI" else None
