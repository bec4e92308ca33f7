"""The configuration of AdapterHub's bottleneck adapters, as settings of ours, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from luthier.core.errors import LuthierError
from luthier.methods.additive.adapter import Adapter, Nonlinearity
from luthier.methods.additive.compacter import Compacter

_PLAIN: dict[str, Any] = {
    "original_ln_after": True, "residual_before_ln": True, "ln_before": False, "ln_after": False, "use_gating": False,
    "inv_adapter": None, "cross_adapter": False, "leave_out": [], "stochastic_depth": 0.0, "output_adapter": True,
}  # fmt: skip
"""What ours always does."""
_PHM: dict[str, Any] = {
    "factorized_phm_W": True, "shared_W_phm": False, "shared_phm_rule": True, "factorized_phm_rule": False,
    "learn_phm": True, "phm_rank": 1, "phm_bias": True,
}  # fmt: skip
_PLACES: dict[str, dict[str, Any]] = {
    "pfeiffer": {"mh_adapter": False, "original_ln_before": True, "is_parallel": False},
    "houlsby": {"mh_adapter": True, "original_ln_before": False, "is_parallel": False},
    "parallel": {"mh_adapter": False, "original_ln_before": False, "is_parallel": True},
}
_DEFAULTS: dict[str, Any] = {
    **_PLAIN, **_PHM, "mh_adapter": False, "original_ln_before": False, "is_parallel": False, "scaling": 1.0,
    "dropout": 0.0, "adapter_residual_before_ln": False, "phm_layer": False, "phm_dim": 4, "init_weights": "bert",
}  # fmt: skip
"""What a key means that an older file lacks."""


def their_method(config: Mapping[str, Any], width: int, where: str) -> Adapter | Compacter:
    """The settings of ours that compute what a configuration of theirs does.

    Args:
        config: all of `adapter_config.json`.
        width: d_model.
        where: what an error names.

    Raises:
        LuthierError: there are none.
    """
    if config["config"].get("architecture") == "prompt_tuning":
        raise LuthierError(
            "AdapterHub puts virtual tokens after the embedding layer's positions and norm, `prompt_tuning` before "
            "them: the same weights would give other answers",
            where=where,
            mend="train `prompt_tuning` again",
        )
    if config["config"].get("architecture"):
        raise _cannot(f"architecture: {config['config']['architecture']}", where)
    given = {**_DEFAULTS, **config["config"]}
    for key, value in {**_PLAIN, **(_PHM if given["phm_layer"] else {})}.items():
        if given[key] != value:
            raise _cannot(f"{key}: {given[key]}", where)
    placement = next(
        (name for name, place in _PLACES.items() if all(given[key] == value for key, value in place.items())), None
    )
    function = given.get("non_linearity")
    if placement is None:
        raise _cannot("this combination of mh_adapter, original_ln_before and is_parallel", where)
    if function not in get_args(Nonlinearity) or (function == "gelu" and "version" not in config):
        raise _cannot(f"non_linearity: {function}", where)  # before versions, `gelu` was the approximation by tanh
    reduction = _reduction(given.get("reduction_factor"), width, where)
    if given["phm_layer"]:
        if placement == "parallel" or given["scaling"] != 1.0 or (width // reduction) % given["phm_dim"]:
            raise _cannot("this compacter's place, scaling or size", where)
        return Compacter(
            placement=placement, reduction=reduction, products=given["phm_dim"], nonlinearity=function
        )  # fmt: skip
    scaling = given["scaling"]
    if isinstance(scaling, str) or (placement != "parallel" and scaling != 1.0) or scaling <= 0:
        raise _cannot(f"scaling: {scaling}", where)
    beside = {"scaling": scaling} if placement == "parallel" else {}
    return Adapter(placement=placement, reduction=reduction, nonlinearity=function, **beside)


def their_config(method: Adapter | Compacter, width: int, where: str) -> dict[str, Any]:
    """The `config` within `adapter_config.json` that computes what settings of ours do.

    Raises:
        LuthierError: a compacter whose size was rounded, which theirs is not.
    """
    config = {**_DEFAULTS, **_PLACES[method.placement]}
    if isinstance(method, Compacter):
        if width // method.reduction == 0 or (width // method.reduction) % method.products:
            raise LuthierError(
                f"the bottleneck of {width} / {method.reduction} was rounded to a multiple of {method.products}, and "
                "AdapterHub rounds none",
                where=where,
                mend="train it with a reduction that leaves a multiple",
            )
        config |= {"phm_layer": True, "phm_dim": method.products}
        return config | {"reduction_factor": method.reduction, "non_linearity": method.nonlinearity}
    reduction, nonlinearity, scaling = method.resolved
    config |= {"init_weights": "mam_adapter" if method.placement == "parallel" else "bert", "scaling": scaling}
    return config | {"reduction_factor": reduction, "non_linearity": nonlinearity}


def _reduction(factor: Any, width: int, where: str) -> int:
    """A whole number that gives the same size of the bottleneck."""
    if not isinstance(factor, int | float) or factor <= 0:
        raise _cannot(f"reduction_factor: {factor}", where)
    size = max(1, int(width // factor))
    for reduction in (int(factor), width // size):
        if reduction >= 1 and max(1, width // reduction) == size:
            return reduction
    raise _cannot(f"reduction_factor: {factor}", where)


def _cannot(what: str, where: str) -> LuthierError:
    return LuthierError(
        f"{what} is not what adapters here can do",
        where=where,
        mend="read adapters of the kinds seq_bn, double_seq_bn, par_bn and compacter, as they come",
    )
