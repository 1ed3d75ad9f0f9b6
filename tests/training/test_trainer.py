"""Training: deterministic, resumable without a difference, stopped and restored as promised."""

from __future__ import annotations

import csv
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures.lazy import lazy
from fixtures.training import SETTINGS, Judge, PowerCutError, largest_difference, make_model, make_rows
from plait.encoders import TabularEncoder
from plait.inference.forward import predict_logits

make_optimizer = lazy("plait.training.optimizer", "make_optimizer")
last_checkpoint, train_model = lazy("plait.training.trainer", "last_checkpoint", "train_model")


def test_same_seed_same_weights_other_seed_other_weights(tmp_path: Path) -> None:
    models = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        model = make_model()
        train_model(model, make_rows(), replace(SETTINGS, seed=seed), tmp_path / name, score=Judge())
        models.append(model)
    assert largest_difference(models[0], models[1]) == 0.0
    assert largest_difference(models[0], models[2]) > 0.0


def test_training_leaves_the_config_that_a_loaded_model_has(tmp_path: Path) -> None:
    """The Trainer wrote ``use_cache`` there; a model that was loaded and saved lacked it, so its files were others."""
    model = make_model()
    before = model.config.to_dict()
    train_model(model, make_rows(), replace(SETTINGS, epochs=1), tmp_path / "run")
    assert model.config.to_dict() == before


def test_without_checkpoints_the_same_weights_and_no_files(tmp_path: Path) -> None:
    models = [make_model(), make_model()]
    for model, checkpoints in zip(models, (True, False), strict=True):
        folder = tmp_path / str(checkpoints)
        train_model(model, make_rows(), SETTINGS, folder, score=Judge(), checkpoints=checkpoints)
    assert largest_difference(*models) == 0.0
    assert last_checkpoint(tmp_path / "True") is not None
    assert not [p for p in (tmp_path / "False").rglob("*") if p.is_file()]


def test_training_learns(tmp_path: Path) -> None:
    model = make_model()
    history = train_model(model, make_rows(), replace(SETTINGS, epochs=20), tmp_path / "run", score=Judge())
    assert history.best_score is not None and history.best_score > 0.9
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]
    assert len(history.epochs) == 20
    assert not model.training


@pytest.mark.parametrize("cut_at", [2, 4, 5])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_resumed_run_equals_the_straight_run_exactly(tmp_path: Path, cut_at: int, optimizer: str) -> None:
    settings = replace(SETTINGS, optimizer=optimizer)
    straight, resumed = make_model(), make_model()
    whole = train_model(straight, make_rows(fresh=True), settings, tmp_path / "straight", score=Judge())
    with pytest.raises(PowerCutError):
        train_model(resumed, make_rows(fresh=True), settings, tmp_path / "cut", score=Judge(cut_at=cut_at))
    resumed = make_model(seed=99)  # a fresh process does not have the old weights
    torch.manual_seed(1234)
    rest = train_model(resumed, make_rows(fresh=True), settings, tmp_path / "cut", score=Judge(), resume=True)
    assert rest.resumed_from == cut_at - 1
    assert largest_difference(straight, resumed) == 0.0
    assert rest.epochs == whole.epochs
    assert (rest.best_epoch, rest.best_score) == (whole.best_epoch, whole.best_score)


def test_resume_after_the_end_trains_nothing_more(tmp_path: Path) -> None:
    first, again = make_model(), make_model(seed=9)
    train_model(first, make_rows(), SETTINGS, tmp_path / "run", score=Judge())
    judge = Judge()
    history = train_model(again, make_rows(), SETTINGS, tmp_path / "run", score=judge, resume=True)
    assert judge.calls == 0
    assert history.resumed_from == 5
    assert largest_difference(first, again) == 0.0


def test_half_written_checkpoint_is_ignored(tmp_path: Path) -> None:
    from plait.training.trainer import STATE_FILE

    straight, resumed = make_model(), make_model()
    train_model(straight, make_rows(), SETTINGS, tmp_path / "straight", score=Judge())
    with pytest.raises(PowerCutError):
        train_model(resumed, make_rows(), SETTINGS, tmp_path / "cut", score=Judge(cut_at=4))
    newest = last_checkpoint(tmp_path / "cut")
    assert newest is not None and newest.name == "checkpoint-18"
    (newest / STATE_FILE).rename(newest / (STATE_FILE + ".part"))  # cut while the mark was being written
    half = tmp_path / "cut" / "checkpoint-24"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"\0" * 10)
    older = last_checkpoint(tmp_path / "cut")
    assert older is not None and older.name == "checkpoint-12"
    resumed = make_model(seed=3)
    history = train_model(resumed, make_rows(), SETTINGS, tmp_path / "cut", score=Judge(), resume=True)
    assert history.resumed_from == 2
    assert largest_difference(straight, resumed) == 0.0


