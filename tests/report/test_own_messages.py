"""Each sentence of the catalogue is translated by its own message, and a sentence of no message is not torn apart."""

from __future__ import annotations

import json
import re
from functools import partial

import pytest

from fixtures.messages import SRC
from plait.report.languages import spoken, tr
from plait.report.languages.catalogue import HOLE, _filled
from plait.report.languages.spoken import catalogue

CATALOGUE: dict[str, str] = json.loads((SRC / "report/languages/zh.json").read_text("utf-8"))
OTHERS = {
    # Another message says the same of these, in other words or with a number in place of a text.
    "Plait: {task:task} of {target}",
    " and {n:n} more",
    " (did you mean {name}?)",
    "{classes:t} not in {part:split}: {names}",
    "{n:n} of {all:n} {lack:-} a modality from the start; there it counts 0",
    "LEAKAGE: {count:t} of column {name} {verb:-} in more than one split, so the numbers are too good{advice:t}",
    "{rows:t} cannot be parsed and count nowhere",
    "{what:?}: log loss of calibration rows that did not fit it goes from {a:n} to {b:n}{more:t}",
    # What is put into their placeholders here is not what stands there: nothing, or names with one more "and".
    "With everything the model reaches {metric:metric} {level:t}",
    "left out: {n:n} {why:t}",
    "unsure between {a:&} and {b} ({p:n})",
    "{of:t} of {source} trained the model or chose its epoch and {verb:-} left out (row{s:-} {rows:&}{more})",
    "row {n:n}: truth {truth}, prediction {answer}; {one:?}{level:t}",
    "log-odds of {class}",
}


def _put(match: re.Match[str], body: str, values: dict[str, tuple[str, str]], data: str) -> str:
    """What stands in a placeholder; nothing where one of a text follows another at once."""
    name, kind = match[1], match[2] or ""
    word = next((k.partition("|")[2] for k in CATALOGUE if kind.isalpha() and k.startswith(f"{kind}|")), data)
    made = {"n": "3", "-": "s", "t": "3 rows", "?": data, "": data, "&": f"{data} and 'snow'"}.get(kind, word)
    follows = kind in ("t", "?") and body[: match.start()].rstrip().endswith("}")
    return values.setdefault(name, ("" if follows else made, kind))[0]


@pytest.mark.parametrize("data", ["'rain'", "错.csv"])
def test_each_message_is_found_by_its_own_words(data: str) -> None:
    zh, wrong, number = catalogue("zh"), [], 0
    for english, other in CATALOGUE.items():
        if english in OTHERS or not HOLE.search(english):
            continue
        context, body = english.split("|", 1) if re.match(r"\w+\|", english) else ("", english)
        values: dict[str, tuple[str, str]] = {}
        text = HOLE.sub(partial(_put, body=body, values=values, data=data), body)
        said = {name: zh._value(v, kind, frozenset())[0] if v else ("", "") for name, (v, kind) in values.items()}
        expected, made = _filled(other, said), zh.translated(text, context)
        number += 1
        if made.replace(" ", "") != expected.replace(" ", ""):
            wrong.append(f"{text!r} became {made!r}, not {expected!r}")
    assert number > 1000 and not wrong, "\n".join(wrong)


def test_a_column_that_a_table_lacks_is_said_in_chinese() -> None:
    with spoken("zh"):
        for name, shown in (("'价格'", "价格"), ("'price'", "price"), ('"it\'s"', "it's")):
            note = f"错.csv has no column {name}; it counts as missing in every row"
            assert tr(note) == f"错.csv 没有“{shown}”列；每行都按缺失处理"
        note = "t.csv has no column '价格' (did you mean '价各'?); it counts as missing in every row"
        assert tr(note) == "t.csv 没有“价格”列（是否指“价各”？）；每行都按缺失处理"


def test_a_sentence_of_no_message_stays_whole() -> None:
    told = "错.csv has no wheel '价格'; it rolls as poorly in every street"
    with spoken("zh"):
        assert tr(told) == told
        assert tr("parts of 2 rows: answers", "progress") == "解释 2 行的各部分，答案数"
