"""Trains nano's tokenizer. Usage: python3 train_tokenizer.py > tokenizer.json

Two things make words that were never seen easy to copy, which a plain BPE made impossible:

- Merges of letters come first and the space marker "▁" joins last, so that a word has the same pieces behind
  a space, a quote or a newline; only the first one may carry the marker. (`city="Quito"` is copied from
  "in Quito" piece by piece.)
- The texts are training texts only. A held-out word with a token of its own would be one that the model
  never met.
"""

import collections
import json
import random
import sys

from corpus import example
from pools import Pools
from render import render
from tokenizer import SPECIAL, SPECIAL_HEAD, SPECIAL_TAIL, words

SIZE = 2048
BLOCKS, BLOCK = 700, 16  # of examples, each block with made-up words of its own
LETTER_MERGES = range(600, 1300, 100)  # how many of them: the number that gives the fewest tokens
# indentation, docstring quotes and code fences
RUNS = [
    ("▁", "▁"),
    ("▁▁", "▁▁"),
    ("▁▁▁▁", "▁▁▁▁"),
    ('"', '"'),
    ('""', '"'),
    ("`", "`"),
    ("``", "`"),
]


def training_texts():
    r = random.Random(1)
    for _ in range(BLOCKS):
        pools = Pools(held=False, made_up=r)
        for _ in range(BLOCK):
            yield "".join(text for text, _ in render(*example(r, pools)))


def count_words(texts):
    """-> (characters, words without marker, words behind a marker), each with its count."""
    characters, bare, marked = collections.Counter(), collections.Counter(), collections.Counter()
    for text in texts:
        for part in SPECIAL.split(text):
            if SPECIAL.fullmatch(part):
                continue
            characters.update(part.replace(" ", "▁"))
            for word in words(part) if part else ():
                letters = word.lstrip("▁")
                if letters.isascii() and letters.isalpha():
                    bare[letters] += 1
                    marked[letters] += word != letters
    return characters, bare, marked


def letter_merges(counts, most):
    """BPE over words. Yields (merges so far, {word: its pieces}) after each merge."""
    pieces = {word: list(word) for word in counts}
    pairs, places = collections.Counter(), collections.defaultdict(set)

    def account(word, sign):
        for pair in zip(pieces[word], pieces[word][1:]):
            pairs[pair] += sign * counts[word]
            places[pair].add(word)

    for word in pieces:
        account(word, 1)
    merges = []
    while len(merges) < most:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word in list(places[best]):
            account(word, -1)
            pieces[word] = joined(pieces[word], best)
            account(word, 1)
        yield merges, pieces


def joined(parts, pair):
    out = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out


def marker_merges(marked, pieces, room):
    """-> (merges of "▁" with the most frequent first pieces, tokens they save)."""
    first = collections.Counter()
    for word, count in marked.items():
        first[pieces[word][0]] += count
    best = sorted(first.items(), key=lambda entry: (-entry[1], entry[0]))[:room]
    return [("▁", piece) for piece, _ in best], sum(count for _, count in best)


def train(texts):
    """-> (vocabulary, merges)."""
    characters, bare, marked = count_words(texts)
    ascii_left = [chr(c) for c in range(33, 127) if chr(c) not in characters]
    order = sorted(characters, key=lambda c: (-characters[c], c))
    alphabet = ["\n"] + [c for c in order if c != "\n"] + ascii_left
    base = SPECIAL_HEAD + [f"<0x{byte:02X}>" for byte in range(256)] + alphabet
    room = SIZE - len(base) - len(RUNS) - len(SPECIAL_TAIL)
    found = []
    for merges, pieces in letter_merges(bare, LETTER_MERGES[-1]):
        if len(merges) in LETTER_MERGES:
            marks, saved = marker_merges(marked, pieces, room - len(merges))
            used = sum(len(pieces[word]) * count for word, count in bare.items()) - saved
            found.append((used, RUNS + merges + marks))
    _, merges = min(found)
    return base + [a + b for a, b in merges] + SPECIAL_TAIL, merges


def tokenizer_json(vocabulary, merges):
    tokens = {text: i for i, text in enumerate(vocabulary)}
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    begin, text, pair = (
        {"SpecialToken": {"id": "<s>", "type_id": 0}},
        *({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB")),
    )
    space = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": tokens[name], "content": name, **special, "special": True}
            for name in SPECIAL_HEAD + SPECIAL_TAIL
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
            "single": [begin, text],
            "pair": [text, pair],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                space,
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
            "vocab": tokens,
            "merges": [f"{a} {b}" for a, b in merges],
        },
    }


if __name__ == "__main__":
    json.dump(tokenizer_json(*train(training_texts())), sys.stdout, ensure_ascii=False, indent=0)
