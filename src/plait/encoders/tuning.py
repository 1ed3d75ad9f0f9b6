"""Which weights of an encoder learn.

None (``frozen``), the last blocks and what follows them (``last_n``), low-rank additions (``lora``; Hu et
al. 2021; extra
``peft``), or all (``full``).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from plait.encoders.base import Encoder

MODES = ("frozen", "last_n", "lora", "full")
BLOCK_NAMES = ("layer", "layers", "blocks", "block", "h", "stages", "features", "trunk_output")
ATTENTION_NAMES = (
    "query",
    "value",
    "q_proj",
    "v_proj",
    "q_lin",
    "v_lin",
    "q",
    "v",
    "qkv",
    "c_attn",
    "query_key_value",
    "Wqkv",
)


def set_tuning(encoder: Encoder, mode: str, n: int = 2, *, rank: int = 8) -> None:
    """Choose what learns; everything else is frozen, and stays in evaluation mode while the model trains.

    Args:
        encoder: The encoder to change, in place.
        mode: "frozen", "last_n", "lora" or "full".
        n: Blocks (layers, stages) that learn under "last_n".
        rank: Rank of the additions under "lora".

    Raises:
        ValueError: Unknown mode, an n beyond the encoder's blocks, or an encoder without blocks.
        ImportError: "lora" without the extra ``peft``.
    """
    if mode not in MODES:
        raise ValueError(f"tuning is {mode!r}; expected one of {', '.join(MODES)}")
    if encoder.tuning["mode"] == "lora":
        if mode == "lora" and encoder.tuning.get("rank") == rank:
            return
        raise ValueError("this encoder carries LoRA weights already; load it again to tune it in another way")
    if mode == "lora":
        _add_lora(encoder, rank)
        encoder.tuning = {"mode": "lora", "rank": rank}
    elif mode == "last_n":
        learning = _last_parameters(encoder, n)
        for parameter in encoder.parameters():
            parameter.requires_grad_(id(parameter) in learning)
        encoder.tuning = {"mode": "last_n", "n": n}
    else:
        encoder.requires_grad_(mode == "full")
        encoder.tuning = {"mode": mode}
    encoder.train(encoder.training)


def find_blocks(encoder: Encoder) -> tuple[str, list[nn.Module]]:
    """The encoder's blocks in order, with the name of what holds them.

    Raises:
        ValueError: There are none.
    """
    found = named_blocks(encoder.model)
    if found is None:
        raise ValueError(f"{encoder.reference} has no blocks to count from the end; use frozen or full")
    return found


def named_blocks(network: nn.Module) -> tuple[str, list[nn.Module]] | None:
    """The blocks of a network in order, with the name of what holds them; None where it has none."""
    children = dict(network.named_children())
    if "layer1" in children and "layer4" in children:  # ResNet names its stages one by one
        return "", [children[f"layer{i}"] for i in range(1, 5)]
    for name, module in network.named_modules():
        holds = isinstance(module, nn.ModuleList | nn.Sequential) and len(module) > 0
        if holds and name.rpartition(".")[2] in BLOCK_NAMES:
            return name, list(module)  # type: ignore[arg-type]
    return None


def blocks_behind(encoder: Encoder) -> list[tuple[nn.Parameter, int]]:
    """How many blocks stand between each weight and the output: 0 in the last block and behind it.

    Weights in front of all blocks (embeddings, the first convolution) count them all; an encoder without blocks is one.
    """
    try:
        _, blocks = find_blocks(encoder)
    except ValueError:
        return [(parameter, 0) for parameter in encoder.parameters()]
    place = {id(p): len(blocks) - 1 - i for i, block in enumerate(blocks) for p in block.parameters()}
    counted, started = [], False
    for name, parameter in encoder.model.named_parameters():
        started = started or id(parameter) in place
        in_front = not started or "embed" in name
        counted.append((parameter, place.get(id(parameter), len(blocks) if in_front else 0)))
    return counted


def _last_parameters(encoder: Encoder, n: int) -> set[int]:
    """Identities of the weights in the last n blocks and in what stands behind them (final norm.

    Last convolution).
    """
    _, blocks = find_blocks(encoder)
    if not 1 <= n <= len(blocks):
        raise ValueError(f"n is {n}; {encoder.reference} has {len(blocks)} blocks, so expected 1 to {len(blocks)}")
    in_blocks = {id(p) for block in blocks for p in block.parameters()}
    learning = {id(p) for block in blocks[-n:] for p in block.parameters()}
    behind = False
    for name, parameter in encoder.model.named_parameters():
        if id(parameter) in in_blocks:
            behind = True
        elif behind and "embed" not in name:
            learning.add(id(parameter))
    return learning


def _add_lora(encoder: Encoder, rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ImportError("tuning 'lora' needs the package peft; type: pip install plait[peft]") from error
    targets = _lora_targets(encoder)
    encoder.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=targets)
    inject_adapter_in_model(config, encoder.model)


def _lora_targets(encoder: Encoder) -> list[str]:
    """Attention maps inside the blocks; without attention, all linear maps.

    In a CNN, its plain convolutions.
    """
    _, blocks = find_blocks(encoder)
    inside = {id(module) for block in blocks for module in block.modules()}
    names: dict[str, Any] = {name: m for name, m in encoder.model.named_modules() if id(m) in inside}
    linear = [name for name, m in names.items() if isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D"]
    attention = [name for name in linear if name.rpartition(".")[2] in ATTENTION_NAMES]
    convolutions = [name for name, m in names.items() if isinstance(m, nn.Conv2d) and m.groups == 1]
    # a convolutional network may hold stray linear maps: its convolutions come first
    free = [name for name in linear if not name.endswith("out_proj")]  # torch's attention calls it without forward
    targets = attention or convolutions or free
    if not targets:
        raise ValueError(f"{encoder.reference} has no linear map or convolution for LoRA; use last_n or full")
    return targets
