"""Tests of the sentence splitter: hard news cases, invariants, and inputs that punish quadratic code."""

from __future__ import annotations

import sys
from itertools import pairwise
from subprocess import run

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brinkline.model.sentences import Span, split

# Every text was written for this table. "|" stands before each sentence but the first and is taken out;
# white space around it belongs to no sentence.
CASES: dict[str, list[str]] = {
    "layout: headlines, paragraphs, hard-wrapped copy": [
        "Talks collapse in Geneva\n|The two sides left without a date. |No one spoke to reporters.",
        "Ministers meet in Ankara\n\n|The meeting lasted an hour\n\n|It ended without a text.",
        (
            "The foreign ministry of the country said on Tuesday that it had\n"
            "called in the ambassador to protest against the shelling of the\n"
            "border town. |It gave no number of dead. |The army of the neighbour\n"
            "Turkey has denied that its guns were in use."
        ),
        "The convoy was held up at the bridge by a group of armed\nmen. |It turned back.",
        (
            "The order was signed by the deputy chief of staff, Lt. Gen.\r\n"
            "Haddad, and by the governor of the southern province, who\r\n"
            "has since left the country. |Neither could be reached."
        ),
        (
            "Turkey closes its border with Syria after clashes\n"
            "|Russia recalls its envoy from Paris for talks\n"
            "|Egypt calls for a truce before the holiday"
        ),
        "Syria: what we know\n|al-Nusra says it holds the town.",
    ],
    "datelines": [
        "GENEVA, March 3 (Reuters) - The talks ended. |No date was set.",
        "ANKARA — Turkey said it would answer. |It did not.",
        "WASHINGTON (AP) — The Senate voted.",
        "CAIRO, Sept. 14 — The envoy arrived. |He met the president.",
        "MOSCOW, March 3. /TASS/. The ministry gave no comment. |Talks go on.",
        "ST. PETERSBURG, Russia, Dec. 1 (AP) -- The port was shut. |Ships waited.",
        "PARIS, Jan. 5.—The conference met again. |It sat late.",
    ],
    "quotations": [
        '"We will respond," he said. |"They will regret it."',
        "“We will respond,” he said. |“They will regret it.” |Talks go on.",
        "He said: 'Stop. |Go home.' |Then he left.",
        '"We will not yield. |We will answer," he said.',
        '"Will you fight?" a reporter asked.',
        '"Never!" the minister shouted. |He sat down.',
        "« Nous partirons. » |Il a quitté la salle.",
        "«We hold the pass.» |The general smiled.",
        "‘We hold the pass.’ |‘For how long?’ she asked.",
        'The note read "Leave now". |The family left.',
        'He asked: "Why?" |Nobody knew.',
        '"Will there be a war?" Foreign Minister Sergei Lavrov asked on Monday.',
        "„Wir bleiben.“ |Der Minister ging.",
    ],
    "brackets and notes": [
        "(The minister did not comment.) |Talks go on.",
        "The camp was hit.[1] |Nine died.[2][3] |It was closed.",
        "Sen. Blumenthal (D-Conn.) and Rep. Smith (R., Ohio) voted no. |Others abstained.",
        "The army (it has ten brigades!) stayed away.",
        "He left the room. |[...] The talks went on.",
    ],
    "abbreviations": [
        "Lt. Col. Daher met Maj. Gen. Aoun and Sgt. Lutz. |They spoke.",
        "Brig. Gen. Saad, Adm. Cho and Capt. Ruiz signed. |Pres. Petro did not.",
        "Gov. Abbott wrote to Sen. Cruz. |Rep. Omar replied.",
        "Mr. Guterres met Mrs. Merkel, Ms. Baerbock and Dr. Tedros. |Prof. Ito watched.",
        "He left the U.S. |The talks failed.",
        "The U.S. Army said the U.S. President knew.",
        "They flew to the U.K. |However, no one met them.",
        "The U.N. Security Council met. |The E.U. Commission did not.",
        "The rally was held in Washington, D.C. |It drew few.",
        "The vote is at 5 p.m. |The meeting follows.",
        "They meet at 5 p.m. on Monday. |Doors open at 4 p.m. EST.",
        "The raid began at 3 a.m. Moscow time. |It ended at 6 a.m. |Turkey said nothing.",
        "Under Art. 5 and Res. No. 242 they must leave. |Fig. 3 shows the line.",
        "He said no. |Lavrov said yes.",
        "Will they talk? |No. |They will fight.",
        "Allies, i.e. Britain, e.g. Rolls Co. Ltd., sold arms vs. approx. 10 rivals. |Prices fell.",
        "They sent tents, food, etc. |Russia sent none.",
        "Shares of Arms Inc. Chairman Bob Cole fell. |He runs Boats Ltd. |The firm is small.",
        "Robert Kennedy Jr. Day was held. |John Adams Sr., Ph.D., spoke. |He sat.",
        "J. D. Vance met George H. W. Bush in Mt. Vernon near St. Louis. |They ate.",
        "From Jan. 3 to Feb. 9, and on Tues. Oct. 4, it was shut. |Since Nov. |It has been open.",
        "The M.I.L.F. Commander met the P.K.K. |The group left.",
        (
            "Rockets fell on Homs. |Assad spoke. |It was about a Kurd. |Others followed. |That was "
            "life. |Turkey knew."
        ),
        "Plan B. |The talks would resume. |World War I. |He was there.",
    ],
    "numbers, addresses, marks": [
        "Growth was 3.5 per cent by 7.30 p.m. GMT, at odds of 1.5:2.0 in version 2.0.1. |It fell.",
        "The war ended in 2019. |Fifteen people died in 2020. |12 were children.",
        "See https://www.example.org/a.html?x=1.2. |Write to press.desk@mfa.example.org. |Thanks.",
        "We ... will see. |Perhaps... |The minister paused. |He… left.",
        "Well. . . that is all. |They knew . . . |The room was dark.",
        "What?! |Who did it?? |The army!!! |Nobody; truly nobody; knew.",
        "会谈结束了。|双方没有达成协议！|他们会再见面吗？|会。",
        "مذاکرات ختم ہو گئے۔ |کوئی اعلان نہیں ہوا۔",
        "वार्ता समाप्त हुई। |कोई घोषणा नहीं हुई।",
        "هل انتهت المحادثات؟ |لا نعرف.",
    ],
    "lists, liveblogs, transcripts": [
        "1. The army must leave.\n|2. Aid must enter. |It must be free.\n|(a) Food first\n|b) Water",
        "14:05 GMT - Shelling reported\n|14.20 Two dead. |Roads shut.",
        "11:20 a.m. Shelling is heard. |It stops.",
        "QUESTION: Will you go? |When?\n|MR. MILLER: We do not. |Next.",
        "Q: Is it war?\n|A: No. |It is not.",
        "IV. Border talks\n|The line is open.",
        "They left.|“We won,” he said. |It was late.|The guard slept.",
    ],
    "second batch, written after the rules": [
        "Amb. Rice and Cmdr. Holt flew with Flt. Lt. Perry to Ft. Bragg. |Rev. Jackson led prayers.",
        "The 3rd Bn. Commander called. |Regt. Sgt. Maj. Cole and Secy. Blinken listened.",
        ("“You ask if we fear them? |We do not.” |With that, he hung up. |“And if they come?” |“Let them.”"),
        "KABUL/ISLAMABAD, Aug 2 (Reuters) - Gunmen killed Gen. Raziq. |He was 39.",
        "MOSCOW. March 3 (Interfax) - Talks were held. |None spoke.",
        (
            "\tThe prime minister, speaking after a cabinet session in the\n"
            "capital, told the press that the strikes on the ports of the\n"
            'Red Sea coast had been ordered by him. |"They were needed," he\n'
            "said.\n\t|Opposition leaders called for a vote on the operation."
        ),
        (
            "Iran warns Israel\n"
            "|By Jane Roe, Staff Writer\n"
            "|TEHRAN — Iran warned Israel on Sunday not to strike. |Israel did not reply."
        ),
        ("1) Troops leave\n|2) Prisoners go home; the dead are returned.\n|3) Elections. |Not before May."),
        '"Is the U.S. leaving?" |"No," Mr. Kirby said. |"The U.S. is not leaving."',
        "The price rose to $1.5 bn. |Exports fell to 3 m. tons. |Oil was at $80.15 a bbl. on Friday.",
        "Did he, as some claim (see p. 12), sell arms? |Yes! |He sold 40.",
        "The group calls itself F.D.L.R. and fights the M23. |Its chief, Gen. Byiringiro, is in hiding.",
        (
            "THE PRESIDENT: Thank you. |Please sit.\n\n"
            "|Q. Mr. President, will you call him?\n\n"
            "|THE PRESIDENT: I may."
        ),
        "18:42 Kyiv: air raid alert is over\n|18:55 Sumy governor: two hurt. |Fires are out.",
        "The plane landed at 6:05 a.m. |President Sisi met it. |By 9 p.m. Egypt had sent help.",
        (
            "Protesters chanted 'Down with the junta!' |Soldiers fired. |'It was a massacre,' said Ko "
            "Ko. |'We ran.'"
        ),
        "al-Shabaab claimed the blast. |al-Qaeda praised it. |The U.N. condemned it.",
        "The deal was signed by King Charles III. |He left at once. |Pope John XXIII. was named too.",
        "Read more: www.mfa.gov.xx/en. |Follow @mfa on X. |Mail us.",
        "*The army has entered the city.* |**Schools are shut.** |Shops stay open.",
        "(Reporting by A. Roe in Kyiv; editing by B. Doe) (This story has been refiled.)",
        "The border (closed since 2011) is open. |(It was closed in 2011.) |Trucks cross [sic]. |Good.",
        "He lives in St. Paul, Minn. |She lives in Tampa, Fla. |Police in Boston, Mass., were told.",
        ("The sanctions on Rosneft Oil Co. and Kalibr Ltd. |Have they hurt? |Some say so. |Others doubt it."),
        '"We will fight. . . . |We will win," he said.',
        "He said: “The enemy left at dawn. |‘Go!’ I told them.” |They went.",
        "日本政府は「対話を続ける。」と述べた。|米国も同意した。",
        (
            "The U.S. Under Secretary met the U.S. Ambassador. |In the U.S. |In all, 40 came. |No. 10 "
            "was silent."
        ),
        (
            "Minister resigns over leak\n"
            "|Officials said the minister, who had held the post since 2019, had been told to go. |He "
            "denied it.\n"
            "|More soon"
        ),
    ],
    "third batch, written after the rules": [
        ("Hon. Members of the Knesset met Lt.-Gen. Halevi. |Col. (ret.) Dayan and Vice Adm. Moreau joined."),
        (
            "The talks between Dr. A. Q. Khan's aides and Pyongyang broke down. |Kim Jong Un. |That "
            "was all he said."
        ),
        "\"I asked him, 'Will you stop?' |He said, 'No.' |So we left,\" the envoy recalled.",
        "The sanctions hit banks, ports, etc. in the north. |E.g. the port of Nampo. |It is idle.",
        "Turkey’s Erdoğan: ‘We will not forget.’ |Greece’s reply: silence.",
        ("UNITED NATIONS, Nov. 20 (Xinhua) -- The Security Council met on Wed. to vote. |Russia abstained."),
        (
            "Press briefing, 4 Dec. 2023\n"
            "|MS. SINGH: Good afternoon. |OK, questions.\n"
            "|Q    Thank you. |Two things."
        ),
        "“Why now?” asked Sen. Graham. |“Because,” said Blinken, “it works.”",
        "He wrote on X. |Zelenskyy later deleted the post. |It read: “Enough!!!”",
        "The vote was 3-2. |Two judges dissented. |The limit is 1.5 km. |Beyond it, mines lie.",
        "It was Oct. 7. |The attack began at 6:29 a.m. Israel time. |Sirens rang.",
        (
            "The rebels said (in a message on Telegram) they had won. |[Translated from Arabic.] |The "
            "army denied it."
        ),
        (
            "From: desk@news.example\n"
            "|Subject: Truce talks\n\n"
            "|Dear all,\n\n"
            "|the truce talks will start at nine and last until noon, after which the\n"
            "delegations will travel to the south of the country for a visit to\n"
            "Darfur. |Please plan for it.\n\n"
            "|Best,\n"
            "|J. Roe"
        ),
        "Is it over? asked the mayor. |No one answered...",
        (
            "Army Chief Gen. Asim Munir met Lt. Gen. (retd.) Bajwa. |Maj. Gen. Ahmed Sharif, D.G. "
            "I.S.P.R., spoke."
        ),
        "Para. 4 of Res. 2231 (see Art. II) is void. |Cf. Annex B. |It expired.",
        'In his words: "We came. |We saw. |We left." |Nobody laughed.',
        "The 9th Div. moved on Mosul. |Maj. Al-Saadi led it; Sgt.-Maj. Ali fell.",
        (
            "EU foreign policy chief Kaja Kallas said the bloc would send aid worth EUR 1.5 bln. "
            "|Hungary objected."
        ),
        'Will Putin come? |"Ask him!" Peskov said. |He laughed.',
        "Ten were hurt, among them Mohammed A., 12, and Sara K. |They are in care.",
        "1 March. Talks open in Doha.\n|2 March. Talks end.",
    ],
    "labels, names and breaks found in copy of other kinds": [
        "MOSCOW. A delegation was received today. |It left.",
        "24 March 1986. The fleet sank two boats. |May 1987. The port was shelled.",
        "They should hold somebody else’s.” |Egypt won't. |Oman can't. |All agreed.",
        "MR. MILLER: (Laughs.) I do. |I ask my right hon. Friend to wait.",
        "Briefing, Tuesday, 1:45 p.m. (EST)",
        (
            "The delegation of the northern state was led by its chargé, Mr. V.\n"
            "S. Sokol, who said that the note of the third of June would not be\n"
            "answered. |He then left."
        ),
        (
            "The parties, which had met in the hotel since Monday, signed on May\n"
            "12. |The text was not shown to the reporters who had come, nor to the\n"
            "envoys of the neighbours."
        ),
    ],
}

