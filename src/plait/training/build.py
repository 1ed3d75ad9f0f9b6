"""From settings and a plan to a fresh model, and the check that it can be built."""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch

from plait.data.modality import Modality
from plait.encoders.base import Encoder
from plait.fusion import FUSIONS
from plait.heads import GenerateHead
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.model import PlaitConfig, PlaitModel
from plait.objectives import chosen_objectives
from plait.registry import unknown_name
from plait.settings import RunSettings
from plait.tasks import LabelState, Task
from plait.training.plan import Plan
from plait.training.pretraining import check_pretraining
from plait.training.recipes.two_sides import TOWER
from plait.training.recomputed_activations import check_checkpointing
from plait.weights.saved_network import pretrained_class


def build_model(plan: Plan, names: list[str]) -> PlaitModel:
    """A fresh model on the named modalities, with trained encoders at their starting weights."""
    inputs = plan.inputs
    config = _config(plan.settings, plan.task, inputs, names, plan.labels)
    config.class_weights = _class_weights(plan)
    model = pretrained_class(PlaitModel).from_encoders(config, {n: inputs.live[n] for n in names if n in inputs.live})
    if isinstance(model.head, GenerateHead):
        model.head.start_from_pretrained()
    model.fusion.start_from(plan.target[plan.train], config.class_weights)
    return model


def check_build(settings: RunSettings, task: Task, inputs: Inputs, values: list[Any]) -> None:
    """Build fusion, head and objectives once and throw them away, so that what cannot be built is reported before
    encoding.

    Args:
        settings: Resolved settings.
        task: The task.
        inputs: Loaded encoders; that of numbers and categories may be missing yet.
        values: Plain targets of the rows meant for training; they tell how many outputs there are.

    Raises:
        ValueError: The fusion or the head does not suit the task, or an option is wrong.
    """
    check_pretraining(settings, task, inputs)
    check_checkpointing(settings, task, inputs)
    if settings.train.group_by_length and not task.family.writes:
        raise ValueError(
            f"train.group_by_length groups captions and written answers, and task {task.name!r} writes none; "
            "leave it out"
        )
    if not values or (task.family.writes and settings.language.model != "scratch"):
        return  # no values: reported later, with the reason; a pretrained language model is too large to build twice
    labels = task.labels_of(values, settings)
    config = _config(settings, task, inputs, [m.name for m in inputs.modalities], labels)
    for modality in config.modalities:
        modality["encoder"] = None  # stands already, and costs time to build
        modality.pop("shares", None)
    with torch.random.fork_rng(devices=[]):  # the run draws the same numbers as without the check
        PlaitModel(config)


def _config(settings: RunSettings, task: Task, inputs: Inputs, names: list[str], labels: LabelState) -> PlaitConfig:
    """The model's config, class weights apart."""
    alone = len(names) == 1
    fusion_name = settings.fusion.name
    assert fusion_name is not None
    options = dict(settings.fusion.options)
    if settings.fusion.scaling == "features" and FUSIONS.get(fusion_name).info.needs_tokens:
        raise ValueError(
            f"fusion.scaling=features scales vectors, and fusion {fusion_name!r} reads tokens; leave it out, or type "
            "set=['fusion.scaling=both']"
        )
    if settings.fusion.scaling == "features" and "normalise" in signature(FUSIONS.get(fusion_name)).parameters:
        options.setdefault("normalise", False)
    if settings.task.head == "members" and FUSIONS.get(fusion_name).is_late:
        raise ValueError(
            f"fusion {fusion_name!r} joins answers that are made already, which leaves nothing to task.head=members; "
            "leave it out, or type fusion='gated'"
        )
    if alone and "raw" in options:
        options["raw"] = False
    writes = labels.language is not None
    head = "generate" if writes else settings.task.head if not alone or settings.task.head == "members" else "label"
    dropout = settings.fusion.dropout if head in ("pair", "generate") else 0.0
    own = _head_options(settings, task, labels, head)
    lonely = alone and len(inputs.modalities) > 1  # a baseline: what works between modalities has nothing to do there
    aids = chosen_objectives(settings.train, pair_head=head == "pair")
    if lonely:
        aids = {name: value for name, value in aids.items() if name == "umt"}  # it is a teacher, with an adapter
    width = settings.fusion.width
    if "canonical" in options:
        options, width = _canonical(options, width, inputs, names, reads_adapted=bool(aids))
    return PlaitConfig(
        modalities=_modalities([m for m in inputs.modalities if m.name in names], inputs, settings),
        fusion={
            "name": fusion_name,
            "width": width,
            "dropout": settings.fusion.dropout,
            "options": options,
            "absence": settings.fusion.absence,
            **({} if settings.fusion.scaling in (None, "rows") else {"scaling": settings.fusion.scaling}),
        },
        head={"name": head, "dropout": dropout, "options": own},
        task=task.record,
        num_outputs=labels.num_outputs,
        modality_dropout=_dropout_rates(settings, [m.name for m in inputs.modalities], names),
        modality_dropout_pattern=settings.train.modality_dropout_pattern or "independent",
        alignment=(settings.train.alignment or 0.0) if head == "pair" else 0.0,
        loss=_loss(settings, task),
        mixup=_mix(settings, inputs, head, alone) or _mixup(settings, head, alone),
        aids=aids,
    )


