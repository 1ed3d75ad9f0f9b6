"""Random rows as processors would give them, to trace a graph with and to compare it with the model on.

Texts, numbers and categories are drawn and go through the model's own processors; pictures, sounds and vectors are
noise of the shape that their processors give. Every pattern of what is there occurs, everything and nothing among them.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.processors import (
    AudioProcessor,
    HashedTextProcessor,
    ImageProcessor,
    LibraryImageProcessor,
    Processor,
    TabularProcessor,
    TextProcessor,
    VectorProcessor,
    WaveformProcessor,
)

Tensors = dict[str, Tensor]
WORDS = "red blue old house sunny not very good bad photo of the a dog 12 % rain \u7ea2\u8272 \U0001f600".split()


def random_rows(inputs: Inputs, rows: int, length: int, seed: int = 0) -> tuple[dict[str, Tensors], Tensor]:
    """Processor tensors by modality, and what is present [B, M].

    Args:
        inputs: Processors of the model.
        rows: Rows, B.
        length: Words of the longest text, vectors of the longest sequence, pictures of the largest set.
        seed: Of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    made = {m.name: _of_modality(inputs, m, rows, length, rng) for m in inputs.modalities}
    present_BM = rng.random((rows, len(made))) < 0.7
    present_BM[0] = True
    if rows > 1:
        present_BM[-1] = False
    return made, torch.from_numpy(present_BM)


def _of_modality(inputs: Inputs, modality: Any, rows: int, length: int, rng: np.random.Generator) -> Tensors:
    processor, name = inputs.processors[modality.name], modality.name
    if MODALITY_KINDS.get(modality.kind).is_set:
        count_B = rng.integers(1, length + 1, rows)
        count_B[0] = length
        flat = drawn(processor, rows * length, length, rng)
        shaped = {key: t.reshape(rows, length, *t.shape[1:]) for key, t in flat.items()}
        return {**shaped, "mask_BK": torch.from_numpy(np.arange(length)[None] < count_B[:, None])}
    if isinstance(processor, TextProcessor | HashedTextProcessor):
        texts = _texts(rows, length, rng)
        found = processor.process(texts)
        words, ngrams = inputs.words.get(name), inputs.ngrams.get(name)
        known = (words.words if words is not None else []) + (ngrams.words if ngrams is not None else [])
        texts = [f"{text} {' '.join(rng.choice(known, length))}" for text in texts] if known else texts
        found |= {} if words is None else words.process(texts)
        return found | ({} if ngrams is None else ngrams.process(texts))
    return drawn(processor, rows, length, rng)


def drawn(processor: Processor, rows: int, length: int, rng: np.random.Generator) -> Tensors:
    """Tensors of random items of one processor.

    Raises:
        ValueError: A processor of another kind.
    """
    if isinstance(processor, TabularProcessor):
        columns = {name: list(mean + std * rng.normal(size=rows)) for name, (mean, std) in processor.numeric.items()}
        for name, values in processor.categorical.items():
            known = [*values, *processor.rare.get(name, []), None, "never seen"]
            columns[name] = [known[i] for i in rng.integers(0, len(known), rows)]
        columns |= {name: [parts.latest] * rows for name, parts in processor.dates.items()}
        made = processor.process(columns)
        shape = made["numeric_BF"].shape
        noise_BF = torch.from_numpy(rng.normal(size=shape).astype(np.float32))
        is_date_F = torch.arange(shape[1]) >= len(processor.numeric)
        missing_BF = torch.from_numpy((rng.random(shape) < 0.2).astype(np.float32))
        numeric_BF = torch.where(is_date_F, noise_BF, made["numeric_BF"])
        return {**made, "numeric_BF": torch.where(missing_BF > 0, 0.0, numeric_BF), "missing_BF": missing_BF}
    if isinstance(processor, VectorProcessor):
        return processor.process([rng.normal(size=(n, processor.width)) for n in _lengths(rows, length, rng)])
    if isinstance(processor, ImageProcessor | LibraryImageProcessor):
        example = processor.process([_grey()])
        return {
            key: _noise(one, rows, rng) if one.is_floating_point() else one.repeat(rows, *[1] * (one.ndim - 1))
            for key, one in example.items()
        }  # fmt: skip
    if isinstance(processor, WaveformProcessor):  # a graph takes clips of one length
        values = torch.zeros(rows, processor.min_samples + 1 + 397 * length)
        return {"values": _noise(values, rows, rng), "mask_BT": torch.ones(values.shape, dtype=torch.bool)}
    if isinstance(processor, AudioProcessor):
        frames = processor.pad_frames or 1 + 37 * (length - 1)
        count_B = [max(1, frames * n // length) for n in _lengths(rows, length, rng)]
        real = np.arange(frames)[None] < np.array(count_B)[:, None]
        values = _noise(torch.zeros(1, frames, processor.num_mels), rows, rng)
        return {"values": values, "mask_BT": torch.from_numpy(real)}
    raise ValueError(f"items of a {type(processor).__name__} cannot be drawn")


def _lengths(rows: int, length: int, rng: np.random.Generator) -> list[int]:
    found = rng.integers(1, length + 1, rows).tolist()
    found[0] = length
    return [int(n) for n in found]


def _texts(rows: int, length: int, rng: np.random.Generator) -> list[str]:
    return [" ".join(rng.choice(WORDS, n)) for n in _lengths(rows, length, rng)]


def _noise(like: Tensor, rows: int, rng: np.random.Generator) -> Tensor:
    shape = (rows, *like.shape[1:])
    return torch.from_numpy(rng.normal(size=shape).astype(np.float32))


def _grey() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 48), "grey").save(out, "PNG")
    return out.getvalue()
