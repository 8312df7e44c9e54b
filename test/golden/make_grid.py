"""Writes grid.json (the cases) and grid.safetensors (their logits) for the dense forward pass.

    python3 test/golden/make_grid.py        (needs NumPy; takes half a minute)

The grid crosses head_dim x group x dtype in full and spreads layers, tied heads, KV heads and LongRoPE over it so that
every two values of different factors meet. Weights come from a seed (seeded.py), so only logits are kept. Arithmetic is
float64 on the rounded weights (oracle/minicpm4_oracle.py).
"""
import itertools
import json
import os
import random
import sys

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "oracle")]
import minicpm4_oracle as mo  # noqa: E402
import seeded  # noqa: E402
import st_io  # noqa: E402

HEAD_DIMS, GROUPS, DTYPES = (32, 64, 128), (1, 2, 8, 16), ("BF16", "F16", "F32")
LAYERS, TIED, KV_HEADS = (1, 2, 3, 4), (False, True), (1, 2)
# plain: no scaling. short: capacity within the original length. long: max_position_embeddings above it, so the long
# list and a magnitude other than 1. capacity: max = original, but the sequence's capacity is above it, magnitude 1.
ROPES = ("plain", "short", "long", "capacity")
LENGTH = 150
# The first and second token, both sides of the first two 64-key boundaries, the middle of a tile, the last.
ROWS = [0, 1, 15, 63, 64, 100, 127, 128, 149]
VOCAB = 96


def rope_scaling(rope, half):
    if rope == "plain":
        return None
    i = np.arange(half)
    ramp = 1 / (1 + np.exp(-12.0 / half * (i - (half - 1) / 2)))
    original = {"short": 256, "long": 96, "capacity": 128}[rope]
    return {
        "rope_type": "longrope",
        "short_factor": [round(float(x), 6) for x in 0.9 + 1.1 * ramp],
        "long_factor": [round(float(x), 6) for x in 0.95 + 9.0 * ramp],
        "original_max_position_embeddings": original,
    }


def config(head_dim, group, dtype, layers, tied, kv_heads, rope):
    heads = group * kv_heads
    scaling = rope_scaling(rope, head_dim // 2)
    cfg = {
        "architectures": ["MiniCPMForCausalLM"], "model_type": "minicpm",
        "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "attention_bias": False,
        "vocab_size": VOCAB, "hidden_size": 72 if head_dim == 32 else 96, "intermediate_size": 104,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "head_dim": head_dim, "rms_norm_eps": 1e-5 if tied else 1e-6, "rope_theta": 10000.0,
        "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 24, "tie_word_embeddings": tied,
        "max_position_embeddings": {"plain": 256, "short": 256, "long": 512, "capacity": 128}[rope],
        "torch_dtype": {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}[dtype],
    }
    if scaling:
        cfg["rope_scaling"] = scaling
    return cfg


def spread(full, others, seed=7):
    """Rows of `full` with a value of every list in `others`, such that all pairs of values of two factors occur."""
    generator = random.Random(seed)
    while True:
        columns = []
        for values in others:
            column = [values[i % len(values)] for i in range(len(full))]
            generator.shuffle(column)
            columns.append(column)
        rows = [(*f, *(c[i] for c in columns)) for i, f in enumerate(full)]
        width = len(rows[0])
        levels = [len({r[c] for r in rows}) for c in range(width)]
        if all(len({(r[a], r[b]) for r in rows}) == levels[a] * levels[b]
               for a, b in itertools.combinations(range(width), 2)):
            return rows


def main():
    cases, arrays = [], {}
    full = list(itertools.product(HEAD_DIMS, GROUPS, DTYPES))
    for number, row in enumerate(spread(full, (LAYERS, TIED, KV_HEADS, ROPES))):
        head_dim, group, dtype, layers, tied, kv_heads, rope = row
        cfg, seed = config(*row), 1000 + number
        name = f"hd{head_dim}-g{group}-{dtype.lower()}-l{layers}-{'tied' if tied else 'untied'}-kv{kv_heads}-{rope}"
        weights, digest = seeded.checkpoint(cfg, seed, dtype)
        weights.setdefault("lm_head.weight", weights["model.embed_tokens.weight"])
        options = mo.Options(rope={"short": "short", "plain": "auto"}.get(rope, "long"), sparse=False)
        model = mo.MiniCPM4(mo.Config.from_dict(cfg), weights, np.float64, options)
        logits, _ = model.forward(seeded.prompt(cfg, seed, LENGTH), model.new_cache())
        cases.append({"name": name, "seed": seed, "dtype": dtype, "weightsSha256": digest, "length": LENGTH,
                      "capacity": {"short": 160, "capacity": 192}.get(rope, 256), "rows": ROWS, "config": cfg})
        arrays[name] = logits[ROWS].astype(np.float32)
        best = np.sort(logits[ROWS])[:, ::-1]
        print(f"{name:44s} logits {logits.min():7.2f} .. {logits.max():6.2f}, least margin {np.min(best[:, 0] - best[:, 1]):.3f}")
    with open(os.path.join(here, "grid.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    st_io.save(os.path.join(here, "grid.safetensors"), arrays)


if __name__ == "__main__":
    main()
