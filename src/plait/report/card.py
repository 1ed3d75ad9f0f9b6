"""The model card: ``README.md`` of a model folder, in the layout that model hubs read, from the run's own numbers.

In comes the report of a run; out comes Markdown with a block of YAML in front (``library_name``, ``tags``,
``model-index``). Nothing is in it that the report does not say, and no path of the machine it was trained on. It is for
people: the model does not need it.

Reference: Mitchell et al. 2019 (model cards for model reporting).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from plait.report.checks import findings
from plait.report.languages import ENGLISH, spoken, tr
from plait.report.words import estimate, flat, metric_name, number, span

NAME = "README.md"
MARK = "<!-- Written by Plait; without this line the file is yours and is kept when a model is saved here again. -->"
SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$])")
MOST_NOTES = 12
NO_LIMITS = ("task ", "rows of ")  # notes that say how the table was read
TUNINGS = {"full": "trained", "last_n": "its last blocks trained", "lora": "trained by LoRA"}
USE = """```python
import plait

model = plait.load("FOLDER")  # {place}
answers = model.predict("rows.csv")  # {memory}
```"""


def model_card(report: Mapping[str, Any], title: str, licences: Mapping[str, str], lang: str = ENGLISH) -> str:
    """The card of a model.

    Args:
        report: As ``report.json`` holds it.
        title: Heading, such as "Plait: classification of sentiment".
        licences: Licences of named weights, by the reference of the encoder.
        lang: "en" or "zh"; the YAML in front, which hubs read, has the same words in each.

    Returns:
        Markdown text that ends with a line break.
    """
    with spoken(ENGLISH):
        front = _front(report, title)
    with spoken(lang, [str(c["name"]) for c in report.get("schema") or []]):
        parts = [front, MARK, f"# {plain(tr(title))}", plain(tr(str(report.get("verdict") or ""))), _use()]
        parts += [_columns(report), _data(report), _results(report), _alone(report), _missing(report), _limits(report)]
        parts.append(_inside(report, licences))
    return "\n\n".join(part for part in parts if part) + "\n"


def _use() -> str:
    code = USE.format(place=tr("the folder of this file"), memory=tr("or rows in memory"))
    typed = "`plait predict FOLDER rows.csv -o answers.csv`"
    return f"{_heading('How to use it')}\n\n{code}\n\n" + tr(
        f"On the command line: {typed}. Any input of a row may be missing."
    )


def _heading(words: str) -> str:
    return f"## {tr(words)}"


def plain(text: str) -> str:
    r"""A text on one line that Markdown shows as it is.

    Example:
        >>> print(plain("a|b <i>c"))
        a\|b \<i\>c
    """
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _code(name: Any) -> str:
    """A name as code in a cell of a table, where a bar must be escaped all the same."""
    told = " ".join(str(name).split()).replace("|", "\\|")
    return f"`{told}`" if "`" not in told else f"`` {told} ``"


def _front(report: Mapping[str, Any], title: str) -> str:
    task = str(report.get("task"))
    kinds = dict.fromkeys(c["kind"] for c in report.get("schema") or [] if c.get("role") == "input" and c.get("kind"))
    facts = {
        "library_name": "plait",
        "tags": list(dict.fromkeys(["plait", "multimodal", task, *map(str, kinds)])),
        "model-index": [
            {
                "name": title,
                "results": [
                    {
                        "task": {"type": task},
                        "dataset": {"name": _source(report), "type": "table", "split": _split(report)},
                        "metrics": [
                            {"type": name, "name": metric_name(name), "value": round(float(value), 4)}
                            for name, value, *_ in _measured(report)
                        ],
                    }
                ],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---"


def _columns(report: Mapping[str, Any]) -> str:
    rows = [
        (_code(c["name"]), tr(c.get("kind") or "", "kind"), tr(c.get("role") or "", "role"))
        for c in report.get("schema") or []
    ]
    return _table(_heading("Columns"), (tr("Column"), tr("Kind"), tr("Role")), rows)


def _data(report: Mapping[str, Any]) -> str:
    facts = report.get("facts") or {}
    parts = [f"{number(n)} {tr(name, 'split')}" for name, n in (report.get("splits") or {}).items()]
    print_ = str(facts.get("fingerprint") or "")
    lines = [tr(f"Trained on {plain(_source(report))}: {number(facts.get('rows'))} rows ({', '.join(parts)}).")]
    taught = report.get("unlabelled") or {}
    if taught.get("rows"):
        kept = "learned from" if taught.get("kept") != "supervised" else "were tried and not kept"
        without = f"{number(taught['rows'])} rows without a target"
        lines.append(tr(f"{without} {kept}." if kept.startswith("were") else f"It also {kept} {without}."))
    lines += [tr(f"sha256 of the data: `{print_}`.")] if print_ else []
    return f"{_heading('Data')}\n\n" + " ".join(lines)


def _results(report: Mapping[str, Any]) -> str:
    rows = [
        (metric_name(name), number(flat(value, low, high)), span(low, high))
        for name, value, low, high in _measured(report)
    ]
    judged = (report.get("evaluation") or {}).get("rows")
    told = tr(f"On {number(judged)} rows of the {_split(report)} split, with 95% bootstrap intervals.")
    heading = f"{_heading('Results')}\n\n{told}"
    return _table(heading, (tr("Metric"), tr("Value"), tr("95% interval")), rows)


def _alone(report: Mapping[str, Any]) -> str:
    found = report.get("evaluation") or {}
    main = str((report.get("metric") or {}).get("name"))
    rows = []
    for how in ("alone", "without"):
        for name, metrics in (found.get(how) or {}).items():
            value, low, high = estimate((metrics or {}).get(main))
            if value is not None:
                rows.append(
                    (
                        tr(f"{plain(name)} alone" if how == "alone" else f"all but {plain(name)}"),
                        number(value),
                        span(low, high),
                    )
                )
    told = tr("The same metric where a modality answers alone, and where it is left out.")
    heading = f"{_heading('What each modality is worth')}\n\n{told}"
    return _table(heading, (tr("Inputs"), metric_name(main), tr("95% interval")), rows)


def _missing(report: Mapping[str, Any]) -> str:
    sentence = ((report.get("evaluation") or {}).get("missing") or {}).get("sentence")
    return tr(f"With modalities missing: {plain(sentence)}.") if sentence else ""


def _limits(report: Mapping[str, Any]) -> str:
    found = report.get("evaluation") or {}
    told = [*(report.get("facts") or {}).get("notes", []), *(found.get("notes") or [])]
    notes = [note for note in dict.fromkeys(told) if not note.startswith(NO_LIMITS)]
    lines = [f"- {plain(tr(note))}" for note in notes[:MOST_NOTES]]
    lines += [f"- {tr(f'and {len(notes) - MOST_NOTES} more, in report.html')}"] if len(notes) > MOST_NOTES else []
    lines += [
        f"- {c['code']} {plain(tr(c['title']))}: {plain(tr(c['sentence']))}"
        for c in findings(report) if c["severity"] in ("warning", "error")
    ]  # fmt: skip
    lines.append("- " + tr(
        "The numbers above are of rows like those it was trained on. For rows from elsewhere they are no promise: "
        "`plait drift` tells two tables apart, and `plait evaluate` has a report on how far a model can be trusted."
    ))  # fmt: skip
    return f"{_heading('Limits')}\n\n" + "\n".join(lines)


def _inside(report: Mapping[str, Any], licences: Mapping[str, str]) -> str:
    model = report.get("model") or {}
    lines = []
    for e in model.get("encoders") or []:
        known = licences.get(str(e.get("name")))
        licence = tr(f", weights under {known}") if known else ""
        tuning = tr(TUNINGS.get(str(e["tuning"]), str(e["tuning"])), "tuning")
        lines.append(f"- {plain(e['modality'])}: {_encoder(str(e['name']))}, {plain(tuning)}{licence}")
    fusion = model.get("fusion") or {}
    if fusion.get("name"):
        paper = f" ({plain(fusion['paper'])})" if fusion.get("paper") else ""
        head = plain(model.get("head") or "")
        told = tr(f"the network of all modalities: fusion {plain(fusion['name'])}{paper}, head {head}")
        lines.append(f"- {told}")
    members = [m for m in (report.get("evaluation") or {}).get("members") or [] if m.get("weight")]
    if members:
        listed = ", ".join(f"{plain(tr(m['name']))} {number(m['weight'])}" for m in members)
        lines.append(f"- {tr('models that answer together where everything is there')}: {listed}")
    parameters = model.get("parameters") or {}
    if parameters.get("total") is not None:
        told = tr(f"{number(parameters['total'])} parameters, {number(parameters['trained'])} of them trained here")
        lines.append(f"- {told}")
    versions = ", ".join(f"{name} {v}" for name, v in (report.get("versions") or {}).items())
    lines += [f"- {tr('versions')}: {plain(versions)}"] if versions else []
    return f"{_heading('What is inside')}\n\n" + "\n".join(lines) if lines else ""


def _encoder(reference: str) -> str:
    """The name of an encoder; of a folder or file on this machine its last part."""
    prefix, colon, rest = reference.partition(":")
    if (
        colon
        and ("/" in rest or "\\" in rest)
        and (rest.startswith(("/", ".", "~")) or "@" in rest or rest[1:2] == ":")
    ):
        name, at, file = rest.partition("@")
        rest = f"{name}@{PurePath(file).name}" if at else PurePath(rest.replace("\\", "/")).name
    return plain(f"{prefix}{colon}{rest}")


def _measured(report: Mapping[str, Any]) -> list[tuple[str, float, float | None, float | None]]:
    """Metrics with their intervals; of two directions of a search with the name of what asks."""
    found = report.get("evaluation") or {}
    groups: Iterable[tuple[str, Mapping[str, Any]]] = [("", found.get("metrics") or {})]
    if found.get("directions"):
        groups = [(f" ({d['query']} asks)", d.get("metrics") or {}) for d in found["directions"]]
    made = []
    for suffix, metrics in groups:
        for name, entry in metrics.items():
            value, low, high = estimate(entry)
            if value is not None:
                made.append((name, suffix, value, low, high))
    main = str((report.get("metric") or {}).get("name"))
    made.sort(key=lambda one: one[0] != main)
    return [(f"{name}{suffix}", *numbers) for name, suffix, *numbers in made]


def _source(report: Mapping[str, Any]) -> str:
    source = str((report.get("facts") or {}).get("source") or "a table in memory")
    return PurePath(source.replace("\\", "/")).name or source


def _split(report: Mapping[str, Any]) -> str:
    return str((report.get("evaluation") or {}).get("split") or "test")


def _table(heading: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return heading + "\n\n" + "\n".join(lines)
