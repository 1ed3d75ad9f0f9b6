"""``plait fit --unlabelled`` and ``--semi`` on the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Run = Callable[..., tuple[int, str, str]]
QUICK = ["--set", "train.threads=1", "--preset", "single", "--epochs", "2", "--quiet"]


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """A table of 80 rows, five of them without a target, and 60 rows more without one."""
    rng = np.random.default_rng(0)
    rows = [[round(float(v), 3), round(float(w), 3), "up" if v > 0 else "down"] for v, w in rng.normal(size=(140, 2))]
    own, others = rows[:80], rows[80:]
    for row in own[:5]:
        row[2] = ""
    for name, head, body in (("t.csv", ["a", "b", "label"], own), ("u.csv", ["a", "b"], [r[:2] for r in others])):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([head, *body])
    return tmp_path / "t.csv", tmp_path / "u.csv"


def test_rows_without_a_target_teach_and_the_terminal_says_what_came_of_it(
    tables: tuple[Path, Path], tmp_path: Path, run: Run
) -> None:
    table, more = tables
    code, out, err = run("fit", table, "--target", "label", "--unlabelled", more, "-o", tmp_path / "m", *QUICK)
    assert code == 0, err
    assert "65 rows without a target could teach, by propagation" in out
    assert "note: unlabelled rows (propagation): the " in out and "validation row" in out
    told = json.loads((tmp_path / "m" / "report.json").read_text("utf-8"))["unlabelled"]
    assert (told["own"], told["second"], Path(told["source"]).name) == (5, 60, "u.csv")
    assert "65 rows without a target could teach" in (tmp_path / "m" / "report.html").read_text("utf-8")


def test_empty_targets_are_refused_with_what_to_type(tables: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    code, _, err = run("fit", tables[0], "--target", "label", "-o", tmp_path / "m", *QUICK)
    assert code == 2 and "5 rows have an empty target; --semi self_training learns from such rows as well" in err
    code, out, err = run("fit", tables[0], "--target", "label", "--semi", "knn", "-o", tmp_path / "m", *QUICK)
    assert code == 0 and "5 rows without a target could teach, by knn" in out, err


def test_what_makes_no_sense_is_answered_at_once(tables: tuple[Path, Path], tmp_path: Path, run: Run) -> None:
    table, more = tables
    typed = ["fit", table, "--target", "label", "-o", tmp_path / "m", *QUICK]
    code, _, err = run(*typed, "--unlabelled", tmp_path / "none.csv")
    assert code == 2 and "no such table" in err
    code, _, err = run(*typed, "--unlabelled", more, "--semi", "flexmatsch")
    assert code == 2 and "--semi" in err and "flexmatch" in err
    (tmp_path / "other.csv").write_text("z\n1\n", encoding="utf-8")
    code, _, err = run(*typed, "--unlabelled", tmp_path / "other.csv")
    assert code == 2 and "(--unlabelled) has none of the input columns a, b; it has z" in err
    code, _, err = run("compare", table, "--target", "label", "-o", tmp_path / "c", "--set", "semi.method=knn")
    assert code == 2 and "semi.method" in err and "no method learns from unlabelled rows here" in err
    assert not (tmp_path / "m").exists()
