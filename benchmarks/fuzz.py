"""Hostile bytes: mutated tables and media, tampered model folders, indexes and feature stores. What becomes of each?

Every case ends in one of: answered (rows that were not touched get the answers of the clean table), refused (one clear
sentence), row named (the cell is missing and the row says why), or a fault: traceback, hang, silent other answers.

Run: python benchmarks/fuzz.py [--files 10000] [--tampered 1000] [--models 1000] [--parts index,store,lance] [--seed 0]
(about 20 minutes on two cores; ``lance`` needs the extra)
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from PIL import Image

SCRATCH = ["encoders.text=scratch:text", "encoders.image=scratch:image", "encoders.audio=scratch:audio",
           "encoders.image_size=32", "train.epochs=2", "train.baselines=false", "train.threads=1",
           "judge.missing_rows=0"]  # fmt: skip
CLEAR = (ValueError, TypeError, FileNotFoundError, ImportError, NotImplementedError)
SECONDS = 20  # longer is a hang
WORDS = [b'"', b",", b";", b"\n", b"\r", b"\0", b"{", b"}", b"\xff\xfe", b'""', b"nan", b"1e999", b"-1", b"null", b"[]"]


class Hang(BaseException):
    """A case took too long."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise ``Hang`` in this process after so many seconds."""

    def stop(*_: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """One to four random faults: cut, flip, insert, delete, repeat, overwrite."""
    made = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at, how = draw.randrange(len(made) + 1), draw.randrange(7)
        if how == 0:
            del made[at:]
        elif how == 1:
            made[at:at] = draw.randbytes(draw.randint(1, 8))
        elif how == 2:
            del made[at : at + draw.randint(1, 20)]
        elif how == 3:
            made[at:at] = draw.choice(WORDS)
        elif how == 4 and at < len(made):
            made[at] ^= 1 << draw.randrange(8)
        elif how == 5 and at < len(made):
            end = min(len(made), at + draw.randint(1, 8))
            made[at:end] = draw.choice([b"\xff", b"\0"]) * (end - at)
        else:
            made[at:at] = made[: draw.randint(0, 60)]
    return bytes(made)


def another_value(value: Any, draw: random.Random) -> Any:
    """JSON with one value replaced by one of another type, or with a key gone."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(value)
    if not places:
        return value
    node, key = draw.choice(places)
    strange = [None, True, -1, 0, 1.5, 2**70, "", "x", "../../x", [], {}, [[1]], {"a": 1}, "9" * 400]
    if isinstance(node, dict) and draw.random() < 0.25:
        del node[key]
    else:
        node[key] = draw.choice(strange)
    return value


def media(kind: str, seed: int) -> bytes:
    """A small picture or sound."""
    draw, out = np.random.default_rng(seed), io.BytesIO()
    if kind == "wav":
        with wave.open(out, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes((draw.normal(size=4000) * 3000).astype("<i2").tobytes())
        return out.getvalue()
    picture = Image.fromarray(draw.integers(0, 255, (24, 32, 3), dtype=np.uint8))
    picture.save(out, {"jpg": "JPEG", "png": "PNG", "tiff": "TIFF", "gif": "GIF", "webp": "WEBP", "bmp": "BMP"}[kind])
    return out.getvalue()


def frozen_encoders(folder: Path) -> list[str]:
    """Settings of a BERT and a ViT with random weights, whose tokens a store keeps."""
    import torch
    import transformers as hf

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "row", "is", "wet", "dry", *map(str, range(40))]
    hf.BertModel(hf.BertConfig(vocab_size=len(words), **small)).save_pretrained(folder / "bert")
    (folder / "vocab.txt").write_text("\n".join(words))
    hf.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    hf.ViTModel(hf.ViTConfig(image_size=32, patch_size=16, **small)).save_pretrained(folder / "vit")
    return [f"encoders.text=hf:{folder / 'bert'}", f"encoders.image=hf:{folder / 'vit'}", "fusion.name=self_attention",
            *SCRATCH[3:]]  # fmt: skip


KINDS = ["csv", "tsv", "jsonl", "json", "parquet", "arrow", "csv.gz", "png", "jpg", "tiff", "gif", "webp", "bmp", "wav"]


class Bench:
    """A small model of texts, pictures, sounds and numbers, an index, a feature store, and their clean answers."""

    def __init__(self, folder: Path, parts: list[str]) -> None:
        import plait

        self.plait, self.folder, self.parts = plait, folder, parts
        (folder / "m").mkdir(parents=True)
        self.rows = []
        for i in range(40):
            (folder / "m" / f"{i}.png").write_bytes(media("png", i))
            (folder / "m" / f"{i}.wav").write_bytes(media("wav", i))
            self.rows.append({
                "text": f"row {i} is {'wet' if i % 2 else 'dry'}", "image": f"m/{i}.png", "sound": f"m/{i}.wav",
                "size": i * 1.5, "kind": "ab"[i % 2], "label": "no" if i % 2 else "yes",
            })  # fmt: skip
        self.table = folder / "t.csv"
        self.write(self.table, self.rows, "csv")
        os.environ["PLAIT_CACHE"] = str(folder / "cache")
        self.model = plait.fit(str(self.table), "label", audio="sound", output=folder / "model", set=SCRATCH)
        self.few = self.rows[:4]
        self.clean = self.model.predict_proba(self.absolute(self.few))
        finder = plait.fit(
            str(self.table), task="retrieval", text="text", image="image", ignore=["sound", "size", "kind", "label"],
            output=folder / "finder", set=SCRATCH[:-1],
        )  # fmt: skip
        for place, backend in (("index", "exact"), ("lance", "lance")):
            if place in parts:
                plait.build_index(finder, folder / "m", folder / place, backend=backend)
        self.finder = finder
        self.stored = plait.fit(
            str(self.table), "label", ignore=["sound", "size", "kind"], output=folder / "stored",
            set=frozen_encoders(folder),
        )  # fmt: skip
        self.clean_stored = self.stored.predict_proba(self.absolute(self.rows[:8]))
        self.hits = {
            place: [h.id for h in plait.open_index(folder / place, finder).search("row 3 is wet", k=5)]
            for place in ("index", "lance") if place in parts
        }  # fmt: skip

    def absolute(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows whose media are bytes."""
        return [{**r, **{c: (self.folder / r[c]).read_bytes() for c in ("image", "sound")}} for r in rows]

    def write(self, path: Path, rows: list[dict[str, Any]], kind: str) -> None:
        """A table in a format."""
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.feather
        import pyarrow.parquet

        table = pa.Table.from_pylist(rows)
        if kind in ("csv", "tsv", "csv.gz"):
            options = pyarrow.csv.WriteOptions(delimiter="\t" if kind == "tsv" else ",")
            out = io.BytesIO()
            pyarrow.csv.write_csv(table, out, options)
            data = out.getvalue()
            if kind == "csv.gz":
                import gzip

                data = gzip.compress(data)
            path.write_bytes(data)
        elif kind == "jsonl":
            path.write_text("\n".join(json.dumps(r) for r in rows))
        elif kind == "json":
            path.write_text(json.dumps(rows))
        elif kind == "parquet":
            pyarrow.parquet.write_table(table, path)
        else:
            pyarrow.feather.write_feather(table, path)

    def file(self, seed: int) -> str:
        """One mutated file: a table, or a cell of one."""
        draw = random.Random(seed)
        kind = KINDS[seed % len(KINDS)]
        if kind in ("png", "jpg", "tiff", "gif", "webp", "bmp", "wav"):
            rows = self.absolute(self.few)
            rows[0]["sound" if kind == "wav" else "image"] = damaged(media(kind, seed % 7), draw)
            made = self.model.predict(rows)
            answers = np.array([[made.column(f"probability_{c}")[i].as_py() for c in ("no", "yes")] for i in range(4)],
                               dtype=float)  # fmt: skip
            if not np.allclose(answers[1:], self.clean[1:], atol=1e-5):
                return "OTHER ANSWERS"
            return "row named" if made.column("problem")[0].as_py() else "answered"
        path = self.folder / f"x.{kind}"
        self.write(path, self.few, kind)
        path.write_bytes(damaged(path.read_bytes(), draw))
        made = self.model.predict(path)
        if made.num_rows != len(set(made.column("row").to_pylist())):
            return "OTHER ANSWERS"
        return "row named" if made.column("problem").null_count < made.num_rows else "answered"

    def tampered(self, seed: int) -> str:
        """One tampered file of an index, or of the feature store."""
        what = self.parts[seed % len(self.parts)]
        copy = self.copied("cache" if what == "store" else what)
        tamper(copy, random.Random(seed))
        if what in self.hits:
            index = self.plait.open_index(copy, self.finder)
            hits = [h.id for h in index.search("row 3 is wet", k=5)]
            return "answered" if hits == self.hits[what] else "OTHER ANSWERS"
        os.environ["PLAIT_CACHE"] = str(copy)
        try:
            answers = self.stored.predict_proba(self.absolute(self.rows[:8]))
        finally:
            os.environ["PLAIT_CACHE"] = str(self.folder / "cache")
        return "answered" if np.allclose(answers, self.clean_stored, atol=1e-6) else "OTHER ANSWERS"

    def model_tampered(self, seed: int) -> str:
        """One tampered file of a model folder, the manifest left as it is."""
        copy = self.copied("model")
        tamper(copy, random.Random(seed))
        return self.answer_of(copy)

    def model_rewritten(self, seed: int) -> str:
        """The same under a manifest that matches: what was edited in earnest may give other answers, no tracebacks."""
        copy = self.copied("model")
        tamper(copy, random.Random(seed), but=("manifest.json",))
        path = copy / "manifest.json"
        values = json.loads(path.read_text())
        for name, fact in values["files"].items():
            if (copy / name).is_file():
                data = (copy / name).read_bytes()
                fact |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        path.write_text(json.dumps(values))
        found = self.answer_of(copy)
        return "answered otherwise, as edited" if found == "OTHER ANSWERS" else found

    def copied(self, what: str) -> Path:
        """A copy to be tampered with."""
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder / what, copy)
        return copy

    def answer_of(self, folder: Path) -> str:
        """What a model folder answers."""
        answers = self.plait.load(folder).predict_proba(self.absolute(self.few))
        if not np.isfinite(answers).all():
            return "EMPTY ANSWERS"
        return "answered" if np.array_equal(answers, self.clean) else "OTHER ANSWERS"


