"""Take the lists out of a COCO JSON document, checked: what is wrong raises with a count.

In comes a file, out come lists of ids, texts and file names that can be trusted: ids as text, texts of valid
Unicode, file names that stay inside the folder of photos, annotations that point to a photo that is listed.
Nothing is repaired.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path, PureWindowsPath
from typing import Any


def load_document(path: Path) -> dict[str, Any]:
    """Read the JSON object of a file."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"cannot read {path} ({error.strerror or error}); expected a COCO JSON file") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); download it again") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds a JSON {type(document).__name__}; expected an object with the key 'images'")
    return document


def records_of(document: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    """The list of objects under a key."""
    if key not in document:
        raise ValueError(f"{path} lacks the key {key!r}; it has {', '.join(map(repr, list(document)[:12])) or 'none'}")
    records = document[key]
    if not isinstance(records, list):
        raise ValueError(f"{path}: {key!r} is a {type(records).__name__}; expected a list of objects")
    strange = [number for number, record in enumerate(records) if not isinstance(record, dict)]
    if strange:
        raise ValueError(
            f"{path}: {len(strange)} of {len(records)} in {key!r} are no objects, number {strange[0]} first"
        )
    return records


def values_of(records: list[dict[str, Any]], key: str, where: str, path: Path) -> list[Any]:
    """The value of a key in every record."""
    lacking = [number for number, record in enumerate(records) if key not in record]
    if lacking:
        raise ValueError(
            f"{path}: {len(lacking)} of {len(records)} in {where!r} lack the key {key!r}, number {lacking[0]} first"
        )
    return [record[key] for record in records]


def texts_of(values: list[Any], what: str, path: Path) -> list[str]:
    """The values, all of them text of valid Unicode."""
    wrong = [number for number, value in enumerate(values) if not _is_text(value)]
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} of {len(values)} {what} are not text (number {wrong[0]} is "
            f"{str(values[wrong[0]])[:60]!a}); expected a string of valid Unicode"
        )
    return values


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def file_names_of(values: list[Any], what: str, path: Path) -> list[str]:
    """Names that stay inside the folder of photos: no absolute path, no step upwards."""
    wrong: list[str] = []
    for name in texts_of(values, what, path):
        windows = PureWindowsPath(name)
        leaves = name.startswith("/") or bool(windows.drive) or ".." in windows.parts or "\\" in name
        if not name or leaves or "\0" in name:
            wrong.append(name)
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} of {len(values)} {what} cannot be used, {wrong[0][:80]!a} for one; "
            "expected a path inside the folder of photos, with '/' between folders"
        )
    return values


def ids_of(records: list[dict[str, Any]], key: str, where: str, path: Path) -> list[str]:
    """The ids of the records as text; whole numbers and text are taken."""
    values = values_of(records, key, where, path)
    wrong = [
        n for n, v in enumerate(values) if isinstance(v, bool) or not (isinstance(v, int) or _is_text(v)) or v == ""
    ]
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} of {len(values)} {where}[].{key} are neither whole numbers nor text "
            f"(number {wrong[0]} is {str(values[wrong[0]])[:60]!a})"
        )
    return [str(value) for value in values]


def refuse_repeats(values: list[str], what: str, path: Path) -> None:
    """Raise where a value stands more than once."""
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{path}: {len(repeated)} values of {what} stand there more than once, {repeated[0]!r} for one"
        )


def image_names(document: dict[str, Any], path: Path) -> dict[str, str]:
    """File name by image id, in the order of the file."""
    records = records_of(document, "images", path)
    ids = ids_of(records, "id", "images", path)
    refuse_repeats(ids, "images[].id", path)
    names = file_names_of(values_of(records, "file_name", "images", path), "images[].file_name", path)
    return dict(zip(ids, names, strict=True))


def known_ids(annotations: list[dict[str, Any]], names: dict[str, str], path: Path) -> list[str]:
    """The photo of every annotation, all of them listed."""
    ids = ids_of(annotations, "image_id", "annotations", path)
    unknown = [key for key in ids if key not in names]
    if unknown:
        raise ValueError(
            f"{path}: {len(unknown)} of {len(ids)} annotations point to a photo that 'images' does not list, "
            f"image_id {unknown[0]} for one; download the file again, or list these photos in 'images'"
        )
    return ids
