"""The words examples draw from: known ones and, for training, made-up ones that teach copying.

Words whose place in words.py is divisible by `words.HOLDOUT`, and the last wording of every list of three
or more, are kept for evaluation: training never draws them, and no made-up word equals one.
"""

import random

import words

KINDS = (
    "names", "cities", "animals", "objects", "verbs", "nouns", "parameters", "foods", "places",
)  # fmt: skip
MADE_UP_KINDS = tuple(kind for kind in KINDS if kind != "foods")
CAPITALIZED = ("names", "cities")


def known_words(kind, held):
    training, held_out = words.split(getattr(words, kind.upper()))
    return held_out if held else training


HELD_OUT = frozenset(word.lower() for kind in KINDS for word in known_words(kind, held=True))


def made_up_word(r):
    """3 to 8 letters, consonants and vowels roughly in turn."""
    out, vowel = "", r.random() < 0.4
    for _ in range(r.choice((3, 4, 4, 5, 5, 6, 7, 8))):
        out += r.choice("aaeeiioou") if vowel else r.choice("bcdfghjklmnpqrstvwxyz")
        vowel = not vowel if r.random() < 0.85 else vowel
    return out


def joined_pieces(r, pieces):
    return "".join(r.choice(pieces) for _ in range(r.choice((1, 2, 2, 3))))


def syllables(r):
    """A word of two or three open syllables, such as "tarovi"."""
    return "".join(r.choice(words.SYLLABLES) for _ in range(r.choice((2, 2, 3))))


class Pools:
    """Lists of words by kind (`names`, `cities`, ...), for training or, with `held`, for evaluation.

    `made_up`: a random.Random to invent words with, anew for every Pools, between a third and four
    times as many as there are known ones. Without it there are known words only.
    `pieces`: the tokenizer's, for half of the invented words: what is never copied is never learned to be,
    and letters at random make a few hundred of the pieces only.
    """

    def __init__(self, held: bool, made_up: random.Random | None = None, pieces: tuple = ()):
        self.held, self.pieces = held, pieces
        for kind in KINDS:
            setattr(self, kind, known_words(kind, held))
        if made_up is not None:
            for kind in MADE_UP_KINDS:
                setattr(self, kind, getattr(self, kind) + self._invent(kind, made_up))
        self.colors, self.adjectives, self.weather = words.COLORS, words.ADJECTIVES, words.WEATHER

    def _invent(self, kind, r):
        count = round(len(getattr(self, kind)) * r.choice((0.3, 1.5, 4)))
        fresh = sorted({self.made_up_word(r) for _ in range(count)})
        return [word.capitalize() for word in fresh] if kind in CAPITALIZED else fresh

    def made_up_word(self, r):
        """No held-out one."""
        while True:
            from_pieces = self.pieces and r.random() < 0.5
            word = joined_pieces(r, self.pieces) if from_pieces else made_up_word(r)
            if word not in HELD_OUT:
                return word

    def wordings(self, options):
        """Of three or more ways to say a thing the last is for evaluation, the others are for training."""
        if len(options) < 3:
            return options
        return options[-1:] if self.held else options[:-1]

    def pick(self, r, options):
        return r.choice(self.wordings(options))
