"""Recipe of a run: everything that determines its weights, as dataclasses and canonical JSON.

Free of torch, so that the pipeline can check every recipe before anything is trained. A wrong
value raises ValueError with one line that names the key, the value and what is allowed.
"""

import dataclasses
import json
import math
from dataclasses import dataclass

from bitnet.common.errors import refuse

# Adam with coupled (L2) or decoupled weight decay, and which parameters it acts on; the last one
# decays by WD itself, not by LR x WD (bitnet.training.optim).
OPTIMIZERS = (
    "adam",
    "adamw",
    "adam-matrices",
    "adam-embedding",
    "adam-gains",
    "adam-matrices-embedding",
    "adam-matrices-gains",
    "adam-embedding-gains",
    "adamw-all",
    "adamw-unscaled",
)
WEIGHTS = ("ternary", "full_precision")
ACTIVATIONS = ("swiglu", "relu2")
INITIALIZATIONS = ("llama", "pytorch")
PRECISIONS = ("float32", "mixed", "auto")  # see `bitnet.training.precision`
WINDOWS = ("epochs", "random", "in_order")  # of the text; see `bitnet.data.dataloader.batch`
MOST_EVALUATIONS = 10_000  # per run: each records some 50 KB


def _canonical_floats(config) -> None:
    """Convert integers in float fields, so that equal recipes are equal JSON strings."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.type in (float, float | None) and isinstance(value, int):
            object.__setattr__(config, field.name, float(value))


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a LLaMA-like transformer; ValueError in one line for an impossible one."""

    vocab_size: int
    """Number of pieces of the tokenizer."""
    hidden_size: int
    """Width of the residual stream."""
    num_layers: int
    num_heads: int | None = None
    """Query heads; None: as many as heads of min(64, hidden_size / 2) need."""
    num_kv_heads: int | None = None
    """Key / value heads; None: half the query heads."""
    intermediate_ratio: float = 4.0
    """Feed-forward width as a multiple of hidden_size."""
    activation: str = "swiglu"
    """Gate of the feed-forward: swiglu or relu2."""
    tie_embeddings: bool = True
    """Whether the output matrix is the embedding."""
    linear_norms: bool = False
    """Whether an RMSNorm with a gain stands before each quantiser too, besides the pre-norms."""
    fused_qkv: bool = False
    """Whether queries, keys and values come from one matrix, with one ternary scale."""
    initialization: str = "llama"
    """llama: normal, of standard deviation 0.02; pytorch: the defaults of torch.nn."""
    weights: str = "ternary"
    """ternary (BitLinear) or full_precision (its twin)."""
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5

    def __post_init__(self):
        _canonical_floats(self)
        named = {"activation": ACTIVATIONS, "initialization": INITIALIZATIONS, "weights": WEIGHTS}
        for key, allowed in named.items():
            if getattr(self, key) not in allowed:
                raise refuse(key, getattr(self, key), " or ".join(allowed))
        for key in ("vocab_size", "hidden_size", "num_layers"):
            if getattr(self, key) < 1:
                raise refuse(key, getattr(self, key), "an integer of at least 1")
        if self.num_heads is None:
            head_dim = max(1, min(64, self.hidden_size // 2))
            if self.hidden_size % head_dim:
                raise refuse(
                    "hidden_size", self.hidden_size, f"a multiple of {head_dim}-wide heads"
                )
            object.__setattr__(self, "num_heads", self.hidden_size // head_dim)
        if self.hidden_size % self.num_heads or self.head_dim % 2:
            raise refuse(
                "hidden_size", self.hidden_size, f"an even multiple of num_heads = {self.num_heads}"
            )
        if self.num_kv_heads is None:
            if self.num_heads % 2:
                raise refuse(
                    "hidden_size",
                    self.hidden_size,
                    f"one that gives an even number of heads (here {self.num_heads} of "
                    f"{self.head_dim}), or num_heads and num_kv_heads stated",
                )
            object.__setattr__(self, "num_kv_heads", self.num_heads // 2)
        if self.num_heads % self.num_kv_heads:
            raise refuse("num_kv_heads", self.num_kv_heads, f"a divisor of {self.num_heads} heads")
        if not math.isclose(self.intermediate_size, self.intermediate_ratio * self.hidden_size):
            raise refuse(
                "intermediate_ratio",
                self.intermediate_ratio,
                f"one that makes a whole width of hidden_size = {self.hidden_size}",
            )

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def intermediate_size(self) -> int:
        """Width of the feed-forward."""
        return round(self.intermediate_ratio * self.hidden_size)

    def parameters(self) -> dict[str, int]:
        """Number of parameters by part: embedding, attention, feed_forward, norm."""
        C, F = self.hidden_size, self.intermediate_size
        kv = self.num_kv_heads * self.head_dim
        matrices = 1 if self.tie_embeddings else 2
        norms = 3 if self.linear_norms else 1
        return {
            "embedding": matrices * self.vocab_size * C,
            "attention": self.num_layers * (2 * C * C + 2 * C * kv + C * norms),
            "feed_forward": self.num_layers * (3 * C * F + C + (C + F) * self.linear_norms),
            "norm": C,
        }


@dataclass(frozen=True)
class TrainConfig:
    """Training protocol: data order, optimizer, two stages of learning rate and weight decay.

    ValueError in one line for a value out of its range.
    """

    steps: int
    batch_size: int
    """Sequences per step."""
    sequence_length: int
    """Tokens per sequence."""
    optimizer: str
    """One of OPTIMIZERS (see `bitnet.training.optim`)."""
    peak_lr: float
    """Learning rate at the end of the warm-up."""
    switch_lr: float
    """Learning rate at the switch of stages."""
    final_lr: float
    """Learning rate at the last step."""
    warmup_steps: int
    stage1_weight_decay: float
    stage2_weight_decay: float | None
    """None for a trunk, which ends before stage 2."""
    lr_switch: int | None = None
    """Step at which stage 2 of the learning rate begins; None: halfway."""
    wd_switch: int | None = None
    """Step at which stage 2 of the weight decay begins; None: halfway."""
    beta1: float = 0.9
    beta2: float = 0.95
    gradient_clip: float = 1.0
    """Largest gradient norm."""
    label_smoothing: float = 0.0
    """Share of the target's probability that is spread over the vocabulary."""
    lr_lag: bool = False
    """Whether a step takes the learning rate of the step before it, and the first one peak_lr."""
    windows: str = "epochs"
    """epochs: every token once before any twice; random: windows drawn with replacement;
    in_order: the text from front to back, again and again."""
    shuffled: bool = False
    """Positive control: tokens are drawn independently, so that contexts carry no information."""
    evaluate_every: int = 1000
    """Steps between evaluations at the probe."""
    evaluate_at: tuple[int, ...] = ()
    """Further steps to evaluate at."""
    samples: int = 0
    """Texts generated at each evaluation: this many greedily, and as many by sampling."""
    threads: int = 1
    """CPU threads; the rounding of sums depends on their number."""
    deterministic: bool = False
    """On a GPU: only kernels that give the same bits each time. A CPU always does."""
    precision: str = "float32"
    """Of matrix products: float32, mixed (bfloat16 factors), auto (mixed on a GPU)."""
    compile: bool | None = None
    """Whether torch.compile is used; None: if the run is long enough to earn its cost back."""
    accumulate: int = 1
    """Micro-batches per step and process, passed one after the other to save memory."""
    checkpoint_activations: bool = False
    """Whether activations inside a layer are recomputed in the backward pass instead of kept."""
    seed: int = 0

    def __post_init__(self):
        _canonical_floats(self)
        object.__setattr__(self, "evaluate_at", tuple(sorted(set(self.evaluate_at))))
        for key in ("lr_switch", "wd_switch"):
            if getattr(self, key) is None:
                object.__setattr__(self, key, self.steps // 2)
            if not 1 <= getattr(self, key) < self.steps:
                raise refuse(key, getattr(self, key), f"1 to steps - 1 = {self.steps - 1}")
        named = {"optimizer": OPTIMIZERS, "windows": WINDOWS, "precision": PRECISIONS}
        for key, allowed in named.items():
            if getattr(self, key) not in allowed:
                raise refuse(key, getattr(self, key), " or ".join(allowed))
        if not 0 <= self.warmup_steps < self.lr_switch:
            raise refuse(
                "warmup_steps",
                self.warmup_steps,
                f"0 to {self.lr_switch - 1} (it must end before lr_switch = {self.lr_switch})",
            )
        for key in ("stage1_weight_decay", "stage2_weight_decay", "final_lr", "switch_lr"):
            value = getattr(self, key)
            if value is not None and not 0 <= value < math.inf:
                raise refuse(key, value, "a number of at least 0")
        if not 0 <= self.label_smoothing < 1:
            raise refuse("label_smoothing", self.label_smoothing, "at least 0 and below 1")
        for key in ("peak_lr", "gradient_clip"):
            if not 0 < getattr(self, key) < math.inf:
                raise refuse(key, getattr(self, key), "a number above 0")
        for key in ("batch_size", "sequence_length", "evaluate_every", "accumulate"):
            if getattr(self, key) < 1:
                raise refuse(key, getattr(self, key), "an integer of at least 1")
        self.micro_batch()
        if self.steps > self.evaluate_every * MOST_EVALUATIONS:
            least = -(-self.steps // MOST_EVALUATIONS)
            raise refuse("evaluate_every", self.evaluate_every, f"at least {least}")
        if self.evaluate_at and not 0 <= self.evaluate_at[0] <= self.evaluate_at[-1] <= self.steps:
            raise refuse("evaluate_at", [*self.evaluate_at], f"0 to steps = {self.steps}")

    @property
    def tokens(self) -> int:
        """Tokens of all steps together."""
        return self.steps * self.batch_size * self.sequence_length

    def micro_batch(self, processes: int = 1) -> int:
        """Sequences in one forward pass of a process.

        ValueError in one line where the batch does not divide into processes x accumulate.
        """
        if self.batch_size % (processes * self.accumulate):
            parts = f"processes x accumulate = {processes} x {self.accumulate}"
            raise refuse("batch_size", self.batch_size, f"a multiple of {parts}")
        return self.batch_size // (processes * self.accumulate)

    def evaluation_steps(self, first: int, last: int) -> list[int]:
        """Evaluation steps in [first, last], sorted; a run has at least 0, WD switch and end."""
        steps = {0, self.wd_switch, self.steps, *self.evaluate_at}
        steps |= set(range(0, self.steps + 1, self.evaluate_every))
        return sorted(step for step in steps if first <= step <= last)


@dataclass(frozen=True)
class Recipe:
    """Model and training protocol of one run (of a trunk if stage2_weight_decay is None)."""

    model: ModelConfig
    training: TrainConfig

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; equal recipes are equal strings."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """A recipe from the JSON of `to_json`; ValueError for unknown or missing keys."""
        try:
            fields = json.loads(text)
            return cls(ModelConfig(**fields["model"]), TrainConfig(**fields["training"]))
        except (TypeError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"not a recipe: {error}") from None
