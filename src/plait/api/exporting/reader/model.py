"""The graph of an exported folder behind rows of cells: read, run, decided.

In: rows as dictionaries, column to cell, as in a table; a column left out, or an empty cell, is missing. Out: for each
row its prediction and probabilities, and what could not be read of it. Rows that are given together are judged as the
columns of one table. Only numpy and onnxruntime are needed, and tokenizers and Pillow where the model reads texts and
pictures; of sounds, formats other than WAV need soundfile and other rates soxr.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.exporting.reader.as_table import Columns, Row, read_csv
from plait.api.exporting.reader.missing_package import MissingPackageError
from plait.api.exporting.reader.opened import Arrays, OpenedFolder, feeds_of
from plait.api.exporting.reader.sealed import FACTS, GRAPH
from plait.tasks.decisions import class_decisions, label_decisions


class Model(OpenedFolder):
    """An exported model that answers.

    Args:
        folder: The exported folder; None: the one in which this package lies.
        threads: Threads of onnxruntime; None: as many as it likes.
        root: Folder against which relative paths of pictures and sounds count; None: the current one.
        allow_outside: Take files outside that folder too, which cells name.
        graph: Name of the graph in the folder, such as "model.int8.onnx".
        providers: Of onnxruntime, the first that is there counts.

    Raises:
        ValueError: A file of the folder is missing or is not the one that was exported, or ``plait.json`` is broken.

    Attributes:
        facts: What ``plait.json`` says: columns, classes, processors, versions.
        session: The onnxruntime session, for inputs that were made elsewhere.
        largest_batch: Rows that the graph takes at once; None: any number.
    """

    def __init__(
        self, folder: str | Path | None = None, *, threads: int | None = None, root: str | Path | None = None,
        graph: str = GRAPH, providers: Sequence[str] = ("CPUExecutionProvider",), allow_outside: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(folder, threads, root, allow_outside, providers)
        self.require_sealed(graph)
        self.session = self.open_graph(graph)
        with self.as_exported():
            self.columns = Columns(self.facts["columns"])
            self.classes: list[str] = self.facts["classes"]
            self._modalities = [self.reader_of(facts) for facts in self.facts["modalities"]]
            self._check_classes()
            limits = [getattr(one, "largest_batch", None) for one in self._modalities]
            self.largest_batch = min((limit for limit in limits if limit is not None), default=None)

    def feeds(self, rows: Sequence[Row]) -> tuple[dict[str, np.ndarray], list[str | None]]:
        """Inputs of the graph, by name, for some rows, and what could not be read of each row (None: all could).

        Raises:
            ValueError: The rows have none of the model's columns, or are more than the graph takes at once.
        """
        judged = self.judged(rows, self.columns)
        if self.largest_batch is not None and len(judged) > self.largest_batch:
            raise ValueError(
                f"this graph takes {self.largest_batch} row at a time (its clips must be equally long), got "
                f"{len(judged)}"
            )
        return self._feeds(judged)

    def _feeds(self, rows: Sequence[Row]) -> tuple[dict[str, np.ndarray], list[str | None]]:
        made, present_NM, told = self._read(rows)
        return feeds_of(self.session, made, present_NM), told

    def arrays(self, rows: Sequence[Row]) -> tuple[Arrays, np.ndarray]:
        """The same by modality and tensor, those that the graph does not read among them, and what is present."""
        return self._read(self.judged(rows, self.columns))[:2]

    def _read(self, rows: Sequence[Row]) -> tuple[Arrays, np.ndarray, list[str | None]]:
        made: Arrays = {}
        there: list[np.ndarray] = []
        told: list[list[str]] = [[] for _ in rows]
        for facts, reader in zip(self.facts["modalities"], self._modalities, strict=True):
            made[facts["name"]], there_B, problems = reader.read(rows)
            there.append(there_B)
            for row, problem in problems:
                told[row].append(problem)
        present_NM = np.stack(there, axis=1)
        for row in np.flatnonzero(~present_NM.any(axis=1)):
            told[row].append("nothing to read in this row")
        return made, present_NM, ["; ".join(one) or None for one in told]

    def outputs(self, rows: Sequence[Row], *, batch_size: int = 32) -> np.ndarray:
        """Probabilities, or numbers in their unit, [N, C]."""
        return self._run(rows, batch_size)[0]

    def predict(self, rows: Sequence[Row], *, batch_size: int = 32) -> list[dict[str, Any]]:
        """Answers, in the order of the rows.

        Args:
            rows: Column to cell, each; text as in a CSV table. They are judged together: which decimal mark and order
                of day and month a column has, and whether its codes are numbers, all of its cells say.
            batch_size: Rows at once.

        Returns:
            ``prediction``; ``probability`` of it where one class is answered; ``probabilities`` by class or label;
            ``problem``: what could not be read and counts as missing, else None.

        Raises:
            ValueError: The rows have none of the model's columns.
            MissingPackageError: A sound needs soundfile or soxr, which is not installed; an ``ImportError``.
        """
        outputs, problems = self._run(rows, batch_size)
        return [{**answer, "problem": problem} for answer, problem in zip(self.answers(outputs), problems, strict=True)]

    def predict_csv(self, file: str | Path, *, batch_size: int = 32) -> list[dict[str, Any]]:
        """Answers to the rows of a CSV table (UTF-8, commas), whose paths count from its folder and stay inside it.

        Returns:
            As ``predict``; a row that is broken has no ``prediction`` (None), and its ``problem`` says why.

        Raises:
            ValueError: It is no such table, or has none of the model's columns.
        """
        rows = read_csv(file)
        good = [i for i, row in enumerate(rows) if isinstance(row, dict)]
        with self.beside(file):
            try:
                found = iter(self.predict([rows[i] for i in good], batch_size=batch_size))  # type: ignore[misc]
            except MissingPackageError as error:
                raise error.at(good[error.row]) from error
        return [next(found) if isinstance(row, dict) else {"prediction": None, "problem": row} for row in rows]

    def answers(self, outputs_NC: np.ndarray) -> list[dict[str, Any]]:
        """What the outputs of the graph mean, row by row."""
        if self.facts["outputs"] == "number":
            return [{"prediction": float(value)} for value in outputs_NC[:, 0]]
        named = [dict(zip(self.classes, map(float, row), strict=True)) for row in outputs_NC]
        thresholds = self.facts["thresholds"]
        if self.facts["outputs"] == "labels":
            chosen_NC = label_decisions(outputs_NC, thresholds)
            return [
                {"prediction": [self.classes[c] for c in np.flatnonzero(chosen_C)], "probabilities": proba}
                for chosen_C, proba in zip(chosen_NC, named, strict=True)
            ]
        return [
            {"prediction": self.classes[c], "probability": proba[self.classes[c]], "probabilities": proba}
            for c, proba in zip(class_decisions(outputs_NC, thresholds), named, strict=True)
        ]

    def _run(self, rows: Sequence[Row], batch_size: int) -> tuple[np.ndarray, list[str | None]]:
        rows = self.judged(rows, self.columns)
        made, problems = [np.zeros((0, max(1, len(self.classes))))], []
        batch_size = min(batch_size, self.largest_batch or batch_size)
        for start in range(0, len(rows), batch_size):
            try:
                feeds, told = self._feeds(rows[start : start + batch_size])
            except MissingPackageError as error:
                raise error.at(start + error.row) from error
            made.append(self.session.run(None, feeds)[0].astype(np.float64))
            problems += told
        return np.concatenate(made), problems

    def _check_classes(self) -> None:
        """Make sure that the graph has an output for each class.

        Raises:
            ValueError: It has another number of them.
        """
        wanted = 1 if self.facts["outputs"] == "number" else len(self.classes)
        width = self.session.get_outputs()[0].shape[-1]
        thresholds = len(self.facts["thresholds"])
        if (isinstance(width, int) and width != wanted) or (thresholds and thresholds != len(self.classes)):
            raise ValueError(
                f"{self.folder / FACTS} names {len(self.classes)} classes and {thresholds} thresholds, and the graph "
                f"has {width} outputs; export the model again"
            )
