"""The page of a comparison: one HTML file that loads nothing and runs no script, light or dark as the reader has it.

The plain report comes in, HTML goes out. Sections: verdict, ranks, quality against cost, pairs, cost, search, how
to train a method for use, what could not run, how it was done, settings and versions.
"""

from __future__ import annotations

from typing import Any

from plait.comparison.figures import forest, pairs, pareto, trade
from plait.registry import counted
from plait.report import facts
from plait.report.languages import ENGLISH, spoken, tr
from plait.report.page import document, in_sections
from plait.report.template import PARTS, fill
from plait.report.words import metric_name, names_of, number, size, span

TEMPLATE = "comparison/page.html.jinja"
STYLE = """
svg.forest,svg.trade{width:100%;height:auto} svg.trade{max-width:620px}
svg.forest text,svg.trade text,svg.pairs text{font-size:12.5px} svg.pairs text.count{font-size:11.5px}
svg.many text.count{font-size:10.5px} svg.many text.count.on,svg.many text.count.mid{font-weight:500}
svg.forest text,svg.trade text{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
svg.forest .value{font-weight:640;font-variant-numeric:tabular-nums}
.span{stroke:var(--a);stroke-width:2.6;stroke-linecap:round;stroke-opacity:.65}
.span.late{stroke:var(--d)}.span.single,.span.ensemble{stroke:var(--soft)}
.mark{fill:var(--a);stroke:var(--card);stroke-width:1.5}.mark.late{fill:var(--d)}
.mark.single,.mark.ensemble{fill:var(--soft)} .mark.selected{stroke:var(--ink);stroke-width:2.2}
.seed{stroke:var(--ink);stroke-opacity:.55;stroke-width:1.3}
svg text.single,svg text.ensemble{fill:var(--soft)}
.ref{stroke-width:1.5;stroke-dasharray:5 4}.ref.r0{stroke:var(--b)}.ref.r1{stroke:var(--c)}.ref.r2{stroke:var(--soft)}
svg text.refname{font-weight:600}svg text.t0{fill:var(--b)}svg text.t1{fill:var(--c)}svg text.t2{fill:var(--soft)}
polyline.front{fill:none;stroke:var(--ink);stroke-opacity:.45;stroke-width:1.6}
.halo{fill:none;stroke:var(--ink);stroke-opacity:.45;stroke-width:1.4}
svg text.label{fill:var(--soft)} svg text.label.front{fill:var(--ink);font-weight:620}
.better{fill:var(--good)}.worse{fill:var(--bad)}.self{fill:none}
.maybe{fill:var(--track);stroke-width:1.8}.maybe.up{stroke:var(--good)}.maybe.down{stroke:var(--bad)}
.swatch{display:inline-flex;align-items:center;gap:7px;margin:0 18px 6px 0;font-size:.88rem;color:var(--soft)}
.swatch i{width:13px;height:13px;border-radius:4px;display:inline-block;border:2px solid transparent}
.swatch i.dot{border-radius:50%}.swatch .f{background:var(--a)}.swatch .l{background:var(--d)}
.swatch .s{background:var(--soft)}.swatch .g{background:var(--good)}.swatch .w{background:var(--bad)}
.swatch .m{background:var(--track);border-color:var(--good)}.swatch .n{background:var(--track)}
.swatch .sel{background:var(--a);border-color:var(--ink)}
.swatch .fr{background:none;border-color:var(--soft)}
tr.chosen td{background:var(--tint)} .tag{font-size:.78rem;color:var(--soft)}
.two.wide{grid-template-columns:repeat(auto-fit,minmax(min(430px,100%),1fr))}
td small{display:block} code.command{white-space:normal;overflow-wrap:anywhere;font-size:.82rem}
"""


def render(report: dict[str, Any], lang: str = ENGLISH) -> str:
    """Return the HTML of a plain report of a comparison, in a language of ``plait.report.languages``.

    Raises:
        ValueError: There is no such language.
    """
    with spoken(lang, names_of(report)):
        return _render(report)


def _render(english: dict[str, Any]) -> str:
    report = _with_names(english)
    ran = [{**m, "selected": m["name"] == report["selected"]} for m in report["methods"] if m["status"] == "ok"]
    made = [
        ("ranks", "Ranks", _ranks(report, ran)),
        ("cost", "Quality against cost", _trade(report, ran)),
        ("pairs", "Which differences are real", _pairs(report, ran)),
        ("costs", "Cost of each method", _costs(ran)),
        ("search", tr("Search", "tuning"), _search(report)),
        ("use", "Train it for use", _use(report, ran)),
        ("absent", "Not run", _absent(report)),
        ("how", "How it was done", _how(report)),
        ("data", "Data", facts.data(report)),
        ("settings", "Settings", facts.settings(report)),
        ("versions", "Versions", facts.versions(report)),
    ]
    about = [
        tr(report["task"], "task"),
        tr(f"target: {report['target']}"),
        str(report["created"])[:19].replace("T", " "),
    ]
    return document(
        f"Fusion methods compared: {report['target']}",
        about,
        in_sections(_headline(report, ran), made),
        f"Written by Plait {report['plait']}. The same numbers stand in compare.json beside this page.",
        style=STYLE,
    )


