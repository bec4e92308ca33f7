"""lm-eval and datasets without their progress bars and warnings: the terminal shows the evaluation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial


@contextmanager
def quiet_harness() -> Iterator[None]:
    """Within it the two libraries draw no bars and log errors alone; the settings of before come back."""
    import datasets
    from lm_eval.api import task
    from tqdm import tqdm

    loggers = [logging.getLogger(name) for name in ("lm_eval", "datasets", "huggingface_hub", "lm-eval")]
    levels = [logger.level for logger in loggers]
    bars, bar = datasets.are_progress_bars_disabled(), task.tqdm
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    task.tqdm = partial(tqdm, disable=True)  # it has no switch of its own
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        task.tqdm = bar
        if not bars:
            datasets.enable_progress_bars()
