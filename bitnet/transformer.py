"""A pre-norm LLaMA-like transformer whose linear layers are ternary or full precision."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from bitnet.attention import Attention, rotary_tables
from bitnet.config import ModelConfig
from bitnet.feedforward import FeedForward

INITIALIZER_RANGE = 0.02  # standard deviation of every matrix at the start, as LLaMA's default


class Layer(nn.Module):
    """Attention and feed-forward, each after an RMSNorm, each added to the residual stream."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(c.hidden_size, eps=c.norm_eps)
        self.self_attn = Attention(c.hidden_size, c.num_heads, c.num_kv_heads, c.weights)
        self.post_attention_layernorm = nn.RMSNorm(c.hidden_size, eps=c.norm_eps)
        self.mlp = FeedForward(c.hidden_size, c.intermediate_size, c.activation, c.weights)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Transformer(nn.Module):
    """Causal language model: token ids (B, T) to logits (B, T, vocab_size)."""

    checkpoint_activations = False  # of a layer only its input is kept for its gradients

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

        An untied head keeps PyTorch's default (uniform of variance 1 / (3 hidden_size)), with
        which the original investigation's loss began at ln V + 1/6.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding) and module is not self.lm_head:
                nn.init.normal_(module.weight, std=INITIALIZER_RANGE)

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """Last hidden states (B, T, hidden_size), normalised: what the head reads."""
        T = ids.shape[1]
        x = self.embed_tokens(ids)  # (B, T, C)
        rotary = self.cos[:T], self.sin[:T]
        for layer in self.layers:
            if self.checkpoint_activations and torch.is_grad_enabled():
                # Nothing in a layer is drawn at random: no generator's state needs to be kept.
                x = checkpoint(layer, x, *rotary, use_reentrant=False, preserve_rng_state=False)
            else:
                x = layer(x, *rotary)
        return self.norm(x)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lm_head(self.hidden(ids))
