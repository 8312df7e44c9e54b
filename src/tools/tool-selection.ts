/** A few of many tools, those closest to a question. BM25+: Lv & Zhai 2011, "Lower-bounding term frequency normalization". */
import MiniSearch from "minisearch";
import type { ToolDefinition } from "./tool.ts";

export interface SelectionOptions {
  /** What the user asks. */
  readonly query: string;
  /** What the selected may take all together, in the unit of `sizeOf`. */
  readonly budget: number;
  readonly sizeOf: (tool: ToolDefinition) => number;
  /** Names of tools that are selected before all others. */
  readonly keep?: ReadonlySet<string>;
}

/**
 * All tools where they fit the budget; else those to keep, then the best matches of name and description as long as they
 * fit, at least one, then others in their order. In the tools' own order, so that equal selections give equal prompts.
 */
export function selectTools<Tool extends ToolDefinition>(
  tools: readonly Tool[],
  { query, budget, sizeOf, keep = new Set() }: SelectionOptions,
): readonly Tool[] {
  const total = tools.reduce((sum, tool) => sum + sizeOf(tool), 0);
  if (total <= budget) return tools;
  const kept = tools.filter(({ name }) => keep.has(name));
  const matches = bestMatches(tools, query);
  const selected = new Set<Tool>();
  let used = 0;
  for (const tool of [...kept, ...matches, ...tools]) {
    const size = sizeOf(tool);
    if (selected.has(tool) || (used + size > budget && selected.size > 0)) continue;
    selected.add(tool);
    used += size;
  }
  return tools.filter((tool) => selected.has(tool));
}

/** Tools that share a word with the query, best first. */
export function bestMatches<Tool extends ToolDefinition>(tools: readonly Tool[], query: string): Tool[] {
  const index = new MiniSearch<{ id: number; name: string; description: string; parameters: string }>({
    fields: ["name", "description", "parameters"],
    tokenize: words,
    searchOptions: { boost: { name: 2 }, prefix: (term) => term.length > 3, fuzzy: false },
  });
  index.addAll(
    tools.map(({ name, description = "", parameters }, id) => ({
      id,
      name,
      description,
      parameters: Object.keys((parameters?.properties as object | undefined) ?? {}).join(" "),
    })),
  );
  return index.search(query).flatMap(({ id }) => tools[id as number] ?? []);
}

/** `readTextFile` and `read_text_file` are three words; each Chinese character is one. */
function words(text: string): string[] {
  return (
    text
      .replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2")
      .match(/\p{Script=Han}|[\p{L}\p{N}]+?(?=\p{Script=Han}|[^\p{L}\p{N}]|$)/gu) ?? []
  );
}
