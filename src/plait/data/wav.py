"""WAV files of plain samples, read with numpy where the package soundfile is not installed.

In: bytes or a file. Out: an object with those parts of ``soundfile.SoundFile`` that :mod:`plait.data.sound` uses, and
the same numbers from it: integers of 8, 16, 24 or 32 bits over their scale, floats of 32 or 64 bits as they are. The
``wave`` module of the standard library reads neither floats nor, before Python 3.12, the extensible header. Compressed
WAV (A-law, ADPCM, MP3 inside) is left to soundfile.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
_MOST_SAMPLE_BYTES = 8
_READERS = {(PCM, 1): "u1", (PCM, 2): "<i2", (PCM, 4): "<i4", (FLOAT, 4): "<f4", (FLOAT, 8): "<f8"}


class CompressedWavError(ValueError):
    """A WAV whose samples are not plain numbers."""


def is_wav(source: bytes | Path) -> bool:
    """Whether it begins as a WAV of little-endian numbers does."""
    if isinstance(source, bytes):
        head = source[:12]
    else:
        with open(source, "rb") as file:
            head = file.read(12)
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


class WavFile:
    """An open WAV.

    Args:
        source: Its bytes or its place.

    Raises:
        CompressedWavError: Its samples are not plain numbers.
        ValueError: It has no header or no data.
        OSError: It cannot be read.

    Attributes:
        samplerate: Samples a second.
        channels: Number of channels.
        frames: Samples of each channel.
        format: "WAV", or "WAVEX" with the extensible header.
    """

    def __init__(self, source: bytes | Path) -> None:
        self._file: Any = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> WavFile:
        return self

    def __exit__(self, *reason: object) -> None:
        self._file.close()

    def _open(self) -> None:
        file = self._file
        length = file.seek(0, io.SEEK_END)
        header, place = b"", 12
        while True:
            file.seek(place)
            head = file.read(8)
            if len(head) < 8:
                raise ValueError("no data chunk")
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                break
            if head[:4] == b"fmt ":
                header = file.read(min(size, 40))
            place += 8 + size + size % 2
        if len(header) < 16:
            raise ValueError("no format chunk in front of the data")
        kind, self.channels = (int.from_bytes(header[at : at + 2], "little") for at in (0, 2))
        self.samplerate = int.from_bytes(header[4:8], "little")
        block, bits = (int.from_bytes(header[at : at + 2], "little") for at in (12, 14))
        self.format = "WAVEX" if kind == EXTENSIBLE else "WAV"
        if kind == EXTENSIBLE and len(header) >= 26:
            kind = int.from_bytes(header[24:26], "little")
        width = block // self.channels if self.channels else 0
        if not 1 <= width <= _MOST_SAMPLE_BYTES or block != width * self.channels or bits > 8 * width:
            raise ValueError(f"a header of {self.channels} channels in blocks of {block} bytes of {bits} bits")
        if kind not in (PCM, FLOAT) or ((kind, width) not in _READERS and (kind, width) != (PCM, 3)):
            raise CompressedWavError(f"WAV of the coding {kind} in {8 * width} bits")
        self._kind, self._width, self._block = kind, width, block
        self.frames = min(size, length - place - 8) // block
        self._left = self.frames

    def read(self, frames: int, **_: Any) -> np.ndarray[Any, Any]:
        """The next samples of every channel, float32 [T, channels]; fewer at the end."""
        count = min(frames, self._left)
        raw = self._file.read(count * self._block)
        count = len(raw) // self._block
        self._left -= count
        data = np.frombuffer(raw[: count * self._block], dtype=np.uint8)
        if (self._kind, self._width) == (PCM, 3):
            wide = np.zeros((count * self.channels, 4), dtype=np.uint8)
            wide[:, 1:] = data.reshape(-1, 3)
            numbers, scale = wide.view("<i4")[:, 0], 2.0**31
        else:
            numbers, scale = data.view(_READERS[self._kind, self._width]), 2.0 ** (8 * self._width - 1)
        made = numbers.astype(np.float32)
        if self._kind == PCM:
            made = (made - 128 if self._width == 1 else made) / np.float32(scale)
        return made.reshape(count, self.channels)
