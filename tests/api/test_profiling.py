"""Where the time goes: nested seconds add up, answers stay, everything is put back, any verb can be profiled."""

from __future__ import annotations

import builtins
import importlib
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plait
from fixtures.lazy import lazy

Clock = lazy("plait.api.profiling.spans", "Clock")
timed_function = lazy("plait.api.profiling.points", "_timed_function")
QUICK = ["fusion.width=8", "train.threads=1", "train.baselines=false", "judge.missing_rows=0"]


def rows(count: int = 60) -> dict[str, list[Any]]:
    rng = np.random.default_rng(3)
    left = rng.normal(size=(count, 4))
    return {
        "left": left.tolist(), "number": rng.normal(size=count).tolist(),
        "label": ["up" if v > 0 else "down" for v in left[:, 0]],
    }  # fmt: skip


def fitted(**options: Any) -> Any:
    return plait.fit(rows(), "label", vector="left", preset="single", epochs=3, set=QUICK, seed=1, **options)


class Watch:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_a_second_belongs_to_the_innermost_phase_and_other_threads_are_apart() -> None:
    watch = Watch()
    clock = Clock(watch)
    with clock.span("outer"):
        watch.time += 2.0
        with clock.span("inner"):
            watch.time += 5.0
            with clock.span("outer"):
                watch.time += 1.0
        watch.time += 1.5

    def beside() -> None:
        with clock.span("inner"):
            watch.time += 7.0

    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
    assert clock.spent["outer"].seconds == pytest.approx(4.5) and clock.spent["outer"].calls == 2
    assert clock.spent["inner"].seconds == pytest.approx(5.0)
    assert clock.spent["inner"].in_threads == pytest.approx(7.0)


def test_a_span_that_fails_is_closed() -> None:
    watch = Watch()
    clock = Clock(watch)
    with clock.span("outer"):
        with pytest.raises(ValueError, match="no"), clock.span("inner"):
            watch.time += 3.0
            raise ValueError("no")
        watch.time += 1.0
    assert (clock.spent["inner"].seconds, clock.spent["outer"].seconds) == (3.0, 1.0)


def test_every_point_names_a_function_that_is_there() -> None:
    from plait.api.profiling.points import POINTS

    for point in POINTS:
        module, _, path = point.place.partition(":")
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        assert callable(found), point


def test_operations_are_those_of_the_product() -> None:
    import torch

    from plait.api.profiling.points import POINTS

    point = next(p for p in POINTS if p.phase == "encode: forward pass")
    clock, weight = Clock(), torch.ones(8, 4)
    product = timed_function(lambda run, inputs, number: inputs @ weight, point, clock, lambda run: ("float32", 1))
    product(None, torch.ones(3, 8), 3)
    spent = clock.spent["encode: forward pass"]
    assert (spent.all_flops, spent.amount, spent.calls) == (2 * 3 * 8 * 4, 3.0, 1)
    assert clock.precision == {"encode: forward pass": "float32"}


def test_openvino_encodes_under_a_profile_as_without() -> None:
    """Operations counted while its network is traced would be part of the trace."""
    pytest.importorskip("openvino", reason="extra openvino")
    import torch

    from fixtures.media import noise_png
    from plait.encoders.image import TimmEncoder
    from plait.inputs.feature_store import FeatureStore, encode_items
    from plait.processors import ImageProcessor

    torch.manual_seed(0)
    encoder = TimmEncoder({"type": "timm", "reference": "t", "name": "mobilenetv3_small_050", "resizes": False}).eval()
    cells = [noise_png(seed) for seed in range(5)]
    keys = [f"{number:064x}" for number in range(5)]
    with tempfile.TemporaryDirectory() as folder, plait.profile() as found:
        features, _ = encode_items(
            FeatureStore(folder), encoder, ImageProcessor(64), keys, cells.__getitem__, engine="openvino",
            engine_required=True,
        )  # fmt: skip
    assert features.engine == "openvino" and found.phases["encode: forward pass"].amount == 5
    assert found.encoding_gflops is None


def test_of_calls_that_are_not_counted_as_many_operations_are_reckoned() -> None:
    import torch

    from plait.api.profiling.points import POINTS

    point = next(p for p in POINTS if p.phase == "train: forward and backward")
    clock, weight = Clock(), torch.ones(8, 4)
    product = timed_function(lambda trainer, inputs: inputs @ weight, point, clock, lambda trainer: ("float32", 4))
    for _ in range(6):
        product(None, torch.ones(3, 8))
    spent = clock.spent[point.phase]
    assert (spent.calls, spent.counted, spent.flops) == (6, 2, 2 * 2 * 3 * 8 * 4)
    assert spent.all_flops == 6 * 2 * 3 * 8 * 4


def test_operations_of_training_are_those_of_its_linear_maps(tmp_path: Path) -> None:
    """By hand: two maps of 6 to 6 and one of 6 to 2, each once forward, and back to its weight and to its input."""
    from dataclasses import replace

    from fixtures.training import SETTINGS, make_model, make_rows
    from plait.training import trainer

    once = replace(SETTINGS, epochs=1)
    with plait.profile() as found:
        trainer.train_model(make_model(), make_rows(), once, tmp_path / "run", checkpoints=False)
    steps = found.phases["train: forward and backward"]
    assert (steps.calls, steps.counted) == (6, 1)  # of heads alone few steps are counted
    assert steps.all_flops == 6 * 3 * 2 * 8 * (36 + 36 + 12)
    rest = (steps.seconds - steps.counted_seconds) * 6 / 5  # counting makes a step longer
    took = rest + found.phases["train: optimizer"].seconds
    assert found.training_gflops == pytest.approx(steps.all_flops / took / 1e9)
    assert found.precision["train: forward and backward"] == "float32" and found.limits is not None
    assert found.training_share == pytest.approx(found.training_gflops / found.limits.products["float32"])
    assert "training steps ran at" in str(found)
    with plait.profile(flops=False) as silent:
        trainer.train_model(make_model(), make_rows(), once, tmp_path / "again", checkpoints=False)
    assert silent.training_gflops is None and "training steps" not in str(silent)


