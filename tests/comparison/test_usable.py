"""The winner is usable: what the comparison says to type trains just what it chose."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import plait
from fixtures.lazy import lazy
from fixtures.settings import COMPARED
from plait.cli.main import app
from plait.data.modality import Modality
from plait.settings import RunSettings, from_dict, set_values, to_dict

plan = lazy("plait.comparison.plan")
Asked, command_line, how_to_fit = lazy("plait.comparison.usable", "Asked", "command_line", "how_to_fit")
Facts, resolve = lazy("plait.training.recipes", "Facts", "resolve")

BOTH = (Modality("photo", "image", ("photo",)), Modality("text", "text", ("text",)))


def chosen() -> Any:
    return plan.Configuration(0.0003, 0.5, 24)


def of_line(line: dict[str, Any], kept: dict[str, Any]) -> None:
    """The settings that a fit kept are those of the line's chosen configuration."""
    tried = line["search"][line["chosen"]]
    assert kept["fusion"]["name"] == line["fusion"] and kept["task"]["head"] == line["head"]
    assert (kept["fusion"]["width"], kept["fusion"]["dropout"]) == (tried["width"], tried["dropout"])
    assert kept["train"]["learning_rate"] == tried["learning_rate"] and kept["train"]["patience"] == 0


def test_the_winner_can_be_trained(posts: Path, tmp_path: Path) -> None:
    out = tmp_path / "compare"
    words = ["compare", str(posts), "-o", str(out), "--target", "label", "--fusion", "weighted_sum", "--seeds", "1"]
    words += ["--search", "2", "--epochs", "1", "--ignore", "size", "--quiet"]
    result = CliRunner().invoke(app, [*words, *(w for s in COMPARED for w in ("--set", s))])
    assert result.exit_code == 0, result.output
    report = json.loads((out / "compare.json").read_text("utf-8"))
    command = report["selected_fit"]["command"]
    assert command in result.output and command.startswith("plait fit ") and command.endswith("-o MODEL")
    assert "MODEL</code>" in (out / "compare.html").read_text("utf-8")
    typed = [str(tmp_path / "model") if w == "MODEL" else w for w in shlex.split(command)[1:]]
    assert CliRunner().invoke(app, [*typed, "--quiet"]).exit_code == 0
    lines = {m["name"]: m for m in report["methods"]}
    of_line(lines["weighted_sum"], to_dict(plait.load(tmp_path / "model").settings))
    alone = lines["text alone"]["fit"]
    fitted = plait.fit(posts, **alone["options"])
    assert [m["name"] for m in fitted.model.config.modalities] == ["text"]
    assert fitted.settings.train.epochs == 1 and fitted.settings.encoders.text == "scratch:text"
    of_line(lines["text alone"], to_dict(fitted.settings))
    assert lines["mean of single modalities"]["fit"] is None


@pytest.mark.parametrize("name", ["pair_head", "cosine", "concat", "weighted_sum"])
@pytest.mark.parametrize("recipe", ["default", "classic"])
def test_a_fit_resolves_to_the_settings_of_the_run(name: str, recipe: str) -> None:
    """Whatever the recipe would choose for the table, the options lead to what the comparison ran with."""
    facts = Facts("matching", ("image", "text"), 400, 300)
    given = set_values(RunSettings(recipe=recipe, preset="single"), ["train.weight_decay=0.1", "task.name=matching"])
    resolved = plan.shared_budget(resolve(given, facts), given)
    method = plan.choose_methods("matching", ["photo", "text"], name)[0]
    fit = how_to_fit(Asked("pairs.csv", given, resolved, BOTH, "match", "matching"), method, chosen())
    assert fit is not None
    if name == "pair_head":
        assert "--fusion cosine" in fit["command"] and "--set task.head=pair" in fit["command"]
    options = fit["options"]
    start = to_dict(RunSettings())
    start["recipe"] = options.get("recipe", "default")
    start["fusion"]["name"], start["train"]["epochs"] = options["fusion"], options["epochs"]
    start["task"]["name"] = options["task"]
    got = resolve(set_values(from_dict(RunSettings, start), options["set"]), facts)
    wanted = plan.run_settings(resolved, method, chosen(), 0)
    assert got.task == wanted.task
    usual = {"raw": False, "normalise": True, "copies": 1, "canonical": None}
    plain = {k: v for k, v in got.fusion.options.items() if v != usual[k]}
    assert not plain and (got.fusion.name, got.fusion.width, got.fusion.dropout) == (method.fusion, 24, 0.5)
    differing = {k for k, v in to_dict(got)["train"].items() if v != to_dict(wanted)["train"][k]}
    assert differing <= {"baselines"}


def test_options_that_cannot_be_or_need_care() -> None:
    given = set_values(RunSettings(), ["data.text=[text, -odd]", "data.on_bad_row=skip"])
    resolved = resolve(given, Facts("classification", ("image", "text"), 400, 300))
    asked = Asked({"a": []}, given, resolved, BOTH, None, "classification")
    single = plan.Method("photo alone", "single", "concat", "label", ("photo",))
    fit = how_to_fit(asked, single, chosen())
    assert fit is not None and fit["options"]["text"] == ["-odd"] and fit["options"]["ignore"] == ["text"]
    assert fit["command"].startswith("plait fit TABLE --on-bad-row skip --text=-odd")
    matching = Asked("t.csv", given, resolved, BOTH, None, "matching")
    assert how_to_fit(matching, single, chosen()) is None  # matching joins two
    assert how_to_fit(asked, single, None) is None
    assert (
        command_line("my table.csv", {"target": "it's"}) == """plait fit 'my table.csv' --target 'it'"'"'s' -o MODEL"""
    )
