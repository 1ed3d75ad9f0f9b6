"""A model folder is the old model or the new one, whatever cuts a run or a save short; it has one writer."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

import plait
from fixtures.lazy import lazy
from fixtures.settings import QUICK
from fixtures.small_model import classes, contents, fit, numbers

safetensors = lazy("safetensors.torch")
torch = lazy("torch")
network_file = lazy("plait.api.network_file")
OTHER = [*QUICK, "train.epochs=1"]


# --- exchanged as a whole ---------------------------------------------------------------------------------------------


def test_a_failed_overwrite_leaves_the_old_model_and_says_so(place: Path) -> None:
    before = contents(place)
    table = {**numbers(), "image": ["nowhere.png"] * 20}
    with pytest.raises(ValueError) as caught:
        plait.fit(table, "label", image="image", output=place, set=OTHER, overwrite=True)
    assert any("stands as it was" in note for note in caught.value.__notes__)
    assert contents(place) == before


def test_an_interrupted_overwrite_leaves_the_old_model_and_goes_on(place: Path, tmp_path: Path) -> None:
    before = contents(place)
    options: dict[str, Any] = {"set": ["train.epochs=4", "train.patience=0"]}

    def stop(done: int, total: int, what: str) -> None:
        if "epoch 3/4" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(place, ("cat", "dog"), overwrite=True, progress=stop, **options)
    notes = " ".join(caught.value.__notes__)
    assert "stands as it was" in notes and "resume=True" in notes
    assert {k: v for k, v in contents(place).items() if k in before} == before
    assert classes(place) == ("down", "up")
    resumed = fit(place, ("cat", "dog"), resume=True, **options)
    assert resumed.report["history"] and classes(place) == ("cat", "dog")
    fit(tmp_path / "straight", ("cat", "dog"), **options)
    for name in ("model.safetensors", "history.csv", "labels.json"):
        assert (place / name).read_bytes() == (tmp_path / "straight" / name).read_bytes(), name
    assert set(os.listdir(place)) == set(os.listdir(tmp_path / "straight"))


@pytest.mark.parametrize("call", ["rename", "replace", "link", "mkdir", "unlink", "rmdir"])
def test_a_save_that_is_cut_short_anywhere_is_the_old_model_or_the_new(
    call: str, place: Path, other: plait.Plait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each single step of the file system the process is as good as killed; then somebody loads, and saves."""
    real, found = getattr(os, call), []
    for step in range(80):
        left = [step]

        def cut(*given: Any, left: list[int] = left, **how: Any) -> Any:
            if left[0] <= 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(*given, **how)

        with monkeypatch.context() as patched:
            patched.setattr(os, call, cut)
            with contextlib.suppress(KeyboardInterrupt):
                other.save(place, overwrite=True)
        found.append(classes(place))
        assert found[-1] in {("cat", "dog"), ("down", "up")}
        if left[0] > 0:
            break
    assert found[-1] == ("cat", "dog") and left[0] > 0, "the steps were not all tried"
    assert not [name for name in os.listdir(place) if name.startswith(".plait")]


def test_a_killed_tidying_is_finished_by_the_next_save(place: Path, other: plait.Plait, tmp_path: Path) -> None:
    other.save(tmp_path / "new")
    (tmp_path / "new").rename(place / ".plait-next")  # the exchange was made, then the process was killed
    assert classes(place) == ("cat", "dog")
    (place / "labels.json").write_bytes((place / ".plait-next" / "labels.json").read_bytes())
    assert classes(place) == ("cat", "dog")
    plait.load(place).save(place, overwrite=True)
    assert classes(place) == ("cat", "dog") and not (place / ".plait-next").exists()


def test_a_reader_meets_whole_models_only_while_others_are_saved(place: Path, other: plait.Plait, old: Path) -> None:
    models = [other, plait.load(old)]
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            for i in range(1000):
                models[i % 2].save(place, overwrite=True)
        os._exit(0)
    try:
        found = {classes(place) for _ in range(15)}
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert found <= {("cat", "dog"), ("down", "up")}
    assert classes(place) in {("cat", "dog"), ("down", "up")}


