"""Read the official MS-COCO files and Karpathy's split file into tables.

In come captions JSON, instances JSON or ``dataset_coco.json`` with a folder of photos; out comes a `Table`:
one row a caption (image, caption, image_id, split) or one row a photo (image, objects, image_id, split).
Broken files raise, with counts. A photo that is listed but not on the disk keeps its row and its path and is
reported in the log; later rooms handle it by the policy for bad rows. Pixels are never read here. Layout: Lin
et al. 2014; Karpathy and Fei-Fei 2015.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait.data.coco.coco_json import (
    file_names_of,
    ids_of,
    image_names,
    known_ids,
    load_document,
    records_of,
    refuse_repeats,
    texts_of,
    values_of,
)
from plait.data.coco.photos import IMAGES, Folders, first_folder, locate_photos, missing_photos, split_of
from plait.data.pairs import make_pairs
from plait.data.table import Table
from plait.registry import unknown_name

log = logging.getLogger(__name__)

LOOKED_AT = 100  # photos, to learn where all of them lie
TASKS = {"matching": "captions", "captions": "captions", "multilabel": "instances"}


def read_coco_captions(
    json_path: str | Path, image_dir: str | Path, *, split: str | None = None, root: str | Path | None = None
) -> Table:
    """Read one official captions file: one row a caption.

    Args:
        json_path: ``captions_train2017.json`` or alike, with "images" and "annotations".
        image_dir: The folder that the file names are relative to.
        split: What the split column says; by default read from the name of the file, and where that says
            nothing there is no split column.
        root: The folder of the data set, where photos that are not in `image_dir` are looked for too and that image
            paths are relative to; None: `image_dir`.

    Returns:
        Columns image (path under `root`), caption, image_id (text), split.

    Raises:
        ValueError: Not such a file; keys missing; an annotation of an unknown photo; an unusable file name; a photo
            that lies in several places.
    """
    path, photos = Path(json_path), _image_folder(image_dir)
    document = load_document(path)
    names = _located(document, path, photos, root, split)
    annotations = records_of(document, "annotations", path)
    captions = texts_of(values_of(annotations, "caption", "annotations", path), "annotations[].caption", path)
    ids = known_ids(annotations, names, path)
    columns = {"image": [names[i] for i in ids], "caption": captions, "image_id": ids}
    if not ids:
        raise ValueError(f"{path} holds no captions: its 'annotations' list is empty")
    without = len(names) - len(set(ids))
    if without:
        log.warning("%s: %d of %d photos have no caption and so no row", path, without, len(names))
    return _table(columns, photos if root is None else Path(root), path, split)


def read_coco_objects(
    instances_json: str | Path, image_dir: str | Path, *, split: str | None = None, root: str | Path | None = None
) -> Table:
    """Read one official instances file: one row a photo, with the names of the categories seen on it.

    Args:
        instances_json: ``instances_val2017.json`` or alike, with "images", "annotations" and "categories".
        image_dir: The folder that the file names are relative to.
        split: As in `read_coco_captions`.
        root: As in `read_coco_captions`.

    Returns:
        Columns image, objects (list of names, each once, in the order of the categories; may be empty),
        image_id, split.

    Raises:
        ValueError: Not such a file; keys missing; an annotation of an unknown photo or category.
    """
    path, photos = Path(instances_json), _image_folder(image_dir)
    document = load_document(path)
    names = _located(document, path, photos, root, split)
    if not names:
        raise ValueError(f"{path} holds no photos: its 'images' list is empty")
    records = records_of(document, "categories", path)
    category_ids = ids_of(records, "id", "categories", path)
    category_names = texts_of(values_of(records, "name", "categories", path), "categories[].name", path)
    for what, values in (("id", category_ids), ("name", category_names)):
        refuse_repeats(values, f"category {what}", path)
    order = {key: number for number, key in enumerate(category_ids)}
    annotations = records_of(document, "annotations", path)
    ids = known_ids(annotations, names, path)
    categories = ids_of(annotations, "category_id", "annotations", path)
    unknown = [key for key in categories if key not in order]
    if unknown:
        raise ValueError(
            f"{path}: {len(unknown)} of {len(categories)} annotations name a category that 'categories' "
            f"does not "
            f"list, category_id {unknown[0]} for one; download the file again"
        )
    seen: dict[str, set[int]] = {key: set() for key in names}
    for key, category in zip(ids, categories, strict=True):
        seen[key].add(order[category])
    objects = pa.array([[category_names[n] for n in sorted(found)] for found in seen.values()], pa.list_(pa.string()))
    columns = {"image": list(names.values()), "objects": objects, "image_id": list(names)}
    return _table(columns, photos if root is None else Path(root), path, split)


def _located(
    document: dict[str, Any], path: Path, photos: Path, root: str | Path | None, split: str | None
) -> dict[str, str]:
    """Path under the root by image id."""
    names, records = image_names(document, path), records_of(document, "images", path)
    folders = _folders_of(records, path) if any("filepath" in record for record in records) else ()
    found = locate_photos(
        list(names.values()), photos, photos if root is None else Path(root), path,
        folders=folders, split=split or split_of(path.stem),
    )  # fmt: skip
    return dict(zip(names, found, strict=True))


def _folders_of(records: list[dict[str, Any]], path: Path) -> list[str]:
    return file_names_of([record.get("filepath") or "." for record in records], "images[].filepath", path)


def read_karpathy(json_path: str | Path, image_root: str | Path) -> Table:
    """Read Karpathy's split file (``dataset_coco.json``, also Flickr8k and Flickr30k): one row a caption.

    The photos that the file calls "restval" belong to train, as is the custom. `image_root` holds the folders
    that "filepath" names (train2014, val2014), or the photos themselves; either may lie in ``images`` there.

    Returns:
        Columns image (path under `image_root`), caption, image_id (cocoid, else imgid), split.

    Raises:
        ValueError: Not such a file; keys missing; an unknown split; an unusable file name.
    """
    path, root = Path(json_path), _image_folder(image_root)
    records = records_of(load_document(path), "images", path)
    id_key = "cocoid" if records and all("cocoid" in record for record in records) else "imgid"
    ids = ids_of(records, id_key, "images", path)
    refuse_repeats(ids, f"images[].{id_key}", path)
    files = file_names_of(values_of(records, "filename", "images", path), "images[].filename", path)
    images = locate_photos(files, root, root, path, folders=_folders_of(records, path))
    splits = [
        split_of(s, whole=True) if isinstance(s, str) else None for s in values_of(records, "split", "images", path)
    ]
    strange = [str(record["split"]) for record, name in zip(records, splits, strict=True) if name is None]
    if strange:
        raise ValueError(
            f"{path}: {len(strange)} of {len(records)} photos have an unknown split, {strange[0]!r} for one; "
            "expected train, restval, val or test"
        )
    rows: dict[str, list[Any]] = {"image": [], "caption": [], "image_id": [], "split": []}
    for record, key, image, name in zip(records, ids, images, splits, strict=True):
        sentences = texts_of(
            values_of(records_of(record, "sentences", path), "raw", "images[].sentences", path),
            "images[].sentences[].raw",
            path,
        )
        for caption in sentences:
            for column, value in zip(rows, (image, caption, key, name), strict=True):
                rows[column].append(value)
    if not rows["caption"]:
        raise ValueError(f"{path} holds no captions: no photo of its 'images' list has sentences")
    without = len(records) - len(set(rows["image_id"]))
    if without:
        log.warning("%s: %d of %d photos have no caption and so no row", path, without, len(records))
    return _table(rows, root, path, None)


def read_coco_folder(
    folder: str | Path,
    *,
    annotations: str | Path | None = None,
    task: str = "matching",
    seed: int = 0,
) -> Table:
    """Read a COCO folder: every split that has an annotation file, with its photos.

    For each split there is ``annotations/captions_<split>*.json`` (``instances_<split>*.json`` for
    "multilabel") and a folder of photos ``<split>*``, such as ``captions_train2017.json`` and ``train2017``.
    Without such files, Karpathy's ``dataset_*.json`` is read.

    Args:
        folder: The folder.
        annotations: Another folder of annotations (such as ``annotations-zh``) or one Karpathy file; taken as
            typed, else relative to `folder`.
        task: "matching" (right and wrong pairs, see `make_pairs`), "captions" or "multilabel".
        seed: Seed of the wrong pairs.

    Returns:
        One table of all splits; paths relative to `folder`. Where two splits use one image_id for different
        photos, every image_id begins with its split ("train/17").

    Raises:
        ValueError: Nothing to read there, a split without photos, or two files for one split.
    """
    if task not in TASKS:
        raise ValueError(unknown_name("COCO task", task, list(TASKS)))
    root = _image_folder(folder)
    notes = _annotation_place(root, annotations)
    if notes.is_file():
        table = _karpathy_for(task, notes, root)
    else:
        found = _split_files(root, notes, TASKS[task])
        if found:
            table = _join_splits(root, notes, found, task)
        else:
            karpathy = sorted(notes.glob("dataset_*.json")) or sorted(root.glob("dataset_*.json"))
            if len(karpathy) != 1:
                raise ValueError(
                    f"found no {TASKS[task]}_<split>*.json in {notes}"
                    + (f" and {len(karpathy)} files dataset_*.json, which is too many" if karpathy else "")
                    + f"; expected files such as {TASKS[task]}_train2017.json, or annotations=FOLDER"
                )
            table = _karpathy_for(task, karpathy[0], root)
    return make_pairs(table, seed=seed) if task == "matching" else table


def _karpathy_for(task: str, path: Path, root: Path) -> Table:
    if TASKS[task] != "captions":
        raise ValueError(f"{path} holds captions only; for task {task!r} give a folder with instances_<split>*.json")
    return read_karpathy(path, root)


def _annotation_place(root: Path, annotations: str | Path | None) -> Path:
    typed = [root / "annotations"] if annotations is None else [Path(annotations), root / annotations]
    for place in typed:
        if place.exists():
            return place
    if annotations is None:
        return root
    raise ValueError(f"annotations {str(annotations)!r} not found; looked at {' and '.join(map(str, typed))}")


def _split_files(root: Path, notes: Path, prefix: str) -> dict[str, tuple[Path, Path]]:
    """For each split its annotation file and its folder of photos."""
    candidates: dict[str, list[Path]] = {}
    for path in sorted(notes.glob(f"{prefix}_*.json")):
        split = split_of(path.stem.removeprefix(f"{prefix}_"))
        if split is None:
            raise ValueError(f"cannot tell the split of {path}; name it {prefix}_train*.json, _val* or _test*")
        candidates.setdefault(split, []).append(path)
    found: dict[str, tuple[Path, Path]] = {}
    for split in sorted(candidates, key=["train", "val", "test"].index):
        paths = candidates[split]
        if len(paths) > 1:  # both years lie there: the one whose photos lie there too
            paths = [path for path in paths if (root / path.stem.removeprefix(f"{prefix}_")).is_dir()]
        if len(paths) != 1:
            listed = ", ".join(path.name for path in candidates[split])
            raise ValueError(f"{notes} has several files for the split {split!r} ({listed}); keep one of them there")
        found[split] = (
            paths[0],
            _photo_folder(root, paths[0], paths[0].stem.removeprefix(f"{prefix}_"), split),
        )
    return found


def _photo_folder(root: Path, path: Path, label: str, split: str) -> Path:
    named = first_folder(root / name for name in (label, split, f"images/{label}", f"images/{split}"))
    if named is not None:
        return named
    if _has_some(root, path, split):
        return root
    near = [place for place in sorted(root.iterdir()) if place.is_dir() and split_of(place.name) == split]
    if len(near) == 1:
        return near[0]
    problem = f"several folders could be it ({', '.join(p.name for p in near)})" if near else "there is none"
    raise ValueError(
        f"{path.name} needs a folder of photos such as {root / label}, but {problem}; put the photos there, "
        f"or move "
        f"{path.name} out of {path.parent} to leave the split {split!r} out"
    )


def _has_some(root: Path, path: Path, split: str) -> bool:
    """Whether photos are found from the folder of the data set on, with their split's folder in their names."""
    names = list(image_names(load_document(path), path).values())[:LOOKED_AT]
    listed = Folders()
    named = [name for name in names if "/" in name or listed.has(root / IMAGES / name) or listed.has(root / name)]
    return any(listed.has(root / name) for name in locate_photos(named, root, root, path, split=split))


