"""What judges the answers, and how long one may be."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.core.errors import LuthierError
from luthier.core.settings import suggest
from luthier.init.roles import Roles
from luthier.metrics.correlation import number_in
from luthier.registry import METRICS

_MARGIN = 0.95
"""So many of the references fit into an answer; the longest few of a text are outliers."""
_MOST_ANSWER_TOKENS = 256
_STEP = 8


@dataclass(frozen=True)
class Judging:
    """The metrics as a study file names them, the primary measure, the answer's length where one is generated, and
    why these."""

    metrics: tuple[str, ...]
    primary: str
    max_new_tokens: int | None
    why: str


def judging_for(roles: Roles, wanted: str | None, answer_tokens: Sequence[int]) -> Judging:
    """The metrics for a sort of task.

    Args:
        roles: what was decided.
        wanted: the metric that the user named, if any.
        answer_tokens: tokens of references, the end of sequence included.

    Raises:
        LuthierError: no such metric, or one that cannot judge this task.
    """
    metrics, why = _usual(roles)
    if wanted is not None:
        metrics, why = _chosen(wanted, roles), f"{wanted}: as --metric says"
    by_name = {cls.name: cls for cls in METRICS}
    listed = roles.sort in ("choices", "options")
    kinds = [by_name[_word(metric)].kinds for metric in metrics]
    written = any("choices" not in of or ("text" in of and not listed) for of in kinds)
    return Judging(
        metrics=metrics,
        primary=by_name[_word(metrics[0])].measures[0],
        max_new_tokens=_length(roles, answer_tokens) if written else None,
        why=why,
    )


def _word(metric: str) -> str:
    """The name of a metric that stands with settings: `{accuracy: {normalise: bytes}}` -> accuracy."""
    return metric.partition("{")[2].partition(":")[0] or metric


def _usual(roles: Roles) -> tuple[tuple[str, ...], str]:
    if roles.sort == "choices":
        return ("accuracy", "nll"), "few labels: the most probable of them is the answer, nothing is generated"
    if roles.sort == "options":
        return ("{accuracy: {normalise: bytes}}", "nll"), "options of unequal length: likelihood per byte decides"
    if roles.sort == "labels":
        return ("exact_match", "nll"), "many labels: one is written, and is right or wrong"
    if roles.sort == "number":
        return ("{exact_match: {strict: true}}", "nll"), "numbers: right or wrong, and -1 is not 1"
    if roles.sort == "short":
        return ("exact_match", "token_f1", "nll"), "a few words: right or wrong, and how many of the words are right"
    if roles.sort == "translation":
        return ("chrf", "bleu", "nll"), "translations: shared characters (chrF), and shared words (BLEU)"
    if not _has_latin_words(roles):
        return ("chrf", "nll"), "texts without Latin words, of which ROUGE sees nothing: shared characters (chrF)"
    return ("rouge", "nll"), "texts: shared words (ROUGE), and how expected the reference was (nll)"


def _chosen(wanted: str, roles: Roles) -> tuple[str, ...]:
    known = {cls.name: cls for cls in METRICS}
    if wanted not in known:
        raise LuthierError(
            f"{wanted}: no such metric{suggest(wanted, known)}",
            where="--metric",
            mend=f"there are {', '.join(sorted(known))}",
        )
    if wanted in ("accuracy", "f1", "matthews") and roles.sort not in ("choices", "options"):
        raise LuthierError(
            f"{wanted} wants a short list of choices, and {roles.answer.name} has {roles.answer.distinct} values",
            where="--metric",
            mend="take exact_match, or leave --metric out",
        )
    if known[wanted].kinds == ("tags",):
        raise LuthierError(
            f"{wanted} judges tags of words, and this task answers with a text",
            where="--metric",
            mend="write the study file by hand: a task with tagging, on an encoder",
        )
    if wanted == "correlation" and number_in(next(iter(roles.answer.counts), "")) is None:
        raise LuthierError(
            f"correlation wants numbers, and {roles.answer.name} has none",
            where="--metric",
            mend="take another metric, or leave --metric out",
        )
    if not known[wanted].measures:  # of the whole test set: arms are compared by a measure of each example
        return ("accuracy", wanted, "nll")
    return (wanted,) if wanted == "nll" else (wanted, "nll")


def _length(roles: Roles, answer_tokens: Sequence[int]) -> int:
    """Room for the longest label, or for all but the longest few texts."""
    ordered = sorted(answer_tokens)
    if roles.sort in ("choices", "labels", "options"):
        return ordered[-1]
    place = min(len(ordered) - 1, math.ceil(_MARGIN * len(ordered)))
    return min(_MOST_ANSWER_TOKENS, math.ceil(ordered[place] / _STEP) * _STEP)


def _has_latin_words(roles: Roles) -> bool:
    sample = list(roles.answer.counts)[:200]
    return 2 * sum(bool(re.search(r"[A-Za-z0-9]{2}", text)) for text in sample) > len(sample)
