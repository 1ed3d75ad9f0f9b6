"""What an index asks of a model: unit vectors of one modality, and a fingerprint of everything that decides them.

``plait.load`` returns such a model for the retrieval task; tests use a small one of their own. An index holds
vectors of one modality, and is searched with vectors of any modality of the same model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from plait.data.modality import Modality
from plait.data.progress import Progress
from plait.data.table import BadRow, Table
from plait.index.manifest import Manifest
from plait.inference.vector_space import VectorSpace
from plait.registry import unknown_name

UNIT_TOLERANCE = 1e-3  # how far the length of a vector may be from 1


class Embedder(Protocol):
    """A model whose modalities share one space of unit vectors.

    Attributes:
        fingerprint: sha256 over everything that decides a vector: weights, frozen encoders, processors.
        dim: Width D of the shared space.
        plain_dim: Leading coordinates that, made unit, are the plain direction: D without a correction for hubs; with
            one, D less 2 for each modality, laid out as in ``heads/hubs.py``.
        modalities: What it can embed.
    """

    fingerprint: str
    dim: int
    plain_dim: int
    modalities: tuple[Modality, ...]

    def embed(
        self, table: Table, modality: str, *, on_bad_row: str = "missing", progress: Progress | None = None
    ) -> tuple[np.ndarray, list[BadRow]]:
        """Unit vectors [N, D] float32 of one modality of each row.

        A row that is missing or unreadable gets zeros; unreadable ones are also listed, by position.
        """
        ...


def as_embedder(model: Any) -> Embedder:
    """The model itself, when it embeds.

    Raises:
        ValueError: It predicts, or is no model at all.
    """
    if all(hasattr(model, name) for name in ("fingerprint", "dim", "plain_dim", "modalities", "embed")):
        found: Embedder = model
        sides = VectorSpace(found.dim, found.plain_dim).sides
        if sides not in (0, len(found.modalities)):
            raise ValueError(f"the model corrects between {sides} modalities and has {len(found.modalities)}")
        return found
    task = getattr(getattr(model, "task", None), "name", None) or getattr(model, "task", None)
    reason = f"this model predicts ({task})" if isinstance(task, str) else f"a {type(model).__name__} does not embed"
    raise ValueError(f"{reason}; an index needs a retrieval model: plait.fit(TABLE, task='retrieval', output=MODEL)")


def load_embedder(model: Any) -> Embedder:
    """A model given as a folder or as an object.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: Not a model, or one that does not embed.
    """
    if isinstance(model, str) or hasattr(model, "__fspath__"):
        from plait.api import load

        return as_embedder(load(model))
    return as_embedder(model)


def pick_modality(embedder: Embedder, name: str | None, *prefer: str, argument: str = "modality") -> Modality:
    """The modality of that name; without one the only one of the first kind that there is, or the only one.

    Args:
        embedder: Has the modalities.
        name: As it was asked for.
        *prefer: Kinds.
        argument: What the name is given by, for the error.

    Raises:
        ValueError: No such modality, or more than one to choose from.
    """
    names = [m.name for m in embedder.modalities]
    if name is not None:
        for modality in embedder.modalities:
            if modality.name == name:
                return modality
        raise ValueError(unknown_name("modality", name, names))
    kinds = [m.kind for m in embedder.modalities]
    wanted = next((kind for kind in prefer if kind in kinds), prefer[0])
    fitting = [m for m in embedder.modalities if m.kind == wanted]
    fitting = fitting or (list(embedder.modalities) if len(names) == 1 else [])
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and wanted:
        raise ValueError(
            f"the model has no {wanted} modality among {', '.join(names)}: train it with the column that holds them as "
            f"{wanted} ({wanted}='COLUMN'), or name one of its modalities ({argument}='{names[-1]}')"
        )
    raise ValueError(
        f"the model has {len(fitting)} {wanted} modalities among {', '.join(names)}; name one ({argument}='NAME')"
    )


def embed_checked(embedder: Embedder, table: Table, modality: str) -> tuple[np.ndarray, list[BadRow]]:
    """Vectors [N, D] and the bad rows, held to the contract; a row without a vector is always listed.

    Raises:
        ValueError: The model broke the contract: another shape, NaN, or vectors that are not of length 1.
    """
    vectors, bad = embedder.embed(table, modality, on_bad_row="missing")
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.shape != (len(table), embedder.dim):
        raise ValueError(f"the model gave vectors {vectors.shape}; expected {(len(table), embedder.dim)}")
    if not np.isfinite(vectors).all():
        raise ValueError("the model gave vectors with NaN or infinity; it cannot be searched with")
    length = np.linalg.norm(vectors, axis=1)
    listed = {fault.row for fault in bad}
    bad = list(bad) + [
        BadRow(int(row), None, "the row has nothing to embed")
        for row in np.flatnonzero(length < UNIT_TOLERANCE)
        if int(row) not in listed
    ]
    good = np.ones(len(table), dtype=bool)
    good[[fault.row for fault in bad]] = False
    if (np.abs(length[good] - 1) > UNIT_TOLERANCE).any():
        worst = float(length[good][np.argmax(np.abs(length[good] - 1))])
        raise ValueError(f"the model gave a vector of length {worst:.4g}; an index needs unit vectors")
    return vectors, bad


def check_model(embedder: Embedder, manifest: Manifest, model: Any, folder: Path) -> Embedder:
    """The model, when it is the one that made the vectors.

    Raises:
        ValueError: It is another.
    """
    same_space = VectorSpace(embedder.dim, embedder.plain_dim) == manifest.space
    if embedder.fingerprint == manifest.fingerprint and same_space:
        return embedder
    named = model if isinstance(model, str | Path) else "MODEL"
    place = f"the model at {named}" if isinstance(model, str | Path) else "the model given"
    raise ValueError(
        f"this index was built with model {manifest.fingerprint[:12]}, {place} is {embedder.fingerprint[:12]}: build "
        f"the index again with plait index build {named} SOURCE -o {folder}, or name the right model with model="
    )
