"""A run in one or several trackers, from before training until the model has been evaluated."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from plait.registry import Registry, first_line

PROJECT = "plait"


class TrackedRun(Protocol):
    """What each tracker's file gives.

    Attributes:
        name: Of the run.
        place: Where it went: a folder, or an address that the tracker takes.
        environment: Variables that hold while the Trainer's callback works, where the user has not set them.
    """

    name: str
    place: str
    environment: Mapping[str, str]

    def finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Log the numbers and sentences of the evaluation, and close the run."""

    def fail(self) -> None:
        """Close the run as one that failed."""


@dataclass(frozen=True)
class RunFacts:
    """What a tracker is told when a run begins.

    Attributes:
        name: Of the run, no other has it.
        parameters: Plait's resolved settings by path, none of them empty.
        folder: The model's folder; None: there is none.
    """

    name: str
    parameters: Mapping[str, Any]
    folder: Path | None


Opener = type[Any]
OPENERS: Registry[Opener] = Registry("tracker")


@dataclass
class Tracking:
    """The runs of one fit; without trackers it does nothing.

    Attributes:
        names: Of the trackers, for the Trainer's ``report_to``.
        facts: What they were told.
        runs: One a tracker.
    """

    names: tuple[str, ...]
    facts: RunFacts
    runs: list[TrackedRun] = field(default_factory=list)

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Hold the variables that callbacks read while a network trains; the user's own come first."""
        mine = {key: value for run in self.runs for key, value in run.environment.items() if key not in os.environ}
        os.environ.update(mine)
        try:
            yield
        finally:
            for key in mine:
                os.environ.pop(key, None)

    def places(self) -> list[dict[str, str]]:
        """Where it went: ``tracker``, ``run`` and ``place`` of each."""
        return [
            {"tracker": name, "run": run.name, "place": run.place}
            for name, run in zip(self.names, self.runs, strict=True)
        ]

    def finish(self, report: Mapping[str, Any]) -> None:
        """Log what the evaluation found. The model is saved by then: what fails here is a warning."""
        numbers, texts = evaluated_numbers(report), evaluated_texts(report)
        for name, run in zip(self.names, self.runs, strict=True):
            try:
                run.finish(numbers, texts)
            except Exception as error:  # a tracker's server may be gone; the model is not
                warnings.warn(
                    f"{name} did not take the numbers of the evaluation ({type(error).__name__}: {first_line(error)}); "
                    "the model and its report are complete",
                    stacklevel=2,
                )


@contextlib.contextmanager
def open_tracking(names: Sequence[str], facts: RunFacts) -> Iterator[Tracking]:
    """Open a run in each tracker; where the block fails they are closed as failed.

    Args:
        names: Of trackers that are installed.
        facts: What they are told.

    Raises:
        ValueError: A run could not be opened.
    """
    tracking = Tracking(tuple(names), facts)
    try:
        for name in names:
            tracking.runs.append(_opened(name, facts))
        yield tracking
    except BaseException:
        for run in tracking.runs:
            with contextlib.suppress(Exception):  # what went wrong in the block is what must be said
                run.fail()
        raise


def _opened(name: str, facts: RunFacts) -> TrackedRun:
    try:
        run: TrackedRun = OPENERS.get(name)(facts)
    except Exception as error:  # a server that does not answer, an account that is not there
        raise ValueError(
            f"log_to={name!r}: no run could be opened ({type(error).__name__}: {first_line(error)}), and nothing was "
            "trained"
        ) from error
    return run


def flat_settings(values: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    """Settings by path; what is None or empty is left out.

    Example:
        >>> flat_settings({"recipe": "default", "train": {"epochs": 3, "ema": None, "log_to": ["mlflow"]}})
        {'recipe': 'default', 'train.epochs': 3, 'train.log_to': 'mlflow'}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat_settings(value, f"{under}{key}.")
        elif isinstance(value, list | tuple):
            found |= {f"{under}{key}": ", ".join(map(str, value))} if value else {}
        elif value is not None and value != "":
            found[f"{under}{key}"] = value
    return found


def evaluated_numbers(report: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of the evaluation: every metric, the interval of the headline one, and it for each modality alone."""
    evaluation, main = report["evaluation"], report["metric"]["name"]
    split = f"{evaluation.get('split') or 'test'}_"
    split = split if split == "test_" else f"final_{split}"
    found: dict[str, Any] = {}
    for name, entry in (evaluation.get("metrics") or {}).items():
        if not isinstance(entry, Mapping):
            continue
        found[f"{split}{name}"] = entry.get("value")
        if name == main:
            found |= {f"{split}{name}_{end}": entry.get(end) for end in ("low", "high")}
    for modality, metrics in (evaluation.get("alone") or {}).items():
        entry = (metrics or {}).get(main)
        found[f"{split}{main}_{modality}_alone"] = entry.get("value") if isinstance(entry, Mapping) else None
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def evaluated_texts(report: Mapping[str, Any]) -> dict[str, str]:
    """The verdict, and which fusion answers in the end."""
    found = {"verdict": str(report.get("verdict", ""))}
    fusion = (report.get("model") or {}).get("fusion")
    name = fusion.get("name") if isinstance(fusion, Mapping) else fusion
    return found | ({"answered_by": str(name)} if name else {})
