"""Small knowledge for nano: the questions a person asks first, with short answers, learned by heart.

Each function of KINDS draws (ways to ask, answer); the last way to ask is kept for evaluation.
"""

from facts_tables import (
    AUTHORS,
    CAPITALS,
    COLOR_OF,
    COUNTS,
    DAYS,
    GROUPS,
    HAIKUS,
    JOKES,
    MEANINGS,
    MONTHS,
    NUMBERS,
    OPPOSITES,
    RHYMES,
    SIZES,
    SOUNDS,
    TIPS,
    TRANSLATE,
    UNKNOWN,
    UNSURE,
    WHY,
)  # fmt: skip
from pools import syllables

WITHOUT_ARTICLE = ("winter", "summer", "breakfast")
OPERATIONS = {
    "+": ("plus", 30),
    "-": ("minus", 30),
    "x": ("times", 12),
}  # sign: (word, largest operand)


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def sentence(text):
    return text[0].upper() + text[1:]


def capital(r, pools):
    country, city = r.choice(CAPITALS)
    if r.random() < 0.15:
        ways = [
            f"{city} is the capital of which country?",
            f"Which country has {city} as its capital?",
            f"Of which country is {city} the capital?",
        ]
        return ways, f"{city} is the capital of {country}."
    ways = [
        f"What is the capital of {country}?",
        f"capital of {country}?",
        f"Tell me the capital of {country}.",
        f"Which city is the capital of {country}?",
        f"Do you know the capital of {country}?",
        f"What's the capital city of {country}?",
    ]
    return ways, f"The capital of {country} is {city}."


def opposite(r, pools):
    word, other = r.choice(OPPOSITES)
    ways = [
        f"What is the opposite of {word}?",
        f"Give me the opposite of {word}.",
        f"The opposite of {word} is?",
    ]
    return ways, f"The opposite of {word} is {other}."


def sound(r, pools):
    animal, says = r.choice(SOUNDS)
    ways = [
        f"What sound does {article(animal)} make?",
        f"How does {article(animal)} sound?",
        f"What does the {animal} say?",
    ]
    return ways, f"{article(animal).capitalize()} says {says}."


def color(r, pools):
    thing, name = r.choice(COLOR_OF)
    ways = [
        f"What color is {thing}?",
        f"Tell me the color of {thing}.",
        f"Which color does {thing} have?",
    ]
    return ways, f"{sentence(thing)} is {name}."


def author(r, pools):
    title, name = r.choice(AUTHORS)
    ways = [
        f"Who wrote {title}?",
        f"Who is the author of {title}?",
        f"{sentence(title)} was written by whom?",
    ]
    return ways, f"{name} wrote {title}."


def count_of(r, pools):
    what, answer = r.choice(COUNTS)
    return [
        f"How many {what}?",
        f"Do you know how many {what}?",
        f"Tell me how many {what}.",
    ], answer


def why(r, pools):
    question, answer = r.choice(WHY)
    lower = question[0].lower() + question[1:]
    return [question, question, question.lower(), lower, "Can you tell me: " + question], answer


def meaning(r, pools):
    word, what = r.choice(MEANINGS)
    ways = [
        f"What is {article(word)}?",
        f"Define {word}.",
        f"What does the word {word} mean?",
        f"Explain the word {word}.",
    ]
    subject = word if word in WITHOUT_ARTICLE else article(word)
    return ways, f"{subject.capitalize()} is {what}."


def translation(r, pools):
    language, word, translated = r.choice(TRANSLATE)
    ways = [
        f"Translate to {language}: {word}",
        f"How do you say {word} in {language}?",
        f"What is {word} in {language}?",
        f"{word} in {language}?",
    ]
    return ways, f"In {language}, {word} is {translated}."


def group(r, pools):
    name, members = r.choice(list(GROUPS.items()))
    members = members.split(",") if "," in members else members.split()
    count = r.randint(2, min(4, len(members)))
    chosen = r.sample(members, count)
    listed = f"{', '.join(chosen[:-1])} and {chosen[-1]}"
    number = NUMBERS[count]
    ways = [
        f"Name {number} {name}.",
        f"List {number} {name}.",
        f"Give me {number} {name}.",
        f"Can you name {number} {name}?",
    ]
    return ways, f"{number.capitalize()} {name} are {listed}."


