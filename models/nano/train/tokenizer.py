"""nano's byte-fallback BPE: the encoder for training. Its tokens equal those of the tokenizer.json it reads.

Spaces are written "▁", and one stands before each text between special tokens (the Llama/MiniCPM4 form).
Merges join letters, quotes, backticks or spaces among themselves and one "▁" with the letters after it,
nothing else: encoding word by word equals encoding the whole text.
"""

import itertools
import json
import re

SPECIAL_HEAD = ["<unk>", "<s>", "</s>"]
SPECIAL_TAIL = [
    "<|im_end|>", "<|im_start|>", "<|tool_call|>", "<|execute_start|>", "<|execute_end|>",
    "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
]  # fmt: skip
BEGIN = 1  # <s>, before every conversation
WORD = re.compile(r"▁*[A-Za-z]+|▁+|\"+|`+|.", re.DOTALL)
SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL_HEAD[1:] + SPECIAL_TAIL)) + ")")


def words(text, continued=False):
    """Text without special tokens, cut where no merge crosses. `continued`: no "▁" before it."""
    return WORD.findall((text if continued else "▁" + text).replace(" ", "▁"))


class Tokenizer:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            model = json.load(file)["model"]
        self.tokens = model["vocab"]
        self.ranks = {tuple(merge.split(" ")): i for i, merge in enumerate(model["merges"])}
        self.cache = {}
        plain = re.compile("[a-z]{2,}")
        self.pieces = tuple(token for token in self.tokens if plain.fullmatch(token))

    def encode_word(self, word):
        if word not in self.cache:
            parts = list(word)
            while len(parts) > 1:
                pairs = itertools.pairwise(parts)
                rank, i = min((self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(pairs))
                if rank == 1 << 30:
                    break
                parts[i : i + 2] = [parts[i] + parts[i + 1]]
            self.cache[word] = [token for part in parts for token in self.part_tokens(part)]
        return self.cache[word]

    def part_tokens(self, part):
        if part in self.tokens:
            return [self.tokens[part]]
        return [self.tokens[f"<0x{byte:02X}>"] for byte in part.encode()]

    def encode(self, text, continued=False):
        """Special tokens in the text are recognized. `continued`: it goes on in the middle of a text."""
        tokens = []
        for part in SPECIAL.split(text):
            if SPECIAL.fullmatch(part):
                tokens.append(self.tokens[part])
            elif part:
                for word in words(part, continued and not tokens):
                    tokens += self.encode_word(word)
        return tokens
