"""The graph of an exported folder behind rows of cells: read, run, decided.

In: rows as dictionaries, column to cell, as in a table; a column left out, or an empty cell, is missing. Out: for each
row its prediction and probabilities, and what could not be read of it. Only numpy and onnxruntime are needed, and
tokenizers and Pillow where the model reads texts and pictures.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plait.tasks.decisions import class_decisions, label_decisions

FACTS, GRAPH, PRESENT = "plait.json", "model.onnx", "present"
READERS = {"text": "texts", "image": "pictures", "image_set": "pictures", "tabular": "columns", "vector": "vectors",
           "audio": "sounds"}  # fmt: skip
Row = Mapping[str, Any]


class Model:
    """An exported model.

    Args:
        folder: The exported folder; None: the one in which this package lies.
        threads: Threads of onnxruntime; None: as many as it likes.
        root: Folder against which relative paths of pictures and sounds count; None: the current one.
        graph: Name of the graph in the folder, such as "model.int8.onnx".
        providers: Of onnxruntime, the first that is there counts.

    Raises:
        ValueError: A file of the folder is missing or is not the one that was exported.

    Attributes:
        facts: What ``plait.json`` says: columns, classes, processors, versions.
        session: The onnxruntime session, for inputs that were made elsewhere.
    """

    def __init__(
        self, folder: str | Path | None = None, *, threads: int | None = None, root: str | Path | None = None,
        graph: str = GRAPH, providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:  # fmt: skip
        self.folder = Path(__file__).resolve().parent.parent if folder is None else Path(folder)
        self.facts = json.loads((self.folder / FACTS).read_text(encoding="utf-8"))
        self._check_files()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(self.folder / graph), options, providers=list(providers))
        self.root = None if root is None else Path(root)
        self.classes: list[str] = self.facts["classes"]
        self._wanted = {one.name for one in self.session.get_inputs()}
        self._modalities = [self._reader(facts) for facts in self.facts["modalities"]]

    def feeds(self, rows: Sequence[Row]) -> tuple[dict[str, np.ndarray], list[str | None]]:
        """Inputs of the graph, by name, for some rows, and what could not be read of each row (None: all could)."""
        made, present_NM, told = self._read(rows)
        feeds = {f"{name}.{key}": array for name, arrays in made.items() for key, array in arrays.items()}
        feeds[PRESENT] = present_NM
        return {name: feeds[name] for name in self._wanted}, told

    def arrays(self, rows: Sequence[Row]) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray]:
        """The same by modality and tensor, those that the graph does not read among them, and what is present."""
        return self._read(rows)[:2]

    def _read(self, rows: Sequence[Row]) -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray, list[str | None]]:
        made: dict[str, dict[str, np.ndarray]] = {}
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
            rows: Column to cell, each.
            batch_size: Rows at once.

        Returns:
            ``prediction``; ``probability`` of it where one class is answered; ``probabilities`` by class or label;
            ``problem``: what could not be read and counts as missing, else None.
        """
        outputs, problems = self._run(rows, batch_size)
        return [{**answer, "problem": problem} for answer, problem in zip(self.answers(outputs), problems, strict=True)]

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
        if isinstance(rows, Mapping):
            raise ValueError("expected a list of rows, got one row; write [row]")
        made, problems = [np.zeros((0, max(1, len(self.classes))))], []
        for start in range(0, len(rows), batch_size):
            feeds, told = self.feeds(rows[start : start + batch_size])
            made.append(self.session.run(None, feeds)[0].astype(np.float64))
            problems += told
        return np.concatenate(made), problems

    def _reader(self, facts: dict[str, Any]) -> Any:
        module = importlib.import_module(f"{__package__}.{READERS[facts['kind']]}")
        return module.reader(facts, self)

    def _check_files(self) -> None:
        for name, expected in self.facts["sha256"].items():
            path = self.folder / name
            if not path.is_file():
                raise ValueError(f"{path} is missing; export the model again")
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise ValueError(f"{path} is not the file that was exported (sha256 {found[:12]}, not {expected[:12]})")
