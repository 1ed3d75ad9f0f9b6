"""All settings of a run, written to and read from ``run.yaml``; ``--set a.b=c`` on top."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from plait.settings.augmentation import AugmentSettings
from plait.settings.ensemble import EnsembleSettings, SearchSettings
from plait.settings.groups import (
    DataSettings,
    EncoderSettings,
    EvaluationSettings,
    FusionSettings,
    LanguageSettings,
    TaskSettings,
    TrainSettings,
)
from plait.settings.options import in_arguments
from plait.settings.pretraining import PretrainSettings
from plait.settings.ranges import above_zero, check_field, check_fields
from plait.settings.strict import from_dict, is_setting, is_text, to_dict, unknown_setting
from plait.settings.unlabelled import UnlabelledSettings

QUOTED_OR_NULL = re.compile(r"""\s*(?:$|~\s*$|null\s*$|'.*'\s*$|".*"\s*$)""", re.DOTALL)


@dataclass(frozen=True)
class RunSettings:
    """Everything that defines a run."""

    recipe: str = "default"
    """Name of the recipe the open settings are filled from."""
    preset: str | None = None
    """fast, default, best, single or prototypes: how many models are tried and answer together; None: best under a time
    limit, else default.
    """
    time_limit: float | None = above_zero(None)
    """Seconds that the whole run may take, encoding and evaluation included; None: as long as it takes."""
    data: DataSettings = field(default_factory=DataSettings)
    encoders: EncoderSettings = field(default_factory=EncoderSettings)
    fusion: FusionSettings = field(default_factory=FusionSettings)
    task: TaskSettings = field(default_factory=TaskSettings)
    language: LanguageSettings = field(default_factory=LanguageSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    semi: UnlabelledSettings = field(default_factory=UnlabelledSettings)
    ensemble: EnsembleSettings = field(default_factory=EnsembleSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    judge: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        """Refuse values outside their range, and values that contradict each other.

        Raises:
            ValueError: The message names the setting, the value and what is allowed.
        """
        for one in fields(self):
            if is_dataclass(group := getattr(self, one.name)):
                check_fields(group, one.name)
            else:
                check_field(self, one, one.name)
        self.task.check_together()
        self.train.check_together()


def merge_values(base: RunSettings, given: dict[str, Any]) -> RunSettings:
    """Settings with the given "group.name" values laid over; None and empty ones change nothing.

    Raises:
        ValueError: A value of the wrong type or outside its range; it is named as the argument that held it.
    """
    values = to_dict(base)
    for path, value in given.items():
        if value is None or value == []:
            continue
        group, _, name = path.rpartition(".")
        (values[group] if group else values)[name] = value
    try:
        return from_dict(RunSettings, values)
    except ValueError as error:
        raise ValueError(in_arguments(str(error), given)) from error


def set_values(settings: RunSettings, assignments: list[str]) -> RunSettings:
    """Apply ``a.b=c`` assignments, c read as YAML; a setting that is text takes c as it stands, null and quotes apart.

    Example:
        >>> set_values(RunSettings(), ["train.epochs=3"]).train.epochs
        3

    Raises:
        ValueError: No "=", an unknown key or a value of the wrong type.
    """
    values = to_dict(settings)
    for text in assignments:
        path, equals, raw = text.partition("=")
        if not equals:
            raise ValueError(f"a setting is given as NAME=VALUE such as train.epochs=3, got {text!r}")
        if not is_setting(RunSettings, path.strip()):
            raise ValueError(unknown_setting(RunSettings, path.strip()))
        node = values
        *parents, last = path.strip().split(".")
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                raise ValueError(unknown_setting(RunSettings, path.strip()))
            node = node[parent]
        if is_text(RunSettings, [*parents, last]) and not QUOTED_OR_NULL.match(raw):
            node[last] = raw.strip()
            continue
        try:
            node[last] = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise ValueError(f"{path.strip()}: {raw!r} is not valid YAML") from error
    return from_dict(RunSettings, values)


def write_settings(path: Path, settings: RunSettings, extra: dict[str, Any]) -> None:
    """Write ``run.yaml``: every resolved setting, and ``extra`` (versions, fingerprint) under ``facts``."""
    path.write_text(
        yaml.safe_dump({**to_dict(settings), "facts": extra}, sort_keys=False, allow_unicode=True),
        encoding="utf-8",
    )


def read_settings(path: Path) -> RunSettings:
    """Read ``run.yaml`` back.

    Raises:
        ValueError: The file is not valid YAML or holds unknown settings.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict) or not values:
        raise ValueError(f"{path} must hold a mapping of settings, got {type(values).__name__}")
    values.pop("facts", None)
    if isinstance(train := values.get("train"), dict) and (old := train.pop("tensorboard", None)) is not None:
        train["log_to"] = ["tensorboard"] if old is True else []  # as versions before 0.1 wrote it
    return from_dict(RunSettings, values)
