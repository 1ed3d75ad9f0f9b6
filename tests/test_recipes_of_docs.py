"""Recipes of docs that need an extra: they run as they are printed, on a table of their own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "time-limits.md"


def test_optuna_searches_a_space_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = pytest.importorskip("optuna", reason="extra optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.chdir(tmp_path)
    rows = [f"{'great' if n % 2 else 'poor'} thing {n},{n % 7},{'yes' if n % 2 else 'no'}" for n in range(60)]
    (tmp_path / "posts.csv").write_text("\n".join(["text,size,sentiment", *rows]) + "\n", encoding="utf-8")
    body = re.findall(r"^```python\n(import optuna.*?)^```", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(body) == 1
    small = '"encoders.text=scratch:text", "train.epochs=1", "judge.missing_rows=0"'
    recipe = body[0].replace('"judge.missing_rows=0"', small).replace("n_trials=20", "n_trials=2")
    found: dict[str, object] = {}
    exec(compile(recipe, "recipe", "exec"), found)
    study = found["study"]
    assert len(study.trials) == 2  # type: ignore[attr-defined]
    assert all(0 <= t.value <= 1 for t in study.trials)  # type: ignore[attr-defined]
    exec(compile(recipe, "recipe", "exec"), found)
    assert len(found["study"].trials) == 4, "a study that is started again has its tries"  # type: ignore[attr-defined]
