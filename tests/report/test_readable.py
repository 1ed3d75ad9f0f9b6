"""The page for every reader: coded checks, headings in order, named charts and tables, contrast, paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fixtures.drawn import REPORTS, Words, drawn
from plait.report import write_report
from plait.report.checks import SEVERITIES, findings
from plait.report.page import render
from plait.report.style import CSS

LONG = [f"department_of_things_{i}" for i in range(16)]


def report(value: float = 0.75) -> dict[str, Any]:
    around = {"value": value, "low": value - 0.05, "high": value + 0.05}
    matrix = [[10 if i == j else int(i == 3 and j == 5) * 4 for j in range(16)] for i in range(16)]
    rate = {"label": LONG[0], "support": 10, "predicted": 9, "precision": around, "recall": around, "f1": around}
    short = {"coverage": 0.9, "method": "lac", "rows": 50, "covered": {"value": 0.7, "low": 0.6, "high": 0.8}}
    trust = {
        "calibration": {"applicable": True, "metrics": {"ece": 0.2}, "perfect": {"mean": 0.03, "high": 0.05}},
        "conformal": {"applicable": True, "kind": "classes", "levels": [short],
                      "patterns": [{"present": ["text"], "rows": 7, "pooled": 80, "is_own": False}]},
        "label_errors": {"title": "Labels", "applicable": True, "num_candidates": 0, "sentence": "None was found."},
        "ood": {"title": "Foreign", "applicable": False, "why": "it writes text"},
    }  # fmt: skip
    return {
        "metric": {"name": "accuracy"}, "verdict": "Fusing helps.",
        "evaluation": {
            "metrics": {"accuracy": around}, "chance": 0.62, "trust": trust, "per_class": [rate],
            "alone": {"text": {"accuracy": around}}, "confusion": {"labels": LONG, "matrix": matrix},
            "bad_rows": [{"row": 4, "column": "image", "reason": "cannot be read"}],
        },
    }  # fmt: skip


def test_probabilities_worse_than_none_are_warned_of() -> None:
    loss = {"value": 1.388, "low": 1.2, "high": 1.6}
    found: dict[str, Any] = {"metrics": {"log_loss": loss}, "per_class": [{"support": 20}] * 3, "confusion": None}
    part = {"metric": {"name": "accuracy"}, "evaluation": found}
    found["confusion"] = {"labels": ["a", "b", "c"]}
    (one,) = (c for c in findings(part) if c["code"] == "T011")
    assert one["severity"] == "warning" and "1.388" in one["sentence"] and "1.099" in one["sentence"]
    loss |= {"low": 1.0}
    assert "do not show" in next(c["sentence"] for c in findings(part) if c["code"] == "T011")
    loss |= {"value": 0.5, "low": 0.3, "high": 0.7}
    assert next(c["severity"] for c in findings(part) if c["code"] == "T011") == "ok"
    found["confusion"] = None  # label sets
    assert not [c for c in findings(part) if c["code"] == "T011"]


def test_checks_are_coded_and_the_worst_stand_first() -> None:
    found = findings(report())
    said = {c["code"]: c["severity"] for c in found}
    assert said == {"T001": "ok", "T002": "warning", "T003": "warning", "T004": "warning", "T005": "info",
                    "T006": "ok", "T010": "n/a"}  # fmt: skip
    order = [SEVERITIES.index(c["severity"]) for c in found]
    assert order == sorted(order)
    assert "0.700 of 0.900" in next(c["sentence"] for c in found if c["code"] == "T004")


@pytest.mark.parametrize(("value", "severity"), [(0.5, "error"), (0.63, "warning"), (0.68, "ok")])
def test_a_model_no_better_than_guessing_is_an_error(value: float, severity: str) -> None:
    assert next(c for c in findings(report(value)) if c["code"] == "T001")["severity"] == severity


def test_checks_link_to_sections_that_stand_after_the_verdict() -> None:
    page = render(report(), "A run")
    assert page.index('id="verdict"') < page.index('id="checks"') < page.index('id="numbers"')
    for check in findings(report()):
        assert f'id="{check["anchor"]}"' in page, check


def test_headings_descend_one_level_at_a_time() -> None:
    levels = [int(n) for n in re.findall(r"<h([1-6])", render(report(), "A run"))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))


def test_charts_and_tables_are_named() -> None:
    page = render(report(), "A run")
    charts = re.findall(r"<svg[^>]*>(?:<title>[^<]+</title>)?", page)
    assert len(charts) == 2 and all(c.endswith("</title>") and 'role="img"' in c for c in charts)
    assert f"160 of 164 rows right; commonest mistakes: {LONG[3]} taken for {LONG[5]} 4 times" in page
    heads = re.findall(r"<th\b[^>]*>", page)
    assert heads and all('scope="' in head for head in heads)
    assert page.count("<main") == page.count("<header") == page.count("<nav aria-label") == 1


def test_turned_names_of_classes_stay_inside_the_matrix() -> None:
    chart = re.search(r'<svg class="matrix".*?</svg>', render(report(), "A run"), re.S)
    assert chart
    wide = int(re.search(r'width="(\d+)"', chart[0])[1])  # type: ignore[index]
    for x, name in re.findall(r'x="(\d+)" y="\d+" transform="rotate\(-45[^>]*>([^<]+)<', chart[0]):
        assert int(x) + 0.71 * 8 * len(name) <= wide, name


def test_names_of_classes_that_begin_alike_are_told_apart() -> None:
    chart = re.search(r'<svg class="matrix".*?</svg>', render(report(), "A run"), re.S)
    assert chart
    assert len(set(re.findall(r'text-anchor="end">([^<]+)<title>', chart[0]))) == len(LONG)


def test_lines_break_between_words_and_paper_is_light() -> None:
    assert "break-all" not in CSS
    assert re.search(r"th,td\{overflow-wrap:break-word\}", CSS)  # a column is never narrower than its longest word
    paper = CSS[CSS.index("@media print") :]
    assert "color-scheme:light" in paper and "--card:#fff" in paper
    assert "table-header-group" in paper and not re.search(r"\bsection\{[^}]*break-inside", paper)


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_text_has_enough_contrast_in_every_theme(theme: int) -> None:
    """4.5 to 1, WCAG 2.2, success criterion 1.4.3."""
    block = re.findall(r":root\{([^}]*)\}", CSS)[theme]
    color = dict(re.findall(r"--(\w+):(#[0-9a-f]+)", block))
    for ink in ("ink", "soft", "a", "b", "good", "bad"):
        for ground in ("page", "card", "tint"):
            light, dark = sorted((_light(color[ink]), _light(color[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def _light(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(2 * d for d in color[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    line = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2]


def test_what_an_ensemble_answers_is_not_taken_for_the_network() -> None:
    """The section on the model is of the network, and "only text" is the ensemble with the rest hidden."""
    given = {**report(), "model": {"fusion": {"name": "gated"}, "head": "label"}}
    said = ("The members of the ensemble answer, among which its weight is 0.25", "Only and without: the same ensemble")
    plain = render(given, "A run")
    assert not any(words in plain for words in said)
    fused = {"name": "fused", "kind": "network", "weight": 0.25, "details": {}}
    linear = {"name": "linear of text", "kind": "linear", "weight": 0.75, "details": {}}
    given["evaluation"] |= {"members": [fused, linear], "patterns": []}
    page = render(given, "A run")
    assert all(words in page for words in said)
    given["evaluation"]["members"] = [{**fused, "weight": 1.0}, {**linear, "weight": 0.0}]
    assert said[0] not in render(given, "A run")


def test_intervals_of_shares_that_are_0_or_1_are_called_wilsons() -> None:
    words = "and Wilson intervals of shares of exactly 0 or 1"
    assert words not in render(report(), "A run")
    perfect = report(1.0)
    perfect["evaluation"]["metrics"] = {"accuracy": {"value": 1.0, "low": 0.8, "high": 1.0}}
    assert words in render(perfect, "A run")
    perfect["evaluation"]["metrics"] = {"auroc": {"value": 1.0, "low": 1.0, "high": 1.0}}  # all resamples are alike
    assert words not in render(perfect, "A run")


def test_a_setting_that_is_nothing_or_a_switch_is_one_word_in_both_languages(tmp_path: Path) -> None:
    settings = {
        "train": {"epochs": None, "log_to": [], "baselines": False, "seed": 0, "rate": 0.0003},
        "encoders": {"columns": {}, "cleaning": "none", "text": "minilm"},
        "judge": {"by": ["a", None], "lang": True},
    }  # fmt: skip
    for lang, word, on, off in (("en", "not set", "on", "off"), ("zh", "未设置", "开", "关")):
        page = write_report(tmp_path / lang / "r.html", {"settings": settings}, title="T", lang=lang)[0].read_text(
            "utf-8"
        )
        shown = dict(re.findall(r"<dt><code>([^<]*)</code></dt><dd><code>([^<]*)</code></dd>", page))
        assert shown == {
            "train.epochs": word, "train.log_to": word, "train.baselines": off, "train.seed": "0",
            "train.rate": "0.0003", "encoders.columns": word, "encoders.cleaning": "none", "encoders.text": "minilm",
            "judge.by": f"a, {word}", "judge.lang": on,
        }  # fmt: skip


@pytest.mark.parametrize(("lang", "said"), [("en", "guessing gets 0.460"), ("zh", "盲猜为 0.460")])
def test_what_guessing_gets_stands_beside_the_mean_hit_rate(lang: str, said: str, tmp_path: Path) -> None:
    page = Words(drawn(next(p for p in REPORTS if p.stem == "retrieval"), tmp_path, lang)).said
    top, tile = (i for i, text in enumerate(page) if text.endswith(said))
    assert page[top] == said and "0.550" in page[top - 3 : top] and "0.550" == page[tile - 1]


def test_what_a_small_weight_means_is_said_with_the_numbers_of_the_selection(tmp_path: Path) -> None:
    from plait.ensemble.selection import DRAWS, LEAST_WEIGHT

    said = " ".join(Words(drawn(next(p for p in REPORTS if p.stem == "ensemble"), tmp_path, "en")).said)
    assert f"the mean over {DRAWS} choices on rows drawn anew; less than {LEAST_WEIGHT} counts as nothing" in said
    assert "A dash: it answers no row that has everything" in said
