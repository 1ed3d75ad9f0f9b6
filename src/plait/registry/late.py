"""Names of a package that are imported when they are asked for, so that a start imports what it needs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any


def late_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package (PEP 562) whose names lie in modules of it.

    No name may be that of a module of the package: Python would put the module in its place.

    Args:
        package: Its ``__name__``.
        homes: The module inside the package of each name, such as ``{"GatedFusion": "gated"}``.

    Example:
        >>> get, _ = late_names("json", {"JSONDecoder": "decoder"})
        >>> get("JSONDecoder").__name__
        'JSONDecoder'
    """

    def get(name: str) -> Any:
        if name not in homes:
            if not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
                return importlib.import_module(f"{package}.{name}")  # as if the package had imported it
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        vars(sys.modules[package])[name] = found
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
