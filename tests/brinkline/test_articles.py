"""Tests of reading articles: the kinds of input, the ways in which one can be wrong, two round trips."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brinkline.articles import Article, Unreadable, read_articles

Write = Callable[..., str]
LINE = '{"text": "The envoy left."}\n'
NUL = "holds NUL bytes: binary, or UTF-16 without a byte order mark (then name it with --encoding)"
ADVICE = "; convert it or name its encoding with --encoding"
PAGE = (
    "<!DOCTYPE html><html><head><title>The ridge is quiet</title></head><body>"
    "<nav><a href='/'>Front page</a></nav><article><h1>The ridge is quiet</h1>"
    "<p>The café by the border post opened again on Monday, a week after the guns fell silent.</p>"
    "<p>Neither army has said when its men will go back to their barracks beyond the river.</p>"
    "</article><div class='comments'><p>First to comment here.</p></div></body></html>"
)
PAGE_TEXT = (
    "The ridge is quiet\n"
    "The café by the border post opened again on Monday, a week after the guns fell silent.\n"
    "Neither army has said when its men will go back to their barracks beyond the river."
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(name: str, content: bytes | str, packed: bool = True) -> str:
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") and packed else data)
        return str(tmp_path / name)

    return write_file


def short(item: Article | Unreadable) -> Article | Unreadable:
    """Shorten an id that begins with a test's temporary folder."""
    return replace(item, id=Path(item.id).name) if isinstance(item, Article) else item


def read(*inputs: str, **options: Any) -> list[Article | Unreadable]:
    return [short(item) for item in read_articles(inputs, **options)]


def texts(*inputs: str, **options: Any) -> list[str]:
    return [item.text if isinstance(item, Article) else str(item) for item in read(*inputs, **options)]


def messages(*inputs: str, **options: Any) -> list[str]:
    """What is wrong, without the folder; an article counts as its id in brackets."""
    return [
        f"[{item.id}]" if isinstance(item, Article) else f"{Path(item.source).name}: {item.reason}"
        for item in read(*inputs, **options)
    ]


# -- plain text
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.TXT", "a", "a.report", "a.txt.gz"])
def test_plain_text_is_kept_to_the_character(write: Write, name: str) -> None:
    text = " \r\nOne.\rTwo.\n\n\u2028Three\x0c\ufeff.\r\n "
    assert read(write(name, text)) == [Article(name, text, {})]


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("named", [None, "cp1252"])
def test_byte_order_mark_tells_the_encoding(write: Write, codec: str, named: str | None) -> None:
    text = "Der Botschafter in Łódź ging.\r\nEr kam zurück."
    assert texts(write("a.txt", text.encode(codec)), encoding=named) == [text]
    assert texts(write("b.txt", b"\xfe\xff" + text.encode("utf-16-be")), encoding=named) == [text]
    lines = '{"text": "Łódź"}\r\n{"text": "zurück\u2028"}\r\n'.encode(codec)
    assert texts(write("a.jsonl", lines), encoding=named) == ["Łódź", "zurück\u2028"]
    assert texts("-", stdin=io.BytesIO(lines), encoding=named) == ["Łódź", "zurück\u2028"]
    assert texts(write("a.csv", "text,n\r\nŁódź,1\r\n".encode(codec)), encoding=named) == ["Łódź"]


def test_named_encoding(write: Write) -> None:
    assert texts(write("a.txt", "déjà “vu”".encode("cp1252")), encoding="cp1252") == ["déjà “vu”"]
    assert texts(write("b.txt", "tanks".encode("utf-16-le")), encoding="utf-16-le") == ["tanks"]
    assert texts(write("c.csv", "text\n会谈\n".encode("gb18030")), encoding="gb18030") == ["会谈"]
    assert texts(write("d.jsonl", '{"text": "会谈"}'.encode("utf-16-le")), encoding="utf-16-le") == ["会谈"]


