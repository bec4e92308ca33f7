"""Which matrices a method works on: by their role in a layer, or by name.

`all-linear`  every linear layer within the model's layers (`all` is the same)
`attention`   query, key, value and output matrices, those of cross-attention too
`mlp`         the feed-forward's

Roles never take in a head, a pooler or an embedding. Anything else is the name of a module, or the end of one after a
dot: `q_proj` is that of every layer, `layers.0.self_attn.q_proj` that of the first.
"""

from __future__ import annotations

from typing import Any

from luthier.core.errors import LuthierError
from luthier.models.anatomy import Role, anatomy_of, is_linear
from luthier.models.head import head_parts

Targets = str | tuple[str, ...]
"""A role, a name of modules, or several of either."""

_ROLES: dict[str, tuple[Role, ...]] = {
    "all-linear": ("attention", "mlp"),
    "all": ("attention", "mlp"),
    "attention": ("attention",),
    "mlp": ("mlp",),
}


def target_names(model: Any, targets: Targets) -> list[str]:
    """The full names of the modules that are meant, in the model's order, each once.

    Args:
        model: a plain model, nothing attached to it yet.
        targets: as a study file has them.

    Raises:
        LuthierError: there are none, or one of them matches no linear layer of this model.
    """
    wanted: set[str] = set()
    if not targets:
        raise LuthierError("there are no targets", where="targets", mend="take all-linear, attention, mlp, or names")
    for target in (targets,) if isinstance(targets, str) else targets:
        found = anatomy_of(model).of_role(*_ROLES[target]) if target in _ROLES else _named(model, target)
        if not found:
            raise LuthierError(
                f"no module of {type(model).__name__} is called {target!r}",
                where="targets",
                mend=f"take all-linear, attention or mlp, or names such as {', '.join(_leaves(model))}",
            )
        # peft would fail at some of the others in its own words, and write a whole embedding beside an update of it.
        odd = next((name for name in found if not is_linear(model.get_submodule(name))), None)
        if odd is not None:
            raise LuthierError(
                f"{odd or 'the whole model'} of {type(model).__name__} is no linear layer: {target!r} is no target",
                where="targets",
                mend=f"take all-linear, attention or mlp, or names such as {', '.join(_leaves(model))}",
            )
        wanted.update(found)
    return [name for name, _ in model.named_modules() if name in wanted]


def _named(model: Any, target: str) -> list[str]:
    """Modules of that name; none of a classifier's head, which is trained whole."""
    heads = tuple(f"{part}." for part in head_parts(model))
    return [
        name
        for name, _ in model.named_modules()
        if (name == target or name.endswith(f".{target}")) and not f"{name}.".startswith(heads)
    ]


def _leaves(model: Any) -> list[str]:
    """What the model's own linear layers are called, each name once."""
    return list(dict.fromkeys(name.rpartition(".")[2] for name in anatomy_of(model).linears))
