"""The sections of the page that say what went in: data, rows left out, model, settings, versions."""

from __future__ import annotations

from typing import Any

from plait.report.languages import tr
from plait.report.template import PARTS, fill
from plait.report.words import modality, number, size

TEMPLATE = "report/facts.html.jinja"
_MAX_BAD_ROWS = 100


def left_out(report: dict[str, Any]) -> str:
    """Rows that could not be used, cells that count as missing, and what was counted on the way."""
    evaluation = report.get("evaluation") or {}
    bad, counts = evaluation.get("bad_rows") or [], evaluation.get("counts") or {}
    shown = _shown({k.replace("_", " "): v for k, v in _flat(counts).items()})
    title = _what_became(bad)
    more = f"{len(bad) - _MAX_BAD_ROWS:,}" if len(bad) > _MAX_BAD_ROWS else ""
    return fill(TEMPLATE, "left_out", counts=shown, title=title, bad_rows=bad[:_MAX_BAD_ROWS], more=more)


def _what_became(bad: list[dict[str, Any]]) -> str:
    """How many rows were left out, and how many cells count as missing in rows that were kept."""
    kept = sum(b.get("outcome") == "counted as missing" for b in bad)
    lost = len({b["row"] for b in bad if b.get("outcome") != "counted as missing"})
    parts = [f"{lost:,} row{'' if lost == 1 else 's'} left out"] if lost or not kept else []
    parts += [f"{kept:,} cell{'' if kept == 1 else 's'} counted as missing"] if kept else []
    return ", ".join(parts)


def data(report: dict[str, Any]) -> str:
    """Rows per split, and how each column was read."""
    tiles = [(tr(name, "split"), number(rows), "rows", False) for name, rows in (report.get("splits") or {}).items()]
    return fill(TEMPLATE, "data", tiles=tiles, columns=report.get("schema") or [])


def model(report: dict[str, Any]) -> str:
    """Encoders, fusion with its equation and paper, head, sizes."""
    given = dict(report.get("model") or {})
    if not given:
        return ""
    equation = ""
    encoders, fusion = given.pop("encoders", None), given.pop("fusion", None)
    weights, num_bytes = given.pop("parameters", None), given.pop("size_bytes", None)
    facts: dict[str, Any] = {}
    if isinstance(fusion, dict):
        fusion = dict(fusion)
        facts["fusion"] = fusion.pop("name", None)
        equation = fusion.pop("equation", "") if fusion.get("equation") else ""
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
    shown = _shown({k: v for k, v in facts.items() if v is not None})
    rows = encoders if isinstance(encoders, list) else []
    rows = [row | ({"modality": modality(row["modality"])} if "modality" in row else {}) for row in rows]
    names = list(dict.fromkeys(k for row in rows for k in row))
    counted = {i for i, k in enumerate(names) if all(isinstance(row.get(k), int | float) for row in rows)}
    titles = [k.replace("_", " ").capitalize() for k in names]
    return fill(
        TEMPLATE, "model", lead=_its_share(report), equation=equation, facts=shown, encoders=rows, names=names,
        titles=titles, numbers=counted,
    )  # fmt: skip


def _its_share(report: dict[str, Any]) -> str:
    """That the network described is not all that answers, where an ensemble does."""
    members = (report.get("evaluation") or {}).get("members") or []
    weight = next((m.get("weight") for m in members if m.get("kind") == "network" and m.get("name") == "fused"), None)
    if weight is None or weight >= 1:
        return ""
    return (
        f"This is the network of all modalities. The members of the ensemble answer, among which its weight is "
        f"{weight:.2f} where everything is there."
    )


def settings(report: dict[str, Any]) -> str:
    """Every setting of the run, by its dotted name and to its last digit; what is none, on or off in words."""
    flat = _flat(report.get("settings") or {})
    second = {name: (report.get("facts") or {}).get(name) for name in ("more", "unlabelled")}
    flat |= _flat({name: one for name, one in second.items() if isinstance(one, dict)})
    return fill(PARTS, "pairs", facts={k: _setting(v) for k, v in flat.items()}, as_code=True)


def _setting(value: Any) -> str:
    """The value of a setting: a word where it is nothing or a switch, else as it is typed."""
    if value is None or value in ([], ""):
        return str(tr("not set", "value"))
    if isinstance(value, bool):
        return str(tr("on" if value else "off", "value"))
    return ", ".join(map(_setting, value)) if isinstance(value, list) else str(value)


def versions(report: dict[str, Any]) -> str:
    """What ran it."""
    return fill(PARTS, "pairs", facts=_shown(report.get("versions") or {}))


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.") if value else {f"{prefix}{key}": []}
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(facts: dict[str, Any]) -> dict[str, str]:
    return {name: number(tr(_listed(value), "value")) for name, value in facts.items()}


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else value
