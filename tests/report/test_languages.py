"""The catalogue of every language is whole: no text of the source is missing, and no English is left on a page.

Pages are drawn from reports of real runs (tests/fixtures/reports), shortened and without pictures.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fixtures.drawn import REPORTS, Words, drawn
from fixtures.lazy import lazy
from fixtures.messages import HOLE, SRC, reasons_of, shape, texts_of, translated_in
from fixtures.untold_texts import JOINED, RAISED, TYPED
from plait.report import write_report, write_suggestions
from plait.report.languages import LANGUAGES, spoken, tr, tr_in
from plait.report.languages.catalogue import HOLE as PLACEHOLDER
from plait.report.views import sheet
from plait.settings.names import PAGE_LANGUAGES

duplicates_page, hits_page = lazy("plait.index.page", "duplicates_page", "hits_page")
CATALOGUE: dict[str, str] = json.loads((SRC / "report/languages/zh.json").read_text("utf-8"))
TEMPLATES = [*SRC.glob("report/*.jinja"), SRC / "comparison/page.html.jinja", SRC / "index/page.html.jinja"]
# What writes pages, and below it what composes sentences that stand on them: verdicts, checks, notes, reasons.
ROOMS = [
    "report/*.py", "report/shown/*.py", "comparison/page.py", "comparison/figures.py",
    "comparison/judging.py",
    "comparison/result.py", "comparison/sweep.py", "comparison/probe.py", "metrics/*verdict*.py", "metrics/label.py",
    "metrics/ordinal.py", "metrics/vqa.py", "metrics/captioning.py", "evaluation/*.py", "evaluation/trust/*.py",
    "explain/*.py", "explain/inputs/*.py", "tasks/families.py", "tasks/calibrator_choice.py", "tasks/closed_vqa.py",
    "training/known_split.py", "training/splitting.py", "training/tuning_notes.py", "training/unfinished.py",
    "training/calibration_rows.py", "ensemble/fit.py", "ensemble/apart.py", "ensemble/networks.py", "api/describe.py",
    "api/evaluation.py", "api/preparing.py", "api/run.py", "api/run_alone.py", "api/run_means.py",
    "api/run_thresholds.py",
    "api/run_columns.py", "api/calibrating.py", "heads/pair.py", "heads/dual_encoder.py", "fusion/late_stacking.py",
    "api/suggesting.py", "api/augmenting.py", "api/more_rows.py", "api/run_unlabelled.py", "api/unlabelled_rows.py",
    "api/joined_table.py", "api/vision_language/judging.py",
    "api/vision_language/tuning.py", "api/vision_language/tuning_guard.py", "api/vision_language/tuning_rows.py",
    "ensemble/guard.py", "ensemble/teachers/labels.py",
    "evaluation/active/words.py", "data/guess.py", "data/schema.py", "data/shared_content.py",
    "data/checks/*.py", "comparison/outcome.py", "api/known_letters.py", "cli/*.py", "index/*.py", "api/drift.py",
    "api/installation/*.py", "api/profiling/*.py", "api/exporting/int8.py", "serve/log.py",
    "data/dealing.py",
]  # fmt: skip
ELSEWHERE = {
    "__init__.py",
    "style.py",
    "shape.py",
    "plain.py",
    "thumbnail.py",
    "evaluation/interactions.py",
    "explain/black_box.py",
    *(f"cli/{name}.py" for name in ("options", "verbs", "other_words", "wording", "main")),  # help, errors: English
}
# Names that a reader of the code needs: rules of style, progress, keys, errors that are raised by a name, equations.
INSIDE = {
    "CheckReport", "Finding", "row{} {}{}", "Comparison({} lines on {}; selected {})", "README.md", "rows of ",
    "`plait predict FOLDER rows.csv -o answers.csv`", "{} on choosing rows, on these rows{}",
    "; type n={}", "a class", "kind of shown report", "border-top:1px solid rgba(128,128,128,.35)", "shapley of loss",
    "border-collapse:collapse;color:inherit;font-size:inherit",
    "standard deviation", "train seconds",
    "report", "plot square", "bars waterfall", "bars rowbars", "mark {}{}", "maybe {}", "pairs many", "dot f", "dot l",
    "dot s", "dot sel", "row has", "rows have", "drawn from", "judging {} alone", "judging without {}",
    "judging with {}", "judging {}", "judging what was learned", "the untuned model", "not asked for",
    "judging members", "judging before calibration", "judging with modalities missing",
    "best member",
    "best member metrics", "part of the trust report", "output kind", "output kind that can be explained",
    "kind of modality that has parts", "judge of output kind", "output kind with views of its answers", "{} score {}",
    "metric v{}", "all over nothing", "all over one alone", "added to the others",
    "unlabelled row",
    "calibration row", "judged row", "labelled row", "different inputs", "different values", "more class",
    "more classes", "more label", "{}, seed {}", "{} or {}", "{} and {}", "{}: {} of {}", "row {}, column {}: {}",
    "make room, then do the same with resume=True to go on", "task {}",
    "{}No training rows are in this table to compare judged rows with", "{}No judged row has a near twin in training",
    "trained the model or chose its epoch", "are marked train or val in column {}",
    "; rows='test' takes the test rows, which then can judge nothing more",
    "what is learned on them is too sure of itself. Give rows that the model has not seen", "\\bclass (\\d+)$",
    "wolpert 1992", "h = W [log p_1; ..; log p_M; present] + c, fitted on validation rows",
    "{} {} an empty target; semi='self_training' learns from such rows as well, on_bad_row='skip' leaves them out.\n",
    "a modality", "{} {}", "array_has({}, {})", "array_to_string({}, {}) ILIKE {}",
    "type semi='self_training', or ",
    "column {} cannot be {}: it holds {}{}; expected {}", "mean of single modalities", "nFKC",
    "; row {} of it holds {}{}", "; if the comma is its decimal mark, type decimal=','",
    "type rows='all', or name the training table itself",
    "{} has no split column and is not the table the model was trained on as it stood then, so rows={} cannot be "
    "chosen: {}",
}  # fmt: skip
NAMES = r"AUROC \(macro\)|F1 \((macro|micro|weighted)\)|ECE \((equal mass|classwise)\)|Brier score|Pearson r"


def is_said(text: str) -> bool:
    """Whether a text holds words for people: several, or one with a capital."""
    words = HOLE.sub("", text)
    if re.search(r"<|=\"|\{--|\n", text) or re.fullmatch(NAMES, text):
        return False
    return bool(re.search(r"[a-z]{2}", words)) and (" " in text.strip() or text[:1].isupper())


def known() -> set[str]:
    """The shapes of the messages of the catalogue, with and without the grammar that it may leave out."""
    bare = [re.sub(r"^\w+\|", "", key) for key in CATALOGUE]
    return {shape(key.replace("{s:-}", end)) for key in bare for end in ("{s:-}", "", "s", "es")}


def test_every_text_of_the_source_is_in_the_catalogue() -> None:
    found, lacking = known() | {shape(text) for text in (*INSIDE, *JOINED, *TYPED, *RAISED)}, []
    found_in = {path: path.relative_to(SRC).as_posix() for room in ROOMS for path in sorted(SRC.glob(room))}
    paths = [path for path, name in found_in.items() if not {path.name, name} & ELSEWHERE]
    assert len(paths) > 80
    for path in paths:
        lacking += [
            f"{path.relative_to(SRC)}:{line} {text!r}"
            for line, text in texts_of(path)
            if is_said(text) and shape(text) not in found
        ]
    assert not lacking, "say these in src/plait/report/languages/zh.json:\n" + "\n".join(lacking)


def test_every_reason_of_an_unreadable_cell_is_in_the_catalogue() -> None:
    found, lacking, number = known(), [], 0
    for path in sorted(SRC.rglob("*.py")):
        for line, text in reasons_of(path):
            number += is_said(text)
            if is_said(text) and shape(text) not in found:
                lacking.append(f"{path.relative_to(SRC)}:{line} {text!r}")
    assert number > 60 and not lacking, "\n".join(lacking)


def test_a_rare_reason_of_an_unreadable_cell_is_said_in_chinese() -> None:
    with spoken("zh"):
        assert tr("image 2 of the set: the cell is empty") == "集合的第 2 张图像：单元格为空"
        assert tr("the sound has 900,000 samples a second; expected 1 to 768,000").startswith("声音每秒有 900,000")
        assert tr("3 fields where the header has 4 (line 9)") == "3 个字段，而表头有 4 个（第 9 行）"
        assert tr("'v.npy' holds 2 arrays (a, b); expected one") == "“v.npy”含有 2 个数组（a、b）；应为一个"


def test_what_a_file_is_instead_of_an_image_is_said_in_chinese() -> None:
    from plait.data.cell_error import _BOXES, _KINDS, described

    heads = [start for start, _ in _KINDS] + [b"\0\0\0\x18ftyp" + box for box in (*_BOXES, b"isom")]
    for head in (*heads, b"RIFF", b"\0\0\0", b"plain words", b"\xf0\x28\x8c\x28 odd"):
        with spoken("zh"):
            told = tr(f"not an image that plait reads ({described(head)}); expected JPEG, PNG")
        assert told.startswith("不是 Plait 能读取的图像（") and "it is" not in told and "it begins" not in told, told


def test_every_text_of_a_template_is_in_the_catalogue() -> None:
    found = known()
    said = [(t.name, *one) for t in TEMPLATES for one in translated_in(t) if is_said(one[1])]
    lacking = [f"{name}:{line} {text!r}" for name, line, text in said if shape(text) not in found]
    assert len(said) > 60 and not lacking, "\n".join(lacking)


def test_a_text_that_the_catalogue_lacks_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('def f(n):\n    """Doc string here."""\n    return f"{n} planted words" + " more"\n')
    assert [shape(text) for _, text in texts_of(tmp_path / "a.py")] == ["{} planted words more"]
    assert shape("{} planted words more") not in known()


def test_placeholders_are_the_same_in_both_languages() -> None:
    for english, other in CATALOGUE.items():
        named = {hole[1]: hole[2] for hole in PLACEHOLDER.finditer(english)}
        used = {hole[1] for hole in PLACEHOLDER.finditer(other)}
        assert used <= set(named), english
        assert {name for name, kind in named.items() if kind != "-"} <= used, f"{english} loses a value"
        assert other or english in ("s were", "was"), english


# Data of the reports (classes, texts, columns, methods that go together), equations, papers, settings of a search.
ALLOWED = re.compile(
    r"rain today|(cold dark rain|warm bright sun|white soft snow)( today)?( number)?|big, (rain|sun|snow)|"
    r"(text|photo|size|town|when)(, (text|photo|size|town|when))+|"
    r"\b(concat|gated|prefix|tensor)(, (concat|gated|prefix|tensor))+|linear or an MLP|where training x_m|"
    r"scratch:\w+|et al\.|\(CLIP\), the two towers|train\.\w+=\S+|[a-z]+\.[a-z]+=[\w.]+|plait \w+ .*|h = .*"
)


def left_over(page: str) -> list[str]:
    """Two words of English or more in a row, that are neither data nor names."""
    return [text for text in Words(page).said if re.search(r"[A-Za-z]{2,}[ ,;:]+[a-z]{2,}", ALLOWED.sub("", text))]


@pytest.mark.parametrize("path", REPORTS, ids=lambda p: p.stem)
def test_no_english_is_left_on_a_page(path: Path, tmp_path: Path) -> None:
    page = drawn(path, tmp_path, "zh")
    assert '<html lang="zh">' in page
    assert left_over(page) == []


def test_rows_to_label_are_said_with_their_reasons(tmp_path: Path) -> None:
    reasons = [
        "unsure between 'rain' (41%) and 'sun' (38%); the least sure of 3 unsure rows that are alike",
        "unsure about 'rain' (51%), 'sun' (47%); no other unsure row is like it",
        "models disagree: fused says 'rain' (70%), linear of text 'sun' (66%)",
        "modalities disagree: text alone says 'rain' (70%), photo alone 'sun' (66%)",
        "unlike every labelled row and every row above: 2.31 away (two rows at random: about 1.41 a modality)",
        "its 90% interval is 12.5 wide, around 3.2; stands for 4 rows more that show nearly the same",
        "the row nearest to the middle of the pool", "drawn at random",
    ]  # fmt: skip
    shown = {"inputs": [{"name": "text", "kind": "text", "text": "rain today"}], "score": 0.5, "prediction": "rain"}
    found = {
        "source": "pool.csv", "rows": 1200, "suggested": 8, "strategy": "mixed", "seed": 0, "target": "label",
        "does": "the most uncertain rows, and of these such as differ (the default)", "passed_over": 3,
        "left_out": {"show the same as a labelled row": 4, "trained the model or chose its epoch": 2}, "notes": [],
        "suggestions": [{**shown, "row": i, "reason": reason} for i, reason in enumerate(reasons)],
    }  # fmt: skip
    page, _ = write_suggestions(tmp_path / "page.html", found, lang="zh")
    assert left_over(page.read_text("utf-8")) == []
    said = page.read_text("utf-8")
    assert "在“rain”（41%）与“sun”（38%）之间拿不准" in said and "拿不准是“rain”（51%）、“sun”（47%）中的哪一个" in said


def test_the_contact_sheet_is_said_in_chinese() -> None:
    cells = [{"name": "photo", "changes": "mirrored, Color 0.40"}, {"name": "text", "text": "rain", "changes": ""}]
    found = {
        "sentence": "8 of 720 training rows, each beside 3 changed copies. Augmentation is off; type "
        "set=['augment.views=4'] in a fit to train on these.",
        "notes": ["photo: of 720 pictures 12 are never mirrored, 3 are never coloured anew, for what the words beside "
                  "them say", "text: 720 texts have views, left and right change places in 9", "size: never changed"],
        "rows": [{"row": 4, "target": "rain", "kept": ["photo stays unmirrored and in its colours"],
                  "views": [{"view": 0, "cells": cells}, {"view": 1, "cells": cells}]}],
    }  # fmt: skip
    page = sheet(found, "What training sees", "zh")
    assert left_over(page) == [] and "12 张从不镜像翻转" in page and "“photo”不镜像翻转且保持原色" in page


def test_the_saved_reports_hold_every_kind_of_page() -> None:
    held = " ".join(path.read_text("utf-8") for path in REPORTS)
    for part in ("classification", "regression", "multilabel", "matching", "retrieval", "captioning", '"robustness"',
                 '"ood"', '"label_errors"', '"duplicates"', '"conformal"', '"explained"', '"members"', '"missing"',
                 '"budget"', '"baselines"', '"written"', '"unlabelled"'):  # fmt: skip
        assert part in held, part


def test_numbers_of_a_page_are_the_same_in_every_language(tmp_path: Path) -> None:
    def numbers(lang: str) -> list[str]:
        page = drawn(next(p for p in REPORTS if p.stem == "trust"), tmp_path / lang, lang)
        return sorted(n for text in Words(page).said for n in re.findall(r"\d\.\d{3}", text))

    assert numbers("zh") == numbers("en") and len(numbers("zh")) > 100
    assert (tmp_path / "zh" / "page.json").read_text() == (tmp_path / "en" / "page.json").read_text()


def test_a_verdict_is_taken_apart_and_put_together_again() -> None:
    english = (
        "Using the modalities together is clearly better than the best one alone: accuracy 0.900 (95% interval 0.880 "
        "to 0.920) against 0.800 for text, a difference of +0.100 (+0.070 to +0.130), where guessing gets 0.500."
    )
    assert tr_in("zh", english) == (
        "联合使用各模态明显优于最好的单模态：准确率 0.900（95% 置信区间 0.880 至 0.920），"
        "仅用“text”为 0.800，相差 +0.100（+0.070 至 +0.130），"
        "盲猜为 0.500。"
    )


@pytest.mark.parametrize("name", ["text", "Rows", "all rows", "accuracy", "Wrong", "nothing"])
def test_a_cell_of_the_data_is_never_translated(name: str, tmp_path: Path) -> None:
    """Classes, columns, values and texts that are words of ours."""
    shown = {"row": 1, "inputs": [{"name": name, "kind": "text", "text": name}], "truth": name, "prediction": name,
             "correct": True}  # fmt: skip
    report: dict[str, Any] = {
        "metric": {"name": "accuracy"},
        "schema": [{"name": name, "kind": "text", "role": "input", "reason": "holds numbers"}],
        "evaluation": {
            "metrics": {"accuracy": 0.5}, "confusion": {"labels": [name, "b"], "matrix": [[1, 0], [0, 1]]},
            "alone": {name: {"accuracy": 0.5}}, "slices": [{"column": name, "value": name, "rows": 3, "metrics": {}}],
            "per_class": [{"label": name, "support": 1, "predicted": 1}], "examples": [shown],
        },
    }  # fmt: skip
    page = write_report(tmp_path, report, title="T", lang="zh")[0].read_text("utf-8")
    said = Words(page).said
    assert said.count(name) >= 7  # of the matrix, the slice, the class and the example
    assert f"仅用“{name}”" in said and "数值" in said


def test_text_that_is_unknown_stays_english_and_its_neighbours_do_not() -> None:
    assert tr_in("zh", "Purple monkeys agree.") == "Purple monkeys agree."
    assert tr_in("zh", "Purple monkeys agree. Every row was used.") == "Purple monkeys agree. 所有行都已使用。"
    with spoken("zh"):
        assert tr(None) is None and tr(3) == 3 and tr("") == ""
    assert tr("Every row was used.") == "Every row was used."


def test_an_unknown_language_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown language 'fr' \(lang=\)\..*Known: en, zh"):
        write_report(tmp_path, {}, title="T", lang="fr")
    assert list(tmp_path.iterdir()) == []


def test_settings_name_the_languages_that_there_are() -> None:
    assert PAGE_LANGUAGES == LANGUAGES


def test_pages_of_an_index_speak_chinese() -> None:
    page = hits_page([], text="two dogs", items=3, index="photos", where="label = 'dog'", lang="zh")
    assert (
        "索引中没有符合条件的内容。" in page and "3 项中的 0 条结果" in page and "条件：label = &#39;dog&#39;" in page
    )
    assert "没有重复。" in duplicates_page([], {}, 0.95, "photos", lang="zh")
