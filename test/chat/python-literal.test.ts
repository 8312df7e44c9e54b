import fc from "fast-check";
import { expect, test } from "vitest";
import { NoLiteral, PythonReader } from "../../src/chat/python-literal.ts";
import { pythonLiteral } from "./python-writer.ts";

function read(text: string): unknown {
  const reader = new PythonReader(text);
  const value = reader.value();
  if (!reader.atEnd) throw new NoLiteral(`more than a literal: ${reader.next}`);
  return value;
}

// What CPython 3.11's ast.literal_eval gives, as JSON.
test.each([
  [`"a"`, "a"],
  [`'it\\'s'`, "it's"],
  [`"""two\nlines, a " and "" in it"""`, 'two\nlines, a " and "" in it'],
  [`'''a\\''''`, "a'"],
  [`""`, ""],
  [`'' "" ''''''`, ""],
  [`"a" 'b'\n"c"`, "abc"],
  [`"\\a\\b\\f\\n\\r\\t\\v\\\\\\"\\'"`, "\x07\b\f\n\r\t\v\\\"'"],
  [`"\\0\\12\\1011"`, "\0\nA1"],
  [`"\\x41\\u00e9\\U0001f600"`, "Aé😀"],
  [`"\\ud83d\\ude00"`, "😀"],
  [`"\\d \\/ \\q"`, "\\d \\/ \\q"],
  [`"one\\\ntwo"`, "onetwo"],
  [`r"C:\\new\\"x"`, 'C:\\new\\"x'],
  [`R'\\n'`, "\\n"],
  [`u"é"`, "é"],
  [`"杭州"`, "杭州"],
  ["0", 0],
  ["-0", 0],
  ["+7", 7],
  ["- 5", -5],
  ["1_000_000", 1_000_000],
  ["00", 0],
  ["0x_fF", 255],
  ["0o17", 15],
  ["0B101", 5],
  ["1.", 1],
  [".5", 0.5],
  ["-1.25e-3", -0.00125],
  ["1_0.0_1E+0_2", 1001],
  ["007.5", 7.5],
  ["9007199254740991", 9007199254740991],
  ["True", true],
  ["False", false],
  ["None", null],
  ["true", true],
  ["false", false],
  ["null", null],
  ["[]", []],
  ["[1, [2, ], 'a',]", [1, [2], "a"]],
  ["()", []],
  ["(1,)", [1]],
  ["(1)", 1],
  ["(1, (2))", [1, 2]],
  ["{}", {}],
  [`{"a": {'b': [None]}, }`, { a: { b: [null] } }],
  [`{1: "a", 2.5: "b", "c" "d": 3}`, { "1": "a", "2.5": "b", cd: 3 }],
  [`{True: 1, None: 2}`, { true: 1, null: 2 }],
  ["[ # first\n  1, # a comment, with ]\n  2 \\\n]", [1, 2]],
])("%s is %j", (text, value) => {
  expect(read(text)).toEqual(value);
});

test.each([
  ["", "a value is missing before the end"],
  ["city", "city is no literal"],
  ["os.getcwd()", "os.getcwd is no literal"],
  ["NaN", "NaN is no literal"],
  ["-True", 'a number is missing before "True"'],
  ["--1", 'a number is missing before "-1"'],
  ["1 + 1", 'more than a literal: "+ 1"'],
  ["1j", 'a value is missing before "1j"'],
  ["1__0", 'a value is missing before "1__0"'],
  ["1.2.3", 'a value is missing before "1.2.3"'],
  ["007", "007 begins with 0"],
  ["9007199254740993", "9007199254740993 is larger than a number can be exactly"],
  ["1e999", "1e999 is larger than a number can be exactly"],
  ['"a', "a string is not closed"],
  ['"a\nb"', "a string is not closed"],
  ['"""a"', "a string is not closed"],
  ['"a\\"', "a string is not closed"],
  ['f"{x}"', "a string with f before it is no text"],
  ['b"x"', "a string with b before it is no text"],
  ['"\\x4"', "a string has \\x without its digits"],
  ['"\\N{DASH}"', "a string has \\N without its digits"],
  ['"\\U00110000"', "a string has \\U00110000, which is no character"],
  ["[1 2]", '"," or "]" is missing before "2]"'],
  ["[1", '"," or "]" is missing before the end'],
  ["{1, 2}", '":" after a dict\'s key is missing before ", 2}"'],
  ["{[1]: 2}", "a dict has a list as a key"],
  ["[,]", 'a value is missing before ",]"'],
  ["[".repeat(100_000), "lists are nested deeper than 64"],
])("%s is no literal: %s", (text, reason) => {
  expect(() => read(text)).toThrow(new NoLiteral(reason));
});

test("__proto__ is a key like any other", () => {
  const value = read('{"__proto__": {"admin": True}}') as object;
  expect(Object.keys(value)).toEqual(["__proto__"]);
  expect("admin" in value).toBe(false);
});

test("whatever JSON can say is read back, from JSON's spelling and from Python's", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(), (value, style) => {
      const plain = JSON.parse(JSON.stringify(value)); // no -0
      if (JSON.stringify(plain, bigIntegers)?.includes("too big")) return;
      expect(read(JSON.stringify(plain))).toEqual(plain);
      expect(read(pythonLiteral(plain, style))).toEqual(plain);
    }),
    { seed: 8, numRuns: 2000 },
  );
});

/** JSON.stringify writes 1e20 as an integer. */
function bigIntegers(_name: string, value: unknown): unknown {
  return typeof value === "number" && /^-?\d{16,}$/.test(String(value)) ? "too big" : value;
}
