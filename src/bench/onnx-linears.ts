/**
 * The linear layers of a model and its head as ONNX graphs of MatMulNBits: int4 weights with a float32 scale a block, int8
 * activations inside. Random weights. Attention is not there: what is measured is more than a whole model could reach.
 */
import type { ModelConfig } from "../model/config.ts";
import { microsoft, type OnnxNode, type OnnxTensor, onnxModel, onnxTypes } from "./onnx-writer.ts";

export interface LinearsOptions {
  /** Weights that share a scale: 16 to 256, a power of two. */
  readonly block: number;
  /** How many of the model's layers. */
  readonly layers: number;
}

/** [rows, hidden] `x` through every layer's norm, qkv, o, gate, up, silu and down: [rows, hidden] `y`. */
export function layersModel(config: ModelConfig, { block, layers }: LinearsOptions): Buffer {
  const { hiddenSize: hidden, intermediateSize: inner, headDim } = config;
  const queries = config.heads * headDim;
  const linears = new Linears(block);
  const nodes: OnnxNode[] = [];
  for (let layer = 0; layer < layers; ++layer) {
    const at = (name: string) => `${name}${layer}`;
    const input = layer === 0 ? "x" : `down${layer - 1}`;
    const output = layer === layers - 1 ? "y" : at("down");
    nodes.push(
      {
        operator: "SkipSimplifiedLayerNormalization",
        domain: microsoft,
        inputs: [input, "x", "ones"],
        outputs: [at("norm")],
        floats: { epsilon: config.rmsNormEps },
      },
      linears.node(at("norm"), at("qkv"), queries + 2 * config.kvHeads * headDim, hidden),
      plain("Slice", [at("qkv"), "from", "to", "axis"], at("values")),
      linears.node(at("values"), at("o"), hidden, queries),
      linears.node(at("o"), at("gate"), inner, hidden),
      linears.node(at("o"), at("up"), inner, hidden),
      plain("Sigmoid", [at("gate")], at("sigmoid")),
      plain("Mul", [at("gate"), at("sigmoid")], at("silu")),
      plain("Mul", [at("silu"), at("up")], at("product")),
      linears.node(at("product"), output, hidden, inner),
    );
  }
  const number = (name: string, value: number): OnnxTensor => {
    return { name, type: onnxTypes.int64, dims: [1], data: bytesOf(BigInt64Array.of(BigInt(value))) };
  };
  const ones = bytesOf(new Float32Array(hidden).fill(1));
  return onnxModel({
    nodes,
    weights: [
      { name: "ones", type: onnxTypes.float, dims: [hidden], data: ones },
      number("from", 0),
      number("to", queries),
      number("axis", 1),
      ...linears.weights,
    ],
    inputs: [{ name: "x", columns: hidden }],
    outputs: [{ name: "y", columns: hidden }],
  });
}

/** [rows, hidden] `x` to logits `y`. */
export function headModel(
  { vocabSize, hiddenSize }: ModelConfig,
  { block }: Pick<LinearsOptions, "block">,
): Buffer {
  const linears = new Linears(block);
  return onnxModel({
    nodes: [linears.node("x", "y", vocabSize, hiddenSize)],
    weights: linears.weights,
    inputs: [{ name: "x", columns: hiddenSize }],
    outputs: [{ name: "y", columns: vocabSize }],
  });
}

/** Linear nodes, and the weights that they need. */
class Linears {
  readonly weights: OnnxTensor[] = [];

  constructor(private readonly block: number) {}

  node(input: string, output: string, rows: number, columns: number): OnnxNode {
    const blocks = Math.ceil(columns / this.block);
    const [quants, scales] = [`${output}.quants`, `${output}.scales`];
    const count = rows * blocks;
    const spread = 1 / (4.6 * Math.sqrt(columns)); // nibbles deviate by 4.6: the output is about as large as the input
    this.weights.push(
      {
        name: quants,
        type: onnxTypes.uint8,
        dims: [rows, blocks, this.block / 2],
        data: randomBytes((count * this.block) / 2, this.weights.length),
      },
      {
        name: scales,
        type: onnxTypes.float,
        dims: [count],
        data: bytesOf(new Float32Array(count).fill(spread)),
      },
    );
    const integers = { K: columns, N: rows, bits: 4, block_size: this.block, accuracy_level: 4 };
    return {
      operator: "MatMulNBits",
      domain: microsoft,
      inputs: [input, quants, scales],
      outputs: [output],
      integers,
    };
  }
}

function plain(operator: string, inputs: readonly string[], output: string): OnnxNode {
  return { operator, domain: "", inputs, outputs: [output] };
}

function bytesOf(array: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/**
 * xorshift (Marsaglia 2003), 32 bits. Every layer has bytes of its own: ONNX Runtime keeps weights that are equal once, and
 * reads them from the cache then.
 *
 * @param count a multiple of 4
 */
function randomBytes(count: number, salt: number): Uint8Array {
  const words = new Uint32Array(count / 4);
  let state = 2463534242 ^ Math.imul(salt, 0x9e3779b9);
  for (let i = 0; i < words.length; ++i) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}
