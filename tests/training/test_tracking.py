"""Runs in trackers: TensorBoard for real, the others where they are installed, and how a run begins, ends and fails."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import plait
from fixtures.settings import SCRATCH
from plait.settings.trackers import TRACKER_NAMES, check_trackers_there, tracker_names

ROWS = [{"text": f"{'good' if i % 2 else 'poor'} thing {i}", "n": i % 5, "y": "ab"[i % 2]} for i in range(60)]


def fit(**given: Any) -> plait.Plait:
    settings = [*SCRATCH, "judge.missing_rows=0"]
    return plait.fit(ROWS, "y", fusion="concat", epochs=2, set=settings, progress=False, **given)


def test_names_are_read_and_mistyped_ones_refused() -> None:
    assert tracker_names(" mlflow,wandb,mlflow ") == ["mlflow", "wandb"]
    assert tracker_names(["trackio"]) == ["trackio"] and tracker_names(None) == tracker_names("") == []
    with pytest.raises(ValueError, match=r"unknown tracker 'mlfow' \(log_to=\). Did you mean 'mlflow'\? Known: mlflow"):
        fit(log_to="mlfow")
    with pytest.raises(ValueError, match="train.log_to.*'mlfow'"):
        plait.fit(ROWS, "y", set=["train.log_to=[mlfow]"])


def test_every_name_has_its_file() -> None:
    from plait.training.tracking import OPENERS

    assert sorted(OPENERS) == sorted(TRACKER_NAMES)


def test_a_tracker_that_is_not_installed_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.settings import trackers

    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="log_to='wandb' needs wandb, not installed here; type pip install wandb"):
        fit(log_to="wandb")
    with pytest.raises(ValueError, match=r'type pip install "plait\[tensorboard\]"'):
        check_trackers_there(["tensorboard"])


def test_run_yaml_of_before_is_read(tmp_path: Path) -> None:
    from plait.settings import read_settings

    path = tmp_path / "run.yaml"
    for old, now in (("true", ("tensorboard",)), ("false", ())):
        path.write_text(f"train:\n  tensorboard: {old}\n  epochs: 3\n", encoding="utf-8")
        assert (read_settings(path).train.log_to, read_settings(path).train.epochs) == (now, 3)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.rglob("events.out.tfevents*")):
        log = EventAccumulator(str(file))
        log.Reload()
        found |= {tag: [(e.step, e.value) for e in log.Scalars(tag)] for tag in log.Tags()["scalars"]}
        texts = {tag: log.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in log.Tags()["tensors"]}
        found |= {tag: [(0, text)] for tag, text in texts.items()}  # type: ignore[misc]
    return found


@pytest.mark.parametrize("has_folder", [True, False])
def test_tensorboard_has_settings_epochs_evaluation_and_verdict(
    has_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="extra tensorboard")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    model = fit(log_to="tensorboard", **({"output": "model"} if has_folder else {}))
    (told,) = model.report["logged"]
    folder = tmp_path / ("model/logs" if has_folder else "runs")
    assert told["tracker"] == "tensorboard" and Path(told["place"]).is_relative_to(folder)
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ
    found = scalars(folder)
    steps = [step for step, _ in found["train/loss"]]
    assert len(steps) == 2 and steps == [step for step, _ in found["eval/accuracy"]]
    for name, prefix in (("train_loss", "train/loss"), ("val_accuracy", "eval/accuracy")):
        assert [v for _, v in found[prefix]] == pytest.approx([e[name] for e in model.report["history"]])
    accuracy = model.report["evaluation"]["metrics"]["accuracy"]
    assert found["test/accuracy"][0][1] == pytest.approx(accuracy["value"])
    assert found["test/accuracy_low"][0][1] == pytest.approx(accuracy["low"])
    assert "test/accuracy_text_alone" in found
    assert found["verdict/text_summary"][0][1] == model.report["verdict"]
    told = str(found["args/text_summary"][0][1])
    assert '"train.epochs": 2' in told and '"fusion.name": "concat"' in told and "output_dir" not in told
    if has_folder:
        again = plait.load("model")
        assert again.settings.train.log_to == ("tensorboard",) and "logged" not in again.report


class PlayedRun:
    """A tracker that only remembers."""

    made: list[PlayedRun] = []
    breaks = ""
    environment: Mapping[str, str] = {"PLAYED_VARIABLE": "mine"}

    def __init__(self, facts: Any) -> None:
        if self.breaks == "open":
            raise OSError("no answer from the server\nat all")
        self.facts, self.name, self.place, self.ended = facts, facts.name, "here", ""
        PlayedRun.made.append(self)

    def finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        if self.breaks == "finish":
            raise OSError("the server is gone")
        self.ended, self.numbers, self.texts = "finished", dict(numbers), dict(texts)

    def fail(self) -> None:
        self.ended = "failed"


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PlayedRun]]:
    """TensorBoard's place is taken; the Trainer's own callback writes beside the checkpoints, which go."""
    from plait.training.tracking import OPENERS

    pytest.importorskip("tensorboard", reason="extra tensorboard")
    monkeypatch.setitem(OPENERS._records, "tensorboard", PlayedRun)
    monkeypatch.setattr(PlayedRun, "made", [])
    yield PlayedRun


def test_a_run_gets_its_own_name_and_every_setting(played: type[PlayedRun], tmp_path: Path) -> None:
    model = fit(log_to=["tensorboard"], output=tmp_path / "chairs")
    (run,) = played.made
    assert run.facts.name.startswith("chairs-20") and run.ended == "finished"
    assert run.facts.parameters["train.epochs"] == 2 and run.facts.parameters["plait"] == plait.__version__
    assert run.facts.parameters["data.target"] == "y" and None not in run.facts.parameters.values()
    value = model.report["evaluation"]["metrics"]["accuracy"]["value"]
    assert run.numbers["test_accuracy"] == value and run.texts["answered_by"] == "concat"


def test_a_training_that_fails_ends_the_run_as_failed(played: type[PlayedRun], monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.ensemble.networks import NetworkFits

    def stops(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(NetworkFits, "__call__", stops)
    with pytest.raises(KeyboardInterrupt):
        fit(log_to="tensorboard")
    assert [run.ended for run in played.made] == ["failed"]


def test_a_server_that_is_gone_costs_no_model(played: type[PlayedRun], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(played, "breaks", "open")
    with pytest.raises(
        ValueError, match="no run could be opened .OSError: no answer from the server., and nothing was"
    ):
        fit(log_to="tensorboard")
    monkeypatch.setattr(played, "breaks", "finish")
    with pytest.warns(UserWarning, match="did not take the numbers of the evaluation .OSError: the server is gone"):
        model = fit(log_to="tensorboard")
    assert len(model.predict(ROWS)) == 60


def test_variables_of_the_user_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.training.tracking.base import RunFacts, Tracking

    tracking = Tracking(("played",), RunFacts("a", {}, None))
    tracking.runs.append(PlayedRun(tracking.facts))
    with tracking.training():
        assert os.environ["PLAYED_VARIABLE"] == "mine"
    assert "PLAYED_VARIABLE" not in os.environ
    monkeypatch.setenv("PLAYED_VARIABLE", "theirs")
    with tracking.training():
        assert os.environ["PLAYED_VARIABLE"] == "theirs"
    assert os.environ["PLAYED_VARIABLE"] == "theirs"


@pytest.mark.slow
def test_mlflow_has_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow", reason="extra mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    model = fit(log_to="mlflow", output="model")
    assert (tmp_path / "mlflow.db").is_file()
    (run,) = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").search_runs(
        [mlflow.get_experiment_by_name("plait").experiment_id]
    )
    assert run.info.status == "FINISHED" and run.data.params["train.epochs"] == "2"
    assert run.data.metrics["test_accuracy"] == model.report["evaluation"]["metrics"]["accuracy"]["value"]
    assert run.data.tags["plait.verdict"] == model.report["verdict"]


@pytest.mark.slow
def test_wandb_writes_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="extra wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.chdir(tmp_path)
    fit(log_to="wandb", output="model")
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert b"test_accuracy" in file.read_bytes() and b"train.epochs" in file.read_bytes()