def test_what_the_new_model_has_not_goes_and_files_of_others_stay(posts_model: Path, tmp_path: Path, old: Path) -> None:
    place = plait.load(posts_model).save(tmp_path / "model")
    (place / "notes.txt").write_text("mine")
    (place / "companions").mkdir()  # of an older version
    plait.load(old).save(place, overwrite=True)
    assert not (place / "companions").exists() and not (place / "processors" / "01").exists()
    assert (place / "notes.txt").read_text() == "mine"


def test_files_have_the_mode_of_the_umask(other: plait.Plait, tmp_path: Path) -> None:
    for umask, expected in ((0o022, 0o644), (0o027, 0o640)):
        before = os.umask(umask)
        try:
            folder = other.save(tmp_path / f"{umask}")
        finally:
            os.umask(before)
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*") if p.is_file()}
        assert set(modes.values()) == {expected}, modes


# --- one writer -------------------------------------------------------------------------------------------------------


def test_a_second_writer_is_told_who_writes(place: Path, other: plait.Plait) -> None:
    told: list[str] = []

    def meanwhile(done: int, total: int, what: str) -> None:
        if not told:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    other.save(place, overwrite=True)
                except ValueError as error:
                    code = 0 if str(os.getppid()) in str(error) and "since 20" in str(error) else 2
                finally:
                    os._exit(code)
            told.append(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
            with pytest.raises(ValueError, match=rf"another process \(number {os.getpid()}, since"):
                fit(place, overwrite=True)
            told.append(str(classes(place)))

    fit(place, ("cat", "dog"), overwrite=True, progress=meanwhile)
    assert told == ["0", "('down', 'up')"]
    assert classes(place) == ("cat", "dog") and not (place / ".plait-lock").exists()


def test_a_lock_left_by_a_killed_process_holds_nobody_up(place: Path, other: plait.Plait) -> None:
    (place / ".plait-lock").write_text("1 2020-01-01 00:00:00")
    other.save(place, overwrite=True)
    assert classes(place) == ("cat", "dog")


# --- full and read-only disks -----------------------------------------------------------------------------------------


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_at_save_leaves_the_old_model(
    place: Path, other: plait.Plait, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(place)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"disk is full.*the model.*MB needed.*MB free.*stands as it was") as caught:
            other.save(place, overwrite=True)
    assert str(place) in str(caught.value) and contents(place) == before


def test_a_full_disk_in_training_is_told_and_the_run_goes_on(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: plait.Plait
) -> None:
    import plait.training.best_weights as best_weights

    options: dict[str, Any] = {"set": ["train.epochs=4", "train.patience=0"]}
    real, calls = best_weights.save_file, []

    def sometimes(*given: Any, **how: Any) -> None:
        calls.append(1)
        full() if len(calls) == 3 else real(*given, **how)

    monkeypatch.setattr(best_weights, "save_file", sometimes)
    with pytest.raises(
        OSError, match=r"(?s)disk is full.*checkpoints.*the unfinished run is kept.*resume=True"
    ) as caught:
        fit(place, ("cat", "dog"), overwrite=True, **options)
    assert any("stands as it was" in note for note in caught.value.__notes__)
    assert classes(place) == ("down", "up")
    fit(place, ("cat", "dog"), resume=True, **options)
    fit(tmp_path / "straight", ("cat", "dog"), **options)
    assert (place / "model.safetensors").read_bytes() == (tmp_path / "straight" / "model.safetensors").read_bytes()


def test_a_disk_that_fills_up_and_one_that_is_read_only(small_disk: Path, other: plait.Plait) -> None:
    with pytest.raises(OSError, match=r"disk is full.*needed"):
        fit(small_disk / "model")
    (small_disk / "filler").write_bytes(bytes(700_000))
    with pytest.raises(OSError, match=r"disk is full.*needed"):
        other.save(small_disk / "saved")
    assert not (small_disk / "saved").exists()
    assert os.system(f"mount -o remount,ro {small_disk}") == 0
    with pytest.raises(ValueError, match="cannot write.*Read-only file system"):
        other.save(small_disk / "saved")
    with pytest.raises(ValueError, match="cannot write.*Read-only file system"):
        fit(small_disk / "more")
