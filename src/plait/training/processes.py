"""Several processes of ``torchrun`` as one training: what one process would have trained, with its encoders spread.

Every process holds the whole model and goes through the same batches. A batch is that of all together; an encoder that
is inside the model works on the rows of its process alone, and what it makes is gathered, so that fusion, head and
loss see the whole batch everywhere, contrastive losses among them. On the way back each process keeps the gradient of
its own rows; those of encoders are summed over the processes before the step, those of everything else are equal
already. So loss and weights are those of one process, up to rounding, whatever the number of processes is.

Where devices round differently weights would drift apart: they are those of the first process at the start of every
epoch, as are its scores, by which epochs are kept and training stops. The first process writes; the others keep their
working files to themselves.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from plait.encoders.base import Encoded
from plait.encoders.batching import mixes_items
from plait.settings import RunSettings

T = TypeVar("T")
TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")  # by torchrun
PATIENCE = timedelta(days=7)  # the others wait while the first process reads and encodes


@dataclass
class Processes:
    """The processes that train together, of which this is one.

    Attributes:
        rank: Its number, from 0.
        number: How many there are.
        failed_together: Whether the error that ends the work was raised in all of them.
    """

    rank: int
    number: int
    failed_together: bool = False
    encoding: Callable[..., Callable[..., Encoded]] | None = None  # of sharded encoders, while there are any
    _noise: list[Tensor] = field(default_factory=list)  # state of the random numbers of its own encoders

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def agree(self, value: T) -> T:
        """The value of the first process."""
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def in_turn(self, work: Callable[[], T]) -> T:
        """Do something in the first process, and then in the others, which find on the disk what it has stored.

        Raises:
            ValueError: In the others, with the words of what the first process raised.
        """
        if not self.is_first:
            if (reason := self.agree("")) != "":
                self.failed_together = True
                raise ValueError(f"the first process failed: {reason}")
            return work()
        try:
            made = work()
        except BaseException as error:
            self.failed_together = True
            self.agree(str(error) or type(error).__name__)
            raise
        self.agree("")
        return made

    @torch.no_grad()
    def align(self, model: nn.Module) -> None:
        """Give every process the weights and buffers of the first; what is sharded is in one process only."""
        for tensor in [*model.parameters(), *model.buffers()]:
            if is_sharded(tensor):
                continue
            whole = tensor.detach().contiguous()
            dist.broadcast(whole, src=0)
            tensor.copy_(whole)

    @torch.no_grad()
    def sum_gradients(self, weights: Sequence[nn.Parameter], before: Sequence[Tensor | None]) -> None:
        """Sum what the last pass back has added to the gradients of these weights over the processes.

        Args:
            weights: The same in every process, in one order.
            before: Their gradients before the pass, taken off them; they are added again.
        """
        reached = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.uint8)
        if weights:
            reached = reached.to(weights[0].device)
            dist.all_reduce(reached, op=dist.ReduceOp.MAX)  # what no process has stays without, as in one process
        for weight, earlier, is_reached in zip(weights, before, reached.tolist(), strict=True):
            if not is_reached:
                weight.grad = earlier
                continue
            new = torch.zeros_like(weight) if weight.grad is None else weight.grad
            dist.all_reduce(new)
            weight.grad = new if earlier is None else new + earlier

    def spread(self, encode: Callable[..., Encoded], encoder: nn.Module, tensors: dict[str, Tensor]) -> Encoded:
        """What an encoder makes of a batch, each process encoding its share of the rows.

        Batch normalisation that learns sees the whole batch, so such an encoder works on all rows in every process.

        Args:
            encode: Called with processor tensors.
            encoder: The encoder it runs.
            tensors: Processor tensors of the batch [B, ...].
        """
        rows = len(next(iter(tensors.values())))
        encode = encode if self.encoding is None else self.encoding(encode, encoder, tensors)
        if rows < self.number or mixes_items(encoder):
            return _each(encode(**tensors), lambda tensor: _Divided.apply(tensor, self.number))
        edges = [rows * process // self.number for process in range(self.number + 1)]
        start, end = edges[self.rank], edges[self.rank + 1]
        with self._own_noise():
            own = encode(**{name: tensor[start:end] for name, tensor in tensors.items()})
        return _each(own, lambda tensor: _gathered(tensor, edges, self.rank))

    @contextlib.contextmanager
    def _own_noise(self) -> Iterator[None]:
        """Dropout of this process's own within, which goes on from call to call; outside all processes draw alike."""
        has_cuda = torch.cuda.is_available()
        with torch.random.fork_rng():
            if self._noise:
                torch.set_rng_state(self._noise[0])
                if has_cuda:
                    torch.cuda.set_rng_state(self._noise[1])
            else:
                torch.manual_seed(torch.initial_seed() + 1_000_003 * (self.rank + 1))
            yield
            self._noise = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if has_cuda else [])]


def is_sharded(tensor: Any) -> bool:
    """Whether a tensor lies in parts over several processes (a ``DTensor``)."""
    return hasattr(tensor, "device_mesh")


