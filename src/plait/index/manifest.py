"""``index.json``: what an index is, which files belong to it, and what went into it.

It is the last file that a commit writes, and it is swapped in whole: a reader sees the state before or the state after.
Files in the folder that it does not name do not exist.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from plait.data.modality import Modality
from plait.files import temporary_name, write_text
from plait.index.space import VectorSpace

FORMAT = 1
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
        bad_rows: The first thousand of them: row, reason.
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
    bad_rows: tuple[tuple[int, str], ...] = ()

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
        segments: Folders of vectors and how many vectors each holds, in the order of their positions.
        items: Parquet files of items, in order.
        deleted: The file that lists deleted items, or None.
        sources: What went in.
    """

    fingerprint: str
    model: str | None
    modality: Modality
    dim: int
    plain_dim: int
    backend: str = "exact"
    uri: str | None = None
    generation: int = 0
    segments: tuple[tuple[str, int], ...] = ()
    items: tuple[Part, ...] = ()
    deleted: Part | None = None
    sources: tuple[SourceFact, ...] = ()

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
    values = {"format": FORMAT, "kind": "plait index", **asdict(manifest)}
    text = json.dumps(values, indent=1, ensure_ascii=False)
    write_text(folder / NAME, text, lasting=True, part_name=f"{temporary_name()}.json")


def read_manifest(folder: Path) -> Manifest:
    """Read ``index.json``.

    Raises:
        FileNotFoundError: No index there.
        DamagedIndexError: It cannot be read, or a later Plait wrote it.
    """
    path = folder / NAME
    if not path.is_file():
        what = "holds no index.json" if folder.is_dir() else "does not exist"
        raise FileNotFoundError(f"{folder} {what}; make an index with plait index build MODEL SOURCE -o {folder}")
    try:
        values = json.loads(path.read_bytes())
        found = values.pop("format")
        values.pop("kind")
        if found != FORMAT:
            raise DamagedIndexError(f"{path} has format {found}; this Plait reads format {FORMAT}: update Plait")
        return _manifest(values)
    except DamagedIndexError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DamagedIndexError(f"{path} is damaged ({reason}); restore it from a copy, or build again") from error


def _manifest(values: dict[str, Any]) -> Manifest:
    modality, deleted = values.pop("modality"), values.pop("deleted")
    made = Manifest(
        modality=Modality(modality["name"], modality["kind"], tuple(modality["columns"])),
        segments=tuple((str(name), int(count)) for name, count in values.pop("segments")),
        items=tuple(Part(**part) for part in values.pop("items")),
        deleted=None if deleted is None else Part(**deleted),
        sources=tuple(
            SourceFact(**{**fact, "bad_rows": tuple((int(r), str(why)) for r, why in fact["bad_rows"])})
            for fact in values.pop("sources")
        ),
        **values,
    )
    names = [name for name, _ in made.segments] + [part.name for part in made.items]
    if any(Path(name).name != name or name in ("", ".", "..") for name in names):
        raise ValueError("it names files outside the index")
    if not isinstance(made.dim, int) or not isinstance(made.plain_dim, int) or not isinstance(made.fingerprint, str):
        raise ValueError("dim, plain_dim or fingerprint is missing")
    _ = made.space  # refuses widths that do not fit together
    return made
