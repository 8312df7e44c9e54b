import { OptionError } from "../errors.ts";
import { schemaProblem, schemaRefusal } from "./json-schema.ts";
import { checkTools, type Tool, type ToolContext, type ToolResult } from "./tool.ts";
import { isToolResult, jsonResult, textResult } from "./tool-result.ts";

type JsonSchema = { readonly [keyword: string]: unknown };

/** A schema of zod 4, or of any library that speaks Standard Schema with JSON Schema. */
export interface StandardSchema<Value = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => unknown;
    readonly types?: { readonly input: unknown; readonly output: Value } | undefined;
    readonly jsonSchema?: { readonly input: (options: { target: "draft-2020-12" }) => unknown };
  };
}

/** What `run` gets by a schema: its output's type, or an object where it is plain JSON Schema. */
export type ArgumentsOf<Schema> =
  Schema extends StandardSchema<infer Value> ? Value : Readonly<Record<string, unknown>>;

export interface DefineToolOptions<Input extends StandardSchema | JsonSchema> {
  /** Letters, digits, `_`, `-` and `.`. */
  readonly name: string;
  /** When to call it and what it gives: the model reads this. */
  readonly description: string;
  /** The arguments, an object's: by zod (`z.object`) or JSON Schema. */
  readonly input: Input;
  /** JSON Schema of what `run` gives, where that is a value: a result that it does not allow is an error. */
  readonly output?: JsonSchema | undefined;
  /** It changes nothing. */
  readonly readOnly?: boolean | undefined;
  /**
   * Does it. Gives a text, a ToolResult, or a value that is told as JSON. What it throws is told to the model as an
   * error.
   */
  readonly run: (given: ArgumentsOf<Input>, context: ToolContext) => unknown;
}

/**
 * A function of the program that a model may call. Arguments are checked before `run` sees them.
 *
 * @throws OptionError for a name or a schema that is none.
 */
export function defineTool<const Input extends StandardSchema | JsonSchema>(
  options: DefineToolOptions<Input>,
): Tool {
  const { name, description, input, output, readOnly, run } = options;
  const parameters = jsonSchemaOf(input, `tool ${name}: input`);
  checkTools([{ name, description, parameters }]);
  for (const [option, schema] of Object.entries({ input: parameters, output: output ?? {} })) {
    const refusal = schemaRefusal(schema);
    if (refusal !== undefined) throw new OptionError(`tool ${name}: ${option}`, "a JSON Schema", refusal);
  }
  return {
    name,
    description,
    parameters,
    ...(output && { output }),
    ...(readOnly !== undefined && { readOnly }),
    call: async (given, context) => {
      const parsed = isStandard(input) ? await parse(input, given) : given;
      return resultOf(await run(parsed as ArgumentsOf<Input>, context), output);
    },
  };
}

function isStandard(schema: StandardSchema | JsonSchema): schema is StandardSchema {
  return "~standard" in schema;
}

function jsonSchemaOf(schema: StandardSchema | JsonSchema, option: string): JsonSchema {
  if (!isStandard(schema)) return schema;
  const { vendor, jsonSchema } = schema["~standard"];
  if (jsonSchema) return jsonSchema.input({ target: "draft-2020-12" }) as JsonSchema;
  throw new OptionError(
    option,
    "a schema that can be written as JSON Schema (zod 4.2 and newer can)",
    vendor,
  );
}

/** With the library's own defaults and transformations. */
async function parse(schema: StandardSchema, given: unknown): Promise<unknown> {
  const { issues, value } = (await schema["~standard"].validate(given)) as {
    readonly issues?: readonly { readonly message: string }[];
    readonly value?: unknown;
  };
  if (issues) throw new Error(issues.map(({ message }) => message).join(", "));
  return value;
}

function resultOf(value: unknown, output: JsonSchema | undefined): ToolResult {
  if (isToolResult(value)) return value;
  const problem = output && schemaProblem(output, value);
  if (problem !== undefined) throw new Error(`its result is not what it should be: ${problem}`);
  return typeof value === "string" ? textResult(value) : jsonResult(value);
}
