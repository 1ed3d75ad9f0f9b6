"""The report of ``plait fit`` and ``plait evaluate`` on the terminal: the headline numbers, or all as JSON."""

from __future__ import annotations

from typing import Any

from plait.cli.speaking import Speaker, padded
from plait.cli.terminal import print_json, say_line
from plait.cli.wording import as_typed
from plait.registry import counted


def show_report(report: dict[str, Any], as_json: bool, extra: dict[str, Any], lang: str | None = None) -> None:
    """Print a report in a language, and under it ``extra``, such as where its page lies."""
    from plait.api import report_values

    if as_json:
        print_json({**report_values(report), **extra})
        return
    tr = Speaker(lang, report)
    evaluation, metric = report["evaluation"], report["metric"]["name"]
    say_line(tr(report["verdict"]))
    for line in terms_of(report, tr):
        say_line(line)
    joined = "directions" not in evaluation and len(report["model"]["encoders"]) > 1
    together = "together" if evaluation.get("members") else "fused"
    rows = [(tr(together if joined else "overall", "row"), evaluation["metrics"])]
    rows += [(tr("before tuning"), evaluation["untuned"]["metrics"])] if "untuned" in evaluation else []
    rows += [(tr.alone(n), m) for n, m in evaluation["alone"].items()]
    chosen = report.get("chosen_metric")
    for name, metrics in rows:
        shown = [_shown(m, metrics[m], tr) for m in (metric, chosen) if (metrics.get(m) or {}).get("value") is not None]
        if metrics is evaluation["metrics"] and "directions" in evaluation and evaluation.get("chance") is not None:
            shown += [tr(f"guessing gets {evaluation['chance']:.3f}")]  # elsewhere the verdict says it
        if shown:
            say_line(f"  {padded(name, 20)} {tr.semicolon.join(shown)}")
    for member in _best_members(report, tr):
        say_line(member)
    for line in (report.get("unlabelled") or {}).get("sentences") or []:
        say_line(f"  {as_typed(tr(line))}")
    for line in _budget(report.get("budget") or {}):
        say_line(tr(line))
    say_line(tr(f"judged on {rows_of(evaluation)}; {counted(len(evaluation['bad_rows']), 'cell')} unreadable"))
    if (evaluation.get("missing") or {}).get("sentence"):
        say_line(tr(f"with modalities missing: {evaluation['missing']['sentence']}"))
    trust = evaluation.get("trust") or {}
    for line in [*map(tr, trust_lines(trust)), *_trust(trust, tr)]:
        say_line(as_typed(line))
    for note in evaluation["notes"]:
        say_line(f"  {tr('note')}{tr.colon}{as_typed(tr(note))}")
    for name, value in extra.items():
        say_line(f"{tr(name, 'extra')}{tr.colon}{value}")


def _shown(metric: str, entry: dict[str, float | None], tr: Speaker) -> str:
    """A metric with its interval."""
    span = "" if entry["low"] is None else f"  [{entry['low']:.3f}, {entry['high']:.3f}]"
    return f"{tr(metric, 'metric')} {entry['value']:.3f}{span}"


def _trust(parts: dict[str, Any], tr: Speaker) -> list[str]:
    """One line for each part of the trust report that says a sentence, or why it does not apply."""
    shown = [part for part in parts.values() if "title" in part]
    return [
        f"{tr(p['title'])}{tr.colon}"
        + (tr(p["sentence"]) if p["applicable"] else tr("not applicable") + tr.colon + tr(p["why"]))
        for p in shown
    ]


def _best_members(report: dict[str, Any], tr: Speaker, most: int = 6) -> list[str]:
    """Lines on the members of an ensemble, those with the largest weight first."""
    evaluation, metric = report["evaluation"], report["metric"]["name"]
    members = sorted(evaluation.get("members") or [], key=lambda m: -m["weight"])
    used = [m for m in members if m["weight"] > 0]
    if not used:
        return []
    also = [name for name in (report.get("chosen_metric"),) if name is not None and name in used[0]["metrics"]]
    told = f"{metric} on choosing rows, on these rows" + "".join(f"; {name} on these rows" for name in also)
    tried = f"{len(members)} models tried, {len(used)} answer together ({told}):"
    lines = [tr(f"one model was tried ({told}):" if len(members) == 1 else tried)]
    for m in used[:most]:
        values = [m["validation"], m["metrics"][metric], *(m["metrics"][name] for name in also)]
        shown = tr.listed(tr("undefined") if v is None else f"{v:.3f}" for v in values)
        took = tr.bracketed(tr(f"{m['seconds']:.1f} s, {m['megabytes']:.1f} MB"))
        name = padded(tr(m["name"]), 28)
        lines.append(f"  {m['weight']:5.0%} {name} {shown} {took}")
    lines += [tr(f"  and {len(used) - most} more in the report")] if len(used) > most else []
    return lines + [tr(line) for line in _best_alone(evaluation["patterns"], report["metric"])]


