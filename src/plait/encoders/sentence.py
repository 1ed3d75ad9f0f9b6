"""What a sentence-transformers folder does behind its network: pooling, dense layers, unit length.

``modules.json`` lists the modules in order. Modules that are known here are followed; a folder with others is refused,
for leaving one out would give other vectors without a word.

Reference: Reimers and Gurevych 2019, "Sentence-BERT", section 3 (pooling); Muennighoff 2022, "SGPT", section 3.1
(mean weighted by position).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.scratch import masked_mean
from plait.registry import Registry

MODULES = "modules.json"
OLD_KEYS = {
    "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}  # fmt: skip
ACTIVATIONS = ("Tanh", "Identity", "ReLU", "GELU", "Sigmoid", "SiLU")
CLOSED_BEFORE = ("mean", "cls")

Pool = Callable[[Tensor, Tensor], Tensor]
POOLS: Registry[Pool] = Registry("pooling")
POOLS.add("mean", masked_mean)
POOLS.add("cls", lambda tokens_BTD, _: tokens_BTD[:, 0])
POOLS.add("max", lambda tokens_BTD, mask_BT: tokens_BTD.masked_fill(~mask_BT[..., None], float("-inf")).amax(1))
POOLS.add(
    "mean_sqrt_len_tokens",
    lambda tokens_BTD, mask_BT: (
        masked_mean(tokens_BTD, mask_BT) * mask_BT.sum(1, keepdim=True).to(tokens_BTD.dtype).sqrt()
    ),
)


def _last_token(tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    last_B = (mask_BT.sum(1) - 1).clamp(min=0)  # texts are filled up on the right
    return tokens_BTD[torch.arange(len(tokens_BTD), device=tokens_BTD.device), last_B]


def _weighted_mean(tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    weights_BT = mask_BT * torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
    weights_BT = weights_BT.to(tokens_BTD.dtype)
    return (tokens_BTD * weights_BT[..., None]).sum(1) / weights_BT.sum(1, keepdim=True).clamp(min=1e-9)


POOLS.add("lasttoken", _last_token)
POOLS.add("weightedmean", _weighted_mean)


class Dense(nn.Module):
    """A linear layer and an activation behind the pooling.

    Args:
        num_in: Width that comes in.
        num_out: Width that goes out.
        bias: Whether the layer adds one.
        activation: One of ``ACTIVATIONS``.
        residual: Whether the input is added to the output, through a layer of its own where the widths differ.
    """

    def __init__(self, num_in: int, num_out: int, bias: bool, activation: str, residual: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(num_in, num_out, bias=bias)
        self.activation = getattr(nn, activation)()
        self.adds_input = residual
        if residual and num_in != num_out:
            self.residual = nn.Linear(num_in, num_out, bias=False)

    def forward(self, vector_BD: Tensor) -> Tensor:
        """From [B, in] to [B, out]."""
        made_BD = self.activation(self.linear(vector_BD))
        if not self.adds_input:
            return made_BD
        return made_BD + (self.residual(vector_BD) if hasattr(self, "residual") else vector_BD)


class UnitLength(nn.Module):
    """Vectors of length one."""

    def forward(self, vector_BD: Tensor) -> Tensor:
        """[B, D] to [B, D]."""
        return nn.functional.normalize(vector_BD, dim=-1)


def pool(pooling: str, tokens_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """One vector out of the real tokens, zeros where there is none; several ways, joined by "+", stand side by side."""
    vector_BD = torch.cat([POOLS.get(name)(tokens_BTD, mask_BT) for name in pooling.split("+")], dim=-1)
    return vector_BD.masked_fill(~mask_BT.any(1, keepdim=True), 0.0)


def build_behind(steps: list[dict[str, Any]]) -> nn.Sequential:
    """The modules behind the pooling, without weights."""
    return nn.Sequential(
        *(UnitLength() if "unit_length" in step else Dense(**step["dense"]) for step in steps),
    )


def fill_behind(behind: nn.Sequential, weights: dict[str, Tensor], folder: Path) -> None:
    """Give the modules behind the pooling their weights.

    Raises:
        ValueError: They do not fit.
    """
    try:
        behind.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"a dense layer in {str(folder)!r} does not fit its weights: {error}") from error


def network_folder(folder: Path) -> Path:
    """Where the network of a folder lies: in itself, or in the one that ``modules.json`` names first."""
    listed = _listed(folder)
    return folder / str(listed[0].get("path", "")) if listed else folder


def declared_pooling(folder: Path) -> tuple[str, list[dict[str, Any]], dict[str, Tensor]]:
    """What a folder declares behind its network.

    A closing normalisation right behind a mean or a first token is left out: it changes no direction, and vectors
    that are stored stay valid.

    Returns:
        The pooling ("mean" where nothing is declared), the modules behind it, and their weights.

    Raises:
        ValueError: A module, a pooling or a setting that is not known here.
    """
    listed = _listed(folder)
    if not listed:
        return _pooling(folder, folder / "1_Pooling"), [], {}
    behind = [(str(e.get("type", "")), folder / str(e.get("path", ""))) for e in listed[1:]]
    pooling, steps, weights = follow(folder, behind, "mean")
    assert pooling is not None
    if steps == [{"unit_length": True}] and pooling in CLOSED_BEFORE:
        steps = []
    return pooling, steps, weights


def follow(
    folder: Path, behind: list[tuple[str, Path]], pooling: str | None
) -> tuple[str | None, list[dict[str, Any]], dict[str, Tensor]]:
    """What stands behind a network.

    Args:
        folder: The folder of the model.
        behind: Type and place of each module, in order.
        pooling: What is done where none is declared; None: the network gives one vector already.

    Returns:
        The pooling, the modules behind it, and their weights.

    Raises:
        ValueError: A module, a pooling or a setting that is not known here.
    """
    steps: list[dict[str, Any]] = []
    weights: dict[str, Tensor] = {}
    for place, (named, path) in enumerate(behind):
        kind, is_later = named.rpartition(".")[2], place > 0 or pooling is None
        if kind == "Pooling" and not is_later:
            pooling = _pooling(folder, path)
        elif kind == "Normalize" and is_later:
            steps.append({"unit_length": True})
        elif kind == "Dense" and is_later:
            settings, found = _dense(path)
            weights |= {f"{len(steps)}.{name}": tensor for name, tensor in found.items()}
            steps.append({"dense": settings})
        elif kind != "Dropout":
            raise ValueError(
                f"module {place + 1} of {str(folder / MODULES)!r} is {named!r}, which Plait does not follow; "
                "expected Transformer, Pooling, then Dense or Normalize. Leave modules.json out for a plain mean"
            )
    return pooling, steps, weights


def listed_modules(folder: Path) -> list[dict[str, Any]]:
    """The modules of a folder in order, an empty list where it declares none.

    Raises:
        ValueError: ``modules.json`` is no list, or names places outside the folder.
    """
    path = folder / MODULES
    listed = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    entries = listed if isinstance(listed, list) else [None]
    inside = all(isinstance(e, dict) and is_inside(str(e.get("path", ""))) for e in entries)
    if not inside:
        raise ValueError(f"{str(path)!r} is no list of modules; get the complete folder of this model")
    return entries


def is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder."""
    return ".." not in Path(path).parts and not Path(path).is_absolute()


