"""Log-mel spectrograms in plain numpy, as Whisper reads them.

In: samples of one clip at 16 kHz. Out: one row of mel energies each 10 ms. Short-time power spectra (Hann window of
400 samples, hop 160, reflected at the ends), triangular filters that are evenly spaced on the Slaney mel scale and
have equal area, base-10 logarithm, all below 80 dB under the loudest value lifted to it, and a shift and scale that
bring speech to about -1 to 1. Computed in float64, for the logarithm enlarges what float32 rounds in quiet bins. After
Radford et al. 2023, "Robust Speech Recognition via Large-Scale Weak Supervision", section 2.2; the mel scale is that of
Slaney 1998, "Auditory Toolbox": straight up to 1000 Hz (mel 15), then 27 mels for each factor of 6.4.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

RATE = 16_000
WINDOW = 400
HOP = 160
FLOOR = 1e-10
RANGE = 8.0  # in powers of ten: 80 dB
FRAMES_AT_ONCE = 2048
STRAIGHT_HZ, STRAIGHT_MEL = 1000.0, 15.0
LOG_STEP = math.log(6.4) / 27.0

Array = np.ndarray[Any, Any]


def num_frames(num_samples: int) -> int:
    """Frames of a clip: one for each hop that it begins."""
    return max(1, math.ceil(num_samples / HOP))


def log_mel(samples_T: Array, num_mels: int = 80, pad_frames: int | None = None) -> Array:
    """Log-mel energies of one clip, float32 [frames, num_mels].

    Args:
        samples_T: Samples at 16 kHz, float32, one or more.
        num_mels: Filters between 0 and 8000 Hz.
        pad_frames: Make so many frames, silence after the clip and nothing of what lies beyond; None: as the clip is.

    Example:
        >>> log_mel(np.zeros(1600)).shape
        (10, 80)
    """
    frames = num_frames(len(samples_T)) if pad_frames is None else pad_frames
    length = frames * HOP + (WINDOW if pad_frames is None else 0)
    samples_T = samples_T[: frames * HOP]
    padded_T = np.pad(samples_T.astype(np.float64), (0, length - len(samples_T)))
    padded_T = np.pad(padded_T, WINDOW // 2, mode="reflect")
    window_W = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    filters_FK = mel_filters(num_mels).T
    logs_TK = np.empty((frames, num_mels), dtype=np.float64)
    cut_TW = np.lib.stride_tricks.sliding_window_view(padded_T, WINDOW)[::HOP]
    for start in range(0, frames, FRAMES_AT_ONCE):
        stop = min(frames, start + FRAMES_AT_ONCE)
        spectrum_TF = np.fft.rfft(cut_TW[start:stop] * window_W, axis=1)
        power_TF = spectrum_TF.real**2 + spectrum_TF.imag**2
        logs_TK[start:stop] = np.log10(np.maximum(power_TF @ filters_FK, FLOOR))
    logs_TK = np.maximum(logs_TK, logs_TK.max() - RANGE)
    return ((logs_TK + 4.0) / 4.0).astype(np.float32)


@lru_cache(maxsize=8)
def mel_filters(num_mels: int) -> Array:
    """Triangular filters over the bins of a spectrum, float64 [num_mels, 201]; the area under each is 1 per Hz.

    Raises:
        ValueError: A number of filters below 1 or above the number of bins.
    """
    num_bins = WINDOW // 2 + 1
    if not 1 <= num_mels <= num_bins:
        raise ValueError(f"num_mels is {num_mels}; expected 1 to {num_bins}")
    top = STRAIGHT_MEL + math.log(RATE / 2 / STRAIGHT_HZ) / LOG_STEP
    corner_E = _hertz(np.linspace(0.0, top, num_mels + 2))
    from_bin_FE = corner_E[None] - np.linspace(0.0, RATE / 2, num_bins)[:, None]
    width_E = np.diff(corner_E)
    rising_FK, falling_FK = -from_bin_FE[:, :-2] / width_E[:-1], from_bin_FE[:, 2:] / width_E[1:]
    filters_FK = np.maximum(0.0, np.minimum(rising_FK, falling_FK))
    return np.ascontiguousarray((filters_FK * (2.0 / (corner_E[2:] - corner_E[:-2]))).T)


def _hertz(mel_E: Array) -> Array:
    above_E = STRAIGHT_HZ * np.exp(LOG_STEP * np.maximum(mel_E - STRAIGHT_MEL, 0.0))
    return np.where(mel_E < STRAIGHT_MEL, mel_E * STRAIGHT_HZ / STRAIGHT_MEL, above_E)