# Marks that no sentence holds, so that the sentences have to be written out.
DROPPED: list[tuple[str, list[str]]] = [
    (
        (
            "> The truce has held since dawn, the monitors wrote, though\n"
            "> two of their cars were fired on near the southern bridge and\n"
            "> one driver was hurt. They want more staff.\n"
        ),
        [
            (
                "The truce has held since dawn, the monitors wrote, though\n"
                "> two of their cars were fired on near the southern bridge and\n"
                "> one driver was hurt."
            ),
            "They want more staff.",
        ],
    ),
    ("First part.\n* * *\nSecond part.", ["First part.", "Second part."]),
    ("## Talks\nThe two met.", ["Talks", "The two met."]),
    ("The two met.\n---\n\nThey parted.", ["The two met.", "They parted."]),
    (
        "• Shelling in the north\n• Talks in Doha. No result.\n•\n- Aid blocked",
        ["Shelling in the north", "Talks in Doha.", "No result.", "Aid blocked"],
    ),
    (
        "The army left. - The police stayed. • Courts are shut.",
        ["The army left.", "The police stayed.", "Courts are shut."],
    ),
    (
        '### Key points\n\n* Two dead\n* Ten hurt\n\n> "We mourn," the mayor said.',
        ["Key points", "Two dead", "Ten hurt", '"We mourn," the mayor said.'],
    ),
    (
        "Ukraine\n- Kharkiv: 3 dead\n- Odesa: port hit. Grain burned.\nRussia\n- Belgorod: calm",
        ["Ukraine", "Kharkiv: 3 dead", "Odesa: port hit.", "Grain burned.", "Russia", "Belgorod: calm"],
    ),
]

