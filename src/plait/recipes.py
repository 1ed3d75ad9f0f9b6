"""Recipes: named answers to every setting the user leaves open.

``classic`` is the founding recipe: frozen text encoder and CNN, a weighted sum with one learned alpha, a
linear softmax classifier, cross-entropy, SGD with momentum. ``default`` is what did best on real data
(docs/LOG.md). ``sentiment`` is default for posts: texts cleaned, rare classes weighed up. A recipe
never overrides what the user set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from plait.fusion import FUSIONS
from plait.registry import Registry
from plait.settings import EncoderSettings, FusionSettings, RunSettings

MIN_STEPS_PER_EPOCH = 20
SMALL_PHOTO = 160
WHOLE_SET_AT_MOST = 8192
NO_AIDS = {"alignment": 0.0, "auxiliary": 0.0, "gradient_blending": False, "ogm": 0.0, "orthogonality": 0.0}


@dataclass(frozen=True)
class Facts:
    """What a recipe may look at: task, kinds of the modalities, number of training rows, photo size."""

    task: str
    kinds: tuple[str, ...]
    num_train: int
    photo_side: int | None = None


Recipe = Callable[[Facts], dict[str, dict[str, Any]]]
RECIPES: Registry[Recipe] = Registry("recipe")


def classic(facts: Facts) -> dict[str, dict[str, Any]]:
    """The founding recipe, on any encoder pair."""
    two = len(facts.kinds) == 2
    return {
        "encoders": {"text_cleaning": "none"},
        "fusion": {
            "name": "weighted_sum", "width": 512, "dropout": 0.0, "options": {"raw": two, "normalise": False},
        },
        "task": {"head": "label", "class_weights": False},
        "train": {
            "epochs": 10, "optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 0.0,
            "schedule": "constant", "warmup": 0.0, "patience": 0, "modality_dropout": 0.0, **NO_AIDS,
            "batch_size": small_batch(facts.num_train, 64),
        },
    }  # fmt: skip


def default(facts: Facts) -> dict[str, dict[str, Any]]:
    """Our choice, task by task; what has been measured of it stands in docs/benchmarks.md."""
    side = 224
    if facts.photo_side is not None and facts.photo_side < SMALL_PHOTO:
        side = 96
    chosen: dict[str, dict[str, Any]] = {
        "encoders": {"image_size": side, "text_cleaning": "none"},
        "fusion": {"name": "gated" if len(facts.kinds) > 1 else "concat", "width": 256, "dropout": 0.3},
        "task": {"head": "label", "class_weights": False},
        "train": {
            "epochs": 30, "optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.01,
            "schedule": "cosine", "warmup": 0.05, "patience": 8, "modality_dropout": 0.1, **NO_AIDS,
            "batch_size": small_batch(facts.num_train, 256),
        },
    }  # fmt: skip
    if facts.task == "matching":
        chosen["fusion"] = {"name": "cosine", "width": 512, "dropout": 0.6}
        chosen["task"]["head"] = "pair"
        chosen["train"] |= {
            "alignment": 5.0, "modality_dropout": 0.0, "epochs": 20, "patience": 20,
            "batch_size": small_batch(facts.num_train, 512),
        }  # fmt: skip
    elif facts.task in ("captioning", "vqa_open"):
        chosen["fusion"] = {"name": "prefix", "width": 256, "dropout": 0.1}
        chosen["task"] |= {"head": "generate"}
        chosen["train"] |= {
            "modality_dropout": 0.0, "epochs": 15, "patience": 4, "batch_size": small_batch(facts.num_train, 64),
        }  # fmt: skip
    elif facts.task in ("classification", "vqa") and {"text", "image"} <= set(facts.kinds) and facts.num_train >= 5000:
        chosen["fusion"] = {"name": "co_attention", "width": 256, "dropout": 0.1}
        chosen["train"] |= {"modality_dropout": 0.0, "epochs": 6, "patience": 2}
    elif facts.task == "vqa":
        chosen["fusion"] = {"name": "co_attention", "width": 256, "dropout": 0.1}
    elif facts.task == "retrieval":
        chosen["encoders"]["image_size"] = 288 if side == 224 else side
        chosen["fusion"] = {"name": "cosine", "width": 512, "dropout": 0.4}
        chosen["task"] = {"head": "towers", "loss": "infonce", "positives": "group", "hubs": True}
        chosen["train"] |= {
            "modality_dropout": 0.0, "epochs": 12, "patience": 0, "hard_negatives": 0,
            "batch_size": small_batch(facts.num_train, 512),
        }  # fmt: skip
    return chosen


def sentiment(facts: Facts) -> dict[str, dict[str, Any]]:
    """The default for posts and their moods.

    Addresses, user names, hashtags and emoji become words (``encoders.text_cleaning=social``), each class is weighed by
    the inverse of its frequency (``task.class_weights``), and the epoch is chosen by macro-F1 (``task.select_by``), in
    which a rare class counts as much as a common one. Classes that have an order are told so with
    ``--set task.ordinal=true``.
    """
    chosen = default(facts)
    chosen["encoders"]["text_cleaning"] = "social"
    if facts.task in ("classification", "multilabel"):
        chosen["task"] |= {"class_weights": True, "select_by": "f1_macro"}
    return chosen


RECIPES.add("classic", classic)
RECIPES.add("default", default)
RECIPES.add("sentiment", sentiment)


def small_batch(num_train: int, largest: int) -> int:
    """A batch size that leaves an epoch at least 20 steps, between 8 and ``largest``.

    A fixed large batch starves small tables of steps: 160 rows in batches of 128 are two steps an epoch.
    """
    size = 8
    while size * 2 <= largest and num_train / (size * 2) >= MIN_STEPS_PER_EPOCH:
        size *= 2
    return size


def resolve(settings: RunSettings, facts: Facts) -> RunSettings:
    """Fill every open setting from the recipe.

    A fusion named by the user keeps its own default options; the recipe's options, and a head that needs the recipe's
    fusion, go with that fusion only, and the recipe's weight of alignment with the pair head only.
    """
    chosen = RECIPES.get(settings.recipe)(facts)
    if facts.task == "retrieval":
        _check_retrieval(settings)
        if settings.encoders.image != EncoderSettings().image:  # the larger side was measured with the default encoder
            chosen["encoders"]["image_size"] = min(224, chosen["encoders"]["image_size"])
        if settings.task.loss not in (None, "infonce"):  # further right answers belong to that loss
            chosen["task"].pop("positives", None)
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
    if facts.task in ("captioning", "vqa_open"):
        if settings.task.head not in (None, "generate"):
            raise ValueError(f"{facts.task} writes text, which takes task.head=generate, not {settings.task.head}")
        groups["task"] = replace(groups["task"], head="generate")
        if facts.task == "vqa_open":
            groups["task"] = replace(groups["task"], answers="open")
        model = settings.language.model or "scratch"
        tuning = settings.language.tuning or ("full" if model == "scratch" else "frozen")
        beams = settings.language.beams or (3 if facts.task == "captioning" else 1)
        groups["language"] = replace(settings.language, model=model, tuning=tuning, beams=beams)
    if facts.task == "vqa":
        groups["task"] = replace(groups["task"], answers="closed")
    if facts.task != groups["task"].name:
        groups["task"] = replace(groups["task"], name=facts.task)
    if settings.train.batch_size == 0:
        groups["train"] = replace(groups["train"], batch_size=max(1, min(facts.num_train, WHOLE_SET_AT_MOST)))
    if settings.train.alignment is None and groups["task"].head != "pair":
        groups["train"] = replace(groups["train"], alignment=0.0)
    return replace(settings, **groups)


def _check_retrieval(settings: RunSettings) -> None:
    if settings.recipe == "classic":
        raise ValueError("the classic recipe predicts a label; type --recipe default for --task retrieval")
    if settings.task.select_by is not None:
        raise ValueError(
            "retrieval chooses its epoch by the mean hit rate on validation rows; leave task.select_by out"
        )
    if settings.task.head not in (None, "towers"):
        raise ValueError(f"retrieval is trained with the towers head, not {settings.task.head!r}; leave task.head out")


def _embeds(named: str | None, chosen: dict[str, dict[str, Any]]) -> bool:
    name = named or chosen["fusion"]["name"]
    return name in FUSIONS and FUSIONS.get(name).embeds


def _options(current: FusionSettings, recipe: dict[str, Any]) -> dict[str, Any]:
    if current.name is None or current.name == recipe["name"]:
        return {**recipe.get("options", {}), **current.options}
    return dict(current.options)
