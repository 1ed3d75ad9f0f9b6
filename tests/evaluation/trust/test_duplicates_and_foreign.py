"""Planted near duplicates are the pairs that are found, and no others; a class far away is foreign, noise is not."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.settings import QUICK

TRAIN, VAL, TEST = 90, 15, 75
FIRST = TRAIN + VAL  # test row


def rows() -> dict[str, list[Any]]:
    """Vectors that tell three classes, one far from the others; vectors of noise; texts that nothing else shares."""
    draw = np.random.default_rng(0)
    count = TRAIN + VAL + TEST
    truth = np.arange(count) % 3
    centre = np.array([[0.0] * 6, [1.5, 0, 0, 0, 0, 0], [0, 0, 9, 9, 0, 0]])
    texts = ["".join(draw.choice(list(string.ascii_lowercase), 60)) for _ in range(count)]
    texts[FIRST] = f"  {texts[3].upper()} "  # equal but for case and spaces
    texts[FIRST + 1] = texts[7][:30] + "#" + texts[7][31:]  # one character of 60 is another: Jaccard 51/61
    texts[FIRST + 2] = texts[8][:50] + "##########"  # ten are: Jaccard below .8
    texts[FIRST + 4] = texts[FIRST + 3]  # inside test
    return {
        "place": list((centre[truth] + draw.normal(0, 0.6, (count, 6))).astype(np.float32)),
        "noise": list(draw.normal(0, 1, (count, 4)).astype(np.float32)),
        "words": texts,
        "label": [f"c{t}" for t in truth],
        "split": ["train"] * TRAIN + ["val"] * VAL + ["test"] * TEST,
    }


@pytest.fixture(scope="module")
def parts() -> dict[str, dict[str, Any]]:
    from plait.api.evaluation import open_evaluation
    from plait.evaluation.trust import TRUST_PARTS, TrustInputs

    table = rows()
    fitted = plait.fit(table, "label", set=[*QUICK, "train.epochs=1"], text="words", vector=["place", "noise"])
    given = open_evaluation(fitted, table)
    made = TrustInputs(fitted, given, lambda: open_evaluation(fitted, table, rows="all", on_bad_row="missing"))
    asked = {name: TRUST_PARTS.get(name) for name in ("duplicates", "ood")}
    assert all(part.not_applicable(made) is None for part in asked.values())
    return {name: part.run(made) for name, part in asked.items()}


def test_planted_duplicates_and_no_others(parts: Any) -> None:
    found = parts["duplicates"]
    assert {(tuple(p["rows"]), tuple(p["splits"])) for p in found["pairs"]} == {
        ((3, FIRST), ("train", "test")), ((7, FIRST + 1), ("train", "test")),
        ((FIRST + 3, FIRST + 4), ("test", "test")),
    }  # fmt: skip
    assert [p["alike"] for p in found["pairs"]] == [1.0, pytest.approx(51 / 61), 1.0]  # those across splits first
    (table,) = found["modalities"]
    assert (table["pairs"], table["equal"], table["cross"]) == (3, 2, 2)
    assert (found["judged"], found["with_twin"], found["twins"]) == (TEST, 2, None)
    share = found["all"] * TEST - found["without"] * (TEST - 2)  # right answers of the two that were left out
    assert share == pytest.approx(round(share)) and 0 <= round(share) <= 2
    assert "2 of 75 judged rows have a near twin in training" in found["sentence"]


def test_a_far_class_is_foreign_and_noise_is_not(parts: Any) -> None:
    found = parts["ood"]
    held = {(h["class"], h["score"]): h["auroc"] for h in found["held_out"]}
    assert held["c2", "distance of place"] > 0.9 and held["c2", "distance of all"] > 0.9
    assert 0.3 < held["c2", "distance of noise"] < 0.7
    swapped = {(s["modality"], s["score"]): s for s in found["swapped"]}
    assert {m for m, _ in swapped} == {"place", "noise", "words"}
    assert swapped["noise", "distance of noise"]["auroc"] == pytest.approx(0.5, abs=0.1)
    assert swapped["noise", "distance of all"]["auroc"] == pytest.approx(0.5, abs=0.15)
    assert all(s["rows"] == TEST for (m, _), s in swapped.items() if m != "words")


def test_centred_cosine_finds_copies_among_like_features() -> None:
    """Features that share one large direction: all cosines are above .9, those of the centred ones only of a copy."""
    from plait.evaluation.trust.duplicates import LEAST_COSINE, _centred
    from plait.metrics.trust.near_pairs import similar_pairs

    draw = np.random.default_rng(1)
    features = draw.normal(0, 1, (40, 32)) + 30.0
    features[39] = features[5] + draw.normal(0, 0.1, 32)
    unit = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    assert len(similar_pairs(unit, LEAST_COSINE)[0]) == 40 * 39 // 2
    left, right, _ = similar_pairs(_centred(features), LEAST_COSINE)
    assert (left.tolist(), right.tolist()) == ([5], [39])


def test_near_texts_are_those_of_all_pairs() -> None:
    from plait.metrics.trust.near_pairs import shingles, similar_texts

    draw = np.random.default_rng(2)
    texts = ["".join(draw.choice(list("ab"), int(n))) for n in draw.integers(0, 24, 150)]
    for least in (0.5, 0.8, 1.0):
        left, right, alike = similar_texts(texts, least)
        sets = [shingles(t) for t in texts]
        full = {
            (i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j])
            for i in range(150) for j in range(i + 1, 150) if sets[i] and sets[j]
        }  # fmt: skip
        wanted = {pair: value for pair, value in full.items() if value >= least}
        assert dict(zip(zip(left.tolist(), right.tolist(), strict=True), alike.tolist(), strict=True)) == wanted
        assert len(wanted) > 5
