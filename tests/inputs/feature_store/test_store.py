"""The store on disk: nothing half written is ever read, damage is found, clearing loses nothing live."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fixtures.fake_features import key_of, planted, planted_tokens
from plait.files import HOST
from plait.inputs.feature_store import FeatureStore, FeatureStoreError, Space, segment
from plait.inputs.feature_store import space as space_module

WRITER = Path(__file__).resolve().parent / "writer.py"
UNIVERSE = [key_of(str(number)) for number in range(400)]


def child(*arguments: object) -> subprocess.Popen:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *map(str, arguments)], env=env, stdout=subprocess.PIPE, text=True)


def start_writers(root: Path, seeds: list[int], num_segments: int) -> list[subprocess.Popen]:
    writers = [child(WRITER, root, seed, num_segments) for seed in seeds]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    return writers


def planted_space(root: Path) -> Space:
    return FeatureStore(root).space("planted", {"encoder": "planted"})


def put(space: Space, names: range) -> list[str]:
    keys = [key_of(str(number)) for number in names]
    space.put(keys, np.stack([planted(key) for key in keys]), [planted_tokens(key) for key in keys])
    return keys


def check_all_right(space: Space) -> int:
    """Every stored item equals what its key calls for; returns how many there are."""
    missing = set(space.missing(UNIVERSE))
    present = [key for position, key in enumerate(UNIVERSE) if position not in missing]
    if present:
        batch = space.gather(present).take(np.arange(len(present)))
        for row, key in enumerate(present):
            assert batch["vector_BD"][row].numpy().tolist() == planted(key).tolist()
            own = batch["tokens_BTD"][row][batch["mask_BT"][row]].numpy()
            assert own.tolist() == planted_tokens(key).tolist()
    return len(present)


def only_segment(space: Space) -> Path:
    (path,) = space.folder.glob("seg-*")
    return path


def test_kill_leaves_only_whole_entries(tmp_path: Path) -> None:
    counts = []
    for step, writer in enumerate(start_writers(tmp_path, [0, 1, 2, 3], 10_000)):
        time.sleep(0.02 + 0.013 * step)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        counts.append(check_all_right(planted_space(tmp_path)))
    assert counts[-1] > 0 and counts == sorted(counts)
    store = FeatureStore(tmp_path)
    assert store.verify().is_sound
    store.gc()
    assert not list(tmp_path.rglob("tmp-*"))
    assert check_all_right(planted_space(tmp_path)) == counts[-1]


KILL_AT_EACH_STEP = """
import os, signal, sys
from pathlib import Path
import numpy as np
from test_store import planted_space, put

def kill_at(step):
    count = 0
    def tick(call):
        def wrapped(*args):
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args)
        return wrapped
    os.fsync, os.rename = tick(os.fsync), tick(os.rename)

for step in range(1, 9):
    pid = os.fork()
    if pid == 0:
        kill_at(step)
        put(planted_space(Path(sys.argv[1]) / str(step)), range(5))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, step
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_at_every_step_of_a_write(tmp_path: Path) -> None:
    """kill -9 before each flush and before the rename: four files, meta.json, folder, rename, parent."""
    process = child("-c", KILL_AT_EACH_STEP, tmp_path)
    process.communicate()
    assert process.returncode == 0
    for step in range(1, 9):
        root, is_renamed = tmp_path / str(step), step == 8
        assert check_all_right(planted_space(root)) == (5 if is_renamed else 0)
        assert len(list(root.rglob("tmp-*"))) == (0 if is_renamed else 1)


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    writers = start_writers(tmp_path, [1, 2], 40)
    reader = planted_space(tmp_path)
    while any(writer.poll() is None for writer in writers):
        check_all_right(reader)
    for writer in writers:
        assert writer.stdout.read() == "done\n" and writer.wait() == 0
        writer.stdout.close()
    num = check_all_right(reader)
    assert num > 300
    store = FeatureStore(tmp_path)
    assert store.verify().problems == () and len(list(tmp_path.rglob("tmp-*"))) == 0
    store.gc()
    (info,) = store.ls()
    assert info.num_segments > 2 and info.num_items >= num  # what both encoded stands twice and is read once
    assert check_all_right(reader) == check_all_right(planted_space(tmp_path)) == num


