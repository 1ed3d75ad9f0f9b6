"""Two processes with half of the batch each take the step that one process takes with all of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gather_worker import LOSSES, SIZES, run

from plait.heads.gather import gather_rows

HERE = Path(__file__).resolve().parent


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "src"), "GLOO_SOCKET_IFNAME": "lo"}
    outs = [tmp_path / f"{rank}.pt" for rank in range(len(SIZES))]
    workers = [
        subprocess.Popen(
            [sys.executable, str(HERE / "gather_worker.py"), str(rank), port, str(out)],
            env=environment, stderr=subprocess.PIPE, text=True,
        )
        for rank, out in enumerate(outs)
    ]  # fmt: skip
    for worker in workers:
        _, errors = worker.communicate(timeout=100)
        assert worker.returncode == 0, errors
    for loss in LOSSES:
        value, gradients = run(loss, 0, sum(SIZES))
        assert any(float(g.abs().sum()) > 0 for g in gradients)
        for out in outs:
            found = torch.load(out, weights_only=True)[loss]
            assert found["value"] == pytest.approx(value, abs=1e-12)
            for ours, whole in zip(found["gradients"], gradients, strict=True):
                torch.testing.assert_close(ours, whole, rtol=0, atol=1e-12)


def test_one_process_gets_its_own_rows() -> None:
    rows = torch.randn(3, 2)
    assert gather_rows(rows) is rows
