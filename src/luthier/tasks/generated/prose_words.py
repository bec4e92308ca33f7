"""The words of the generated prose, by what they can stand for."""

from __future__ import annotations

from collections.abc import Mapping


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


WORDS: Mapping[str, tuple[str, ...]] = {
    "woman": _list(
        "Alice, Harriet, Winifred, Cora, Beatrice, Elena, Pilar, Sigrid, Astrid, Halina, Zofia, Chiara, Bianca, Odile, "
        "Aino, Helmi, Haruka, Emiko, Elif, Defne, Folake, Yetunde, Meera, Priya, Greta, Ruth, Nadine, Tamsin"
    ),
    "man": _list(
        "Edmund, Rupert, Jasper, Hugh, Rafael, Mateo, Konrad, Ulrich, Torvald, Magnus, Marek, Bartosz, Renzo, Dario, "
        "Armand, Gaspard, Eero, Tapio, Kenji, Takumi, Emre, Selim, Wale, Segun, Arjun, Rohan, Walter, Silas"
    ),
    "relative": _list(
        "grandmother, grandfather, uncle, aunt, eldest cousin, father, mother, great-aunt, godfather, stepsister"
    ),
    "trade": _list(
        "baker, carpenter, painter, tailor, potter, weaver, printer, beekeeper, gardener, blacksmith, pharmacist, "
        "cobbler, clockmaker, schoolteacher, glazier, miller, fisherman, saddler, bookbinder, shepherd"
    ),
    "month": _list("January, February, March, April, May, June, July, August, September, October, November, December"),
    "season": _list("spring, summer, autumn, winter"),
    "day": _list("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "number": _list("two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, fifteen, twenty, thirty"),
    "time": _list(
        "just after dawn, towards noon, late in the morning, early in the afternoon, shortly before dusk, around "
        "midnight, at about four, before breakfast, after supper"
    ),
    "colour": _list(
        "pale blue, dark green, grey, crimson, rust-red, ivory, bottle green, mustard yellow, slate grey, chestnut "
        "brown, violet, cream, copper, pink, charcoal, sky blue"
    ),
    "tree": _list("birch, oak, larch, elm, willow, poplar, chestnut, maple, cedar, lime, alder, hazel, plum, cherry"),
    "trees": _list("birches, oaks, larches, elms, willows, poplars, chestnuts, maples, cedars, limes, alders, pines"),
    "flowers": _list(
        "tulips, marigolds, foxgloves, lupins, asters, dahlias, poppies, primroses, hollyhocks, sweet peas, peonies, "
        "cornflowers, snowdrops, irises"
    ),
    "vegetables": _list(
        "leeks, carrots, onions, beans, turnips, cabbages, peas, beetroots, parsnips, radishes, pumpkins, potatoes"
    ),
    "fruits": _list("pears, plums, apples, cherries, apricots, quinces, figs, gooseberries, blackberries, damsons"),
    "herb": _list("thyme, parsley, sage, dill, mint, rosemary, marjoram, chervil, tarragon, basil, fennel, bay"),
    "spice": _list("nutmeg, pepper, cinnamon, ginger, cumin, paprika, cloves, mustard seed, saffron, cardamom"),
    "dish": _list(
        "fish soup, leek pie, barley stew, onion tart, bean casserole, pumpkin soup, apple cake, rye bread, plum "
        "dumplings, potato pancakes, mushroom risotto, lentil curry, cherry pudding, cheese dumplings"
    ),
    "stew": _list(
        "fish soup, leek pie, barley stew, onion tart, bean casserole, pumpkin soup, potato pancakes, mushroom "
        "risotto, lentil curry, vegetable broth, lamb stew, dumpling soup, cabbage rolls, chicken pie"
    ),
    "drink": _list("tea, coffee, cider, cocoa, ginger beer, elderflower cordial, mulled wine, buttermilk, lemonade"),
    "bird": _list(
        "heron, owl, blackbird, swallow, crow, robin, kingfisher, woodpecker, magpie, wren, jackdaw, finch, stork"
    ),
    "birds": _list("swallows, crows, starlings, geese, gulls, sparrows, rooks, finches, lapwings, swans, cranes"),
    "animal": _list(
        "fox, badger, hedgehog, squirrel, hare, otter, weasel, mole, deer, goat, donkey, pony, marten, heifer"
    ),
    "wild": _list("fox, badger, hedgehog, hare, otter, weasel, marten, polecat, stoat, dormouse, wild cat, squirrel"),
    "pet": _list("cat, terrier, sheepdog, spaniel, tabby, rabbit, greyhound, goat, poodle, kitten, dachshund, beagle"),
    "stream": _list("river, canal, brook, stream, shore, coast, edge of the forest, old border"),
    "water": _list("river, canal, lake, brook, mill pond, reservoir, harbour, estuary, stream, bay"),
    "road": _list("road, lane, path, track, towpath, footpath, cart track, bridleway"),
    "hill": _list("hill, ridge, moor, headland, mountain, cliff, slope, plateau"),
    "building": _list(
        "church, mill, town hall, school, post office, library, inn, railway station, chapel, market hall, dairy, "
        "lighthouse, brewery, toll house"
    ),
    "room": _list("kitchen, attic, cellar, hall, study, parlour, pantry, workshop, back bedroom, conservatory"),
    "furniture": _list(
        "table, cupboard, armchair, chest of drawers, bookcase, bench, writing desk, sideboard, rocking chair, stool"
    ),
    "metal": _list("brass, tin, copper, iron, enamel, pewter, steel, cast iron, bronze"),
    "wood": _list("oak, pine, walnut, beech, elm, ash, cherry wood, larch, maple"),
    "covering": _list("leather, canvas, plush, velvet, oilcloth, corduroy, felt, wool"),
    "roofing": _list("slate, tin, thatch, copper, shingle, lead, tile"),
    "tool": _list("hammer, chisel, saw, file, spanner, plane, pair of pliers, screwdriver, clamp, oil can, drill"),
    "part": _list("spring, gear, valve, belt, lever, bolt, wheel, pulley, crank, bearing, switch, pin, gasket"),
    "machine": _list(
        "sewing machine, printing press, lawnmower, grandfather clock, water pump, typewriter, loom, bicycle, "
        "gramophone, coffee grinder, barrel organ, music box, film projector, knitting machine, spinning wheel"
    ),
    "vehicle": _list("bus, train, ferry, tram, mail van, coach, milk lorry, cart, night train, paddle steamer"),
    "coach": _list("bus, train, tram, coach, night train, express, postal bus, stopping train, overnight coach"),
    "luggage": _list("suitcase, rucksack, hat box, basket, violin case, canvas bag, trunk, satchel, umbrella"),
    "paper": _list("envelope, postcard, parcel, letter, notebook, photograph, diary, map, receipt, sheet of music"),
    "letter": _list("letter, parcel, thick envelope, brown envelope, bundle of pages, heavy letter, small packet"),
    "sound": _list(
        "a bell, a distant engine, the wind in the wires, somebody whistling, a dog, running water, an accordion, the "
        "rattle of shutters, children singing, an axe, footsteps on gravel"
    ),
    "smell": _list(
        "wet wool, fresh bread, tar, cut grass, wood smoke, old books, oranges, floor polish, seaweed, coffee, rain on "
        "dust, pine needles, candle wax"
    ),
    "calm": _list("quiet, still, peaceful, drowsy, hushed, empty, unhurried, silent"),
    "fine": _list("splendid, handsome, remarkable, pleasant, sturdy, curious, lovely, modest, graceful, cheerful"),
    "worn": _list("battered, faded, patched, dusty, creaking, worn, crooked, rusty, chipped, weathered, dented"),
    "mood": _list("content, tired, hopeful, amused, proud, relieved, puzzled, homesick, grateful, restless"),
    "slowly": _list("slowly, carefully, patiently, without haste, steadily, calmly, little by little, with great care"),
    "game": _list("chess, draughts, cards, dominoes, skittles, marbles, backgammon"),
    "hour": _list("one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve"),
    "knit": _list("scarf, shawl, blanket, waistcoat, woollen hat, cardigan, sock, bedspread"),
    "cloth": _list("scarf, coat, shawl, apron, blanket, pair of gloves, waistcoat, woollen hat, tablecloth"),
}
