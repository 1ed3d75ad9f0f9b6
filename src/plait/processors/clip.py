"""From a sound cell to the samples that an encoder hears: decoded, one channel, the wanted rate, not too long.

Resampling is done by soxr (extra ``audio``): a band-limited sinc filter whose stop band lies more than 100 dB down,
so that nothing above the new Nyquist frequency folds back. The polyphase filter of scipy, which would need no
further package, leaves about 50 dB with its default window.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from plait.data.sound import decode_sound

MIN_SECONDS, MAX_SECONDS = 0.1, 3600.0


def read_clip(source: bytes | Path, rate: int, max_seconds: float) -> np.ndarray[Any, Any]:
    """Samples of the first ``max_seconds`` of a sound, float32 [T] with T at least 1.

    Raises:
        CellError: As :func:`plait.data.sound.decode_sound`.
        ImportError: Without the extra ``audio``.
    """
    sound = decode_sound(source, max_seconds=max_seconds)
    samples = resample(sound.samples, sound.rate, rate)
    return samples[: math.ceil(max_seconds * rate)]


def resample(samples: np.ndarray[Any, Any], rate: int, wanted: int) -> np.ndarray[Any, Any]:
    """The same sound at another rate, float32; a clip shorter than one sample of the new rate is one sample."""
    if rate == wanted:
        return samples
    try:
        import soxr
    except ImportError as error:
        raise ImportError(
            f"resampling sound from {rate:,} to {wanted:,} samples a second needs the package soxr; type: pip install "
            "plait[audio]", name="soxr",
        ) from error  # fmt: skip
    made = soxr.resample(samples, rate, wanted, quality="HQ").astype(np.float32, copy=False)
    return made if len(made) else samples[:1]


def check_seconds(max_seconds: float) -> float:
    """The longest clip in seconds, as a float.

    Raises:
        ValueError: Outside 0.1 to 3600 s.
    """
    if not MIN_SECONDS <= max_seconds <= MAX_SECONDS:
        raise ValueError(f"the longest clip is {max_seconds} s; expected {MIN_SECONDS} to {MAX_SECONDS:.0f} s")
    return float(max_seconds)