@pytest.mark.parametrize("encoding", ["klingon", "hex", "a\0b", "\ud800"])
def test_unknown_encoding_is_refused_at_once(encoding: str) -> None:
    with pytest.raises(LookupError, match="unknown encoding"):
        read_articles([], encoding=encoding)


ZIP = b"PK\x03\x04\x14\0\0\0\n\0[Content_Types].xml<Types/>PK\x03\x04\x14\0\0\0"
NOT_TEXT = [
    (b"", "is empty"),
    (b"\xef\xbb\xbf\n", "is empty"),
    (b"Talks\0resumed.", NUL),
    ("Talks resumed.".encode("utf-16-le"), NUL),
    (b"\x93NUMPY\x01\0v\0", NUL),
    (b"x" * 118 + b"af\xe9 is shut", f"not UTF-8: byte 0xe9 at offset 120{ADVICE}"),
    (b"\xef\xbb\xbfcaf\xe9", f"not UTF-8: byte 0xe9 at offset 6{ADVICE}"),
    (b"\xff\xfea\x00\x00\xd8b\x00", f"not UTF-16-LE: byte 0x00 at offset 4{ADVICE}"),
    (b"%PDF-1.7\n1 0 obj", "looks like a PDF, not text"),
    (ZIP + b"word/document.xml", "looks like a Word document (docx), not text"),
    (ZIP + b"xl/workbook.xml", "looks like an Excel workbook (xlsx), not text"),
    (ZIP + b"notes.txt", "looks like a zip archive or an Office document, not text"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "looks like an old Office document (doc, xls), not text"),
    (rb"{\rtf1\ansi Talks.}", "looks like a rich text document (RTF), not text"),
    (gzip.compress(b"Talks."), "looks like gzip, not text"),
    (b"\x89PNG\r\n\x1a\n\0", "looks like a PNG image, not text"),
    (b"\xff\xd8\xff\xe0", "looks like a JPEG image, not text"),
    (b"PAR1\x15\x04\x15\x00", "looks like a Parquet table, not text"),
]


