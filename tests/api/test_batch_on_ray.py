"""Parts answered by workers of Ray: the bytes of a single machine, whatever dies or comes twice."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fixtures.frozen_texts import fit_texts, texts, vectors_of
from fixtures.lazy import lazy
from fixtures.on_ray import answered_here
from fixtures.small_model import contents, fit, numbers
from plait.cli.wording import as_typed

encode_to_store, predict_to_folder = lazy("plait.api.batch", "encode_to_store", "predict_to_folder")
connected, in_words = lazy("plait.api.batch.on_ray", "_connected", "_in_words")
PART = 100


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    fit(folder)
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Forty parts of a hundred rows."""
    pq.write_table(pa.table(numbers(4_000)), tmp_path / "rows.parquet", row_group_size=900)
    return tmp_path / "rows.parquet"


@pytest.fixture
def whole(model: Path, rows: Path, tmp_path: Path) -> dict[str, bytes]:
    """What a single process writes."""
    predict_to_folder(model, rows, tmp_path / "whole", part_rows=PART)
    return contents(tmp_path / "whole")


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray is neither imported nor started: this process answers."""
    monkeypatch.setattr("plait.api.batch.run.check_ray", lambda address: None)
    monkeypatch.setattr("plait.api.batch.part_work.answered_parts", answered_here)


def rows_in(folder: Path) -> list[int]:
    manifest = json.loads((folder / "manifest.json").read_text())
    return [r for part in manifest["parts"] for r in pq.read_table(folder / part["name"])["row"].to_pylist()]


def workers_of(pid: int) -> list[int]:
    """The processes below one that answer parts for Ray."""
    parents, named = {}, set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if "PartAnswerer" in (place / "cmdline").read_text():
                named.add(int(place.name))
        except (OSError, ValueError):
            continue
    found = []
    for one in named:
        above = one
        while above in parents and above != pid:
            above = parents[above]
        if above == pid:
            found.append(one)
    return found


@pytest.mark.parametrize(("port", "said"), [(None, "ray start --head"), ("0", "HOST:PORT"), ("x", "HOST:PORT")])
def test_an_address_where_nobody_listens_is_told_at_once(
    tmp_path: Path, port: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before table or model are looked at, and without Ray, which tries for 40 s."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        asked = f"127.0.0.1:{port or free.getsockname()[1]}"  # bound and not listened at
        monkeypatch.setitem(sys.modules, "ray", None)  # whoever asks for it fails otherwise
        with pytest.raises(ValueError, match=re.escape(asked)) as told:
            predict_to_folder(tmp_path, tmp_path / "none.csv", tmp_path / "out", ray=asked)
    assert said in str(told.value) and "--ray local" not in str(told.value)
    assert port or "type --ray local for" in as_typed(str(told.value))


def test_parts_in_any_order_and_twice_are_taken_once(
    model: Path, rows: Path, whole: dict[str, bytes], tmp_path: Path, no_cluster: None
) -> None:
    out = tmp_path / "out"
    made = predict_to_folder(model, rows, out, part_rows=PART, ray="local")
    assert (made.rows, made.parts, made.went_on) == (4_000, 40, 0)
    assert contents(out) == whole and rows_in(out) == list(range(4_000))


def test_a_run_goes_on_with_ray_and_without(
    model: Path, rows: Path, whole: dict[str, bytes], tmp_path: Path, no_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped under Ray after seven parts, of which only one that was lost is made again."""
    answered: list[int] = []
    last = 33

    def some(*given: Any) -> Iterator[Any]:
        for answer in answered_here(*given):
            answered.append(answer.number)
            yield answer
            if answered.count(last) == 2:
                raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("plait.api.batch.part_work.answered_parts", some)
        with pytest.raises(KeyboardInterrupt):
            predict_to_folder(model, rows, out, part_rows=PART, ray="local")
        assert sorted(set(answered)) == list(range(33, 40)) and not (out / "manifest.json").exists()
        answered.clear()
        (out / "part-00036.parquet").unlink()
        last = 31
        with pytest.raises(KeyboardInterrupt):
            predict_to_folder(model, rows, out, part_rows=PART, ray="local")
    assert set(answered) == {36, 32, 31}
    made = predict_to_folder(model, rows, out, part_rows=PART)
    assert made.went_on == 9 and contents(out) == whole


