"""The MiniCPM4 model in PyTorch, for training: LongRoPE, grouped queries, muP scales, InfLLM v2 selection as a mask.

A second implementation beside the runtime's; its logits are goldens. Shapes: x [B, T, hidden]; q [B, H, T, D]; k, v [B, Hkv, T, D].
Selection follows rule v4.1 of the model spec with the exact normalizer ("row-wise" dense switch).
"""

import json
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

NANO = {
    "architectures": ["MiniCPMForCausalLM"],
    "model_type": "minicpm",
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "vocab_size": 2048,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": {
        "rope_type": "longrope",
        "original_max_position_embeddings": 4096,
        "short_factor": [round(1 + 7 / (1 + math.exp(-0.375 * (i - 15.5))), 6) for i in range(32)],
        "long_factor": [round(1 + 7 / (1 + math.exp(-0.375 * (i - 15.5))), 6) for i in range(32)],
    },
    "tie_word_embeddings": True,
    "scale_emb": 12,
    "scale_depth": 1.4,
    "dim_model_base": 128,
    "initializer_range": 0.1,
    "hidden_act": "silu",
    "attention_bias": False,
    "bos_token_id": 1,
    "eos_token_id": [2, 2040],
    "torch_dtype": "bfloat16",
    "sparse_config": {
        "kernel_size": 32,
        "kernel_stride": 16,
        "init_blocks": 1,
        "block_size": 64,
        "window_size": 256,
        "topk": 8,
        "use_nope": False,
        "dense_len": 1024,
        "rule": "v4.1",
        "lse": "exact",
    },
}
DRAFT = dict(
    NANO,
    hidden_size=128,
    intermediate_size=384,
    num_hidden_layers=2,
    num_attention_heads=2,
    sparse_config=None,
)


class RMSNorm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rope_tables(c, length):
    d = c["hidden_size"] // c["num_attention_heads"]
    s = c["rope_scaling"]
    factor = torch.tensor(
        s["long_factor"]
        if max(c["max_position_embeddings"], length) > s["original_max_position_embeddings"]
        else s["short_factor"]
    )
    a = torch.outer(
        torch.arange(length).float(),
        1 / (factor * c["rope_theta"] ** (torch.arange(0, d, 2).float() / d)),
    )
    return torch.cat([a, a], -1).cos(), torch.cat([a, a], -1).sin()


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


@torch.no_grad()
def selection(q, k, sc):
    """-> bool [B, Hkv, T, T]: which keys each query sees under InfLLM v2. Rows below dense_len see all."""
    B, H, T, D = q.shape
    Hkv, G = k.shape[1], H // k.shape[1]
    bs, st, ks = sc["block_size"], sc["kernel_stride"], sc["kernel_size"]
    n1 = max(0, (T - ks) // st + 1)
    c1 = k.unfold(2, ks, st).mean(-1)[:, :, :n1]  # [B, Hkv, n1, D]
    p = torch.arange(T, device=q.device)
    vis = (p[:, None] + 1 - ks) // st + 1 > torch.arange(n1, device=q.device)[
        None
    ]  # window j is complete at p
    x = torch.einsum("bhgtd,bhnd->bhgtn", q.view(B, Hkv, G, T, D), c1) / math.sqrt(D)
    s = torch.softmax(x.masked_fill(~vis, -1e30), -1).masked_fill(~vis, 0).sum(2)  # [B, Hkv, T, n1]
    nb = (T + bs - 1) // bs
    r = bs // st
    padded = F.pad(s, (1, nb * r + r - n1), value=-1.0)  # window 4b-1 .. 4b+3
    score = padded.unfold(3, r + 1, r).amax(-1)[..., :nb]  # [B, Hkv, T, nb]
    qb, b = p // bs, torch.arange(nb, device=q.device)
    local = sc["window_size"] // bs
    forced = (b[None] <= qb[:, None]) & (
        (b[None] < sc["init_blocks"]) | (b[None] >= qb[:, None] - local)
    )
    score = score.masked_fill(forced, 1e30).masked_fill(b[None] > qb[:, None], -2.0)
    top = torch.sort(score, dim=-1, descending=True, stable=True).indices[
        ..., : min(nb, sc["topk"] + local)
    ]  # ties: lower block
    block = torch.zeros(B, Hkv, T, nb, dtype=torch.bool, device=q.device).scatter_(
        -1, top, True
    ) & (b[None] <= qb[:, None])
    block |= (p + 1 < sc["dense_len"])[:, None]
    return block.repeat_interleave(bs, -1)[..., :T]


