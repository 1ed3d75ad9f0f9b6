"""``plait explain``: what a model's answers rest on, modality by modality."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.progress import TerminalProgress
from plait.cli.report import rows_of, terms_of
from plait.cli.terminal import print_json, say
from plait.cli.wording import as_typed
from plait.registry import counted
from plait.settings.names import ABSENCE_NAMES, METRIC_NAMES


def explain(
    context: typer.Context,
    model: options.Model,
    table: options.LabelledTable,
    report: options.Report = None,
    rows: options.Rows = None,
    row: Annotated[list[int] | None, typer.Option(metavar="N", help="Explain this row (repeat for more).")] = None,
    absence: Annotated[
        str,
        typer.Option(
            help="Without a modality: missing, or marginal (from other rows).",
            callback=options.one_of("word after --absence", ABSENCE_NAMES),
        ),
    ] = "missing",
    metric: Annotated[
        str | None,
        typer.Option(
            help="Another metric of the task, such as auroc.",
            callback=options.one_of("word after --metric", METRIC_NAMES),
        ),
    ] = None,
    annotations: options.Annotations = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    decimal: options.Decimal = None,
    set: options.SetLater = None,
    on_bad_row: options.BadRows = None,
    allow_outside: options.AllowOutside = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Show what each modality adds, and whether they work together."""
    from plait.api import load, report_values

    with TerminalProgress(quiet=quiet) as progress:
        fitted = load(model)
        found = fitted.explain(
            **options.passed_on(context, fitted.explain), **({"examples": row} if row else {}), progress=progress
        )
    if as_json:
        print_json({**report_values(found), **({"report": str(report)} if report else {})})
        return
    for line in lines(found, bool(row)):
        say(line)
    if report is not None:
        say(f"report: {report}")


def lines(found: dict[str, Any], with_rows: bool) -> list[str]:
    """An explanation as lines for the terminal."""
    points = bool(found["metric"]["in_points"])
    unit = "points" if points else found["metric"]["name"]

    def shown(entry: dict[str, Any], *, sign: str = "+", in_points: bool = points) -> str:
        if entry["value"] is None:
            return f"{'-':>8}"
        value, low, high = (
            None if entry[k] is None else _number(entry[k], in_points) for k in ("value", "low", "high")
        )
        plus = "+" if sign and entry["value"] >= 0 else ""
        return f"{plus + str(value):>8}" + ("" if low is None else f"  [{low}, {high}]")

    names = found["modalities"]
    shown_subsets, left = _subsets(found)
    width = max(12, *(len(s["name"]) for s in shown_subsets))
    made = [
        found["verdict"],
        *terms_of(found),
        "",
        f"{found['metric']['name']} of every subset ({found['absence']['name']}):",
    ]
    made += [f"  {s['name']:{width}} {shown(s['metric'], sign='')}" for s in shown_subsets]
    made += [f"  and {left} more subsets; --json or --report shows all"] if left else []
    made += ["", f"Shapley value ({unit}; less {found['loss']['name']}; share of the whole):"]
    for name in names:
        metric, loss = found["shapley"]["metric"][name], found["shapley"]["loss"][name]
        share = "" if metric["share"] is None else f"{100 * metric['share']:4.0f}%"
        made.append(f"  {name:{width}} {shown(metric):28} {shown(loss, in_points=False):34} {share}".rstrip())
    if found["interaction"]["metric"]:
        made += ["", f"interaction ({unit}; above 0 they need each other, below 0 one stands in for the other):"]
        made += [f"  {' and '.join(p['pair']):{width}} {shown(p)}" for p in found["interaction"]["metric"]]
    if found["emap"]:
        made += ["", f"EMAP: lost without interaction ({unit}):", f"  {'gap':{width}} {shown(found['emap']['gap'])}"]
    if found["perceptual"]:
        made += ["", f"perceptual score: lost when shuffled ({unit}):"]
        made += [f"  {n:{width}} {shown(p['raw'])}" for n, p in found["perceptual"]["modalities"].items()]
    for shown in found["examples"] if with_rows else []:
        parts = ", ".join(f"{n} {v:+.3f}" for n, v in shown["shapley"].items())
        made += ["", f"row {shown['row']}: truth {shown['truth']}, prediction {shown['prediction']}"]
        made.append(f"  {shown['explained']} {shown['with nothing']:.3f} -> {shown['with everything']:.3f}: {parts}")
    made += ["", f"explained on {rows_of(found)}; {counted(len(found['bad_rows']), 'cell')} unreadable"]
    made += [f"  note: {as_typed(note)}" for note in found["notes"]]
    return made


def _number(value: float, in_points: bool) -> str:
    if in_points:
        return f"{round(100 * value, 1) + 0.0:.1f}"
    return f"{round(value, 3) + 0.0:.3f}" if abs(value) < 1000 else f"{value:.3g}"


def _subsets(found: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The subsets to print, small ones first, and how many are left out: with many, single ones and one-less ones."""
    count, ordered = len(found["modalities"]), sorted(found["subsets"], key=lambda s: len(s["modalities"]))
    if count <= 4:
        return ordered, 0
    kept = [s for s in ordered if len(s["modalities"]) in (0, 1, count - 1, count)]
    return kept, len(ordered) - len(kept)