def test_gc_beside_a_writer_and_a_reader_loses_nothing(tmp_path: Path) -> None:
    first = put(planted_space(tmp_path), range(50))
    reader = planted_space(tmp_path)
    (writer,) = start_writers(tmp_path, [5], 30)
    store = FeatureStore(tmp_path)
    while writer.poll() is None:
        store.gc()
        assert reader.missing(first) == []
        check_all_right(reader)
    assert writer.stdout.read() == "done\n" and writer.returncode == 0
    writer.stdout.close()


@pytest.mark.parametrize("name", ["vectors.npy", "tokens.npy", "keys.npy", "offsets.npy", "meta.json"])
def test_truncated_file_is_skipped_once_and_written_again(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = put(planted_space(tmp_path), range(10))
    path = only_segment(planted_space(tmp_path))
    os.truncate(path / name, (path / name).stat().st_size - 3)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # a second reader stays quiet
            space = planted_space(tmp_path)
            assert space.missing(keys) == list(range(10))
    assert len(caplog.records) == 1 and str(path) in caplog.text
    put(space, range(10))
    assert space.missing(keys) == [] and check_all_right(planted_space(tmp_path)) == 10
    report = FeatureStore(tmp_path).gc()
    assert report.num_damaged_removed == 1 and not path.exists()


@pytest.mark.parametrize("name", ["vectors.npy", "tokens.npy", "keys.npy", "offsets.npy"])
def test_verify_catches_a_flipped_byte_and_gc_never_blesses_it(tmp_path: Path, name: str) -> None:
    store = FeatureStore(tmp_path)
    put(planted_space(tmp_path), range(10))
    damaged = only_segment(planted_space(tmp_path))
    put(planted_space(tmp_path), range(10, 20))
    assert store.verify().num_items == 20 and store.verify().is_sound
    data = bytearray((damaged / name).read_bytes())
    data[-1] ^= 1
    (damaged / name).write_bytes(data)
    (problem,) = store.verify().problems
    assert problem.path == damaged and name in problem.reason
    assert store.gc().num_damaged_removed == 1
    assert store.verify().is_sound and check_all_right(planted_space(tmp_path)) == 10


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted on Linux")
def test_segments_keep_no_file_open_and_large_ones_are_mapped(tmp_path: Path) -> None:
    for first in range(0, 20, 2):
        put(planted_space(tmp_path), range(first, first + 2))
    before, keys = len(os.listdir("/proc/self/fd")), [key_of(str(number)) for number in range(64)]
    small = planted_space(tmp_path).gather(keys[:20])
    assert len(os.listdir("/proc/self/fd")) == before
    wide = FeatureStore(tmp_path).space("wide", {"encoder": "wide"})
    wide.put(keys, np.arange(64 * 1024, dtype=np.float32).reshape(64, 1024))
    again = FeatureStore(tmp_path, ram_limit=0).space("wide", {"encoder": "wide"})
    large = again.gather(keys)
    assert len(os.listdir("/proc/self/fd")) == before
    (file,) = (wide.folder / name for name in os.listdir(wide.folder) if name.startswith("seg-"))
    assert str(file / "vectors.npy") in Path("/proc/self/maps").read_text("utf-8")
    assert len(small) == 20 and len(large) == 64
    np.testing.assert_array_equal(large.take(np.array([63]))["vector_BD"][0].numpy(), np.arange(63 * 1024.0, 64 * 1024))


def test_a_large_file_cut_short_is_damaged_and_not_read_beyond_its_end(tmp_path: Path) -> None:
    keys = [key_of(str(number)) for number in range(64)]
    space = FeatureStore(tmp_path).space("wide", {"encoder": "wide"})
    space.put(keys, np.ones((64, 1024), dtype=np.float32))
    (segment,) = (space.folder / name for name in os.listdir(space.folder) if name.startswith("seg-"))
    file = segment / "vectors.npy"
    os.truncate(file, file.stat().st_size - 1)
    assert FeatureStore(tmp_path).space("wide", {"encoder": "wide"}).missing(keys) == list(range(64))


def test_meta_that_lies_is_skipped(tmp_path: Path) -> None:
    keys = put(planted_space(tmp_path), range(4))
    path = only_segment(planted_space(tmp_path)) / "meta.json"
    meta = json.loads(path.read_text())
    lies = [{"num_items": 5}, {"files": {}}, {"version": 99}, {"vector_dim": "x"}, {"files": {"../a": {}}}]
    for change in lies:
        path.write_text(json.dumps(meta | change))
        assert len(planted_space(tmp_path).missing(keys)) == 4
    path.write_text("[1]")
    assert len(planted_space(tmp_path).missing(keys)) == 4
    path.write_text(json.dumps(meta))
    assert planted_space(tmp_path).missing(keys) == []


def test_object_arrays_are_never_unpickled(tmp_path: Path) -> None:
    keys = put(planted_space(tmp_path), range(4))
    path = only_segment(planted_space(tmp_path))
    np.save(path / "vectors.npy", np.array([print], dtype=object), allow_pickle=True)
    meta = json.loads((path / "meta.json").read_text())
    meta["files"]["vectors.npy"]["bytes"] = (path / "vectors.npy").stat().st_size
    (path / "meta.json").write_text(json.dumps(meta))
    assert len(planted_space(tmp_path).missing(keys)) == 4


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_full_or_read_only_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    space = planted_space(tmp_path)

    def refuse(path: Path) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(segment, "sync_folder", refuse)
        with pytest.raises(FeatureStoreError, match="PLAIT_CACHE") as caught:
            put(space, range(4))
    assert str(space.folder) in str(caught.value) and os.strerror(code) in str(caught.value)
    assert not list(tmp_path.rglob("tmp-*")) and not list(tmp_path.rglob("seg-*"))
    assert put(space, range(4)) and check_all_right(space) == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    keys = put(planted_space(tmp_path / "store"), range(4))
    folders = [path for path in (tmp_path / "store").rglob("*") if path.is_dir()] + [tmp_path / "store"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        space = planted_space(tmp_path / "store")
        assert space.missing(keys) == [] and len(space.gather(keys)) == 4  # reading still works
        with pytest.raises(FeatureStoreError, match="PLAIT_CACHE"):
            put(space, range(4, 8))
        with pytest.raises(FeatureStoreError, match="PLAIT_CACHE"):
            FeatureStore(tmp_path / "store").gc()
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(FeatureStoreError, match="PLAIT_CACHE"):
        put(planted_space(tmp_path / "store"), range(4))


def test_put_refuses_what_it_cannot_keep(tmp_path: Path) -> None:
    space = planted_space(tmp_path)
    key = key_of("a")
    with pytest.raises(ValueError, match="64 hexadecimal"):
        space.put(["abc"], np.ones((1, 3)))
    with pytest.raises(ValueError, match="2 keys came with vectors"):
        space.put([key, key], np.ones((1, 3)))
    with pytest.raises(ValueError, match="NaN"):
        space.put([key], np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="float16"):
        space.put([key], np.ones((1, 3)), [np.full((1, 2), 70_000.0)])
    assert not space.folder.exists()
    space.put([key], np.ones((1, 3)))
    with pytest.raises(ValueError, match="width 3"):
        space.put([key_of("b")], np.ones((1, 4)))
    with pytest.raises(ValueError, match="1 of 2 keys"):
        space.gather([key, key_of("b")])


def test_duplicates_are_stored_once(tmp_path: Path) -> None:
    space = planted_space(tmp_path)
    a, b = key_of("a"), key_of("b")
    assert space.missing([a, b, a, None]) == [0, 1]
    assert space.put([a, a, b], np.array([[1.0], [2.0], [3.0]])) == 2
    assert space.put([b, a], np.array([[8.0], [9.0]])) == 0
    batch = space.gather([b, a, None, b]).take(np.arange(4))
    assert batch["vector_BD"].tolist() == [[3.0], [1.0], [0.0], [3.0]]
    assert len(list(space.folder.glob("seg-*"))) == 1


def test_gc_tmp_folders_of_the_dead_and_the_old_only(tmp_path: Path) -> None:
    space = planted_space(tmp_path)
    put(space, range(3))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        "mine": f"tmp-{os.getpid()}-{HOST}-1",
        "dead": f"tmp-{dead.pid}-{HOST}-2",
        "other": f"tmp-{dead.pid}-00000000-3",
        "old": f"tmp-{os.getpid()}-{HOST}-4",
    }
    for name in names.values():
        (space.folder / name).mkdir()
        (space.folder / name / "vectors.npy").write_bytes(b"half")
    os.utime(space.folder / names["old"], (time.time() - 90_000,) * 2)
    assert FeatureStore(tmp_path).gc().num_tmp_removed == 2
    left = {name for name, folder in names.items() if (space.folder / folder).exists()}
    assert left == {"mine", "other"}


def test_gc_by_size_and_age_keeps_the_latest(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    now = time.time()
    for days, name in enumerate(["new", "middle", "old"]):
        space = store.space(name, {"name": name})
        put(space, range(100))
        space.gather([UNIVERSE[0]])
        os.utime(space.folder / "last-used", (now - days * 86_400 - 60,) * 2)
    infos = store.ls()
    assert [info.description["name"] for info in infos] == ["new", "middle", "old"]
    assert all(info.num_items == 100 and info.num_bytes > 100 * 8 * 4 for info in infos)
    assert json.dumps(infos[0].to_json())
    assert store.gc(older_than_days=1.5).num_spaces_removed == 1
    assert [info.description["name"] for info in store.ls()] == ["new", "middle"]
    assert store.gc(max_bytes=infos[0].num_bytes + 10).num_spaces_removed == 1
    assert [info.description["name"] for info in store.ls()] == ["new"]
    assert store.gc(max_bytes=0).num_spaces_removed == 1 and store.ls() == []
    with pytest.raises(ValueError, match="max_bytes"):
        store.gc(max_bytes=-1)


def test_gathered_set_outlives_gc(tmp_path: Path) -> None:
    keys = put(planted_space(tmp_path), range(30))
    space = FeatureStore(tmp_path, ram_limit=0).space("planted", {})
    features = space.gather(keys)
    FeatureStore(tmp_path).gc(max_bytes=0)
    assert not space.folder.exists() and not features.is_in_memory
    assert features.take(np.array([7]))["vector_BD"][0].tolist() == planted(keys[7]).tolist()
    assert space.missing(keys) == list(range(30))
    put(space, range(30))  # the folder is made again
    assert check_all_right(planted_space(tmp_path)) == 30


def test_write_survives_gc_taking_the_space_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space, calls = planted_space(tmp_path), []

    def write(folder: Path, *args: object) -> Path:
        calls.append(folder)
        if len(calls) == 1:
            FeatureStore(tmp_path).gc(max_bytes=0)
        return segment.write_segment(folder, *args)

    monkeypatch.setattr(space_module, "write_segment", write)
    put(space, range(3))
    assert len(calls) == 2 and check_all_right(space) == 3


def test_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path / "here"))
    store = FeatureStore()
    assert store.root == tmp_path / "here" / "features"
    assert store.ls() == [] and store.verify().is_sound and store.gc().bytes_after == 0
    assert not store.root.exists()
    monkeypatch.delenv("PLAIT_CACHE")
    assert FeatureStore().root == Path.home() / ".cache" / "plait" / "features"
