"""The words of the support desk: who writes, about which product, what is wrong with it, and what would be done.

A product belongs to a family, and a family has its problems; so a garden bench never loses its Wi-Fi.
"""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """Something to try: `wipe the seal`, `wiping the seal`."""

    order: str
    doing: str


class Problem(NamedTuple):
    """One thing that goes wrong.

    Attributes:
        gist: how the summary says it, after the product: `leaks water on the floor`.
        said: how customers say it, as clauses that may follow one another.
        cause: what the agent finds: `the seal is worn`.
        guess: the part that it is not, though somebody thinks so: `hose`.
        steps: two things to try.
    """

    gist: str
    said: tuple[str, ...]
    cause: str
    guess: str
    steps: tuple[Step, Step]

    @property
    def part(self) -> str:
        """The part that the cause names: `seal`."""
        return self.cause.removeprefix("the ").partition(" is ")[0]


class Family(NamedTuple):
    """Products that share their problems."""

    products: tuple[str, ...]
    problems: tuple[Problem, ...]


def _problem(gist: str, cause: str, guess: str, steps: str, *said: str) -> Problem:
    """Steps are written `wipe/wiping the seal; turn/turning it off`."""
    first, second = (_step(text) for text in steps.split("; "))
    return Problem(gist, said, cause, guess, (first, second))


def _step(text: str) -> Step:
    verbs, _, rest = text.partition(" ")
    order, doing = verbs.split("/")
    return Step(f"{order} {rest}", f"{doing} {rest}")


