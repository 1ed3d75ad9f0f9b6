"""What goes into an index: a folder of files, a table, or COCO captions, as one table, one row and one id an item.

A folder needs nothing else in it: every picture below it is an item, its path the id, the folder it lies in a column.
Of COCO, a photo is one item with its captions beside it, or, for a text modality, each caption is one. Ids come from
``--id COL``, else from a column ``id`` of different values, else from the paths, else from the row numbers.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait.data.arrow_types import is_text
from plait.data.coco.coco_json import image_names, load_document
from plait.data.coco.folder import read_coco_captions, read_coco_folder, read_karpathy
from plait.data.coco.photos import IMAGES, first_folder, missing_photos, most_found
from plait.data.column_kind import kind_of
from plait.data.modality import Modality
from plait.data.readers.formats import parse_json
from plait.data.remote.address import without_secrets
from plait.data.table import BadRow, Table, read_table
from plait.data.values import is_unicode
from plait.files import given_path
from plait.index.ids import ids_of, spelt_ids
from plait.index.storage import RESERVED
from plait.registry import counted, unknown_name

logger = logging.getLogger(__name__)
_DATA_SET = ("dataset_dict.json", "state.json")


@dataclass(frozen=True)
class IndexSource:
    """Rows to index.

    Attributes:
        table: One row an item; the modality under the names that the model knows.
        ids: The id of each row, all different.
        source: Where it lies.
        column: The source's own name of the modality's column, where it is another.
        prefix: What stands in front of every id.
        id_column: The column that was named for the ids.
        notes: What a person should know.
    """

    table: Table
    ids: list[str]
    source: str
    column: str | None = None
    prefix: str = ""
    id_column: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def rows_sha256(self) -> str:
        """A hash over the ids in order, by which a source is known again."""
        return hashlib.sha256("\0".join(self.ids).encode("utf-8", "surrogatepass")).hexdigest()

    def metadata(self, modality: Modality) -> pa.Table:
        """The columns to keep with the items: all but raw contents."""
        kept = self.table.arrow.select([n for n in self.table.column_names if not _is_raw(self.table, n)])
        return kept if self.table.remote is None else _without_secrets(kept)


def read_source(
    source: Any,
    modality: Modality,
    *,
    id: str | None = None,
    column: str | None = None,
    prefix: str = "",
    format: str | None = None,
    encoding: str | None = None,
    annotations: str | None = None,
    allow_outside: bool = False,
    allow_remote: bool = False,
) -> IndexSource:
    """Read what is to be indexed.

    Args:
        source: A folder of files, anything ``read_table`` takes, a COCO folder or a COCO captions file.
        modality: What the model will embed.
        id: Column that names items.
        column: Column of the source that holds the modality, where it is called otherwise.
        prefix: Put in front of every id, so that two sources may hold the same names.
        format: Format of a file whose name does not tell it; "coco".
        encoding: Encoding of a text table that is not UTF-8.
        annotations: Folder of COCO annotations other than ``annotations``.
        allow_outside: Let cells name files outside the table's folder.
        allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).

    Raises:
        ValueError: Nothing to index there, no such column, ids that repeat or are missing.
        FileNotFoundError: No such file or folder.
    """
    if isinstance(source, str):
        given_path(source, "source", example="photos")
    shown = name_of(source)
    table, notes = _open(source, modality, format, encoding, annotations)
    table = table.opened_up(allow_outside, allow_remote)
    if column is None and len(modality.columns) == 1 and modality.columns[0] not in table.column_names:
        column = _coco_column(table, modality)
    if column is not None:
        table = _renamed(table, column, modality)
    absent = [name for name in modality.columns if name not in table.column_names]
    if absent:
        raise ValueError(
            f"{shown}: the model reads {', '.join(map(repr, absent))}; the table has the columns "
            f"{', '.join(table.column_names)}. Name the right one with column="
        )
    taken = [name for name in table.column_names if name in RESERVED]
    if taken:
        raise ValueError(f"{shown}: the columns {taken} have names that the index keeps for itself; rename them")
    raw = [name for name in table.column_names if _is_raw(table, name)]
    if raw:
        notes = (*notes, f"raw contents of {', '.join(raw)} are not kept in the index")
    named = table if table.remote is None else replace(table, arrow=_without_secrets(table.arrow))
    names, more = ids_of(named, modality, id, spelt_ids(source, table, id or "id", format, encoding))
    return IndexSource(table, [prefix + name for name in names], shown, column, prefix, id, (*notes, *more))


def name_of(source: Any) -> str:
    """By what a source is known again: its absolute path, or what it is in memory."""
    return str(Path(source).absolute()) if isinstance(source, str | Path) else f"a {type(source).__name__} in memory"


def _open(
    source: Any, modality: Modality, format: str | None, encoding: str | None, annotations: str | None
) -> tuple[Table, tuple[str, ...]]:
    if isinstance(source, str | Path) and format in (None, "coco"):
        path = Path(source)
        if path.is_dir():
            if format == "coco" or annotations is not None or (path / "annotations").is_dir():
                table = read_coco_folder(path, annotations=annotations, task="captions")
                return (_photos(table) if modality.kind == "image" else _captions(table)), ()
            if not any((path / name).is_file() for name in _DATA_SET) and not _has_parquet(path):
                return _files(path, modality)
        elif path.suffix.lower() == ".json" and path.is_file() and (kind := _coco_kind(path)) is not None:
            table = _karpathy(path) if kind == "karpathy" else read_coco_captions(path, _photo_folder(path))
            return (_photos(table) if modality.kind == "image" else _captions(table)), ()
    if annotations is not None:
        raise ValueError("annotations= goes with a COCO folder")
    return read_table(source, format=format, encoding=encoding), ()


def _has_parquet(folder: Path) -> bool:
    places = [folder, folder / "data"]
    return any(p.suffix == ".parquet" for place in places if place.is_dir() for p in place.iterdir())


def _files(folder: Path, modality: Modality) -> tuple[Table, tuple[str, ...]]:
    """Every file of the modality's kind below a folder, by path; hidden ones and links to folders are not followed."""
    suffixes = kind_of(modality).suffixes
    if not suffixes or len(modality.columns) != 1:
        raise ValueError(f"{folder} is a folder of files; the {modality.kind} modality needs a table")
    found, others = [], 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if os.path.splitext(name)[1].lower() in suffixes:
                found.append((Path(place) / name).relative_to(folder).as_posix())
            else:
                others += 1
    if not found:
        raise ValueError(
            f"{folder} holds no {modality.kind} file ({', '.join(sorted(suffixes))}) and {others:,} others; "
            "expected a folder of such files, a table, or a COCO folder"
        )
    odd = tuple(
        BadRow(row, modality.columns[0], f"{ascii(name)}: the file name is no valid text; rename it")
        for row, name in enumerate(found)
        if not is_unicode(name)
    )
    numbers = tuple(row for row, name in enumerate(found) if is_unicode(name))
    named = [found[row] for row in numbers]
    columns = {modality.columns[0]: named, "folder": [name.rpartition("/")[0] for name in named]}
    kind = modality.kind
    notes = (
        (f"{counted(others, f'file that is no {kind} was', f'files that are no {kind} were')} passed over",)
        if others
        else ()
    )
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return Table(table, folder.absolute(), str(folder), odd, numbers if odd else None), notes


