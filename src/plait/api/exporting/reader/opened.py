"""An exported folder, opened: its facts checked, its files found unchanged, a reader for each modality.

What stands behind the graph of a folder is :mod:`model` (answers) or :mod:`search` (vectors).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from plait.api.exporting.reader.as_table import Columns, Row
from plait.api.exporting.reader.sealed import FACTS, read_facts, require_sealed
from plait.data.media_folder import MediaFolder

PRESENT = "present"
READERS = {"text": "texts", "image": "pictures", "image_set": "pictures", "tabular": "columns", "vector": "vectors",
           "audio": "sounds"}  # fmt: skip
Arrays = dict[str, dict[str, np.ndarray]]


class OpenedFolder:
    """What all exported folders have in common.

    Args:
        folder: The exported folder; None: the one in which this package lies.
        threads: Threads of onnxruntime; None: as many as it likes.
        root: Folder against which relative paths of pictures and sounds count; None: the current one.
        allow_outside: Take files outside that folder too, which cells name.
        providers: Of onnxruntime, the first that is there counts.

    Raises:
        ValueError: ``plait.json`` is missing or broken, or it is a folder of the other kind.

    Attributes:
        facts: What ``plait.json`` says: columns, classes, processors, versions.
    """

    searches = False

    def __init__(
        self, folder: str | Path | None, threads: int | None, root: str | Path | None, allow_outside: bool,
        providers: Sequence[str],
    ) -> None:  # fmt: skip
        self.folder = Path(__file__).resolve().parent.parent if folder is None else Path(folder)
        self.facts = read_facts(self.folder)
        if (self.facts.get("outputs") == "embeddings") != self.searches:
            wanted, does = ("Model", "answers") if self.searches else ("SearchModel", "searches")
            raise ValueError(
                f"{self.folder} holds a model that {does}; open it with plait_onnx.{wanted}, not {type(self).__name__}"
            )
        self.threads, self.providers = threads, list(providers)
        self.root: Any = MediaFolder(None if root is None else Path(root).absolute(), allow_outside)
        self.judges = True  # False: the rows come from a table that was judged as a whole

    def open_graph(self, graph: str) -> Any:
        """An onnxruntime session of a graph of the folder."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        return onnxruntime.InferenceSession(str(self.folder / graph), options, providers=self.providers)

    def require_sealed(self, graph: str) -> None:
        """Make sure that every file is the one that was exported."""
        require_sealed(self.folder, self.facts, graph)

    @contextmanager
    def as_exported(self) -> Iterator[None]:
        """What ``plait.json`` lacks or has of another type is an error that says so."""
        try:
            yield
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{self.folder / FACTS} is not what was exported ({type(error).__name__}: {error}); export the model "
                "again"
            ) from None

    @contextmanager
    def beside(self, file: str | Path) -> Iterator[None]:
        """Paths count from the folder of a table meanwhile."""
        usual, self.root = self.root, MediaFolder(Path(file).absolute().parent, self.root.allow_outside)
        try:
            yield
        finally:
            self.root = usual

    def judged(self, rows: Sequence[Row], columns: Columns) -> Sequence[Row]:
        """The rows as cells of one table.

        Raises:
            ValueError: They are one row, or have none of the columns.
        """
        if isinstance(rows, Mapping):
            raise ValueError("expected a list of rows, got one row; write [row]")
        return columns.judged(rows) if self.judges else rows

    def reader_of(self, facts: dict[str, Any]) -> Any:
        """The reader of a modality."""
        try:
            module = importlib.import_module(f"{__package__}.{READERS[facts['kind']]}")
        except ModuleNotFoundError as error:
            if not str(error.name).startswith(f"{__package__}."):
                raise  # a package that is to be installed
            raise KeyError(facts["kind"]) from None
        return module.reader(facts, self)


def feeds_of(session: Any, made: Arrays, present_NM: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs of a graph by name; what it does not read is left out."""
    feeds = {f"{name}.{key}": array for name, arrays in made.items() for key, array in arrays.items()}
    feeds[PRESENT] = present_NM
    return {one.name: feeds[one.name] for one in session.get_inputs()}
