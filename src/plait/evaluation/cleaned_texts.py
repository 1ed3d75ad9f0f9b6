"""Some evaluated texts before and after cleaning, so that nobody has to guess what a model read."""

from __future__ import annotations

from typing import Any

from plait.evaluation.base import EvaluationInputs
from plait.inputs.inputs import Inputs
from plait.processors.cleaning import clean_texts

NUM_SHOWN = 6
_LONGEST = 600


def cleaned_texts(given: EvaluationInputs, inputs: Inputs) -> list[dict[str, Any]]:
    """The first evaluated rows whose text was changed, per text modality that is cleaned.

    Args:
        given: The rows.
        inputs: The processors, which know their cleaning.

    Returns:
        For each such modality ``modality``, ``cleaning``, ``rows`` (how many of the evaluated rows were changed) and
        ``examples`` (``row``, ``before``, ``after``); empty where nothing is cleaned.
    """
    made = []
    for modality in inputs.modalities:
        cleaning = getattr(inputs.processors[modality.name], "cleaning", "none")
        if cleaning == "none":
            continue
        items = given.prepared.rows.items[modality.name]
        places = [(int(p), items.cells[int(items.index_N[p])]) for p in given.positions if items.index_N[p] >= 0]
        after, _ = clean_texts([text for _, text in places], cleaning)
        changed = [(place, text, new) for (place, text), new in zip(places, after, strict=True) if new != text]
        table = given.prepared.rows.table
        examples = [
            {"row": table.row_number(place), "before": text[:_LONGEST], "after": new[:_LONGEST]}
            for place, text, new in changed[:NUM_SHOWN]
        ]
        made.append(
            {"modality": modality.name, "cleaning": cleaning, "rows": len(changed), "examples": examples},
        )
    return made
