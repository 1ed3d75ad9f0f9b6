"""Sound files out of table cells: found, hashed and decoded to mono samples, as far as they are wanted.

In: a path, bytes or any other cell of :mod:`plait.data.media`. Out: float32 samples of one channel at the rate of
the file. WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF and CAF go through libsndfile (extra ``audio``); without it WAV of
plain samples is read all the same, to the same numbers (:mod:`plait.data.wav`). A file is read from where it lies, in
blocks and only as long as it is wanted, so that an hour of sound costs no more than its first half minute. What is
wrong with one cell is a :class:`~plait.data.media.CellError`. Nothing is resampled here.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plait.data.cell_error import NO_FAULT, CellError, described
from plait.data.decoder_noise import without_decoder_lines
from plait.data.media import MAX_BYTES, content_key, read_media
from plait.data.media_folder import Root, find_file, is_file
from plait.data.remote.address import is_remote, path_of_address
from plait.data.sound_ending import cut_short, with_its_length
from plait.data.wav import CompressedWavError, WavFile, is_wav

SOUND_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "CAF", "AU")
SOUND_SUFFIXES = frozenset(
    {".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".caf", ".au", ".m4a"}
)
MAX_FILE_BYTES = 16 * 2**30
BLOCK_VALUES = 1 << 18
MAX_RATE = 1_000_000
UNKNOWN_FRAMES = 1 << 62  # libsndfile's number where a stream does not say how long it is
LOUDEST = 1e9  # beyond any integer scale; float32 power spectra would overflow

_ADDRESS = re.compile(r"data:|[A-Za-z][A-Za-z0-9+.\-]+://", re.IGNORECASE)
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


def find_sound(cell: object, root: Root) -> bytes | Path:
    """The file that a cell names, unread, or the bytes that it holds.

    Raises:
        CellError: As :func:`plait.data.media.read_media`; or a file beyond 16 GiB.
    """
    given = cell
    if isinstance(cell, Mapping) and cell.get("bytes") is None:
        given = cell.get("path")
    if isinstance(given, str | Path) and given and len(str(given)) < 4096:
        if is_remote(given):
            return find_file(given, root, MAX_BYTES)
        is_path = isinstance(given, Path) or is_file(given, root) or looks_like_sound(given)
        if is_path and not _ADDRESS.match(str(given)):
            return find_file(given, root, MAX_FILE_BYTES)
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
        CellError: Not a sound, no samples, cut short anywhere, samples that are NaN, infinite or beyond 1e9, or more
            memory needed than there is.
        ImportError: Without the extra ``audio``.
    """
    _require_whole(source)
    with _opened(source) as file:
        rate, announced = int(file.samplerate), int(file.frames)
        wanted = min(announced, math.ceil(max_seconds * rate))
        samples = _read_mono(file, wanted)
        is_known = announced < UNKNOWN_FRAMES
        if len(samples) == 0:
            raise CellError("the sound holds no samples")
        if len(samples) < wanted and is_known and file.format != "MP3":  # the length of an MP3 may be an estimate
            raise CellError(f"the sound is cut short: {len(samples):,} of {wanted:,} samples could be decoded")
        if file.format == "FLAC" and wanted < announced and is_known:
            file.seek(announced - 1)  # fails where the end is not there
            if len(file.read(1)) == 0:
                raise CellError("the sound is cut short: its last samples are missing")
    num_bad = int(len(samples) - np.isfinite(samples).sum())
    if num_bad:
        raise CellError(f"{num_bad:,} of {len(samples):,} samples are not numbers (NaN or infinite)")
    if float(np.abs(samples).max()) > LOUDEST:
        raise CellError(f"the sound has samples beyond {LOUDEST:.0e}; expected values of about -1 to 1")
    length = announced if is_known else len(samples)
    return Sound(samples, rate, length / rate, announced > len(samples) == wanted)


def _read_mono(file: Any, wanted: int) -> np.ndarray[Any, Any]:
    """The first samples of an open sound, the mean of its channels; fewer where there are fewer."""
    frames = max(1, BLOCK_VALUES // file.channels)
    blocks: list[np.ndarray[Any, Any]] = [np.zeros(0, np.float32)]
    num_read = 0
    while num_read < wanted:
        block = _next_block(file, min(frames, wanted - num_read))
        if len(block) == 0:
            break
        blocks.append(block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0])
        num_read += len(block)
    return np.concatenate(blocks)


