"""Tables of small knowledge, all written here, in plain words."""

CAPITALS = """
France:Paris Germany:Berlin Italy:Rome Spain:Madrid Portugal:Lisbon Greece:Athens Austria:Vienna
Hungary:Budapest Poland:Warsaw Ireland:Dublin Norway:Oslo Sweden:Stockholm Finland:Helsinki
Denmark:Copenhagen Iceland:Reykjavik Belgium:Brussels Switzerland:Bern Turkey:Ankara Egypt:Cairo
Kenya:Nairobi Nigeria:Abuja Ghana:Accra Morocco:Rabat Japan:Tokyo China:Beijing India:Delhi
Thailand:Bangkok Vietnam:Hanoi Indonesia:Jakarta Australia:Canberra Canada:Ottawa Mexico:Mexico_City
Brazil:Brasilia Argentina:Buenos_Aires Chile:Santiago Peru:Lima Colombia:Bogota Cuba:Havana
Russia:Moscow Ukraine:Kyiv Iran:Tehran Iraq:Baghdad England:London Scotland:Edinburgh Wales:Cardiff
South_Korea:Seoul Philippines:Manila Romania:Bucharest Bulgaria:Sofia Croatia:Zagreb Serbia:Belgrade
Estonia:Tallinn Latvia:Riga Lithuania:Vilnius Czechia:Prague Slovakia:Bratislava Slovenia:Ljubljana
Tunisia:Tunis Ethiopia:Addis_Ababa Nepal:Kathmandu Pakistan:Islamabad
"""
CAPITALS = [tuple(x.replace("_", " ") for x in p.split(":")) for p in CAPITALS.split()]
OPPOSITES = """
hot:cold big:small old:new happy:sad fast:slow light:dark day:night up:down left:right open:closed
full:empty early:late high:low strong:weak rich:poor young:old wet:dry hard:soft loud:quiet near:far
long:short good:bad clean:dirty thick:thin wide:narrow deep:shallow sweet:sour brave:afraid
first:last always:never inside:outside true:false win:lose buy:sell begin:end push:pull love:hate
give:take easy:difficult black:white heavy:light tall:short
"""
OPPOSITES = [p.split(":") for p in OPPOSITES.split()]
SOUNDS = "cat:meow dog:woof cow:moo duck:quack sheep:baa pig:oink horse:neigh lion:roar bee:buzz frog:croak owl:hoot snake:hiss mouse:squeak rooster:cock-a-doodle-doo crow:caw wolf:howl"
SOUNDS = [p.split(":") for p in SOUNDS.split()]
COLOR_OF = "the_sky:blue grass:green snow:white coal:black a_banana:yellow a_tomato:red an_orange:orange the_sun:yellow blood:red a_carrot:orange milk:white chocolate:brown a_lemon:yellow a_cherry:red a_leaf:green the_sea:blue a_crow:black a_flamingo:pink a_plum:purple an_elephant:gray"
COLOR_OF = [[x.replace("_", " ") for x in p.split(":")] for p in COLOR_OF.split()]
AUTHORS = [
    ("Romeo and Juliet", "William Shakespeare"),
    ("Hamlet", "William Shakespeare"),
    ("Faust", "Goethe"),
    ("Don Quixote", "Miguel de Cervantes"),
    ("War and Peace", "Leo Tolstoy"),
    ("Pride and Prejudice", "Jane Austen"),
    ("Oliver Twist", "Charles Dickens"),
    ("Moby-Dick", "Herman Melville"),
    ("the Odyssey", "Homer"),
    ("Frankenstein", "Mary Shelley"),
    ("Alice in Wonderland", "Lewis Carroll"),
    ("The Jungle Book", "Rudyard Kipling"),
    ("Peter Pan", "J. M. Barrie"),
    ("Dracula", "Bram Stoker"),
]
COUNTS = [
    ("days are in a week", "A week has 7 days."),
    ("days are in a year", "A year has 365 days, and a leap year has 366."),
    ("months are in a year", "A year has 12 months."),
    ("hours are in a day", "A day has 24 hours."),
    ("minutes are in an hour", "An hour has 60 minutes."),
    ("seconds are in a minute", "A minute has 60 seconds."),
    ("legs does a spider have", "A spider has 8 legs."),
    ("legs does a dog have", "A dog has 4 legs."),
    ("legs does an insect have", "An insect has 6 legs."),
    ("wheels does a car have", "A car has 4 wheels."),
    ("sides does a triangle have", "A triangle has 3 sides."),
    ("sides does a square have", "A square has 4 sides."),
    ("letters are in the alphabet", "The English alphabet has 26 letters."),
    ("planets are in the solar system", "The solar system has 8 planets."),
    ("fingers are on a hand", "A hand has 5 fingers."),
    ("continents are there", "There are 7 continents."),
    ("colors are in a rainbow", "A rainbow is said to have 7 colors."),
    ("grams are in a kilogram", "A kilogram has 1000 grams."),
    ("meters are in a kilometer", "A kilometer has 1000 meters."),
    ("bits are in a byte", "A byte has 8 bits."),
    ("strings does a violin have", "A violin has 4 strings."),
    ("hearts does an octopus have", "An octopus has 3 hearts."),
]
WHY = [
    ("Why is the sky blue?", "Air scatters blue light more than red light, so the sky looks blue."),
    (
        "Why do leaves fall in autumn?",
        "Trees drop their leaves to save water and energy in winter.",
    ),
    ("Why do we sleep?", "Sleep lets the body rest and the brain sort what it has learned."),
    ("Why is the sea salty?", "Rivers carry salt from the rocks into the sea, and it stays there."),
    ("Why does ice float?", "Ice is lighter than water of the same volume, so it floats."),
    ("Why do cats purr?", "Cats often purr when they feel safe, and sometimes to calm themselves."),
    (
        "Why do we have seasons?",
        "The axis of the Earth is tilted, so the sun warms each half more or less during the year.",
    ),
    ("Why do birds sing?", "Birds sing to find a mate and to guard their place."),
    (
        "Why does the moon change shape?",
        "We see more or less of its sunny side as it goes around the Earth.",
    ),
    (
        "What is gravity?",
        "Gravity is the force that pulls things toward each other, like an apple to the ground.",
    ),
    ("What is a rainbow?", "A rainbow is sunlight split into colors by drops of rain."),
    (
        "What is photosynthesis?",
        "Plants use light to turn water and carbon dioxide into sugar and oxygen.",
    ),
    ("What is a computer?", "A computer is a machine that follows instructions to work with data."),
    (
        "What is the internet?",
        "The internet is a network that connects computers all over the world.",
    ),
    (
        "What is a volcano?",
        "A volcano is an opening in the ground where hot rock, ash and gas come out.",
    ),
    ("What is an algorithm?", "An algorithm is a list of steps that solves a problem."),
    (
        "What is a language model?",
        "A language model is a program that guesses the next piece of text from the text before.",
    ),
    ("What is a token?", "A token is a small piece of text, often a word or a part of one."),
    (
        "What is sparse attention?",
        "With sparse attention a model looks only at the blocks of text that matter.",
    ),
    (
        "What is quantization?",
        "Quantization stores the numbers of a model in fewer bits, so it is smaller and faster.",
    ),
    (
        "What is a KV cache?",
        "It keeps what a model has already computed for earlier tokens, so it need not do it again.",
    ),
    ("What is MiniCPM4?", "MiniCPM4 is a family of efficient language models for your own device."),
    ("What is the largest planet?", "Jupiter is the largest planet of the solar system."),
    ("What is the smallest planet?", "Mercury is the smallest planet of the solar system."),
    ("What is the highest mountain?", "Mount Everest is the highest mountain."),
    ("What is the longest river?", "The Nile is usually called the longest river."),
    ("What is the largest animal?", "The blue whale is the largest animal."),
    ("What is the fastest animal?", "The peregrine falcon is the fastest animal when it dives."),
    ("What is the largest ocean?", "The Pacific is the largest ocean."),
    ("What is water made of?", "Water is made of hydrogen and oxygen."),
    ("What do bees make?", "Bees make honey."),
    ("What do cows eat?", "Cows eat grass."),
    ("Who painted the Mona Lisa?", "Leonardo da Vinci painted the Mona Lisa."),
    ("Who was the first person on the moon?", "Neil Armstrong was the first person on the moon."),
    ("Who discovered penicillin?", "Alexander Fleming discovered penicillin."),
    ("Is the earth flat?", "No. The Earth is round, almost a ball."),
    ("Is water wet?", "Most people would say yes: water makes things wet."),
    ("Do fish sleep?", "Yes, most fish rest, with open eyes."),
    ("Can penguins fly?", "No, but penguins swim very well."),
    ("What is love?", "Love is caring deeply for someone."),
    (
        "What is the meaning of life?",
        "People answer that in many ways. Being kind is a good start.",
    ),
    ("At what temperature does water boil?", "Water boils at 100 degrees Celsius at sea level."),
    ("At what temperature does water freeze?", "Water freezes at 0 degrees Celsius."),
    ("What does HTTP stand for?", "HTTP stands for Hypertext Transfer Protocol."),
    ("What does CPU stand for?", "CPU stands for central processing unit."),
    ("What does GPU stand for?", "GPU stands for graphics processing unit."),
]
MEANINGS = [
    ("lake", "a body of water with land around it"),
    ("island", "land with water all around it"),
    ("bridge", "a way to cross a river or a road"),
    ("library", "a place where you can read and borrow books"),
    ("doctor", "a person who helps sick people"),
    ("teacher", "a person who helps others learn"),
    ("winter", "the coldest season of the year"),
    ("summer", "the warmest season of the year"),
    ("breakfast", "the first meal of the day"),
    ("friend", "a person you like and trust"),
    ("forest", "a large place full of trees"),
    ("desert", "a dry place with very little rain"),
    ("clock", "a thing that shows the time"),
    ("map", "a drawing that shows where things are"),
    ("baker", "a person who makes bread and cakes"),
    ("kitchen", "a room where food is cooked"),
    ("poem", "a short text with rhythm or rhyme"),
    ("river", "water that flows to the sea"),
    ("mountain", "very high land"),
    ("orphan", "a child without parents"),
    ("pilot", "a person who flies a plane"),
    ("garden", "a place where plants are grown"),
    ("museum", "a place where old or beautiful things are shown"),
    ("vegetable", "a plant that we eat, like a carrot"),
    ("fruit", "the sweet part of a plant that holds its seeds"),
]
TRANSLATE = {
    "German": "hello:hallo thank_you:danke good_morning:guten_Morgen goodbye:auf_Wiedersehen yes:ja no:nein please:bitte water:Wasser bread:Brot cat:Katze dog:Hund house:Haus friend:Freund sun:Sonne book:Buch",
    "French": "hello:bonjour thank_you:merci good_morning:bonjour goodbye:au_revoir yes:oui no:non please:s'il_vous_plaît water:eau bread:pain cat:chat dog:chien house:maison friend:ami sun:soleil book:livre",
    "Spanish": "hello:hola thank_you:gracias good_morning:buenos_días goodbye:adiós yes:sí no:no please:por_favor water:agua bread:pan cat:gato dog:perro house:casa friend:amigo sun:sol book:libro",
    "Italian": "hello:ciao thank_you:grazie good_morning:buongiorno goodbye:arrivederci yes:sì no:no please:per_favore water:acqua bread:pane cat:gatto dog:cane house:casa friend:amico sun:sole book:libro",
}
TRANSLATE = [
    (lang, *(x.replace("_", " ") for x in p.split(":")))
    for lang, t in TRANSLATE.items()
    for p in t.split()
]
GROUPS = {
    "fruits": "apples pears plums cherries grapes bananas lemons oranges",
    "vegetables": "carrots onions beans peas potatoes cabbage tomatoes",
    "animals": "a fox,an owl,a bear,a horse,a whale,a rabbit,a frog",
    "colors": "red blue green yellow white black pink purple",
    "yellow fruits": "bananas lemons pineapples",
    "red fruits": "cherries strawberries apples",
    "cities": "Paris Rome Tokyo Cairo Lima Sydney Berlin",
    "seasons": "spring summer autumn winter",
    "planets": "Mercury Venus Mars Jupiter Saturn Uranus Neptune",
    "musical instruments": "the piano,the violin,the drum,the flute,the guitar",
    "sports": "football tennis swimming running chess",
    "tools": "a hammer,a saw,a shovel,a knife,a brush",
    "programming languages": "TypeScript Python Rust Go Java",
}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
JOKES = [
    "Why did the book go to the doctor? It had a broken spine.",
    "What do you call a bear with no teeth? A gummy bear.",
    "Why was the broom late? It overswept.",
    "What has hands but cannot clap? A clock.",
    "Why did the bicycle fall over? It was two tired.",
    "What gets wetter the more it dries? A towel.",
    "Why are fish so smart? They live in schools.",
    "What has keys but opens no door? A piano.",
    "Why did the computer sneeze? It had a virus.",
    "What kind of tree fits in your hand? A palm tree.",
]
HAIKUS = {
    "the sea": "Waves come and waves go. / The shore keeps one small shell warm. / Night hums in the foam.",
    "winter": "Snow covers the road. / One red hat walks through the white. / The house smells of soup.",
    "spring": "A leaf opens up. / The bee has not slept enough. / Rain taps on the roof.",
    "autumn": "The wind counts the leaves. / A crow waits on the wet fence. / Smoke rises slowly.",
    "the moon": "The moon in the well. / I lower my cup to it. / It breaks and comes back.",
    "a cat": "The cat shuts one eye. / All of the room belongs now / to a patch of sun.",
    "rain": "Rain writes on the glass. / I read the same line again. / Tea cools in my hands.",
    "a computer": "A small light blinks twice. / The fan begins its long song. / Words come, one by one.",
}
TIPS = {
    "sleep better": "Go to bed at the same time each night, and leave the phone outside.",
    "learn to swim": "Start in shallow water and learn to float before anything else.",
    "learn a language": "Practise a little every day and speak early, with mistakes.",
    "save money": "Write down what you spend for a month; then choose what to leave out.",
    "cook rice": "Use two cups of water for one cup of rice, and keep the lid on.",
    "study for a test": "Ask yourself questions instead of reading the text again.",
    "stay healthy": "Walk every day, eat plants, sleep enough and see your friends.",
    "make friends": "Ask people about themselves and listen to the answer.",
    "write well": "Write short sentences, then cut what you do not need.",
    "stay calm": "Breathe out slowly, longer than you breathe in.",
    "read more": "Carry a book with you and read ten pages before you sleep.",
    "grow tomatoes": "Give them sun, water at the root and a stick to hold on to.",
    "learn to code": "Build one small thing that you want yourself, and finish it.",
    "be happy": "Do one kind thing for someone today, and take a walk.",
    "clean a room": "Begin in one corner, and put each thing into its place before the next.",
}
SIZES = [
    "an ant",
    "a bee",
    "a mouse",
    "a cat",
    "a dog",
    "a sheep",
    "a horse",
    "an elephant",
    "a whale",
]
RHYMES = [
    "cat:hat",
    "dog:fog",
    "sun:fun",
    "tree:bee",
    "moon:spoon",
    "star:car",
    "night:light",
    "rain:train",
    "day:play",
    "house:mouse",
    "cake:lake",
    "ring:king",
    "boat:goat",
    "snow:slow",
    "bell:shell",
    "bear:chair",
]
UNKNOWN = [
    "Who invented the {w}?",
    "What is the capital of {W}?",
    "How old is {n}?",
    "When was the {w} {v}?",
    "What does {W} mean?",
    "Who is {n} {W}?",
    "Why did {n} leave {W}?",
    "How many people live in {W}?",
    "What is the population of {W}?",
    "Who won the {w} cup?",
]
UNSURE = [
    "I do not know that. I am a very small model.",
    "I am too small to know that. A larger model can help.",
    "That is not something I know.",
]
