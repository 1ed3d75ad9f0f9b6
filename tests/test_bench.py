"""`make bench`: its history and its table of regressions on made-up runs, and the turns it measures by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
PLACE = {"cpu": "A made-up processor", "cores": 2, "memory_gb": 8, "os": "Linux 6.1"}


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def part(low: float, median: float, high: float, seconds: float = 2.0, **other: Any) -> dict[str, Any]:
    made = {
        "own": "Plait", "peer": "a loop", "data": "drawn", "setting": "100 rows",
        "seconds": {"Plait": [seconds] * 3, "a loop": [seconds * median] * 3},
        "ratio": {"low": low, "median": median, "high": high}, "same": {}, "notes": [],
    }  # fmt: skip
    return made | other


def run(number: int, *, machine: dict[str, Any] = PLACE, threads: int = 2, **parts: Any) -> dict[str, Any]:
    return {
        "schema": 1, "made": f"2026-01-{number:02d}T10:00:00+00:00", "commit": f"abc000{number}", "changed": False,
        "versions": {}, "machine": machine, "threads": threads, "load": 0.5, "seed": 0, "repeats": 3, "quick": False,
        "parts": parts, "failed": {},
    }  # fmt: skip


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "bench.py"), *words], capture_output=True, text=True, timeout=240
    )


def keep(folder: Path, *runs: dict[str, Any]) -> Path:
    import history

    for one in runs:
        history.write_run(one, folder)
    return folder


def test_a_planted_regression_is_flagged_and_check_ends_with_1(tmp_path: Path) -> None:
    before = [run(n, search=part(1.9, 2.0, 2.1), encode=part(1.0, 1.1, 1.2)) for n in (1, 2, 3)]
    folder = keep(tmp_path, *before, run(4, search=part(1.4, 1.5, 1.6), encode=part(1.0, 1.1, 1.2)))
    shown = command("--table", "--results", str(folder))
    assert shown.returncode == 0, shown.stderr
    rows = {line.split("|")[1].strip(): line for line in shown.stdout.splitlines() if line.startswith("| ")}
    assert "REGRESSION" in rows["search"] and "-25%" in rows["search"] and "2.00 (3)" in rows["search"]
    assert "REGRESSION" not in rows["encode"]
    assert "1 regressions: search" in shown.stdout
    assert command("--table", "--check", "--results", str(folder)).returncode == 1


@pytest.mark.parametrize("last", [(1.7, 1.8, 1.95), (1.5, 1.8, 1.9), (2.1, 2.4, 2.6)])
def test_noise_within_the_ranges_and_gains_are_not_flagged(tmp_path: Path, last: tuple[float, float, float]) -> None:
    import history

    runs = history.read_runs(keep(tmp_path, run(1, search=part(1.9, 2.0, 2.1)), run(2, search=part(*last))))
    assert [line.verdict for line in history.compared(runs)] == [""]
    assert command("--table", "--check", "--results", str(tmp_path)).returncode == 0


def test_one_wild_run_before_does_not_hide_a_regression(tmp_path: Path) -> None:
    import history

    wild = run(2, search=part(0.2, 2.0, 9.0))
    quiet = [run(n, search=part(1.9, 2.0, 2.1)) for n in (1, 3)]
    runs = [quiet[0], wild, quiet[1], run(4, search=part(1.4, 1.5, 1.6))]
    assert [line.verdict for line in history.compared(runs)] == [history.REGRESSION]


def test_one_run_alone_and_none(tmp_path: Path) -> None:
    nothing = command("--table", "--check", "--results", str(tmp_path / "empty"))
    assert nothing.returncode == 0 and "no run yet" in nothing.stdout
    shown = command("--table", "--check", "--results", str(keep(tmp_path / "one", run(1, search=part(1.9, 2.0, 2.1)))))
    assert shown.returncode == 0 and "| search | a loop | 2.00 (1.90 to 2.10) |  |" in shown.stdout
    assert "0 runs before" in shown.stdout


def test_another_machine_lends_its_ratios_but_no_seconds_and_fails_no_check(tmp_path: Path) -> None:
    import history

    elsewhere = run(1, machine=PLACE | {"cpu": "Another"}, search=part(1.9, 2.0, 2.1, seconds=77.0))
    other_threads = run(2, threads=1, search=part(1.9, 2.0, 2.1, seconds=55.0))
    last = run(3, search=part(1.4, 1.5, 1.6))
    (line,) = history.compared([elsewhere, other_threads, last])
    cells = dict(zip(history.HEAD[:-1], line.cells, strict=False))
    assert line.verdict == history.ELSEWHERE
    assert line.cells[3] == "2.00 (2, other machine)" and line.cells[7] == ""
    assert cells["seconds"] == "2.00"
    folder = keep(tmp_path, elsewhere, other_threads, last)
    assert command("--table", "--check", "--results", str(folder)).returncode == 0
    (line,) = history.compared([elsewhere, run(2, search=part(1.3, 1.5, 1.7, seconds=3.0)), last])
    assert line.verdict == "" and line.cells[3] == "1.50 (1)" and line.cells[7] == "3.00"


def test_another_setting_is_not_compared() -> None:
    import history

    before = run(1, search=part(1.9, 2.0, 2.1, setting="9 rows"))
    (line,) = history.compared([before, run(2, search=part(1.4, 1.5, 1.6))])
    assert line.verdict == "" and line.cells[3] == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"schema": 1, "made"', "JSONDecodeError"),
        ("[]", "TypeError"),
        (json.dumps(run(1) | {"schema": 9}), "schema is 9, expected 1"),
        (json.dumps(run(1, search={"ratio": {}})), "KeyError"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    keep(tmp_path, run(2, search=part(1.9, 2.0, 2.1)))
    (tmp_path / "2026-01-01T100000-bad.json").write_text(text)
    shown = command("--table", "--results", str(tmp_path))
    assert shown.returncode == 2
    assert "2026-01-01T100000-bad.json is no run of bench.py" in shown.stderr and reason in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_part_that_does_not_exist_is_named_before_anything_runs(tmp_path: Path) -> None:
    shown = command("--only", "search,sing", "--results", str(tmp_path))
    assert shown.returncode == 2 and "there is no part sing; parts are encode-text, encode-images, fit" in shown.stderr


def test_turns_alternate_and_ratios_are_taken_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    import turns

    now, order = [0.0], []

    def side(name: str, seconds: list[float]) -> Any:
        left = iter(seconds)

        def work() -> str:
            order.append(name)
            now[0] += next(left)
            return name.upper()

        return work

    monkeypatch.setattr(turns.time, "perf_counter", lambda: now[0])
    made = turns.in_turns({"own": side("own", [9, 1, 2, 4]), "peer": side("peer", [9, 2, 6, 4])}, 3)
    assert order == ["peer", "own", "own", "peer", "peer", "own", "own", "peer"]  # the first two warm up
    assert made.seconds == {"own": [1, 2, 4], "peer": [2, 6, 4]}
    assert made.ratio("peer", "own") == {"median": 2.0, "low": 1.0, "high": 3.0}
    assert made.results == {"own": "OWN", "peer": "PEER"}


def test_a_quick_run_is_kept_and_says_nothing_of_whose_machine_it_is(tmp_path: Path) -> None:
    done = command("--quick", "--only", "search", "--threads", "1", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    made = json.loads(path.read_text())
    assert set(made["parts"]) == {"search-1", "search-64"} and made["failed"] == {}
    for one in made["parts"].values():
        assert one["same"]["same neighbours"] == 1.0  # against brute force
        assert len(one["seconds"]["Plait"]) == len(one["seconds"]["NumPy"]) == 6
        assert one["ratio"]["low"] <= one["ratio"]["median"] <= one["ratio"]["high"]
    text = path.read_text()
    assert os.uname().nodename not in text and str(Path.home()) not in text and str(tmp_path) not in text
    assert "2 regressions" not in done.stdout and "| search-1 | NumPy |" in done.stdout


def test_kept_runs_of_the_repository_can_be_read() -> None:
    import history

    for one in history.read_runs():
        assert one["parts"], "a run without parts says nothing"