def test_without_resume_an_old_folder_counts_for_nothing(tmp_path: Path) -> None:
    first, second = make_model(), make_model()
    train_model(first, make_rows(), SETTINGS, tmp_path / "run", score=Judge())
    history = train_model(second, make_rows(), SETTINGS, tmp_path / "run", score=Judge())
    assert history.resumed_from == 0 and len(history.epochs) == 5
    assert largest_difference(first, second) == 0.0
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_best_epoch_is_restored(tmp_path: Path) -> None:
    model, judge = make_model(), Judge([0.1, 0.7, 0.3, 0.7, 0.2])
    history = train_model(model, make_rows(), SETTINGS, tmp_path / "run", score=judge)
    assert (history.best_epoch, history.best_score) == (2, 0.7)  # a tie goes to the earlier epoch
    assert all(torch.equal(v, judge.seen[1][k]) for k, v in model.state_dict().items())
    assert [e["val_accuracy"] for e in history.epochs] == [0.1, 0.7, 0.3, 0.7, 0.2]


def test_of_epochs_with_equal_scores_the_smaller_loss_wins_and_a_resumed_run_agrees(tmp_path: Path) -> None:
    scores, losses = [0.5, 1.0, 1.0, 1.0, 0.9], [0.9, 0.7, 0.2, 0.4, 0.1]
    model, judge = make_model(), Judge(scores, losses=losses)
    history = train_model(model, make_rows(), SETTINGS, tmp_path / "run", score=judge)
    assert (history.best_epoch, history.best_score, history.best_loss) == (3, 1.0, 0.2)
    assert all(torch.equal(v, judge.seen[2][k]) for k, v in model.state_dict().items())
    assert [e["val_loss"] for e in history.epochs] == losses
    with pytest.raises(PowerCutError):
        train_model(make_model(), make_rows(), SETTINGS, tmp_path / "cut", score=Judge(scores, 4, losses=losses))
    resumed = make_model(seed=9)
    rest = Judge(scores, start=3, losses=losses)
    after = train_model(resumed, make_rows(), SETTINGS, tmp_path / "cut", score=rest, resume=True)
    assert after.resumed_from == 3 and after.best_epoch == 3
    assert largest_difference(model, resumed) == 0.0


@pytest.mark.parametrize(
    ("scores", "losses", "best"),
    [
        ([math.nan, 0.9, 0.5], [0.1, 0.5, 0.1], 2),
        ([0.5, math.nan, 0.5], [0.5, 0.1, 0.6], 1),
        ([0.5, 0.5, 0.5], [math.nan, 0.4, math.nan], 2),
    ],
)
def test_what_is_not_a_number_is_not_measured(
    scores: list[float], losses: list[float], best: int, tmp_path: Path
) -> None:
    judge = Judge(scores, losses=losses)
    history = train_model(make_model(), make_rows(), replace(SETTINGS, epochs=3), tmp_path / "run", score=judge)
    assert history.best_epoch == best


def test_a_smaller_loss_starts_patience_anew_among_equal_scores(tmp_path: Path) -> None:
    losses = [0.9, 0.8, 0.7, 0.6, 0.65, 0.5, 0.7, 0.7, 0.7, 0.1]
    settings = replace(SETTINGS, epochs=10, patience=3)
    judge = Judge([1.0] * 10, losses=losses)
    history = train_model(make_model(), make_rows(), settings, tmp_path / "run", score=judge)
    assert (history.best_epoch, len(history.epochs)) == (6, 9)


def test_without_a_score_the_last_epoch_stays(tmp_path: Path) -> None:
    model = make_model()
    history = train_model(model, make_rows(), SETTINGS, tmp_path / "run")
    assert (history.best_epoch, history.best_score) == (5, None)


def test_an_epoch_without_a_score_does_not_replace_the_best(tmp_path: Path) -> None:
    model, judge = make_model(), Judge([0.7, 0.3, 0.2, 0.1, 0.0])

    def score(current: Any) -> dict[str, float]:
        numbers = judge(current)
        return numbers if judge.calls in (2, 3) else {"accuracy": numbers["accuracy"]}

    history = train_model(model, make_rows(), SETTINGS, tmp_path / "run", score=score)
    assert (history.best_epoch, history.best_score) == (2, 0.3)
    assert all(torch.equal(v, judge.seen[1][k]) for k, v in model.state_dict().items())
    never = train_model(make_model(), make_rows(), SETTINGS, tmp_path / "never", score=lambda m: {"accuracy": 0.5})
    assert (never.best_epoch, never.best_score) == (5, None)


def test_several_visible_accelerators_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import TrainingArguments

    one, two = make_model(), make_model()
    train_model(one, make_rows(), SETTINGS, tmp_path / "one")
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda self: 2))
    monkeypatch.setattr(torch.nn.DataParallel, "__init__", lambda *given: pytest.fail("wrapped in DataParallel"))
    train_model(two, make_rows(), SETTINGS, tmp_path / "two")
    assert largest_difference(one, two) == 0.0


