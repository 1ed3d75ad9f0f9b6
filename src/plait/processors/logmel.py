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
    from transformers.audio_utils import mel_filter_bank

    filters_KF = mel_filter_bank(num_bins, num_mels, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
    return torch.from_numpy(filters_KF.T).to(torch.float32)
