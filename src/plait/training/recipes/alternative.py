"""A second fusion that is trained beside the first where neither is known to suit: what the recipe gives it.

Between 5,000 and 20,000 rows of text and picture, reading tokens wins where the answer stands in one place of the
picture and loses where it learns the training rows by heart (docs/decisions/0008-default-fusions.md). Validation rows
tell which.
"""

from __future__ import annotations

from dataclasses import replace

from plait.fusion import FUSIONS
from plait.settings import RunSettings
from plait.training.recipes.base import Facts
from plait.training.recipes.default import of_vectors
from plait.training.recipes.resolve import resolve

NONE = "none"
SOLE_HEADS = ("towers", "generate")


def with_alternative(asked: RunSettings, facts: Facts) -> RunSettings | None:
    """Settings of the run with its alternative fusion, or None where there is none.

    Args:
        asked: Settings as the user gave them; what is set there stays.
        facts: Of the run.

    Raises:
        ValueError: An unknown fusion, the fusion itself, or a task whose head goes with one fusion.
    """
    first = resolve(asked, facts)
    name = first.fusion.alternative
    if name in (None, NONE):
        return None
    if first.task.head in SOLE_HEADS:
        raise ValueError(
            f"{facts.task} has the head {first.task.head}, which goes with one fusion; leave "
            f"fusion.alternative={name} out"
        )
    if name == first.fusion.name:
        raise ValueError(f"fusion.alternative={name} is the fusion itself; name another one, or leave it out")
    groups = {"fusion": replace(asked.fusion, name=name, options={}, alternative=NONE), "train": asked.train}
    if not FUSIONS.get(str(name)).info.needs_tokens:
        for group, values in of_vectors(facts.num_train).items():
            given = groups[group]
            open_values = {k: v for k, v in values.items() if getattr(given, k) is None}
            groups[group] = replace(given, **open_values)
    return resolve(replace(asked, **groups, preset=first.preset, ensemble=first.ensemble), facts)
