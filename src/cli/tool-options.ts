/** `--tools`, `--mcp` and how calls are approved: flags of commands that answer, and the tools they come to. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Command, Option } from "commander";
import {
  connectMcp,
  type McpCallbacks,
  type McpConfig,
  type McpHost,
  type Tool,
  type ToolDefinition,
  type ToolUse,
} from "../index.ts";
import { type ApprovalMode, Approvals, type ApprovalsOptions, approvalModes } from "../tools/approvals.ts";
import { AuditLog } from "../tools/audit-log.ts";
import { inTurn } from "../tools/in-turn.ts";
import { parseMcpConfig, secretsOf } from "../tools/mcp-config.ts";
import { checkTools } from "../tools/tool.ts";
import { guarded } from "./command-options.ts";
import { Elicitation, elicitOn } from "./elicitation.ts";
import { UsageError } from "./failure.ts";
import { stateFile } from "./folders.ts";
import { givenFile, givenJson } from "./given-file.ts";
import type { LineSource } from "./line-source.ts";
import { integer } from "./settings.ts";
import { SignIns } from "./sign-in.ts";
import type { Terminal } from "./terminal.ts";
import { askOn } from "./tool-approval.ts";

export interface ToolFlags {
  readonly tools?: readonly string[];
  readonly mcp?: readonly string[];
  readonly toolApprove?: ApprovalMode;
  readonly toolChoice?: string;
  readonly toolSelection?: "auto" | "all";
  readonly toolDryRun?: boolean;
  readonly maxSteps?: number;
}

export function addToolOptions(command: Command): Command {
  const add = (option: Option) => command.addOption(option.helpGroup("Tools:"));
  add(
    new Option(
      "--tools <file...>",
      "functions: a module with a list of defineTool(), or a JSON list of definitions",
    ),
  );
  add(new Option("--mcp <file...>", 'MCP servers: {"mcpServers": {...}}'));
  add(
    new Option("--tool-approve <mode>", "ask before each call (needs a terminal), make all, make none")
      .choices(approvalModes)
      .default("ask"),
  );
  add(new Option("--tool-choice <name>", 'call this tool first; "required": any; "none": do not call'));
  add(
    new Option("--tool-selection <mode>", "tell of all tools, or of the closest where they are many").choices(
      ["auto", "all"],
    ),
  );
  add(new Option("--tool-dry-run", "check calls, make none"));
  add(
    new Option("--max-steps <count>", "most answers in a row that call, 8 by default").argParser(
      guarded(integer(1)),
    ),
  );
  return command;
}

interface OpenToolsParts {
  /** The program's. */
  readonly own: readonly ToolDefinition[];
  readonly host?: McpHost | undefined;
  readonly approvals: Approvals;
  readonly elicitation: Elicitation;
  readonly signIns?: SignIns | undefined;
  readonly audit?: AuditLog | undefined;
  readonly flags: ToolFlags;
}

/** The tools of a command, and how they may be used. */
export class OpenTools implements AsyncDisposable {
  readonly host: McpHost | undefined;
  readonly approvals: Approvals;

  constructor(private readonly parts: OpenToolsParts) {
    this.host = parts.host;
    this.approvals = parts.approvals;
  }

  /** Those of servers that are there now, and the program's. */
  list(): readonly ToolDefinition[] {
    return [...this.parts.own, ...(this.host?.tools() ?? [])];
  }

  /** For an answer. */
  use(): ToolUse {
    const { toolChoice, toolSelection, toolDryRun, maxSteps } = this.parts.flags;
    const isWord = toolChoice === "required" || toolChoice === "none" || toolChoice === "auto";
    return {
      tools: this.list(),
      approve: this.approvals.approve,
      ...(toolChoice !== undefined && { toolChoice: isWord ? toolChoice : { name: toolChoice } }),
      toolSelection,
      dryRun: toolDryRun,
      maxSteps,
      onToolRun: this.parts.audit?.add,
    };
  }

  /** Somebody is there, who is asked one thing after the other. @param onInterrupt Ctrl-C instead of an answer */
  askOn(source: Pick<LineSource, "read">, terminal: Terminal, onInterrupt: () => void): void {
    const turns = inTurn();
    const approve = askOn(source, terminal, onInterrupt);
    const elicit = elicitOn(source, terminal, onInterrupt);
    this.approvals.ask = (...asked) => turns(() => approve(...asked));
    this.parts.elicitation.ask = (...asked) => turns(() => elicit(...asked));
  }

  askNobody(): void {
    this.approvals.ask = undefined;
    this.parts.elicitation.ask = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host?.close();
    await this.parts.signIns?.[Symbol.asyncDispose]();
  }
}

/**
 * Reads the files and connects to the servers; a server that is not there is told as a warning. Undefined where no flag
 * asks for tools.
 *
 * @param keep allowed tools and a log of calls are kept
 */