def tamper(folder: Path, draw: random.Random, but: tuple[str, ...] = ()) -> None:
    """Damage one file, not of those that are for people alone."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".html", ".lock"))
    file = draw.choice([p for p in files if p.name not in ("history.csv", "lock", *but)])
    if file.suffix == ".json" and draw.random() < 0.7:
        file.write_text(json.dumps(another_value(json.loads(file.read_text()), draw)))
    elif file.suffix == ".safetensors" and draw.random() < 0.3:
        other_weights(file, draw)
    elif draw.random() < 0.06:
        file.unlink()
        how = draw.randrange(4)
        if how == 0:
            os.mkfifo(file)
        elif how == 1:
            file.mkdir()
        elif how == 2:
            file.symlink_to("/dev/zero")
    elif draw.random() < 0.5 and file.stat().st_size:
        data = bytearray(file.read_bytes())
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(data)
    else:
        file.write_bytes(damaged(file.read_bytes(), draw))


def other_weights(file: Path, draw: random.Random) -> None:
    """Whole weights, but zeroed, NaN, of another shape or type, or one too few."""
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(file)
    name, how = draw.choice(sorted(weights)), draw.randrange(6)
    if how == 0:
        weights = {key: torch.zeros_like(value) for key, value in weights.items()}
    elif how == 1:
        weights[name] = torch.full_like(weights[name], float("nan"))
    elif how == 2:
        weights[name] = weights[name].reshape(-1)[:1].clone()
    elif how == 3:
        weights[name] = weights[name].to(torch.int8)
    elif how == 4:
        del weights[name]
    else:
        weights["x"] = torch.zeros(2)
    save_file(weights, file)


def outcome(case: Callable[[int], str], seed: int) -> str:
    """What became of one case."""
    try:
        with limited(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case(seed)
    except Hang:
        return "HANG"
    except CLEAR as error:
        text = str(error).strip()
        if not text or type(error) is TypeError and "plait" not in traceback.format_exc().splitlines()[-4]:
            return f"TRACEBACK {type(error).__name__}"
        return "refused"
    except Exception as error:
        return f"TRACEBACK {type(error).__name__}"


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--tampered", type=int, default=1_000)
    parser.add_argument("--models", type=int, default=1_000)
    parser.add_argument("--parts", default="index,store", help="what is tampered with besides models")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), given.parts.split(","))
        for name, case, count in (
            ("files", bench.file, given.files),
            ("indexes and feature stores tampered with", bench.tampered, given.tampered),
            ("models tampered with", bench.model_tampered, given.models),
            ("models tampered with, manifest to match", bench.model_rewritten, given.models),
        ):
            started, found, seeds = time.monotonic(), collections.Counter(), {}
            for seed in range(given.seed, given.seed + count):
                what = outcome(case, seed)
                found[what] += 1
                seeds.setdefault(what, []).append(seed)
                if sys.stderr.isatty() and seed % 50 == 0:
                    sys.stderr.write(f"\r{name} {seed:,}/{count:,}")
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"\n{name}: {count:,} cases, {time.monotonic() - started:.0f} s, peak memory {peak:.1f} GiB")
            for what, number in found.most_common():
                which = f"   seeds {seeds[what][:6]}" if what.isupper() or what.startswith("TRACE") else ""
                print(f"  {what:28} {number:6,}{which}")


if __name__ == "__main__":
    main()
