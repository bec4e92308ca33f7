"""Everything that a study file can name: the methods, promptings, objectives, regularisers and metrics.

**Adding one: write its file, and add its class to the tuple here.** It can then be named in a study file, enters the
JSON schema, the table of methods and the contract tests (`docs/adding.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from luthier.core.errors import LuthierError
from luthier.core.settings import OneOf, override, read, suggest
from luthier.methods.additive.adapter import Adapter
from luthier.methods.additive.compacter import Compacter
from luthier.methods.additive.fusion import Fusion
from luthier.methods.additive.ia3 import IA3
from luthier.methods.additive.llama_adapter import LlamaAdapter
from luthier.methods.full import Full
from luthier.methods.method import Method
from luthier.methods.none import NoMethod
from luthier.methods.peft_method import Peft
from luthier.methods.reparameterised.adalora import AdaLoRA
from luthier.methods.reparameterised.boft import BOFT
from luthier.methods.reparameterised.dora import DoRA
from luthier.methods.reparameterised.fourierft import FourierFT
from luthier.methods.reparameterised.loha import LoHa
from luthier.methods.reparameterised.lokr import LoKr
from luthier.methods.reparameterised.lora import LoRA
from luthier.methods.reparameterised.miss import MiSS
from luthier.methods.reparameterised.oft import OFT
from luthier.methods.reparameterised.qlora import QLoRA
from luthier.methods.reparameterised.vera import VeRA
from luthier.methods.selective.attention import Attention
from luthier.methods.selective.bitfit import BitFit
from luthier.methods.selective.fisher_mask import FisherMask
from luthier.methods.selective.head_only import HeadOnly
from luthier.methods.selective.layers import Layers
from luthier.methods.selective.norms import Norms
from luthier.methods.soft_prompts.multitask_prompt_tuning import MultitaskPromptTuning
from luthier.methods.soft_prompts.p_tuning import PTuning
from luthier.methods.soft_prompts.p_tuning_v2 import PTuningV2
from luthier.methods.soft_prompts.prefix_tuning import PrefixTuning
from luthier.methods.soft_prompts.prompt_tuning import PromptTuning
from luthier.metrics.accuracy import Accuracy
from luthier.metrics.bertscore import BertScore
from luthier.metrics.bits_per_byte import BitsPerByte
from luthier.metrics.bleu import Bleu
from luthier.metrics.calibration import Calibration
from luthier.metrics.chrf import Chrf
from luthier.metrics.correlation import Correlation
from luthier.metrics.entity_f1 import EntityF1
from luthier.metrics.exact_match import ExactMatch
from luthier.metrics.f1 import F1
from luthier.metrics.gaming import Gaming
from luthier.metrics.matthews import Matthews
from luthier.metrics.meteor import Meteor
from luthier.metrics.metric import Metric
from luthier.metrics.nll import Nll
from luthier.metrics.rouge import Rouge
from luthier.metrics.rouge_s import RougeS
from luthier.metrics.rouge_w import RougeW
from luthier.metrics.tag_accuracy import TagAccuracy
from luthier.metrics.ter import Ter
from luthier.metrics.token_f1 import TokenF1
from luthier.objectives.objective import Objective
from luthier.objectives.supervised import Supervised
from luthier.prompting.baselines import BestConstant, Copy, Lead, Majority
from luthier.prompting.best_template import BestTemplate
from luthier.prompting.few_shot import FewShot
from luthier.prompting.nearest import Nearest
from luthier.prompting.prompting import Prompting
from luthier.prompting.zero_shot import ZeroShot
from luthier.regularisers.ewc import EWC
from luthier.regularisers.kl import KL
from luthier.regularisers.l2_sp import L2SP
from luthier.regularisers.regulariser import NoRegulariser, Regulariser
from luthier.regularisers.replay import Replay

METHODS: tuple[type[Method], ...] = (
    *(NoMethod, PromptTuning, LoRA, Adapter, Full),
    *(DoRA, AdaLoRA, VeRA, LoHa, LoKr),
    *(OFT, BOFT, FourierFT, MiSS, QLoRA),
    *(IA3, LlamaAdapter),
    *(Compacter, Fusion),
    *(PrefixTuning, PTuning, PTuningV2, MultitaskPromptTuning),
    Peft,
    *(BitFit, Norms, Layers, Attention, HeadOnly, FisherMask),
)
BASELINES: tuple[type[Prompting], ...] = (Lead, Copy, Majority, BestConstant, Nearest)
PROMPTINGS: tuple[type[Prompting], ...] = (ZeroShot, FewShot, BestTemplate, *BASELINES)
REGULARISERS: tuple[type[Regulariser], ...] = (NoRegulariser, L2SP, EWC, KL, Replay)
OBJECTIVES: tuple[type[Objective], ...] = (Supervised,)
METRICS: tuple[type[Metric], ...] = (
    *(Rouge, RougeW, RougeS, Bleu, Chrf, Ter, Meteor, BertScore),
    *(ExactMatch, TokenF1, Gaming),
    *(Accuracy, F1, Matthews, Correlation, Calibration, EntityF1, TagAccuracy),
    *(Nll, BitsPerByte),
)

AnyMethod = Annotated[Method, OneOf(*METHODS)]
AnyPrompting = Annotated[Prompting, OneOf(*PROMPTINGS)]
AnyRegulariser = Annotated[Regulariser, OneOf(*REGULARISERS)]
AnyObjective = Annotated[Objective, OneOf(*OBJECTIVES)]
AnyMetric = Annotated[Metric, OneOf(*METRICS)]


def method_named(word: str, assignments: Sequence[str] = ()) -> Method:
    """A method by its word, with settings as `rank=16`.

    Raises:
        LuthierError: no such method, or no such setting of it.
    """
    for cls in METHODS:
        if cls.name == word:
            return read(cls, override({}, assignments), where=f"--method {word}")
    words = [cls.name for cls in METHODS]
    raise LuthierError(
        f"{word}: no such method{suggest(word, words)}", where="--method", mend=f"one of {', '.join(words)}"
    )


def registry() -> dict[str, tuple[type[Any], ...]]:
    """Every class that a study file can name, by what it is."""
    return {
        "method": METHODS,
        "prompting": PROMPTINGS,
        "objective": OBJECTIVES,
        "regulariser": REGULARISERS,
        "metric": METRICS,
    }
