"""Muon for the matrices of the layers, AdamW for the embedding and the norms."""

from collections import defaultdict

import torch


@torch.no_grad()
def orthogonal(gradients):
    """Nearest semi-orthogonal matrices, roughly: five quintic Newton-Schulz steps. [matrices, rows, columns]"""
    x = gradients.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.mT.contiguous()
    for _ in range(5):
        square = x @ x.mT
        # (-4.775 s + 2.0315 s^2) x + 3.4445 x
        x = torch.baddbmm(
            x, torch.baddbmm(square, square, square, beta=-4.775, alpha=2.0315), x, beta=3.4445
        )
    return (x if wide else x.mT).float()


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized (Jordan 2024, kellerjordan.github.io/posts/muon); matrices of one shape at once."""

    def __init__(self, parameters, rate, momentum=0.95, weight_decay=0.02):
        super().__init__(parameters, {"lr": rate})
        self.momentum, self.weight_decay = momentum, weight_decay

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            of_shape = defaultdict(list)
            for weight in group["params"]:
                of_shape[weight.shape].append(weight)
            for shape, weights in of_shape.items():
                self.step_of_shape(weights, max(1, shape[0] / shape[1]) ** 0.5, group["lr"])

    def step_of_shape(self, weights, stretch, rate):
        gradients = [weight.grad for weight in weights]
        momenta = [self.state[w].setdefault("momentum", torch.zeros_like(w)) for w in weights]
        torch._foreach_mul_(momenta, self.momentum)
        torch._foreach_add_(momenta, gradients)
        updates = orthogonal(
            torch.stack(torch._foreach_add(gradients, momenta, alpha=self.momentum))
        )
        torch._foreach_mul_(weights, 1 - rate * self.weight_decay)
        torch._foreach_add_(weights, updates.unbind(), alpha=-rate * stretch)


def make_optimizers(net, adam_rate, muon_rate):
    """-> [(optimizer, its learning rate)]."""
    embedding = net.embed_tokens.weight
    matrices = [p for p in net.parameters() if p.dim() > 1 and p is not embedding]
    vectors = [p for p in net.parameters() if p.dim() < 2]
    # scale_emb multiplies the embedding's gradient, hence its smaller share of the rate
    groups = [{"params": vectors}, {"params": [embedding], "share": 0.2}]
    adam = torch.optim.AdamW(groups, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0)
    return [(adam, adam_rate), (Muon(matrices, muon_rate), muon_rate)]


def set_rates(optimizers, scale):
    for optimizer, rate in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * scale * group.get("share", 1)
