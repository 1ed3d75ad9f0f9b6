"""Small files that unpack to gigabytes: what they take, and what is said of them.

Builds an npz, a Parquet, a gzipped CSV, a Parquet file whose metadata lie about the size of a column, and a 16-bit
picture of 64 megapixels. Each is opened in a process of its own: by numpy, pandas or Pillow as anyone would, by ``plait
check`` (pictures by ``plait predict`` too) without limits (``PLAIT_MAX_TABLE_BYTES`` set to more than there is), and by
the same command as it comes. Printed are the peak memory of each process (the system's own count), its seconds and what
it said. A process that would take more than ``--most`` GiB of addresses gets a lack of memory instead.

Run: python benchmarks/unpacking.py [--gigabytes 3] [--most 10] [--only npz,parquet]     (minutes)
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

NO_LIMIT = {"PLAIT_MAX_TABLE_BYTES": str(10**15)}
NAIVE = {
    "npz": ("numpy.load", "import numpy, sys; print([a.sum() for a in numpy.load(sys.argv[1]).values()])"),
    "parquet": ("pandas.read_parquet", "import pandas, sys; print(pandas.read_parquet(sys.argv[1]).shape)"),
    "lying": ("pandas.read_parquet", "import pandas, sys; print(pandas.read_parquet(sys.argv[1]).shape)"),
    "csv": ("pandas.read_csv", "import pandas, sys; print(pandas.read_csv(sys.argv[1]).shape)"),
    "png": ("Pillow, numbers as float32", "import numpy, sys; from PIL import Image\n"
            "print(numpy.asarray(Image.open(sys.argv[1]), numpy.float32).repeat(3).shape)"),
}  # fmt: skip
NAMES = {"npz": "bomb.npz", "parquet": "bomb.parquet", "lying": "lying.parquet", "csv": "bomb.csv.gz",
         "png": "64mp16.png"}  # fmt: skip


def make(what: str, folder: Path, gigabytes: float) -> None:
    """Write one of the files."""
    path, wanted = folder / NAMES[what], int(gigabytes * 2**30)
    if what == "npz":
        import zipfile

        import numpy as np

        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("x.npy", "w", force_zip64=True) as file,
        ):
            header = {"descr": "|u1", "fortran_order": False, "shape": (wanted,)}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, wanted, 1 << 20):
                file.write(bytes(min(1 << 20, wanted - start)))
    elif what == "csv":
        import gzip

        row = b"a" * 1990 + b",label\n"
        with gzip.open(path, "wb") as file:
            file.write(b"text,label\n")
            for _ in range(wanted // len(row) // 500):
                file.write(row * 500)
    elif what == "png":
        import numpy as np
        from PIL import Image

        ramp = np.linspace(0, 65535, 8000, dtype=np.uint16)
        Image.fromarray(np.broadcast_to(ramp, (7999, 8000)).copy()).save(path)
        Image.new("RGB", (40, 30), "red").save(folder / "red.png")
        (folder / "pictures.csv").write_text("image,text,label\n64mp16.png,wide,yes\nred.png,small,no\n")
        rows = "".join(f"red.png,word {i},{'yes' if i % 2 else 'no'}\n" for i in range(40))
        (folder / "train.csv").write_text("image,text,label\n" + rows)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        word = pa.array(["a" * 2000])
        if what == "parquet":
            count = wanted // 2000
            pointers = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), word)
            pq.write_table(pa.table({"text": pointers, "label": ["x"] * count}), path, store_schema=False)
        else:
            size = min(wanted, 2**31 - 2**20)
            long = pa.array(["a" * size], pa.large_string())
            table = pa.table({"text": long, "label": ["x"]})
            pq.write_table(table, path, use_dictionary=False, compression="zstd", write_statistics=False)
            told = pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size
            data = path.read_bytes()
            edge = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
            true = zigzag(told)
            path.write_bytes(data[:edge] + data[edge:].replace(true, zigzag(1000, len(true))))


def zigzag(value: int, length: int = 0) -> bytes:
    """A number as Thrift's compact protocol writes it, padded to so many bytes."""
    left, made = value << 1, bytearray()
    while left > 127 or len(made) + 1 < length:
        made.append(left & 127 | 128)
        left >>= 7
    return bytes([*made, left])


