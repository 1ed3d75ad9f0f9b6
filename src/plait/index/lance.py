"""An index in LanceDB: filters in SQL, approximate search, and tables on object storage. Extra ``lance``.

One Lance table holds an item a row with its vector; items that show the same bytes share the vector and are one hit.
Every commit of Lance is whole; ``index.json`` beside it says what the index is, how far its sources are done, and the
checksums of the table's files (``lance_files``).
Without an approximate index LanceDB looks at every vector; with one, answers may miss some (``benchmarks/ann.py``
measures how many). Scores are computed again from the stored vectors, so they are exact cosines either way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.remote.address import without_secrets
from plait.index.filter_sql import in_sql
from plait.index.folder_reading import damaged
from plait.index.lance_files import compare_files, compare_version, local_place, state_of
from plait.index.lock import write_message
from plait.index.manifest import DamagedIndexError, IndexFolderError, Manifest, read_manifest, write_manifest
from plait.index.storage import CONTENT, ID, KEY, ROW, SOURCE, STATE, Change, Found, Known, View, known_of
from plait.inputs.feature_store.segment import folder_bytes
from plait.registry import Registry

VECTOR = "_vector"
TABLE = "items"
_DISTANCE = "_distance"
_OWN_SOURCE = re.compile(r"[,;]?\s*(?:at )?/\S*(?:\.cargo|rustc)/\S*")  # where in its own code Lance found a fault


@dataclass(frozen=True)
class AnnKind:
    """An approximate index of LanceDB.

    Attributes:
        config: Its class in ``lancedb.index``.
        least: The fewest vectors that it can be trained on.
        settings: What it takes besides the number of partitions.
    """

    config: str
    least: int
    settings: tuple[str, ...] = ()


ANN_KINDS: Registry[AnnKind] = Registry("approximate index")
ANN_KINDS.add("ivf_pq", AnnKind("IvfPq", 256, ("sub_vectors",)))
ANN_KINDS.add("ivf_flat", AnnKind("IvfFlat", 1))
ANN_KINDS.add("hnsw", AnnKind("HnswSq", 1, ("m", "ef_construction")))
_LANCE_NAMES = {"partitions": "num_partitions", "sub_vectors": "num_sub_vectors"}


def connect(uri: str) -> Any:
    """A connection to a folder, or a place on object storage, in which Lance tables lie.

    Raises:
        ImportError: The extra is not installed.
    """
    try:
        import lancedb
    except ImportError as error:
        raise ImportError("a Lance table needs LanceDB; type: pip install plait[lance]") from error
    return lancedb.connect(uri)


class LanceStorage:
    """An index in a Lance table.

    Attributes:
        manifest: What the index is.
        nprobes: Partitions that an approximate search looks into; None leaves it to LanceDB.
        refine: An approximate search takes so many times k and sorts them by exact scores; None leaves it to LanceDB.
        ef: Candidates that an HNSW search keeps; None leaves it to LanceDB.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nprobes: int | None = None
        self.refine: int | None = None
        self.ef: int | None = None
        for attempt in range(5):
            self.manifest = read_manifest(folder)
            try:
                self._open()
                return
            except DamagedIndexError:  # or another process committed between the manifest and the files
                if read_manifest(folder).generation == self.manifest.generation or attempt == 4:
                    raise

    def _open(self) -> None:
        uri = self.manifest.uri or str(self.folder / "lance")
        self._place = local_place(uri)
        database = connect(uri)
        compare_files(self.folder, self._place, self.manifest)
        self._database = database
        try:
            self._table = database.open_table(TABLE) if TABLE in _table_names(database) else None
            compare_version(self.folder, self._table and self._table.version, self.manifest)
            self._known = self._read_known()
        except (OSError, RuntimeError) as error:
            raise damaged(self.folder, f"LanceDB cannot read its table ({str(error)[:200]})") from error
        self._keys = {item.key for item in self._known.values()}

    def _read_known(self) -> dict[str, Known]:
        if self._table is None:
            return {}
        return known_of(self._scan(None, [n for n in (ID, KEY, SOURCE, STATE) if n in self._table.schema.names]))

    def _scan(self, where: str | None, columns: list[str] | None) -> pa.Table:
        """Rows in the order of their source, from the newest state of the table; ``where`` is SQL."""
        assert self._table is not None
        query = self._table.search().limit(max(1, self._table.count_rows()))
        query = query.where(where) if where is not None else query
        query = query.select(columns) if columns is not None else query
        return _asked(where, query.to_arrow)

    def _in_sql(self, where: str) -> str:
        """A filter as LanceDB takes it."""
        return in_sql(where, self._table.schema)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def num_contents(self) -> int:
        """How many different contents."""
        return len(self._keys)

    def known(self) -> dict[str, Known]:
        """Every id."""
        return dict(self._known)

    def has(self, key: str) -> bool:
        """Whether an item shows that content."""
        return key in self._keys

    def rows(self, ids: Sequence[str]) -> list[dict]:
        """The metadata of some items."""
        if not ids or self._table is None:
            return []
        names = [n for n in self._table.schema.names if n != VECTOR]
        found = {row[ID]: row for row in self._scan(_one_of(ID, ids), names).to_pylist()}
        return [found[name] for name in ids]

    def where(self, expression: str) -> list[str]:
        """Ids of the items that fit a filter in SQL."""
        return [] if self._table is None else self._scan(self._in_sql(expression), [ID]).column(ID).to_pylist()

    def commit(self, change: Change, manifest: Manifest) -> None:
        """Change the table in one step, then swap in the manifest.

        Raises:
            IndexFolderError: The place cannot be written; the table stands as it was.
        """
        try:
            if change.items is not None and change.items.num_rows:
                self._upsert(self._with_vectors(change))
            if change.delete and self._table is not None:
                self._table.delete(_one_of(ID, change.delete))
            self._write(manifest)
        except OSError as error:
            raise IndexFolderError(write_message(self.folder, error)) from error
        if change.items is not None:
            self._known.update(known_of(change.items))
        for name in change.delete:
            del self._known[name]
        self._keys = {item.key for item in self._known.values()}

    def _write(self, manifest: Manifest, *, with_files: bool = True) -> None:
        """Swap in a manifest that tells the state of the table as it is now."""
        table = None
        if self._table is not None:
            place = self._place if with_files else None
            table = state_of(place, self._table.version, self.manifest.table)
        self.manifest = replace(manifest, generation=self.manifest.generation + 1, table=table)
        write_manifest(self.folder, self.manifest)

    def _with_vectors(self, change: Change) -> pa.Table:
        assert change.items is not None
        keys = change.items.column(KEY).to_pylist()
        vectors = dict(change.vectors)
        absent = sorted({key for key in keys if key not in vectors})
        if absent:
            found = self._scan(_one_of(KEY, absent), [KEY, VECTOR])
            vectors.update(zip(found.column(KEY).to_pylist(), _matrix(found.column(VECTOR)), strict=True))
        flat = np.stack([vectors[key] for key in keys]).astype(np.float32).reshape(-1)
        kind = pa.list_(pa.float32(), self.manifest.dim)
        return change.items.append_column(VECTOR, pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind))

    def _upsert(self, table: pa.Table) -> None:
        if self._table is None:
            self._table = self._database.create_table(TABLE, table)
            return
        self._table.checkout_latest()
        schema = self._table.schema
        new = [field for field in table.schema if field.name not in schema.names]
        if new:
            self._table.add_columns(new)
            schema = self._table.schema
        columns = {}
        for field in schema:
            if field.name not in table.column_names:
                columns[field.name] = pa.nulls(table.num_rows, field.type)
                continue
            try:
                columns[field.name] = table.column(field.name).cast(field.type)
            except pa.ArrowException as error:
                given = table.schema.field(field.name).type
                raise ValueError(
                    f"column {field.name!r} is {given} here and {field.type} in the index; LanceDB keeps one type a "
                    "column: change the source"
                ) from error
        aligned = pa.table(columns, schema=schema)
        self._table.merge_insert(ID).when_matched_update_all().when_not_matched_insert_all().execute(aligned)

    def search(self, queries_QD: np.ndarray, k: int, where: str | None, device: str) -> list[list[Found]]:
        """The k best contents of each query; exact unless an approximate index was made."""
        if device != "cpu":
            raise ValueError("device= goes with the backend 'exact'; LanceDB searches on the CPU")
        return [self._search_one(query, k, where) for query in queries_QD]

    def _search_one(self, query: np.ndarray, k: int, where: str | None) -> list[Found]:
        if self._table is None:
            return []
        where = None if where is None else self._in_sql(where)
        limit = k + 1
        while True:  # items that share a content are one hit, so more rows may be needed
            asked = self._table.search(query, vector_column_name=VECTOR).distance_type("cosine").limit(limit)
            asked = asked.where(where, prefilter=True) if where is not None else asked
            asked = asked.nprobes(self.nprobes) if self.nprobes is not None else asked
            asked = asked.refine_factor(self.refine) if self.refine is not None else asked
            asked = asked.ef(self.ef) if self.ef is not None else asked
            found = _asked(where, asked.to_arrow)
            if found.num_rows < limit or len(set(found.column(KEY).to_pylist())) > k:
                break
            limit *= 2
        return _by_content(found, query, k)

    def view(self) -> View:
        """Everything, read into memory."""
        if self._table is None:
            return View(pa.table({}), [], np.zeros(0, dtype=bool), self.manifest.space)
        found = self._scan(None, None)
        first: dict[str, int] = {}
        place = [first.setdefault(key, len(first)) for key in found.column(KEY).to_pylist()]
        rows = np.unique(place, return_index=True)[1] if place else np.zeros(0, dtype=np.int64)
        vectors = _matrix(found.column(VECTOR))[rows]
        items = found.drop_columns([VECTOR]).append_column(CONTENT, pa.array(place, pa.int64()))
        return View(items, [vectors], np.ones(len(vectors), dtype=bool), self.manifest.space)

    def compact(self) -> None:
        """Merge small files, take new rows into the approximate index, forget old versions."""
        from datetime import timedelta

        if self._table is not None:
            self._write(self.manifest, with_files=False)  # killed meanwhile, no list names files that are gone
            self._table.optimize(cleanup_older_than=timedelta(hours=1))  # readers may still hold a younger version
            self._write(self.manifest)

    def verify(self) -> list[str]:
        """What does not match its checksum, or cannot be read."""
        try:
            compare_files(self.folder, self._place, self.manifest)
        except DamagedIndexError as error:
            return [str(error)]
        if self._table is None or self._scan(None, None).num_rows == len(self):
            return []
        return ["the Lance table changed beside this index"]

    def num_bytes(self) -> int:
        """The room it takes here; what lies on object storage is not counted."""
        return folder_bytes(self.folder)

    def build_ann(
        self,
        kind: str = "ivf_pq",
        *,
        partitions: int | None = None,
        sub_vectors: int | None = None,
        m: int | None = None,
        ef_construction: int | None = None,
    ) -> None:
        """Make an approximate index, replacing an older one; None leaves a setting to LanceDB.

        Args:
            kind: "ivf_pq", "ivf_flat" or "hnsw".
            partitions: Parts of the space.
            sub_vectors: For ivf_pq: codes a vector; must divide the width.
            m: For hnsw: neighbours a vector.
            ef_construction: For hnsw: candidates kept while building.

        Raises:
            ValueError: No such kind, a setting of another kind, or too few vectors to train it on.
        """
        chosen = ANN_KINDS.get(kind)
        values = {"partitions": partitions, "sub_vectors": sub_vectors, "m": m, "ef_construction": ef_construction}
        given = {name: value for name, value in values.items() if value is not None}
        strange = sorted(set(given) - {"partitions", *chosen.settings})
        if strange:
            raise ValueError(f"{kind} has no setting {strange[0]!r}; it has partitions {' '.join(chosen.settings)}")
        if self._table is None or len(self) < chosen.least:
            raise ValueError(f"the index has {len(self):,} items; {kind} needs {chosen.least:,} or more")
        import lancedb.index

        config = getattr(lancedb.index, chosen.config)
        made = config(distance_type="cosine", **{_LANCE_NAMES.get(name, name): v for name, v in given.items()})
        self._table.create_index(VECTOR, config=made, replace=True)
        self._write(self.manifest)


