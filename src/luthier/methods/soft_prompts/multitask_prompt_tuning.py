"""Multitask prompt tuning (Wang et al. 2023, arXiv 2303.02861): a prompt that tasks share, and a low-rank factor each.

    y ~ p(y | [P * (u_k v_k); E(x)])        * element by element, for a row of task k, the model frozen

    P: (virtual_tokens, d_model) shared; u_k: (virtual_tokens, rank), v_k: (rank, d_model) of each task k

An arm of two stages: the first trains on a mixture, each row with its own task's factor; the second goes on from there
on one more task.

    - name: transferred
      stages:
        - {method: multitask_prompt_tuning, task: my mixture}
        - {method: multitask_prompt_tuning}

What answers is one prompt: of a training on several tasks, P by the mean of their factors. It is saved as a prompt of
peft's prompt tuning, which serving can read, and beside it, for a second stage, what it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from luthier.core.errors import LuthierError
from luthier.methods.method import DEFAULT, task_type
from luthier.methods.soft_prompts.soft_prompt import SoftPrompt
from luthier.models.kinds import Kind

_FILE = "source.safetensors"
_SOURCE = "luthier_source_prompt"
"""What a model that a first stage has left carries of it to the second."""


class MultitaskPromptTuning(SoftPrompt):
    """Train virtual tokens that tasks share, and of each task a low-rank factor of them."""

    name: ClassVar[str] = "multitask_prompt_tuning"
    falls: ClassVar[Mapping[Kind, float]] = {"decoder": 0.03, "encoder-decoder": 0.012}
    moves: ClassVar[str] = "virtual tokens that tasks share, and a rank-r factor of each task"
    paper: ClassVar[str] = "Wang et al. 2023, arXiv 2303.02861"

    rank: int = Field(default=1, ge=1)
    """Of each task's factor (the paper's)."""
    transfer: Literal["mean", "shared"] = "mean"
    """What a second stage begins with beside the shared prompt: the mean of the sources' factors, or one drawn anew."""

    @property
    def leads_on(self) -> bool:
        return True

    def learning_rate(self, parameters: int) -> float:
        """0.3 for every size, as prompt tuning (measured on house/decoder with one task: in 24 steps the loss on
        held-out lists of names fell by 9%, that of prompt tuning by 11%; on house/seq2seq by 4% and 7%)."""
        return 0.3

    def peft_config(self, model: Any, tokenizer: Any) -> Any:
        from peft import PromptTuningConfig

        return PromptTuningConfig(
            task_type=task_type(model),
            num_transformer_submodules=1,  # as in prompt tuning
            num_virtual_tokens=self.virtual_tokens,
            prompt_tuning_init="SAMPLE_VOCAB",
        )

    def attach(self, model: Any, tokenizer: Any) -> Any:
        """As prompt tuning, with the tasks' prompts in the place of the one; from what a first stage left, if one did.

        Raises:
            LuthierError: the first stage's prompt is of another size.
        """
        from luthier.methods.soft_prompts.task_prompts import TaskPrompts

        source = model.__dict__.pop(_SOURCE, None)
        adapted = super().attach(model, tokenizer)
        prompts = TaskPrompts(adapted.active_peft_config, self.rank, adapted.word_embeddings).to(adapted.device)
        if source is not None:
            self._refuse_other_size(source, prompts)
            prompts.start_from(source, shared_only=self.transfer == "shared")
        adapted.prompt_encoder[DEFAULT] = prompts
        adapted.get_prompt = prompts.of_rows
        return adapted

    def survey(self, model: Any, data: Any, objective: Any) -> None:
        """See which tasks the training rows come from; each gets a factor of its own."""
        tasks = sorted({row.task for row in getattr(data, "train", ())})
        model.prompt_encoder[DEFAULT].tell_apart(tasks or [""])

    def stored(self, model: Any) -> int:
        return super().stored(model) + sum(weights.numel() for weights in model.prompt_encoder[DEFAULT].parameters())

    def save(self, model: Any, folder: Path) -> None:
        """The prompt that answers, as peft saves one, and `source.safetensors`: the shared one and the factors."""
        from safetensors.torch import save_file

        super().save(model, folder)
        weights = model.prompt_encoder[DEFAULT].weights()
        save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, folder / _FILE)

    def settle(self, model: Any, folder: Path) -> Any:
        """The plain base, its head trained, with what the next stage's prompt begins from.

        Raises:
            LuthierError: what it began from is not there.
        """
        from safetensors.torch import load_file

        from luthier.methods.peft_repairs import bare_heads

        if not (folder / _FILE).is_file():
            raise LuthierError("no such file", where=str(folder / _FILE), mend="train the first stage again")
        bare_heads(model)
        base = model.get_base_model()
        setattr(base, _SOURCE, load_file(folder / _FILE))
        return base

    def _refuse_other_size(self, source: dict[str, Any], prompts: Any) -> None:
        for name, weights in prompts.weights().items():
            if source[name].shape[1 if name != "shared" else 0 :] != weights.shape[1 if name != "shared" else 0 :]:
                raise LuthierError(
                    f"the prompt of the stage before is of another size: {name} is {tuple(source[name].shape)} there, "
                    f"{tuple(weights.shape)} here",
                    where=self.label(),
                    mend="give both stages the same `virtual_tokens` and `rank`",
                )
