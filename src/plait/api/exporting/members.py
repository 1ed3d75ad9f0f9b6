"""Members of an ensemble as modules whose every operation ONNX knows; what they are in Plait stands in ``ensemble``.

In: the tensors of a batch by modality, and what is present. Out: outputs in the task's own scale [B, C]. A missing
modality is replaced before any arithmetic, so its content changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from plait.api.exporting.outputs import FAMILIES, Link
from plait.ensemble.base import Bag, Inputs, Member
from plait.ensemble.linear import LinearMember
from plait.ensemble.network import NetworkMember
from plait.ensemble.ngrams import NgramMember
from plait.ensemble.prototypes import SMALLEST, PrototypeMember
from plait.ensemble.trees import TreeMember
from plait.model import PlaitModel
from plait.tasks import LabelState


class MemberGraph(nn.Module):
    """Base of all."""

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Outputs [B, C]."""
        raise NotImplementedError


class NetworkLogits(nn.Module):
    """A network from encoded modalities and processor tensors to logits [B, C].

    Args:
        network: The network.
        uses: Numbers of its modalities among those of the batch.
    """

    def __init__(self, network: PlaitModel, uses: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.uses = network, list(uses)

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Logits, float32."""
        seen_BM = present_BM[:, self.uses]
        encoded = self.network.encode(inputs, seen_BM)
        logits_BC: Tensor = self.network.head(self.network.fuse(encoded, seen_BM), seen_BM)
        return logits_BC.float()


class NetworkGraph(MemberGraph):
    """A trained network."""

    def __init__(self, member: NetworkMember) -> None:
        super().__init__()
        self.logits = NetworkLogits(member.network, member.uses)
        self.family = FAMILIES.get(member.network.task.output_kind)(member.labels)

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Outputs [B, C]."""
        return self.family.activate(self.logits(inputs, present_BM))


class LinearGraph(MemberGraph):
    """A linear model on standardised vectors."""

    def __init__(self, member: LinearMember) -> None:
        super().__init__()
        self.member, self.link = member, Link(member.link, member.scale)

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Outputs [B, C]."""
        member, parts, start = self.member, [], 0
        for place, m in enumerate(member.uses):
            part_BD = member.plain[place](inputs[member.names[place]]).float()
            stop = start + member.widths[place]
            values_BD = torch.sqrt(part_BD.clamp(min=0.0)) if member.rooted[place] else part_BD
            scaled_BD = (values_BD - member.mean_D[start:stop]) * member.step_D[start:stop]
            parts.append(torch.where(present_BM[:, m, None], scaled_BD, torch.zeros_like(scaled_BD)))
            start = stop
        outputs: Tensor = self.link(torch.cat(parts, dim=1) @ member.weight_DC + member.bias_C)
        return outputs


class PrototypeGraph(MemberGraph):
    """Nearest class means."""

    def __init__(self, member: PrototypeMember) -> None:
        super().__init__()
        self.member = member
        known = (member.known_MC.cpu().numpy() > 0).tolist()
        self.known = [[c for c, there in enumerate(row) if there] for row in known]
        self.is_known = [all(row) for row in known]

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        member, start = self.member, 0
        score_BC = torch.zeros(present_BM.shape[0], member.num_outputs)
        for place, m in enumerate(member.uses):
            stop = start + member.widths[place]
            vector_BD = member.plain[place](inputs[member.names[place]]).float()
            about_BD = torch.where(present_BM[:, m, None], vector_BD - member.mean_D[start:stop], 0.0)
            length_B1 = torch.sqrt((about_BD * about_BD).sum(1, keepdim=True)).clamp(min=SMALLEST)
            own_BC = self._similarity(about_BD / length_B1, member.prototype_CD[:, start:stop], place)
            score_BC = score_BC + torch.where(present_BM[:, m, None], member.sharpness_M[place] * own_BC, 0.0)
            start = stop
        return torch.softmax(score_BC, dim=1)

    def _similarity(self, unit_BD: Tensor, prototype_CD: Tensor, place: int) -> Tensor:
        found_BC = 2.0 * unit_BD @ prototype_CD.T - (prototype_CD * prototype_CD).sum(1)
        if self.is_known[place]:
            return found_BC
        if not self.known[place]:
            return torch.zeros_like(found_BC)
        mean_B1 = found_BC[:, self.known[place]].mean(1, keepdim=True)
        return torch.where(self.member.known_MC[place] > 0, found_BC, mean_B1)


class NgramGraph(MemberGraph):
    """A linear model on n-grams; the reader of the folder counts them."""

    def __init__(self, member: NgramMember) -> None:
        super().__init__()
        self.member, self.link = member, Link(member.link, member.scale)

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Outputs [B, C]."""
        member, tensors = self.member, inputs[self.member.name]
        there_B1 = present_BM[:, member.uses[0], None]
        weight_BG = torch.where(there_B1, tensors["ngram_weight_BG"], 0.0)
        table_BGC = member.weight_GC[tensors["ngram_BG"]]
        outputs: Tensor = self.link((weight_BG[..., None] * table_BGC).sum(1) + member.bias_C)
        return outputs


class TreeGraph(MemberGraph):
    """Boosted trees, all of them walked down level by level.

    Thresholds are rounded down to float32, so that a float32 number falls on the side where it fell in float64.
    """

    threshold: Tensor
    value: Tensor
    codes: Tensor
    base_C: Tensor  # noqa: N815  shape letters
    output_TC: Tensor  # noqa: N815

    def __init__(self, member: TreeMember) -> None:
        super().__init__()
        self.name, self.place, self.cardinalities = member.name, member.uses[0], member.cardinalities
        self.link, self.depth = Link(member.link, member.scale), int(member.depth)
        for name in ("feature", "left", "right", "is_leaf", "gaps_left", "root"):
            self.register_buffer(name, getattr(member, name).cpu().clone())
        exact = member.threshold.cpu().numpy()
        rounded = exact.astype(np.float32)
        rounded = np.where(rounded.astype(np.float64) > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
        self.register_buffer("threshold", torch.from_numpy(rounded))
        for name in ("value", "codes", "base_C"):
            self.register_buffer(name, getattr(member, name).cpu().float())
        self.register_buffer("output_TC", nn.functional.one_hot(member.output.cpu(), member.num_outputs).float())

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Outputs [B, C]."""
        values_BF, gap_BF = self._columns(inputs[self.name])
        gap_BF = gap_BF | ~present_BM[:, self.place, None]
        values_BF = torch.where(gap_BF, torch.zeros_like(values_BF), values_BF)
        node_BT = self.root[None].expand(values_BF.shape[0], -1)
        for _ in range(self.depth):
            feature_BT = self.feature[node_BT]
            value_BT, is_gap_BT = values_BF.gather(1, feature_BT), gap_BF.gather(1, feature_BT)
            goes_left = torch.where(is_gap_BT, self.gaps_left[node_BT], value_BT <= self.threshold[node_BT])
            child_BT = torch.where(goes_left, self.left[node_BT], self.right[node_BT])
            node_BT = torch.where(self.is_leaf[node_BT], node_BT, child_BT)
        outputs: Tensor = self.link(self.value[node_BT] @ self.output_TC + self.base_C)
        return outputs

    def _columns(self, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Numbers, then categories as codes, and which are missing; the twin of ``ensemble.trees.columns_of``."""
        values, gaps, start = [tensors["numeric_BF"]], [tensors["missing_BF"] > 0], 0
        for k, size in enumerate(self.cardinalities):
            category_B = tensors["categorical_BK"][:, k]
            values.append(self.codes[start : start + size][category_B][:, None])
            gaps.append((category_B == 0)[:, None])
            start += size
        return torch.cat(values, dim=1), torch.cat(gaps, dim=1)


class BagGraph(MemberGraph):
    """The mean of several models of one kind."""

    def __init__(self, member: Bag) -> None:
        super().__init__()
        self.parts = nn.ModuleList(member_graph(part) for part in member.parts)

    def forward(self, inputs: Inputs, present_BM: Tensor) -> Tensor:
        """Mean outputs [B, C]."""
        return torch.stack([part(inputs, present_BM) for part in self.parts]).mean(0)


_GRAPHS: dict[type, Callable[[Any], MemberGraph]] = {
    NetworkMember: NetworkGraph, LinearMember: LinearGraph, PrototypeMember: PrototypeGraph,
    NgramMember: NgramGraph, TreeMember: TreeGraph, Bag: BagGraph,
}  # fmt: skip


def member_graph(member: Member) -> MemberGraph:
    """A member as a module for export.

    Raises:
        ValueError: A member of another kind.
    """
    made = _GRAPHS.get(type(member))
    if made is None:
        raise ValueError(
            f"a member of the kind {type(member).__name__} cannot be exported; known: "
            f"{', '.join(kind.__name__ for kind in _GRAPHS)}. Fit with preset='single', or leave that member out"
        )
    return made(member)


def network_member(network: PlaitModel, labels: LabelState) -> NetworkLogits:
    """A whole network that answers alone."""
    return NetworkLogits(network, tuple(range(len(network.config.modalities))))
