"""Fine-tuning: the rate of each layer, and what recipes choose where encoders are trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.lazy import lazy
from fixtures.training import SETTINGS, make_model
from plait.settings import EncoderSettings, RunSettings, TrainSettings, set_values

hf, torch = lazy("transformers"), lazy("torch")
Facts, resolve = lazy("plait.training.recipes", "Facts", "resolve")
make_optimizer = lazy("plait.training.optimizer", "make_optimizer")
load_encoder, set_tuning = lazy("plait.encoders", "load_encoder", "set_tuning")
epoch_time = lazy("plait.training.pace", "epoch_time")
quiet_transformers = lazy("plait.encoders.checkpoint", "quiet_transformers")
LAYERS = 3


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("bert")
    (place / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred")
    hf.BertTokenizerFast(vocab=str(place / "vocab.txt")).save_pretrained(place)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
    with quiet_transformers():
        hf.BertModel(hf.BertConfig(vocab_size=6, **sizes)).save_pretrained(place)
    return f"hf:{place}"


def rates(bert: str, mode: str, settings: TrainSettings) -> dict[str, float]:
    """The rate of each weight of an encoder that is tuned, by name."""
    encoder, _ = load_encoder(bert, "text")
    set_tuning(encoder, mode)
    entry = {"name": "t", "kind": "text", "vector_dim": 16, "token_dim": 16, "encoder": encoder.config()}
    model = make_model(modalities=[entry])
    rate = {id(p): g["lr"] for g in make_optimizer(model, settings).param_groups for p in g["params"]}
    named = model.encoders["0"].named_parameters()
    assert {g for n, p in model.head.named_parameters() for g in [rate[id(p)]]} == {settings.learning_rate}
    return {name: rate[id(p)] for name, p in named if id(p) in rate}


def test_weights_learn_more_slowly_the_more_blocks_stand_behind_them(bert: str) -> None:
    settings = replace(SETTINGS, encoder_learning_rate=1e-3, layer_decay=0.5)
    found = rates(bert, "full", settings)
    for layer, rate in ((2, 1e-3), (1, 5e-4), (0, 2.5e-4)):
        inside = {r for name, r in found.items() if f"layer.{layer}." in name}
        assert inside == {rate}
    assert {r for name, r in found.items() if "embeddings" in name} == {1.25e-4}


def test_without_decay_and_under_lora_all_layers_learn_alike(bert: str) -> None:
    settings = replace(SETTINGS, encoder_learning_rate=1e-3, layer_decay=1.0)
    assert set(rates(bert, "full", settings).values()) == {1e-3}
    pytest.importorskip("peft", reason="extra peft")
    assert set(rates(bert, "lora", replace(settings, layer_decay=0.5)).values()) == {1e-3}


@pytest.mark.parametrize(
    ("encoders", "rate", "decay"),
    [
        ({"tuning": "last_n"}, 2e-5, 1.0),
        ({"tuning": "full"}, 2e-5, 0.9),
        ({"tuning": "lora"}, 1e-4, 1.0),
        ({"tuning_of": {"text": "lora"}}, 1e-4, 1.0),
        ({"tuning_of": {"text": "lora", "image": "full"}}, 2e-5, 0.9),
    ],
)
def test_a_recipe_trains_encoders_gently_and_briefly(encoders: dict[str, Any], rate: float, decay: float) -> None:
    done = resolve(RunSettings(encoders=EncoderSettings(**encoders)), Facts("classification", ("text", "image"), 1100))
    train = done.train
    assert (train.encoder_learning_rate, train.layer_decay, train.learning_rate) == (rate, decay, 1e-3)
    assert (train.epochs, train.warmup, train.patience, train.schedule) == (3, 0.1, 0, "cosine")


def test_a_small_table_is_tuned_for_as_many_steps_as_it_takes() -> None:
    done = resolve(RunSettings(encoders=EncoderSettings(tuning="last_n")), Facts("classification", ("text",), 200))
    assert done.train.epochs is not None and done.train.batch_size == 8  # 25 steps an epoch
    assert done.train.epochs == 4


def test_frozen_encoders_the_users_own_choice_and_the_founding_recipe_stay_as_they_are() -> None:
    facts = Facts("classification", ("text", "image"), 1100)
    assert resolve(RunSettings(), facts).train.epochs == 30
    assert resolve(set_values(RunSettings(), ["encoders.tuning_of.text=frozen"]), facts).train.epochs == 30
    own = ["encoders.tuning=lora", "train.epochs=7", "train.encoder_learning_rate=0.001", "train.layer_decay=0.5"]
    train = resolve(set_values(RunSettings(), own), facts).train
    assert (train.epochs, train.encoder_learning_rate, train.layer_decay) == (7, 0.001, 0.5)
    assert resolve(RunSettings(recipe="classic", encoders=EncoderSettings(tuning="full")), facts).train.epochs == 10


@pytest.mark.parametrize("wrong", ["train.layer_decay=0", "train.layer_decay=1.1", "train.encoder_learning_rate=0"])
def test_rates_outside_their_range_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="above 0"):
        set_values(RunSettings(), [wrong])


def test_long_epochs_say_how_long_they_take() -> None:
    assert epoch_time(seconds=30.0, steps=3, steps_per_epoch=100) == "an epoch takes about 17 min"
    assert epoch_time(seconds=3.0, steps=3, steps_per_epoch=20) is None  # 20 s: seen soon enough
    assert epoch_time(seconds=0.0, steps=0, steps_per_epoch=20) is None


def test_progress_says_how_long_an_epoch_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fixtures.training import Judge, make_rows
    from plait.training import pace, trainer

    monkeypatch.setattr(pace, "WORTH_SAYING", 0.0)
    lines: list[str] = []
    settings = replace(SETTINGS, epochs=1)
    trainer.train_model(
        make_model(), make_rows(), settings, tmp_path, score=Judge(), progress=lambda d, t, what: lines.append(what)
    )
    assert "an epoch takes about" not in lines[0] and "an epoch takes about" in lines[2]
