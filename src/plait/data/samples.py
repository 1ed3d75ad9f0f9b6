"""Sounds that are held in memory: decoded samples with their rate, as the bytes of a WAV file.

In: the dictionary ``{"array": samples, "sampling_rate": rate, "path": ...}`` that Hugging Face datasets give, or their
newer decoder objects. Samples are [T], [T, channels] or [channels, T]; floats from -1 to 1, or whole numbers of a type
whose full scale is loud (int8, int16, int32, uint8). Out: WAV of 32-bit floats, or of 16 bits where the samples are
int16; equal samples at an equal rate have equal bytes and so equal keys.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_CHANNELS = 32
RATES = (1_000, 1_000_000)  # of a pair: a smaller number beside an array is no rate
LOUDEST_FLOAT = 64.0  # far above any mix; beyond it the numbers are those of a whole scale
_PCM, _FLOAT = 1, 3  # format codes of WAV

Samples = np.ndarray[Any, Any]


def is_decoder(value: object) -> bool:
    """Whether a value decodes a sound when asked, as the decoders of torchcodec and newer datasets do."""
    return hasattr(value, "get_all_samples") and not isinstance(value, type)


def is_decoded_sound(cell: Mapping[Any, Any]) -> bool:
    """Whether a dictionary holds decoded samples."""
    return cell.get("array") is not None


def as_decoded_sound(value: object) -> dict[str, Any] | None:
    """The dictionary of a pair of samples and rate, in either order, as librosa, torchaudio, SciPy and Gradio give it.

    Args:
        value: A pair is a tuple of an array of one or two dimensions and whole samples a second, 1,000 to 1,000,000.

    Example:
        >>> as_decoded_sound((np.zeros(4), 16000))["sampling_rate"], as_decoded_sound((np.zeros(4), 3))
        (16000, None)
    """
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    for samples, rate in (value, value[::-1]):
        is_rate = isinstance(rate, int | np.integer) and not isinstance(rate, bool) and RATES[0] <= rate <= RATES[1]
        if is_rate and getattr(samples, "ndim", 0) in (1, 2):
            return {"array": samples, "sampling_rate": int(rate)}
    return None


def sound_bytes(cell: Mapping[Any, Any]) -> bytes:
    """Decoded samples as WAV.

    Raises:
        ValueError: No rate, samples that are no numbers, of an unknown scale or of more than two dimensions.

    Example:
        >>> len(sound_bytes({"array": [0.0, 0.5], "sampling_rate": 8000}))
        52
    """
    if "sampling_rate" not in cell:
        given = ", ".join(map(str, cell))
        raise ValueError(f"a sound with the keys {given}; expected array and sampling_rate (samples a second)")
    return wave_bytes(_plain(cell["array"]), cell["sampling_rate"])


def decoded_bytes(decoder: Any) -> bytes:
    """All samples of a decoder as WAV; torchcodec gives [channels, T].

    Raises:
        ValueError: It cannot decode.
    """
    try:
        found = decoder.get_all_samples()
        samples, rate = _plain(found.data), found.sample_rate
    except MemoryError:  # says nothing against the sound
        raise
    except Exception as error:  # decoders raise many types on damaged files
        raise ValueError(
            f"a sound that its decoder cannot read ({type(error).__name__}: {str(error)[:160]})"
        ) from error
    return wave_bytes(samples.T if samples.ndim == 2 else samples, rate, channels_last=True)


def wave_bytes(samples: Samples, rate: object, *, channels_last: bool = False) -> bytes:
    """Samples [T], [T, channels] or [channels, T] as WAV; the shorter side is that of the channels.

    Raises:
        ValueError: As :func:`sound_bytes`.
    """
    whole = _whole_rate(rate)
    if samples.ndim == 1:
        samples = samples[:, None]
    elif samples.ndim != 2:
        raise ValueError(f"samples of shape {list(samples.shape)}; expected [T], [T, channels] or [channels, T]")
    elif not channels_last:
        if samples.size and (min(samples.shape) > MOST_CHANNELS or samples.shape[0] == samples.shape[1] > 1):
            raise ValueError(f"samples of shape {list(samples.shape)}; cannot tell which side is that of the channels")
        samples = samples.T if samples.shape[0] < samples.shape[1] else samples
    scaled = _scaled(samples)
    code, width = (_PCM, 2) if scaled.dtype == np.int16 else (_FLOAT, 4)
    data = np.ascontiguousarray(scaled).astype(scaled.dtype.newbyteorder("<"), copy=False).tobytes()
    if len(data) >= 2**32 - 36:
        raise ValueError(f"a sound of {len(data):,} bytes; a WAV file holds 4 GiB. Write it to a FLAC file instead")
    frame = samples.shape[1] * width
    head = struct.pack("<HHIIHH", code, samples.shape[1], whole, whole * frame, frame, width * 8)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + head + (
        b"data" + struct.pack("<I", len(data)) + data
    )  # fmt: skip


def _plain(samples: Any) -> Samples:
    detached = samples.detach().cpu() if hasattr(samples, "detach") else samples
    try:
        return np.asarray(detached)
    except (TypeError, ValueError) as error:  # rows of different lengths, or a type that numpy lacks
        raise ValueError(f"samples that are no array of numbers ({str(error)[:120]})") from error


def _whole_rate(rate: object) -> int:
    if isinstance(rate, int | float | np.integer | np.floating) and not isinstance(rate, bool):
        number = float(rate)
        if 1 <= number < 2**31 and number.is_integer():
            return int(number)
    raise ValueError(f"a sampling_rate of {rate!r}; expected whole samples a second, such as 16000")


def _scaled(samples: Samples) -> Samples:
    """Floats of -1 to 1; int16 stays."""
    kind = samples.dtype
    if kind == np.int16:
        return samples
    if kind.kind == "f":
        made = samples.astype(np.float32)
        loudest = float(np.nanmax(np.abs(made), initial=0.0)) if made.size else 0.0
        if LOUDEST_FLOAT < loudest < np.inf:
            raise ValueError(
                f"float samples up to {loudest:g}; expected -1 to 1: divide by the full scale (32768 for 16 bits)"
            )
        return made
    if kind == np.uint8:
        return ((samples.astype(np.float32) - 128) / 128).astype(np.float32)
    if kind in (np.int8, np.int32):
        return (samples.astype(np.float64) / -float(np.iinfo(kind).min)).astype(np.float32)
    raise ValueError(
        f"samples of {kind}, whose full scale is unknown; expected floats from -1 to 1 or int16: write "
        "numpy.asarray(array, dtype='int16') if they are 16-bit"
    )
