"""Training aids held against each other: their lines, what each is asked of, how to train it, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import COMPARED
from plait.settings import RunSettings, TrainSettings, set_values

plan = lazy("plait.comparison.plan")


def test_each_fusion_stands_there_plain_and_with_each_aid() -> None:
    made = plan.choose_methods("classification", ["a", "b"], "gated,qmf", "ogm, umt=0.25,gradient_blending")
    assert [m.name for m in made] == [
        "gated", "gated + ogm", "gated + umt=0.25", "gated + gradient_blending",
        "qmf", "qmf + ogm", "qmf + umt=0.25", "qmf + gradient_blending", "a alone", "b alone",
    ]  # fmt: skip
    assert made[2].objectives == (("umt", 0.25),) and made[0].objectives == made[-1].objectives == ()
    assert plan.describe(made[1])["paper"].endswith("; Peng et al. 2022")
    every = {m.objectives[0][0] for m in plan.choose_methods("regression", ["a", "b"], "gated", "all") if m.objectives}
    assert every == {
        "alignment", "auxiliary", "comm", "gradient_blending", "lemda", "mmpareto", "ogm", "opm", "orthogonality",
        "umt",
    }  # fmt: skip
    base = RunSettings(train=TrainSettings(learning_rate=0.1, alignment=0.0))
    settings = plan.run_settings(base, made[3], plan.Configuration(0.1, 0.0, 8), 0).train
    assert settings.gradient_blending is True and not settings.ogm
    assert plan.run_settings(base, made[2], plan.Configuration(0.1, 0.0, 8), 0).train.umt == 0.25


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ("ogn", "unknown training aid 'ogn' .*Did you mean 'ogm'"),
        ("ogm=", "strength of ogm is ''; expected a number above 0"),
        ("ogm=-1", "strength of ogm is '-1'"),
        (["gradient_blending=0.5"], r"strength of gradient_blending is '0.5'; expected 1 \(it is on or off\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(objectives: str | list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan.choose_objectives(objectives)


def test_an_aid_for_every_line_is_not_compared_beside() -> None:
    asked = set_values(RunSettings(), ["train.ogm=0.5"])
    plan.check_asked(asked)
    with pytest.raises(ValueError, match="train.ogm cannot be set in a comparison: objectives= gives it to a line"):
        plan.check_asked(asked, "umt")


def test_aids_are_compared_as_fusions_are(posts: Path, tmp_path: Path) -> None:
    options = {"seeds": 2, "search": 1, "epochs": 2, "workers": 1, "set": [*COMPARED]}
    made = plait.compare(posts, "label", objectives=["opm", "umt"], fusion="gated", output=tmp_path / "out", **options)
    lines = {m["name"]: m for m in made.report["methods"]}
    assert {"gated", "gated + opm", "gated + umt", "mean of single modalities"} <= set(lines)
    assert all(
        lines[name]["status"] == "ok" and lines[name]["seeds"] == [0, 1] for name in ("gated + opm", "gated + umt")
    )
    assert lines["gated + umt"]["objectives"] == {"umt": 1.0} and lines["gated"]["objectives"] == {}
    assert (
        "train.umt=1.0" in lines["gated + umt"]["fit"]["command"]
        and "train.umt" not in lines["gated"]["fit"]["command"]
    )
    pairs = {frozenset((d["a"], d["b"])) for d in made.report["differences"]}
    assert frozenset(("gated", "gated + opm")) in pairs
    assert "gated + opm" in made.table() and "gated + opm" in (tmp_path / "out" / "compare.html").read_text("utf-8")
    again = plait.compare(
        posts, "label", objectives="opm,umt", fusion="gated", output=tmp_path / "out", resume=True, **options
    )
    assert again.report["runs"]["trained"] == 0
    assert json.dumps(again.report["methods"]) == json.dumps(made.report["methods"])


def test_alone_they_stand_on_the_fusion_of_the_recipe_and_say_where_they_cannot_work(tmp_path: Path) -> None:
    table = {
        "one": [f"{'good' if i % 2 else 'bad'} thing {i}" for i in range(40)],
        "two": [f"a {'red' if i % 3 else 'blue'} thing" for i in range(40)],
        "label": [i * 1.5 for i in range(40)],
    }
    made = plait.compare(
        table, "label", text=["one", "two"], objectives="ogm", seeds=1, search=1, epochs=1, workers=1,
        set=["encoders.text=scratch:text"],
    )  # fmt: skip
    usual = [m for m in made.report["methods"] if m["kind"] in ("fusion", "late")]
    assert len(usual) == 2
    absent = next(m for m in usual if m["objectives"])
    assert absent["status"] == "not applicable" and "train.ogm needs one right class" in absent["reason"]
