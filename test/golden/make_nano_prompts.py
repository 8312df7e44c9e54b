"""Writes nano-prompts.json: conversations of nano's generator (models/nano/train) as it renders them for training.

Usage: python3 test/golden/make_nano_prompts.py      (the standard library is enough)
"""

import json
import os
import random
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../models/nano/train"))
from corpus import example  # noqa: E402
from pools import Pools  # noqa: E402
from render import render  # noqa: E402
from tools import tool_example  # noqa: E402

r, rows = random.Random(11), []
for held in (False, True):
    pools = Pools(held)
    for make in [tool_example] * 12 + [example] * 4:
        messages, tools = make(r, pools)
        messages = [{"role": message["role"], "content": message["content"]} for message in messages]
        text = "".join(text for text, _ in render(messages, tools))
        rows.append({"messages": messages, "tools": tools, "text": text})
with open(os.path.join(here, "nano-prompts.json"), "w", encoding="utf-8") as file:
    json.dump(rows, file, ensure_ascii=False, indent=1)
