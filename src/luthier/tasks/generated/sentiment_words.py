"""What reviews are about: kinds of thing, their parts, and the good and bad words that fit each part.

film: plot, gripping or dull; acting, convincing or wooden; jokes, fresh or stale.
"""

from __future__ import annotations

from typing import NamedTuple


class Aspect(NamedTuple):
    """A part of a thing: a noun (plural where it ends in s), with words that praise it and words that blame it."""

    noun: str
    good: tuple[str, ...]
    bad: tuple[str, ...]


class Domain(NamedTuple):
    """A kind of thing.

    Attributes:
        things: what it may be called.
        again: what one does once more with a good one: `watch it again`.
        openers: sentences that judge nothing.
        aspects: its parts.
    """

    things: tuple[str, ...]
    again: str
    openers: tuple[str, ...]
    aspects: tuple[Aspect, ...]


def _domain(things: str, again: str, openers: tuple[str, ...], *aspects: str) -> Domain:
    """An aspect is written `plot: gripping, clever / dull, thin`."""
    return Domain(tuple(things.split(", ")), again, openers, tuple(_aspect(text) for text in aspects))


def _aspect(text: str) -> Aspect:
    noun, _, words = text.partition(": ")
    good, _, bad = words.partition(" / ")
    return Aspect(noun, tuple(good.split(", ")), tuple(bad.split(", ")))


