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
from plait.index.index import Index
from plait.index.lance import VECTOR, LanceStorage, connect
from plait.index.manifest import Manifest, manifest_of, manifest_text
from plait.index.storage import CONTENT, Known, View, known_of

SUFFIX = ".lance"
SCHEMES = ("s3", "gs", "az")
CHUNK = 8192  # items that are written at a time
_MANIFEST, _CONTENTS = b"plait.manifest", b"plait.contents"
_TABLE = re.compile(r"[A-Za-z0-9_.\-]+")


def check_place(place: str, *, allow_remote: bool) -> tuple[str, str]:
    """The folder and the name of the Lance table that a place stands for.

    Raises:
        ValueError: No name in ``.lance``, a scheme that is not known, or an address that was not allowed.
    """
    shown, scheme = without_secrets(place), scheme_of(place)
    parent, _, name = (place if scheme else str(Path(place).absolute())).rpartition("/")
    table = name.removesuffix(SUFFIX)
    if scheme is not None and scheme not in SCHEMES:
        raise ValueError(f"{shown} is no place for an index; type s3://BUCKET/NAME.lance, or gs:// or az://")
    if table == name or not _TABLE.fullmatch(table) or (scheme is not None and parent.endswith(":/")):
        example = f"{scheme}://BUCKET/photos.lance" if scheme else "photos.lance"
        raise ValueError(
            f"{shown} names no Lance table; its last part must end in .lance, with letters, digits, - and _ before it: "
            f"{example}"
        )
    if scheme is not None and not allow_remote:
        raise ValueError(f"{shown} is an address; add --allow-remote (allow_remote=True) to reach it")
    return parent, table


class PublishedStorage(LanceStorage):
    """The table of a published index; searching needs no list of its ids, so none is read.

    Args:
        place: ``s3://bucket/name.lance``, or a folder ``name.lance``.
        allow_remote: Whether an address may be reached.
    """

    def __init__(self, place: str, *, allow_remote: bool = False) -> None:
        parent, name = check_place(place, allow_remote=allow_remote)
        self.folder, self.nprobes, self.refine, self.ef = Path(place), None, None, None
        shown = without_secrets(place)
        if "://" not in place and not Path(place).is_dir():
            raise FileNotFoundError(f"{shown} does not exist; write it with plait index publish INDEX {shown}")
        try:
            self._database = connect(parent)
            self._table = self._database.open_table(name)
        except (OSError, RuntimeError, ValueError) as error:
            raise FileNotFoundError(_unreachable(shown, error)) from error
        metadata = self._table.schema.metadata or {}
        if _MANIFEST not in metadata:
            raise ValueError(
                f"{shown} is a Lance table that holds no index; write one with plait index publish INDEX PLACE"
            )
        self.manifest = manifest_of(lambda: metadata[_MANIFEST], shown)
        self._contents, self._place = int(metadata[_CONTENTS]), None

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
        return [] if len(self._scan(None, None)) == len(self) else ["rows of the Lance table cannot be read"]

    def num_bytes(self) -> int:
        """The room it takes in a folder; what lies on object storage is not counted."""
        return 0 if "://" in str(self.folder) else super().num_bytes()


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
            "a published index is not changed in place; change the index it came from, then type plait index publish "
            "INDEX PLACE --overwrite"
        )
        yield


def publish(index: Index, place: str, *, allow_remote: bool = False, overwrite: bool = False) -> int:
    """See :func:`plait.index.publish_index`."""
    parent, name = check_place(place, allow_remote=allow_remote)
    view = index.storage.view()
    if not len(index):
        raise ValueError(f"the index {index.folder} is empty; there is nothing to publish")
    batches = _batches(view, index.manifest)
    first = next(batches)
    shown = without_secrets(place)

    def every() -> Iterator[pa.RecordBatch]:
        yield first
        yield from batches

    try:
        database = connect(parent)
        database.create_table(name, every(), schema=first.schema, mode="overwrite" if overwrite else "create")
    except (OSError, RuntimeError, ValueError) as error:
        if "already exists" in str(error):
            raise FileExistsError(
                f"{shown} is there already; add --overwrite (overwrite=True) to replace it"
            ) from error
        raise OSError(_unreachable(shown, error)) from error
    return len(index)


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


def _unreachable(shown: str, error: Exception) -> str:
    words = " ".join(without_secrets(str(error)).split())
    if "was not found" in words or "not found" in words.lower()[:80]:
        return f"there is no published index at {shown}; write it with plait index publish INDEX {shown}"
    return f"{shown} cannot be reached ({words[:200]}); look at the address, the endpoint and the credentials"