def _with_names(report: dict[str, Any]) -> dict[str, Any]:
    """The report with the names of baselines ("text alone") in the language of the page."""

    def named(name: str | None) -> str | None:
        return None if name is None else str(tr(name, "line"))

    return {
        **report, "selected": named(report["selected"]),
        "methods": [
            {**m, "name": named(m["name"]), "equation": tr(m.get("equation"), "line")} for m in report["methods"]
        ],
        "baselines": {role: named(name) for role, name in report["baselines"].items()},
        "differences": [{**d, "a": named(d["a"]), "b": named(d["b"])} for d in report["differences"]],
    }  # fmt: skip


def _headline(report: dict[str, Any], ran: list[dict[str, Any]]) -> str:
    chosen = next((m for m in ran if m["selected"]), None)
    if chosen is None:
        return fill(PARTS, "top", verdict=report["verdict"])
    score, metric = chosen["metric"], metric_name(report["metric"]["name"])
    interval = span(score["low"], score["high"])
    below = (
        [f"{metric}, 95% interval {interval}", "chosen on validation rows"]
        if interval
        else [f"{metric}, chosen on validation rows"]
    )
    seeds = f"mean of {counted(len(chosen['seeds']), 'seed')}, "
    return fill(
        PARTS, "top", title=chosen["name"], value=number(score["value"]), verdict=report["verdict"],
        below=[*below, f"{seeds}{report['bootstrap']['rows']:,} test rows"],
    )  # fmt: skip


def _references(report: dict[str, Any], ran: list[dict[str, Any]]) -> list[tuple[str, float]]:
    found = []
    for role, name in (
        ("single modality chosen on validation rows", "single"),
        ("late ensemble chosen on validation rows", "ensemble"),
    ):
        line = next((m for m in ran if m["name"] == report["baselines"][name]), None)
        if line is not None and line["metric"]["value"] is not None:
            found.append((tr(f"{role}: {line['name']}"), line["metric"]["value"]))
    if report["chance"] is not None and found:
        found.append((tr("guessing"), report["chance"]))
    return found


def _ranks(report: dict[str, Any], ran: list[dict[str, Any]]) -> str:
    drawn = [m for m in ran if m["metric"]["value"] is not None]
    if not drawn:
        return ""
    direction = "higher is better" if report["metric"]["higher_is_better"] else "lower is better"
    boot = report["bootstrap"]
    units = f"{boot['rows']:,} test rows"
    if boot["drawn from"] != boot["rows"]:
        units += f" in {boot['drawn from']:,} groups that are drawn whole"
    lead = (
        f"{metric_name(report['metric']['name'])}, {direction}, mean over seeds; small ticks are single seeds. Lines "
        f"are 95% intervals from {boot['resamples']:,} draws of {units}, the same draws for every method. At the "
        "right: value and interval, then place and the places a method may truly have: below all that are surely "
        "better and above all that are surely worse, for all pairs at once."
    )
    keys = [("dot f", "fusion"), ("dot l", "late fusion"), ("dot s", "baseline"), ("dot sel", "chosen")]
    chart = forest(drawn, _references(report, ran), label=metric_name(report["metric"]["name"]))
    return fill(TEMPLATE, "keyed", lead=lead, keys=keys, chart=chart)


def _trade(report: dict[str, Any], ran: list[dict[str, Any]]) -> str:
    drawn = [m for m in ran if m["metric"]["value"] is not None]
    if len(drawn) < 2:
        return ""
    higher = report["metric"]["higher_is_better"]
    costs = (
        ("Seconds to train", "seconds a run", lambda m: m["cost"]["train_seconds"]),
        ("Parameters of fusion, head and adapters", "parameters", lambda m: m["cost"]["parameters"]),
    )
    figures = [
        (title, trade(drawn, cost, _references(report, ran)[:2], axis=tr(axis), higher=higher, label=tr(title)))
        for title, axis, cost in costs
    ]
    front = pareto(drawn, costs[0][2], higher=higher)
    lead = (
        "Ringed and joined: the Pareto front, the methods that no other beats on one axis without losing on the "
        f"other. By seconds: {', '.join(front)}. Dashed lines are the baselines of the chart above."
    )
    return fill(TEMPLATE, "trade", lead=lead, figures=figures)


