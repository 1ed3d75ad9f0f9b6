"""Audio encoders from ``transformers``: Whisper, AST, wav2vec2 and its relatives, the audio tower of CLAP.

In: what the processor of :func:`audio_processor` gives. Out: the last hidden states as tokens, False in the mask where
they hear only padding, and one vector. Each family is one record that says how its network is called; which one a
model belongs to, its configuration says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import new_hf_model, one_tower, read_hf_model, refuse_random
from plait.encoders.scratch import masked_mean
from plait.processors.audio import AudioProcessor
from plait.processors.logmel import HOP, RATE
from plait.processors.waveform import WaveformProcessor
from plait.registry import Registry

AudioFrontEnd = AudioProcessor | WaveformProcessor


@dataclass(frozen=True)
class AudioFamily:
    """How one family of networks hears.

    Attributes:
        forward: From network, values and mask to what it heard.
        processor: From the network, the folder's preprocessor settings and the longest clip in seconds to what
            feeds it.
    """

    forward: Callable[[nn.Module, Tensor, Tensor], Encoded]
    processor: Callable[[nn.Module, dict[str, Any], float], AudioFrontEnd]


FAMILIES: Registry[AudioFamily] = Registry("kind of audio model")


class HFAudioEncoder(Encoder):
    """A transformers audio model.

    Args:
        model: The model, whole; one tower is taken from a model of several.
        description: JSON config with ``hf``.

    Raises:
        ValueError: A model of no family that is known here.
    """

    def __init__(self, model: nn.Module, description: dict[str, Any]) -> None:
        super().__init__(description)
        self.model = one_tower(model, "audio")
        if isinstance(getattr(self.model, "masked_spec_embed", None), nn.Parameter):
            del self.model.masked_spec_embed  # never used here, and random where the file lacks it
        config = self.model.config
        config.apply_spec_augment = False  # fails on clips that are shorter than its masks
        self.family = FAMILIES.get(config.model_type)
        self.vector_dim = self.token_dim = int(config.hidden_size)

    def forward(self, values: Tensor, mask_BT: Tensor) -> Encoded:
        """Encode what the processor gave."""
        return self.family.forward(self.model, values, mask_BT)


def load_hf_audio(folder: Path, reference: str, max_seconds: float) -> tuple[HFAudioEncoder, AudioFrontEnd]:
    """Load an audio model from a folder on this machine, and what feeds it."""
    model, config = read_hf_model(folder)
    encoder = HFAudioEncoder(model, {"type": "hf-audio", "reference": reference, "hf": config})
    refuse_random(encoder, folder)
    return encoder, audio_processor(folder, encoder.model, max_seconds)


def audio_processor(folder: Path, tower: Any, max_seconds: float) -> AudioFrontEnd:
    """What feeds an audio network, by the folder's settings where it has them."""
    path, whole = folder / "preprocessor_config.json", folder / "processor_config.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not stored and whole.is_file():  # one file for all parts of a processor
        stored = json.loads(whole.read_text(encoding="utf-8")).get("feature_extractor") or {}
    return FAMILIES.get(tower.config.model_type).processor(tower, stored, max_seconds)


def build_hf_audio(config: dict[str, Any]) -> HFAudioEncoder:
    """Rebuild from ``config()``, without weights."""
    return HFAudioEncoder(new_hf_model(config["hf"]), {key: config[key] for key in ("type", "reference", "hf")})


def _hear_whisper(model: nn.Module, values: Tensor, mask_BT: Tensor) -> Encoded:
    """Padding is silence and not masked inside, as Whisper has learned it; its tokens are left out afterwards."""
    whisper: Any = model
    mask_BT = mask_BT[:, ::2]  # its second convolution halves the frames
    if mask_BT.shape[1] == whisper.config.max_source_positions:
        tokens_BTD = whisper(values.transpose(1, 2)).last_hidden_state
    else:  # a shorter window, which transformers refuses
        frames_BDT = nn.functional.gelu(whisper.conv1(values.transpose(1, 2)))
        tokens_BTD = nn.functional.gelu(whisper.conv2(frames_BDT)).transpose(1, 2)
        tokens_BTD = tokens_BTD + whisper.embed_positions.weight[: tokens_BTD.shape[1]]
        for layer in whisper.layers:
            tokens_BTD = layer(tokens_BTD, None)
        tokens_BTD = whisper.layer_norm(tokens_BTD)
    return Encoded(masked_mean(tokens_BTD, mask_BT), tokens_BTD, mask_BT)


def _whisper_processor(model: nn.Module, stored: dict[str, Any], max_seconds: float) -> AudioProcessor:
    """Every clip fills a window of the longest clip's length, 30 s at most, on which the time it takes depends."""
    config: Any = model.config
    window = 2 * math.ceil(max_seconds * RATE / HOP / 2)
    return AudioProcessor(int(config.num_mel_bins), max_seconds, min(2 * int(config.max_source_positions), window))


