"""Frozen layers at the bottom, computed once for each sequence and not once an epoch.

    h_k(x) = f_k(... f_1(embed(x)))        the same in every pass where nothing in embed, f_1 .. f_k moves or draws

Of the layers of a decoder or an encoder, f_(k+1) is the lowest whose output depends on a trained weight, wherever that
weight is: a tied or trained embedding makes k = 0, and so does a soft prompt. `keep_lower_layers` keeps h_k of the
sequences that a training sees, within a bound in bytes; `scored_logits` then begins behind it. A backward pass through
a layer costs as much as a forward pass for the inputs, and as much again for its weights: with the upper u of L layers
trained, (L + 2 u) / 3 u times as fast from the second epoch on, which is 1.3 for the half and 2 for the quarter.

On a CPU each h_k(x) is computed from x alone, whichever batch x stands in, kept or not: its last bits depend on the
shape of what it is multiplied in, and a training that goes on from a checkpoint meets x in another batch than one that
was never stopped. Alone, a sequence of 200 tokens takes up to 1.3 times as long as in a batch: the price of the first
epoch, and of each one for what finds no room. On a GPU, where one sequence fills too little of the device, a batch of
new ones is computed at once: a training that was stopped there goes on to the same numbers to rounding, not to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from luthier.core.errors import LuthierError
from luthier.models.anatomy import anatomy_of
from luthier.models.batch import Batch
from luthier.models.encoder_decoder import has_encoder
from luthier.models.labelled import LabelledBatch
from luthier.models.shells import drops_out
from luthier.models.single import singly
from luthier.models.virtual_tokens import virtual_tokens

if TYPE_CHECKING:
    import torch

Run = Callable[[Any, Batch], "torch.Tensor"]
"""A forward pass: the model and the batch, to logits."""

LEAST_ROOM = 2**30
"""Bytes that may be kept at least: a study counts so many for a run beside its weights (`study.py`). 1 GiB holds 2,500
sequences of 206 tokens at a width of 512 in fp32."""
SPARED = 12
"""Bytes that a frozen parameter spares: its gradient and AdamW's two moments, each in fp32."""

_KEPT = "luthier_lower_layers"


def keep_lower_layers(forward: Any, model: Any, *, tokens: int = 0, room: int | None = None) -> None:
    """From now on, until `forget_lower_layers`, `scored_logits(forward, ...)` begins at the lowest trained layer.

    To be called where the sequences will be seen again, and when nothing that is frozen will change any more. It is
    silently as before for a model in which this would not be exact: an encoder-decoder, frozen layers that draw
    (dropout), that are hooked into or hold modules of other origin than torch and transformers, or whose outputs are
    not all that the layers above them read; and where less than half of an epoch would find room, which does not pay.

    Args:
        forward: what `scored_logits` will be given, and nothing else is: a wrapper of the model around its precision.
        model: on its device, with what is trained requiring gradients.
        tokens: about how many an epoch has.
        room: bytes that may be kept; once it is full, what is in it stays, and other sequences are computed each time.
            By default what full fine-tuning would hold for the frozen parameters, and `LEAST_ROOM` at least.
    """
    if room is None:
        frozen = sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)
        room = max(LEAST_ROOM, SPARED * frozen)
    state = model.config.get_text_config(decoder=True).hidden_size * next(model.parameters()).element_size()
    if tokens * state > 2 * room:
        return
    forward.__dict__[_KEPT] = _LowerLayers(model, room)  # a wrapper may hand what is set on it to the model


def forget_lower_layers(forward: Any) -> None:
    """Give the memory back; `scored_logits` is as it was before `keep_lower_layers`."""
    forward.__dict__.pop(_KEPT, None)


@contextmanager
def from_lowest_trained(model: Any, batch: Batch, run: Run) -> Iterator[None]:
    """Within it, a forward pass of this batch has the output of the layers that are kept for the model, if any are."""
    kept = getattr(model, _KEPT, None)
    with nullcontext() if kept is None else kept.in_place(model, batch, run):
        yield


