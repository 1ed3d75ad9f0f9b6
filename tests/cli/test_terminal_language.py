"""What verbs print is in the language of the pages: reports of real runs leave no English on the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import plait
from fixtures.lazy import lazy
from plait.cli.explain import lines
from plait.cli.report import show_report
from plait.cli.speaking import Speaker

Comparison = lazy("plait.comparison", "Comparison")
TerminalProgress = lazy("plait.api", "TerminalProgress")
Run = Callable[..., tuple[int, str, str]]
REPORTS = sorted((Path(__file__).parents[1] / "fixtures" / "reports").glob("*.json"))
# Cells and names of the saved reports, options, a unit, a setting.
DATA = re.compile(
    r"rain today|(cold dark rain|warm bright sun|white soft snow)( today)?( number)?|big, (rain|sun|snow)|ms/1k|"
    r"warm bright sun|white soft snow|cold dark rain|"
    r"(text|photo|size|town|when)(, (text|photo|size|town|when))+|text: \w+|(today|number) [+-][\d.]+, |"
    r"--absence \w+|--rows test|scratch:\w+|train\.\w+=\S+"
)
GOODS = ("客服热情", "质量可靠", "客服冷淡", "质量很差", "物流太慢", "包装精美")


@pytest.mark.parametrize("path", REPORTS, ids=lambda p: p.stem)
def test_no_english_is_left_on_the_terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(path.read_text("utf-8"))
    if "baselines" in report:
        said = Comparison(report).table("zh")
    elif "subsets" in report:
        said = "\n".join(lines(report, True, "zh"))
    else:
        show_report(report, False, {"model": "m", "report": "r"}, "zh")
        said = capsys.readouterr().out
    left = [line for line in said.splitlines() if re.search(r"[A-Za-z]{2,}[ ,;:]+[a-z]{2,}", DATA.sub("", line))]
    assert said and left == []


def test_numbers_on_the_terminal_are_the_same_in_both(capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(next(p for p in REPORTS if p.stem == "ensemble").read_text("utf-8"))
    told = []
    for lang in ("en", "zh"):
        show_report(report, False, {}, lang)
        told.append(sorted(re.findall(r"\d\.\d{3}", capsys.readouterr().out)))
    assert told[0] == told[1] and len(told[0]) > 10


def test_check_speaks_chinese_and_takes_the_columns_of_a_fit(tmp_path: Path, run: Run) -> None:
    rows = [
        f"{GOODS[i % 6]}第{i}件,{i % 7},{'好' if i % 2 else '差'},{'val' if i in (1, 3) else 'train'}"
        for i in range(60)
    ]
    (tmp_path / "goods.csv").write_text("\n".join(["评价,价格,结论,split", *rows]) + "\n", "utf-8")
    given = [tmp_path / "goods.csv", "--target", "结论", "--text", "评价", "--categorical", "价格"]
    code, out, err = run("check", *given, "--lang", "zh")
    assert code == 0, err
    assert re.search(r"^评价 +输入 +文本 ", out, re.MULTILINE) and re.search(r"^价格 +输入 +类别 ", out, re.MULTILINE)
    assert "警告      P013 各划分中的类别：1 个类别不在验证行中：“差”" in out
    assert not re.search(r"[A-Za-z]{2,}[ ,;:]+[a-z]{2,}", re.sub(r"--set \S+|train, val", "", out))
    code, out, _ = run("check", *given)
    assert "P013 classes in every split: 1 class is not in val: '差'" in out


def test_a_newline_in_the_name_of_a_column_cuts_no_line(tmp_path: Path, run: Run) -> None:
    rows = "".join(f"{i % 7},{'a' if i % 2 else 'b'},{i}\n" for i in range(40))
    (tmp_path / "t.csv").write_text('"unit\nprice",label,day\n' + rows, "utf-8")
    code, out, err = run("check", tmp_path / "t.csv", "--target", "label", "--split-by-time", "day")
    assert code == 0, err
    assert re.search(r"^unit\\nprice  input ", out, re.MULTILINE)
    _, _, err = run("check", tmp_path / "t.csv", "--split-by-time", "odd")
    assert "'odd'" in err


def test_drift_speaks_chinese(tmp_path: Path, run: Run) -> None:
    for name, shift in (("a", 0), ("b", 50)):
        rows = "".join(f"{i % 9 + shift}.5,{i % 7}.5\n" for i in range(80))
        (tmp_path / f"{name}.csv").write_text('size,"unit\nprice"\n' + rows, "utf-8")
    code, out, err = run("drift", tmp_path / "a.csv", tmp_path / "b.csv", "--lang", "zh", "--quiet")
    assert code == 1, err
    assert "已知的表" in out and "B 与 A 不同：" in out and "不同" in out and "中位数：A 为 " in out
    assert not re.search(r"[A-Za-z]{2,}[ ,;:]+[a-z]{2,}", out.replace(str(tmp_path), ""))
    assert re.search(r"^  表格列 {14} 不同 {5}AUROC ", out, re.MULTILINE) and "特征表格列（AUROC " in out
    assert re.search(r"^  unit\\nprice {10}一致 ", out, re.MULTILINE)
    assert re.search(r"远的行所占比例）：\d+（[\d.]+%）、\d+（", out) and not re.search(r"; | \(|\), ", out)


def test_progress_speaks_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress(lang="zh") as progress:
        for what in ("encoding images", "judging without photo", "training epoch 3/30, accuracy 0.812", "odd work"):
            progress(1, 1, what)
        for name in ("linear of tabular", "trees of photo", "fused, seed 3"):
            progress(1, 1, f"fitting {name}")
    told = capsys.readouterr().err.splitlines()
    assert [line.partition("：1/1 （0 秒）")[0] for line in told] == [
        "编码图像", "评估：不用“photo”", "训练第 3/30 轮，准确率 0.812", "odd work",
        "训练成员：线性模型（表格列）", "训练成员：提升树（photo）", "训练成员：融合网络，种子 3",
    ]  # fmt: skip


def test_a_note_on_the_part_that_calibrates_is_chinese() -> None:
    taken = "t.csv is the table the model was trained on: taken are the 8 rows of its part"
    assert Speaker("zh")(f"{taken} 'test'") == "t.csv 就是模型的训练表：所用的是其测试集的 8 行"
    again = ", which have calibrated the model before: give rows of another table to learn anything new"
    assert Speaker("zh")(f"{taken} 'calibration'{again}").startswith(
        "t.csv 就是模型的训练表：所用的是其校准集的 8 行，这些行此前已校准过模型"
    )


@pytest.mark.real
def test_check_warns_of_texts_that_the_encoder_cannot_read() -> None:
    table = {"text": list(GOODS) * 5, "size": list(range(30)), "label": ["a", "b"] * 15}
    found = plait.check(table, "label", text="text").finding("P061")
    assert found.severity == "warning" and "minilm does not know" in found.detail
    english = {**table, "text": ["the sky is blue today", "a grey cloud over the hill"] * 15}
    assert plait.check(english, "label", text="text").finding("P061").severity == "ok"


@pytest.mark.parametrize(("lang", "said"), [("en", "; guessing gets 0.460"), ("zh", "；盲猜为 0.460")])
def test_what_guessing_gets_stands_beside_the_mean_hit_rate(
    lang: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_report(json.loads(next(p for p in REPORTS if p.stem == "retrieval").read_text("utf-8")), False, {}, lang)
    line = next(line for line in capsys.readouterr().out.splitlines() if "0.550" in line)
    assert line.endswith(f"[0.421, 0.697]{said}")


def test_what_a_member_took_has_chinese_units(capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(next(p for p in REPORTS if p.stem == "ensemble").read_text("utf-8"))
    for lang, took in (("en", r"  \([\d.]+ s, [\d.]+ MB\)$"), ("zh", r"（[\d.]+ 秒，[\d.]+ MB）$")):
        show_report(report, False, {}, lang)
        assert re.search(took, capsys.readouterr().out, re.MULTILINE)
