"""Benchmarks by name: which tasks of lm-eval (the reference harness; Gao et al. 2024, zenodo 10.5281/zenodo.12608602) a
suite asks, and how many shots each has where lm-eval leaves it open.

| suite | what | shots |
|---|---|---|
| `glue` | nine tasks of understanding; Wang et al. 2018, arXiv 1804.07461 | 0 |
| `superglue` | eight harder ones; Wang et al. 2019, arXiv 1905.00537 | 0 |
| `mmlu` | 57 subjects, four choices; Hendrycks et al. 2020, arXiv 2009.03300 | 5, as published |
| `bigbench` | BIG-bench's multiple-choice tasks; Srivastava et al. 2022, arXiv 2206.04615 | 0 |
| `bbh` | 27 tasks of BIG-bench Hard, chains of thought; Suzgun et al. 2022, arXiv 2210.09261 | 3, as published |
| `bbh_direct` | the same, answered at once | 3, as published |

Any task, group or tag of lm-eval is named as lm-eval does (`hellaswag`, `piqa`, `gsm8k`, `arc_easy`), several with
commas between them. A task has its suite's shots by whichever name it is asked: `mmlu_anatomy` has 5.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.suites.quiet import quiet_harness


@dataclass(frozen=True)
class Suite:
    """What a name of our own stands for: lm-eval's names, and the shots where their definitions leave them open."""

    members: tuple[str, ...]
    shots: int | None = None


SUITES: Mapping[str, Suite] = {
    "glue": Suite(("glue",)),
    "superglue": Suite(("super-glue-lm-eval-v1",)),
    "mmlu": Suite(("mmlu",), shots=5),
    "bigbench": Suite(("bigbench_multiple_choice_a", "bigbench_multiple_choice_b")),
    "bbh": Suite(("bbh_cot_fewshot",)),
    "bbh_direct": Suite(("bbh_fewshot",)),
}
_ASKED_ALONE = ("bits", "helm")
"""Suites that are no tasks of lm-eval."""
_WELL_KNOWN = (
    "glue",
    "super_glue",
    "mmlu/default",
    "bigbench/multiple_choice",
    "bbh/cot_fewshot",
    "bbh/fewshot",
    "hellaswag",
    "piqa",
    "gsm8k",
    "openbookqa",
    "siqa",
    "commonsense_qa",
    "arc",
    "winogrande",
    "lambada",
)
"""Folders of lm-eval that are looked into first: these take 0.3 s, all of its 14,683 names 6 to 15 s."""


@dataclass(frozen=True)
class AskedTask:
    """A task that a suite asks.

    Attributes:
        name: lm-eval's.
        entry: where lm-eval's index has it.
        config: its definition as the YAML has it, what its groups change included; functions are named.
        overrides: what its groups change.
        groups: the names that it was reached by, the outermost first; the task's own, where the user named it, is none.
        shots: where a suite that it belongs to has its own default; None for lm-eval's.
    """

    name: str
    entry: Any
    config: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    shots: int | None = None

    @property
    def named(self) -> bool:
        """Whether the user named this very task."""
        return not self.groups


def find_tasks(suite: str, say: Callable[[str], None] = lambda _: None) -> tuple[AskedTask, ...]:
    """The tasks of a suite, each once, in the order named.

    Args:
        suite: names with commas between them: of `SUITES`, or lm-eval's of a task, a group or a tag.
        say: told when all of lm-eval's tasks have to be looked through.

    Raises:
        LuthierError: no such name (the nearest ones are given), none at all, or a suite that is asked alone.
    """
    names = [name.strip() for name in suite.split(",") if name.strip()]
    if not names:
        raise LuthierError("no suite was named", where="--suite", mend=f"say {', '.join(SUITES)}, or a task of lm-eval")
    if alone := [name for name in names if name in _ASKED_ALONE]:
        raise LuthierError(
            f"{alone[0]} is asked alone, not with a benchmark of lm-eval",
            where="--suite",
            mend=f"ask --suite {alone[0]} by itself, and the others without it",
        )
    index = _index(names, say)
    found: dict[str, AskedTask] = {}
    for name in names:
        for member in SUITES.get(name, Suite((name,))).members:
            for task in _leaves(member, index, {}, (), name):
                found.setdefault(task.name, replace(task, shots=_published().get(task.name)))
    return tuple(found.values())


