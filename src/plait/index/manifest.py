"""``index.json``: what an index is, which files belong to it, and what went into it.

It is the last file that a commit writes, and it is swapped in whole: a reader sees the state before or the state after.
Files in the folder that it does not name do not exist. It holds its own checksum and those of all files that it names.
"""

from __future__ import annotations

import hashlib
import json
import os
import string
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from plait.data.modality import Modality
from plait.files import temporary_name, write_text
from plait.index.ordinary import read_ordinary
from plait.inference.vector_space import VectorSpace

FORMAT = 2  # 1 had no checksums of the manifest and of segments
NAME = "index.json"
MAX_BAD_ROWS = 1000  # listed one by one in the manifest; all are counted


class IndexFolderError(RuntimeError):
    """The folder of an index cannot be written or read; the message names it and says what to do."""


class DamagedIndexError(ValueError):
    """The files of an index do not agree with its manifest."""


@dataclass(frozen=True)
class Part:
    """A file of the index: its name, rows, size in bytes and sha256."""

    name: str
    num_rows: int
    num_bytes: int
    sha256: str


class SegmentPart(NamedTuple):
    """A folder of vectors: its name, how many, and the sha256 of its ``meta.json``, which has those of its files."""

    name: str
    num_vectors: int
    sha256: str | None = None


class TableState(NamedTuple):
    """A Lance table: its version, and by path within it the size in bytes and sha256 of each file."""

    version: int
    files: dict[str, tuple[int, str]]


@dataclass(frozen=True)
class SourceFact:
    """What one source gave.

    Attributes:
        source: Where it lies, as an absolute path where it is one.
        root: Folder against which the paths in its cells count.
        prefix: Text in front of every id.
        column: Column of the source that holds the modality, where its name is another.
        num_rows: Rows in it when last read.
        done_rows: Rows of it that are dealt with; fewer than num_rows when the build was stopped.
        rows_sha256: Over the ids in order; a source that changed is gone through from its first row.
        num_missing: Rows with nothing in the modality.
        num_bad: Rows that could not be read.
        bad_rows: The first thousand of them: row, reason, state of the file (None: look again).
        id_column: Column that was named for the ids, or None.
    """

    source: str
    root: str | None
    prefix: str
    column: str | None
    num_rows: int
    done_rows: int
    rows_sha256: str
    num_missing: int = 0
    num_bad: int = 0
    bad_rows: tuple[tuple[int, str, str | None], ...] = ()
    id_column: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every row was dealt with."""
        return self.done_rows >= self.num_rows


@dataclass(frozen=True)
class Manifest:
    """The state of an index.

    Attributes:
        fingerprint: Of the model that made the vectors.
        model: Where that model lay, or None; a hint.
        modality: What was embedded.
        dim: Width of the vectors.
        plain_dim: Leading coordinates that, made unit, are the plain direction; see ``space.VectorSpace``.
        backend: "exact" or "lance".
        uri: Where LanceDB keeps the table, None for inside the folder.
        generation: Counts the commits.
        segments: Folders of vectors, in the order of their positions.
        items: Parquet files of items, in order.
        deleted: The file that lists deleted items, or None.
        sources: What went in.
        table: The Lance table; None for an exact index, and where an older Plait wrote it.
    """

    fingerprint: str
    model: str | None
    modality: Modality
    dim: int
    plain_dim: int
    backend: str = "exact"
    uri: str | None = None
    generation: int = 0
    segments: tuple[SegmentPart, ...] = ()
    items: tuple[Part, ...] = ()
    deleted: Part | None = None
    sources: tuple[SourceFact, ...] = ()
    table: TableState | None = None

    @property
    def space(self) -> VectorSpace:
        """What its vectors say."""
        return VectorSpace(self.dim, self.plain_dim)

    @property
    def is_complete(self) -> bool:
        """Whether no build was stopped half way."""
        return all(fact.is_complete for fact in self.sources)

    def with_source(self, number: int, fact: SourceFact) -> Manifest:
        """The manifest with one source replaced, or appended."""
        return replace(self, sources=(*self.sources[:number], fact, *self.sources[number + 1 :]))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Swap in a new manifest; lasting on the disk when this returns.

    Raises:
        OSError: The disk is full or read-only; the old manifest still stands.
    """
    write_text(folder / NAME, manifest_text(manifest), lasting=True, part_name=f"{temporary_name()}.json")


def manifest_text(manifest: Manifest) -> str:
    """A manifest as JSON, with its checksum."""
    values = {"format": FORMAT, "kind": "plait index", **asdict(manifest)}
    values["sha256"] = _checksum(values)
    text = json.dumps(values, indent=1, ensure_ascii=False)
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # a path that is no text
        text = json.dumps(values, indent=1)
    return text


def read_manifest(folder: Path) -> Manifest:
    """Read ``index.json``.

    Raises:
        FileNotFoundError: No index there.
        DamagedIndexError: It cannot be read, it does not match its checksum, or a later Plait wrote it.
    """
    path = folder / NAME
    if not os.path.lexists(path):
        what = "holds no index.json" if folder.is_dir() else "is not a folder" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"{folder} {what}; make an index with plait index build MODEL SOURCE -o {folder}")
    return manifest_of(lambda: read_ordinary(path), str(path))