FAMILIES = (
    Family(("dishwasher", "washing machine", "coffee machine"), (
        _problem("leaks water on the floor", "the seal is worn", "hose",
                 "wipe/wiping the seal dry; tighten/tightening the hose",
                 "there is a puddle on the floor every time", "it leaks all over the floor",
                 "I am mopping up water each morning"),
        _problem("stops halfway through", "the pump is blocked", "timer",
                 "run/running it empty with vinegar; clean/cleaning the filter",
                 "it just stops halfway through", "it gets halfway and gives up", "it never reaches the end"),
        _problem("makes a grinding noise", "the motor is worn", "filter",
                 "move/moving it off the wall; level/levelling its feet",
                 "it grinds like a cement mixer", "there is an awful grinding noise when it runs",
                 "it has started to make a grinding sound"),
    )),
    Family(("laptop", "tablet", "e-reader", "camera"), (
        _problem("loses its charge overnight", "the battery is worn", "charger",
                 "switch/switching off the wireless; charge/charging it from the wall",
                 "it is full at night and empty by breakfast", "the battery drains overnight",
                 "it loses all its charge while I sleep"),
        _problem("has a flickering screen", "the screen cable is loose", "battery",
                 "lower/lowering the brightness; restart/restarting it",
                 "the screen flickers all the time", "the picture keeps flickering", "the display flashes on and off"),
        _problem("does not switch on", "the power button is faulty", "charger",
                 "hold/holding the power button down; leave/leaving it on the charger",
                 "it does not switch on any more", "it is completely dead", "I press the button and nothing happens"),
    )),
    Family(("headset", "speaker", "radio", "soundbar"), (
        _problem("crackles at high volume", "the membrane is torn", "cable",
                 "turn/turning down the bass; change/changing the cable",
                 "it crackles as soon as I turn it up", "anything loud and it crackles",
                 "there is a crackle at high volume"),
        _problem("loses its connection", "the antenna is loose", "phone",
                 "pair/pairing it again; move/moving the phone closer",
                 "it keeps losing its connection", "it cuts out every few minutes",
                 "the connection drops when I walk past"),
        _problem("has no sound on the left", "the left driver is faulty", "balance setting",
                 "reset/resetting the balance; update/updating the software",
                 "the left side is silent", "I only hear the right side", "there is no sound on the left"),
    )),
    Family(("printer", "scanner", "copier"), (
        _problem("jams on every page", "the roller is worn", "paper",
                 "try/trying thinner paper; clean/cleaning the roller",
                 "the paper gets stuck every time", "it jams on every single page", "it chews up each sheet"),
        _problem("leaves streaks on the page", "the glass is scratched", "ink",
                 "wipe/wiping the glass; run/running the cleaning program",
                 "there are streaks on everything", "each page comes out with black streaks",
                 "it leaves lines down the page"),
        _problem("does not join the network", "the network card is faulty", "password",
                 "type/typing the password again; restart/restarting the router",
                 "it does not join our network", "it cannot see the Wi-Fi", "it never gets onto the network"),
    )),
    Family(("robot vacuum", "robot mower"), (
        _problem("drives in circles", "the left wheel is stuck", "map",
                 "clean/cleaning the wheels; delete/deleting the map",
                 "it only drives in circles", "round and round it goes on one spot",
                 "it turns in circles like a dog after its tail"),
        _problem("does not find its base", "the sensor is faulty", "base",
                 "wipe/wiping the sensor; move/moving the base",
                 "it does not find its base", "it never gets home to its base", "I have to carry it back to the base"),
        _problem("stops after a few minutes", "the battery is worn", "brush",
                 "empty/emptying the bin; clear/clearing the brush",
                 "it stops after a few minutes", "it runs five minutes and stops", "it goes to sleep almost at once"),
    )),
    Family(("doorbell", "security camera", "baby monitor"), (
        _problem("sends false alarms", "the motion sensor is faulty", "app",
                 "lower/lowering the sensitivity; turn/turning it from the window",
                 "it sends alarms when nobody is there", "I get an alarm for every moth", "it is all false alarms"),
        _problem("goes offline at night", "the adapter is weak", "router",
                 "restart/restarting the router; update/updating the app",
                 "it goes offline every night", "every night it drops off the network",
                 "after dark it is just offline"),
        _problem("shows a blurred picture", "the lens is loose", "software",
                 "clean/cleaning the lens; peel/peeling off the film",
                 "the picture is all blurred", "everything looks like fog on it", "I only get a blurred picture"),
    )),
    Family(("fan heater", "air conditioner", "dehumidifier"), (
        _problem("switches itself off", "the thermostat is faulty", "remote control",
                 "clean/cleaning the air filter; plug/plugging it into the wall",
                 "it switches itself off", "it runs a while and then turns itself off", "it keeps shutting down"),
        _problem("rattles at night", "the fan is loose", "cover",
                 "tighten/tightening the cover; put/putting it on a mat",
                 "it rattles all night", "it rattles so much that I cannot sleep", "there is a rattle, worst at night"),
        _problem("trips the fuse", "the cable is damaged", "socket",
                 "try/trying another socket; unplug/unplugging the kettle",
                 "it trips the fuse", "the fuse goes each time I turn it on", "the lights go out when it starts"),
    )),
    Family(("fridge", "freezer", "wine cooler"), (
        _problem("does not stay cold", "the compressor is weak", "door",
                 "turn/turning the dial up; clear/clearing the vents",
                 "it does not stay cold", "all the food gets warm", "it is hardly colder than the kitchen"),
        _problem("builds up ice at the back", "the drain pipe is blocked", "door seal",
                 "thaw/thawing it out; raise/raising the temperature",
                 "there is ice all over the back", "the back of it ices up", "ice keeps building up at the back"),
        _problem("hums all day long", "the mount is loose", "floor",
                 "level/levelling the feet; pull/pulling it forward",
                 "it hums so loudly", "the humming fills the whole flat", "it has a loud hum"),
    )),
    Family(("electric bike", "electric scooter"), (
        _problem("cuts out on hills", "the controller is faulty", "battery",
                 "lower/lowering the assist level; charge/charging it fully",
                 "it cuts out on hills", "uphill it simply dies", "the motor stops on every hill"),
        _problem("has squeaking brakes", "the brake disc is bent", "cable",
                 "clean/cleaning the disc; loosen/loosening the cable",
                 "the brakes squeak", "it squeals like a pig when I brake", "the brakes make a terrible squeak"),
        _problem("charges only to half", "the charger is weak", "socket",
                 "clean/cleaning the contacts; charge/charging it indoors",
                 "it only charges to half", "it never gets past fifty percent", "the charging stops at half"),
    )),
    Family(("standing desk", "office chair", "bed frame", "garden bench"), (
        _problem("wobbles when touched", "the left bracket is bent", "floor",
                 "tighten/tightening the bolts; turn/turning the feet",
                 "it wobbles", "it wobbles like a jelly", "it sways at the lightest touch"),
        _problem("came without screws", "the screw bag is missing", "box",
                 "check/checking under the foam; look/looking in the second box",
                 "there are no screws in the box", "it came without screws", "I cannot build it, no screws"),
        _problem("creaks at every move", "the centre joint is loose", "screws",
                 "wax/waxing the joints; tighten/tightening the screws",
                 "it creaks at every move", "it creaks like an old ship", "the creaking drives me mad"),
    )),
    Family(("blender", "food mixer", "juicer"), (
        _problem("smells of burning", "the motor is worn", "bowl",
                 "let/letting it cool down; use/using a lower speed",
                 "it smells of burning", "there is a burnt smell when I use it", "it smells like burnt rubber"),
        _problem("is stuck on one speed", "the speed dial is broken", "plug",
                 "unplug/unplugging it for a minute; turn/turning the dial to zero",
                 "it is stuck on one speed", "whatever I press, it has one speed", "the speed does not change"),
        _problem("does not spin", "the drive belt is torn", "blade",
                 "press/pressing the bowl down; take/taking out the blade",
                 "it does not spin", "it buzzes but nothing turns", "the blade does not move"),
    )),
    Family(("oven", "microwave", "steam oven"), (
        _problem("leaves the food cold", "the heating element is broken", "timer",
                 "reset/resetting the timer; press/pressing the child lock",
                 "it leaves the food cold", "dinner comes out cold", "it runs but does not heat"),
        _problem("beeps without end", "the control panel is faulty", "clock",
                 "set/setting the clock; switch/switching it off at the wall",
                 "it beeps and beeps", "it does not stop beeping", "it has been beeping since dawn"),
        _problem("has a light that stays on", "the door switch is stuck", "bulb",
                 "clean/cleaning the door switch; close/closing it harder",
                 "the light stays on", "the light never goes out", "it glows all night, the light stays on"),
    )),
    Family(("smart watch", "fitness tracker"), (
        _problem("counts too many steps", "the step sensor is faulty", "strap",
                 "wear/wearing it tighter; set/setting the other wrist",
                 "it counts far too many steps", "it says I walked ten miles in bed", "the step count is nonsense"),
        _problem("does not sync with the phone", "the radio chip is faulty", "app",
                 "install/installing the app again; pair/pairing it again",
                 "it does not sync with my phone", "nothing arrives on my phone", "my phone no longer sees it"),
        _problem("has a strap that opens", "the buckle is bent", "pin",
                 "turn/turning the strap round; close/closing it one hole tighter",
                 "the strap keeps opening", "it falls off my wrist", "the strap does not stay shut"),
    )),
    Family(("desk lamp", "smart bulb", "night light"), (
        _problem("flickers in the evening", "the driver is faulty", "socket",
                 "screw/screwing it in tighter; take/taking out the dimmer",
                 "it flickers all evening", "come evening, it flickers", "it flickers like a candle after dinner"),
        _problem("ignores the app", "the wireless chip is faulty", "phone",
                 "add/adding it to the app again; restart/restarting the hub",
                 "it ignores the app", "the app says on, it stays off", "it does nothing I tell it in the app"),
        _problem("does not dim", "the dimmer is broken", "bulb",
                 "hold/holding the switch; choose/choosing the night mode",
                 "it does not dim", "it is either off or blinding", "I cannot make it any darker"),
    )),
    Family(("router", "modem"), (
        _problem("drops the line every hour", "the power supply is weak", "cable",
                 "change/changing the channel; swap/swapping the cable",
                 "it drops the line every hour", "once an hour we lose the line", "the line goes down hourly"),
        _problem("is slow upstairs", "the antenna is broken", "laptop",
                 "put/putting it up high; choose/choosing the other band",
                 "it is so slow upstairs", "upstairs nothing loads", "the bedrooms hardly get any signal"),
        _problem("restarts by itself", "the adapter is loose", "software",
                 "update/updating it; let/letting it cool down",
                 "it restarts by itself", "it reboots for no reason", "it keeps going off and on by itself"),
    )),
)  # fmt: skip

