"""InfLLM v2 selection (arXiv:2509.24663) as an attention mask: rule v4.1 with the exact normalizer."""

import math

import torch
import torch.nn.functional as F

FORCED, FUTURE, NO_WINDOW = (
    1e30,
    -2.0,
    -1.0,
)  # scores of blocks that are always, never, barely taken


def pooled_scores(q, k, sparse):
    """How much each query looks at each window of keys. -> [batch, kv heads, tokens, windows]"""
    batch, heads, tokens, dim = q.shape
    kv_heads, stride, size = k.shape[1], sparse["kernel_stride"], sparse["kernel_size"]
    windows = max(0, (tokens - size) // stride + 1)
    pooled = k.unfold(2, size, stride).mean(-1)[:, :, :windows]
    position = torch.arange(tokens, device=q.device)
    complete = (position + 1 - size) // stride + 1
    visible = complete[:, None] > torch.arange(windows, device=q.device)
    grouped = q.view(batch, kv_heads, heads // kv_heads, tokens, dim)
    scores = torch.einsum("bhgtd,bhnd->bhgtn", grouped, pooled) / math.sqrt(dim)
    weights = torch.softmax(scores.masked_fill(~visible, -1e30), -1).masked_fill(~visible, 0)
    return weights.sum(2)


@torch.no_grad()
def selection(q, k, sparse):
    """Which keys each query sees; rows below `dense_len` see all. Future keys are not masked here.

    q [batch, heads, tokens, dim], k [batch, kv heads, tokens, dim]
    -> bool [batch, kv heads, tokens, tokens]
    """
    tokens = q.shape[2]
    block_size = sparse["block_size"]
    blocks = (tokens + block_size - 1) // block_size
    per_block = block_size // sparse["kernel_stride"]
    scores = pooled_scores(q, k, sparse)
    # block b is scored by its windows and the ones that reach into it: 4b - 1 .. 4b + 3
    after = blocks * per_block + per_block - scores.shape[-1]
    padded = F.pad(scores, (1, after), value=NO_WINDOW)
    score = padded.unfold(3, per_block + 1, per_block).amax(-1)[..., :blocks]

    position = torch.arange(tokens, device=q.device)
    own, block = position[:, None] // block_size, torch.arange(blocks, device=q.device)
    local = sparse["window_size"] // block_size
    forced = (block <= own) & ((block < sparse["init_blocks"]) | (block >= own - local))
    score = score.masked_fill(forced, FORCED).masked_fill(block > own, FUTURE)
    kept = min(blocks, sparse["topk"] + local)
    # stable: of equal scores the lower block wins
    best = torch.sort(score, dim=-1, descending=True, stable=True).indices[..., :kept]
    chosen = torch.zeros_like(score, dtype=torch.bool).scatter_(-1, best, True) & (block <= own)
    chosen |= (position + 1 < sparse["dense_len"])[:, None]
    return chosen.repeat_interleave(block_size, -1)[..., :tokens]
