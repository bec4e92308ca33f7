"""Which of several equal ways to compute is the quickest here: tried once for a machine and a model, and kept.

Three choices, on a CPU alone. **Products** in float32: by torch's usual library (MKL), or by oneDNN, which on
processors with AVX-512 is up to twice as quick and on others no different. **Attention**: torch's fused function, or
the product written out, up to some length (`models/attention.py`). **Tokens** of one forward pass, where the study does
not say: the fewest with which a layer is as quick as with more, for they are what memory goes by. All give the same
numbers to rounding; a way that does not is never taken. It takes a second or two, and is kept in the user's cache
folder; the choice stands beside every training, and one that is resumed goes on with it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from luthier.core.durable import read_object, replace_file
from luthier.core.environment import machine_file

_VERSION = 2
"""Raised when a choice comes to mean something else."""
_TOKENS = 512
"""Rows of the products that are tried."""
_LENGTHS = (64, 128, 256, 512)
"""Of the sequences on which attention is tried."""
_ROUNDS = 5
_WIDEST = (1024, 4096)
"""Of what is tried, outside and within a feed-forward: wider ones differ no more, and take long."""
_LEAST = 4e8
"""Multiplications of one timing: less would time the calls."""
_GAIN = 1.15
"""How much quicker another way than the usual one must be: less is noise, and two machines of a kind should agree."""
_PASSES = (1024, 2048, 4096)
"""Tokens of a forward pass that are tried; 4096 is taken where nothing is."""
_EXACT = 1e-5
"""The largest error of a product, as a share of the standard deviation of its numbers, that float32 may have."""
Products = Literal["usual", "onednn"]
_PRECISION: Mapping[Products, str] = {"usual": "highest", "onednn": "medium"}
"""What torch calls them."""


@dataclass(frozen=True)
class Kernels:
    """The ways that were chosen.

    Attributes:
        products: by whom matrices are multiplied.
        attention_written_out_to: positions up to which attention is written out; 0 for never.
        tokens: of one forward pass at most.
    """

    products: Products = "usual"
    attention_written_out_to: int = 0
    tokens: int = _PASSES[-1]

    def use(self) -> None:
        """From now on, in this process."""
        import torch

        from luthier.models.attention import choose_way

        # Chosen elsewhere, where it was exact, oneDNN may compute in bfloat16 here.
        exact = self.products == "usual" or _is_exact(self.products)
        torch.set_float32_matmul_precision(_PRECISION[self.products if exact else "usual"])
        choose_way(self.attention_written_out_to)

    @classmethod
    def of(cls, record: Mapping[str, Any], choose: Callable[[], Kernels]) -> Kernels:
        """What `record` gave; what is chosen now where another version has written it."""
        return cls(**record) if record.keys() == cls().record().keys() else choose()

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def kernels_for(model: Any, device: str) -> Kernels:
    """The quickest ways for a model on this machine with as many threads as torch has now.

    Args:
        model: a transformers model in float32; of others, and on a GPU, the usual ways are taken.
        device: where it computes.
    """
    import torch

    shapes = _shapes(model)
    if device != "cpu" or shapes is None or next(model.parameters()).dtype != torch.float32:
        return Kernels()
    path = _cache_path(shapes, torch.get_num_threads())
    with _alone(path):
        kept = read_object(path)
        if kept is not None and kept.keys() == Kernels().record().keys():
            return Kernels(**kept)
        chosen = _quickest(*shapes)
        with suppress(OSError):  # a cache that cannot be written costs the time of trying again, no more
            replace_file(path, json.dumps(chosen.record()).encode())
    return chosen


_Shapes = tuple[tuple[tuple[int, int], ...], int, int]
"""Of products (in, out), heads, and the width of a head."""


def _shapes(model: Any) -> _Shapes | None:
    config = model.config.get_text_config(decoder=True)
    width, heads = getattr(config, "hidden_size", None), getattr(config, "num_attention_heads", None)
    if not width or not heads:
        return None
    inner = getattr(config, "intermediate_size", None) or getattr(config, "d_ff", None) or 4 * width
    head = getattr(config, "head_dim", None) or width // heads
    width, inner = min(width, _WIDEST[0]), min(inner, _WIDEST[1])
    return ((width, width), (width, inner), (inner, width)), heads, head


def _quickest(products: tuple[tuple[int, int], ...], heads: int, head: int) -> Kernels:
    """Try both choices, each round in turns."""
    import torch

    before = torch.get_float32_matmul_precision()
    random = torch.random.get_rng_state()
    try:
        chosen = _quickest_products(products)
        torch.set_float32_matmul_precision(_PRECISION[chosen])
        return Kernels(chosen, _written_out_to(heads, head), _fewest_tokens(*products[1]))
    finally:
        torch.set_float32_matmul_precision(before)
        torch.random.set_rng_state(random)


def _quickest_products(shapes: tuple[tuple[int, int], ...]) -> Products:
    import torch
    from torch.nn.functional import linear

    pairs = [(torch.randn(_TOKENS, given), torch.randn(out, given)) for given, out in shapes]
    times = max(1, round(_LEAST / (_TOKENS * sum(given * out for given, out in shapes))))

    def multiply(precision: str) -> Callable[[], None]:
        def all_of_them() -> None:
            torch.set_float32_matmul_precision(precision)
            for x, weight in pairs * times:
                linear(x, weight)

        return all_of_them

    usual, other = _seconds(multiply("highest"), multiply("medium"))
    return "onednn" if usual > _GAIN * other and _is_exact("onednn") else "usual"


@cache
def _is_exact(products: Products) -> bool:
    """Whether float32 is what is computed so, here."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(_PRECISION[products])
    stream = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(_TOKENS, _TOKENS, generator=stream) for _ in range(2))
    error = x @ weight - (x.double() @ weight.double())
    torch.set_float32_matmul_precision(before)
    return float(error.abs().max()) < _EXACT * _TOKENS**0.5


