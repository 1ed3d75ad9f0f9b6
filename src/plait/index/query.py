"""A query: a text, a picture, or both, as what an index is searched with.

A query of the index's own modality (a picture among pictures) is compared by the plain cosine, one of another modality
(a text among pictures) by the cosine corrected for hubs. With both, every item's score is the weighted mean of its two
scores; on the photos it was tried with the two spread alike, so a weight of a half lets both count the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from plait.data.columns import make_column
from plait.data.media import CellError, read_media
from plait.data.modality import Modality
from plait.data.table import read_table
from plait.index.embedder import Embedder, embed_checked, pick_modality
from plait.inference.vector_space import Query, VectorSpace, weighted
from plait.registry import unknown_name

SHORTEST = 1e-6  # a sum of two queries shorter than this has no direction


def make_query(
    embedder: Embedder,
    indexed: Modality,
    *,
    text: str | None = None,
    image: Any = None,
    weight: float = 0.5,
    text_modality: str | None = None,
    image_modality: str | None = None,
) -> Query:
    """What an index of one modality is searched with.

    Args:
        embedder: The model of the index.
        indexed: The modality of the index.
        text: What is looked for, in words.
        image: What is looked for, as a picture: a path or bytes.
        weight: With both: the share of the text's score, 0 to 1.
        text_modality: Which text modality of the model reads the text, where it has several and the index's own is none
            of them.
        image_modality: The same for the picture.

    Raises:
        ValueError: No query, an empty text, a weight outside 0 to 1, or a picture that cannot be read.
    """
    if text is None and image is None:
        raise ValueError("there is no query; give a text, image=FILE, or both")
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight of the text is {weight}; expected 0 (the picture alone) to 1 (the text alone)")
    for kind, name in (("text", text_modality), ("image", image_modality)):
        if name is not None and name not in (known := [m.name for m in embedder.modalities]):
            raise ValueError(unknown_name("modality", name, known, where=f"{kind}_modality="))
    parts = []
    if text is not None:
        if not text.strip():
            raise ValueError("the query text is empty; type what you look for, in quotes")
        modality = pick_reader(embedder, indexed, text_modality, "text")
        parts.append(as_query(embedder, indexed, modality, embed_cell(embedder, modality, text, "the query text")))
    if image is not None:
        cell = str(Path(image).absolute()) if isinstance(image, str | Path) else image
        try:
            read_media(cell, None)
        except CellError as error:
            raise ValueError(f"the query picture: {error}") from error
        modality = pick_reader(embedder, indexed, image_modality, "image")
        parts.append(as_query(embedder, indexed, modality, embed_cell(embedder, modality, cell, "the query picture")))
    if len(parts) == 1:
        return parts[0]
    mixed = weighted(parts[0], parts[1], weight)
    if float(np.linalg.norm(mixed.vector)) < SHORTEST:
        raise ValueError("the text and the picture of the query are opposites and cancel out; choose another weight=")
    return mixed


def pick_reader(embedder: Embedder, indexed: Modality, name: str | None, kind: str) -> Modality:
    """The modality that reads a query: the one named, else the index's own if it is of that kind, else the only one.

    Raises:
        ValueError: No such modality, or more than one to choose from.
    """
    return (
        indexed
        if name is None and indexed.kind == kind
        else pick_modality(embedder, name, kind, argument=f"{kind}_modality")
    )


def as_query(embedder: Embedder, indexed: Modality, modality: Modality, vector_D: np.ndarray) -> Query:
    """A unit vector of a modality as a query of an index: plain within a modality, corrected across."""
    space = VectorSpace(embedder.dim, embedder.plain_dim)
    if modality.name == indexed.name:
        return space.within(vector_D)
    return space.across(vector_D, [m.name for m in embedder.modalities].index(modality.name))


def embed_cell(embedder: Embedder, modality: Modality, cell: Any, what: str) -> np.ndarray:
    """The unit vector [D] of one value.

    Raises:
        ValueError: It has none; ``what`` is named.
    """
    if len(modality.columns) != 1:
        raise ValueError(f"{what} cannot be given to {modality.name!r}, which reads {', '.join(modality.columns)}")
    import pyarrow as pa

    one = pa.table({modality.columns[0]: make_column(modality.columns[0], [cell])})
    table = read_table(one, allow_outside=True)  # the query is the user's own word
    vectors, bad = embed_checked(embedder, table, modality.name)
    if bad:
        raise ValueError(f"{what} cannot be used: {bad[0].reason}")
    vector: np.ndarray = vectors[0]
    return vector
