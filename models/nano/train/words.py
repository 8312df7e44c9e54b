"""Word pools of the generated corpus. Items whose index is divisible by HOLDOUT never appear in training."""

HOLDOUT = 7

NAMES = """Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Victor Wendy Adam Bella Carl
Diana Eric Fiona George Hanna Ivan Julia Kevin Laura Mark Nina Oscar Petra Quinn Rita Simon Theo Uma Vera Walter Yara Zoe Alice Bruno
Celia Dylan Elena Frank Gina Hugo Ines Jonas Karla Luis Maria Nora Otto Pia Ralf Sara Tom Ursula Vince Willa Xena Yuri Zara Amir Bianca
Chen Dara Eli Fatima Goran Hiro Ilya Jin Kofi Lena Mei Nils Omar Priya Ravi Sofia Tariq Usha Wei Yuki Aiko Bao Carmen Dmitri""".split()
CITIES = """Paris London Berlin Madrid Rome Vienna Prague Oslo Lisbon Athens Dublin Warsaw Cairo Lagos Nairobi Tokyo Osaka Seoul Beijing Shanghai
Delhi Mumbai Sydney Perth Toronto Montreal Boston Chicago Denver Seattle Austin Dallas Miami Lima Quito Bogota Santiago Havana Geneva
Zurich Munich Hamburg Milan Naples Turin Venice Porto Seville Valencia Malaga Krakow Riga Tallinn Vilnius Helsinki Bergen Malmo Basel Bern
Lyon Nice Lille Nantes Bordeaux Ghent Antwerp Leeds York Bath Oxford Cambridge Glasgow Cardiff Kyoto Nagoya Busan Hanoi Bangkok Jakarta""".split()
ANIMALS = "cat dog fox owl bear wolf frog mouse horse duck goat sheep lion tiger rabbit deer otter swan crow bee ant whale seal crab snail turtle hen goose pony lamb".split()
OBJECTS = """ball book lamp cup key map box hat coin bell drum kite rope stone shell leaf apple pear plum cake bread spoon knife plate chair table
clock ring scarf glove boot coat sock bag bottle candle mirror brush pencil paper basket ladder wheel boat flag tent drumstick feather
button ribbon blanket pillow bucket shovel hammer nail saw jar kettle pan pot""".split()
COLORS = "red blue green yellow white black brown pink purple orange gray silver golden".split()
ADJECTIVES = """small big old new happy sad brave shy kind clever funny quiet loud quick slow warm cold soft bright dark tiny huge gentle lazy
proud curious hungry sleepy friendly lonely careful wise strong young pretty strange""".split()
PLACES = "garden forest river lake hill park house barn school market beach kitchen attic meadow bridge tower village castle cave field harbor library".split()
FOODS = "bread soup rice cake apples cheese honey noodles salad pie eggs fish beans corn berries toast jam pancakes".split()
WEATHER = "sunny rainy cloudy windy snowy foggy stormy clear".split()
VERBS = """get set find list add remove create delete update send read write open close start stop check count convert translate search book cancel
play pause show make move copy rename sort filter plan track order buy sell pay share save load print scan lock unlock measure rate join
leave invite call message remind schedule compare calculate lookup fetch store query export import archive restore""".split()
NOUNS = """weather time file folder note task event email contact photo song playlist recipe ticket flight hotel room car train bus route map
price stock currency account invoice order product review message channel calendar alarm timer lamp door window heater camera sensor
robot plant pet book movie article page link password user team project report chart table column row record backup package shipment
address phone city country language word document image video sound device battery network server log game score quiz card""".split()
PARAMETERS = """city name path query text title date hour minute amount limit count color size unit level mode format language target source
email phone room floor item price quantity topic user team tag folder message content body subject speed volume index page width height
duration priority status category address country currency key value label note channel device file recipient start end""".split()
SYLLABLES = "ba be bo ca co da de di do fa fi fo ga go ha hi ka ki ko la le li lo ma me mi mo na ne ni no pa pe po ra re ri ro sa se so ta te ti to va vi vo za zo".split()


def split(pool):
    """-> (training items, held-out items)."""
    return (
        [w for i, w in enumerate(pool) if i % HOLDOUT],
        [w for i, w in enumerate(pool) if i % HOLDOUT == 0],
    )