def manifest_of(read: Callable[[], str | bytes], path: str) -> Manifest:
    """The manifest of a text.

    Args:
        read: Gives it.
        path: Where it stands, for messages.

    Raises:
        DamagedIndexError: As :func:`read_manifest`.
    """
    try:
        values = json.loads(read())
        found = values.pop("format")
        if type(found) is not int or not 1 <= found <= FORMAT:
            raise DamagedIndexError(
                f"{path} has format {found!r:.80}; this Plait reads formats 1 to {FORMAT}: update Plait"
            )
        checksum = values.pop("sha256") if found > 1 else None
        if _text(values, "kind") != "plait index":
            raise ValueError(f"'kind' is {values['kind']!r:.80}; expected 'plait index'")
        whole = {"format": found, **values}
        made = _manifest(values)
        if found > 1 and checksum != _checksum(whole):
            raise ValueError("it does not match its checksum")
        return made
    except DamagedIndexError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise DamagedIndexError(f"{path} is damaged ({reason}); restore it from a copy, or build again") from error


def _checksum(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _manifest(values: dict[str, Any]) -> Manifest:
    """The manifest of the values of a file; whatever is of another type or out of its range raises."""
    modality, deleted, uri = values["modality"], values["deleted"], values.get("uri")
    made = Manifest(
        fingerprint=_text(values, "fingerprint"),
        model=_text_or_none(values, "model"),
        modality=Modality(_text(modality, "name"), _text(modality, "kind"), tuple(_texts(modality, "columns"))),
        dim=_count(values, "dim"),
        plain_dim=_count(values, "plain_dim"),
        backend=_text(values, "backend"),
        uri=None if uri is None else _text(values, "uri"),
        generation=_count(values, "generation"),
        segments=tuple(_segment(entry) for entry in _list(values, "segments")),
        items=tuple(_part(part) for part in _list(values, "items")),
        deleted=None if deleted is None else _part(deleted),
        sources=tuple(_source(fact) for fact in _list(values, "sources")),
        table=None if values.get("table") is None else _table(values["table"]),
    )
    _ = made.space  # refuses widths that do not fit together
    return made


def _segment(entry: Any) -> SegmentPart:
    if not isinstance(entry, list) or len(entry) not in (2, 3):
        raise ValueError(f"a segment is {entry!r:.80}; expected its name, number of vectors and sha256")
    named = dict(zip(("name", "num_vectors", "sha256"), entry, strict=False))
    sha256 = None if named.get("sha256") is None else _sha256(named)  # None: written before there were checksums
    return SegmentPart(_file_name(named), _count(named, "num_vectors"), sha256)


def _table(state: Any) -> TableState:
    if not isinstance(state, list) or len(state) != 2 or not isinstance(state[1], dict):
        raise ValueError(f"'table' is {state!r:.80}; expected the version of a Lance table and its files")
    files = {}
    for name, fact in state[1].items():
        if not isinstance(fact, list) or len(fact) != 2 or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"a file of the Lance table is {name!r:.80}: {fact!r:.80}; expected its size and sha256")
        named = {"num_bytes": fact[0], "sha256": fact[1]}
        files[name] = (_count(named, "num_bytes"), _sha256(named))
    return TableState(_count({"version": state[0]}, "version"), files)


def _part(part: Any) -> Part:
    return Part(_file_name(part), _count(part, "num_rows"), _count(part, "num_bytes"), _sha256(part))


def _source(fact: Any) -> SourceFact:
    bad = []
    for entry in _list(fact, "bad_rows"):
        if not isinstance(entry, list) or len(entry) not in (2, 3):
            raise ValueError(f"a bad row is {entry!r:.80}; expected its number, reason and file state")
        named = {"row": entry[0], "reason": entry[1], "state": entry[2] if len(entry) == 3 else None}
        bad.append((_count(named, "row"), _text(named, "reason"), _text_or_none(named, "state")))
    return SourceFact(
        source=_text(fact, "source"), root=_text_or_none(fact, "root"), prefix=_text(fact, "prefix"),
        column=_text_or_none(fact, "column"), num_rows=_count(fact, "num_rows"), done_rows=_count(fact, "done_rows"),
        rows_sha256=_sha256(fact, "rows_sha256"), num_missing=_count(fact, "num_missing"),
        num_bad=_count(fact, "num_bad"), bad_rows=tuple(bad),
        id_column=_text_or_none({"id_column": None, **fact}, "id_column"),
    )  # fmt: skip


def _value(values: Any, key: str, kind: type, expected: str) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{values!r:.80} stands where an object with {key!r} is expected")
    if type(values[key]) is not kind:
        raise ValueError(f"{key!r} is {values[key]!r:.80}; expected {expected}")
    return values[key]


def _text(values: Any, key: str) -> str:
    found: str = _value(values, key, str, "text")
    return found


def _text_or_none(values: Any, key: str) -> str | None:
    return None if isinstance(values, dict) and values[key] is None else _text(values, key)


def _list(values: Any, key: str) -> list[Any]:
    found: list[Any] = _value(values, key, list, "a list")
    return found


def _texts(values: Any, key: str) -> list[str]:
    found = _list(values, key)
    if not found or not all(isinstance(name, str) for name in found):
        raise ValueError(f"{key!r} is {found!r:.80}; expected a list of names")
    return found


def _count(values: Any, key: str) -> int:
    found: int = _value(values, key, int, "a whole number of 0 or more")
    if not 0 <= found < 2**62:
        raise ValueError(f"{key!r} is {found!r:.80}; expected a whole number of 0 or more")
    return found


def _sha256(values: Any, key: str = "sha256") -> str:
    found = _text(values, key)
    if len(found) != 64 or not set(found) <= set(string.hexdigits):
        raise ValueError(f"{key!r} is {found!r:.80}; expected 64 hexadecimal digits")
    return found


def _file_name(values: Any) -> str:
    name = _text(values, "name")
    if Path(name).name != name or name in ("", ".", "..") or "\0" in name:
        raise ValueError(f"it names the file {name!r:.80} outside the index")
    return name