def attention(q, k, v, mask):
    """Softmax attention; mask [.., T, T] is True where a query may look."""
    if hasattr(F, "scaled_dot_product_attention"):
        causal = mask.dim() == 2
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=None if causal else mask, is_causal=causal
        )
    x = (q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    return x.masked_fill(~mask, -1e30).softmax(-1) @ v


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        h, i, D = (
            c["hidden_size"],
            c["intermediate_size"],
            c["hidden_size"] // c["num_attention_heads"],
        )
        self.c, self.D = c, D
        self.scale = c["scale_depth"] / math.sqrt(c["num_hidden_layers"])
        self.input_layernorm, self.post_attention_layernorm = (
            RMSNorm(h, c["rms_norm_eps"]),
            RMSNorm(h, c["rms_norm_eps"]),
        )
        lin = lambda a, b: nn.Linear(a, b, bias=False)
        self.q_proj, self.o_proj = (
            lin(h, c["num_attention_heads"] * D),
            lin(c["num_attention_heads"] * D, h),
        )
        self.k_proj, self.v_proj = (
            lin(h, c["num_key_value_heads"] * D),
            lin(h, c["num_key_value_heads"] * D),
        )
        self.gate_proj, self.up_proj, self.down_proj = lin(h, i), lin(h, i), lin(i, h)

    def forward(self, x, cos, sin, sparse):
        c, D = self.c, self.D
        B, T, _ = x.shape
        H, Hkv = c["num_attention_heads"], c["num_key_value_heads"]
        h = self.input_layernorm(x)
        q = rotate(self.q_proj(h).view(B, T, H, D).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(h).view(B, T, Hkv, D).transpose(1, 2), cos, sin)
        v = self.v_proj(h).view(B, T, Hkv, D).transpose(1, 2)
        G = H // Hkv
        mask = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        if sparse and T >= c["sparse_config"]["dense_len"]:
            mask = (selection(q, k, c["sparse_config"]) & mask).repeat_interleave(G, 1)
        o = attention(q, k.repeat_interleave(G, 1), v.repeat_interleave(G, 1), mask)
        x = x + self.scale * self.o_proj(o.transpose(1, 2).reshape(B, T, H * D))
        h = self.post_attention_layernorm(x)
        return x + self.scale * self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


class MiniCPM4(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        h = c["hidden_size"]
        nn.init.normal_(self.embed_tokens.weight, std=0.05)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=1 / math.sqrt(m.in_features))
        self.divisor = h / c["dim_model_base"]

    def forward(self, ids, sparse=False, hidden=False):
        """ids [B, T] -> logits [B, T, V] (or the final normed states [B, T, hidden])."""
        x = self.embed_tokens(ids) * self.c["scale_emb"]
        cos, sin = (t.to(ids.device) for t in rope_tables(self.c, ids.shape[1]))
        for layer in self.layers:
            x = layer(x, cos, sin, sparse)
        x = self.norm(x)
        return x if hidden else (x / self.divisor) @ self.embed_tokens.weight.t()


NAMES = {
    "q_proj": "self_attn.",
    "k_proj": "self_attn.",
    "v_proj": "self_attn.",
    "o_proj": "self_attn.",
    "gate_proj": "mlp.",
    "up_proj": "mlp.",
    "down_proj": "mlp.",
}


def hf_state(model):
    """state_dict under Hugging Face names."""
    out = {}
    for k, v in model.state_dict().items():
        parts = k.split(".")
        if parts[0] == "layers" and parts[2] in NAMES:
            parts[2] = NAMES[parts[2]] + parts[2]
        out["model." + ".".join(parts)] = v
    return out


def save_hf(model, folder, bf16=True):
    """Writes config.json and model.safetensors."""
    import os
    import struct

    os.makedirs(folder, exist_ok=True)
    json.dump(
        {k: v for k, v in model.c.items() if v is not None},
        open(os.path.join(folder, "config.json"), "w"),
        indent=2,
    )
    head, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for k, v in sorted(hf_state(model).items()):
        t = v.detach().to(torch.bfloat16 if bf16 else torch.float32).contiguous()
        b = (t.view(torch.int16) if bf16 else t).numpy().tobytes()
        head[k] = {
            "dtype": "BF16" if bf16 else "F32",
            "shape": list(t.shape),
            "data_offsets": [at, at + len(b)],
        }
        blobs.append(b)
        at += len(b)
    h = json.dumps(head).encode()
    h += b" " * (-len(h) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + b"".join(blobs))
