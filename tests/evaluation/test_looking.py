"""Does a model look at the picture? Planted models that do, and that only read, are told apart by the proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from fixtures.media import red_or_blue
from plait.data.items import read_rows
from plait.data.modality import Modality
from plait.data.table import read_table
from plait.evaluation.looking import (
    ANOTHER,
    GREY,
    NO_PICTURE,
    NO_QUESTION,
    Judged,
    evaluate_looking,
    grey_like,
    other_pictures,
)
from plait.evaluation.texts import measured
from plait.inference.vision_language import Request
from plait.inputs.prepare import Prepared
from plait.metrics.tuning_verdict import tuning_verdict

ROWS = 40


def by_the_picture(request: Request) -> str:
    red, _, blue = request.open().getpixel((0, 0))
    return "red" if red > blue else "blue" if blue > red else "grey"


def by_the_question(request: Request) -> str:
    return request.text.partition(" or ")[0]


def judged(answer: Callable[[Request], str], *, same: bool = False) -> Judged:
    """Rows whose picture is red or blue; the question names the right colour first in three of four rows."""
    truth = ["red" if i % 2 else "blue" for i in range(ROWS)]
    wrong = ["blue" if name == "red" else "red" for name in truth]
    hinted = [f"{t} or {w}" if i % 4 else f"{w} or {t}" for i, (t, w) in enumerate(zip(truth, wrong, strict=True))]
    cells = [red_or_blue(name == "red", 0 if same else i) for i, name in enumerate(truth)]
    if same:
        cells = cells[:1] * ROWS
    table = read_table([{"image": c, "question": q} for c, q in zip(cells, hinted, strict=True)])
    rows = read_rows(table, [Modality("image", "image", ("image",)), Modality("question", "text", ("question",))])
    from PIL import Image

    from fixtures.media import io

    def opened(cell: bytes) -> Any:
        return Image.open(io.BytesIO(cell)).convert("RGB")

    keys = rows.items["image"].keys
    shown = [keys[i] for i in rows.items["image"].index_N]
    requests = [
        Request(key, lambda cell=cell: opened(cell), text)  # type: ignore[misc]
        for key, cell, text in zip(shown, cells, hinted, strict=True)
    ]
    unasked = [Request(one.key, one.open, "") for one in requests]

    def answers(wanted: Sequence[Request], what: str) -> tuple[list[str], Any]:
        texts = [answer(one) for one in wanted]
        return texts, texts

    truths = [[name] for name in truth]

    def measure(texts: list[str]) -> Any:
        return measured("accuracy", texts, truths, 0, None)

    return Judged(Prepared(rows), np.arange(ROWS), requests, unasked, truths, answers, measure, "accuracy", "accuracy")


def test_a_model_that_looks_is_seen_to_look_and_not_to_read() -> None:
    evaluation, verdict = evaluate_looking(judged(by_the_picture))
    found = evaluation["replaced"]
    assert evaluation["metrics"]["accuracy"]["value"] == 1.0
    assert found[NO_PICTURE]["metrics"]["accuracy"]["value"] == 0.0 and found[NO_PICTURE]["changed"] == 1.0
    assert found[ANOTHER]["metrics"]["accuracy"]["value"] < 0.8
    assert found[ANOTHER]["difference"]["low"] > 0
    assert verdict.startswith("The model looks at the picture: accuracy 1.000, with another row's picture 0.")
    assert "There is no sign that the model reads the question" in verdict and "none of its answers change" in verdict
    assert set(evaluation["without"]) == {"image", "question"}


def test_a_model_that_only_reads_is_seen_not_to_look() -> None:
    evaluation, verdict = evaluate_looking(judged(by_the_question))
    assert evaluation["metrics"]["accuracy"]["value"] == pytest.approx(0.75)
    assert evaluation["replaced"][ANOTHER]["changed"] == 0.0
    assert verdict.startswith("There is no sign that the model looks at the picture: accuracy 0.750")
    assert "The model reads the question: accuracy 0.750, with no question 0.000" in verdict
    assert f"with {NO_QUESTION}: accuracy 0.000, and 100.0% of the answers change" in evaluation["notes"]


def test_examples_are_the_best_and_the_worst_with_their_pictures() -> None:
    evaluation, _ = evaluate_looking(judged(by_the_question))
    groups = [one["group"] for one in evaluation["examples"]]
    assert groups.count("Worst") == 6 and groups.count("Best") == 6
    assert {one["score"] for one in evaluation["examples"] if one["group"] == "Worst"} == {0.0}
    assert all(one["inputs"][0]["image_jpeg_base64"] for one in evaluation["examples"])


def test_one_picture_in_all_rows_is_told() -> None:
    evaluation, verdict = evaluate_looking(judged(by_the_picture, same=True))
    assert ANOTHER not in evaluation["replaced"] and "with a grey picture" in verdict
    assert "all rows show one picture, so none could get another row's" in evaluation["notes"]


def test_another_picture_is_another_one() -> None:
    keys = ["a", "a", "a", "b", "c"] * 20
    others = other_pictures(keys, seed=1)
    assert others is not None and all(keys[i] != keys[o] for i, o in enumerate(others))
    assert len({keys[o] for o in others}) == 3 and other_pictures(["a", "a"]) is None
    assert others == other_pictures(keys, seed=1) != other_pictures(keys, seed=2)


def test_a_grey_picture_keeps_the_size() -> None:
    from PIL import Image

    made = grey_like(Image.new("RGB", (7, 3), "red"))
    assert made.size == (7, 3) and made.getcolors() == [(21, GREY)]


def test_a_tuned_model_stands_beside_what_it_was() -> None:
    """Before tuning it read the question, which is right in three of four rows; now it looks at the picture."""
    given, before = judged(by_the_picture), judged(by_the_question)
    given.untuned = before.answer
    evaluation, verdict = evaluate_looking(given)
    untuned = evaluation["untuned"]
    assert untuned["metrics"]["accuracy"]["value"] == 0.75 and untuned["difference"]["value"] == 0.25
    assert untuned["changed"] == 0.25 and untuned["difference"]["low"] > 0
    assert verdict.startswith("Tuning paid: accuracy 1.000, before tuning 0.750, a difference of +0.250 (+0.")
    assert "untuned" not in evaluate_looking(judged(by_the_picture))[0]


@pytest.mark.parametrize(
    ("difference", "begins"),
    [
        ((0.2, 0.1, 0.3), "Tuning paid: accuracy 0.600, before tuning 0.400, a difference of +0.200 (+0.1"),
        ((-0.2, -0.3, -0.1), "Tuning did harm: "),
        ((0.2, -0.1, 0.3), "Tuning did not measurably pay: "),
        ((0.2, 0.0, 0.3), "Tuning did not measurably pay: "),
        ((0.2, None, None), "There are too few rows to say whether tuning paid: "),
    ],
)  # fmt: skip
def test_whether_tuning_paid(difference: tuple[float, float | None, float | None], begins: str) -> None:
    assert tuning_verdict("accuracy", 0.6, 0.4, difference).startswith(begins)
