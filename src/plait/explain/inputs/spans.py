"""Time spans of a sound that can be hidden: equal ones, silent where hidden, with short fades against clicks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from plait.data.sound import decode_sound, import_soundfile
from plait.explain.inputs.cut import Cut

FADE_SECONDS = 0.005
LEAST_SECONDS = 0.05
SHOWN_POINTS = 240


def cut_spans(source: bytes | Path, spans: int = 16, max_seconds: float = 30.0) -> Cut:
    """A sound in equal spans.

    Args:
        source: Its bytes or its path.
        spans: How many; fewer where one would be shorter than 50 ms.
        max_seconds: What the encoder hears of it.

    Raises:
        CellError: As ``decode_sound``.
        ImportError: Without the extra ``audio``.
    """
    sound = decode_sound(source, max_seconds=max_seconds)
    samples_T, rate = sound.samples, sound.rate
    seconds = len(samples_T) / rate
    count = max(1, min(spans, int(seconds / LEAST_SECONDS)))
    edges = np.linspace(0, len(samples_T), count + 1).round().astype(int)
    fade = max(1, int(FADE_SECONDS * rate))

    def hidden(kept_P: np.ndarray, draw: int) -> bytes:
        made = samples_T
        if not kept_P.all():
            gain_T = np.zeros(len(samples_T), dtype=np.float32)
            for p in np.flatnonzero(kept_P):
                gain_T[edges[p] : edges[p + 1]] = 1.0
            # A running mean that looks outwards from kept spans only: what is hidden stays silent throughout.
            padded = np.pad(gain_T, (fade, fade), mode="edge")
            total = np.cumsum(np.pad(padded, (1, 0)), dtype=np.float64)
            smooth = (total[2 * fade + 1 :] - total[: -2 * fade - 1]) / (2 * fade + 1)
            made = samples_T * np.where(gain_T > 0, np.clip(2 * smooth - 1, 0, 1), 0).astype(np.float32)
        out = io.BytesIO()
        import_soundfile().write(out, made, rate, format="WAV", subtype="FLOAT")
        return out.getvalue()

    parts = [{"from": round(edges[p] / rate, 4), "to": round(edges[p + 1] / rate, 4)} for p in range(count)]
    note = f"only the first {seconds:.1f} s of {sound.seconds:.1f} s are heard" if sound.is_cut else None
    return Cut(parts, hidden, "silence", shown={"waveform": _loudness(samples_T), "seconds": seconds}, note=note)


def _loudness(samples_T: np.ndarray) -> list[float]:
    """Largest size of the samples in each of at most 240 stretches, the largest of all being 1."""
    pieces = np.array_split(np.abs(samples_T), min(SHOWN_POINTS, max(1, len(samples_T))))
    peaks = np.array([piece.max(initial=0.0) for piece in pieces])
    return [round(float(v), 3) for v in peaks / max(float(peaks.max()), 1e-9)]