FIRST_NAMES = (
    "Nadia", "Peter", "Lena", "Omar", "Ruth", "Victor", "Hannah", "Samuel", "Clara", "Dmitri", "Alice", "Hugo",
    "Maya", "Frank", "Elena", "Ravi", "Sofia", "Martin", "Greta", "Kwame", "Julia", "Owen", "Fatima", "Leo", "Ingrid",
    "Daniel", "Yuki", "Walter", "Teresa", "Ali", "Bella", "George", "Noor", "Simon", "Olga", "Diego", "Amy", "Felix",
    "Rosa", "Adam",
)  # fmt: skip
SURNAMES = (
    "Keller", "Brandt", "Osei", "Marlow", "Lindqvist", "Okafor", "Pratt", "Silva", "Novak", "Hart", "Moreau", "Tanaka",
    "Fields", "Ahmed", "Byrne", "Castle",
)  # fmt: skip
AGENTS = (
    "Tom", "Ivy", "Grace", "Marco", "Priya", "Ben", "Nina", "Carl", "Zoe", "Paul", "Leo", "Clara", "Adam", "Sofia",
)  # fmt: skip
FRIENDS = ("neighbour", "cousin", "flatmate", "colleague", "partner", "boss", "best friend")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
TIMES = ("nine", "ten", "eleven", "noon", "two", "three", "four")
PARTS_OF_DAY = ("morning", "afternoon", "evening")
SPANS = ("two days", "three days", "five days", "a week", "ten days")
PERCENTS = ("five", "ten", "fifteen", "twenty", "thirty", "forty")
MONTHS = ("January", "March", "April", "May", "June", "August", "October", "December")
PROOFS = (
    "a photo of the label", "a short video", "the receipt", "a photo of the damage", "the serial number",
    "a copy of the invoice",
)  # fmt: skip
