"""Writes arrays.json (the cases) and arrays.safetensors (their logits): weights as GPTQ, AWQ and CPM.cu's Marlin store them.

    python3 test/golden/make_arrays.py        (needs NumPy; takes seconds)

Integers and zero points are random words, scales random f16, from a seed: arrays.json says tensor by tensor what is in
it (arrays.ts makes the same bits), so only logits are kept. Arithmetic is float64 on the weights that the tensors mean
(oracle/quant.py has the layouts of GPTQ and Marlin, AWQ's is here).
"""
import hashlib
import json
import math
import os
import sys

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "oracle")]
import minicpm4_oracle as mo  # noqa: E402
import quant  # noqa: E402
import seeded  # noqa: E402
import st_io  # noqa: E402

LENGTH, ROWS = 70, [0, 1, 15, 63, 64, 69]
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
GAINS = {"q_proj": 1.5, "k_proj": 1.5, "v_proj": 1.0, "o_proj": 4.0, "gate_proj": 1.0, "up_proj": 1.0, "down_proj": 6.0,
         "qkv_proj": 1.3, "gate_up_proj": 1.0, "lm_head": 4.0}

GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}
AWQ = {"quant_method": "awq", "bits": 4, "version": "gemm", "zero_point": True}
# name, quantization_config (None: CPM.cu's Marlin files, with this group), architecture
CASES = [
    ("gptq-4-sym-g128", {**GPTQ, "static_groups": True, "lm_head": False, "checkpoint_format": "gptq"}, "MiniCPM"),
    ("gptq-4-asym-g32", {**GPTQ, "group_size": 32, "sym": False}, "Llama"),
    ("gptq-4-asym-row-v2", {**GPTQ, "group_size": -1, "sym": False, "checkpoint_format": "gptq_v2"}, "MiniCPM"),
    ("gptq-4-sym-g64-v2-head", {**GPTQ, "group_size": 64, "checkpoint_format": "gptq_v2", "lm_head": True}, "Qwen3"),
    ("gptq-8-sym-g64", {**GPTQ, "bits": 8, "group_size": 64}, "Qwen3"),
    ("gptq-8-asym-g128", {**GPTQ, "bits": 8, "sym": False}, "MiniCPM"),
    ("gptq-4-asym-order-g32", {**GPTQ, "group_size": 32, "desc_act": True, "sym": False}, "Llama"),
    ("gptq-8-sym-order-g128-head", {**GPTQ, "bits": 8, "desc_act": True, "lm_head": True}, "MiniCPM"),
    ("awq-g64", {**AWQ, "group_size": 64}, "Llama"),
    ("marlin-g64", 64, "MiniCPM"),
    ("marlin-row", None, "MiniCPM"),
]


def config(quantization, architecture):
    cfg = {
        "architectures": [architecture + "ForCausalLM"], "hidden_act": "silu", "attention_bias": False,
        "bos_token_id": 1, "eos_token_id": 2, "vocab_size": 96, "hidden_size": 128, "intermediate_size": 192,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": False, "max_position_embeddings": 256,
        "torch_dtype": "float16",
    }
    if architecture == "MiniCPM":
        cfg |= {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 24}
    if isinstance(quantization, dict):
        cfg["quantization_config"] = quantization
    return cfg


def words(start, count):
    return seeded._hash(np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(start))


def filled(seed, tensor):
    """-> what arrays.ts fills the tensor with."""
    name, dtype, shape, fill = (tensor[field] for field in ("name", "dtype", "shape", "fill"))
    count, start = math.prod(shape), seed ^ seeded.fnv1a(name)
    if fill == "words":
        return words(start, count).view(np.int32).reshape(shape)
    if isinstance(fill, dict):
        groups = np.arange(count) // fill["group"]
        if fill.get("sorted"):
            groups[np.argsort(words(start, count), kind="stable")] = np.arange(count) // fill["group"]
        return groups.astype(np.int32)
    if dtype == "I32":
        return np.full(shape, fill, np.uint32).view(np.int32)
    amplitude, offset = fill
    return (offset + amplitude * seeded.numbers(start, count)).astype(np.float32).astype(np.float16).reshape(shape)


