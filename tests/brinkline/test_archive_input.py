"""Tests of what archives are read from: every kind of file, folders, places to go on from."""

from __future__ import annotations

import datetime
import gzip
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from brinkline.archive_input import InputFile, Place, Reading, read_from, survey, walk, watched
from brinkline.articles import Article, Options, Unreadable, read_articles

LINES = [{"id": f"n{n}", "text": f"They met {n}. Rain."} for n in range(5)]
PAGE = (
    "<html><body><article>"
    + "<p>The envoy came back to the city on Monday.</p>" * 9
    + "</article></body></html>"
)


def packed(lines: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def read(*names: Path | str, start: Place = Place()) -> list[Article | Unreadable]:  # noqa: B008 - frozen
    return [item for _, _, item in read_from(walk(list(map(str, names))), Options(), start)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of every kind."""
    root = tmp_path / "archive"
    (root / "b" / "deep").mkdir(parents=True)
    table = "id,text\n" + "".join(f"{line['id']},{line['text']}\n" for line in LINES)
    (root / "a.csv").write_text(table)
    (root / "a.tsv").write_text(table.replace(",", "\t"))
    (root / "b" / "c.jsonl").write_bytes(packed(LINES))
    (root / "b" / "deep" / "c.jsonl.gz").write_bytes(gzip.compress(packed(LINES)))
    (root / "b" / "deep" / "d.jsonl.zst").write_bytes(zstandard.compress(packed(LINES)))
    (root / "b" / "deep" / "e.csv.zst").write_bytes(zstandard.compress(table.encode()))
    pq.write_table(pa.Table.from_pylist(LINES), root / "b" / "f.parquet")
    (root / "b" / "g.txt").write_text(LINES[0]["text"])
    (root / "b" / "h.html").write_text(PAGE)
    (root / ".hidden").write_text("no")
    (root / "_SUCCESS").write_text("no")
    return root


def test_every_kind_in_a_folder(folder: Path) -> None:
    items = read(folder)
    articles = [item for item in items if isinstance(item, Article)]
    assert len(articles) == len(items)
    assert [a.id for a in articles[:-2]] == [line["id"] for line in LINES] * 7
    assert [a.text for a in articles[:-2]] == [line["text"] for line in LINES] * 7
    assert [Path(a.id).name for a in articles[-2:]] == ["g.txt", "h.html"]
    names = [Path(file.name).name for file in walk([str(folder)])]
    assert names == [
        "a.csv",
        "a.tsv",
        "c.jsonl",
        "c.jsonl.gz",
        "d.jsonl.zst",
        "e.csv.zst",
        "f.parquet",
        "g.txt",
        "h.html",
    ]


def test_reading_goes_on_from_any_place(folder: Path) -> None:
    found = list(read_from(walk([str(folder)]), Options(), Place()))
    for number, (place, _, _) in enumerate(found):
        assert read(folder, start=place) == [item for _, _, item in found[number + 1 :]]


def test_files_before_the_place_are_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        "brinkline.archive_input.read_input", lambda name, options: opened.append(name) or iter([])
    )
    list(read_from(walk([str(folder)]), Options(), Place(7, 1)))
    assert [Path(name).name for name in opened] == ["g.txt", "h.html"]


def test_left_out_of_folders(folder: Path) -> None:
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "out.parquet").mkdir()
    (folder / "out.parquet" / "part-00000.parquet").write_text("")
    names = {file.name for file in walk([str(folder)], {str(folder.resolve() / "out.parquet")})}
    assert len(names) == 9


def test_empty_folder(tmp_path: Path) -> None:
    assert read(tmp_path) == [Unreadable(str(tmp_path), "is a folder without a file")]


def test_the_survey_changes_with_the_files(folder: Path) -> None:
    first = survey(walk([str(folder)]))
    assert (first.files, first.size) == (9, sum(p.stat().st_size for p in folder.rglob("[a-h].*")))
    assert survey(walk([str(folder)])) == first
    (folder / "a.csv").write_text("id,text\n1,x\n")
    assert survey(walk([str(folder)])) != first


def test_reading_knows_how_far_it_is(folder: Path) -> None:
    reading = Reading()
    sizes = []
    files = reading.enter(walk([str(folder)]))
    for _ in read_from(files, watched(Options(), reading), Place()):
        sizes.append(reading.size())
    whole = survey(walk([str(folder)])).size
    assert sizes == sorted(sizes)
    assert 0 < sizes[0] < sizes[-1] <= whole
    assert reading.size() == whole


# -- Parquet
def test_parquet_columns_of_many_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [7, None],
            "text": pa.array(["They met.", "Rain."], pa.large_string()),
            "day": pa.array([datetime.date(2020, 1, 2), None]),
            "kind": pa.array(["x", "x"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = read(tmp_path / "a.parquet")
    assert first == Article("7", "They met.", {"day": datetime.date(2020, 1, 2), "kind": "x"})
    assert second == Article(f"{tmp_path}/a.parquet:2", "Rain.", {"id": None, "day": None, "kind": "x"})
    assert list(read_articles([str(tmp_path / "a.parquet")])) == [first, second]


def test_values_that_python_lacks_cost_their_row_alone(tmp_path: Path) -> None:
    texts = [f"They met {n}." for n in range(4)]
    days = pa.array([0, 1, 2**31 - 1, None], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"text": texts, "date": days}), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    assert [item.text for item in found if isinstance(item, Article)] == [texts[0], texts[1], texts[3]]
    assert isinstance(found[2], Unreadable)
    assert found[2].source.endswith("a.parquet:3")
    zoned = pa.array([0, 1, None, 2], pa.timestamp("s", "Nowhere/Atall"))
    pq.write_table(pa.table({"text": texts, "date": zoned}), tmp_path / "b.parquet")
    found = read(tmp_path / "b.parquet", tmp_path / "a.parquet")
    assert len(found) == 8, "neither the row nor the files after it are lost"
    assert {item.source[-11:] for item in found[:4] if isinstance(item, Unreadable)} <= {
        f"b.parquet:{n}" for n in range(1, 5)
    }


def test_parquet_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays(
        [pa.array([x]) for x in ("They met.", "a", "b")], names=["text", "note", "note"]
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (article,) = read(tmp_path / "a.parquet")
    assert isinstance(article, Article)
    assert article.metadata == {"note": "a", "note_2": "b"}


def test_bad_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"txt": ["x"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [None, "x"]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"text": [1]}), tmp_path / "c.parquet")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "d.parquet")
    (tmp_path / "e.parquet").write_text("PAR1 no table")
    items = read(tmp_path)
    told = [f"{Path(str(i.source)).name}: {i.reason}" for i in items if isinstance(i, Unreadable)]
    assert told[:4] == [
        "a.parquet: has no column 'text': its columns are 'txt'; the nearest is 'txt'",
        "b.parquet:1: field 'text' is null, not text",
        "c.parquet:1: field 'text' is of type int, not text",
        "d.parquet: has no row",
    ]
    assert told[4].startswith("e.parquet: cannot be read: ")
    assert len(items) == 6


# -- zstd
def test_frames_in_a_row_and_frames_that_break_off(tmp_path: Path) -> None:
    data = zstandard.compress(packed(LINES))
    (tmp_path / "a.jsonl.zst").write_bytes(data * 3)
    assert len(read(tmp_path / "a.jsonl.zst")) == 15
    (tmp_path / "b.jsonl.zst").write_bytes(data[:-3])
    assert str(read(tmp_path / "b.jsonl.zst")[-1]).endswith("corrupt zstd: it ends too early")
    (tmp_path / "c.jsonl.zst").write_bytes(b"no zstd at all")
    assert "corrupt zstd, or not zstd at all" in str(read(tmp_path / "c.jsonl.zst")[-1])


@pytest.mark.parametrize(("module", "name"), [("zstandard", "a.jsonl.zst"), ("pyarrow", "f.parquet")])
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ImportError, match=r"pip install 'brinkline\[archive\]'"):
        read(tmp_path / name)


def test_a_file_that_goes_away(tmp_path: Path) -> None:
    items = list(read_from([InputFile(str(tmp_path / "gone.txt"))], Options(), Place()))
    assert [str(item) for _, _, item in items] == [f"{tmp_path}/gone.txt: no such file"]
