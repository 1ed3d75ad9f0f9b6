"""Checks of the target: missing values, classes, imbalance, contradictions, columns that give it away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from plait.data.arrow_types import is_list
from plait.data.checks.contents import Contents
from plait.data.checks.finding import Finding, name_rows
from plait.data.checks.giveaway import giveaway_score
from plait.data.checks.giveaway_together import LEAST_ROWS, joint_score, own_totals
from plait.data.checks.parts import Parts
from plait.data.rowkeys import input_keys
from plait.data.schema import Schema
from plait.data.table import Table
from plait.registry import counted

_GIVEN_AWAY = 0.97
_IMBALANCE, _RARE = 10.0, 5

_TITLES = {
    "P010": "number of classes",
    "P011": "class balance",
    "P012": "missing targets",
    "P013": "classes in every split",
    "P014": "same inputs, different targets",
    "P015": "same content, different targets",
    "P016": "columns that give the target away",
    "P017": "totals that count the row itself",
    "P018": "numbers that give the target away together",
}


def target_checks(table: Table, schema: Schema, contents: Contents, parts: Parts | None) -> Iterator[Finding]:
    """All checks that need a target; "n/a" where there is none."""
    column = schema.column(schema.target) if schema.target is not None else None
    if column is None or column.kind is None:
        why = "no target is named (target=COL)" if column is None else f"the target: {column.reason}"
        for code, title in _TITLES.items():
            yield Finding(code, "n/a", title, why, [])
        return
    target = table.column(column.name)
    yield _missing(table, target)
    if column.scale == "class":
        labels = [_labels(value) for value in target]
        counts = Counter(label for row in labels for label in row)
        several = is_list(table.arrow.schema.field(column.name).type)
        yield _classes(counts, several)
        yield _balance(counts, several, len(target))
        yield _coverage(table, parts, labels)
    else:
        yield _varies(target)
        for code in ("P011", "P013"):
            yield Finding(code, "n/a", _TITLES[code], f"the target is {column.kind}, not a class", [])
    yield _contradictions(table, schema, contents, target)
    yield _shared_content(table, contents, target)
    yield _giveaways(table, schema, target, column.scale == "number")
    yield from _together(table, schema, target, column.scale == "number")


def _labels(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (value,)


def _missing(table: Table, target: list[Any]) -> Finding:
    rows = [table.row_number(i) for i, v in enumerate(target) if v is None or (isinstance(v, str) and not v.strip())]
    if not rows:
        return Finding("P012", "ok", _TITLES["P012"], "every row has a target", [])
    advice = "a fit skips them (on_bad_row='skip') or learns from them too (semi='self_training')"
    told = f"{len(rows):,} of {len(target):,}: {name_rows(rows)}; {advice}"
    return Finding("P012", "warning", _TITLES["P012"], told, rows)


def _classes(counts: Counter[Any], several: bool) -> Finding:
    if len(counts) == 1 and not several:
        return Finding("P010", "error", _TITLES["P010"], f"one class only: {next(iter(counts))!r}", [])
    if not counts:
        return Finding("P010", "error", _TITLES["P010"], "no class at all", [])
    return Finding("P010", "ok", _TITLES["P010"], counted(len(counts), "class", "classes"), [])


def _varies(target: list[Any]) -> Finding:
    if len({v for v in target if v is not None}) == 1:
        return Finding("P010", "error", _TITLES["P010"], "the target is one number in every row", [])
    return Finding("P010", "n/a", _TITLES["P010"], "the target is a number and varies", [])


def _balance(counts: Counter[Any], several: bool, num_rows: int) -> Finding:
    title = _TITLES["P011"]
    if len(counts) < 2:
        return Finding("P011", "n/a", title, "fewer than two classes", [])
    ordered = counts.most_common()
    (most, many), (least, few) = ordered[0], ordered[-1]
    rare = [label for label, count in ordered if count < _RARE]
    always = f"always guessing {most!r} is right in {many / num_rows:.0%} of rows"
    shown = f"{most!r} {counted(many, 'time')}, {least!r} {counted(few, 'time')}; {always}"
    if rare:
        names = ", ".join(repr(label) for label in rare[:5]) + (" ..." if len(rare) > 5 else "")
        shown += f"; {counted(len(rare), 'class has', 'classes have')} fewer than {_RARE} rows ({names})"
    if rare or (many / few >= _IMBALANCE and not several):
        return Finding("P011", "warning", title, shown, [])
    return Finding("P011", "info" if many / few >= 3 else "ok", title, shown, [])


def _coverage(table: Table, parts: Parts | None, labels: list[tuple[Any, ...]]) -> Finding:
    """Classes that a split lacks: of train the model never learns them, of val and test nothing judges them."""
    title = _TITLES["P013"]
    if parts is None:
        return Finding("P013", "n/a", title, "no split column", [])
    rows_of: dict[Any, dict[str, list[int]]] = {}
    there = set()
    for i, (name, row) in enumerate(zip(parts.names, labels, strict=True)):
        for label in row if name in ("train", "val", "test") else ():
            rows_of.setdefault(label, {}).setdefault(str(name), []).append(table.row_number(i))
            there.add(name)
    if "train" not in there:
        return Finding("P013", "n/a", title, "no train rows", [])
    unseen = {
        label: sorted(row for rows in found.values() for row in rows)
        for label, found in rows_of.items() if "train" not in found
    }  # fmt: skip
    told = []
    if unseen:
        detail = "; ".join(f"{label!r} in {name_rows(rows)}" for label, rows in list(unseen.items())[:5])
        told.append(f"{counted(len(unseen), 'class is', 'classes are')} not in train: {detail}")
    for part in [name for name in ("val", "test") if name in there]:
        lacking = [label for label, found in rows_of.items() if part not in found and label not in unseen]
        if lacking:
            names = ", ".join(map(repr, lacking[:5])) + (" ..." if len(lacking) > 5 else "")
            told.append(f"{counted(len(lacking), 'class is', 'classes are')} not in {part}: {names}")
    if not told:
        return Finding("P013", "ok", title, "train, val and test have every class", [])
    rows = sorted({r for found in unseen.values() for r in found})
    return Finding("P013", parts.severity("warning"), title, parts.with_told("; ".join(told)), rows)


def _contradictions(table: Table, schema: Schema, contents: Contents, target: list[Any]) -> Finding:
    title = _TITLES["P014"]
    if not schema.inputs:
        return Finding("P014", "n/a", title, "no inputs", [])
    found = _clashes(input_keys(table, schema, contents), target)
    if not found:
        return Finding("P014", "ok", title, "rows with the same inputs have the same target", [])
    return _say(
        table,
        "P014",
        "warning",
        found,
        "group of rows has",
        "groups of rows have",
        "the same inputs and different targets",
    )


def _shared_content(table: Table, contents: Contents, target: list[Any]) -> Finding:
    """One photo or one text under several targets: a fault when it is all there is, by design in matching."""
    title = _TITLES["P015"]
    if not contents.keys:
        return Finding("P015", "n/a", title, "no text and no images", [])
    found = [rows for keys in contents.keys.values() for rows in _clashes(keys, target)]
    if not found:
        return Finding("P015", "ok", title, "the same photo or text always has the same target", [])
    severity, what = "warning" if len(contents.keys) == 1 else "info", "under different targets"
    one, many = "photo or text stands", "photos or texts stand"
    return _say(table, "P015", severity, found, one, many, f"{what} (as they should in matching and questions)")


def _clashes(keys: list[str | None], target: list[Any]) -> list[list[int]]:
    rows_of: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        if key is not None and target[row] is not None:
            rows_of.setdefault(key, []).append(row)
    return [rows for rows in rows_of.values() if len({repr(target[row]) for row in rows}) > 1]


def _say(table: Table, code: str, severity: str, found: list[list[int]], one: str, many: str, what: str) -> Finding:
    numbers = [[table.row_number(row) for row in rows] for rows in found]
    detail = f"{counted(len(found), one, many)} {what}: {'; '.join(name_rows(rows) for rows in numbers[:3])}"
    return Finding(code, severity, _TITLES[code], detail, sorted({r for rows in numbers for r in rows}))


def _giveaways(table: Table, schema: Schema, target: list[Any], regression: bool) -> Finding:
    title = _TITLES["P016"]
    columns = [c for c in schema.columns if c.role == "input" and c.scale is not None]
    if not columns:
        return Finding("P016", "n/a", title, "no numbers and no categories among the inputs", [])
    answers = [repr(v) if isinstance(v, list) else v for v in target]
    scores = {}
    for column in columns:
        values = table.column(column.name)
        score = giveaway_score(values, answers, numeric=column.scale == "number", regression=regression)
        if score is not None:
            scores[column.name] = score
    if not scores:
        return Finding("P016", "n/a", title, "fewer than 20 rows, or one target only", [])
    found = {name: score for name, score in scores.items() if score >= _GIVEN_AWAY}
    if not found:
        name = max(scores, key=lambda n: scores[n])
        return Finding("P016", "ok", title, f"the strongest, {name!r}, takes away {scores[name]:.0%} of the error", [])
    shown = ", ".join(f"{name!r} ({score:.0%} of the error)" for name, score in found.items())
    detail = f"{shown}; is it known before the target is? If not, leave it out"
    return Finding("P016", "warning", title, detail, [])


def _together(table: Table, schema: Schema, target: list[Any], regression: bool) -> Iterator[Finding]:
    names = [c.name for c in schema.columns if c.role == "input" and c.scale == "number"]
    if len(names) < 2:
        for code in ("P017", "P018"):
            yield Finding(code, "n/a", _TITLES[code], "fewer than two columns of numbers among the inputs", [])
        return
    columns = {name: table.column(name) for name in names}
    answers = [repr(v) if isinstance(v, list) else v for v in target]
    if regression:
        yield Finding("P017", "n/a", _TITLES["P017"], "the target is a number, not a class", [])
    else:
        yield _own_totals(columns, answers)
    together = joint_score(columns, answers, regression=regression)
    title = _TITLES["P018"]
    if together is None:
        yield Finding("P018", "n/a", title, f"fewer than {LEAST_ROWS} rows with a target, or one target only", [])
        return
    summary = f"{len(names)} columns of numbers together take away {together:.0%} of the error"
    single = [giveaway_score(c, answers, numeric=True, regression=regression) or 0.0 for c in columns.values()]
    is_more = 1 - together <= (1 - max(single)) / 2  # at least half of what the best alone leaves
    if together < _GIVEN_AWAY or max(single) >= _GIVEN_AWAY or not is_more:
        yield Finding("P018", "ok", title, summary, [])
        return
    shown = f"{', '.join(map(repr, names[:8]))}{' ...' if len(names) > 8 else ''}"
    detail = f"{summary}, the best of them alone {max(single):.0%} ({shown}); are they known before the target is?"
    yield Finding("P018", "warning", title, detail, [])


def _own_totals(columns: dict[str, list[Any]], answers: list[Any]) -> Finding:
    title, found = _TITLES["P017"], own_totals(columns, answers)
    if not found:
        return Finding("P017", "ok", title, "none", [])
    shown = "; ".join(
        f"{t.column!r} is 0 in {t.zero_here:.1%} of the rows of {t.target!r}, in {t.zero_elsewhere:.0%} of the others"
        for t in found
    )
    own = {t.column: columns[t.column] for t in found}
    together = joint_score(own, answers, regression=False)
    single = max(giveaway_score(c, answers, numeric=True, regression=False) or 0.0 for c in own.values())
    gain = (
        ""
        if together is None
        else f" Together they take away {together:.0%} of the error, the best alone {single:.0%}."
    )
    detail = (
        f"{shown}. Each seems to count the rows of one class with the row at hand inside; the target can be read off."
        f"{gain} Take the row's own target off its total, or leave these columns out"
    )
    return Finding("P017", "warning", title, detail, [])
