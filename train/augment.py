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


_ARTICLE = re.compile(r"\b([Aa])n?(?= $)")


def other_countries(drawn: random.Random) -> tuple[int, ...]:
    """Draw for each country of :data:`COUNTRIES` the one that takes its place: never itself, never one twice."""
    order = drawn.sample(range(len(COUNTRIES)), len(COUNTRIES))
    following = dict(zip(order, [*order[1:], order[0]], strict=True))  # one cycle through all of them
    return tuple(following[i] for i in range(len(COUNTRIES)))


def swap_names(text: str, others: Sequence[int]) -> str:
    """Replace the countries of a text by others.

    :param text: a sentence; one without a known name comes back as it is.
    :param others: as :func:`other_countries` draws them.
    """
    parts, end = [], 0
    for match in _PATTERN.finditer(text):
        country, form = _FORMS[match[1]]
        name = COUNTRIES[others[country]][form]
        before = text[end : match.start()]
        if not match[1].lower().startswith("the ") and before.lower().endswith("the "):
            name = name.removeprefix("the ")
        if not name.startswith("the "):
            before = _ARTICLE.sub(lambda a: a[1] + ("n" if name[0] in "AEIOU" else ""), before)  # noqa: B023
        if match.start() == 0 or match[1].startswith("The "):
            name = name[0].upper() + name[1:]
        parts += [before, name]
        end = match.end()
    return "".join([*parts, text[end:]])


def with_other_names(documents: Sequence[Document], share: float, seed: int) -> tuple[Document, ...]:
    """Replace the countries in a share of the documents, each by the same one throughout; the labels stay.

    :param documents: of the training part.
    :param share: of the documents, 0 to 1.
    :param seed: draws documents and names.
    """
    made = []
    for document in documents:
        # Drawn for each document by itself: what becomes of one does not depend on the others.
        drawn = random.Random(f"{seed} {document.id}")
        if drawn.random() < share:
            others = other_countries(drawn)
            document = replace(document, sentences=tuple(_swap(s, others) for s in document.sentences))
        made.append(document)
    return tuple(made)


def _swap(sentence: LabelledSentence, others: Sequence[int]) -> LabelledSentence:
    previous = tuple(swap_names(before, others) for before in sentence.previous)
    return replace(sentence, text=swap_names(sentence.text, others), previous=previous)