# Pieces that meet the rules far more often than random characters do.
PIECES = st.sampled_from(
    [
        *(". ", ".", "... ", "?! ", "! ", "…", "。", "۔ ", "।", ". . . ", "; ", ": ", ", "),
        *('"', "'", "“", "”", "’", "«", "» ", "(", ")", "[1]", "[", "]", "{", "*", "_", "#", "## "),
        *("\n", "\r\n", "\r", "\n\n", "\f", "\x85", "\u2028", "\x1c", "\t", " ", "\xa0", "\u202f"),
        *("- ", "— ", "• ", "> ", ">", "* * *", "---", "1. ", "(a) ", "IV. ", "14:05 ", "5 p.m. ", "Q: "),
        *("U.S. ", "Gen. ", "No. ", "etc. ", "J. ", "Fla. ", "X. ", "KYIV ", "ROME, May 3 (AP) - "),
        *("The ", "the ", "Minister ", "said", "will ", "al-Nusra ", "12 ", "é", "会", "ß", "²", "/TASS/. "),
        *("\ud800", "\U0001f600", "\u200b", "\0", "MOSCOW. ", "May 1987. ", "(ret.) ", " on X. "),
        "the foreign minister of the country spoke for an hour in the town\n",
    ]
)
TEXTS = st.one_of(st.text(), st.text(st.characters()), st.lists(PIECES, max_size=60).map("".join))


