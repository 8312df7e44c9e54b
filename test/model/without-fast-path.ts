/** A tokenizer that gives the same tokens without the fast path. */

/**
 * A copy of a `tokenizer.json` with one merge more: its tokens are in no text, so it never applies, but it joins
 * something to a `▁`, and that makes the fast path illegal.
 */
export function withoutFastPath<T extends { readonly model: { readonly merges: readonly unknown[] } }>(
  json: T,
): T {
  const never = Array.isArray(json.model.merges[0]) ? ["\ue123", "▁\ue124"] : "\ue123 ▁\ue124";
  return { ...json, model: { ...json.model, merges: [...json.model.merges, never] } };
}
