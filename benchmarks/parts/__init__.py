"""The parts of ``bench.py``: each measures Plait beside a peer or a naive loop, and says how equal they are."""

from __future__ import annotations

from collections.abc import Callable

from parts.part import Asked, Measured


def _encode_texts(asked: Asked) -> list[Measured]:
    from parts.encode import encode_texts

    return encode_texts(asked)


def _encode_photos(asked: Asked) -> list[Measured]:
    from parts.encode import encode_photos

    return encode_photos(asked)


def _fit(asked: Asked) -> list[Measured]:
    from parts.fit import fit

    return fit(asked)


def _compare(asked: Asked) -> list[Measured]:
    from parts.compare import compare

    return compare(asked)


def _search(asked: Asked) -> list[Measured]:
    from parts.search import search

    return search(asked)


def _generate(asked: Asked) -> list[Measured]:
    from parts.generate import generate

    return generate(asked)


def _serve(asked: Asked) -> list[Measured]:
    from parts.serving import serve

    return serve(asked)


PARTS: dict[str, Callable[[Asked], list[Measured]]] = {
    "encode-text": _encode_texts, "encode-images": _encode_photos, "fit": _fit, "compare": _compare,
    "search": _search, "generate": _generate, "serve": _serve,
}  # fmt: skip
