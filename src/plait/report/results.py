"""The sections of the page that show what was measured. Each takes the plain report and returns HTML, or nothing."""

from __future__ import annotations

from typing import Any

from plait.report import charts
from plait.report.languages import tr
from plait.report.template import PARTS, fill
from plait.report.words import estimate, metric_name, number, span

TEMPLATE = "report/results.html.jinja"
_MAX_CLASSES, _MAX_EXAMPLES, _MAX_SLICES = 20, 40, 200


def headline(report: dict[str, Any]) -> str:
    """The primary metric, large, beside the verdict."""
    evaluation = report.get("evaluation") or {}
    name = (report.get("metric") or {}).get("name")
    value, low, high = estimate((evaluation.get("metrics") or {}).get(name))
    if value is None and not report.get("verdict"):
        return ""
    return fill(
        PARTS, "top", title=metric_name(name or ""), value=None if value is None else number(value),
        below=[
            f"95% interval {span(low, high)}" if span(low, high) else "", _guessing(evaluation), _on_rows(evaluation),
        ],
        verdict=report.get("verdict"),
    )  # fmt: skip


def key_numbers(report: dict[str, Any]) -> str:
    """Every metric with its interval."""
    evaluation = report.get("evaluation") or {}
    metrics = {k: estimate(v) for k, v in (evaluation.get("metrics") or {}).items() if k != "notes"}
    if not metrics:
        return ""
    main = (report.get("metric") or {}).get("name")
    tiles = []
    for name in sorted(metrics, key=lambda k: k != main):
        value, low, high = metrics[name]
        below = span(low, high) or ("undefined here" if value is None else "")
        if name == main and _guessing(evaluation):
            below = str(tr("; ", "stop")).join(filter(None, (below, str(tr(_guessing(evaluation))))))
        tiles.append((metric_name(name), number(value), below, name == main))
    has_intervals = any(span(low, high) for _, low, high in metrics.values())
    rule = " The small numbers are 95% bootstrap intervals." if has_intervals else ""
    if any(is_wilson(*one) for one in metrics.values()):
        rule = " The small numbers are 95% bootstrap intervals, and Wilson intervals of shares of exactly 0 or 1."
    return fill(
        TEMPLATE,
        "key_numbers",
        lead=f"Measured {_on_rows(evaluation)}.{rule}",
        tiles=tiles,
        notes=evaluation.get("notes"),
    )


def is_wilson(value: float | None, low: float | None, high: float | None) -> bool:
    """Whether an interval is Wilson's: around exactly 0 or 1, where all bootstrap resamples are alike."""
    return value in (0.0, 1.0) and low is not None and high is not None and low < high


def modalities(report: dict[str, Any]) -> str:
    """The fused model beside each modality alone and each one left out."""
    evaluation = report.get("evaluation") or {}
    metric = report.get("metric") or {}
    name = metric.get("name")
    rows: list[charts.Bar] = []
    for part, prefix in (("alone", "only "), ("without", "without ")):
        for modality, metrics in (evaluation.get(part) or {}).items():
            value, low, high = estimate((metrics or {}).get(name))
            if value is not None:
                rows.append((tr(f"{prefix}{modality}"), value, low, high, part))
    value, low, high = estimate(((evaluation.get("untuned") or {}).get("metrics") or {}).get(name))
    if value is not None:
        rows.insert(0, (tr("before tuning"), value, low, high, "alone"))
    if not rows:
        return ""
    fused, low, high = estimate((evaluation.get("metrics") or {}).get(name))
    if fused is not None:
        rows.insert(0, (tr("all modalities"), fused, low, high, "fused"))
    direction = "longer is better" if metric.get("higher_is_better", True) else "shorter is better"
    chart = charts.bars(rows, chance=evaluation.get("chance"), label=tr(f"{name} of all modalities and of each alone"))
    text = f"{metric_name(name)}, {direction}; whiskers are 95% intervals."
    if evaluation.get("members"):
        text += " Only and without: the same ensemble, with the other modalities or that one hidden."
    return fill(PARTS, "charted", text=text, chart=chart)


def training(report: dict[str, Any]) -> str:
    """Losses and validation metrics over the epochs."""
    history = [h for h in report.get("history") or [] if isinstance(h.get("epoch"), int | float)]
    if not history:
        return ""
    keys = list(dict.fromkeys(k for h in history for k in h))
    losses = [k for k in keys if k.endswith("loss") and not k.endswith("log_loss")]
    wanted = f"val_{(report.get('metric') or {}).get('name')}"
    others = [wanted] if wanted in keys else [k for k in keys if k.startswith("val_") and k not in losses][:4]
    epochs = [h["epoch"] for h in history]
    figures = []
    for title, names in (("Loss", losses[:4]), ("Validation metric", others)):
        series = {k: [_as_number(h.get(k)) for h in history] for k in names}
        series = {k: line for k, line in series.items() if any(v is not None for v in line)}
        if series:
            chart = charts.curves(epochs, series, best=report.get("best_epoch"), label=tr(f"{title} over epochs"))
            figures.append(([k.replace("_", " ") for k in series], chart))
    return fill(TEMPLATE, "training", figures=figures) if figures else ""