def _written_out_to(heads: int, head: int) -> int:
    """The longest of the lengths up to which writing attention out is quicker, forward and backward."""
    import torch

    from luthier.models.attention import attend, way_up_to

    longest = 0
    for length in _LENGTHS:
        q, k, v = (torch.randn(1, heads, length, head, requires_grad=True) for _ in range(3))

        def both_ways(up_to: int, q: Any = q, k: Any = k, v: Any = v) -> Callable[[], None]:
            def once() -> None:
                with way_up_to(up_to):
                    attend(q, k, v, causal=True).sum().backward()

            return once

        fused, written = _seconds(both_ways(0), both_ways(length))
        if fused <= _GAIN * written:
            break
        longest = length
    return longest


def _fewest_tokens(width: int, inner: int) -> int:
    """The smallest pass with which a feed-forward takes no longer for a token, forward and backward."""
    import torch

    up, down = torch.randn(inner, width) / width, torch.randn(width, inner) / inner

    def once(tokens: int) -> Callable[[], None]:
        x = torch.randn(tokens, width, requires_grad=True)

        def pass_through() -> None:
            (torch.nn.functional.silu(x @ up.T) @ down.T).sum().backward()

        return pass_through

    if width * inner >= _WIDEST[0] * _WIDEST[1]:  # the products are all that counts, and take their time
        return _PASSES[0]
    taken = _seconds(*(once(tokens) for tokens in _PASSES), rounds=3)
    each = [seconds / tokens for seconds, tokens in zip(taken, _PASSES, strict=True)]
    return next(tokens for tokens, seconds in zip(_PASSES, each, strict=True) if seconds <= _GAIN * min(each))


def _seconds(*ways: Callable[[], None], rounds: int = _ROUNDS) -> list[float]:
    """The median of each, in rounds that go through all of them; the first round is not counted."""
    import torch

    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    taken: list[list[float]] = [[] for _ in ways]
    for round_ in range(rounds + 1):
        for way, seconds in zip(ways, taken, strict=True):
            started = clock()
            way()
            if round_:
                seconds.append(clock() - started)
    return [statistics.median(seconds) for seconds in taken]


@cache
def _cache_path(shapes: _Shapes, threads: int) -> Path:
    import torch

    return machine_file("kernels", _VERSION, torch.__version__, threads, shapes)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time: the others take what the first has found."""
    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()
