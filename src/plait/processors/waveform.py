"""What feature extractors of ``transformers`` make of sounds, for the networks that they belong to.

In: the bytes or the path of one sound an item; None is a missing one. Out: ``values``, padded to the longest clip of
the batch, and ``mask_BT``, True where a sample (or a frame) is real: fbank of AST, normalised samples of wav2vec2 and
its relatives (:mod:`plait.processors.samples`, numpy alone), the spectrogram of CLAP.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plait.processors.clip import check_seconds, read_clip
from plait.processors.description import settings_sha256, write_settings
from plait.processors.samples import SampleReader
from plait.processors.tensors import as_tensors, join_clips

SAMPLES = "Wav2Vec2FeatureExtractor"
EXTRACTORS = ("ASTFeatureExtractor", SAMPLES, "ClapFeatureExtractor")
AST_SHIFT, AST_WINDOW = 0.010, 0.025  # seconds, fixed in the extractor


class WaveformProcessor:
    """What a feature extractor of ``transformers`` makes of sounds.

    Args:
        extractor: Its settings, with its class under ``feature_extractor_type``.
        max_seconds: Longer clips are cut; never more than the extractor's own length.
        min_samples: Shorter clips get zeros behind them, so that the network's convolutions fit.

    Raises:
        ValueError: An extractor that is not known here.
    """

    kind = "audio"

    def __init__(self, extractor: dict[str, Any], max_seconds: float = 30.0, min_samples: int = 1) -> None:
        import transformers

        name = extractor.get("feature_extractor_type")
        if name not in EXTRACTORS:
            raise ValueError(f"the feature extractor {name!r} is not known; expected one of {', '.join(EXTRACTORS)}")
        given = {key: value for key, value in extractor.items() if key != "feature_extractor_type"}
        with warnings.catch_warnings():  # AST's own 128 filters are said to be too many for its spectrum
            warnings.filterwarnings("ignore", message=".*mel filter has all zero values.*", category=UserWarning)
            self._extractor = getattr(transformers, name)(**given)
        self.extractor = {"feature_extractor_type": name, **json.loads(json.dumps(given, sort_keys=True))}
        self.name = name
        self.rate = int(self._extractor.sampling_rate)
        own = {"ASTFeatureExtractor": self._ast_seconds, "ClapFeatureExtractor": self._clap_seconds}.get(name)
        self.max_seconds = check_seconds(max_seconds if own is None else min(max_seconds, own()))
        self.min_samples = int(min_samples)
        self.samples: SampleReader | None = None
        if name == SAMPLES:
            normalises = bool(self._extractor.do_normalize)
            self.samples = SampleReader(self.rate, self.max_seconds, self.min_samples, normalises)

    def process(self, sources: list[bytes | Path | None]) -> dict[str, Tensor]:
        """Decode sounds.

        Returns:
            ``values`` float32, [B, T] for waveforms, else as the network wants them, and ``mask_BT`` bool (one True
            for all of CLAP's spectrogram, which is filled by repetition).

        Raises:
            CellError: A sound is broken, empty or holds NaN.
            ImportError: Without the extra ``audio``.
        """
        if not sources:
            one = self._one(None)
            return {name: tensor[:0] for name, tensor in one.items()}
        return self.join([self._one(source) for source in sources])

    def join(self, parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """One batch out of clips processed one by one."""
        return join_clips(parts)

    def _one(self, source: bytes | Path | None) -> dict[str, Tensor]:
        if self.samples is not None:
            return as_tensors(self.samples.one(source))
        samples = torch.zeros(1).numpy() if source is None else read_clip(source, self.rate, self.max_seconds)
        num_real = len(samples)
        least = max(self.min_samples, round(AST_WINDOW * self.rate) if self.name == "ASTFeatureExtractor" else 1)
        padded = torch.nn.functional.pad(torch.from_numpy(samples), (0, max(0, least - num_real))).numpy()
        made = self._extractor(padded, sampling_rate=self.rate, return_tensors="pt")
        if self.name == "ClapFeatureExtractor":
            values, real = made["input_features"], torch.ones(1, 1, dtype=torch.bool)
        else:
            values = made["input_values"]
            shift, window = round(AST_SHIFT * self.rate), round(AST_WINDOW * self.rate)
            real = (torch.arange(values.shape[1]) < 1 + (len(padded) - window) // shift)[None]
        return {"values": values.float(), "mask_BT": real if source is not None else torch.zeros_like(real)}

    def _ast_seconds(self) -> float:
        return float(AST_WINDOW + (int(self._extractor.max_length) - 1) * AST_SHIFT)

    def _clap_seconds(self) -> float:
        return float(self._extractor.nb_max_samples / self.rate)

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return {
            "type": "waveform", "extractor": self.extractor, "max_seconds": self.max_seconds,
            "min_samples": self.min_samples,
        }  # fmt: skip

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> WaveformProcessor:
        """Rebuild from ``to_json``."""
        return cls(description["extractor"], description["max_seconds"], description["min_samples"])

    @property
    def fingerprint(self) -> str:
        """Hash of the settings."""
        return settings_sha256(self.to_json())

    def save(self, folder: str | Path) -> None:
        """Write ``processor.json`` into a folder."""
        write_settings(self.to_json(), folder)
