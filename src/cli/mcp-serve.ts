/** `minicpm mcp serve`: the model as an MCP server. */
import type { Command } from "commander";
import { modelTools } from "../chat/model-tools.ts";
import {
  type AnswerOptions,
  addGenerateOptions,
  addLoadOptions,
  addOutputOptions,
  applyOutputOptions,
  generateOptions,
  guarded,
  loadOptions,
} from "./command-options.ts";
import { defaultModelHelp, modelHelp } from "./default-model.ts";
import { interruptible } from "./interrupt.ts";
import { loadAloud } from "./load-aloud.ts";
import { integer } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

interface ServeFlags extends AnswerOptions {
  readonly http?: boolean;
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string;
}

export function addMcpServeCommand(mcp: Command, terminal: Terminal): void {
  const command = mcp
    .command("serve")
    .description(
      "Serve chat, complete, extract and count_tokens to MCP clients: over stdin and stdout, to the program that started " +
        "this, or by --http at http://HOST:PORT/mcp.",
    )
    .argument("[model]", `${modelHelp} (${defaultModelHelp})`)
    .option("--http", "over HTTP")
    .option("--host <address>", "where to listen; beyond this machine only with --api-key", "127.0.0.1")
    .option("--port <number>", "0 takes a free one", guarded(integer(0, 65_535)), 11_536)
    .option("--api-key <key>", "clients have to send it as a bearer token");
  addOutputOptions(command, "notices as JSON lines");
  addGenerateOptions(addLoadOptions(command));
  command.action(async (reference: string | undefined, options: ServeFlags) => {
    applyOutputOptions(terminal, options);
    const { serveMcpHttp, serveMcpStdio } = await import("../tools/mcp-serve.ts");
    await interruptible(async (signal) => {
      const load = { ...loadOptions(options), verbose: options.verbose, keep: false, signal };
      await using model = await loadAloud(reference, load, terminal);
      const tools = modelTools(model, generateOptions(options));
      const ended = new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve());
        if (!options.http) process.stdin.once("close", resolve).once("end", resolve);
      });
      const { host, port, apiKey } = options;
      const service = options.http
        ? await serveMcpHttp({ tools, host, port, apiKey })
        : serveMcpStdio({ tools });
      if (service.url !== undefined) terminal.notice(`${model.info.name} is served at ${service.url}`);
      await ended;
      await service.close();
    });
  });
}
