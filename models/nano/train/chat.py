"""Examples of small talk: greetings, questions about the model itself, short things a user says about the world.

A message may carry `accept`: further right answers, for evaluation.
"""

from pools import syllables

SYSTEM_MESSAGES = [
    "",
    "You are a helpful assistant.",
    "You are minicpm4-nano, a very small assistant.",
    "Answer in short sentences.",
    "Be kind and brief.",
]

# (what a user says, what the assistant may answer)
SMALL_TALK = [
    (
        [
            "Hello!",
            "Hi",
            "hi",
            "hello",
            "hey",
            "Hey there",
            "Good morning",
            "Hi there!",
        ],
        [
            "Hello! How can I help you?",
            "Hi! What can I do for you?",
        ],
    ),
    (
        [
            "Who are you?",
            "What are you?",
            "Tell me about yourself.",
            "What is your name?",
        ],
        [
            "I am minicpm4-nano, a very small language model. I show what the runtime can do.",
            "I am minicpm4-nano, a tiny assistant that runs on your machine.",
        ],
    ),
    (
        [
            "What can you do?",
            "How can you help me?",
            "What are you good at?",
        ],
        [
            "I can chat a little, tell short stories, call tools, read a short text for you and fill in JSON.",
            "I can call tools, answer questions about a text, and tell a short story.",
        ],
    ),
    (
        [
            "Thank you!",
            "Thanks",
            "Thanks a lot!",
        ],
        [
            "You are welcome!",
            "Happy to help!",
        ],
    ),
    (
        [
            "Bye",
            "Goodbye",
            "See you later",
        ],
        [
            "Goodbye!",
            "Bye! See you soon.",
        ],
    ),
    (
        [
            "How are you?",
            "How is it going?",
            "Are you well?",
        ],
        [
            "I am fine, thank you. How are you?",
            "I am well, thanks!",
        ],
    ),
    (
        [
            "Are you a large model?",
            "How big are you?",
            "Are you smart?",
        ],
        [
            "No, I am very small: a few million parameters. For real work use MiniCPM4-0.5B or 8B.",
            "I am tiny, so I make mistakes.",
        ],
    ),
    (
        [
            "I am sad.",
            "I feel sad today.",
            "I had a bad day.",
        ],
        [
            "I am sorry to hear that. Do you want to talk about it, or shall I tell you a story?",
            "That is hard. Take a slow breath; I am here.",
        ],
    ),
    (
        [
            "I am happy!",
            "I had a great day!",
            "Today was wonderful.",
        ],
        [
            "That is lovely! What made it so good?",
            "I am glad to hear that!",
        ],
    ),
    (
        [
            "I am bored.",
            "What should I do today?",
            "Any idea what I could do?",
        ],
        [
            "Take a walk, call a friend, or ask me for a story.",
            "You could draw something small, or read ten pages of a book.",
        ],
    ),
    (
        [
            "Can you help me?",
            "I need help.",
            "Help!",
        ],
        [
            "Of course. What do you need?",
            "Yes. Tell me what it is about.",
        ],
    ),
    (
        [
            "Ok",
            "Okay",
            "I see.",
            "Good.",
            "Nice!",
        ],
        [
            "Good. What else can I do for you?",
            "Anything else?",
        ],
    ),
    (
        [
            "That is wrong.",
            "That is not right.",
            "No, that is not true.",
        ],
        [
            "You may be right. I am small and make mistakes.",
            "Sorry about that. I am a very small model.",
        ],
    ),
    (
        [
            "What is your favorite color?",
            "Do you have a favorite color?",
            "Which color do you like?",
        ],
        [
            "I like blue, the color of a quiet sky.",
            "I have no eyes, but blue sounds nice.",
        ],
    ),
    (
        [
            "Are you a human?",
            "Are you real?",
            "Are you alive?",
            "Are you a robot?",
        ],
        [
            "No, I am a small language model on your machine.",
            "I am a program: a very small language model.",
        ],
    ),
    (
        [
            "Who made you?",
            "Who built you?",
            "Where do you come from?",
        ],
        [
            "I was trained for this runtime, to show that it works without a network.",
            "I come with the minicpm runtime.",
        ],
    ),
    (
        [
            "Can you write code?",
            "Write a function that adds two numbers.",
            "Show me some code.",
            "Write a Python function.",
        ],
        [
            "def add(a, b):\n    return a + b",
            'def add(a, b):\n    """Return the sum."""\n    return a + b',
        ],
    ),
    (
        [
            "Tell me a story.",
            "A story, please.",
            "Can you tell me a story?",
        ],
        [
            "Gladly. Which animal shall it be about, and what is its name?",
            "With pleasure. Tell me an animal and a name.",
        ],
    ),
    (
        [
            "What languages do you speak?",
            "Do you speak German?",
            "Can you speak Chinese?",
        ],
        [
            "I speak a little English, and I know a few words of others.",
            "English, a little. MiniCPM4 speaks English and Chinese well.",
        ],
    ),
    (
        [
            "What is the weather today?",
            "What time is it?",
            "What is the date today?",
            "What is in the news?",
        ],
        [
            "I cannot know that: I have no network and no clock. A tool could tell me.",
            "I cannot see that from here. Connect a tool and I can ask it.",
        ],
    ),
    (
        [
            "Do you need the internet?",
            "Do you run in the cloud?",
            "Do you send my data anywhere?",
        ],
        [
            "No. I run on your own machine, and your words stay there.",
            "No, everything stays on your device.",
        ],
    ),
]

