"""One process of the gather test: it holds its share of the rows and writes its loss and gradients."""

from __future__ import annotations

import sys

import torch
from torch import distributed as dist

from plait.encoders.base import Encoded
from plait.fusion import CosineFusion, EncodedDims
from plait.heads import DualEncoderHead

LOSSES = ("infonce", "siglip", "triplet")
SIZES = (5, 3)  # shares of different size
DIMS = (6, 7)
WIDTH = 4


def parts(loss: str) -> tuple[CosineFusion, DualEncoderHead]:
    torch.manual_seed(0)
    dims = [EncodedDims(d) for d in DIMS]
    return CosineFusion(dims, WIDTH).double(), DualEncoderHead(dims, WIDTH, 1, loss=loss).double()


def rows() -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vectors, present, group and keys of all rows; one row lacks a side, two are of one group."""
    generator = torch.Generator().manual_seed(1)
    n = sum(SIZES)
    vectors = [torch.randn(n, d, generator=generator, dtype=torch.float64) for d in DIMS]
    present = torch.ones(n, 2, dtype=torch.bool)
    present[6, 1] = False
    group = torch.arange(n)
    group[7] = group[0]  # of one group across processes
    return vectors, present, group, torch.arange(n)[:, None].repeat(1, 2)


def run(loss: str, start: int, stop: int) -> tuple[float, list[torch.Tensor]]:
    """Loss and gradients of fusion and head over rows [start, stop)."""
    fusion, head = parts(loss)
    vectors, present, group, keys = rows()
    encoded = [Encoded(v[start:stop], None, None) for v in vectors]
    there = present[start:stop]
    value = head.batch_loss(fusion(encoded, there), there, there.float()[:, 0], group[start:stop], keys[start:stop])
    value.backward()
    learned = [*fusion.parameters(), *head.parameters()]
    return value.item(), [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]


if __name__ == "__main__":
    rank, port, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    store = dist.TCPStore("127.0.0.1", int(port), len(SIZES), is_master=rank == 0)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=len(SIZES))
    begin = sum(SIZES[:rank])
    found = {}
    for name in LOSSES:
        value, gradients = run(name, begin, begin + SIZES[rank])
        for gradient in gradients:  # what DistributedDataParallel does
            dist.all_reduce(gradient)
            gradient /= len(SIZES)
        found[name] = {"value": value, "gradients": gradients}
    torch.save(found, out)
    dist.destroy_process_group()
