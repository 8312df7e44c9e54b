/** Conversations on disk: /save, /load, --resume, and the last chat, kept after every answer. */
import type { Model, Session } from "../index.ts";
import type { ChatState } from "./chat-state.ts";
import { messageCount } from "./context-room.ts";
import { prefillStatus } from "./status-line.ts";
import type { Terminal } from "./terminal.ts";

/** @throws StorageError */
export async function saveChat({ session, terminal }: ChatState, path: string): Promise<void> {
  await session.save(path);
  terminal.say(`Saved: ${messageCount(session.messages)} in ${path}`);
}

/** Replaces the conversation. @throws what `model.loadSession` throws; the conversation stays then. */
export async function loadChat(chat: ChatState, path: string, signal: AbortSignal): Promise<void> {
  const loaded = await loadAloudSession(chat.model, path, chat.terminal, signal);
  await chat.session.close();
  chat.session = loaded;
  chat.lastMessage = undefined;
  chat.lastAnswered = false;
}

/** Loads a session with progress on the status line, and says how much it holds. */
export async function loadAloudSession(
  model: Model,
  path: string,
  terminal: Terminal,
  signal?: AbortSignal,
): Promise<Session> {
  try {
    const session = await model.loadSession(path, {
      onProgress: ({ done, total }) => terminal.status.show(prefillStatus(done, total)),
      onNotice: (notice) => terminal.notice(notice),
      signal,
    });
    terminal.notice(`Going on after ${messageCount(session.messages)}.`);
    return session;
  } finally {
    terminal.status.clear();
  }
}

/** Keeps a chat so that it survives a crash. What cannot be kept is told once and fails no answer. */
export class ChatKeeper {
  private told = new Set<string>();

  constructor(
    private readonly folder: string,
    private readonly model: Model,
    private readonly terminal: Terminal,
  ) {}

  async keep(session: Session): Promise<void> {
    try {
      await session.save(this.folder);
    } catch (error) {
      this.tell(`This chat is not kept: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.tell(this.model.cacheStatus()?.problem ?? "");
  }

  private tell(problem: string): void {
    if (problem === "" || this.told.has(problem)) return;
    this.told.add(problem);
    this.terminal.notice(problem);
  }
}
