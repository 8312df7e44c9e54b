"""Trains nano's byte-fallback BPE and writes it as tokenizer.json (the Llama/MiniCPM4 form: "▁" for space, no pre-tokenizer).

Merges never join digits, punctuation, newlines or two words, so encoding word by word equals encoding the whole text.
"""

import collections
import json
import re
import sys


SPECIAL_HEAD = ["<unk>", "<s>", "</s>"]
SPECIAL_TAIL = [
    "<|im_end|>",
    "<|im_start|>",
    "<|tool_call|>",
    "<|execute_start|>",
    "<|execute_end|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
]
WORD = re.compile(r"▁*[A-Za-z]+|▁+|\"+|`+|.", re.S)
SPLIT = re.compile("(" + "|".join(re.escape(t) for t in SPECIAL_HEAD[1:] + SPECIAL_TAIL) + ")")


def pieces(text, mark="▁"):
    """Text without special tokens -> words of the "▁" form."""
    return WORD.findall((mark + text).replace(" ", "▁"))


def train(texts, size):
    count = collections.Counter()
    chars = collections.Counter()
    for t in texts:
        for part in SPLIT.split(t):
            if part and not SPLIT.fullmatch(part):
                for w in pieces(part):
                    count[w] += 1
                    chars.update(w)
    keep = [c for c, _ in sorted(chars.items(), key=lambda x: (-x[1], x[0]))]
    keep += [chr(c) for c in range(33, 127) if chr(c) not in chars]
    vocab = (
        SPECIAL_HEAD
        + [f"<0x{b:02X}>" for b in range(256)]
        + ["\n"]
        + [c for c in keep if c != "\n"]
    )
    words = {w: (list(w), n) for w, n in count.items() if len(w) > 1}
    merges = []
    while len(vocab) + len(SPECIAL_TAIL) < size:
        pair = collections.Counter()
        for sym, n in words.values():
            for a, b in zip(sym, sym[1:]):
                pair[a, b] += n
        (a, b), n = max(pair.items(), key=lambda x: (x[1], x[0]))
        if n < 2:
            break
        merges.append((a, b))
        vocab.append(a + b)
        for sym, _ in words.values():
            i = 0
            while i < len(sym) - 1:
                if sym[i] == a and sym[i + 1] == b:
                    sym[i : i + 2] = [a + b]
                i += 1
    return vocab + SPECIAL_TAIL, merges


def to_json(vocab, merges):
    added = SPECIAL_HEAD + SPECIAL_TAIL
    ids = {t: i for i, t in enumerate(vocab)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[t],
                "content": t,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for t in added
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<s>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": ids,
            "merges": [f"{a} {b}" for a, b in merges],
        },
    }


class Tokenizer:
    """Fast enough encoder for training; ids equal those of the tokenizer.json."""

    def __init__(self, path):
        d = json.load(open(path, encoding="utf-8"))
        self.ids = d["model"]["vocab"]
        self.rank = {tuple(m.split(" ")): i for i, m in enumerate(d["model"]["merges"])}
        self.text = {i: t for t, i in self.ids.items()}
        self.cache = {}

    def word(self, w):
        if w not in self.cache:
            s = list(w)
            while len(s) > 1:
                best = min(
                    range(len(s) - 1), key=lambda i: self.rank.get((s[i], s[i + 1]), 1 << 30)
                )
                if (s[best], s[best + 1]) not in self.rank:
                    break
                s[best : best + 2] = [s[best] + s[best + 1]]
            out = []
            for c in s:
                out += (
                    [self.ids[c]]
                    if c in self.ids
                    else [self.ids[f"<0x{b:02X}>"] for b in c.encode()]
                )
            self.cache[w] = out
        return self.cache[w]

    def encode(self, text, continued=False):
        """No bos. Special tokens in the text are recognized; "▁" is prepended to each part between them."""
        out = []
        for part in SPLIT.split(text):
            if SPLIT.fullmatch(part):
                out.append(self.ids[part])
            elif part:
                for w in pieces(part, "" if continued and not out else "▁"):
                    out += self.word(w)
        return out

    def decode(self, ids):
        b = b""
        for i in ids:
            t = self.text[i]
            b += (
                bytes([int(t[3:5], 16)])
                if re.fullmatch(r"<0x[0-9A-F]{2}>", t)
                else t.replace("▁", " ").encode()
            )
        return b.decode("utf-8", "replace")


if __name__ == "__main__":
    import random

    out, size = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2048
    r, p, ph = random.Random(1), data.Pools(False), data.Pools(True)
    texts = [
        "".join(x for x, _ in data.render(*data.example(r, p if i % 8 else ph)))
        for i in range(12000)
    ]
    vocab, merges = train(texts, size)
    json.dump(
        to_json(vocab, merges), open(out, "w", encoding="utf-8"), ensure_ascii=False, indent=0
    )
    t = Tokenizer(out)
    n = sum(len(t.encode(x)) for x in texts[:1000])
    c = sum(len(x) for x in texts[:1000])
    print(len(vocab), "pieces", len(merges), "merges", round(c / n, 2), "characters a token")
