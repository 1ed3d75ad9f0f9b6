"""Text encoders from ``transformers``.

BERT and its relatives, the text tower of CLIP, the encoder of T5, GPT-like models. In: ``input_ids`` and
``attention_mask``. Out: the last hidden states as tokens, and one vector by pooling.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.checkpoint import new_hf_model, one_tower, read_hf_model
from plait.encoders.scratch import masked_mean

OFFSET_POSITIONS = (
    "roberta",
    "xlm-roberta",
    "camembert",
    "longformer",
    "mpnet",
    "xlm-roberta-xl",
    "data2vec-text",
)


class HFTextEncoder(Encoder):
    """A transformers text model.

    Args:
        model: The model, whole; one tower is taken from a model of several.
        description: JSON config with ``hf`` and ``pooling`` ("mean", "cls" or "pooler").
    """

    def __init__(self, model: nn.Module, description: dict[str, Any]) -> None:
        super().__init__(description)
        self.model = one_tower(model, "text")
        config = self.model.config
        self.pooling = str(description["pooling"])
        self.vector_dim = self.token_dim = int(config.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Encoded:
        """Encode token ids [B, T] with their mask [B, T]."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        tokens_BTD = output.last_hidden_state
        mask_BT = attention_mask.bool()
        if self.pooling == "pooler":
            vector_BD = output.pooler_output
        elif self.pooling == "cls":
            vector_BD = tokens_BTD[:, 0]
        else:
            vector_BD = masked_mean(tokens_BTD, mask_BT)
        return Encoded(vector_BD, tokens_BTD, mask_BT)


def load_hf_text(folder: Path, reference: str) -> HFTextEncoder:
    """Load a text model from a folder on this machine."""
    model, config = read_hf_model(folder)
    pooling = "pooler" if isinstance(getattr(model, "text_model", None), nn.Module) else _declared_pooling(folder)
    return HFTextEncoder(model, {"type": "hf-text", "reference": reference, "hf": config, "pooling": pooling})


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
    description = {key: config[key] for key in ("type", "reference", "hf", "pooling")}
    return HFTextEncoder(new_hf_model(config["hf"]), description)


def _declared_pooling(folder: Path) -> str:
    """What a sentence-transformers folder declares; the mean otherwise."""
    path = folder / "1_Pooling" / "config.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("pooling_mode_cls_token"):
        return "cls"
    return "mean"


def declared_prefix(folder: Path) -> str:
    """What a sentence-transformers folder wants before every text, such as "passage: "; nothing otherwise."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return ""
    declared = json.loads(path.read_text(encoding="utf-8"))
    return str((declared.get("prompts") or {}).get(declared.get("default_prompt_name"), ""))


ENCODERS.add("hf-text", build_hf_text)
