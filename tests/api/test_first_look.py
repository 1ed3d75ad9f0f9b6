"""What is asked wrongly is said before PyTorch is imported, by lists that say what the registries say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from plait.settings import RunSettings, set_values
from plait.settings import names as usual

PROBE = """
import json, sys
from plait.cli import main
for line in json.loads(sys.argv[1]):
    sys.argv = ["plait", *line]
    try:
        main()
    except SystemExit as stop:
        print("left", stop.code, sorted({"torch", "transformers"} & set(sys.modules)))
"""
MISTAKES = [
    ["fit", "t.csv", "-o", "m", "--target", "lable"],
    ["fit", "t.csv", "-o", "m", "--target", "label", "--fusion", "gatd", "--set", "encoders.text=minilm"],
    ["compare", "t.csv", "-o", "m", "--target", "label", "--group", "txt"],
    ["fit", "t.csv", "-o", "m", "--target", "label", "--preset", "fats"],
    ["fit", "t.csv", "-o", "m"],
    ["fit", "t.csv", "-o", "m", "--target", "label", "--numeric", "text"],
    ["fit", "t.csv", "-o", "m", "--target", "label", "--text", "text", "--ignore", "text"],
    ["fit", "t.csv", "-o", "m", "--target", "label", "--split", "text"],
    ["fit", "t.csv", "-o", "m", "--target", "label", "--split-by-time", "text"],
    ["explain", "nowhere", "t.csv", "--absence", "margnal"],
    ["search", "nowhere", "red"],
    ["index", "info", "."],
    ["predict", "nowhere", "t.csv", "-o", "p.csv"],
]


def test_the_lists_of_names_are_those_of_the_registries() -> None:
    from plait.encoders.load import LOADERS
    from plait.fusion import FUSIONS
    from plait.tasks import TASKS
    from plait.training.recipes import RECIPES
    from plait.training.recipes.presets import PRESETS

    assert list(usual.FUSION_NAMES) == FUSIONS.names() and list(usual.TASK_NAMES) == TASKS.names()
    assert list(usual.PRESET_NAMES) == PRESETS.names()
    assert list(usual.TASKS_WITHOUT_TARGET) == [name for name in TASKS.names() if not TASKS.get(name).needs_target]
    assert list(usual.RECIPE_NAMES) == RECIPES.names() and list(usual.ENCODER_SOURCES) == LOADERS.names()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """How each mistake ended, one after the other in one process, and what was imported by then."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "t.csv").write_text("text,label\nfine day,yes\nrain,no\n", encoding="utf-8")
    command = [sys.executable, "-c", PROBE, json.dumps(MISTAKES)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith("left ")]


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=[" ".join(line) for line in MISTAKES])
def test_mistakes_are_told_without_torch(number: int, told: list[str]) -> None:
    assert len(told) == len(MISTAKES) and told[number] == "left 2 []"


@pytest.mark.parametrize(
    ("assignment", "near"),
    [
        ("epochs=3", "'train.epochs'"), ("epoch=3", "'train.epochs'"),
        ("learning_rate=1", "'train.learning_rate'"), ("trian.epochs=3", "'train.epochs'"),
        ("text=a", "'data.text', 'encoders.text', 'augment.text'"), ("fusion.epochs=3", "'train.epochs'"),
        ("train.name=a", "'task.name', 'fusion.name'"),
        ("encoder.text=a", "'encoders.text', "),
    ],
)  # fmt: skip
def test_unknown_settings_name_the_nearest_path(assignment: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown setting '{assignment.partition('=')[0]}'\. Did you mean {near}"):
        set_values(RunSettings(), [assignment])


def test_entries_of_mappings_are_no_unknown_settings() -> None:
    assert set_values(RunSettings(), ["encoders.columns.title=minilm"]).encoders.columns == {"title": "minilm"}
    with pytest.raises(ValueError, match="unknown setting 'train.epochs.x'"):
        set_values(RunSettings(), ["train.epochs.x=3"])


def test_several_columns_in_one_word_are_told_how_to_type(tmp_path: Path) -> None:
    import plait

    table = {"title": ["a", "b"], "body": ["c", "d"], "label": ["x", "y"]}
    with pytest.raises(
        ValueError, match=r"'title,body' is no column; name several one by one: --text title --text body"
    ):
        plait.fit(table, "label", text=["title,body"])
    with pytest.raises(ValueError, match=r"'title,label' names 2 columns, and target is one column"):
        plait.fit(table, "title,label")
    with pytest.raises(ValueError, match=r"unknown column 'title,bodi'"):
        plait.fit(table, "label", text=["title,bodi"])


def test_what_training_would_see_is_public() -> None:
    import plait
    from plait.api import augment

    assert plait.augment is augment and "augment" in dir(plait)
