"""Writes texts of any length with needles, of held-out words and wordings only. Usage: python3 write_needles.py < TEXTS

TEXTS is a JSON list of {seed, characters, keys, depths}: about so many characters of filler with `keys` facts of one
form, the first of them at the depths given (0 at the start, 1 at the end), the others anywhere. One line of JSON a
text: a list with an item {messages, expected, depth} for each depth, whose messages are one question behind the text.
"""

import json
import random
import sys

from chat import turn
from passages import needle_example
from pools import Pools

SEED = 2027


def items(text, pools):
    """The questions of one text, each as if it were the first."""
    r = random.Random(f"{SEED}/{text['seed']}")
    depths = list(text["depths"])
    messages, _ = needle_example(
        r, pools, text["characters"], text["keys"], depths, questions=len(depths)
    )
    lead = messages[0]["content"].rsplit("\n", 1)[0] + "\n"
    for i, depth in enumerate(depths):
        question, answer = (message["content"] for message in messages[2 * i : 2 * i + 2])
        user, _ = turn(lead + question.removeprefix(lead), answer)
        yield {
            "messages": [{"role": user["role"], "content": user["content"]}],
            "expected": answer,
            "depth": depth,
        }


if __name__ == "__main__":
    held = Pools(held=True)
    for one in json.load(sys.stdin):
        print(json.dumps(list(items(one, held)), ensure_ascii=False))