def _hear_ast(model: nn.Module, values: Tensor, mask_BT: Tensor) -> Encoded:
    """Patch tokens, frequency first, and the mean of class and distillation token."""
    hidden_BTD = model(values).last_hidden_state
    config: Any = model.config
    num_spans = (values.shape[1] - config.patch_size) // config.time_stride + 1
    starts = torch.arange(num_spans, device=values.device) * config.time_stride
    real_BS = starts < mask_BT.sum(1, keepdim=True)
    tokens_BTD = hidden_BTD[:, 2:]
    return Encoded(
        (hidden_BTD[:, 0] + hidden_BTD[:, 1]) / 2, tokens_BTD, real_BS.repeat(1, tokens_BTD.shape[1] // num_spans)
    )


def _ast_processor(model: nn.Module, stored: dict[str, Any], max_seconds: float) -> WaveformProcessor:
    config: Any = model.config
    own = {"max_length": config.max_length, "num_mel_bins": config.num_mel_bins}
    return WaveformProcessor(_settings("ASTFeatureExtractor", own, stored), max_seconds)


def _hear_waveform(model: nn.Module, values: Tensor, mask_BT: Tensor) -> Encoded:
    """Clips of one length together and without padding: a group norm in front would hear it, mask or not."""
    if torch.compiler.is_exporting():  # a graph has no shapes that hang on values
        return _hear_one_length(model, values, mask_BT)
    length_B = mask_BT.sum(1)
    heard: dict[int, tuple[Tensor, Tensor]] = {}
    for length in sorted(set(length_B.tolist()) - {0}):
        rows = (length_B == length).nonzero()[:, 0]
        heard[length] = rows, model(values[rows, :length]).last_hidden_state
    config: Any = model.config
    longest = max((tokens.shape[1] for _, tokens in heard.values()), default=1)
    first = next((tokens for _, tokens in heard.values()), values)
    tokens_BTD = first.new_zeros(len(values), longest, config.hidden_size)
    mask = torch.zeros(len(values), longest, dtype=torch.bool, device=values.device)
    for rows, tokens in heard.values():
        padded = nn.functional.pad(tokens, (0, 0, 0, longest - tokens.shape[1]))
        tokens_BTD = tokens_BTD.index_copy(0, rows, padded)
        mask[rows, : tokens.shape[1]] = True
    return Encoded(masked_mean(tokens_BTD, mask), tokens_BTD, mask)


def _hear_one_length(model: nn.Module, values: Tensor, mask_BT: Tensor) -> Encoded:
    """A batch without padding, for a graph: a clip that is shorter than the others becomes NaN, not something near."""
    tokens_BTD = model(values).last_hidden_state
    heard_B = mask_BT.any(1)
    is_right_B = mask_BT.all(1) | ~heard_B
    tokens_BTD = torch.where(is_right_B[:, None, None], tokens_BTD, torch.nan)
    mask = heard_B[:, None].expand(tokens_BTD.shape[:2])
    return Encoded(masked_mean(tokens_BTD, mask), tokens_BTD, mask)


def _waveform_processor(model: nn.Module, stored: dict[str, Any], max_seconds: float) -> WaveformProcessor:
    config: Any = model.config
    field = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        field = (field - 1) * stride + kernel
    return WaveformProcessor(_settings("Wav2Vec2FeatureExtractor", {}, stored), max_seconds, field)


def _hear_clap(model: nn.Module, values: Tensor, mask_BT: Tensor) -> Encoded:
    """The map of its last stage as tokens, and its pooled output."""
    never_longer = torch.zeros(len(values), 1, dtype=torch.bool, device=values.device)
    output = model(input_features=values, is_longer=never_longer)
    hidden = output.last_hidden_state
    tokens_BTD = hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden
    heard_BT = mask_BT[:, :1].expand(tokens_BTD.shape[:2])
    return Encoded(output.pooler_output.flatten(1), tokens_BTD, heard_BT)


def _clap_processor(model: nn.Module, stored: dict[str, Any], max_seconds: float) -> WaveformProcessor:
    config: Any = model.config
    own = {
        "feature_size": config.num_mel_bins,
        "truncation": "fusion" if config.enable_fusion else "rand_trunc",  # nothing is: clips are cut before
        "padding": "repeatpad",
    }
    return WaveformProcessor(_settings("ClapFeatureExtractor", own, stored), max_seconds)


def _settings(name: str, own: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """What the folder says; what the network says where it is silent."""
    left_out = ("processor_class", "image_processor_type", "return_attention_mask")
    given = {key: value for key, value in stored.items() if key not in left_out}
    return {**own, **given, "feature_extractor_type": name}


WAVEFORM_MODELS = ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio")
FAMILIES.add("whisper", AudioFamily(_hear_whisper, _whisper_processor))
FAMILIES.add("audio-spectrogram-transformer", AudioFamily(_hear_ast, _ast_processor))
FAMILIES.add("clap_audio_model", AudioFamily(_hear_clap, _clap_processor))
for _name in WAVEFORM_MODELS:
    FAMILIES.add(_name, AudioFamily(_hear_waveform, _waveform_processor))

ENCODERS.add("hf-audio", build_hf_audio)
