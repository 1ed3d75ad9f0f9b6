"""Embedding speed: Plait's index build and caption embedding against the usual tools with the same weights.

Photos: ``plait index build`` (reading, hashing, decoding, encoding, tower, committing to disk) against timm and a
DataLoader with 0 and 2 workers: same network, same size and interpolation, same batch size, vectors kept in memory.
Captions: Plait's ``embed`` against ``SentenceTransformer.encode`` on the same minilm weights, both from texts to unit
vectors. The sides run in turns, each round from nothing (an empty feature store, an empty index folder); medians and
ranges are told, the median of the ratios of each round, and the seconds that
the processors worked, which a busy machine moves less. Neither side's loading of weights is counted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import ROOT, table
from turns import in_turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    base = Path(os.environ.get("PLAIT_TEST_DATA", ROOT / ".." / "shared" / "data"))
    parser.add_argument("model", type=Path, help="a retrieval model folder with the bundled encoders")
    parser.add_argument("--data", type=Path, default=base / "flickr8k-2k")
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--captions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--parts", default="photos,captions")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    from plait.data.coco.folder import read_coco_folder

    rows = read_coco_folder(given.data, task="captions")
    body: list[list[str]] = []
    if "photos" in given.parts:
        cells = list(dict.fromkeys(rows.column("image")))[: given.photos]
        body += compared(photo_sides(given.model, [str(given.data / cell) for cell in cells]), len(cells), given.rounds)
    if "captions" in given.parts:
        texts = list(dict.fromkeys(rows.column("caption")))[: given.captions]
        body += compared(caption_sides(given.model, texts), len(texts), given.rounds)
    print(f"{given.threads} threads, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
    table(
        ["side", "seconds, median (lowest to highest)", "CPU seconds", "items a second", "Plait's speed is times"], body
    )


def compared(sides: dict[str, Callable[[], object]], items: int, rounds: int) -> list[list[str]]:
    """Every side in turns; the first one is Plait."""
    turns, own = in_turns(sides, rounds, warm=False), next(iter(sides))
    made = []
    for name, seconds in turns.seconds.items():
        middle = statistics.median(seconds)
        shown = f"{middle:.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
        cpu_s, ratio = statistics.median(turns.cpu[name]), turns.ratio(name, own)["median"]
        made.append([name, shown, f"{cpu_s:.2f}", f"{items / middle:.1f}", f"{ratio:.2f}"])
    return made


@contextlib.contextmanager
def empty_cache() -> Iterator[Path]:
    """A cache with the weights and nothing else, and room beside it."""
    before = os.environ.get("PLAIT_CACHE")
    weights = Path(before or Path.home() / ".cache" / "plait") / "weights"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cache").mkdir()
        (Path(folder) / "cache" / "weights").symlink_to(weights.absolute())
        os.environ["PLAIT_CACHE"] = str(Path(folder) / "cache")
        try:
            yield Path(folder)
        finally:
            os.environ.pop("PLAIT_CACHE")
            os.environ.update({} if before is None else {"PLAIT_CACHE": before})


def timm_loop(network: Any, processor: Any, places: list[str], workers: int) -> Any:
    """What a notebook does: torchvision's transforms, a DataLoader, the network; vectors [N, D].

    Args:
        network: The timm network.
        processor: Plait's, whose size, crop, interpolation, mean and deviation the transforms repeat.
        places: Files of pictures.
        workers: Processes of the DataLoader.
    """
    import torch
    from PIL import Image
    from torchvision import transforms

    short = int(processor.size / processor.crop_pct + 1e-6)
    wanted = short if processor.mode == "crop" else (processor.size, processor.size)
    steps = transforms.Compose([
        transforms.Resize(wanted, interpolation=transforms.InterpolationMode(processor.interpolation)),
        transforms.CenterCrop(processor.size), transforms.ToTensor(),
        transforms.Normalize(processor.mean, processor.std),
    ])  # fmt: skip

    class Photos(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(places)

        def __getitem__(self, number: int) -> torch.Tensor:
            return steps(Image.open(places[number]).convert("RGB"))

    loader = torch.utils.data.DataLoader(Photos(), batch_size=32, num_workers=workers)
    with torch.inference_mode():
        return torch.cat([network(batch) for batch in loader])


def photo_sides(model: Path, places: list[str]) -> dict[str, Callable[[], object]]:
    """Plait's index build, and the naive loop with 0 and 2 workers."""
    import plait
    from plait.encoders.load import load_encoder

    fitted = plait.load(model)
    size = fitted.inputs.references["image"]["image_size"]
    encoder, processor = load_encoder("efficientnet-lite0", "image", size)

    def build() -> object:
        with empty_cache() as folder:
            return plait.build_index(fitted, {"image": places}, folder / "i")

    return {
        f"photos, {size} px: plait index build": build,
        "photos: timm, DataLoader, 0 workers": lambda: timm_loop(encoder.model, processor, places, 0),
        "photos: timm, DataLoader, 2 workers": lambda: timm_loop(encoder.model, processor, places, 2),
    }


def caption_sides(model: Path, texts: list[str]) -> dict[str, Callable[[], object]]:
    """Plait's embed of captions, and sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    import plait
    from plait.data.table import read_table
    from plait.weights import locate

    fitted = plait.load(model)

    def embed() -> object:
        with empty_cache():
            return fitted.embed(rows, "caption")

    other = SentenceTransformer(str(locate("minilm")), device="cpu")
    rows = read_table({"caption": texts})
    return {
        "captions: plait embed": embed,
        "captions: sentence-transformers": lambda: other.encode(texts, normalize_embeddings=True),
    }


if __name__ == "__main__":
    main()
