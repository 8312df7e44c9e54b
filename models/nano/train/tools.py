"""Examples of tool use: invented functions, a user who asks for one or two, results, answers."""

import itertools
import json

from chat import SYSTEM_MESSAGES, chat_turn
from pools import syllables
from render import render_calls

NUMBER_KINDS = {
    "integer": "hour minute limit count size level floor quantity volume index page width height duration "
    "priority start end",
    "number": "amount price speed",
}
KIND_OF = {name: kind for kind, names in NUMBER_KINDS.items() for name in names.split()}
TEXTS = [
    "text",
    "message",
    "content",
    "body",
    "note",
    "query",
    "title",
    "subject",
    "topic",
    "label",
]
PATHS = ["path", "file", "folder", "source"]


def simple_value(r, pools, name, kind):
    """A value of a JSON type for the parameter `name`."""
    if kind == "integer":
        return r.choice((r.randint(1, 9), r.randint(10, 99), r.randint(100, 2050)))
    if kind == "number":
        return round(r.uniform(0.5, 99), 1)
    if kind == "boolean":
        return r.random() < 0.5
    pool = {
        "city": pools.cities, "country": pools.cities, "name": pools.names, "user": pools.names,
        "recipient": pools.names, "color": pools.colors,
    }.get(name)  # fmt: skip
    if pool and r.random() < 0.8:
        return r.choice(pool)
    if name == "folder":
        return "/" + syllables(r)
    if name in PATHS:
        steps = "/".join(syllables(r) for _ in range(r.choice((1, 2))))
        return f"/{steps}{r.choice(('.txt', '.md', '.csv', ''))}"
    if name == "email":
        return f"{r.choice(pools.names).lower()}@{syllables(r)}.com"
    if name == "date":
        return f"20{r.randint(20, 35)}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"
    if name in TEXTS:
        lists = (pools.adjectives, pools.objects, pools.animals, pools.places)
        words = (r.choice((*map(r.choice, lists), syllables(r))) for _ in range(r.randint(1, 4)))
        return " ".join(words)
    lists = (pools.objects, pools.colors, pools.animals)
    return r.choice((syllables(r), *map(r.choice, lists)))


def element(r, pools, name, schema):
    """A value inside an array or object."""
    if schema["type"] != "string":
        return simple_value(r, pools, name, schema["type"])
    return r.choice((r.choice(pools.objects), r.choice(pools.names), syllables(r)))


def value(r, pools, name, schema):
    """A value that fits the JSON Schema of the parameter `name`."""
    if "enum" in schema:
        return r.choice(schema["enum"])
    if schema["type"] == "array":
        return [element(r, pools, name, schema["items"]) for _ in range(r.randint(1, 3))]
    if schema["type"] == "object":
        return {key: element(r, pools, key, s) for key, s in schema["properties"].items()}
    return simple_value(r, pools, name, schema["type"])


def make_schema(r, pools, name, noun):
    """The JSON Schema of a parameter: a fifth of the texts become arrays, enums and objects."""
    kind = KIND_OF.get(name, "boolean" if r.random() < 0.04 else "string")
    use = r.choice(("to use", "of the " + noun, "that is needed", "as given by the user"))
    schema = {"type": kind, "description": f"the {name} {use}"}
    form = r.random()
    if kind != "string" or form >= 0.2:
        return schema
    if form < 0.11:
        items = {"type": "string" if form < 0.08 else "integer"}
        return {**schema, "type": "array", "items": items}
    if form < 0.19:
        lists = (pools.colors, pools.adjectives, pools.objects)
        options = (r.choice((*map(r.choice, lists), syllables(r))) for _ in range(r.randint(2, 4)))
        return {**schema, "enum": list(dict.fromkeys(options))}
    fields = {
        key: {"type": r.choice(("string", "integer"))} for key in r.sample(pools.parameters, 2)
    }
    return {**schema, "type": "object", "properties": fields}


def make_tool(r, pools):
    """-> (tool, what it does in words)."""
    first = r.choice(pools.verbs) if r.random() < 0.85 else syllables(r)
    noun = r.choice(pools.nouns)
    style = r.random()
    if style < 0.7:
        name = f"{first}_{noun}"
    elif style < 0.85:
        name = f"{first}-{noun}"
    else:
        name = first + noun.capitalize() if style < 0.95 else first
    names = list(dict.fromkeys(r.sample(pools.parameters, r.choice((1, 1, 2, 2, 3)))))
    properties = {n: make_schema(r, pools, n, noun) for n in names}
    required = names if r.random() < 0.7 else names[: max(1, len(names) - 1)]
    what = first if name == first else f"{first} {noun}"
    says = (f"{what.capitalize()}.", f"Use this to {what}.", f"{what.capitalize()} for the user.")
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {"name": name, "description": r.choice(says), "parameters": parameters}
    return {"type": "function", "function": function}, what


def sum_tool():
    numbers = {
        "a": {"type": "number", "description": "first number"},
        "b": {"type": "number", "description": "second number"},
    }
    parameters = {"type": "object", "properties": numbers, "required": ["a", "b"]}
    function = {"name": "get_sum", "description": "Add two numbers.", "parameters": parameters}
    return {"type": "function", "function": function}, "add numbers"


def said(value):
    """How a user says a value."""
    if isinstance(value, list):
        items = [str(item) for item in value]
        return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else items[0]
    if isinstance(value, dict):
        return " ".join(f"{key} {item}" for key, item in value.items())
    return value


