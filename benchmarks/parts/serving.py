"""Single rows to a server from eight clients, beside a plain loop of ``predict``; every row is new to both.

The clients share the cores with the server. What the server worked is another process's: there is no processor time.
"""

from __future__ import annotations

import os
from typing import Any

import plait
import serve as load_test
from parts.part import Asked, Measured
from turns import in_turns

CLIENTS = 8
OPTIONS = ["encoders.image_size=96", "train.baselines=false"]


def serve(asked: Asked) -> list[Measured]:
    """One line."""
    count = 8 if asked.quick else 24
    before = os.environ.get("PLAIT_FEATURES")
    os.environ["PLAIT_FEATURES"] = str(asked.folder / "features")
    train = [load_test.labelled(load_test.made_row(10**6 + i)) for i in range(60)]
    fitted = plait.fit(
        train, "label", preset="single", epochs=3, seed=asked.seed, output=asked.folder / "model", set=OPTIONS,
        progress=False,
    )  # fmt: skip
    del os.environ["PLAIT_FEATURES"]
    process, address = load_test.started(asked.folder / "model", [])
    os.environ["PLAIT_FEATURES"] = str(asked.folder / "features")
    answers: list[Any] = []
    offline: list[Any] = []
    rounds = {"server": 0, "loop": 0}

    def rows(side: str) -> list[dict[str, Any]]:
        rounds[side] += 1
        return [load_test.made_row(rounds[side] * 1000 + i) for i in range(count)]

    def server() -> None:
        answers.extend(load_test.load(address, rows("server"), CLIENTS)[2])

    def loop() -> None:
        offline.extend(fitted.predict([row]).to_pylist()[0] for row in rows("loop"))

    try:
        own, peer = f"Plait serve, {CLIENTS} clients", "loop of predict"
        turns = in_turns({own: server, peer: loop}, asked.repeats)
    finally:
        process.terminate()
        process.wait(60)
        os.environ.pop("PLAIT_FEATURES")
        os.environ.update({} if before is None else {"PLAIT_FEATURES": before})
    names = ("lost", "not its own", "largest difference")
    worst = dict(zip(names, map(float, load_test.judged(answers, offline)), strict=True))
    turns.cpu.clear()
    setting = f"{count} rows a round, minilm and efficientnet-lite0 at 96 px, {asked.threads} threads"
    return [Measured("serve", own, peer, "drawn rows: 10 words, a JPEG, a number", setting, turns, worst)]