def _join_splits(root: Path, notes: Path, found: dict[str, tuple[Path, Path]], task: str) -> Table:
    read = read_coco_objects if TASKS[task] == "instances" else read_coco_captions
    tables: list[pa.Table] = []
    photo_of: dict[str, str] = {}
    clash = False
    for split, (path, photos) in found.items():
        part = read(path, photos, split=split, root=root).arrow
        images = part.column("image").to_pylist()
        for key, image in zip(part.column("image_id").to_pylist(), images, strict=True):
            clash = clash or photo_of.setdefault(key, image) != image
        tables.append(part)
    joined = pa.concat_tables(tables)
    if clash:
        pairs = zip(joined.column("split").to_pylist(), joined.column("image_id").to_pylist(), strict=True)
        ids = pa.array([f"{split}/{key}" for split, key in pairs], pa.string())
        joined = joined.set_column(joined.column_names.index("image_id"), "image_id", ids)
    return Table(arrow=joined, root=root, source=str(notes))


def _table(columns: dict[str, Any], root: Path, path: Path, split: str | None) -> Table:
    """Build the table and report the photos that are not there."""
    if "split" not in columns:
        name = split if split is not None else split_of(path.stem)
        if name is not None:
            columns = {**columns, "split": [name] * len(columns["image_id"])}
    missing = missing_photos(columns["image"], root)
    if missing:
        log.warning(
            "%s: %d of %d photos are not in %s, %r for one; their rows stay and are reported as bad",
            path, len(missing), len(set(columns["image"])), root, missing[0],
        )  # fmt: skip
    arrays = {k: v if isinstance(v, pa.Array) else pa.array(v, pa.string()) for k, v in columns.items()}
    return Table(arrow=pa.table(arrays), root=root, source=str(path))


def _image_folder(folder: str | Path) -> Path:
    place = Path(folder)
    if not place.is_dir():
        problem = "is not a folder" if place.exists() else "does not exist"
        raise ValueError(f"{place} {problem}; expected the folder that holds the photos")
    return place
