"""Split news text into sentences.

Two steps. Lines are first put together into units: a blank line, a line without letters or digits
("* * *"), a list item, a speaker turn and the end of a headline end a unit; a line break within
hard-wrapped copy does not. The marks of each unit (full stop, question mark and so on, with the closing
quotes and brackets behind them) are then judged one by one from a few words on either side, so that time
grows linearly with the text. The Punkt model of ``nupunkt`` has the say where the lists of this module
do not: behind a word without vowels, and before a lower-case word. It is loaded when first needed.

What stays out of a span: white space, a bullet or dash at its head, Markdown's "##", and fragments without
letter or digit. Numbering ("1.", "(a)"), time stamps, speaker names and datelines stay with their sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nupunkt import PunktSentenceTokenizer

__all__ = ["Span", "split"]


class Span(NamedTuple):
    """Half-open range of character offsets.

    Args:
        start: Offset of the first character.
        end: Offset behind the last character.
    """

    start: int
    end: int


class _Line(NamedTuple):
    start: int
    end: int
    edge: int  # column of the right edge, indentation included
    first: int  # length of the first word


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Only ever written before a name, and capitalised ("10 sec." and "reps." are words like others).
_TITLES = _words(
    "mr mrs ms messrs mme mlle dr drs prof profs rev fr msgr gen gens lt lieut maj col cols sgt cpl "
    "capt cmdr cdr adm brig pvt pfc pte spc flt wg sqn gov govs sen sens rep reps pres amb min sec secy "
    "supt insp atty"
)
_NEVER_FINAL = _words("hon v vs i.e e.g ie eg cf ca approx nr viz")
# Abbreviations before a number; English words ("no", "art") everywhere else.
_BEFORE_NUMBER = _words("no nos art arts res fig figs para vol ch p pp op pt")
_NUMERAL = re.compile(r"\d|(?:[IVXLC]+|[Nn]os?)\b")
_CALENDAR = _words(
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun"
)
_CLOCK = _words("a.m p.m")
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
# A date or a place in capitals that opens an entry ("MOSCOW, May 3. The") is no sentence.
_LABEL = re.compile(
    rf"[A-Z][A-Z'’\-]{{2,19}}(?:\s[A-Z][A-Z'’\-]{{2,19}})?(?:, (?:{_MONTH}) \d{{1,2}})?"
    rf"|(?:\d{{1,2}}\s)?(?:{_MONTH})(?:\s\d{{1,2}})?(?:,?\s\d{{4}})?"
)
# What goes on with a time of day: time zone, "Kyiv time", day, month.
_AFTER_CLOCK = re.compile(
    r"\(?(?:[A-Z]{0,3}T|UTC|MSK|Eastern|Central|Pacific|Greenwich|[A-Z]\w++ [Tt]ime|\w{3,6}day"
    rf"|{_MONTH})\b"
)
# Behind "Tampa, Fla." a comma would have to follow if the sentence went on.
_STATES = _words(
    "ala ariz ark calif colo conn del fla ga ill ind kan ky md mass mich minn miss mo mont neb nev okla ore "
    "pa penn tenn tex va vt wash wis wyo ont que b.c d.c n.y n.j n.c s.c n.h n.m"
)
# Both inside a sentence and at its end: final only before a word that starts sentences.
_MAYBE_FINAL = _STATES | _words(
    "co cos corp inc ltd plc bros jr sr esq ph.d st ste mt ft ave blvd rd sq dept univ assn govt intl natl "
    "bn bde regt rgt div inf brig"
)
_ABBREVIATIONS = _TITLES | _MAYBE_FINAL | _CALENDAR
# Abbreviations unknown to any list: a capital and then no vowel ("Flt.", "Rgt.").
_CONSONANTS = re.compile(r"[A-Z][bcdfghj-np-tv-xz]{1,4}")
# Words of closed classes: capitalised behind "U.S." or "Inc." they begin a sentence, where a name or a
# noun ("U.S. Army") mostly goes on. "Under" (Under Secretary) and "No" (No. 2) are left out on purpose.
_STARTERS = _words(
    "the a an this that these those he she it they we you i his her its their our my there here who what "
    "when where why how which if but and or yet so for in on at by from with after before since during "
    "until while as although though because despite amid among against both each some many most several "
    "few however meanwhile moreover still now then later also earlier today yesterday instead thus "
    "therefore once last nevertheless nonetheless according another neither nor only even asked is are "
    "was were has have had did does do can could should would it's he's she's they're we're i'm"
)
_SPOKE = (
    r"said|says|asked|asks|shouted|told|replied|added|cried|wondered|answered|responded|quipped|wrote|tweeted"
    r"|declared|exclaimed|joked"
)

_BULLET = r"[•‣◦▪■●○·∙*+]"
_OPENERS = "\"'“‘„‚«»‹›([{¿¡*_「『（【"
_FULL_WIDTH = frozenset("。！？｡")

_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_MAIL_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_ALNUM = re.compile(r"[^\W_]")
_HEAD_MARK = re.compile(rf"(?:(?:{_BULLET}|[-–—]{{1,2}}|#{{1,6}})\s++)++")
# Lines that begin something new whatever stands before them: bullet, heading. A long dash before a
# lower-case word rather goes on a parenthesis of the line before.
_NEW_ITEM = re.compile(rf"(?:{_BULLET}|[-#]|[–—](?!\s+[a-z])|#{{2,6}})\s")
_NUMBER = r"\(?(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z]|[ivxIVX]{1,5})[.)]\s"
# Lines that begin something new unless wrapped copy runs on into them: number, time, speaker's name.
_NUMBERED = re.compile(r"[A-Z][A-Z.,'’ \-]{0,40}:(?:\s|$)|" + _NUMBER + r"|\d{1,2}[:.]\d{2}(?!\d)", re.ASCII)
# Heads whose full stops end nothing: numbering, time of a liveblog entry, dateline of a wire story.
_HEAD = re.compile(
    _NUMBER + r"|\d{1,2}(?:[:.]\d{2})?\s?[ap]\.m\.\s"
    r"|[A-Z][A-Z'’.\-]{2,}+(?:[ ,/]+[(/]?[A-Z\d][\w.'’\-]*+[)/]*+[.,]*+){0,9}?"
    r"(?:\s?(?:--|[—–])\s?|\s-\s|\s/[A-Z]+/\.?\s)"
)
_END = re.compile(
    r"(?P<mark>[。！？｡]++|\.(?:[ \xa0]\.)++|[.!?…؟۔।॥‼⁇⁈⁉]++)"
    r"(?P<close>(?:[\"'”’“‘»«›‹)\]}*_」』）】¹²³⁰⁴-⁹]|[ \xa0\u202f][»”](?=[\s.,;:]|$)|\[[\w ]{1,20}\])*+)"
    r"(?P<gap>\s*+)"
)
_OPENING = re.compile(rf"(?:[{re.escape(_OPENERS)}•‣◦▪■●\-–—#]\s?)*+")
_NEXT_WORD = re.compile(r"\w[\w'’\-]{0,39}(?:\.\w){0,9}")
_VOWEL_OR_DIGIT = re.compile(r"[^\Wbcdfghj-np-tv-xz_]", re.IGNORECASE)
# An apostrophe within a word ("won't") does not part it.
_BEFORE_WORD = re.compile(r"(?:[\s/\"“”„«»‹›(\[{]|(?<!\w)['‘’])+")
_ATTRIBUTION = re.compile(
    rf"(?:(?:[A-Z][\w.'’\-]{{0,30}}|the|of|for)\s){{1,7}}?(?:{_SPOKE})\b"
    r"(?=[.,;:]|\s(?:on|in|at|as|during|when|after|before|to|from|back|him|her|them|reporters)\b|$)"
)
_DANGLING = re.compile(r"(?:,|\b(?:a|an|the|of|and|or|by|from|with|to|at|into))$")


def split(text: str) -> list[Span]:
    """Find the sentences of a text.

    Headlines, list items and other lines that end without a mark count as sentences. A quotation of
    several sentences is split at its inner marks; quotes stay with the words they enclose.

    Args:
        text: Any text, of one or many paragraphs.

    Returns:
        Spans of the sentences in order: not empty, not overlapping, without white space at either end.
        Between them lies nothing that holds a letter or a digit.
    """
    # Same length, so that offsets hold for the text as given.
    clean = _MAIL_QUOTE.sub(lambda m: " " * len(m[0]), text) if ">" in text else text
    return [span for start, end in _units(clean) for span in _sentences(clean, start, end)]


def _blocks(text: str) -> Iterator[list[_Line]]:
    """Yield runs of lines between blank lines and lines without letters or digits."""
    block: list[_Line] = []
    last = 0
    for match in _LINE.finditer(text):
        begin, stop = match.span()
        gap = begin - last
        if block and gap != 1 and (gap != 2 or text[last:begin] != "\r\n"):
            yield block
            block = []
        last = stop
        if _ALNUM.search(text, begin, stop) is None:
            if block:
                yield block
                block = []
            continue
        line = match[0].rstrip()
        end = begin + len(line)
        bare = line.lstrip()
        block.append(_Line(end - len(bare), end, len(line), len(bare.split(None, 1)[0])))
    if block:
        yield block


def _units(text: str) -> Iterator[Span]:
    """Yield the stretches of text that no sentence crosses."""
    blocks = list(_blocks(text))
    # Paragraphs of two lines show no width themselves; they share that of the text around them.
    widths = [_wrap_width(text, block) for block in blocks]
    common = max(widths, default=0)
    for block, width in zip(blocks, widths, strict=True):
        start = block[0].start
        for line, following in pairwise(block):
            if not _joins(text, line, following, width or common):
                yield Span(start, line.end)
                start = following.start
        yield Span(start, block[-1].end)


def _wrap_width(text: str, block: list[_Line]) -> int:
    """Return the width at which a block is hard-wrapped, 0 if it is not.

    A block is taken as wrapped if it has three lines or more, its widest line is 45 to 100 columns wide,
    two thirds of its breaks or more stand where the next word would not have fitted, and at least one of
    these breaks is plainly in the middle of a sentence. A list of headlines fails the last test.
    """
    width = max(line.edge for line in block)
    if len(block) < 3 or not 45 <= width <= 100:
        return 0
    full = [pair for pair in pairwise(block) if _fills(*pair, width)]
    if 3 * len(full) < 2 * (len(block) - 1):
        return 0
    return width if any(_runs_on(text, *pair) for pair in full) else 0


def _fills(line: _Line, following: _Line, width: int) -> bool:
    return line.edge <= width <= line.edge + following.first


def _ended(text: str, line: _Line) -> bool:
    tail = text[max(line.start, line.end - 40) : line.end].rstrip("\"'”’»)]*_")
    word = _BEFORE_WORD.split(tail[:-1])[-1]
    if tail.endswith(".") and (_is_initials(word) or word.lower() in _TITLES):
        return False
    return tail.endswith((".", "!", "?", "…", ":", ";", "。", "！", "？", "۔", "।"))


def _runs_on(text: str, line: _Line, following: _Line) -> bool:
    """Tell whether a line without an end mark stands before a lower-case word ("al-Nusra" is none)."""
    word = text[following.start : following.start + min(following.first, 40)]
    return word[0].islower() and word == word.lower() and not _ended(text, line)


def _joins(text: str, line: _Line, following: _Line, width: int) -> bool:
    """Tell whether a sentence may cross the break between two lines of a block."""
    if _NEW_ITEM.match(text, following.start, following.end):
        return False
    full = _fills(line, following, width)
    if _NUMBERED.match(text, following.start, following.end):
        # "on Sept.\n12. The talks": in wrapped copy a number may come first by chance.
        return full and not _ended(text, line)
    if full or _runs_on(text, line, following):
        return True
    # No headline of some length ends in a comma or an article.
    return line.edge >= 40 and bool(_DANGLING.search(text, max(line.start, line.end - 8), line.end))


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the sentences of one unit, which holds a letter or digit."""
    start = _skip_marks(text, start, end)
    head = _HEAD.match(text, start, end)
    alnum = _ALNUM.search(text, start, end)
    for match in _END.finditer(text, head.end() if head else start, end):
        if alnum is None or alnum.start() >= match.start():
            continue
        stop = _boundary(text, start, match, end)
        if stop is None:
            continue
        yield Span(start, stop)
        start = _skip_marks(text, max(stop, match.end() if match["gap"] else stop), end)
        alnum = _ALNUM.search(text, start, end)
    if alnum is not None:
        yield Span(start, end)


