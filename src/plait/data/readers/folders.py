"""Folders that hold one data set: what Hugging Face ``save_to_disk`` writes, Parquet shards, one subfolder a class.

Where a folder holds several splits they are put under one another, with a ``split`` column that says which is
which. Class numbers that Hugging Face stores beside their names come back as the names. Nothing is unpickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait.data.class_names import name_classes
from plait.data.readers.arrow_file import read_arrow_file
from plait.data.readers.budget import Budget
from plait.data.readers.class_folders import read_class_folders
from plait.data.readers.parquet import read_parquet
from plait.data.readers.parts import SPLIT_NAMES, join_splits, stack
from plait.files import require_regular_file


def read_folder(folder: Path) -> pa.Table:
    """Read a data set folder.

    Raises:
        TableTooLargeError: It unpacks to more than it may.
        ValueError: The folder holds no data set that is known here, or its parts do not fit together.
    """
    if (folder / "dataset_dict.json").is_file():
        names = _read_json(folder / "dataset_dict.json").get("splits")
        if not isinstance(names, list) or not names:
            raise ValueError(f"{folder / 'dataset_dict.json'}: names no splits; save the data set again")
        places = [_inside(folder, name) for name in names]
        budget = Budget.of(folder, sum(_size(place) for place in places))
        return join_splits([(place.name, _read_saved(place, budget)) for place in places], folder)
    if (folder / "state.json").is_file():
        return _read_saved(folder, Budget.of(folder, _size(folder)))
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


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _read_saved(folder: Path, budget: Budget) -> pa.Table:
    state = _read_json(folder / "state.json")
    files = state.get("_data_files")
    if not isinstance(files, list) or not files or not all(isinstance(f, dict) for f in files):
        raise ValueError(f"{folder / 'state.json'}: names no data files; save the data set again")
    parts = [read_arrow_file(_inside(folder, entry.get("filename")), budget) for entry in files]
    return name_classes(stack(parts, folder))


def _inside(folder: Path, name: object) -> Path:
    """A file beside its index; an index may not point elsewhere."""
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name:
        raise ValueError(f"{folder}: its index names {name!r}; expected a plain file name")
    if not (folder / name).exists():
        raise ValueError(f"{folder}: its index names {name!r}, which is missing")
    return folder / name


def _read_json(path: Path) -> dict[str, Any]:
    try:
        require_regular_file(path, "data set")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}; expected an object")
    return content


def _read_shards(shards: list[Path], folder: Path) -> pa.Table:
    groups: dict[str, list[pa.Table]] = {}
    budget = Budget.of(folder, sum(shard.stat().st_size for shard in shards))
    for shard in shards:
        groups.setdefault(shard.stem.split("-")[0], []).append(read_parquet(shard, budget))
    tables = {name: name_classes(stack(parts, folder)) for name, parts in groups.items()}
    unknown = [name for name in tables if name.lower() not in SPLIT_NAMES]
    if unknown and len(unknown) < len(tables):
        raise ValueError(
            f"{folder}: files of splits stand beside others ({', '.join(unknown)}); move the others away, "
            "or name one file"
        )
    return stack(list(tables.values()), folder) if unknown else join_splits(list(tables.items()), folder)
