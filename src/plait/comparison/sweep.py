"""``plait.compare``: every fusion method on one table, on equal terms, beside the baselines it must beat.

The table is opened, split and encoded once. Every method, and every modality alone, is tried with the same short list
of configurations; each keeps the one that is best on validation rows and trains it with every seed. Only then are
test rows looked at. The statistics, the page and what runs are files of their own in this room.
"""

from __future__ import annotations

import contextlib
import datetime
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from plait import __version__
from plait.api.describe import versions
from plait.api.opening import OpenedRun, open_run
from plait.api.other_words import says_our_words
from plait.api.preparing import PreparedRun, prepare_run
from plait.api.watching import WatchedBy, watched
from plait.comparison.archive import Archive
from plait.comparison.folder import comparison_folder
from plait.comparison.judging import CHOSEN_BY, judged_rows
from plait.comparison.method_outcome import Outcome
from plait.comparison.outcome import Comparison
from plait.comparison.plan import check_asked, choose_methods, make_configurations, shared_budget, usual_fusion
from plait.comparison.result import measure, search_facts
from plait.comparison.runner import Runner
from plait.comparison.usable import Asked, add_fits
from plait.comparison.workers import choose_workers, run_ahead
from plait.data.memory import bounded
from plait.data.sources import Opened
from plait.data.table_like import TableLike
from plait.files import given_path
from plait.fusion import FUSIONS
from plait.report import check_language
from plait.settings import Assignments, DataOptions, RunSettings, assignments_of, merge_values, set_values, to_dict
from plait.training.known_split import table_fingerprint
from plait.training.splitting import count_splits


