"""The sections of the page that say what went in: data, rows left out, model, settings, versions."""

from __future__ import annotations

from typing import Any

from plait.report.words import cut, esc, number, size

_MAX_BAD_ROWS = 100


def left_out(report: dict[str, Any]) -> str:
    """Rows that could not be used, and what was counted on the way."""
    evaluation = report.get("evaluation") or {}
    bad, counts = evaluation.get("bad_rows") or [], evaluation.get("counts") or {}
    parts = [_pairs({k.replace("_", " "): v for k, v in _flat(counts).items()})] if counts else []
    if bad:
        body = [
            [number(b.get("row")), esc(b.get("column") or ""), esc(cut(str(b.get("reason", "")), 300))] for b in bad
        ]
        parts.append(f"<h3>{len(bad):,} row{'' if len(bad) == 1 else 's'} left out</h3>")
        parts.append(html_table(["Row", "Column", "Reason"], body[:_MAX_BAD_ROWS], numbers={0}))
        if len(bad) > _MAX_BAD_ROWS:
            parts.append(f"<p><small>and {len(bad) - _MAX_BAD_ROWS:,} more, listed in report.json</small></p>")
    return "".join(parts)


def data(report: dict[str, Any]) -> str:
    """Rows per split, and how each column was read."""
    parts = []
    if report.get("splits"):
        tiles = [
            f'<div class="tile"><span>{esc(k)}</span><b>{number(v)}</b><small>rows</small></div>'
            for k, v in report["splits"].items()
        ]
        parts.append(f'<div class="tiles">{"".join(tiles)}</div>')
    if report.get("schema"):
        body = [
            [
                f"<code>{esc(c.get('name', ''))}</code>",
                esc(c.get("kind") or ""),
                esc(c.get("role") or ""),
                esc(c.get("reason", "")),
            ]
            for c in report["schema"]
        ]
        parts.append("<h3>Columns</h3>" + html_table(["Column", "Kind", "Role", "Why"], body))
    return "".join(parts)


def model(report: dict[str, Any]) -> str:
    """Encoders, fusion with its equation and paper, head, sizes."""
    given = dict(report.get("model") or {})
    if not given:
        return ""
    parts = []
    encoders, fusion = given.pop("encoders", None), given.pop("fusion", None)
    weights, num_bytes = given.pop("parameters", None), given.pop("size_bytes", None)
    facts: dict[str, Any] = {}
    if isinstance(fusion, dict):
        fusion = dict(fusion)
        facts["fusion"] = fusion.pop("name", None)
        if fusion.get("equation"):
            parts.append(f'<pre class="eq">{esc(fusion.pop("equation"))}</pre>')
        facts |= {f"fusion {k}" if k != "paper" else k: v for k, v in _flat(fusion).items()}
    elif fusion is not None:
        facts["fusion"] = fusion
    if "head" in given:
        facts["head"] = given.pop("head")
    if isinstance(weights, dict):
        facts |= {f"parameters, {k}": v for k, v in weights.items()}
    elif weights is not None:
        facts["parameters"] = weights
    if isinstance(num_bytes, int | float):
        facts["size on disk"] = size(num_bytes)
    facts |= {k.replace("_", " "): v for k, v in _flat(given).items()}
    parts.append(_pairs({k: v for k, v in facts.items() if v is not None}))
    if isinstance(encoders, list) and encoders:
        names = list(dict.fromkeys(k for e in encoders for k in e))
        body = [[number(e.get(k)) if e.get(k) is not None else "" for k in names] for e in encoders]
        counted = {i for i, k in enumerate(names) if all(isinstance(e.get(k), int | float) for e in encoders)}
        heads = [esc(k.replace("_", " ").capitalize()) for k in names]
        parts.append("<h3>Encoders</h3>" + html_table(heads, body, numbers=counted))
    return "".join(parts)


def settings(report: dict[str, Any]) -> str:
    """Every setting of the run, by its dotted name."""
    return _pairs(_flat(report.get("settings") or {}), code=True)


def versions(report: dict[str, Any]) -> str:
    """What ran it."""
    return _pairs(report.get("versions") or {})


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.") if value else {f"{prefix}{key}": "none"}
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _pairs(facts: dict[str, Any], *, code: bool = False) -> str:
    if not facts:
        return ""
    rows = []
    for key, value in facts.items():
        if isinstance(value, list):
            value = ", ".join(map(str, value)) or "none"
        # A setting is shown to its last digit, unlike a measurement.
        shown = f"<code>{esc(value)}</code>" if code else number(value) if not isinstance(value, bool) else esc(value)
        rows.append(f"<dt>{f'<code>{esc(key)}</code>' if code else esc(key)}</dt><dd>{shown}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def html_table(head: list[str], body: list[list[str]], *, numbers: set[int] | None = None) -> str:
    """A table of cells that are HTML already; ``numbers`` are the columns set flush right."""
    css = ["n" if i in (numbers or set()) else "" for i in range(len(head))]
    top = "".join(f'<th class="{c}">{h}</th>' for h, c in zip(head, css, strict=True))
    rows = "".join(
        "<tr>" + "".join(f'<td class="{c}">{v}</td>' for v, c in zip(row, css, strict=True)) + "</tr>" for row in body
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>'
