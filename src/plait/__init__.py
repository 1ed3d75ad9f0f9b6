"""Plait: models that use text, images, audio and numbers together, and proof that they do.

Public names load on first use, so ``import plait`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait.api import Plait, augment, calibrate, check, drift, export, fit, load, two_tower
    from plait.comparison import Comparison, compare
    from plait.explain import explain_modalities
    from plait.index import build_index, open_index

__version__ = "0.1.0"

__all__ = [
    "Comparison", "Plait", "__version__", "augment", "build_index", "calibrate", "check", "compare", "drift",
    "explain_modalities", "export", "fit",
    "load", "open_index", "two_tower",
]  # fmt: skip

_HOMES = {
    "Comparison": "plait.comparison", "Plait": "plait.api", "augment": "plait.api", "build_index": "plait.index",
    "calibrate": "plait.api", "check": "plait.api", "compare": "plait.comparison", "drift": "plait.api",
    "explain_modalities": "plait.explain", "export": "plait.api", "fit": "plait.api", "load": "plait.api",
    "open_index": "plait.index", "two_tower": "plait.api",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'plait' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
