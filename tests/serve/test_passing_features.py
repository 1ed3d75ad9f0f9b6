"""Features of what a server is sent do not stay on disk."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plait.inputs.feature_store.store import FeatureStore, default_root
from plait.serve.features import MOST_BATCHES, passing_features


def test_the_folder_is_emptied_and_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLAIT_FEATURES", raising=False)
    assert default_root() == cache / "features"
    roots: dict[str, Path] = {}

    def on_its_thread(name: str) -> None:
        passing = features(name)
        passing.begin()
        roots[name] = root = FeatureStore().root
        assert root.is_dir() and cache not in root.parents
        (root / "space").mkdir()
        for _ in range(MOST_BATCHES - 1):
            passing.after_batch()
        assert (root / "space").is_dir()
        if name == "first":
            passing.after_batch()
            assert root.is_dir() and not list(root.iterdir())

    with passing_features() as features, ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(on_its_thread, "first").result()
        other.submit(on_its_thread, "second").result()
        one.submit(on_its_thread, "first").result()
        assert roots["first"] != roots["second"] and (roots["second"] / "space").is_dir()
        assert default_root() not in roots.values() and cache not in default_root().parents
    assert not any(root.exists() for root in roots.values()) and default_root() == cache / "features"


def test_a_store_that_is_named_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_FEATURES", str(tmp_path / "kept"))
    (tmp_path / "kept").mkdir()
    with passing_features() as features:
        features("model").begin()
        features("model").after_batch()
        assert default_root() == tmp_path / "kept"
    assert (tmp_path / "kept").is_dir()


def test_folders_of_killed_servers_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PLAIT_FEATURES", raising=False)
    monkeypatch.setattr("plait.serve.features._MEMORY", tmp_path)
    left, alive = tmp_path / "plait-serve-999999999-x", tmp_path / f"plait-serve-{os.getpid()}-y"
    left.mkdir()
    alive.mkdir()
    with passing_features():
        assert not left.exists() or not Path("/proc/self").exists()
        assert alive.exists()
