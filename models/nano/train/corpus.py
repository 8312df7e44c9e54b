"""nano's corpus: examples of every kind in their shares, all made here, from seeds.

An example is (messages, tools or None). Only assistant turns are learned as answers.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from chat import casual, chat_example, chat_turn, system_message, turn
from copying import copy_example
from facts import facts_turn
from passages import json_example, needle_example, story_example
from pools import Pools
from render import render
from servers import server_example
from tools import tool_example

NEEDLE_CHARACTERS = (50, 1800)  # of filler, about 20 to 650 tokens


def facts_example(r, pools):
    """One to four questions about small knowledge, some small talk between them."""
    messages = system_message(r)
    for _ in range(r.choice((1, 2, 3, 4))):
        if r.random() < 0.15:
            messages += chat_turn(r, pools)
        else:
            question, answer = facts_turn(r, pools)
            messages += turn(casual(r, question), answer)
    return messages, None


def short_needle_example(r, pools):
    keys, questions = r.choice((1, 1, 2, 3, 4)), r.choice((1, 2, 3))
    return needle_example(r, pools, r.uniform(*NEEDLE_CHARACTERS), keys, questions=questions)


# of the examples; one with tools has six times the tokens of one with facts
SHARES = {
    tool_example: 0.22,
    server_example: 0.09,
    facts_example: 0.31,
    chat_example: 0.15,
    short_needle_example: 0.07,
    json_example: 0.07,
    story_example: 0.02,
    copy_example: 0.07,
}


def example(r, pools):
    (kind,) = r.choices(list(SHARES), list(SHARES.values()))
    return kind(r, pools)


LONG_SHARE = 0.18  # of the examples, some half of the tokens
# evenly by logarithm: long rows cost most and teach the same
LONG_NEEDLE_CHARACTERS = (1000, 10000)


def long_example(r, pools):
    """For the sparse phase: needles of up to nine keys in long texts, and everything else beside them."""
    if r.random() > LONG_SHARE:
        return example(r, pools)
    keys, questions = r.choice((1, 2, 3, 5, 9)), r.choice((1, 2, 3))
    characters = math.exp(r.uniform(*map(math.log, LONG_NEEDLE_CHARACTERS)))
    return needle_example(r, pools, characters, keys, questions=questions)


@dataclass(frozen=True)
class Phase:
    example: Callable
    lengths: tuple  # of rows, tokens
    sparse: bool  # rows of dense_len and more see what the selection sees


PHASES = {
    "dense": Phase(example, (512, 768), sparse=False),
    "sparse": Phase(long_example, (512, 768, 2048, 4096), sparse=True),
}


if __name__ == "__main__":
    r = random.Random(0)
    for kind in SHARES:
        text = "".join(text for text, _ in render(*kind(r, Pools(held=False, made_up=r))))
        print(f"{text}\n{'=' * 60}")
