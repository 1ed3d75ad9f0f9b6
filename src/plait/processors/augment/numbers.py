"""Views of a row of numbers and categories: some cells take the value of another training row (swap noise).

Every value that comes out occurs in the column, and columns keep their distribution; what ties columns together is
broken in the swapped ones only. A gap moves with its cell.

Reference: Yoon et al. 2020 (VIME), equation 3: x~ = m * x_shuffled + (1 - m) * x, with a mask m of a given rate.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

COLUMNS = ({"numeric_BF", "missing_BF"}, {"categorical_BK"})  # tensors whose columns are the same cells


def draw_donors(
    generator: np.random.Generator, num_rows: int, num_columns: int, pool: np.ndarray, rate: float
) -> np.ndarray:
    """Where each cell comes from: an item out of ``pool``, or -1 for its own, [num_rows, num_columns].

    Args:
        generator: What is drawn from.
        num_rows: Rows.
        num_columns: Columns.
        pool: Numbers of the items that may give a cell.
        rate: Probability of a swap, 0 to 1.
    """
    donors = generator.choice(pool, size=(num_rows, num_columns)) if len(pool) else np.full((num_rows, num_columns), -1)
    return np.where(generator.random((num_rows, num_columns)) < rate, donors, -1)


def swapped(
    tensors: dict[str, Tensor], everything: dict[str, Tensor], generator: np.random.Generator, pool: np.ndarray,
    rate: float, rows_B: np.ndarray,
) -> dict[str, Tensor]:  # fmt: skip
    """Tensors of tabular items with cells of other items in them.

    Args:
        tensors: Of the batch, [B, columns] each.
        everything: The same tensors of all items, [N, columns].
        generator: What is drawn from.
        pool: Numbers of the items that may give a cell.
        rate: Probability of a swap.
        rows_B: Which rows are changed, bool.
    """
    made = dict(tensors)
    for group in COLUMNS:
        names = [name for name in tensors if name in group]
        if not names:
            continue
        num_rows, num_columns = tensors[names[0]].shape
        donors = draw_donors(generator, num_rows, num_columns, pool, rate)
        donors[~rows_B] = -1
        for name in names:
            source = torch.from_numpy(donors)
            other = everything[name].gather(0, source.clamp(min=0))
            made[name] = torch.where(source >= 0, other, tensors[name])
    return made