def _listed(folder: Path) -> list[dict[str, Any]]:
    listed = listed_modules(folder)
    if listed and str(listed[0].get("type", "")).rpartition(".")[2] != "Transformer":
        raise ValueError(
            f"{str(folder / MODULES)!r} begins with {listed[0].get('type')!r}; Plait reads folders that begin with a "
            "Transformer"
        )
    return listed


def _pooling(folder: Path, path: Path) -> str:
    file = path / "config.json"
    stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    given = stored.get("pooling_mode")
    if given is None:
        given = [mode for key, mode in OLD_KEYS.items() if stored.get(key)] or "mean"
    modes = [given] if isinstance(given, str) else list(given)
    unknown = [mode for mode in modes if mode not in POOLS]
    if unknown:
        raise ValueError(f"{str(file)!r} asks for the pooling {unknown[0]!r}; known: {', '.join(POOLS.names())}")
    if stored.get("include_prompt") is False and declared_prefix(folder):
        raise ValueError(f"{str(file)!r} leaves the prompt out of the pooling, which Plait does not follow")
    return "+".join(modes)


def _dense(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors.torch import load_file

    config, file = path / "config.json", path / "model.safetensors"
    if not (config.is_file() and file.is_file()):
        raise ValueError(f"the dense layer {str(path)!r} lacks config.json or model.safetensors; get the whole folder")
    stored = json.loads(config.read_text(encoding="utf-8"))
    activation = str(stored.get("activation_function", "torch.nn.modules.activation.Tanh")).rpartition(".")[2]
    named = {stored.get(key) or "sentence_embedding" for key in ("module_input_name", "module_output_name")}
    problem = None
    if activation not in ACTIVATIONS:
        problem = f"its activation is {activation!r}; known: {', '.join(ACTIVATIONS)}"
    elif named != {"sentence_embedding"}:
        problem = "it does not work on the vector of the text"
    if problem is not None:
        raise ValueError(f"the dense layer in {str(path)!r} cannot be followed: {problem}")
    settings = {
        "num_in": int(stored["in_features"]), "num_out": int(stored["out_features"]),
        "bias": bool(stored.get("bias", True)), "activation": activation,
        "residual": bool(stored.get("use_residual", False)),
    }  # fmt: skip
    return settings, load_file(file)


def declared_prefix(folder: Path) -> str:
    """What a sentence-transformers folder wants before every text, such as "passage: "; nothing otherwise."""
    path = folder / "config_sentence_transformers.json"
    if not path.is_file():
        return ""
    declared = json.loads(path.read_text(encoding="utf-8"))
    return str((declared.get("prompts") or {}).get(declared.get("default_prompt_name"), ""))
