"""What a corruption is: a kind of content, a strength at each severity, and a seeded function.

Severities are 0 to 5. Severity 0 is the content itself, bit for bit. The same seed draws the same places and directions
at every severity, so that a stronger corruption contains the weaker one and the mean change grows.

Reference: Hendrycks and Dietterich 2019 (benchmarking robustness to common corruptions), severities; Qiu et al. 2024
(multimodal robustness to perturbations of pictures and texts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from plait.registry import Registry

SEVERITIES = (0, 1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Corruption:
    """One way in which content is damaged.

    Attributes:
        kinds: Kinds of modality that it damages.
        strengths: At severities 1 to 5.
        what: What a strength is, with its unit.
        apply: From content, strength and generator to damaged content of the same shape and type.
    """

    kinds: tuple[str, ...]
    strengths: tuple[float, float, float, float, float]
    what: str
    apply: Callable[[Any, float, np.random.Generator], Any]


CORRUPTIONS: Registry[Corruption] = Registry("corruption")


def corrupt(name: str, content: Any, severity: int, seed: int | list[int] = 0) -> Any:
    """Content damaged.

    Args:
        name: Of the corruption, such as "image_noise".
        content: A picture [H, W] or [H, W, C] in uint8, a text, samples [T], or numbers [N]; by the corruption's kind.
        severity: 0 (nothing changes) to 5.
        seed: The same seed damages the same places.

    Raises:
        ValueError: No such corruption or severity.

    Example:
        >>> corrupt("text_swaps", "one two three four", 0)
        'one two three four'
    """
    record = CORRUPTIONS.get(name)
    if severity not in SEVERITIES:
        raise ValueError(f"severity is {severity!r}; expected a whole number from 0 (unchanged) to 5")
    if severity == 0:
        return content
    return record.apply(content, record.strengths[severity - 1], np.random.default_rng(seed))


def corruptions_of(kind: str) -> list[str]:
    """Names of the corruptions of a kind of modality."""
    return [name for name in CORRUPTIONS if kind in CORRUPTIONS.get(name).kinds]
