"""Sound files out of table cells: found, hashed and decoded to mono samples, as far as they are wanted.

In: a path, bytes or any other cell of :mod:`plait.data.media`. Out: float32 samples of one channel at the rate of
the file. WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF and CAF go through libsndfile (extra ``audio``). A file is read
from where it lies, in blocks and only as long as it is wanted, so that an hour of sound costs no more than its first
half minute. What is wrong with one cell is a :class:`~plait.data.media.CellError`. Nothing is resampled here.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plait.data.media import CellError, content_key, is_file, read_media, resolve

SOUND_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "CAF", "AU")
SOUND_SUFFIXES = frozenset(
    {".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".caf", ".au", ".m4a"}
)
MAX_FILE_BYTES = 16 * 2**30
BLOCK_FRAMES = 1 << 16
LOUDEST = 1e9  # beyond any integer scale; float32 power spectra would overflow

_MAGIC = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"RF64", b"caff", b".snd")


@dataclass(frozen=True)
class Sound:
    """Decoded sound.

    Attributes:
        samples: Mean of the channels, float32 [T], integers scaled to -1 to 1.
        rate: Samples a second.
        seconds: Length of the whole file.
        is_cut: Whether the file is longer than what was decoded.
    """

    samples: np.ndarray[Any, Any]
    rate: int
    seconds: float
    is_cut: bool


def find_sound(cell: object, root: Path | None) -> bytes | Path:
    """The file that a cell names, unread, or the bytes that it holds.

    Raises:
        CellError: As :func:`plait.data.media.read_media`; or a file beyond 16 GiB.
    """
    given = cell
    if isinstance(cell, Mapping) and cell.get("bytes") is None:
        given = cell.get("path")
    if isinstance(given, str | Path) and given and len(str(given)) < 4096:
        place = resolve(given, root)
        if is_file(place):
            size = os.stat(place).st_size
            if size == 0:
                raise CellError(f"{str(given)!r} is empty (0 bytes)")
            if size > MAX_FILE_BYTES:
                raise CellError(f"{str(given)!r} has {size:,} bytes; the limit is {MAX_FILE_BYTES:,}")
            return place
    return read_media(cell, root)


def sound_key(source: bytes | Path) -> str:
    """The sha256 of the whole content, in hexadecimal; a file is read in blocks.

    Raises:
        CellError: The file cannot be read.
    """
    if isinstance(source, bytes):
        return content_key(source)
    try:
        with open(source, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CellError(f"cannot read {source.name!r} ({error.strerror or error})") from error


def decode_sound(source: bytes | Path, *, max_seconds: float) -> Sound:
    """Decode the first ``max_seconds`` of a sound to one channel.

    Raises:
        CellError: Not a sound, no samples, cut short, or samples that are NaN, infinite or beyond 1e9.
        ImportError: Without the extra ``audio``.
    """
    with _opened(source) as file:
        rate, announced = int(file.samplerate), int(file.frames)
        wanted = min(announced, math.ceil(max_seconds * rate))
        blocks: list[np.ndarray[Any, Any]] = []
        num_read = 0
        while num_read < wanted:
            block = file.read(min(BLOCK_FRAMES, wanted - num_read), dtype="float32", always_2d=True)
            if len(block) == 0:
                break
            blocks.append(block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0])
            num_read += len(block)
        if num_read == 0:
            raise CellError("the sound holds no samples")
        if num_read < wanted and file.format != "MP3":  # the length of an MP3 may be an estimate
            raise CellError(f"the sound is cut short: {num_read:,} of {wanted:,} samples could be decoded")
    samples = np.concatenate(blocks)
    num_bad = int(len(samples) - np.isfinite(samples).sum())
    if num_bad:
        raise CellError(f"{num_bad:,} of {len(samples):,} samples are not numbers (NaN or infinite)")
    if float(np.abs(samples).max()) > LOUDEST:
        raise CellError(f"the sound has samples beyond {LOUDEST:.0e}; expected values of about -1 to 1")
    return Sound(samples, rate, announced / rate, announced > wanted)


def sound_length(source: bytes | Path) -> tuple[float, int, int]:
    """Seconds, rate and number of channels, from the header.

    Raises:
        CellError: Not a sound.
    """
    with _opened(source) as file:
        return file.frames / file.samplerate, int(file.samplerate), int(file.channels)


def looks_like_sound(cell: object) -> bool:
    """Whether a cell probably holds a sound: a path with its suffix, bytes, or a dictionary of those.

    Example:
        >>> looks_like_sound("calls/dog.WAV"), looks_like_sound("a dog barks")
        (True, False)
    """
    if isinstance(cell, bytes | bytearray | memoryview):
        head = bytes(cell[:16])
        return head.startswith(_MAGIC) or (head[:4], head[8:12]) in ((b"RIFF", b"WAVE"), (b"FORM", b"AIFF"))
    if isinstance(cell, Mapping):
        return any(looks_like_sound(cell.get(name)) for name in ("bytes", "path"))
    if not isinstance(cell, str | Path):
        return False
    text = str(cell)
    if text[:11].lower() == "data:audio/":
        return True
    return len(text) < 4096 and "\n" not in text and os.path.splitext(text)[1].lower() in SOUND_SUFFIXES


def import_soundfile() -> Any:
    """The package that decodes sound.

    Raises:
        ImportError: It is not installed; the message names the extra.
    """
    try:
        import soundfile
    except ImportError as error:
        raise ImportError("reading sound needs the package soundfile; type: pip install plait[audio]") from error
    return soundfile


@contextmanager
def _opened(source: bytes | Path) -> Iterator[Any]:
    """An open ``soundfile.SoundFile`` of an allowed format; every decoding fault becomes a ``CellError``."""
    soundfile = import_soundfile()
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as file:
            if file.format not in SOUND_FORMATS or file.samplerate < 1:
                raise CellError(f"a sound of the format {file.format}; expected one of {', '.join(SOUND_FORMATS)}")
            yield file
    except CellError:
        raise
    except Exception as error:  # decoders raise many types on damaged bytes
        raise CellError(_not_a_sound(source, error)) from error


def _not_a_sound(source: bytes | Path, error: Exception) -> str:
    head = source[:16] if isinstance(source, bytes) else b""
    if isinstance(source, Path):
        try:
            with open(source, "rb") as file:
                head = file.read(16)
        except OSError as fault:
            return f"cannot read {source.name!r} ({fault.strerror or fault})"
    if head[4:8] == b"ftyp":
        return "M4A (AAC) is not decoded here; convert it first: ffmpeg -i FILE.m4a FILE.flac"
    if looks_like_sound(head):
        return f"the sound is broken or cut short ({' '.join(str(error).split())[:160]})"
    return f"not a sound that plait reads (it begins with {head[:8]!r}); expected {', '.join(SOUND_FORMATS)}"
