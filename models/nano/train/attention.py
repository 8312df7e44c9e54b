"""Attention as plain products, which use a CPU's matrix units; torch's fused attention leaves them idle.

Query heads that share a KV head are rows of one product. Shapes, with `rows` = query heads of a KV head x tokens:
q [batch, kv heads, rows, dim]; k, v [batch, kv heads, tokens, dim]; bias [.., rows or tokens, tokens], 0 or -inf.
"""

import torch


@torch.library.custom_op("nano::attend", mutates_args=())
def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """-> softmax(q k^T + bias) v, and the softmax for the way back. An opaque op: compiled, it would be slower."""
    scores = q @ k.mT
    tokens = k.shape[-2]
    scores.view(*q.shape[:2], -1, tokens, tokens).add_(bias)
    weights = torch._softmax(scores, -1, False)
    return weights @ v, weights


@attend.register_fake
def _(q, k, v, bias):
    return torch.empty_like(q), q.new_empty(*q.shape[:-1], k.shape[-2])


def keep(ctx, inputs, output):
    q, k, v, _ = inputs
    ctx.save_for_backward(q, k, v, output[1])


@torch.library.custom_op("nano::attend_backward", mutates_args=())
def attend_backward(
    gradient: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    weights: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    of_weights = gradient @ v.mT
    of_scores = torch._softmax_backward_data(of_weights, weights, -1, q.dtype)
    # not of_scores.mT @ q: transposing the large factor costs ten times the product
    of_k, of_v = (q.mT @ of_scores).mT, (gradient.mT @ weights).mT
    return of_scores @ k, of_k.contiguous(), of_v.contiguous()


@attend_backward.register_fake
def _(gradient, q, k, v, weights):
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def backward(ctx, gradient, _):
    q, k, v, weights = ctx.saved_tensors
    return (*attend_backward(gradient.contiguous(), q, k, v, weights), None)


attend.register_autograd(backward, setup_context=keep)
