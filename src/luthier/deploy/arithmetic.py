"""Arithmetic of trained weights: several adapters of one method, trained on one base, become one.

With the updates D_i that they make to the base's weights, and the weights w_i:

    add          sum_i w_i D_i                                   task arithmetic: Ilharco et al. 2022, arXiv 2212.04089
    average      sum_i w_i D_i / sum_i w_i                       AdapterSoup: Chronopoulou et al. 2023, arXiv 2302.07027
    ties         mean, over those that agree with the sign of sum_i T(D_i), of w_i T(D_i);  T keeps the largest entries
                                                                 Yadav et al. 2023, arXiv 2306.01708
    dare_linear  sum_i w_i R(D_i);  R keeps entries at random, divided by the share that it keeps
    dare_ties    ties, with R in place of T                      Yu et al. 2023, arXiv 2311.03099
    linear       sum_i w_i p_i of the parameters p_i themselves, whatever they are

LoRA's D is (alpha / r) B A. Sums of such updates are sums of ranks: `add` and `average` put the factors side by side,
which is exact, or take the best approximation of a given rank. `linear` mixes A and B apart, no sum of updates at all:

    (A_1 + A_2)(B_1 + B_2) = A_1 B_1 + A_2 B_2 + (A_1 B_2 + A_2 B_1)

What full and selective methods save are weights of the base, and D is their difference from it. A bottleneck, a soft
prompt or a scaling vector is no update at all: only averages are known of them, parameter by parameter. peft computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from luthier.core.durable import read_object, replacing
from luthier.core.errors import LuthierError
from luthier.core.settings import suggest
from luthier.deploy.alike import refuse_other_shapes, refuse_strangers, refuse_variants
from luthier.deploy.trained import Origin, base_for, refuse_existing, trained_in, weights_of
from luthier.methods.method import DEFAULT

How = Literal["add", "average", "linear", "ties", "dare_linear", "dare_ties"]
Kind = Literal["low-rank", "weights", "modules", "factors"]
DENSITY: Mapping[str, float] = {"ties": 0.2, "dare_linear": 0.1, "dare_ties": 0.1}
"""The share of an update's entries that is kept: TIES keeps the largest fifth (its section 4), and of DARE's updates
nine tenths can be dropped (its abstract)."""

_ALLOWED: Mapping[Kind, tuple[str, ...]] = {
    "low-rank": get_args(How),
    "weights": get_args(How),
    "modules": ("average", "linear"),
    "factors": ("linear",),
}


def combine(
    paths: Sequence[Path],
    out: Path,
    *,
    how: str = "average",
    weights: Sequence[float] | None = None,
    density: float | None = None,
    rank: int | None = None,
    seed: int = 0,
    model: str | None = None,
    method: str | None = None,
) -> Path:
    """Combine trained weights into new ones of the same method.

    Args:
        paths: runs, trainings or saved adapters, two or more.
        out: the folder to write; it may not exist.
        how: as above.
        weights: one each; by default all alike: 1 for `add`, `ties` and `dare_ties`, and else shares of 1.
        density: the share of entries kept by `ties` and `dare_*`, of each matrix; by default `DENSITY`.
        rank: of what comes out, for LoRA; by default the sum of the ranks where that is exact, and else the highest.
        seed: what `dare_*` draws by.
        model: the base, where the weights do not say and it is needed.
        method: the method's word, where the weights do not say.

    Raises:
        LuthierError: they are not of one method, base and shape, or there is no such arithmetic of their method.
    """
    refuse_existing(out)
    folders = [weights_of(Path(path)) for path in paths]
    trained = [trained_in(folder, method) for folder in folders]
    refuse_strangers(folders, trained)
    kind = _kind(folders[0], trained[0])
    _refuse_what_is_not_known(how, kind, trained[0], rank, folders[0])
    shares = _weights(how, len(folders), weights)
    kept = _density(how, density)
    import torch

    with torch.random.fork_rng(), replacing(out, "the combined weights") as beside:
        torch.manual_seed(seed)
        if kind == "low-rank" and how != "linear":
            _combine_low_rank(folders, trained, beside, how, shares, kept, rank, model)
        else:
            base = None
            if kind == "weights" and how not in ("average", "linear"):
                base = base_for(trained[0], model, folders[0])[1].state_dict()
            _combine_tensors(folders, trained, beside, how, shares, kept, base)
    return out


def combine_updates(how: str, updates: Sequence[Any], weights: Sequence[float], density: float) -> Any:
    """One tensor out of several of one shape, by the equations above; peft's `merge_utils`."""
    import torch
    from peft.utils import merge_utils

    tensors, shares = [update.float() for update in updates], torch.tensor(weights, dtype=torch.float32)
    if how in ("add", "average", "linear"):
        return merge_utils.task_arithmetic(tensors, shares)
    return getattr(merge_utils, how)(tensors, shares, density)


def _combine_low_rank(
    folders: Sequence[Path],
    trained: Sequence[Origin],
    out: Path,
    how: str,
    weights: Sequence[float],
    density: float,
    rank: int | None,
    model: str | None,
) -> None:
    """LoRA: the factors side by side, or the update of each layer cut to a rank."""
    method, names = trained[0].method, [f"adapter{place:06d}" for place in range(len(folders))]
    loaded = base_for(trained[0], model, folders[0])[1]
    for name, folder in zip(names, folders, strict=True):
        loaded = method.load(loaded, folder, name)
    refuse_variants(loaded, folders[0])
    # peft scales the sum by alpha / r = 1, but copies this from the first, and would scale by sqrt(r).
    loaded.peft_config[names[0]].use_rslora = False
    exact = how in ("add", "average")
    loaded.add_weighted_adapter(
        adapters=names,
        weights=list(weights),
        adapter_name=DEFAULT,
        combination_type=("cat" if rank is None else "svd") if exact else f"{how}_svd",
        svd_rank=rank,
        svd_full_matrices=False,
        density=density,
    )
    method.switch(loaded, DEFAULT)
    for name in names:
        loaded = method.remove(loaded, name)
    reached = loaded.peft_config[DEFAULT].r
    _fill_up(loaded, reached)
    method.save(loaded, out)
    known = {"rank": reached, "alpha": float(reached)}
    settings = {key: value for key, value in known.items() if key in type(method).model_fields}
    trained[0].model_copy(update={"method": method.model_copy(update=settings)}).write(out)


