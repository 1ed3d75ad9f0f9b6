"""The causal language model itself: a small decoder from scratch, or a pretrained one, by its config.

``build_language_model`` needs the description alone and reads no weights. What a model does not train it need not
store: the frozen weights of a pretrained model are named by reference and fingerprint, and read again from this machine
by ``read_outside_weights``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.checkpoint import IGNORED_CONFIG, quiet_transformers
from plait.encoders.tuning import ATTENTION_NAMES
from plait.heads.language.tokens import AnswerTokens
from plait.weights.tensor_file import hash_tensors

TUNINGS = ("frozen", "lora", "full")
MAX_POSITIONS = 2048
ADAPTER = ".lora_"


def scratch_config(num_tokens: int, *, width: int, layers: int, heads: int, dropout: float) -> dict[str, Any]:
    """Config of a small GPT-2 with tied embeddings (Radford et al. 2019), for ``build_language_model``."""
    if width % heads:
        raise ValueError(f"language.width must be a multiple of language.heads, got {width} and {heads}")
    return {
        "model_type": "gpt2", "vocab_size": num_tokens, "n_embd": width, "n_layer": layers, "n_head": heads,
        "n_positions": MAX_POSITIONS, "resid_pdrop": dropout, "embd_pdrop": dropout, "attn_pdrop": dropout,
        "bos_token_id": None, "eos_token_id": None,
    }  # fmt: skip


def describe_language_model(
    config: dict[str, Any],
    tokens: AnswerTokens,
    *,
    tuning: str,
    rank: int = 8,
    reference: str | None = None,
    fingerprint: str | None = None,
) -> dict[str, Any]:
    """The ``language`` entry of a model's config.

    Args:
        config: Config of the network with its ``model_type``.
        tokens: How answers are cut.
        tuning: "frozen", "lora" or "full".
        rank: Rank of the additions under "lora".
        reference: Where frozen weights are read from; None: all weights are stored with the model.
        fingerprint: sha256 over these weights.
    """
    if tuning not in TUNINGS:
        raise ValueError(f"language.tuning is {tuning!r}; expected one of {', '.join(TUNINGS)}")
    return {
        "hf": json.loads(json.dumps({k: v for k, v in config.items() if k not in IGNORED_CONFIG})),
        "tuning": tuning, "rank": rank, "reference": reference, "fingerprint": fingerprint,
        "pad": tokens.pad, "start": tokens.start, "end": tokens.end, "prompt": list(tokens.prompt),
    }  # fmt: skip


def build_language_model(description: dict[str, Any]) -> nn.Module:
    """Build the network without weights; under "lora" with its low-rank additions (extra ``peft``)."""
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = {key: value for key, value in description["hf"].items() if key != "model_type"}
    with quiet_transformers():
        config = AutoConfig.for_model(description["hf"]["model_type"], **settings)
        model: nn.Module = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tuning = description["tuning"]
    if tuning == "lora":
        _add_lora(model, int(description["rank"]))
    else:
        model.requires_grad_(tuning == "full")
    return model


def read_outside_weights(model: nn.Module, description: dict[str, Any]) -> None:
    """Fill the weights that are named by reference, from this machine.

    Raises:
        ValueError: They are not here, or are others than the model was trained with.
    """
    if description["reference"] is None:
        return
    source, _ = load_pretrained(description["reference"])
    found = weights_fingerprint(source)
    if description["fingerprint"] is not None and found != description["fingerprint"]:
        raise ValueError(
            f"the language model {description['reference']!r} on this machine has other weights than the one this "
            f"model was trained with (fingerprint {found[:12]}, expected {description['fingerprint'][:12]}); fetch "
            "the original weights or train again"
        )
    copy_base(model, source)


def load_pretrained(reference: str) -> tuple[nn.Module, Any]:
    """A pretrained model and its tokenizer by reference (``smollm2-135m``, ``hf:ID_or_folder``)."""
    from plait.weights.language import load_language_model

    model, tokenizer = load_language_model(reference)
    return model, tokenizer


def copy_base(model: nn.Module, source: nn.Module) -> None:
    """Copy every weight of ``source`` into ``model``, whose layers may carry low-rank additions."""
    own = {name.replace(".base_layer.", "."): tensor for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for name, tensor in source.state_dict().items():
            own[name].copy_(tensor)


def weights_fingerprint(model: nn.Module) -> str:
    """sha256 over the names, types, shapes and bytes of all weights."""
    digest = hashlib.sha256()
    hash_tensors(digest, model.state_dict())
    return digest.hexdigest()


def stored_names(state: dict[str, Tensor], description: dict[str, Any]) -> set[str]:
    """Which entries of the network's state belong into a model's file.

    Left out are the weights named by reference, and second names of one tensor (tied embeddings).
    """
    kept, seen = set(), set()
    for name, tensor in state.items():
        place = (tensor.data_ptr(), tuple(tensor.shape))
        outside = description["reference"] is not None and ADAPTER not in name
        if not outside and (place not in seen or tensor.numel() == 0):
            kept.add(name)
        seen.add(place)
    return kept


def _add_lora(model: nn.Module, rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError("language.tuning=lora needs the package peft; type: pip install plait[peft]") from error
    linear = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D"]
    names = [n for n in linear if n.rpartition(".")[2] in ATTENTION_NAMES]
    if not names:
        raise ValueError(f"{type(model).__name__} has no attention map for LoRA; use set=['language.tuning=full']")
    model.requires_grad_(False)
    fan = any(type(m).__name__ == "Conv1D" for m in model.modules())
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=names, fan_in_fan_out=fan)
    inject_adapter_in_model(config, model)
