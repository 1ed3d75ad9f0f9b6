"""Two processes of ``torchrun`` train what one trains: losses, weights and choices, for every kind of task."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.lazy import lazy

together = lazy("plait.training.processes")
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "fixtures" / "together.py"
QUICK = ("accumulated", "retrieval", "matching", "vqa_open", "sharded")
SHARDED = ("sharded-tuned", "sharded-halves", "sharded-cut", "sharded-shared")
ROUGH = {"sharded-halves": 1e-2}  # bfloat16 has three digits
PEAK = {"sharded-tuned": 0.8}  # of all weights, at any time in a pass; one block of two, and a half of the rest
OTHERS = ("classification", "tokens", "ordinal", "regression", "multilabel", "vqa", "captioning")
FITTED = ("cohort", "calibration")  # vectors of items and a regression on scores: they follow from weights


def program(*command: str, folder: Path, tasks: tuple[str, ...]) -> None:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    given = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *command, str(PROGRAM), str(folder), *tasks], env=given, capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def together_of(number: int) -> tuple[str, ...]:
    """How so many processes are started."""
    return ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={number}") if number > 1 else ()


def check_same(task: str, alone: Path, several: Path, number: int = 2) -> None:
    """Losses, choices and weights that one process has written and several have."""
    from safetensors.torch import load_file

    expected, rel = json.loads((alone / f"{task}-0.json").read_text()), ROUGH.get(task, 1e-5)
    ours = load_file(alone / f"{task}-0.safetensors")
    for rank in range(number):
        found = json.loads((several / f"{task}-{rank}.json").read_text())
        assert found["best"] == expected["best"], task
        assert found["losses"] == pytest.approx(expected["losses"], rel=rel), task
        if held := found["held"]:  # by each about its part of everything
            assert held["parameters"] < (1 / number + 0.03) * held["whole"], task
            assert held["gradients"] <= held["parameters"] and held["state"] <= 2 * held["parameters"], task
            assert held["peak"] < PEAK.get(task, 0.95) * held["whole"], task
        theirs = load_file(several / f"{task}-{rank}.safetensors")
        assert ours.keys() == theirs.keys()
        for name, weight in ours.items():
            ours_N, theirs_N = weight.double().flatten(), theirs[name].double().flatten()
            apart = float((ours_N - theirs_N).abs().max()) if weight.numel() else 0.0
            follows = any(part in name for part in FITTED)
            limit = 10 * rel * max(1.0, float(ours_N.abs().max())) if follows and weight.numel() else rel
            assert apart < limit, f"{task}: {name}"


def check_alike(folder: Path, tasks: tuple[str, ...]) -> None:
    """What one process and two write: the same losses, choices and weights; the first of the two alone saves models."""
    import plait

    alone, two = folder / "alone", folder / "two"
    for place in (alone, two):
        place.mkdir()
    program(folder=alone, tasks=tasks)
    program(*together_of(2), folder=two, tasks=tasks)
    files = {f"{t}-{r}.{ending}" for t in tasks for r in (0, 1) for ending in ("json", "safetensors")}
    refused = {"taken", "taken-0.txt", "taken-1.txt"}  # a fit before them, that found its folder taken
    assert {path.name for path in two.iterdir()} == set(tasks) | files | refused
    for task in tasks:
        check_same(task, alone, two)
        assert [(place / f"taken-{r}.txt").exists() for place, r in ((alone, 0), (two, 0), (two, 1))] == [True] * 3
        assert plait.load(two / task).report["task"] and not (two / task / "resume.json").exists()


def test_every_task_has_a_run() -> None:
    from fixtures.together import RUNS
    from plait.tasks import TASKS

    assert {RUNS[name].get("task", "classification") for name in (*QUICK, *OTHERS)} == set(TASKS.own_names())


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    check_alike(tmp_path, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_end_where_one_does_in_every_task(tmp_path: Path) -> None:
    check_alike(tmp_path, OTHERS)


def tiny_encoders(folder: Path) -> None:
    """Pretrained encoders without dropout, which each process would draw for itself."""
    import transformers as hf

    from fixtures.tiny_bert import tiny_bert

    tiny_bert(folder / "bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    hf.CLIPVisionModel(hf.CLIPVisionConfig(**sizes, image_size=16, patch_size=8)).save_pretrained(folder / "vit")
    shape = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "layer_type": "basic"}
    hf.ResNetModel(hf.ResNetConfig(**shape)).save_pretrained(folder / "resnet")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sharded_encoders_learn_what_whole_ones_do(tmp_path: Path) -> None:
    tiny_encoders(tmp_path)
    check_alike(tmp_path, SHARDED)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_goes_on_with_another_number_of_processes_sharded_or_not(tmp_path: Path) -> None:
    tiny_encoders(tmp_path)
    task = "sharded-tuned"
    straight = tmp_path / "straight"
    straight.mkdir()
    program(folder=straight, tasks=(task,))
    for before, goes_on in ((1, (2,)), (2, (1, 3))):
        begun = tmp_path / f"by-{before}"
        begun.mkdir()
        program(*together_of(before), folder=begun, tasks=(f"{task}+stop",))
        kept = sorted(path.name for path in (begun / task / "checkpoints").rglob("checkpoint-*"))
        assert len(kept) == 2 and not list(begun.glob("*.safetensors"))
        for after in goes_on:
            place = shutil.copytree(begun, tmp_path / f"by-{before}-then-{after}")
            program(*together_of(after), folder=place, tasks=(f"{task}+resume",))
            check_same(task, straight, place, after)


def test_noise_of_a_process_goes_on_and_is_its_own() -> None:
    import torch

    torch.manual_seed(3)
    outside = torch.get_rng_state()
    drawn = []
    for process in (together.Processes(0, 2), together.Processes(1, 2)):
        for _ in range(3):
            with process._own_noise():
                drawn.append(tuple(torch.rand(4).tolist()))
    assert len(set(drawn)) == 6 and torch.equal(torch.get_rng_state(), outside)


@pytest.mark.parametrize(("given", "words"), [
    ({"time_limit": 60.0}, "clocks differ"), ({"train.mmpareto": 1.5}, "weighs gradients of whole batches"),
    ({"search.tries": 3, "resume": True}, "tries of a search"),
])  # fmt: skip
def test_what_processes_would_not_do_alike_is_refused(given: dict[str, object], words: str) -> None:
    from plait.settings import RunSettings, merge_values

    resume = bool(given.pop("resume", False))
    with pytest.raises(ValueError, match=words):
        together.check_together(merge_values(RunSettings(), given), resume)


def test_one_process_joins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with together.joined() as processes:
        assert processes is None and together.current() is None and os.environ["WORLD_SIZE"] == "1"


@pytest.mark.parametrize(("told", "first"), [
    ({}, True), ({"WORLD_SIZE": "1", "RANK": "3"}, True), ({"WORLD_SIZE": "2", "RANK": "0"}, True),
    ({"WORLD_SIZE": "2", "RANK": "1"}, False),
])  # fmt: skip
def test_the_first_process_writes_and_speaks(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], first: bool
) -> None:
    from plait.api import is_first_process

    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first
