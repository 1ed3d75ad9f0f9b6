"""Filling every setting that the user leaves open, from the recipe and from what the task asks."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

from plait.fusion import FUSIONS
from plait.settings import FusionSettings, RunSettings, TrainSettings
from plait.training.recipes.base import APART, RECIPES, SUBSETS, TASK_CHOICES, Choices, Facts, TaskChoices
from plait.training.recipes.fine_tuning import choose_tuning
from plait.training.recipes.presets import resolve_ensemble, resolve_search
from plait.training.recipes.two_sides import image_encoders

WHOLE_SET_AT_MOST = 8192
WHOLE_FOLDERS = ("hf:", "two-tower:")  # references of image encoders that come with a processor file


def resolve(settings: RunSettings, facts: Facts) -> RunSettings:
    """Fill every open setting from the recipe.

    A fusion named by the user keeps its own default options; the recipe's options, and a head that needs the recipe's
    fusion, go with that fusion only, and the recipe's weight of alignment with the pair head only.

    Raises:
        ValueError: A setting of the user does not go with the task.
    """
    asked = TASK_CHOICES.get(facts.task) if facts.task in TASK_CHOICES else TaskChoices()
    chosen = RECIPES.get(settings.recipe)(facts)
    asked.adapt(settings, chosen)
    choose_tuning(settings, chosen)
    if all(name.startswith(WHOLE_FOLDERS) for name in image_encoders(settings.encoders)):
        chosen["encoders"].pop("image_size", None)  # their processor file says how pictures are fed
    groups: dict[str, Any] = {}
    for group, values in chosen.items():
        current = getattr(settings, group)
        values = dict(values)
        if group == "fusion":
            values["options"] = _options(current, values)
        if group == "task" and values.get("head") == "pair" and not _embeds(settings.fusion.name, chosen):
            values["head"] = "label"
        open_values = {k: v for k, v in values.items() if k == "options" or getattr(current, k) is None}
        groups[group] = replace(current, **open_values)
    for group, values in asked.fix(settings).items():
        groups[group] = replace(groups.get(group, getattr(settings, group)), **values)
    if facts.task != groups["task"].name:
        groups["task"] = replace(groups["task"], name=facts.task)
    if settings.train.batch_size == 0:
        groups["train"] = replace(groups["train"], batch_size=max(1, min(facts.num_train, WHOLE_SET_AT_MOST)))
    groups["train"] = _whole_hiding(settings, groups["train"])
    if groups["fusion"].alternative is None or (settings.fusion.name and not settings.fusion.alternative):
        groups["fusion"] = replace(groups["fusion"], alternative="none")
    if groups["fusion"].scaling is None:
        groups["fusion"] = replace(groups["fusion"], scaling="rows")
    if settings.train.epochs is None:
        groups["train"] = _long_enough(groups["train"], facts.num_train)
    if settings.train.alignment is None and groups["task"].head != "pair":
        groups["train"] = replace(groups["train"], alignment=0.0)
    is_classic = settings.recipe == "classic"
    is_named = is_classic or settings.fusion.name is not None  # who names a fusion wants that network
    is_limited = settings.time_limit is not None and not is_classic
    search = resolve_search(settings.preset, settings.search, is_limited=is_limited)
    preset, ensemble = resolve_ensemble(
        settings.preset, settings.ensemble, facts.num_train, is_limited=is_limited, is_named=is_named
    )
    task = groups["task"]
    if task.transform is None:
        groups["task"] = replace(task, transform="auto" if ensemble.members else "none")
    return replace(settings, **groups, preset=preset, ensemble=ensemble, search=search)


def _long_enough(train: TrainSettings, num_train: int) -> TrainSettings:
    """As many epochs as the fewest steps take, with patience in proportion."""
    assert train.epochs is not None and train.batch_size is not None
    a_pass = max(1, ceil(ceil(num_train / max(1, train.batch_size)) / train.accumulate))
    epochs = max(train.epochs, ceil((train.min_steps or 0) / a_pass))
    return replace(train, epochs=epochs, patience=round((train.patience or 0) * epochs / train.epochs))


def _whole_hiding(settings: RunSettings, train: TrainSettings) -> TrainSettings:
    """Rate and pattern of modality dropout go together: a user's one does not take the recipe's other."""
    rate, pattern = settings.train.modality_dropout, settings.train.modality_dropout_pattern
    if rate is not None and pattern is None:
        return replace(train, modality_dropout_pattern="independent")
    if rate is None and pattern is not None:
        return replace(train, **(SUBSETS if pattern == "subset" else APART))
    return train


def _embeds(named: str | None, chosen: Choices) -> bool:
    name = named or chosen["fusion"]["name"]
    return name in FUSIONS and FUSIONS.get(name).embeds


def _options(current: FusionSettings, recipe: dict[str, Any]) -> dict[str, Any]:
    if current.name is None or current.name == recipe["name"]:
        return {**recipe.get("options", {}), **current.options}
    return dict(current.options)
