"""How many floating-point operations a second one core makes in a matrix product; see `runner.py`.

On a CPU fp32 by MKL (torch's `highest`), fp32 by oneDNN (`medium`), and bf16 where `bf16` is set; with `device: cuda`
bf16 alone, and larger matrices.
"""

from __future__ import annotations

import time

from runner import Channel


def main() -> None:
    """Multiply until told to end; the best of a few products at each order."""
    channel = Channel()
    import torch

    kinds = [("fp32 MKL", "highest", torch.float32), ("fp32 oneDNN", "medium", torch.float32)]
    if channel.settings["bf16"]:
        kinds.append(("bf16", "highest", torch.bfloat16))
    device, rows, widths = channel.settings.get("device", "cpu"), 1024, (512, 1024, 2048)
    if device != "cpu":
        kinds, rows, widths = [("bf16", "highest", torch.bfloat16)], 8192, (2048, 4096, 8192)
    channel.say(ready=True)
    while True:
        channel.wait()
        rates = {}
        for name, precision, dtype in kinds:
            torch.set_float32_matmul_precision(precision)
            best = 0.0
            for width in widths:
                a = torch.randn(rows, width, device=device).to(dtype)
                b = torch.randn(width, rows, device=device).to(dtype)
                for _ in range(3):
                    begun = time.perf_counter()
                    a @ b
                    if device != "cpu":
                        torch.cuda.synchronize()
                    best = max(best, 2 * rows * rows * width / (time.perf_counter() - begun))
            rates[name] = best
        channel.done(tokens=0, rates=rates)


if __name__ == "__main__":
    main()