def _canonical(
    options: dict[str, Any], width: int | None, inputs: Inputs, names: list[str], *, reads_adapted: bool
) -> tuple[dict[str, Any], int | None]:
    """Options and width with the coordinates that canonical towers may read, or without such towers.

    They read what no training changes: vectors of frozen encoders of two modalities, without the bag of words beside
    them and without adapters of objectives behind them. Elsewhere the trained copies stand alone.
    """
    if not isinstance(options["canonical"], bool | None):
        raise ValueError(
            f"fusion.options canonical is {options['canonical']!r}; type true, for towers in closed form beside the "
            "trained ones, or false"
        )
    kept = {name: value for name, value in options.items() if name != "canonical"}
    if not options["canonical"]:
        return kept, width
    fixed = fixed_widths(inputs, names)
    if len(names) == 2 and not reads_adapted and None not in fixed:
        return {**options, "canonical": fixed}, width
    copies = options.get("copies", 1)
    kept.pop("copies", None)
    if copies <= 1 or width is None:
        return kept, width
    if width == copies * TOWER:  # the recipe's, of which the canonical towers were to have a part
        return {**kept, "copies": copies - 1}, width - TOWER
    return {**kept, "copies": copies - 1 if width % (copies - 1) == 0 else 1}, width  # the user's


def fixed_widths(inputs: Inputs, names: list[str]) -> list[int | None]:
    """Width of the vector of each modality that no training changes; None of one whose encoder is trained."""
    found: list[int | None] = []
    for name in names:
        encoder = inputs.frozen.get(name) or inputs.live.get(name)
        is_fixed = encoder is not None and (name in inputs.frozen or not list(encoder.parameters()))
        found.append(encoder.vector_dim if encoder is not None and is_fixed else None)
    return found


def _modalities(modalities: list[Modality], inputs: Inputs, settings: RunSettings) -> list[dict[str, Any]]:
    """The modalities as the model's config lists them; an encoder that several share stands with the first."""
    owners: dict[int, str] = {}
    listed = []
    for modality in modalities:
        facts = _modality(modality, inputs, settings)
        if settings.fusion.positions == "none":
            facts.pop("order", None)
        if modality.name in inputs.live:
            owner = owners.setdefault(id(inputs.live[modality.name]), modality.name)
            if owner != modality.name:
                facts |= {"encoder": None, "shares": owner}
        listed.append(facts)
    return listed


def _head_options(settings: RunSettings, task: Task, labels: LabelState, head: str | None) -> dict[str, Any]:
    """What a head is built with, by its name."""
    if labels.language is not None:
        return {"language": labels.language}
    if head == "members":
        return {"outputs": task.output_kind}
    return head_options(settings) if head == "towers" else {}


def head_options(settings: RunSettings) -> dict[str, Any]:
    """Options of the towers head; None and what the head does by itself are left out."""
    chosen = {
        "loss": settings.task.loss, "temperature": settings.task.temperature, "margin": settings.task.margin,
        "positives": settings.task.positives, "hubs": settings.task.hubs,
    }  # fmt: skip
    return {name: value for name, value in chosen.items() if value is not None}


def _dropout_rates(settings: RunSettings, everything: list[str], names: list[str]) -> float | dict[str, float]:
    """Modality dropout of a model on ``names``, checked against all modalities of the run."""
    rates = settings.train.modality_dropout
    if not isinstance(rates, dict):
        return rates or 0.0
    for name in rates:
        if name not in everything:
            raise ValueError(unknown_name("modality in train.modality_dropout", name, everything))
    return {name: float(rates[name]) for name in names if name in rates}


def _modality(modality: Modality, inputs: Inputs, settings: RunSettings) -> dict[str, Any]:
    live = modality.name in inputs.live
    facts: dict[str, Any] = {"name": modality.name, "kind": modality.kind}
    kind = MODALITY_KINDS.get(modality.kind)
    facts |= _words(modality, inputs, settings)
    if not live and modality.name not in inputs.frozen:  # made by ``fit_inputs``, once training rows are known
        return {**facts, "vector_dim": kind.fitted_width, "token_dim": kind.fitted_width, "encoder": None}
    encoder: Encoder = inputs.live[modality.name] if live else inputs.frozen[modality.name]
    has_tokens = live or inputs.with_tokens
    token_dim = encoder.vector_dim if kind.is_set else encoder.token_dim  # of a set: a whole member
    if has_tokens and encoder.order is not None and not kind.is_set:
        facts["order"] = encoder.order
    return {
        **facts, "vector_dim": encoder.vector_dim + facts.get("words", {}).get("width", 0),
        "token_dim": token_dim if has_tokens else None, "encoder": encoder.config() if live else None,
    }  # fmt: skip


