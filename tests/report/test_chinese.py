"""Chinese sentences as a native reader wants them: quotes around names, a name for the joined columns, a minus sign."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixtures.drawn import REPORTS, Words, drawn
from plait.report.languages import tr_in

SAID = (
    (
        "Only 20 rows are judged: too few for more than a rough number. Using the modalities together is not "
        "distinguishable from the best one alone on these rows: accuracy 0.750 against 0.550 for 评价, a difference "
        "of +0.200.",
        "只评估了 20 行，太少：数字只能粗略参考。联合使用各模态与最好的单模态没有显著差异：准确率 0.750，"
        "仅用“评价”为 0.550，相差 +0.200。",
    ),
    (
        "With everything the model reaches accuracy 75.0%: tabular adds nothing that can be told from zero to what "
        "评价 alone gives it (55.0%), -5.0 points [-20.0, 10.0].",
        "给出全部模态时，模型的准确率为 75.0%：在只用“评价”（55.0%）的基础上再加表格列，"
        "增量与零没有显著差异（−5.0 个百分点 [−20.0, 10.0]）。",
    ),
    (
        "Fusing helps: low_rank, chosen on validation rows, gets 0.775 against 0.550 of tabular alone, the single "
        "modality that validation rows prefer (difference +0.225).",
        "融合有帮助：由验证集选出的 low_rank 为 0.775，验证集上最好的单模态（仅用表格列）为 0.550（相差 +0.225）。",
    ),
    (
        "effective robustness -0.148 [-0.365, +0.103] (accuracy falls faster than that of late fusion)",
        "有效鲁棒性 −0.148（−0.365 至 +0.103）；准确率的下降快于晚期融合",
    ),
    ("'yes' is answered above a probability of 0.45, not .5", "“yes”的概率高于 0.45（而不是 0.5）时，就回答“yes”"),
    ("task classification: 'state' has 2 classes", "任务（分类）：“state”有 2 个类别"),
    (
        "it holds words (to take every text as a class: categorical='state')",
        "内容为 words（若要把每段文本当作一个类别：categorical='state'）",
    ),
    (
        "Only 3 with photo + tabular: 39 pooled rows speak for them.",
        "具备“photo” + 表格列的只有 3 行：由合并的 39 行代替。",
    ),
    ("5 characters a value on average", "平均每格约 5 个字"),
)


@pytest.mark.parametrize(("english", "chinese"), SAID, ids=[chinese[:12] for _, chinese in SAID])
def test_names_stand_in_quotes_and_numbers_with_a_minus(english: str, chinese: str) -> None:
    assert tr_in("zh", english) == chinese


def test_the_joined_modality_has_a_chinese_name_on_pages_and_its_own_in_the_file(tmp_path: Path) -> None:
    page = drawn(next(p for p in REPORTS if p.stem == "ensemble"), tmp_path, "zh")
    said = Words(page).said
    assert sum("表格列" in text for text in said) > 20 and "text + photo + 表格列" in said and "仅用表格列" in said
    assert [text for text in said if "tabular" in text] == ["tabular"]  # the name of its encoder
    assert "tabular" in (tmp_path / "page.json").read_text("utf-8")


def test_a_row_is_headed_by_its_answer_and_the_probability(tmp_path: Path) -> None:
    page = drawn(next(p for p in REPORTS if p.stem == "explained"), tmp_path, "zh")
    heads = re.findall(r"<h3>(.*?)</h3>", page, flags=re.DOTALL)
    assert any(re.fullmatch(r"第 \d+ 行：回答“\w+” <small>概率 [\d.]+%</small>", head) for head in heads), heads


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (
            "1 class is not in train: '退货' in rows 5, 7; rows are split by time, by column '日期'",
            "1 个类别不在训练行中：第 5、7 行中有“退货”；行按时间划分，依据列“日期”",
        ),
        (
            "5 of 12 rows are of classes that training did not have and count as wrong: '退货' (5)",
            "12 行中有 5 行属于训练中没有的类别，计为错误：“退货”（5）",
        ),
    ],
)
def test_chinese_classes_are_quoted_as_english_ones_are(english: str, chinese: str) -> None:
    assert tr_in("zh", english) == chinese
