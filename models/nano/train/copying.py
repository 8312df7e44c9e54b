"""Examples of nothing but copying (repeat, list, look up): what tool values and needles need."""

import json

from chat import turn
from pools import syllables

SEPARATORS = (" ", ", ", "\n", " and ", " - ")
PAIR_FORMS = ("{k} is {v}", "{k}: {v}", "{k} = {v}", "the {k} is {v}", "{k} has {v}", "{k} -> {v}")
LOOK_UPS = (
    "What is {k}?",
    "Value of {k}?",
    "Give me {k}.",
    "And {k}?",
    "Which one for {k}?",
    "Look up {k}.",
)


def thing(r, pools):
    """Something worth copying: a word, a name, a function, a path, an address, a number."""
    x = r.random()
    if x < 0.5:
        word = pools.made_up_word(r)
        return word.capitalize() if r.random() < 0.3 else word
    if x < 0.75:
        kinds = ("names", "cities", "objects", "nouns", "verbs", "parameters")
        return r.choice((*(r.choice(getattr(pools, kind)) for kind in kinds), syllables(r)))
    if x < 0.83:
        return f"{r.choice(pools.verbs)}_{r.choice(pools.nouns)}"
    if x < 0.9:
        steps = "/".join(pools.made_up_word(r) for _ in range(r.choice((1, 2))))
        return f"/{steps}{r.choice(('.txt', '.md', '.csv', ''))}"
    if x < 0.95:
        return f"{pools.made_up_word(r)}@{syllables(r)}.com"
    return str(r.choice((r.randint(1, 99), r.randint(100, 99999))))


def things(r, pools, count):
    return list(dict.fromkeys(thing(r, pools) for _ in range(count)))


def repeat(r, pools, items):
    separator = r.choice(SEPARATORS)
    lead = r.choice(("Repeat: ", "Repeat after me: ", "Write this again: ", "Echo ", "Type: "))
    return turn(lead + separator.join(items), separator.join(items))


def to_json(r, pools, items):
    listed = r.choice(SEPARATORS[:4]).join(items)
    ways = (
        f"Make a JSON list of {listed}",
        f"As JSON: {listed}",
        f"Put these in a list: {listed}",
        f"{listed}\nAs a JSON array, please.",
    )
    return turn(r.choice(ways), json.dumps(items))


def from_json(r, pools, items):
    listed = json.dumps(items)
    ways = (f"What is in {listed}?", f"Read the list {listed}.", json.dumps({"items": items}))
    return turn(r.choice(ways), ", ".join(items))


def look_up(r, pools, items):
    """Up to six pairs, of which up to three are asked for, in turns of their own."""
    keys = things(r, pools, r.randint(2, 6))
    pairs = {key: thing(r, pools) for key in keys}
    form, separator = r.choice(PAIR_FORMS), r.choice((", ", "; ", "\n", ". "))
    if r.random() < 0.2:
        text = json.dumps(pairs)
    else:
        text = separator.join(form.format(k=key, v=value) for key, value in pairs.items())
    messages, lead = [], text + r.choice((". ", "\n", ".\n"))
    for key in r.sample(keys, min(len(keys), r.choice((1, 2, 3)))):
        # the form of the text says the form of the answer
        answer = f"{key}: {pairs[key]}" if form == "{k}: {v}" else pairs[key]
        messages += turn(lead + r.choice(LOOK_UPS).format(k=key), answer)
        lead = ""
    return messages


def copy_example(r, pools):
    (kind,) = r.choices((repeat, to_json, from_json, look_up), (0.25, 0.2, 0.1, 0.45))
    return kind(r, pools, things(r, pools, r.randint(1, 6))), None
