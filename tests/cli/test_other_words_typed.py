"""Options and verbs of AutoGluon on the command line: all wrong ones in one message, with the line to paste."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (
            "fit posts.csv --label sentiment --presets medium_quality --time-limit 120 --eval-metric f1 -o m",
            "plait fit posts.csv --time-limit 120 -o m --target sentiment --preset fast --set task.select_by=f1_macro",
        ),
        (
            "fit --train-data 'a b.csv' --label x --path=m --problem-type binary --verbosity 0",
            "plait fit 'a b.csv' --target x --output m --task classification --quiet",
        ),
        ("fit a.csv --label x", "plait fit a.csv --target x -o model"),
    ],
)
def test_a_line_to_paste(typed: str, line: str, run: Run) -> None:
    code, out, err = run(*shlex.split(typed))
    assert code == 2 and not out
    assert err.splitlines()[1] == f"  {line}"
    from typer.main import get_command

    from plait.cli.main import app

    words = shlex.split(line)[1:]
    get_command(app).commands["fit"].make_context("fit", words[1:])  # type: ignore[attr-defined]  the parser takes it


def test_what_cannot_be_pasted_is_told_for_each(run: Run) -> None:
    _, _, err = run("fit", "a.csv", "--label", "x", "--odd", "3", "--hyperparameters", "{}")
    first, *lines = err.splitlines()
    assert first == "plait: no such option of plait fit: --label, --odd, --hyperparameters"
    assert [line.split(":")[0].strip() for line in lines] == ["--label", "--odd", "--hyperparameters"]
    assert "unknown option '--odd'" in lines[1] and "--set" in lines[2]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("leaderboard model", "type plait evaluate MODEL TABLE"),
        ("fit-summary model", "type plait evaluate MODEL TABLE"),
        ("train posts.csv", "type plait fit"), ("feature-importance model", "type plait explain MODEL TABLE"),
        ("evaluate model t.csv --metrics f1", "--metrics: nothing: every metric of the task"),
        ("fit t.csv --odd 3", "No such option: --odd (Possible options:"),
    ],
)  # fmt: skip
def test_other_verbs(typed: str, said: str, run: Run) -> None:
    code, _, err = run(*typed.split())
    assert code == 2 and said in err
