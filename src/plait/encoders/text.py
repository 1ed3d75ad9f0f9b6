"""Text encoders from ``transformers``.

BERT and its relatives, the text tower of CLIP, the encoder of T5, GPT-like models. In: ``input_ids`` and
``attention_mask``. Out: the last hidden states as tokens, and one vector by pooling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import new_hf_model, one_tower, read_hf_model, refuse_random, takes
from plait.encoders.probe import probed_widths
from plait.encoders.sentence import build_behind, declared_pooling, fill_behind, network_folder, pool
from plait.processors.text import padding_of

OFFSET_POSITIONS = (
    "roberta",
    "xlm-roberta",
    "camembert",
    "longformer",
    "mpnet",
    "xlm-roberta-xl",
    "data2vec-text",
)
PADS_TO_FULL_LENGTH = (
    "siglip", "siglip2", "siglip_text_model", "siglip2_text_model",
)  # trained on texts padded to one length, and read the last position  # fmt: skip
PROBE = {"input_ids": torch.ones(1, 2, dtype=torch.int64), "attention_mask": torch.ones(1, 2, dtype=torch.int64)}


def full_length(config: Any) -> int:
    """Tokens to which every text is filled up."""
    return int(config.max_position_embeddings)


def pad_settings(folder: Path) -> dict[str, Any]:
    """How the tokenizer of a folder fills texts up: ``pad``, and ``pad_side`` where it does so in front."""
    pad, side = padding_of(folder)
    return {"pad": pad} | ({"pad_side": side} if side != "right" else {})


def fill_up(ids_BT: Tensor, mask_BT: Tensor, length: int, settings: dict[str, Any]) -> Tensor:
    """Token ids [B, length], the same however long the longest text beside them is.

    Args:
        ids_BT: Token ids, filled up on the right.
        mask_BT: Which of them are real.
        length: Tokens that come out.
        settings: ``pad``, the id that fills up, and ``pad_side``.
    """
    count_B1 = mask_BT.sum(1, keepdim=True)
    start_B1 = length - count_B1 if settings.get("pad_side") == "left" else torch.zeros_like(count_B1)
    place_BT = torch.arange(length, device=ids_BT.device) - start_B1
    is_real_BT = (place_BT >= 0) & (place_BT < count_B1)
    given_BT = ids_BT.gather(1, place_BT.clamp(min=0).minimum(count_B1 - 1).clamp(min=0))
    return torch.where(is_real_BT, given_BT, int(settings["pad"]))


class HFTextEncoder(Encoder):
    """A transformers text model.

    Args:
        model: The model, whole; one tower is taken from a model of several.
        description: JSON config with ``hf`` and ``pooling`` ("pooler", or names of
            `plait.encoders.sentence.POOLS` joined by "+"); where the folder says so, with ``modules``, what stands
            behind the pooling, and with ``pad``, the id that fills every text up to the most tokens.

    Raises:
        ValueError: The model reads no token ids.
    """

    def __init__(self, model: nn.Module, description: dict[str, Any]) -> None:
        super().__init__(description)
        self.model = one_tower(model, "text")
        if not takes(self.model, "input_ids"):
            raise ValueError(f"{self.reference} reads no text: its model type is {description['hf']['model_type']!r}")
        self.pooling = str(description["pooling"])
        self.pad = description.get("pad")
        steps = description.get("modules", [])
        if steps:
            self.behind = build_behind(steps)
        self.vector_dim, self.token_dim = probed_widths(self, **PROBE)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Encoded:
        """Encode token ids [B, T] with their mask [B, T]."""
        output = self._hidden(input_ids, attention_mask)
        tokens_BTD = output.last_hidden_state[:, : input_ids.shape[1]]
        mask_BT = attention_mask.bool()
        if self.pooling == "pooler":
            vector_BD = output.pooler_output
        else:
            vector_BD = pool(self.pooling, tokens_BTD, mask_BT)
        if hasattr(self, "behind"):
            vector_BD = self.behind(vector_BD)
        return Encoded(vector_BD, tokens_BTD, mask_BT)

    def _hidden(self, ids_BT: Tensor, mask_BT: Tensor) -> Any:
        if self.pad is None:
            return self.model(input_ids=ids_BT, attention_mask=mask_BT)
        length = full_length(self.model.config)
        output = self.model(input_ids=fill_up(ids_BT, mask_BT, length, self.description))
        if self.description.get("pad_side") == "left":  # the real tokens to the front again
            hidden = output.last_hidden_state
            places_BT = torch.arange(length, device=mask_BT.device) - mask_BT.sum(1, keepdim=True)
            output.last_hidden_state = hidden.gather(1, (places_BT % length)[..., None].expand_as(hidden))
        return output


def load_hf_text(folder: Path, reference: str) -> HFTextEncoder:
    """Load a text model from a folder on this machine.

    Raises:
        ValueError: Weights that are used are missing, modules that are not known, or a model that reads no text.
    """
    pooling, steps, weights = declared_pooling(folder)
    model, config = read_hf_model(network_folder(folder))
    tower = getattr(model, "text_model", None)
    if isinstance(tower, nn.Module) and takes(tower, "input_ids"):
        with torch.inference_mode():
            pooled = tower(**PROBE).pooler_output
        pooling = "cls" if pooled is None else "pooler"
    description = {"type": "hf-text", "reference": reference, "hf": config, "pooling": pooling}
    if config["model_type"] in PADS_TO_FULL_LENGTH:
        description |= pad_settings(network_folder(folder))
    encoder = HFTextEncoder(model, description | ({"modules": steps} if steps else {}))
    if steps:
        fill_behind(encoder.behind, weights, folder)
    refuse_random(encoder, folder)
    return encoder


def position_limit(encoder: HFTextEncoder) -> int | None:
    """Most tokens the model has positions for, or None where positions are relative."""
    config = encoder.model.config
    limit = getattr(config, "max_position_embeddings", None)
    if limit is None:
        limit = getattr(config, "n_positions", None)
    if limit is None or limit < 1:
        return None
    return int(limit) - (2 if config.model_type in OFFSET_POSITIONS else 0)


def build_hf_text(config: dict[str, Any]) -> HFTextEncoder:
    """Rebuild from ``config()``, without weights."""
    keys = ("type", "reference", "hf", "pooling", "pad", "modules", "pad_side")
    return HFTextEncoder(new_hf_model(config["hf"]), {key: config[key] for key in keys if key in config})


ENCODERS.add("hf-text", build_hf_text)
