"""A table of tensors in the order of a ``timm`` network, given timm's names.

Some publishers list the tensors of a network under names of their own, but in the same order and shapes as
timm's. In: a ``.pth`` file (read as tensors only). Out: ``model.safetensors`` that timm's network takes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from plait.weights.tensor_file import read_tensor_file, store_tensors


def table_to_timm(architecture: str) -> Callable[[Path, Path], None]:
    """The conversion for one timm architecture.

    Raises:
        ValueError: When called on a file whose tensors are of another number, order or shape.
    """

    def convert(path: Path, out: Path) -> None:
        import timm

        tensors = read_tensor_file(path)
        own = timm.create_model(architecture, pretrained=False).state_dict()
        if [tuple(v.shape) for v in own.values()] != [tuple(v.shape) for v in tensors.values()]:
            raise ValueError(
                f"the tensors do not fit {architecture}: {len(tensors)} given, {len(own)} expected, or other shapes"
            )
        store_tensors(dict(zip(own, tensors.values(), strict=True)), out)

    return convert
