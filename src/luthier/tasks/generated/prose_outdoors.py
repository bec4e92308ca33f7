"""Sentences about weather, journeys, villages, animals, gardens and the water, for the generated prose.

Each subject: ways to begin, sentences that may follow in the order given, ways to end.
"""

from __future__ import annotations

from typing import NamedTuple


class Subject(NamedTuple):
    """What a paragraph is about; a paragraph has one opening, some of the middles in their order, and one ending."""

    name: str
    openings: tuple[str, ...]
    middles: tuple[str, ...]
    endings: tuple[str, ...]


OUTDOORS = (
    Subject(
        "weather",
        ("The {season} of that year began with [fog|rain|frost|a long calm] and ended with [hail|storms|a week of "
         "sun].",
         "[All through|For most of] {month1} the weather could not make up its mind.",
         "In {village1} people talk about the weather as others talk about [money|football|their neighbours]."),
        ("On {day} morning the sky above the {water1} was {colour}, and the {trees} hardly [moved|stirred].",
         "By noon [a strong|a bitter|a warm|a damp] wind had come up from the [south|west|north|east], and the {birds} "
         "flew low over the {building}.",
         "The first drops fell {time}, [large and heavy|fine as dust|so few that one could count them].",
         "Within {number} minutes the {road1} had turned into a [brook|river of mud|row of puddles].",
         "{woman} pulled [the washing|her {cloth}|the garden chairs] under the roof and waited by the door.",
         "Somewhere beyond the {hill} there was [thunder|lightning without a sound|a strange yellow light].",
         "The {trade} said that it had been worse {number} years ago, when the {water1} [froze|flooded the cellars|ran "
         "dry].",
         "Afterwards the air smelt of {smell}, and [steam|mist|a thin haze] rose from the {road1}.",
         "The barometer in the {room} had [fallen|risen|not moved] since {day}, whatever that might mean.",
         "Only the {animal} in the meadow [seemed not to care|went on as before|had known it all along]."),
        ("The next day was {calm} and [clear|mild|cool], as if nothing had happened.",
         "By evening the clouds had [gone|broken up|turned {colour}], and the windows stood open again.",
         "[Nobody|Hardly anybody] was surprised when it began once more on {day}."),
    ),
    Subject(
        "journey",
        ("The {coach1} to {village1} leaves {time}, and it does not wait for anybody.",
         "{woman1} had packed one {luggage} and a {luggage} when she set off for {village1}.",
         "It takes {number} hours to get from {village1} to {village}, if the {coach} is on time."),
        ("The seats were of {colour} {covering}, and the window would not [open|close|stay shut].",
         "An old {trade} on the other side was [asleep|peeling an orange|reading a newspaper from last "
         "{month}|knitting "
         "a {knit}].",
         "For the first {number} miles the way follows the {stream}, past [rows|groups|avenues] of {trees}.",
         "At the second stop a boy got in with a [kitten|hen|puppy|tame crow] in a {luggage}.",
         "Then came a tunnel, and after it a valley that was {calm} and full of {flowers}.",
         "The conductor [explained|announced|whispered] that there was a {animal} in the way, and everybody looked "
         "out.",
         "Somebody passed round {drink} and a piece of {dish}, and the talk turned to [prices|the {season}|old "
         "times|the "
         "best way to cook {vegetables}].",
         "Beyond the {hill} one could see the {building} of {village}, no larger than a [thimble|matchbox|pea].",
         "Twice there was a halt in open country, with no sound but {sound}.",
         "A [sign|flag|painted board] on the platform said that the {building} was closed until {month}."),
        ("When the journey was over, everyone felt {mood} and a little [stiff|hungry|cold|sleepy].",
         "It was dark by the time the lamps of the station [appeared|came into sight|were lit].",
         "Next time, they all agreed, it would be better to [walk|stay at home|leave earlier|take the {vehicle}]."),
    ),
    Subject(
        "village",
        ("{village1} lies between a {hill} and a {water1}, {number} miles from the nearest railway.",
         "There are {number} houses in {village1}, a {building1}, and a {building} that nobody has used for years.",
         "Visitors who come to {village1} mostly come by mistake."),
        ("The only {road} runs past the {building1} and ends at a gate of {wood}.",
         "In front of the {trade}'s house stand {number} {trees}, planted when the [bridge|school|war memorial] was "
         "built.",
         "On {day}s there is a small market, where one can buy {vegetables}, {fruits} and [rope|candles|second-hand "
         "books|honey].",
         "The {trade} and the {trade} have not spoken since a quarrel over a {pet}.",
         "Behind the houses, narrow gardens full of {flowers} and {vegetables} go down to the {water1}.",
         "At the inn they serve {dish} with {drink}, and in the evening the guests play {game}.",
         "The clock on the {building1} is {number} minutes [fast|slow], and everybody has got used to it.",
         "Every {season} the children hang paper lanterns in the {trees}.",
         "{man} keeps the key of the {building1} under a {worn} flowerpot.",
         "Most of the roofs are of {roofing}, {colour} in the rain and almost white in [the sun|winter]."),
        ("It is a {calm} place, and those who leave it [write often|come back in {month}|miss it more than they say].",
         "Little has changed there, except that the {vehicle} now stops twice a [day|week].",
         "At night one hears nothing but {sound}."),
    ),
    Subject(
        "animals",
        ("A {wild1} has lived under the {building} since last {season}.",
         "Nobody had expected to find a {wild1} in the {room}.",
         "{man1} has kept a diary about the {wild1} in his orchard for {number} years."),
        ("It comes out {time}, looks around, and [sniffs at|walks round|examines] whatever has been left on the "
         "{road}.",
         "Its coat is the colour of [dry leaves|wet sand|weak tea|old rope], with a {colour} patch behind the ear.",
         "The {pet} [watches|follows|ignores] it from the top of a {worn} {furniture}.",
         "It likes {fruits} best, and will not touch {vegetables}, [raw or cooked|however hungry it is].",
         "When a {bird} calls from the {tree}, it stops and [listens|lifts its head|holds quite still].",
         "Once it carried off a {cloth}, which was found {number} days later beside the {water}.",
         "In [April|May|June] there were {number} young ones, [blind|clumsy|no bigger than an egg cup] at first and "
         "soon very bold.",
         "The {trade} next door puts out a dish of [water|oats|milk and bread] when the nights are cold.",
         "One can tell its tracks in the [mud|snow|soft ground] from those of a {animal}, because the toes are [longer|"
         "shorter|wider apart].",
         "A vet from {village} came to look at it and went away {mood}."),
        ("By now it is [almost tame|part of the household|known to the whole street], though nobody has ever touched "
         "it.",
         "What it does for the rest of the day remains [a mystery|its own affair|unknown].",
         "The children have given it a name, but it [does not answer to it|only comes for food]."),
    ),
    Subject(
        "garden",
        ("The garden behind the {building} is no wider than a [cart|bus|tennis court], and yet everything grows in it.",
         "{woman1} began to dig in [February|March|April], when the ground was still [hard|wet|half frozen].",
         "My {relative1} always said that a garden should be [useful|a little wild|seen from above]."),
        ("Along the wall stand {flowers} and {flowers}, and between them a row of {vegetables}.",
         "The soil is [heavy|sandy|stony], so that it has to be mixed with [leaves|ashes|straw] every {season}.",
         "An old {tree} in the corner gives shade to a {worn} {furniture}.",
         "The {vegetables} did badly this year, because of the [slugs|dry weather|late frost|sparrows].",
         "A barrel of {wood} catches the rain from the roof, and a {bird} drinks from it {time}.",
         "To keep the {animal} away, there is a fence of [wire|hazel rods|old doors], {number} feet high.",
         "{man}, who is a {trade}, brought {number} cuttings from {village} in a {luggage}.",
         "In [July|August|September] the {fruits} have to be picked within [a week|a few days], or the "
         "[starlings|sparrows|finches|rooks|blackbirds] will have them.",
         "The scent of {herb} and {herb} drifts [as far as|into] the {room}.",
         "What cannot be eaten is given to the neighbours, who [bring|return] jars of jam."),
        ("When the work is done, one can sit there with a cup of {drink} and [do nothing|watch the light go|count "
         "the bees].",
         "In winter there is little to see, but much to [plan|repair|look forward to].",
         "It will never be finished, and [that is the point of it|nobody minds]."),
    ),
    Subject(
        "water",
        ("The {water1} at {village1} is [deeper|colder|older] than it looks.",
         "Every {season} the people of {village1} [clean|measure|row across] the {water1}.",
         "{man1} learned to [row|swim|fish] at the {water1} before he could read."),
        ("A {worn} boat lies upside down on the bank, {colour} once, with {number} holes in it.",
         "Under the bridge the current is [slow|strong|strange], and the {trade}'s children float {metal} lids and "
         "corks.",
         "{birds} nest in the reeds, and now and then a {bird} stands [on one leg|on a post|among the stones].",
         "When the level falls in {month}, the walls of an old {building} come to light.",
         "There used to be a ferry, pulled across by [a rope|a chain|a mule], for {number} pennies.",
         "On {day}s the anglers sit under the {trees}, {number} paces apart, and do not [talk|move|look at each "
         "other].",
         "Someone once caught a [pike|carp|trout|sturgeon] as long as a {furniture}, or so the {trade} says.",
         "In the year of the great flood the water stood [knee-deep|a yard high] in the {building}.",
         "At sunset the surface turns {colour}, then {colour}, then black.",
         "The {road} along the bank smells of {smell} and leads, after {number} bends, to a [lock|weir|jetty]."),
        ("On [still|quiet|windless|warm] evenings {sound} can be heard from the other side.",
         "Nobody owns it, and [everybody looks after it|everyone complains about it].",
         "It freezes perhaps once in {number} years, and then the whole village [skates|walks across|stays up late]."),
    ),
)  # fmt: skip
