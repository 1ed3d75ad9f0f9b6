"""Tables of what a vision-language model answers: one row per input row, in order, as any model of Plait gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from plait.api.prediction_rows import with_unparsed
from plait.api.text_output import written_columns
from plait.api.vision_language.asking import Asking
from plait.api.vision_language.rows import AskedRows, ask_rows
from plait.data.progress import Progress
from plait.data.table import Table
from plait.heads.language import DecodeOptions
from plait.inference.vision_language import Request, VisionLanguageNetwork


def written(
    network: VisionLanguageNetwork, asked: AskedRows, options: DecodeOptions, answers: Sequence[str] | None,
    tokens: bool, progress: Progress | None,
) -> pa.Table:  # fmt: skip
    """``row``, ``prediction``, ``log_probability`` (natural log), ``probability`` (geometric mean over tokens), with
    ``tokens`` also these and their probabilities, and ``problem``.
    """
    made = network.write(asked.requests, options, answers=answers, progress=progress)
    by_row = dict(zip(asked.keep.tolist(), made, strict=True))
    found = [by_row.get(i) for i in range(len(asked.rows))]
    columns = _numbers(asked)
    columns |= written_columns(found, tokens)
    return _finished(asked, columns)


def scored(
    network: VisionLanguageNetwork, asked: AskedRows, answers: Sequence[str], progress: Progress | None
) -> pa.Table:
    """``row``, ``prediction`` (the best answer), ``answers``, ``log_probabilities`` in the same order, ``problem``."""
    scores_KA = label_scores(network, asked.asking, asked.requests, answers, progress)
    by_row = dict(zip(asked.keep.tolist(), scores_KA, strict=True))
    count = len(asked.rows)
    columns = _numbers(asked)
    best = [answers[int(by_row[i].argmax())] if i in by_row else None for i in range(count)]
    columns["prediction"] = pa.array(best, pa.string())
    columns["answers"] = pa.array([list(answers)] * count, pa.list_(pa.string()))
    told = [by_row[i].tolist() if i in by_row else None for i in range(count)]
    columns["log_probabilities"] = pa.array(told, pa.list_(pa.float64()))
    return _finished(asked, columns)


def predicted(
    network: VisionLanguageNetwork, asking: Asking, table: Table, on_bad_row: str, chunk_rows: int,
    progress: Progress | None,
) -> Iterator[pa.Table]:  # fmt: skip
    """The rows of a table, some at a time: the classes' probabilities, or texts where there are no classes."""
    whole = len(table)
    for start in range(0, whole, chunk_rows):
        part = table.take(np.arange(start, min(start + chunk_rows, whole)))
        asked = ask_rows(asking, part, on_bad_row, network.prompter)
        if asking.classes:
            yield _classified(network, asked, progress)
        else:
            yield written(network, asked, DecodeOptions(max_new_tokens=asking.max_tokens), None, False, progress)


def label_scores(
    network: VisionLanguageNetwork, asking: Asking, requests: Sequence[Request], answers: Sequence[str],
    progress: Progress | None, what: str = "scoring answers",
) -> np.ndarray:  # fmt: skip
    """Score of each answer for each request, [N, A]: natural log-probability, a mean a token or summed, as asked."""
    both = network.score(requests, answers, progress=progress, what=what)
    found: np.ndarray = both[1 if asking.score == "mean" else 0]
    return found


def probabilities(scores_NC: np.ndarray) -> np.ndarray:
    """Softmax of scores over classes, [N, C]."""
    shifted = scores_NC - scores_NC.max(1, keepdims=True)
    return np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)


def _classified(network: VisionLanguageNetwork, asked: AskedRows, progress: Progress | None) -> pa.Table:
    classes = asked.asking.classes
    proba_KC = probabilities(label_scores(network, asked.asking, asked.requests, classes, progress))
    by_row = dict(zip(asked.keep.tolist(), proba_KC, strict=True))
    found = [by_row.get(i) for i in range(len(asked.rows))]
    columns = _numbers(asked)
    columns["prediction"] = pa.array([None if p is None else classes[int(p.argmax())] for p in found], pa.string())
    columns["probability"] = pa.array([None if p is None else float(p.max()) for p in found], pa.float64())
    for number, name in enumerate(classes):
        each = [None if p is None else float(p[number]) for p in found]
        columns[f"probability_{name}"] = pa.array(each, pa.float64())
    return _finished(asked, columns)


def _numbers(asked: AskedRows) -> dict[str, Any]:
    table = asked.rows.table
    return {"row": [table.row_number(i) for i in range(len(table))]}


def _finished(asked: AskedRows, columns: dict[str, Any]) -> pa.Table:
    columns["problem"] = pa.array(asked.problems(), pa.string())
    return with_unparsed(pa.table(columns), asked.rows.table.bad_rows)
