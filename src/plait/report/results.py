"""The sections of the page that show what was measured. Each takes the plain report and returns HTML, or
nothing.
"""

from __future__ import annotations

from typing import Any

from plait.report import charts
from plait.report.thumbnail import checked
from plait.report.words import cut, esc, estimate, metric_name, number, span

_MAX_CLASSES, _MAX_EXAMPLES, _MAX_SLICES, _MAX_REFERENCES = 20, 40, 200, 5


def headline(report: dict[str, Any]) -> str:
    """The primary metric, large, beside the verdict."""
    evaluation = report.get("evaluation") or {}
    name = (report.get("metric") or {}).get("name")
    value, low, high = estimate((evaluation.get("metrics") or {}).get(name))
    verdict = report.get("verdict")
    if value is None and not verdict:
        return ""
    figure = ""
    if value is not None:
        interval = f"95% interval {span(low, high)}<br>" if span(low, high) else ""
        figure = (
            f'<div class="figure"><span>{metric_name(name)}</span><b>{number(value)}</b>'
            f"<small>{interval}{_on_rows(evaluation)}</small></div>"
        )
    words = f'<p class="verdict">{esc(verdict)}</p>' if verdict else ""
    return f'<section class="top" id="verdict">{figure}{words}</section>'


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
        css = "tile main" if name == main else "tile"
        tiles.append(
            f'<div class="{css}"><span>{metric_name(name)}</span><b>{number(value)}</b><small>{below}</small></div>'
        )
    notes = "".join(f"<li>{esc(n)}</li>" for n in evaluation.get("notes") or [])
    has_intervals = any(span(low, high) for _, low, high in metrics.values())
    small = " The small numbers are 95% bootstrap intervals." if has_intervals else ""
    return f'<p class="lead">Measured {_on_rows(evaluation)}.{small}</p><div class="tiles">{"".join(tiles)}</div>' + (
        f'<ul class="notes">{notes}</ul>' if notes else ""
    )


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
                rows.append((f"{prefix}{modality}", value, low, high, part))
    if not rows:
        return ""
    fused, low, high = estimate((evaluation.get("metrics") or {}).get(name))
    if fused is not None:
        rows.insert(0, ("all modalities", fused, low, high, "fused"))
    direction = "longer is better" if metric.get("higher_is_better", True) else "shorter is better"
    chart = charts.bars(rows, chance=evaluation.get("chance"), label=f"{name} of all modalities and of each alone")
    return f'<p class="lead">{metric_name(name)}, {direction}; whiskers are 95% intervals.</p>{chart}'


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
            key = "".join(
                f'<span class="key"><i class="k{i}"></i>{esc(k.replace("_", " "))}</span>' for i, k in enumerate(series)
            )
            chart = charts.curves(epochs, series, best=report.get("best_epoch"), label=f"{title} over epochs")
            figures.append(f"<figure><figcaption>{key}</figcaption>{chart}</figure>")
    if not figures:
        return ""
    return f'<p class="lead">Across: epochs.</p><div class="two">{"".join(figures)}</div>'


def errors(report: dict[str, Any]) -> str:
    """The confusion matrix, or truth against prediction for numbers."""
    evaluation = report.get("evaluation") or {}
    points = evaluation.get("scatter")
    if points and points.get("truth"):
        pairs = zip(points["truth"], points["prediction"], strict=True)
        kept = [(t, p) for t, p in pairs if t is not None and p is not None]
        if kept:
            chart = charts.scatter([t for t, _ in kept], [p for _, p in kept], label="truth against prediction")
            rule = "Each dot is a row; on the dashed line truth and prediction agree."
            return f'<p class="lead">{rule}</p>{chart}'
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
    chart = charts.confusion_matrix(labels, matrix, label="confusion matrix")
    return f'<p class="lead">{rule}</p><div class="scroll">{chart}</div>'


