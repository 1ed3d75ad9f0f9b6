"""The Python API: ``fit`` a table, ``load`` a model folder, ``check``, ``drift`` and ``Plait``.

What stands under the command line and on top of every other room. Nothing that computes is imported before its use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plait.api.augmenting import augment
from plait.api.check import check
from plait.api.clock import counted_from
from plait.api.drift import drift
from plait.api.fit import fit, load
from plait.api.machine import (
    default_weights,
    feature_store,
    fetch_weights,
    in_language,
    is_first_process,
    list_fusions,
    list_weights,
    report_values,
)
from plait.api.plugins import list_plugins, register_encoder, register_fusion, register_metric, register_task
from plait.data.memory import memory_bound

if TYPE_CHECKING:
    from plait.api.batch import BatchResult, EncodeResult, encode_to_store, predict_to_folder
    from plait.api.calibrating import calibrate
    from plait.api.dual_encoder import two_tower
    from plait.api.estimators import PlaitClassifier, PlaitRegressor
    from plait.api.exporting.export import export
    from plait.api.first_look import open_checked
    from plait.api.folder_checks import check_report_place
    from plait.api.installation.doctor import doctor
    from plait.api.prediction_file import PredictionFile
    from plait.api.predictor import Plait
    from plait.api.profiling import Profile, profile
    from plait.api.suggestion_file import SuggestionFile
    from plait.api.vision_language import VisionLanguageModel, vlm
    from plait.api.watching.terminal import TerminalProgress

__all__ = [
    "BatchResult", "EncodeResult", "Plait", "PlaitClassifier", "PlaitRegressor", "PredictionFile", "Profile",
    "SuggestionFile", "TerminalProgress", "VisionLanguageModel", "augment", "calibrate", "check", "check_report_place",
    "counted_from", "default_weights", "doctor", "drift", "encode_to_store", "export", "feature_store", "fetch_weights",
    "fit", "in_language", "is_first_process", "list_fusions", "list_plugins", "list_weights", "load", "memory_bound",
    "open_checked", "predict_to_folder", "profile", "register_encoder", "register_fusion", "register_metric",
    "register_task", "report_values", "two_tower", "vlm",
]  # fmt: skip

_HOMES = {
    "BatchResult": "plait.api.batch",
    "EncodeResult": "plait.api.batch",
    "Plait": "plait.api.predictor",
    "PlaitClassifier": "plait.api.estimators",
    "PlaitRegressor": "plait.api.estimators",
    "PredictionFile": "plait.api.prediction_file",
    "Profile": "plait.api.profiling",
    "SuggestionFile": "plait.api.suggestion_file",
    "TerminalProgress": "plait.api.watching.terminal",
    "calibrate": "plait.api.calibrating",
    "check_report_place": "plait.api.folder_checks",
    "encode_to_store": "plait.api.batch",
    "export": "plait.api.exporting.export",
    "doctor": "plait.api.installation.doctor",
    "open_checked": "plait.api.first_look",
    "predict_to_folder": "plait.api.batch",
    "profile": "plait.api.profiling",
    "two_tower": "plait.api.dual_encoder",
    "VisionLanguageModel": "plait.api.vision_language",
    "vlm": "plait.api.vision_language",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'plait.api' has no attribute {name!r}; it has {', '.join(__all__)}")
