"""Tests of scoring archives: kills, refusals, failures, and rows that do not depend on how they came about."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import brinkline.archive_store
from brinkline import ArchiveReport, score_archive
from brinkline.archive_progress import Progress
from brinkline.archive_store import ArchiveError, ArchiveStore, State, aside, move_in, open_store
from brinkline.cli import app
from brinkline.model.classifier import Classifier, load

WORDS = ["army", "minister", "envoy", "city", "border"]
Score = Callable[..., ArchiveReport]


def text(number: int) -> str:
    return f"The {WORDS[number % 5]} met the envoy. They fire on city {number}. Rain on monday."


def write_lines(path: Path, count: int, bad: tuple[int, ...] = ()) -> Path:
    lines = [json.dumps({"id": f"{path.stem}{n}", "text": text(n), "source": "wire"}) for n in range(count)]
    path.write_text("".join(f"{'oops' if n in bad else line}\n" for n, line in enumerate(lines)))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def classifier(model_folder: Path) -> Classifier:
    return load(model_folder, threads=1)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    write_lines(folder / "a.jsonl", 12, bad=(3, 4))
    write_lines(folder / "b.jsonl", 8, bad=(7,))
    return folder


@pytest.fixture
def score(archive: Path, classifier: Classifier) -> Score:
    def run(out: Path, **options: Any) -> ArchiveReport:
        return score_archive(archive, out, **({"model": classifier, "part_rows": 10} | options))

    return run


def test_report_parts_and_failures(score: Score, archive: Path, tmp_path: Path) -> None:
    report = score(tmp_path / "out.parquet", keep=["source"])
    assert (report.articles, report.sentences, report.failed, report.resumed) == (17, 51, 3, 0)
    # 5 sentences of one kind, 12 of the next (7 of them twice), 1 of the last.
    assert report.scored == 5 + 12 + 1
    assert report.parts == len(contents(report.out)) == 5
    rows = pq.read_table(report.out).to_pylist()
    assert [row["article"] for row in rows[::3]] == [f"a{n}" for n in range(12) if n not in (3, 4)] + [
        f"b{n}" for n in range(7)
    ]
    assert {(row["source"], row["metadata"]) for row in rows} == {("wire", None)}
    assert report.failures is not None
    failed = [json.loads(line) for line in report.failures.read_text().splitlines()]
    assert [(Path(row["file"]).name, row["line"]) for row in failed] == [
        ("a.jsonl", 4),
        ("a.jsonl", 5),
        ("b.jsonl", 8),
    ]
    assert all(row["reason"].startswith("not JSON") for row in failed)


KILLED = """
import os, signal, sys
import brinkline.archive_store as store
from brinkline import score_archive
from brinkline.model.classifier import load

write, calls = store._write, []
def killed(path, *arguments):
    calls.append(path)
    if path.name == "part-00001.parquet":
        if sys.argv[4] == "before":
            arguments[-1].write_bytes(b"PAR1 half a part")
        else:
            write(path, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, *arguments)
store._write = killed
score_archive(sys.argv[1], sys.argv[2], model=load(sys.argv[3], threads=1), part_rows=10)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_job_goes_on(
    score: Score, archive: Path, model_folder: Path, tmp_path: Path, moment: str
) -> None:
    whole, killed = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    score(whole)
    command = [sys.executable, "-c", KILLED, str(archive), str(killed), str(model_folder), moment]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(contents(killed)) == (1 if moment == "before" else 2)
    report = score(killed)
    assert report.resumed == (6 if moment == "before" else 10) - 2
    assert contents(killed) == contents(whole)
    left = [contents(tmp_path / f"{name}.parquet.job") for name in ("whole", "killed")]
    assert left[0] == left[1]
    assert sorted(left[0]) == ["failed.jsonl", "job.json", "lock"]


