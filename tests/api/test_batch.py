"""A table predicted into a folder of parts: the answers of one piece, cut short anywhere, by any number of workers."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import plait
from fixtures.lazy import lazy
from fixtures.small_model import contents, numbers
from plait.files import DiskFullError, sole_lock

predict_to_folder = lazy("plait.api.batch", "predict_to_folder")
BatchFolder = lazy("plait.api.batch.folder", "BatchFolder")


def rows_of(count: int) -> pa.Table:
    return pa.table({**numbers(count), "more": list(range(count))})


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Forty rows in groups of nine."""
    pq.write_table(rows_of(40), tmp_path / "rows.parquet", row_group_size=9)
    return tmp_path / "rows.parquet"


def parts_of(folder: Path) -> pa.Table:
    manifest = json.loads((folder / "manifest.json").read_text())
    return pa.concat_tables(pq.read_table(folder / part["name"]) for part in manifest["parts"])


def stopping_after(count: int, error: BaseException) -> Callable[..., Any]:
    """What answers a part, until it raises."""
    from plait.api.batch.work import answer_part

    def answer(*given: Any, **more: Any) -> Any:
        nonlocal count
        count -= 1
        if count < 0:
            raise error
        return answer_part(*given, **more)

    return answer


def test_parts_are_the_answers_of_one_piece(old: Path, rows: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    out = tmp_path / "new" / "out"
    made = predict_to_folder(old, rows, out, part_rows=7, progress=lambda *step: seen.append(step))
    assert (made.rows, made.parts, made.went_on, made.problems, made.read_whole) == (40, 6, 0, 0, False)
    whole, joined = plait.load(old).predict(rows), parts_of(out)
    for name in ("row", "prediction", "problem"):
        assert joined.column(name).to_pylist() == whole.column(name).to_pylist()
    np.testing.assert_allclose(joined.column("probability_up"), whole.column("probability_up"), atol=1e-6)
    names = [f"part-{i:05d}.parquet" for i in range(6)]
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", *names]
    assert all(total == 40 for _, total, _ in seen) and seen[-1][0] == 40
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["options"]["part_rows"] == 7 and [p["rows"] for p in manifest["parts"]] == [7] * 5 + [5]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_other_forms_and_tables_read_whole(form: str, old: Path, rows: Path, tmp_path: Path) -> None:
    import pyarrow.csv

    pyarrow.csv.write_csv(pq.read_table(rows), tmp_path / "rows.csv")
    made = predict_to_folder(old, tmp_path / "rows.csv", tmp_path / "out", part_rows=30, output_format=form)
    assert made.read_whole and (made.rows, made.parts) == (40, 2)
    text = "".join((tmp_path / "out" / f"part-0000{i}.{form}").read_text() for i in (0, 1))
    assert text.count("\n") == 40 + (2 if form == "csv" else 0)
    again = predict_to_folder(old, tmp_path / "rows.csv", tmp_path / "out", part_rows=30, output_format=form)
    assert again.went_on == 2 and again.rows == 40


def test_one_row_and_none(old: Path, tmp_path: Path) -> None:
    pq.write_table(rows_of(1), tmp_path / "one.parquet")
    assert predict_to_folder(old, tmp_path / "one.parquet", tmp_path / "out").rows == 1
    pq.write_table(rows_of(0), tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="no rows that can be read"):
        predict_to_folder(old, tmp_path / "none.parquet", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_problems_keep_their_rows_and_lines_their_place(old: Path, tmp_path: Path) -> None:
    lines = ["size,kind", *(f"{'odd' if i in (3, 17) else i},ab" for i in range(20))]
    lines[8:8] = ["1,2,3"]  # row 7 cannot be parsed
    lines.append("1,2,3,4")
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    made = predict_to_folder(old, tmp_path / "rows.csv", tmp_path / "out", part_rows=6)
    found = parts_of(tmp_path / "out")
    assert found.column("row").to_pylist() == list(range(22)) and made.problems == 22
    told = dict(enumerate(found.column("problem").to_pylist()))
    assert "4 fields" in told[21] and "3 fields" in told[7] and "'odd' is no number" in told[3] + told[18]
    whole = plait.load(old).predict(tmp_path / "rows.csv")
    assert found.column("problem").to_pylist() == whole.column("problem").to_pylist()


@pytest.mark.filterwarnings("ignore:.*look like numbers with decimal commas:UserWarning")
def test_what_a_column_says_as_a_whole_holds_in_every_part(old: Path, tmp_path: Path) -> None:
    """The one cell that shows decimal commas stands in the last part; the doubt about the others is the same."""
    cells = [*(["1,234", "5", None] * 6), "7,5"]
    pq.write_table(pa.table({"size": cells, "kind": ["a"] * 19}), tmp_path / "rows.parquet", row_group_size=4)
    whole = plait.load(old).predict(tmp_path / "rows.parquet")
    assert "1234 or 1.234?" in str(whole.column("problem")[0])
    predict_to_folder(old, tmp_path / "rows.parquet", tmp_path / "out", part_rows=5)
    found = parts_of(tmp_path / "out")
    assert found.column("problem").to_pylist() == whole.column("problem").to_pylist()
    mended = plait.load(old).predict(tmp_path / "rows.parquet", decimal=",")
    predict_to_folder(old, tmp_path / "rows.parquet", tmp_path / "commas", part_rows=5, decimal=",")
    again = parts_of(tmp_path / "commas")
    assert again.column("problem").to_pylist() == mended.column("problem").to_pylist()
    np.testing.assert_allclose(again.column("probability_up"), mended.column("probability_up"), atol=1e-6)


def test_pictures_leave_nothing_behind(posts: Path, posts_model: Path, tmp_path: Path, cache: Path) -> None:
    made = predict_to_folder(posts_model, posts, tmp_path / "out", part_rows=20)
    whole = plait.load(posts_model).predict(posts)
    assert made.problems == 0 and parts_of(tmp_path / "out").column("prediction") == whole.column("prediction")
    assert not (cache / "features").exists()


def test_stopped_runs_go_on_with_the_same_bytes(
    old: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict_to_folder(old, rows, tmp_path / "whole", part_rows=7)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("plait.api.batch.part_work.answer_part", stopping_after(3, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            predict_to_folder(old, rows, out, part_rows=7)
    assert sorted(p.name for p in out.iterdir()) == ["journal.jsonl", *(f"part-0000{i}.parquet" for i in range(3)),
                                                     "run.json"]  # fmt: skip
    (out / ".part-00003.tmp-1.parquet").write_bytes(b"half")  # what a kill would leave too
    (out / ".features-x").mkdir()
    with (out / "journal.jsonl").open("a") as journal:
        journal.write('{"name": "part-00003.pa')
    (out / "part-00001.parquet").write_bytes(b"damaged")
    made = predict_to_folder(old, rows, out, part_rows=7)
    assert made.went_on == 2 and contents(out) == contents(tmp_path / "whole")
    assert predict_to_folder(old, rows, out, part_rows=7).went_on == 6
    assert contents(out) == contents(tmp_path / "whole")


KILLED = (
    "import sys; from plait.api import predict_to_folder; "
    "predict_to_folder(sys.argv[1], sys.argv[2], sys.argv[3], part_rows=100, workers=int(sys.argv[4]))"
)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_workers_write_the_same_bytes(old: Path, tmp_path: Path) -> None:
    pq.write_table(rows_of(8_000), tmp_path / "rows.parquet", row_group_size=3000)
    given, out = [old, tmp_path / "rows.parquet"], tmp_path / "out"
    command = [sys.executable, "-c", KILLED, *map(str, [*given, out, 2])]
    child = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(list(out.glob("part-*"))) < 3:
        assert child.poll() is None and time.monotonic() < deadline, child.stderr
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert not (out / "manifest.json").exists()
    made = predict_to_folder(*given, out, part_rows=100)
    assert 2 <= made.went_on < 80  # a part that had its name and no line yet is made anew
    assert (made.rows, made.parts) == (8_000, 80)
    predict_to_folder(*given, tmp_path / "whole", part_rows=100)
    assert contents(out) == contents(tmp_path / "whole")
    assert parts_of(out).column("row").to_pylist() == list(range(8_000))


def test_another_run_is_refused(old: Path, place: Path, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_to_folder(old, rows, out)
    before = contents(out)
    with pytest.raises(ValueError, match=r"other options \(on_bad_row was 'missing'\); .*type overwrite=True"):
        predict_to_folder(old, rows, out, on_bad_row="skip")
    pq.write_table(rows_of(41), rows)
    with pytest.raises(ValueError, match="predictions of another table, or one that was changed"):
        predict_to_folder(old, rows, out)
    (place / "labels.json").write_text((place / "labels.json").read_text() + " ")
    from fixtures.small_model import rewritten

    rewritten(place)
    with pytest.raises(ValueError, match="of another model and of another table"):
        predict_to_folder(place, rows, out)
    assert contents(out) == before
    assert predict_to_folder(old, rows, out, overwrite=True).rows == 41
    (out / "part-00000.parquet").unlink()
    with pytest.raises(ValueError, match="is missing or is not what was written; type overwrite=True"):
        predict_to_folder(old, rows, out)


def test_what_is_exchanged_meanwhile_is_noticed(
    old: Path, place: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table while it is read; the model between its hash and its loading."""
    from plait.api.batch.work import answer_part, load_same

    def changing(*given: Any, **more: Any) -> Any:
        os.utime(rows)
        return answer_part(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr("plait.api.batch.part_work.answer_part", changing)
        with pytest.raises(ValueError, match="was changed while it was read, .* overwrite=True"):
            predict_to_folder(old, rows, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(ValueError, match="another table, or one that was changed"):
        predict_to_folder(old, rows, tmp_path / "out")
    with pytest.raises(ValueError, match="was exchanged for another one while it was used"):
        load_same(place, "0" * 64)


def test_refused_folders_and_arguments(old: Path, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="holds 'letter.txt', which is no part of a run"):
            predict_to_folder(old, rows, tmp_path / "mine", overwrite=overwrite)
    with pytest.raises(ValueError, match="of something else than predictions"):
        predict_to_folder(old, rows, old)
    with pytest.raises(ValueError, match="cannot write to"):
        predict_to_folder(old, rows, rows / "out")
    (tmp_path / "busy").mkdir()
    with sole_lock(tmp_path / "busy" / ".plait-lock"), pytest.raises(ValueError, match="another process .* is writing"):
        predict_to_folder(old, rows, tmp_path / "busy")
    for name, value in (("workers", 0), ("part_rows", True)):
        with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 on"):
            predict_to_folder(old, rows, tmp_path / "out", **{name: value})
    with pytest.raises(ValueError, match="unknown output format 'xml'"):
        predict_to_folder(old, rows, tmp_path / "out", output_format="xml")
    with pytest.raises(ValueError, match="none of the columns this model reads"):
        pq.write_table(pa.table({"else": [1]}), tmp_path / "else.parquet")
        predict_to_folder(old, tmp_path / "else.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(old: Path, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "sealed").mkdir(mode=0o500)
    with pytest.raises(ValueError, match="cannot write to"):
        predict_to_folder(old, rows, tmp_path / "sealed")


@pytest.mark.parametrize("where", ["part", "journal"])
def test_a_full_disk_leaves_whole_parts(
    where: str, old: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        if where == "part":
            patch.setattr("plait.api.batch.part_work.answer_part", stopping_after(2, full))
        else:
            take, left = BatchFolder.take, [2]

            def taken(self: Any, *given: Any) -> None:
                left[0] -= 1
                if left[0] < 0:
                    raise full
                take(self, *given)

            patch.setattr("plait.api.batch.folder.BatchFolder.take", taken)
        with pytest.raises(DiskFullError, match="the disk is full: no room to write the next part .*it goes on after"):
            predict_to_folder(old, rows, out, part_rows=7)
    assert predict_to_folder(old, rows, out, part_rows=7).went_on == 2
    assert parts_of(out).column("row").to_pylist() == list(range(40))


def test_bad_rows_under_error_end_the_run(old: Path, rows: Path, tmp_path: Path) -> None:
    table = pq.read_table(rows)
    odd = ["x" if i == 20 else str(i) for i in range(40)]
    pq.write_table(table.set_column(0, "size", pa.array(odd)), rows)
    with pytest.raises(ValueError, match=r"1 of 7 rows of .*rows.parquet.*(.|\n)*row 20, column 'size'"):
        predict_to_folder(old, rows, tmp_path / "out", part_rows=7, on_bad_row="error")
    assert len(list((tmp_path / "out").glob("part-*"))) == 2 and not (tmp_path / "out" / "manifest.json").exists()


def test_workers_read_as_set_says(old: Path) -> None:
    from plait.api.batch.work import How

    fitted = plait.load(old)
    How("missing", set=("data.max_pixels=1234", "augment.test_views=3")).apply_to(fitted)
    assert (fitted.inputs.max_pixels, fitted.inputs.test_views) == (1234, 3)


def test_what_fails_in_a_worker_is_told(old: Path, tmp_path: Path) -> None:
    """Bad rows, in the words of the process that asked; the worker goes on."""
    from plait.api.batch.work import How, model_sha256
    from plait.api.batch.worker import Worker
    from plait.cli.wording import as_typed
    from plait.data.table import Table

    def asked(*cells: str) -> Table:
        return Table(pa.table({"size": cells, "kind": ["a"] * len(cells)}), None, "rows", (), tuple(range(len(cells))))

    worker, told = Worker(old, model_sha256(old), How("error", set=("data.max_pixels=1000",)), as_typed), {}
    try:
        with pytest.raises(ValueError, match=r"1 of 3 rows of rows cannot be read:\n  row 1, column 'size': 'x' is no"):
            worker.answer(asked("1", "x", "2"), tmp_path / "bad.parquet", told)
        facts = worker.answer(asked("1", "2"), tmp_path / "good.parquet", told)
        assert facts.rows == 2 and pq.read_table(tmp_path / "good.parquet").column("row").to_pylist() == [0, 1]
        worker.process.kill()
        with pytest.raises(RuntimeError, match=r"a worker ended \(-9\) while it answered rows 0 to 1; if memory ran"):
            worker.answer(asked("1", "2"), tmp_path / "late.parquet", told)
    finally:
        worker.stop()
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / "bad.parquet").exists()