export async function openTools(
  flags: ToolFlags,
  terminal: Terminal,
  { keep, ask }: { readonly keep: boolean; readonly ask?: ApprovalsOptions["ask"] },
): Promise<OpenTools | undefined> {
  const { tools = [], mcp = [], toolApprove: mode = "ask" } = flags;
  if (tools.length + mcp.length === 0) {
    refuseWithoutTools(flags);
    return undefined;
  }
  const own = (await Promise.all(tools.map(readTools))).flat();
  checkTools(own);
  const configs = mcp.map(givenServers);
  const mcpServers = Object.assign(
    {},
    ...configs.map((config) => config.mcpServers),
  ) as McpConfig["mcpServers"];
  const elicitation = new Elicitation(terminal);
  const signIns = await signInsFor({ mcpServers }, terminal, { keep });
  const callbacks = { onElicit: elicitation.answer, authorize: signIns?.authorize };
  const host = mcp.length > 0 ? await connectAloud({ mcpServers }, terminal, callbacks) : undefined;
  const secrets = Object.values(mcpServers).flatMap(secretsOf);
  const approvals = new Approvals({
    mode,
    ask,
    file: keep ? stateFile("allowed-tools.json") : undefined,
    howToAllow: "--tool-approve auto allows all calls",
  });
  const audit = keep ? auditLog(stateFile("tool-calls.jsonl"), secrets, terminal) : undefined;
  return new OpenTools({ own, host, approvals, elicitation, signIns, audit, flags });
}

/** @throws UsageError for flags that say how tools are used where there are none. */
function refuseWithoutTools({ toolChoice, toolSelection, toolDryRun, maxSteps }: ToolFlags): void {
  const given = Object.entries({
    "--tool-choice": toolChoice,
    "--tool-selection": toolSelection,
    "--tool-dry-run": toolDryRun,
    "--max-steps": maxSteps,
  }).filter(([, value]) => value !== undefined);
  if (given.length === 0) return;
  const flags = given.map(([flag]) => flag).join(", ");
  throw new UsageError(`There are no tools for ${flags}: add --tools FILE or --mcp FILE.`);
}

/** The servers in the file of `--mcp`. @throws UsageError, McpConfigError */
export function givenServers(file: string): McpConfig {
  return parseMcpConfig(givenJson(file), file);
}

/** A log that cannot be written is told once, and calls are made without. */
function auditLog(file: string, secrets: readonly string[], terminal: Terminal): AuditLog {
  const onProblem = (problem: string) => terminal.warn(`Calls are not logged: ${problem}`);
  return new AuditLog({ file, secrets, onProblem });
}

/** Where users sign in to servers; undefined where no server is on the network. @param keep for the next time */
export function signInsFor(
  { mcpServers }: McpConfig,
  terminal: Terminal,
  { keep }: { readonly keep: boolean },
): Promise<SignIns | undefined> {
  const file = keep ? stateFile("mcp-sign-in.json") : undefined;
  const interactive = Boolean(process.stdin.isTTY && process.stderr.isTTY);
  return SignIns.forServers(mcpServers, { file, terminal, interactive });
}

/** Connects, with a status line meanwhile, and a warning for each server that does not come or goes away later. */
export async function connectAloud(
  config: McpConfig,
  terminal: Terminal,
  callbacks: McpCallbacks = {},
): Promise<McpHost> {
  terminal.status.show("connecting to MCP servers");
  try {
    return await connectMcp(config, {
      ...callbacks,
      onStatus: ({ server, state, problem }) => {
        if (problem === undefined || (state !== "failed" && state !== "waiting")) return;
        const again = state === "waiting" ? " It is started again." : "";
        terminal.warn(`MCP server ${server}: ${problem}.${again}`);
      },
    });
  } finally {
    terminal.status.clear();
  }
}

/** @throws UsageError */
async function readTools(file: string): Promise<readonly (Tool | ToolDefinition)[]> {
  const found = /\.json$/i.test(file) ? givenJson(file) : await givenModule(file);
  const { tools, default: usual } = Object(found) as { tools?: unknown; default?: unknown };
  const list = Array.isArray(found) ? found : (tools ?? usual);
  if (!Array.isArray(list)) {
    throw new UsageError(`${file} has no list of tools: export one as \`tools\` or by default.`);
  }
  // OpenAI's form has the function one level deeper.
  return list.map((tool) => (tool?.type === "function" && tool.function) || tool);
}

async function givenModule(file: string): Promise<unknown> {
  givenFile(file); // says what is wrong where Node's loader would show a stack
  try {
    return await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    throw new UsageError(`${file} is no module of tools: ${error instanceof Error ? error.message : error}`);
  }
}
