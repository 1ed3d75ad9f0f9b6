"""A value that makes no sense is answered with the option that it was typed after, whatever the option."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plait.cli.wording import with_flag
from plait.settings.names import METRIC_NAMES

Run = Callable[..., tuple[int, str, str]]
NONSENSE = {"int": ["x", "-1"], "Path": ["/proc/none/x"]}


def valued_options(verb: str) -> Iterator[tuple[str, list[str]]]:
    """The options of a verb that take a value, with values that none of them can be."""
    from typer.main import get_command

    from plait.cli.main import app

    group: Any = get_command(app)
    for one in group.commands[verb].params:
        if one.param_type_name == "option" and not one.is_flag:
            type_name = getattr(getattr(one, "type_descriptor", None), "annotation", str).__name__
            yield one.opts[0], NONSENSE.get(type_name, ["nonsense"])


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("text,size,label\nfine day,1,yes\nrain,2,no\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("verb", "typed"),
    [
        ("fit", ["t.csv", "-o", "out", "--target", "label"]),
        ("compare", ["t.csv", "-o", "out", "--target", "label"]),
        ("check", ["t.csv", "--target", "label"]),
    ],
)
def test_every_option_of_a_verb_is_named(verb: str, typed: list[str], table: Path, run: Run) -> None:
    wrong = []
    for option, values in valued_options(verb):
        for value in values:
            code, out, err = run(verb, *typed, f"{option}={value}")
            if code != 2 or out or option not in err:
                wrong.append(f"{option}={value}: {code} {err}")
    assert not wrong and not (table / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "t.csv", "-o", "m", "--target", "label", "--epochs", "0"], "--epochs must be 1 or more, got 0"),
        (
            ["fit", "t.csv", "-o", "m", "--target", "label", "--set", "train.epochs=0"],
            "train.epochs must be 1 or more, got 0",
        ),
        (
            ["fit", "t.csv", "-o", "m", "--target", "label", "--decimal", "x"],
            "unknown decimal 'x' (--decimal). Known: ., ,",
        ),
        (["index", "build", "m", ".", "-o", "i", "--batch-size", "-1"], "'--batch-size'"),
        (["index", "build", "m", ".", "-o", "i", "--on-bad-row", "x"], "unknown word after --on-bad-row 'x'"),
        (["explain", "m", "t.csv", "--metric", "f2"], "unknown word after --metric 'f2'"),
        (["evaluate", "m", "t.csv", "--encoding", "f2"], "unknown encoding 'f2' (--encoding)"),
    ],
)
def test_what_was_typed_is_named(arguments: list[str], said: str, table: Path, run: Run) -> None:
    code, out, err = run(*arguments)
    assert code == 2 and out == "" and said in err


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("seeds is -1; expected at least 1", "--seeds -1: seeds is -1; expected at least 1"),
        ("unknown column 'b'. Did you mean 'a'? Known: a", "--text b: unknown column 'b'. Did you mean 'a'? Known: a"),
        ("unknown column 'b' (--text)", "unknown column 'b' (--text)"),
        ("/x/y: No such file", "--output /x/y: /x/y: No such file"),
        ("row 1 holds -11", "row 1 holds -11"),
    ],
)
def test_the_option_whose_value_a_message_speaks_of(message: str, said: str) -> None:
    assert with_flag(message, ["fit", "--seeds", "-1", "--target=a", "--text", "b", "-o", "/x/y"]) == said


def test_python_names_the_argument() -> None:
    import plait

    rows = {"text": ["a b", "c d"], "y": ["u", "v"]}
    with pytest.raises(ValueError, match="^epochs= must be 1 or more, got 0"):
        plait.fit(rows, "y", epochs=0)
    with pytest.raises(ValueError, match=r"unknown date order 'x' \(date_order=\)"):
        plait.fit(rows, "y", date_order="x")
    with pytest.raises(ValueError, match=r"unknown column 'z' \(text=\)"):
        plait.fit(rows, "y", text="z")
    with pytest.raises(ValueError, match=r"unknown task 'x' \(task=\)"):
        plait.check(rows, "y", task="x")


def test_names_of_metrics_are_those_that_are_measured() -> None:
    from plait.explain.measure import MEASURES, _sample

    measured = {n for m in map(MEASURES.get, MEASURES) for n in m.metrics(*_sample(m)) if n != "notes"}
    assert measured == set(METRIC_NAMES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "t.csv", "-o", "/proc/none/m", "--target", "label"], "/proc/none/m"),
        (
            ["fit", "t.csv", "-o", "m", "--target", "label", "--text", "text", "--set", "encoders.text=hf:no/where"],
            "column 'text' is read as text, and the weights 'hf:no/where' are not on this machine",
        ),
        (["search", "i"], "there is no query; type a text, --image FILE, or both"),
        (["search", "i", " "], "the query text is empty"),
        (["explain", "m", "t.csv", "--metric", "f2"], "unknown word after --metric"),
        (["evaluate", "m", "t.csv", "--report", "/proc/none/r"], "--report"),
    ],
)
def test_told_before_torch_is_imported(arguments: list[str], said: str, table: Path) -> None:
    (table / "i").mkdir()
    (table / "i" / "index.json").write_text("{}")
    script = "import sys; sys.modules['torch'] = None; from plait import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PLAIT_CACHE": str(table / "cache")},
    )  # fmt: skip
    assert done.returncode == 2 and said in done.stderr


def test_weights_that_a_model_needs_are_missed_before_torch(tmp_path: Path) -> None:
    from plait.api.folder_checks import FOLDER_FILES, check_model_there

    for name in FOLDER_FILES:
        (tmp_path / name).write_text("{}")
    frozen = {"frozen": {"reference": "hf:no/where"}}
    (tmp_path / "inputs.json").write_text(json.dumps({"modalities": [{"frozen": None}, frozen]}))
    with pytest.raises(ValueError, match="the weights 'hf:no/where' are not on this machine"):
        check_model_there(tmp_path)