def _words(modality: Modality, inputs: Inputs, settings: RunSettings) -> dict[str, Any]:
    """The bag of words of a text modality, where one is trained; before words are known, one of the same width."""
    if modality.name not in inputs.words:
        return {}
    known = inputs.words[modality.name]
    chosen = settings.encoders
    size = {"num_words": 1 if known is None else len(known), "width": chosen.words, "dropout": chosen.word_dropout}
    return {"words": size}


def needs_tokens(settings: RunSettings) -> bool:
    """Whether the fusion reads tokens, or its alternative."""
    assert settings.fusion.name is not None
    names = (settings.fusion.name, settings.fusion.alternative)
    return any(FUSIONS.get(name).info.needs_tokens for name in names if name not in (None, "none"))


def _class_weights(plan: Plan) -> list[float] | None:
    """The weight of each output, as the task gives it; None where all count alike."""
    asked = plan.settings.task
    if not asked.class_weights and asked.class_balance == 0:
        return None
    name = "task.class_weights" if asked.class_weights else "task.class_balance"
    if plan.task.class_weights is None or (asked.class_balance > 0 and plan.task.balance is None):
        what = "a numeric target" if plan.task.needs_target else f"task {plan.task.name}"
        raise ValueError(f"class weights need classes; leave {name} out for {what}")
    target, outputs = plan.target[plan.train], plan.labels.num_outputs
    if asked.class_balance > 0:
        assert plan.task.balance is not None
        return plan.task.balance(target, outputs, asked.class_balance)
    return plan.task.class_weights(target, outputs)


def _loss(settings: RunSettings, task: Task) -> dict[str, float]:
    """What is changed of the task's loss.

    Raises:
        ValueError: The task's loss does not take it.
    """
    wanted = {"smoothing": settings.task.label_smoothing, "focus": settings.task.focal}
    chosen = {name: value for name, value in wanted.items() if value > 0}
    if chosen and task.loss_with is None:
        name = "task.label_smoothing" if "smoothing" in chosen else "task.focal"
        raise ValueError(f"{name} changes a cross-entropy, which task {task.record} does not learn by; leave it out")
    return chosen


def _mix(settings: RunSettings, inputs: Inputs, head: str, alone: bool) -> str | None:
    """How rows are joined in training otherwise than by mixup; None where they are not.

    Raises:
        ValueError: The encoders, the fusion or the task do not allow it.
    """
    mix = settings.augment.mix
    if mix == "none":
        return None
    if mix == "mixgen":
        if head != "towers" and not alone:
            raise ValueError(
                f"augment.mix=mixgen joins pairs of retrieval, and the head here is {head!r}; leave it out"
            )
        return None if alone else mix
    if settings.train.mixup > 0:
        raise ValueError("augment.mix=cutmix and train.mixup both mix rows; leave one of them out")
    if not any(MODALITY_KINDS.get(m.kind).encoder == "image" for m in inputs.modalities if m.name in inputs.live):
        raise ValueError(
            "augment.mix=cutmix cuts pictures whose encoder is trained, and none is; type set=['train.mixup=0.2'], "
            "which mixes stored vectors, or train one with set=['encoders.tuning=last_n']"
        )
    _check_vectors(settings, head, alone, "augment.mix=cutmix")
    return mix


def _mixup(settings: RunSettings, head: str, alone: bool) -> float:
    """How strongly rows are blended.

    Raises:
        ValueError: The fusion reads tokens or joins answers, or another objective looks at the same rows.
    """
    if settings.train.mixup > 0:
        _check_vectors(settings, head, alone, "train.mixup")
    return settings.train.mixup


def _check_vectors(settings: RunSettings, head: str, alone: bool, what: str) -> None:
    """Refuse to blend where more than vectors under a label head would see it."""
    kind = FUSIONS.get(settings.fusion.name or "")
    if kind.info.needs_tokens or kind.is_late or head not in ("label",):
        raise ValueError(
            f"{what} blends vectors under a label head, which fusion {settings.fusion.name!r} with head {head!r} "
            "does not have; leave it out, or type fusion='gated'"
        )
    if chosen_objectives(settings.train, pair_head=False) and not alone:
        raise ValueError(f"{what} does not go with auxiliary objectives; leave one of them out")