def test_what_goes_wrong_is_told(
    model: Path, rows: Path, tmp_path: Path, no_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    for more, said in (
        ({"begun": 5}, r"4 workers of Ray ended while they answered rows 3900 to 3999; if memory ran out"),
        ({"version": "0.0.9"}, r"has Plait .*, and the asking one 0\.0\.9; install one"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr("plait.api.batch.part_work.answered_parts", partial(answered_here, **more))
            with pytest.raises((RuntimeError, ValueError), match=said):
                predict_to_folder(model, rows, out, part_rows=PART, ray="local")
    odd = pq.read_table(rows).set_column(0, "size", pa.array(["x" if i == 3_999 else str(i) for i in range(4_000)]))
    pq.write_table(odd, rows)
    with pytest.raises(ValueError, match=r"row 3999, column 'size': 'x' is no number"):
        predict_to_folder(model, rows, out, part_rows=PART, ray="local", on_bad_row="error", overwrite=True)
    assert not list(out.glob("part-*"))


def test_addresses_and_a_missing_package(
    model: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address, said in ((" ", "must be 'local', 'auto' or the address"), ("ray://head:10001", "ray job submit")):
        with pytest.raises(ValueError, match=said):
            predict_to_folder(model, rows, tmp_path / "out", ray=address)
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(ImportError, match=r"type pip install 'plait\[ray\]'"):
        predict_to_folder(model, rows, tmp_path / "out", ray="local")
    assert not (tmp_path / "out").exists()


def test_what_ray_wraps_is_named() -> None:
    known = pytest.importorskip("ray.exceptions", reason="the extra ray is not installed")
    outer = known.RaySystemError("UDF failed\nTo change retry attempts, configure")
    outer.cause = known.OutOfMemoryError("6 worker(s) were killed as the node is low on memory\nmore")
    made = in_words(outer)
    assert type(made).__name__ == "WorkerDiedError"
    assert "OutOfMemoryError: 6 worker(s) were killed as the node is low on memory); if memory ran out" in str(made)
    assert str(in_words(known.RaySystemError("no\nyes"))).startswith("Ray could not go on (RaySystemError")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")  # Ray warns itself where it copies its settings
def test_real_workers_encode_and_answer_as_one_machine_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one test of Ray itself that is not slow; a cluster for both verbs, and three workers in all, as each loads
    PyTorch and the model.
    """
    pytest.importorskip("ray.data", reason="the extra ray is not installed")
    model, table = fit_texts(tmp_path), tmp_path / "rows.parquet"
    pq.write_table(texts(200), table)
    seen: set[int] = set()

    def made(name: str, ray: str | None = None) -> tuple[dict[bytes, bytes], dict[str, bytes]]:
        """The features and the parts that came to be."""
        out, each = tmp_path / f"{name}-out", {"part_rows": 50, "ray": ray, "progress": note_workers}
        monkeypatch.setenv("PLAIT_CACHE", str(tmp_path / name))
        with connected(ray, 2) if ray else contextlib.nullcontext():
            encoded = encode_to_store(model, table, workers=1 if ray else None, **each)
            answered = predict_to_folder(model, table, out, workers=2 if ray else None, **each)
        assert (encoded.rows, encoded.parts, encoded.items) == (200, 4, 100)
        assert (answered.rows, answered.parts) == (200, 4) and rows_in(out) == list(range(200))
        return vectors_of(encoded.store), contents(out)

    def note_workers(*_: Any) -> None:
        seen.update(workers_of(os.getpid()))

    alone = made("alone")
    assert len(alone[0]) == 100 and not seen
    assert made("by-ray", "local") == alone
    assert len(seen) >= 2  # of each verb at least one; the other may have come too late for a part


ON_RAY = (
    "import sys; from plait.api import predict_to_folder; "
    "predict_to_folder(sys.argv[1], sys.argv[2], sys.argv[3], part_rows=100, workers=2, ray='local')"
)


@contextlib.contextmanager
def running(*given: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that lets two workers of a cluster of this machine answer; killed at the end, if it is still there."""
    pytest.importorskip("ray.data", reason="the extra ray is not installed")
    child = subprocess.Popen([sys.executable, "-c", ON_RAY, *map(str, given)])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def wait_for_parts(count: int, out: Path, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 400
    while len(list(out.glob("part-*"))) < count:
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(900)  # four processes import PyTorch, on machines that others use too
def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    model: Path, rows: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Two real workers, one of which gets SIGKILL after three parts of forty."""
    out = tmp_path / "out"
    with running(model, rows, out) as child:
        wait_for_parts(3, out, child)
        workers = workers_of(child.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        in_the_middle = len(list(out.glob("part-*")))
        assert child.wait(400) == 0
    assert in_the_middle < 40
    assert contents(out) == whole and rows_in(out) == list(range(4_000))


@pytest.mark.slow
@pytest.mark.timeout(900)  # four processes import PyTorch, on machines that others use too
def test_a_killed_run_leaves_no_process_and_goes_on(
    model: Path, rows: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with running(model, rows, out) as child:
        wait_for_parts(3, out, child)
        workers = workers_of(child.pid)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert workers and not (out / "manifest.json").exists()
    stamps = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    made = predict_to_folder(model, rows, out, part_rows=PART)
    assert 2 <= made.went_on < 40 and contents(out) == whole
    assert sum((out / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items()) == made.went_on
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{one}").exists() for one in workers):
        assert time.monotonic() < deadline, "workers of the killed run are still there"
        time.sleep(0.2)
