"""``plait explain``: what a model's answers rest on, modality by modality."""

from __future__ import annotations

import re
from math import exp
from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.progress import terminal_progress
from plait.cli.report import rows_of, terms_of
from plait.cli.terminal import print_json, say
from plait.cli.wording import as_typed
from plait.registry import counted
from plait.settings.added_metrics import ADDED_METRICS
from plait.settings.names import ABSENCE_NAMES, INPUT_METHOD_NAMES, METRIC_NAMES

MOST_NAMED = 3
LEAST_SHOWN = 0.0005
SIGNS = (
    "  (+ for the answer named here, - against it: parts while all else of the row stays; shares of modalities are "
    "against the training prior, and can differ in sign)"
)


def _split_or_rows(word: str | None) -> str | None:
    if word is None or word in ("test", "val", "train", "all") or re.fullmatch(r"\d+(,\d+)*", word):
        return word
    raise ValueError(
        f"unknown word after --rows {word!r}; expected test, val, train or all, or how many rows to explain down to "
        "words, regions and columns (20), or their numbers (3,17)"
    )


def explain(
    context: typer.Context,
    model: options.Model,
    table: options.LabelledTable,
    report: options.Report = None,
    lang: options.Lang = None,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS",
            show_default="test; without one val, else all",
            callback=_split_or_rows,
            help="A split (test, val, train, all); or how many rows to explain down to words, regions and columns "
            "(20), or their numbers (3,17).",
        ),
    ] = None,
    row: Annotated[list[int] | None, typer.Option(metavar="N", help="Explain this row (repeat for more).")] = None,
    absence: Annotated[
        str | None,
        typer.Option(
            show_default="missing; for written text marginal",
            help="Without a modality: missing, or marginal (from other rows).",
            callback=options.one_of("word after --absence", ABSENCE_NAMES),
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="Another metric of the task, such as auroc.",
            callback=options.one_of("word after --metric", METRIC_NAMES, added=ADDED_METRICS),
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="How parts of --rows are explained: auto, occlusion, shapley, gradients or attention.",
            callback=options.one_of("word after --method", INPUT_METHOD_NAMES),
        ),
    ] = "auto",
    explain_class: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Explain parts for this class, not for the answer.")
    ] = None,
    annotations: options.Annotations = None,
    format: options.Format = None,
    encoding: options.Encoding = None,
    decimal: options.Decimal = None,
    set: options.SetLater = None,
    on_bad_row: options.BadRows = None,
    allow_outside: options.AllowOutside = False,
    allow_remote: options.AllowRemote = False,
    memory: options.Memory = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Show what each modality adds, whether they work together, and what inside single rows counts."""
    from plait.api import in_language, load, report_values

    with terminal_progress(quiet=quiet) as progress:
        fitted = load(model)
        found = fitted.explain(
            **options.passed_on(context, fitted.explain), **({"examples": row} if row else {}),
            inputs={"method": method, "explain_class": explain_class}, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json({**report_values(found), **({"report": str(report)} if report else {})})
        return
    language = lang or fitted.settings.judge.lang
    for line in lines({**found, "verdict": in_language(language, found["verdict"])}, bool(row)):
        say(line)
    if report is not None:
        say(f"report: {report}")


def lines(found: dict[str, Any], with_rows: bool) -> list[str]:
    """An explanation as lines for the terminal."""
    points = bool(found["metric"]["in_points"])
    unit = "points" if points else found["metric"].get("unit") or found["metric"]["name"]

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
        *([f"score: {found['metric']['meaning']}"] if found["metric"].get("meaning") else []),
        "",
        f"{found['metric']['name']} of every subset ({found['absence']['name']}):",
    ]
    made += [f"  {s['name']:{width}} {shown(s['metric'], sign='')}" for s in shown_subsets]
    made += [f"  and {left} more subsets; --json or --report shows all"] if left else []
    made += ["", f"Shapley value ({unit}; less {found['loss']['name']} than {_base(found)}; share of the whole):"]
    for name in names:
        metric, loss = found["shapley"]["metric"][name], found["shapley"]["loss"][name]
        share = "" if metric["share"] is None else f"{100 * metric['share']:4.0f}%"
        made.append(f"  {name:{width}} {shown(metric):28} {shown(loss, in_points=False):34} {share}".rstrip())
    if found["interaction"]["metric"]:
        made += ["", f"interaction ({unit}; above 0 they need each other, below 0 one stands in for the other):"]
        made += [f"  {' and '.join(p['pair']):{width}} {shown(p)}" for p in found["interaction"]["metric"]]
    if found["emap"]:
        made += ["", f"EMAP: lost without interaction ({unit}):", f"  {'gap':{width}} {shown(found['emap']['gap'])}"]
    if found.get("emap_not_applicable") and len(names) > 1:
        made += ["", f"EMAP: not applicable: {found['emap_not_applicable']}"]
    if found["perceptual"]:
        made += ["", f"perceptual score: lost when shuffled ({unit}):"]
        made += [f"  {n:{width}} {shown(p['raw'])}" for n, p in found["perceptual"]["modalities"].items()]
    made += _parts(found.get("inputs"))
    for shown in found["examples"] if with_rows and not found.get("inputs") else []:
        parts = ", ".join(f"{n} {v:+.3f}" for n, v in shown["shapley"].items())
        made += ["", f"row {shown['row']}: truth {shown['truth']}, prediction {shown['prediction']}"]
        made.append(f"  {shown['explained']} {shown['with nothing']:.3f} -> {shown['with everything']:.3f}: {parts}")
    made += ["", f"explained on {rows_of(found)}; {counted(len(found['bad_rows']), 'cell')} unreadable"]
    made += [f"  note: {as_typed(note)}" for note in found["notes"]]
    return made


def _base(found: dict[str, Any]) -> str:
    """What the loss is compared with."""
    return "nothing" if found["empty"]["by"] == "the model" else str(found["empty"]["by"]).removeprefix("the ")


def _parts(inputs: dict[str, Any] | None) -> list[str]:
    """The strongest parts of each explained row, and which explanations are not to be trusted."""
    made: list[str] = []
    for number, row in enumerate((inputs or {}).get("rows", [])):
        level = "" if row["probability"] is None else f" ({100 * row['probability']:.0f}%)"
        made += [
            "",
            f"row {row['row']}: truth {row['truth']}, prediction {row['prediction']}; {row['explained']}{level}",
        ]
        if row.get("written"):
            said = ", ".join(f"{w['word']} {100 * exp(w['log_probability']):.0f}%" for w in row["written"])
            made.append(f"  written: {said}")
        if number == 0 and not row.get("written"):
            made.append(SIGNS)
        for side in row["modalities"]:
            if side.get("skipped"):
                made.append(f"  {side['name']}: {side['skipped']}")
                continue
            strong = sorted(side["parts"], key=lambda p: -abs(p["value"]))[:MOST_NAMED]
            named = ", ".join(
                f"{_part(p)} {'+' if p['value'] >= 0 else ''}{_number(p['value'], False)}" for p in strong
            )
            doubt = f"  NOT TO BE TRUSTED: {'; '.join(side['failed'])}" if side["failed"] else ""
            made.append(f"  {side['name']}: {named}{doubt}")
            made += _words(side, row.get("written") or [])
    return made


def _words(side: dict[str, Any], written: list[dict[str, Any]]) -> list[str]:
    """Of each written word that something in an input moves, what moves it most."""
    made = []
    for w, entry in enumerate(written):
        parts = [(p["words"][w], p) for p in side["parts"] if "words" in p]
        value, part = max(parts, key=lambda pair: abs(pair[0]), default=(0.0, {}))
        if abs(value) >= LEAST_SHOWN:
            made.append(f"    {entry['word']}: {_part(part)} {'+' if value >= 0 else ''}{_number(value, False)}")
    return made


def _part(part: dict[str, Any]) -> str:
    if "from" in part:
        return f"{part['from']:.2f}-{part['to']:.2f} s"
    return str(part.get("text") or part.get("place") or part.get("column") or f"picture {part.get('member')}")


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
