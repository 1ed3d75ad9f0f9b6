"""What may happen to an index: kills, full and read-only disks, damage, two writers, readers meanwhile."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fixtures.colours import ColourEmbedder, paint
from plait.index import DamagedIndexError, IndexFolderError, build_index, folder, open_index
from plait.index.lock import write_lock

SLOW = pytest.mark.slow  # each kill is a new interpreter
HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent / "src"


def many(tmp_path: Path, count: int = 60) -> Path:
    draw = random.Random(0)
    for number in range(count):
        paint(tmp_path / "many" / f"{number:03}.png", (draw.randrange(256), draw.randrange(256), number % 50))
    return tmp_path / "many"


def start_writer(source: Path, index: Path, backend: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{HERE.parent}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "writer.py"), str(source), str(index), backend, "3"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def contents(index: Any) -> list[tuple[str, str]]:
    return sorted((name, item.key) for name, item in index.storage.known().items())


@pytest.mark.parametrize(
    ("backend", "kills"), [("exact", 2), pytest.param("exact", 6, marks=SLOW), pytest.param("lance", 3, marks=SLOW)]
)
def test_killed_again_and_again(tmp_path: Path, backend: str, kills: int) -> None:
    if backend == "lance":
        pytest.importorskip("lancedb", reason="extra lance")
    source, place = many(tmp_path), tmp_path / "i"
    draw, seen = random.Random(1), 0
    for _ in range(kills):
        process = start_writer(source, place, backend)
        goal, until = seen + draw.randrange(1, 4), time.monotonic() + 30
        while time.monotonic() < until and process.poll() is None:
            if (place / "index.json").is_file() and json.loads((place / "index.json").read_text())["generation"] > goal:
                break
            time.sleep(0.002)
        time.sleep(draw.random() * 0.03)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        if not (place / "index.json").is_file():
            continue
        half = open_index(place, ColourEmbedder())
        done = half.manifest.sources[0].done_rows if half.manifest.sources else 0
        assert len(half) in (done, min(done + 3, 60))  # Lance may have one commit more than the manifest tells
        assert half.manifest.generation >= seen
        seen = half.manifest.generation
        if len(half):
            assert half.search("red", k=60) and half.info(verify=True)["damaged"] == []
    index, report = build_index(ColourEmbedder(), source, place, backend=backend)
    assert seen == 0 or report.resumed_at > 0
    whole, _ = build_index(ColourEmbedder(), source, tmp_path / "whole", backend=backend)
    assert contents(index) == contents(whole) and len(index) == 60
    mine = [(h.id, h.aliases, h.score) for h in index.search("red green", k=60)]
    assert mine == [(h.id, h.aliases, h.score) for h in whole.search("red green", k=60)]
    if backend == "exact":
        index.compact()
        names = {path.name.split("-")[0] for path in place.iterdir()}
        assert names <= {"index.json", "lock", "seg", "items"} and len(list(place.glob("seg-*"))) == 1


@pytest.mark.parametrize("failing", ["write_segment", "_write_items", "write_manifest"])
def test_a_full_disk(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    index, _ = build_index(ColourEmbedder(), photos, tmp_path / "i")
    before, generation = contents(index), index.manifest.generation
    paint(tmp_path / "more" / "x.png", (255, 255, 0))

    def full(*given: object, **how: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folder, failing, full)
        with pytest.raises(IndexFolderError, match="No space left on device. What was committed before is whole"):
            index.add(tmp_path / "more")
    for found in (index, open_index(tmp_path / "i", ColourEmbedder())):
        assert contents(found) == before and found.manifest.generation == generation
        assert found.info(verify=True)["damaged"] == []
    assert index.add(tmp_path / "more").added == 1 and len(open_index(tmp_path / "i")) == 6
    assert not list((tmp_path / "i").glob("tmp-*"))


def test_a_read_only_folder(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, _ = build_index(ColourEmbedder(), photos, tmp_path / "i")
    real = open

    def read_only(file: Any, mode: str = "r", *given: Any, **how: Any) -> Any:
        if set(mode) & set("wa+x") and str(tmp_path / "i") in str(file):
            raise PermissionError(errno.EROFS, "Read-only file system", str(file))
        return real(file, mode, *given, **how)

    real_low = os.open

    def read_only_low(file: Any, flags: int, *given: Any, **how: Any) -> Any:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(tmp_path / "i") in str(file):
            raise PermissionError(errno.EROFS, "Read-only file system", str(file))
        return real_low(file, flags, *given, **how)

    monkeypatch.setattr("builtins.open", read_only)
    monkeypatch.setattr("os.open", read_only_low)
    assert open_index(tmp_path / "i", ColourEmbedder()).search("red", k=1)  # searching writes nothing
    with pytest.raises(IndexFolderError, match="Read-only file system"):
        index.delete(["warm/红.png"])
    monkeypatch.undo()
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexFolderError, match="cannot write to the index"):
        build_index(ColourEmbedder(), photos, tmp_path / "file" / "i")


def test_one_writer_at_a_time(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="locks as POSIX has them")
    index, _ = build_index(ColourEmbedder(), photos, tmp_path / "i")
    with write_lock(tmp_path / "i"):
        for write in (lambda: index.delete(["warm/红.png"]), index.compact, lambda: index.update(photos)):
            with pytest.raises(IndexFolderError, match=f"another process \\(number {os.getpid()}\\) is writing"):
                write()
        assert len(open_index(tmp_path / "i", ColourEmbedder()).search("red")) == 4
    assert index.delete(["warm/红.png"]) == 1


def test_readers_keep_their_state(photos: Path, tmp_path: Path) -> None:
    writer, _ = build_index(ColourEmbedder(), photos, tmp_path / "i", block=1)
    reader = open_index(tmp_path / "i", ColourEmbedder())
    before = reader.search("red", k=9)
    writer.delete(where="folder = 'cold'")
    writer.compact()
    assert reader.search("red", k=9) == before and len(writer.search("red", k=9)) == 2
    assert reader.delete(["warm/红.png"]) == 1  # a writer begins with the newest state
    assert len(reader) == 2 and len(reader.search("red", k=9)) == 2


def test_leftovers_of_killed_writers_go(photos: Path, tmp_path: Path) -> None:
    index, _ = build_index(ColourEmbedder(), photos, tmp_path / "i")
    for name in ("seg-dead", "tmp-1-x-y"):
        (tmp_path / "i" / name).mkdir()
    (tmp_path / "i" / "items-dead.parquet").write_bytes(b"half")
    assert len(open_index(tmp_path / "i")) == 5
    index.delete(["warm/红.png"])
    assert not [p for p in (tmp_path / "i").iterdir() if "dead" in p.name or p.name.startswith("tmp")]


def damage(place: Path, what: str) -> str:
    manifest = json.loads((place / "index.json").read_text())
    segment, items = place / manifest["segments"][0][0], place / manifest["items"][0]["name"]
    if what == "cut manifest":
        (place / "index.json").write_bytes((place / "index.json").read_bytes()[:100])
    elif what == "no manifest value":
        manifest.pop("dim")
        (place / "index.json").write_text(json.dumps(manifest))
    elif what == "later format":
        (place / "index.json").write_text(json.dumps({**manifest, "format": 99}))
        return "update Plait"
    elif what == "path outside":
        manifest["segments"][0][0] = "../../etc"
        (place / "index.json").write_text(json.dumps(manifest))
        return "outside the index"
    elif what == "flipped items":
        data = bytearray(items.read_bytes())
        data[len(data) // 2] ^= 1
        items.write_bytes(bytes(data))
        return "does not match its checksum"
    elif what == "no items":
        items.unlink()
        return "is missing"
    elif what == "no segment":
        os.rename(segment, place / "elsewhere")
        return "is missing"
    elif what == "cut vectors":
        with open(segment / "vectors.npy", "r+b") as file:
            file.truncate(140)
        return "bytes"
    elif what == "flipped keys":
        data = bytearray((segment / "keys.npy").read_bytes())
        data[-1] ^= 1
        (segment / "keys.npy").write_bytes(bytes(data))
    return "is damaged"


@pytest.mark.parametrize(
    "what",
    ["cut manifest", "no manifest value", "later format", "path outside", "flipped items", "no items", "no segment",
     "cut vectors", "flipped keys"],
)  # fmt: skip
def test_damage_is_told(photos: Path, tmp_path: Path, what: str) -> None:
    build_index(ColourEmbedder(), photos, tmp_path / "i")
    said = damage(tmp_path / "i", what)
    with pytest.raises(DamagedIndexError, match=said):
        open_index(tmp_path / "i")


@pytest.mark.parametrize("where", ["keys.npy", "vectors.npy"])
def test_a_header_that_is_no_header_is_told(photos: Path, tmp_path: Path, where: str) -> None:
    build_index(ColourEmbedder(), photos, tmp_path / "i")
    file = next((tmp_path / "i").glob(f"seg-*/{where}"))
    data = bytearray(file.read_bytes())
    data[data.index(b"}") + 3] = ord("(")
    file.write_bytes(bytes(data))
    with pytest.raises(DamagedIndexError, match="is damaged"):
        open_index(tmp_path / "i")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("what", ["index.json", "items-*", "deleted-*", "seg-*/meta.json", "seg-*/vectors.npy", "lock"])
def test_what_is_no_ordinary_file_is_refused_at_once(photos: Path, tmp_path: Path, what: str, kind: str) -> None:
    index, _ = build_index(ColourEmbedder(), photos, tmp_path / "i")
    index.delete(["warm/红.png"])
    file = next((tmp_path / "i").glob(what))
    file.unlink()
    if kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes in folders here")
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to(os.devnull)
    else:
        file.mkdir()
    if what == "lock":
        with pytest.raises(IndexFolderError, match="lock"):
            index.delete(["cold/green.png"])
        return
    with pytest.raises(DamagedIndexError, match=f"{file.name}: a {kind}.* expected the index's file"):
        open_index(tmp_path / "i")
    with pytest.raises(DamagedIndexError, match=f": a {kind}"):
        build_index(ColourEmbedder(), photos, tmp_path / "i")


def test_a_flipped_vector_is_told_before_it_answers(photos: Path, tmp_path: Path) -> None:
    index, _ = build_index(ColourEmbedder(), photos, tmp_path / "i")
    vectors = next((tmp_path / "i").glob("seg-*/vectors.npy"))
    data = bytearray(vectors.read_bytes())
    data[-2] ^= 64
    vectors.write_bytes(bytes(data))
    for use in (
        lambda opened: opened.search("red"), lambda opened: opened.near_duplicates(), lambda opened: opened.compact(),
        lambda opened: opened.knn("folder", k=1),
    ):  # fmt: skip
        with pytest.raises(DamagedIndexError, match=r"vectors\.npy does not match its checksum"):
            use(open_index(tmp_path / "i", ColourEmbedder()))


STRANGE = [None, True, -1, 1.5, 2**70, "", "../x", [], {}, [[1]], {"a": 1}]


def test_no_value_of_the_manifest_changes_unnoticed(photos: Path, tmp_path: Path) -> None:
    """Every value replaced by a strange one, every key left out: one sentence, also without the checksum."""
    index, _ = build_index(ColourEmbedder(), photos, tmp_path / "i")
    index.delete(["warm/红.png"])
    file = tmp_path / "i" / "index.json"
    whole = json.loads(file.read_text(encoding="utf-8"))

    def places(node: Any) -> list[tuple[Any, Any]]:
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        return [(node, key) for key in keys] + [place for key in keys for place in places(node[key])]

    draw = random.Random(0)
    for at in range(len(places(whole))):
        for strange in [*draw.sample(STRANGE, 2), places]:  # the function stands for "no such key"
            changed = json.loads(json.dumps(whole))
            node, key = places(changed)[at]
            before = node.pop(key)
            if strange is not places:
                if isinstance(node, list):
                    node.insert(key, strange)
                else:
                    node[key] = strange
                if strange == before and type(strange) is type(before):
                    continue
            file.write_text(json.dumps(changed), encoding="utf-8")
            with pytest.raises((DamagedIndexError, ValueError)) as told:
                open_index(tmp_path / "i")
            assert "\n" not in str(told.value)
            unsigned = {**changed, "format": 1}
            unsigned.pop("sha256", None)
            file.write_text(json.dumps(unsigned), encoding="utf-8")
            try:
                open_index(tmp_path / "i")
            except ValueError as error:
                assert "\n" not in str(error)


def test_an_index_of_the_first_format_opens(photos: Path, tmp_path: Path) -> None:
    index, _ = build_index(ColourEmbedder(), photos, tmp_path / "i")
    file = tmp_path / "i" / "index.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    values.pop("sha256")
    values["format"], values["segments"] = 1, [entry[:2] for entry in values["segments"]]
    for fact in values["sources"]:
        fact["bad_rows"] = [entry[:2] for entry in fact["bad_rows"]]
    file.write_text(json.dumps(values), encoding="utf-8")
    index = open_index(tmp_path / "i", ColourEmbedder())
    assert index.search("green", k=1)[0].id == "cold/green.png" and index.delete(["cold/green.png"]) == 1
    assert open_index(tmp_path / "i").info(verify=True)["damaged"] == []


def test_verify_finds_a_flipped_vector(photos: Path, tmp_path: Path) -> None:
    build_index(ColourEmbedder(), photos, tmp_path / "i")
    vectors = next((tmp_path / "i").glob("seg-*/vectors.npy"))
    data = bytearray(vectors.read_bytes())
    data[-2] ^= 64
    vectors.write_bytes(bytes(data))
    assert "vectors.npy does not match" in open_index(tmp_path / "i").info(verify=True)["damaged"][0]


def test_many_small_commits_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.index.index.MANY_SEGMENTS", 5)
    index, report = build_index(ColourEmbedder(), many(tmp_path, 20), tmp_path / "i", block=2)
    assert report.added == 20 and len(index.manifest.segments) == 1 and len(index.manifest.items) == 1
    stored = pq.read_table(next((tmp_path / "i").glob("items-*.parquet")))
    assert stored.column("_id").to_pylist() == [f"{i:03}.png" for i in range(20)]
