"""Counts of several workers in one answer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plait.serve import metrics as module
from plait.serve.metrics import Metrics


def test_any_worker_answers_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Metrics(tmp_path), Metrics(tmp_path)
    own = os.getpid()
    for metrics, times in ((one, 2), (other, 3)):
        metrics.gauges["ready"] = ("Ready.", lambda: 1.0)
        for _ in range(times):
            metrics.count("requests_total", route="/v1/predict", status="200")
        metrics.observe("queue_seconds", 0.2)
    other.share()
    (tmp_path / f"{own}.json").rename(tmp_path / "4242.json")
    (tmp_path / "4242.json").write_text((tmp_path / "4242.json").read_text().replace(f"{own}", "4242"))
    (tmp_path / "4243.json").write_text("{half")  # being written
    monkeypatch.setattr(module, "_is_alive", lambda process: True)
    text = one.text()
    assert f'plait_requests_total{{route="/v1/predict",status="200",worker="{own}"}} 2' in text
    assert 'plait_requests_total{route="/v1/predict",status="200",worker="4242"} 3' in text
    assert text.count("# TYPE plait_requests_total counter") == 1 and text.count("plait_queue_seconds_count") == 2
    assert text.count("plait_ready{") == 2
    monkeypatch.setattr(module, "_is_alive", lambda process: False)
    gone = one.text()
    assert gone.count("plait_ready{") == 1 and 'worker="4242"} 3' in gone  # a sum over workers must not fall


def test_a_folder_that_is_gone_is_no_fault(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "gone")
    metrics.count("requests_total", route="/", status="200")
    metrics.share()
    assert 'status="200"' in metrics.text() and not Metrics().is_shared
