"""Random weights and prompts from a seed, the same bits as seeded-checkpoint.ts makes.

Number i of a stream is hash(seed + i * 0x9E3779B9) >> 8, 24 bits, read as [-1, 1); hash is MurmurHash3's finalizer.
A weight is offset + amplitude * number in double arithmetic, rounded to float32, then to the checkpoint's dtype (to
nearest, ties to even). A tensor's seed is the checkpoint's seed xor FNV-1a of the tensor's name.
"""
import hashlib
import math

import numpy as np


def _hash(x):
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def fnv1a(name):
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h


def numbers(seed, count):
    """-> float64 [count] in [-1, 1)."""
    index = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(seed)
    return (_hash(index) >> np.uint32(8)).astype(np.float64) / 8388608.0 - 1.0


def tensors(cfg):
    """-> [(name, shape, amplitude, offset)] in file order. Spread as in a trained model: logits differ by about 10."""
    hidden, inner, vocab = cfg["hidden_size"], cfg["intermediate_size"], cfg["vocab_size"]
    heads, kv_heads = cfg["num_attention_heads"], cfg["num_key_value_heads"]
    head_dim = cfg.get("head_dim") or hidden // heads
    tied = cfg["tie_word_embeddings"]

    def linear(name, rows, columns, gain):
        return (name, [rows, columns], gain * math.sqrt(3 / columns), 0.0)

    def qk_norms(p):
        if cfg["architectures"][0] != "Qwen3ForCausalLM":
            return []
        return [(p + f"self_attn.{name}_norm.weight", [head_dim], 0.5, 1.5) for name in "qk"]

    out = [("model.embed_tokens.weight", [vocab, hidden], 1 / 8, 0.0)]
    for i in range(cfg["num_hidden_layers"]):
        p = f"model.layers.{i}."
        out += [
            (p + "input_layernorm.weight", [hidden], 0.25, 1.0),
            linear(p + "self_attn.q_proj.weight", heads * head_dim, hidden, 1.5),
            linear(p + "self_attn.k_proj.weight", kv_heads * head_dim, hidden, 1.5),
            linear(p + "self_attn.v_proj.weight", kv_heads * head_dim, hidden, 1.0),
            linear(p + "self_attn.o_proj.weight", hidden, heads * head_dim, 4.0),
            *qk_norms(p),
            (p + "post_attention_layernorm.weight", [hidden], 0.25, 1.0),
            linear(p + "mlp.gate_proj.weight", inner, hidden, 1.0),
            linear(p + "mlp.up_proj.weight", inner, hidden, 1.0),
            linear(p + "mlp.down_proj.weight", hidden, inner, 6.0),
        ]
    # A tied head would answer every token with itself; a final norm of both signs turns its output away.
    out.append(("model.norm.weight", [hidden], *((1.75, 0.0) if tied else (0.25, 1.0))))
    if not tied:
        out.append(linear("lm_head.weight", vocab, hidden, 4.0))
    return out


def weights(cfg, seed):
    """-> {name: float32 array}, not yet rounded to the checkpoint's dtype."""
    out = {}
    for name, shape, amplitude, offset in tensors(cfg):
        x = offset + amplitude * numbers(seed ^ fnv1a(name), math.prod(shape))
        out[name] = x.astype(np.float32).reshape(shape)
    return out


def stored(x, dtype):
    """float32 array -> (bytes as the checkpoint stores them, their exact values as float64)."""
    if dtype == "F32":
        return x.tobytes(), x.astype(np.float64)
    if dtype == "F16":
        half = x.astype(np.float16)
        return half.tobytes(), half.astype(np.float64)
    bits = np.ascontiguousarray(x).view(np.uint32)
    bits = ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)
    return bits.tobytes(), (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64).reshape(x.shape)


def checkpoint(cfg, seed, dtype):
    """-> ({name: float64 array}, sha256 of all tensor bytes in file order)."""
    digest, out = hashlib.sha256(), {}
    for name, x in weights(cfg, seed).items():
        raw, out[name] = stored(x, dtype)
        digest.update(raw)
    return out, digest.hexdigest()


def prompt(cfg, seed, length):
    """-> int32 [length]: bos, then ids of the whole vocabulary but the first three."""
    unit = (numbers(seed ^ fnv1a("prompt"), length) + 1) / 2
    ids = 3 + np.floor(unit * (cfg["vocab_size"] - 3)).astype(np.int32)
    ids[0] = 1
    return ids
