"""Folders that hold one data set: what Hugging Face ``save_to_disk`` writes, Parquet shards, one subfolder a class.

Where a folder holds several splits they are put under one another, with a ``split`` column that says which is
which. Class numbers that Hugging Face stores beside their names come back as the names. Nothing is unpickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from plait.data.readers.class_folders import read_class_folders

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test"})


def read_folder(folder: Path) -> pa.Table:
    """Read a data set folder.

    Raises:
        ValueError: The folder holds no data set that is known here, or its parts do not fit together.
    """
    if (folder / "dataset_dict.json").is_file():
        names = _read_json(folder / "dataset_dict.json").get("splits")
        if not isinstance(names, list) or not names:
            raise ValueError(f"{folder / 'dataset_dict.json'}: names no splits; save the data set again")
        places = [_inside(folder, name) for name in names]
        return _join([(place.name, _read_saved(place)) for place in places], folder)
    if (folder / "state.json").is_file():
        return _read_saved(folder)
    place = folder / "data" if (folder / "data").is_dir() else folder
    shards = sorted(p for p in place.iterdir() if p.suffix == ".parquet" and p.is_file())
    if not shards:
        classes = read_class_folders(folder)
        if classes is not None:
            return classes
        raise ValueError(
            f"{folder}: a folder without a data set that can be read here; expected what save_to_disk() "
            "writes, Parquet files, or one subfolder a class with sounds or pictures. Name the table "
            "inside it, or pass format='coco' for a COCO folder"
        )
    return _read_shards(shards, folder)


def read_arrow_file(path: Path) -> pa.Table:
    """An Arrow file (Feather version 2) or an Arrow stream, whichever it is."""
    with open(path, "rb") as file:
        is_file = file.read(6) == b"ARROW1"
    with pa.OSFile(str(path), "rb") as source:
        reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
        return reader.read_all()


def _read_saved(folder: Path) -> pa.Table:
    state = _read_json(folder / "state.json")
    files = state.get("_data_files")
    if not isinstance(files, list) or not files or not all(isinstance(f, dict) for f in files):
        raise ValueError(f"{folder / 'state.json'}: names no data files; save the data set again")
    parts = [read_arrow_file(_inside(folder, entry.get("filename"))) for entry in files]
    return _name_classes(_stack(parts, folder))


def _inside(folder: Path, name: object) -> Path:
    """A file beside its index; an index may not point elsewhere."""
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        raise ValueError(f"{folder}: its index names {name!r}; expected a plain file name")
    if not (folder / name).exists():
        raise ValueError(f"{folder}: its index names {name!r}, which is missing")
    return folder / name


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}; expected an object")
    return content


def _read_shards(shards: list[Path], folder: Path) -> pa.Table:
    groups: dict[str, list[pa.Table]] = {}
    for shard in shards:
        groups.setdefault(shard.stem.split("-")[0], []).append(pq.ParquetFile(shard).read())
    tables = {name: _name_classes(_stack(parts, folder)) for name, parts in groups.items()}
    unknown = [name for name in tables if name.lower() not in _SPLITS]
    if unknown and len(unknown) < len(tables):
        raise ValueError(
            f"{folder}: files of splits stand beside others ({', '.join(unknown)}); move the others away, "
            "or name one file"
        )
    return _stack(list(tables.values()), folder) if unknown else _join(list(tables.items()), folder)


def _join(parts: list[tuple[str, pa.Table]], folder: Path) -> pa.Table:
    marked = []
    for name, part in parts:
        if "split" in part.column_names:
            raise ValueError(f"{folder}: the folder has splits and a column 'split' too; rename that column")
        marked.append(part.append_column("split", pa.array([name] * part.num_rows, pa.string())))
    return _stack(marked, folder)


def _stack(parts: list[pa.Table], folder: Path) -> pa.Table:
    names = parts[0].column_names
    for part in parts[1:]:
        if sorted(part.column_names) != sorted(names):
            raise ValueError(f"{folder}: its files have different columns: {names} and {part.column_names}")
    try:
        return pa.concat_tables([part.select(names) for part in parts], promote_options="default")
    except pa.ArrowException as error:
        raise ValueError(f"{folder}: its files do not fit together ({error})") from error


def _name_classes(table: pa.Table) -> pa.Table:
    """Put the names of Hugging Face class labels in place of their numbers (-1 stands for no label there)."""
    try:
        features = json.loads((table.schema.metadata or {})[b"huggingface"])["info"]["features"]
        labels = {name: f["names"] for name, f in features.items() if f.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, ValueError, AttributeError):
        return table
    for column, names in labels.items():
        if column not in table.column_names or not pa.types.is_integer(table.schema.field(column).type):
            continue
        numbers = table.column(column).to_pylist()
        if any(n is not None and not -1 <= n < len(names) for n in numbers):
            raise ValueError(f"column {column!r} holds a class number beyond its {len(names)} class names")
        named = [None if n is None or n == -1 else names[n] for n in numbers]
        table = table.set_column(table.column_names.index(column), column, pa.array(named, pa.string()))
    return table
