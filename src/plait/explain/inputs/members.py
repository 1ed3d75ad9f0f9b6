"""Members of a set of pictures that can be hidden: taken out of the set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plait.explain.inputs.cut import Cut


def cut_members(members: Sequence[int], pictures: Sequence[str | None]) -> Cut:
    """A set in its members.

    Args:
        members: Their numbers.
        pictures: Base64 JPEG of each, or None.
    """

    def hidden(kept_P: np.ndarray, draw: int) -> list[int]:
        return [number for number, kept in zip(members, kept_P, strict=True) if kept]

    parts: list[dict[str, Any]] = [{"member": place + 1} for place in range(len(members))]
    return Cut(
        parts,
        hidden,
        "nothing: the picture is taken out of the set",
        shown={"pictures": [{"image_jpeg_base64": p} for p in pictures]},
    )