@watched
@bounded
@says_our_words
def compare(
    table: TableLike,
    target: str | None = None,
    *,
    fusion: str | Sequence[str] = "all",
    objectives: str | Sequence[str] = (),
    seeds: int = 5,
    search: int = 3,
    select_on: str = "val",
    task: str | None = None,
    text: Sequence[str] | str = (),
    image: Sequence[str] | str = (),
    audio: Sequence[str] | str = (),
    image_set: Sequence[str] | str = (),
    vector: Sequence[str] | str = (),
    numeric: Sequence[str] | str = (),
    categorical: Sequence[str] | str = (),
    date: Sequence[str] | str = (),
    ignore: Sequence[str] | str = (),
    split: str | None = None,
    split_by_time: str | None = None,
    group: str | None = None,
    epochs: int | None = None,
    output: str | Path | None = None,
    lang: str | None = None,
    format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    date_order: str | None = None,
    annotations: str | None = None,
    on_bad_row: str | None = None,
    allow_outside: bool = False,
    allow_remote: bool = False,
    settings: RunSettings | None = None,
    set: Assignments = (),
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    memory: str | int | None = None,
    progress: WatchedBy = None,
) -> Comparison:
    """Compare fusion methods on a table, all on equal terms.

    Args:
        table: Anything ``plait.fit`` takes; or what ``api.first_look`` opened.
        target: Column to predict.
        fusion: "all", a name, names between commas, or a list of names.
        objectives: Training aids to compare: "all", names between commas, or a list of names, each with its strength if
            it is not to be the usual one ("ogm=0.3"). Each fusion stands there without any and with each alone; "all"
            fusions are then the one that the recipe takes.
        seeds: How many seeds each chosen configuration is trained with, 0 to this number minus one.
        search: How many configurations each method is tried with; 1 is no search.
        select_on: "val", and nothing else: rows that choose cannot also judge.
        task: classification, multilabel, regression, matching, captioning or vqa; None tells it from the target.
        text: Columns to read as text (others are still guessed).
        image: Columns to read as images.
        audio: Columns to read as sounds.
        image_set: Columns to read as sets of images.
        vector: Columns to read as ready vectors.
        numeric: Columns to read as numbers.
        categorical: Columns to read as categories.
        date: Columns to read as dates, times of day or both.
        ignore: Columns to leave out.
        split: Column that says train, val or test; None looks for one, else rows are split at random.
        split_by_time: Column of dates or numbers by which rows are split: the earliest for training, then for
            validation, the latest for the test.
        group: Column whose equal values stay on one side of the split, and are drawn together in the bootstrap.
        epochs: Passes over the training rows, the same for every run; None: the recipe's, but at most 10.
        output: Folder for ``compare.html``, ``compare.json`` and the finished runs; None keeps nothing.
        lang: Language of the page, "en" or "zh"; None: English.
        format: Format of the source when its name does not tell it; "coco".
        encoding: Encoding of a text file that is not UTF-8.
        delimiter: One character between the fields of a CSV file; None: found in its first rows.
        decimal: Decimal mark, "." or ",", of columns whose cells leave it open (1,234).
        date_order: "dmy" or "mdy", for dates whose column leaves it open (05/03/2024).
        annotations: Folder of COCO annotations other than ``annotations``.
        on_bad_row: "error", "missing" or "skip".
        allow_outside: Let cells name files outside the table's folder (of a table in memory: the current folder).
        allow_remote: Fetch cells that are addresses of objects (s3://, gs://, hf://, https://).
        settings: A full set of settings to start from.
        set: Further settings, a mapping or a list of "a.b=c"; what is fixed so is fixed for every method.
        resume: Go on with a comparison in ``output``; methods and seeds may be added to it.
        overwrite: Replace a comparison in ``output``.
        workers: Processes that train at the same time, each on one thread; None: one a CPU core. One where there is
            an accelerator, and where processes cannot be forked (not Linux).
        memory: Most memory that this process may hold, such as "4GB"; None: four fifths of what is free.
        progress: Called with (done, total, what).

    Returns:
        The comparison: ``verdict``, ``selected`` (by validation), ``table()`` and the full ``report``.

    Raises:
        ValueError: Selection on test rows was asked for, or something about the table or the settings.
    """
    started = time.monotonic()
    check_selection(select_on)
    if resume and overwrite:
        raise ValueError("resume=True goes on with a comparison and overwrite=True throws it away; type one of them")
    if resume and output is None:
        raise ValueError("resume=True needs output=, the folder of the comparison that was stopped")
    output = None if output is None else given_path(output, "output", example="comparison")
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}; expected at least 1 (5 is usual)")
    data = DataOptions(
        target, text, image, audio, image_set, vector, numeric, categorical, date, ignore, split=split,
        split_by_time=split_by_time, group=group, format=format, encoding=encoding, delimiter=delimiter,
        decimal=decimal, date_order=date_order, on_bad_row=on_bad_row, allow_outside=allow_outside or None,
        allow_remote=allow_remote or None,
    )  # fmt: skip
    given = {**data.given(), "task.name": task, "train.epochs": epochs, "preset": "single"}  # one network a method
    base, assignments = settings or RunSettings(), assignments_of(set)
    asked = set_values(merge_values(base, given), assignments)
    check_asked(asked, objectives)
    language = check_language(lang or asked.judge.lang)
    opened = open_run(table, given, base, assignments, annotations=annotations, progress=progress)
    opened.settings = shared_budget(opened.settings, asked)
    _check_rows(opened)
    if not opened.task.needs_target:
        raise ValueError(
            f"compare holds fusions against each other on a target; {opened.task.name} has one fusion (cosine). To "
            "compare losses type plait.fit(TABLE, task='retrieval', set=['task.loss=infonce']) (siglip, triplet) and "
            "read the reports"
        )
    fusions = usual_fusion(opened.settings) if objectives and fusion in ("all", ["all"], ("all",)) else fusion
    methods = choose_methods(opened.task.name, [m.name for m in opened.schema.modalities], fusions, objectives)
    processes = choose_workers(workers, len(methods))
    configurations = make_configurations(opened.settings, asked, search)
    fingerprint = table_fingerprint(opened.table)
    plain = replace(opened.settings, data=replace(opened.settings.data, source=None))
    stamp = {
        "settings": to_dict(plain), "table": fingerprint, "search": [to_dict(c) for c in configurations],
        "versions": {k: v for k, v in versions().items() if k in ("plait", "torch")},
    }  # fmt: skip
    with _folder(output, stamp, resume, overwrite) as folder:
        with_tokens = any(FUSIONS.get(m.fusion).info.needs_tokens for m in methods)
        ready = prepare_run(opened, with_tokens=with_tokens, progress=progress)
        ready.plan.settings = plain
        test = _test_rows(opened, ready)
        runner = Runner(
            ready.plan, test, configurations, seeds, Archive(folder), fingerprint, progress,
            align_all=bool(asked.train.alignment),
        )  # fmt: skip
        run_ahead(runner, methods, processes)
        outcomes = runner.run(methods)
        fitted = [o.method.name for o in outcomes if o.fits_on_val and o.status == "ok"]
        if fitted:
            opened.notes.append(
                f"{', '.join(fitted)}: part of the model is fitted on validation rows; to be compared with the others "
                "there, it is fitted on one half of them and scored on the other, both ways"
            )
        opened.notes += _notes_of_runs(outcomes)
        measured = measure(ready.plan, test, outcomes, progress=progress)
        add_fits(
            measured, outcomes, configurations,
            Asked(
                table.data.source if isinstance(table, Opened) else table, asked, ready.plan.settings,
                opened.schema.modalities,
                None if opened.settings.data.format == "coco" else opened.schema.target, opened.task.name, annotations,
            ),
        )  # fmt: skip
        report = {
            "plait": __version__,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "task": opened.task.name,
            "target": opened.schema.target,
            "metric": {"name": opened.task.primary, "higher_is_better": opened.task.higher_is_better},
            "select_on": select_on,
            "selection_metric": opened.task.selects or opened.task.primary,
            **measured,
            "search": search_facts(ready.plan, configurations, runner.counter.steps_a_run),
            "num_seeds": seeds,
            "runs": {
                "trained": runner.counter.done, "workers": processes, "seconds": round(time.monotonic() - started, 1),
            },
            "splits": count_splits(opened.split, ready.usable),
            "notes": opened.notes,
            "bad_cells": len(ready.plan.prepared.rows.bad) + len(opened.table.bad_rows),
            "schema": [
                {"name": c.name, "kind": c.kind, "role": c.role, "reason": c.reason} for c in opened.schema.columns
            ],
            "encoders": {
                n: e.reference for n, e in {**ready.plan.inputs.frozen, **ready.plan.inputs.live}.items()
            },
            "settings": to_dict(opened.settings),
            "versions": versions(),
        }  # fmt: skip
        comparison = Comparison(report, language)
        if output is not None:
            comparison.save(output, language)
    return comparison


