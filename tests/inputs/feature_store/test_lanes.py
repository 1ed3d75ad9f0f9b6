"""Forwards side by side give what one after the other gives, in order, and leave PyTorch's threads as they were."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fixtures.media import noise_png
from plait.encoders.image import TimmEncoder
from plait.inputs.feature_store import FeatureStore, encode_items, lanes
from plait.inputs.feature_store.decoding import decoded_in_turns, num_bytes
from plait.inputs.feature_store.lanes import in_lanes, num_lanes
from plait.processors.image import ImageProcessor

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def tiny(**more: object) -> TimmEncoder:
    torch.manual_seed(0)
    return TimmEncoder({"type": "timm", "reference": "t", "name": "mobilenetv3_small_050", "resizes": False}).eval()


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_results_come_in_order_each_from_a_thread_with_its_share() -> None:
    def work(number: int) -> tuple[int, str, int]:
        time.sleep(0.02 if number % 2 else 0.0)  # the later one is done first
        return number, threading.current_thread().name, torch.get_num_threads()

    found = list(in_lanes(work, iter(range(9)), 2))
    assert [given for given, _ in found] == [made[0] for _, made in found] == list(range(9))
    assert {made[2] for _, made in found} == {1} and len({made[1] for _, made in found}) == 2
    assert torch.get_num_threads() == threads_of_a_new_thread() == 2


def test_one_lane_is_the_callers_own_thread() -> None:
    found = list(in_lanes(lambda _: threading.current_thread(), iter(range(3)), 1))
    assert {made for _, made in found} == {threading.current_thread()}


def test_an_error_arrives_and_what_is_closed_early_ends() -> None:
    def fails(number: int) -> int:
        if number == 4:
            raise RuntimeError("the fourth")
        return number

    seen = []
    with pytest.raises(RuntimeError, match="the fourth"):
        for given, _ in in_lanes(fails, iter(range(9)), 2):
            seen.append(given)
    assert seen == [0, 1, 2, 3] and threads_of_a_new_thread() == 2
    half = in_lanes(fails, iter(range(4)), 2)
    next(half)
    half.close()
    assert threads_of_a_new_thread() == 2
    assert len([t for t in threading.enumerate() if t.name.startswith("plait-encode")]) == 2  # they stay for the next


@pytest.mark.timeout(60)
def test_a_work_that_fails_at_once_never_hangs() -> None:
    def fails(_: int) -> None:
        raise RuntimeError("at once")

    for _ in range(200):
        with pytest.raises(RuntimeError, match="at once"):
            list(in_lanes(fails, iter(range(9)), 2))


def test_two_at_once_leave_the_threads_of_all_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_made", {})
    torch.set_num_threads(4)
    seen: list[int] = []

    def encode() -> None:
        for _ in range(10):
            found = list(in_lanes(lambda _: torch.get_num_threads(), iter(range(6)), 2))
            seen.extend(made for _, made in found)

    callers = [threading.Thread(target=encode) for _ in range(3)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert set(seen) <= {1, 2} and torch.get_num_threads() == threads_of_a_new_thread() == 4
    torch.set_num_threads(2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_makes_its_own() -> None:
    assert [made for _, made in in_lanes(lambda n: n, iter(range(4)), 2)] == [0, 1, 2, 3]
    child = os.fork()
    if child == 0:
        os._exit(int(not lanes._made == {}))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and lanes._made


def test_lanes_are_for_networks_that_are_tested_on_cpus_with_threads_to_share() -> None:
    encoder = tiny()
    found = {}
    for threads in (1, 2, 3, 4, 5, 6, 7, 11, 16):
        torch.set_num_threads(threads)
        found[threads] = num_lanes(encoder, CPU, 1 << 22)
    torch.set_num_threads(2)
    assert found == {1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 3, 7: 3, 11: 2, 16: 4}
    assert num_lanes(nn.Linear(2, 2), CPU, 1 << 22) == 1 and num_lanes(encoder, torch.device("meta"), 1 << 22) == 1


def test_no_room_no_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.inputs.feature_store.lanes.most_forward_bytes", lambda wanted: min(wanted, 5 << 20))
    assert num_lanes(tiny(), CPU, 1 << 22) == 1 and num_lanes(tiny(), CPU, 1 << 21) == 2


def test_features_are_those_of_one_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, processor = tiny(), ImageProcessor(64)
    cells = [noise_png(seed) if seed != 7 else b"\x89PNG broken" for seed in range(41)]
    keys = [f"{number:064x}" for number in range(41)]
    asked: list[int] = []

    def noted(work: object, given: object, count: int) -> object:
        asked.append(count)
        return in_lanes(work, given, count)  # type: ignore[arg-type]

    monkeypatch.setattr("plait.inputs.feature_store.encode.in_lanes", noted)
    found = []
    for place, threads in (("two", 2), ("one", 1)):
        torch.set_num_threads(threads)
        features, failures = encode_items(
            FeatureStore(tmp_path / place),
            encoder,
            processor,
            keys,
            cells.__getitem__,
            batch_size=4,
            on_error="collect",
        )
        found.append(features.take(np.arange(41))["vector_BD"])
        assert list(failures) == [7]
    torch.set_num_threads(2)
    encode_items(FeatureStore(tmp_path / "few"), encoder, processor, keys[:6], cells.__getitem__, batch_size=4)
    assert asked == [2, 1, 1]  # few items are done sooner on all threads
    torch.testing.assert_close(torch.as_tensor(found[0]), torch.as_tensor(found[1]), rtol=1e-4, atol=1e-5)


def test_nothing_is_decoded_while_the_caller_works() -> None:
    busy, during, sizes = threading.Event(), [], 8 * 100

    def decode(number: int) -> dict[str, torch.Tensor]:
        during.append(busy.is_set())
        if number == 5:
            raise ValueError("broken")
        time.sleep(0.001)
        return {"x": torch.zeros(100, dtype=torch.float64)}

    seen = []
    for number, result in decoded_in_turns(iter(range(50)), decode, 2, 6 * sizes, 99):
        busy.set()
        time.sleep(0.003)
        seen.append(number)
        assert isinstance(result, ValueError) if number == 5 else num_bytes(result) == sizes
        busy.clear()
    assert seen == list(range(50)) and not any(during)
    assert not [t for t in threading.enumerate() if t.name.startswith("plait-decode")]
    assert list(decoded_in_turns(iter(()), decode, 2, 10, 99)) == []
