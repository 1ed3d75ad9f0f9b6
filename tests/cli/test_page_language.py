"""Pages and the verdict in the language that was typed; what was typed at fit holds for later pages of the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.lazy import lazy
from fixtures.settings import QUICK

numbers = lazy("fixtures.small_model", "numbers")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def table(tmp_path: Path) -> str:
    columns = numbers(40, ("rain", "sun"))
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    (tmp_path / "t.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    return str(tmp_path / "t.csv")


def test_a_model_fitted_in_chinese_writes_chinese_pages(tmp_path: Path, table: str, run: Run) -> None:
    sets = [a for s in [*QUICK, "train.epochs=1", "task.select_by=f1_macro"] for a in ("--set", s)]
    model, page = str(tmp_path / "m"), tmp_path / "r.html"
    code, out, err = run("fit", table, "--target", "label", "-o", model, "--lang", "zh", "--quiet", *sets)
    assert code == 0, err
    assert out.startswith("只评估了 ") and "。模型" in out.splitlines()[0] and "评估于" in out
    assert "按选择轮次所用的指标宏平均 F1" in out.splitlines()[0] and "；宏平均 F1 " in out
    assert "## 使用方法" in (tmp_path / "m" / "README.md").read_text("utf-8")
    assert '<html lang="zh">' in (tmp_path / "m" / "report.html").read_text("utf-8")
    code, out, err = run("evaluate", model, table, "--report", str(page), "--quiet")
    assert code == 0 and out.startswith("只评估了 "), err
    assert "关键指标" in page.read_text("utf-8")
    code, out, _ = run("evaluate", model, table, "--report", str(page), "--lang", "en", "--json", "--quiet")
    assert "Key numbers" in page.read_text("utf-8")
    assert json.loads(out)["verdict"].startswith("Only ")
    code, _, err = run("explain", model, table, "--report", str(page), "--quiet")
    assert code == 0 and "各模态子集" in page.read_text("utf-8"), err


def test_an_unknown_language_is_refused_before_the_work(table: str, tmp_path: Path, run: Run) -> None:
    for verb in (["fit", table, "-o", str(tmp_path / "m")], ["compare", table, "-o", str(tmp_path / "c")],
                 ["evaluate", str(tmp_path / "m"), table], ["explain", str(tmp_path / "m"), table]):  # fmt: skip
        code, _, err = run(*verb, "--lang", "fr")
        assert code != 0 and "unknown language 'fr'" in err and "Known: en, zh" in err, err
    assert not (tmp_path / "m").exists()
