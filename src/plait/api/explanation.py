"""A fitted model explained: how it uses its modalities, with its facts around it. Behind ``Plait.explain``."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from plait.api.describe import describe_model
from plait.api.evaluation import left_out, open_evaluation
from plait.data.progress import Progress
from plait.evaluation import EvaluationInputs
from plait.evaluation.caveats import caveats
from plait.explain.fitted_model import explain_evaluated, row_numbers
from plait.explain.inputs.explained_rows import check_method, explain_inputs, named_column
from plait.explain.inputs.options import InputOptions
from plait.explain.subject import check_modalities
from plait.explain.written import each_input_once
from plait.registry import counted
from plait.report.shown import ShownReport
from plait.training.fitted import FittedParts

SPLITS = ("test", "val", "train", "all")


def check_explainable(fitted: FittedParts, options: InputOptions, wanted: int | list[int] | None) -> None:
    """Refuse, before any work, a model whose use of its modalities cannot be measured, or not in this way.

    Args:
        fitted: The model.
        options: How parts of rows are explained.
        wanted: The rows that are explained down to their parts; None: none.

    Raises:
        ValueError: Its modalities give no answer together, they are more than six, or the options do not fit it.
    """
    task = fitted.task
    if not task.needs_target:
        raise ValueError(
            f"explain says what each modality adds to an answer; {task.name} has no answer that its "
            "modalities give together, each is searched by the other: type plait evaluate for both directions"
        )
    check_modalities(fitted.model.config.modality_names)
    asked = {"method": options.method != InputOptions.method, "explain_class": options.explain_class is not None}
    if wanted is None and any(asked.values()):
        what = next(name for name, is_asked in asked.items() if is_asked)
        raise ValueError(
            f"{what}={getattr(options, what)!r} is about the parts of single rows, and no rows are named: type how "
            "many with rows=20, or leave it out"
        )
    check_method(fitted, fitted.inputs, options)


def split_and_rows(rows: str | int | Sequence[int] | None) -> tuple[str | None, int | list[int] | None]:
    """A split's name, or which rows are to be explained down to their parts: how many of the first, or their numbers.

    Raises:
        ValueError: Neither.

    Example:
        >>> split_and_rows("test"), split_and_rows("20"), split_and_rows("3,7"), split_and_rows([7])
        (('test', None), (None, 20), (None, [3, 7]), (None, [7]))
    """
    if rows is None or (isinstance(rows, str) and rows in SPLITS):
        return rows, None
    try:
        if isinstance(rows, str):
            numbers = list(dict.fromkeys(int(part) for part in rows.split(",")))
            chosen: int | list[int] = numbers if "," in rows else numbers[0]
        else:
            chosen = _whole(rows) if isinstance(rows, Integral) else list(dict.fromkeys(map(_whole, rows)))
    except (TypeError, ValueError):
        chosen = []
    if chosen == [] or (isinstance(chosen, int) and chosen < 1) or (isinstance(chosen, list) and min(chosen) < 0):
        raise ValueError(
            f"rows is {rows!r}; expected {', '.join(SPLITS)}, or how many rows to explain down to their parts (20), or "
            "their numbers (3,17)"
        )
    return None, chosen


def _whole(value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError("no whole number")
    return int(value)


def open_explained(fitted: FittedParts, table: Any, split: str | None, wanted: Any, **given: Any) -> EvaluationInputs:
    """Open rows to explain: those of a split, or of the whole table where a row asked for lies in no default split."""
    opened = open_evaluation(fitted, table, rows=split, unseen="out", **given)
    if isinstance(wanted, list) and not set(wanted) <= set(row_numbers(opened)) and opened.split != "all":
        opened = open_evaluation(fitted, table, rows="all", unseen="out", **given)
    return opened


def shares_caveats(given: EvaluationInputs, wanted: int | list[int] | None) -> list[str]:
    """What must be known before the shares of modalities are read."""
    made = caveats(given)
    if isinstance(wanted, list) and given.split == "all":
        rows = counted(len(given.positions), "row")
        made.insert(0, f"The shares are of {rows}, all of the table, not of those named.")
    return made


def explanation_report(
    fitted: FittedParts, given: EvaluationInputs, *, wanted: int | list[int] | None = None,
    options: InputOptions | None = None, progress: Progress | None = None, **asked: Any,
) -> ShownReport:  # fmt: skip
    """What each modality adds on these rows, what the parts of chosen rows add, and the facts of the model.

    Args:
        fitted: The model.
        given: The rows.
        wanted: Rows to explain down to their parts: how many of the first, or their numbers; None: none.
        options: How.
        progress: Called with (done, total, what).
        asked: As ``plait.explain.fitted_model.explain_evaluated`` takes it.
    """
    stands_for: dict[int, int] = {}
    if given.task.family.writes:
        given, stands_for = each_input_once(given)
    numbers = row_numbers(given)
    if wanted is not None and not isinstance(asked.get("examples", 8), int):
        raise ValueError("rows= and examples= both name rows to explain one by one; leave examples= out")
    if wanted is not None:
        asked["examples"] = numbers[:wanted] if isinstance(wanted, int) else wanted
    if not isinstance(asked.get("examples", 8), int):
        asked["examples"] = list(dict.fromkeys(stands_for.get(int(n), int(n)) for n in asked["examples"]))
    column = None if options is None else named_column(given, options.explain_class)
    found = explain_evaluated(given, column=column, seed=fitted.settings.train.seed, progress=progress, **asked)
    found["verdict"] = " ".join([*shares_caveats(given, wanted), found["verdict"]])
    if wanted is not None:
        places = [numbers.index(number) for number in asked["examples"]]
        found["inputs"] = explain_inputs(given, fitted.inputs, places, options, progress=progress)
        for row, shares in zip(found["inputs"]["rows"], found["examples"], strict=True):
            for modality in row["modalities"]:
                modality["shapley"] = shares["shapley"].get(modality["name"])
    facts = {k: v for k, v in describe_model(fitted).items() if k not in ("metric", "schema")}
    return ShownReport({**facts, **found, **left_out(given)}, "explanation", fitted.settings.judge.lang)
