/** A tokenizer.json as small as one that has a merge, an added token and byte fallback. */
export const smallTokenizer = {
  version: "1.0",
  added_tokens: [{ id: 1, content: "<s>", special: true, lstrip: false, rstrip: false, normalized: false }],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "▁" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
      { type: "Strip", content: " ", start: 1, stop: 0 },
    ],
  },
  model: {
    type: "BPE",
    unk_token: "<unk>",
    byte_fallback: true,
    fuse_unk: true,
    vocab: { "<unk>": 0, "<s>": 1, "▁": 2, a: 3, b: 4, "▁a": 5, "<0x0A>": 6 },
    merges: ["▁ a"],
  },
};
