"""Two processes of ``torchrun`` train what one trains: losses, weights and choices, for every kind of task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.lazy import lazy

together = lazy("plait.training.processes")
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests" / "fixtures" / "together.py"
QUICK = ("accumulated", "retrieval", "sharded")
OTHERS = ("classification", "tokens", "regression", "multilabel", "captioning")


def program(*command: str, folder: Path, tasks: tuple[str, ...]) -> None:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    given = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, *command, str(PROGRAM), str(folder), *tasks], env=given, capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def check_alike(folder: Path, tasks: tuple[str, ...]) -> None:
    """What one process and two write: the same losses, choices and weights; the first of the two alone saves models."""
    from safetensors.torch import load_file

    import plait

    alone, two = folder / "alone", folder / "two"
    for place in (alone, two):
        place.mkdir()
    program(folder=alone, tasks=tasks)
    program("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", folder=two, tasks=tasks)
    files = {f"{t}-{r}.{ending}" for t in tasks for r in (0, 1) for ending in ("json", "safetensors")}
    refused = {"taken", "taken-0.txt", "taken-1.txt"}  # a fit before them, that found its folder taken
    assert {path.name for path in two.iterdir()} == set(tasks) | files | refused
    for task in tasks:
        expected = json.loads((alone / f"{task}-0.json").read_text())
        ours = load_file(alone / f"{task}-0.safetensors")
        for rank in (0, 1):
            found = json.loads((two / f"{task}-{rank}.json").read_text())
            assert found["best"] == expected["best"], task
            assert found["losses"] == pytest.approx(expected["losses"], rel=1e-5), task
            if held := found["held"]:  # about half of everything
                assert held["parameters"] < 0.52 * held["whole"] and held["gradients"] == held["parameters"]
                assert held["state"] == 2 * held["parameters"] and held["peak"] < 0.9 * held["whole"]
            theirs = load_file(two / f"{task}-{rank}.safetensors")
            assert ours.keys() == theirs.keys()
            for name, weight in ours.items():
                apart = float((weight.double() - theirs[name].double()).abs().max()) if weight.numel() else 0.0
                assert apart < (1e-4 if "cohort" in name else 1e-5), f"{task}: {name}"  # cohort: vectors, not weights
        assert [(place / f"taken-{r}.txt").exists() for place, r in ((alone, 0), (two, 0), (two, 1))] == [True] * 3
        assert plait.load(two / task).report["task"] and not (two / task / "resume.json").exists()


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    check_alike(tmp_path, QUICK)


@pytest.mark.slow
def test_two_processes_end_where_one_does_in_every_task(tmp_path: Path) -> None:
    check_alike(tmp_path, OTHERS)


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
