"""A query: a text, a picture, or both, as one unit vector of the model's space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from plait.data.media import CellError, read_media
from plait.data.schema import Modality
from plait.data.table import make_column, read_table
from plait.index.embedder import Embedder, embed_checked, pick_modality

SHORTEST = 1e-6  # a sum of two unit vectors shorter than this has no direction


def query_vector(
    embedder: Embedder,
    *,
    text: str | None = None,
    image: Any = None,
    weight: float = 0.5,
    text_modality: str | None = None,
    image_modality: str | None = None,
) -> np.ndarray:
    """The unit vector [D] of a query.

    Args:
        embedder: The model of the index.
        text: What is looked for, in words.
        image: What is looked for, as a picture: a path or bytes.
        weight: With both: the share of the text, 0 to 1; the vectors are summed with it and the sum made unit again.
        text_modality: Which text modality of the model reads the text, where it has several.
        image_modality: The same for the picture.

    Raises:
        ValueError: No query, an empty text, a weight outside 0 to 1, or a picture that cannot be read.
    """
    if text is None and image is None:
        raise ValueError("there is no query; give a text, --image FILE, or both")
    if not 0 <= weight <= 1:
        raise ValueError(f"the weight of the text is {weight}; expected 0 (the picture alone) to 1 (the text alone)")
    parts = []
    if text is not None:
        if not text.strip():
            raise ValueError("the query text is empty; type what you look for, in quotes")
        parts.append(embed_cell(embedder, pick_modality(embedder, text_modality, "text"), text, "the query text"))
    if image is not None:
        cell = str(Path(image).absolute()) if isinstance(image, str | Path) else image
        try:
            read_media(cell, None)
        except CellError as error:
            raise ValueError(f"the query picture: {error}") from error
        modality = pick_modality(embedder, image_modality, "image")
        parts.append(embed_cell(embedder, modality, cell, "the query picture"))
    if len(parts) == 1:
        return parts[0]
    mixed = weight * parts[0] + (1 - weight) * parts[1]
    length = float(np.linalg.norm(mixed))
    if length < SHORTEST:
        raise ValueError("the text and the picture of the query are opposites and cancel out; choose another --weight")
    return (mixed / length).astype(np.float32)


def embed_cell(embedder: Embedder, modality: Modality, cell: Any, what: str) -> np.ndarray:
    """The unit vector [D] of one value.

    Raises:
        ValueError: It has none; ``what`` is named.
    """
    if len(modality.columns) != 1:
        raise ValueError(f"{what} cannot be given to {modality.name!r}, which reads {', '.join(modality.columns)}")
    import pyarrow as pa

    table = read_table(pa.table({modality.columns[0]: make_column(modality.columns[0], [cell])}))
    vectors, bad = embed_checked(embedder, table, modality.name)
    if bad:
        raise ValueError(f"{what} cannot be used: {bad[0].reason}")
    vector: np.ndarray = vectors[0]
    return vector
