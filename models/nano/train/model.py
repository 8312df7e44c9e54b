"""The MiniCPM4 model in PyTorch, for training: LongRoPE, grouped queries, muP scales, sparse attention as a mask.

A second implementation beside the runtime's: its logits are goldens (write_goldens.py).
Shapes: x [batch, tokens, hidden]; q [batch, heads, tokens, dim]; k, v [batch, kv heads, tokens, dim].
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from attention import attend
from selection import selection


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rope_tables(config, length):
    """LongRoPE (arXiv:2402.13753). -> cos, sin [length, dim]"""
    dim = config["hidden_size"] // config["num_attention_heads"]
    scaling = config["rope_scaling"]
    capacity = max(config["max_position_embeddings"], length)
    is_long = capacity > scaling["original_max_position_embeddings"]
    factors = torch.tensor(scaling["long_factor" if is_long else "short_factor"])
    frequency = 1 / (factors * config["rope_theta"] ** (torch.arange(0, dim, 2).float() / dim))
    angle = torch.outer(torch.arange(length).float(), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.dim = hidden // self.heads
        self.sparse = config["sparse_config"]
        self.scale = config["scale_depth"] / math.sqrt(config["num_hidden_layers"])
        self.input_layernorm = RMSNorm(hidden, config["rms_norm_eps"])
        self.post_attention_layernorm = RMSNorm(hidden, config["rms_norm_eps"])
        self.q_proj = nn.Linear(hidden, self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(hidden, self.kv_heads * self.dim, bias=False)
        self.v_proj = nn.Linear(hidden, self.kv_heads * self.dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.dim, hidden, bias=False)
        self.gate_proj = nn.Linear(hidden, inner, bias=False)
        self.up_proj = nn.Linear(hidden, inner, bias=False)
        self.down_proj = nn.Linear(inner, hidden, bias=False)

    def forward(self, x, cos, sin, sparse):
        x = x + self.scale * self.attention(self.input_layernorm(x), cos, sin, sparse)
        h = self.post_attention_layernorm(x)
        return x + self.scale * self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))

    def attention(self, h, cos, sin, sparse):
        batch, tokens, _ = h.shape

        def split(y, heads):
            return y.view(batch, tokens, heads, self.dim).transpose(1, 2)

        q = rotate(split(self.q_proj(h), self.heads), cos, sin)
        k = rotate(split(self.k_proj(h), self.kv_heads), cos, sin)
        v = split(self.v_proj(h), self.kv_heads)
        visible = torch.ones(tokens, tokens, dtype=torch.bool, device=h.device).tril()
        if sparse and tokens >= self.sparse["dense_len"]:
            visible = (selection(q, k, self.sparse) & visible).unsqueeze(2)
        group = self.heads // self.kv_heads
        q = (q / math.sqrt(self.dim)).reshape(batch, self.kv_heads, group * tokens, self.dim)
        bias = torch.zeros_like(visible, dtype=v.dtype).masked_fill_(~visible, float("-inf"))
        o, _ = attend(q.to(v.dtype), k.to(v.dtype), v.contiguous(), bias)
        o = o.view(batch, self.heads, tokens, self.dim).transpose(1, 2)
        return self.o_proj(o.reshape(batch, tokens, -1))


class MiniCPM4(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        hidden = config["hidden_size"]
        self.embed_tokens = nn.Embedding(config["vocab_size"], hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.norm = RMSNorm(hidden, config["rms_norm_eps"])
        self.divisor = hidden / config["dim_model_base"]
        nn.init.normal_(self.embed_tokens.weight, std=0.05)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features))

    def states(self, tokens, sparse=False):
        """tokens [batch, tokens] -> the final normed states [batch, tokens, hidden]."""
        x = self.embed_tokens(tokens) * self.config["scale_emb"]
        cos, sin = (table.to(tokens.device) for table in rope_tables(self.config, tokens.shape[1]))
        for layer in self.layers:
            x = layer(x, cos, sin, sparse)
        return self.norm(x)

    def head(self, states):
        """[..., hidden] -> logits [..., vocabulary]; the head is the embedding."""
        return (states / self.divisor) @ self.embed_tokens.weight.t()

    def forward(self, tokens, sparse=False):
        return self.head(self.states(tokens, sparse))