def test_every_step_of_a_trained_encoder_is_counted_in_its_precision() -> None:
    rows = {"text": [f"row {i}" for i in range(20)], "label": ["yes", "no"] * 10}
    more = [*QUICK, "encoders.text=scratch:text", "train.precision=bfloat16", "train.batch_size=8"]
    flops = []
    for recomputed in ("false", "true"):
        with plait.profile() as found:
            asked = [*more, f"train.gradient_checkpointing={recomputed}"]
            plait.fit(rows, "label", preset="single", epochs=1, set=asked, progress=False)
        steps = found.phases["train: forward and backward"]
        assert steps.counted == steps.calls and found.training_share is not None
        flops.append(steps.all_flops)
    assert flops[1] > 1.1 * flops[0]  # what is computed again is counted
    assert found.limits is not None and set(found.limits.products) == {"float32", "bfloat16"}
    shown = found.to_json()
    assert shown["training_precision"] == "bfloat16" and "of the matrix product in bfloat16" in str(found)
    assert shown["training_share"] == pytest.approx(shown["training_gflops"] / found.limits.products["bfloat16"])


def test_a_profiled_fit_answers_the_same_and_its_phases_add_up() -> None:
    from plait.training import trainer

    plain, before, importer = fitted(), trainer.train_model, builtins.__import__
    with plait.profile() as found:
        made = fitted()
    assert trainer.train_model is before and builtins.__import__ is importer
    np.testing.assert_array_equal(made.predict_proba(rows()), plain.predict_proba(rows()))
    assert sum(s.seconds for s in found.phases.values()) == pytest.approx(found.seconds, rel=1e-6)
    steps = found.phases["train: forward and backward"]
    assert steps.amount == steps.calls == found.phases["train: optimizer"].calls > 0
    assert found.phases["train: validation rows"].calls == len(made.report["history"])
    assert {"read and check the table", "evaluate", "train: around the steps"} <= set(found.phases)
    assert found.limits is not None and found.limits.gflops > 0 and found.limits.copy_gb > 0
    shown = str(found)
    assert shown.splitlines()[1].split()[:3] == ["phase", "seconds", "share"]
    assert "GFLOP/s" in shown and "train: forward and backward" in shown
    json.dumps(found.to_json(), allow_nan=False)


def test_an_error_inside_is_passed_on_and_everything_is_put_back() -> None:
    from plait.training import trainer

    before, importer = trainer.train_model, builtins.__import__
    with pytest.raises(ValueError, match="unknown column"), plait.profile() as found:
        plait.fit(rows(), "nowhere")
    assert trainer.train_model is before and builtins.__import__ is importer
    assert found.seconds > 0 and found.phases
    with plait.profile(), pytest.raises(RuntimeError, match="running already"), plait.profile():
        pass


def test_what_another_tool_put_there_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.training import trainer

    before, importer = trainer.train_model, builtins.__import__
    with plait.profile() as found:
        held, theirs = trainer.train_model, builtins.__import__

        def importing(*given: Any, **named: Any) -> Any:
            return theirs(*given, **named)

        monkeypatch.setattr(builtins, "__import__", importing)
        monkeypatch.setattr(trainer, "train_model", "another tool's")
    assert builtins.__import__ is importing and trainer.train_model == "another tool's"
    counted = {name: spent.calls for name, spent in found.phases.items()}
    import colorsys  # noqa: F401  by our importer behind theirs, which only passes on

    with pytest.raises(TypeError):
        held()
    assert {name: spent.calls for name, spent in found.phases.items()} == counted
    monkeypatch.setattr(builtins, "__import__", importer)
    monkeypatch.setattr(trainer, "train_model", before)


def typed(*words: str, where: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plait", *words]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)  # noqa: S603


def test_any_verb_is_profiled_with_its_own_options_output_and_exit_code(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\n" + "\n".join(f"row {i},{'ab'[i % 2]}" for i in range(30)) + "\n", encoding="utf-8")
    plain = typed("check", "t.csv", "--target", "label", "--json", where=tmp_path)
    profiled = typed("profile", "-o", "p.json", "check", "t.csv", "--target", "label", "--json", where=tmp_path)
    assert (profiled.returncode, profiled.stdout) == (plain.returncode, plain.stdout)
    assert "of processor time" in profiled.stderr and "numbers: p.json" in profiled.stderr
    found = json.loads((tmp_path / "p.json").read_text("utf-8"))
    assert "read and check the table" in {p["phase"] for p in found["phases"]}  # the table leaves out milliseconds
    total = sum(p["seconds"] for p in found["phases"])
    assert found["seconds"] == pytest.approx(total, rel=1e-6) and found["processor_seconds"] > 0
    missing = typed("profile", "check", "none.csv", "--target", "label", where=tmp_path)
    assert missing.returncode == 2 and "none.csv" in missing.stderr and "Traceback" not in missing.stderr
    assert "of processor time" in missing.stderr, "a verb that fails is told of too"
    again = typed("profile", "-o", "p.json", "check", "t.csv", where=tmp_path)
    assert again.returncode == 2 and "type --overwrite before the verb" in again.stderr
    shown = typed("profile", "check", "--help", where=tmp_path)
    assert shown.returncode == 0 and "Example: plait check" in shown.stdout and "share" not in shown.stderr
    assert "cannot time itself" in typed("profile", "profile", "check", where=tmp_path).stderr
