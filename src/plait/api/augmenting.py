"""What training sees of a table under augmentation, as a contact sheet; no encoder is loaded and nothing is trained.

The views are those that ``plait.fit`` makes with the same settings and seed; of numbers, which are swapped anew in each
step, one draw is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plait.data.table_like import TableLike
from plait.files import given_path
from plait.settings import Assignments, DataOptions, RunSettings, assignments_of

if TYPE_CHECKING:
    import numpy as np

    from plait.data.rows import Items, Rows
    from plait.processors.augment.views import ItemViews

SHOWN_VIEWS = 4  # where augment.views is 1, which is off


def augment(
    table: TableLike, target: str | None = None, *, show: str | Path, task: str | None = None,
    text: Sequence[str] | str = (), image: Sequence[str] | str = (), audio: Sequence[str] | str = (),
    image_set: Sequence[str] | str = (), vector: Sequence[str] | str = (), numeric: Sequence[str] | str = (),
    categorical: Sequence[str] | str = (), date: Sequence[str] | str = (), ignore: Sequence[str] | str = (),
    split: str | None = None, group: str | None = None, format: str | None = None, encoding: str | None = None,
    delimiter: str | None = None, annotations: str | None = None, allow_outside: bool = False,
    allow_remote: bool = False, count: int = 8,
    seed: int | None = None, set: Assignments = (), lang: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write a page that shows training rows beside their changed copies.

    Args:
        table: Anything ``plait.fit`` takes; the arguments that are not named here are those of ``plait.fit``.
        target: Column to predict.
        show: The page, a name that ends in .html.
        task: As for ``plait.fit``.
        text: Columns to read as text.
        image: Columns to read as images.
        audio: Columns to read as sounds.
        image_set: Columns to read as sets of images.
        vector: Columns to read as ready vectors.
        numeric: Columns to read as numbers.
        categorical: Columns to read as categories.
        date: Columns to read as dates.
        ignore: Columns to leave out.
        split: Column that says train, val or test.
        group: Column whose equal values stay on one side of the split.
        format: Format of the source when its name does not tell it.
        encoding: Encoding of a text file that is not UTF-8.
        delimiter: One character between the fields of a CSV file.
        annotations: Folder of COCO annotations.
        allow_outside: Let cells name files outside the table's folder.
        allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
        count: How many training rows are shown, drawn with the seed.
        seed: Of the rows and of their views.
        set: Further settings, such as "augment.image=flip".
        lang: Language of the page, "en" or "zh"; None: English.

    Returns:
        ``sentence``, ``notes`` and ``rows``: number, target, what words forbid and each view's texts and changes.

    Raises:
        ValueError: Something about the table or the settings, or ``show`` is no name of a page.
    """
    from plait.api.first_look import open_checked
    from plait.api.folder_checks import check_report_place
    from plait.files import write_text
    from plait.report.plain import plain

    page = given_path(show, "show", example="sheet.html")
    if page.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"show is {str(show)!r}; give a name that ends in .html, such as show='sheet.html'")
    check_report_place(page, lang)
    if count < 1:
        raise ValueError(f"count is {count}; expected at least 1")
    data = DataOptions(
        target, text, image, audio, image_set, vector, numeric, categorical, date, ignore, split=split, group=group,
        format=format, encoding=encoding, delimiter=delimiter, allow_outside=allow_outside or None,
        allow_remote=allow_remote or None,
    )  # fmt: skip
    given = {**data.given(), "task.name": task, "train.seed": seed}
    opened = open_checked(table, given, RunSettings(), assignments_of(set), annotations=annotations)
    from plait import __version__
    from plait.api.opening import open_run
    from plait.report.views import sheet

    run = open_run(opened, given, RunSettings(), assignments_of(set), annotations=annotations)
    found = plain({**_shown(run, count), "source": run.table.source, "plait": __version__}, "views")
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, sheet(found, "What training sees", lang or "en"))
    bare = [{**row, "views": [_without_pictures(view) for view in row["views"]]} for row in found["rows"]]
    return {**found, "rows": bare, "page": str(page)}


def _shown(run: Any, count: int) -> dict[str, Any]:
    import numpy as np

    from plait.api.preparing import words_of_target
    from plait.data.items import read_rows
    from plait.inputs.modality_kinds import MODALITY_KINDS
    from plait.inputs.views import views_of_items

    settings, seed = run.settings.augment, run.settings.train.seed
    is_off = settings.views == 1
    settings = replace(settings, views=SHOWN_VIEWS) if is_off else settings
    rows = read_rows(run.table, run.schema.modalities)
    train = run.usable[run.split[run.usable] == "train"]
    found = views_of_items(
        rows, train, lambda row: words_of_target(run.values[row]), settings, seed=seed,
        epochs=dict.fromkeys(rows.items, 1), max_pixels=run.settings.data.max_pixels,
        max_seconds=run.settings.encoders.audio_seconds,
    )  # fmt: skip
    chosen = np.sort(np.random.default_rng(seed).permutation(train)[:count])
    kinds = {n: MODALITY_KINDS.get(i.modality.kind) for n, i in rows.items.items()}
    notes = [_counted(name, views, kinds[name].has_words) for name, views in found.items()]
    still = [n for n, kind in kinds.items() if n not in found and not kind.has_columns]
    notes += [f"{name}: never changed" for name in still]
    sentence = f"{len(chosen):,} of {len(train):,} training rows, each beside {settings.views - 1} changed copies."
    if is_off:
        sentence += f" Augmentation is off; type set=['augment.views={SHOWN_VIEWS}'] in a fit to train on these."
    return {
        "sentence": sentence, "notes": notes, "settings": vars(settings),
        "rows": [_row(run, rows, found, settings, int(position), train) for position in chosen],
    }  # fmt: skip