def check_selection(select_on: str) -> None:
    """Refuse to choose anything on test rows.

    Raises:
        ValueError: Anything but "val".
    """
    if select_on == "test":
        raise ValueError(
            "select_on='test' is refused: rows that choose the epoch, the configuration or the method cannot also "
            "judge it. Choosing the best epoch on test alone lifts a MOSI result from 78.7 to the published 80.3. "
            "Use select_on='val'"
        )
    if select_on != "val":
        raise ValueError(f"select_on is {select_on!r}; expected 'val'")


def _check_rows(opened: OpenedRun) -> None:
    """There must be rows to choose on and other rows to evaluate on."""
    counts = count_splits(opened.split, opened.usable)
    for name, purpose in (("val", "choose"), ("test", "judge")):
        if counts[name] == 0:
            raise ValueError(
                f"{opened.table.source} leaves no {name} rows to {purpose} with (train {counts['train']}, val "
                f"{counts['val']}, test {counts['test']}); mark some in the split column, or leave that column out "
                f"with ignore={opened.schema.split or 'COLUMN'} to split at random"
            )


def _test_rows(opened: OpenedRun, ready: PreparedRun) -> np.ndarray:
    """Positions of test rows that can be evaluated; classes unseen in training are left out and counted."""
    test = ready.usable[opened.split[ready.usable] == "test"]
    known: np.ndarray = test[ready.known_N[test]]
    if len(known) < len(test):
        count = len(test) - len(known)
        opened.notes.append(f"{count} test rows are of classes not seen in training and were left out")
    judged, _ = judged_rows(ready.plan, known)
    opened.notes += [CHOSEN_BY] if opened.task.family.writes else []
    if len(judged) < len(known):
        opened.notes.append(
            f"{len(known):,} test rows show {len(judged):,} different inputs; each was judged once, with all answers"
        )
    if len(known) == 0 or len(ready.plan.val) == 0:
        raise ValueError(f"no readable test or val row of a known class is left in {opened.table.source}")
    return known


def _notes_of_runs(outcomes: list[Outcome]) -> list[str]:
    """What the chosen runs could not fit on validation rows, each sentence once a method."""
    notes = []
    for outcome in outcomes:
        name = outcome.method.name
        noted = [n for record in outcome.seeds.values() for n in record.get("notes", [])]
        notes += [n if n.startswith(name) else f"{name}: {n}" for n in dict.fromkeys(noted)]
    return notes


@contextlib.contextmanager
def _folder(output: str | Path | None, stamp: dict[str, Any], resume: bool, overwrite: bool) -> Iterator[Path]:
    """The folder of the comparison, guarded, or a temporary one."""
    if output is None:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    with comparison_folder(
        given_path(output, "output", example="comparison"), stamp, resume=resume, overwrite=overwrite
    ):
        yield Path(output)