def _skip_marks(text: str, start: int, end: int) -> int:
    match = _HEAD_MARK.match(text, start, end)
    return match.end() if match else start


def _boundary(text: str, start: int, match: re.Match[str], end: int) -> int | None:
    """Return where the sentence that began at ``start`` ends if it does at this mark, else None."""
    mark, close, after = match["mark"], match["close"], match.end()
    if after >= end:
        return None
    if mark[-1] in _FULL_WIDTH:
        # Japanese goes on behind a quotation with the particle "to".
        return None if close and text[after] in "とっ" else match.end("close")
    if not match["gap"]:
        return _glued_boundary(text, start, match)
    begin = _OPENING.match(text, after, end).end()  # type: ignore[union-attr]
    if begin >= end or text[begin] in ",;:":
        return None
    word = _NEXT_WORD.match(text, begin, end)
    following = word[0] if word else text[begin]
    # "al-Nusra" and "iPhone" may begin a sentence.
    goes_on = following[0].islower() and following == following.lower()
    if mark == "." and not (close and goes_on):
        final = _full_stop_ends(text, start, match, following, goes_on)
    elif mark[-1] in "۔।॥؟":
        final = True
    else:
        final = not goes_on and not _remark_goes_on(text, start, match, end)
    return match.end("close") if final else None


