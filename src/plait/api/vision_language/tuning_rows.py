"""Rows that a vision-language model learns from: read, split, and as requests with the tokens of their answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plait.api.vision_language.asking import Asking
from plait.api.vision_language.rows import AskedRows, ask_rows
from plait.data.schema import Column, Schema, guess_schema
from plait.data.table import Table
from plait.inference.vision_language import Request, VisionLanguageNetwork
from plait.inference.vision_language.writing import end_tokens
from plait.inputs.prepare import Prepared
from plait.registry import counted
from plait.settings import RunSettings
from plait.tasks import TASKS, Task
from plait.training.splitting import leakage_notes, make_split
from plait.training.text_scores import MOST_ROWS
from plait.training.vision_language import AnswerBatches, AnsweredRequest, request_lengths

JUDGED_AT_ONCE = 8  # requests of a batch where only a loss is measured
OTHER = "not asked for"


@dataclass
class TuningRows:
    """The rows of a run.

    Attributes:
        asked: All rows of the table, as requests.
        values: The true answer of every row; None where it has none.
        split: Part of every row.
        usable: Positions of the rows with an answer.
        schema: Columns.
        target: Column of true answers.
        task: What is asked for.
        notes: What must be said of them.
    """

    asked: AskedRows
    values: list[Any]
    split: np.ndarray
    usable: np.ndarray
    schema: Schema
    target: str
    task: Task
    notes: list[str] = field(default_factory=list)

    def positions(self, *parts: str) -> np.ndarray:
        """Positions of the rows of these parts that can be asked and have an answer."""
        kept = self.asked.keep
        chosen = np.isin(self.split[kept], parts) & np.isin(kept, self.usable)
        return kept[chosen]

    def requests(self, positions: np.ndarray) -> list[Request]:
        """What these rows ask."""
        place = {position: number for number, position in enumerate(self.asked.keep.tolist())}
        return [self.asked.requests[place[int(i)]] for i in positions]


def read_tuning(
    network: VisionLanguageNetwork, asking: Asking, table: Table, settings: RunSettings, target: str, on_bad_row: str
) -> TuningRows:
    """Read and split the rows.

    Raises:
        ValueError: None has an answer, none trains, or rows cannot be read under "error".
    """
    seed = settings.train.seed
    task = TASKS.get(asking.task_of(table.column_names))
    values = [task.parse(cell) for cell in table.column(target)]
    usable = np.array([i for i, value in enumerate(values) if value is not None], dtype=np.int64)
    if len(usable) == 0:
        raise ValueError(f"{table.source}: no row has an answer in {target!r}; nothing to learn from")
    schema = _schema(asking, table, target, settings)
    split, notes = make_split(table, schema, usable, values, task, seed)
    asked = ask_rows(asking, table, on_bad_row, network.prompter)
    notes += leakage_notes(Prepared(asked.rows), split, usable, schema.split)
    run = TuningRows(asked, values, split, usable, schema, target, task, notes)
    if len(run.positions("train")) == 0:
        raise ValueError(f"{table.source}: no training row has a readable picture and an answer in {target!r}")
    return run


def _schema(asking: Asking, table: Table, target: str, settings: RunSettings) -> Schema:
    """Columns of the table: what is asked, the answers, and what splits the rows; all else is left out."""
    question = asking.question_of(table.column_names)
    found = guess_schema(
        table, target=target, image=[asking.image], text=[] if question is None else [question],
        split=settings.data.split, group=settings.data.group,
    )  # fmt: skip
    wanted = {asking.image, question}
    return Schema(
        tuple(
            Column(c.name, None, "ignored", OTHER) if c.role in ("input", "id") and c.name not in wanted else c
            for c in found.columns
        )
    )


def answers_of(run: TuningRows, position: int) -> tuple[str, ...]:
    """The answers of a row, in words."""
    value = run.values[position]
    return (value,) if isinstance(value, str) else tuple(value)


def examples_of(network: VisionLanguageNetwork, run: TuningRows, positions: np.ndarray) -> list[AnsweredRequest]:
    """Requests and answers as tokens; what cannot be learned is left out and said.

    Raises:
        ValueError: None is left.
    """
    prompter, most = network.prompter, run.asked.asking.max_tokens
    classes = run.asked.asking.classes
    ending = prompter.ending_ids(end_tokens(network.model, prompter))
    requests = run.requests(positions)
    lengths = request_lengths(prompter, [one.text for one in requests], [run.asked.sizes[r.key] for r in requests])
    made, cut, strange, foreign = [], 0, 0, 0
    for position, request, length in zip(positions.tolist(), requests, lengths, strict=True):
        texts = answers_of(run, position)
        plain = [text for text in texts if prompter.control_token(text) is None and text.strip()]
        known = [text for text in plain if not classes or text in classes]
        strange += len(plain) < len(texts)
        foreign += len(known) < len(plain)
        ids = [(*prompter.answer_ids(text), *ending) for text in known]
        cut += sum(len(one) > most for one in ids)
        if ids:
            made.append(AnsweredRequest(request, tuple(one[:most] for one in ids), length))
    if cut:
        run.notes.append(f"{counted(cut, 'answer')} cut to {most} tokens; a larger max_tokens= keeps more")
    if strange:
        run.notes.append(f"{counted(strange, 'row')} with an answer that holds a control token of this model: not used")
    if foreign:
        run.notes.append(f"{counted(foreign, 'row')} of a class that is not among the {len(classes)} given: not used")
    if not made:
        raise ValueError(f"no row of {run.asked.rows.table.source} has an answer that this model can learn to write")
    return made


def validation_rows(network: VisionLanguageNetwork, run: TuningRows) -> AnswerBatches | None:
    """Validation rows, at most 256 at even distances; None where there are none."""
    positions = run.positions("val")
    if len(positions) == 0:
        return None
    notes, run.notes = run.notes, []  # what is left out of training rows is said, once
    try:
        examples = examples_of(network, run, positions[evenly(len(positions))])
    except ValueError:
        return None
    finally:
        run.notes = notes
    return AnswerBatches(network.prompter, examples, JUDGED_AT_ONCE)


def evenly(count: int) -> np.ndarray:
    """Of so many rows at most 256, at even distances."""
    return np.linspace(0, count - 1, min(MOST_ROWS, count)).round().astype(np.int64)
