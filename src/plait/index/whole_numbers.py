"""A comparison of whole numbers with any number, as one with a whole number of their kind: nothing is rounded.

``id > 1.5e18`` would otherwise compare doubles, which cannot tell two ids of nineteen digits apart.
"""

from __future__ import annotations

import math

import pyarrow as pa


def whole_comparison(mark: str, value: float, kind: pa.DataType) -> tuple[str, int] | bool:
    """The same comparison with a value that the kind holds, or its answer where that is one for all numbers.

    Args:
        mark: ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``; the number of a row stands left of it.
        value: A whole or broken number, not infinite.
        kind: Of whole numbers.

    Example:
        >>> whole_comparison("<", 2.5, pa.int8()), whole_comparison("=", 2.5, pa.int8())
        (('<=', 2), False)
        >>> whole_comparison(">", 400, pa.int8()), whole_comparison(">=", 2.0, pa.int8())
        (False, ('>=', 2))
    """
    bits = kind.bit_width
    is_signed = pa.types.is_signed_integer(kind)
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    below = math.floor(value)
    if below != value:
        if mark in ("=", "!="):
            return mark == "!="
        mark = "<=" if mark in ("<", "<=") else ">"
    if below < least:
        return mark in (">", ">=", "!=")
    if below > most:
        return mark in ("<", "<=", "!=")
    return mark, below
