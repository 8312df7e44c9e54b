"""Examples with tools as servers of the Model Context Protocol offer them: files, echo, sums, searches.

Beside the invented tools of tools.py these have long descriptions, optional parameters, requests that name no
parameter, and results in plain text that the answer repeats.
"""

from chat import SYSTEM_MESSAGES
from passages import story
from pools import syllables
from render import render_calls
from tools import make_call, make_tool

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
ENDINGS = (".txt", ".txt", ".md", ".csv", ".json", "")


def function(name, description, properties, required):
    parameters = {"type": "object", "properties": properties, "required": required}
    about = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": about}


def parameter(kind, description):
    return {"type": kind, "description": description}


def folder(r, pools):
    """An absolute path of one to three steps; some have a random tail, as temporary folders do."""
    steps = [pools.made_up_word(r) for _ in range(r.choice((1, 1, 2, 3)))]
    if r.random() < 0.3:
        steps[-1] += "-" + "".join(r.choice(LETTERS) for _ in range(6))
    return "/" + "/".join(steps)


def file_name(r, pools):
    words = [pools.made_up_word(r) for _ in range(r.choice((1, 1, 2)))]
    return r.choice("-_").join(words) + r.choice(ENDINGS)


def file_text(r, pools):
    """One or two sentences."""
    name, animal, thing, sentences = story(r, pools)
    number = r.randint(1, 99999)
    facts = [
        f"The code for the {r.choice(pools.places)} is {number}.",
        f"{name} lives in {r.choice(pools.cities)}.",
        f"Buy {r.choice(pools.foods)} and {r.choice(pools.foods)}.",
        f"The {thing} of {name} is {r.choice(pools.colors)}.",
        f"Call {name} about the {thing}.",
        f"{name} has {r.randint(2, 60)} {animal}s.",
    ]
    return " ".join(r.sample([*facts, sentences[0]], r.choice((1, 1, 2))))


def read_file(r, pools):
    name = r.choice(
        ("read_text_file", "read_file", "open_file", "get_file", f"{r.choice(pools.verbs)}_file")
    )
    about = ["Read the complete contents of a file from the file system as text."]
    about += r.sample(
        [
            "Handles various text encodings and provides detailed error messages if the file cannot be read.",
            "Use this tool when you need to examine the contents of a single file.",
            "Use the 'head' parameter to read only the first N lines of a file.",
            "Only works within allowed directories.",
        ],
        r.choice((0, 1, 2, 4)),
    )
    optional = {
        "tail": parameter("number", "If provided, returns only the last N lines of the file"),
        "head": parameter("number", "If provided, returns only the first N lines of the file"),
    }
    properties = {
        "path": parameter("string", r.choice(("the file to read", "the path of the file")))
    }
    if r.random() < 0.5:
        properties |= optional
    place = folder(r, pools)
    path = f"{place}/{file_name(r, pools)}"
    asks = [
        f"Read the file {path}.",
        f"What is in {path}?",
        f"What does {path} say?",
        f"Read {path}",
    ]
    asks += [f"Show me {path}, please.", f"Please read {path}.", f"Open the file {path}."]
    trouble = r.random()
    if trouble < 0.12:
        result = (
            f"Access denied - path outside allowed directories: {path} not in {folder(r, pools)}"
        )
        answers = [
            "I could not read it: access denied.",
            "Sorry, I may not read that file: access denied.",
        ]
    elif trouble < 0.2:
        result = f"ENOENT: no such file or directory, open '{path}'"
        answers = ["I could not read it: there is no such file.", "Sorry, there is no such file."]
    else:
        result = file_text(r, pools)
        answers = [f"The file says: {result}", f"It says: {result}"]
    tool = function(name, " ".join(about), properties, ["path"])
    return tool, pools.pick(r, asks), {"path": path}, result, answers


def list_folder(r, pools):
    name = r.choice(("list_directory", "list_folder", "list_files"))
    path = folder(r, pools)
    names = [file_name(r, pools) for _ in range(r.randint(1, 4))]
    result = "\n".join(f"[{r.choice(('FILE', 'FILE', 'DIR'))}] {one}" for one in names)
    asks = [
        f"List the folder {path}.",
        f"What files are in {path}?",
        f"Which files does {path} have?",
    ]
    asks += [f"List {path}", f"Show me the files in {path}."]
    answers = [f"I found {', '.join(names)}.", f"There are {len(names)}: {', '.join(names)}."]
    about = "Get a detailed listing of all files and directories in a specified path."
    tool = function(name, about, {"path": parameter("string", "the folder to list")}, ["path"])
    return tool, pools.pick(r, asks), {"path": path}, result, answers


