"""The reader: what it takes, how it tells records apart, and that it names everything that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from brinkline.data.schema import LabelledDataError, Problem, read_labelled

SENTENCE: dict[str, Any] = {"text": "The envoy left.", "stance": "neutral", "signals": []}


def write(path: Path, *records: Any, end: str = "\n") -> Path:
    path.write_bytes("".join(json.dumps(record) + end for record in records).encode())
    return path


def article(name: object = "a1", *texts: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "sentences": [{**SENTENCE, "text": text} for text in texts or ("One.",)], **fields}


def problems_of(*paths: Path) -> tuple[Problem, ...]:
    with pytest.raises(LabelledDataError) as caught:
        read_labelled(paths)
    return caught.value.problems


def only_problem(tmp_path: Path, record: Any) -> Problem:
    found = problems_of(write(tmp_path / "x.jsonl", record))
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_articles_groups_and_sentences_are_told_apart(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mixed.jsonl",
        article("a1", "One.", "Two.", genre="wire", region="Chad", year=1987, title="T"),
        article("g1", "Yes.", "No.", rule="rule 3"),
        {**SENTENCE, "id": "s1", "source": "gdelt", "document": "d", "previous": "Before.", "licence": "CC0"},
        {**SENTENCE, "source": "gdelt", "document": "d", "url": "https://example.org"},
        {**SENTENCE, "text": "Alone."},
    )
    plain, group, gathered, alone = read_labelled([path])
    assert (plain.id, plain.source, plain.genre, plain.region, plain.year, plain.title, plain.rule) == (
        ("a1", "mixed", "wire", "Chad", 1987, "T", "")
    )
    assert (group.id, group.rule, group.line, group.file) == ("g1", "rule 3", 2, str(path))
    assert (gathered.id, gathered.source, gathered.line) == ("gdelt/d", "gdelt", 3)
    assert [s.id for s in gathered.sentences] == ["s1", "mixed:4"]
    assert (gathered.sentences[0].previous, gathered.sentences[0].licence) == (("Before.",), "CC0")
    assert (alone.id, alone.source, alone.sentences[0].previous) == ("mixed/mixed:5", "mixed", ())
    assert [s.id for s in plain.sentences] == ["a1/0", "a1/1"]


def test_context_grows_in_articles_and_stays_empty_in_groups(tmp_path: Path) -> None:
    texts = [f"Sentence {number}." for number in range(12)]
    path = write(tmp_path / "x.jsonl", article("a", *texts), article("g", *texts, rule="rule 1"))
    running, group = read_labelled([path])
    assert running.sentences[0].previous == ()
    assert running.sentences[3].previous == tuple(texts[:3])
    assert running.sentences[11].previous == tuple(texts[3:11])
    assert running.sentences[11].context(2) == "Sentence 9. Sentence 10."
    assert running.sentences[11].context(0) == ""
    assert running.sentences[1].context(5) == "Sentence 0."
    assert all(sentence.previous == () for sentence in group.sentences)


def test_order_is_kept(tmp_path: Path) -> None:
    names = ["z", "b", "m", "a"]
    second = write(tmp_path / "2.jsonl", *(article(name) for name in names))
    first = write(tmp_path / "1.jsonl", article("q"))
    assert [document.id for document in read_labelled([second, first])] == [*names, "q"]
    assert [document.id for document in read_labelled([tmp_path])] == ["q", *names]
    assert [document.id for document in read_labelled(path for path in (second, first))] == [*names, "q"]


@pytest.mark.parametrize("as_type", [str, Path])
def test_one_path_is_taken_as_one(tmp_path: Path, as_type: type) -> None:
    assert len(read_labelled(as_type(write(tmp_path / "x.jsonl", article())))) == 1


def test_signals_come_in_label_order_and_targets_are_kept(tmp_path: Path) -> None:
    record = {
        **SENTENCE,
        "signals": ["retaliation", "threat"],
        "targets": {"Peru": "against", "Chile": "none"},
    }
    (document,) = read_labelled([write(tmp_path / "x.jsonl", record)])
    assert document.sentences[0].signals == ("threat", "retaliation")
    assert document.sentences[0].targets == {"Peru": "against", "Chile": "none"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n  \n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_bom_line_ends_and_blank_lines_do_not_matter(tmp_path: Path, end: str, bom: bytes) -> None:
    path = write(tmp_path / "x.jsonl", article("ä", "Führung."), article("b"), end=end)
    path.write_bytes(bom + path.read_bytes())
    documents = read_labelled([path])
    assert [document.id for document in documents] == ["ä", "b"]
    assert documents[0].sentences[0].text == "Führung."


def test_last_line_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(article("a")) + "\n" + json.dumps(article("b")))
    assert len(read_labelled([path])) == 2


def test_numbers_as_ids(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", article(7), {**SENTENCE, "id": 8, "document": 9, "source": "s"})
    first, second = read_labelled([path])
    assert (first.id, second.id, second.sentences[0].id) == ("7", "s/9", "8")


def test_null_is_a_field_left_out(tmp_path: Path) -> None:
    empty = dict.fromkeys(("id", "source", "document", "previous", "licence", "targets", "sentences"))
    (document,) = read_labelled([write(tmp_path / "x.jsonl", {**SENTENCE, **empty})])
    assert document.sentences[0].id == "x:1"


def test_files_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "train.jsonl", SENTENCE, {**SENTENCE, "id": "1", "document": "d"})
    documents = read_labelled([tmp_path / "a", tmp_path / "b"])
    assert [d.id for d in documents] == ["train/train:1", "train/d", "train-2/train-2:1", "train-2/d"]
    assert [d.source for d in documents] == ["train", "train", "train-2", "train-2"]


# What is wrong with a file


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.jsonl").mkdir()
    missing, empty, odd = problems_of(tmp_path / "no.jsonl", tmp_path / "empty", tmp_path / "folder.jsonl")
    assert str(missing) == f"{tmp_path / 'no.jsonl'}: no such file"
    assert str(empty) == f"{tmp_path / 'empty'}: the folder holds no .jsonl file"
    assert "holds no .jsonl" in odd.message


def test_folder_in_a_folder_that_is_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (problem,) = problems_of(tmp_path)
    assert problem.file == str(tmp_path / "folder.jsonl")
    assert problem.message.startswith("cannot be read")


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    (problem,) = problems_of(tmp_path / "x.jsonl")
    assert (problem.message, problem.line) == ("the file is empty", None)


def test_no_path_at_all() -> None:
    (problem,) = problems_of()
    assert "no labelled data" in str(problem)


def test_not_utf8_is_named_with_line_and_column_in_characters(tmp_path: Path) -> None:
    good = json.dumps(article("a")).encode()
    (tmp_path / "x.jsonl").write_bytes(good + b'\n{"id": "\xc3\xa9\xe9"}\n')
    (problem,) = problems_of(tmp_path / "x.jsonl")
    assert problem.line == 2
    assert problem.message == "not UTF-8: byte 0xe9 at column 10"


def test_column_does_not_count_the_bom(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf{\xff}")
    assert "column 2" in problems_of(tmp_path / "x.jsonl")[0].message


def test_not_json_is_named_with_the_files_own_line(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", article("a"))
    path.write_text(
        path.read_text() + '{"id": oops}\n{"id": "a2"\n' + "[" * 200_000 + "\n" + "1" * 5000 + "\n"
    )
    word, cut, deep, long = problems_of(path)
    assert (word.line, word.message) == (2, "not JSON: Expecting value at column 8")
    assert (cut.line, "column" in cut.message) == (3, True)
    assert (deep.line, deep.message.startswith("not JSON")) == (4, True)
    assert (long.line, long.message.startswith("not JSON")) == (5, True)


@pytest.mark.parametrize(
    ("record", "kind"),
    [([1], "a list"), ("s", "a text"), (3, "a number"), (None, "null"), (True, "true or false")],
)
def test_not_an_object(tmp_path: Path, record: object, kind: str) -> None:
    assert only_problem(tmp_path, record).message == f"expected an object, got {kind}"


def test_field_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "T.", "stance": "hostile", "stance": "neutral", "signals": []}')
    assert "'stance' stands there twice" in problems_of(path)[0].message


def test_a_file_named_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", article("a"), SENTENCE)
    (problem,) = problems_of(tmp_path, path)
    assert (problem.file, problem.message) == (str(path), "is named twice")


# What is wrong with a record


@pytest.mark.parametrize("key", ["text", "stance", "signals"])
def test_missing_field(tmp_path: Path, key: str) -> None:
    problem = only_problem(tmp_path, {name: value for name, value in SENTENCE.items() if name != key})
    assert (problem.line, problem.field, problem.message) == (1, key, "is missing")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("txt", "text"), ("Text", "text"), ("STANCE", "stance"), ("stanze", "stance"), ("signal", "signals")],
)
def test_misspelt_field_is_named_with_the_nearest(tmp_path: Path, wrong: str, right: str) -> None:
    record = {wrong if name == right else name: value for name, value in SENTENCE.items()}
    problem = only_problem(tmp_path, record)
    assert (problem.field, problem.message) == (right, f"is missing (did you mean the field {wrong!r}?)")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("documnet", "document"),
        ("document_id", "document"),
        ("license", "licence"),
        ("previus", "previous"),
        ("target", "targets"),
    ],
)
def test_misspelt_optional_field(tmp_path: Path, wrong: str, right: str) -> None:
    problem = only_problem(tmp_path, {**SENTENCE, wrong: "x"})
    assert (problem.field, problem.message) == (wrong, f"is no field (did you mean {right!r}?)")


def test_misspelt_fields_of_an_article(tmp_path: Path) -> None:
    record = {"id": "a", "sentence": [SENTENCE]}
    problem = only_problem(tmp_path, record)
    assert (problem.field, problem.message) == (
        "sentences",
        "is missing (did you mean the field 'sentence'?)",
    )
    inner = {
        "id": "a",
        "sentences": [SENTENCE, {"txt": "T.", "stance": "neutral", "signals": [], "target": {}}],
    }
    fields = [problem.field for problem in problems_of(write(tmp_path / "y.jsonl", inner))]
    assert fields == ["sentences[1].text", "sentences[1].target"]


def test_own_fields_are_left_alone(tmp_path: Path) -> None:
    own = {"uid": 1, "url": "u", "annotator": "A", "index": 4, "doc_url": "d", "split": "train"}
    assert len(read_labelled([write(tmp_path / "x.jsonl", {**SENTENCE, **own}, {**article(), **own})])) == 2


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("stance", "hostle", "'hostle' is none of hostile, neutral, conciliatory (did you mean 'hostile'?)"),
        (
            "stance",
            "Neutral",
            "'Neutral' is none of hostile, neutral, conciliatory (did you mean 'neutral'?)",
        ),
        ("stance", "zzz", "'zzz' is none of hostile, neutral, conciliatory"),
        ("stance", 0, "expected a text, got a number"),
        ("stance", ["hostile"], "expected a text, got a list"),
        ("stance", None, "is missing"),
        ("stance", " ", "is empty"),
        ("text", "", "is empty"),
        ("text", " \t", "is empty"),
        ("text", {"a": 1}, "expected a text, got an object"),
        ("text", "half \ud83d", "holds half a surrogate pair, which is no character"),
        ("signals", None, "expected a list, got null"),
        ("signals", "threat", "expected a list, got a text"),
        ("signals", {"threat": 1}, "expected a list, got an object"),
        (
            "signals",
            ["threats"],
            "'threats' is none of threat, deterrence, retaliation (did you mean 'threat'?)",
        ),
        ("signals", ["zzz"], "'zzz' is none of threat, deterrence, retaliation"),
        ("signals", [["threat"]], "['threat'] is none of threat, deterrence, retaliation"),
        ("signals", [{"a": 1}], "{'a': 1} is none of threat, deterrence, retaliation"),
        ("signals", [1], "1 is none of threat, deterrence, retaliation"),
        ("signals", ["threat", "threat"], "'threat' stands there twice"),
        ("targets", ["Peru"], "expected an object, got a list"),
        ("id", 1.5, "expected a text, got a number"),
        ("id", True, "expected a text, got true or false"),
        ("id", ["a"], "expected a text, got a list"),
        ("document", {"a": 1}, "expected a text, got an object"),
        ("source", 3, "expected a text, got a number"),
        ("previous", ["Before."], "expected a text, got a list"),
        ("licence", 0, "expected a text, got a number"),
    ],
)
def test_wrong_value_of_a_sentence(tmp_path: Path, field: str, value: object, message: str) -> None:
    problem = only_problem(tmp_path, {**SENTENCE, field: value})
    assert (problem.line, problem.field, problem.message) == (1, field, message)


@pytest.mark.parametrize(
    ("attitude", "message"),
    [
        ("favour", "'favour' is none of against, favor, none (did you mean 'favor'?)"),
        (None, "None is none of against, favor, none"),
        (["favor"], "['favor'] is none of against, favor, none"),
    ],
)
def test_wrong_target(tmp_path: Path, attitude: object, message: str) -> None:
    problem = only_problem(tmp_path, {**SENTENCE, "targets": {"Mali": attitude, "Niger": "favor"}})
    assert (problem.field, problem.message) == ("targets['Mali']", message)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"id": None}, "id", "is missing"),
        ({"id": ""}, "id", "is empty"),
        ({"id": ["a"]}, "id", "expected a text, got a list"),
        ({"sentences": []}, "sentences", "expected a list with at least one sentence, got an empty list"),
        ({"sentences": "One."}, "sentences", "expected a list with at least one sentence, got a text"),
        ({"sentences": None}, "sentences", "expected a list with at least one sentence, got null"),
        ({"sentences": ["One."]}, "sentences[0]", "expected an object, got a text"),
        ({"sentences": [SENTENCE, {**SENTENCE, "stance": "x"}]}, "sentences[1].stance", "'x' is none of"),
        ({"year": "1987"}, "year", "expected a whole number, got a text '1987'"),
        ({"year": 1987.5}, "year", "expected a whole number, got a number 1987.5"),
        ({"year": True}, "year", "expected a whole number, got true or false True"),
        ({"rule": 3}, "rule", "expected a text, got a number"),
        ({"genre": ["wire"]}, "genre", "expected a text, got a list"),
    ],
)
def test_wrong_value_of_an_article(tmp_path: Path, fields: dict[str, Any], field: str, message: str) -> None:
    problem = only_problem(tmp_path, {**article(), **fields})
    assert problem.field == field
    assert problem.message.startswith(message)


def test_duplicate_article_ids_even_where_the_first_is_wrong(tmp_path: Path) -> None:
    first = write(tmp_path / "1.jsonl", article("a"), article("b", genre=1))
    second = write(tmp_path / "2.jsonl", article("b"), article("a"), article("c"), article("c"))
    messages = [str(problem) for problem in problems_of(first, second)]
    assert messages == [
        f"{first}:2: genre: expected a text, got a number",
        f"{second}:1: id: 'b' stands already in {first}:2",
        f"{second}:2: id: 'a' stands already in {first}:1",
        f"{second}:4: id: 'c' stands already in {second}:3",
    ]


def test_number_and_text_are_the_same_id(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path / "x.jsonl", article(1), article("1")))
    assert "stands already" in problem.message


def test_duplicate_sentence_ids_of_one_document(tmp_path: Path) -> None:
    same = {**SENTENCE, "id": "s", "document": "d"}
    path = write(tmp_path / "x.jsonl", same, {**same, "document": "e"}, {**same, "text": "Other."})
    (problem,) = problems_of(path)
    assert (problem.line, problem.message) == (3, f"'s' stands already in {path}:1")


@pytest.mark.parametrize("turned", [False, True])
def test_article_and_sentences_may_not_share_a_document(tmp_path: Path, turned: bool) -> None:
    records = [article("s/d"), {**SENTENCE, "source": "s", "document": "d"}]
    (problem,) = problems_of(write(tmp_path / "x.jsonl", *(reversed(records) if turned else records)))
    assert problem.field == "document"
    assert "'s/d' is the id of an article too" in problem.message


def test_everything_wrong_in_several_files_comes_at_once(tmp_path: Path) -> None:
    first = write(tmp_path / "1.jsonl", article("a"), {"text": 1, "stance": "x", "signals": [["threat"], 3]})
    second = tmp_path / "2.jsonl"
    second.write_bytes(b"\xff\n{}\n3\nnope\n")
    third = tmp_path / "3.jsonl"
    with pytest.raises(LabelledDataError) as caught:
        read_labelled([first, second, third])
    found = caught.value.problems
    assert [(Path(p.file).name, p.line, p.field) for p in found] == [
        ("1.jsonl", 2, "text"),
        ("1.jsonl", 2, "stance"),
        ("1.jsonl", 2, "signals"),
        ("1.jsonl", 2, "signals"),
        ("2.jsonl", 1, None),
        ("2.jsonl", 2, "text"),
        ("2.jsonl", 2, "stance"),
        ("2.jsonl", 2, "signals"),
        ("2.jsonl", 3, None),
        ("2.jsonl", 4, None),
        ("3.jsonl", None, None),
    ]
    lines = str(caught.value).splitlines()
    assert lines[0] == "11 problems in the labelled data:"
    assert lines[1:] == [str(problem) for problem in found]
    assert str(LabelledDataError(found[:1])).startswith("1 problem in")
