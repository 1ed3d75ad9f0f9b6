"""Rows explained down to their parts: every modality of every row cut, attributed and checked.

In: evaluated rows and which of them. Out: plain values that a page draws; nothing is stored. The cost is known before:
``planned_answers``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from plait.data.progress import Progress
from plait.evaluation import EvaluationInputs
from plait.explain.inputs.attention import AttentionRelevance, check_attention
from plait.explain.inputs.attribution import exact_shapley, occlusion
from plait.explain.inputs.checks import all_checks, failures
from plait.explain.inputs.curves import MOST_STEPS
from plait.explain.inputs.cut import Cut
from plait.explain.inputs.cutters import CUTTERS, Item
from plait.explain.inputs.gradients import STEPS, GradientScores, check_single, no_gradient
from plait.explain.inputs.options import MOST_EXACT, InputOptions
from plait.explain.inputs.score import ExplainedRows, PartScores, as_probability, asked_of, odds_of
from plait.inputs.inputs import Inputs
from plait.registry import counted, unknown_name
from plait.training.fitted import FittedParts

NEW_HEADS = 3
MOST_STEPS_OF_GRADIENTS = sum(STEPS) + STEPS[0] + 4  # of the model, of one new head, and the ends of both paths


def explain_inputs(
    given: EvaluationInputs,
    inputs: Inputs,
    places: Sequence[int],
    options: InputOptions | None = None,
    *,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Explain rows by the parts of their inputs.

    Args:
        given: The model and the evaluated rows.
        inputs: What reads its modalities.
        places: Which of the evaluated rows.
        options: How; None: the defaults.
        progress: Called with answers asked for, answers planned, and what.

    Returns:
        ``rows``, of each: ``row``, ``truth``, ``prediction``, ``explained`` (which score), ``score``, ``probability``
        and ``modalities``; of each modality ``name``, ``kind``, ``method``, ``parts`` (with ``value``: what the part
        adds to the score), ``full`` and ``nothing`` (the score with all parts and with none), ``shown``, ``checks``,
        ``trusted`` and ``failed`` (why not). A modality that a row lacks or whose kind has no parts has ``skipped``
        instead. ``untrusted``: of how many explanations. ``cost``: answers asked for, and seconds.

    Raises:
        ValueError: An option that does not fit the model, or a class that it does not know.
    """
    options, started = options or InputOptions(), time.monotonic()
    column = named_column(given, options.explain_class)
    check_method(given, inputs, options)
    refused = check_attention(given, inputs) if options.method == "attention" else {}
    heads = 1 if options.method == "gradients" or given.task.family.writes else NEW_HEADS
    asked = asked_of(given, inputs, places, options.seed, heads)
    cuts = _all_cuts(asked, places, options, refused)
    plan = planned_answers([cut for row in cuts for cut in row if isinstance(cut, Cut)], options)
    done = 0
    rows: list[dict[str, Any]] = []
    what = f"parts of {counted(len(places), 'row')}: answers"
    for r, place in enumerate(places):
        row, explained = _row_facts(asked, r, place, column)
        for number, cut in enumerate(cuts[r]):
            modality = inputs.modalities[number]
            base = {"name": modality.name, "kind": modality.kind}
            if not isinstance(cut, Cut):
                row["modalities"].append({**base, "skipped": cut})
                continue
            row["modalities"].append({**base, **_one(asked, r, number, cut, explained, options)})
            done += planned_answers([cut], options)
            if progress is not None:
                progress(done, plan, what)
        rows.append(row)
    made = [m for row in rows for m in row["modalities"] if "checks" in m]
    return {
        "rows": rows, "method": options.method, "explanations": len(made),
        "untrusted": sum(not m["trusted"] for m in made),
        "cost": {"answers": sum(m["answers"] for m in made), "planned": plan,
                 "seconds": round(time.monotonic() - started, 2)},
    }  # fmt: skip


def check_method(given: EvaluationInputs | FittedParts, inputs: Inputs, options: InputOptions) -> None:
    """Refuse a method that does not go with a model.

    Args:
        given: The model, with its rows or without.
        inputs: What reads its modalities.
        options: How it is to be explained.

    Raises:
        ValueError: The method cannot be had of this model; the message names one that can.
    """
    named_column(given, options.explain_class)
    if options.method == "gradients":
        check_single(given)
    if options.method == "attention":
        check_attention(given, inputs)


def planned_answers(cuts: Sequence[Cut], options: InputOptions) -> int:
    """Answers at most that these explanations ask of the model."""
    total = 0
    for cut in cuts:
        count = len(cut)
        method = method_of(options, count)
        masks = 1 << count if method == "shapley" else count + 2
        if method == "gradients":
            masks += MOST_STEPS_OF_GRADIENTS
        if method != "shapley":
            masks += (2 + options.orders) * (min(count, MOST_STEPS) + 1)
        total += masks * cut.draws
    return total


def method_of(options: InputOptions, count: int) -> str:
    """What explains an item of so many parts."""
    if options.method == "auto":
        return "shapley" if count <= MOST_EXACT else "occlusion"
    return options.method


