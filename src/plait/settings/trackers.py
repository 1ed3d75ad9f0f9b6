"""Experiment trackers by name, and whether one that is asked for is installed, told before heavy imports."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from plait.registry import unknown_name

TRACKERS = {  # name: modules that must be there, and what to type where one is not
    "mlflow": (("mlflow", "sqlalchemy"), "pip install mlflow"),
    "tensorboard": (("tensorboard",), 'pip install "plait[tensorboard]"'),
    "trackio": (("trackio",), "pip install trackio"),
    "wandb": (("wandb",), "pip install wandb"),
}
TRACKER_NAMES = tuple(TRACKERS)


def tracker_names(given: str | Sequence[str] | None) -> list[str]:
    """Names between commas, or a sequence of them, as a list without repetitions.

    Raises:
        ValueError: A name that is no tracker.

    Example:
        >>> tracker_names("mlflow, tensorboard"), tracker_names(None)
        (['mlflow', 'tensorboard'], [])
    """
    words = [] if given is None else given.split(",") if isinstance(given, str) else [str(word) for word in given]
    names = list(dict.fromkeys(word.strip() for word in words if word.strip()))
    for name in names:
        if name not in TRACKERS:
            raise ValueError(unknown_name("tracker", name, list(TRACKER_NAMES), where="log_to="))
    return names


def check_trackers_there(names: Sequence[str]) -> None:
    """Refuse a tracker that is not installed.

    Raises:
        ValueError: So it is; the message says what to type.
    """
    for name in names:
        modules, command = TRACKERS[name]
        absent = [module for module in modules if find_spec(module) is None]
        if absent:
            raise ValueError(f"log_to={name!r} needs {' and '.join(absent)}, not installed here; type {command}")
