"""What the authors' code gives, processor and model of ``transformers``, and how far Plait is away from it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_architectures import ARCHITECTURES, LENGTH
from torch import Tensor

from fixtures.lazy import lazy
from fixtures.media import encoded, sound

hf = lazy("transformers")

TEXTS = [
    "red", "two brown dogs run over the green grass", "", "a man in a blue shirt sits on a red bench " * 3,
    "wind? snow!",
]  # fmt: skip
SECONDS = (0.3, 0.9, 0.05, 0.6)


def items_of(kind: str, rate: int = 16_000) -> list[Any]:
    """Texts of many lengths; photos wide, tall, tiny, grey and with alpha; sounds short and long."""
    if kind == "text":
        return TEXTS
    drawn = np.random.default_rng(0)
    if kind == "audio":
        return [sound(drawn.normal(0, 0.1, int(rate * s)).astype(np.float32), rate) for s in SECONDS]
    photo = Image.fromarray(drawn.integers(0, 256, (9, 13, 3), dtype=np.uint8))
    made = [photo.resize(size, Image.Resampling.BICUBIC) for size in ((170, 60), (50, 140), (7, 5))]
    return [encoded(one) for one in (*made, made[0].convert("L"), made[1].convert("RGBA"))]


@dataclass(frozen=True)
class Parity:
    """Largest absolute differences: to the authors' code, of one item alone, of the batch in another order."""

    authors: float
    alone: float
    order: float


def measure(prefix: str, name: str, kind: str, folder: Path) -> Parity:
    """Compare one side of one architecture with its authors' code."""
    from plait.encoders import load_encoder

    rate = 48_000 if name == "clap" else 16_000
    items = items_of(kind, rate)
    if ARCHITECTURES[name].tokenizer == "gpt":
        items = [item for item in items if item]  # its tokenizer makes nothing of an empty text
    encoder, processor = load_encoder(f"{prefix}:{folder}", kind, max_length=LENGTH)
    with torch.inference_mode():
        batch = encoder(**processor.process(items))
        widths = (batch.vector_BD.shape[1], None if batch.tokens_BTD is None else batch.tokens_BTD.shape[2])
        assert (encoder.vector_dim, encoder.token_dim) == widths, f"widths {widths} are not those it names"
        alone = torch.cat([encoder(**processor.process([item])).vector_BD for item in items])
        turned = encoder(**processor.process(items[::-1])).vector_BD.flip(0)
        differences = []
        for row, (tokens, vector) in enumerate(theirs(prefix, name, kind, folder, items)):
            differences.append(float((batch.vector_BD[row] - vector).abs().max()))
            if batch.tokens_BTD is not None and tokens is not None:
                real = batch.mask_BT[row]
                own, tokens = batch.tokens_BTD[row][real], tokens[real[: len(tokens)].nonzero()[:, 0]]
                differences.append(float((own - tokens).abs().max()))
    far = [float((batch.vector_BD - other).abs().max()) for other in (alone, turned)]
    return Parity(max(differences), *far)


def theirs(prefix: str, name: str, kind: str, folder: Path, items: list[Any]) -> Iterator[tuple[Tensor | None, Tensor]]:
    """Tokens [T, D] and vector [D] of each item, one at a time."""
    one = ARCHITECTURES[name]
    model = hf.AutoModel.from_pretrained(folder).eval()
    auto = {"text": hf.AutoTokenizer, "image": hf.AutoImageProcessor, "audio": hf.AutoFeatureExtractor}[kind]
    processor = auto.from_pretrained(folder)
    tower = getattr(model, {"text": "text_model", "image": "vision_model", "audio": "audio_model"}[kind], model)
    network = model.get_encoder() if model.config.is_encoder_decoder else tower
    for item in items:
        inputs = _inputs(one, kind, processor, item)
        if prefix == "two-tower":
            found = getattr(model, f"get_{kind}_features")(**inputs)
            yield None, found if isinstance(found, Tensor) else found.pooler_output[0]
            continue
        output = network(**inputs)
        hidden = output.last_hidden_state[0]
        is_map = hidden.ndim == 3
        tokens = hidden.flatten(1).T if is_map else hidden
        if one.config == "WhisperConfig":  # what it makes of the silence behind a sound is left out
            tokens = tokens[: -(-_num_frames(item, processor.hop_length) // 2)]
        if one.pads and kind == "text":
            count = len(processor(item, truncation=True, max_length=LENGTH)["input_ids"])
            tokens = tokens[-count:] if processor.padding_side == "left" else tokens
        made = {"first": tokens[0], "mean": tokens.mean(0), "pooled": getattr(output, "pooler_output", None)}
        num_prefix = 0 if kind == "text" or is_map else _num_prefix(tower.config, name)
        yield tokens[num_prefix:], made[one.vectors[kind]].flatten()


def _inputs(one: Any, kind: str, processor: Any, item: Any) -> dict[str, Tensor]:
    if kind == "text":
        padding = "max_length" if one.pads else False
        made = processor([item], padding=padding, truncation=True, max_length=LENGTH, return_tensors="pt")
        return {key: made[key] for key in (("input_ids",) if one.pads else ("input_ids", "attention_mask"))}
    if kind == "image":
        return dict(processor(images=[Image.open(io.BytesIO(item)).convert("RGB")], return_tensors="pt"))
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(item), dtype="float32")
    return dict(processor(samples, sampling_rate=rate, return_tensors="pt"))


def _num_frames(item: bytes, hop: int) -> int:
    import soundfile

    return max(1, soundfile.info(io.BytesIO(item)).frames // hop)


def _num_prefix(config: Any, name: str) -> int:
    if name == "ast":
        return 2
    if name in ("siglip", "siglip2", "swin", "align", "groupvit") or not isinstance(
        getattr(config, "patch_size", None), int
    ):
        return 0
    if config.model_type in ("mobilevit", "pvt_v2", "whisper", "clap_audio_model"):
        return 0
    return 1 + int(getattr(config, "num_register_tokens", 0)) + (1 if config.model_type == "deit" else 0)
