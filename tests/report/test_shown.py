"""Reports that show themselves: still the same JSON, escaped, in the colours of the page, with frames and plots."""

from __future__ import annotations

import builtins
import copy
import json
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fixtures.lazy import lazy
from plait.report.shown import ShownReport
from plait.report.shown.view import modality_shares

pd = lazy("pandas")
REPORTS = Path(__file__).parents[1] / "fixtures" / "reports"
EVIL = "<script>alert(1)</script>\"'&"


def entry(value: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def evaluated(name: str = "text") -> dict[str, Any]:
    hidden = [
        {"present": [name, "image"], "metrics": {"accuracy": entry(0.9)}},
        {"present": [name], "metrics": {"accuracy": entry(0.7)}},
        {"present": ["image"], "metrics": {"accuracy": entry(0.6)}},
    ]
    return {
        "task": "classification", "target": "label", "metric": {"name": "accuracy", "higher_is_better": True},
        "verdict": f"Using {name} helps.",
        "evaluation": {
            "metrics": {"accuracy": entry(0.9, 0.8, 0.95), "log_loss": entry(0.3)},
            "alone": {name: {"accuracy": entry(0.7)}, "image": {"accuracy": entry(0.6)}},
            "without": {name: {"accuracy": entry(0.6)}, "image": {"accuracy": entry(0.7)}},
            "missing": {"metric": "accuracy", "chance": 0.5, "hidden": hidden},
        },
    }  # fmt: skip


class Balanced(HTMLParser):
    """Refuses tags that are not closed, and collects what is loaded or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name in ("src", "href") or name.startswith("on")]
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def balanced(text: str) -> set[str]:
    reader = Balanced()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader.tags


def test_a_report_is_the_mapping_that_it_was() -> None:
    content = evaluated()
    report = ShownReport(content, "evaluation")
    assert isinstance(report, dict) and report == content and {**report} == content
    assert json.dumps(report) == json.dumps(content)
    for other in (pickle.loads(pickle.dumps(report)), copy.deepcopy(report)):
        assert other == report and other.kind == "evaluation" and isinstance(other, ShownReport)
    assert repr(report).startswith("Report(Using text helps.; Accuracy 0.900 (0.800 to 0.950); keys: task")


def test_shares_of_modalities_are_worked_by_hand() -> None:
    """v({})=.5, v(t)=.7, v(i)=.6, v(ti)=.9: t adds (.2 + .3) / 2, i adds (.1 + .2) / 2."""
    assert modality_shares(evaluated()) == pytest.approx({"text": 0.25, "image": 0.15})
    error = {**evaluated(), "metric": {"name": "accuracy", "higher_is_better": False}}
    assert modality_shares(error) == pytest.approx({"text": -0.25, "image": -0.15})
    incomplete = evaluated()
    incomplete["evaluation"]["missing"]["hidden"].pop()
    assert modality_shares(incomplete) == {} and modality_shares({}) == {}


@pytest.mark.parametrize("kind", ["evaluation", "explanation", "check"])
def test_every_text_is_escaped(kind: str) -> None:
    content = {
        "evaluation": evaluated(EVIL),
        "explanation": {
            "verdict": EVIL, "metric": {"name": EVIL}, "modalities": [EVIL],
            "subsets": [{"modalities": [EVIL], "metric": entry(0.5)}],
            "shapley": {"metric": {EVIL: {**entry(0.1, 0.0, 0.2), "share": 1.0}}, "loss": {}},
        },
        "check": {"findings": [{"code": "P1", "severity": "error", "title": EVIL, "detail": EVIL, "rows": [1]}]},
    }[kind]  # fmt: skip
    made = ShownReport(content, kind)._repr_html_()
    assert "<script" not in made and "&lt;script&gt;" in made
    assert balanced(made) <= {"div", "b", "span", "table", "tr", "td", "th"}


def test_a_check_tells_what_is_wrong_first_and_counts_the_rest() -> None:
    severities = ("ok", "warning", "n/a", "error", "ok")
    findings = [
        {"code": f"P{n}", "severity": one, "title": f"title {n}", "detail": "d", "rows": []}
        for n, one in enumerate(severities)
    ]
    report = ShownReport({"source": "posts.csv", "findings": findings}, "check")
    made = report._repr_html_()
    assert "Check \u00b7 posts.csv" in made and "1 error, 1 warning, 2 ok, 1 n/a" in made
    assert made.index("title 3") < made.index("title 1") and "title 0" not in made
    assert len(report.frame()) == 5


def test_it_takes_its_colours_from_the_page_around_it() -> None:
    """No background of its own and no colour of text: a notebook's theme decides, and no media query tells it."""
    made = ShownReport(evaluated(), "evaluation")._repr_html_()
    assert "color:inherit" in made and "<style" not in made and "prefers-color-scheme" not in made
    assert not re.search(r"(?<!-)\bcolor:(?!inherit)", made)
    assert not re.search(r"background:(white|black|#fff|#000)", made)


def test_bars_stand_from_zero_with_their_numbers() -> None:
    made = ShownReport(evaluated(), "evaluation")._repr_html_()
    assert "95% interval 0.800 to 0.950" in made and "What each modality adds" in made
    assert "left:0.00%;width:100.00%" in made  # text, 0.25, the longest share
    assert "left:0.00%;width:60.00%" in made  # image, 0.15
    content = {
        "metric": {"name": "accuracy"}, "modalities": ["a", "b"], "subsets": [],
        "shapley": {"metric": {"a": entry(0.3), "b": entry(-0.1)}, "loss": {}},
    }  # fmt: skip
    made = ShownReport(content, "explanation")._repr_html_()
    assert "left:25.00%;width:75.00%" in made and "left:0.00%;width:25.00%" in made


def test_chinese() -> None:
    made = ShownReport(evaluated(), "evaluation", "zh")._repr_html_()
    assert "\u4ec5\u7528\u201ctext\u201d" in made and "95% \u7f6e\u4fe1\u533a\u95f4" in made and "only" not in made
    assert ShownReport(evaluated(), "evaluation").in_language("zh")._repr_html_() == made


@pytest.mark.parametrize("path", sorted(REPORTS.glob("*.json")), ids=lambda path: path.stem)
def test_reports_of_real_runs_are_shown(path: Path) -> None:
    content = json.loads(path.read_text("utf-8"))
    kind = "evaluation" if "evaluation" in content else "comparison" if "methods" in content else "explanation"
    if kind == "explanation" and "shapley" not in content:
        pytest.skip("no report of a model")
    report = ShownReport(content, kind)
    balanced(report._repr_html_())
    frame = report.frame()
    assert len(frame) > 0 and repr(report)


def test_frames() -> None:
    frame = ShownReport(evaluated(), "evaluation").frame()
    assert list(frame.columns) == ["answered by", "metric", "value", "low", "high"]
    assert frame.iloc[0].tolist() == ["all modalities", "accuracy", 0.9, 0.8, 0.95]
    assert set(frame["answered by"]) == {"all modalities", "only text", "only image", "without text", "without image"}


def test_plots() -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="extra notebook")
    matplotlib.use("Agg")
    figure = ShownReport(evaluated(), "evaluation").plot()
    shares, metric = figure.axes
    assert [bar.get_width() for bar in shares.patches] == pytest.approx([0.25, 0.15])
    assert [bar.get_width() for bar in metric.patches] == [0.9, 0.7, 0.6, 0.6, 0.7]
    assert [label.get_text() for label in metric.get_yticklabels()][0] == "all modalities"
    import matplotlib.pyplot as plt

    own, axes = plt.subplots()
    assert ShownReport(evaluated(), "evaluation").plot(axes) is own and len(axes.patches) == 2
    plt.close(own)
    with pytest.raises(ValueError, match="no numbers to plot; frame"):
        ShownReport({"findings": []}, "check").plot()


@pytest.mark.parametrize(("package", "verb"), [("pandas", "frame"), ("matplotlib", "plot")])
def test_a_package_that_is_absent_is_named(package: str, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refusing(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(f"No module named {package!r}")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(ImportError, match=rf"{package}; type: pip install 'plait\[notebook\]'"):
        getattr(ShownReport(evaluated(), "evaluation"), verb)()
