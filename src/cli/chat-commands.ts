/** The commands of a chat: lines that begin with a slash. What they print goes to stderr. */
import type { GenerateOptions } from "../index.ts";
import { contextStatus, statsLine } from "./answer.ts";
import type { ChatState, Next } from "./chat-state.ts";
import { messageCount, oldestTurns, turnCount } from "./context-room.ts";
import { fitWidth } from "./display-width.ts";
import { formatBytes } from "./quantities.ts";
import { SettingError, settingOf, settings, shownValue } from "./settings.ts";
import { tableLines } from "./table.ts";
import { approve, showServers, showTools } from "./tool-commands.ts";

interface ChatCommand {
  readonly names: readonly string[];
  readonly argument?: string;
  readonly help: string;
  readonly run: (chat: ChatState, argument: string) => Next | undefined;
}

const commands: readonly ChatCommand[] = [
  { names: ["help", "?"], help: "this list", run: help },
  {
    names: ["system"],
    argument: '[TEXT|""]',
    help: 'show, replace or ("") remove the instructions',
    run: system,
  },
  {
    names: ["set"],
    argument: "[NAME [VALUE|default]]",
    help: "show or change a setting of the answers",
    run: set,
  },
  { names: ["clear"], help: "forget the conversation, keep the instructions", run: clear },
  { names: ["undo"], help: "forget the last message and its answer", run: undo },
  { names: ["retry"], help: "ask the last message again", run: retry },
  { names: ["drop"], argument: "N", help: "forget the N oldest turns, to make room", run: drop },
  { names: ["save"], argument: "FOLDER", help: "keep the conversation on disk", run: save },
  { names: ["load"], argument: "FOLDER", help: "go on with one that /save has kept", run: load },
  { names: ["tools"], help: "what the model may call", run: showTools },
  { names: ["servers"], help: "how the MCP servers are", run: showServers },
  {
    names: ["approve"],
    argument: "[ask|auto|never|TOOL]",
    help: "who decides on calls; a TOOL is always allowed, or no more",
    run: approve,
  },
  { names: ["stats"], help: "numbers of the last answer, context and memory", run: stats },
  { names: ["bye", "exit", "quit"], help: "leave (Ctrl-D too)", run: () => ({ type: "quit" }) },
];

/** Runs `/name argument`; an unknown name is told with the list. */
export function runChatCommand(chat: ChatState, name: string, argument: string): Next {
  const command = commands.find(({ names }) => names.includes(name));
  if (command) return command.run(chat, argument) ?? { type: "prompt" };
  say(
    chat,
    `There is no /${name}. /help lists the commands; a message that begins with a slash goes in """.`,
  );
  return { type: "prompt" };
}

/** Whole lines that the beginning of one may become: commands, and the settings behind /set. */
export function completeChatLine(line: string): readonly string[] {
  if (!line.startsWith("/")) return [];
  const lines = commands.flatMap(({ names: [name] }) =>
    name === "set" ? ["/set", ...settings.map(({ field }) => `/set ${field}`)] : [`/${name}`],
  );
  return lines.filter((candidate) => candidate.startsWith(line));
}

function help(chat: ChatState): undefined {
  const rows = commands.map(({ names, argument, help }) => [
    `  /${names[0]}${argument ? ` ${argument}` : ""}`,
    help,
  ]);
  rows.push(['  """', "begins and ends a message of several lines"]);
  rows.push(["  Ctrl-C", "stops the answer; twice leaves"]);
  for (const line of tableLines(rows)) say(chat, line);
}

function system({ session, ...chat }: ChatState, argument: string): undefined {
  if (argument === "") {
    const [first] = session.messages;
    say(chat, first?.role === "system" ? first.content : "There are no instructions.");
    return;
  }
  const text = argument === '""' ? undefined : argument;
  session.setSystem(text);
  say(chat, text === undefined ? "Instructions removed." : "Instructions set.");
}

function set(chat: ChatState, argument: string): undefined {
  const [, name = "", value = ""] = /^(\S*)\s*([\s\S]*)$/.exec(argument) ?? [];
  if (name === "") {
    for (const line of tableLines(settings.map((setting) => settingRow(chat.options, setting.field)))) {
      say(chat, line);
    }
    return;
  }
  const setting = settingOf(name);
  if (!setting) {
    say(chat, `There is no setting ${name}. They are: ${settings.map(({ field }) => field).join(", ")}.`);
    return;
  }
  const { field, parse } = setting;
  try {
    if (value !== "")
      chat.options = { ...chat.options, [field]: value === "default" ? undefined : parse(value) };
    say(chat, settingRow(chat.options, field).join(" "));
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    say(chat, `${field} ${error.message}, not ${JSON.stringify(value)}.`);
  }
}

function settingRow(options: GenerateOptions, field: keyof GenerateOptions): string[] {
  return [`  ${field}`, shownValue(options[field])];
}

function clear(chat: ChatState): undefined {
  chat.session.reset();
  chat.lastMessage = undefined;
  chat.lastAnswered = false;
  say(chat, "The conversation is forgotten.");
}

function undo(chat: ChatState): undefined {
  const [message] = chat.session.undo();
  chat.lastMessage = undefined;
  chat.lastAnswered = false;
  say(chat, message ? `Forgotten: ${excerpt(message.content)}` : "There is nothing to undo.");
}

function retry(chat: ChatState): Next | undefined {
  const text = chat.lastMessage;
  if (text === undefined) {
    say(chat, "There is no message to ask again.");
    return;
  }
  if (chat.lastAnswered) chat.session.undo();
  chat.lastAnswered = false;
  if (chat.options.seed !== undefined)
    say(chat, "The seed is fixed, so the answer will be the same: /set seed random");
  return { type: "send", text };
}

function drop(chat: ChatState, argument: string): undefined {
  const turns = turnCount(chat.session.messages);
  const count = Number(argument);
  if (!/^\d+$/.test(argument) || count < 1 || count > turns) {
    say(chat, `/drop takes a number from 1 to ${turns}: how many of the oldest turns to forget.`);
    return;
  }
  chat.session.dropOldest(count);
  if (count === turns) chat.lastAnswered = false;
  say(chat, `Forgotten: ${oldestTurns(count)}; ${messageCount(chat.session.messages)} left.`);
}

function save(chat: ChatState, path: string): Next | undefined {
  if (path !== "") return { type: "save", path };
  chat.terminal.say("/save takes a folder: where to keep the conversation.");
  return;
}

function load(chat: ChatState, path: string): Next | undefined {
  if (path !== "") return { type: "load", path };
  chat.terminal.say("/load takes a folder that /save has made.");
  return;
}

function stats(chat: ChatState): undefined {
  const { model, session, lastResult } = chat;
  if (lastResult) say(chat, statsLine(lastResult));
  say(
    chat,
    `${contextStatus(session.contextUsed, session.contextLength)} · ${messageCount(session.messages)}`,
  );
  const { memory } = model.info;
  say(
    chat,
    `memory ${formatBytes(memory.total)}: weights ${formatBytes(memory.mapped + memory.weights)}, ` +
      `KV ${formatBytes(memory.kv)}, activations ${formatBytes(memory.activations)}, ` +
      `tokenizer ${formatBytes(memory.tokenizer)}`,
  );
}

function say({ terminal }: Pick<ChatState, "terminal">, text: string): void {
  terminal.say(text);
}

function excerpt(text: string): string {
  return fitWidth(text.replace(/\s+/g, " "), 60);
}