_current: Processes | None = None
_broken = False  # whether a fit ended in this process alone


def current() -> Processes | None:
    """The processes that train together now; None: this one trains alone."""
    return _current


@contextlib.contextmanager
def joined() -> Iterator[Processes | None]:
    """Join the other processes of ``torchrun``, where it started this one; within, ``current()`` names them.

    The variables by which ``torchrun`` says so are hidden meanwhile: the trainer would cut batches by itself.
    """
    global _current, _broken
    told = {name: os.environ[name] for name in TOLD if name in os.environ}
    number = int(told.get("WORLD_SIZE", "1"))
    if number < 2 or _current is not None:
        yield _current
        return
    if _broken:
        raise RuntimeError(
            "an earlier fit of these processes failed in one of them, and they no longer go step by step: start anew"
        )
    _see_one_device(int(told.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():  # it stays: a second fit joins the same processes
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    _current = Processes(dist.get_rank(), number)
    for name in told:
        del os.environ[name]
    together = _current
    try:
        yield together
    except BaseException:
        if not together.failed_together:  # the others may wait where this one never comes
            _broken = True
            dist.destroy_process_group()
        raise
    finally:
        os.environ.update(told)
        _current = None


@contextlib.contextmanager
def spreading(model: Any, processes: Processes | None) -> Iterator[None]:
    """Within, encoders inside the model work for all processes; with None nothing changes."""
    model.spread = None if processes is None else processes.spread
    try:
        yield
    finally:
        model.spread = None


def check_together(settings: RunSettings, resume: bool) -> None:
    """Refuse what several processes would not do alike.

    Raises:
        ValueError: A time limit (their clocks differ), a search that goes on (the tries lie with the first process),
            or MMPareto (it weighs gradients of encoders, of which each process has a part).
    """
    told = "several processes of torchrun train one model"
    if settings.time_limit is not None:
        raise ValueError(f"{told}, and their clocks differ: leave time_limit= out, and choose preset= or epochs=")
    if resume and settings.search.tries:
        raise ValueError(f"{told}, and the tries of a search lie with the first alone: leave search= or resume= out")
    if settings.train.mmpareto:
        raise ValueError(f"{told}, and train.mmpareto weighs gradients of whole batches: leave it out, or train alone")


def _see_one_device(number: int) -> None:
    """Let this process see the accelerator of its number alone, as the first."""
    if not torch.cuda.is_initialized():
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = seen[number] if number < len(seen) and seen[number] else str(number)
    elif torch.cuda.device_count() > 1:
        raise RuntimeError("an accelerator was used before plait.fit joined the other processes; fit first")


def _each(encoded: Encoded, change_whole: Callable[[Tensor], Tensor]) -> Encoded:
    """The same with every tensor changed, in float32: a share without a member of a set is float32 in any precision."""

    def change(tensor: Tensor) -> Tensor:
        return change_whole(tensor.float() if tensor.is_floating_point() else tensor)

    tokens_BTD, mask_BT = encoded.tokens_BTD, encoded.mask_BT
    return Encoded(
        change(encoded.vector_BD),
        None if tokens_BTD is None else change(tokens_BTD),
        None if mask_BT is None else change(mask_BT),
    )


def _gathered(own: Tensor, edges: list[int], rank: int) -> Tensor:
    """The rows of all processes; what was padded less is padded on."""
    widest = torch.tensor(own.shape[1:], device=own.device)
    dist.all_reduce(widest, op=dist.ReduceOp.MAX)
    shape = tuple(widest.tolist())
    if own.shape[1:] != shape:
        wider = own.new_zeros((len(own), *shape))
        wider[tuple(slice(size) for size in own.shape)] = own
        own = wider
    whole: Tensor = _Gathered.apply(own, edges, rank)
    return whole


class _Gathered(torch.autograd.Function):
    """Rows of all processes; back goes the gradient of this one's."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, edges: list[int], rank: int) -> Tensor:  # type: ignore[override]
        ctx.edges = (edges[rank], edges[rank + 1])
        most = max(end - start for start, end in zip(edges, edges[1:], strict=False))
        sent = own.new_zeros((most, *own.shape[1:]))
        sent[: len(own)] = own
        sent = sent.to(torch.uint8) if own.dtype == torch.bool else sent
        received = [torch.empty_like(sent) for _ in range(len(edges) - 1)]
        dist.all_gather(received, sent.contiguous())
        whole = torch.cat([part[: end - start] for part, start, end in zip(received, edges, edges[1:], strict=False)])
        return whole.to(own.dtype)

    @staticmethod
    def backward(ctx: Any, whole: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        start, end = ctx.edges
        return whole[start:end].contiguous(), None, None


class _Divided(torch.autograd.Function):
    """As it is; back goes the gradient shared among the processes, which all have it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, number: int) -> Tensor:  # type: ignore[override]
        ctx.number = number
        return tensor.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient / ctx.number, None
