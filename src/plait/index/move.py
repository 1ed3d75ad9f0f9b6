"""Files that moved: the paths of an index rewritten from one folder to another, in one commit.

What lies under the old folder is taken to lie in the same place under the new one: sources, the folders that relative
paths count from, paths in cells, ids that are such paths, and the model. Contents and vectors stay as they are.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from plait.data.modality import Modality
from plait.index.manifest import Manifest, SourceFact
from plait.index.places import parts_of, path_of, paths_of
from plait.index.storage import CONTENT, ID, SOURCE, Change, Storage
from plait.registry import counted


@dataclass
class MoveReport:
    """What a move found.

    Attributes:
        old: The folder that was.
        new: The folder that is.
        sources: Sources whose path was rewritten.
        items: Items whose files moved.
        found: Those of them whose files are in the new place.
        missing: Paths that are not there, each once.
        model: Where the model is now, if it moved along.
        is_dry_run: Whether nothing was written.
    """

    old: str
    new: str
    sources: int = 0
    items: int = 0
    found: int = 0
    missing: list[str] = field(default_factory=list)
    model: str | None = None
    is_dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    def text(self) -> str:
        """The report for people."""
        verb = "would be moved (dry_run=True)" if self.is_dry_run else "moved"
        lines = [f"{self.old} -> {self.new}: {counted(self.sources, 'source')}, {counted(self.items, 'item')} {verb}"]
        have = "has its file" if self.found == 1 else "have their files"
        lines += [f"  {self.found:,} of them {have} there, {self.items - self.found:,} not"]
        lines += [f"  missing: {path}" for path in self.missing[:10]]
        lines += [f"  and {len(self.missing) - 10:,} more"] if len(self.missing) > 10 else []
        return "\n".join(lines + ([f"  model: {self.model}"] if self.model else []))


def move(storage: Storage, old: str | Path, new: str | Path, *, dry_run: bool = False) -> MoveReport:
    """Rewrite the paths under a folder to those under another.

    Args:
        storage: Under its writer's lock, but for a dry run.
        old: The folder that was; it need not be there any more.
        new: The folder that is.
        dry_run: Look, and write nothing.

    Raises:
        ValueError: Nothing lies under ``old``, ``new`` is not there or holds none of the files, or an id is taken.
    """
    before, after = os.path.abspath(old), os.path.abspath(new)
    if before == after:
        raise ValueError(f"OLD and NEW are both {before}; expected the folder that was and the folder that is")
    if not os.path.exists(after):
        raise ValueError(f"{after} does not exist; expected the folder that {before} is now")
    report = MoveReport(before, after, is_dry_run=dry_run)
    manifest = _moved_manifest(storage.manifest, report)
    change = _moved_items(storage, manifest, report)
    if not report.sources and not report.items:
        known = ", ".join(fact.source for fact in manifest.sources) or "none"
        raise ValueError(f"nothing of this index lies under {before}; its sources: {known}")
    if report.items and not report.found:
        raise ValueError(
            f"none of the {report.items:,} items has its file under {after}, {report.missing[0]} for one is missing; "
            "nothing was changed. Name the folder that holds them"
        )
    if not dry_run:
        storage.commit(change, manifest)
    return report


def _moved(path: str, report: MoveReport) -> str:
    """An absolute path under the old folder, under the new one; others as they are."""
    for one in (path, os.path.normpath(path)):
        if one == report.old:
            return report.new
        lead = report.old.rstrip(os.sep) + os.sep
        if os.path.isabs(one) and one.startswith(lead):
            return os.path.join(report.new, one[len(lead) :])
    return path


def _moved_manifest(manifest: Manifest, report: MoveReport) -> Manifest:
    sources: list[SourceFact] = []
    for fact in manifest.sources:
        root = None if fact.root is None else _moved(fact.root, report)
        sources.append(replace(fact, source=_moved(fact.source, report), root=root))
        report.sources += sources[-1] != fact
    model = manifest.model and _moved(manifest.model, report)
    if model is not None and model != manifest.model and os.path.isdir(model):
        report.model = model
    return replace(manifest, sources=tuple(sources), model=report.model or manifest.model)


def _moved_items(storage: Storage, manifest: Manifest, report: MoveReport) -> Change:
    """The items whose cells change; every item whose files moved is counted."""
    items, modality = storage.view().items, manifest.modality
    column = modality.columns[0]
    if not items.num_rows or len(modality.columns) != 1 or column not in items.column_names:
        return Change()
    names, cells, numbers = (items.column(name).to_pylist() for name in (ID, column, SOURCE))
    missing: dict[str, None] = {}
    changed, new_names, new_cells = [], [], []
    for row, (name, cell, number) in enumerate(zip(names, cells, numbers, strict=True)):
        was, now = storage.manifest.sources[number], manifest.sources[number]
        old_root, new_root = (None if fact.root is None else Path(fact.root) for fact in (was, now))
        made = _moved_cell(cell, old_root, new_root, modality, report)
        places = paths_of(made, new_root, modality)
        if made == cell and places == paths_of(cell, old_root, modality):
            continue
        gone = [str(place) for place in places if not place.is_file()]
        missing.update(dict.fromkeys(gone))
        report.items += 1
        report.found += not gone
        if made != cell:
            changed.append(row)
            new_cells.append(made)
            new_names.append(_moved_name(name, cell, made, was.prefix))
    report.missing = list(missing)
    _refuse_taken(storage, names, changed, new_names)
    if not changed:
        return Change()
    part = items.take(changed).drop_columns([CONTENT])
    part = part.set_column(part.column_names.index(ID), ID, pa.array(new_names, pa.string()))
    kind = part.schema.field(column).type
    part = part.set_column(part.column_names.index(column), column, pa.array(new_cells, kind))
    return Change(items=part, delete=sorted({names[row] for row in changed} - set(new_names)))


def _moved_cell(cell: Any, old: Path | None, new: Path | None, modality: Modality, report: MoveReport) -> Any:
    """The cell that names the moved files; the same one where it is relative to a folder that moved."""
    if isinstance(cell, list):
        return [_moved_part(part, old, new, report) for part in cell]
    parts = [part for part in parts_of(cell, old, modality) if isinstance(part, str)]
    if not isinstance(cell, str) or not parts:
        return cell
    if cell.lstrip().startswith("["):  # a set as a JSON list
        made = [_moved_part(part, old, new, report) for part in parts]
        return cell if made == parts else json.dumps(made, ensure_ascii=False)
    if parts == [cell]:
        return _moved_part(cell, old, new, report)
    tokens = re.split("([;|])", cell)
    return "".join(_moved_part(one, old, new, report) if one.strip() in parts else one for one in tokens)


def _moved_part(text: str, old_root: Path | None, new_root: Path | None, report: MoveReport) -> str:
    place = path_of(text.strip(), old_root)
    if place is None or not place.is_absolute():
        return text
    moved = _moved(str(place), report)
    if moved == str(place) or str(path_of(text.strip(), new_root)) == moved:
        return text
    if text.strip()[:7].lower() == "file://":
        return "file://" + quote(moved)
    if not os.path.isabs(text.strip()) and new_root is not None and Path(moved).is_relative_to(new_root):
        return Path(moved).relative_to(new_root).as_posix()
    return moved


def _moved_name(name: str, cell: Any, made: Any, prefix: str) -> str:
    """The id, where it is the path itself (with a number behind it for a path that repeats)."""
    if not isinstance(cell, str) or not name.startswith(prefix + cell):
        return name
    rest = name[len(prefix) + len(cell) :]
    return f"{prefix}{made}{rest}" if not rest or rest.startswith("#") else name


def _refuse_taken(storage: Storage, names: list[str], changed: list[int], new_names: list[str]) -> None:
    known = storage.known()
    staying = set(names) - {names[row] for row in changed}
    taken = [
        new for row, new in zip(changed, new_names, strict=True)
        if new in staying and known[new].key != known[names[row]].key
    ]  # fmt: skip
    if taken:
        raise ValueError(
            f"{len(taken)} ids are taken by other items, {taken[0]!r} for one; nothing was changed. Delete those first"
        )
