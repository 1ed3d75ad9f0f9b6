"""Settings of a run: frozen dataclasses, written to and read from ``run.yaml``, strict about every key."""

from __future__ import annotations

from plait.settings.assignments import Assignments, assignments_of
from plait.settings.augmentation import AugmentSettings
from plait.settings.ensemble import EnsembleSettings, SearchSettings
from plait.settings.groups import (
    BAD_ROW_POLICIES,
    LANGUAGE_TUNINGS,
    OPTIMIZERS,
    POSITIVES,
    RETRIEVAL_LOSSES,
    SCHEDULES,
    SELECTORS,
    TEXT_CLEANINGS,
    TUNINGS,
    DataSettings,
    EncoderSettings,
    EvaluationSettings,
    FusionSettings,
    LanguageSettings,
    TaskSettings,
    TrainSettings,
)
from plait.settings.options import COLUMN_LISTS, SINGLE_OPTIONS, DataOptions
from plait.settings.pretraining import NO_PRETRAINING, PRETRAINING_OBJECTIVES, PretrainSettings
from plait.settings.run import RunSettings, merge_values, read_settings, set_values, write_settings
from plait.settings.strict import from_dict, to_dict
from plait.settings.unlabelled import CONSISTENCY, NO_METHOD, TEACHERS, TRANSPORT, UnlabelledSettings

__all__ = [
    "Assignments",
    "AugmentSettings",
    "BAD_ROW_POLICIES",
    "COLUMN_LISTS",
    "CONSISTENCY",
    "DataOptions",
    "DataSettings",
    "EncoderSettings",
    "EnsembleSettings",
    "FusionSettings",
    "EvaluationSettings",
    "LANGUAGE_TUNINGS",
    "LanguageSettings",
    "NO_METHOD",
    "NO_PRETRAINING",
    "OPTIMIZERS",
    "POSITIVES",
    "PRETRAINING_OBJECTIVES",
    "PretrainSettings",
    "RETRIEVAL_LOSSES",
    "RunSettings",
    "SCHEDULES",
    "SELECTORS",
    "SINGLE_OPTIONS",
    "SearchSettings",
    "TEACHERS",
    "TRANSPORT",
    "TEXT_CLEANINGS",
    "TUNINGS",
    "TaskSettings",
    "TrainSettings",
    "UnlabelledSettings",
    "assignments_of",
    "from_dict",
    "merge_values",
    "read_settings",
    "set_values",
    "to_dict",
    "write_settings",
]
