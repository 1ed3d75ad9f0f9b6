"""Several processes train the same runs as one, nothing twice, and a worker that dies loses nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from test_sweep import quick

import plait

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
FUSIONS = ["weighted_sum", "concat"]


def numbers(comparison: plait.Comparison) -> dict[str, Any]:
    return {m["name"]: (m["metric"], m["validation"], m["seeds"]) for m in comparison.report["methods"]}


def test_two_processes_find_what_one_finds(posts: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    one = quick(posts, fusion=FUSIONS, seeds=2, ignore=["size"], workers=1)
    two = quick(
        posts, fusion=FUSIONS, seeds=2, ignore=["size"], workers=2, output=tmp_path / "out",
        progress=lambda *line: told.append(line),
    )  # fmt: skip
    assert numbers(one) == numbers(two)
    assert one.report["runs"]["trained"] == two.report["runs"]["trained"] == 8
    assert (one.report["runs"]["workers"], two.report["runs"]["workers"]) == (1, 2)
    ahead = [done / total for done, total, what in told if what.startswith("comparing on 2 processes: ")]
    assert ahead == sorted(ahead) and ahead[-1] == 1.0
    again = quick(posts, fusion=FUSIONS, seeds=2, ignore=["size"], workers=2, output=tmp_path / "out", resume=True)
    assert again.report["runs"]["trained"] == 0 and numbers(again) == numbers(two)


def test_what_a_dead_worker_leaves_is_done_by_the_parent(
    posts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plait.comparison.runner import Runner

    parent, run = os.getpid(), Runner.run

    def dies(self: Runner, methods: list[Any]) -> Any:
        if os.getpid() != parent and methods[0].name == "concat":
            os._exit(9)  # as if the system had killed it
        return run(self, methods)

    monkeypatch.setattr(Runner, "run", dies)
    found = quick(posts, fusion=FUSIONS, ignore=["size"], workers=2, output=tmp_path / "out")
    assert all(m["status"] == "ok" for m in found.report["methods"])
    assert found.report["runs"]["trained"] == 4


def test_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    from plait.comparison import workers as workers_file
    from plait.comparison.workers import choose_workers

    with pytest.raises(ValueError, match="workers is 0"):
        choose_workers(0, 5)
    assert choose_workers(3, 2) == 2 and choose_workers(1, 9) == 1
    assert choose_workers(None, 99) == len(os.sched_getaffinity(0))
    monkeypatch.setattr(workers_file.torch.cuda, "is_available", lambda: True)
    assert choose_workers(4, 9) == 1
