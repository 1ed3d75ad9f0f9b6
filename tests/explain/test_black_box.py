"""Explaining any model: planted truths, absence, missing cells, cost, and refusals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import plait
from plait.explain import explain_modalities
from plait.explain.absence import draw_donors

QUICK: dict[str, Any] = {"permutations": 3, "resamples": 60}


def table(n: int = 200, seed: int = 0) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {name: rng.choice([-1.0, 1.0], n).tolist() for name in ("text", "photo", "sound")}


def scored(total: np.ndarray) -> np.ndarray:
    yes = 1 / (1 + np.exp(-total))
    return np.stack([1 - yes, yes], axis=1)


def numbers(column: Any) -> np.ndarray:
    return np.array([0.0 if v is None else v for v in column])


def xor(given: dict[str, Any]) -> np.ndarray:
    return scored(-4.0 * numbers(given["text"]) * numbers(given["photo"]))


def additive(given: dict[str, Any]) -> np.ndarray:
    return scored(3.0 * numbers(given["text"]) + 1.0 * numbers(given["photo"]))


def value(entry: dict[str, Any]) -> float:
    assert entry["low"] <= entry["value"] <= entry["high"]
    return float(entry["value"])


def test_xor_is_all_interaction() -> None:
    rows = {"text": [1, 1, -1, -1] * 50, "photo": [1, -1, 1, -1] * 50, "sound": table()["sound"]}
    truth = (np.array(rows["text"]) != np.array(rows["photo"])).astype(int)
    found = explain_modalities(xor, rows, truth, **QUICK)
    by_name = {s["name"]: value(s["metric"]) for s in found["subsets"]}
    for alone in ("text", "photo", "sound", "nothing", "text + sound"):
        assert by_name[alone] == pytest.approx(0.5, abs=1e-12)
    assert by_name["text + photo"] == by_name["text + photo + sound"] == 1.0
    pairs = {tuple(p["pair"]): value(p) for p in found["interaction"]["metric"]}
    shares = found["shapley"]["metric"]
    assert pairs[("text", "photo")] == pytest.approx(0.5)
    assert pairs[("text", "sound")] == pairs[("photo", "sound")] == 0.0
    assert shares["text"]["share"] == shares["photo"]["share"] == pytest.approx(0.5)
    assert value(found["emap"]["gap"]) == pytest.approx(0.5, abs=0.03)
    assert "no modality alone can be told from guessing" in found["verdict"]
    assert "Interaction between the modalities is worth" in found["verdict"]


def test_a_dead_modality_gets_exactly_nothing() -> None:
    rows = table()
    truth = (np.array(rows["text"]) > 0).astype(int)
    found = explain_modalities(additive, rows, truth, **QUICK)
    for kind in ("metric", "loss"):
        sound = found["shapley"][kind]["sound"]
        assert (sound["value"], sound["low"], sound["high"], sound["share"]) == (0.0, 0.0, 0.0, 0.0)
        assert all(p["value"] == 0.0 for p in found["interaction"][kind] if "sound" in p["pair"])
    assert found["perceptual"]["modalities"]["sound"]["raw"]["value"] == 0.0
    assert all(row["shapley"]["sound"] == 0.0 for row in found["examples"])
    assert found["unused"] == ["sound"] and "never uses sound" in found["verdict"]


def test_an_additive_model_has_no_interaction_and_planted_shares() -> None:
    rows = {k: table()[k] for k in ("text", "photo")}
    total = 3.0 * np.array(rows["text"]) + 1.0 * np.array(rows["photo"])
    found = explain_modalities(
        lambda given: 3.0 * numbers(given["text"]) + numbers(given["photo"]), rows, total, task="regression", **QUICK
    )
    assert found["metric"]["name"] == "r2" and found["loss"]["name"] == "mean_squared_error"
    shares = {k: v["share"] for k, v in found["shapley"]["loss"].items()}
    assert shares["text"] == pytest.approx(0.9, abs=0.05)  # squares of the planted weights: 9 to 1
    assert found["emap"]["residual"] < 1e-20 and abs(found["emap"]["gap"]["value"]) < 1e-12
    assert "The model is additive" in found["verdict"]
    for row in found["examples"]:  # exact on every row: the weights times the cells
        place = row["row"]
        expected = {"text": 3.0 * rows["text"][place], "photo": rows["photo"][place]}
        assert row["shapley"] == pytest.approx(expected, abs=1e-12)


def test_additive_logits_lose_nothing_as_probabilities() -> None:
    """Only probabilities are known, yet EMAP gives the answers that the logits would."""
    rows = table(60)
    found = explain_modalities(additive, {k: rows[k] for k in ("text", "photo")}, np.arange(60) % 2, **QUICK)
    assert found["emap"]["gap"]["value"] == 0.0 and found["emap"]["residual"] < 1e-20


@pytest.mark.parametrize("absence", ["missing", "marginal", "value"])
def test_every_row_adds_up(absence: str) -> None:
    rows, given = table(50), {"constants": dict.fromkeys(table(1), 0.5)} if absence == "value" else {}
    found = explain_modalities(
        xor, rows, np.arange(50) % 2, absence=absence, examples=list(range(50)), **given, **QUICK
    )
    assert len(found["examples"]) == 50 and found["absence"]["name"] == absence
    for row in found["examples"]:
        whole = row["with everything"] - row["with nothing"]
        assert sum(row["shapley"].values()) == pytest.approx(whole, abs=1e-12)
    for kind, sign in (("metric", 1), ("loss", -1)):
        whole = sign * (found["subsets"][-1][kind]["value"] - found["subsets"][0][kind]["value"])
        assert sum(v["value"] for v in found["shapley"][kind].values()) == pytest.approx(whole, abs=1e-12)


def test_absence_changes_the_answer_as_known() -> None:
    """XOR of two bits in 0/1: a constant 0 is a value of its own; over all other rows each bit gets a quarter."""
    bits = {"a": [0, 0, 1, 1] * 10, "b": [0, 1, 0, 1] * 10}

    def hard(given: dict[str, Any]) -> np.ndarray:
        a, b = (np.asarray(given[k], dtype=int) for k in ("a", "b"))
        return np.eye(2)[a ^ b]

    truth = [0, 1, 1, 0] * 10
    rows = list(range(4))
    zeros = explain_modalities(
        hard, bits, truth, absence="value", constants={"a": 0, "b": 0}, examples=rows, emap_evaluations=0, **QUICK
    )
    # Row (0, 1): probability of class 1; with a = b = 0 the answer is class 0.
    assert zeros["examples"][1]["shapley"] == pytest.approx({"a": 0.0, "b": 1.0})
    found = [p["interaction"][0]["value"] for p in zeros["examples"]]
    assert found == pytest.approx([0.0, 0.0, 0.0, 2.0], abs=1e-12)
    marginal = explain_modalities(
        hard, bits, truth, absence="marginal", draws=39, examples=rows, emap_evaluations=0, **QUICK
    )
    for row in marginal["examples"]:
        assert row["shapley"] == pytest.approx({"a": 0.25, "b": 0.25}, abs=0.03)
        assert row["interaction"][0]["value"] == pytest.approx(0.5, abs=0.06)


def test_black_boxes_that_cannot_take_absence_never_see_none() -> None:
    arrays = {k: np.array(v) for k, v in table(30).items()}
    seen: set[str] = set()

    def strict(given: dict[str, Any]) -> np.ndarray:
        for column in given.values():
            assert isinstance(column, np.ndarray) and column.dtype == np.float64
        seen.update(given)
        return scored(given["text"] * given["photo"])

    explain_modalities(strict, arrays, np.arange(30) % 2, absence="marginal", draws=2, **QUICK)
    assert seen == set(arrays)


def test_rows_that_lack_a_modality() -> None:
    rows: dict[str, list[Any]] = dict(table(40))
    rows["text"] = [None if i % 4 == 0 else v for i, v in enumerate(rows["text"])]
    for absence in ("missing", "marginal"):
        found = explain_modalities(
            additive, rows, np.arange(40) % 2, absence=absence, examples=list(range(40)), **QUICK
        )
        assert all(found["examples"][i]["shapley"]["text"] == 0.0 for i in range(0, 40, 4))
        assert all("text" not in found["examples"][i]["present"] for i in range(0, 40, 4))


def test_multilabel_regression_and_other_metrics() -> None:
    rows = table(80)
    text, photo = np.array(rows["text"]), np.array(rows["photo"])
    labels = np.stack([text > 0, photo > 0, text * photo > 0], axis=1).astype(int)

    def tags(given: dict[str, Any]) -> np.ndarray:
        a, b = numbers(given["text"]), numbers(given["photo"])
        return 1 / (1 + np.exp(-3 * np.stack([a, b, a * b], axis=1)))

    found = explain_modalities(tags, rows, labels, task="multilabel", classes=["a", "b", "c"], **QUICK)
    assert found["metric"]["name"] == "mAP" and found["subsets"][-1]["metric"]["value"] == 1.0
    assert found["loss"]["name"] == "binary_cross_entropy"
    truth = (text > 0).astype(int)
    ranked = explain_modalities(additive, rows, truth, metric="auroc", **QUICK)
    assert ranked["metric"]["name"] == "auroc" and ranked["subsets"][-1]["metric"]["value"] == 1.0
    own = explain_modalities(additive, rows, truth, metric=lambda t, p: -float(((p[:, 1] - t) ** 2).mean()), **QUICK)
    assert own["subsets"][-1]["metric"]["value"] < 0


def test_donors_are_other_rows_each_once() -> None:
    for num_rows, draws in ((2, 3), (7, 6), (50, 4)):
        donors = draw_donors(num_rows, draws, seed=1)
        assert donors.shape == (draws, num_rows) and not (donors == np.arange(num_rows)).any()
        assert (np.sort(donors, axis=1) == np.arange(num_rows)).all()
    assert len({tuple(d) for d in draw_donors(7, 6, seed=1)}) == 6  # no draw twice before all are used


def test_groups_widen_intervals() -> None:
    rows = {k: np.repeat(v, 5).tolist() for k, v in table(40, seed=3).items()}
    truth = np.repeat((np.random.default_rng(0).normal(size=40) + table(40, seed=3)["text"] > 0).astype(int), 5)

    def width(**more: Any) -> float:
        entry = explain_modalities(additive, rows, truth, **more, **{**QUICK, "resamples": 400})["shapley"]["metric"]
        return float(entry["text"]["high"] - entry["text"]["low"])

    assert width(groups=np.repeat(np.arange(40), 5)) > 1.5 * width()


def test_result_is_json_cheap_and_repeatable() -> None:
    rows, asked = table(64), []

    def counted(given: dict[str, Any]) -> np.ndarray:
        asked.append(len(given["text"]))
        return xor(given)

    first = explain_modalities(counted, rows, np.arange(64) % 2, emap_evaluations=2000, **QUICK)
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    assert sum(asked) == first["cost"]["rows_asked"] + 1  # one row more, to learn how many outputs there are
    assert first["cost"]["rows_asked"] < 64 * 8 + 2000 + 3 * 3 * 64 + 64
    again = explain_modalities(xor, rows, np.arange(64) % 2, emap_evaluations=2000, **QUICK)
    for found in (first, again):
        found["cost"].pop("seconds")
    assert first == again
    none = explain_modalities(xor, rows, np.arange(64) % 2, emap_evaluations=0, permutations=0, resamples=20)
    assert none["emap"] is None and none["perceptual"] is None


def test_one_row_one_modality_and_six() -> None:
    single = explain_modalities(xor, table(1), [1], **QUICK)
    assert single["shapley"]["metric"]["text"]["low"] is None and single["emap"] is None
    assert single["perceptual"] is None and single["verdict"]
    rows = {"text": table()["text"]}
    alone = explain_modalities(lambda g: scored(numbers(g["text"])), rows, (np.array(rows["text"]) > 0) * 1, **QUICK)
    assert alone["shapley"]["metric"]["text"]["share"] == 1.0 and "one modality" in alone["verdict"]
    six = {f"m{i}": table(20, seed=i)["text"] for i in range(6)}
    many = explain_modalities(
        lambda g: scored(sum(numbers(c) for c in g.values())), six, np.arange(20) % 2, emap_evaluations=2000, **QUICK
    )
    assert len(many["subsets"]) == 64 and len(many["interaction"]["metric"]) == 15


def test_names_as_targets_and_the_lazy_name() -> None:
    rows = table(20)
    names = np.where(np.array(rows["text"]) > 0, "ja", "nein")
    found = plait.explain_modalities(additive, rows, names, classes=["nein", "ja"], **QUICK)
    assert found["empty"]["answer"] in ("ja", "nein") and set(found["empty"]["outputs"]) == {"ja", "nein"}
    assert found["examples"][0]["explained"].startswith("probability of ")


def nans_without_text(given: dict[str, Any]) -> np.ndarray:
    answers = additive(given)
    answers[[v is None for v in given["text"]]] = np.nan
    return answers


SEVEN = {f"m{i}": [0.0] for i in range(7)}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"predict": nans_without_text}, "NaN or infinities .first with text"),
    ({"inputs": SEVEN, "target": [0]}, "7 modalities .*128 subsets.*ignore=COLUMN"),
    ({"inputs": {}}, "no modality"),
    ({"inputs": [1, 2]}, "dictionary"),
    ({"inputs": {"text": [1.0], "photo": [1.0, 2.0]}}, "text: 1, photo: 2 rows"),
    ({"absence": "misssing"}, "missing"),
    ({"absence": "value"}, "constants"),
    ({"constants": {"text": 0}}, "absence='value'"),
    ({"draws": 0, "absence": "marginal"}, "draws"),
    ({"task": "clasification"}, "classification"),
    ({"metric": "log_loss"}, "lower is better"),
    ({"metric": "acuracy"}, "accuracy"),
    ({"outputs": "scores"}, "probabilities, logits"),
    ({"target": ["yes"] * 10}, "classes="),
    ({"target": ["yes"] * 10, "classes": ["no", "maybe"]}, "'yes'"),
    ({"target": [2] * 10}, "class 2"),
    ({"classes": ["a", "b", "c"]}, "3 classes are named but predict returns 2"),
    ({"predict": lambda g: np.zeros(len(g["text"]))}, "both probabilities"),
    ({"predict": lambda g: np.zeros((3, 2))}, "one line a row"),
    ({"predict": lambda g: 5 * additive(g)}, "outputs='logits'"),
    ({"predict": lambda g: additive(g) / 2}, "add up to 0.5"),
    ({"examples": [99]}, "no row 99"),
    ({"examples": -1}, "examples is -1"),
    ({"task": "regression", "target": [np.nan] * 10, "predict": lambda g: numbers(g["text"])}, "10 NaN"),
    ({"task": "multilabel"}, "0/1 labels"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_refusals(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"predict": additive, "inputs": table(10), "target": [0, 1] * 5, **change}
    with pytest.raises(ValueError, match=message):
        explain_modalities(given.pop("predict"), given.pop("inputs"), given.pop("target"), **given)
    one = {k: [v[0]] for k, v in table(1).items()}
    with pytest.raises(ValueError, match="only one row"):
        explain_modalities(additive, one, [0], absence="marginal")


def test_columns_are_read_by_position_whatever_their_index() -> None:
    pd = pytest.importorskip("pandas", reason="extra dev")
    rows = {k: table()[k] for k in ("text", "photo")}
    truth = (np.array(rows["text"]) > 0).astype(int)
    order = np.random.default_rng(3).permutation(200)
    jumbled = {k: pd.Series(v, index=order) for k, v in rows.items()}
    plain = explain_modalities(additive, rows, truth, **QUICK)
    found = explain_modalities(additive, jumbled, pd.Series(truth, index=order), **QUICK)
    assert found["subsets"][-1]["metric"]["value"] == 1.0 and found["shapley"] == plain["shapley"]
    with pytest.raises(ValueError, match="'text' is a dict; expected a list"):
        explain_modalities(additive, {**rows, "text": dict(enumerate(rows["text"]))}, truth, **QUICK)


@pytest.mark.parametrize("outputs", ["probabilities", "logits"])
def test_a_dead_modality_is_unused_under_marginal_too(outputs: str) -> None:
    rows = table(40)
    truth = (np.array(rows["text"]) > 0).astype(int)

    def predict(given: dict[str, Any]) -> np.ndarray:
        answers = additive(given)
        return np.log(answers) + 5.0 if outputs == "logits" else answers

    found = explain_modalities(predict, rows, truth, absence="marginal", outputs=outputs, draws=3, **QUICK)
    assert found["unused"] == ["sound"] and found["emap"]["residual"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("kind", [int, float, str])
def test_whole_numbers_that_are_names_are_names(kind: type) -> None:
    rows = {k: table(30)[k] for k in ("text", "photo")}

    def three(given: dict[str, Any]) -> np.ndarray:
        return np.concatenate([additive(given), np.zeros((len(given["text"]), 1))], axis=1)

    named = [kind(2 if t > 0 else 1) for t in rows["text"]]
    found = explain_modalities(three, rows, named, classes=["1", "2", "3"], **QUICK)
    assert found["subsets"][-1]["metric"]["value"] == 1.0
    if kind is not str:  # 0 is no name, so these are positions
        positions = [kind(t > 0) for t in rows["text"]]
        found = explain_modalities(three, rows, positions, classes=["1", "2", "3"], **QUICK)
        assert found["subsets"][-1]["metric"]["value"] == 1.0


def test_a_metric_that_shuffling_makes_undefined_leaves_the_perceptual_score_out() -> None:
    rows = {"text": [1.0, 2.0, 3.0], "photo": [1.0, 1.0, 1.0]}

    def predict(given: dict[str, Any]) -> np.ndarray:
        pairs = np.array(given["text"]) == [1.0, 2.0, 3.0][: len(given["text"])]
        return np.array(given["text"]) * pairs.all()

    found = explain_modalities(
        lambda g: predict({"text": [v or 0.0 for v in g["text"]]}), rows, [1.0, 2.0, 3.0], task="regression",
        metric="pearson", emap_evaluations=0, permutations=5, resamples=20,
    )  # fmt: skip
    assert found["perceptual"] is None
