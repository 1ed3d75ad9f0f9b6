"""Checkpoints read into networks, strictly and quietly.

Every weight that an encoder uses must come from the file; nothing is unpickled, no remote code runs, no progress
bar or load report reaches the terminal.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from torch import nn

from plait.registry import first_line
from plait.weights.quiet import quiet_transformers

IGNORED_CONFIG = (
    "_name_or_path",
    "transformers_version",
    "dtype",
    "torch_dtype",
    "architectures",
    "id2label",
    "label2id",
    "problem_type",
)


def read_hf_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load the bare model of a Hugging Face folder in float32.

    Weights of a pooler may be missing: :func:`refuse_random` says whether an encoder uses them.

    Returns:
        The model, and its configuration as JSON without what depends on the place or the version.

    Raises:
        ValueError: No safetensors, weights missing from the file, or a model that needs code of its own.
    """
    from transformers import AutoModel

    with quiet_transformers():
        try:
            model, report = AutoModel.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                dtype="float32",
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise ValueError(f"the model in {str(folder)!r} could not be loaded: {first_line(error)}") from error
    unused = ("pooler", "position_ids", "masked_spec_embed")
    missing = sorted(key for key in report["missing_keys"] if not any(name in key for name in unused))
    if missing or report["mismatched_keys"]:
        raise ValueError(
            f"the file in {str(folder)!r} does not hold all weights of {type(model).__name__}: "
            f"{len(missing)} missing ({', '.join(missing[:3])}), "
            f"{len(report['mismatched_keys'])} of another shape"
        )
    for key in report["missing_keys"]:
        owner, _, name = key.rpartition(".")
        parameter = getattr(model.get_submodule(owner), name, None)
        if isinstance(parameter, nn.Parameter):
            parameter.is_random = True  # type: ignore[attr-defined]
    facts = {key: value for key, value in model.config.to_dict().items() if key not in IGNORED_CONFIG}
    config = json.loads(json.dumps(facts, sort_keys=True))  # the same before and after a trip through a file
    return model.eval(), config


def refuse_random(network: nn.Module, folder: Path) -> None:
    """Refuse a network that keeps weights which its file lacks: every load would give other vectors.

    Raises:
        ValueError: It keeps some.
    """
    missing = sorted(name for name, p in network.named_parameters() if getattr(p, "is_random", False))
    if missing:
        raise ValueError(
            f"the file in {str(folder)!r} lacks weights that the encoder uses: {len(missing)} missing "
            f"({', '.join(missing[:3])}); get the complete weights of this model"
        )


def is_random(network: nn.Module) -> bool:
    """Whether a network holds weights that its file lacks."""
    return any(getattr(p, "is_random", False) for p in network.parameters())


def takes(network: nn.Module, name: str) -> bool:
    """Whether a network's ``forward`` asks for an input of this name."""
    return name in inspect.signature(network.forward).parameters


def new_hf_model(config: dict[str, Any]) -> nn.Module:
    """Build the architecture of a Hugging Face configuration without weights."""
    from transformers import AutoConfig, AutoModel

    settings = {key: value for key, value in config.items() if key != "model_type"}
    with quiet_transformers():
        return AutoModel.from_config(AutoConfig.for_model(config["model_type"], **settings)).float().eval()


def one_tower(model: nn.Module, kind: str, *, keeps_pooler: bool = False) -> nn.Module:
    """The part of a model that encodes one kind: a tower of CLIP or CLAP, the encoder of T5 or Whisper.

    Without unused pooling weights, unless ``keeps_pooler``.
    """
    tower = getattr(model, {"text": "text_model", "image": "vision_model", "audio": "audio_model"}[kind], None)
    if isinstance(tower, nn.Module):
        return tower
    if getattr(model.config, "is_encoder_decoder", False):
        return model.get_encoder()
    pooler = getattr(model, "pooler", None)
    if isinstance(pooler, nn.Module) and next(pooler.parameters(), None) is not None and not keeps_pooler:
        model.pooler = None  # never used here, and random where the file lacks it: it would spoil the fingerprint
    return model


def fill_from_file(model: nn.Module, path: Path, heads: tuple[str, ...]) -> None:
    """Copy a safetensors file into a network.

    Args:
        model: The network, already without its classifier.
        path: The file.
        heads: Prefixes of tensors in the file that may be left over (classifiers).

    Raises:
        ValueError: A weight is missing, left over or of another shape.
    """
    from safetensors.torch import load_file

    given = load_file(path)
    own = model.state_dict()
    missing = sorted(key for key in own if key not in given and not key.endswith("num_batches_tracked"))
    surplus = sorted(key for key in given if key not in own and not key.startswith(heads))
    shapes = sorted(key for key in own if key in given and own[key].shape != given[key].shape)
    if missing or surplus or shapes:
        first = (missing or surplus or shapes)[0]
        raise ValueError(
            f"the weight file {path.name} does not fit this architecture: {len(missing)} tensors missing, "
            f"{len(surplus)} left over, {len(shapes)} of another shape (first: {first!r})"
        )
    model.load_state_dict({key: value for key, value in given.items() if key in own}, strict=False)
