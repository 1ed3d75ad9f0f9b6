"""The verbs of a model that writes text: ``generate`` and ``score_answers`` of :class:`plait.Plait`."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from plait.api.reading import open_table
from plait.api.text_output import decode_options, score_chunks, write_chunks
from plait.api.watching import WatchedBy, watched
from plait.data.table_like import TableLike
from plait.training.fitted import FittedParts


@watched
def generate(
    fitted: FittedParts, table: TableLike, *, beams: int = 1, length_penalty: float = 1.0,
    max_new_tokens: int | None = None,
    temperature: float | None = None, top_p: float | None = None, seed: int | None = None,
    answers: Sequence[str] | None = None, tokens: bool = False, on_bad_row: str = "missing",
    format: str | None = None, encoding: str | None = None, allow_outside: bool = False, allow_remote: bool = False,
    progress: WatchedBy = None,
) -> pa.Table:  # fmt: skip
    """Write a text for every row (captioning, open answers).

    Args:
        table: As for :meth:`plait.Plait.predict`, like the arguments from ``on_bad_row`` on.
        beams: As ``length_penalty``, ``temperature``, ``top_p`` and ``seed`` in ``language.DecodeOptions``.
        max_new_tokens: Longest answer; None: as in training.
        answers: The only answers allowed.
        tokens: Also give ``tokens`` and ``token_probabilities``.

    Returns:
        One row per input row, in order: ``row``, the id column, ``prediction``, ``log_probability`` (natural log),
        ``probability`` (geometric mean over tokens) and ``problem``.

    Raises:
        ValueError: The model writes no text, an option is out of range, or as :meth:`plait.Plait.predict`.
    """
    options = decode_options(fitted, beams, length_penalty, max_new_tokens, temperature, top_p, seed)
    opened = open_table(fitted, table, format, encoding, allow_outside, allow_remote)
    texts = write_chunks(
        fitted, opened, options, answers=answers, tokens=tokens, on_bad_row=on_bad_row, progress=progress
    )
    return pa.concat_tables(texts)


@watched
def score_answers(
    fitted: FittedParts, table: TableLike, answers: Sequence[str], *, on_bad_row: str = "missing",
    allow_outside: bool = False, allow_remote: bool = False, progress: WatchedBy = None,
) -> pa.Table:  # fmt: skip
    """Natural log-probability of each given answer for each row (``answers``, ``log_probabilities``).

    Raises:
        ValueError: The model writes no text, or as :meth:`plait.Plait.predict`.
    """
    opened = open_table(fitted, table, allow_outside=allow_outside, allow_remote=allow_remote)
    return pa.concat_tables(score_chunks(fitted, opened, answers, on_bad_row=on_bad_row, progress=progress))
