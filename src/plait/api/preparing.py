"""A run prepared: its encoders loaded, its items encoded once, and laid out what is trained on what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from plait.api.known_letters import MOST_LOOKED_AT, MUCH_UNKNOWN
from plait.api.opening import OpenedRun
from plait.api.run_means import check_predicted
from plait.api.run_thresholds import check_threshold
from plait.api.unlabelled_rows import NEITHER
from plait.data.bad_rows import apply_policy, bad_rows_message
from plait.data.progress import Progress
from plait.inputs.inputs import Inputs, load_inputs
from plait.inputs.prepare import Prepared, examined, fit_inputs, prepare, report_unreadable, texts_of
from plait.inputs.views import add_views
from plait.processors import TextProcessor
from plait.settings import NO_PRETRAINING
from plait.tasks import LabelState
from plait.training import Plan, check_build, check_pairs
from plait.training.pretraining import check_rows
from plait.training.processes import current
from plait.training.sharding import check_fsdp
from plait.training.splitting import evaluation_units, is_validation_apart, leakage_notes


@dataclass
class PreparedRun:
    """All of a run up to the first training step.

    Attributes:
        plan: What is trained on what.
        usable: Positions of rows with a target that are kept.
        known_N: Whether each row's class occurs in training (always, where there are no classes).
        unlabelled: Positions of rows without a target that teach.
    """

    plan: Plan
    usable: np.ndarray
    known_N: np.ndarray  # noqa: N815  shape letters
    unlabelled: np.ndarray


def prepare_run(opened: OpenedRun, *, with_tokens: bool, progress: Progress | None = None) -> PreparedRun:
    """Load the encoders, encode every item once and lay out what is trained on what.

    Args:
        opened: What ``open_run`` returned; notes about leakage are added to it.
        with_tokens: Whether features keep their tokens beside the vector.
        progress: Called with (done, total, what).
    """
    settings, table, schema, task = opened.settings, opened.table, opened.schema, opened.task
    torch.manual_seed(settings.train.seed)  # encoders from scratch get their weights here
    inputs = load_inputs(
        schema.modalities, settings.encoders, with_tokens=with_tokens, max_pixels=settings.data.max_pixels, table=table
    )
    if settings.data.on_bad_row == "error" and (opened.bad or table.bad_rows):
        found = examined(table, inputs, schema, progress)
        raise ValueError(opened.advice + bad_rows_message([*opened.bad, *found], table))
    check_fsdp(settings, inputs, current())
    intended = opened.usable[opened.split[opened.usable] == "train"]
    for one in (settings, opened.alternative):
        if one is not None:
            check_build(one, task, inputs, [opened.values[int(i)] for i in intended])
    without = np.zeros(0, dtype=np.int64) if opened.unlabelled is None else opened.unlabelled.positions
    check_rows(settings, table, inputs.modalities, np.concatenate([intended, without]))
    prepared = prepare(table, inputs, progress=progress)
    prepared.rows.bad = [*opened.bad, *prepared.rows.bad]
    report_unreadable(inputs, prepared, schema)
    kept = set(apply_policy(prepared.rows, settings.data.on_bad_row).tolist())
    usable = np.array([i for i in opened.usable if int(i) in kept], dtype=np.int64)
    train, val = usable[opened.split[usable] == "train"], usable[opened.split[usable] == "val"]
    if len(train) == 0:
        raise ValueError(f"no readable training row is left in {table.source}")
    labels = task.labels_of([opened.values[int(i)] for i in train], settings)
    check_threshold(settings, task, labels)
    check_predicted(settings, task.output_kind)
    target = task.encode_all(opened.values, labels)
    are_classes = target.ndim == 1 and bool(labels.classes)
    known_N = target >= 0 if are_classes else np.ones(len(table), dtype=bool)
    opened.notes += _notes_on_targets(opened, labels, known_N, train, val)
    train, val = train[known_N[train]], val[known_N[val]]
    how = settings.encoders
    fit_inputs(inputs, prepared, train, schema, how.numbers or "linear", how.categories or "full")
    opened.notes += prepared.rows.doubts
    opened.notes += foreign_script_notes(inputs, prepared)
    opened.notes += leakage_notes(prepared, opened.split, usable, schema.split)
    if not task.needs_target:
        check_pairs(prepared, evaluation_units(prepared, schema), train, table.source)
    target = np.where(target < 0, 0, target) if are_classes else target
    assert settings.train.epochs is not None
    teaching = unlabelled_positions(opened, prepared, kept)
    without_target = np.array(sorted(teaching), dtype=np.int64)
    any_class = [str(name) for name in labels.classes]  # an unlabelled row may be of each

    def words_of(row: int) -> list[str]:
        return any_class if row in teaching else words_of_target(opened.values[row])

    views = add_views(
        inputs, prepared, train, words_of, settings.augment, also=without_target,
        seed=settings.train.seed, epochs=settings.train.epochs, max_seconds=how.audio_seconds, progress=progress,
    )  # fmt: skip
    plan = Plan(
        settings, task, labels, inputs, prepared, target, train, val,
        evaluation_units(prepared, schema), opened.fresh_pairs,
        is_val_apart=is_validation_apart(table, schema, opened.split, settings.data), views=views,
    )  # fmt: skip
    if settings.pretrain.objective != NO_PRETRAINING:
        plan = replace(plan, pretraining_rows=without_target)
    return PreparedRun(plan, usable, known_N, without_target)


def foreign_script_notes(inputs: Inputs, prepared: Prepared) -> list[str]:
    """Warnings of text columns of which an encoder lacks many tokens, so that texts that differ look alike to it."""
    found = []
    for modality in inputs.modalities:
        processor = inputs.processors.get(modality.name)
        if not isinstance(processor, TextProcessor):
            continue
        texts = texts_of(inputs, prepared, modality)
        evenly = np.linspace(0, len(texts) - 1, min(len(texts), MOST_LOOKED_AT)).astype(np.int64)
        share = processor.unknown_share([texts[i] for i in evenly])
        if share >= MUCH_UNKNOWN:
            reference = inputs.references.get(modality.name, {}).get("reference", "its encoder")
            found.append(
                f"WARNING: {reference} does not know {share:.0%} of the words and letters of column {modality.name!r}, "
                "so texts that differ look alike to it; type set=['encoders.text=e5-small-multilingual'] (it reads "
                "about a hundred languages), or encoders.text=scratch:text"
            )
    return found


def unlabelled_positions(opened: OpenedRun, prepared: Prepared, kept: set[int]) -> set[int]:
    """Rows without a target that the policy for bad rows leaves and that hold something; the others are left out."""
    part = opened.unlabelled
    if part is None:
        return set()
    has_any = prepared.rows.present_NM.any(axis=1)
    for why, gone in (
        (
            "hold a cell that cannot be read",
            np.array([i for i in part.positions if int(i) not in kept], dtype=np.int64),
        ),
        (NEITHER, np.array([i for i in part.positions if int(i) in kept and not has_any[i]], dtype=np.int64)),
    ):
        part.leave_out(gone, why)
    if len(part.positions) == 0:
        raise ValueError(f"no unlabelled row of {opened.table.source} holds anything that can be read; leave semi= out")
    return {int(i) for i in part.positions}


def words_of_target(value: Any) -> list[str]:
    """A target in words: its text, or the texts of a list of labels or answers; a number has none."""
    return [one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, str)]


def _notes_on_targets(
    opened: OpenedRun, labels: LabelState, known_N: np.ndarray, train: np.ndarray, val: np.ndarray
) -> list[str]:
    """What must be reported of targets that are cut, or that are of classes that were not kept or seen."""
    notes = []
    if not known_N[train].all():
        notes.append(
            f"{int((~known_N[train]).sum())} of {len(train)} training rows have answers outside the "
            f"{len(labels.classes):,} kept (task.max_answers) and teach nothing"
        )
    if labels.tokens is not None:
        cut = labels.tokens.num_cut([a for i in train for a in opened.values[int(i)]])
        if cut:
            notes.append(
                f"{cut:,} training answer{'s were' if cut > 1 else ' was'} cut at {labels.tokens.max_tokens} tokens"
            )
    if not known_N[val].all():
        notes.append(
            f"{int((~known_N[val]).sum())} of {len(val)} validation rows are of classes not seen in training and were "
            "left out of choosing the epoch"
        )
    return notes
