"""Items with parts hidden, as the model takes them: processed and encoded on the spot, nothing goes to the store."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.data.modality import Modality
from plait.data.rows import Items
from plait.encoders.base import Encoder
from plait.encoders.batching import encode_by_bytes
from plait.evaluation import EvaluationInputs
from plait.inference.forward import evaluation_mode, to_device
from plait.inputs.dataset import LiveSetSource, SetSource, Source
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.inputs.prepare import with_words
from plait.model import PlaitModel
from plait.training.fitted import FittedParts


class EncodedSource:
    """Items whose encoder runs when they are taken.

    Args:
        tensors: Gives the processor's tensors of items.
        encode: From those to ``vector_BD`` and, where the model reads them, ``tokens_BTD`` and ``mask_BT``.
    """

    def __init__(self, tensors: Source, encode: Any) -> None:
        self.tensors, self.encode = tensors, encode

    def take(self, index_B: np.ndarray) -> dict[str, Tensor]:
        """Features of items."""
        made: dict[str, Tensor] = self.encode(self.tensors.take(index_B))
        return made


def encoder_of(given: EvaluationInputs | FittedParts, inputs: Inputs, modality: Modality) -> Encoder | None:
    """The encoder of a modality, frozen beside the network or inside it."""
    frozen = inputs.frozen.get(modality.name)
    return frozen if frozen is not None else given.model.encoder_of(inputs.modalities.index(modality))


def changed_source(given: EvaluationInputs, inputs: Inputs, modality: Modality, variants: list[Any]) -> Source:
    """Where the tensors of changed items of one modality come from.

    Args:
        given: The model and its rows. Of an ensemble, encoders that are trained stay with its members; of a network,
            theirs run here too, so that what is made can be asked of several heads.
        inputs: What reads the modality.
        modality: Which.
        variants: The items, as its processor takes them; of a set, the numbers of the members.
    """
    name, kind = modality.name, MODALITY_KINDS.get(modality.kind)
    is_own = given.ensemble is None
    if kind.is_set:
        made = _set_source(_inner(given.prepared.sources[name]), variants)
        is_frozen = name in inputs.frozen  # its members are encoded already
    else:
        items = Items(modality, [str(i) for i in range(len(variants))], list(variants), np.arange(len(variants)))
        made = kind.live(inputs.processors[name], items, lambda number: variants[number])
        is_frozen = False
        if name in inputs.frozen:
            made, is_frozen = EncodedSource(made, _Frozen(inputs, name)), True
    if is_own and not is_frozen:
        made = EncodedSource(made, _Owned(given.model, given.model.config.modality_names.index(name)))
    return with_words(made, inputs, modality, lambda number: variants[number])


def _inner(source: Any) -> Any:
    while not isinstance(source, SetSource | LiveSetSource):
        source = source.source
    return source


def _set_source(source: SetSource | LiveSetSource, members: list[list[int]]) -> Source:
    if isinstance(source, SetSource):
        return SetSource(source.features, members, has_tokens=source.has_tokens)
    return LiveSetSource(source.source, members)


class _Frozen:
    """A frozen encoder, with its tokens as the store keeps them (float16)."""

    def __init__(self, inputs: Inputs, name: str) -> None:
        self.encoder, self.with_tokens = inputs.frozen[name], inputs.with_tokens

    def __call__(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        device = next(self.encoder.parameters(), torch.zeros(0)).device
        with evaluation_mode(self.encoder, inference=False):
            encoded = encode_by_bytes(self.encoder, **to_device(tensors, device))
        made = {"vector_BD": encoded.vector_BD.float().cpu()}
        if self.with_tokens and encoded.tokens_BTD is not None:
            tokens_BTD = encoded.tokens_BTD.to(torch.float16).float().cpu()
            mask_BT = torch.ones(tokens_BTD.shape[:2], dtype=torch.bool)
            mask_BT = mask_BT if encoded.mask_BT is None else encoded.mask_BT.bool().cpu()
            made |= {"tokens_BTD": tokens_BTD * mask_BT[..., None], "mask_BT": mask_BT}
        return made


class _Owned:
    """The encoder inside a network, of one modality."""

    def __init__(self, model: PlaitModel, number: int) -> None:
        self.model, self.number = model, number

    def __call__(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        device = next(self.model.parameters()).device
        with evaluation_mode(self.model, inference=False):
            encoded = self.model.encode_modality(self.number, to_device(tensors, device))
        made = {"vector_BD": encoded.vector_BD.cpu()}
        if self.model.fusion.info.needs_tokens and encoded.tokens_BTD is not None:
            mask_BT = torch.ones(encoded.tokens_BTD.shape[:2], dtype=torch.bool)
            made |= {
                "tokens_BTD": encoded.tokens_BTD.cpu(),
                "mask_BT": mask_BT if encoded.mask_BT is None else encoded.mask_BT.bool().cpu(),
            }
        return made