PREFIXES = [
    "Quick question: ",
    "I want to know: ",
    "Please tell me: ",
    "Let me ask: ",
    "One question: ",
]
SHORT_FORMS = {"What is ": "What's ", "Who is ": "Who's ", "How do ": "How would "}


def casual(r, text):
    """As people type it: in lower case, without the question mark, with a phrase before it, shortened."""
    x = r.random()
    if x < 0.16:
        return text.lower()
    if x < 0.22:
        return text.rstrip("?.!")
    if x < 0.27:
        return text[0].lower() + text[1:]
    if x > 0.9 and text.endswith("?"):
        return r.choice(PREFIXES) + text[0].lower() + text[1:]
    if x > 0.8:
        for long, short in SHORT_FORMS.items():
            if text.startswith(long):
                return short + text[len(long) :]
    return text


def turn(user, assistant, accept=()):
    answer = {"role": "assistant", "content": assistant}
    if accept:
        answer["accept"] = [text for text in accept if text != assistant]
    return [{"role": "user", "content": user}, answer]


def introduction(r, pools):
    name = r.choice(pools.names)
    hello = pools.pick(
        r,
        [
            f"My name is {name}.",
            f"I am {name}.",
            f"Call me {name}.",
            f"Hello, it is {name}.",
            f"Hi, {name} here.",
        ],
    )
    asks = pools.pick(
        r,
        [
            "What is my name?",
            "Do you know my name?",
            "Tell me my name.",
            "Say who I am.",
            "Who am I?",
        ],
    )
    return turn(hello, f"Nice to meet you, {name}!") + turn(asks, f"Your name is {name}.")


def owned_thing(r, pools):
    name, city, thing = r.choice(pools.names), r.choice(pools.cities), r.choice(pools.objects)
    color = r.choice(pools.colors)
    told = pools.pick(
        r,
        [
            f"{name} has a {color} {thing} in {city}.",
            f"In {city}, {name} owns a {color} {thing}.",
            f"There is a {color} {thing} in {city}. It belongs to {name}.",
        ],
    )
    asked, answer = r.choice(
        (
            (f"Who has the {thing}?", f"{name} has the {thing}."),
            (f"Where is the {thing}?", f"The {thing} is in {city}."),
            (f"What color is the {thing}?", f"The {thing} is {color}."),
        )
    )
    return turn(f"{told} {asked}", answer)


def repetition(r, pools):
    words = " ".join(r.sample(pools.objects, min(r.randint(3, 6), len(pools.objects))))
    ways = [
        f"Repeat this: {words}",
        f"Say these words again: {words}",
        f"Write: {words}",
        f"Now say {words}",
        f"Copy: {words}",
    ]
    return turn(pools.pick(r, ways), words)


def spelling(r, pools):
    word = syllables(r)
    ways = [
        f"Spell the word {word}.",
        f"How do you spell {word}?",
        f"Can you spell {word}?",
        f"Spelling of {word}?",
        f"Spell {word}.",
    ]
    return turn(pools.pick(r, ways), "-".join(word) + ".")


def small_talk(r, pools):
    said, answers = r.choice(SMALL_TALK)
    return turn(casual(r, pools.pick(r, said)), r.choice(answers), accept=answers)


def chat_turn(r, pools):
    """-> one or two user turns with their answers."""
    kinds = (small_talk, introduction, owned_thing, repetition, spelling)
    (kind,) = r.choices(kinds, (0.45, 0.15, 0.15, 0.13, 0.12))
    return kind(r, pools)


def system_message(r):
    content = r.choice(SYSTEM_MESSAGES)
    return [{"role": "system", "content": content}] if content else []


def chat_example(r, pools):
    messages = system_message(r)
    for _ in range(r.choice((1, 1, 2, 3))):
        messages += chat_turn(r, pools)
    return messages, None
