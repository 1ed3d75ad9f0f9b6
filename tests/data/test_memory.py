"""A bound of memory: what people type for it, what is left under it, and what asks before it takes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.lazy import lazy
from plait.data import memory
from plait.data.memory import (
    LEAST,
    available_memory,
    bound,
    bounded,
    memory_bound,
    memory_bytes,
    most_forward_bytes,
    require,
    reserved,
    share_of_bound,
    within_bound,
)

MB = 10**6


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A process that holds 500 MB, on a machine with 10 GB free; no bound of the environment."""
    facts: dict[str, Any] = {"resident": 500 * MB, "peak": 500 * MB, "free": 10_000 * MB}
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    monkeypatch.setenv(memory.KERNELS, "1024")
    monkeypatch.setattr(memory, "resident", lambda: facts["resident"])
    monkeypatch.setattr(memory, "peak", lambda: facts["peak"])
    monkeypatch.setattr(memory, "_of_machine", lambda: facts["free"])
    monkeypatch.setattr(memory, "_of_container", lambda: None)
    monkeypatch.setattr(memory, "_of_process", lambda: None)
    yield facts


@pytest.mark.parametrize(
    ("given", "size"),
    [("4GB", 4 * 10**9), ("4gb", 4 * 10**9), ("1.5 GiB", 3 * 2**29), ("512MB", 512 * MB), ("3g", 3 * 10**9),
     (2_000_000_000, 2 * 10**9), ("2_000MB", 2 * 10**9), (".5TiB", 2**39)],
)  # fmt: skip
def test_sizes_as_people_type_them(given: str | int, size: int) -> None:
    assert memory_bytes(given) == size


@pytest.mark.parametrize("given", ["", "4 apples", "-1GB", "GB", "1e3", True, "4GBB", "9" * 400 + "GB"])
def test_what_is_no_size(given: Any) -> None:
    with pytest.raises(ValueError, match=r"memory is .*; expected a size such as memory=4GB"):
        memory_bytes(given)


def test_a_number_alone_is_bytes() -> None:
    with pytest.raises(ValueError, match=r"memory is '4', which is 4 bytes \(a number alone is bytes\)"):
        memory_bytes("4")


def test_the_default_is_four_fifths_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with memory_bound(None) as made:
        assert (made.most, made.is_given) == (8_500 * MB, False)
        assert available_memory() == 8_000 * MB and share_of_bound(2) is None
    monkeypatch.setattr(memory, "_of_container", lambda: 1_000 * MB)  # the container has less than the machine
    with memory_bound(None) as made:
        assert made.most == 1_300 * MB
    assert bound() is None


def test_what_is_left_follows_what_is_held(machine: dict[str, Any]) -> None:
    with memory_bound("2GB"):
        assert available_memory() == 1_500 * MB and share_of_bound(3) == 500 * MB
        machine["resident"] = 1_900 * MB
        assert available_memory() == 100 * MB
        machine["resident"] = 2_500 * MB
        assert available_memory() == LEAST
        with memory_bound(None) as inner:  # work inside work keeps to the same bound
            assert inner.most == 2_000 * MB


def test_no_room_at_all(machine: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="memory=400MB leaves no room: .* hold 500 MB already; try memory=1GB"):
        memory_bound("400MB").__enter__()


def test_the_environment_gives_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "3GB")
    found = bound()
    assert found is not None and found.most == 3 * 10**9 and available_memory() == 2_500 * MB
    monkeypatch.setenv(memory.VARIABLE, "much")
    with pytest.raises(ValueError, match="PLAIT_MEMORY is 'much'"):
        bound()


def test_a_bound_that_was_passed_is_said(machine: dict[str, Any]) -> None:
    with pytest.warns(UserWarning, match="memory=1GB was passed: the process held 1.2 GB at its most"):
        with memory_bound("1GB"):
            machine["peak"] = 1_200 * MB
    with memory_bound("1GB"):  # passed before it began: nothing is known
        pass


def test_verbs_and_iterators_keep_it() -> None:
    @bounded
    def verb(memory: str | None = None) -> int:
        return available_memory()

    assert verb(memory="1GB") == 500 * MB  # type: ignore[call-arg]
    seen = within_bound("1GB", lambda: (available_memory() for _ in range(2)))
    assert next(seen) == 500 * MB and bound() is None and list(seen) == [500 * MB]


@pytest.mark.parametrize(
    ("given", "wanted", "budget"),
    [("8GB", 8 * 2**20, 8 * 2**20), ("1GB", 8 * 2**20, 2**20), ("700MB", 8 * 2**20, 2**19), ("1GB", 2**18, 2**18)],
)
def test_the_budget_of_a_forward_is_a_power_of_two_of_half_of_what_is_left(
    machine: dict[str, Any], given: str, wanted: int, budget: int
) -> None:
    # 500 MB left: half of it / 128 = 1.95e6, of which the power of two below is 2^20; 200 MB: 781,250, 2^19
    with memory_bound(given):
        assert most_forward_bytes(wanted) == budget
        machine["resident"] += 100 * MB
        assert most_forward_bytes(wanted) == budget  # told once, so that batches fall alike all the way


