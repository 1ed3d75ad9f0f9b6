"""How inputs are explained: the choices a user has, checked in one place."""

from __future__ import annotations

from dataclasses import dataclass

from plait.registry import unknown_name
from plait.settings.names import INPUT_METHOD_NAMES

MOST_EXACT = 8  # parts whose every subset is asked: 256 answers


@dataclass(frozen=True)
class InputOptions:
    """See ``Plait.explain``.

    Attributes:
        method: "auto" (exact Shapley values up to eight parts, else occlusion), "occlusion", "shapley", "gradients" or
            "attention" (relevance through the attention of the encoder).
        explain_class: The class or label whose score is explained; None: the answer of each row.
        words: What stands for a hidden word: "drop" (nothing) or any text, such as "[MASK]".
        regions: What stands for a hidden region: "grey", "mean" (the picture's mean colour) or "blur".
        grid: Rows and columns that a picture is cut into.
        spans: Spans that a sound is cut into.
        cells: What stands for a hidden cell of a table: "marginal" (cells of other rows) or "missing".
        draws: Other rows whose cells are drawn for "marginal".
        orders: Random orders that deletion and insertion are held against.
        seed: Seed of everything random.
    """

    method: str = "auto"
    explain_class: str | None = None
    words: str = "drop"
    regions: str = "grey"
    grid: int = 7
    spans: int = 16
    cells: str = "marginal"
    draws: int = 8
    orders: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("method", self.method, INPUT_METHOD_NAMES), ("regions", self.regions, ("grey", "mean", "blur")),
            ("cells", self.cells, ("marginal", "missing")),
        ):  # fmt: skip
            if value not in known:
                raise ValueError(unknown_name(name, value, list(known), where=f"{name}="))
        for name, least, most in (("grid", 2, 32), ("spans", 2, 200), ("draws", 1, 100), ("orders", 1, 50)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {getattr(self, name)}; expected {least} to {most}")
