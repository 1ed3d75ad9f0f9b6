"""What must be known before the numbers of a verdict are read: it stands in front of them, not among the notes.

Judged rows and their answers come in, sentences go out: rows that the model has seen, few rows, one answer to all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait.evaluation.base import EvaluationInputs
from plait.registry import counted
from plait.training.known_split import CHOSE_THE_EPOCH, seen_in

FEW_ROWS = 30  # below it a share is known to about 18 points at best (95 % interval of one half)


def caveats(given: EvaluationInputs, decoded: Sequence[Any] = ()) -> list[str]:
    """Sentences that a verdict opens with, the worst first.

    Args:
        given: The judged rows.
        decoded: The answers to them; empty: not looked at.
    """
    made = []
    rows, seen = len(given.positions), seen_in(given.notes)
    if given.split == "train" or (seen is not None and seen[0] == seen[1]):
        made.append(f"Judged on {counted(rows, 'row')} that trained the model: the numbers say little about new rows.")
    elif seen is not None:
        made.append(f"Of the {counted(rows, 'row')} judged here {seen[0]} trained the model: the numbers flatter it.")
    elif CHOSE_THE_EPOCH in given.notes:
        made.append("Judged on the validation rows, which also chose the epoch: the numbers are optimistic.")
    if rows == 1:
        made.append("Only one row is judged: too few for more than a rough number.")
    elif rows < FEW_ROWS:
        made.append(f"Only {rows} rows are judged: too few for more than a rough number.")
    if given.task.output_kind == "classes" and len(decoded) > 1 and len(set(decoded)) == 1:
        made.append(f"Every answer is {str(decoded[0])!r}.")
    return made
