"""How often a draft's first choice is nano's: python3 measure_agreement.py DRAFT_FOLDER

nano answers held-out chat and knowledge items greedily; at every token of its answers the draft, and a 3-gram
model of the training text, say what they would have put there. Prints the shares that agree.
"""

import collections
import itertools
import json
import os
import sys

import torch

from batches import block_rows
from checkpoint import load_folder
from render import MESSAGE_START, render
from tokenizer import BEGIN, SPECIAL_TAIL, Tokenizer

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUITES = {"chat": 100, "knowledge": 100}  # items of each
LONGEST = 60  # tokens of an answer
TRIGRAM_BLOCKS = 150  # of training text, about 2.6 M tokens
TRAINING_SEED = 11


class Trigrams:
    """The most frequent token after two others, else after one, in training text."""

    def __init__(self, tokenizer):
        counts = collections.defaultdict(collections.Counter)
        for block in range(TRIGRAM_BLOCKS):
            for row in itertools.chain(
                *block_rows(tokenizer, (512, 768), TRAINING_SEED, block).values()
            ):
                for a, b, c in zip(row.tokens, row.tokens[1:], row.tokens[2:], strict=False):
                    counts[a, b][c] += 1
                    counts[b][c] += 1
        self.best = {context: found.most_common(1)[0][0] for context, found in counts.items()}

    def __call__(self, a, b):
        return self.best.get((a, b), self.best.get(b))


@torch.no_grad()
def greedy(net, prompt, end):
    """-> prompt and answer, `end` included. Recomputes the prefix at each step: slow and simple."""
    tokens = list(prompt)
    while len(tokens) < len(prompt) + LONGEST and (tokens[-1] != end or len(tokens) == len(prompt)):
        tokens.append(int(net(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens


def prompts(tokenizer):
    """-> (suite, tokens)."""
    left = dict(SUITES)
    with open(os.path.join(FOLDER, "eval/held-out.jsonl"), encoding="utf-8") as file:
        for item in map(json.loads, file):
            if left.get(item["suite"], 0):
                left[item["suite"]] -= 1
                parts = render(item["messages"], item["tools"])
                text = "".join(text for text, _ in parts) + f"{MESSAGE_START}assistant\n"
                yield item["suite"], [BEGIN, *tokenizer.encode(text)]


def measure(net, draft, tokenizer):
    """-> {suite: (answer tokens, agreed by the draft, agreed by 3-grams)}"""
    trigrams, end = Trigrams(tokenizer), tokenizer.tokens[SPECIAL_TAIL[0]]
    totals = {suite: [0, 0, 0] for suite in SUITES}
    for suite, prompt in prompts(tokenizer):
        tokens = greedy(net, prompt, end)
        with torch.no_grad():
            guesses = draft(torch.tensor([tokens]))[0].argmax(-1).tolist()
        total = totals[suite]
        for i in range(len(prompt), len(tokens)):
            total[0] += 1
            total[1] += guesses[i - 1] == tokens[i]
            total[2] += trigrams(tokens[i - 2], tokens[i - 1]) == tokens[i]
    return totals


if __name__ == "__main__":
    torch.set_num_threads(1)
    tokenizer = Tokenizer(os.path.join(FOLDER, "tokenizer.json"))
    totals = measure(load_folder(FOLDER), load_folder(sys.argv[1]), tokenizer)
    for suite, (count, draft, trigram) in totals.items():
        shares = f"draft {100 * draft / count:.1f} %, 3-grams {100 * trigram / count:.1f} %"
        print(f"{suite}: {shares} of {count} tokens")
