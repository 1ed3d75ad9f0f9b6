"""A model that writes text as the subject of an explanation: its score is how likely it finds the true answers.

In: evaluated rows with their references. Out: the mean log-likelihood a token of each row's references (of several
their mean), in nats, with any of its modalities absent or of other rows. What a row is held against stays its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from plait.evaluation import EvaluationInputs
from plait.explain.asked_once import AskedOnce
from plait.explain.encoded import encode_once
from plait.explain.measure import MEASURES
from plait.explain.subject import Subject
from plait.heads.language import DecodeOptions
from plait.inference.generation import Answer, reference_scores, write_rows
from plait.inputs.dataset import RowBatches
from plait.registry import counted
from plait.training.text_scores import merged_references

NO_SUM = (
    "EMAP sums one term a modality for every possible answer and normalises; a text has no list of possible answers, "
    "and a sum of log-likelihoods is the log-likelihood of no text. The interaction index asks the same on this score"
)
KNOWS_NO_PRIOR = (
    "a model that writes has no answer to nothing, so absent modalities are taken from other rows (absence='marginal') "
    "unless absence='missing' is typed"
)


def each_input_once(given: EvaluationInputs) -> tuple[EvaluationInputs, dict[int, int]]:
    """Rows that show the same inputs as one row with all their references, as an evaluation judges them.

    Returns:
        The rows, and for the number of every row in the source that of the row that stands for it.
    """
    index_NM = given.prepared.rows.index_NM[given.positions]
    first, references = merged_references(index_NM, given.values)
    table = given.prepared.rows.table
    by_items = {index_NM[i].tobytes(): table.row_number(int(given.positions[i])) for i in first}
    stands_for = {
        table.row_number(int(p)): by_items[items.tobytes()] for p, items in zip(given.positions, index_NM, strict=True)
    }
    notes = list(given.notes)
    if len(first) < len(index_NM):
        notes.append(
            f"{counted(len(index_NM), 'row')} show {counted(len(first), 'input', 'different inputs')}; each was asked "
            "once, with all answers"
        )
    once = replace(
        given, positions=given.positions[first], values=[tuple(r) for r in references], target=np.zeros(len(first)),
        group=None if given.group is None else given.group[first], notes=notes,
    )  # fmt: skip
    return once, stands_for


def subject_that_writes(given: EvaluationInputs) -> Subject:
    """The model and its rows, each input once, as the subject of an explanation."""
    index_NM = given.prepared.rows.index_NM[given.positions]
    sources, items_NM = encode_once(given.model, given.prepared.sources, index_NM)
    num_rows, number_N1 = len(index_NM), np.arange(len(index_NM))[:, None]

    def scores_of_items(items_BM: np.ndarray) -> np.ndarray:  # the last column is the row whose references count
        references = [given.values[int(n)] for n in items_BM[:, -1]]
        rows = RowBatches(sources, items_BM[:, :-1])
        return reference_scores(given.model, rows, given.labels.tokens, references)[:, None]

    once = AskedOnce(scores_of_items, np.append(items_NM.max(axis=0, initial=-1) + 1, num_rows))

    def scores_of(rows_BM: np.ndarray) -> np.ndarray:
        assert len(rows_BM) == num_rows, "references belong to rows: ask for all of them, in order"
        items_BM = np.where(rows_BM >= 0, np.take_along_axis(items_NM, np.maximum(rows_BM, 0), axis=0), -1)
        return once(np.concatenate([items_BM, number_N1], axis=1))

    return Subject(
        tuple(given.model.config.modality_names), scores_of, index_NM >= 0, np.zeros(num_rows), MEASURES.get("text"),
        groups=given.group, scale="log-likelihoods", without_projection=NO_SUM,
    )  # fmt: skip


def written_answers(given: EvaluationInputs, places: Sequence[int]) -> list[Answer]:
    """What the model writes for some of the rows, as it is evaluated."""
    tokens = given.labels.tokens
    assert tokens is not None
    index_NM = given.prepared.rows.index_NM[given.positions][list(places)]
    options = DecodeOptions(beams=given.beams, max_new_tokens=tokens.max_tokens)
    return write_rows(given.model, RowBatches(given.prepared.sources, index_NM), tokens, options)


def shown_references(references: Sequence[str]) -> str:
    """True answers in one line, each once."""
    return " | ".join(dict.fromkeys(references))
