"""transformers' `generate` over a peft model, merged, all prompts at an order; see `runner.py`.

Settings: `model` and `adapter` folders, `prompts` lists of ids, `batch_size`, `new_tokens`, and `bf16` for all weights
in that precision (fp32 by default). Greedy, the adapter merged into the model, padded on the left. Orders:
`{"do": "answer", "sorted": false}`; and `{"do": "margins"}`, which answers with every token and by how much it led
the second.
"""

from __future__ import annotations

from typing import Any

from runner import Channel

END, PAD = 1, 2


def main() -> None:
    """Answer until told to end."""
    channel = Channel()
    given = channel.settings
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(given["model"])
    model = PeftModel.from_pretrained(base, given["adapter"]).merge_and_unload().eval()
    if given.get("bf16"):
        model = model.to(torch.bfloat16)

    def answer(prompts: list[list[int]], **asked: Any) -> Any:
        width = max(map(len, prompts))
        return model.generate(
            input_ids=torch.tensor([[PAD] * (width - len(ids)) + ids for ids in prompts]),
            attention_mask=torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]),
            max_new_tokens=given["new_tokens"], do_sample=False, eos_token_id=END, pad_token_id=PAD,
            return_dict_in_generate=True, **asked,
        )  # fmt: skip

    def new_ids(prompts: list[list[int]]) -> list[list[int]]:
        return answer(prompts).sequences[:, max(map(len, prompts)) :].tolist()

    channel.say(ready=True)
    while True:
        order = channel.wait()
        if order["do"] == "margins":
            rows = []
            for prompt in given["prompts"]:
                found = answer([prompt], output_logits=True)
                best = torch.stack(found.logits)[:, 0].topk(2, dim=-1).values
                rows.append([found.sequences[0, len(prompt) :].tolist(), (best[:, 0] - best[:, 1]).tolist()])
            channel.done(answers=rows, tokens=sum(len(ids) for ids, _ in rows))
            continue
        prompts = sorted(given["prompts"], key=len, reverse=True) if order["sorted"] else given["prompts"]
        tokens = 0
        for start in range(0, len(prompts), given["batch_size"]):
            for ids in new_ids(prompts[start : start + given["batch_size"]]):
                tokens += ids.index(END) + 1 if END in ids else len(ids)
        channel.done(tokens=tokens)


if __name__ == "__main__":
    main()
