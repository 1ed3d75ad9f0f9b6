"""What a stopped command says of what is kept, and what going on says where there is nothing to go on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plait.cli.wording import as_typed

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "nothing of this run was kept yet; type the same command again to start anew"),
        (["--resume"], "type the same command again to go on"),
    ],
)
def test_stopped_before_anything_was_kept(
    more: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    from plait import api

    def stop(**_: object) -> None:
        raise KeyboardInterrupt

    stop.__signature__ = __import__("inspect").signature(api.fit)  # type: ignore[attr-defined]
    monkeypatch.setattr(api, "fit", stop)
    code, out, err = run("fit", "t.csv", "-o", tmp_path / "m", *more)
    assert (code, out, err) == (130, "", f"plait: stopped; {said}\n")


def test_nothing_to_go_on_with_is_said(tmp_path: Path) -> None:
    from plait.api.folder_checks import warn_of_nothing_to_resume

    with pytest.warns(UserWarning, match="nothing of a run in .* to go on with; it starts anew"):
        warn_of_nothing_to_resume(tmp_path / "m")
    (tmp_path / "m" / "checkpoints" / "fused" / "checkpoint-3").mkdir(parents=True)
    warn_of_nothing_to_resume(tmp_path / "m")


def test_a_model_is_not_replaced_unasked(posts_model: Path, tmp_path: Path) -> None:
    import plait

    model = plait.load(posts_model)
    model.save(tmp_path / "m")
    before = (tmp_path / "m" / "manifest.json").stat().st_mtime_ns
    with pytest.raises(ValueError, match="holds a model or an unfinished run already; type overwrite=True"):
        model.save(tmp_path / "m")
    assert (tmp_path / "m" / "manifest.json").stat().st_mtime_ns == before
    model.save(tmp_path / "m", overwrite=True)
    assert (tmp_path / "m" / "manifest.json").stat().st_mtime_ns != before


def test_a_classifier_answers_no_questions(posts_model: Path, posts: Path, run: Run) -> None:
    code, out, err = run("ask", posts_model, posts.parent / "img" / "1.png", "why?")
    assert code == 2 and not out and "task is classification, which answers no questions" in err
    assert f"plait predict {posts_model} TABLE -o OUT" in err and as_typed("task='vqa'") in err
