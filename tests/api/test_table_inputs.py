"""Whoever only looks at a table reads it by the encoders of a fit of it: the same settings, and the same features."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import plait
from plait.data.table import read_table
from plait.files import cache_root
from plait.inputs.feature_store import FeatureStore


class _SeenError(Exception):
    """The encoders are chosen; they need not be loaded."""


def chosen(monkeypatch: pytest.MonkeyPatch, module: str, ask: Any) -> tuple[Any, bool]:
    """Settings of the encoders that a call loads, and whether with tokens."""
    seen: list[Any] = []

    def load(modalities: Any, settings: Any, *, with_tokens: bool, **more: Any) -> None:
        seen.append((settings, with_tokens))
        raise _SeenError

    __import__(module)
    monkeypatch.setattr(sys.modules[module], "load_inputs", load)
    with pytest.raises(_SeenError):
        ask()
    settings, with_tokens = seen[0]
    return replace(settings, numbers=None, categories=None), with_tokens


@pytest.mark.parametrize("rows", [48, 7680])
@pytest.mark.parametrize("target", ["label", "size"])
def test_looking_chooses_what_a_fit_chooses(
    posts: Path, monkeypatch: pytest.MonkeyPatch, target: str, rows: int
) -> None:
    table = read_table(posts)
    table = table.take([i % len(table) for i in range(rows)]) if rows > len(table) else table
    fit = chosen(monkeypatch, "plait.api.preparing", lambda: plait.fit(table, target, split="split"))
    drift = chosen(monkeypatch, "plait.api.table_inputs", lambda: plait.drift(table, table, target=target))
    assert drift == fit and fit[0].image_size == 96
    assert fit[1] == (rows > 5000 and target == "label")  # tokens of many rows
    again = chosen(monkeypatch, "plait.api.table_inputs", lambda: plait.check(table, target, interactions=True))
    assert again == fit


def test_a_task_without_a_target_looks_closely(posts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.api.table_inputs import table_inputs
    from plait.data.schema import guess_schema
    from plait.settings import RunSettings

    table = read_table(posts)
    schema = guess_schema(table, ignore=("label", "size"))
    monkeypatch.setattr("plait.training.recipes.facts.SAMPLED_PHOTOS", 0)  # nothing says that the photos are small
    for task, side in ((None, 224), ("retrieval", 288)):
        settings, _ = chosen(
            monkeypatch,
            "plait.api.table_inputs",
            lambda task=task: table_inputs(table, schema, RunSettings(), task=task),
        )
        assert settings.image_size == side


@pytest.mark.real
def test_after_a_fit_nothing_is_encoded_again(posts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.weights import list_weights

    (tmp_path / "weights").symlink_to(cache_root() / "weights")
    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path))
    if not all(w["present"] for w in list_weights() if w["name"] in ("minilm", "efficientnet-lite0")):
        pytest.skip("pretrained weights are not here; plait weights fetch minilm efficientnet-lite0")
    options = {"preset": "single", "epochs": 1, "set": ["train.baselines=false", "train.threads=1"]}
    plait.fit(posts, "label", split="split", **options)
    stored = {space.name: space.num_items for space in FeatureStore().ls()}
    assert sorted(stored.values()) == [48, 48]
    table, told = read_table(posts), []
    halves = table.take(range(24)), table.take(range(24, 48))
    plait.drift(*halves, target="label", progress=lambda done, total, what: told.append(what))
    plait.check(posts, "label", interactions=True)
    assert {space.name: space.num_items for space in FeatureStore().ls()} == stored
    assert not [what for what in told if "encoding" in what]
