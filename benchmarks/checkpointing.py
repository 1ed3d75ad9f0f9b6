"""What gradient checkpointing (``train.gradient_checkpointing``) saves of memory and costs in time.

A step is forward and backward of a network that learns whole: MiniLM on texts of 128 tokens; ViT-S/16, ResNet-50 and
EfficientNet-Lite0 on pictures of 224 px; and SmolLM2-135M, frozen, behind a prefix that learns (``plait weights fetch
minilm smollm2-135m``; the others have random weights, which take as long). Two numbers of memory, in bytes of tensors
and without weights and inputs:

- held: what autograd keeps between the two passes (``torch.autograd.graph.saved_tensors_hooks``);
- peak: the most that is alive at once within the step, gradients of weights and what is computed again included,
  counted as every operation makes its tensors and they are freed.

Both sides run in turns in one process; times are ratios round by round. The last column is the largest difference of a
gradient, relative to the largest gradient.

Run: python benchmarks/checkpointing.py [--rounds 3] [--threads 1] [--networks all] [--batch 8]      (minutes)
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

from generation_speed import WIDTH, head_of
from measure import arguments, line, table
from plait.encoders import load_encoder, set_tuning
from plait.encoders.activations import counted_activations
from plait.encoders.gradient_checkpointing import gradient_checkpointing
from plait.encoders.image import TimmEncoder
from plait.fusion.base import FusionOutput
from turns import in_turns

PLAIN, AGAIN = "kept", "computed again"
TOKENS, SIDE, PREFIX, ANSWER = 128, 224, 16, 48
MIB = 2**20
Step = Callable[[], Tensor]


class LiveBytes(TorchDispatchMode):
    """Bytes of the tensors that are alive, of those made within; ``most`` is their peak."""

    def __init__(self, given: list[Tensor]) -> None:
        super().__init__()
        self.known: Any = WeakIdKeyDictionary()
        for tensor in given:
            self.known[tensor.untyped_storage()] = 0
        self.now = self.most = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and look at what it made."""
        made = function(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._see, made)
        return made

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self.known:
            size = storage.nbytes()
            self.known[storage] = size
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.now -= size


def text(batch: int) -> tuple[nn.Module, Step]:
    """MiniLM, all of it learns."""
    encoder, _ = load_encoder("minilm", "text")
    set_tuning(encoder, "full")
    ids = torch.randint(1000, 20_000, (batch, TOKENS), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return encoder, lambda: encoder(**inputs).vector_BD.square().mean()


def picture(name: str, batch: int) -> tuple[nn.Module, Step]:
    """A network of timm with random weights."""
    torch.manual_seed(0)
    encoder = TimmEncoder({"type": "timm", "reference": f"timm:{name}", "name": name, "resizes": False})
    set_tuning(encoder, "full")
    pixels = torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    return encoder, lambda: encoder(pixel_values=pixels).vector_BD.square().mean()


def writer(batch: int) -> tuple[nn.Module, Step]:
    """SmolLM2, frozen, behind a prefix that learns."""
    head = head_of("smollm2-135m")
    head.lm.requires_grad_(False)
    head.language["tuning"] = "frozen"
    generator = torch.Generator().manual_seed(0)
    tokens_BTD = torch.randn(batch, PREFIX, WIDTH, generator=generator)
    target_BRL = torch.randint(3, 300, (batch, 1, ANSWER), generator=generator)
    fused = FusionOutput(tokens_BTD.mean(1), tokens=tokens_BTD)
    present_BM = torch.ones(batch, 1, dtype=torch.bool)
    return head, lambda: head.batch_loss(fused, present_BM, target_BRL, None, None)


NETWORKS: dict[str, Callable[[int], tuple[nn.Module, Step]]] = {
    "MiniLM": text,
    "ViT-S/16": partial(picture, "vit_small_patch16_224"),
    "ResNet-50": partial(picture, "resnet50"),
    "EfficientNet-Lite0": partial(picture, "tf_efficientnet_lite0"),
    "SmolLM2-135M, frozen": writer,
}


@contextmanager
def way(holder: nn.Module, name: str) -> Iterator[None]:
    """A side of the comparison."""
    with gradient_checkpointing(holder, name == AGAIN):
        yield


def run(holder: nn.Module, step: Step, name: str) -> list[Tensor]:
    """A step of one side; its gradients."""
    for weight in holder.parameters():
        weight.grad = None
    with way(holder, name):
        torch.manual_seed(1)
        step().backward()  # type: ignore[no-untyped-call]
    return [weight.grad for weight in holder.parameters() if weight.grad is not None]


def memory(holder: nn.Module, step: Step, name: str) -> tuple[int, int]:
    """Bytes held between the passes, and at the peak."""
    given = [*holder.parameters(), *holder.buffers()]
    with way(holder, name), counted_activations(given) as held:
        loss = step()
    between = sum(held.values())
    del loss
    for weight in holder.parameters():
        weight.grad = None
    with way(holder, name), LiveBytes([t.detach() for t in given]) as live:
        torch.manual_seed(1)
        step().backward()  # type: ignore[no-untyped-call]
    return between, live.most


def apart(one: list[Tensor], other: list[Tensor]) -> float:
    """Largest difference of a gradient, by the largest gradient."""
    largest = max(float(a.abs().max()) for a in one)
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True)) / largest


def shown(numbers: dict[str, float]) -> str:
    """Median and range."""
    return f"{numbers['median']:.2f} ({numbers['low']:.2f} to {numbers['high']:.2f})"


def main() -> None:
    """Measure and print."""
    options = {"--rounds": "3", "--threads": "1", "--networks": "all", "--batch": "8"}
    given = arguments(__doc__ or "", data=None, options=options)
    torch.set_num_threads(int(given.threads))
    names = list(NETWORKS) if given.networks == "all" else [n for n in NETWORKS if n in given.networks.split(";")]
    print(f"batches of {given.batch}, {given.threads} threads, {given.rounds} rounds, PyTorch {torch.__version__}\n")
    table(["network", "held, MiB", "held again", "peak, MiB", "peak again", "processor time of a step", "clock",
           "difference"], [])  # fmt: skip
    for name in names:
        network, step = NETWORKS[name](int(given.batch))
        holder = nn.ModuleList([network])
        holder.train()
        turns = in_turns({side: partial(run, holder, step, side) for side in (PLAIN, AGAIN)}, int(given.rounds))
        found = {side: memory(holder, step, side) for side in (PLAIN, AGAIN)}
        cells = []
        for kept, again in zip(*found.values(), strict=True):
            cells += [f"{kept / MIB:,.0f}", f"{again / MIB:,.0f} ({again / kept:.0%})"]
        line([
            name, *cells, shown(turns.cpu_ratio(AGAIN, PLAIN)), shown(turns.ratio(AGAIN, PLAIN)),
            f"{apart(turns.results[PLAIN], turns.results[AGAIN]):.0e}",
        ])  # fmt: skip


if __name__ == "__main__":
    main()
