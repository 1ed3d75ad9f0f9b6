"""Whoever reads a table asks the same: may its cells name files elsewhere?"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import plait
from fixtures.media import noise_png
from plait.cli import check, compare, evaluate, explain, fit, generate, index, predict

VERBS: list[Any] = [
    check.check, compare.compare, evaluate.evaluate, explain.explain, fit.fit, generate.caption, predict.predict,
    index.index_add, index.index_build, index.index_update,
]  # fmt: skip


def test_every_verb_that_reads_a_table_has_the_flag() -> None:
    assert [verb.__name__ for verb in VERBS if "allow_outside" not in inspect.signature(verb).parameters] == []
    methods = ("predict", "predict_proba", "evaluate", "explain", "generate", "score_answers", "embed", "classify")
    calls = [plait.fit, plait.check, plait.compare, *(getattr(plait.Plait, name) for name in methods)]
    assert [call.__name__ for call in calls if "allow_outside" not in inspect.signature(call).parameters] == []


def test_check_names_the_rows_and_the_flag_lets_them_in(tmp_path: Path, run: Any) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "beside.png").write_bytes(noise_png(1))
    (tmp_path / "table" / "in.png").write_bytes(noise_png(2))
    table = tmp_path / "table" / "t.csv"
    table.write_text("image,label\n" + "in.png,a\n../beside.png,b\n" * 2)
    for flags, severity, rows in (((), "error", [1, 3]), (("--allow-outside",), "ok", [])):
        _, out, _ = run("check", table, "--target", "label", "--json", *flags)
        (finding,) = [f for f in json.loads(out)["findings"] if f["code"] == "P030"]
        assert (finding["severity"], finding["rows"]) == (severity, rows)
        assert ("allow_outside=True" in finding["detail"]) == bool(rows)
