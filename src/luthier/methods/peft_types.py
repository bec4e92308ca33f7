"""What peft 0.21 offers, type by type: what each trains, where, at which rate, and what it cannot do.

The names are peft's own in lower case (`peft.PeftType`). `settings` stand in the place of peft's defaults where those
do not serve; all others are peft's. The rates were found on tiny models of random weights, where each takes the loss
down within fifteen steps; they stand for models of up to 6M parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from luthier.methods.method import MethodClass, Switching
from luthier.models.kinds import Kind

Place = Literal["linears", "values", "norms", "peft", "none"]
"""Which modules a type works on where a user does not say: all linear layers within the model's layers; of these the
value projections; the norms; what peft chooses for the architecture; or none, for a prompt has no modules."""

VIRTUAL_TOKENS = 20
"""Of the prompts, as many as `prompt_tuning` has."""
_STATIC = "it depends on what is read, and has no place in the base's own weights"
_BIASES = dict.fromkeys(("llama", "mistral", "gemma", "t5"), "its linear layers have no bias to fold it into")
_PROMPT = "virtual tokens stand before the input, not in the base's weights"


@dataclass(frozen=True)
class PeftType:
    """One of peft's types.

    Attributes:
        moves: what is trained, in a few words.
        paper: authors, year, arXiv number.
        rate: the suggested peak rate for up to 6M parameters.
        belongs_to: its class in the tables.
        place: which modules it works on.
        settings: our defaults where peft's do not serve.
        divides: a setting that has to divide the widths of all layers, with its most; it is made to fit.
        within: a setting that may be no more than a matrix has weights, with its most; it is made to fit.
        flat: whether several sequences may share one row; with a prompt before each, in decoders alone.
        starts_at_base: whether it changes nothing before the first step.
        switching: how several that are loaded can be switched between.
        refusals: kind or family -> why it cannot work there.
        needs: settings that it cannot do without, with an example.
        unmerged: kind or family, or `all` -> why it cannot be merged there.
        learns: on which kinds of model a short training at that rate was seen to take the loss down.
        takes: the share of the loss that it takes away there at least.
        beside: what is saved beside what was trained.
    """

    moves: str
    paper: str
    rate: float
    belongs_to: MethodClass = "reparameterised"
    place: Place = "linears"
    settings: Mapping[str, Any] = field(default_factory=dict)
    divides: tuple[str, int] | None = None
    within: tuple[str, int] | None = None
    flat: bool = True
    starts_at_base: bool = True
    switching: Switching = "request"
    refusals: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, Any] = field(default_factory=dict)
    unmerged: Mapping[str, str] = field(default_factory=dict)
    learns: tuple[Kind, ...] = ("decoder",)
    takes: float = 0.07
    beside: str = ""

    def refusal(self, kind: Kind, family: str) -> str | None:
        """Why it cannot work on such a model."""
        return self.refusals.get(family) or self.refusals.get(kind)

    def merge_refusal(self, kind: Kind, family: str) -> str | None:
        """Why it cannot be merged into such a model."""
        return self.unmerged.get("all") or self.unmerged.get(family) or self.unmerged.get(kind)


def _prompt(moves: str, paper: str, rate: float, **changes: Any) -> PeftType:
    """A type whose virtual tokens stand before what is read."""
    given: dict[str, Any] = {
        "belongs_to": "soft prompt", "place": "none", "settings": {"num_virtual_tokens": VIRTUAL_TOKENS},
        "starts_at_base": False, "unmerged": {"all": _PROMPT},
    }  # fmt: skip
    return PeftType(moves, paper, rate, **{**given, **changes})


_DECODERS = dict.fromkeys(("encoder", "encoder-decoder"), "peft has it for decoders alone")

TYPES: Mapping[str, PeftType] = {
    "adamss": PeftType(
        "rank-1 updates within clustered subspaces of each matrix", "Zheng et al. 2025, NeurIPS", 3e-2,
        beside="the subspaces",
    ),
    "beft": PeftType(
        "a bias on each value projection", "Huang et al. 2025, arXiv 2509.15974", 1e-1, belongs_to="additive",
        place="values", unmerged=_BIASES,
    ),
    "c3a": PeftType(
        "circular convolutions beside each linear layer", "Chen et al. 2024, arXiv 2407.19342", 2e-1,
        settings={"init_weights": True}, divides=("block_size", 256),
    ),
    "cartridge": _prompt(
        "keys and values before those of every layer, the first frozen", "Eyuboglu et al. 2025, arXiv 2506.06266", 3e-1,
        beside="the frozen token",
    ),
    "cpt": _prompt(
        "a bounded change of given tokens' embeddings", "Blau et al. 2024, arXiv 2410.17222", 1e-1,
        settings={}, refusals=_DECODERS, learns=(),
    ),
    "deft": PeftType("a subspace taken out of each matrix, and filled anew", "arXiv 2509.22793", 5e-3),
    "delora": PeftType(
        "a low-rank update of bounded norm", "Bini et al. 2025, arXiv 2503.18225", 3e-3,
        beside="the norms of W's columns",
    ),
    "frod": PeftType(
        "a sparse rotation and scales in a basis that layers share", "AAAI 2026, doi 10.1609/aaai.v40i31.39813", 1e-2,
        settings={"progressbar": False}, beside="the shared basis",
    ),
    "glora": PeftType(
        "low-rank scales and shifts of weights and biases", "Chavan et al. 2023, arXiv 2306.07967", 3e-3,
        beside="zeros where a layer has no bias",
        refusals={"gpt2": "peft has it for torch's own linear layers alone, and GPT-2's are Conv1D"},
    ),
    "gralora": PeftType("a low-rank update of each block of a matrix", "Jung et al. 2025, arXiv 2505.20355", 3e-3),
    "hira": PeftType("a low-rank factor of every weight", "Huang et al. 2025, ICLR", 1e-2),
    "hra": PeftType("Householder reflections before each linear layer", "Yuan et al. 2024, arXiv 2405.17484", 1e-2),
    "lily": PeftType(
        "low-rank updates whose factors layers share through a router", "Zhong et al. 2024, arXiv 2407.09946", 3e-3,
        unmerged={"all": _STATIC}, beside="shared factors, once a layer", flat=False,
    ),
    "ln_tuning": PeftType(
        "the normalisation layers", "Zhao et al. 2023, arXiv 2312.11420", 1e-2, belongs_to="selective", place="norms"
    ),
    "osf": PeftType(
        "the lower half of each matrix's singular directions", "Nayak et al. 2025, arXiv 2504.07097", 2e-3
    ),
    "peanut": PeftType("a nonlinear network of each frozen matrix", "Zhong et al. 2024, arXiv 2410.01870", 3e-3),
    "poly": PeftType(
        "several low-rank updates and how a task mixes them", "Ponti et al. 2022, arXiv 2202.13914", 5e-2,
        flat=False, unmerged={"all": "peft has no merging for it"},
    ),
    "psoft": PeftType("a rotation within each matrix's principal subspace", "Wu et al. 2026, ICLR", 1e-2),
    "pvera": PeftType(
        "vectors that scale a random update, with noise", "arXiv 2512.07703", 1e-1,
        settings={"save_projection": False}, flat=False,
    ),
    "randlora": PeftType(
        "how random low-rank bases add up to a full-rank update", "Albert et al. 2025, arXiv 2502.00987", 3e-3,
        settings={"save_projection": False},
    ),
    "road": PeftType("2D rotations of each linear layer's output", "Liao and Monz 2024, arXiv 2409.00119", 5e-2,
        divides=("group_size", 64),
    ),
    "shadow": PeftType(
        "a small model beside the base, and what it tells each layer", "arXiv 2604.19254", 1e-2, belongs_to="additive",
        place="peft", flat=False, unmerged={"all": _STATIC}, refusals=_DECODERS,
        beside="what the shadow has and does not use",
    ),
    "shira": PeftType(
        "a random few weights of each matrix", "Bhardwaj et al. 2024, arXiv 2406.13175", 1e-2, belongs_to="selective",
        settings={"r": 8}, beside="where the weights stand",
    ),
    "supertuning": PeftType(
        "the largest hundredth of each matrix's weights", "arXiv 2607.09287", 3e-2, belongs_to="selective",
        beside="where the weights stand",
    ),
    "tinylora": PeftType(
        "a vector per matrix, projected into its singular directions", "Morris et al. 2026, arXiv 2602.04118", 1e-2,
        takes=0.08, beside="the projections",
    ),
    "trainable_tokens": PeftType(
        "the embeddings of a few tokens", "", 1e-2, belongs_to="selective", place="peft", switching="never",
        beside="the same once more where embeddings are tied",
        refusals={"encoder": "peft keeps no trained head beside it"}, learns=(),
        needs={"token_indices": [10, 11, 12, 13, 14]},
    ),
    "unilora": PeftType(
        "one vector that all low-rank updates are read from", "Li et al. 2025, arXiv 2506.00799", 3e-1, takes=0.03,
        starts_at_base=False,
    ),
    "vblora": PeftType(
        "a bank of vectors that all low-rank updates are composed of", "Li et al. 2024, arXiv 2405.15179", 3e-2,
        divides=("vector_length", 256), starts_at_base=False,
    ),
    "waveft": PeftType(
        "a few wavelet coefficients of each matrix's update", "Bilican et al. 2025, arXiv 2505.12532", 1e-3,
        within=("n_frequency", 2592),
    ),
    "xlora": PeftType(
        "how trained LoRA experts are mixed, token by token", "Buehler and Buehler 2024, arXiv 2402.07148", 1e-3,
        place="none", switching="never", unmerged={"all": _STATIC},
        refusals=dict.fromkeys(
            ("encoder", "decoder", "encoder-decoder"),
            "it reads every text twice, and peft keeps no key-value cache of the first reading: it cannot write",
        ),
    ),
}  # fmt: skip
"""The types that have no method of their own here."""

_ADAPTION = "peft has its attention for gpt2, llama, mistral alone"
KNOWN: Mapping[str, PeftType] = {
    **TYPES,
    "lora": PeftType("a rank-r update of each linear layer", "Hu et al. 2021, arXiv 2106.09685", 3e-3),
    "fourierft": PeftType("a few spectral coefficients of each update", "Gao et al. 2024, arXiv 2405.03003", 1e-2,
        within=("n_frequency", 1000),
    ),
    "ia3": PeftType(
        "scales of keys, values and feed-forwards", "Liu et al. 2022, arXiv 2205.05638", 3e-2, belongs_to="additive",
        place="peft",
    ),
    "loha": PeftType("a Hadamard product of two updates", "Hyeon-Woo et al. 2021, arXiv 2108.06098", 3e-3),
    "lokr": PeftType("a Kronecker product as update", "Yeh et al. 2023, arXiv 2309.14859", 3e-3),
    "miss": PeftType("a shared shard of each matrix", "Kang and Yin 2024, arXiv 2409.15371", 3e-3),
    "oft": PeftType(
        "rotations before each linear layer", "Qiu et al. 2023, arXiv 2306.07280", 1e-2,
        divides=("oft_block_size", 32),
    ),
    "adaption_prompt": PeftType(
        "gated prompts within the attention", "Zhang et al. 2023, arXiv 2303.16199", 3e-2, belongs_to="additive",
        place="none", settings={"adapter_len": 10}, unmerged={"all": _PROMPT},
        refusals=dict.fromkeys(("bert", "roberta", "bloom", "gemma", "t5", "bart"), _ADAPTION),
    ),
    "p_tuning": _prompt("virtual tokens that a network makes", "Liu et al. 2021, arXiv 2103.10385", 1e-2),
    "prefix_tuning": _prompt("keys and values before every layer's", "Li and Liang 2021, arXiv 2101.00190", 1e-1),
    "prompt_tuning": _prompt("virtual tokens before the input", "Lester et al. 2021, arXiv 2104.08691", 3e-1),
}  # fmt: skip
"""All that `type` may be."""

ELSEWHERE: Mapping[str, str] = {
    "adalora": "it has to be told of every step; write the method `adalora`",
    "boft": "without its CUDA extension peft trains one factor, whatever is asked for; write the method `boft`",
    "multitask_prompt_tuning": "it has to be told of every row's task; write the method `multitask_prompt_tuning`",
    "vera": "peft gives a second one the random matrices of the first; write the method `vera`",
}
"""Types that need more than their settings -> what to write."""
