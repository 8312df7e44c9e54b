import { expect, test } from "vitest";
import { headModel, layersModel } from "../../src/bench/onnx-linears.ts";
import { microsoft, onnxModel, onnxTypes } from "../../src/bench/onnx-writer.ts";
import { openCheckpoint } from "../../src/model/load.ts";
import { messagesOf, textsOf, valuesOf } from "./wire-format.ts";

const { config } = openCheckpoint("tiny");

/** The graph of a model, its field 7. */
const graphOf = (model: Buffer) => messagesOf(model, 7)[0] as Buffer;

/** Names, dims and bytes of the initializers. */
const weightsOf = (model: Buffer) =>
  messagesOf(graphOf(model), 5).map((tensor) => ({
    name: textsOf(tensor, 8)[0] ?? "",
    dims: valuesOf(tensor, 1),
    bytes: messagesOf(tensor, 9)[0]?.length,
  }));

test("a model is the bytes that the protobuf text says, number by number", () => {
  const model = onnxModel({
    nodes: [
      {
        operator: "Op",
        domain: "d",
        inputs: ["x"],
        outputs: ["y"],
        integers: { k: 300 },
        floats: { e: 0.5 },
      },
    ],
    weights: [{ name: "w", type: onnxTypes.uint8, dims: [2, 200], data: Uint8Array.of(1, 2) }],
    inputs: [{ name: "x", columns: 8 }],
    outputs: [{ name: "y", columns: 9 }],
  });
  expect(valuesOf(model, 1)).toEqual([9]);
  expect(messagesOf(model, 8).map((set) => [textsOf(set, 1)[0], valuesOf(set, 2)[0]])).toEqual([
    ["", 18],
    [microsoft, 1],
  ]);
  const graph = graphOf(model);
  const [node = Buffer.alloc(0)] = messagesOf(graph, 1);
  expect([1, 2, 4, 7].map((field) => textsOf(node, field)[0])).toEqual(["x", "y", "Op", "d"]);
  const [float = Buffer.alloc(0), integer = Buffer.alloc(0)] = messagesOf(node, 5);
  expect([textsOf(float, 1)[0], messagesOf(float, 2)[0]?.readFloatLE(), valuesOf(float, 20)[0]]).toEqual([
    "e",
    0.5,
    1,
  ]);
  expect([textsOf(integer, 1)[0], valuesOf(integer, 3)[0], valuesOf(integer, 20)[0]]).toEqual(["k", 300, 2]);
  expect(weightsOf(model)).toEqual([{ name: "w", dims: [2, 200], bytes: 2 }]);
  const columns = (field: number) => {
    const [info = Buffer.alloc(0)] = messagesOf(graph, field);
    const shape = messagesOf(messagesOf(messagesOf(info, 2)[0] as Buffer, 1)[0] as Buffer, 2)[0] as Buffer;
    return messagesOf(shape, 1).map((dim) => textsOf(dim, 2)[0] ?? valuesOf(dim, 1)[0]);
  };
  expect([columns(11), columns(12)]).toEqual([
    ["rows", 8],
    ["rows", 9],
  ]);
});

test("the layers' graph has every linear layer, with four bits a weight and a scale a block", () => {
  const { hiddenSize: hidden, intermediateSize: inner, heads, kvHeads, headDim } = config;
  const model = layersModel(config, { block: 32, layers: 2 });
  const quants = weightsOf(model).filter(({ name }) => name.endsWith(".quants"));
  const attention = (heads + 2 * kvHeads) * headDim * hidden + hidden * heads * headDim;
  const blocks = (columns: number) => Math.ceil(columns / 32) * 32;
  const mlp = 2 * inner * blocks(hidden) + hidden * blocks(inner);
  expect(quants).toHaveLength(2 * 5);
  expect(quants.reduce((sum, { bytes = 0 }) => sum + bytes, 0)).toBe((2 * (attention + mlp)) / 2);
  const scales = weightsOf(model).filter(({ name }) => name.endsWith(".scales"));
  expect(scales.reduce((sum, { bytes = 0 }) => sum + bytes, 0)).toBe((2 * (attention + mlp) * 4) / 32);
  const operators = messagesOf(graphOf(model), 1).map((node) => textsOf(node, 4)[0]);
  expect(operators.filter((operator) => operator === "MatMulNBits")).toHaveLength(10);
});

test("no two weights are the same, so that none can stand for another", () => {
  const quants = messagesOf(graphOf(layersModel(config, { block: 32, layers: 3 })), 5)
    .filter((tensor) => textsOf(tensor, 8)[0]?.endsWith(".quants"))
    .map((tensor) => messagesOf(tensor, 9)[0]?.toString("hex"));
  expect(new Set(quants).size).toBe(quants.length);
});

test("every input of a node is made before it, and the last one makes the output", () => {
  for (const model of [layersModel(config, { block: 32, layers: 3 }), headModel(config, { block: 128 })]) {
    const made = new Set(["x", ...weightsOf(model).map(({ name }) => name)]);
    const nodes = messagesOf(graphOf(model), 1);
    for (const node of nodes) {
      for (const input of textsOf(node, 1)) expect(made).toContain(input);
      for (const output of textsOf(node, 2)) made.add(output);
    }
    expect(textsOf(nodes.at(-1) as Buffer, 2)).toEqual(["y"]);
  }
});
