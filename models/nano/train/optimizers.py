"""Muon for the matrices of the layers, AdamW for the embedding and the norms."""

import torch


@torch.no_grad()
def orthogonal(gradient):
    """Nearest semi-orthogonal matrix, roughly: five quintic Newton-Schulz steps. [rows, columns]"""
    x = gradient.bfloat16()
    x = x / (x.norm() + 1e-7)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.mT
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.775 * square + 2.0315 * (square @ square)) @ x
    return (x if wide else x.mT).float()


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized (Jordan 2024, kellerjordan.github.io/posts/muon)."""

    def __init__(self, parameters, rate, momentum=0.95, weight_decay=0.02):
        super().__init__(parameters, {"lr": rate})
        self.momentum, self.weight_decay = momentum, weight_decay

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                momentum = state.setdefault("momentum", torch.zeros_like(weight))
                momentum.mul_(self.momentum).add_(weight.grad)
                update = orthogonal(weight.grad + self.momentum * momentum)
                stretch = max(1, weight.shape[0] / weight.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * self.weight_decay)
                weight.add_(update, alpha=-group["lr"] * stretch)


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
