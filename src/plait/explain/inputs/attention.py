"""Attention relevance of words and image regions, for encoders whose attention can be read (``relevance``).

Encoders run through fused attention, which keeps no weights. For the rows that are explained they run once more through
plain attention (``attn_implementation="eager"``), with gradients, frozen ones too. Single networks only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.data.modality import Modality
from plait.encoders.base import Encoded, Encoder
from plait.encoders.text import PROBE, HFTextEncoder
from plait.encoders.vision import HFImageEncoder, probe_pixels
from plait.evaluation import EvaluationInputs
from plait.explain.inputs.cut import Cut
from plait.explain.inputs.element_parts import given_out, pixel_parts, token_parts
from plait.explain.inputs.live import encoder_of
from plait.explain.inputs.relevance import relevance, relevance_of_tokens
from plait.explain.inputs.score import ExplainedRows
from plait.inputs.inputs import Inputs
from plait.training.fitted import FittedParts

INSTEAD = "type method='occlusion' (any encoder) or method='gradients' (words, pixels and frames of one network)"
READ_LAST = ("lasttoken",)
READ_FIRST = ("cls", "pooler")
LOOKS_BACK = ("clip",)  # text towers that look backwards only: their pooled token is the last


def no_attention(given: EvaluationInputs | FittedParts, inputs: Inputs, modality: Modality) -> str | None:
    """Why attention relevance cannot be had of a modality; None: it can."""
    if modality.kind not in ("text", "image"):
        return f"not applicable: attention relevance reads words and patches, and this is {modality.kind}"
    if modality.name in inputs.words:
        return "not applicable: a bag of words stands beside its encoder, which attention misses"
    if getattr(inputs.processors[modality.name], "crops", "whole") != "whole":
        return "not applicable: several crops of each picture are read, each with attentions of its own"
    encoder = encoder_of(given, inputs, modality)
    name = "its encoder" if encoder is None else encoder.reference
    if not isinstance(encoder, HFTextEncoder | HFImageEncoder) or getattr(encoder, "pad", None) is not None:
        return f"not applicable: {name} gives no attention weights: it is no transformer whose attention can be read"
    probe = PROBE if isinstance(encoder, HFTextEncoder) else probe_pixels(encoder.model.config)
    if set(probe) - {"input_ids", "attention_mask", "pixel_values"}:
        return f"not applicable: {name} takes patches, whose places are not known here"
    with torch.no_grad(), attention_kept(encoder) as kept:
        encoder(**{k: v.to(next(encoder.parameters()).device) for k, v in probe.items()})
    maps = kept[-1] if kept else None
    if not maps or any(a is None or a.ndim != 4 or a.shape[0] != 1 or a.shape[2] != a.shape[3] for a in maps):
        return f"not applicable: {name} gives no attention weights between all of its tokens (a CNN has none)"
    return None


def check_attention(given: EvaluationInputs | FittedParts, inputs: Inputs) -> dict[str, str | None]:
    """Why attention relevance cannot be had, by modality; None where it can.

    Raises:
        ValueError: It can of none, or an ensemble answers.
    """
    if given.ensemble is not None:
        raise ValueError(
            "method='attention' needs one network, and an ensemble answers here, whose trees and averages have no "
            "attention; type method='occlusion', or train with preset='single'"
        )
    found = {modality.name: no_attention(given, inputs, modality) for modality in inputs.modalities}
    if all(found.values()):
        said = "; ".join(f"{name}: {str(why).removeprefix('not applicable: ')}" for name, why in found.items())
        raise ValueError(f"method='attention' needs an encoder that gives attention weights ({said}); {INSTEAD}")
    return found


@contextmanager
def attention_kept(encoder: Encoder) -> Iterator[list[Any]]:
    """Let a transformers encoder run through plain attention and keep the maps [1, H, T, T] of each layer it ran."""
    network: Any = encoder.model
    config, kept, was_training = network.config, [], encoder.training
    before = (config._attn_implementation, getattr(config, "output_attentions", False))

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        kept.append(getattr(output, "attentions", None))

    hook = network.register_forward_hook(keep)
    encoder.eval()
    try:
        _attend(network, "eager")
        config.output_attentions = True
        yield kept
    finally:
        hook.remove()
        config.output_attentions = before[1]
        _attend(network, before[0])
        encoder.train(was_training)


def _attend(network: Any, implementation: str) -> None:
    if hasattr(network, "set_attn_implementation"):
        network.set_attn_implementation(implementation)
    else:
        network.config._attn_implementation = implementation


class AttentionRelevance:
    """Attention relevance of one modality of one row, by part.

    Args:
        asked: Model and rows.
        row: Which of the explained rows.
        number: Which modality.
        cut: Its item in parts.
        column: Which output is explained.

    Attributes:
        values: Relevance of each part [P], 0 or more.
        words: The same to each word of a written answer [P, W]; no columns where none is written.
        others: Relevance under new heads [P, K], or None.
        note: Which of the encoder's last tokens are read.
    """

    def __init__(self, asked: ExplainedRows, row: int, number: int, cut: Cut, column: int) -> None:
        self.asked, self.row, self.number, self.column, self.count = asked, row, number, column, len(cut)
        self.modality = asked.inputs.modalities[number]
        name = self.modality.name
        encoder = encoder_of(asked.given, asked.inputs, self.modality)
        assert encoder is not None
        self.encoder, self.index_M = encoder, asked.items_NM[row]
        self.reads_tokens = asked.given.model.fusion.info.needs_tokens
        processor, whole = asked.inputs.processors[name], cut.hidden(np.ones(len(cut), dtype=bool), 0)
        given = processor.process([cut.shown["text"] if self.modality.kind == "text" else whole])
        self.device = next(asked.given.model.parameters()).device
        self.tensors = {k: v.to(self.device) for k, v in given.items()}
        self.is_text = self.modality.kind == "text"
        self.part_of = (
            token_parts(processor, cut, given["input_ids"]) if self.is_text else pixel_parts(processor, cut, whole)
        )
        self.rest = asked.others_of(row, number, self.device)
        self.note = "read from " + ("the mean of its tokens" if self._reads_mean() else "the token it pools")
        found_PW = self._of(asked.given.model, by_word=True)
        self.values, self.words = found_PW[:, 0], found_PW[:, 1:]
        others = [self._of(network)[:, 0] for network in asked.others]
        self.others = np.stack(others, axis=1) if others else None

    def by_word(self) -> list[dict[str, Any]]:
        """Relevance of each part to each word of a written answer: ``words`` [W]; nothing where none is written."""
        return [{"words": [float(v) for v in found_W]} if len(found_W) else {} for found_W in self.words]

    def _reads_mean(self) -> bool:
        if self.reads_tokens:
            return True
        if self.is_text:
            return str(self.encoder.description["pooling"]) not in (*READ_FIRST, *READ_LAST)
        return False

    def _of(self, network: Any, *, by_word: bool = False) -> np.ndarray:
        """Relevance of each part [P, 1 + W] to the score and, where asked for, to each written word."""
        with torch.enable_grad(), attention_kept(self.encoder) as kept:
            encoded = self._encode()
            maps = kept[-1]
            inputs = self._inputs(encoded)
            scores = self.asked.scores_with_gradient(network, inputs, self.index_M, self.row, self.column)
            chosen = scores if by_word else scores[:1]
            columns = []
            for score in chosen:
                slopes = torch.autograd.grad(score, maps, retain_graph=True, allow_unused=True)
                slopes = [torch.zeros_like(a) if g is None else g for a, g in zip(maps, slopes, strict=True)]
                found_TT = relevance([a[0].detach() for a in maps], [g[0] for g in slopes])
                columns.append(self._by_part(relevance_of_tokens(found_TT, self._weights(encoded, len(found_TT)))))
        return np.stack(columns, axis=1)

    def _encode(self) -> Encoded:
        """The item through the encoder, its input a leaf of the graph, so that frozen weights pass gradients on."""
        if not self.is_text:
            made: Encoded = self.encoder(pixel_values=self.tensors["pixel_values"].detach().requires_grad_(True))
            return made
        network: Any = self.encoder.model
        embedding = network.get_input_embeddings()
        vectors = embedding(self.tensors["input_ids"]).detach().requires_grad_(True)
        with given_out(embedding, vectors):
            made = self.encoder(**self.tensors)
        return made

    def _inputs(self, encoded: Encoded) -> dict[str, dict[str, Tensor]]:
        made = {"vector_BD": encoded.vector_BD.float()}
        if self.reads_tokens and encoded.tokens_BTD is not None:
            mask = encoded.mask_BT
            mask = torch.ones(encoded.tokens_BTD.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
            made |= {"tokens_BTD": encoded.tokens_BTD.float(), "mask_BT": mask.to(self.device)}
        return {**self.rest, self.modality.name: made}

    def _weights(self, encoded: Encoded, size: int) -> Tensor:
        """How much each of the encoder's last tokens counts for what is handed on [T]."""
        weight_T = torch.zeros(size, dtype=torch.float64)
        if self.is_text:
            real = int(self.tensors["attention_mask"].sum())
            last = str(getattr(self.encoder.model.config, "model_type", "")).startswith(LOOKS_BACK)
            pooling = str(self.encoder.description["pooling"])
            if self._reads_mean():
                weight_T[:real] = 1.0 / real
            else:
                weight_T[real - 1 if pooling in READ_LAST or last else 0] = 1.0
            return weight_T
        assert encoded.tokens_BTD is not None
        prefix = size - encoded.tokens_BTD.shape[1]
        if prefix > 0 and not self.reads_tokens:
            weight_T[0] = 1.0
        else:
            weight_T[prefix:] = 1.0 / (size - prefix)
        return weight_T

    def _by_part(self, found_T: Tensor) -> np.ndarray:
        """Relevance of tokens summed by part; that of a patch is dealt evenly to its pixels."""
        made = torch.zeros(self.count + 1, dtype=torch.float64)
        if self.is_text:
            part_T = self.part_of[: len(found_T)]
            made.index_add_(0, torch.where(part_T >= 0, part_T, self.count), found_T[: len(part_T)])
            return made[: self.count].numpy()
        part_HW = self.part_of[0, 0]
        height, width = part_HW.shape
        patch = int(self.encoder.model.config.patch_size)  # type: ignore[union-attr,arg-type]
        rows, columns = height // patch, width // patch
        patches = found_T[len(found_T) - rows * columns :].view(rows, columns) / patch**2
        pixels = patches.repeat_interleave(patch, 0).repeat_interleave(patch, 1)
        made.index_add_(0, part_HW[: rows * patch, : columns * patch].reshape(-1), pixels.reshape(-1))
        return made[: self.count].numpy()
