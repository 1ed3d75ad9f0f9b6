"""The default for posts and their moods: texts cleaned, rare classes weighed up."""

from __future__ import annotations

from plait.tasks import TASKS
from plait.training.recipes.base import RECIPES, Choices, Facts
from plait.training.recipes.default import default


def sentiment(facts: Facts) -> Choices:
    """The default for posts and their moods.

    Addresses, user names, hashtags and emoji become words (``encoders.text_cleaning=social``), each class is weighed by
    the inverse of its frequency (``task.class_weights``), and the epoch is chosen by macro-F1 (``task.select_by``), in
    which a rare class counts as much as a common one. Classes that have an order are reported so with
    ``--set task.ordinal=true``.
    """
    chosen = default(facts)
    chosen["encoders"]["text_cleaning"] = "social"
    metric = TASKS.get(facts.task).balanced_metric
    if metric is not None:
        chosen["task"] |= {"class_weights": True, "select_by": metric}
    return chosen


RECIPES.add("sentiment", sentiment)