def _best_alone(patterns: list[dict[str, Any]], metric: dict[str, Any]) -> list[str]:
    """Whether the members together hold against the best single one, for each pattern of what is there."""
    worse = [p for p in patterns if _is_clearly_worse(p["difference"], metric["higher_is_better"])]
    told = counted(len(patterns), "pattern")
    if not worse:
        return [f"  of {told} of what is there, none is answered clearly worse than by its best single model"]
    return [
        f"  of {told} of what is there, {len(worse)} answered clearly worse than by the best single model: "
        + "; ".join(f"{' + '.join(p['present'])} ({p['difference']['value']:+.3f})" for p in worse[:3])
    ]


def _is_clearly_worse(difference: dict[str, float | None], higher_is_better: bool) -> bool:
    low, high = difference["low"], difference["high"]
    return low is not None and high is not None and (high < 0 if higher_is_better else low > 0)


def trust_lines(trust: dict[str, Any]) -> list[str]:
    """Lines on calibration, sets or intervals at .9, and abstaining; a part that does not apply has none."""
    lines = []
    part = trust.get("calibration") or {}
    if part.get("applicable"):
        ece, loss = part["metrics"]["ece"], part["metrics"]["log_loss"]
        before = part.get("before")
        was = f", before {before['ece']['value']:.3f} and {before['log_loss']['value']:.3f}" if before else ""
        lines.append(
            f"calibration: ECE {ece['value']:.3f} (a perfect model shows {part['perfect']['mean']:.3f} on so many "
            f"rows), log loss {loss['value']:.3f}{was}"
        )
    part = trust.get("conformal") or {}
    for level in part.get("levels") or []:
        if level["coverage"] == 0.9 and level is next(v for v in part["levels"] if v["coverage"] == 0.9):
            lines.append(_coverage_line(level, part["kind"]))
    if part.get("applicable") is False and trust.get("calibration", {}).get("applicable"):
        lines.append(f"sets and intervals: {part['why']}")
    part = trust.get("selective") or {}
    if part.get("applicable"):
        half = part["at_coverage"][0]
        lines.append(
            f"abstaining: {part['risk']} {part['everything']:.3f} where all are answered, {half['risk']:.3f} for the "
            f"surest {half['coverage']:.0%}"
        )
    return lines


def _coverage_line(level: dict[str, Any], kind: str) -> str:
    covered, size = level["covered"], level["size"]
    if covered["value"] is None:
        return f"coverage 90%: none of {level['without_promise']} rows has a pattern that was calibrated"
    what = "intervals of mean width" if kind == "number" else "sets of mean size"
    span = f" [{covered['low']:.3f}, {covered['high']:.3f}]" if covered["low"] is not None else ""
    return f"coverage 90% promised, {covered['value']:.3f}{span} covered, by {what} {size:.3g} ({level['method']})"


def terms_of(found: dict[str, Any], tr: Speaker) -> list[str]:
    """A line for every name of a modality that is the name of no column."""
    return [f"  {tr.named(name)}{tr.colon}{tr(meaning)}" for name, meaning in (found.get("terms") or {}).items()]


def _budget(budget: dict[str, Any]) -> list[str]:
    """Lines on the time of a run and on its search."""
    lines = []
    if budget.get("limit"):
        lines.append(f"{budget['seconds']:.0f} of {budget['limit']:.0f} s used")
    tries = budget.get("search") or []
    full, begun = (
        sum(t["cut"] is None and t["validation"] is not None for t in tries),
        sum(bool(t["rungs"]) for t in tries),
    )
    if begun:
        drawn = f"{begun} of {len(tries)} configurations" if begun < len(tries) else counted(begun, "configuration")
        lines.append(f"search: {drawn} tried, {full} of them in full")
    return lines


def rows_of(found: dict[str, Any]) -> str:
    """Which rows were looked at: "48 test rows", "all 48 rows"."""
    if found["split"] == "all":
        return f"all {counted(found['rows'], 'row')}" if found["rows"] != 1 else "the only row"
    return counted(found["rows"], f"{found['split']} row")
