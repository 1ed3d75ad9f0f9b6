"""Plait: models that use text, images, audio and numbers together, and proof that they do.

Public names load on first use, so ``import plait`` costs nothing. ``AutoConfig`` and ``AutoModel`` of transformers know
a model folder from then on: their table gets a stand-in that loads the model's class when such a folder is opened.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait.api import (
        Plait,
        PlaitClassifier,
        PlaitRegressor,
        VisionLanguageModel,
        augment,
        calibrate,
        check,
        drift,
        export,
        fit,
        load,
        profile,
        register_encoder,
        register_fusion,
        register_metric,
        register_task,
        two_tower,
        vlm,
    )
    from plait.comparison import Comparison, compare
    from plait.explain import explain_modalities
    from plait.fusion import check_fusion
    from plait.index import build_index, open_index

__version__ = "0.1.0"

__all__ = [
    "Comparison", "Plait", "PlaitClassifier", "PlaitRegressor", "VisionLanguageModel", "__version__", "augment",
    "build_index", "calibrate", "check", "check_fusion", "compare", "drift", "explain_modalities", "export", "fit",
    "load", "open_index", "profile", "register_encoder", "register_fusion", "register_metric", "register_task",
    "two_tower", "vlm",
]  # fmt: skip

_HOMES = {
    "Comparison": "plait.comparison", "Plait": "plait.api", "augment": "plait.api", "build_index": "plait.index",
    "calibrate": "plait.api", "check": "plait.api", "compare": "plait.comparison", "drift": "plait.api",
    "explain_modalities": "plait.explain", "export": "plait.api", "fit": "plait.api", "load": "plait.api",
    "open_index": "plait.index", "two_tower": "plait.api", "PlaitClassifier": "plait.api",
    "PlaitRegressor": "plait.api", "VisionLanguageModel": "plait.api", "check_fusion": "plait.fusion",
    "register_encoder": "plait.api", "register_fusion": "plait.api", "register_metric": "plait.api",
    "profile": "plait.api", "register_task": "plait.api", "vlm": "plait.api",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if not name.startswith("_"):
        from plait.settings.other_words import NAMES  # words of other libraries

        if name in NAMES:
            said = f"module 'plait' has no attribute {name!r}. Type {NAMES[name][0]}"
            if sys._getframe(1).f_code.co_name == "_handle_fromlist" and find_spec(f"plait.{name}") is None:
                raise ImportError(said, name="plait")  # "from plait import ..." would drop the words of the other
            raise AttributeError(said)
    raise AttributeError(f"module 'plait' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)


_TABLE = "transformers.models.auto.configuration_auto"


def _enter(table: ModuleType) -> None:
    """Put the stand-in into transformers' table of configurations (decision 22)."""

    class PlaitConfigStandIn(table.PreTrainedConfig):  # type: ignore[name-defined,misc]
        model_type = "plait"

        def __new__(cls, *arguments: Any, **options: Any) -> Any:
            return _config_class()(*arguments, **options)

        @classmethod
        def from_dict(cls, config_dict: dict[str, Any], **options: Any) -> Any:
            return _config_class().from_dict(config_dict, **options)

        @classmethod
        def from_pretrained(cls, name: Any, **options: Any) -> Any:
            return _config_class().from_pretrained(name, **options)

    table.AutoConfig.register("plait", PlaitConfigStandIn, exist_ok=True)


def _config_class() -> Any:
    """The class of a model's configuration, entered in place of the stand-in, with the model's class beside it."""
    from transformers import AutoConfig, AutoModel

    from plait.model import PlaitConfig, PlaitModel

    AutoConfig.register("plait", PlaitConfig, exist_ok=True)
    AutoModel.register(PlaitConfig, PlaitModel, exist_ok=True)
    return PlaitConfig


class _AfterTransformers(MetaPathFinder):
    """Waits until transformers' table is imported, if it ever is."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _TABLE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def executed(module: ModuleType) -> None:
                execute(module)
                _enter(module)

            spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


if _TABLE in sys.modules:
    _enter(sys.modules[_TABLE])
else:
    sys.meta_path.insert(0, _AfterTransformers())