def echo(r, pools):
    name = r.choice(("echo", "echo", "say", "repeat_text", "print_message"))
    key = r.choice(("message", "message", "text"))
    lists = (pools.adjectives, pools.objects, pools.animals, pools.names, pools.places)
    words = (r.choice((*map(r.choice, lists), syllables(r))) for _ in range(r.randint(1, 4)))
    text = " ".join(words)
    asks = [f"Echo {text}.", f"Echo the {key} {text}", f"Please echo {text}.", f"Echo: {text}"]
    asks += [f"Use {name} to say {text}.", f"Can you echo {text}?"]
    result = r.choice((f"Echo: {text}", text))
    answers = [f"The tool says: {result}", f"It says: {result}"]
    about = r.choice(("Echoes back the input string", "Echoes the message.", "Says a text again."))
    tool = function(name, about, {key: parameter("string", f"{key.capitalize()} to echo")}, [key])
    return tool, pools.pick(r, asks), {key: text}, result, answers


def add(r, pools):
    name = r.choice(("get-sum", "get-sum", "add", "sum", "add_numbers"))
    first, second = r.choice((("a", "b"), ("a", "b"), ("x", "y"), ("first", "second")))
    a, b = r.randint(1, 99), r.randint(1, 99)
    asks = [f"What is {a} plus {b}?", f"Add {a} and {b}.", f"What is the sum of {a} and {b}?"]
    asks += [f"Add the numbers {a} and {b}.", f"How much is {a} + {b}?"]
    result = r.choice((f"The sum of {a} and {b} is {a + b}.", str(a + b)))
    answers = [f"{a} plus {b} is {a + b}."]
    properties = {
        first: parameter("number", "First number"),
        second: parameter("number", "Second number"),
    }
    about = r.choice(("Returns the sum of two numbers", "Add two numbers.", "Adds two numbers"))
    tool = function(name, about, properties, [first, second])
    return tool, pools.pick(r, asks), {first: a, second: b}, result, answers


def search(r, pools):
    name = r.choice(("search_nodes", "search_notes", "search", "find_pages"))
    query = " ".join(
        r.choice((r.choice(pools.names), r.choice(pools.objects), syllables(r)))
        for _ in range(r.randint(1, 2))
    )
    result = file_text(r, pools) if r.random() < 0.85 else "Nothing found."
    asks = [
        f"Search for {query}.",
        f"Find {query}",
        f"Please search {query}.",
        f"What do you find about {query}?",
    ]
    answers = (
        [f"I found this: {result}"]
        if result != "Nothing found."
        else ["I found nothing.", "Nothing was found."]
    )
    about = r.choice(
        ("Search for nodes in the knowledge graph based on a query", "Searches all notes.")
    )
    description = r.choice(("The search query", "what to search for"))
    tool = function(name, about, {"query": parameter("string", description)}, ["query"])
    return tool, pools.pick(r, asks), {"query": query}, result, answers


KINDS = {read_file: 0.38, list_folder: 0.12, echo: 0.2, add: 0.18, search: 0.12}


def server_example(r, pools):
    """Up to three tools, of which one or two are asked for in turn; an invented one may be among them."""
    kinds = dict.fromkeys(r.choices(list(KINDS), list(KINDS.values()), k=r.choice((1, 2, 3, 4))))
    made = {one[0]["function"]["name"]: one for one in (kind(r, pools) for kind in kinds)}
    asked = list(made.values())[: r.choice((1, 1, 2))]
    tools = [one[0] for one in made.values()][:3]
    if len(tools) < 3 and r.random() < 0.4:
        tool, what = make_tool(r, pools)
        if tool["function"]["name"] not in made:
            tools.append(tool)
            if r.random() < 0.3:
                ask, (_, arguments), result, answers = make_call(r, pools, tool, what)
                asked.append((tool, ask, arguments, str(next(iter(result.values()))), None))
    r.shuffle(tools)
    messages = [{"role": "system", "content": r.choice(SYSTEM_MESSAGES)}]
    for tool, ask, arguments, result, answers in asked:
        name = tool["function"]["name"]
        call = render_calls([(name, arguments)], f"I need to call {name}.")
        told = pools.pick(r, answers) if answers else f"It says: {result}"
        messages += [{"role": "user", "content": ask}, {"role": "assistant", "content": call}]
        messages += [{"role": "tool", "content": result}, {"role": "assistant", "content": told}]
    return messages, tools
