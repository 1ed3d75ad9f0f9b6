"""What the outputs of a task are, where several tasks share it: one record a family.

What else hangs on the family stands in a registry of the room that asks, under the same names: late fusions
(``fusion.OutputSpec``), what chooses the epoch (``training.EPOCH_SCORES``), evaluation (``evaluation.EVALUATORS``) and
explanation (``explain.measure.MEASURES``).
"""

from __future__ import annotations

from dataclasses import dataclass

from plait.registry import Registry


@dataclass(frozen=True)
class OutputFamily:
    """What all tasks with this kind of output have in common.

    Attributes:
        does: What such a model does, for messages.
        one_class: Whether exactly one of several classes is right, so that the outputs of a row add up to one.
        writes: Whether the outputs are text, written token by token.
        embeds: Whether the outputs are vectors of one space, to search by.
    """

    does: str
    one_class: bool = False
    writes: bool = False
    embeds: bool = False


FAMILIES: Registry[OutputFamily] = Registry("output kind")
FAMILIES.add("classes", OutputFamily("chooses one class", one_class=True))
FAMILIES.add("labels", OutputFamily("chooses labels"))
FAMILIES.add("number", OutputFamily("predicts a number"))
FAMILIES.add("text", OutputFamily("writes text", writes=True))
FAMILIES.add("embeddings", OutputFamily("gives vectors and cosines", embeds=True))
