/** What an MCP server gives, as results of tools. */
import type { CallToolResult, ContentBlock } from "@modelcontextprotocol/client";
import type { ToolContent, ToolResult } from "./tool.ts";

export function toolResultOf({ content, structuredContent, isError }: CallToolResult): ToolResult {
  return {
    content: content.map(toolContentOf),
    ...(structuredContent !== undefined && { structured: structuredContent }),
    ...(isError && { isError }),
  };
}

function toolContentOf(block: ContentBlock): ToolContent {
  switch (block.type) {
    case "text":
      return { type: "text", text: block.text };
    case "image":
    case "audio":
      return { type: block.type, data: block.data, mimeType: block.mimeType };
    case "resource_link":
      return { type: "resource", uri: block.uri };
    case "resource": {
      const { uri } = block.resource;
      return "text" in block.resource
        ? { type: "resource", uri, text: block.resource.text }
        : { type: "resource", uri };
    }
    default:
      return { type: "text", text: JSON.stringify(block) };
  }
}
