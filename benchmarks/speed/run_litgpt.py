"""litgpt's GPT with LoRA, trained as its `finetune lora` does, a step at an order; see `runner.py`.

Settings: `size` (d_model, layers, heads, d_feed_forward, vocabulary, context), `rows` a list of `[ids, prompt_length]`
in the order of training, `batch_size`, `micro_batch_size`, `rank`, `precision` (`32-true`, `bf16-true`). Weights are
random. Batches are padded by its own collate function; head and loss are chunked as in `litgpt/finetune/lora.py`.
"""

from __future__ import annotations

import itertools

from runner import Channel, labels_of


def main() -> None:
    """Train until told to end."""
    channel = Channel()
    given, size = channel.settings, channel.settings["size"]
    import lightning
    import torch
    from litgpt.data.base import get_sft_collate_fn
    from litgpt.lora import GPT, Config, mark_only_lora_as_trainable
    from litgpt.utils import chunked_cross_entropy, instantiate_torch_optimizer

    torch.manual_seed(0)
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision=given["precision"])
    config = Config(
        name="peer", block_size=size["context"], n_layer=size["layers"], n_head=size["heads"], n_embd=size["d_model"],
        vocab_size=size["vocabulary"], padded_vocab_size=size["vocabulary"], rotary_percentage=1.0,
        parallel_residual=False, bias=False, norm_class_name="RMSNorm", mlp_class_name="LLaMAMLP",
        intermediate_size=size["d_feed_forward"],
        lora_r=given["rank"], lora_alpha=2 * given["rank"], lora_query=True, lora_key=True, lora_value=True,
        lora_projection=True, lora_mlp=True,
    )  # fmt: skip
    with fabric.init_module(empty_init=False):
        model = GPT(config)
    mark_only_lora_as_trainable(model)
    model = fabric.setup_module(model)
    optimizer = fabric.setup_optimizers(instantiate_torch_optimizer("AdamW", model.parameters()))
    samples = [
        {
            "input_ids": torch.tensor(ids),
            "labels": torch.tensor(labels_of(ids, length)),
            "token_counts": {"raw": len(ids), "raw_plus_prompt_template": len(ids)},
        }
        for ids, length in given["rows"]
    ]
    model.max_seq_length = max(len(sample["input_ids"]) for sample in samples)
    collate = get_sft_collate_fn()
    batch_size, micro = given["batch_size"], given["micro_batch_size"]
    starts = itertools.cycle(range(0, len(samples) - batch_size + 1, batch_size))
    channel.say(ready=True)
    while True:
        channel.wait()
        chosen = samples[(start := next(starts)) : start + batch_size]
        total = 0.0
        for at in range(0, batch_size, micro):
            batch = collate(chosen[at : at + micro])
            logits = model(batch["input_ids"], lm_head_chunk_size=128)
            logits[-1] = logits[-1][..., :-1, :]
            loss = chunked_cross_entropy(logits, batch["labels"][..., 1:])
            fabric.backward(loss / (batch_size // micro))
            total += float(loss.detach()) / (batch_size // micro)
        optimizer.step()
        optimizer.zero_grad()
        channel.done(tokens=sum(len(sample["input_ids"]) for sample in chosen), loss=total)


if __name__ == "__main__":
    main()