def request(r, pools, what, arguments):
    """-> the user's sentence."""
    parts = []
    for key, val in arguments.items():
        if isinstance(val, bool):
            parts.append(f"{key} {'on' if val else 'off'}")
            continue
        v = said(val)
        ways = [f"{key} {v}", f"the {key} is {v}", f"{key}: {v}", f"using {key} {v}"]
        ways += [f"{key} = {v}", f"the {key} should be {v}", f"{v} as {key}"]
        ways += [
            f"set {key} to {v}",
            f"let the {key} be {v}",
            f"{v} for the {key}",
            f"{key} of {v}",
        ]
        ways += [f"{key} -> {v}", f"{v} is the {key}", f"as {key} take {v}", f"with {key} {v}"]
        parts.append(pools.pick(r, ways))
    leads = [f"Please {what}", f"Can you {what}", f"I want to {what}", what.capitalize()]
    leads += [f"Would you {what}", f"I need to {what}", f"Now {what}", f"Could you please {what}"]
    leads += [f"You should {what} for us", f"Help me {what}", f"We want you to {what}"]
    leads += [
        f"I would like to {what}",
        f"Will you {what} for her",
        f"Let us {what}",
        f"Go and {what}",
    ]
    leads += [f"Is it possible to {what}", f"{what.capitalize()} now", f"Could you {what} for me"]
    lead = pools.pick(r, leads)
    separators = (", ", " and ", ", and ", ". ", " plus ", " / ", ",", " & ", "; ")
    joined = pools.pick(r, [separator.join(parts) for separator in separators])
    return f"{lead}, {joined}{r.choice(('.', '?', '', ' please.'))}"


def result_and_answers(r, pools, what):
    """-> (the tool's JSON, all good ways to tell it)."""
    kind = r.choice(("value", "status", "list", "error"))
    if kind == "value":
        number, decimal = r.randint(1, 999), round(r.uniform(1, 50), 1)
        v = r.choice((number, syllables(r), r.choice(pools.colors), decimal))
        return {"result": v}, [f"The result is {v}.", f"I got {v}.", f"Here it is: {v}."]
    if kind == "status":
        return {"status": "ok"}, [f"Done. I did {what} for you.", "It is done.", "Done."]
    if kind == "list":
        drawn = (
            (syllables(r), r.choice(pools.objects), r.choice(pools.names))
            for _ in range(r.randint(2, 4))
        )
        items = [r.choice(three) for three in drawn]
        listed, count = ", ".join(items), len(items)
        ways = [
            f"I found {count} items: {listed}.",
            f"Here they are: {listed}.",
            f"There are {count}: {listed}.",
        ]
        return {"items": items}, ways
    sorry = [
        f"Sorry, it did not work: {what} is not available.",
        f"I could not do that. {what.capitalize()} is not available.",
        "Sorry, that failed.",
    ]
    return {"error": f"{what} is not available"}, sorry


def make_call(r, pools, tool, what):
    """-> (the user's request, (name, arguments), the tool's JSON, good answers)."""
    function = tool["function"]
    if function["name"] == "get_sum":
        a, b = r.randint(1, 99), r.randint(1, 99)
        ask = pools.pick(
            r,
            [
                f"What is {a} plus {b}?",
                f"Add {a} and {b}.",
                f"Compute the sum of {a} and {b}.",
                f"{a} + {b}?",
                f"Sum up {a} and {b}",
                f"How much is {a} + {b}?",
            ],
        )
        return ask, ("get_sum", {"a": a, "b": b}), {"result": a + b}, [f"{a} plus {b} is {a + b}."]
    properties, required = (function["parameters"][key] for key in ("properties", "required"))
    used = [name for name in properties if name in required or r.random() < 0.5]
    arguments = {name: value(r, pools, name, properties[name]) for name in used}
    ask = request(r, pools, what, arguments)
    result, answers = result_and_answers(r, pools, what)
    return ask, (function["name"], arguments), result, answers


def tool_example(r, pools):
    """One to three tools; one to three requests, some for two calls at once; an eighth need no call."""
    count, tools = r.choice((1, 2, 2, 3)), {}
    while len(tools) < count:
        tool, what = make_tool(r, pools)
        tools.setdefault(tool["function"]["name"], (tool, what))
    chosen = list(tools.values())
    if r.random() < 0.08:
        chosen[r.randrange(count)] = sum_tool()
    schemas = [tool for tool, _ in chosen]
    messages = [{"role": "system", "content": r.choice(SYSTEM_MESSAGES)}]
    if r.random() < 0.12:
        return messages + chat_turn(r, pools), schemas
    for _ in range(r.choice((1, 1, 2, 2, 3))):
        together = 2 if count > 1 and r.random() < 0.15 else 1
        made = [make_call(r, pools, *one) for one in r.sample(chosen, together)]
        asks, calls, results, answers = zip(*made)
        thought = f"I need to call {' and '.join(name for name, _ in calls)}."
        told = " ".join(pools.pick(r, ways) for ways in answers)
        messages += [{"role": "user", "content": " Then ".join(asks)}]
        messages += [{"role": "assistant", "content": render_calls(calls, thought)}]
        messages += [{"role": "tool", "content": json.dumps(result)} for result in results]
        accept = [text for text in map(" ".join, itertools.product(*answers)) if text != told]
        messages += [{"role": "assistant", "content": told, "accept": accept}]
    return messages, schemas
