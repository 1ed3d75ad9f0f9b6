"""Log-mel spectrograms in plain torch, as Whisper reads them.

In: samples of one clip at 16 kHz. Out: one row of mel energies each 10 ms. Short-time power spectra (Hann window of
400 samples, hop 160, reflected at the ends), triangular filters that are evenly spaced on the Slaney mel scale and
have equal area, base-10 logarithm, all below 80 dB under the loudest value lifted to it, and a shift and scale that
bring speech to about -1 to 1. After Radford et al. 2023, "Robust Speech Recognition via Large-Scale Weak
Supervision", section 2.2; the mel scale is that of Slaney 1998, "Auditory Toolbox".
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

RATE = 16_000
WINDOW = 400
HOP = 160
FLOOR = 1e-10
RANGE = 8.0  # in powers of ten: 80 dB

_LINEAR_STEP = 200 / 3  # Hz a mel below 1000 Hz
_BEND = 1000 / _LINEAR_STEP  # mels at 1000 Hz, where the scale turns logarithmic
_LOG_STEP = math.log(6.4) / 27


def num_frames(num_samples: int) -> int:
    """Frames of a clip: one for each hop that it begins."""
    return max(1, math.ceil(num_samples / HOP))


def log_mel(samples_T: Tensor, num_mels: int = 80, pad_frames: int | None = None) -> Tensor:
    """Log-mel energies of one clip, [frames, num_mels].

    Args:
        samples_T: Samples at 16 kHz, float32, one or more.
        num_mels: Filters between 0 and 8000 Hz.
        pad_frames: Make so many frames, silence after the clip and nothing of what lies beyond; None: as the clip is.

    Example:
        >>> log_mel(torch.zeros(1600)).shape
        torch.Size([10, 80])
    """
    frames = num_frames(len(samples_T)) if pad_frames is None else pad_frames
    length = frames * HOP + (WINDOW if pad_frames is None else 0)
    samples_T = samples_T[: frames * HOP]
    samples_T = torch.nn.functional.pad(samples_T, (0, length - len(samples_T)))
    spectrum = torch.stft(samples_T, WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True)
    power_KT = spectrum[:, :frames].abs() ** 2
    logs_FT = (mel_filters(num_mels) @ power_KT).clamp(min=FLOOR).log10()
    logs_FT = torch.maximum(logs_FT, logs_FT.max() - RANGE)
    return ((logs_FT + 4.0) / 4.0).T.contiguous()


@lru_cache(maxsize=8)
def mel_filters(num_mels: int) -> Tensor:
    """Triangular filters over the bins of a spectrum, [num_mels, 201]; the area under each is 1 per Hz.

    Raises:
        ValueError: A number of filters below 1 or above the number of bins.
    """
    num_bins = WINDOW // 2 + 1
    if not 1 <= num_mels <= num_bins:
        raise ValueError(f"num_mels is {num_mels}; expected 1 to {num_bins}")
    bins_K = torch.linspace(0, RATE / 2, num_bins, dtype=torch.float64)
    edges = _hertz(torch.linspace(0, _mels(RATE / 2), num_mels + 2, dtype=torch.float64))
    low_F1, middle_F1, high_F1 = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising_FK = (bins_K - low_F1) / (middle_F1 - low_F1)
    falling_FK = (high_F1 - bins_K) / (high_F1 - middle_F1)
    filters_FK = torch.minimum(rising_FK, falling_FK).clamp(min=0) * 2 / (high_F1 - low_F1)
    return filters_FK.to(torch.float32)


def _mels(hertz: float) -> float:
    """Slaney's mels: linear up to 1000 Hz, logarithmic above."""
    return hertz / _LINEAR_STEP if hertz < 1000 else _BEND + math.log(hertz / 1000) / _LOG_STEP


def _hertz(mels: Tensor) -> Tensor:
    return torch.where(mels < _BEND, mels * _LINEAR_STEP, 1000 * torch.exp((mels - _BEND) * _LOG_STEP))