def check_spans(text: str, spans: list[Span]) -> None:
    """Assert what holds for the spans of any text."""
    edges = [Span(0, 0), *spans, Span(len(text), len(text))]
    for before, after in pairwise(edges):
        assert before.end <= after.start
        assert not any(char.isalnum() for char in text[before.end : after.start])
    for start, end in spans:
        assert start < end
        assert text[start:end] == text[start:end].strip()
        assert any(char.isalnum() for char in text[start:end])


@pytest.mark.parametrize(
    "marked", [pytest.param(row, id=f"{group}-{i}") for group in CASES for i, row in enumerate(CASES[group])]
)
def test_cases(marked: str) -> None:
    text = marked.replace("|", "")
    spans = split(text)
    assert [text[start:end] for start, end in spans] == [part.strip() for part in marked.split("|")]
    check_spans(text, spans)


@pytest.mark.parametrize(("text", "sentences"), DROPPED)
def test_marks_left_out(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in split(text)] == sentences


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t\r\n\x0b", "* * *", "—", "•\n•", "...", '"', "\0"])
def test_text_without_sentences(text: str) -> None:
    assert split(text) == []


@given(TEXTS)
@example("a.\r\nB. \ud800")
@example("- \n>> \x85.”’ [1]a")
def test_invariants(text: str) -> None:
    check_spans(text, split(text))


