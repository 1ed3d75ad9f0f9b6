"""``plait explain``: what a model's answers rest on, modality by modality."""

from __future__ import annotations

import re
from math import exp
from typing import Annotated, Any

import typer

from plait.cli import options
from plait.cli.progress import terminal_progress
from plait.cli.report import rows_of, terms_of
from plait.cli.speaking import Speaker, padded, wide
from plait.cli.terminal import print_json, say, say_line
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
    from plait.api import load, report_values

    with terminal_progress(quiet=quiet) as progress:
        fitted = load(model)
        found = fitted.explain(
            **options.passed_on(context, fitted.explain), **({"examples": row} if row else {}),
            inputs={"method": method, "explain_class": explain_class}, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json({**report_values(found), **({"report": str(report)} if report else {})})
        return
    for line in lines(found, bool(row), lang or fitted.lang):
        say_line(line)
    if report is not None:
        say(f"{Speaker(lang)('report', 'extra')}{Speaker(lang).colon}{report}")


def lines(found: dict[str, Any], with_rows: bool, lang: str | None = None) -> list[str]:
    """An explanation as lines for the terminal, in a language."""
    tr = Speaker(lang, found)
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
    called = {s["name"]: _subset(s, tr) for s in shown_subsets}
    width = max(12, *map(wide, called.values()))
    made = [
        tr(found["verdict"]),
        *terms_of(found, tr),
        *([tr(f"score: {found['metric']['meaning']}")] if found["metric"].get("meaning") else []),
        "",
        tr(f"{found['metric']['name']} of every subset ({found['absence']['name']}):"),
    ]
    made += [f"  {padded(called[s['name']], width)} {shown(s['metric'], sign='')}" for s in shown_subsets]
    made += [tr(f"  and {left} more subsets; --json or --report shows all")] if left else []
    made += ["", tr(f"Shapley value ({unit}; less {found['loss']['name']} than {_base(found)}; share of the whole):")]
    for name in names:
        metric, loss = found["shapley"]["metric"][name], found["shapley"]["loss"][name]
        share = "" if metric["share"] is None else f"{100 * metric['share']:4.0f}%"
        made.append(
            f"  {padded(tr.named(name), width)} {shown(metric):28} {shown(loss, in_points=False):34} {share}".rstrip()
        )
    if found["interaction"]["metric"]:
        told = (
            f"Shapley interaction index ({unit}; above 0 they need each other, below 0 they stand in for each other):"
        )
        made += ["", tr(told)]
        for p in found["interaction"]["metric"]:
            made.append(f"  {padded(' + '.join(map(tr.named, p['pair'])), width)} {shown(p)}")
    if found["emap"]:
        made += ["", tr(f"EMAP: lost in the best additive model ({unit}):")]
        made.append(f"  {padded(tr('gap'), width)} {shown(found['emap']['gap'])}")
    if found.get("emap_not_applicable") and len(names) > 1:
        made += ["", tr(f"EMAP: not applicable: {found['emap_not_applicable']}")]
    if found["perceptual"]:
        made += ["", tr(f"perceptual score: lost when shuffled ({unit}):")]
        for n, p in found["perceptual"]["modalities"].items():
            made.append(f"  {padded(tr.named(n), width)} {shown(p['raw'])}")
    made += _parts(found.get("inputs"), tr)
    for one in found["examples"] if with_rows and not found.get("inputs") else []:
        parts = ", ".join(f"{tr.named(n)} {v:+.3f}" for n, v in one["shapley"].items())
        made += ["", tr(f"row {one['row']}: truth {one['truth']}, prediction {one['prediction']}")]
        made.append(f"  {one['explained']} {one['with nothing']:.3f} -> {one['with everything']:.3f}{tr.colon}{parts}")
    made += ["", tr(f"explained on {rows_of(found)}; {counted(len(found['bad_rows']), 'cell')} unreadable")]
    made += [f"  {tr('note')}{tr.colon}{as_typed(tr(note))}" for note in found["notes"]]
    return made


def _base(found: dict[str, Any]) -> str:
    """What the loss is compared with."""
    return "nothing" if found["empty"]["by"] == "the model" else str(found["empty"]["by"]).removeprefix("the ")


def _subset(subset: dict[str, Any], tr: Speaker) -> str:
    """The name of a subset: nothing, or its modalities."""
    return " + ".join(map(tr.named, subset["modalities"])) if subset["modalities"] else tr(subset["name"])


def _parts(inputs: dict[str, Any] | None, tr: Speaker) -> list[str]:
    """The strongest parts of each explained row, and which explanations are not to be trusted."""
    made: list[str] = []
    for number, row in enumerate((inputs or {}).get("rows", [])):
        level = "" if row["probability"] is None else f" ({100 * row['probability']:.0f}%)"
        made += [
            "",
            tr(f"row {row['row']}: truth {row['truth']}, prediction {row['prediction']}; {row['explained']}{level}"),
        ]
        if row.get("written"):
            said = ", ".join(f"{w['word']} {100 * exp(w['log_probability']):.0f}%" for w in row["written"])
            made.append(tr(f"  written: {said}"))
        if number == 0 and not row.get("written"):
            made.append(tr(SIGNS))
        for side in row["modalities"]:
            if side.get("skipped"):
                made.append(f"  {tr.named(side['name'])}{tr.colon}{tr(side['skipped'])}")
                continue
            strong = sorted(side["parts"], key=lambda p: -abs(p["value"]))[:MOST_NAMED]
            named = ", ".join(
                f"{_part(p, tr)} {'+' if p['value'] >= 0 else ''}{_number(p['value'], False)}" for p in strong
            )
            failed = (
                f"  {tr('NOT TO BE TRUSTED')}{tr.colon}{'; '.join(map(tr, side['failed']))}" if side["failed"] else ""
            )
            made.append(f"  {tr.named(side['name'])}{tr.colon}{named}{failed}")
            made += _words(side, row.get("written") or [], tr)
    return made


def _words(side: dict[str, Any], written: list[dict[str, Any]], tr: Speaker) -> list[str]:
    """Of each written word that something in an input moves, what moves it most."""
    made = []
    for w, entry in enumerate(written):
        parts = [(p["words"][w], p) for p in side["parts"] if "words" in p]
        value, part = max(parts, key=lambda pair: abs(pair[0]), default=(0.0, {}))
        if abs(value) >= LEAST_SHOWN:
            made.append(f"    {entry['word']}: {_part(part, tr)} {'+' if value >= 0 else ''}{_number(value, False)}")
    return made


def _part(part: dict[str, Any], tr: Speaker) -> str:
    if "from" in part:
        return f"{part['from']:.2f}-{part['to']:.2f} s"
    if part.get("place"):
        return tr(str(part["place"]))
    return str(part.get("text") or part.get("column") or tr(f"picture {part.get('member')}"))


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
