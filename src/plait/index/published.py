"""An index published as one Lance table, in a folder or on object storage, for searching from anywhere.

``publish`` writes the living items of an index with their vectors to ``PLACE.lance``, a Lance table that other tools
read too, and puts the manifest (with the fingerprint of the model) into the metadata of its schema. What opens
it reads that metadata and no row; a search then reads what Lance needs for it. A published index is not changed in
place: publish again. Credentials and endpoints are those of the environment (``AWS_ENDPOINT_URL`` and so on).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait.data.remote.address import scheme_of, without_secrets
from plait.data.remote.endpoint import check_endpoint
from plait.data.remote.fault import NotFetchedError
from plait.index.filter_as_sql import to_sql
from plait.index.index import Index
from plait.index.lance import VECTOR, LanceStorage, connect, lance_words
from plait.index.manifest import DamagedIndexError, Manifest, manifest_of, manifest_text
from plait.index.storage import CONTENT, ID, KEY, ROW, SOURCE, STATE, Known, View, known_of

SUFFIX = ".lance"
SCHEMES = ("s3", "gs", "az")
CHUNK = 8192  # items that are written at a time
_MANIFEST, _CONTENTS = b"plait.manifest", b"plait.contents"
VERSIONS = "_versions"  # a folder that every Lance table has
OF_LANCE = frozenset({VERSIONS, "_transactions", "_indices", "_deletions", "_latest.manifest", "_refs", "data"})
OF_A_SEARCH = frozenset(
    {VECTOR, "_distance", "_score", "_relevance_score", "_rowid", "_rowaddr"}
)  # names it answers in
_TABLE = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]*")


def check_place(place: str, *, allow_remote: bool) -> tuple[str, str]:
    """The folder and the name of the Lance table that a place stands for.

    Raises:
        ValueError: No name in ``.lance``, a scheme that is not known, or an address that was not allowed.
    """
    shown, scheme = without_secrets(place), scheme_of(place)
    parent, _, name = (place if scheme else str(Path(place).expanduser().absolute())).rpartition("/")
    table = name.removesuffix(SUFFIX)
    if scheme is not None and scheme not in SCHEMES:
        raise ValueError(f"{shown} is no place for an index; type s3://BUCKET/NAME.lance, or gs:// or az://")
    if table == name or not _TABLE.fullmatch(table) or (scheme is not None and parent.endswith(":/")):
        example = f"{scheme}://BUCKET/photos.lance" if scheme else "photos.lance"
        raise ValueError(
            f"{shown} names no Lance table; its last part must end in .lance, with letters, digits, - and _ before it: "
            f"{example}"
        )
    if scheme is not None and "@" in place.split("://", 1)[1].split("/")[0]:
        raise ValueError(f"{shown} holds credentials; leave them to the environment (AWS_ACCESS_KEY_ID and so on)")
    if scheme is not None and not allow_remote:
        raise ValueError(f"{shown} is an address; add allow_remote=True to reach it")
    return parent, table


class PublishedStorage(LanceStorage):
    """The table of a published index; searching needs no list of its ids, so none is read.

    Args:
        place: ``s3://bucket/name.lance``, or a folder ``name.lance``.
        allow_remote: Whether an address may be reached.
    """

    def __init__(self, place: str, *, allow_remote: bool = False) -> None:
        parent, name = check_place(place, allow_remote=allow_remote)
        self.nprobes, self.refine, self.ef = None, None, None
        shown, self.is_address = without_secrets(place), scheme_of(place) is not None
        self.folder = Path(shown if self.is_address else place).expanduser()
        if not self.is_address and not self.folder.is_dir():
            what = "is not a folder" if self.folder.exists() else "does not exist"
            raise FileNotFoundError(f"{shown} {what}; write an index there with plait index publish INDEX {shown}")
        try:
            _check_endpoint(place)
            self._database = connect(parent)
            self._table = self._database.open_table(name)
        except (OSError, RuntimeError, ValueError) as error:
            words = lance_words(error)
            if "not found" in words.lower():
                words = f"there is no published index at {shown}; write it with plait index publish INDEX {shown}"
            else:
                words = f"{shown} cannot be read ({words}){_advice(self.is_address)}"
            raise FileNotFoundError(words) from error
        metadata = self._table.schema.metadata or {}
        if _MANIFEST not in metadata:
            raise ValueError(
                f"{shown} is a Lance table that holds no index; write one with plait index publish INDEX PLACE"
            )
        self.manifest = manifest_of(lambda: metadata[_MANIFEST], shown)
        self._contents, self._place = _contents(metadata, self._table.schema, self.manifest.dim, shown), None

    def _in_sql(self, where: str) -> str:
        """A filter, taken or refused as by the index that this one came from."""
        return to_sql(where, self._table.schema)

    def __len__(self) -> int:
        return int(self._table.count_rows())

    @property
    def num_contents(self) -> int:
        """How many different contents, as they were when it was published."""
        return self._contents

    def known(self) -> dict[str, Known]:
        """Every id; reads them all."""
        return known_of(self._scan(None, [n for n in self._table.schema.names if n != VECTOR]))

    def has(self, key: str) -> bool:
        """Whether an item shows that content; reads them all."""
        return any(item.key == key for item in self.known().values())

    def verify(self) -> list[str]:
        """Lance keeps no checksums; whether every row can be read."""
        try:
            read = len(self._scan(None, None))
        except (OSError, RuntimeError, KeyError, DamagedIndexError) as error:
            return [f"rows of the Lance table cannot be read ({lance_words(error)})"]
        return [] if read == len(self) else ["rows of the Lance table cannot be read"]

    def num_bytes(self) -> int:
        """The room it takes in a folder; what lies on object storage is not counted."""
        return 0 if self.is_address else super().num_bytes()


class PublishedIndex(Index):
    """A published index, open for searching; get one from :func:`plait.index.open_index`."""

    def __init__(self, place: str, model: Any = None, *, allow_remote: bool = False) -> None:
        self.storage = PublishedStorage(place, allow_remote=allow_remote)
        self.folder = Path(without_secrets(place))
        self._given, self._embedder = model, None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Refused.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "a published index is not changed in place; change the index it came from and publish it again with "
            "overwrite=True"
        )
        yield


def publish(index: Index, place: str, *, allow_remote: bool = False, overwrite: bool = False) -> int:
    """See :func:`plait.index.publish_index`."""
    parent, name = check_place(place, allow_remote=allow_remote)
    shown, is_address = without_secrets(place), scheme_of(place) is not None
    if not is_address:
        _check_folder(Path(parent) / f"{name}{SUFFIX}")
    view = index.storage.view()
    if not len(index):
        raise ValueError(f"the index {index.folder} is empty; there is nothing to publish")
    for column in view.items.column_names:
        if column in OF_A_SEARCH or "." in column or "`" in column:
            raise ValueError(
                f"column {column!r} cannot stand in a Lance table; rename it in the source and build the index again"
            )
    batches = _batches(view, index.manifest)
    first = next(batches)

    def every() -> Iterator[pa.RecordBatch]:
        yield first
        yield from batches

    try:
        _check_endpoint(place)
        database = connect(parent)
        mode = "overwrite" if overwrite and not _is_absent(database, name) else "create"
        database.create_table(name, every(), schema=first.schema, mode=mode)
    except (OSError, RuntimeError, ValueError) as error:
        if "already exists" in str(error):
            raise FileExistsError(f"{shown} is there already; add overwrite=True to replace it") from error
        raise OSError(f"{shown} cannot be written ({lance_words(error)}){_advice(is_address)}") from error
    return len(index)


def _check_endpoint(place: str) -> None:
    """Look whether the S3 endpoint that the environment names answers.

    Raises:
        OSError: It does not.
    """
    try:
        if scheme_of(place) == "s3":
            check_endpoint("s3")
    except NotFetchedError as error:
        raise OSError(str(error)) from error


def _is_absent(database: Any, name: str) -> bool:
    """Whether a table is not there; to overwrite it then would make Lance warn on stderr."""
    try:
        database.open_table(name)
    except (OSError, RuntimeError, ValueError) as error:
        return "not found" in str(error).lower()  # what cannot be read is there, and is written over
    return False


def _check_folder(place: Path) -> None:
    """Refuse a local place that is, or lies in, something else than a Lance table.

    Raises:
        ValueError: It is a file, holds other files, or a folder above it is a Lance table.
    """
    around = next(
        (above for above in place.parents if above.name.endswith(SUFFIX) and (above / VERSIONS).exists()), None
    )
    if around is not None:
        raise ValueError(f"{place} lies inside the Lance table {around}; choose a place outside of it")
    if place.exists() and not place.is_dir():
        raise ValueError(f"{place} is a file; choose a new name")
    other = min((p.name for p in place.iterdir() if p.name not in OF_LANCE), default=None) if place.exists() else None
    if other is not None:
        raise ValueError(f"{place} holds other files ({other!r}); choose a new name")


def _batches(view: View, manifest: Manifest) -> Iterator[pa.RecordBatch]:
    """The items with their vectors, some thousands at a time; the schema has the manifest."""
    place = view.items.column(CONTENT).to_numpy()
    items = view.items.drop_columns([CONTENT])
    kept = replace(manifest, backend="lance", uri=None, segments=(), items=(), deleted=None, table=None)
    metadata = {_MANIFEST: manifest_text(kept).encode(), _CONTENTS: str(len(np.unique(place))).encode()}
    kind = pa.list_(pa.float32(), manifest.dim)
    for start in range(0, items.num_rows, CHUNK):
        flat = np.ascontiguousarray(view.take(place[start : start + CHUNK])).reshape(-1)
        part = items.slice(start, CHUNK).append_column(
            VECTOR, pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), type=kind)
        )
        yield from part.replace_schema_metadata(metadata).combine_chunks().to_batches()


def _contents(metadata: dict[bytes, bytes], schema: pa.Schema, dim: int, shown: str) -> int:
    """How many different contents a table says that it has.

    Raises:
        DamagedIndexError: It does not say so, or lacks a column of an index.
    """
    missing = sorted({ID, KEY, SOURCE, ROW, STATE, VECTOR} - set(schema.names))
    count = metadata.get(_CONTENTS, b"").decode("utf-8", "replace")
    reason = None
    if missing:
        reason = f"it lacks the column {missing[0]!r}"
    elif not count.isdigit():
        reason = f"its number of contents is {count!r:.40}"
    elif getattr(schema.field(VECTOR).type, "list_size", None) != dim:
        reason = f"its vectors are {schema.field(VECTOR).type}, expected {dim} numbers each"
    if reason is not None:
        raise DamagedIndexError(
            f"the published index {shown} is damaged: {reason}; publish it again with overwrite=True"
        )
    return int(count)


def _advice(is_address: bool) -> str:
    return "; look at the address, the endpoint and the credentials" if is_address else ""
