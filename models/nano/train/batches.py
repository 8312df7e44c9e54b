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


def pack(examples, length):
    """First fit, longest first. -> rows of length + 1."""
    rows = []
    for one in sorted(examples, key=len, reverse=True):
        fitting = (i for i, row in enumerate(rows) if len(row) + len(one) <= length + 1)
        i = next(fitting, None)
        if i is None:
            rows.append(one)
        else:
            rows[i] += one
    return [row.padded(length + 1) for row in rows]


def block_rows(tokenizer, lengths, seed, block, make=example):
    """-> {length: rows} of one block; an example goes to the shortest length it fits, or is left out."""
    r = random.Random(f"{seed}/{block}")
    pools = Pools(held=False, made_up=r)
    examples = {length: [] for length in lengths}
    for _ in range(BLOCK):
        one = encode(tokenizer, *make(r, pools))
        length = next((length for length in lengths if len(one) <= length + 1), None)
        if length is not None:
            examples[length].append(one)
    packed = {length: pack(found, length) for length, found in examples.items()}
    for rows in packed.values():
        r.shuffle(rows)
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
