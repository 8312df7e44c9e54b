/** The public API as a TypeScript user meets it: checked by tsc; run only for what `using` does. */
import { expect, expectTypeOf, test } from "vitest";
import type {
  Generation,
  GenerationEvent,
  LoadOptions,
  loadModel,
  Message,
  Model,
  Result,
  Session,
} from "../../src/index.ts";
import { scriptedModel } from "../chat/scripted-model.ts";

test("models and sessions are disposed by `await using`, the inner one first", async () => {
  const { model: made, native } = scriptedModel();
  {
    await using model: Model = made;
    await using session: Session = model.createSession();
    expect((await session.send("Hi")).text).toBe("Hello!");
    expect(native.disposed).toBe(false);
  }
  expect(native.disposed).toBe(true);
});

test("loadModel takes a name and gives a Model", () => {
  expectTypeOf<typeof loadModel>().parameters.toEqualTypeOf<
    [reference: string, options?: LoadOptions | undefined]
  >();
  expectTypeOf<typeof loadModel>().returns.resolves.toEqualTypeOf<Model>();
});

test("a Generation is awaited for a Result and iterated for text", () => {
  expectTypeOf<Awaited<Generation>>().toEqualTypeOf<Result>();
  expectTypeOf<Generation>().toExtend<AsyncIterable<string>>();
  expectTypeOf<ReturnType<Generation["events"]>>().toExtend<AsyncIterable<GenerationEvent>>();
  expectTypeOf<Result["tokens"]>().toEqualTypeOf<Int32Array>();
});

test("options may be given as undefined, unknown ones are errors", () => {
  expectTypeOf<{ contextLength: undefined; signal: undefined }>().toExtend<LoadOptions>();
  // @ts-expect-error a misspelt option
  const misspelt: LoadOptions = { contextLenght: 5 };
  // @ts-expect-error a role that there is not
  const message: Message = { role: "robot", content: "" };
  expect([misspelt, message]).toHaveLength(2);
});

test("events are told apart by their type", () => {
  const describe = (event: GenerationEvent): string => {
    switch (event.type) {
      case "prefill":
        return `${event.done}/${event.total}`;
      case "thinking":
      case "text":
        return event.delta;
      case "call":
      case "tool-progress":
        return event.call.name;
      case "tool-result":
        return event.run.outcome;
      case "step":
        return `${event.step}`;
      case "finish":
        return event.result.finishReason;
    }
  };
  expect(describe({ type: "prefill", done: 1, total: 2, cached: 0 })).toBe("1/2");
});
