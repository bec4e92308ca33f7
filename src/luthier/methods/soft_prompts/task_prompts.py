"""A prompt that several tasks share, and what each of them makes of it: the weights of multitask prompt tuning.

Needs torch and peft at module level: imported only by functions that have a model in their hands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from peft import MultitaskPromptTuningConfig
from peft.tuners.multitask_prompt_tuning import MultitaskPromptEmbedding
from torch import nn

from luthier.models.row_tasks import current_tasks


class TaskPrompts(MultitaskPromptEmbedding):
    """P * (u_k v_k), element by element, for each task k; P, u and v are peft's, and drawn as peft draws them.

    It makes the virtual tokens of peft's prompt tuning, whose wrappers hand on what every kind of model takes: those
    for multitask prompts leave an encoder-decoder's `decoder_input_ids` behind.

    Args:
        config: peft's of the prompt tuning.
        rank: of u_k v_k.
        words: the model's embedding.
    """

    def __init__(self, config: Any, rank: int, words: nn.Module):
        super().__init__(
            MultitaskPromptTuningConfig(
                task_type=config.task_type,
                num_virtual_tokens=config.num_virtual_tokens,
                num_transformer_submodules=1,
                token_dim=config.token_dim,
                prompt_tuning_init=config.prompt_tuning_init,
                num_ranks=rank,
                num_tasks=1,
            ),
            words,
        )
        self.tasks: tuple[str, ...] = ()

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        """The prompt that stands for all tasks, `(1, virtual token, d_model)`: P by the mean of their u_k v_k."""
        return self.embedding(indices[:1]) * self._by_task().mean(dim=0)

    def of_rows(self, batch_size: int, task_ids: Any = None, max_cache_len: int | None = None) -> torch.Tensor:
        """The prompt of each row, `(row, virtual token, d_model)`, by its task (`models/row_tasks.py`); the one that
        stands for all where that is not known. Called in the place of peft's `get_prompt`.

        A flat row is one row of several sequences: their prompts stand in it one after the other."""
        by_task = self._by_task()
        told = current_tasks() or ("",) * batch_size
        places = {task: place for place, task in enumerate(self.tasks)}
        rows = torch.tensor([places.get(task, len(by_task)) for task in told], device=by_task.device)
        every = torch.cat([by_task, by_task.mean(dim=0, keepdim=True)])
        prompts = self.embedding.weight * every[rows]
        return prompts.reshape(batch_size, -1, prompts.shape[-1])

    def tell_apart(self, tasks: Sequence[str]) -> None:
        """Give each of these tasks a u_k and v_k of its own, all beginning as the one that there is."""
        self.tasks = tuple(tasks)
        for name in ("prefix_task_cols", "prefix_task_rows"):
            weights = getattr(self, name)
            setattr(self, name, nn.Parameter(weights.detach()[:1].repeat(len(tasks), 1, 1)))

    def weights(self) -> dict[str, torch.Tensor]:
        """P, u and v, by what they are called in a file."""
        return {"shared": self.embedding.weight, "columns": self.prefix_task_cols, "rows": self.prefix_task_rows}

    def start_from(self, source: Mapping[str, torch.Tensor], *, shared_only: bool) -> None:
        """Begin where a training on other tasks has ended: with its P, and with the mean of its tasks' u and v."""
        with torch.no_grad():
            self.embedding.weight.copy_(source["shared"])
            if not shared_only:
                self.prefix_task_cols.copy_(source["columns"].mean(dim=0, keepdim=True))
                self.prefix_task_rows.copy_(source["rows"].mean(dim=0, keepdim=True))

    def _by_task(self) -> torch.Tensor:
        """u_k v_k, `(task, virtual token, d_model)`."""
        return self.prefix_task_cols @ self.prefix_task_rows