def errors(report: dict[str, Any]) -> str:
    """The confusion matrix, or truth against prediction for numbers."""
    evaluation = report.get("evaluation") or {}
    points = evaluation.get("scatter")
    if points and points.get("truth"):
        pairs = zip(points["truth"], points["prediction"], strict=True)
        kept = [(t, p) for t, p in pairs if t is not None and p is not None]
        if kept:
            chart = charts.scatter([t for t, _ in kept], [p for _, p in kept], label=tr("truth against prediction"))
            rule = "Each dot is a row; on the dashed line truth and prediction agree."
            return fill(PARTS, "charted", text=rule, chart=chart)
    table = evaluation.get("confusion")
    if not table or not table.get("labels"):
        return ""
    labels, matrix = [str(x) for x in table["labels"]], table["matrix"]
    rule = "Each row is a true class; the shade is the share of that row, blue where right."
    if len(labels) > _MAX_CLASSES:
        order = sorted(range(len(labels)), key=lambda i: (-sum(matrix[i]), i))[:_MAX_CLASSES]
        kept_rows = sum(matrix[i][j] for i in order for j in order)
        rule += (
            f" Shown are the {_MAX_CLASSES} commonest of {len(labels)} classes;"
            f" {sum(map(sum, matrix)) - kept_rows:,} of {sum(map(sum, matrix)):,} rows"
            " have a truth or a prediction outside them."
        )
        labels, matrix = [labels[i] for i in order], [[matrix[i][j] for j in order] for i in order]
    chart = charts.confusion_matrix(labels, matrix, label=tr(_in_words(labels, matrix)))
    return fill(PARTS, "charted", text=rule, chart=chart, scroll=True)


def _in_words(labels: list[str], matrix: list[list[int]]) -> str:
    """The confusion matrix for those who do not see it: how many are right, and the commonest mistakes."""
    cells = [(count, i, j) for i, row in enumerate(matrix) for j, count in enumerate(row)]
    said = f"confusion matrix: {sum(c for c, i, j in cells if i == j):,} of {sum(c for c, _, _ in cells):,} rows right"
    worst = sorted((c for c in cells if c[1] != c[2] and c[0] > 0), key=lambda c: (-c[0], c[1:]))[:3]
    mistakes = "; ".join(f"{labels[i]} taken for {labels[j]} {count:,} times" for count, i, j in worst)
    return f"{said}; commonest mistakes: {mistakes}" if mistakes else said


def slice_table(report: dict[str, Any]) -> str:
    """Metrics per value of a column."""
    rows = (report.get("evaluation") or {}).get("slices") or []
    if not rows:
        return ""
    main = (report.get("metric") or {}).get("name")
    names = list(dict.fromkeys(k for r in rows for k in (r.get("metrics") or {}) if k != "notes"))
    names = sorted(names, key=lambda k: k != main)[:5]
    more = f"{len(rows) - _MAX_SLICES:,}" if len(rows) > _MAX_SLICES else ""
    return fill(TEMPLATE, "slice_table", rows=rows[:_MAX_SLICES], metrics=names, more=more)


def examples(report: dict[str, Any]) -> str:
    """Rows with their inputs, wrong ones first."""
    rows = (report.get("evaluation") or {}).get("examples") or []
    own = dict.fromkeys(r["group"] for r in rows if r.get("group"))
    groups = (
        *((str(g), "open", [r for r in rows if r.get("group") == g]) for g in own),
        ("Wrong", "wrong", [r for r in rows if r.get("correct") is False]),
        ("Right", "right", [r for r in rows if r.get("correct") is True]),
        ("Predicted", "open", [r for r in rows if r.get("correct") is None and not r.get("group")]),
    )
    shown = [(title, css, members[:_MAX_EXAMPLES]) for title, css, members in groups if members]
    return fill(TEMPLATE, "examples", groups=shown)


def _guessing(evaluation: dict[str, Any]) -> str:
    """What guessing gets by the primary metric; nothing where that is not known."""
    chance = _as_number(evaluation.get("chance"))
    return "" if chance is None else f"guessing gets {number(chance)}"


def _as_number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _on_rows(evaluation: dict[str, Any]) -> str:
    rows, split = evaluation.get("rows"), evaluation.get("split")
    count = f"on {number(rows)} row{'' if rows == 1 else 's'}" if rows is not None else "on the rows given"
    return count + (f" of the {split} split" if split else "")