def _next_block(file: Any, frames: int) -> np.ndarray[Any, Any]:
    """Up to so many samples of every channel, [T, C]."""
    if file.frames < UNKNOWN_FRAMES:
        block: np.ndarray[Any, Any] = file.read(frames, dtype="float32", always_2d=True)
        return block
    # soundfile seeks to where it has just read, which fails at the end of a stream that does not say its length
    marked = np.full((frames, file.channels), np.nan, dtype=np.float32)
    with contextlib.suppress(import_soundfile().LibsndfileError):
        file.read(out=marked, always_2d=True)
    return marked[~np.isnan(marked[:, 0])]


def _require_whole(source: bytes | Path) -> None:
    try:
        lacking = cut_short(source)
    except OSError as error:
        raise CellError(f"cannot read {_name(source)} ({error.strerror or error})") from error
    if lacking is not None:
        raise CellError(f"the sound is cut short: {lacking}")


def sound_length(source: bytes | Path) -> tuple[float, int, int]:
    """Seconds (0 where a stream does not say), rate and number of channels, from the header.

    Raises:
        CellError: Not a sound.
    """
    with _opened(source) as file:
        seconds = file.frames / file.samplerate if file.frames < UNKNOWN_FRAMES else 0.0
        return seconds, int(file.samplerate), int(file.channels)


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
    text = path_of_address(text) if is_remote(text) else text
    return len(text) < 4096 and "\n" not in text and os.path.splitext(text)[1].lower() in SOUND_SUFFIXES


def import_soundfile() -> Any:
    """The package that decodes sound.

    Raises:
        ImportError: It is not installed; the message names the extra.
    """
    try:
        import soundfile
    except ImportError as error:
        raise ImportError(
            "reading sound needs the package soundfile; type: pip install plait[audio]", name="soundfile"
        ) from error
    return soundfile


def _open_file(source: bytes | Path) -> Any:
    """An open sound, by soundfile where that is installed, else a WAV.

    Raises:
        ImportError: It is not installed, and this is another format.
    """
    mended = with_its_length(source)
    given: bytes | Path = source if mended is None else mended
    try:
        soundfile = import_soundfile()
    except ImportError:
        if not looks_like_sound(_head(given)) and not looks_like_sound(source):
            raise ValueError("no sound of a known format") from None
        if not is_wav(given):
            raise
        try:
            return WavFile(given)
        except CompressedWavError as error:
            raise ImportError(f"reading {error} needs the package soundfile", name="soundfile") from error
    return soundfile.SoundFile(io.BytesIO(given) if isinstance(given, bytes) else str(given))


@contextmanager
def _opened(source: bytes | Path) -> Iterator[Any]:
    """An open ``soundfile.SoundFile`` of an allowed format; every decoding fault becomes a ``CellError``."""
    try:
        with without_decoder_lines(), _open_file(source) as file:
            if file.format not in SOUND_FORMATS:
                raise CellError(f"a sound of the format {file.format}; expected one of {', '.join(SOUND_FORMATS)}")
            if not 1 <= file.samplerate <= MAX_RATE:
                raise CellError(f"the sound has {file.samplerate:,} samples a second; expected 1 to {MAX_RATE:,}")
            yield file
    except (CellError, ImportError):
        raise
    except MemoryError as error:
        raise CellError(
            f"decoding the sound needs more memory than was free ({NO_FAULT}); free some, or hear "
            "less of each with set=['encoders.audio_seconds=N']"
        ) from error
    except Exception as error:  # decoders raise many types on damaged bytes
        raise CellError(_not_a_sound(source, error)) from error


def _not_a_sound(source: bytes | Path, error: Exception) -> str:
    try:
        head = _head(source)
    except OSError as fault:
        return f"cannot read {_name(source)} ({fault.strerror or fault})"
    if head[4:8] == b"ftyp":
        return "M4A (AAC) is not decoded here; convert it first: ffmpeg -i FILE.m4a FILE.flac"
    if looks_like_sound(head):
        return f"the sound is broken or cut short ({' '.join(str(error).split())[:160]})"
    return f"not a sound that plait reads ({described(head)}); expected {', '.join(SOUND_FORMATS)}"


def _head(source: bytes | Path) -> bytes:
    if isinstance(source, bytes):
        return source[:512]
    with open(source, "rb") as file:
        return file.read(512)


def _name(source: bytes | Path) -> str:
    return repr(source.name) if isinstance(source, Path) else "the sound"
