"""Encoders that learn whole, sharded over the processes that train together (FSDP).

In: a model whose encoders hold all their weights in every process. While it trains, parameters, gradients and the state
of the optimizer of such an encoder lie in parts, one a process: each holds 1/n of the rows of every tensor. A block of
the encoder is gathered when a pass reaches it and given back behind it, so that no process ever holds all of them.
Gradients are summed where they are scattered, as each process has those of its own rows alone
(:mod:`plait.training.processes`). What is written to the disk is whole: it is gathered tensor by tensor in the memory
of the first process, and any number of processes, with sharding or without, goes on from it.

The rules of the optimizer work number by number, so it is given the parts as plain tensors: groups, their order and the
state that is written are those of one process.

Reference: Rajbhandari et al. 2020 (ZeRO, stage 3); Zhao et al. 2023 (PyTorch FSDP), by ``fully_shard``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from plait.encoders.activations import recomputed
from plait.encoders.base import Encoded, Encoder
from plait.encoders.batching import LEARNING_FACTOR, forward_bytes, join_encoded, mixes_items, most_bytes
from plait.encoders.load import build_encoder
from plait.encoders.tuning import find_blocks
from plait.inputs.inputs import Inputs
from plait.inputs.modality_kinds import MODALITY_KINDS
from plait.settings import NO_PRETRAINING, RunSettings
from plait.settings.unlabelled import NO_METHOD
from plait.training.processes import Processes, is_sharded

WEIGHTS_FILE = "model.safetensors"  # of a checkpoint, where the trainer looks for it
VOCABULARY = 1000  # rows from which on an embedding is gathered by itself; fewer are positions and the like


class Sharding:
    """The encoders of a model that learn whole, in parts; undone by ``end``.

    Args:
        model: Its weights are the same in every process.
        processes: Those that train together.

    Attributes:
        encoders: The sharded ones, by their key in ``model.encoders``.
        rows: Size of the first dimension of each sharded parameter, by its name in the model.
    """

    def __init__(self, model: Any, processes: Processes) -> None:
        from torch.distributed.device_mesh import init_device_mesh

        self.model, self.processes = model, processes
        self.encoders = {key: model.encoders[key] for key in sharded_keys(model.encoders)}
        self.rows: dict[str, int] = {}
        self.optimizer: torch.optim.Optimizer | None = None
        kind = "cuda" if torch.cuda.is_available() else "cpu"
        self.mesh = init_device_mesh(kind, (processes.number,))
        self.budgets = {key: self._least(most_bytes(e, torch.device(kind))) for key, e in self.encoders.items()}
        for key, encoder in self.encoders.items():
            _shard(encoder, self.mesh)
            prefix = f"encoders.{key}."
            named = {prefix + name: p for name, p in encoder.named_parameters() if is_sharded(p)}
            self.rows |= {name: len(parameter) for name, parameter in named.items()}
            encoder.register_load_state_dict_pre_hook(self._take_own)
        self.stand_ins = {name: nn.Parameter(_own(p), p.requires_grad) for name, p in self._parameters()}
        processes.encoding = self.encoding
        self._name_of = {id(stand_in): name for name, stand_in in self.stand_ins.items()}

    def stand_in(self, name: str, parameter: nn.Parameter) -> nn.Parameter:
        """What the optimizer steps on for a parameter of the model: this process's part of it, or the whole."""
        return self.stand_ins.get(name, parameter)

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Let an optimizer over the stand-ins see the gradients, and write and read its state whole."""
        self.optimizer = optimizer
        optimizer.register_step_pre_hook(self._lend_gradients)
        optimizer.register_step_post_hook(self._take_back)
        optimizer.register_state_dict_post_hook(self._whole_state)
        optimizer.register_load_state_dict_pre_hook(self._own_state)

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of tensors by their name in the model this process's parts, on the CPU; what is not sharded stays whole."""
        return {name: _own(tensor).cpu().clone() for name, tensor in tensors.items()}

    def cut(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of whole tensors by their name in the model this process's parts."""
        return {name: self._part(t).clone() if name in self.rows else t for name, t in tensors.items()}

    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What ``own`` gave as whole tensors, in the first process; nothing in the others. All of them ask at once."""
        whole: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            found = self._whole(tensor, self.rows[name]) if name in self.rows else tensor
            if self.processes.is_first and found is not None:
                whole[name] = found.contiguous()
        return whole

    def save(self, folder: Path) -> None:
        """Write the model's weights whole, in the first process; the others have an empty folder."""
        folder.mkdir(parents=True, exist_ok=True)
        whole = self.gathered(self.own(self.model.state_dict()))
        if self.processes.is_first:
            save_file(whole, folder / WEIGHTS_FILE, metadata={"format": "pt"})

    def encoding(
        self, encode: Callable[..., Encoded], encoder: nn.Module, tensors: Mapping[str, Tensor]
    ) -> Callable[..., Encoded]:
        """How a process encodes its share of a batch: a sharded encoder in as many parts as in the other processes.

        A pass through it gathers weights from all processes, so none may make one more than the others.

        Args:
            encode: What does it where the encoder is not sharded.
            encoder: The encoder.
            tensors: Processor tensors of the whole batch [B, ...].
        """
        key = next((key for key, one in self.encoders.items() if one is encoder), None)
        if key is None:
            return encode
        rows, learns = len(next(iter(tensors.values()))), torch.is_grad_enabled()
        mixes = mixes_items(encoder)
        share = rows if mixes else max(1, rows // self.processes.number)  # the least that a process has
        size = forward_bytes(tensors) * share // rows
        at_once = max(1, share * self.budgets[key] // max(1, size))
        is_small = size <= self.budgets[key] * (LEARNING_FACTOR if learns else 1) or (mixes and learns)
        return partial(_in_parts, encoder, 1 if is_small else -(-share // at_once))

    def held(self) -> dict[str, int]:
        """Bytes of the sharded encoders: their parameters ``whole``, and what this process has in parts now."""
        named = dict(self._parameters())
        grads = [p.grad for p in named.values() if p.grad is not None]
        states = [] if self.optimizer is None else [self.optimizer.state.get(s, {}) for s in self.stand_ins.values()]
        return {
            "whole": sum(p.numel() * p.element_size() for p in named.values()),
            "parameters": sum(_own(p).nbytes for p in named.values()),
            "gradients": sum(_own(grad).nbytes for grad in grads),
            "state": sum(t.nbytes for state in states for t in state.values() if torch.is_tensor(t) and t.ndim),
        }

    def end(self) -> None:
        """Give every process whole encoders again, as the model was built with."""
        for key, encoder in self.encoders.items():
            device = next(encoder.parameters()).device
            whole = {}
            for name, tensor in encoder.state_dict().items():
                rows = self.rows.get(f"encoders.{key}.{name}")
                own = _own(tensor).cpu()
                whole[name] = own if rows is None else self._whole(own, rows, everywhere=True)
            with torch.random.fork_rng():  # weights are drawn, and thrown away
                fresh = build_encoder(encoder.config())
            fresh.load_state_dict(cast(Any, whole))
            fresh.batch_mb = encoder.batch_mb
            self.model.encoders[key] = fresh.to(device).train(encoder.training)
        self.encoders, self.processes.encoding, self.optimizer = {}, None, None

    def _parameters(self) -> Iterable[tuple[str, nn.Parameter]]:
        """Sharded parameters by their name in the model, as they stand now."""
        for key, encoder in self.encoders.items():
            for name, parameter in encoder.named_parameters():
                if is_sharded(parameter):
                    yield f"encoders.{key}.{name}", parameter

    def _lend_gradients(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for name, parameter in self._parameters():
            stand_in = self.stand_ins[name]
            stand_in.data = _own(parameter)
            stand_in.grad = None if parameter.grad is None else _own(parameter.grad)

    def _take_back(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for stand_in in self.stand_ins.values():
            stand_in.grad = None

    def _whole_state(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        """An optimizer's state dict with whole tensors in the first process, and without any in the others."""
        whole = {}
        for number, name in self._numbered(optimizer):
            if number not in state["state"]:
                continue
            whole[number] = {
                key: self._whole(value.cpu(), self.rows[name]) if name is not None and _lies_along(value) else value
                for key, value in state["state"][number].items()
            }
        return {**state, "state": whole if self.processes.is_first else {}}

    def _own_state(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        """What ``_whole_state`` gave, with this process's parts."""
        names = dict(self._numbered(optimizer))
        cut = {
            number: {
                key: self._part(value).clone() if names[number] is not None and _lies_along(value) else value
                for key, value in values.items()
            }
            for number, values in state["state"].items()
        }
        return {**state, "state": cut}

    def _numbered(self, optimizer: torch.optim.Optimizer) -> list[tuple[int, str | None]]:
        """Numbers of parameters in a state dict with their names; None where they are not sharded."""
        listed = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        return [(number, self._name_of.get(id(parameter))) for number, parameter in enumerate(listed)]

    def _take_own(self, module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        """Before weights are loaded into a sharded encoder: whole tensors, or parts, become parts of it."""
        from torch.distributed.tensor import DTensor

        for name, parameter in module.named_parameters():
            given = state.get(prefix + name)
            if given is None or not is_sharded(parameter) or is_sharded(given):
                continue
            own = self._part(given) if len(given) == len(parameter) else given
            state[prefix + name] = DTensor.from_local(
                own.to(parameter.device), parameter.device_mesh, parameter.placements,
                run_check=False, shape=parameter.shape, stride=parameter.stride(),
            )  # fmt: skip

    def _part(self, whole: Tensor) -> Tensor:
        """This process's rows of a whole tensor, as ``fully_shard`` deals them."""
        share = -(-len(whole) // self.processes.number)
        return whole[share * self.processes.rank : share * (self.processes.rank + 1)]

    def _whole(self, own: Tensor, rows: int, *, everywhere: bool = False) -> Tensor | None:
        """The whole tensor of parts on the CPU, in the first process or in all; None elsewhere."""
        number = self.processes.number
        sent = own.new_zeros((-(-rows // number), *own.shape[1:]))
        sent[: len(own)] = own
        received = [torch.empty_like(sent) for _ in range(number)] if everywhere or self.processes.is_first else None
        if everywhere:
            dist.all_gather(cast(Any, received), sent)
        else:
            dist.gather(sent, received, dst=0)
        return None if received is None else torch.cat(received)[:rows]

    def _least(self, value: int) -> int:
        """The least of the values of all processes."""
        box = torch.tensor(value)
        dist.all_reduce(box, op=dist.ReduceOp.MIN)
        return int(box)


def shard_encoders(model: Any, wanted: bool, processes: Processes | None) -> Sharding | None:
    """Shard the encoders of a model that learn whole, if that is wanted; None where there are none.

    Raises:
        ValueError: It is wanted, and this process trains alone.
    """
    if not wanted or not sharded_keys(model.encoders):
        return None
    if processes is None:
        raise ValueError(_alone())
    processes.align(model)
    return Sharding(model, processes)


def sharded_keys(encoders: Any) -> list[str]:
    """Keys of encoders that learn whole; networks of plain numbers are small and stay as they are."""
    return [key for key, encoder in encoders.items() if _learns_whole(encoder)]


def check_fsdp(settings: RunSettings, inputs: Inputs, processes: Processes | None) -> None:
    """Refuse ``train.fsdp`` where it does not apply, or was not tried.

    Args:
        settings: Resolved settings.
        inputs: Loaded encoders.
        processes: Those that train together; None: one trains alone.

    Raises:
        ValueError: The message says what was given and what to type.
    """
    if not settings.train.fsdp:
        return
    if processes is None:
        raise ValueError(_alone())
    whole = [name for name, encoder in inputs.live.items() if _learns_whole(encoder)]
    if not whole:
        learning = {name: str(encoder.tuning["mode"]) for name, encoder in inputs.live.items() if not encoder.is_exact}
        found = ", ".join(f"{m.name}: {learning.get(m.name, 'frozen')}" for m in inputs.modalities)
        raise ValueError(
            f"train.fsdp=true shards encoders that learn whole, and none does ({found}); type "
            "set=['encoders.tuning=full'] too, or leave train.fsdp out"
        )
    sets = [m.columns[0] for m in inputs.modalities if m.name in whole and MODALITY_KINDS.get(m.kind).is_set]
    if sets:
        raise ValueError(
            f"train.fsdp=true shards encoders of one item a row, and column {sets[0]!r} holds several; leave "
            f"train.fsdp out, or type set=['encoders.tuning_of={{{sets[0]}: lora}}'] too"
        )
    train = settings.train
    given = {
        "train.ema": train.ema, "train.ogm": train.ogm, "train.mmpareto": train.mmpareto, "train.umt": train.umt,
        "train.gradient_blending": train.gradient_blending, "train.lemda": train.lemda,
        "search.tries": settings.search.tries,
        "pretrain.objective": settings.pretrain.objective if settings.pretrain.objective != NO_PRETRAINING else None,
        "semi.method": settings.semi.method if settings.semi.method != NO_METHOD else None,
    }  # fmt: skip
    for name, value in given.items():
        if value:
            raise ValueError(
                f"train.fsdp=true was not tried with {name}={value}, which works on whole weights or trains several "
                f"times: leave {name} or train.fsdp out"
            )


def _alone() -> str:
    return (
        "train.fsdp=true shards encoders over several processes, and this one trains alone: start two or more by "
        "torchrun (docs/scale.md), or leave train.fsdp out"
    )


def _learns_whole(encoder: Any) -> bool:
    learns = any(parameter.requires_grad for parameter in encoder.parameters())
    return learns and encoder.tuning["mode"] == "full" and not encoder.is_exact


def _shard(encoder: Encoder, mesh: Any) -> None:
    """Shard an encoder: blocks and vocabularies are gathered one by one, the rest of it for as long as it works."""
    from torch.distributed.fsdp import fully_shard

    scalars = {parameter for parameter in encoder.parameters() if parameter.ndim == 0}  # they have no rows
    for module in [*separable_parts(encoder), encoder]:
        sharded = cast(Any, fully_shard(module, mesh=mesh, reshard_after_forward=True, ignored_params=scalars))
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)  # gloo knows no other
        if isinstance(module, nn.Embedding):
            sharded.set_unshard_in_backward(False)  # its gradient needs no weights


def separable_parts(encoder: Encoder) -> list[nn.Module]:
    """The encoder's blocks and vocabularies; none where they share weights with each other or with the rest."""
    try:
        parts = find_blocks(encoder)[1]
    except ValueError:
        parts = []
    inside = {id(module) for part in parts for module in part.modules()}
    around = [module for module in encoder.modules() if id(module) not in inside]
    words = [m for m in around if isinstance(m, nn.Embedding) and m.num_embeddings >= VOCABULARY]
    parts = [*parts, *words]
    holders = [list(part.modules()) for part in parts] + [[m for m in around if m not in words]]
    seen: set[int] = set()
    for modules in holders:
        own = {id(p) for module in modules for p in module.parameters(recurse=False)}
        if own & seen:
            return []
        seen |= own
    return parts


def _in_parts(encoder: Encoder, count: int, **inputs: Tensor) -> Encoded:
    """What a sharded encoder makes of a share, in so many parts; while it learns, all but the first are computed again
    on the way back. Whether they fit is not asked, as processes would not answer alike.
    """
    rows = len(next(iter(inputs.values())))
    parts = []
    with warnings.catch_warnings():  # an encoder may give views; nothing is changed in place behind it
        warnings.filterwarnings("ignore", rf"FSDP2-wrapped module \({type(encoder).__name__}\) returned a view")
        for number in range(count):
            chosen = slice(rows * number // count, rows * (number + 1) // count)
            part = {name: tensor[chosen] for name, tensor in inputs.items()}
            parts.append(recomputed(encoder, part) if number and torch.is_grad_enabled() else encoder(**part))
    return join_encoded(parts) if count > 1 else parts[0]


def _own(tensor: Any) -> Tensor:
    """This process's part of a tensor; itself where it is not sharded."""
    whole = tensor.detach()
    return whole.to_local() if is_sharded(whole) else whole  # type: ignore[no-any-return]


def _lies_along(value: Any) -> bool:
    """Whether a value of the optimizer's state has a number for each of its parameter; steps are counted in one."""
    return torch.is_tensor(value) and value.ndim > 0
