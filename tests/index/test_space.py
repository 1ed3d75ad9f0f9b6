"""Plain directions within a modality and corrected cosines across: worked by hand, in both backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.colours import DIM, ColourEmbedder, paint
from fixtures.encoded import unit
from plait.data.table import read_table
from plait.heads.hub_space import hub_inside
from plait.heads.hubs import with_hubs
from plait.index import build_index
from plait.inference.vector_space import CORRECTED, COSINE, VectorSpace, weighted


@pytest.mark.parametrize("sides", [2, 3, 4])
def test_scores_are_told_by_hand(sides: int) -> None:
    """A stored vector times the query plus the shift: cos within a side, cos + (r(q) - r(x)) / 2 across."""
    vectors, hubs = unit(5, sides, 6), torch.rand(5, sides, dtype=torch.float64) - 0.2
    made = with_hubs(vectors, hubs).float().numpy()
    space = VectorSpace(6 + 2 * sides, 6)
    assert space.sides == sides
    for a in range(sides):
        assert hub_inside(made[1, a], 6, a) == pytest.approx(float(hubs[1, a]), abs=1e-6)
        np.testing.assert_allclose(space.directions(made[:, a]), vectors[:, a].numpy(), atol=1e-6)
        for b in range(sides):
            cosine = (vectors[:, b] @ vectors[1, a]).numpy()
            query = space.within(made[1, a]) if a == b else space.across(made[1, a], a)
            wanted = cosine if a == b else cosine + (float(hubs[1, a]) - hubs[:, b].numpy()) / 2
            np.testing.assert_allclose(made[:, b] @ query.vector + query.shift, wanted, atol=1e-6)
            assert query.measure == (COSINE if a == b else CORRECTED)
    both = weighted(space.across(made[1, 0], 0), space.within(made[2, 1]), 0.25)
    first = (vectors[:, 1] @ vectors[1, 0] + (hubs[1, 0] - hubs[:, 1]) / 2).numpy()
    second = (vectors[:, 1] @ vectors[2, 1]).numpy()
    np.testing.assert_allclose(made[:, 1] @ both.vector + both.shift, 0.25 * first + 0.75 * second, atol=1e-6)


def test_without_a_correction_nothing_changes() -> None:
    vector = unit(1, 6)[0].float().numpy()
    space = VectorSpace(6, 6)
    for query in (space.within(vector), space.across(vector, 1)):
        assert np.array_equal(query.vector, vector) and query.shift == 0 and query.measure == COSINE
    assert np.array_equal(space.directions(vector[None]), vector[None])


@pytest.mark.parametrize(("dim", "plain"), [(8, 9), (8, 0), (9, 8), (8, 6)])
def test_widths_that_do_not_fit(dim: int, plain: int) -> None:
    with pytest.raises(ValueError, match=f"width {dim} with a plain direction of {plain}"):
        VectorSpace(dim, plain)


class HubEmbedder(ColourEmbedder):
    """The colours with a correction; a white picture (grey, near to all) is a hub, a text is none."""

    def __init__(self) -> None:
        super().__init__("ab" * 32)
        self.dim, self.plain_dim = DIM + 4, DIM

    def embed(self, table: Any, modality: str, **how: Any) -> Any:
        plain, bad = super().embed(table, modality, **how)
        side = [m.name for m in self.modalities].index(modality)
        sides = np.zeros((len(plain), 2, DIM))
        sides[:, side] = plain
        hubs = np.zeros((len(plain), 2))
        hubs[:, side] = 0.9 * (np.abs(plain[:, :3] - 3**-0.5).max(axis=1) < 0.05)
        made = with_hubs(torch.from_numpy(sides), torch.from_numpy(hubs))[:, side].float().numpy()
        made[~plain.any(axis=1)] = 0
        return made, bad


@pytest.mark.parametrize("backend", ["exact", "lance"])
def test_a_search_each_way(tmp_path: Path, backend: str) -> None:
    if backend == "lance":
        pytest.importorskip("lancedb", reason="extra lance")
    for name, colour in (
        ("white", (255, 255, 255)), ("grey", (200, 204, 200)), ("red", (255, 0, 0)), ("green", (0, 255, 0)),
        ("orange", (255, 110, 0)),
    ):  # fmt: skip
        paint(tmp_path / "p" / f"{name}.png", colour)
    index, _ = build_index(HubEmbedder(), tmp_path / "p", tmp_path / "i", backend=backend)
    assert (index.manifest.dim, index.manifest.plain_dim) == (12, 8)
    told = {hit.id: hit.score for hit in index.search("red")}
    assert told["red.png"] == pytest.approx(1, abs=1e-4)
    assert told["orange.png"] == pytest.approx(255 / np.hypot(255, 110), abs=1e-4)
    assert told["white.png"] == pytest.approx(3**-0.5 - 0.45, abs=1e-4)  # cos .577, less half of its hub score
    seen = {hit.id: hit.score for hit in index.search(image=tmp_path / "p" / "white.png")}
    assert seen["white.png"] == pytest.approx(1, abs=1e-5)
    assert seen["red.png"] == pytest.approx(3**-0.5, abs=1e-4)  # plain: no hub score in it
    both = {hit.id: hit.score for hit in index.search("red", image=tmp_path / "p" / "white.png", weight=0.25)}
    assert both["red.png"] == pytest.approx(0.25 * told["red.png"] + 0.75 * seen["red.png"], abs=1e-5)
    vectors, _ = index.embedder.embed(read_table([{"caption": "red"}]), "caption")
    again = index.search_vectors(vectors, modality="caption")[0]
    assert {hit.id: hit.score for hit in again} == pytest.approx(told, abs=1e-6)
    groups = index.near_duplicates(0.9995)
    assert [group.ids for group in groups] == [("grey.png", "white.png")]
    cosine = (200 + 204 + 200) / (3**0.5 * np.sqrt(2 * 200**2 + 204**2))
    assert groups[0].lowest == pytest.approx(cosine, abs=1e-5)
    assert index.near_duplicates(0.91)[0].lowest > 0.91  # red and orange: cosine .918
    assert len(index.near_duplicates(0.92)) == 1  # compressed, (1 + .918) / 2, they would be alike
