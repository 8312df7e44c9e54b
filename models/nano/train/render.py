"""Messages and tools as training text, byte for byte what the chat template renders.

A message is {role, content}; a tool is {type: "function", function: {name, description, parameters}}
with a JSON Schema of its parameters. Tools are shown the MiniCPM4 way, as Python functions in the system
message, with two savings: an enum is a Literal and an object a dict of types in place (MiniCPM4 writes a
class for each, at twice the tokens).
"""

import json

MESSAGE_START, MESSAGE_END = "<|im_start|>", "<|im_end|>"
PYTHON_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}
RULES = """# Function Call Rule and Output Format
- If the user's question needs a function, call it; otherwise answer.
<|thought_start|>
{why}
<|thought_end|>
<|tool_call_start|>
```python
func(name=value)
```
<|tool_call_end|>
{answer}"""


def as_json(value):
    return json.dumps(value, ensure_ascii=False)


def schema_type(schema):
    """The Python type of a JSON Schema."""
    kind = schema.get("type")
    if "enum" in schema:
        return f"Literal[{', '.join(map(as_json, schema['enum']))}]"
    if isinstance(kind, list):
        return f"Union[{', '.join(schema_type({'type': one}) for one in kind)}]"
    if kind in PYTHON_TYPES:
        return PYTHON_TYPES[kind]
    if kind == "array":
        return f"List[{schema_type(schema.get('items', {}))}]"
    if kind == "object" and "properties" in schema:
        fields = (f"{name}: {schema_type(one)}" for name, one in schema["properties"].items())
        return "{" + ", ".join(fields) + "}"
    if kind == "object":
        return f"Dict[str, {schema_type(schema.get('additionalProperties', {}))}]"
    return "Any"


def render_tool(tool):
    function = tool["function"]
    properties = function["parameters"]["properties"]
    required = function["parameters"].get("required", [])
    parameters = ", ".join(n if n in required else n + "=None" for n in properties)
    lines = [f"def {function['name']}({parameters}):"]
    lines += [f'    """{function["description"]}', "", "    Args:"]
    lines += [f"        {n}: {schema_type(s)} - {s['description']}" for n, s in properties.items()]
    return "\n".join(lines) + '\n    """\n'


def render_system(content, tools):
    if not tools:
        return content
    functions = "\n".join(render_tool(tool) for tool in tools)
    head = "# Functions\nHere is a list of functions that you can invoke:"
    return f"{content}\n{head}\n```python\n{functions}```\n\n{RULES}"


def render(messages, tools=None):
    """-> list of (text, is_answer). Concatenated it is the whole text, without the bos token."""
    if tools and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": ""}, *messages]
    parts = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system":
            content = render_system(content, tools)
        head = f"{MESSAGE_START}{role}\n"
        if role == "assistant":
            parts += [(head, False), (content + MESSAGE_END, True), ("\n", False)]
        else:
            parts.append((head + content + MESSAGE_END + "\n", False))
    return parts


def render_calls(calls, thought):
    """calls: [(function name, {parameter: value})]. -> what the assistant says to call them."""
    lines = []
    for name, arguments in calls:
        listed = ",".join(f"{key}={as_json(value)}" for key, value in arguments.items())
        lines.append(f"{name}({listed})")
    body = "\n".join(lines)
    return (
        f"<|thought_start|>\n{thought}\n<|thought_end|>\n"
        f"<|tool_call_start|>\n```python\n{body}\n```\n<|tool_call_end|>\n"
    )
