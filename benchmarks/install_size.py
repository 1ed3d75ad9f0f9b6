"""What Plait weighs: processor seconds until it answers, its wheel, and what an installation takes on disk.

Seconds are user and system time of fresh interpreters, in turns with the packages that a user would import instead, so
that a ratio compares neighbours in time; bytecode is compiled and files are in the system's cache after a first turn.
The wheel is built by the build backend of pyproject.toml. Megabytes are the files that each installed package recorded,
with their bytecode where it is there, over the requirements of Plait and theirs, read from the metadata of this
environment: nothing is installed or fetched.

Run: python benchmarks/install_size.py [--repeats 5] [--extras all]     (a minute; needs the extra dev)
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from measure import ROOT, line, table

MB = 1e6
ASKED = {
    "an empty program": ["-c", "pass"],
    "`import plait`": ["-c", "import plait"],
    "`plait -V`": ["-m", "plait", "-V"],
    "`plait --help`": ["-m", "plait", "--help"],
    "`plait fit --help`": ["-m", "plait", "fit", "--help"],
    "`import numpy`": ["-c", "import numpy"],
    "`import sklearn.linear_model`": ["-c", "import sklearn.linear_model"],
    "`import transformers` (loads nothing yet)": ["-c", "import transformers"],
    "`from transformers import Trainer`": ["-c", "from transformers import Trainer"],
    "`import torch`": ["-c", "import torch"],
}
GROUPS = (
    ("CUDA libraries (nvidia-*, cuda-*)", ("nvidia-", "cuda-")), ("torch", ("torch",)), ("triton", ("triton",)),
    ("torchvision", ("torchvision",)), ("transformers", ("transformers",)), ("scipy", ("scipy",)),
    ("pyarrow", ("pyarrow",)), ("scikit-learn", ("scikit-learn",)), ("numpy", ("numpy",)), ("timm", ("timm",)),
)  # fmt: skip


def processor_seconds(words: list[str]) -> float:
    """User and system seconds of a fresh interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def print_seconds(repeats: int) -> None:
    """Each program by turns, beside ``import torch`` of the same turn."""
    for words in ASKED.values():
        processor_seconds(words)
    seconds = defaultdict(list)
    for _ in range(repeats):
        for name, words in ASKED.items():
            seconds[name].append(processor_seconds(words))
    print(f"\nPython {sys.version.split()[0]}, {repeats} turns\n")
    table(["program", "processor seconds, median (range)", "share of `import torch`, median (range)"], [])
    for name, values in seconds.items():
        shares = [one / torch for one, torch in zip(values, seconds["`import torch`"], strict=True)]
        told = f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
        line([name, told, f"{statistics.median(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})"])


def print_wheel() -> None:
    """The size of the wheel, and what lies in it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, str(ROOT)]
        subprocess.run(command, check=True, capture_output=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        unpacked = sum(entry.file_size for entry in entries)
        endings = defaultdict(int)
        for entry in entries:
            endings[Path(entry.filename).suffix or "none"] += entry.file_size
        told = ", ".join(f"{e} {n / 1000:.0f}" for e, n in sorted(endings.items(), key=lambda pair: -pair[1])[:4])
        print(f"\n{wheel.name}: {wheel.stat().st_size / 1000:.0f} KB, {len(entries)} files, "
              f"{unpacked / 1000:.0f} KB unpacked (KB by ending: {told})")  # fmt: skip


def closure(wanted: list[Requirement]) -> tuple[dict[str, float], list[str]]:
    """Megabytes of each package that requirements and theirs bring here; names of those that are not installed."""
    found: dict[str, float] = {}
    missing: list[str] = []
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = list(wanted)
    while queue:
        one = queue.pop()
        name, extras = canonicalize_name(one.name), frozenset(one.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if name != "plait":
            found[name] = sum(map(_bytes, {Path(str(file.locate())) for file in package.files or ()})) / MB
        for text in package.requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                queue.append(needed)
    return found, missing


def _bytes(place: Path) -> int:
    """Of a file, and of the bytecode that was compiled of it."""
    if not place.is_file() or place.suffix == ".pyc":
        return 0
    compiled = Path(cache_from_source(str(place))) if place.suffix == ".py" else place
    return place.stat().st_size + (compiled.stat().st_size if compiled != place and compiled.is_file() else 0)


def print_closure(extras: str) -> None:
    """Megabytes by package, CUDA together."""
    core, missing = closure([Requirement("plait")])
    whole, absent = closure([Requirement(f"plait[{extras}]")])
    for name, sizes, gone in (("plait", core, missing), (f"plait[{extras}]", whole, absent)):
        groups: dict[str, float] = defaultdict(float)
        for package, size in sizes.items():
            group = next((g for g, starts in GROUPS if any(package == s or (s.endswith("-") and package.startswith(s))
                                                          for s in starts)), "everything else")  # fmt: skip
            groups[group] += size
        cuda = sum(groups[g] for g in (GROUPS[0][0], "triton"))
        print(f"\n`{name}`: {len(sizes)} packages, {sum(sizes.values()):,.0f} MB with bytecode; "
              f"{cuda:,.0f} MB of them CUDA libraries and Triton")  # fmt: skip
        if gone:
            print(f"not installed here, so not counted: {', '.join(sorted(gone))}")
        rest = sorted(((n, s) for n, s in groups.items() if n != "everything else"), key=lambda pair: -pair[1])
        print()
        table(["part", "MB"], [[n, f"{s:,.0f}"] for n, s in (*rest, ("everything else", groups["everything else"]))])


def main() -> None:
    """Print the three parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--extras", default="all")
    given = parser.parse_args()
    print_seconds(given.repeats)
    print_wheel()
    print_closure(given.extras)


if __name__ == "__main__":
    main()
