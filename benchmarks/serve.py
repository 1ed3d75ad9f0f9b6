"""Load on ``plait serve`` over loopback: rows a second and waiting times, with and without batches, in the same run.

Makes a table of texts, photos and numbers (no data needed), trains a small model on it and starts two servers of it,
one that joins rows of several requests and one that does not (``--batch-size 1``). 1, 8 and 32 clients, each on a
connection of its own, send single rows as forms, one after the other; the servers take turns, and every row is new to
its server, so every photo and text is encoded. Each answer is compared with ``model.predict`` on the same rows: none
may be missing, none may be another's. The clients share the machine's cores with the servers.

Run: python benchmarks/serve.py [--requests 160] [--encoders minilm,efficientnet-lite0]     (minutes)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import plait
from parts.drawn import jpeg

WORDS = "red green blue sky road house river stone light cloud bird tree old new warm cold".split()
WAYS = {"joined": [], "one by one": ["--batch-size", "1"]}
CLIENTS = (1, 8, 32)


def made_row(number: int) -> dict[str, Any]:
    """A text of 10 words, a photo-sized JPEG and a number, which only this row has."""
    draw = np.random.default_rng(number)
    text = " ".join([*draw.choice(WORDS, 9), str(number)])
    return {"text": text, "photo": jpeg(number), "size": float(round(draw.normal(), 4))}


def labelled(row: dict[str, Any]) -> dict[str, Any]:
    """The row with an answer that rests on number and text, so that rows are answered differently."""
    return {**row, "label": "yes" if row["size"] + ("red" in row["text"].split()) > 0.4 else "no"}


def started(model: Path, options: list[str]) -> tuple[subprocess.Popen[str], str]:
    """A server that is ready, and its address."""
    command = [sys.executable, "-m", "plait", "serve", str(model), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = ""
    for line in process.stderr:
        told = json.loads(line) if line.startswith("{") else {}
        if told.get("event") == "listening":
            address = f"http://127.0.0.1:{told['port']}"
        if told.get("event") == "ready":
            break
    threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
    return process, address


def load(address: str, rows: list[dict[str, Any]], clients: int) -> tuple[float, list[float], list[Any]]:
    """Seconds in all, seconds of each request, and its answer."""
    waits, answers = [0.0] * len(rows), [None] * len(rows)
    barrier = threading.Barrier(clients + 1)

    def send(first: int) -> None:
        with httpx.Client(base_url=address, timeout=120) as http:
            http.get("/health")
            barrier.wait()
            for place in range(first, len(rows), clients):
                row = rows[place]
                began = time.perf_counter()
                answer = http.post(
                    "/v1/predict", data={"text": row["text"], "size": str(row["size"])},
                    files={"photo": ("photo.jpg", row["photo"], "image/jpeg")},
                )  # fmt: skip
                waits[place] = time.perf_counter() - began
                answers[place] = answer.json()["predictions"][0] if answer.status_code == 200 else answer.status_code

    threads = [threading.Thread(target=send, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    barrier.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, waits, answers


def judged(answers: list[Any], offline: list[dict[str, Any]]) -> tuple[int, int, float]:
    """How many answers are missing, how many are not those of their row, and the largest difference of the others."""
    lost = sum(not isinstance(one, dict) for one in answers)
    mixed, largest = 0, 0.0
    for one, expected in zip(answers, offline, strict=True):
        if isinstance(one, dict):
            gaps = [abs(one["probabilities"][c] - expected[f"probability_{c}"]) for c in one["probabilities"]]
            mixed += max(gaps) > 1e-6
            largest = max(largest, *gaps)
    return lost, mixed, largest


def main() -> None:
    """Make, train, serve, load and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=160, help="of each cell; a quarter for one client")
    parser.add_argument("--encoders", default="minilm,efficientnet-lite0", help="of text and photo")
    given = parser.parse_args()
    text, image = given.encoders.split(",")
    with tempfile.TemporaryDirectory() as place:
        os.environ["PLAIT_FEATURES"] = str(Path(place) / "features")
        train = [labelled(made_row(10**6 + i)) for i in range(300)]
        fitted = plait.fit(
            train, "label", epochs=5, output=Path(place) / "model",
            set=[f"encoders.text={text}", f"encoders.image={image}", "train.baselines=false"],
        )  # fmt: skip
        counts = {n: max(n, given.requests // 4 if n == 1 else given.requests) for n in CLIENTS}
        rows = [made_row(i) for i in range(sum(counts.values()))]
        offline = fitted.predict(rows).to_pylist()
        distinct = len({round(one["probability_yes"], 5) for one in offline})
        del os.environ["PLAIT_FEATURES"]
        servers = {way: started(Path(place) / "model", options) for way, options in WAYS.items()}
        print(
            "| clients | rows | requests | rows a second | p50 ms | p99 ms | lost | not its own | largest difference |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        start = 0
        for clients in CLIENTS:
            part = slice(start, start + counts[clients])
            for way, (_, address) in servers.items():
                seconds, waits, answers = load(address, rows[part], clients)
                lost, mixed, largest = judged(answers, offline[part])
                p50, p99 = (float(np.quantile(waits, q)) * 1000 for q in (0.5, 0.99))
                print(
                    f"| {clients} | {way} | {len(waits)} | {len(waits) / seconds:.1f} | {p50:.0f} | {p99:.0f} | {lost} "
                    f"| {mixed} | {largest:.1g} |",
                    flush=True,
                )
            start += counts[clients]
        for process, _ in servers.values():
            process.terminate()
        codes = [process.wait(60) for process, _ in servers.values()]
        print(f"\nservers ended with {codes}; {os.cpu_count()} cores")
        print(f"{distinct} different answers to {len(rows)} rows")


if __name__ == "__main__":
    main()