class _LowerLayers:
    """What leaves the frozen layers at the bottom of a model, by sequence.

    Args:
        model: whose layers.
        room: bytes that may be kept.

    Attributes:
        layers: the frozen ones, bottom first; None until the first batch has been seen, empty where there are none.
        size: bytes that are kept.
    """

    def __init__(self, model: Any, room: int):
        self.model, self.room = model, room
        self.layers: list[Any] | None = None
        self.size = 0
        self._states: dict[bytes, torch.Tensor] = {}
        self._surplus: tuple[None, ...] | None = None

    @contextmanager
    def in_place(self, forward: Any, batch: Batch, run: Run) -> Iterator[None]:
        """Within it, what leaves the frozen layers is there already, if this is a batch for which it can be."""
        suited = batch.decoder_input_ids is None and (not batch.lengths or len(batch.input_ids) == 1)
        if suited and self.layers is None:
            self._decide(forward, next(singly(batch)), run)
        if not suited or not self.layers:
            yield
            return
        hidden = _laid_out(batch, self._states_of(forward, batch, run))
        output = hidden if self._surplus is None else (hidden, *self._surplus)
        with replaced(self.layers, lambda *_, **__: output):
            yield

    def _states_of(self, forward: Any, batch: Batch, run: Run) -> list[torch.Tensor]:
        """Of each sequence of the batch, `(position, d_model)`."""
        keys = [ids.numpy().tobytes() for ids in _rows(batch, batch.input_ids.cpu())]
        states = {key: self._states[key] for key in keys if key in self._states}
        new: dict[bytes, torch.Tensor] = {}
        if not states and batch.input_ids.is_cuda:
            new = dict(zip(keys, _rows(batch, self._pass(forward, batch, run)), strict=True))
        elif len(states) < len(set(keys)):
            alone = zip(keys, singly(batch), strict=True)
            new = {key: self._pass(forward, one, run)[0] for key, one in alone if key not in states}
        for key, state in new.items():
            size = state.numel() * state.element_size()
            if self.size + size <= self.room:
                self._states[key] = state.clone()  # not a view, which would keep all of its batch
                self.size += size
        states.update(new)
        return [states[key] for key in keys]

    def _pass(self, forward: Any, batch: Batch, run: Run) -> torch.Tensor:
        """What leaves the frozen layers, `(row, position, d_model)`; what is above them is not computed."""
        import torch

        left: list[torch.Tensor] = []

        def leave(layer: Any, *args: Any, **named: Any) -> None:
            output = type(layer).forward(layer, *args, **named)
            left.append(output if self._surplus is None else output[0])
            raise _LeftError

        assert self.layers
        with torch.inference_mode(False), torch.no_grad(), replaced(self.layers[-1:], leave):
            try:
                run(forward, _unscored(batch))
            except _LeftError:
                return left[0]
        raise RuntimeError("the forward pass did not reach the layers that it is to stop behind")

    def _decide(self, forward: Any, one: Batch, run: Run) -> None:
        """Find the layers, by passing one sequence through the model, and try whether the model answers the same."""
        import torch

        self.layers = []
        training = [module for module in forward.modules() if module.training]
        forward.eval()  # what drew here would move the random stream, which a training that goes on must not
        try:
            with torch.inference_mode(False), torch.enable_grad():
                self.layers, self._surplus = _frozen_layers(self.model, lambda: run(forward, _unscored(one)))
            if not self.layers:
                return
            with torch.no_grad():
                plain = run(forward, _unscored(one))
                with self.in_place(forward, one, run):
                    same = torch.allclose(run(forward, _unscored(one)), plain, rtol=1e-5, atol=1e-5)
            if not same:
                self.layers = []
        finally:
            for module in training:
                module.training = True


class _LeftError(Exception):
    """The forward pass has gone as far as was wanted."""


