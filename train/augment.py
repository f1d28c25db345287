"""Other names for the actors of training sentences, so that what is learned is the act and not who did it."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from brinkline.data.schema import Document, LabelledSentence

COUNTRIES: tuple[tuple[str, str, str], ...] = (
    ("France", "French", "Paris"),
    ("Iran", "Iranian", "Tehran"),
    ("Russia", "Russian", "Moscow"),
    ("Ukraine", "Ukrainian", "Kyiv"),
    ("China", "Chinese", "Beijing"),
    ("Taiwan", "Taiwanese", "Taipei"),
    ("Japan", "Japanese", "Tokyo"),
    ("North Korea", "North Korean", "Pyongyang"),
    ("South Korea", "South Korean", "Seoul"),
    ("India", "Indian", "New Delhi"),
    ("Pakistan", "Pakistani", "Islamabad"),
    ("Afghanistan", "Afghan", "Kabul"),
    ("Israel", "Israeli", "Jerusalem"),
    ("Lebanon", "Lebanese", "Beirut"),
    ("Egypt", "Egyptian", "Cairo"),
    ("Turkey", "Turkish", "Ankara"),
    ("Greece", "Greek", "Athens"),
    ("Cyprus", "Cypriot", "Nicosia"),
    ("Nigeria", "Nigerian", "Abuja"),
    ("Kenya", "Kenyan", "Nairobi"),
    ("Somalia", "Somali", "Mogadishu"),
    ("Ethiopia", "Ethiopian", "Addis Ababa"),
    ("Eritrea", "Eritrean", "Asmara"),
    ("Sudan", "Sudanese", "Khartoum"),
    ("Rwanda", "Rwandan", "Kigali"),
    ("Burundi", "Burundian", "Gitega"),
    ("Angola", "Angolan", "Luanda"),
    ("Mali", "Malian", "Bamako"),
    ("Niger", "Nigerien", "Niamey"),
    ("Brazil", "Brazilian", "Brasilia"),
    ("Argentina", "Argentine", "Buenos Aires"),
    ("Chile", "Chilean", "Santiago"),
    ("Bolivia", "Bolivian", "La Paz"),
    ("Venezuela", "Venezuelan", "Caracas"),
    ("Colombia", "Colombian", "Bogota"),
    ("Nicaragua", "Nicaraguan", "Managua"),
    ("Cuba", "Cuban", "Havana"),
    ("Mexico", "Mexican", "Mexico City"),
    ("Canada", "Canadian", "Ottawa"),
    ("the United States", "American", "Washington"),
    ("Britain", "British", "London"),
    ("Germany", "German", "Berlin"),
    ("Poland", "Polish", "Warsaw"),
    ("Hungary", "Hungarian", "Budapest"),
    ("Spain", "Spanish", "Madrid"),
    ("Italy", "Italian", "Rome"),
    ("Finland", "Finnish", "Helsinki"),
    ("Serbia", "Serbian", "Belgrade"),
    ("Kosovo", "Kosovan", "Pristina"),
    ("Armenia", "Armenian", "Yerevan"),
    ("Azerbaijan", "Azerbaijani", "Baku"),
    ("Georgia", "Georgian", "Tbilisi"),
    ("Kazakhstan", "Kazakh", "Astana"),
    ("Kyrgyzstan", "Kyrgyz", "Bishkek"),
    ("Tajikistan", "Tajik", "Dushanbe"),
    ("Vietnam", "Vietnamese", "Hanoi"),
    ("Thailand", "Thai", "Bangkok"),
    ("Cambodia", "Cambodian", "Phnom Penh"),
    ("Indonesia", "Indonesian", "Jakarta"),
    ("the Philippines", "Philippine", "Manila"),
    ("Australia", "Australian", "Canberra"),
    ("Syria", "Syrian", "Damascus"),
    ("Iraq", "Iraqi", "Baghdad"),
    ("Jordan", "Jordanian", "Amman"),
    ("Saudi Arabia", "Saudi", "Riyadh"),
    ("Kuwait", "Kuwaiti", "Kuwait City"),
    ("Morocco", "Moroccan", "Rabat"),
    ("Algeria", "Algerian", "Algiers"),
    ("Libya", "Libyan", "Tripoli"),
    ("Tunisia", "Tunisian", "Tunis"),
)
"""Name, adjective and capital."""

_FORMS = {form: (i, k) for i, forms in enumerate(COUNTRIES) for k, form in enumerate(forms)}
_FORMS |= {"The " + form[4:]: place for form, place in _FORMS.items() if form.startswith("the ")}
_FORMS |= {"United States": _FORMS["the United States"], "Philippines": _FORMS["the Philippines"]}
# The longest first; not inside a longer name (South Sudan, Papua New Guinea's kind stay as they are).
_PATTERN = re.compile(
    r"(?<![\w-])(?<!South )(?<!North )(?<!New )(?<!West )(?<!East )("
    + "|".join(re.escape(form) for form in sorted(_FORMS, key=len, reverse=True))
    + r")(?![\w-])"
)


def swap_names(text: str, drawn: random.Random) -> str:
    """Replace the countries of a text by others, each by the same one throughout.

    :param text: a sentence; one without a known name comes back as it is.
    :param drawn: draws the new names.
    """
    known = sorted({_FORMS[name][0] for name in _PATTERN.findall(text)})
    others = drawn.sample(range(len(COUNTRIES)), len(known))
    new = dict(zip(known, others, strict=True))

    def other(match: re.Match[str]) -> str:
        country, form = _FORMS[match[1]]
        name = COUNTRIES[new[country]][form]
        if not match[1].lower().startswith("the ") and text[: match.start()].lower().endswith("the "):
            name = name.removeprefix("the ")
        starts = match.start() == 0 or match[1].startswith("The ")
        return name[0].upper() + name[1:] if starts else name

    return _PATTERN.sub(other, text)


def with_other_names(documents: Sequence[Document], share: float, seed: int) -> tuple[Document, ...]:
    """Replace the countries in a share of the documents; the labels stay.

    :param documents: of the training part.
    :param share: of the documents, 0 to 1.
    :param seed: draws documents and names.
    """
    made = []
    for document in documents:
        # Drawn for each document by itself: what becomes of one does not depend on the others.
        drawn = random.Random(f"{seed} {document.id}")
        if drawn.random() < share:
            names = drawn.getrandbits(64)
            document = replace(document, sentences=tuple(_swap(s, names) for s in document.sentences))
        made.append(document)
    return tuple(made)


def _swap(sentence: LabelledSentence, names: int) -> LabelledSentence:
    text = swap_names(sentence.text, random.Random(names))
    previous = tuple(swap_names(before, random.Random(names)) for before in sentence.previous)
    return replace(sentence, text=text, previous=previous)
