"""The parts of ``bench.py``: each measures Plait beside a peer or a naive loop, and says how equal they are."""

from __future__ import annotations

from importlib import import_module

from parts.part import Asked, Measured

PARTS = {  # where each is; imported when it is asked for
    "encode-text": "encode:encode_texts", "encode-images": "encode:encode_photos", "fit": "fit:fit",
    "compare": "compare:compare", "search": "search:search", "generate": "generate:generate", "serve": "serving:serve",
}  # fmt: skip


def measured(name: str, asked: Asked) -> list[Measured]:
    """What a part measures.

    Args:
        name: One of ``PARTS``.
        asked: How often, how large, where.
    """
    module, _, function = PARTS[name].partition(":")
    found: list[Measured] = getattr(import_module(f"parts.{module}"), function)(asked)
    return found
