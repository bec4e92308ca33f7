"""Names of people and places, made up in the manner of several languages.

Eilif Nordhammer from Ekholmvik, Inés Calderosa from Villarenta. First names are real ones, the rest is put together
from parts.
"""

from __future__ import annotations

import random
from typing import NamedTuple


class Language(NamedTuple):
    """First names, and the parts of which surnames and places are made."""

    first: tuple[str, ...]
    surnames: tuple[tuple[str, ...], tuple[str, ...]]
    places: tuple[tuple[str, ...], tuple[str, ...]]


def _language(first: str, surnames: str, places: str) -> Language:
    """Parts are written `starts / ends`."""
    return Language(tuple(first.split()), _parts(surnames), _parts(places))


def _parts(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    starts, _, ends = text.partition(" / ")
    return tuple(starts.split()), tuple(ends.split())


LANGUAGES = (
    _language(
        "Alice Harriet Edmund Rupert Nell Barnaby Winifred Jasper Cora Leonard Beatrice Hugh",
        "Harrow Pember Thack Winter Lark Mossel Copper Hollin / by ton ley wood field worth",
        "Brindle Thistle Marrow Otter Pellam Gorse Wynder Quill / bury ford wick combe stead mouth",
    ),
    _language(
        "Inés Rafael Lucía Mateo Pilar Gonzalo Elena Joaquín Marisol Tomás Beatriz Andrés",
        "Calder Mirav Salced Ventur Olmed Barrac Quintan Roblez / osa al ero ano illo ana",
        "Villar Monter Alcar Sant Peñal Ribad Torren Campal / enta osa ejo illa anca uela",
    ),
    _language(
        "Anneliese Konrad Friederike Jürgen Liesel Ottmar Heike Matthias Gudrun Rolf Sabine Ulrich",
        "Steiner Brand Hohen Linden Eichen Rosen Vogel Winkel / hagen meier bach hofer berg mann",
        "Krumm Eber Falken Grün Alten Wiesen Hirsch Tannen / stedt heim brück rode hausen feld",
    ),
    _language(
        "Eilif Sigrid Astrid Torvald Ingeborg Håkon Solveig Magnus Ragnhild Leif Gunnar Liv",
        "Nord Berg Lind Sand Holm Fjell Ek Stor / hammer gaard strand kvist mark vold",
        "Ekholm Skar Tjeld Grim Hav Raven Stein Ulv / vik nes sund dal fjord ø",
    ),
    _language(
        "Agnieszka Wojciech Halina Bartosz Zofia Kazimierz Danuta Marek Jadwiga Tadeusz Iwona Leszek",
        "Borow Kalin Zarem Sosn Wilcz Malin Dembow Ruszk / ski ek czyk icki ak owicz",
        "Brzez Starog Wierzb Kamien Lipn Zabor Olsz Dobr / ów in ica owo nik yn",
    ),
    _language(
        "Fiammetta Renzo Chiara Ottavio Lorenza Dario Giulia Ettore Bianca Silvano Mirella Tullio",
        "Bell Fior Mont Cast Vald Ross Tarant Gherard / ucci etti elli anini oni eschi",
        "Casal Mont Roccav Pietral Valf Torr Borgon Lagor / iano erosa ina ello ata etto",
    ),
    _language(
        "Odile Thibault Mireille Armand Solange Baptiste Geneviève Lucien Clémence Étienne Hélène Gaspard",
        "Beau Mont Roche Val Fonte Clair Du Char / mont vaux clair nier lac bois",
        "Clair Ferri Mire Aubi Grand Bour Sauve Chante / val court mont ville loup gnac",
    ),
    _language(
        "Aino Eero Kaisa Väinö Helmi Jukka Saara Timo Lempi Olavi Riitta Tapio",
        "Koski Mänty Lehto Salo Virta Haapa Järvi Lumi / nen la mäki ranta kangas vaara",
        "Kuusi Hauta Savi Rauta Musta Pihla Kivi Suo / joki lahti niemi salmi koski saari",
    ),
    _language(
        "Haruka Kenji Sachiko Takumi Ayame Daisuke Noriko Shinji Michiko Ryota Emiko Hideo",
        "Kuro Nishi Matsu Asa Fuji Taka Oka Hoshi / mori zawa hara gawa numa shima",
        "Aki Mina Kawa Tsuru Hana Yuki Shira Kamo / gasaki tani sawa hama zuka ura",
    ),
    _language(
        "Elif Emre Zeynep Kerem Aylin Orhan Defne Selim Nermin Tarık Sevgi Hakan",
        "Kara Ak Demir Yıl Taş Boz Ay Gün / oğlu dağ kaya man soy tepe",
        "Ak Kara Yeni Eski Çam Göl Taş Elma / köy hisar pınar dere ova saray",
    ),
    _language(
        "Ayodele Folake Babatunde Yetunde Olumide Adeola Kehinde Titilayo Segun Morenike Wale Bisi",
        "Ade Olu Ogun Akin Ayo Oye Fola Ola / wale bamo sanya lade kunle tunji",
        "Ilo Oke Ijero Ado Ife Iwa Ora Eti / kunle wo gbe soro bode lofa",
    ),
    _language(
        "Meera Arjun Kavita Rohan Lakshmi Vikram Priya Suresh Anjali Kiran Deepa Mohan",
        "Chand Raj Dev Som Nar Bal Ved Har / wani ekar nath puri anand eshwar",
        "Chand Ram Sonal Kesar Madh Lal Vijay Amar / nagar pur gaon kot wadi garh",
    ),
)  # fmt: skip

FIRST_NAMES = tuple(name for language in LANGUAGES for name in language.first)


def person(rng: random.Random, *, surname: bool = True) -> str:
    """A first name, with a surname of the same language unless that is not wanted."""
    language = rng.choice(LANGUAGES)
    first = rng.choice(language.first)
    return f"{first} {_joined(language.surnames, rng)}" if surname else first


def place(rng: random.Random) -> str:
    """A town or village."""
    return _joined(rng.choice(LANGUAGES).places, rng)


def _joined(parts: tuple[tuple[str, ...], tuple[str, ...]], rng: random.Random) -> str:
    start, end = rng.choice(parts[0]), rng.choice(parts[1])
    while start.lower().endswith(end) or end.startswith(start.lower()):
        end = rng.choice(parts[1])
    return start + end
