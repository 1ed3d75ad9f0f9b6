"""Views of a sound: louder or softer, shifted, and with spans of time and bands of frequency silenced.

In: the bytes or the path of a sound. Out: the bytes of a WAV file, which any processor of sounds takes. The masks of
SpecAugment are cut out of the wave itself here (a band by its Fourier coefficients), so that frozen encoders of every
kind hear them; inside a network from scratch they lie on the spectrogram (``encoders.spec_augment``).

Reference: Park et al. 2019 (SpecAugment), section 2: masks of frequency and time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plait.data.samples import wave_bytes
from plait.data.sound import decode_sound

LOUDEST_DB, LONGEST_SHIFT, LONGEST_MASK, WIDEST_BAND = 6.0, 0.1, 0.1, 0.1
Samples = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SoundView:
    """One way to change a sound.

    Attributes:
        gain: Decibels.
        shift: Share of its length by which it is moved on, what leaves at the end coming in at the beginning.
        silence: Beginning and length of the silenced span, shares of its length.
        band: Beginning and width of the silenced band, shares of the highest frequency.
        max_seconds: What is longer is cut.
    """

    gain: float = 0.0
    shift: float = 0.0
    silence: tuple[float, float] = (0.0, 0.0)
    band: tuple[float, float] = (0.0, 0.0)
    max_seconds: float = 30.0

    def __call__(self, source: bytes | Path) -> bytes:
        """The changed sound as WAV.

        Raises:
            CellError: As :func:`plait.data.sound.decode_sound`.
        """
        sound = decode_sound(source, max_seconds=self.max_seconds)
        return wave_bytes(self.changed(sound.samples).astype(np.float32), sound.rate)

    def changed(self, samples_T: Samples) -> Samples:
        """The changed samples [T]."""
        made = louder(moved(samples_T, self.shift), self.gain)
        return without_span(without_band(made, *self.band), *self.silence)

    def to_json(self) -> list[Any]:
        """What tells it from other views; an empty list changes nothing."""
        given = {"gain": self.gain, "shift": self.shift, "silence": self.silence[1] and self.silence,
                 "band": self.band[1] and self.band}  # fmt: skip
        told: list[Any] = [[k, *np.round(np.atleast_1d(v), 6).tolist()] for k, v in given.items() if v]
        return [*told, ["seconds", self.max_seconds]] if told else []


def draw_sound(generator: np.random.Generator, policy: str, *, max_seconds: float = 30.0) -> SoundView:
    """Draw a view: ``wave`` changes loudness and place, ``mask`` silences, ``all`` does both."""
    gain, shift = generator.uniform(-LOUDEST_DB, LOUDEST_DB), generator.uniform(0.0, LONGEST_SHIFT)
    length, width = generator.uniform(0.0, LONGEST_MASK), generator.uniform(0.0, WIDEST_BAND)
    begin, low = generator.uniform(0.0, 1.0 - length), generator.uniform(0.0, 1.0 - width)
    waves, masks = policy in ("wave", "all"), policy in ("mask", "all")
    return SoundView(
        float(gain) if waves else 0.0, float(shift) if waves else 0.0,
        (float(begin), float(length)) if masks else (0.0, 0.0), (float(low), float(width)) if masks else (0.0, 0.0),
        max_seconds,
    )  # fmt: skip


def louder(samples_T: Samples, decibels: float) -> Samples:
    """Samples at another loudness, 6 dB being nearly twice the amplitude."""
    return samples_T * np.float32(10.0 ** (decibels / 20.0))


def moved(samples_T: Samples, share: float) -> Samples:
    """Samples moved on in a circle by a share of their length."""
    return np.roll(samples_T, round(share * len(samples_T)))


def without_span(samples_T: Samples, begin: float, length: float) -> Samples:
    """Samples with a span silenced; nothing at length 0, everything at 1.

    Example:
        >>> without_span(np.ones(4), 0.25, 0.5).tolist()
        [1.0, 0.0, 0.0, 1.0]
    """
    made = samples_T.copy()
    first = round(begin * len(made))
    made[first : first + round(length * len(made))] = 0.0
    return made


def without_band(samples_T: Samples, low: float, width: float) -> Samples:
    """Samples without a band of frequencies, given in shares of the highest; nothing at width 0, everything at 1."""
    if width == 0.0:
        return samples_T
    spectrum = np.fft.rfft(samples_T)
    first = round(low * len(spectrum))
    spectrum[first : first + round(width * len(spectrum))] = 0.0
    return np.fft.irfft(spectrum, n=len(samples_T)).astype(np.float32)
