"""A fitted model behind HTTP: ``plait serve MODEL [INDEX]``, its limits and its page.

One thread owns the model; a bounded queue of our own stands before it. FastAPI and uvicorn are imported only when
something is served (extra ``serve``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plait.serve.options import ServeOptions
    from plait.serve.run import serve

__all__ = ["ServeOptions", "serve"]

_HOMES = {"ServeOptions": "plait.serve.options", "serve": "plait.serve.run"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'plait.serve' has no attribute {name!r}; it has {', '.join(__all__)}")