def _coco_kind(path: Path) -> str | None:
    """Whether a JSON file holds COCO's "captions" or is a "karpathy" split file; None for other tables."""
    try:
        values = parse_json(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError):
        return None  # read_table says what is wrong with it
    if not isinstance(values, dict) or not isinstance(values.get("images"), list):
        return None
    if "annotations" in values:
        return "captions"
    first = next(iter(values["images"]), None)
    return "karpathy" if isinstance(first, dict) and "sentences" in first else None


def _photo_folder(path: Path) -> Path:
    """Where the photos of ``annotations/captions_val2017.json`` lie: ``val2017`` beside the annotations."""
    name, near = path.stem.partition("_")[2], (path.parent.parent, path.parent)
    named = first_folder([*(p / name for p in near), *(p / IMAGES / name for p in near)]) if name else None
    if named is not None:
        return named
    names = list(image_names(load_document(path), path).values())
    places = [path.parent, path.parent.parent, path.parent / IMAGES, path.parent.parent / IMAGES]
    return most_found(names, [place for place in places if place.is_dir()]) or path.parent


def _karpathy(path: Path) -> Table:
    """A split file with its photos beside it, or beside the folder that it lies in."""
    near = (path.parent, path.parent.parent)
    tables = [read_karpathy(path, place) for place in near]
    missing = [len(missing_photos(table.column("image"), place)) for table, place in zip(tables, near, strict=True)]
    return tables[missing.index(min(missing))]


def _photos(table: Table) -> Table:
    """One row a photo, its captions in a list."""
    captions: dict[str, list[str]] = {}
    first: dict[str, int] = {}
    for row, (name, caption) in enumerate(zip(table.column("image"), table.column("caption"), strict=True)):
        captions.setdefault(name, []).append(caption)
        first.setdefault(name, row)
    made = table.take(list(first.values()))
    arrow = made.arrow.drop_columns(["caption"]).append_column(
        "captions", pa.array(list(captions.values()), pa.list_(pa.string()))
    )
    return replace(made, arrow=arrow)


def _captions(table: Table) -> Table:
    """One row a caption, with an id made of the photo's and its place."""
    count: dict[str, int] = {}
    ids = []
    for name in table.column("image_id"):
        count[name] = count.get(name, 0) + 1
        ids.append(f"{name}#{count[name]}")
    return table if "id" in table.column_names else table.with_column("id", ids)


def _coco_column(table: Table, modality: Modality) -> str | None:
    """A COCO table calls its columns image and caption, whatever the model calls them."""
    if "image_id" not in table.column_names:
        return None
    name = {"image": "image", "text": "caption"}.get(modality.kind)
    return name if name in table.column_names else None


def _renamed(table: Table, column: str, modality: Modality) -> Table:
    if len(modality.columns) != 1:
        raise ValueError(f"column= goes with a modality of one column; {modality.name!r} has {modality.columns}")
    if column not in table.column_names:
        raise ValueError(f"{table.source}: {unknown_name('column', column, table.column_names)}")
    name = modality.columns[0]
    if name != column and name in table.column_names:
        raise ValueError(f"{table.source} has {name!r} and {column!r}, and the model reads {name!r}; drop one of them")
    return replace(table, arrow=table.arrow.rename_columns([name if n == column else n for n in table.column_names]))


def _without_secrets(columns: pa.Table) -> pa.Table:
    """The columns whose texts that are addresses have lost what may be secret in them."""
    for place, name in enumerate(columns.column_names):
        if is_text(columns.schema.field(name).type):
            cells = [one if one is None else without_secrets(one) for one in columns.column(name).to_pylist()]
            columns = columns.set_column(place, name, pa.array(cells, columns.schema.field(name).type))
    return columns


def _is_raw(table: Table, name: str) -> bool:
    kind = table.arrow.schema.field(name).type
    if pa.types.is_struct(kind):
        return any(pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type) for f in kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