def _all_cuts(
    asked: ExplainedRows, places: Sequence[int], options: InputOptions, refused: Mapping[str, str | None]
) -> list[list[Cut | str]]:
    """Of each row the cut of each modality, or why there is none."""
    return [
        [_cut(asked, int(asked.given.positions[p]), m, options, refused) for m in range(len(asked.inputs.modalities))]
        for p in places
    ]


def _cut(
    asked: ExplainedRows, position: int, number: int, options: InputOptions, refused: Mapping[str, str | None]
) -> Cut | str:
    modality = asked.inputs.modalities[number]
    item = int(asked.given.prepared.rows.items[modality.name].index_N[position])
    if item < 0:
        return "missing in this row"
    if modality.kind not in CUTTERS:
        return f"not applicable: {modality.kind} has no parts that a person can read"
    if options.method == "gradients" and (reason := no_gradient(asked.inputs, modality)) is not None:
        return reason
    if (why := refused.get(modality.name)) is not None:
        return f"{why}; try occlusion"
    cut = CUTTERS.get(modality.kind)(Item(asked.given, asked.inputs, modality, item, options))
    if len(cut) == 0:
        return "nothing in it can be hidden"
    if options.method == "shapley" and len(cut) > MOST_EXACT:
        raise ValueError(
            f"method='shapley' asks every subset of parts, and {modality.name} of a row has {len(cut)}; at most "
            f"{MOST_EXACT} are taken. Type method='occlusion', or leave method= out"
        )
    return cut


def _row_facts(asked: ExplainedRows, r: int, place: int, named: int | None) -> tuple[dict[str, Any], int]:
    """What a row shows, and which output is explained of it."""
    given, measure = asked.given, asked.measure
    outputs = asked.outputs(given.answers, asked.sources, asked.items_NM[r : r + 1], r)
    column = int(measure.decide(outputs)[0]) if named is None else named
    score = float(odds_of(measure, outputs, column)[0])
    table = given.prepared.rows.table
    return {
        "row": table.row_number(int(given.positions[place])), **asked.answer_of(r, place, outputs),
        **asked.unit_of(column), "score": score, "probability": as_probability(measure, score), "modalities": [],
    }, column  # fmt: skip


def _one(asked: ExplainedRows, r: int, number: int, cut: Cut, column: int, options: InputOptions) -> dict[str, Any]:
    """One modality of one row: what each part adds, and the checks."""
    count, method = len(cut), method_of(options, len(cut))
    path: GradientScores | PartScores
    value_P: np.ndarray
    others_PK: np.ndarray | None
    extra: dict[str, Any]
    found: AttentionRelevance | None = None
    if method == "gradients":
        path = GradientScores(asked, r, number, cut, column)
        value_P, others_PK, extra = path.values, path.others, dict(path.facts)
    elif method == "attention":
        path, found = PartScores(asked, r, number, cut, column), AttentionRelevance(asked, r, number, cut, column)
        value_P, others_PK, extra = found.values, found.others, {"read": found.note}
    else:
        path = PartScores(asked, r, number, cut, column)
        each = exact_shapley(path.of_each, count) if method == "shapley" else occlusion(path.of_each, count)
        value_P, others_PK, extra = each[:, 0], each[:, 1:] if asked.others else None, {}
    full, nothing = (float(v) for v in path(np.stack([np.ones(count), np.zeros(count)]).astype(bool)))
    seed = int(np.random.default_rng([options.seed, r, number]).integers(2**31))
    checks = all_checks(
        path, value_P, others_PK, full, nothing, method, orders=options.orders, seed=seed
    )  # fmt: skip
    failed = failures(checks)
    alone_hidden = (1 - np.eye(count)).astype(bool)
    without = path(alone_hidden)
    by_word = asked.by_word(path, alone_hidden) if found is None else found.by_word()
    return {
        "method": method, "stands_for": extra.pop("stands_for", cut.stands_for), "full": full, "nothing": nothing,
        "parts": [
            {**part, "value": float(v), "probability_without": as_probability(asked.measure, float(w)), **words}
            for part, v, w, words in zip(cut.parts, value_P, without, by_word, strict=True)
        ],
        "shown": cut.shown, "note": cut.note, "checks": checks, "trusted": not failed, "failed": failed,
        "answers": path.num_answers, **extra,
    }  # fmt: skip


def named_column(given: EvaluationInputs | FittedParts, name: str | None) -> int | None:
    """Number of the class or label that is explained; None where none is named.

    Raises:
        ValueError: The model does not know it, or has no classes.
    """
    if name is None:
        return None
    if given.task.family.writes:
        raise ValueError(f"explain_class is {name!r}, and this model writes text; leave explain_class= out")
    if not given.labels.classes:
        raise ValueError(f"explain_class is {name!r}, and this model predicts a number; leave explain_class= out")
    if name not in given.labels.place:
        raise ValueError(unknown_name("explain_class", name, list(given.labels.classes), where="explain_class="))
    return given.labels.place[name]
