"""An index: embedded items that can be searched, added to, updated and evaluated.

The index remembers the fingerprint of the model that made its vectors. Another model's queries would give scores
without meaning, so they are refused. Opening and searching take no lock; whatever writes holds the folder's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plait.api.watching import Progress, WatchedBy, watched
from plait.files import given_path
from plait.index.backends import BACKENDS
from plait.index.embedder import Embedder, check_model, load_embedder, pick_modality
from plait.index.folder import FolderStorage
from plait.index.hit import Hit, hits_of
from plait.index.ids import spelling
from plait.index.intake import BLOCK
from plait.index.intake import take_in as intake
from plait.index.intake_report import Intake
from plait.index.lock import write_lock, write_message
from plait.index.manifest import IndexFolderError, Manifest, read_manifest
from plait.index.query import as_query, make_query
from plait.index.source import IndexSource, name_of, read_source
from plait.index.storage import Change, Found
from plait.inference.vector_space import Query

if TYPE_CHECKING:
    from plait.index.duplicates import DuplicateGroup
    from plait.index.move import MoveReport

MANY_SEGMENTS = 64  # a build that leaves more is compacted at its end
DEFAULT_K = 12


class Index:
    """An open index; get one from :func:`plait.index.open_index` or :func:`build_index`.

    Attributes:
        folder: Where it lies.
        storage: What keeps its items.
    """

    def __init__(self, folder: Path, model: Any = None) -> None:
        self.folder = folder
        self.storage = BACKENDS.get(read_manifest(folder).backend)(folder)
        self._given, self._embedder = model, None

    def __len__(self) -> int:
        return len(self.storage)

    @property
    def manifest(self) -> Manifest:
        """What the index is."""
        return self.storage.manifest

    @property
    def embedder(self) -> Embedder:
        """The model, loaded on first use.

        Raises:
            ValueError: It is another model than the one that built the index, or none is known.
        """
        if self._embedder is None:
            given = self._given if self._given is not None else self.manifest.model
            if given is None:
                raise ValueError(f"the index {self.folder} does not know where its model lies; name it with model=")
            if self._given is None and not Path(given).is_dir():
                raise ValueError(f"the model of the index {self.folder} is no longer at {given}; name it with model=")
            self._embedder = check_model(load_embedder(given), self.manifest, given, self.folder)
        return self._embedder

    def search(
        self,
        text: str | None = None,
        *,
        image: Any = None,
        k: int = DEFAULT_K,
        where: str | None = None,
        weight: float = 0.5,
        device: str = "cpu",
        text_modality: str | None = None,
        image_modality: str | None = None,
    ) -> list[Hit]:
        """The k contents nearest to a text, a picture, or both.

        Args:
            text: In words.
            image: A path or bytes.
            k: How many hits; a smaller index gives all it has.
            where: Filter over metadata (:mod:`plait.index.filter`; with the backend "lance" its SQL).
            weight: With both, the share of the text, 0 to 1.
            device: Where scores are computed.
            text_modality: Which text modality of the model, where it has several.
            image_modality: Which image modality of the model.

        Raises:
            ValueError: No query, one that cannot be embedded, a filter that cannot be read, or another model.
        """
        query = self.query(text, image=image, weight=weight, text_modality=text_modality, image_modality=image_modality)
        return self.search_queries([query], k=k, where=where, device=device)[0]

    def query(self, text: str | None = None, **how: Any) -> Query:
        """A query made once, to search with or to ask what its scores are; see :func:`plait.index.query.make_query`."""
        return make_query(self.embedder, self.manifest.modality, text=text, **how)

    def search_queries(
        self, queries: Sequence[Query], *, k: int = DEFAULT_K, where: str | None = None, device: str = "cpu"
    ) -> list[list[Hit]]:
        """The k best contents for each of many queries; see :meth:`search`.

        Raises:
            ValueError: Another width than the index has, or k below 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; expected 1 or more hits")
        if not queries or not len(self):
            return [[] for _ in queries]
        vectors = np.stack([query.vector for query in queries])
        every = self.storage.search(vectors, k, where, device)
        return [
            hits_of([replace(one, score=one.score + query.shift) for one in found], self.manifest)
            for found, query in zip(every, queries, strict=True)
        ]

    def search_vectors(
        self, queries_QD: np.ndarray, *, modality: str | None = None, k: int = DEFAULT_K, where: str | None = None,
        device: str = "cpu",
    ) -> list[list[Hit]]:  # fmt: skip
        """The k best contents for each of many query vectors [Q, D].

        Args:
            queries_QD: Vectors of the model, or any of that width.
            modality: The modality of which they are: scores are then those of :meth:`search`. None: scores are inner
                products with the stored vectors as they are.
            k: How many hits.
            where: As for :meth:`search`.
            device: As for :meth:`search`.

        Raises:
            ValueError: Another width than the index has, no such modality, or k below 1.
        """
        queries = np.asarray(queries_QD, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.manifest.dim:
            raise ValueError(f"the queries are {queries.shape}; this index needs [Q, {self.manifest.dim}]")
        if modality is None:
            made = [Query(vector) for vector in queries]
        else:
            named = pick_modality(self.embedder, modality, "")
            made = [as_query(self.embedder, self.manifest.modality, named, vector) for vector in queries]
        return self.search_queries(made, k=k, where=where, device=device)

    @watched
    def add(self, source: Any, *, check: bool = False, progress: WatchedBy = None, on_bad_row: str = "skip",
            block: int = BLOCK, prefix: str = "", **reading: Any) -> Intake:  # fmt: skip
        """Add a further source, or take up what changed in one that is there; the rest is passed over.

        Items of that source that were deleted from the index are added again.

        Args:
            source: As in :func:`build_index`.
            check: Hash every file; otherwise only those of another size or time of change than when embedded.
            progress: Called with (done, total, what).
            on_bad_row: "skip" or "error".
            block: Rows a commit.
            prefix: Text in front of every id.
            reading: As in :func:`build_index`.

        Raises:
            ValueError: As :func:`build_index`, or an id that stands for another content of another source.
            IndexFolderError: The folder cannot be written, or another process writes.
        """
        made = read_source(source, self.manifest.modality, prefix=prefix, **self.remembered(source, reading))
        with self.writing():
            number = self.number_of(made.source)
            number = len(self.manifest.sources) if number is None else number
            return self.take_in(made, number, check=check, progress=progress, on_bad_row=on_bad_row, block=block)

    @watched
    def update(self, source: Any, *, prune: bool = False, progress: WatchedBy = None, on_bad_row: str = "skip",
               block: int = BLOCK, **reading: Any) -> Intake:  # fmt: skip
        """Go through a source again: new rows are added, changed contents embedded anew, changed metadata replaced.

        Args:
            source: A source that is in the index.
            prune: Delete items that came from it and that it no longer has.
            progress: Called with (done, total, what).
            on_bad_row: "skip" or "error"; an item whose row cannot be read now stays as it was.
            block: Rows a commit.
            reading: As in :func:`build_index`: id, format, encoding, annotations, allow_outside, allow_remote.

        Raises:
            ValueError: The index was not built from that source.
        """
        shown = name_of(source)
        number = self.number_of(shown)
        if number is None:
            known = ", ".join(fact.source for fact in self.manifest.sources) or "none"
            raise ValueError(
                f"{shown} is no source of this index; known: {known}. Type plait index add for a new one, or plait "
                "index move INDEX OLD NEW where a known one lies there now"
            )
        fact = self.manifest.sources[number]
        reading = {"prefix": fact.prefix, **{n: v for n, v in reading.items() if v is not None}}
        made = read_source(source, self.manifest.modality, **self.remembered(source, reading))
        with self.writing():
            return self.take_in(
                made, number, is_update=True, prune=prune, progress=progress, on_bad_row=on_bad_row, block=block
            )

    def delete(self, ids: Sequence[str] | str = (), *, where: str | None = None) -> int:
        """Delete items by id or by a filter; returns how many went.

        Raises:
            ValueError: An id that is not there (nothing is deleted then), or nothing named.
        """
        ids = [ids] if isinstance(ids, str) else list(ids)
        if not ids and where is None:
            raise ValueError("nothing is named to delete; give id=ID, or where= with a filter")
        with self.writing():
            known = self.storage.known()
            ids = [spelling(name, known) for name in ids]
            unknown = [name for name in ids if name not in known]
            if unknown:
                raise ValueError(
                    f"{len(unknown)} ids are not in the index, {unknown[0]!r} for one; nothing was deleted"
                )
            doomed = dict.fromkeys([*ids, *(self.storage.where(where) if where is not None and len(self) else [])])
            if doomed:
                self.storage.commit(Change(delete=list(doomed)), self.manifest)
        return len(doomed)

    def move(self, old: str | Path, new: str | Path, *, dry_run: bool = False) -> MoveReport:
        """Take up that the files under one folder lie under another now; see :func:`plait.index.move.move`.

        Args:
            old: The folder that was; it need not be there any more.
            new: The folder that is.
            dry_run: Look for the files, and write nothing.

        Raises:
            ValueError: Nothing of the index lies under ``old``, ``new`` is not there, or none of the files is.
            IndexFolderError: The folder cannot be written, or another process writes.
        """
        old, new = given_path(old, "old", example="/old/photos"), given_path(new, "new", example="/new/photos")
        from plait.index.move import move

        if dry_run:
            return move(self.storage, old, new, dry_run=True)
        with self.writing():
            return move(self.storage, old, new)

    def compact(self) -> tuple[int, int]:
        """Give back the room of deleted items and merge small files; returns the bytes taken before and after."""
        before = self.storage.num_bytes()
        with self.writing():
            self.storage.compact()
        return before, self.storage.num_bytes()

    def tune(self, **options: int | None) -> None:
        """How the searches that follow are made, with LanceDB: ``nprobes``, ``refine`` and ``ef``; None leaves one.

        Raises:
            ValueError: The backend knows no such option.
        """
        for name, value in options.items():
            if value is not None:
                if not hasattr(self.storage, name):
                    raise ValueError(f"--{name} goes with an index of the backend 'lance'; this one searches exactly")
                setattr(self.storage, name, value)

    def build_ann(self, kind: str = "ivf_pq", **settings: Any) -> None:
        """Make an approximate index; see :meth:`plait.index.lance.LanceStorage.build_ann`.

        Raises:
            ValueError: The backend is not "lance", no such kind, or too few items.
        """
        if not hasattr(self.storage, "build_ann"):
            raise ValueError(
                "this index searches exactly; an approximate one needs plait index build with backend='lance'"
            )
        with self.writing():
            self.storage.build_ann(kind, **settings)

    def near_duplicates(self, threshold: float = 0.95, *, progress: Progress | None = None) -> Any:
        """Groups of contents that are alike; see :func:`plait.index.duplicates.near_duplicates`."""
        from plait.index.duplicates import near_duplicates

        return near_duplicates(self.storage.view(), threshold, progress=progress)

    def hits_page(self, hits: Sequence[Hit], query: Query, **asked: Any) -> str:
        """The HTML of a search; ``asked`` is text, image, filter and weight as for :meth:`search`, and the language."""
        from plait.index.page import hits_page

        return hits_page(
            hits, items=len(self), index=self.folder.name, measure=query.measure,
            shows_pictures=self.manifest.modality.kind == "image", **asked,
        )  # fmt: skip

    def duplicates_page(self, groups: Sequence[DuplicateGroup], threshold: float, lang: str = "en") -> str:
        """The HTML of what :meth:`near_duplicates` found."""
        from plait.index.page import duplicates_page

        rows = self.storage.rows([name for group in groups for name in group.ids])
        shown = {hit.id: hit for hit in hits_of([Found(0.0, [row]) for row in rows], self.manifest)}
        return duplicates_page(
            groups, shown, threshold, self.folder.name, shows_pictures=self.manifest.modality.kind == "image", lang=lang
        )

    def knn(
        self, label: str, *, k: int = 10, table: Any = None, progress: Progress | None = None, **reading: Any
    ) -> Any:
        """How well neighbours tell a label; see :func:`plait.index.knn.knn_leave_one_out`.

        Args:
            label: Metadata column with the labels.
            k: How many neighbours vote.
            table: A labelled source to evaluate on; None leaves out one of the index's own contents at a time.
            progress: Called with (done, total, what).
            reading: For ``table``, as in :func:`build_index`.
        """
        from plait.index.knn import knn_leave_one_out, knn_on_table

        if table is None:
            return knn_leave_one_out(self.storage.view(), label, k, progress=progress)
        made = read_source(table, self.manifest.modality, **reading)
        return knn_on_table(self.storage.view(), self.embedder, self.manifest.modality, made, label, k)

    def zero_shot(self, label: str, *, template: str = "{}", text_modality: str | None = None) -> Any:
        """How well the names of the labels, as texts, tell the items apart; see :func:`plait.index.knn.zero_shot`."""
        from plait.index.knn import zero_shot

        return zero_shot(self.storage.view(), self.embedder, self.manifest.modality, label, template, text_modality)

    def probe(self, label: str, *, folds: int = 5, seed: int = 0) -> Any:
        """How well a linear model on the vectors tells a label; see :func:`plait.index.knn.linear_probe`."""
        from plait.index.knn import linear_probe

        return linear_probe(self.storage.view(), label, folds, seed)

    def info(self, *, verify: bool = False) -> dict[str, Any]:
        """What the index holds, as JSON values; with ``verify`` every checksum is computed again."""
        from plait.index.info import describe

        return describe(self.storage, self.folder, verify=verify)

    def use(self, embedder: Embedder) -> None:
        """Take a loaded model for the queries; it is the one that built the index."""
        self._embedder = embedder

    def number_of(self, source: str) -> int | None:
        """The number of a source in the manifest, or None."""
        return next((i for i, fact in enumerate(self.manifest.sources) if fact.source == source), None)

    def remembered(self, source: Any, reading: dict[str, Any]) -> dict[str, Any]:
        """How a known source was read before, where nothing else is said now: its columns of ids and of contents."""
        number = self.number_of(name_of(source))
        if number is None:
            return reading
        fact = self.manifest.sources[number]
        said = {name: value for name, value in reading.items() if value is not None}
        return {"id": fact.id_column, "column": fact.column, **said}

    def take_in(self, source: IndexSource, number: int, **how: Any) -> Intake:
        """Take a source in, under the lock; see :func:`plait.index.intake.take_in`."""
        report = intake(self.storage, self.embedder, source, number=number, **how)
        if len(self.manifest.segments) > MANY_SEGMENTS:
            self.storage.compact()
        return report

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock, on the newest state, free of what killed writers left."""
        with write_lock(self.folder):
            if read_manifest(self.folder).generation != self.manifest.generation:
                self.storage = BACKENDS.get(self.manifest.backend)(self.folder)
            if isinstance(self.storage, FolderStorage):
                try:
                    self.storage.sweep()
                except OSError as error:
                    raise IndexFolderError(write_message(self.folder, error)) from error
            yield