class StoppedError(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("behind", [False, True])
def test_a_job_may_be_stopped_at_every_write(
    score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: bool
) -> None:
    write = brinkline.archive_store._write
    countdown = 0

    def stopping(*arguments: Any) -> None:
        nonlocal countdown
        countdown -= 1
        if countdown == 0 and not behind:
            raise StoppedError
        write(*arguments)
        if countdown == 0:
            raise StoppedError

    monkeypatch.setattr(brinkline.archive_store, "_write", stopping)
    score(tmp_path / "whole")
    writes = -countdown
    assert writes == 1 + 5 + 2 + 1 + 1  # the job, parts, failures of two of them, all failures, the job again
    for number in range(1, writes + 1):
        countdown = number
        with pytest.raises(StoppedError):
            score(tmp_path / f"out{number}")
        score(tmp_path / f"out{number}")
        assert contents(tmp_path / f"out{number}") == contents(tmp_path / "whole")
        assert contents(tmp_path / f"out{number}.job") == contents(tmp_path / "whole.job")


@settings(max_examples=10)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=3), rows=st.integers(1, 40), bad=st.integers(0, 9)
)
def test_rows_do_not_depend_on_the_parts(
    classifier: Classifier, counts: list[int], rows: int, bad: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [write_lines(folder / f"{n}.jsonl", count, (bad,)) for n, count in enumerate(counts)]
        kept = [n for count in counts for n in range(count) if n != bad]
        if not kept:
            with pytest.raises(ArchiveError, match="nothing could be read"):
                score_archive(files, folder / "out", model=classifier, part_rows=rows)
            return
        report = score_archive(files, folder / "out", model=classifier, part_rows=rows)
        found = pq.read_table(report.out).to_pylist()
    expected = [row for s in classifier.predict_many(map(text, kept)) for row in s.to_flat_rows()]
    assert [row["text"] for row in found] == [row["text"] for row in expected]
    assert [row["stance"] for row in found] == [row["stance"] for row in expected]
    assert [row["p_threat"] for row in found] == pytest.approx(
        [row["p_threat"] for row in expected], abs=1e-5
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": ["source"]}, 'keep: then \\[\\], now \\["source"\\]'),
        ({"thresholds": {"threat": 0.1}}, "thresholds: then"),
        ({"part_rows": 11}, "part rows: then 10, now 11"),
        ({"text_field": "source"}, "text field"),
        ({"encoding": "cp1252"}, 'encoding: then none, now "cp1252"'),
    ],
)
def test_another_job_is_refused(score: Score, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    score(tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(ArchiveError, match=message):
        score(tmp_path / "out", **options)
    assert contents(tmp_path / "out") == before


def test_other_inputs_and_another_model_are_refused(
    score: Score, archive: Path, model_folder: Path, tmp_path: Path
) -> None:
    score(tmp_path / "out")
    other = load(model_folder, threads=1)
    object.__setattr__(other.manifest, "version", "9.9")
    with pytest.raises(ArchiveError, match="model: then"):
        score(tmp_path / "out", model=other)
    (archive / "c.txt").write_text("They met.")
    with pytest.raises(ArchiveError, match=r'files: then {"files": 2, .* now {"files": 3'):
        score(tmp_path / "out")


def test_a_job_that_is_done_does_nothing(
    score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score(tmp_path / "out")
    monkeypatch.setattr(Classifier, "predict_sentences", None)
    again = score(tmp_path / "out")
    assert (again.sentences, again.failed, again.resumed) == (first.sentences, first.failed, first.articles)


def test_a_deleted_table_is_made_anew(score: Score, tmp_path: Path) -> None:
    for path in score(tmp_path / "out").out.iterdir():
        path.unlink()
    assert score(tmp_path / "out", part_rows=1000).parts == 1


def test_what_is_the_user_s_is_left_alone(score: Score, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ArchiveError, match="is a file"):
        score(tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    with pytest.raises(ArchiveError, match=r"holds something else \(thesis.txt\)"):
        score(tmp_path / "full")
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "part-00000.parquet").write_text("precious")
    with pytest.raises(ArchiveError, match="does not say of which job"):
        score(tmp_path / "table")
    (tmp_path / "new.job").mkdir()
    (tmp_path / "new.job" / "job.json").write_text('{"precious": 1}')
    with pytest.raises(ArchiveError, match="not of a job of this program"):
        score(tmp_path / "new")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"file", "full/thesis.txt", "table/part-00000.parquet", "new.job/job.json"} <= left
    assert not (tmp_path / "full.job").exists()


def test_a_part_that_is_gone_or_damaged(score: Score, tmp_path: Path) -> None:
    out = score(tmp_path / "out").out
    (out / "part-00004.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArchiveError, match=r"part-00004\.parquet is not a part of this job, or damaged"):
        score(out)
    (out / "part-00001.parquet").unlink()
    with pytest.raises(ArchiveError, match=r"part-00001\.parquet is missing"):
        score(out)


def test_a_full_disk(score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score(tmp_path / "whole")
    calls = 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 7:  # files and folders by turns, and the folder does not matter
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ArchiveError, match=r"No space left on device; .* the same command goes on"):
            score(tmp_path / "out")
    assert not list((tmp_path / "out.job").glob("*.tmp"))
    assert 0 < len(contents(tmp_path / "out")) < 5
    score(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_folder_that_cannot_be_written(score: Score, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="file"):
        score(tmp_path / "file" / "out")


def test_two_processes_at_once(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with (
        open_store(tmp_path / "out", {"job": 1}),
        pytest.raises(ArchiveError, match="another process"),
        open_store(tmp_path / "out", {"job": 1}),
    ):
        pass


def test_missing_inputs_are_refused_at_once(classifier: Classifier, tmp_path: Path) -> None:
    for inputs, message in (
        ([], "no input"),
        ([tmp_path / "typo"], "typo: no such file"),
        (["-", "-"], "once"),
    ):
        with pytest.raises(ArchiveError, match=message):
            score_archive(inputs, tmp_path / "out", model=classifier)
    with pytest.raises(ValueError, match="part_rows"):
        score_archive(tmp_path, tmp_path / "out", model=classifier, part_rows=0)
    assert not list(tmp_path.iterdir())


def test_nothing_to_read_leaves_nothing(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ArchiveError, match="nothing could be read"):
        score_archive(tmp_path / "in", tmp_path / "out", model=classifier)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_standard_input_does_not_go_on(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = ArchiveStore.finish
    monkeypatch.setattr(ArchiveStore, "finish", lambda self: (_ for _ in ()).throw(StoppedError))
    (tmp_path / "a.txt").write_text("They met.")
    monkeypatch.setattr(sys, "stdin", (tmp_path / "a.txt").open())
    with pytest.raises(StoppedError):
        score_archive("-", tmp_path / "out", model=classifier)
    monkeypatch.setattr(ArchiveStore, "finish", finish)
    with pytest.raises(ArchiveError, match="standard input cannot go on"):
        score_archive("-", tmp_path / "out", model=classifier)


def test_standard_input_is_not_taken_for_what_it_was(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("They met.", "They fire. Rain."):
        (tmp_path / "a.txt").write_text(text)
        monkeypatch.setattr(sys, "stdin", (tmp_path / "a.txt").open())
        if text == "They met.":
            assert score_archive("-", tmp_path / "out", model=classifier).sentences == 1
        else:
            with pytest.raises(ArchiveError, match=r"standard input is done: delete .*out to begin anew"):
                score_archive("-", tmp_path / "out", model=classifier)
    assert pq.read_table(tmp_path / "out").num_rows == 1


def test_output_on_another_device_than_the_folder_beside_it(
    score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def across(self: Path, target: Path) -> Path:
        if self.parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    report = score(tmp_path / "out")
    assert set(contents(report.out)) == {f"part-{n:05d}.parquet" for n in range(report.parts)}
    (tmp_path / "staged").mkdir()
    part = tmp_path / "staged" / "part"
    part.write_bytes(b"rows")
    move_in(part, tmp_path / "out" / "part-00099.parquet")
    assert not part.exists()
    assert contents(tmp_path / "out")["part-00099.parquet"] == b"rows"
    assert not (tmp_path / "out" / ".part.tmp").exists()


def test_the_folder_beside_one_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert aside(Path(".")) == tmp_path / "a" / "b.job"  # noqa: PTH201 - as a user types it
    assert aside(Path("..")) == tmp_path / "a.job"
    with pytest.raises(ArchiveError, match="name one in it"):
        aside(Path("/"))


def test_one_field_to_keep_may_be_a_text(score: Score, tmp_path: Path) -> None:
    one, listed = score(tmp_path / "one", keep="source"), score(tmp_path / "listed", keep=["source"])
    assert pq.read_table(one.out).equals(pq.read_table(listed.out))
    assert "source" in pq.read_table(one.out).column_names


def test_a_kept_field_that_no_article_has_is_named(
    score: Score, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    score(tmp_path / "out", keep=["sorce"])
    assert "none of the first 4 articles has a field 'sorce'" in caplog.text


def test_progress_is_logged_with_the_time_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, position = 0.0, 100
    monkeypatch.setattr("brinkline.archive_progress.monotonic", lambda: clock)
    progress = Progress(lambda: position, 1000, State(articles=10, sentences=50), show=False)
    progress.begin()
    with caplog.at_level(logging.INFO):
        clock, position = 20.0, 300
        progress.update(State(articles=20, sentences=100))
        assert not caplog.messages
        clock, position = 100.0, 300
        progress.update(State(articles=30, sentences=250))
    assert caplog.messages == ["30%: 30 articles, 0/s, 2 sentences/s, 6 min left"]


def test_command_line(archive: Path, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    arguments = ["predict", str(archive), "--out", str(out), "--model", str(model_folder), "--part-rows", "9"]
    result = CliRunner().invoke(app, [*arguments, "--keep", "source, date"])
    assert result.exit_code == 1
    assert f"{archive / 'a.jsonl'}:4: not JSON" in result.stderr
    assert "3 could not be read: see" in result.stderr
    assert pq.read_table(out).column_names[-3:] == ["source", "date", "metadata"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "was begun as another job" in result.stderr
    for extra, message in (
        (["--keep", "text"], "column of that name"),
        (["--format", "csv", "--keep", "x"], "Parquet"),
    ):
        result = CliRunner().invoke(app, [*arguments, *extra])
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.replace("│", " ").split())
