"""Random quant blocks of every GGUF type that is read, with what gguf's dequantizer makes of them, as a C++ header.

Usage: pip install gguf==0.17.1 && python3 test/golden/make_quant_blocks.py > test/kernels/quant_blocks_golden.h

Any byte may stand anywhere but in the f16 fields, which are finite numbers of both signs, some of them subnormal.
"""
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

# Where a block has its f16 fields.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "TQ1_0": [52], "TQ2_0": [64],
}


def blocks(random, name, count):
    _, size = GGML_QUANT_SIZES[Type[name]]
    result = random.integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES[name]:
        halves = (random.standard_normal(count) * 10.0 ** random.integers(-6, 2, count)).astype(np.float16)
        result[:, at : at + 2] = halves.view(np.uint8).reshape(count, 2)
    return result


def main():
    random = np.random.default_rng(20261128)
    print("// Made by test/golden/make_quant_blocks.py: blocks of GGUF, and their numbers by the gguf package.")
    print("// clang-format off")
    print("#pragma once\n\n#include <cstdint>\n#include <vector>\n\n#include \"kernels/quant_blocks.h\"\n")
    print("namespace minicpm::test {\n")
    print("struct QuantBlocksGolden {\n  QuantType type;\n  std::vector<uint8_t> bytes;\n"
          "  std::vector<uint32_t> numbers;  // the bits of floats\n};\n")
    print("inline const QuantBlocksGolden kQuantBlocksGolden[] = {")
    for name in HALVES:
        elements, _ = GGML_QUANT_SIZES[Type[name]]
        data = blocks(random, name, 256 // elements)
        numbers = dequantize(data, Type[name]).astype(np.float32).reshape(-1).view(np.uint32)
        print(f"    {{QuantType::{name.lower()}, {{")
        rows(["%d" % byte for byte in data.reshape(-1)], 24)
        print("     }, {")
        rows(["0x%x" % number for number in numbers], 8)
        print("     }},")
    print("};\n\n}  // namespace minicpm::test")


def rows(words, width):
    for first in range(0, len(words), width):
        print("         " + ", ".join(words[first : first + width]) + ",")


main()
