"""transformers and peft in a plain loop over padded batches, a step at an order; see `runner.py`.

Settings: `model` a folder, `rows` a list of `[ids, prompt_length]` in the order of training, `batch_size`, `rank`.
All positions go through the head, as `model(..., labels=...)` does it.
"""

from __future__ import annotations

import itertools

from runner import Channel, labels_of


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
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=True)
    rows, batch_size = given["rows"], given["batch_size"]
    starts = itertools.cycle(range(0, len(rows) - batch_size + 1, batch_size))
    channel.say(ready=True)
    while True:
        channel.wait()
        chosen = rows[(start := next(starts)) : start + batch_size]
        width = max(len(ids) for ids, _ in chosen)
        batch = {
            "input_ids": torch.tensor([ids + [2] * (width - len(ids)) for ids, _ in chosen]),
            "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in chosen]),
            "labels": torch.tensor([labels_of(ids, at) + [-100] * (width - len(ids)) for ids, at in chosen]),
        }
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        channel.done(tokens=sum(len(ids) for ids, _ in chosen), loss=float(loss.detach()))


if __name__ == "__main__":
    main()
