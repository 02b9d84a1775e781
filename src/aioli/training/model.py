"""The reference GPT in plain torch: RMSNorm, rotary positions, causal attention, SwiGLU, tied embeddings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aioli.training.settings import ModelSettings

__all__ = ["GPT"]

CHUNK = {"cpu": 512, "cuda": 8192}
"""Tokens whose logits are held at a time: small enough to stay in cache, or to bound GPU memory."""


class GPT(nn.Module):
    """A decoder-only transformer that maps sequences of tokens to their losses.

    Args:
        settings: layers, width, heads and context.
        vocab_size: entries of the tokenizer.
        seed: of the initial weights, which do not depend on the global random state.

    >>> from aioli.training.settings import ModelSettings
    >>> model = GPT(ModelSettings(layers=1, width=16, heads=2, context=8), vocab_size=32, seed=0)
    >>> model(torch.zeros(3, 9, dtype=torch.int64)).shape
    torch.Size([3])
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, settings: ModelSettings, vocab_size: int, seed: int) -> None:
        super().__init__()
        width = settings.width
        self.settings = settings
        self.embedding = nn.Embedding(vocab_size, width)
        self.blocks = nn.ModuleList(Block(width, settings.heads) for _ in range(settings.layers))
        self.norm = nn.RMSNorm(width, eps=1e-6)
        cosines, sines = rotary_table(settings.context, width // settings.heads)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)
        self._initialise(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Normal weights of deviation 0.5 / sqrt(width); what writes to the residual stream by its depth.

        That is the usual 0.02 at width 625. Narrow models started at 0.02 sit on a plateau for hundreds
        of steps, and how long depends on the seed more than on the mixture.
        """
        wide = 0.5 / self.settings.width**0.5
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                writes = name.endswith(("attention_out.weight", "down.weight"))
                deviation = wide / (2 * len(self.blocks)) ** 0.5 if writes else wide
                weight.normal_(0.0, deviation, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mean loss [B], in nats per token, of sequences `tokens` [B, T + 1], T <= context."""
        return self.token_losses(tokens).mean(dim=1)

    def token_losses(self, tokens: Tensor) -> Tensor:
        """Loss [B, T], in nats, of every token but the first of `tokens` [B, T + 1], T <= context."""
        inputs, labels = tokens[:, :-1], tokens[:, 1:]
        hidden = self.hidden(inputs)
        chunk = CHUNK.get(hidden.device.type, 512)
        pieces = zip(hidden.flatten(0, 1).split(chunk), labels.flatten().split(chunk), strict=True)
        losses = [F.cross_entropy(self.logits(h), y, reduction="none") for h, y in pieces]
        return torch.cat(losses).view(labels.shape)

    def hidden(self, inputs: Tensor) -> Tensor:
        """Last normalised hidden states [B, T, width] of `inputs` [B, T]."""
        length = inputs.shape[1]
        rotary = self.cosines[:length], self.sines[:length]
        x = self.embedding(inputs)
        for block in self.blocks:
            x = block(x, rotary)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Unnormalised log-probabilities [..., vocab] of the next token."""
        return F.linear(hidden, self.embedding.weight)

    @property
    def parameters_count(self) -> int:
        """Trained numbers, the tied embedding counted once."""
        return sum(weight.numel() for weight in self.parameters())

    def token_flops(self) -> float:
        """FLOPs of one token's forward and backward pass: 6 a matrix weight, 12 layers x width x context.

        The tied embedding counts once, as the output layer. A forward pass alone is a third.

        References:
            arXiv 2204.02311, appendix B (without its halving for the causal mask).
        """
        matrices = sum(weight.numel() for weight in self.parameters() if weight.ndim == 2)
        size = self.settings
        return 6.0 * matrices + 12.0 * size.layers * size.width * size.context


class Block(nn.Module):
    """Attention and a gated MLP, each on normalised input and added to the residual stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = -(-width * 8 // 3 // 16) * 16
        self.attention_norm = nn.RMSNorm(width, eps=1e-6)
        self.attention_in = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.RMSNorm(width, eps=1e-6)
        self.up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotary)
        gate, value = self.up(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * value)

    def attention(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, width = x.shape
        parts = self.attention_in(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each [B, heads, T, head width]
        mixed = F.scaled_dot_product_attention(
            rotate(query, rotary), rotate(key, rotary), value, is_causal=True
        )
        return self.attention_out(mixed.transpose(1, 2).reshape(batch, length, width))


def rotary_table(context: int, head_width: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines [context, head_width / 2] of position x frequency.

    References:
        arXiv 2104.09864.
    """
    frequencies = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angles = torch.arange(context, dtype=torch.float64)[:, None] * frequencies
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the two halves of every head [B, heads, T, head width] by their position's angles, in float32."""
    cosines, sines = rotary
    first, second = x.chunk(2, dim=-1)
    turned = (first * cosines - second * sines, first * sines + second * cosines)
    return torch.cat(turned, dim=-1).to(x.dtype)