def _index(names: list[str], say: Callable[[str], None]) -> Mapping[str, Any]:
    """lm-eval's index of what it has by these names."""
    wanted = {member for name in names for member in SUITES.get(name, Suite((name,))).members}
    if wanted <= set(few := _well_known()):
        return few
    say("looking through all tasks of lm-eval")
    every = _all()
    if unknown := sorted(wanted - set(every)):
        near = difflib.get_close_matches(unknown[0], [*SUITES, *every], n=5, cutoff=0.5)
        raise LuthierError(
            f"{unknown[0]}: no such suite, nor a task, group or tag of lm-eval",
            where="--suite",
            mend=f"did you mean {', '.join(dict.fromkeys(near))}?" if near else f"say {', '.join(SUITES)}",
        )
    return every


@cache
def _well_known() -> Mapping[str, Any]:
    import lm_eval.tasks

    root = Path(lm_eval.tasks.__file__).parent
    folders: list[str | Path] = [root / folder for folder in _WELL_KNOWN]
    with quiet_harness():
        index: Mapping[str, Any] = lm_eval.tasks.TaskManager(include_defaults=False, include_path=folders).task_index
    return index


@cache
def _all() -> Mapping[str, Any]:
    from lm_eval.tasks import TaskManager

    with quiet_harness():
        index: Mapping[str, Any] = TaskManager().task_index
    return index


@cache
def _published() -> Mapping[str, int]:
    """The shots of every task of a suite that has its own default."""
    return {
        task.name: suite.shots
        for suite in SUITES.values()
        if suite.shots is not None
        for member in suite.members
        for task in _leaves(member, _well_known(), {}, (), member)
    }


def _leaves(
    name: str, index: Mapping[str, Any], overrides: Mapping[str, Any], groups: tuple[str, ...], shown: str
) -> Iterator[AskedTask]:
    """The tasks below a name of the index; groups change the definitions of what they hold, as lm-eval has it."""
    from lm_eval.tasks import _factory  # lm-eval 0.4 keeps no public name for the keys of a group
    from lm_eval.tasks._index import Kind

    entry = index[name]
    if entry.kind == Kind.TAG:
        for member in sorted(entry.tags):  # within a group a tag is but a way of listing
            yield from _leaves(member, index, overrides, groups or (shown,), member)
    elif entry.kind == Kind.GROUP:
        yield from _members(entry.cfg, index, overrides, (*groups, shown), _factory.GROUP_FIELD_NAMES)
    else:
        yield AskedTask(name, entry, _definition(entry, overrides), overrides, groups)


def _members(
    group: Mapping[str, Any],
    index: Mapping[str, Any],
    overrides: Mapping[str, Any],
    groups: tuple[str, ...],
    own_keys: set[str],
) -> Iterator[AskedTask]:
    changed = {**{key: value for key, value in group.items() if key not in own_keys}, **overrides}
    listed = group["task"]
    for member in listed if isinstance(listed, list) else [listed]:
        if isinstance(member, str):
            yield from _leaves(member, index, changed, groups, member)
        elif "group" in member and member["group"] not in index:  # defined on the spot
            yield from _members(member, index, changed, (*groups, member["group"]), own_keys)
        else:
            name = member.get("group") or member["task"]
            if name not in index:
                raise LuthierError(
                    f"{name} is defined within {groups[-1]} alone",
                    where="--suite",
                    mend="name tasks that have a definition of their own",
                )
            more = {key: value for key, value in member.items() if key not in ("group", "task")}
            yield from _leaves(name, index, {**changed, **more}, groups, name)


def _definition(entry: Any, overrides: Mapping[str, Any]) -> dict[str, Any]:
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(entry.yaml_path, resolve_func=False) if entry.yaml_path else dict(entry.cfg or {})
    return {**config, **overrides}
