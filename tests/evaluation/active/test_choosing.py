"""Which rows are chosen of pools whose right answer was planted: doubts, twins, groups, labelled rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixtures.lazy import lazy

active = lazy("plait.evaluation.active")
Pool = lazy("plait.evaluation.active", "Pool")
choose = lazy("plait.evaluation.active", "choose_rows_to_label")


def pool_of(lead: np.ndarray, vectors: np.ndarray, **more: object) -> object:
    """A pool of two classes: the lead of the first over the second in each row, and where it lies."""
    count = len(lead)
    outputs = np.stack([(1 + lead) / 2, (1 - lead) / 2], axis=1)
    there = np.ones((count, 1), dtype=bool)
    given = {
        "kind": "classes", "classes": ("a", "b"), "names": ("text",), "outputs_NC": outputs,
        "alone_MNC": outputs[None], "there_NM": there, "members_KNC": np.zeros((0, count, 2)),
        "weight_KN": np.zeros((0, count)), "member_names": (), "vectors": [vectors], "fused_ND": vectors,
        "exact_M": (False,), "keys": [(str(i),) for i in range(count)], "group": [None] * count,
    }  # fmt: skip
    return Pool(**(given | more))


def line(count: int) -> np.ndarray:
    return np.arange(count, dtype=float)[:, None] * 3.0


def test_small_leads_first_and_ties_to_the_earlier_row() -> None:
    pool = pool_of(np.array([0.9, 0.1, 0.5, 0.1]), line(4))
    chosen, passed = choose(pool, np.arange(4), 3, strategy="margin")
    assert [s.position for s in chosen] == [1, 3, 2] and passed == 0
    assert chosen[0].score == pytest.approx(0.9) and chosen[0].reason == "unsure between 'a' (55%) and 'b' (45%)"


@pytest.mark.parametrize("strategy", ["mixed", "margin", "entropy", "least_confidence", "core_set", "badge", "random"])
def test_every_strategy_takes_no_row_twice_and_the_same_under_one_seed(strategy: str) -> None:
    rng = np.random.default_rng(0)
    pool = pool_of(rng.random(40), rng.normal(size=(40, 3)))
    asked = np.arange(5, 40)
    chosen, _ = choose(pool, asked, 12, strategy=strategy, seed=3)
    positions = [s.position for s in chosen]
    assert len(set(positions)) == 12 and set(positions) <= set(asked.tolist())
    assert [s.position for s in choose(pool, asked, 12, strategy=strategy, seed=3)[0]] == positions
    assert all(s.reason for s in chosen)


@pytest.mark.parametrize("strategy", ["mixed", "margin", "core_set", "badge", "random"])
def test_rows_that_show_the_same_come_once(strategy: str) -> None:
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(5, 4)), 6, axis=0)
    vectors[::2] += 1e-4 * rng.normal(size=(15, 4))  # nearly the same, other bytes
    keys = [(f"{i // 6}-{i if i % 2 == 0 else 'same'}",) for i in range(30)]
    pool = pool_of(rng.random(30), vectors, keys=keys)
    chosen, passed = choose(pool, np.arange(30), 20, strategy=strategy)
    assert sorted(s.position // 6 for s in chosen) == [0, 1, 2, 3, 4] and passed == 25


def test_numbers_are_alike_only_where_they_are_equal() -> None:
    near = np.array([[0.0], [1e-3], [50.0], [100.0]])
    lead = np.zeros(4)
    assert len(choose(pool_of(lead, near), np.arange(4), 4, strategy="margin")[0]) == 3
    assert len(choose(pool_of(lead, near, exact_M=(True,)), np.arange(4), 4, strategy="margin")[0]) == 4


def test_groups_take_turns_by_their_best_row() -> None:
    pool = pool_of(np.array([0.1, 0.0, 0.2, 0.9, 0.8, 0.5]), line(6), group=["a", "a", "a", "b", "b", None])
    chosen, _ = choose(pool, np.arange(6), 5, strategy="margin")
    assert [s.position for s in chosen][:3] == [1, 5, 4]  # the least sure of each, and the row without a group
    assert [s.position for s in chosen][3:] == [0, 3]


def test_mixed_spreads_over_what_is_in_doubt() -> None:
    """Ten rows of one kind are the least sure; margin takes them alone, the mixed strategy one of each kind."""
    kinds = np.repeat([0, 1, 2, 3], 10)
    rng = np.random.default_rng(0)
    vectors = np.eye(4)[kinds] * 10 + rng.normal(size=(40, 4))
    lead = np.array([0.0, 0.2, 0.4, 0.99])[kinds] + 0.001 * np.arange(40) / 40
    pool = pool_of(lead, vectors)
    assert {int(kinds[s.position]) for s in choose(pool, np.arange(40), 2, strategy="margin")[0]} == {0}
    mixed = [int(kinds[s.position]) for s in choose(pool, np.arange(40), 2, strategy="mixed")[0]]
    assert sorted(mixed) == [0, 1]  # the half that is least sure holds these two kinds


def test_core_set_keeps_away_from_labelled_rows() -> None:
    pool = pool_of(np.full(4, 0.5), line(4))
    chosen, _ = choose(pool, np.arange(4), 1, strategy="core_set", labelled=[line(4)[3:]])
    assert [s.position for s in chosen] == [0] and "unlike every labelled row" in chosen[0].reason


def test_disagreement_names_who_says_what() -> None:
    outputs = np.array([[0.5, 0.5], [0.5, 0.5]])
    apart, agreed = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.6, 0.4], [0.6, 0.4]])
    answers = np.stack([apart, agreed], axis=1)  # two answers to each of two rows
    pool = replace(
        pool_of(np.zeros(2), line(2)), names=("text", "image"), outputs_NC=outputs, alone_MNC=answers,
        there_NM=np.ones((2, 2), dtype=bool), members_KNC=answers, weight_KN=np.ones((2, 2)),
        member_names=("fused", "n-grams of text"), vectors=[line(2), line(2)], exact_M=(False, False),
    )  # fmt: skip
    modal, _ = choose(pool, np.arange(2), 1, strategy="modalities")
    assert modal[0].position == 0
    assert modal[0].reason == "modalities disagree: text alone says 'a' (90%), image alone 'b' (80%)"
    members, _ = choose(pool, np.arange(2), 1, strategy="bald")
    assert members[0].reason == "models disagree: fused says 'a' (90%), n-grams of text 'b' (80%)"


def test_strategies_that_do_not_go_are_refused_with_those_that_do() -> None:
    pool = pool_of(np.zeros(3), line(3))
    for strategy, why in (("bald", "one model alone"), ("modalities", "this model has one"), ("interval", "a class")):
        with pytest.raises(ValueError, match=why) as told:
            choose(pool, np.arange(3), 1, strategy=strategy)
        assert "mixed, margin" in str(told.value)
    with pytest.raises(ValueError, match="Did you mean 'margin'"):
        choose(pool, np.arange(3), 1, strategy="margins")


def test_members_without_a_weight_do_not_disagree() -> None:
    """One member answers every row: nothing is compared, whatever the others would say."""
    answers = np.array([[[0.9, 0.1]] * 3, [[0.1, 0.9]] * 3])
    weight = np.array([[1.0] * 3, [0.0] * 3])
    pool = pool_of(np.zeros(3), line(3), members_KNC=answers, weight_KN=weight, member_names=("linear", "trees"))
    with pytest.raises(ValueError, match="one model alone answers here"):
        choose(pool, np.arange(3), 1, strategy="bald")


def test_of_numbers_the_members_decide() -> None:
    values = np.array([[[1.0], [1.0], [1.0]], [[1.1], [5.0], [1.0]]])
    pool = pool_of(
        np.zeros(3), line(3), kind="number", classes=(), outputs_NC=values.mean(0), alone_MNC=values[:1],
        members_KNC=values, weight_KN=np.ones((2, 3)), member_names=("linear", "trees"),
    )  # fmt: skip
    chosen, _ = choose(pool, np.arange(3), 1)
    assert chosen[0].position == 1 and chosen[0].score == pytest.approx(2.0)
    assert "linear says 1, trees 5" in chosen[0].reason
    with pytest.raises(ValueError, match="answers a number"):
        choose(pool, np.arange(3), 1, strategy="entropy")


def test_labels_are_in_doubt_one_by_one() -> None:
    pool = pool_of(
        np.zeros(2), line(2), kind="labels", outputs_NC=np.array([[0.5, 0.99], [0.9, 0.95]]),
        alone_MNC=np.zeros((1, 2, 2)),
    )  # fmt: skip
    chosen, _ = choose(pool, np.arange(2), 1, strategy="entropy")
    assert chosen[0].position == 0 and chosen[0].reason == "unsure about 'a' (50%), 'b' (99%)"
