"""How many items an encoder should take at once on a CPU: time a picture or text by the size of the batch.

Networks are drawn from their configurations, so nothing is fetched; the forward alone is measured, on noise, in turns.
A cell is the time of the batch named above it over that of one size, ``--beside``, its median over the rounds: below 1
is faster. Small batches keep what a layer hands to the next in the caches of a core; large ones cost less to start.

Run: python benchmarks/batch_size.py [--threads 1] [--rounds 5] [--models resnet18,...]
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import timm
import torch

from measure import table
from turns import in_turns

PICTURES = (
    "tf_efficientnet_lite0,mobilenetv3_small_100,resnet18,resnet50,"
    "convnext_atto,vit_tiny_patch16_224,vit_small_patch16_224"
)
TEXTS = "text:384x6x16,text:384x6x64,text:768x4x64"  # width, layers, tokens
SIZES = [1, 2, 3, 4, 6, 8, 13, 16, 32]


def forward_of(name: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """A network in evaluation, and 32 items for it."""
    if name.startswith("text:"):
        from transformers import BertConfig, BertModel

        width, layers, tokens = map(int, name.removeprefix("text:").split("x"))
        config = BertConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32, intermediate_size=4 * width
        )
        numbers = torch.randint(1000, 30000, (32, tokens))
        return BertModel(config).eval(), {"input_ids": numbers, "attention_mask": torch.ones_like(numbers)}
    return timm.create_model(name, pretrained=False, num_classes=0).eval(), {"x": torch.randn(32, 3, 224, 224)}


def run(forward: Any, inputs: dict[str, torch.Tensor], size: int) -> None:
    """All items in batches of one size."""
    with torch.inference_mode():
        for start in range(0, 32, size):
            part = {key: tensor[start : start + size] for key, tensor in inputs.items()}
            if "x" in part:
                part["x"] = part["x"].contiguous(memory_format=torch.channels_last)
            forward(**part)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", default=f"{PICTURES},{TEXTS}")
    parser.add_argument("--beside", type=int, default=32, choices=SIZES)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    body = []
    for name in given.models.split(","):
        network, inputs = forward_of(name)
        turns = in_turns({str(size): partial(run, network, inputs, size) for size in SIZES}, given.rounds)
        ratios = [turns.cpu_ratio(str(size), str(given.beside)) for size in SIZES]
        body.append([name, *(f"{one['median']:.2f} ({one['low']:.2f} to {one['high']:.2f})" for one in ratios)])
        print(body[-1], flush=True)
    table([f"PyTorch, {given.threads} threads, processor time by items at once", *map(str, SIZES)], body)


if __name__ == "__main__":
    main()