def _frozen_layers(model: Any, run: Callable[[], Any]) -> tuple[list[Any], tuple[None, ...] | None]:
    """The layers from the bottom on whose output no trained weight has a part in, and no chance; and what is to stand
    beside their output: nothing (None), or a tuple of Nones where they give one.

    Args:
        model: in evaluation mode, with gradients enabled.
        run: passes one sequence through it.
    """
    from torch.nn.modules.module import register_module_forward_pre_hook

    try:
        stacks = anatomy_of(model).stacks
    except LuthierError:
        return [], None
    stack = [model.get_submodule(name) for name in stacks[0]]
    if len(stacks) != 1 or has_encoder(model) or virtual_tokens(model) or any("forward" in vars(one) for one in stack):
        return [], None
    entered: list[Any] = []
    below: list[Any] = []
    frozen: list[Any] = []
    surplus: list[tuple[None, ...] | None] = []

    def watch(layer: Any, *args: Any, **named: Any) -> Any:
        output = type(layer).forward(layer, *args, **named)
        hidden, *beside = output if isinstance(output, tuple) else (output,)
        # What stands beside the output (BLOOM's attention) is seldom read, and `_decide` would find out; what layers
        # leave in a dictionary for those above (Gemma 3n's keys and values) is.
        shared = any(isinstance(one, MutableMapping) for one in named.values())
        if hidden.requires_grad or shared or layer in frozen:
            raise _LeftError
        frozen.append(layer)
        below[:] = entered
        surplus[:] = [(None,) * len(beside) if isinstance(output, tuple) else None]
        return output

    hook = register_module_forward_pre_hook(lambda module, _: entered.append(module))
    try:
        with replaced(stack, watch):
            run()
    except _LeftError:
        pass
    finally:
        hook.remove()
    beside = [module for module in below if not any(inner is stack[0] for inner in module.modules())]
    exact = frozen and all(_is_plain(module) and not drops_out(module) for module in (*frozen, *beside))
    return (frozen, surplus[0]) if exact else ([], None)


def _is_plain(module: Any) -> bool:
    """Whether it is of torch's and transformers' modules alone, and nothing hooks into it: no adapter, which may be
    disabled for a pass, and nothing that a bare weight would not tell of."""
    return all(
        type(inner).__module__.partition(".")[0] in ("torch", "transformers")
        and not (inner._forward_hooks or inner._forward_pre_hooks or "forward" in vars(inner))
        for inner in module.modules()
    )


@contextmanager
def replaced(modules: Sequence[Any], forward: Callable[..., Any]) -> Iterator[None]:
    """Within it, these modules compute `forward(module, ...)`."""
    before = [vars(module).get("forward") for module in modules]
    try:
        for module in modules:
            module.forward = partial(forward, module)
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            vars(module).pop("forward", None)
            if own is not None:
                module.forward = own


def _unscored(batch: Batch) -> Batch:
    """The same rows, all positions of which are computed in the last layer too."""
    return batch if isinstance(batch, LabelledBatch) else replace(batch, scored=None)


def _rows(batch: Batch, values: torch.Tensor) -> list[torch.Tensor]:
    """`(row, position, ...)` of a batch's sequences, each by itself and without padding: `(position, ...)`."""
    if batch.lengths:
        return list(values[0].split(list(batch.lengths)))
    if batch.attention_mask is None:
        return list(values)
    return [row[:length] for row, length in zip(values, batch.attention_mask.sum(1).tolist(), strict=True)]


def _laid_out(batch: Batch, states: Sequence[torch.Tensor]) -> torch.Tensor:
    """The states of the sequences as the batch has them, `(row, position, d_model)`; zeros in its padding."""
    import torch

    if batch.lengths:
        return torch.cat(list(states))[None]
    hidden = states[0].new_zeros(*batch.input_ids.shape, states[0].shape[-1])
    for row, state in zip(hidden, states, strict=True):
        row[: len(state)] = state
    return hidden
