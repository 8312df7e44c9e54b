"""Trains nano or its draft. Usage: python3 train.py RUN [--config nano|draft] [options], see `run`.

RUN is a folder: state.pt (weights, optimizers, position in the data; written every few minutes and on SIGTERM),
log.jsonl, and model/ when it ends. The same command goes on where the last one stopped. The learning rate warms
up, stays, and falls linearly between --decay-from and --tokens; both may be changed when going on, so that a
run can be told to end. Without a state it starts from --init, a model folder, or from nothing.

The draft learns nano's own distribution (--teacher) on the same rows, not the reference answers (sequence of
tokens nano would not say are of no use to it: a drafted token counts when it is nano's). It sees nano's doubts
as well as its choices at every position, which is worth more per token than nano's sampled answers.

Matmuls run in bfloat16 where the processor has it; weights, gradients, softmax and loss stay float32.
"""

import argparse
import json
import os
import signal
import time

import torch
import torch.nn.functional as F

from batches import batches
from checkpoint import load_folder, load_weights, save_folder
from configs import CONFIGS
from corpus import PHASES
from model import MiniCPM4
from optimizers import make_optimizers, set_rates
from tokenizer import Tokenizer

PROMPT_SHARE = 0.2  # of the text that is no answer enters the loss, at the inverse of it in weight
LOG_STEPS = 25


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--config", choices=list(CONFIGS), default="nano")
    parser.add_argument("--phase", choices=list(PHASES), default="dense")
    parser.add_argument("--tokenizer", default="../tokenizer.json")
    parser.add_argument("--init", help="a model folder to start from")
    parser.add_argument("--teacher", help="a model folder to learn the distribution of")
    parser.add_argument("--tokens", type=float, default=40e6, help="where the run ends")
    parser.add_argument("--decay-from", type=float, help="0.7 of --tokens")
    parser.add_argument("--warm-up", type=float, default=0.4e6, help="tokens")
    parser.add_argument("--batch", type=int, default=4608, help="tokens a step")
    parser.add_argument("--adam-rate", type=float, default=3e-3)
    parser.add_argument("--muon-rate", type=float, default=0.02)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="a third faster; needs a C++ compiler",
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--save-every", type=float, default=120, help="seconds")
    parser.add_argument("--name", help="to find the process by; has no effect")
    return parser.parse_args()


def has_bfloat16(device):
    """Without the instructions bfloat16 is slower than float32."""
    if device != "cpu":
        return True
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return "avx512_bf16" in file.read()


class Run:
    """The state of a training run, and its folder."""

    def __init__(self, options):
        self.options = options
        self.net = MiniCPM4(CONFIGS[options.config]).to(options.device)
        self.optimizers = make_optimizers(self.net, options.adam_rate, options.muon_rate)
        self.step = self.tokens = self.block = 0
        os.makedirs(options.run, exist_ok=True)
        self.path = os.path.join(options.run, "state.pt")
        if os.path.exists(self.path):
            self.load()
        elif options.init:
            load_weights(self.net, options.init)
        self.started_at = self.tokens

    def load(self):
        state = torch.load(self.path, map_location=self.options.device)
        self.net.load_state_dict(state["net"])
        for (optimizer, _), saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.step, self.tokens, self.block = state["step"], state["tokens"], state["block"]

    def save(self):
        state = {
            "net": self.net.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer, _ in self.optimizers],
            "step": self.step,
            "tokens": self.tokens,
            "block": self.block,
        }
        torch.save(state, self.path + ".part")
        os.replace(self.path + ".part", self.path)

    def rate(self):
        """The learning rate's scale now; going on from a state needs a short warm-up only."""
        options = self.options
        warm_up = options.warm_up / (8 if self.started_at else 1)
        decay_from = 0.7 * options.tokens if options.decay_from is None else options.decay_from
        left = (options.tokens - self.tokens) / max(1, options.tokens - decay_from)
        rising = min(1, (self.tokens - self.started_at + 1) / warm_up)
        return rising * min(1, max(0, left) + 0.01)


