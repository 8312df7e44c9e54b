"""Writes sparse.json (the cases) and sparse.safetensors (their logits) for InfLLM v2's sparse attention.

    python3 test/golden/make_sparse.py        (needs NumPy; takes a minute)

Small models whose blocks compete from early on, under both generations of the rule and both normalizers. Logits are kept
on both sides of every boundary: the first blocks, the dense length, the budget, a pooled key's end. Weights come from a
seed (seeded.py); arithmetic is float64 on the rounded weights (oracle/minicpm4_oracle.py). A case is used only where
every choice is clear of float32's errors, or a structural tie: then a wrong block shows in the logits.
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

LENGTH = 780
# head_dim, group, kv_heads, layers, init_blocks, window_size, topk, dense_len
MODELS = [
    (32, 16, 1, 2, 1, 64, 3, 256),
    (64, 8, 2, 2, 1, 128, 4, 450),
    (64, 4, 1, 3, 2, 64, 5, 0),
    (128, 2, 2, 1, 1, 192, 3, -1),
]
LEAST_MARGIN = 1e-6  # of a choice, relative to the score


def config(head_dim, group, kv_heads, layers, init_blocks, window_size, topk, dense_len):
    return {
        "architectures": ["MiniCPMForCausalLM"], "model_type": "minicpm",
        "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "attention_bias": False,
        "vocab_size": 96, "hidden_size": 96, "intermediate_size": 104, "num_hidden_layers": layers,
        "num_attention_heads": group * kv_heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 24,
        "tie_word_embeddings": True, "max_position_embeddings": 1024, "torch_dtype": "bfloat16",
        "sparse_config": {"kernel_size": 32, "kernel_stride": 16, "init_blocks": init_blocks, "block_size": 64,
                          "window_size": window_size, "topk": topk, "use_nope": False, "dense_len": dense_len},
    }


def rows_of(window_size, topk, dense_len):
    budget = topk + window_size // 64
    edges = {1, 32, 64, 128, dense_len, 64 * budget, 64 * budget + 16, 640, 704, LENGTH}
    return sorted({r for e in edges for r in (e - 2, e - 1, e) if 0 <= r < LENGTH})


def run(cfg, weights, tokens, rule, lse):
    model = mo.MiniCPM4(mo.Config.from_dict(cfg), weights, np.float64, mo.Options(rule=rule, lse=lse))
    trace = mo.Trace()
    logits, _ = model.forward(tokens, model.new_cache(), trace)
    margins = [trace.get(layer, "margin") for layer in range(cfg["num_hidden_layers"])]
    clear = min((m[(m > 0) & np.isfinite(m)].min(initial=np.inf) for m in margins))
    ties = sum(int((m == 0).sum()) for m in margins)
    return logits, clear, ties


def main():
    cases, arrays = [], {}
    for number, numbers in enumerate(MODELS):
        head_dim, group, kv_heads, layers, init_blocks, window_size, topk, dense_len = numbers
        cfg = config(*numbers)
        rows = rows_of(window_size, topk, dense_len)
        for rule in ("v4.0", "v4.1"):
            for lse in ("exact", "coarse"):
                cfg["sparse_config"].update(rule=rule, lse=lse)
                for seed in range(100 * number + 5000, 100 * number + 5100):
                    weights, digest = seeded.checkpoint(cfg, seed, "BF16")
                    weights.setdefault("lm_head.weight", weights["model.embed_tokens.weight"])
                    tokens = seeded.prompt(cfg, seed, LENGTH)
                    logits, clear, ties = run(cfg, weights, tokens, rule, lse)
                    if clear > LEAST_MARGIN:
                        break
                else:
                    sys.exit("no seed with clear choices")
                dense = mo.MiniCPM4(mo.Config.from_dict(cfg), weights, np.float64, mo.Options(sparse=False))
                apart = np.abs(dense.forward(tokens, dense.new_cache())[0] - logits)[-1].max() / np.abs(logits).max()
                name = f"hd{head_dim}-g{group}-kv{kv_heads}-l{layers}-{rule}-{lse}"
                cases.append({"name": name, "seed": seed, "dtype": "BF16", "weightsSha256": digest, "length": LENGTH,
                              "capacity": 1024, "rows": rows, "config": json.loads(json.dumps(cfg))})
                arrays[name] = logits[rows].astype(np.float32)
                print(f"{name:32s} seed {seed}, least margin {clear:.1e}, {ties} ties, last row {apart:.1e} from dense", flush=True)
    with open(os.path.join(here, "sparse.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    st_io.save(os.path.join(here, "sparse.safetensors"), arrays)


if __name__ == "__main__":
    main()