def arrays_of(name, rows, columns, quantization):
    """-> the tensors of one matrix."""
    base = name.removesuffix(".weight")
    marlin, how = not isinstance(quantization, dict), quantization if isinstance(quantization, dict) else {}
    bits, awq = how.get("bits", 4), how.get("quant_method") == "awq"
    group = quantization if marlin else how["group_size"]
    group = columns if group in (-1, None) else group
    groups = -(-columns // group)
    middle, symmetric = 1 << (bits - 1), marlin or how.get("sym", False)
    unit = GAINS[base.split(".")[-1]] / math.sqrt(columns) / (0.29 * 2**bits) / (1 if symmetric else math.sqrt(2))

    def tensor(part, dtype, shape, fill):
        return {"name": f"{base}.{part}", "dtype": dtype, "shape": shape, "fill": fill}

    integers = [columns // 16, 2 * rows] if marlin else [columns, rows // 8] if awq else [columns * bits // 32, rows]
    out = [tensor("qweight", "I32", integers, "words"), tensor("scales", "F16", [groups, rows], [unit / 2, unit])]
    if marlin:
        return out
    stored = middle - (0 if how.get("checkpoint_format") == "gptq_v2" else 1)
    same = sum(stored << shift for shift in range(0, 32, bits))
    out.append(tensor("qzeros", "I32", [groups, rows * bits // 32], same if symmetric else "words"))
    if not awq:
        out.append(tensor("g_idx", "I32", [columns], {"group": group, "sorted": how["desc_act"]}))
        out.append(tensor("bias", "F16", [rows], [0, 0]))
    return out


def meaning(parts, quantization):
    """-> W float64 [rows, columns] of the tensors of one matrix."""
    if not isinstance(quantization, dict):
        return quant.marlin_dequant(parts["qweight"], parts["scales"]).astype(np.float64)
    bits = quantization["bits"]
    if quantization["quant_method"] == "awq":
        codes, zeros = (awq_unpack(parts[part]) for part in ("qweight", "qzeros"))
    else:
        codes = quant.gptq_unpack_rows(parts["qweight"], bits).astype(np.int64)
        added = 0 if quantization.get("checkpoint_format") == "gptq_v2" else 1
        # AutoGPTQ's kernels wrap around: a zero point of 0 is stored as 2^bits - 1.
        zeros = (quant.gptq_unpack_cols(parts["qzeros"], bits).astype(np.int64) + added) & ((1 << bits) - 1)
    group = quantization["group_size"]
    index = parts.get("g_idx", np.arange(len(codes)) // (len(codes) if group == -1 else group))
    return ((codes - zeros[index]) * parts["scales"].astype(np.float64)[index]).T


def awq_unpack(words):
    """int32 [K, N/8] -> int64 [K, N]: AutoAWQ packs column ORDER[i] of 8 into bits 4 i and on."""
    out = np.zeros((words.shape[0], words.shape[1], 8), np.int64)
    for i, column in enumerate(AWQ_ORDER):
        out[:, :, column] = (words.view(np.uint32) >> np.uint32(4 * i)) & 15
    return out.reshape(words.shape[0], -1)


def tensors(cfg, quantization):
    """-> every tensor of the checkpoint in file order, and which of them are matrices in arrays: {name: [rows, columns]}."""
    out, matrices = [], {}
    queries, keys = 128, 64
    for name, shape, amplitude, offset in seeded.tensors(cfg):
        part = name.split(".")[-2]
        is_head = part == "lm_head" and isinstance(quantization, dict) and quantization.get("lm_head")
        if not isinstance(quantization, dict):
            fused = {"q_proj": ("qkv_proj", queries + 2 * keys), "gate_proj": ("gate_up_proj", 2 * cfg["intermediate_size"])}
            if part in ("k_proj", "v_proj", "up_proj"):
                continue
            if part in fused:
                name, shape = name.replace(part, fused[part][0]), [fused[part][1], shape[1]]
        if part.endswith("_proj") or is_head:
            matrices[name] = shape
            out += arrays_of(name, *shape, quantization)
        else:
            out.append({"name": name, "dtype": "F16", "shape": shape, "fill": [amplitude, offset]})
    return out, matrices


def split(weights):
    """Marlin's fused matrices as the model has them."""
    for name in list(weights):
        for whole, parts in (("qkv_proj", {"q_proj": 128, "k_proj": 64, "v_proj": 64}),
                             ("gate_up_proj", {"gate_proj": 192, "up_proj": 192})):
            if f".{whole}." in name:
                rows, first = weights.pop(name), 0
                for part, count in parts.items():
                    weights[name.replace(whole, part)] = rows[first : first + count]
                    first += count
    return weights


def main():
    cases, logits_of = [], {}
    for number, (name, quantization, architecture) in enumerate(CASES):
        cfg, seed = config(quantization, architecture), 3000 + number
        described, matrices = tensors(cfg, quantization)
        stored = {tensor["name"]: filled(seed, tensor) for tensor in described}
        digest = hashlib.sha256(b"".join(stored[tensor["name"]].tobytes() for tensor in described)).hexdigest()
        weights = {}
        for matrix in matrices:
            base = matrix.removesuffix(".weight") + "."
            weights[matrix] = meaning({key[len(base):]: x for key, x in stored.items() if key.startswith(base)}, quantization)
        weights |= {key: x.astype(np.float64) for key, x in stored.items() if key.endswith(".weight")}
        model = mo.MiniCPM4(mo.Config.from_dict(cfg), split(weights), np.float64, mo.Options(sparse=False))
        logits, _ = model.forward(seeded.prompt(cfg, seed, LENGTH), model.new_cache())
        cases.append({"name": name, "seed": seed, "weightsSha256": digest, "length": LENGTH, "rows": ROWS, "config": cfg,
                      "tensors": described})
        logits_of[name] = logits[ROWS].astype(np.float32)
        print(f"{name:24s} logits {logits.min():7.2f} .. {logits.max():6.2f}")
    with open(os.path.join(here, "arrays.json"), "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    st_io.save(os.path.join(here, "arrays.safetensors"), logits_of)


if __name__ == "__main__":
    main()
