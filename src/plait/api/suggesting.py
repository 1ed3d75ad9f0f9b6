"""A fitted model says which rows of a pool to label next. Behind ``Plait.suggest``."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plait.api.evaluation import read_labelled
from plait.api.folder_checks import check_report_place
from plait.api.reading import absent_columns, open_table, prepare_rows
from plait.data.progress import Progress
from plait.data.table import Table
from plait.evaluation.active import STRATEGIES, Pool, Suggestion, answer_pool, choose_rows_to_label, content_keys
from plait.evaluation.active.pool import KINDS, expected_pool, vectors_of
from plait.evaluation.active.strategies import check_strategy
from plait.evaluation.active.words import ANSWERS
from plait.evaluation.base import shown_row
from plait.inputs.prepare import Prepared
from plait.registry import counted
from plait.report import write_suggestions
from plait.report.languages import spoken, tr
from plait.training.fitted import FittedParts
from plait.training.splitting import parse_targets

OWN = ("row", "reason", "score")  # columns beside those of the pool; "suggested_row" where a name is taken
MOST_CELLS, FEWEST_ROWS = 200_000_000, 10_000  # outputs of all answers at once; rows that are looked at in any case
FACTS = b"plait.suggest"  # of the schema's metadata: what was left out, as JSON


@dataclass
class _Left:
    """Positions that may be suggested, and how many rows may not, by reason."""

    positions: np.ndarray
    counts: dict[str, int] = field(default_factory=dict)

    def leave(self, gone: np.ndarray, why: str) -> None:
        """Leave out some of them."""
        before = len(self.positions)
        self.positions = self.positions[~np.isin(self.positions, gone)]
        if before > len(self.positions):
            self.counts[why] = before - len(self.positions)

    def sentence(self) -> str:
        """What was left out."""
        return ", ".join(f"{number:,} {why}" for why, number in self.counts.items())


def suggest_rows(
    fitted: FittedParts, pool: Any, n: int, strategy: str, *, labelled: Any = None, seed: int = 0,
    report: str | Path | None = None, on_bad_row: str = "missing", format: str | None = None,
    encoding: str | None = None, allow_outside: bool = False,
    allow_remote: bool = False, set: list[str] | tuple[str, ...] = (),
    progress: Progress | None = None, lang: str | None = None,
) -> pa.Table:  # fmt: skip
    """The rows to label next; see ``Plait.suggest``."""
    check_report_place(report)
    _check(fitted, n, strategy)
    table = open_table(fitted, pool, format, encoding, allow_outside, allow_remote, set)
    notes = absent_columns(fitted, table)
    whole, table = table, _at_most(table, fitted, seed)
    if len(table) < len(whole):
        notes.append(f"looked at {len(table):,} of {len(whole):,} rows, drawn with seed {seed}")
    prepared, keep = prepare_rows(fitted, table, on_bad_row, progress)
    left = _Left(keep)
    left.counts |= {"cannot be read": len(table) - len(keep)} if len(keep) < len(table) else {}
    left.leave(np.flatnonzero(~prepared.rows.present_NM.any(1)), "hold nothing that the model reads")
    answered = _answered(fitted, table)
    left.leave(answered, f"have a value in {fitted.schema.target!r} already")
    keys, known = content_keys(prepared), None
    is_told = fitted.seen is not None and fitted.seen.tells
    if fitted.seen is not None and is_told:
        left.leave(np.flatnonzero(fitted.seen.found_in(prepared.rows)[0]), "trained the model or chose its epoch")
    seen = frozenset(keys[i] for i in answered)
    if labelled is not None:
        known = _labelled_rows(fitted, labelled, format, encoding, allow_outside, allow_remote, set, progress)
        seen |= frozenset(content_keys(known))
    elif len(answered) == 0 and not is_told:
        notes.append(
            "which rows are labelled already is not known: name the training table with labelled=TABLE, and rows that "
            "show the same are left out"
        )
    same = [i for i, key in enumerate(keys) if key is not None and key in seen]
    left.leave(np.array(same, dtype=np.int64), "show the same as a labelled row")
    if n > len(left.positions):
        why = f" ({left.sentence()})" if left.counts else ""
        advice = f"; type n={len(left.positions)}" if len(left.positions) else ""
        raise ValueError(
            f"n={n} is more than the {counted(len(left.positions), 'row')} that can be suggested of {table.source}, "
            f"which has {counted(len(table), 'row')}{why}{advice}"
        )
    asked = answer_pool(fitted, prepared, group=_groups(fitted, table), progress=progress)
    chosen, passed = choose_rows_to_label(
        asked, left.positions, n, strategy=strategy, seed=seed,
        labelled=_labelled_vectors(fitted, asked, answered, known),
    )  # fmt: skip
    if len(chosen) < n:
        fewer = f"{counted(len(chosen), 'row')} instead of n={n}: the others show nearly the same as one of them"
        notes.append(fewer)
        warnings.warn(fewer, UserWarning, stacklevel=3)
    facts = {
        "source": table.source, "rows": len(whole), "suggested": len(chosen), "strategy": strategy, "seed": seed,
        "left_out": left.counts, "passed_over": passed, "target": fitted.schema.target, "notes": notes,
    }  # fmt: skip
    lang = lang or fitted.settings.judge.lang
    made = _as_table(fitted, table, chosen, facts, lang)
    if report is not None:
        page = _page(fitted, asked, prepared, chosen, facts)
        write_suggestions(Path(report), page, lang=lang)
    return made


def suggestion_facts(table: pa.Table) -> dict[str, Any]:
    """What ``Plait.suggest`` says beside its rows: counts of what was left out, strategy, seed and notes."""
    found: dict[str, Any] = json.loads((table.schema.metadata or {}).get(FACTS, b"{}"))
    return found


def _check(fitted: FittedParts, n: int, strategy: str) -> None:
    STRATEGIES.get(strategy)  # raises for a mistyped one
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n is {n!r}; expected how many rows to label next, 1 or more")
    if fitted.task.output_kind not in KINDS or not fitted.task.needs_target or fitted.schema.target is None:
        raise ValueError(
            f"this model {fitted.task.family.does}; rows to label are suggested for models that answer "
            f"{', '.join(ANSWERS.values())}"
        )
    check_strategy(strategy, expected_pool(fitted))


def _at_most(table: Table, fitted: FittedParts, seed: int) -> Table:
    """The table, or so many of its rows, drawn at random, that all answers to them fit in memory."""
    answers = 2 + len(fitted.modalities) + (0 if fitted.ensemble is None else len(fitted.ensemble.facts) * 5)
    most = max(FEWEST_ROWS, MOST_CELLS // (answers * fitted.labels.num_outputs))
    if len(table) <= most:
        return table
    return table.take(np.sort(np.random.default_rng([seed, len(table)]).choice(len(table), most, replace=False)))


def _answered(fitted: FittedParts, table: Table) -> np.ndarray:
    """Positions of rows that have a target."""
    target = fitted.schema.target
    if target is None or target not in table.column_names:
        return np.array([], dtype=np.int64)
    values = parse_targets(table.column(target), fitted.task, table.reading(target))
    return np.array([i for i, value in enumerate(values) if value is not None], dtype=np.int64)


def _labelled_vectors(
    fitted: FittedParts, pool: Pool, answered: np.ndarray, known: Prepared | None
) -> list[np.ndarray] | None:
    """Vectors of all rows with a target, of the pool and of the labelled table; None where there are none."""
    if known is None and len(answered) == 0:
        return None
    inside = [vectors[answered] for vectors in pool.vectors]
    if known is None:
        return inside
    return [np.concatenate(two) for two in zip(inside, vectors_of(fitted, known)[0], strict=True)]


def _labelled_rows(
    fitted: FittedParts, labelled: Any, format: str | None, encoding: str | None, allow_outside: bool,
    allow_remote: bool, set: Any,
    progress: Progress | None,
) -> Prepared:  # fmt: skip
    """The rows of a table that have a target."""
    table = read_labelled(
        fitted,
        labelled,
        format=format,
        encoding=encoding,
        allow_outside=allow_outside,
        allow_remote=allow_remote,
        set=set,
        annotations=None,
    )
    prepared, _ = prepare_rows(fitted, table.take(_answered(fitted, table)), "missing", progress)
    return prepared


def _groups(fitted: FittedParts, table: Table) -> list[Any]:
    name = fitted.schema.group
    return [None] * len(table) if name is None or name not in table.column_names else table.column(name)


def _as_table(
    fitted: FittedParts, table: Table, chosen: list[Suggestion], facts: dict[str, Any], lang: str
) -> pa.Table:
    """The rows of the pool as they stand, why and how much each is wanted, and a target to fill in."""
    target = str(fitted.schema.target)
    taken = table.take([s.position for s in chosen])
    names = [c for c in table.column_names if c != target]
    used = {*names, *fitted.schema.inputs, target}
    own = {name: name if name not in used else _free(f"suggested_{name}", used) for name in OWN}
    columns: dict[str, Any] = {own["row"]: [taken.row_number(i) for i in range(len(taken))]}
    columns |= {name: taken.arrow.column(name) for name in names}
    with spoken(lang, names):
        columns[own["reason"]] = [tr(s.reason) for s in chosen]
    columns[own["score"]] = [round(s.score, 6) for s in chosen]
    columns[target] = pa.nulls(len(chosen), pa.string())
    return pa.table(columns).replace_schema_metadata({FACTS: json.dumps({**facts, "columns": own}).encode()})


def _free(name: str, used: Collection[str]) -> str:
    """The name, with an underscore for every time that it is taken."""
    while name in used:
        name += "_"
    return name


def _page(
    fitted: FittedParts, pool: Pool, prepared: Prepared, chosen: list[Suggestion], facts: dict[str, Any]
) -> dict[str, Any]:
    """What the page shows."""
    answers = fitted.task.decode(pool.outputs_NC[[s.position for s in chosen]], fitted.labels)
    rows = [
        {
            "row": prepared.rows.table.row_number(s.position), "inputs": shown_row(prepared, s.position),
            "reason": s.reason, "score": s.score, "prediction": answer,
        }
        for s, answer in zip(chosen, answers, strict=True)
    ]  # fmt: skip
    return {**facts, "does": STRATEGIES.get(facts["strategy"]).does, "suggestions": rows}
