"""Fixtures for the whole suite: fixed seeds, no network outside loopback, a cache of its own, real data if present."""

from __future__ import annotations

import csv
import gc
import os
import random
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fixtures.settings import SCRATCH
from plait.files import cache_root

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("PLAIT_LANG", None)  # what a test reads is English unless it asks otherwise

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
LONGEST = ("test_tutorials.py", "test_docs.py")  # minutes each: begun first, nobody waits for them at the end


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first (`make test` deals files out in this order)."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True)
def _seed_everything() -> None:
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuse connections that leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise AssertionError(f"a test tried to reach {address[0]!r}; tests must not use the network")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield


@pytest.fixture(scope="module", autouse=True)
def _collector_skips_what_is_imported() -> None:
    """Each training collects garbage, and would walk through all of PyTorch and transformers every time."""
    if "plait.training.trainer" in sys.modules and gc.get_freeze_count() == 0:
        gc.collect()
        gc.freeze()


def pytest_unconfigure() -> None:
    """Give what was set aside back, so that the interpreter takes it down in order."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache folder for the run: the user's weights are read through links, nothing is written beside them."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "weights").mkdir()
    installed = cache_root() / "weights"
    for weights in installed.iterdir() if installed.is_dir() else ():
        (folder / "weights" / weights.name).symlink_to(weights.absolute())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAIT_CACHE", str(folder))
        yield


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of its own (weights and features)."""
    monkeypatch.setenv("PLAIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in this process: exit code, stdout, stderr; a traceback in either is a failure."""
    from plait import cli

    def run_main(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["plait", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return int(stopped.value.code or 0), out, err

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() replaces it
    return run_main


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real development data, or a skip that says so."""
    folder = Path(os.environ.get("PLAIT_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set PLAIT_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 48 rows: text, photo, number; label "yes" where one of red photo and "sunny" holds."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("posts")
    (folder / "img").mkdir()
    rows = []
    for i in range(48):
        red, sunny = bool(i % 2), bool(i // 2 % 2)
        Image.new("RGB", (32, 32), (200, 40, i) if red else (i, 40, 200)).save(folder / f"img/{i}.png")
        text = f"it was {'sunny' if sunny else 'rainy'} on day {i}"
        label = "yes" if red != sunny else "no"
        split = "test" if i >= 40 else "val" if i >= 32 else "train"
        rows.append([f"r{i:03d}", text, f"img/{i}.png", i * 0.5 + 0.25, label, split])
    with open(folder / "posts.csv", "w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([["id", "text", "image", "size", "label", "split"], *rows])
    return folder / "posts.csv"


@pytest.fixture(scope="session")
def coloured_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 36 photos of six colours with two captions each, split by photo."""
    from fixtures.coloured import write_table

    return write_table(tmp_path_factory.mktemp("coloured"))


@pytest.fixture(scope="session")
def coloured_model(coloured_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A retrieval model of those photos, with encoders trained from scratch."""
    import plait
    from fixtures.coloured import SCRATCH as COLOURED_SCRATCH

    folder = tmp_path_factory.mktemp("coloured_model") / "model"
    plait.fit(coloured_photos, task="retrieval", epochs=12, output=folder, set=COLOURED_SCRATCH)
    return folder


@pytest.fixture(scope="session")
def posts_model(posts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of those posts, with encoders trained from scratch for two epochs."""
    import plait

    folder = tmp_path_factory.mktemp("posts_model") / "model"
    plait.fit(posts, "label", epochs=2, output=folder, set=SCRATCH)
    return folder