def _table_names(database: Any) -> list[str]:
    listed = database.list_tables()
    return list(getattr(listed, "tables", listed))


def _asked(where: str | None, run: Any) -> pa.Table:
    """Run a query; a fault of the filter becomes a sentence."""
    try:
        return run()
    except (ValueError, RuntimeError) as error:
        if where is None:
            raise DamagedIndexError(f"the Lance table cannot be read ({lance_words(error)})") from error
        raise ValueError(f"LanceDB cannot use the filter {where!r}: {lance_words(error)}") from error


def lance_words(error: Exception) -> str:
    """What Lance says of a fault, on one line, without secrets and places in its own source."""
    return _OWN_SOURCE.sub("", " ".join(without_secrets(str(error)).split()))[:300]


def _one_of(column: str, values: Sequence[str]) -> str:
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})"


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors as float32 [N, D]."""
    flat = column.combine_chunks()
    return flat.flatten().to_numpy(zero_copy_only=False).reshape(len(flat), flat.type.list_size)


def _by_content(found: pa.Table, query: np.ndarray, k: int) -> list[Found]:
    """Rows as contents, sorted by the exact score, equal ones by id."""
    if not found.num_rows:
        return []
    scores = (_matrix(found.column(VECTOR)).astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    rows = found.drop_columns([n for n in (VECTOR, _DISTANCE) if n in found.column_names]).to_pylist()
    groups: dict[str, list[tuple[float, dict]]] = {}
    for score, row in zip(scores.tolist(), rows, strict=True):
        groups.setdefault(row[KEY], []).append((score, row))
    made = []
    for members in groups.values():
        members.sort(key=lambda member: (member[1][SOURCE], member[1][ROW], member[1][ID]))
        made.append(Found(members[0][0], [row for _, row in members]))
    return sorted(made, key=lambda one: (-one.score, one.items[0][ID]))[:k]