@pytest.mark.parametrize(("content", "reason"), NOT_TEXT)
def test_what_is_not_text_is_named(write: Write, content: bytes, reason: str) -> None:
    good = write("good.txt", "PAR1S is a typo.")
    assert messages(write("bad.txt", content), good) == [f"bad.txt: {reason}", "[good.txt]"]
    assert messages("-", good, stdin=io.BytesIO(content)) == [f"-: {reason}", "[good.txt]"]
    assert messages(write("bad.txt.gz", content)) == [f"bad.txt.gz: {reason}"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.html", "a.ndjson", "a.tsv"])
def test_the_same_goes_for_the_other_kinds(write: Write, name: str) -> None:
    for content, reason in [(b"", "is empty"), (b"%PDF-", "looks like a PDF, not text"), (b"\x80\0\n", NUL)]:
        assert messages(write(name, content)) == [f"{name}: {reason}"]


# -- files that are not there, or not to be had
def test_missing_file_directory_and_odd_names(tmp_path: Path, write: Write) -> None:
    (tmp_path / "folder.txt").mkdir()
    missing, folder = str(tmp_path / "gone.jsonl"), str(tmp_path / "folder.txt")
    good = write("a.txt", "Talks.")
    reasons = ["gone.jsonl: no such file", "folder.txt: is a directory: name the files in it"]
    assert messages(missing, folder, good) == [*reasons, "[a.txt]"]
    assert messages("a\0b")[0].startswith("a\0b: cannot be read: embedded null")
    assert messages("n" * 5000, good)[1:] == ["[a.txt]"]
    assert str(Unreadable("a.jsonl:3", "is empty")) == "a.jsonl:3: is empty"


def test_name_that_is_not_utf8_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.txt"
    try:
        path.write_text("Talks.")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only UTF-8 names")
    assert [item.id for item in read(str(path)) if isinstance(item, Article)] == ["caf\\udce9.txt"]


def test_refused_files(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a.txt", "Talks.")
    errors = [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")]
    monkeypatch.setattr(Path, "open", Mock(side_effect=errors))
    failed = "a.txt: cannot be read: Input/output error"
    assert messages(path, path) == ["a.txt: no permission to read it", failed]


def test_corrupt_gzip(write: Write) -> None:
    lines = (f'{{"text": "Shell {n * n % 9973} fell."}}\n' for n in range(20000))
    whole = gzip.compress("".join(lines).encode())
    cut = messages(write("cut.jsonl.gz", whole[:-1000], packed=False))
    assert cut[-1] == "cut.jsonl.gz: corrupt gzip: it ends too early"
    assert cut[:2] == ["[cut.jsonl.gz:1]", "[cut.jsonl.gz:2]"]
    broken = whole[:2000] + b"\xff" * 50 + whole[2050:]
    assert messages(write("a.jsonl.gz", broken, packed=False))[-1] == "a.jsonl.gz: corrupt gzip"
    not_gzip = write("a.txt.gz", "Talks.", packed=False)
    assert messages(not_gzip) == ["a.txt.gz: corrupt gzip, or not gzip at all"]


# -- JSON lines
def test_jsonl_fields_ids_and_layout(write: Write) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "One.\r\nTwo.", "id": "x", "year": 1999, "tags": ["a"]},
        {"id": 7, "text": ""},
        {"id": 2.5, "text": " \ud83d"},
        {"id": None, "text": "Null id."},
        {"id": ["list"], "text": "Odd id."},
        {"id": True, "text": "True id."},
    ]
    joined = "\r\n\r\n".join(map(json.dumps, rows))
    content = f'\ufeff{joined}\n\ufeff{{"text": "Joined."}}\n\n \n'
    assert read(write("a.jsonl", content)) == [
        Article("x", "One.\r\nTwo.", {"year": 1999, "tags": ["a"]}),
        Article("7", "", {}),
        Article("2.5", " \ud83d", {}),
        Article("a.jsonl:7", "Null id.", {"id": None}),
        Article("a.jsonl:9", "Odd id.", {"id": ["list"]}),
        Article("a.jsonl:11", "True id.", {"id": True}),
        Article("a.jsonl:12", "Joined.", {}),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.NDJSON", "a.json", "a.jsonl.gz"])
def test_jsonl_names(write: Write, name: str) -> None:
    assert read(write(name, LINE)) == [Article(f"{name}:1", "The envoy left.", {})]


def test_other_fields_and_repeated_ids(write: Write) -> None:
    path = write("a.jsonl", '{"body": "One.", "key": "k", "text": 3}\n{"body": "Two.", "key": "k"}\n')
    expected = [Article("k", "One.", {"text": 3}), Article("k", "Two.", {})]
    assert read(path, text_field="body", id_field="key") == expected


TYPES: list[tuple[Any, str]] = [(None, "null"), (1.5, "a number"), (2, "a number"), ([""], "a list")]
TYPES += [(False, "true or false")]
FIELDS = "has no field 'text': its fields are"
BAD_LINES = [
    ('{"text": "One." 1}', "not JSON: Expecting ',' delimiter at column 17"),
    ('{"text": "One.", "n": ' + "1" * 5000 + "}", "not JSON that can be read: Exceeds the limit (4300"),
    ("[" * 100_000 + "]", "not JSON that can be read: "),
    *((json.dumps(v), f"is {t}, not a JSON object") for v, t in [*TYPES, ("One.", "a string")]),
    *((json.dumps({"text": v}), f"field 'text' is {t}, not text") for v, t in [*TYPES, ({}, "an object")]),
    ('{"id": 1, "texts": "One."}', f"{FIELDS} 'id', 'texts'; the nearest is 'texts'"),
    ('{"id": 1}', f"{FIELDS} 'id'"),
    ("{}", f"{FIELDS} '(none)'"),
    (json.dumps(dict.fromkeys(map(str, range(30)))), f"{FIELDS} '0', '1', "),
    ('{"text": "caf\udce9"}', f"not UTF-8: byte 0xe9 at character 14 of the line{ADVICE}"),
    ('{"text": "NUL \0"}', "not JSON: Invalid control character at"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_bad_line_is_named_and_the_others_are_read(write: Write, line: str, reason: str) -> None:
    first, bad, good, last = messages(write("a.jsonl", f"{LINE}\r\n{line}\r\n{LINE}{line}"))
    assert (first, good) == ("[a.jsonl:1]", "[a.jsonl:4]")
    assert bad.startswith(f"a.jsonl:3: {reason}")
    assert last.startswith(f"a.jsonl:5: {reason}")


def test_json_over_many_lines_is_one_mistake(write: Write) -> None:
    reason = "is one JSON value over many lines: write one object a line"
    for content in ('[\n{"text": "One."}\n]', '{\n"text": "One."\n}', '[{"text": "One."},\n{}]'):
        assert messages(write("a.json", content)) == [f"a.json: {reason}"]


def test_utf16_that_breaks_off(write: Write) -> None:
    path = write("a.jsonl", b"\xff\xfe" + (LINE * 2000).encode("utf-16-le") + b"\x00\xd8\x0a\x00")
    *articles, last = messages(path)
    assert last == f"a.jsonl: not UTF-16-LE after line {len(articles)}; the rest is not read"


# -- tables
def test_csv_rows(write: Write) -> None:
    long = "He left. " * 40_000
    content = f'\ufeffid,text,year\r\n7,"One, ""two"".\r\nThree.",1999\r\n\r\n,  ,\r\nx,"{long}",2000\n'
    assert read(write("a.csv", content)) == [
        Article("7", 'One, "two".\r\nThree.', {"year": "1999"}),
        Article("a.csv:5", "  ", {"id": "", "year": ""}),
        Article("x", long, {"year": "2000"}),
    ]
    assert texts(write("a.tsv", "text\tid\nOne, two.\t1\n")) == ["One, two."]
    assert texts(write("a.csv.gz", "body\nOne.\n"), text_field="body") == ["One."]


def test_bad_rows_are_named_and_the_others_are_read(write: Write) -> None:
    content = 'id,text|1,One.|2|3,a,b|4,"Two|lines"|5,N\0L|6,caf\udce9|7,"a "b" c"|8,Last.|9,"never closed|'
    assert messages(write("a.csv", content.replace("|", "\n"))) == [
        "[1]",
        "a.csv:3: has 1 field, the header has 2",
        "a.csv:4: has 3 fields, the header has 2",
        "[4]",
        "a.csv:7: holds a NUL character",
        f"a.csv:8: not UTF-8: byte 0xe9 in field 2{ADVICE}",
        "a.csv:9: not a table row: ',' expected after '\"'",
        "[8]",
        "a.csv:11: not a table row: unexpected end of data",
    ]


def test_a_row_over_several_lines_is_named_by_its_first(write: Write) -> None:
    path = write("a.csv", 'text,n\n"One.\nTwo.\nThree.",1\n"Four.\nFive."\n')
    first, bad = read(path)
    assert (first.id if isinstance(first, Article) else None) == "a.csv:2"
    assert str(bad) == f"{path}:5: has 1 field, the header has 2"


COLUMNS = "has no column 'text': the columns in its header row are"
BAD_TABLES = [
    ("id,text\n\n", "has a header row and nothing below it"),
    (",,\n", "has no header row"),
    ('id,"text', "its header row cannot be read: unexpected end of data"),
    ("text,text\na,b\n", "has more than one column 'text'"),
    ("t\0xt\na\n", NUL),
    ("caf\udce9,text\na,b\n", f"not UTF-8: byte 0xe9 in field 1{ADVICE}"),
    ("id,Text\n1,One.\n", f"{COLUMNS} 'id', 'Text'; the nearest is 'Text'"),
    (
        "id;text\n1;One.\n",
        f"{COLUMNS} 'id;text'; the nearest is 'id;text'; they are parted by ';', not by ','",
    ),
    (f"1,{'He left. ' * 99}\n", f"{COLUMNS} '1', 'He left. He left. He left. He left. He l…'"),
]


@pytest.mark.parametrize(("content", "reason"), BAD_TABLES)
def test_bad_table_is_one_mistake(write: Write, content: str, reason: str) -> None:
    good = write("b.csv", "text,id\nOne.,b\n")
    assert messages(write("a.csv", content), good) == [f"a.csv: {reason}", "[b]"]


# -- HTML
@pytest.mark.parametrize("name", ["a.html", "a.HTM", "a.xhtml", "a.html.gz"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "cp1250"])
def test_html_gives_its_main_text(write: Write, name: str, codec: str) -> None:
    path = write(name, PAGE.replace("<title>", f"<meta charset='{codec}'><title>").encode(codec))
    assert read(path) == [Article(name, PAGE_TEXT, {"title": "The ridge is quiet"})]


def test_html_in_a_named_encoding(write: Write) -> None:
    path = write("a.html", PAGE.encode("cp037"))  # which no page says of itself, and no one guesses
    assert texts(path, encoding="cp037") == [PAGE_TEXT]
    assert messages(path, encoding="ascii")[0].startswith("a.html: not ascii: byte 0x")


def test_html_without_text(write: Write) -> None:
    for page in ("<html></html>", "<html><body><img src='a.png'></body></html>", "<p", "<!---->"):
        assert messages(write("a.html", page)) == ["a.html: no main text found in the HTML"]


def test_html_that_breaks_the_parser(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trafilatura.bare_extraction", Mock(side_effect=RecursionError("too deep")))
    assert messages(write("a.html", PAGE)) == ["a.html: the HTML cannot be parsed: too deep"]


def test_a_column_that_stands_twice_loses_nothing(write: Write) -> None:
    name = write("a.csv", "id,text,note,note,note_2,,\n1,They met.,a,b,c,d,e\n")
    (article,) = read_articles([name])
    assert isinstance(article, Article)
    assert article.metadata == {"note": "a", "note_3": "b", "note_2": "c", "": "d", "_2": "e"}
    assert messages(write("b.csv", "id,text,id\n1,They met.,2\n")) == ["b.csv: has more than one column 'id'"]


def test_what_is_nested_too_deep_is_named(write: Write) -> None:
    deep = '{"text": "They met.", "more": ' + "[" * 600 + "]" * 600 + "}\n"
    name = write("deep.jsonl", LINE + deep + LINE)
    assert messages(name) == [
        "[deep.jsonl:1]",
        "deep.jsonl:2: a field is nested more than 100 levels deep",
        "[deep.jsonl:3]",
    ]


# -- standard input
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{\n "text": "They met."\n}\n', ["-: is one JSON value over many lines: write one object a line"]),
        ('[{"text": "They met."}]\n', ["-:1: is a list, not a JSON object"]),
        ('{"text": "They\n' + LINE, None),
        ('y met.", "source": "wire"}\n' + LINE + LINE, None),
    ],
)
def test_json_that_is_not_one_object_a_line_is_no_article(content: str, expected: list[str] | None) -> None:
    found = list(read_articles(["-"], stdin=io.BytesIO(content.encode())))
    assert isinstance(found[0], Unreadable)
    if expected is None:
        assert found[0].source == "-:1"
        assert [item.text for item in found[1:] if isinstance(item, Article)] == ["The envoy left."] * (
            len(found) - 1
        )
    else:
        assert list(map(str, found)) == expected


@pytest.mark.parametrize(
    "content", ["[Reuters] They met.\nThey left.", "{sic} They met.", "[[Kyiv]] is quiet.\n[1] said so."]
)
def test_text_that_begins_with_a_bracket_is_an_article(content: str) -> None:
    (article,) = read_articles(["-"], stdin=io.BytesIO(content.encode()))
    assert isinstance(article, Article)
    assert article.text == content


def test_standard_input_is_told_by_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    def piped(content: str, **options: Any) -> list[Article | Unreadable]:
        return read("-", stdin=io.BytesIO(content.encode()), **options)

    assert piped(f"\n\r\n{LINE}nope\n{LINE}")[::2] == [
        Article("-:3", "The envoy left.", {}),
        Article("-:5", "The envoy left.", {}),
    ]
    assert str(piped(f"{LINE}nope\n")[1]) == "-:2: not JSON: Expecting value at column 1"
    plain = ["\n{curly} talk\n", "[1]\nOne.\r\n", "a,text\n1,2\n", "<p>One.</p>"]
    assert [piped(content) for content in plain] == [[Article("-", content, {})] for content in plain]
    other = '{"body": "One."}\n'
    assert piped(other, text_field="body") == [Article("-:1", "One.", {})]
    assert str(piped(other)[0]) == "-:1: has no field 'text': its fields are 'body'"
    for start in ("", " \n", '<?xml version="1.0"?>\n', "\ufeff"):
        page = start + PAGE.replace("DOCTYPE", "docType")
        assert piped(page) == [Article("-", PAGE_TEXT, {"title": "The ridge is quiet"})]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Talks.\r\n")))
    assert messages("-", "-") == ["[-]", "-: is empty"]
    assert not sys.stdin.buffer.closed
    monkeypatch.setattr(sys, "stdin", None)
    assert messages("-") == ["-: standard input is closed"]


# -- streaming, imports
def test_streams_are_not_held_in_memory(write: Write) -> None:
    line = LINE.encode()
    endless = Mock(readline=lambda: line, read=lambda size: line * (size // len(line)))
    assert len(list(itertools.islice(read_articles(["-"], stdin=endless), 1000))) == 1000
    row = "The guns fell silent. " * 40
    table = "text\n" + f"{row}\n" * 10_000
    files = [write("a.csv", table), write("b.csv.gz", table)]
    files.append(write("a.jsonl", f'{{"text": "{row}"}}\n' * 10_000))
    tracemalloc.start()
    assert sum(1 for _ in read_articles(files)) == 30_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_importing_and_reading_text_load_nothing_heavy(write: Write) -> None:
    code = (
        "import sys, brinkline.articles as a; list(a.read_articles(sys.argv[1:]));"
        "print({'torch', 'transformers', 'datasets', 'pandas', 'trafilatura', 'lxml'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, write("a.jsonl", LINE), write("a.csv", "text\nOne.\n")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"


# -- round trips
def test_files_of_one_name_in_two_folders_can_be_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.txt" for folder in ("north", "south")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("The envoy left.")
    found = read_articles([str(path) for path in paths])
    assert [item.id for item in found if isinstance(item, Article)] == [str(path) for path in paths]


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def in_file(name: str, content: str) -> Iterator[Article | Unreadable]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(content.encode())
        yield from read(f"{folder}/{name}")


@settings(deadline=None)
@given(ANY_TEXT.filter(lambda text: bool(text.strip()) and "\0" not in text))
@example("\ufeff\r\nOne.\rTwo.\x85")
@example("\ufeff\ufeff")
def test_any_text_comes_back(text: str) -> None:
    if text.removeprefix("\ufeff").strip():
        assert list(in_file("a.txt", text)) == [Article("a.txt", text.removeprefix("\ufeff"), {})]


@settings(deadline=None)
@given(st.lists(ANY_TEXT, min_size=1), st.booleans(), st.sampled_from(["\n", "\r\n"]))
@example(["\u2028\x85\x1c", "\0", "\ufeff", ""], False, "\r\n")
def test_any_texts_come_back_from_jsonl(articles: list[str], ascii_only: bool, end: str) -> None:
    content = "".join(json.dumps({"text": text}, ensure_ascii=ascii_only) + end for text in articles)
    expected = [Article(f"a.jsonl:{n}", text, {}) for n, text in enumerate(articles, start=1)]
    assert list(in_file("a.jsonl", content)) == expected
