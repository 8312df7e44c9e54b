/** Reads protobuf's wire format without knowing the messages: what a test looks at. */

export interface WireField {
  readonly number: number;
  /** A varint, the bytes of four, or the content of a length-delimited field. */
  readonly value: number | Buffer;
}

/** @throws RangeError where the bytes are no message. */
export function wireFields(bytes: Buffer): WireField[] {
  const fields: WireField[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes.readUInt8(at++);
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const length = { 0: 0, 2: -1, 5: 4 }[key % 8];
    if (length === undefined) throw new RangeError(`wire type ${key % 8} at ${at}`);
    const number = Math.floor(key / 8);
    if (length === 0) {
      fields.push({ number, value: varint() });
      continue;
    }
    const size = length < 0 ? varint() : length;
    if (at + size > bytes.length) throw new RangeError(`field ${number} is cut`);
    fields.push({ number, value: bytes.subarray(at, at + size) });
    at += size;
  }
  return fields;
}

/** The values of one field, in order. */
export function valuesOf(bytes: Buffer, number: number): (number | Buffer)[] {
  return wireFields(bytes)
    .filter((field) => field.number === number)
    .map(({ value }) => value);
}

export function messagesOf(bytes: Buffer, number: number): Buffer[] {
  return valuesOf(bytes, number).filter((value) => Buffer.isBuffer(value));
}

export function textsOf(bytes: Buffer, number: number): string[] {
  return messagesOf(bytes, number).map(String);
}
