"""A Ray cluster of two workers gives the rows that one process gives, also when a worker is killed on the way."""

from __future__ import annotations

import gzip
import json
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from typer.testing import CliRunner

from brinkline import cluster
from brinkline.archive import ArchiveReport, score_archive
from brinkline.archive_input import InputFile
from brinkline.archive_store import ArchiveError
from brinkline.articles import Options
from brinkline.cli import app
from brinkline.cluster import score_with_ray

WORDS = [
    "the",
    "army",
    "fire",
    "on",
    "city",
    "and",
    "we",
    "will",
    "answer",
    "with",
    "sanctions",
    "said",
    "minister",
]


def arm(folder: Path) -> Callable[[], None]:
    """Return what every worker runs at its start: it kills itself behind a piece of work, where ``folder`` says so."""

    # A function within a function travels to the workers as it is; the test module need not be there.
    def hook() -> None:
        from brinkline import cluster

        def armed(work: Callable[..., Any], name: str) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                done = work(*args, **kwargs)
                try:
                    (folder / name).unlink()
                except FileNotFoundError:
                    return done
                os.kill(os.getpid(), signal.SIGKILL)
                raise AssertionError("survived")

            return call

        cluster._Scorer.__call__ = armed(cluster._Scorer.__call__, "scorer")  # type: ignore[method-assign]
        cluster._write = armed(cluster._write, "reader")

    return hook


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a cluster of two CPUs; return the folder in which a file's name says who is to be killed."""
    folder = tmp_path_factory.mktemp("orders")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else one is written into the user's home
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 << 20,
            runtime_env={"worker_process_setup_hook": arm(folder)},
        )
        yield folder
        ray.shutdown()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 133 articles in files of every kind, some of which cannot be read."""
    folder = tmp_path_factory.mktemp("archive")

    def text(number: int) -> str:
        turned = WORDS[number % 13 :] + WORDS[: number % 13]
        return f"{' '.join(turned)} {number}. They met on monday. {' '.join(turned[::-1])}."

    rows = [{"id": f"j{n}", "text": text(n), "section": "world", "year": 2000 + n} for n in range(60)]
    lines = [json.dumps(row) for row in rows]
    lines[7] = '{"id": "j7", "title": "no text"}'
    (folder / "a.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "deep").mkdir()
    with gzip.open(folder / "deep" / "b.csv.gz", "wt") as file:
        file.write("text,section\n" + "".join(f'"{text(n)}",home\n' for n in range(40)))
    names = {"id": [f"p{n}" for n in range(30)], "text": [text(n) if n != 4 else None for n in range(30)]}
    pq.write_table(pa.table(names), folder / "c.parquet")
    (folder / "d.txt").write_text("The envoy was expelled. The city is at peace.\n")
    (folder / "e.html").write_text(f"<html><body><article><p>{text(1) * 3}</p></article></body></html>")
    (folder / "f.txt").write_bytes(b"\xff not UTF-8")
    return folder


@pytest.fixture(scope="module")
def alone(archive: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ArchiveReport:
    """Score the archive in one process."""
    out = tmp_path_factory.mktemp("alone") / "scores.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(archive.parent)  # ids are made of the names of files
        return score_archive(archive.name, out, model=model_folder, keep=["section"])


def read(folder: Path) -> pa.Table:
    return pq.read_table(folder).sort_by([("article", "ascending"), ("index", "ascending")])


def assert_same_rows(found: Path, expected: Path) -> None:
    one, two = read(found), read(expected)
    assert one.schema.equals(two.schema)
    for name in one.column_names:
        if name.startswith("p_"):
            # Batches differ, and with them the last digits of 32-bit sums.
            assert one[name].to_pylist() == pytest.approx(two[name].to_pylist(), abs=1e-5)
        else:
            assert one[name].to_pylist() == two[name].to_pylist(), name


def test_the_rows_are_those_of_one_machine_though_workers_are_killed(
    archive: Path,
    alone: ArchiveReport,
    model_folder: Path,
    orders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "_BLOCK", 1 << 12)  # many blocks: the archive is a small one
    monkeypatch.setattr(cluster, "_READ", 1 << 12)
    monkeypatch.chdir(archive.parent)
    out = tmp_path / "scores.parquet"
    for victim in ("scorer", "reader"):
        (orders / victim).touch()
    report = score_with_ray(
        archive.name, out, model=model_folder, workers=2, keep=["section"], part_rows=100, progress=False
    )
    assert not list(orders.iterdir()), "nobody was killed"
    assert_same_rows(out, alone.out)
    for name in ("articles", "sentences", "failed"):
        assert getattr(report, name) == getattr(alone, name)
    assert report.failures is not None
    assert alone.failures is not None
    assert report.failures.read_text() == alone.failures.read_text()
    assert report.failed == 3
    names = sorted(path.name for path in out.iterdir())
    assert names == [f"part-{number:05d}.parquet" for number in range(report.parts)]
    assert report.parts > 1
    assert [path.name for path in tmp_path.iterdir() if path != out] == ["scores.parquet.job"]
    assert [path.name for path in (tmp_path / "scores.parquet.job").iterdir()] == ["failed.jsonl"]
    with pytest.raises(ArchiveError, match="holds something already"):
        score_with_ray(archive, out, model=model_folder)


def test_articles_without_a_sentence_leave_an_empty_table(
    model_folder: Path, orders: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "x", "text": " "}\n')
    report = score_with_ray(
        tmp_path / "a.jsonl", tmp_path / "out", model=model_folder, workers=1, keep=["year"]
    )
    assert (report.articles, report.sentences, report.failures) == (1, 0, None)
    assert "year" in read(tmp_path / "out").column_names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "out"]


def test_what_cannot_begin_says_so_and_leaves_nothing(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("They met.")
    out = tmp_path / "out"
    for problem, inputs, options in (
        ("no such file or folder", [tmp_path / "b.txt"], {}),
        ("no input is named", [], {}),
        ("standard input cannot be read", ["-"], {}),
        ("workers must be at least 1", [tmp_path / "a.txt"], {"workers": 0}),
        ("part_rows must be at least 1", [tmp_path / "a.txt"], {"part_rows": 0}),
        ("unknown encoding", [tmp_path / "a.txt"], {"encoding": "klingon"}),
        ("thret", [tmp_path / "a.txt"], {"thresholds": {"thret": 0.5}}),
        ("cannot be a column", [tmp_path / "a.txt"], {"keep": ["text"]}),
    ):
        with pytest.raises((ArchiveError, ValueError, LookupError), match=problem):
            score_with_ray(inputs, out, model=model_folder, **options)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        score_with_ray(tmp_path / "a.txt", out, model=tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_archive_of_which_nothing_can_be_read_is_an_error(tmp_path: Path) -> None:
    # As the tasks leave it behind; to start them for this takes long.
    job = cluster._Job(tmp_path / "out", Options(), tmp_path)
    failed = {"file": "a.txt", "line": None, "reason": "is empty"}
    with cluster._opened(job):
        cluster._write(job.notes(0), {"articles": 0, "failures": [failed]})
        with pytest.raises(ArchiveError, match="nothing could be read"):
            cluster._finish(job, cluster._Scoring(None, (), {}), groups=1, workers=1, began=0.0)
    assert not job.out.exists()
    assert [path.name for path in job.aside.iterdir()] == ["failed.jsonl"]
    assert json.loads((job.aside / "failed.jsonl").read_text()) == failed


def test_small_files_are_read_together_and_a_large_one_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_READ", 100)
    monkeypatch.setattr(cluster, "_READ_FILES", 3)
    sizes = [10, 20, 300, 40, 1, 1, 1, 1, 99]
    files = [InputFile(str(number), size) for number, size in enumerate(sizes)]
    groups = cluster._groups(files)
    assert [[file.size for file in group] for group in groups] == [[10, 20], [300], [40, 1, 1], [1, 1], [99]]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'brinkline\[ray\]'"):
        score_with_ray("a.txt", "out")


def test_the_command_line_hands_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, Any, dict[str, Any]]] = []

    def score(inputs: Any, out: Any, **options: Any) -> cluster.ClusterReport:
        calls.append((inputs, out, options))
        failed = len(calls) - 1
        return cluster.ClusterReport(out, 1, 2, 3, failed, tmp_path / "failed.jsonl", 4, 5.0)

    monkeypatch.setattr(cluster, "score_with_ray", score)
    out = tmp_path / "scores.parquet"
    words = [
        "predict",
        "a.jsonl",
        "--out",
        str(out),
        "--ray",
        "--keep",
        "source,date",
        "--threshold",
        "threat=0.3",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    [(inputs, target, options)] = calls
    assert (inputs, target) == (["a.jsonl"], out)
    assert list(options["keep"]) == ["source", "date"]
    assert options["thresholds"] == {"threat": 0.3}
    assert options["part_rows"] == cluster.PART_ROWS
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "1 could not be read" in done.output
    done = CliRunner().invoke(app, ["predict", "a.jsonl", "--out", str(tmp_path / "scores.csv"), "--ray"])
    assert done.exit_code == 2
    assert len(calls) == 2
