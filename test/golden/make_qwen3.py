"""Writes qwen3.json (the cases) and qwen3.safetensors (their logits): the forward pass with qk-norm, head_dim of its
own, theta 1e6, and YaRN.

    python3 test/golden/make_qwen3.py        (needs NumPy; takes seconds)

As make_grid.py in all else.
"""
import json
import os
import sys

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "oracle")]
import minicpm4_oracle as mo  # noqa: E402
import seeded  # noqa: E402
import st_io  # noqa: E402
from make_grid import LENGTH, ROWS, VOCAB  # noqa: E402

# head_dim, group, kv heads, layers, tied, dtype, YaRN's (factor, original length)
CASES = [
    (32, 1, 2, 2, True, "F32", None),
    (64, 2, 2, 1, False, "BF16", None),
    (128, 8, 1, 2, True, "BF16", None),
    (128, 4, 2, 3, False, "F16", None),
    (64, 2, 1, 2, True, "F32", (4.0, 64)),
    (128, 2, 2, 1, False, "BF16", (2.5, 4096)),
]


def config(head_dim, group, kv_heads, layers, tied, dtype, yarn):
    cfg = {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
        "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "attention_bias": False,
        "use_sliding_window": False, "sliding_window": None, "max_window_layers": layers,
        "vocab_size": VOCAB, "hidden_size": 88, "intermediate_size": 120, "num_hidden_layers": layers,
        "num_attention_heads": group * kv_heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000, "rope_scaling": None, "tie_word_embeddings": tied,
        "max_position_embeddings": 512,
        "torch_dtype": {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}[dtype],
    }
    if yarn:
        cfg["rope_scaling"] = {"rope_type": "yarn", "factor": yarn[0], "original_max_position_embeddings": yarn[1]}
    return cfg


def main():
    cases, arrays = [], {}
    for number, row in enumerate(CASES):
        head_dim, group, kv_heads, layers, tied, dtype, yarn = row
        cfg, seed = config(*row), 2000 + number
        name = (f"qwen3-hd{head_dim}-g{group}-{dtype.lower()}-l{layers}-{'tied' if tied else 'untied'}-kv{kv_heads}"
                f"{'-yarn' if yarn else ''}")
        weights, digest = seeded.checkpoint(cfg, seed, dtype)
        weights.setdefault("lm_head.weight", weights["model.embed_tokens.weight"])
        model = mo.MiniCPM4(mo.Config.from_dict(cfg), weights, np.float64, mo.Options(sparse=False))
        logits, _ = model.forward(seeded.prompt(cfg, seed, LENGTH), model.new_cache())
        cases.append({"name": name, "seed": seed, "dtype": dtype, "weightsSha256": digest, "length": LENGTH,
                      "capacity": 256, "rows": ROWS, "config": cfg})
        arrays[name] = logits[ROWS].astype(np.float32)
        best = np.sort(logits[ROWS])[:, ::-1]
        print(f"{name:44s} logits {logits.min():7.2f} .. {logits.max():6.2f}, least margin {np.min(best[:, 0] - best[:, 1]):.3f}")
    with open(os.path.join(here, "qwen3.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    st_io.save(os.path.join(here, "qwen3.safetensors"), arrays)


if __name__ == "__main__":
    main()
