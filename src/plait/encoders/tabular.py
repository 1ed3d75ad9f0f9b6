"""Numbers and categories to tokens and one vector.

In: what ``TabularProcessor`` gives. Out: one token a column (of value and missing flag, linear or otherwise, or a
row of an embedding table) and the vector of a small MLP over all of them. Always trained with the model:
there is nothing pretrained here. After Gorishniy et al. 2021, "Revisiting Deep Learning Models for Tabular
Data", section 3.3 (the feature tokenizer).
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from plait.encoders.base import ENCODERS, Encoded, Encoder
from plait.encoders.numbers import NUMBERS

LARGEST_EMBEDDING = 50


def embedding_width(cardinality: int) -> int:
    """Width of a category's embedding, min(50, ceil(1.6 n^0.56)) for n categories: 5 of 7, 14 of 46, 50 from 467 on.

    A rule of thumb of fastai's tabular models (``emb_sz_rule``, there rounded and at most 600).
    """
    return min(LARGEST_EMBEDDING, ceil(1.6 * cardinality**0.56))


def _full(size: int, width: int) -> nn.Module:
    """A row of the token's width for each category."""
    table = nn.Embedding(size, width)
    nn.init.normal_(table.weight, std=0.5)
    return table


def _compact(size: int, width: int) -> nn.Module:
    """Short rows by rule and a linear map; they start small, so rare ones stay near the mean, missing ones at 0."""
    table = nn.Embedding(size, embedding_width(size - 1) if size > 1 else 1)
    nn.init.normal_(table.weight, std=0.05)
    with torch.no_grad():
        table.weight[0] = 0
    return nn.Sequential(table, nn.Linear(table.embedding_dim, width))


_CATEGORIES: dict[str, Callable[[int, int], nn.Module]] = {"full": _full, "compact": _compact}


class TabularEncoder(Encoder):
    """Feature tokens and an MLP.

    Args:
        num_numeric: Numeric columns, F.
        cardinalities: Indices of each categorical column, the slot 0 of unknown ones included.
        width: Width of a token and of the vector.
        numbers: How a number becomes a token: "linear", "piecewise" or "periodic"
            (:mod:`plait.encoders.numbers`).
        categories: "full", a row of a token's width for each category, or "compact": a row of
            :func:`embedding_width` numbers, and a linear map to the token.
    """

    is_pretrained = False
    is_exact = True

    def __init__(
        self, num_numeric: int, cardinalities: list[int], width: int = 64, numbers: str = "linear",
        categories: str = "full",
    ) -> None:  # fmt: skip
        if num_numeric + len(cardinalities) == 0:
            raise ValueError("a tabular encoder needs at least one column; got no numeric and no categorical one")
        super().__init__(
            {
                "type": "tabular",
                "num_numeric": num_numeric,
                "cardinalities": list(cardinalities),
                "width": width,
                **({} if numbers == "linear" else {"numbers": numbers}),
                **({} if categories == "full" else {"categories": categories}),
            }
        )
        self.vector_dim = self.token_dim = width
        num_columns = num_numeric + len(cardinalities)
        self.model = nn.ModuleDict(
            {
                "categories": nn.ModuleList(_CATEGORIES[categories](size, width) for size in cardinalities),
                "mlp": nn.Sequential(
                    nn.Linear(num_columns * width, 2 * width),
                    nn.GELU(),
                    nn.Linear(2 * width, width),
                    nn.LayerNorm(width),
                ),
            }
        )
        self.numbers = NUMBERS[numbers](num_numeric, width) if numbers != "linear" else None
        if self.numbers is None:
            self.numeric_weight_F2D = nn.Parameter(torch.randn(num_numeric, 2, width) * 0.5)
            self.numeric_bias_FD = nn.Parameter(torch.randn(num_numeric, width) * 0.1)

    def forward(self, numeric_BF: Tensor, missing_BF: Tensor, categorical_BK: Tensor) -> Encoded:
        """Encode rows.

        Args:
            numeric_BF: Standardised numbers [B, F]; the value of a missing one is ignored.
            missing_BF: 1 where a number is missing [B, F].
            categorical_BK: Category indices [B, K].
        """
        missing_BF = missing_BF.to(next(self.parameters()).dtype)
        numeric_BF = torch.where(missing_BF > 0, 0, numeric_BF.to(missing_BF.dtype))
        if self.numbers is not None:
            numbers_BFD = self.numbers(numeric_BF, missing_BF)
        else:
            pairs_BF2 = torch.stack([numeric_BF, missing_BF], dim=-1)
            numbers_BFD = torch.einsum("bfi,fid->bfd", pairs_BF2, self.numeric_weight_F2D) + self.numeric_bias_FD
        categories = [table(categorical_BK[:, k]).unsqueeze(1) for k, table in enumerate(self.model["categories"])]
        tokens_BTD = torch.cat([numbers_BFD, *categories], dim=1)
        mask_BT = torch.ones(tokens_BTD.shape[:2], dtype=torch.bool, device=tokens_BTD.device)
        return Encoded(self.model["mlp"](tokens_BTD.flatten(1)), tokens_BTD, mask_BT)


def build_tabular(config: dict[str, Any]) -> TabularEncoder:
    """Rebuild from ``config()``."""
    return TabularEncoder(
        int(config["num_numeric"]), [int(c) for c in config["cardinalities"]], int(config["width"]),
        str(config.get("numbers", "linear")), str(config.get("categories", "full")),
    )  # fmt: skip


ENCODERS.add("tabular", build_tabular)
