"""Writes nano-prompts.json: conversations of nano's generator as it renders them for training.

Usage: python3 test/golden/make_nano_prompts.py FOLDER      (the folder of data.py; the standard library is enough)
"""
import json
import os
import random
import sys

sys.path.insert(0, sys.argv[1])
import data

KINDS = [data.tool_example] * 4 + [data.facts_example, data.chat_example, data.json_example, data.story_example]
r, rows = random.Random(11), []
for held in (False, True):
    pools = data.Pools(held)
    for kind in KINDS:
        for _ in range(3):
            messages, tools = kind(r, pools)
            rows.append({"messages": messages, "tools": tools, "text": "".join(x for x, _ in data.render(messages, tools))})
with open(os.path.join(os.path.dirname(__file__), "nano-prompts.json"), "w", encoding="utf-8") as f:
    json.dump(rows, f, ensure_ascii=False, indent=1)
