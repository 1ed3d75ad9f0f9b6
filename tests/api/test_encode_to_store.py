"""A table encoded ahead: the features are those that a fit would make, each once, whoever makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import plait
from fixtures.frozen_texts import fit_texts, texts
from fixtures.lazy import lazy
from fixtures.on_ray import answered_here
from fixtures.small_model import fit

encode_to_store = lazy("plait.api", "encode_to_store")
open_store = lazy("plait.inputs.feature_store", "FeatureStore")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit_texts(tmp_path_factory.mktemp("encode"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pq.write_table(texts(120), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def stored() -> int:
    return sum(space.num_items for space in open_store().ls())


@pytest.mark.parametrize("ray", [None, "local"])
def test_every_item_is_encoded_once(
    ray: str | None, model: Path, table: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.api.batch.encode.check_ray", lambda address: None)
    monkeypatch.setattr("plait.api.batch.part_work.answered_parts", answered_here)
    seen: list[tuple[int, int, str]] = []
    made = encode_to_store(model, table, ray=ray, part_rows=50, progress=lambda *step: seen.append(step))
    distinct = len(set(texts(120)["text"].to_pylist()) - {None})
    assert (made.rows, made.parts, made.items, made.problems) == (120, 3, distinct, 0) and stored() == distinct
    assert seen[-1] == (120, 120, "encoding") and made.store == cache / "features"
    again = encode_to_store(model, table, ray=ray, part_rows=7)
    assert (again.parts, again.items) == (18, 0)
    plait.load(model).predict(table)
    assert stored() == distinct  # what answers need was there


def test_refused(model: Path, table: Path, tmp_path: Path, cache: Path) -> None:
    fit(tmp_path / "numbers")
    with pytest.raises(ValueError, match="no encoder of .*numbers is frozen"):
        encode_to_store(tmp_path / "numbers", table)
    with pytest.raises(ValueError, match="part_rows must be a whole number from 1 on"):
        encode_to_store(model, table, part_rows=0)
    with pytest.raises(ValueError, match="'auto' or the address of a cluster"):
        encode_to_store(model, table, ray="")


def test_on_the_command_line(model: Path, tmp_path: Path, cache: Path, run: Callable[..., Any]) -> None:
    odd = texts(12).append_column("more", pa.array(range(12)))
    pq.write_table(odd, tmp_path / "rows.parquet")
    code, out, err = run("features", "add", model, tmp_path / "rows.parquet")
    assert code == 0, err
    assert "12 rows encoded: 6 new items in " in out
    assert "0 new items" in run("features", "add", model, tmp_path / "rows.parquet")[1]
