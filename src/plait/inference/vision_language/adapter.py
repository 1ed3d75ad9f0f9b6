"""Low-rank additions (LoRA) to a vision-language model: W x + 2 B A x beside each linear map, where B begins at zero.

In: a network of transformers, which parts of it learn and the rank. The network itself stays as it was published and
can be asked without its additions at any time. Tensors go in and out under the names of the library ``peft``, whose
layers these are, so that its own loader reads what is written here. Needs the extra ``peft``.

Reference: Hu et al. 2021 (LoRA); all linear maps rather than those of attention alone: Dettmers et al. 2023, section 4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LANGUAGE, VISION = "language", "vision"
BEFORE, WITHIN = "base_model.model.", ".default"  # peft's names: "base_model.model.<map>.lora_A.weight"
FOR_TORCH_ALONE = "NonDynamicallyQuantizableLinear"  # torch's own attention reads its weight without calling it


@dataclass(frozen=True)
class LoraShape:
    """The shape of additions.

    Attributes:
        rank: Of each product B A; it is weighed by 2, as alpha is twice the rank.
        targets: Full names of the linear maps that have one.
    """

    rank: int
    targets: tuple[str, ...]


@dataclass(frozen=True)
class LoraWeights:
    """Additions as they are stored: their shape, and tensors under the names of ``peft``."""

    shape: LoraShape
    tensors: Mapping[str, Tensor]


def linear_maps(model: Any, parts: Sequence[str]) -> tuple[str, ...]:
    """Full names of the linear maps of parts of a network, in its order.

    Args:
        model: The network.
        parts: "language" (what reads and writes, without its embeddings and output map), "vision" (what sees).

    Raises:
        ValueError: transformers names no such part of it, or it has no linear map.
    """
    vision = _part(model, VISION)
    found = []
    for part in parts:
        holder = vision if part == VISION else _part(model, LANGUAGE)
        inside = set() if holder is None else {id(module) for module in holder.modules()}
        inside -= set() if part == VISION or vision is None else {id(module) for module in vision.modules()}
        names = [
            name
            for name, module in model.named_modules()
            if id(module) in inside and isinstance(module, nn.Linear) and type(module).__name__ != FOR_TORCH_ALONE
        ]
        if not names:
            raise ValueError(f"{type(model).__name__} has no linear maps in its {part} part, so LoRA cannot tune that")
        found += names
    return tuple(found)


def _part(model: Any, part: str) -> nn.Module | None:
    try:
        found = model.get_encoder(modality="image") if part == VISION else model.get_decoder()
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None
    return found if isinstance(found, nn.Module) and found is not model else None


def lora_config(shape: LoraShape, reference: str | None = None) -> Any:
    """The same shape as ``peft`` writes it.

    Raises:
        ImportError: Without the extra ``peft``.
    """
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise ImportError("tuning 'lora' needs the package peft; type: pip install plait[peft]") from error
    return LoraConfig(
        r=shape.rank, lora_alpha=2 * shape.rank, lora_dropout=0.0, target_modules=list(shape.targets),
        base_model_name_or_path=reference,
    )  # fmt: skip


def add_adapter(model: Any, shape: LoraShape, seed: int = 0) -> None:
    """Put additions beside linear maps, which change nothing yet; they learn, all else is frozen.

    Args:
        model: The network, changed in place.
        shape: Where, and of which rank.
        seed: Of A; B is zero.

    Raises:
        ValueError: It has no map of one of these names.
        ImportError: Without the extra ``peft``.
    """
    config = lora_config(shape)
    from peft import inject_adapter_in_model

    known = dict(model.named_modules())
    if lacking := [name for name in shape.targets if not isinstance(known.get(name), nn.Linear)]:
        raise ValueError(
            f"{type(model).__name__} has no linear map {lacking[0]!r}; the LoRA weights are of another model"
        )
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)
    for parameter in _additions(model).values():
        parameter.data = parameter.data.float()  # steps are too small for half precision
    model.eval()


def remove_adapter(model: Any) -> None:
    """Take all additions away, in place."""
    for name, layer in list(_layers(model)):
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer.get_base_layer())


def adapter_tensors(model: Any) -> dict[str, Tensor]:
    """Copies of the additions under the names of ``peft``, on the CPU."""
    return {stored_name(name): value.detach().cpu().clone() for name, value in _additions(model).items()}


def set_adapter_tensors(model: Any, tensors: Mapping[str, Tensor]) -> None:
    """Give the additions their values.

    Raises:
        ValueError: Other names or shapes.
    """
    own = {stored_name(name): value for name, value in _additions(model).items()}
    if own.keys() != tensors.keys():
        wrong = sorted(own.keys() ^ tensors.keys())[0]
        raise ValueError(f"the LoRA weights do not fit this model: {wrong!r} stands on one side only")
    for name, value in own.items():
        if value.shape != tensors[name].shape:
            shapes = f"{list(tensors[name].shape)}, expected {list(value.shape)}"
            raise ValueError(f"the LoRA weights do not fit this model: {name!r} is {shapes}")
        with torch.no_grad():
            value.copy_(tensors[name])


@contextlib.contextmanager
def untuned(model: Any) -> Iterator[None]:
    """Within, the network computes as if it had no additions: the very same numbers as without any."""
    layers = [layer for _, layer in _layers(model)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def stored_name(name: str) -> str:
    """What ``peft`` calls a parameter of an addition in its files."""
    return BEFORE + name.replace(WITHIN, "")


def _additions(model: Any) -> dict[str, nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if ".lora_" in name}


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "get_base_layer"):
            yield name, module