def _counted(name: str, views: ItemViews, has_words: bool) -> str:
    """How many items of a modality words keep as they are."""
    known = [a for a, is_shown in zip(views.allowed, views.is_shown, strict=True) if is_shown]
    if views.maker.is_picture:
        parts = {"mirrored": "flip", "turned": "turn", "coloured anew": "recolour"}
        counts = {what: sum(not getattr(a, key) for a in known) for what, key in parts.items()}
        told = [f"{count:,} are never {what}" for what, count in counts.items() if count]
        if not told:
            return f"{name}: {len(known):,} pictures have views; no word beside them forbids a change"
        return f"{name}: of {len(known):,} pictures {', '.join(told)}, for what the words beside them say"
    swapped = sum(a.flip for a in known) if has_words else 0
    more = f", left and right change places in {swapped:,}" if swapped else ""
    return f"{name}: {len(known):,} {'texts' if has_words else 'sounds'} have views{more}"


def _row(
    run: Any, rows: Rows, found: dict[str, ItemViews], settings: Any, position: int, train: np.ndarray
) -> dict[str, Any]:
    target = run.values[position] if run.task.needs_target else None
    shown = [
        {"view": view, "cells": [c for name, items in rows.items.items() if items.index_N[position] >= 0
                                 for c in _cells(rows, name, items, found.get(name), position, view, settings, train)]}
        for view in range(settings.views)
    ]  # fmt: skip
    kept = [
        f"{name} stays {' and '.join(words)}"
        for name, views in found.items()
        if views.maker.is_picture and (words := _kept(rows.items[name], views, position))
    ]
    return {
        "row": run.table.row_number(position), "target": None if target is None else str(target), "kept": kept,
        "views": shown,
    }  # fmt: skip


def _kept(items: Items, views: ItemViews, position: int) -> list[str]:
    """What words forbid of the pictures of a row."""
    allowed = [views.allowed[i] for i in _members(items, position)]
    parts = {"unmirrored": "flip", "unturned": "turn", "in its colours": "recolour"}
    return [what for what, key in parts.items() if not all(getattr(a, key) for a in allowed)]


def _members(items: Items, position: int) -> list[int]:
    number = int(items.index_N[position])
    return [] if number < 0 else [number] if items.parts is None else list(items.cells[number])


def _cells(
    rows: Rows, name: str, items: Items, views: ItemViews | None, position: int, view: int, settings: Any,
    train: np.ndarray,
) -> list[dict[str, Any]]:  # fmt: skip
    """What one modality of a row shows in a view: pictures, a text, a sound's changes, or numbers."""
    from plait.data.picture import decode_image
    from plait.inputs.modality_kinds import MODALITY_KINDS
    from plait.report.thumbnail import SIDE, thumbnail

    kind = MODALITY_KINDS.get(items.modality.kind)
    if kind.has_columns:
        return [_numbers(items, position, view, settings, train, name)]
    single = items if items.parts is None else items.parts
    made = []
    for member in _members(items, position):
        change = None if view == 0 or views is None else views.view(member, view)
        cell: dict[str, Any] = {"name": name, "changes": "" if change is None else _in_words(change.to_json())}
        if kind.views is not None and kind.views.is_picture:
            try:
                picture = decode_image(kind.load(single.cells[member], rows.table.media_folder), least_side=2 * SIDE)
                cell["image_jpeg_base64"] = thumbnail(picture if change is None else change.changed(picture))
            except ValueError as error:
                cell["text"] = f"cannot be read: {error}"
        elif kind.has_words:
            cell["text"] = single.cells[member] if change is None else change(single.cells[member])
        made.append(cell)
    return made


def _numbers(items: Items, position: int, view: int, settings: Any, train: np.ndarray, name: str) -> dict[str, Any]:
    """The columns of a row with cells swapped, and which."""
    import numpy as np

    from plait.processors.augment.numbers import draw_donors
    from plait.processors.augment.views import generator_of

    own = items.cells[int(items.index_N[position])]
    shown, changed = dict(own), []
    if view > 0 and settings.numbers > 0:
        pool = np.unique(items.index_N[train][items.index_N[train] >= 0])
        donors = draw_donors(generator_of(0, "sheet", position, view), 1, len(own), pool, settings.numbers)[0]
        for column, donor in zip(own, donors.tolist(), strict=True):
            if donor >= 0:
                shown[column] = items.cells[donor].get(column)
                changed.append(column)
    text = ", ".join(f"{column} {'-' if value is None else value}" for column, value in shown.items())
    return {"name": name, "text": text, "changes": f"of another row: {', '.join(changed)}" if changed else ""}


def _in_words(told: list[Any]) -> str:
    """What a view changes: ["flip", ["Color", 0.4]] -> "mirrored, Color 0.4"."""
    names = {"flip": "mirrored", "mirror": "left and right swapped", "drop": "words left out", "mask": "words masked"}
    parts = []
    for one in told:
        word, *numbers = [one] if isinstance(one, str) else one
        if word == "seconds":
            continue
        shown = [] if word in ("drop", "mask") else [f"{number:.2f}" for number in numbers]
        parts.append(" ".join([names.get(word, word), *shown]))
    return ", ".join(parts)


def _without_pictures(view: dict[str, Any]) -> dict[str, Any]:
    return {**view, "cells": [{k: v for k, v in c.items() if k != "image_jpeg_base64"} for c in view["cells"]]}
