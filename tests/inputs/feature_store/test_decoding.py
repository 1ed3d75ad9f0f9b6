"""On a CPU a window of items is decoded by all threads, then worked on: never both at once."""

from __future__ import annotations

import threading
import time

import torch

from plait.inputs.feature_store.decoding import decoded_in_turns, num_bytes


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