def measured(command: list[str], most: float, **environment: str) -> tuple[str, str]:
    """Peak memory of a command in GiB, and what it said first (of an error: its last line)."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (int(most * 2**30),) * 2)

    with tempfile.TemporaryFile("w+") as said:
        started = time.monotonic()
        child = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, preexec_fn=limit,
                                 env={**os.environ, "PYTHONWARNINGS": "ignore", **environment})  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        said.seek(0)
        lines = [line.strip() for line in said.read().splitlines() if line.strip()] or [""]
    failed = any(line.startswith("Traceback") for line in lines)
    named = [line for line in lines if "rror:" in line or "64mp16" in line]
    line = lines[-1] if failed else (named or lines)[0]
    return f"{usage.ru_maxrss / 2**20:.2f} GiB, {seconds:.0f} s", line


def main() -> None:
    """Build, measure and print a table, then what was said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=3, help="what each table unpacks to")
    parser.add_argument("--most", type=float, default=10, help="GiB of addresses that a process may take")
    parser.add_argument("--only", default="npz,parquet,lying,csv,png", help="which files")
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make(given.make[0], Path(given.make[1]), given.gigabytes)
        return
    print("| file | on the disk | opened as anyone would | peak | Plait without limits | Plait |")
    print("|---|---|---|---|---|---|")
    said = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for what in given.only.split(","):
            made = [sys.executable, __file__, "--make", what, place, "--gigabytes", str(given.gigabytes)]
            subprocess.run(made, check=True)  # in a process of its own: peaks of children begin with this one's
            file, (naive, code) = folder / NAMES[what], NAIVE[what]
            plait = [sys.executable, "-m", "plait"]
            table = file if what != "png" else folder / "pictures.csv"
            commands = {"check": [*plait, "check", table, *([] if what == "npz" else ["--target", "label"])]}
            if what == "png":
                small = ["--set", "encoders.image=scratch:image", "--set", "encoders.text=scratch:text"]
                small += ["--epochs", "1", "--set", "train.baselines=false", "--set", "encoders.image_size=32"]
                fit = [*plait, "fit", folder / "train.csv", "--target", "label", "-o", folder / "model", "--quiet"]
                subprocess.run([*fit, *small], check=True, capture_output=True)
                predict = [*plait, "predict", folder / "model", "--quiet", "--overwrite", "-o", folder / "p.csv"]
                commands |= {"predict, without it": [*predict, folder / "train.csv"]}
                commands |= {"predict": [*predict, folder / "pictures.csv"]}
            peak, line = measured([sys.executable, "-c", code, str(file)], given.most)
            said.append(f"- `{file.name}`, {naive}: {line[:400]}")
            for verb, command in commands.items():
                words = list(map(str, command))
                free, line = ("", "") if what == "png" else measured(words, given.most, **NO_LIMIT)
                if line:
                    said.append(f"- `{file.name}`, `plait {verb}` without limits: {line[:400]}")
                ours, line = measured(words, given.most)
                if verb == "predict":
                    line += (folder / "p.csv").read_text().splitlines()[1]
                said.append(f"- `{file.name}`, `plait {verb}`: {line[:400]}")
                size = f"{file.stat().st_size / 1e6:.2f} MB"
                print(f"| `{file.name}`, `{verb}` | {size} | {naive} | {peak} | {free} | {ours} |", flush=True)
            file.unlink()
    print("\n" + "\n".join(said).replace(f"{place}/", ""))


if __name__ == "__main__":
    main()