def test_batches_are_split_by_what_is_left() -> None:
    """64 pictures of 48 kB under 700 MB: 524,288 bytes hold ten of them."""
    torch, batching = lazy("torch"), lazy("plait.encoders.batching")
    sizes = []

    class Seen(torch.nn.Module):  # type: ignore[name-defined,misc]
        is_exact, reference, batch_mb = False, "seen", 8.0

        def forward(self, pixel_values: Any) -> Any:
            sizes.append(len(pixel_values))
            return lazy("plait.encoders.base").Encoded(pixel_values.mean((2, 3)), None, None)

    pictures = torch.arange(64 * 3 * 64 * 64).float().reshape(64, 3, 64, 64)
    with memory_bound("700MB"):
        few = batching.encode_by_bytes(Seen(), pixel_values=pictures).vector_BD
    assert sizes == [10] * 6 + [4]
    assert torch.equal(few, batching.encode_by_bytes(Seen(), pixel_values=pictures).vector_BD) and sizes[-1] == 64


def test_what_does_not_fit_is_refused_with_a_sum(machine: dict[str, Any]) -> None:
    parts = {"weights": 600 * MB, "a batch": 300 * MB, "nothing": 0}
    with memory_bound("2GB"):
        require(parts, "take a smaller encoder")
    with memory_bound("1GB"), pytest.raises(ValueError) as error:
        require(parts, "take a smaller encoder")
    assert str(error.value) == (
        "this needs about 1.4 GB of memory: 500 MB that the process holds already, 600 MB for weights, 300 MB for a "
        "batch; the bound is 1.0 GB. To go on, give memory=2GB, or take a smaller encoder"
    )
    machine["free"] = 700 * MB
    with pytest.raises(ValueError, match="there are 1.2 GB. To go on, take a smaller encoder"):
        require(parts, "take a smaller encoder")


def test_threads_wait_for_memory_that_others_have(machine: dict[str, Any]) -> None:
    order: list[str] = []
    with memory_bound("1GB"):
        with reserved(300 * MB):
            other = threading.Thread(target=lambda: [order.append("asks"), _take(order)])
            other.start()
            other.join(0.1)
            order.append("gives back")
        other.join(10)
        assert order == ["asks", "gives back", "takes"]
        with pytest.raises(MemoryError, match="600 MB are needed at once, and 500 MB are left"):
            reserved(600 * MB).__enter__()


def _take(order: list[str]) -> None:
    with reserved(300 * MB):
        order.append("takes")


def test_a_picture_that_cannot_fit_is_a_bad_cell_with_its_reason() -> None:
    from PIL import Image

    from plait.data.picture import decode_image
    from plait.processors.image import CellError

    stream, drafted = io.BytesIO(), io.BytesIO()
    Image.new("L", (3000, 3000)).save(stream, "PNG")  # 144 MB at 16 bytes a pixel
    Image.new("L", (3000, 3000)).save(drafted, "JPEG")  # decoded at an eighth
    with memory_bound("600MB"):
        with pytest.raises(CellError, match=r"decoding 3000 x 3000 pixels needs about 0\.1 GB of memory"):
            decode_image(stream.getvalue())
        assert decode_image(drafted.getvalue(), least_side=100).size == (375, 375)
    assert decode_image(stream.getvalue()).size == (3000, 3000)


def test_whatever_takes_a_bound_keeps_to_it() -> None:
    import inspect

    import plait
    from plait.api import predict_to_folder
    from plait.index.build import build_index

    taking = [plait.fit, plait.compare, build_index, predict_to_folder]
    taking += [getattr(plait.Plait, name) for name in ("predict", "evaluate", "calibrate", "explain", "suggest")]
    for function in taking:
        wanted = list(inspect.signature(function).parameters.values())
        given = {one.name: None for one in wanted if one.default is one.empty and one.kind != one.VAR_KEYWORD}
        with pytest.raises(ValueError, match="memory is '4apples'; expected a size"):
            function(**{**given, "memory": "4apples"})


FREED_AND_TAKEN = """
import ctypes, json, resource
from plait.data.memory import keep_freed, memory_bound
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        parts = [library.malloc(24_000_000) for _ in range(4)]
        for part in parts:
            library.memset(part, 1, 24_000_000)
        for part in parts:
            library.free(part)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
with memory_bound("2GB"):
    bounded = keep_freed()
kept = keep_freed()
faults()
print(json.dumps([bounded, kept, usual, faults()]))
"""


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(os, "confstr"), reason="GNU's C library")
def test_freed_memory_is_kept_for_the_next_batch() -> None:
    def said(**more: str) -> list[Any]:
        given = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
        done = subprocess.run(
            [sys.executable, "-c", FREED_AND_TAKEN], env=given | more, capture_output=True, text=True, check=True
        )
        return list(json.loads(done.stdout))

    bounded, kept, usual, afterwards = said()
    assert (bounded, kept) == (False, True) and usual > 10_000 and afterwards < usual / 10
    assert said(MALLOC_ARENA_MAX="2")[1] is False  # whoever set the environment decides
