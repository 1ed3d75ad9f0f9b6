"""Gradient checkpointing: blocks of networks that learn keep no activations and are computed again on the way back.

Loss, gradients and the random numbers of dropout are those without it; memory for activations falls to the inputs of
the blocks and the inside of one of them, and a step computes the blocks' forward pass twice. transformers and timm do
it by their own means where a network has them; otherwise each block is put through ``torch.utils.checkpoint``, as the
layers of a language model are that stays in evaluation mode while something in or before it learns (transformers
recomputes in training mode alone).

Batch normalisation that learns would count a batch twice, once for each pass; here the second pass leaves its running
statistics alone.

Reference: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", section 4.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from plait.encoders.base import Encoder
from plait.encoders.tuning import named_blocks
from plait.weights.quiet import quiet_transformers

Undo = Callable[[], None]
SETTINGS = {"use_reentrant": False}  # torch's own advice; needs no input that bears a gradient
CACHES = ("past_key_values", "layer_past")  # what a layer of a language model would write twice


@contextmanager
def gradient_checkpointing(model: nn.Module, is_on: bool = True) -> Iterator[None]:
    """Within, every encoder and language model inside that learns computes its blocks again on the way back.

    One that cannot (:func:`can_checkpoint`) is left as it is. Afterwards all is as it was before.

    Args:
        model: What holds them.
        is_on: False: nothing changes.
    """
    with ExitStack() as held:
        if is_on:
            held.enter_context(quiet_transformers())  # it would warn of a cache that nobody uses
        for network in learning_networks(model) if is_on else ():
            _begin(network, held)
        yield


def can_checkpoint(network: nn.Module) -> bool:
    """Whether blocks of an encoder or of a network of transformers can be computed again; tried, and undone."""
    with ExitStack() as held:
        return _begin(network, held)


def learning_networks(model: nn.Module) -> list[nn.Module]:
    """The networks inside a model whose activations a step keeps: encoders that learn, and language models.

    A language model counts though it is frozen: what stands before it learns through it. Encoders that are exact
    (of numbers) keep little and are left out.
    """
    found: list[nn.Module] = []
    for child in model.children():
        if isinstance(child, Encoder):
            if not child.is_exact and any(weight.requires_grad for weight in child.parameters()):
                found.append(child)
        elif hasattr(child, "supports_gradient_checkpointing"):
            found.append(child)
        else:
            found += learning_networks(child)
    return found


def _begin(network: nn.Module, held: ExitStack) -> bool:
    """Begin in one network what ``held`` will undo; whether there is anything to compute again."""
    if isinstance(network, Encoder):
        inside: Any = network.model
        undo = _by_transformers(inside) or _by_timm(inside) or _by_torch(inside)
        if undo is not None:
            held.enter_context(_counted_once(network))
    else:
        learns_whole = all(weight.requires_grad for weight in network.parameters())  # and so is in training mode
        undo = (_by_transformers(network) if learns_whole else None) or _by_torch(network)
    if undo is not None:
        held.callback(undo)
    return undo is not None


def _by_transformers(network: Any) -> Undo | None:
    """Transformers' own: layers in training mode. A network without such layers (ALBERT) takes the switch and does
    nothing.
    """
    if not getattr(network, "supports_gradient_checkpointing", False) or not _layers(network):
        return None
    # The reentrant kind needs embeddings that bear a gradient. Ours does not: frozen layers in front would keep their
    # activations for nothing, and a side that was taken out of a model has no embeddings to look for.
    network.enable_input_require_grads = lambda: None
    try:
        if hasattr(network, "activation_checkpointing_enable"):  # its name since 5.23 or before
            network.activation_checkpointing_enable(activation_checkpointing_kwargs=dict(SETTINGS))
            off: Undo = network.activation_checkpointing_disable
        else:
            network.gradient_checkpointing_enable(gradient_checkpointing_kwargs=dict(SETTINGS))
            off = network.gradient_checkpointing_disable
    except ValueError:  # none of its layers does
        return None
    finally:
        del network.enable_input_require_grads
    return off


def _by_timm(network: Any) -> Undo | None:
    """Timm's own: stages or blocks."""
    if not hasattr(network, "set_grad_checkpointing"):
        return None
    try:
        network.set_grad_checkpointing(True)
    except (AssertionError, AttributeError, TypeError):  # some refuse, each in its way
        return None
    return partial(network.set_grad_checkpointing, False)


def _by_torch(network: nn.Module) -> Undo | None:
    """Blocks one by one: the layers that transformers names, or those that are counted from the end."""
    blocks = _layers(network)
    if not blocks:
        named = named_blocks(network)
        blocks = [] if named is None else [block for block in named[1] if any(True for _ in block.children())]
    if not blocks:  # a single map keeps its input, which it would keep anyway
        return None
    undo = ExitStack()
    for block in blocks:
        undo.callback(_recomputed(block))
    return undo.close


def _layers(network: nn.Module) -> list[nn.Module]:
    """The layers that transformers computes again, the outermost; none in networks of others."""
    library = sys.modules.get("transformers.modeling_layers")  # loaded where there is a network of transformers
    kind: Any = getattr(library, "GradientCheckpointingLayer", ())
    found: list[nn.Module] = []
    for child in network.children():
        found += [child] if isinstance(child, kind) else _layers(child)
    return found


def _recomputed(block: Any) -> Undo:
    """Put a block through ``torch.utils.checkpoint`` wherever a gradient goes through it.

    Everything goes there by position: it looks no further for the device whose random numbers it restores.
    """
    forward, before = block.forward, vars(block).get("forward")

    @wraps(forward)
    def twice(*given: Any, **named: Any) -> Any:
        tensors = [value for value in (*given, *named.values()) if isinstance(value, Tensor)]
        bears = any(t.requires_grad for t in tensors) or any(weight.requires_grad for weight in block.parameters())
        writes = any(named.get(name) is not None for name in CACHES)
        if not (torch.is_grad_enabled() and bears) or writes:
            return forward(*given, **named)
        names, number = tuple(named), len(given)

        def run(*values: Any) -> Any:
            return forward(*values[:number], **dict(zip(names, values[number:], strict=True)))

        return checkpoint(run, *given, *named.values(), **SETTINGS)

    def undo() -> None:
        del block.forward
        if before is not None:
            block.forward = before

    block.forward = twice
    return undo


@contextmanager
def _counted_once(encoder: Encoder) -> Iterator[None]:
    """Running statistics of batch normalisation take a batch once: not when a block is computed again.

    What is computed while the encoder is not being called is computed again.
    """
    calls, momentum = [0], dict[nn.Module, float | None]()

    def begins(*_: Any) -> None:
        calls[0] += 1

    def ends(*_: Any) -> None:
        calls[0] -= 1

    def hold(norm: Any, _: Any) -> None:
        if calls[0] == 0 and norm.training and norm.track_running_stats:
            momentum[norm], norm.momentum = norm.momentum, 0.0

    def release(norm: Any, *_: Any) -> None:
        if norm in momentum:
            norm.momentum = momentum.pop(norm)
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)

    handles = [
        encoder.register_forward_pre_hook(begins), encoder.register_forward_hook(ends, always_call=True)
    ]  # fmt: skip
    for module in encoder.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            handles += [
                module.register_forward_pre_hook(hold), module.register_forward_hook(release, always_call=True)
            ]  # fmt: skip
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