def slice_table(report: dict[str, Any]) -> str:
    """Metrics per value of a column."""
    rows = (report.get("evaluation") or {}).get("slices") or []
    if not rows:
        return ""
    main = (report.get("metric") or {}).get("name")
    names = list(dict.fromkeys(k for r in rows for k in (r.get("metrics") or {}) if k != "notes"))
    names = sorted(names, key=lambda k: k != main)[:5]
    head = "<th>Column</th><th>Value</th><th class='n'>Rows</th>"
    head += "".join(f"<th class='n'>{metric_name(k)}</th>" for k in names)
    body, last = [], None
    for r in rows[:_MAX_SLICES]:
        column = r.get("column", "")
        cells = "".join(f"<td class='n'>{number(estimate((r.get('metrics') or {}).get(k))[0])}</td>" for k in names)
        shown = esc(column) if column != last else ""
        value = esc(cut(str(r.get("value", "")), 80))
        body.append(
            f"<tr><td>{shown}</td><td class='name'>{value}</td><td class='n'>{number(r.get('rows'))}</td>{cells}</tr>"
        )
        last = column
    more = f"<p><small>{len(rows) - _MAX_SLICES:,} more in report.json</small></p>" if len(rows) > _MAX_SLICES else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<div class="scroll">{table}</div>{more}'


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
    parts = []
    for title, css, members in groups:
        if members:
            cards = "".join(_example(r, title, css) for r in members[:_MAX_EXAMPLES])
            parts.append(f'<h3>{title}</h3><div class="gallery">{cards}</div>')
    return "".join(parts)


def inputs_shown(row: dict[str, Any]) -> str:
    """The inputs of a row: its pictures and texts."""
    shown = []
    for item in row.get("inputs") or []:
        name = esc(item.get("name", ""))
        if item.get("image_jpeg_base64"):
            data = checked(str(item["image_jpeg_base64"]))
            shown.append(
                f'<img alt="{name} of row {esc(row.get("row", ""))}" src="data:image/jpeg;base64,{data}">'
                if data is not None
                else f"<p><small>{name}</small>(the picture cannot be shown)</p>"
            )
        if item.get("text") is not None:
            shown.append(f'<p dir="auto"><small>{name}</small>{esc(cut(str(item["text"]), 420))}</p>')
    return "".join(shown)


def _example(row: dict[str, Any], mark: str, css: str) -> str:
    written = _written(row)
    facts = [
        ("truth", None if written else row.get("truth")),
        ("predicted", None if written else row.get("prediction")),
        ("probability", row.get("probability")),
        ("score", row.get("score")),
    ]
    listed = "".join(f"<dt>{k}</dt><dd>{_cell(v)}</dd>" for k, v in facts if v is not None)
    where = f" <small>row {number(row.get('row'))}</small>" if row.get("row") is not None else ""
    head = f'<span class="mark">{mark}{where}</span>'
    return f'<div class="example {css}">{head}{inputs_shown(row)}{written}<dl>{listed}</dl></div>'


def _written(row: dict[str, Any]) -> str:
    """What a model wrote, over the answers it is held against; nothing for other tasks."""
    references = row.get("references")
    if not isinstance(references, list):
        return ""
    text = esc(cut(str(row.get("prediction") or ""), 300)) or "(nothing)"
    listed = "".join(f'<li dir="auto">{esc(cut(str(r), 160))}</li>' for r in references[:_MAX_REFERENCES])
    rest = len(references) - _MAX_REFERENCES
    more = f"<li>and {rest:,} more</li>" if rest > 0 else ""
    return f'<p class="written" dir="auto">{text}</p><ul class="references">{listed}{more}</ul>'


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return esc(cut(", ".join(map(str, value)) or "none", 200))
    return number(value) if isinstance(value, float) else esc(cut(str(value), 200))


def _as_number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _on_rows(evaluation: dict[str, Any]) -> str:
    rows, split = evaluation.get("rows"), evaluation.get("split")
    count = f"on {number(rows)} row{'' if rows == 1 else 's'}" if rows is not None else "on the rows given"
    return count + (f" of the {esc(split)} split" if split else "")