def calendar(r, pools):
    names, what = r.choice(((DAYS, "day"), (MONTHS, "month")))
    i = r.randrange(len(names))
    step, word = (1, "after") if r.random() < 0.6 else (-1, "before")
    ways = [
        f"Which {what} comes {word} {names[i]}?",
        f"What {what} is {word} {names[i]}?",
        f"What comes {word} {names[i]}?",
    ]
    return ways, f"{word.capitalize()} {names[i]} comes {names[(i + step) % len(names)]}."


def arithmetic(r, pools):
    sign = r.choice("+-x")
    word, largest = OPERATIONS[sign]
    a, b = r.randint(0, largest), r.randint(0, largest)
    if sign == "-" and a < b:
        a, b = b, a
    result = {"+": a + b, "-": a - b, "x": a * b}[sign]
    ways = [
        f"What is {a} {word} {b}?",
        f"What is {a} {sign} {b}?",
        f"{a} {sign} {b} = ?",
        f"How much is {a} {word} {b}?",
        f"Calculate {a} {sign} {b}.",
    ]
    return ways, f"{a} {word} {b} is {result}."


def joke(r, pools):
    ways = [
        "Tell me a joke.",
        "Do you know a joke?",
        "Make me laugh.",
        "Tell me something funny.",
        "A joke, please.",
    ]
    return ways, r.choice(JOKES)


def haiku(r, pools):
    topic, poem = r.choice(list(HAIKUS.items()))
    ways = [
        f"Write a haiku about {topic}.",
        f"A haiku about {topic}, please.",
        f"Can you write a haiku about {topic}?",
        f"Write a short poem about {topic}.",
    ]
    return ways, poem


def tip(r, pools):
    aim, advice = r.choice(list(TIPS.items()))
    ways = [
        f"How can I {aim}?",
        f"Give me a tip to {aim}.",
        f"I want to {aim}. Any advice?",
        f"How do I {aim}?",
        f"Any tips to {aim}?",
    ]
    return ways, advice


def size(r, pools):
    i, j = r.sample(range(len(SIZES)), 2)
    a, b = SIZES[i], SIZES[j]
    ways = [
        f"Which is bigger, {a} or {b}?",
        f"What is larger: {a} or {b}?",
        f"Is {a} or {b} bigger?",
    ]
    return ways, f"{sentence(SIZES[max(i, j)])} is bigger than {SIZES[min(i, j)]}."


def rhyme(r, pools):
    word, other = r.choice(RHYMES).split(":")
    ways = [
        f"What rhymes with {word}?",
        f"Give me a word that rhymes with {word}.",
        f"Find a rhyme for {word}.",
    ]
    return ways, f"{other.capitalize()} rhymes with {word}."


def counting(r, pools):
    n = r.randint(3, 12)
    number = NUMBERS[n]
    ways = [f"Count to {number}.", f"Count from one to {number}.", f"Can you count to {n}?"]
    return ways, ", ".join(NUMBERS[1 : n + 1]).capitalize() + "."


def letters(r, pools):
    word = r.choice(pools.objects + pools.animals)
    ways = [
        f"How many letters are in the word {word}?",
        f"How many letters does {word} have?",
        f"Count the letters of {word}.",
    ]
    return ways, f"The word {word} has {len(word)} letters."


def unknown(r, pools):
    made = r.choice(("built", "found", "written", "made"))
    named = {
        "w": syllables(r),
        "W": syllables(r).capitalize(),
        "n": r.choice(pools.names),
        "v": made,
    }
    return [way.format(**named) for way in UNKNOWN], r.choice(UNSURE)


# kind: its share
KINDS = {
    capital: 2, opposite: 1, sound: 1, color: 1, author: 1, count_of: 2, why: 4, meaning: 1,
    translation: 1, group: 1, calendar: 1, arithmetic: 2, joke: 1, haiku: 1, tip: 1, size: 0.5,
    rhyme: 0.5, counting: 0.5, letters: 0.5, unknown: 1,
}  # fmt: skip


def facts_turn(r, pools):
    """-> (question, answer)."""
    (kind,) = r.choices(list(KINDS), list(KINDS.values()))
    ways, answer = kind(r, pools)
    return pools.pick(r, ways), answer
