"""Texts that the text encoder of a model cannot read: a query, and the texts of a source that is taken into an index.

Asked is the vocabulary of its tokenizer. ``scratch:text`` has none (it hashes the pieces of words, Chinese letters one
by one), so nothing is unknown to it and nothing is said here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plait.api.known_letters import MOST_LOOKED_AT, MUCH_UNKNOWN
from plait.data.modality import Modality
from plait.index.embedder import Embedder
from plait.index.query import pick_reader

MUCH_OF_A_QUERY = 0.3  # share of unknown tokens of a query from which it is warned


def letters_note(embedder: Embedder, indexed: Modality, text: str, name: str | None = None) -> str | None:
    """What to type where the text encoder of a model lacks much of a query; None where it reads it.

    Args:
        embedder: The model of the index.
        indexed: The modality of the index.
        text: The query.
        name: The text modality that reads it, as ``text_modality`` of :func:`plait.index.query.make_query`.
    """
    share, reference = _unknown(embedder, pick_reader(embedder, indexed, name, "text"), [text])
    if share < MUCH_OF_A_QUERY:
        return None
    return (
        f"{reference} does not know {share:.0%} of the words and letters of the query, so its hits say little; ask in "
        "a language of the texts that trained the model, or train one that reads about a hundred: "
        "plait.fit(TABLE, task='retrieval', set=['encoders.text=e5-small-multilingual'])"
    )


def texts_note(embedder: Embedder, indexed: Modality, cells: Sequence[Any]) -> str | None:
    """What to type where the text encoder of a model lacks much of the texts of a source; None where it reads them.

    Args:
        embedder: The model of the index.
        indexed: The modality of the index; none but texts are looked at.
        cells: The cells of its column, of which 500 at even distances are looked at.
    """
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()] if indexed.kind == "text" else []
    if not texts:
        return None
    evenly = np.linspace(0, len(texts) - 1, min(len(texts), MOST_LOOKED_AT)).astype(np.int64)
    share, reference = _unknown(embedder, indexed, [texts[i] for i in evenly])
    if share < MUCH_UNKNOWN:
        return None
    return (
        f"{reference} does not know {share:.0%} of the words and letters of column {indexed.columns[0]!r}, so texts "
        "that differ look alike to this index; train a model that reads about a hundred languages: "
        "plait.fit(TABLE, task='retrieval', set=['encoders.text=e5-small-multilingual'])"
    )


def _unknown(embedder: Embedder, modality: Modality, texts: list[str]) -> tuple[float, str]:
    """Share of the tokens of texts that the encoder of a modality lacks, and its name; 0 where that is not known.

    Signs such as an emoji say little either way, and are not asked about.
    """
    inputs = getattr(embedder, "inputs", None)
    processor = None if inputs is None else inputs.processors.get(modality.name)
    asked: Callable[[list[str]], float] | None = getattr(processor, "unknown_share", None)
    words = [word for text in texts if (word := _without_signs(text)).strip()]
    if asked is None or not words:
        return 0.0, ""
    reference = inputs.references.get(modality.name, {}).get("reference", "the text encoder of this model")
    return float(asked(words)), str(reference)


def _without_signs(text: str) -> str:
    kept = (sign for sign in unicodedata.normalize("NFKC", text) if not _is_sign(sign))
    return "".join(kept)


def _is_sign(letter: str) -> bool:
    """Whether it is a symbol, an emoji, or what joins and colours emoji."""
    kind = unicodedata.category(letter)
    return kind[0] == "S" or kind in ("Cf", "Me") or "\ufe00" <= letter <= "\ufe0f"
