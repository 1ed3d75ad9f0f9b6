"""Rows predicted under a bound of memory: the process keeps it, and a table in pieces is answered as in one."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import plait
from fixtures.lazy import lazy

source = lazy("plait.api.batch.source")
BOUND = "1500MB"


def test_a_csv_in_pieces_is_answered_as_in_one(
    posts: Path, posts_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = posts.read_text(encoding="utf-8").splitlines()
    lines.insert(9, "too,few")
    table = posts.parent / "pieces.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    model = plait.load(posts_model)
    try:
        whole = model.predict(table)
        monkeypatch.setattr("plait.api.batch.source.PIECED_FROM", 1)
        monkeypatch.setattr("plait.api.batch.source.PART_ROWS", 20)
        chunks = list(model.predict_chunks(table, chunk_rows=20, memory="8GB"))
    finally:
        table.unlink()
    joined = pa.concat_tables(chunks)
    assert [len(chunk) for chunk in chunks] == [21, 20, 8] and len(joined) == len(whole) == 49
    for name in ("row", "id", "prediction", "problem"):
        assert joined.column(name).to_pylist() == whole.column(name).to_pylist()
    ours, theirs = (np.array(t.column("probability_yes").to_pylist(), dtype=float) for t in (joined, whole))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.slow  # a process of its own that imports PyTorch and answers 20,000 rows
@pytest.mark.skipif(sys.platform == "win32", reason="the system counts no peak in this way")
def test_the_process_keeps_the_bound(tmp_path: Path) -> None:
    rows = [{"text": f"row {i} is {'red' if i % 2 else 'blue'}", "label": str(i % 2)} for i in range(60)]
    plait.fit(rows, "label", epochs=1, preset="single", set=["encoders.text=scratch:text"]).save(tmp_path / "model")
    with (tmp_path / "big.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "note"])
        writer.writerows([f"row {i} is red", "x" * 300] for i in range(20_000))
    command = ["predict", str(tmp_path / "model"), str(tmp_path / "big.csv"), "-o", str(tmp_path / "out.csv")]
    code = (
        "import resource, sys; from plait.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)\n"
        "print('PEAK', peak, code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--memory", BOUND, "--quiet"], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("PEAK")]
    assert found and found[0][2] in ("0", "None"), done.stderr
    assert int(found[0][1]) <= 1_500_000_000 and "was passed" not in done.stderr
    assert sum(1 for _ in (tmp_path / "out.csv").open(encoding="utf-8")) == 20_001
