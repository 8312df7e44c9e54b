"""The endless stream of training batches: a function of a seed and a block number, so that a run goes on where it was.

A block is 64 examples with made-up words of their own. Whole examples are packed into rows: one that is cut
would be learned without its prompt.
"""

import random
from dataclasses import dataclass

from corpus import example
from pools import Pools
from render import render
from tokenizer import BEGIN

BLOCK = 64
PROMPT_WEIGHT = 0.1  # of the loss on text that is no answer: the prompt's language is learned too


@dataclass
class Row:
    tokens: list  # length + 1 of them once packed, padded with 0
    weights: (
        list  # of the loss of each: 1 in answers, PROMPT_WEIGHT elsewhere, 0 for bos and padding
    )

    def __add__(self, other):
        return Row(self.tokens + other.tokens, self.weights + other.weights)

    def __len__(self):
        return len(self.tokens)

    def padded(self, length):
        missing = length - len(self)
        return Row(self.tokens + [0] * missing, self.weights + [0.0] * missing)


def encode(tokenizer, messages, tools):
    """A conversation as the runtime reads it: an answer goes on in the text of its prompt."""
    row = Row([BEGIN], [0.0])
    for text, is_answer in render(messages, tools):
        tokens = tokenizer.encode(text, continued=is_answer)
        row += Row(tokens, [1.0 if is_answer else PROMPT_WEIGHT] * len(tokens))
    return row


def fill(rows, examples, length, may_open):
    """First fit, longest first, into rows of length + 1. -> the examples without a place."""
    left = []
    for one in sorted(examples, key=len, reverse=True):
        fitting = (i for i, row in enumerate(rows) if len(row) + len(one) <= length + 1)
        i = next(fitting, None)
        if i is not None:
            rows[i] += one
        elif may_open:
            rows.append(one)
        else:
            left.append(one)
    return left


def block_rows(tokenizer, lengths, seed, block, make=example):
    """-> {length: rows} of one block; an example opens a row of the shortest length it fits, or fills a longer one."""
    r = random.Random(f"{seed}/{block}")
    pools = Pools(held=False, made_up=r, pieces=tokenizer.pieces)
    examples = [encode(tokenizer, *make(r, pools)) for _ in range(BLOCK)]
    packed = {}
    bounds = sorted(lengths)
    for shorter, length in reversed(list(zip([0, *bounds], bounds))):
        rows = []
        fill(rows, [one for one in examples if shorter + 1 < len(one) <= length + 1], length, True)
        shorter_ones = [one for one in examples if len(one) <= shorter + 1]
        examples = fill(rows, shorter_ones, length, False)
        packed[length] = [row.padded(length + 1) for row in rows]
        r.shuffle(packed[length])
    return packed


def batches(tokenizer, lengths, tokens, seed, block, make=example):
    """Yields (the next block, rows of one of `lengths`), about `tokens` tokens in each."""
    waiting = {length: [] for length in sorted(lengths)}
    while True:
        for length, rows in block_rows(tokenizer, waiting, seed, block, make).items():
            waiting[length] += rows
        block += 1
        for length, rows in waiting.items():
            count = max(1, tokens // length)
            while len(rows) >= count:
                yield block, rows[:count]
                del rows[:count]
