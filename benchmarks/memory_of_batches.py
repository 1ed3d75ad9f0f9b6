"""Peak memory of encoding, of training and of prediction on sounds of very different lengths.

Each case runs in a process of its own, whose peak is the system's own count (``ru_maxrss``). The frozen encoder is a
wav2vec2 with 64 channels and random weights; the trained one is ``scratch:audio``. To compare with another checkout,
put its ``src`` on PYTHONPATH.

Run: python benchmarks/memory_of_batches.py [--sounds 700] [--cases frozen,predict,train] [--kernels 1]     (minutes)
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
RATE = 16_000


def write_sounds(folder: Path, seconds: list[float]) -> list[dict[str, str]]:
    """Noise, high or low, one file a length."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    rows = []
    for i, length in enumerate(seconds):
        samples = rng.normal(0, 0.1, int(length * RATE))
        low = samples.cumsum() * 0.01
        soundfile.write(folder / f"{i}.wav", low if i % 2 else samples, RATE, subtype="FLOAT")
        rows.append({"sound": str(folder / f"{i}.wav"), "label": "low" if i % 2 else "high"})
    return rows


def lengths(what: str, count: int) -> list[float]:
    """``one-long``: one clip of 30 s among short ones; else 2 to 30 s."""
    if what == "one-long":
        return [30.0] + [1.0 + i % 2 * 0.5 for i in range(64)]
    return [2.0 + 28.0 * (i * 37 % count) / count for i in range(count)]


def frozen(rows: list[dict[str, str]], folder: Path) -> None:
    """Encode with a frozen wav2vec2."""
    import torch
    import transformers as hf

    from plait.encoders.load import load_encoder
    from plait.inputs.feature_store import FeatureStore, encode_items

    torch.manual_seed(0)
    wide = hf.Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, conv_dim=(64,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    hf.Wav2Vec2Model(wide).save_pretrained(folder / "w")
    encoder, processor = load_encoder(f"hf:{folder / 'w'}", "audio")
    keys = [f"{i:064x}" for i in range(len(rows))]
    encode_items(FeatureStore(folder / "s"), encoder, processor, keys, lambda i: Path(rows[i]["sound"]), batch_size=32)


def fitted(rows: list[dict[str, str]], folder: Path, batch_size: int, **more: object) -> object:
    """``scratch:audio`` trained for an epoch."""
    import plait

    return plait.fit(rows, "label", audio="sound", output=folder / "m", allow_outside=True, set=[
        "encoders.audio=scratch:audio", "train.epochs=1", "train.baselines=false", "train.threads=1",
        "judge.missing_rows=0", f"train.batch_size={batch_size}",
    ])  # fmt: skip


def case(name: str, what: str, count: int) -> None:
    """One case, in this process; prints seconds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["PLAIT_CACHE"] = str(folder / "cache")
        import plait  # noqa: F401

        rows = write_sounds(folder, lengths(what, count))
        started = time.monotonic()
        if name == "frozen":
            frozen(rows, folder)
        elif name == "train":
            fitted(rows, folder, 64)
        elif name == "predict":
            short = write_sounds_short(folder)
            model = fitted(short, folder, 8)
            started = time.monotonic()
            model.predict([{"sound": row["sound"]} for row in rows], allow_outside=True)  # type: ignore[attr-defined]
        print(f"SECONDS {time.monotonic() - started:.0f}")


def write_sounds_short(folder: Path) -> list[dict[str, str]]:
    """Twenty clips of half a second, to have a model."""
    place = folder / "short"
    place.mkdir()
    return write_sounds(place, [0.5] * 20)


def main() -> None:
    """Run every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", type=int, default=700)
    parser.add_argument("--cases", default="frozen,predict,train")
    parser.add_argument("--kernels", help="kernels that oneDNN keeps (ONEDNN_PRIMITIVE_CACHE_CAPACITY); its own: 1024")
    parser.add_argument("--lengths", default="one-long,2-30s", help="one-long: one of 30 s among short ones; 2-30s")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        case(*given.only, given.sounds)
        print(f"PEAK {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f}")
        return
    kernels = {} if given.kernels is None else {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": given.kernels}
    print("| case | sounds | peak memory | seconds |\n|---|---|---|---|")
    for name in given.cases.split(","):
        for what in given.lengths.split(","):
            made = subprocess.run(
                [sys.executable, __file__, "--sounds", str(given.sounds), "--only", name, what],
                capture_output=True, text=True, check=False, env={**os.environ, **kernels},
            )  # fmt: skip
            lines = [line.split() for line in made.stdout.splitlines()]
            found = {line[0]: line[1] for line in lines if line and line[0] in ("PEAK", "SECONDS")}
            sounds = "one of 30 s, 64 of 1 to 1.5 s" if what == "one-long" else f"{given.sounds} of 2 to 30 s"
            ended = f"ended with {made.returncode}: {made.stderr.strip()[-80:]}"
            peak = f"{found['PEAK']} GiB" if "PEAK" in found else ended
            print(f"| {name} | {sounds} | {peak} | {found.get('SECONDS', '')} |", flush=True)


if __name__ == "__main__":
    main()
