"""``plait explain``: what a model's answers rest on, modality by modality."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from plait.cli.progress import TerminalProgress


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def explain(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Rows with answers.")],
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here (JSON beside it).")] = None,
    rows: Annotated[str | None, typer.Option(help="Split to explain: test, val, train or all.")] = None,
    row: Annotated[list[int] | None, typer.Option(metavar="N", help="Explain this row (repeat for more).")] = None,
    absence: Annotated[
        str, typer.Option(help="Without a modality: missing, or marginal (from other rows).")
    ] = "missing",
    metric: Annotated[str | None, typer.Option(help="Another metric of the task, such as auroc.")] = None,
    annotations: Annotated[str | None, typer.Option(help="COCO annotations folder, if not DIR/annotations.")] = None,
    format: Annotated[str | None, typer.Option(help="Format of the source, when its name does not tell.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of a text table that is not UTF-8.")] = None,
    on_bad_row: Annotated[str | None, typer.Option(help="error, missing (cell counts as missing) or skip.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show what each modality adds, and whether they work together."""
    from plait.api import load

    with TerminalProgress(quiet=quiet) as progress:
        found = load(model).explain(
            table, rows=rows, report=report, absence=absence, metric=metric, examples=row or 8,
            annotations=annotations, format=format, encoding=encoding, on_bad_row=on_bad_row or "error",
            progress=progress,
        )  # fmt: skip
    if as_json:
        from plait.report.plain import plain, without_pictures

        shown = {**without_pictures(plain(found)), **({"report": str(report)} if report else {})}
        _say(json.dumps(shown, ensure_ascii=False, allow_nan=False))
        return
    for line in lines(found, bool(row)):
        _say(line)
    if report is not None:
        _say(f"report: {report}")


def lines(found: dict[str, Any], with_rows: bool) -> list[str]:
    """An explanation as lines for the terminal."""
    points = bool(found["metric"]["in_points"])
    unit = "points" if points else found["metric"]["name"]

    def told(entry: dict[str, Any], *, sign: str = "+", in_points: bool = points) -> str:
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
    made = [found["verdict"], "", f"{found['metric']['name']} of every subset ({found['absence']['name']}):"]
    made += [f"  {s['name']:{width}} {told(s['metric'], sign='')}" for s in shown_subsets]
    made += [f"  and {left} more subsets; --json or --report shows all"] if left else []
    made += ["", f"Shapley value ({unit}; less {found['loss']['name']}; share of the whole):"]
    for name in names:
        metric, loss = found["shapley"]["metric"][name], found["shapley"]["loss"][name]
        share = "" if metric["share"] is None else f"{100 * metric['share']:4.0f}%"
        made.append(f"  {name:{width}} {told(metric):28} {told(loss, in_points=False):34} {share}".rstrip())
    if found["interaction"]["metric"]:
        made += ["", f"interaction ({unit}; above 0 they need each other, below 0 one stands in for the other):"]
        made += [f"  {' and '.join(p['pair']):{width}} {told(p)}" for p in found["interaction"]["metric"]]
    if found["emap"]:
        made += ["", f"EMAP: lost without interaction ({unit}):", f"  {'gap':{width}} {told(found['emap']['gap'])}"]
    if found["perceptual"]:
        made += ["", f"perceptual score: lost when shuffled ({unit}):"]
        made += [f"  {n:{width}} {told(p['raw'])}" for n, p in found["perceptual"]["modalities"].items()]
    for shown in found["examples"] if with_rows else []:
        parts = ", ".join(f"{n} {v:+.3f}" for n, v in shown["shapley"].items())
        made += ["", f"row {shown['row']}: truth {shown['truth']}, prediction {shown['prediction']}"]
        made.append(f"  {shown['explained']} {shown['with nothing']:.3f} -> {shown['with everything']:.3f}: {parts}")
    made += ["", f"explained on {found['rows']:,} {found['split']} rows; {len(found['bad_rows'])} cells unreadable"]
    made += [f"  note: {note}" for note in found["notes"]]
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