def test_early_stopping_waits_for_patience_and_survives_resume(tmp_path: Path) -> None:
    scripted = [0.1, 0.6, 0.5, 0.6, 0.55, 0.9, 0.9, 0.9]
    settings = replace(SETTINGS, epochs=8, patience=3)
    model, judge = make_model(), Judge(scripted)
    history = train_model(model, make_rows(), settings, tmp_path / "run", score=judge)
    assert len(history.epochs) == 5 and history.best_epoch == 2
    again, more = make_model(seed=4), Judge(scripted, start=5)
    after = train_model(again, make_rows(), settings, tmp_path / "run", score=more, resume=True)
    assert more.calls == 5 and len(after.epochs) == 5
    assert largest_difference(model, again) == 0.0
    with pytest.raises(PowerCutError):
        train_model(make_model(), make_rows(), settings, tmp_path / "cut", score=Judge(scripted, cut_at=4))
    cut = make_model(seed=5)
    rest = train_model(cut, make_rows(), settings, tmp_path / "cut", score=Judge(scripted, start=3), resume=True)
    assert len(rest.epochs) == 5 and rest.best_epoch == 2
    assert largest_difference(model, cut) == 0.0


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.head.linear.bias[0] = float("nan")
    with pytest.raises(RuntimeError, match="loss became nan; lower the learning rate"):
        train_model(model, make_rows(), SETTINGS, tmp_path / "run", score=Judge())


def test_class_weights_move_the_predictions(tmp_path: Path) -> None:
    shares = []
    for weights in ([10.0, 0.1], None, [0.1, 10.0]):
        model = make_model(class_weights=weights)
        train_model(model, make_rows(), SETTINGS, tmp_path / "run")
        shares.append(float((predict_logits(model, make_rows()).argmax(1) == 1).mean()))
    assert shares[0] < shares[1] < shares[2]


def test_nothing_is_pickled_by_plait_and_the_best_file_is_a_tensor_file(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from plait.training.best_weights import BEST_FILE

    model = make_model()
    train_model(model, make_rows(), SETTINGS, tmp_path / "run", score=Judge([0.1, 0.2, 0.9, 0.3, 0.4]))
    newest = last_checkpoint(tmp_path / "run")
    assert newest is not None and newest.name == "checkpoint-30"
    best = load_file(newest / BEST_FILE)
    assert all(torch.equal(v, best[k]) for k, v in model.state_dict().items())
    assert len(list((tmp_path / "run").glob("checkpoint-*"))) == 2
    shutil.rmtree(tmp_path / "run")


def test_optimizer_groups() -> None:
    model = make_model()
    optimizer = make_optimizer(model, replace(SETTINGS, weight_decay=0.5))
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for parameter in model.parameters():
        assert decays[id(parameter)] == (0.5 if parameter.ndim > 1 else 0.0)
    model.fusion.requires_grad_(False)
    held = [p for g in make_optimizer(model, SETTINGS).param_groups for p in g["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.head.parameters()}
    sgd = make_optimizer(model, replace(SETTINGS, optimizer="sgd", momentum=0.7))
    assert isinstance(sgd, torch.optim.SGD) and sgd.param_groups[0]["momentum"] == 0.7


def test_only_pretrained_encoders_learn_at_the_small_rate() -> None:
    tabular = TabularEncoder(2, [3], 8)
    entry = {"name": "t", "kind": "tabular", "vector_dim": 8, "token_dim": 8, "encoder": tabular.config()}
    model = make_model(modalities=[entry])
    settings = replace(SETTINGS, encoder_learning_rate=1e-5)

    def rates() -> set[float]:
        optimizer = make_optimizer(model, settings)
        inside = {id(p) for p in model.encoders.parameters()}
        return {g["lr"] for g in optimizer.param_groups if {id(p) for p in g["params"]} & inside}

    assert rates() == {0.01}
    model.encoders["0"].is_pretrained = True  # type: ignore[assignment]
    assert rates() == {0.01, 1e-5}  # the tables of numbers lie outside the network itself


def test_progress_tells_steps_and_epochs(tmp_path: Path) -> None:
    lines: list[tuple[int, int, str]] = []
    train_model(
        make_model(), make_rows(), replace(SETTINGS, epochs=2), tmp_path / "run", score=Judge([0.25, 0.5]),
        progress=lambda *line: lines.append(line), what="training b alone",
    )  # fmt: skip
    assert [line[0] for line in lines] == [1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12, 12]
    assert {line[1] for line in lines} == {12}
    assert lines[0][2] == "training b alone epoch 1/2"
    assert lines[-1][2] == "training b alone epoch 2/2, accuracy 0.500"


def test_history_is_written_as_csv(tmp_path: Path) -> None:
    from plait.training.history import History

    history = History([{"epoch": 1.0, "train_loss": 0.5}, {"epoch": 2.0, "train_loss": 0.25, "val_a": 1}])
    history.write(tmp_path / "h.csv")
    with (tmp_path / "h.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"epoch": "1.0", "train_loss": "0.5", "val_a": ""}
    assert rows[1]["val_a"] == "1"