class Loss:
    """Cross entropy with the text, or with the teacher's distribution, where the weights say it counts."""

    def __init__(self, net, teacher, bfloat16, compiled):
        self.net, self.teacher, self.bfloat16 = net, teacher, bfloat16
        if compiled:  # once for each length of rows; needs a C++ compiler
            self.net.states = torch.compile(self.net.states, dynamic=False)

    def __call__(self, tokens, weights, sparse):
        """tokens, weights [rows, length + 1] -> (loss to minimize, sum over answers, answer tokens)."""
        weights, targets = weights[:, 1:].flatten(), tokens[:, 1:].flatten()
        is_answer = weights == 1
        sampled = (weights > 0) & (torch.rand_like(weights) < PROMPT_SHARE)
        kept = (is_answer | sampled).nonzero()[:, 0]
        is_answer, weights = is_answer[kept], weights[kept]
        weights = torch.where(is_answer, weights, weights / PROMPT_SHARE)
        with torch.autocast(tokens.device.type, dtype=torch.bfloat16, enabled=self.bfloat16):
            logits = self.logits(self.net, tokens, kept, sparse)
            if self.teacher is None:
                wanted = targets[kept]
            else:
                with torch.no_grad():
                    wanted = self.logits(self.teacher, tokens, kept, sparse).softmax(-1)
        losses = F.cross_entropy(logits, wanted, reduction="none")
        mean = (losses * weights).sum() / weights.sum()
        return mean, losses.detach()[is_answer].sum().item(), int(is_answer.sum())

    @staticmethod
    def logits(net, tokens, kept, sparse):
        states = net.states(tokens[:, :-1], sparse).flatten(0, 1)
        return net.head(states[kept]).float()


def train(run):
    options, phase = run.options, PHASES[run.options.phase]
    bfloat16 = has_bfloat16(options.device)
    teacher = load_folder(options.teacher).to(options.device) if options.teacher else None
    loss_of = Loss(run.net, teacher, bfloat16, options.compile)
    tokenizer = Tokenizer(options.tokenizer)
    stream = batches(
        tokenizer, phase.lengths, options.batch, options.seed, run.block, phase.example
    )
    stopping = []
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stopping.append(True))
    started = saved = time.time()
    loss_sum = answer_sum = answers = 0
    with open(os.path.join(options.run, "log.jsonl"), "a", encoding="utf-8") as log:
        while run.tokens < options.tokens and not stopping:
            set_rates(run.optimizers, run.rate())
            run.block, rows = next(stream)
            tokens = torch.tensor([row.tokens for row in rows], device=options.device)
            weights = torch.tensor([row.weights for row in rows], device=options.device)
            loss, answer, count = loss_of(tokens, weights, phase.sparse)
            run.net.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(run.net.parameters(), 1.0)
            for optimizer, _ in run.optimizers:
                optimizer.step()
            run.step += 1
            run.tokens += int((weights > 0).sum())
            loss_sum, answer_sum, answers = (
                loss_sum + loss.item(),
                answer_sum + answer,
                answers + count,
            )
            if run.step % LOG_STEPS == 0:
                seconds = time.time() - started
                line = {
                    "step": run.step,
                    "tokens": run.tokens,
                    "block": run.block,
                    "loss": round(loss_sum / LOG_STEPS, 4),
                    "answer": round(answer_sum / max(1, answers), 4),
                    "rate": round(run.rate(), 4),
                    "minutes": round(seconds / 60, 1),
                    "per_second": round((run.tokens - run.started_at) / seconds),
                }
                log.write(json.dumps(line) + "\n")
                log.flush()
                loss_sum = answer_sum = answers = 0
            if time.time() - saved > options.save_every:
                run.save()
                saved = time.time()
    run.save()
    save_folder(run.net, os.path.join(options.run, "model"))


if __name__ == "__main__":
    options = arguments()
    torch.set_flush_denormal(True)  # softmax weights of nearly nothing are twenty times slower
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    train(Run(options))
