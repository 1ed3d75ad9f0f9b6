"""Recipes fill what is open and leave alone what the user set."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import numpy as np
import pytest

from fixtures.lazy import lazy
from plait.fusion import FUSIONS
from plait.heads import HEADS
from plait.settings import (
    EncoderSettings,
    FusionSettings,
    RunSettings,
    TaskSettings,
    TrainSettings,
    from_dict,
    to_dict,
)

RECIPES, Facts, resolve = lazy("plait.training.recipes", "RECIPES", "Facts", "resolve")
with_alternative = lazy("plait.training.recipes", "with_alternative")

FOR_RETRIEVAL = {"hubs", "loss", "margin", "positives", "temperature", "hard_negatives"}  # margin etc.: by the loss
MAY_STAY_OPEN = {
    "threads",
    "image_size",
    "select_by",
    "answers",
    "threshold",
    "threshold_for",
    "predict",
} | FOR_RETRIEVAL
FACTS = [
    ("classification", ("text", "image"), 160),
    ("classification", ("text", "image"), 50_000, 64),
    ("classification", ("text",), 8),
    ("multilabel", ("image", "text", "tabular"), 9_000, 480),
    ("regression", ("tabular", "text"), 1_000),
    ("matching", ("image", "text"), 20_000, 400),
    ("vqa", ("image", "text"), 30_000, 64),
    ("vqa", ("image", "text"), 300, 400),
    ("captioning", ("image",), 7_500, 224),
    ("vqa_open", ("image", "text"), 30_000, 64),
]


@pytest.mark.parametrize("given", FACTS, ids=lambda given: f"{given[0]}-{given[2]}")
def test_every_recipe_leaves_nothing_open(given: tuple[Any, ...]) -> None:
    facts = Facts(*given)
    for recipe in RECIPES.names():
        done = resolve(RunSettings(recipe=recipe), facts)
        groups = (done.encoders, done.fusion, done.task, done.train)
        for group in (*groups, *([done.language] if done.task.head == "generate" else [])):
            open_fields = {f.name for f in dataclasses.fields(group) if getattr(group, f.name) is None}
            assert open_fields <= MAY_STAY_OPEN
        assert done.task.name == facts.task
        assert done.fusion.name in FUSIONS and done.task.head in HEADS
        assert resolve(done, facts) == done  # a resolved run.yaml resolves to itself
        assert from_dict(RunSettings, to_dict(done)) == done


def test_a_recipe_never_overrides_the_user() -> None:
    for recipe, given in product(RECIPES.names(), FACTS):
        facts = Facts(*given)
        mine = RunSettings(
            recipe=recipe,
            encoders=EncoderSettings(
                image_size=64, image_crops="six", text_cleaning="none", words=0, numbers="periodic",
                categories="compact",
            ),
            fusion=FusionSettings(name="gated", alternative="none", width=3, dropout=0.0, scaling="features"),
            task=TaskSettings(head="label", class_weights=False, select_by="accuracy"),
            train=TrainSettings(
                epochs=1, batch_size=3, optimizer="sgd", learning_rate=0.5, weight_decay=0.0, schedule="linear",
                warmup=0.0, patience=0, modality_dropout=0.0, modality_dropout_pattern="subset", alignment=0.0,
                auxiliary=0.0, gradient_blending=False, ogm=0.0, orthogonality=0.0, ema=0.5, min_steps=7, opm=0.0,
                umt=0.0, mmpareto=0.0, comm=0.0, lemda=0.0, encoder_learning_rate=0.25, layer_decay=0.75,
            ),
        )  # fmt: skip
        if facts.task in ("captioning", "vqa_open"):
            with pytest.raises(ValueError, match="writes text takes task.head=generate, not label"):
                resolve(mine, facts)
            continue
        done = resolve(mine, facts)
        assert (done.encoders, done.fusion, done.train) == (mine.encoders, mine.fusion, mine.train)
        assert (done.task.head, done.task.class_weights, done.task.select_by) == ("label", False, "accuracy")


def test_classic_is_the_founding_recipe() -> None:
    done = resolve(RunSettings(recipe="classic"), Facts(*FACTS[0]))
    assert (done.fusion.name, done.fusion.width, done.fusion.options) == (
        "weighted_sum", 512, {"raw": True, "normalise": False},
    )  # fmt: skip
    assert (done.train.optimizer, done.train.learning_rate, done.train.momentum) == ("sgd", 0.01, 0.9)
    assert (done.train.schedule, done.train.warmup, done.train.epochs) == ("constant", 0.0, 10)
    three = resolve(RunSettings(recipe="classic"), Facts(*FACTS[3]))
    assert three.fusion.options["raw"] is False


def test_options_go_with_the_fusion_they_belong_to() -> None:
    classic = RunSettings(recipe="classic", fusion=FusionSettings(name="concat", options={"hidden_layers": 2}))
    assert resolve(classic, Facts(*FACTS[0])).fusion.options == {"hidden_layers": 2}
    mixed = RunSettings(recipe="classic", fusion=FusionSettings(options={"raw": False}))
    assert resolve(mixed, Facts(*FACTS[0])).fusion.options == {"raw": False, "normalise": False}


def test_one_modality_has_nothing_to_gate() -> None:
    assert resolve(RunSettings(), Facts(*FACTS[2])).fusion.name == "concat"
    assert resolve(RunSettings(), Facts(*FACTS[0])).fusion.name == "gated"


def test_matching_gets_the_pair_head_and_its_fusion() -> None:
    done = resolve(RunSettings(), Facts(*FACTS[5]))
    assert (done.fusion.name, done.task.head) == ("cosine", "pair")
    assert done.train.alignment is not None and done.train.alignment > 0
    other = resolve(RunSettings(fusion=FusionSettings(name="product")), Facts(*FACTS[5]))
    assert (other.fusion.name, other.task.head) == ("product", "label")
    assert (other.fusion.width, other.fusion.options) == (512, {})


@pytest.mark.parametrize(
    ("task", "side", "words", "options"),
    [("retrieval", 288, 256, {"copies": 3, "canonical": True}), ("matching", 288, 0, {"copies": 2, "canonical": True})],
)
def test_two_sides_get_towers(task: str, side: int, words: int, options: dict[str, Any]) -> None:
    facts = Facts(task, ("image", "text"), 7_500, 400)
    done = resolve(RunSettings(), facts)
    assert (done.encoders.image_size, done.encoders.words) == (side, words)
    assert (done.fusion.width, done.fusion.options) == (512 * options["copies"], options)
    assert resolve(done, facts) == done
    assert resolve(RunSettings(), Facts(task, ("image", "audio"), 7_500, 400)).encoders.words == 0
    odd = resolve(RunSettings(fusion=FusionSettings(width=35)), facts).fusion
    assert (odd.width, odd.options.get("copies", 1)) == (35, 1)
    even = resolve(RunSettings(fusion=FusionSettings(width=1024)), facts).fusion
    assert (even.width, even.options.get("copies", 1)) == (1024, 2)
    one = resolve(RunSettings(fusion=FusionSettings(options={"copies": 1})), facts).fusion
    assert (one.width, one.options) == (512, {"copies": 1})
    none, trained = (
        resolve(RunSettings(fusion=FusionSettings(options={"canonical": False})), facts).fusion,
        options["copies"] - 1,
    )
    assert (none.width, none.options) == (512 * trained, {"copies": trained, "canonical": False})
    three = resolve(RunSettings(fusion=FusionSettings(options={"copies": 3})), facts).fusion
    assert (three.width, three.options) == (1536, {"copies": 3})
    other = resolve(RunSettings(encoders=EncoderSettings(image="timm:resnet18", words=0)), facts).encoders
    assert (other.image_size, other.words) == (224, 0)


@pytest.mark.parametrize("task", ["matching", "retrieval"])
def test_two_sides_read_corners_of_pictures_where_that_is_affordable_and_was_measured(task: str) -> None:
    def crops(rows: int = 7_500, side: int = 400, **encoders: Any) -> str | None:
        settings = RunSettings(encoders=EncoderSettings(**encoders))
        return resolve(settings, Facts(task, ("image", "text"), rows, side)).encoders.image_crops

    assert crops() == crops(50_000) == "diagonal"
    assert crops(50_001) == crops(side=64) == crops(image="timm:resnet18") == crops(tuning="lora") == "whole"
    assert crops(tuning_of={"photo": "full"}) == "whole"
    assert crops(90_000, image_crops="six") == "six" and crops(image_crops="whole") == "whole"
    facts = Facts("classification", ("image", "text"), 500, 400)
    assert resolve(RunSettings(), facts).encoders.image_crops == "whole"


@pytest.mark.parametrize(
    ("rows", "largest", "wanted"),
    [(160, 256, 8), (320, 256, 16), (319, 256, 8), (5120, 256, 256), (10**6, 64, 64), (1, 256, 8)],
)
def test_batches_leave_twenty_steps(rows: int, largest: int, wanted: int) -> None:
    from plait.training.recipes import small_batch

    assert small_batch(rows, largest) == wanted


def test_sentiment_cleans_texts_and_weighs_classes() -> None:
    done, plain = resolve(RunSettings(recipe="sentiment"), Facts(*FACTS[0])), resolve(RunSettings(), Facts(*FACTS[0]))
    assert (done.encoders.text_cleaning, done.task.class_weights, done.task.select_by) == ("social", True, "f1_macro")
    assert (plain.encoders.text_cleaning, plain.task.class_weights, plain.task.select_by) == ("none", False, None)
    assert (done.fusion, done.train) == (plain.fusion, plain.train)
    number = resolve(RunSettings(recipe="sentiment"), Facts(*FACTS[4]))
    assert (number.task.class_weights, number.task.select_by) == (False, None)


def test_unknown_recipe() -> None:
    with pytest.raises(ValueError, match="unknown recipe 'clasic'. Did you mean 'classic'"):
        resolve(RunSettings(recipe="clasic"), Facts(*FACTS[0]))


def test_retrieval_gets_towers_and_the_whole_set_as_one_batch() -> None:
    facts = Facts("retrieval", ("image", "text"), 7_500, 224)
    done = resolve(RunSettings(), facts)
    assert (done.fusion.name, done.task.head, done.task.loss, done.task.hubs) == ("cosine", "towers", "infonce", True)
    assert done.task.positives == "group" and done.encoders.image_size == 288
    assert resolve(done, facts) == done
    other = resolve(
        RunSettings(encoders=EncoderSettings(image="timm:resnet18"), task=TaskSettings(loss="siglip")), facts
    )
    assert other.encoders.image_size == 224 and other.task.positives is None
    whole = RunSettings(train=TrainSettings(batch_size=0))
    assert resolve(whole, facts).train.batch_size == 7_500
    assert resolve(whole, Facts("retrieval", ("image", "text"), 90_000, 224)).train.batch_size == 8_192
    with pytest.raises(ValueError, match="towers head"):
        resolve(RunSettings(task=TaskSettings(head="label")), facts)


def test_encoders_of_single_columns_count_for_the_side_of_images() -> None:
    facts = Facts("retrieval", ("image", "text"), 1000, 400)
    for columns, side in (
        ({}, 288),
        ({"zh": "e5-small-multilingual", "fr": "scratch:text"}, 288),
        ({"photo": "timm:resnet50"}, 224),
    ):
        settings = RunSettings(encoders=EncoderSettings(columns=columns))
        assert resolve(settings, facts).encoders.image_size == side


def test_retrieval_has_no_learned_absence() -> None:
    settings = RunSettings(fusion=FusionSettings(absence="learned"))
    with pytest.raises(ValueError, match="leave fusion.absence=learned out"):
        resolve(settings, Facts("retrieval", ("image", "text"), 1000))


def test_encoders_with_a_processor_file_are_fed_as_it_says() -> None:
    facts = Facts("classification", ("text", "image"), 500, 64)
    own = EncoderSettings(image="hf:some/vit")
    assert resolve(RunSettings(encoders=own), facts).encoders.image_size is None
    asked = dataclasses.replace(own, image_size=64)
    assert resolve(RunSettings(encoders=asked), facts).encoders.image_size == 64
    mixed = dataclasses.replace(own, columns={"photo": "efficientnet-lite0"})
    assert resolve(RunSettings(encoders=mixed), facts).encoders.image_size == 96


@pytest.mark.parametrize("task", ["classification", "vqa", "vqa_open"])
@pytest.mark.parametrize(
    ("rows", "batch"),
    [(5_000, 32), (6_006, 64), (10_000, 64), (12_000, 128), (20_000, 128), (21_504, 256), (38_575, 256), (10**6, 256)],
)
def test_six_epochs_over_tokens_are_five_hundred_steps(task: str, rows: int, batch: int) -> None:
    facts = Facts(task, ("text", "image"), rows, 64)
    done = resolve(RunSettings(), facts).train
    assert (done.epochs, done.patience, done.batch_size) == (6, 2, batch)
    assert done.epochs * -(-rows // batch) >= 500
    large = resolve(RunSettings(train=TrainSettings(batch_size=256)), facts).train
    assert large.epochs == max(6, -(-500 // -(-rows // 256)))


@pytest.mark.parametrize("task", ["classification", "vqa"])
@pytest.mark.parametrize(
    ("rows", "alternative"), [(4_999, "none"), (5_000, "product"), (19_999, "product"), (20_000, "none")]
)
def test_a_fusion_of_vectors_is_trained_beside_that_of_tokens(task: str, rows: int, alternative: str) -> None:
    facts = Facts(task, ("text", "image"), rows, 400)
    assert resolve(RunSettings(), facts).fusion.alternative == alternative
    assert resolve(RunSettings(), Facts(task, ("text", "tabular"), rows)).fusion.alternative == "none"
    other = with_alternative(RunSettings(), facts)
    if alternative == "none":
        assert other is None
        return
    assert other is not None and resolve(other, facts) == other
    assert (other.fusion.name, other.fusion.width, other.fusion.dropout) == ("product", 256, 0.3)
    assert (other.train.epochs, other.train.patience, other.train.modality_dropout) == (30, 8, 0.1)
    assert other.train.batch_size == min(256, 2 ** int(np.log2(rows / 20)))
    mine = RunSettings(fusion=FusionSettings(dropout=0.2), train=TrainSettings(epochs=3))
    kept = with_alternative(mine, facts)
    assert kept is not None and (kept.fusion.dropout, kept.train.epochs, kept.train.patience) == (0.2, 3, 8)
    named = RunSettings(fusion=FusionSettings(name="co_attention"))
    assert with_alternative(named, facts) is None and resolve(named, facts).fusion.alternative == "none"


def test_a_head_that_goes_with_one_fusion_has_no_alternative() -> None:
    asked = RunSettings(fusion=FusionSettings(alternative="product"))
    with pytest.raises(ValueError, match="retrieval has the head towers, which goes with one fusion; leave fusion.alt"):
        with_alternative(asked, Facts("retrieval", ("image", "text"), 7_500, 224))
