"""What retrieval asks of a recipe: towers, chosen on validation photos (docs/decisions/0010-retrieval.md)."""

from __future__ import annotations

from plait.settings import RunSettings
from plait.training.recipes.base import NOTHING_HIDDEN, TASK_CHOICES, Choices, Facts, TaskChoices, small_batch
from plait.training.recipes.two_sides import keep_to, see_closely, towers

WORDS = 256


def find_each_other(chosen: Choices, facts: Facts) -> None:
    """Linear towers, two trained and one in closed form, corrected for hubs, on larger pictures, crops, and words."""
    see_closely(chosen, facts)
    if "text" in facts.kinds:
        chosen["encoders"]["words"] = WORDS  # beside the vector of the whole text, which blurs them
    chosen["fusion"] = towers(copies=3, dropout=0.4, canonical=True)
    chosen["task"] = {"head": "towers", "loss": "infonce", "positives": "group", "hubs": True}
    chosen["train"] |= {
        **NOTHING_HIDDEN, "epochs": 12, "patience": 0, "hard_negatives": 0,
        "batch_size": small_batch(facts.num_train, 512),
    }  # fmt: skip


def _adapt(settings: RunSettings, chosen: Choices) -> None:
    if settings.recipe == "classic":
        raise ValueError("the classic recipe predicts a label; type recipe='default' for task='retrieval'")
    if settings.task.select_by is not None:
        raise ValueError(
            "retrieval chooses its epoch by the mean hit rate on validation rows; leave task.select_by out"
        )
    if settings.judge.by:
        raise ValueError("retrieval is judged as one whole; leave judge.by out")
    if settings.fusion.absence != "mask":
        raise ValueError(
            "retrieval compares what is there and has nothing to put in place of a missing modality; leave "
            f"fusion.absence={settings.fusion.absence} out"
        )
    if settings.task.head not in (None, "towers"):
        raise ValueError(f"retrieval is trained with the towers head, not {settings.task.head!r}; leave task.head out")
    keep_to(settings, chosen)
    if settings.task.loss not in (None, "infonce"):  # further right answers belong to that loss
        chosen["task"].pop("positives", None)


TASK_CHOICES.add("retrieval", TaskChoices(find_each_other, _adapt))
