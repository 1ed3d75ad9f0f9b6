"""Changed copies of unlabelled rows, and what words and classes forbid; pictures, label sets and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK
from plait.settings import RunSettings

open_run = lazy("plait.api.opening", "open_run")
prepare_run = lazy("plait.api.preparing", "prepare_run")


def photos(folder: Path, count: int, first: int = 0) -> list[str]:
    from PIL import Image

    names = []
    for i in range(first, first + count):
        Image.new("RGB", (32, 32), (i * 7 % 256, i * 13 % 256, i * 29 % 256)).save(folder / f"{i}.png")
        names.append(str(folder / f"{i}.png"))
    return names


def prepared(folder: Path, classes: tuple[str, str], **more: Any) -> tuple[Any, Any]:
    table = {"photo": photos(folder, 40), "label": [classes[i % 2] for i in range(40)]}
    pool = {"photo": photos(folder, 12, 100), **more}
    given = {"data.target": "label", "semi.method": "fixmatch", "data.allow_outside": True}
    settings = [*QUICK, "augment.views=3", "train.epochs=2"]
    opened = open_run(table, given, RunSettings(), settings, annotations=None, unlabelled=pool)
    return opened, prepare_run(opened, with_tokens=False)


def flips_of(ready: Any) -> tuple[list[bool], list[bool]]:
    """Whether pictures of training rows, and of unlabelled rows, may be mirrored."""
    views, items = ready.plan.views.items["photo"], ready.plan.prepared.rows.items["photo"]
    return tuple([views.allowed[i].flip for i in items.index_N[rows]] for rows in (ready.plan.train, ready.unlabelled))  # type: ignore[return-value]


def test_a_picture_of_unknown_class_is_not_mirrored_where_a_class_names_a_side(tmp_path: Path) -> None:
    labelled, unlabelled = flips_of(prepared(tmp_path, ("cat", "dog"))[1])
    assert all(labelled) and all(unlabelled) and len(unlabelled) == 12
    labelled, unlabelled = flips_of(prepared(tmp_path, ("arrow to the left", "dog"))[1])
    assert any(labelled) and not all(labelled), "a dog may be mirrored, an arrow to the left not"
    assert not any(unlabelled), "an unlabelled picture may be such an arrow"


def test_unlabelled_rows_are_in_no_part_and_their_targets_are_fillers(tmp_path: Path) -> None:
    opened, ready = prepared(tmp_path, ("cat", "dog"), label=["dog"] * 12)
    plan = ready.plan
    assert not np.isin(ready.unlabelled, ready.usable).any() and len(plan.train) + len(plan.val) < 40
    assert (plan.target[ready.unlabelled] == plan.target[ready.unlabelled][0]).all()
    assert set(opened.split[ready.unlabelled]) == {""} and opened.unlabelled.truth == dict.fromkeys(
        range(40, 52), "dog"
    )
    assert len(opened.own_table) == len(opened.own_split) == 40


@pytest.mark.parametrize("method", ["fixmatch", "flexmatch", "mean_teacher"])
def test_trained_encoders_learn_from_unlabelled_pictures(method: str, tmp_path: Path) -> None:
    table = {"photo": photos(tmp_path, 40), "label": ["a", "b"] * 20}
    pool = {"photo": photos(tmp_path, 12, 100)}
    options: dict[str, Any] = {
        "preset": "single",
        "epochs": 2,
        "allow_outside": True,
        "unlabelled": pool,
        "semi": method,
    }
    found = plait.fit(table, "label", **options, set=[*QUICK, "augment.views=2"])
    assert found.report["unlabelled"]["rows"] == 12 and len(found.report["unlabelled"]["epochs"]) == 2
    with pytest.raises(ValueError, match=rf"semi='{method}' compares a row with a changed copy.*augment.views=2"):
        plait.fit(table, "label", **options, set=QUICK)
    with pytest.raises(ValueError, match="there are none; type semi='noisy_student'"):
        plait.fit(table, "label", **{**options, "semi": "self_training"}, set=QUICK)


def test_unreadable_pictures_of_unlabelled_rows_follow_the_policy(tmp_path: Path) -> None:
    table = {"photo": photos(tmp_path, 40), "label": ["a", "b"] * 20}
    (tmp_path / "broken.png").write_bytes(b"no picture")
    pool = {"photo": [*photos(tmp_path, 6, 100), str(tmp_path / "none.png"), str(tmp_path / "broken.png")]}
    options: dict[str, Any] = {
        "preset": "single", "epochs": 1, "allow_outside": True, "unlabelled": pool, "semi": "fixmatch",
        "set": [*QUICK, "augment.views=2"],
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"2 of 48 rows.*cannot be read.*\n  row 6 of a dict, column 'photo'"):
        plait.fit(table, "label", **options)
    nothing, unreadable = "hold nothing that the model reads", "hold a cell that cannot be read"
    for policy, why in (("skip", unreadable), ("missing", nothing)):
        told = plait.fit(table, "label", on_bad_row=policy, **options).report["unlabelled"]
        assert told["rows"] == 6 and told["left_out"] == [
            {"rows": 1, "why": nothing, "numbers": ["row 6 of a dict"]},
            {"rows": 1, "why": why, "numbers": ["row 7 of a dict"]},
        ]


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_label_sets_and_numbers_learn_by_self_training(task: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(360, 4)).round(3)
    columns = {f"x{i}": x[:, i].tolist() for i in range(4)}
    value: list[Any] = [float(v) for v in x[:, 0] * 2 + x[:, 1]]
    if task == "multilabel":
        value = [[n for n, v in zip("ab", row[:2], strict=True) if v > 0] for row in x.tolist()]
    table = {**{n: v[:120] for n, v in columns.items()}, "y": value[:120]}
    pool = {**{n: v[120:] for n, v in columns.items()}, "y": value[120:]}
    told = plait.fit(table, "y", task=task, unlabelled=pool, preset="single", epochs=3, set=["train.threads=1"]).report
    found = told["unlabelled"]
    assert found["rows"] == 240 and found["guard"]["rows"] == told["splits"]["val"]
    if task == "multilabel":
        assert found["precision"] > 0.85 and set(found["classes"]) == {"a", "b"}
    else:
        assert found["held_out_r2"] > 0.95 and found["mae"] < 0.2 and "classes" not in found
