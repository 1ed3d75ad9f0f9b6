"""What gradients are taken of: the numbers an encoder is given for an item, their baseline, and the part of each."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.explain.inputs.cut import Cut


@dataclass(frozen=True)
class Entry:
    """How the numbers reach the encoder.

    Attributes:
        name: Name of the processor's tensor that they are; "" where an embedding gives them out.
        embedding: The embedding, or None.
        rest: The processor's other tensors, [1, ...].
    """

    name: str
    embedding: nn.Module | None = None
    rest: dict[str, Tensor] = field(default_factory=dict)


def elements_of(kind: str, processor: Any, cut: Cut, encoder: Any) -> tuple[Tensor, Tensor, Entry, Tensor]:
    """The item [1, ...], its baseline, how both reach the encoder, and the part of each element (-1: none).

    Raises:
        ValueError: The encoder takes its input in a way that is not known here.
    """
    return {"text": _of_text, "image": _of_image, "audio": _of_audio}[kind](processor, cut, encoder)


def _whole(cut: Cut) -> Any:
    return cut.hidden(np.ones(len(cut), dtype=bool), 0)


def _of_image(processor: Any, cut: Cut, encoder: Any) -> tuple[Tensor, Tensor, Entry, Tensor]:
    from PIL import Image

    given = processor.process([_whole(cut)])
    if getattr(processor, "crops", "whole") != "whole":
        raise ValueError("this model reads several crops of a picture; type method='occlusion'")
    if set(given) != {"pixel_values"} or given["pixel_values"].ndim != 4:
        raise ValueError("this image encoder takes patches, not pixels; type method='occlusion'")
    size = Image.open(io.BytesIO(_whole(cut))).size
    out = io.BytesIO()
    Image.new("RGB", size, (128, 128, 128)).save(out, "BMP")
    base = processor.process([out.getvalue()])["pixel_values"]
    return given["pixel_values"], base, Entry("pixel_values"), pixel_parts(processor, cut, _whole(cut))


def pixel_parts(processor: Any, cut: Cut, data: bytes) -> Tensor:
    """The part of every pixel the encoder sees [1, 1, H, W], by sending a picture of part numbers through.

    Args:
        processor: The modality's.
        cut: The picture in parts.
        data: The bytes of the picture.
    """
    from PIL import Image

    width, height = Image.open(io.BytesIO(data)).size
    found: Tensor | None = None
    best: Tensor | None = None
    for p, part in enumerate(cut.parts):
        marked = np.zeros((height, width, 3), dtype=np.uint8)
        left, top, right, bottom = part["box"]
        marked[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 255
        out = io.BytesIO()
        Image.fromarray(marked).save(out, "BMP")
        level = processor.process([out.getvalue()])["pixel_values"].mean(1, keepdim=True)
        if best is None:
            best = level.clone()
        found = torch.zeros_like(level, dtype=torch.int64) if found is None else found
        found = torch.where(level > best, p, found)
        best = torch.maximum(level, best)
    assert found is not None
    return found


def _of_audio(processor: Any, cut: Cut, encoder: Any) -> tuple[Tensor, Tensor, Entry, Tensor]:
    given = processor.process([_whole(cut)])
    base = processor.process([cut.hidden(np.zeros(len(cut), dtype=bool), 0)])
    values, mask_BT = given["values"], given["mask_BT"]
    if mask_BT.shape[1] != values.shape[1]:
        raise ValueError("this audio encoder hears a spectrogram without a place in time; type method='occlusion'")
    real = int(mask_BT.sum())
    at = (torch.arange(values.shape[1]).float() + 0.5) / max(real, 1) * cut.parts[-1]["to"]
    edges = torch.tensor([part["to"] for part in cut.parts[:-1]], dtype=torch.float32)
    part_T = torch.bucketize(at, edges, right=True)
    part_T = torch.where(torch.arange(len(part_T)) < real, part_T, -1)
    rest = {k: v for k, v in given.items() if k != "values"}
    return values, base["values"], Entry("values", rest=rest), part_T.view(1, -1, *[1] * (values.ndim - 2))


def _of_text(processor: Any, cut: Cut, encoder: Any) -> tuple[Tensor, Tensor, Entry, Tensor]:
    text = cut.shown["text"]
    given = processor.process([text])
    embedding = _embedding_of(encoder)
    part_T = token_parts(processor, cut, given["input_ids"])
    padding = int(getattr(getattr(processor, "tokenizer", None), "pad_token_id", None) or 0)
    ids_BT = torch.where(part_T[None] >= 0, padding, given["input_ids"])
    device = next(embedding.parameters()).device
    with torch.no_grad():
        vectors, base = (embedding(ids.to(device)).float().cpu() for ids in (given["input_ids"], ids_BT))
    return vectors, base, Entry("", embedding, given), part_T.view(1, -1, 1)


def _embedding_of(encoder: Any) -> nn.Module:
    model = encoder.model
    if isinstance(model, nn.ModuleDict) and "embed" in model:
        return model["embed"]
    found = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    if not isinstance(found, nn.Module) or getattr(encoder, "pad", None) is not None:
        raise ValueError(
            f"the text encoder {encoder.reference} gives out no embeddings that gradients could be taken of; type "
            "method='occlusion'"
        )
    return found


def token_parts(processor: Any, cut: Cut, ids_BT: Tensor) -> Tensor:
    """The part that every word piece belongs to [T], -1 for special tokens."""
    text, parts = cut.shown["text"], cut.parts
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:  # hashed pieces: one id opens the text, then those of each word in turn
        pieces = [p for p, part in enumerate(parts) for _ in processor.process([part["text"]])["input_ids"][0][1:]]
        made = [-1, *pieces][: ids_BT.shape[1]]
        if len(made) < ids_BT.shape[1]:
            raise ValueError("the words of this text are cut otherwise beside one another; type method='occlusion'")
        return torch.tensor(made)
    shift = len(getattr(processor, "prefix", ""))
    encoded = tokenizer(
        processor.prefix + text, truncation=True, max_length=processor.max_length, return_offsets_mapping=True
    )
    made = []
    for start, end in encoded["offset_mapping"]:
        start, end = start - shift, end - shift
        middle = (start + end) / 2
        inside = [p for p, part in enumerate(parts) if part["start"] <= middle <= part["end"]]
        made.append(inside[0] if end > start >= 0 and inside else -1)
    return torch.tensor(made)


@contextmanager
def given_out(embedding: nn.Module, vectors: Tensor) -> Iterator[None]:
    """Let an embedding give out these vectors."""
    replace: Callable[..., Tensor] = lambda module, args, output: vectors.to(output.dtype)  # noqa: E731
    hook = embedding.register_forward_hook(replace)
    try:
        yield
    finally:
        hook.remove()
