"""Processes that encode the same items share the work: each item once, whoever of them dies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from fixtures.fake_features import FakeEncoder, FakeText, key_of
from plait.inputs.feature_store import FeatureStore, claims, encode_items

SCRIPT = Path(__file__).resolve().parent / "encoding_process.py"
TEXTS = [f"text number {n}" for n in range(96)]
KEYS = [key_of(text) for text in TEXTS]


class Child:
    def __init__(self, root: Path, name: str, first: int = 0, last: int = 96, seconds: float = 0.05) -> None:
        self.counts = root / f"{name}.txt"
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
        arguments = [root / "store", self.counts, first, last, seconds]
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *map(str, arguments)], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def ready(self) -> None:
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def num_encoded(self) -> int:
        return sum(map(int, self.counts.read_text().split())) if self.counts.exists() else 0

    def end(self) -> str:
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return out.strip()


def start(*children: Child) -> None:
    for child in children:
        child.ready()
    for child in children:
        child.go()


def left_over(root: Path) -> list[Path]:
    return [*root.rglob("claim-*"), *root.rglob("tmp-*")]


@pytest.mark.timeout(120)
def test_processes_that_start_together_encode_each_item_once(tmp_path: Path) -> None:
    """Three with overlapping parts of the items: 0 to 95, 0 to 95 and 48 to 143."""
    children = [Child(tmp_path, "a"), Child(tmp_path, "b"), Child(tmp_path, "c", 48, 144)]
    start(*children)
    said = [child.end() for child in children]
    counts = [child.num_encoded() for child in children]
    assert sum(counts) == 144 and min(counts) > 0, counts
    assert {word.split(",")[0] for word in said} == {"done"}
    assert not left_over(tmp_path) and FeatureStore(tmp_path / "store").ls()[0].num_items == 144


@pytest.mark.timeout(120)
def test_a_killed_process_leaves_its_items_to_the_other(tmp_path: Path) -> None:
    doomed, other = Child(tmp_path, "doomed", seconds=0.2), Child(tmp_path, "other", seconds=0.2)
    start(doomed, other)
    while doomed.num_encoded() < 24:
        time.sleep(0.01)
    doomed.process.kill()
    doomed.process.communicate()
    other.end()
    assert 96 <= doomed.num_encoded() + other.num_encoded() <= 96 + 32
    store = FeatureStore(tmp_path / "store")
    assert store.ls()[0].num_items == 96 and store.verify().is_sound
    store.gc()
    assert not left_over(tmp_path)


@pytest.mark.timeout(120)
def test_who_comes_late_waits_for_the_last_items_and_says_so(tmp_path: Path) -> None:
    first, late = Child(tmp_path, "first", 0, 8, seconds=1.5), Child(tmp_path, "late", 0, 8)
    first.ready()
    late.ready()
    first.go()
    while first.num_encoded() == 0:
        time.sleep(0.01)
    late.go()
    assert late.end() == "done, waited" and late.num_encoded() == 0 and first.end() == "done"


def held(tmp_path: Path) -> tuple[claims.Claims, FeatureStore]:
    """The first half of the items, claimed by somebody else."""
    encode_items(FeatureStore(tmp_path), FakeEncoder(), FakeText(), [key_of("x")], lambda _: "x")
    store = FeatureStore(tmp_path)
    space = store.space("", {})
    (space.folder,) = store.folders()
    other = claims.Claims(space)
    assert list(other.walk(deque(enumerate(KEYS[:48])), 48)) == list(range(48))
    return other, store


@pytest.mark.timeout(60)
def test_a_claim_without_a_sign_of_life_is_passed_over(tmp_path: Path) -> None:
    other, store = held(tmp_path)
    (keys_file,) = tmp_path.rglob("claim-*.keys")
    os.utime(keys_file, (time.time() - 2 * claims.STALE_SECONDS,) * 2)
    encoder = FakeEncoder()
    encode_items(store, encoder, FakeText(), KEYS, TEXTS.__getitem__)
    assert encoder.num_items == 96
    other.release()
    assert not left_over(tmp_path)


def test_gc_and_ls_know_claims(tmp_path: Path) -> None:
    other, store = held(tmp_path)
    (folder,) = store.folders()
    (folder / "claim-dead.keys").write_bytes(bytes(64))
    (folder / "claim-dead.lock").touch()
    (info,) = store.ls()
    assert (info.num_items, info.num_segments, info.num_damaged) == (1, 1, 0)
    assert store.gc().num_tmp_removed == 1
    assert len(list(folder.glob("claim-*"))) == 2  # the live one
    other.release()
    assert not left_over(tmp_path) and store.verify().is_sound


@pytest.mark.timeout(60)
def test_without_locks_everything_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("no flock here")

    monkeypatch.setattr(claims.FileLock, "acquire", refuse)
    encoder = FakeEncoder()
    encode_items(FeatureStore(tmp_path), encoder, FakeText(), KEYS, TEXTS.__getitem__)
    assert encoder.num_items == 96 and not left_over(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.timeout(30)
def test_something_else_in_place_of_claims(tmp_path: Path) -> None:
    encode_items(FeatureStore(tmp_path), FakeEncoder(), FakeText(), [key_of("x")], lambda _: "x")
    (folder,) = FeatureStore(tmp_path).folders()
    (folder / "claims.lock").unlink(missing_ok=True)
    os.mkfifo(folder / "claims.lock")
    os.mkfifo(folder / "claim-x.keys")
    (folder / "claim-y.keys").write_bytes(b"half")
    (folder / "claim-z.lock").mkdir()
    encoder = FakeEncoder()
    encode_items(FeatureStore(tmp_path), encoder, FakeText(), KEYS, TEXTS.__getitem__)
    assert encoder.num_items == 96


def test_a_store_deleted_while_it_fills(tmp_path: Path) -> None:
    """What was lost is encoded again within the run; the answers are whole."""
    encoder, seen = FakeEncoder(), []

    def delete(done: int, total: int, what: str) -> None:
        seen.append(done)
        if done == 64:
            shutil.rmtree(tmp_path / "store")

    features, _ = encode_items(
        FeatureStore(tmp_path / "store"), encoder, FakeText(), KEYS, TEXTS.__getitem__, batch_size=16, progress=delete
    )
    assert bool(features.is_present().all()) and max(seen) == 96
    assert features.take(np.arange(96))["vector_BD"][:, 0].tolist() == [float(sum(map(ord, t))) for t in TEXTS]
    assert FeatureStore(tmp_path / "store").verify().num_items == 96