def _remark_goes_on(text: str, start: int, match: re.Match[str], end: int) -> bool:
    """Tell whether a sentence goes on behind the question or cry that it quotes or has in brackets."""
    close = match["close"]
    if not close or match["mark"][-1] not in "!?":
        return False
    if ")" in close:
        return text[start] != "("
    remark = _ATTRIBUTION.match(text, match.end(), end)
    # "He said" with a capital begins a sentence of its own.
    return remark is not None and remark[0].split()[0].lower() not in _STARTERS - {"i"}


def _glued_boundary(text: str, start: int, match: re.Match[str]) -> int | None:
    """Judge a mark without white space behind it: scraped text loses the blank ("late.The guard")."""
    mark_end, after = match.end("mark"), match.end()
    word = _word_before(text, start, match.start())
    if len(word) < 3 or not word.isalpha() or word.lower() in _ABBREVIATIONS:
        return None
    if match["close"] in ("“", "‘", "«", "„"):
        return mark_end if text[after].isalnum() else None
    following = _NEXT_WORD.match(text, after)
    if match["close"] or following is None or not following[0][:1].isupper() or following[0].isupper():
        return None
    return mark_end if word.islower() or following[0].lower() in _STARTERS else None


def _word_before(text: str, start: int, stop: int) -> str:
    return _BEFORE_WORD.split(text[max(start, stop - 40) : stop])[-1]


