"""The history of ``bench.py``: one JSON file a run in ``benchmarks/results``, and the table that finds what got slower.

A file is named by date, time and commit (``2026-11-29T235501-6a4f887.json``) and holds:

* ``schema``: 1; ``made``: ISO 8601, UTC; ``commit``: short; ``changed``: whether the working tree differed from it.
* ``versions``: of plait, torch, numpy, python.
* ``machine``: ``cpu`` (model), ``cores``, ``memory_gb``, ``os``; nothing that names the machine or its user.
* ``threads``: PyTorch's; ``load``: load average of the minute before; ``seed``; ``repeats``; ``quick``.
* ``parts``: name -> ``own`` and ``peer`` (the sides), ``data``, ``setting``, ``seconds`` and ``cpu_seconds`` (side ->
  one number a round; no ``cpu_seconds`` where another process worked), ``ratio`` and ``cpu_ratio`` (the peer's seconds
  over Plait's, round by round: ``median``, ``low``, ``high``), ``same`` (how equal the outputs are), ``goal``
  (``words``, ``met``) and ``notes``.
* ``failed``: name -> reason, of parts that did not end.

The last run is held against the median of the runs before it with the same part, data and setting: those on the same
machine (``machine`` and ``threads``), or, where there is none, the ratios of other machines; seconds are never compared
across machines. A regression is a ratio that fell further than both ranges reach: the highest of the last run lies
under the lowest of the runs before (the median of their lowest). On another machine it is named and does not fail
``--check``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import ROOT

RESULTS = ROOT / "benchmarks" / "results"
SCHEMA = 1
REGRESSION, ELSEWHERE = "REGRESSION", "lower than on another machine"
HEAD = ["part", "beside", "ratio (range)", "before", "change", "of processor time", "seconds", "before", "goal", ""]


@dataclass(frozen=True)
class Line:
    """A part of the last run beside what was before.

    Attributes:
        name: Of the part.
        cells: As in ``HEAD``.
        verdict: "", ``REGRESSION`` or ``ELSEWHERE``.
    """

    name: str
    cells: list[str]
    verdict: str


def machine() -> dict[str, Any]:
    """What this machine is, without what it is called."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), flags=re.MULTILINE)
        cpu = named.group(1).strip() if named else cpu
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return {"cpu": cpu, "cores": os.cpu_count() or 1, "memory_gb": round(pages / 1e9), "os": system}


def commit() -> tuple[str, bool]:
    """Short name of the commit, and whether files that git knows differ from it; "unknown" outside of git."""
    try:
        name = _git("rev-parse", "--short=7", "HEAD")
        return name, bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def write_run(run: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Add a run to the history."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run['made'][:19].replace(':', '')}-{run['commit']}.json"
    path.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    return path


def read_runs(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """All runs, the oldest first.

    Raises:
        ValueError: A file is damaged or of another schema; the message names it.
    """
    runs = []
    for path in sorted(folder.glob("*.json")):
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            _check(run)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} is no run of bench.py ({reason}); repair it or take it away") from error
        runs.append(run)
    return sorted(runs, key=lambda run: str(run["made"]))


def _check(run: dict[str, Any]) -> None:
    """Everything that the table reads is there."""
    if run["schema"] != SCHEMA:
        raise ValueError(f"schema is {run['schema']!r}, expected {SCHEMA}")
    for key in ("made", "commit", "machine", "threads", "load"):
        run[key]
    for part in run["parts"].values():
        for key in ("median", "low", "high"):
            float(part["ratio"][key])
        statistics.median(part["seconds"][part["own"]])
        part["data"], part["setting"], part["peer"]


def compared(runs: list[dict[str, Any]]) -> list[Line]:
    """The last run's lines; quick runs are compared with quick ones only, as their settings differ."""
    if not runs:
        return []
    last, earlier = runs[-1], runs[:-1]
    return [_line(name, part, last, earlier) for name, part in last["parts"].items()]


def _line(name: str, part: dict[str, Any], last: dict[str, Any], earlier: list[dict[str, Any]]) -> Line:
    alike = [run for run in earlier if name in run["parts"] and _is_alike(run["parts"][name], part)]
    here = [run["parts"][name] for run in alike if _place(run) == _place(last)]
    before = here or [run["parts"][name] for run in alike]
    ratio = part["ratio"]
    base = statistics.median(one["ratio"]["median"] for one in before) if before else None
    low = statistics.median(one["ratio"]["low"] for one in before) if before else None
    verdict = ""
    if low is not None and ratio["high"] < low:
        verdict = REGRESSION if here else ELSEWHERE
    words = f"{base:.2f} ({len(before)}{'' if here else ', other machine'})" if before else ""
    cells = [
        name, part["peer"], f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})", words,
        f"{ratio['median'] / base - 1:+.0%}" if base else "",
        f"{part['cpu_ratio']['median']:.2f}" if "cpu_ratio" in part else "",
        f"{_seconds(part):.2f}", f"{statistics.median(map(_seconds, here)):.2f}" if here else "",
        _goal(part), verdict,
    ]  # fmt: skip
    return Line(name, cells, verdict)


def _goal(part: dict[str, Any]) -> str:
    goal = part.get("goal")
    return "" if goal is None else f"{goal['words']}: {'met' if goal['met'] else 'missed'}"


def _is_alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("data", "setting", "own", "peer"))


def _place(run: dict[str, Any]) -> tuple[Any, ...]:
    return (*sorted((key, str(value)) for key, value in run["machine"].items()), run["threads"])


def _seconds(part: dict[str, Any]) -> float:
    return statistics.median(part["seconds"][part["own"]])
