"""Read the official VQA v2 files into a table: one row a question.

In come ``v2_OpenEnded_mscoco_<subset>_questions.json``, ``v2_mscoco_<subset>_annotations.json`` and the folder of COCO
photos that the subset names (``COCO_train2014_000000000009.jpg``); out comes a `Table` with the columns image,
question, answers (the answers of ten people, a list), question_id, image_id, question_type, answer_type and split. A
test subset has no annotations, and so no answers. Photos that are not there keep their rows, and are reported.

Reference: Goyal, Khot, Summers-Stay, Batra, Parikh 2017 (VQA v2); the format page of visualqa.org.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from plait.data.coco.coco_json import ids_of, load_document, records_of, refuse_repeats, texts_of, values_of
from plait.data.coco.photos import first_folder, missing_photos
from plait.data.table import Table

log = logging.getLogger(__name__)

QUESTIONS = "*OpenEnded*_questions.json"
_SUBSET = re.compile(r"(train|val|test)(-dev)?(\d{4})")


def is_vqa_folder(folder: str | Path) -> bool:
    """Whether a folder holds official VQA questions."""
    return any(Path(folder).glob(QUESTIONS))


def read_vqa_folder(folder: str | Path) -> Table:
    """Read every subset of a folder that has a questions file.

    Args:
        folder: Holds the JSON files, and the photos in ``train2014/`` and so on, or in ``images/train2014/``.

    Returns:
        One table of all subsets that have annotations (of all, where none has); paths relative to the folder.

    Raises:
        ValueError: No questions file, or as `read_vqa`.
    """
    root = Path(folder)
    files = sorted(root.glob(QUESTIONS))
    if not files:
        raise ValueError(
            f"found no VQA questions in {root}; expected files such as v2_OpenEnded_mscoco_train2014_questions.json"
        )
    parts = []
    for path in files:
        subset = _subset_of(path)
        answers = sorted(root.glob(f"*_{subset}_annotations.json"))
        photos = first_folder(_photo_places(root, subset)) or root / _photo_folder(subset)
        parts.append((bool(answers), read_vqa(path, answers[0] if answers else None, photos, root=root)))
    kept = [table.arrow for has_answers, table in parts if has_answers] or [table.arrow for _, table in parts]
    if 0 < len(kept) < len(parts):
        log.warning("%s: %d of %d question files have no annotations and were left out", root, len(parts) - len(kept),
                    len(parts))  # fmt: skip
    return Table(arrow=pa.concat_tables(kept), root=root, source=str(root))


def read_vqa(
    questions: str | Path, annotations: str | Path | None, image_dir: str | Path, *, root: str | Path | None = None
) -> Table:
    """Read one subset.

    Args:
        questions: The questions file, with "data_subtype" and "questions".
        annotations: The annotations file, with "annotations"; None: there are no answers.
        image_dir: Folder of the photos.
        root: Folder that image paths are relative to; None: ``image_dir``.

    Raises:
        ValueError: Not such a file, keys missing, a question twice, a question without annotation or the reverse, or
            an annotation without answers.
    """
    path = Path(questions)
    document = load_document(path)
    records = records_of(document, "questions", path)
    if not records:
        raise ValueError(f"{path} holds no questions: its 'questions' list is empty")
    ids = ids_of(records, "question_id", "questions", path)
    refuse_repeats(ids, "question_id", path)
    photos = ids_of(records, "image_id", "questions", path)
    subset = str(document.get("data_subtype") or _subset_of(path))
    place = Path(image_dir)
    inside = "" if root is None else f"{place.relative_to(root).as_posix()}/".removeprefix("./")
    columns: dict[str, Any] = {
        "image": [f"{inside}{_photo_name(subset, photo, path)}" for photo in photos],
        "question": texts_of(values_of(records, "question", "questions", path), "questions[].question", path),
    }
    if annotations is not None:
        columns |= _answers(Path(annotations), ids)
    match = _SUBSET.search(subset)
    columns |= {"question_id": ids, "image_id": photos, "split": [match[1] if match else "train"] * len(ids)}
    missing = missing_photos(columns["image"], place if root is None else Path(root))
    if missing:
        log.warning("%s: %d photos are not in %s, %r for one; their rows stay and are reported as bad", path,
                    len(missing), place, missing[0])  # fmt: skip
    lists = {"answers"} & set(columns)
    arrays = {k: pa.array(v, pa.list_(pa.string()) if k in lists else pa.string()) for k, v in columns.items()}
    return Table(arrow=pa.table(arrays), root=Path(root) if root is not None else place, source=str(path))


def _answers(path: Path, ids: list[str]) -> dict[str, Any]:
    """Answers and types in the order of the questions."""
    records = records_of(load_document(path), "annotations", path)
    keys = ids_of(records, "question_id", "annotations", path)
    refuse_repeats(keys, "annotations[].question_id", path)
    by_id = dict(zip(keys, records, strict=True))
    lacking, surplus = [key for key in ids if key not in by_id], set(by_id) - set(ids)
    if lacking or surplus:
        shown = lacking[0] if lacking else sorted(surplus)[0]
        raise ValueError(
            f"{path} does not fit the questions: {len(lacking)} questions have no annotation and {len(surplus)} "
            f"annotations no question, question_id {shown} for one; take both files of one subset"
        )
    found: list[list[str]] = []
    for key in ids:
        given = records_of(by_id[key], "answers", path)
        if not given:
            raise ValueError(f"{path}: question_id {key} has an empty list 'answers'; expected ten")
        found.append(texts_of(values_of(given, "answer", "annotations[].answers", path), "answers[].answer", path))
    kinds = {name: [str(by_id[key].get(name, "")) for key in ids] for name in ("question_type", "answer_type")}
    return {"answers": found, **kinds}


def _subset_of(path: Path) -> str:
    match = _SUBSET.search(path.name)
    if match is None:
        raise ValueError(f"cannot tell the subset of {path.name}; its name must hold train2014, val2014 or alike")
    return match[0]


def _photo_folder(subset: str) -> str:
    return subset.replace("-dev", "")


def _photo_places(root: Path, subset: str) -> list[Path]:
    name = _photo_folder(subset)
    return [root / name, root / "images" / name, root / "images", root]


def _photo_name(subset: str, photo: str, path: Path) -> str:
    if not photo.isdigit():
        raise ValueError(f"{path} holds the image_id {photo[:60]!a}; expected a whole number")
    return f"COCO_{_photo_folder(subset)}_{int(photo):012d}.jpg"
