/** Float32 rounded to 16 bits and back, on bits. */

/** Float32 bits to bfloat16 bits, to nearest, ties to even; finite numbers only. */
export function toBf16(bits: number): number {
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** Float32 bits to float16 bits, to nearest, ties to even; finite numbers below 65,504 only. */
export function toF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112; // float16's biased exponent
  const mantissa = bits & 0x7fffff;
  if (exponent > 0) {
    const half = (exponent << 10) | (mantissa >>> 13);
    return sign | (half + roundUp(mantissa, 13, half));
  }
  const shift = 14 - exponent; // subnormal: the leading one becomes an ordinary bit
  if (shift > 24) return sign;
  const whole = mantissa | 0x800000;
  const half = whole >>> shift;
  return sign | (half + roundUp(whole, shift, half));
}

/** The number of float16 bits (IEEE 754 binary16). */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** 1 where the `shift` low bits of `value` are above a half, or a half and `kept` is odd. */
function roundUp(value: number, shift: number, kept: number): 0 | 1 {
  const rest = value & (2 ** shift - 1);
  const half = 2 ** (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0;
}
