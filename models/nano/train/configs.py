"""The two models of the family, as their config.json."""

import math

LONGROPE_FACTORS = [round(1 + 7 / (1 + math.exp(-0.375 * (i - 15.5))), 6) for i in range(32)]

NANO = {
    "architectures": ["MiniCPMForCausalLM"],
    "model_type": "minicpm",
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "vocab_size": 2048,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": {
        "rope_type": "longrope",
        "original_max_position_embeddings": 4096,
        "short_factor": LONGROPE_FACTORS,
        "long_factor": LONGROPE_FACTORS,
    },
    "tie_word_embeddings": True,
    "scale_emb": 12,
    "scale_depth": 1.4,
    "dim_model_base": 128,
    "initializer_range": 0.1,
    "hidden_act": "silu",
    "attention_bias": False,
    "bos_token_id": 1,
    "eos_token_id": [2, 2040],
    "torch_dtype": "bfloat16",
    "sparse_config": {
        "kernel_size": 32,
        "kernel_stride": 16,
        "init_blocks": 1,
        "block_size": 64,
        "window_size": 256,
        "topk": 24,
        "use_nope": False,
        "dense_len": 1024,
        "rule": "v4.1",
        "lse": "exact",
    },
}
DRAFT = {
    **NANO,
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "sparse_config": None,
}
CONFIGS = {"nano": NANO, "draft": DRAFT}
