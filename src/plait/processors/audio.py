"""Sounds to log-mel spectrograms.

In: the bytes or the path of one sound an item; None is a missing one. Out: ``values``, padded to the longest clip of
the batch, and ``mask_BT``, True where a frame is real. This is what ``scratch:audio`` and Whisper hear; it needs no
PyTorch but to hand its arrays over. What other networks hear makes :mod:`plait.processors.waveform`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.processors.clip import check_seconds, read_clip
from plait.processors.description import settings_sha256, write_settings
from plait.processors.logmel import HOP, RATE, log_mel, num_frames

if TYPE_CHECKING:
    from torch import Tensor

Arrays = dict[str, np.ndarray]


def join_arrays(parts: list[Arrays]) -> Arrays:
    """One batch of clips that were processed one by one: zeros, and False in the mask, behind the shorter ones."""
    joined = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        longest = max(array.shape[1] for array in arrays)
        whole = np.zeros((len(arrays), longest, *arrays[0].shape[2:]), dtype=arrays[0].dtype)
        for row, array in enumerate(arrays):
            whole[row, : array.shape[1]] = array[0]
        joined[name] = whole
    return joined


class AudioProcessor:
    """Log-mel spectrograms at 16 kHz, one frame each 10 ms.

    Args:
        num_mels: Mel filters.
        max_seconds: Longer clips are cut.
        pad_frames: Frames of every clip, as Whisper wants them; None pads to the longest of the batch only.

    Example:
        >>> AudioProcessor().process([None])["mask_BT"].tolist()
        [[False]]
    """

    kind = "audio"

    def __init__(self, num_mels: int = 80, max_seconds: float = 30.0, pad_frames: int | None = None) -> None:
        if num_mels < 1 or (pad_frames is not None and pad_frames < 2):
            raise ValueError(f"expected num_mels >= 1 and pad_frames >= 2, got {num_mels} and {pad_frames}")
        self.num_mels = int(num_mels)
        self.pad_frames = pad_frames
        most = max_seconds if pad_frames is None else min(max_seconds, pad_frames * HOP / RATE)
        self.max_seconds = check_seconds(most)

    def process(self, sources: list[bytes | Path | None]) -> dict[str, Tensor]:
        """Decode sounds.

        Returns:
            ``values`` float32 [B, T, num_mels] and ``mask_BT`` bool.

        Raises:
            CellError: A sound is broken, empty or holds NaN.
            ImportError: Without the extra ``audio``.
        """
        from plait.processors.tensors import as_tensors

        return as_tensors(self.arrays(sources))

    def arrays(self, sources: list[bytes | Path | None]) -> Arrays:
        """The same as arrays."""
        if not sources:
            return {"values": np.zeros((0, 1, self.num_mels), np.float32), "mask_BT": np.zeros((0, 1), bool)}
        return join_arrays([self._one(source) for source in sources])

    def join(self, parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """One batch out of clips processed one by one."""
        from plait.processors.tensors import join_clips

        return join_clips(parts)

    def _one(self, source: bytes | Path | None) -> Arrays:
        if source is None:
            frames = self.pad_frames or 1
            return {"values": np.zeros((1, frames, self.num_mels), np.float32), "mask_BT": np.zeros((1, frames), bool)}
        samples_T = read_clip(source, RATE, self.max_seconds)
        values = log_mel(samples_T, self.num_mels, self.pad_frames)
        real = np.arange(len(values)) < num_frames(len(samples_T))
        return {"values": values[None], "mask_BT": real[None]}

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return {
            "type": "audio", "num_mels": self.num_mels, "max_seconds": self.max_seconds, "pad_frames": self.pad_frames,
        }  # fmt: skip

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> AudioProcessor:
        """Rebuild from ``to_json``."""
        return cls(**{key: value for key, value in description.items() if key != "type"})

    @property
    def fingerprint(self) -> str:
        """Hash of the settings."""
        return settings_sha256(self.to_json())

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` into a folder."""
        write_settings(self.to_json(), folder)