def _full_stop_ends(text: str, start: int, match: re.Match[str], following: str, goes_on: bool) -> bool:
    """Judge a full stop with white space behind it, by the words on its two sides."""
    word = _word_before(text, start, match.start())
    key = word.lower().rpartition("-")[2]  # "D-Conn.", "mid-Sept."
    if key in _TITLES and _is_capital(word):
        return False
    if key in _NEVER_FINAL and (len(word) > 1 or word.islower()):  # but "George V."
        return False
    if word and ")" in match["close"] and text[match.start() - len(word) - 1] == "(":
        return False  # "Col. (ret.) Dayan", "MR. MILLER: (Laughs.) I do."
    if match.start() - start < 60 and _LABEL.fullmatch(text, start, match.start()):
        return following.isupper() and len(following) > 1
    if goes_on:
        # Unknown abbreviations are short; a longer word is the end of a carelessly typed sentence.
        return len(word) > 4 and word.isalpha() and _model_splits(word, following)
    if key in _BEFORE_NUMBER and (len(word) > 1 or word.islower()):
        return _NUMERAL.match(following) is None
    before = text[max(start, match.start() - 60) : match.start()]
    starter = following.lower().replace("’", "'") in _STARTERS
    # In capitals the word says nothing: "U.S. IN TALKS".
    starter = starter and (len(following) == 1 or not following.isupper())
    if key in _CLOCK:
        # "At 5 p.m. Putin spoke": the time alone is too short to be a sentence.
        whole = len(before.split()) > 3 and not following[0].isdigit()
        return starter or (whole and not _AFTER_CLOCK.match(text, match.end()))
    if key == "etc":
        return True
    if _may_be_inside(word, key):
        at_end = before.endswith((" on X", " via X")) or (key in _STATES and ", " + word in before)
        return starter or at_end
    # The model's list, learnt from scanned law texts, has words such as "Homs" and "scandal" as
    # abbreviations: it is believed only where no vowel makes a word.
    return not word or _VOWEL_OR_DIGIT.search(word) is not None or _model_splits(word, following)


def _is_capital(word: str) -> bool:
    return word[:1].isupper() or "-" in word


def _may_be_inside(word: str, key: str) -> bool:
    """Tell whether a word with a full stop may stand inside a sentence before a capital."""
    if _is_initials(word) or _CONSONANTS.fullmatch(word):
        return True
    return _is_capital(word) and (key in _MAYBE_FINAL or key in _CALENDAR)


def _is_initials(word: str) -> bool:
    """Tell whether a word is a letter or letters with full stops between them ("U.S", "J", "P.K.K")."""
    letters = word.split(".")
    return all(len(part) == 1 and part.isalpha() for part in letters)


@lru_cache(maxsize=1)
def _tokenizer() -> PunktSentenceTokenizer:
    from nupunkt import load_default_model

    return load_default_model()  # 3 ms; the import before it takes 35 ms, so it waits until needed


@lru_cache(maxsize=1 << 16)
def _model_splits(word: str, following: str) -> bool:
    return len(list(_tokenizer().span_tokenize(f"{word}. {following}"))) > 1
