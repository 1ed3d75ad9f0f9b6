"""Verbs of :class:`plait.Plait` where it embeds: ``dim``, ``plain_dim``, ``embed``, ``classify``, ``described``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from plait.api.described import DescribedClasses
from plait.api.embedding_output import classify_by_text, embed_modality, embedding_head
from plait.api.watching import WatchedBy, watched
from plait.data.table import BadRow, read_table
from plait.data.table_like import TableLike
from plait.training.fitted import FittedParts


def dim(fitted: FittedParts) -> int:
    """Width of the shared space of a model that embeds."""
    return embedding_head(fitted).dim


def plain_dim(fitted: FittedParts) -> int:
    """Leading coordinates of a vector that, made unit, are the direction without the correction for hubs."""
    return embedding_head(fitted).plain_dim


@watched
def embed(
    fitted: FittedParts, table: TableLike, modality: str, *, on_bad_row: str = "missing", allow_outside: bool = False,
    allow_remote: bool = False,
    progress: WatchedBy = None,
) -> tuple[np.ndarray, list[BadRow]]:  # fmt: skip
    """Unit vectors of one modality of every row, to search or to index.

    Args:
        table: Anything ``read_table`` takes; only the column of this modality is read.
        modality: Its name.
        on_bad_row: "missing" and "skip" (zeros where the cell cannot be read) or "error".
        allow_outside: As for :meth:`plait.Plait.predict`, like ``allow_remote`` and ``progress``.

    Returns:
        Vectors [N, D] float32, zeros where a cell is empty or unreadable; and the unreadable cells by position.

    Raises:
        ValueError: The model does not embed, no such modality or column, or a bad row under "error".
    """
    return embed_modality(
        fitted,
        read_table(table, allow_outside=allow_outside, allow_remote=allow_remote),
        modality,
        on_bad_row,
        progress,
    )


@watched
def classify(
    fitted: FittedParts, images: TableLike, labels: Sequence[str], *, template: str | None = None,
    image: str | None = None,
    text: str | None = None, on_bad_row: str = "missing", allow_outside: bool = False, allow_remote: bool = False,
    progress: WatchedBy = None,
) -> np.ndarray:  # fmt: skip
    """Zero-shot classification: which of these words tells best what each picture shows, or each sound is.

    Args:
        images: A table with the model's column of images or sounds.
        labels: Names of the classes, two or more.
        template: The sentence a name is put into, at ``{}``; None: "a photo of a {}", or "this is a sound of {}".
        image: Modality to classify, of images or sounds, and ``text``, which reads the sentences; None: the first.
        on_bad_row: As for :meth:`embed`, like the arguments from here on.

    Returns:
        Probabilities [N, C]: softmax over the (corrected) cosines times the model's scale; NaN without one.

    Raises:
        ValueError: No such modality, fewer than two labels, a template without ``{}``, or as ``embed``.
    """
    return classify_by_text(
        fitted, images, labels, template, image, text, on_bad_row, allow_outside, allow_remote, progress
    )


def described(
    fitted: FittedParts,
    labels: Mapping[str, str | Sequence[str]] | str | Path,
    *,
    image: str | None = None,
    text: str | None = None,
) -> DescribedClasses:
    """Zero-shot classes by their sentences: ``plait.api.described``.

    Args:
        labels: A mapping from class to a sentence or several, or the path of such a one as YAML or JSON.
        image: Modality to classify, of images or sounds; None: the first.
        text: Modality that reads the sentences; None: the first.
    """
    return DescribedClasses(fitted, labels, shown=image, words=text)
