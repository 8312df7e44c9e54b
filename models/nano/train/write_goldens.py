"""Writes goldens of the runtime: python3 write_goldens.py > ../eval/goldens.json (needs torch)

For 50 held-out prompts: their text and tokens, the ten best logits after them, and the perplexity of the
prompt; all by model.py in float32 from the bfloat16 weights beside it, dense.
"""

import json
import math
import os

import torch
import torch.nn.functional as F

from checkpoint import load_folder
from render import MESSAGE_START, render
from tokenizer import BEGIN, Tokenizer

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUITES = ("knowledge", "chat", "json", "tool", "needle")
OF_EACH, STEP = 10, 2  # items of every suite: each second one, the needles among them of 256 tokens


def prompts():
    """-> (id, text) of every item that is asked."""
    with open(os.path.join(FOLDER, "eval/held-out.jsonl"), encoding="utf-8") as file:
        items = [json.loads(line) for line in file]
    for suite in SUITES:
        for item in [item for item in items if item["suite"] == suite][: OF_EACH * STEP : STEP]:
            parts = render(item["messages"], item["tools"])
            yield item["id"], "".join(text for text, _ in parts) + f"{MESSAGE_START}assistant\n"


@torch.no_grad()
def golden(net, tokens):
    logits = net(torch.tensor([tokens]))[0]
    best, which = logits[-1].topk(10)
    loss = F.cross_entropy(logits[:-1], torch.tensor(tokens[1:])).item()
    best = [
        [token, round(logit, 5)] for token, logit in zip(which.tolist(), best.tolist(), strict=True)
    ]
    return {"best": best, "perplexity": round(math.exp(loss), 5)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    net = load_folder(FOLDER)
    tokenizer = Tokenizer(os.path.join(FOLDER, "tokenizer.json"))
    rows = []
    for name, text in prompts():
        tokens = [BEGIN, *tokenizer.encode(text)]
        row = {"id": name, "text": text, "tokens": tokens, **golden(net, tokens)}
        rows.append(json.dumps(row, ensure_ascii=False))
    print("[\n" + ",\n".join(rows) + "\n]")