def _pairs(report: dict[str, Any], ran: list[dict[str, Any]]) -> str:
    if len(ran) < 2 or not report["differences"]:
        return ""
    own = sum(d["real"] for d in report["differences"])
    all_at_once = sum(d["holds"] for d in report["differences"])
    lead = (
        f"Row minus column. Of {len(report['differences'])} pairs {own} have an interval of their own that leaves zero "
        f"out, and {all_at_once} still do when all pairs are taken together: {report['correction']}. Hold the "
        "pointer over a cell for its interval."
    )
    keys = [
        ("g", "better, holds for all pairs at once"), ("w", "worse, the same"), ("m", "only by its own interval"),
        ("n", "cannot be told apart"),
    ]  # fmt: skip
    chart = pairs(
        [m["name"] for m in ran], report["differences"], higher=report["metric"]["higher_is_better"],
        label=tr("Differences between methods"),
    )  # fmt: skip
    return fill(TEMPLATE, "keyed", lead=lead, keys=keys, chart=chart)


def _costs(ran: list[dict[str, Any]]) -> str:
    if not ran:
        return ""
    body = []
    for m in ran:
        cost = m["cost"]
        ratio = "" if cost["train_ratio"] is None else f"{cost['train_ratio']:.1f}\u00d7"
        more = tr(f" + {cost['encoder_parameters']:,} in encoders") if cost["encoder_parameters"] else ""
        body.append(
            [
                m, f"{cost['parameters']:,}{more}",
                number(float(cost["train_seconds"])), ratio, size(cost["memory_bytes"]),
                number(float(cost["inference_ms_per_1000"])),
            ]
        )  # fmt: skip
    how = "counted" if all(m["cost"]["memory_is"] == "counted" for m in ran) else "measured on the accelerator"
    lead = (
        "Parameters of fusion, head and adapters; seconds of one training run with its validation, mean over seeds, "
        f"and as a multiple of the fastest fusion; memory of one training step ({how}: weights, gradients, optimiser "
        "state and what is kept for the backward pass); prediction of 1,000 rows from stored features. Frozen "
        "encoders cost every method the same and are left out."
    )
    heads = ["Method", "Parameters", "Seconds", "Ratio", "Memory", "ms per 1,000"]
    return fill(TEMPLATE, "methods", lead=lead, head=heads, body=body, are_numbers=True)


def _search(report: dict[str, Any]) -> str:
    search = report["search"]
    tried = search["configurations"]
    lead = (
        f"Every method, and every modality alone, was tried with the same {len(tried)} configurations (seed "
        f"{search['seed']}, {search['epochs']} epochs, {search['steps_a_run']:,} steps of {search['batch_size']} rows, "
        f"{search['optimizer']}). The best {metric_name(report['selection_metric'])} on validation rows is "
        "ticked and was trained with every seed; of equals the first is taken. The last column is its mean over seeds."
    )
    methods = [m for m in report["methods"] if m["search"]]
    return fill(TEMPLATE, "search", lead=lead, configurations=tried, methods=methods)


def _use(report: dict[str, Any], ran: list[dict[str, Any]]) -> str:
    fits = [m for m in ran if m.get("fit") is not None]
    if not fits:
        return ""
    lead = (
        "Each command trains a method's chosen configuration as the comparison did (with seed 0, unless the comparison "
        "was given one) and saves it in the folder MODEL. The same stands in compare.json as arguments of plait.fit."
    )
    fits.sort(key=lambda m: not m["selected"])
    return fill(TEMPLATE, "commands", lead=lead, methods=fits)


def _absent(report: dict[str, Any]) -> str:
    body = [[m, tr(m["status"]), tr(m["reason"])] for m in report["methods"] if m["status"] != "ok"]
    for m in report["methods"]:
        if m["status"] == "ok":
            body += [[m, tr(f"seed {f['seed']} failed"), tr(f["reason"])] for f in m["failures"]]
            body += [
                [m, tr(f"configuration {n + 1} not applicable"), tr(e["reason"])]
                for n, e in enumerate(m["search"])
                if e["status"] == "not applicable"
            ]
    return fill(TEMPLATE, "methods", head=["Method", "What", "Why"], body=body) if body else ""


def _how(report: dict[str, Any]) -> str:
    notes = [
        "The table was split and encoded once; every run read the same stored features in the same batches for its "
        "seed, for the same number of steps, without early stopping; the epoch was chosen on validation rows.",
        "Configuration, baselines and the method at the top were chosen on validation rows only. Test rows were "
        "predicted after each choice was made and decide nothing.",
        "Intervals speak of other test rows drawn like these. They do not cover other splits of the table; the spread "
        "over seeds is shown beside them.",
        "The question whether fusing helps is asked of one pair and answered by that pair's own interval; who leads is "
        "a question of many pairs and is answered by the correction for all of them.",
        *report["notes"],
    ]
    if report["bad_cells"]:
        notes.append(f"{counted(report['bad_cells'], 'cell')} could not be read.")
    return fill(PARTS, "notes", notes=notes)
