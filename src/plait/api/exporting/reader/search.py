"""The graphs of an exported folder that searches: cells of one modality to unit vectors, and vectors ranked.

Each modality has a graph of its own, which is opened when its first cell is read: who searches ready vectors by texts
never loads the graph of the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.exporting.reader.as_table import Columns, Row, read_csv
from plait.api.exporting.reader.missing_package import MissingPackageError
from plait.api.exporting.reader.opened import OpenedFolder, feeds_of
from plait.inference.vector_space import VectorSpace


@dataclass(frozen=True)
class Embedded:
    """Cells of one modality as vectors.

    Attributes:
        modality: Its name.
        vectors: Unit vectors [N, D] float32, zeros where a cell is empty or cannot be read. They may be kept in
            any index of inner products.
        problems: What could not be read of each row; None: nothing.
    """

    modality: str
    vectors: np.ndarray
    problems: list[str | None]


class SearchModel(OpenedFolder):
    """An exported model that searches.

    Args:
        folder: The exported folder; None: the one in which this package lies.
        threads: Threads of onnxruntime; None: as many as it likes.
        root: Folder against which relative paths of pictures and sounds count; None: the current one.
        allow_outside: Take files outside that folder too, which cells name.
        providers: Of onnxruntime, the first that is there counts.

    Raises:
        ValueError: A file of the folder is missing or is not the one that was exported, or ``plait.json`` is broken.

    Attributes:
        facts: What ``plait.json`` says; ``scale`` and ``bias`` take a score to the logit that was trained.
        modalities: Names of what can be embedded.
    """

    searches = True

    def __init__(
        self, folder: str | Path | None = None, *, threads: int | None = None, root: str | Path | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",), allow_outside: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(folder, threads, root, allow_outside, providers)
        with self.as_exported():
            self._towers = {one["name"]: one for one in self.facts["modalities"]}
            self.modalities = list(self._towers)
            self.space = VectorSpace(self.facts["dim"], self.facts["plain_dim"])
            self._readers = {name: self.reader_of(one) for name, one in self._towers.items()}
            self._columns = {
                name: Columns({column: self.facts["columns"][column] for column in one["columns"]})
                for name, one in self._towers.items()
            }
            for name in self.modalities:
                self.require_sealed(self.facts["graph"][name])
        self._sessions: dict[str, Any] = {}

    def embed(self, rows: Sequence[Row], modality: str, *, batch_size: int = 32) -> Embedded:
        """Unit vectors of one modality of every row.

        Args:
            rows: Column to cell, each; those of other modalities are not read.
            modality: A name of ``modalities``.
            batch_size: Rows at once.

        Raises:
            ValueError: No such modality, or no row has a column of it.
            MissingPackageError: A sound needs soundfile or soxr, which is not installed; an ``ImportError``.
        """
        self._check(modality)
        rows = self.judged(rows, self._columns[modality])
        reader, made, told = self._readers[modality], [np.zeros((0, self.space.dim), np.float32)], []
        batch_size = min(batch_size, self.largest_batch(modality) or batch_size)
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            try:
                arrays, there_B, problems = reader.read(part)
            except MissingPackageError as error:
                raise error.at(start + error.row) from error
            session = self.session_of(modality)
            made.append(session.run(None, feeds_of(session, {modality: arrays}, there_B[:, None]))[0])
            said = dict(problems)
            told += [said.get(i) for i in range(len(part))]
        return Embedded(modality, np.concatenate(made), told)

    def embed_csv(self, file: str | Path, modality: str, *, batch_size: int = 32) -> Embedded:
        """The same of a CSV table (UTF-8, commas), whose paths count from its folder and stay inside it.

        Raises:
            ValueError: It is no such table, or has no column of this modality.
        """
        rows = read_csv(file)
        good = [i for i, row in enumerate(rows) if isinstance(row, dict)]
        with self.beside(file):
            try:
                found = self.embed([rows[i] for i in good], modality, batch_size=batch_size)  # type: ignore[misc]
            except MissingPackageError as error:
                raise error.at(good[error.row]) from error
        vectors = np.zeros((len(rows), self.space.dim), np.float32)
        vectors[good] = found.vectors
        told = iter(found.problems)
        return Embedded(modality, vectors, [next(told) if isinstance(row, dict) else row for row in rows])

    def rank(self, queries: Embedded, candidates: Embedded, *, k: int = 10) -> list[list[dict[str, Any]]]:
        """The k best candidates of every query, best first; those without a vector are never found.

        Args:
            queries: What is looked for, of any modality.
            candidates: What is searched, of the same or another one.
            k: How many.

        Returns:
            For each query ``row`` of the candidate and ``score``: the cosine within a modality, between two the cosine
            corrected for hubs where the model has that. A query without a vector finds nothing.

        Raises:
            ValueError: k is below 1, or vectors of another width.
        """
        if k < 1:
            raise ValueError(f"k is {k}; expected 1 or more")
        for one in (queries, candidates):
            self._check(one.modality)
            if one.vectors.ndim != 2 or one.vectors.shape[1] != self.space.dim:
                raise ValueError(f"vectors of the shape {one.vectors.shape}; expected [N, {self.space.dim}]")
        side = self.modalities.index(queries.modality)
        usable = np.flatnonzero(candidates.vectors.any(axis=1))
        found_ND = candidates.vectors[usable].astype(np.float64)
        hits: list[list[dict[str, Any]]] = []
        for vector_D in queries.vectors:
            if not vector_D.any():
                hits.append([])
                continue
            is_within = queries.modality == candidates.modality
            query = self.space.within(vector_D) if is_within else self.space.across(vector_D, side)
            score_N = found_ND @ query.vector.astype(np.float64) + query.shift
            best = np.argsort(-score_N, kind="stable")[:k]
            hits.append([{"row": int(usable[i]), "score": float(score_N[i])} for i in best])
        return hits

    def session_of(self, modality: str) -> Any:
        """The onnxruntime session of a modality, for inputs that were made elsewhere."""
        if modality not in self._sessions:
            self._sessions[modality] = self.open_graph(self.facts["graph"][modality])
        return self._sessions[modality]

    def largest_batch(self, modality: str) -> int | None:
        """Rows that the graph of a modality takes at once; None: any number."""
        limit: int | None = getattr(self._readers[modality], "largest_batch", None)
        return limit

    def arrays(self, rows: Sequence[Row], modality: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What the graph of a modality is fed with, and where a cell is there [N]."""
        arrays, there_B, _ = self._readers[modality].read(self.judged(rows, self._columns[modality]))
        return arrays, there_B

    def _check(self, modality: str) -> None:
        if modality not in self._towers:
            raise ValueError(f"modality is {modality!r}; expected one of {', '.join(self.modalities)}")
