"""A pre-norm LLaMA-like transformer whose linear layers are ternary or full precision.

Causal grouped-query attention with rotary positions in the half-split layout of transformers;
a gated feed-forward whose gate and up projection are one matrix (one ternary scale). With
`linear_norms`, `fused_qkv`, `initialization: pytorch` it is the original investigation's model.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from bitnet.config.recipe import ModelConfig
from bitnet.model.bitlinear import make_linear, side_by_side

INITIALIZER_RANGE = 0.02  # standard deviation of every matrix at the start, as LLaMA's default


def rotary_tables(length: int, head_dim: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin of the rotary angles, each (length, head_dim), float32.

    Source: Su et al. 2021 (RoFormer), eq. 34. Both halves of a head use the same frequencies.
    """
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate each pair (i, i + head_dim / 2) of x (B, heads, T, head_dim) by its position's angle.

    cos and sin are (T, head_dim); the result has the shape and dtype of x.
    """
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * sin.to(x.dtype)


def linear_norm(c: ModelConfig, width: int) -> nn.Module:
    """The RMSNorm (with a gain) before the quantiser of a linear layer's input; else nothing."""
    return nn.RMSNorm(width, eps=c.norm_eps) if c.linear_norms else nn.Identity()


class Attention(nn.Module):
    """Causal grouped-query attention: query heads share key / value heads.

    Source: Ainslie et al. 2023 (GQA).
    """

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim = c.num_heads, c.num_kv_heads, c.head_dim
        kv_size = c.num_kv_heads * c.head_dim
        self.sizes = [c.hidden_size, kv_size, kv_size]  # of queries, keys and values
        self.qkv_norm = linear_norm(c, c.hidden_size)
        self.fused = c.fused_qkv
        if self.fused:
            self.qkv_proj = make_linear(c.hidden_size, sum(self.sizes), c.weights)
        else:
            self.q_proj = make_linear(c.hidden_size, c.hidden_size, c.weights)
            self.k_proj = make_linear(c.hidden_size, kv_size, c.weights)
            self.v_proj = make_linear(c.hidden_size, kv_size, c.weights)
        self.o_norm = linear_norm(c, c.hidden_size)
        self.o_proj = make_linear(c.hidden_size, c.hidden_size, c.weights)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Output (B, T, C) for x (B, T, C) and rotary tables cos, sin (T, head_dim)."""
        B, T, C = x.shape
        maps = side_by_side(self.qkv_norm(x), *self.projections())
        if self.fused:
            maps = maps[0].split(self.sizes, dim=-1)
        # (B, heads, T, head_dim)
        q, k, v = (y.view(B, T, -1, self.head_dim).transpose(1, 2) for y in maps)
        y = F.scaled_dot_product_attention(
            rotate(q, cos, sin),
            rotate(k, cos, sin),
            v,
            is_causal=True,
            enable_gqa=self.num_kv_heads != self.num_heads,
        )
        return self.o_proj(self.o_norm(y.transpose(1, 2).reshape(B, T, C)))

    def projections(self) -> tuple[nn.Linear, ...]:
        """The layers of queries, keys and values: three, or a fused one."""
        return (self.qkv_proj,) if self.fused else (self.q_proj, self.k_proj, self.v_proj)


def relu_squared(x: torch.Tensor) -> torch.Tensor:
    """max(x, 0)^2, elementwise (So et al. 2021, Primer)."""
    return F.relu(x).square()


ACTIVATIONS = {"swiglu": F.silu, "relu2": relu_squared}


class FeedForward(nn.Module):
    """down(activation(gate(x)) * up(x)); SwiGLU (Shazeer 2020) with `activation="swiglu"`."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.activation = ACTIVATIONS[c.activation]
        self.gate_up_norm = linear_norm(c, c.hidden_size)
        self.gate_up_proj = make_linear(c.hidden_size, 2 * c.intermediate_size, c.weights)
        self.down_norm = linear_norm(c, c.intermediate_size)
        self.down_proj = make_linear(c.intermediate_size, c.hidden_size, c.weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Output (B, T, C) for x (B, T, C)."""
        gate, up = self.gate_up_proj(self.gate_up_norm(x)).chunk(2, dim=-1)
        return self.down_proj(self.down_norm(self.activation(gate) * up))


class Layer(nn.Module):
    """Attention and feed-forward, each after an RMSNorm, each added to the residual stream."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(c.hidden_size, eps=c.norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = nn.RMSNorm(c.hidden_size, eps=c.norm_eps)
        self.mlp = FeedForward(c)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Residual stream (B, T, C) after the layer, for x (B, T, C) and cos, sin (T, head_dim)."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """Causal language model: token ids (B, T) to logits (B, T, vocab_size)."""

    checkpoint_activations = False  # True: a layer keeps only its input for the backward pass

    def __init__(self, config: ModelConfig, sequence_length: int):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        cos, sin = rotary_tables(sequence_length, config.head_dim, config.rope_theta)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.initialize()
        if config.tie_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    def initialize(self) -> None:
        """Draw all weights from torch's global generator.

        `llama`: normal, of standard deviation INITIALIZER_RANGE, but for an untied head. That keeps
        PyTorch's default (uniform of variance 1 / (3 hidden_size)), as all weights do by `pytorch`
        (the embedding's is normal, of standard deviation 1). The loss of the original
        investigation, which used it, began at ln V + 1/6 nats.
        """
        if self.config.initialization == "pytorch":
            return  # torch.nn has drawn them
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding) and module is not self.lm_head:
                nn.init.normal_(module.weight, std=INITIALIZER_RANGE)

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """Last hidden states (B, T, hidden_size) of token ids (B, T), after the final norm."""
        T = ids.shape[1]
        x = self.embed_tokens(ids)  # (B, T, C)
        rotary = self.cos[:T], self.sin[:T]
        for layer in self.layers:
            if self.checkpoint_activations and torch.is_grad_enabled():
                # A layer uses no random numbers: no generator's state needs to be kept.
                x = checkpoint(layer, x, *rotary, use_reentrant=False, preserve_rng_state=False)
            else:
                x = layer(x, *rotary)
        return self.norm(x)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits (B, T, vocab_size) of token ids (B, T)."""
        return self.lm_head(self.hidden(ids))


def parameter_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """All parameters, once each, by group.

    `embed` holds the embedding and an untied head, `linear` the matrices inside the layers, `gain`
    the gains of the norms.
    """
    linear = linear_weights(model)
    embed = [model.embed_tokens.weight]
    if model.lm_head.weight is not embed[0]:
        embed.append(model.lm_head.weight)
    known = {id(p) for p in linear + embed}
    gain = [p for p in model.parameters() if id(p) not in known]
    return {"embed": embed, "linear": linear, "gain": gain}


def linear_weights(model: nn.Module) -> list[nn.Parameter]:
    """Matrices inside the layers, the ones a ternary model quantises; no embedding, no head."""
    return [m.weight for m in model.layers.modules() if isinstance(m, nn.Linear)]
