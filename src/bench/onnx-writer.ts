/** Writes ONNX models (onnx.proto3 of IR version 9) in protobuf's wire format: as much as graphs of a few operators need. */

export const onnxTypes = { float: 1, uint8: 2, int64: 7 } as const;

export interface OnnxTensor {
  readonly name: string;
  readonly type: (typeof onnxTypes)[keyof typeof onnxTypes];
  readonly dims: readonly number[];
  /** Its numbers, little-endian. */
  readonly data: Uint8Array;
}

export interface OnnxNode {
  readonly operator: string;
  /** "" for ONNX's own. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly integers?: Readonly<Record<string, number>>;
  readonly floats?: Readonly<Record<string, number>>;
}

/** A float32 matrix that goes in or comes out; its rows may be any number. */
export interface OnnxMatrix {
  readonly name: string;
  readonly columns: number;
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly weights: readonly OnnxTensor[];
  readonly inputs: readonly OnnxMatrix[];
  readonly outputs: readonly OnnxMatrix[];
}

/** Microsoft's operators, in every build of ONNX Runtime. */
export const microsoft = "com.microsoft";

/** @returns a ModelProto; protobuf allows 2 GiB. */
export function onnxModel({ nodes, weights, inputs, outputs }: OnnxGraph): Buffer {
  const graph = message(
    ...nodes.map((node, index) => field(1, nodeProto(node, index))),
    field(2, text("graph")),
    ...weights.map((weight) => field(5, tensorProto(weight))),
    ...inputs.map((matrix) => field(11, valueInfo(matrix))),
    ...outputs.map((matrix) => field(12, valueInfo(matrix))),
  );
  const operators = (domain: string, version: number) =>
    field(8, message(field(1, text(domain)), integer(2, version)));
  return message(integer(1, 9), field(7, graph), operators("", 18), operators(microsoft, 1));
}

function nodeProto({ operator, domain, inputs, outputs, integers, floats }: OnnxNode, index: number): Buffer {
  return message(
    ...inputs.map((name) => field(1, text(name))),
    ...outputs.map((name) => field(2, text(name))),
    field(3, text(`node${index}`)),
    field(4, text(operator)),
    ...Object.entries(floats ?? {}).map(([name, value]) =>
      field(5, message(field(1, text(name)), float(2, value), integer(20, 1))),
    ),
    ...Object.entries(integers ?? {}).map(([name, value]) =>
      field(5, message(field(1, text(name)), integer(3, value), integer(20, 2))),
    ),
    field(7, text(domain)),
  );
}

function tensorProto({ name, type, dims, data }: OnnxTensor): Buffer {
  return message(
    ...dims.map((length) => integer(1, length)),
    integer(2, type),
    field(8, text(name)),
    field(9, data),
  );
}

function valueInfo({ name, columns }: OnnxMatrix): Buffer {
  const shape = message(field(1, message(field(2, text("rows")))), field(1, message(integer(1, columns))));
  const tensorType = message(integer(1, onnxTypes.float), field(2, shape));
  return message(field(1, text(name)), field(2, message(field(1, tensorType))));
}

function message(...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields);
}

/** A length-delimited field. */
function field(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
}

function integer(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

function float(number: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint(number * 8 + 5), bytes]);
}

function text(value: string): Buffer {
  return Buffer.from(value);
}

/** Seven bits a byte, low ones first. @param value an integer from 0 on */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
}
