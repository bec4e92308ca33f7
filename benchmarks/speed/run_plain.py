"""transformers and peft in a plain loop over padded batches, a step at an order; see `runner.py`.

Settings: `model` a folder, `rows` a list of `[ids, prompt_length]` in the order of training, `batch_size`, `rank`.
All positions go through the head, as `model(..., labels=...)` does it.
"""

from __future__ import annotations

from plain_loop import train
from runner import Channel


def main() -> None:
    """Train until told to end."""
    channel = Channel()
    given = channel.settings
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    lora = LoraConfig(r=given["rank"], lora_alpha=2 * given["rank"], target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(given["model"]), lora).train()
    train(channel, model, "llama", rate=1e-3)


if __name__ == "__main__":
    main()
