"""Model folders: config.json and model.safetensors under Hugging Face names, in bfloat16."""

import json
import os
import struct

import torch

from model import MiniCPM4

PARENTS = {name: "self_attn." for name in ("q_proj", "k_proj", "v_proj", "o_proj")}
PARENTS |= {name: "mlp." for name in ("gate_proj", "up_proj", "down_proj")}


def hugging_face_name(name):
    """layers.0.q_proj.weight -> model.layers.0.self_attn.q_proj.weight"""
    parts = name.split(".")
    if parts[0] == "layers":
        parts[2] = PARENTS.get(parts[2], "") + parts[2]
    return "model." + ".".join(parts)


def replace_file(path, data):
    """Writes it whole or not at all."""
    with open(path + ".part", "wb") as file:
        file.write(data)
    os.replace(path + ".part", path)


def save_folder(net, folder):
    os.makedirs(folder, exist_ok=True)
    config = {key: value for key, value in net.config.items() if value is not None}
    replace_file(os.path.join(folder, "config.json"), json.dumps(config, indent=2).encode())
    head, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, weight in sorted(
        net.state_dict().items(), key=lambda entry: hugging_face_name(entry[0])
    ):
        data = weight.detach().cpu().bfloat16().contiguous().view(torch.int16).numpy().tobytes()
        offsets = [at, at + len(data)]
        head[hugging_face_name(name)] = {
            "dtype": "BF16", "shape": list(weight.shape), "data_offsets": offsets,
        }  # fmt: skip
        blobs.append(data)
        at += len(data)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    data = struct.pack("<Q", len(text)) + text + b"".join(blobs)
    replace_file(os.path.join(folder, "model.safetensors"), data)


def read_safetensors(path):
    """-> {name: float32 tensor} of a bfloat16 file."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (size,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in head.items():
        if name != "__metadata__":
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            flat = torch.frombuffer(data[start:end], dtype=torch.bfloat16)
            tensors[name] = flat.float().view(entry["shape"])
    return tensors


def load_weights(net, folder):
    tensors = read_safetensors(os.path.join(folder, "model.safetensors"))
    net.load_state_dict({name: tensors[hugging_face_name(name)] for name in net.state_dict()})


def load_folder(folder):
    """-> the model in a folder, in float32."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        net = MiniCPM4({"sparse_config": None, **json.load(file)})
    load_weights(net, folder)
    return net
