"""One network of a model folder: ``config.json`` and ``model.safetensors``, read, compared and, if need be, refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook

from plait.api.model_checks import check_config
from plait.api.model_manifest import MEND
from plait.files import require_regular_file
from plait.model import PlaitModel
from plait.registry import first_line, unknown_name
from plait.tasks import TASKS
from plait.training.fitted import FittedParts
from plait.weights.network_config import NetworkConfig

FORGOTTEN = ("fusion.batches_seen",)  # counted by an older version while it trained
CONFIG, WEIGHTS = "config.json", "model.safetensors"


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of whatever goes wrong with a file of a model which file it was.

    Raises:
        ValueError: In place of what the block raised: damaged values make any constructor fail, in any way.
    """
    try:
        require_regular_file(path, "model's file")
        yield
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing; {MEND}") from error
    except Exception as error:
        reason = first_line(error)[:400]
        if isinstance(error, KeyError):
            reason = f"{reason} is missing"
        if MEND in reason or reason.startswith(str(path)):
            raise ValueError(reason if MEND in reason else f"{reason}; {MEND}") from error
        if reason.startswith(path.name):
            raise ValueError(f"{path.parent / reason}; {MEND}") from error
        raise ValueError(f"{path} is damaged ({reason}); {MEND}") from error


def read_json(path: Path) -> Any:
    """The values of a JSON file of a model.

    Raises:
        ValueError: It is missing or damaged.
    """
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_config(folder: Path) -> NetworkConfig:
    """The config of a network.

    Raises:
        ValueError: It is damaged, or of a task that is not registered.
    """
    path = folder / CONFIG
    values = read_json(path)
    with reading(path):
        check_config(values)
    if values["task"] not in TASKS:
        raise ValueError(
            f"{path}: {unknown_name('task', values['task'], TASKS.names())}. A task of your own is registered "
            "(plait.register_task) before its model is loaded: import the file that does so first"
        )
    _bring_up_to_date(values)
    with reading(path):  # what transformers adds to the file says nothing of the network
        return NetworkConfig(**{key: value for key, value in values.items() if key not in NOT_OURS})


def _bring_up_to_date(values: dict[str, Any]) -> None:
    """What an older version wrote, in the words of this one."""
    fusion = values.get("fusion")
    options = fusion.get("options") if isinstance(fusion, dict) else None
    if isinstance(options, dict) and fusion["name"] == "evidential" and options.get("annealing", 0) > 1:
        del options["annealing"]  # a number of batches then; it counts in training alone


NOT_OURS = ("architectures", "dtype", "torch_dtype", "model_type", "transformers_version")


def load_network(folder: Path) -> PlaitModel:
    """One network, ready to predict.

    Raises:
        ValueError: A file of it is missing or damaged, they do not fit together, or a weight is NaN or infinite.
    """
    from safetensors.torch import load_file

    config = read_config(folder)
    with reading(folder / WEIGHTS):
        tensors = {name: t for name, t in load_file(folder / WEIGHTS).items() if name not in FORGOTTEN}
        if bad := _not_finite(tensors):
            raise ValueError(f"the weights {bad} are NaN or infinite: training diverged, or the file is damaged")
    with reading(folder / CONFIG):
        _check_shapes(config, tensors)
        model = PlaitModel(config)
    with reading(folder / WEIGHTS):
        model.load_state_dict(tensors)
    model.read_outside_weights()
    model.train(False)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.nn.Module.to(model, device)
    return model


def check_finite(fitted: FittedParts) -> None:
    """Refuse to save a network that can only answer NaN.

    Raises:
        ValueError: A weight is NaN or infinite.
    """
    for what, model in (
        ("the model", fitted.model),
        *((f"the model of {n} alone", m) for n, m in fitted.baselines.items()),
    ):
        if bad := _not_finite(model.state_dict()):
            raise ValueError(
                f"{what} was not saved: its weights {bad} are NaN or infinite, so training diverged. Lower the "
                "learning rate (train.learning_rate, train.encoder_learning_rate) and look for "
                "huge numbers in the table (plait check)"
            )
    for member in fitted.ensemble.listed if fitted.ensemble is not None else ():
        if any(bool(tensor.isnan().any()) for tensor in member.state_dict().values()):
            raise ValueError("the model was not saved: a member of its ensemble has weights that are NaN")


def check_saved(model: PlaitModel, folder: Path) -> None:
    """Read back what was just written and compare.

    Raises:
        ValueError: It is not what the model holds.
    """
    from safetensors.torch import load_file

    check_config(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    held = model.state_dict()
    for name, tensor in load_file(folder / WEIGHTS).items():
        if name not in held or not torch.equal(held[name].cpu(), tensor):
            raise ValueError(f"{folder / WEIGHTS} reads back otherwise than it was written ({name}); look at the disk")


def _not_finite(tensors: dict[str, torch.Tensor]) -> str:
    """Names of tensors that hold NaN or an infinity, the first three; "" where none does."""
    bad = [
        name for name, tensor in tensors.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor.sum()) and not bool(torch.isfinite(tensor).all())
    ]  # fmt: skip
    return ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")


def _check_shapes(config: NetworkConfig, tensors: dict[str, torch.Tensor]) -> None:
    """Compare the network that the config describes with the weights, before memory is taken for it."""
    try:
        with torch.device("meta"), _at_most(10 * len(tensors) + 10_000):
            model = PlaitModel(config)
        wanted, learned, unset = model.state_dict(), dict(model.named_parameters()), _unset_buffers(model)
    except (NotImplementedError, RuntimeError, ValueError) as error:
        if "meta tensor" in str(error) or "meta device" in str(error):
            return  # an encoder that computes with its first weights
        raise
    for name in {**wanted, **tensors}:
        here, there = wanted.get(name), tensors.get(name)
        if here is None and name in unset:
            continue
        if here is None or there is None:
            what = "names no such weights" if here is None else "asks for weights that are not there"
            raise ValueError(f"it does not fit {WEIGHTS}: it {what}: {name}")
        if here.shape != there.shape and name in learned:  # what is only remembered may grow with the training rows
            shapes = f"{list(here.shape)}, there they are {list(there.shape)}"
            raise ValueError(f"it does not fit {WEIGHTS}: it asks for {name} of shape {shapes}")


def _unset_buffers(model: PlaitModel) -> set[str]:
    """Names of what a network may remember of its training and, before it, does not."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        for name, buffer in module._buffers.items()
        if buffer is None
    }


@contextlib.contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Stop at a network of so many parameters: a config that asks for a billion layers would be built for hours."""
    left = [count]

    def registered(module: torch.nn.Module, name: str, parameter: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"it does not fit {WEIGHTS}: it asks for far more weights than there are")

    handle = register_module_parameter_registration_hook(registered)
    try:
        yield
    finally:
        handle.remove()
