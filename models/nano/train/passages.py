"""Examples with a text to read or write: stories, JSON, and needles (a fact hidden in filler)."""

import json

from chat import turn
from pools import syllables

FIELDS = ("name", "city", "age", "color", "item", "email")


def story(r, pools):
    """-> (hero, animal, object, seven sentences)."""
    name, friend = r.choice(pools.names), r.choice(pools.names)
    animal, thing, food = r.choice(pools.animals), r.choice(pools.objects), r.choice(pools.foods)
    place, other_place = r.choice(pools.places), r.choice(pools.places)
    mood, other_mood = r.choice(pools.adjectives), r.choice(pools.adjectives)
    color = r.choice(pools.colors)
    ways = [
        (
            f"Once upon a time there was a {mood} {animal} called {name}.",
            f"{name} was a {mood} {animal} who lived near the {place}.",
            f"In a {place} lived a {mood} {animal} named {name}.",
        ),
        (
            f"{name} loved {food} and long walks to the {other_place}.",
            f"Every day {name} went to the {other_place} to look for {food}.",
        ),
        (
            f"One day {name} found a {color} {thing}.",
            f"One morning there was a {color} {thing} on the path.",
            f"Then a {color} {thing} fell from the sky.",
        ),
        (
            f'"Whose {thing} is this?" asked {name}.',
            f"{name} wondered who had lost the {thing}.",
            f"{name} had never seen such a {thing}.",
        ),
        (
            f'A {other_mood} friend named {friend} came by and said, "That is my {thing}!"',
            f"{friend}, who was {other_mood}, was looking for it everywhere.",
        ),
        (
            f"{name} gave the {thing} back, and {friend} shared some {food}.",
            f"So they shared the {thing} and ate {food} together.",
            f"{name} smiled and gave the {thing} to {friend}.",
        ),
        (
            f"From that day on {name} and {friend} were good friends.",
            "They were happy and went home.",
            f"And the {place} was full of joy.",
        ),
    ]
    return name, animal, thing, [r.choice(options) for options in ways]


def story_example(r, pools):
    name, animal, thing, sentences = story(r, pools)
    ask = pools.pick(
        r,
        [
            f"Tell me a story about a {animal} named {name}.",
            f"Please tell a short story about a {animal} called {name} and a {thing}.",
            f"I want a story with a {animal}. Call it {name}.",
        ],
    )
    return turn(ask, " ".join(sentences)), None


def json_example(r, pools):
    """Two to four fields, told in any order."""
    fields = r.sample(FIELDS, r.randint(2, 4))
    known = {
        "name": r.choice(pools.names),
        "city": r.choice(pools.cities),
        "age": r.randint(5, 90),
        "color": r.choice(pools.colors),
        "item": r.choice(pools.objects),
    }
    known["email"] = f"{known['name'].lower()}@{syllables(r)}.com"
    says = {
        "name": f"My name is {known['name']}.",
        "city": f"I live in {known['city']}.",
        "age": f"I am {known['age']} years old.",
        "color": f"I like the color {known['color']}.",
        "item": f"I own a {known['item']}.",
        "email": f"My address is {known['email']}.",
    }
    parts = [says[field] for field in fields]
    r.shuffle(parts)
    listed = ", ".join(fields)
    ask = pools.pick(
        r,
        [
            f"Write JSON with the fields {listed}. ",
            f"Extract {listed} as JSON: ",
            f"Give me JSON with {listed}: ",
            f"Find {listed} and answer in JSON. ",
            f"The fields are {listed}. Read this text into JSON. ",
            f"Fill the JSON fields {listed} from this text. ",
        ],
    )
    return turn(ask + " ".join(parts), json.dumps({field: known[field] for field in fields})), None


def filler(r, pools):
    if r.random() < 0.3:
        return " ".join(story(r, pools)[3])
    animal, thing, other = r.choice(pools.animals), r.choice(pools.objects), r.choice(pools.objects)
    place, color, food = r.choice(pools.places), r.choice(pools.colors), r.choice(pools.foods)
    ways = (
        f"The {color} {thing} was in the {place}.",
        f"A {animal} slept near the {place}.",
        f"It was {r.choice(pools.weather)} in {r.choice(pools.cities)}.",
        f"{r.choice(pools.names)} ate {food} at the {place}.",
        f"Nobody saw the {r.choice(pools.adjectives)} {animal}.",
        f"The {thing} and the {other} lay on the floor.",
    )
    return r.choice(ways)


def needle_key(r, pools):
    name, animal, place = r.choice(pools.names), r.choice(pools.animals), r.choice(pools.places)
    ways = (
        f"the passkey of {name}",
        f"the secret number of the {animal}",
        f"the code for the {syllables(r)} {place}",
    )
    return r.choice(ways)


def needle_example(r, pools, characters, keys=1, depth=None, questions=1):
    """A fact among `characters` of filler, with `keys` - 1 more facts of the same form beside it.

    `depth` in 0..1 places the fact that is asked for first, a list of depths the first ones; without it, they
    lie anywhere, as the others do.
    """
    depths = depth if isinstance(depth, list) else [] if depth is None else [depth]
    numbers = {}
    while len(numbers) < keys:
        numbers.setdefault(needle_key(r, pools), str(r.randint(10000, 99999)))
    text, size = [], 0
    while size < characters:
        text.append(filler(r, pools))
        size += len(text[-1]) + 1
    for i, (key, number) in enumerate(numbers.items()):
        share = depths[i] if i < len(depths) else r.random()
        text.insert(int(share * len(text)), f"Remember: {key} is {number}.")
    messages, lead = [], " ".join(text) + "\n"
    for key in list(numbers)[:questions]:
        asks = [f"What is {key}?", f"Tell me {key}.", f"I forgot {key}.", f"Do you know {key}?"]
        asks += [f"Can you say {key}?", f"Do you remember {key}?"]
        answer = f"{key[0].upper() + key[1:]} is {numbers[key]}."
        messages += turn(lead + pools.pick(r, asks), answer)
        lead = ""
    return messages, None
