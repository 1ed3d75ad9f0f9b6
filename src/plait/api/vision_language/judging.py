"""The report of a ready vision-language model: rows with known answers, its metrics, and whether it looks."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from plait import __version__
from plait.api.describe import versions
from plait.api.evaluation import seen_before
from plait.api.vision_language.answers import label_scores, probabilities
from plait.api.vision_language.asking import Asking
from plait.api.vision_language.folder import Chosen
from plait.api.vision_language.rows import AskedRows, ask_rows
from plait.data.progress import Progress
from plait.data.table import BadRow, Table
from plait.evaluation.looking import Answered, Intervals, Judged, evaluate_looking
from plait.evaluation.task_intervals import task_intervals
from plait.evaluation.texts import READABLE, measured
from plait.heads.language import DecodeOptions
from plait.inference.vision_language import Request, VisionLanguageNetwork
from plait.inputs.prepare import Prepared
from plait.metrics.breakdown import confusion
from plait.metrics.chance import chance_level
from plait.registry import counted, unknown_name
from plait.report.shown import ShownReport
from plait.tasks import TASKS, LabelState, Task
from plait.training.known_split import choose_rows
from plait.training.text_scores import merged_references

RESAMPLES = 500


def evaluation_report(
    network: VisionLanguageNetwork, chosen: Chosen, table: Table, *, target: str | None, options: DecodeOptions,
    on_bad_row: str, seed: int, rows: str | None, progress: Progress | None,
) -> ShownReport:  # fmt: skip
    """Ask the rows, measure, replace inputs, and say what was found; of a tuned model also what it was before.

    Args:
        network: The model.
        chosen: Its checkpoint, and what it is asked.
        table: The rows.
        target: Column of true answers; None: the usual one.
        options: How to write.
        on_bad_row: What becomes of rows that cannot be read.
        seed: Of resamples, and of which row gets which picture.
        rows: Which split, as of :func:`plait.training.known_split.choose_rows`; all where nothing was tuned.
        progress: Called with requests done, requests in all and what is done.

    Raises:
        ValueError: No column of answers, none that can be read, or bad rows under "error".
    """
    asking, tuning = chosen.asking, chosen.tuning
    task = TASKS.get(asking.task_of(table.column_names))
    name = answer_column(asking, table, target)
    split, notes = "all", []
    if tuning is not None:
        table, split, notes = choose_rows(
            table, rows, schema=tuning.schema, task=task, seed=tuning.seed, facts=tuning.facts, seen=tuning.seen,
            modalities=tuning.schema.modalities,
        )  # fmt: skip
    asked = ask_rows(asking, table, on_bad_row, network.prompter)
    values = [task.parse(cell) for cell in table.column(name)]
    positions = np.array([i for i in asked.keep.tolist() if values[i] is not None], dtype=np.int64)
    if tuning is not None:
        notes += seen_before(tuning.seen, asked.rows, positions, split, notes)
    return judged_report(
        network, chosen, asked, positions, values, name, task, options=options, seed=seed, split=split, notes=notes,
        progress=progress,
    )  # fmt: skip


def answer_column(asking: Asking, table: Table, target: str | None) -> str:
    """The column of true answers.

    Raises:
        ValueError: The table has none of that name.
    """
    name = target or asking.target_of(table.column_names)
    if name not in table.column_names:
        raise ValueError(
            f"{table.source}: {unknown_name('column of true answers', name, table.column_names)}; name yours with "
            "target=COLUMN"
        )
    return name


def with_classes_of(asking: Asking, table: Table, target: str | None) -> Asking:
    """The same asking, with the classes that a column of labels holds, in their order.

    Raises:
        ValueError: The table has no such column, or fewer than two classes.
    """
    task = TASKS.get("classification")
    name = (
        target or asking.target or ("label" if "label" in table.column_names else asking.target_of(table.column_names))
    )
    found = {task.parse(cell) for cell in table.column(answer_column(asking, table, name))}
    classes = tuple(sorted(str(value) for value in found if value is not None))
    if len(classes) < 2:
        raise ValueError(
            f"{table.source}: column {name!r} holds {counted(len(classes), 'class', 'classes')}; expected two"
        )
    return replace(asking, classes=classes)


def judged_report(
    network: VisionLanguageNetwork, chosen: Chosen, asked: AskedRows, positions: np.ndarray, values: list[Any],
    name: str, task: Task, *, options: DecodeOptions, seed: int, split: str, notes: Sequence[str],
    progress: Progress | None,
) -> ShownReport:  # fmt: skip
    """The report on rows that were read.

    Args:
        network: The model.
        chosen: Its checkpoint, and what it is asked.
        asked: The rows of the table.
        positions: Positions of those that are judged; each can be asked and has an answer.
        values: The true answer of every row of the table, None where it has none.
        name: Column of true answers.
        task: What it is asked for.
        options: How to write.
        seed: Of resamples, and of which row gets which picture.
        split: What the judged rows are called.
        notes: What else must be said of them.
        progress: Called with requests done, requests in all and what is done.

    Raises:
        ValueError: There is no such row.
    """
    table = asked.rows.table
    if len(positions) == 0:
        raise ValueError(f"{table.source}: no row has a readable picture and an answer in {name!r}; nothing to judge")
    bad = [*asked.rows.bad, *(BadRow(int(i), name, "no answer to judge by") for i in asked.keep if values[i] is None)]
    place = {position: number for number, position in enumerate(asked.keep.tolist())}
    requests = [asked.requests[place[int(i)]] for i in positions]
    truths = [values[int(i)] for i in positions]
    judge = _judged_classes if chosen.asking.classes else _judged_texts
    given, more = judge(network, chosen, asked, positions, requests, truths, task, options, seed, progress)
    given.split, given.notes = split, [*notes, *given.notes]
    if network.adapter is not None:
        given.untuned = _untuned(network, given)
    evaluation, verdict = evaluate_looking(given)
    evaluation |= more(given)
    evaluation["bad_rows"] = [
        {"row": table.row_number(b.row), "column": b.column, "reason": b.reason, "outcome": "left out"} for b in bad
    ] + [{"row": b.row, "column": b.column, "reason": b.reason, "outcome": "left out"} for b in table.bad_rows]
    evaluation["counts"] = dict(asked.rows.notes)
    content = {**_facts(network, chosen, asked, name, task), "verdict": verdict, "evaluation": evaluation}
    return ShownReport(content, "evaluation", "en")


def _untuned(network: VisionLanguageNetwork, given: Judged) -> Callable[[Sequence[Request], str], Answered]:
    """What answers as the model did before it was tuned."""

    def answer(wanted: Sequence[Request], what: str) -> Answered:
        with network.untuned():
            return given.answer(wanted, what)

    return answer


def _unasked(asked: AskedRows, requests: Sequence[Request]) -> list[Request] | None:
    """The requests without their questions; None where there are none."""
    if asked.question is None:
        return None
    return [Request(one.key, one.open, asked.asking.text("")) for one in requests]


def _judged_texts(
    network: VisionLanguageNetwork, chosen: Chosen, asked: AskedRows, positions: np.ndarray, requests: list[Request],
    truths: list[Any], task: Task, options: DecodeOptions, seed: int, progress: Progress | None,
) -> tuple[Judged, Any]:  # fmt: skip
    """Written answers; rows that ask the same are judged once, with all references."""
    first, references = merged_references(asked.rows.index_NM[positions], truths)
    kept = [requests[int(i)] for i in first]
    prepared, places = Prepared(asked.rows), positions[first]
    group = asked.rows.index_NM[places][:, 0]

    def answer(wanted: Sequence[Request], what: str) -> Answered:
        texts = [a.text for a in network.write(wanted, options, progress=progress, what=what)]
        return texts, texts

    def measure(texts: list[str]) -> tuple[Intervals, dict[str, np.ndarray], list[str]]:
        return measured(task.primary, texts, references, seed, group)

    def more(_: Judged) -> dict[str, Any]:
        return {}

    readable = READABLE.get(task.primary, task.primary)
    unasked = _unasked(asked, kept)
    given = Judged(prepared, places, kept, unasked, references, answer, measure, task.primary, readable, seed)
    if len(first) < len(positions):
        shown = counted(len(first), "input", "different inputs")
        note = f"{counted(len(positions), 'row')} show {shown}; each was judged once, with all answers"
        given.notes.append(note)
    return given, more


def _judged_classes(
    network: VisionLanguageNetwork, chosen: Chosen, asked: AskedRows, positions: np.ndarray, requests: list[Request],
    truths: list[Any], task: Task, options: DecodeOptions, seed: int, progress: Progress | None,
) -> tuple[Judged, Any]:  # fmt: skip
    """Classes chosen by their scores; a true class that is not among them is always wrong."""
    classes = chosen.asking.classes
    state = LabelState(classes=classes)
    target = task.encode(truths, state)
    if (target < 0).all():
        raise ValueError(
            f"none of the true answers is one of the classes ({', '.join(classes)}); the first is {truths[0]!r}"
        )
    prepared = Prepared(asked.rows)
    group = asked.rows.index_NM[positions][:, 0]

    def answer(wanted: Sequence[Request], what: str) -> Answered:
        outputs = probabilities(label_scores(network, chosen.asking, wanted, classes, progress, what))
        return [classes[i] for i in outputs.argmax(1)], outputs

    def measure(outputs: np.ndarray) -> tuple[Intervals, dict[str, np.ndarray], list[str]]:
        found = task_intervals(task, target, outputs, groups=group, resamples=RESAMPLES, seed=seed)
        return found, {task.primary: (outputs.argmax(1) == target).astype(np.float64)}, []

    def more(given: Judged) -> dict[str, Any]:
        known = target >= 0
        guess = np.array([classes.index(name) for name in given.answers])
        matrix = confusion(target[known], guess[known], len(classes))
        return {
            "chance": chance_level(task.primary, target),
            "confusion": {"labels": list(classes), "matrix": matrix.tolist()},
        }

    unasked, words = _unasked(asked, requests), [[name] for name in truths]
    given = Judged(prepared, positions, requests, unasked, words, answer, measure, task.primary, task.primary, seed)
    if (target < 0).any():
        given.notes.append(
            f"{counted(int((target < 0).sum()), 'row')} of a class that is not among the {len(classes)} given: "
            "always wrong"
        )
    return given, more


def _facts(
    network: VisionLanguageNetwork, chosen: Chosen, asked: AskedRows, target: str, task: Task
) -> dict[str, Any]:  # fmt: skip
    total = sum(p.numel() for p in network.model.parameters())
    trained = 0 if chosen.tuning is None else sum(t.numel() for t in chosen.tuning.stored.tensors.values())
    kinds = {asked.asking.image: "image", asked.question: "text"}
    columns = [{"name": n, "kind": kinds[n], "role": "input", "reason": "named by the user"} for n in asked.names]
    asking = {**chosen.asking.to_json(), "dtype": chosen.dtype}
    if chosen.tuning is not None:
        asking["lora_rank"] = chosen.tuning.stored.shape.rank
    return {
        "plait": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "task": task.name, "target": target, "terms": {},
        "metric": {"name": task.primary, "higher_is_better": task.higher_is_better},
        "schema": [*columns, {"name": target, "kind": None, "role": "target", "reason": "named by the user"}],
        "model": {
            "encoders": [], "head": type(network.model).__name__,
            "parameters": {"total": total, "trained": trained},
        },
        "settings": {"reference": chosen.reference, **asking}, "versions": versions(),
    }  # fmt: skip