def _fill_up(loaded: Any, rank: int) -> None:
    """Zeros up to the rank, where a matrix has fewer singular values: peft could not load again what it cut there."""
    from torch.nn.functional import pad

    for module in loaded.modules():
        if DEFAULT not in getattr(module, "lora_A", ()):
            continue
        down, up = module.lora_A[DEFAULT].weight, module.lora_B[DEFAULT].weight
        missing = rank - down.shape[0]
        down.data, up.data = pad(down.data, (0, 0, 0, missing)), pad(up.data, (0, missing))


def _combine_tensors(
    folders: Sequence[Path],
    trained: Sequence[Origin],
    out: Path,
    how: str,
    weights: Sequence[float],
    density: float,
    base: Mapping[str, Any] | None,
) -> None:
    """Parameter by parameter; of weights of the base, their differences from it."""
    from safetensors.torch import load_file, save_file

    refuse_other_shapes(folders, trained)
    for path in sorted(folders[0].iterdir()):
        if path.suffix == ".json":
            (out / path.name).write_bytes(path.read_bytes())
        if path.suffix != ".safetensors":
            continue
        several = [load_file(folder / path.name) for folder in folders]
        combined = {}
        for name, first in several[0].items():
            tensors = [tensors[name] for tensors in several]
            if not first.is_floating_point():  # places of numbers, as of a sparse update: no mean of them is a place
                _refuse_other_places(name, tensors, folders)
                combined[name] = first
                continue
            start = 0 if base is None else _of_base(base, name, first, folders[0]).float()
            update = combine_updates(how, [tensor.float() - start for tensor in tensors], weights, density)
            combined[name] = (start + update).to(first.dtype).contiguous()
        save_file(combined, out / path.name, metadata={"format": "pt"})
    trained[0].write(out)


def _refuse_other_places(name: str, several: Sequence[Any], folders: Sequence[Path]) -> None:
    if any(not tensor.equal(several[0]) for tensor in several):
        raise LuthierError(
            f"{name} says where in the base's weights the numbers belong, and they belong to different places",
            where=", ".join(map(str, folders)),
            mend="merge each into its base, and combine the whole models",
        )


def _of_base(base: Mapping[str, Any], name: str, saved: Any, folder: Path) -> Any:
    found = base.get(name.removeprefix("base_model.model."))
    if found is None or found.shape != saved.shape:
        raise LuthierError(
            f"{name} is no weight of this model, or has another shape there",
            where=str(folder),
            mend="name the model that they were trained on with --model",
        )
    return found


def _kind(folder: Path, trained: Origin) -> Kind:
    """What the saved parameters are to the base."""
    config = read_object(folder / "adapter_config.json") or {}
    if config.get("peft_type") == "LORA":
        return "low-rank"
    belongs: Mapping[str, Kind] = {
        "full": "weights", "selective": "weights", "additive": "modules", "soft prompt": "modules"
    }  # fmt: skip
    return belongs.get(trained.method.belongs_to, "factors")


def _weights(how: str, count: int, given: Sequence[float] | None) -> list[float]:
    if given is not None and len(given) != count:
        raise LuthierError(f"{len(given)} weights for {count} adapters", where="--weights", mend="give one each")
    if given is None:
        given = [1.0 if how in ("add", "ties", "dare_ties") else 1 / count] * count
    if how != "average":
        return list(given)
    if sum(given) == 0:
        raise LuthierError("weights that sum to 0 have no average", where="--weights", mend="give others, or --how add")
    return [weight / sum(given) for weight in given]


def _density(how: str, given: float | None) -> float:
    if given is not None and how not in DENSITY:
        raise LuthierError(f"{how} keeps every entry", where="--density", mend="leave it out, or say --how ties")
    kept = DENSITY.get(how, 1.0) if given is None else given
    if not 0 < kept <= 1:
        raise LuthierError(
            f"{kept} is not a share of the entries", where="--density", mend="give a number above 0, up to 1"
        )
    return kept


def _refuse_what_is_not_known(how: str, kind: Kind, first: Origin, rank: int | None, folder: Path) -> None:
    if how not in (ways := get_args(How)):
        raise LuthierError(f"{how}: no such way{suggest(how, ways)}", where="--how", mend=f"one of {', '.join(ways)}")
    if how not in _ALLOWED[kind]:
        why = "is no update of the base's weights" if kind == "modules" else "is not linear in what was trained"
        raise LuthierError(
            f"{how} is of updates, and what {first.method.name} does {why}",
            where="--how",
            mend=f"say {' or '.join(_ALLOWED[kind])}: parameter by parameter",
        )
    if rank is not None and (kind != "low-rank" or how == "linear"):
        raise LuthierError("no rank can be chosen here", where="--rank", mend="leave it out")
    if first.head is not None and (kind == "low-rank" or how not in ("average", "linear")):
        raise LuthierError(
            "the head that was trained beside it is no update of the base's weights",
            where=str(folder),
            mend="combine what was trained on language models"
            + ("" if kind == "low-rank" else ", or say --how average"),
        )