@given(TEXTS)
def test_a_blank_line_parts_texts(text: str) -> None:
    alone = split("He left.")
    both = split("He left.\n\n" + text)
    assert both[:1] == alone
    # A "wrapped" neighbour may lend its width, but the first text has no break to join.
    assert [Span(start - 10, end - 10) for start, end in both[1:]] == split(text)


def test_spans_are_named_tuples() -> None:
    (span,) = split("  He left. ")
    assert span == Span(start=2, end=10) == (2, 10)


def test_wrapped_copy_gives_the_sentences_of_the_same_text_unwrapped() -> None:
    lines = [
        "The cabinet met for the third time in as many days to weigh the",
        "offer of the mediators, which Foreign Minister Haddad called a",
        "step back. It was said to be ready to send Gen. Aoun to the",
        "Qatari capital. No vote was taken.",
    ]
    wrapped, flat = "\n".join(lines), " ".join(lines)
    assert split(wrapped) == split(flat)
    assert len(split(flat)) == 3


@pytest.mark.parametrize(
    "piece",
    [
        *("a", ".", '"', "\n", " ", "!", "(", "。", "\0", "\ud800", "A.", "a.", '."', "a\n", "\r\n", ". ("),
        *(
            "> ",
            ">\n",
            "- ",
            "A. ",
            "1. ",
            "1.",
            "ABC ",
            ", Abc",
            "[1]",
            ".[a",
            "。」",
            'a?" Abc ',
            "\u2028a",
        ),
        *(". . ", "a. » ", "A. - ", "Gen. ", "U.S. ", "May 1. "),
    ],
)
def test_long_runs_of_anything_end(piece: str) -> None:
    # Not timed: with quadratic code this would run for hours.
    text = "Ab." + piece * (400_000 // len(piece)) + " b"
    check_spans(text, split(text))


def test_gaps_between_marks_are_walked_once() -> None:
    text = "He left." + '"' * 500_000 + " ." * 200_000 + "(" * 500_000 + " She stayed."
    check_spans(text, split(text))


def test_import_leaves_the_model_alone() -> None:
    code = "import sys, brinkline.model.sentences; sys.exit('nupunkt' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
