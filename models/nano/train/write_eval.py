"""Writes the held-out evaluation items. Usage: python3 write_eval.py > ../eval/held-out.jsonl

One item a line: {id, suite, split, messages, tools, expected, accept, needle?}. `messages` is the prompt and
ends with a user or tool turn; `expected` is the reference answer, `accept` are further right ones. Words and
wordings are those that training never draws (pools.py), and every tool's name ends in a held-out noun.
`needle.keys` counts all facts of the needle's form in the text: 1 + the distractors; `tokens` is about the
length of the prompt.
"""

import json
import random

from chat import casual, chat_example, system_message, turn
from facts import JOKES, KINDS, UNSURE, group
from passages import json_example, needle_example
from pools import Pools
from tools import tool_example

SEED = 2026
ITEMS = 200  # of knowledge, chat, JSON and tool calls
ANSWERS, NO_CALLS = 80, 40  # after a tool's result; where no tool is due
NEEDLE_TOKENS = (256, 512, 768, 1024, 2048, 3072)
NEEDLE_KEYS = (1, 2, 3, 5, 9)
NEEDLE_DEPTHS = (0.0, 0.35, 0.65, 1.0)
CHARACTERS_PER_TOKEN = 2.8
CALL = "<|tool_call_start|>"


def plain(message):
    return {"role": message["role"], "content": message["content"]}


def item(suite, number, messages, tools=None, **more):
    """The last message is the answer that is expected."""
    *prompt, answer = messages
    return {
        "id": f"held/{suite}/{number:03d}",
        "suite": suite,
        "split": "held",
        "messages": [plain(message) for message in prompt],
        "tools": tools,
        "expected": answer["content"],
        "accept": answer.get("accept", []),
        **more,
    }


def prefixes(messages):
    """Every prompt of a conversation with its answer."""
    return [messages[: i + 1] for i, m in enumerate(messages) if m["role"] == "assistant"]


def knowledge_items(r, pools):
    """Single questions; lists of group members have too many right answers to be scored."""
    kinds = {kind: share for kind, share in KINDS.items() if kind is not group}
    for number in range(ITEMS):
        (kind,) = r.choices(list(kinds), list(kinds.values()))
        ways, answer = kind(r, pools)
        question = casual(r, pools.pick(r, ways))
        accept = next((list(all_of) for all_of in (UNSURE, JOKES) if answer in all_of), [])
        yield item("knowledge", number, system_message(r) + turn(question, answer, accept))


def chat_items(r, pools):
    found = []
    while len(found) < ITEMS:
        found += prefixes(chat_example(r, pools)[0])
    for number, messages in enumerate(found[:ITEMS]):
        yield item("chat", number, messages)


def json_items(r, pools):
    for number in range(ITEMS):
        yield item("json", number, json_example(r, pools)[0])


def has_held_out_names(tools, pools):
    names = [tool["function"]["name"].lower() for tool in tools]
    return all(name.endswith(tuple(pools.nouns)) or name == "get_sum" for name in names)


def tool_items(r, pools):
    """First calls, later calls, answers after results and questions that need no call."""
    wanted, number = {"call": ITEMS, "answer": ANSWERS, "no call": NO_CALLS}, 0
    while any(wanted.values()):
        messages, tools = tool_example(r, pools)
        if not has_held_out_names(tools, pools):
            continue
        for prompt in prefixes(messages)[:2]:
            is_call = CALL in prompt[-1]["content"]
            kind = "call" if is_call else "answer" if prompt[-2]["role"] == "tool" else "no call"
            if wanted[kind]:
                wanted[kind] -= 1
                yield item("tool", number, prompt, tools)
                number += 1


def needle_items(r, pools):
    cases = [(t, k, d) for t in NEEDLE_TOKENS for k in NEEDLE_KEYS for d in NEEDLE_DEPTHS]
    for number, (tokens, keys, depth) in enumerate(cases):
        messages, _ = needle_example(r, pools, tokens * CHARACTERS_PER_TOKEN, keys, depth)
        needle = {"tokens": tokens, "depth": depth, "keys": keys}
        yield item("needle", number, messages, needle=needle)


def held_out_items():
    pools = Pools(held=True)
    for make in (knowledge_items, chat_items, json_items, tool_items, needle_items):
        yield from make(random.Random(f"{SEED}/{make.__name__}"), pools)


if __name__ == "__main__":
    for one in held_out_items():
        print(json.dumps(one, ensure_ascii=False))