DOMAINS = (
    _domain(
        "film, thriller, comedy, documentary, western, drama, musical, sequel", "watch it again",
        ("We saw it on a rainy Sunday.", "It runs for about two hours.", "The cinema was half full.",
         "It was shown at the festival in spring.", "My sister had bought the tickets."),
        "plot: gripping, clever, tight, original / dull, muddled, thin, predictable",
        "acting: convincing, subtle, lively, natural / wooden, stiff, flat, forced",
        "ending: moving, satisfying, bold, graceful / rushed, silly, hollow, clumsy",
        "dialogue: witty, sharp, crisp, believable / stilted, tedious, corny, shallow",
        "jokes: fresh, funny, sly, daring / stale, tasteless, lame, tired",
        "music: stirring, elegant, haunting, inventive / grating, bland, shrill, intrusive",
    ),
    _domain(
        "restaurant, bistro, pizzeria, canteen, tavern, steakhouse, noodle bar, diner", "eat there again",
        ("We booked a table for four.", "It lies behind the town hall.", "We came for lunch on a Tuesday.",
         "The menu changes every month.", "It was my aunt's birthday."),
        "soup: rich, fragrant, warming, delicate / watery, salty, lukewarm, greasy",
        "bread: crusty, fresh, airy, tasty / stale, doughy, dry, burnt",
        "service: quick, attentive, friendly, courteous / slow, rude, careless, sullen",
        "dessert: light, creamy, luscious, refreshing / sickly, chalky, heavy, soggy",
        "vegetables: tender, crisp, colourful, flavourful / limp, mushy, tasteless, grey",
        "prices: fair, modest, reasonable, honest / steep, absurd, shameless, unfair",
    ),
    _domain(
        "hotel, guest house, hostel, inn, lodge, resort, campsite cabin, spa", "stay there again",
        ("We spent three nights there in May.", "It stands near the old harbour.", "I was in town for a trade fair.",
         "There are some forty rooms.", "We arrived after dark by taxi."),
        "room: spacious, spotless, cosy, bright / cramped, grubby, gloomy, stuffy",
        "bed: comfortable, soft, inviting, restful / lumpy, creaky, saggy, narrow",
        "breakfast: generous, varied, delicious, wholesome / meagre, monotonous, tasteless, cold",
        "staff: helpful, welcoming, patient, thoughtful / unhelpful, gruff, impatient, indifferent",
        "view: splendid, sweeping, lovely, peaceful / dismal, ugly, bleak, depressing",
        "bathroom: gleaming, modern, tidy, warm / mouldy, filthy, smelly, draughty",
    ),
    _domain(
        "drill, saw, lawnmower, sander, cordless screwdriver, hedge trimmer, leaf blower, chainsaw", "buy it again",
        ("I needed it for the garage door.", "It came in a grey box.", "My neighbour has the same model.",
         "I have had it since last autumn.", "It weighs about four kilos."),
        "motor: powerful, quiet, tireless, smooth / weak, noisy, feeble, jerky",
        "handle: sturdy, ergonomic, secure, well shaped / flimsy, slippery, awkward, wobbly",
        "manual: clear, thorough, helpful, concise / confusing, sketchy, useless, misleading",
        "switches: reliable, responsive, handy, solid / faulty, stubborn, fiddly, fragile",
        "casing: robust, durable, sleek, watertight / brittle, leaky, ugly, crooked",
        "battery: enduring, dependable, compact, quick / short-lived, erratic, bulky, unreliable",
    ),
    _domain(
        "novel, saga, story collection, memoir, detective story, family chronicle, adventure story, romance",
        "read it again",
        ("I read it on the train to work.", "It has three hundred pages.", "A colleague lent it to me.",
         "It came out last winter.", "Our reading circle chose it."),
        "style: elegant, vivid, fluent, playful / clumsy, dry, pompous, plodding",
        "chapters: absorbing, well paced, rewarding, suspenseful / dull, dreary, repetitive, aimless",
        "characters: lifelike, memorable, charming, complex / lifeless, forgettable, irritating, shallow",
        "pictures: beautiful, instructive, detailed, delightful / blurry, pointless, drab, ugly",
        "opening: intriguing, brisk, arresting, promising / sluggish, confusing, dull, bloated",
        "twists: clever, surprising, daring, neat / far-fetched, predictable, contrived, silly",
    ),
    _domain(
        "coat, jacket, raincoat, parka, anorak, waistcoat, windcheater, ski suit", "buy it again",
        ("I ordered it in dark green.", "The parcel came after a week.", "It was meant for a walking tour.",
         "I took a medium.", "It is made of wool and cotton."),
        "fabric: soft, breathable, hard-wearing, warm / scratchy, thin, sweaty, coarse",
        "seams: neat, strong, tidy, flawless / crooked, loose, frayed, weak",
        "zips: smooth, sturdy, trusty, strong / stiff, jammed, flimsy, rusty",
        "cut: flattering, smart, comfortable, graceful / shapeless, baggy, tight, unbecoming",
        "pockets: roomy, practical, deep, handy / tiny, useless, shallow, torn",
        "lining: silky, cosy, snug, durable / itchy, cheap, clammy, patchy",
    ),
    _domain(
        "phone, tablet, laptop, camera, e-reader, smart watch, game console, satnav", "buy it again",
        ("I use it mostly at home.", "It replaced one from ten years ago.", "My daughter set it up.",
         "It was delivered on a Friday.", "It comes in three sizes."),
        "screen: bright, sharp, brilliant, crisp / dim, blurry, murky, tiring",
        "sound: clear, full, balanced, pleasant / tinny, muffled, harsh, crackling",
        "menus: intuitive, simple, logical, uncluttered / baffling, cluttered, illogical, tangled",
        "software: stable, fast, polished, secure / buggy, sluggish, unstable, bloated",
        "buttons: precise, sturdy, responsive, handy / sticky, loose, tiny, unresponsive",
        "support: prompt, competent, kind, reliable / hopeless, evasive, slow, arrogant",
    ),
    _domain(
        "course, workshop, seminar, evening class, lecture series, tutorial, summer school, language course",
        "enrol again",
        ("There were twelve of us.", "It took place in the library.", "My employer paid for it.",
         "It lasted five weeks.", "I had no experience with the subject."),
        "teacher: inspiring, patient, witty, well prepared / boring, impatient, disorganised, unprepared",
        "exercises: useful, varied, challenging, fun / pointless, repetitive, trivial, tedious",
        "material: current, lucid, thorough, stimulating / outdated, chaotic, superficial, dull",
        "pace: brisk, sensible, comfortable, steady / exhausting, sluggish, erratic, hectic",
        "discussions: lively, fruitful, open, focused / stiff, fruitless, rambling, heated",
        "handouts: handy, neat, complete, clear / messy, illegible, skimpy, muddled",
    ),
    _domain(
        "boat trip, bus tour, train journey, coach tour, ferry crossing, harbour cruise, rail trip, safari",
        "do it again",
        ("We set off at nine.", "It took the whole afternoon.", "Our group came from five countries.",
         "A friend had told us about it.", "The weather was mild."),
        "guide: knowledgeable, entertaining, cheerful, considerate / ignorant, grumpy, boring, careless",
        "seats: comfortable, roomy, clean, well padded / hard, cramped, dirty, broken",
        "scenery: breathtaking, varied, unspoilt, charming / monotonous, drab, spoilt, disappointing",
        "planning: flawless, thoughtful, smooth, flexible / chaotic, hopeless, rigid, sloppy",
        "stops: worthwhile, well chosen, relaxed, interesting / hurried, pointless, dreary, badly chosen",
        "crew: polite, skilled, kind, obliging / rude, clumsy, unfriendly, lazy",
    ),
    _domain(
        "opera, operetta, musical, revue, pageant, cabaret, folk opera, gala", "go again",
        ("We had seats in the third row.", "It began at half past seven.", "The hall was built last year.",
         "A friend of ours was on stage.", "It was the second night of four."),
        "singers: superb, expressive, confident, radiant / shrill, timid, hoarse, flat",
        "costumes: gorgeous, imaginative, colourful, tasteful / shabby, gaudy, drab, ridiculous",
        "staging: inventive, striking, clever, atmospheric / cluttered, clumsy, lazy, pretentious",
        "orchestra: precise, spirited, brilliant, sensitive / ragged, listless, deafening, careless",
        "acoustics: excellent, clear, warm, balanced / poor, muddy, hollow, harsh",
        "programme: varied, daring, well chosen, balanced / tedious, timid, shapeless, overlong",
    ),
)  # fmt: skip
