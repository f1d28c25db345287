"""A long job under bad conditions: score a made-up archive undisturbed and with kills, and compare the tables.

    python benchmarks/archive_soak.py                      # 200,000 articles
    python benchmarks/archive_soak.py --articles 3000 --part-rows 2000

The archive is made from a seed: about six in ten articles are copies of earlier ones with small edits, one in a
hundred cannot be read, and the files are of every kind. The job runs as ``brinkline predict`` in a process of its
own. Exit code 0 if the killed job ends with exactly the rows of the undisturbed one, and memory stays flat.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import itertools
import json
import random
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from brinkline.archive_rows import CACHED_SENTENCES

FIRST = ["Al", "Bor", "Cas", "Dun", "El", "Far", "Gor", "Hal", "Is", "Kar", "Lor", "Mar"]
FIRST += ["Nor", "Os", "Per", "Quin", "Ros", "Sal", "Tor", "Ulm", "Var", "Wes", "Yar", "Zel"]
LAST = ["ava", "en", "ford", "ic", "mar", "on", "stan", "ton", "via", "wick"]
PLACES = [first + last for first in FIRST for last in LAST]
PEOPLE = [
    "the foreign minister",
    "the president",
    "a spokesman",
    "the envoy",
    "the army",
    "the governor",
    "an official",
]
TITLES = ["Wire", "Courier", "Gazette", "Herald", "Observer", "Post", "Star"]
WIDE = [
    "On {day} {month} {n} soldiers from {a} crossed the river near {b}.",
    "{who} of {a} said {n} people had left {b} since the shelling began.",
    "Shells fell on {b} for the {n}th time this year, {who} of {a} said.",
    "{a} will strike {b} again if the {n} prisoners are not released, {who} warned.",
    "In answer to the raid on {a}, planes bombed {n} depots outside {b}.",
    "{who} thanked {a} for the {n} tons of grain that reached {b}.",
    "{a} and {b} agreed to exchange {n} prisoners by {day} {month}.",
    "The bridge between {a} and {b} is {n} metres long.",
    "{n} ships were sent to {b} so that {a} would think twice, {who} said.",
    "Talks between {a} and {b} broke off after {n} minutes.",
]
NARROW = [
    "The road to {b} was closed.",
    "Rain is expected in {b} on {day}.",
    "{who} declined to comment.",
    "Markets in {b} were calm.",
    "Both sides said they wanted peace.",
    "The border at {b} reopened on {day}.",
    "{who} called the move a provocation.",
    "Further talks are planned for {month}.",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = ["January", "March", "April", "June", "August", "October", "December"]

KINDS = ("jsonl", "csv", "jsonl.gz", "parquet", "jsonl.zst", "tsv", "csv.gz")
FILE_ARTICLES = 2500


@dataclass
class Made:
    """What was made."""

    files: int = 0
    size: int = 0
    readable: int = 0
    unreadable: int = 0


def sentence(rng: random.Random) -> str:
    """Return a sentence; somewhat under half of them occur nowhere else."""
    template = rng.choice(WIDE if rng.random() < 0.42 else NARROW)
    text = template.format(
        a=rng.choice(PLACES),
        b=rng.choice(PLACES),
        who=rng.choice(PEOPLE),
        n=rng.randrange(2, 900),
        day=rng.choice(DAYS),
        month=rng.choice(MONTHS),
    )
    return text[0].upper() + text[1:]


def articles(count: int, rng: random.Random) -> Iterator[dict[str, Any] | None]:
    """Yield articles, or None for one that is to be unreadable."""
    originals: deque[list[str]] = deque(maxlen=5000)
    for number in range(count):
        if rng.random() < 0.01:
            yield None
            continue
        if originals and rng.random() < 0.6:
            sentences = edited(originals[rng.randrange(len(originals))], rng)
        else:
            sentences = [sentence(rng) for _ in range(rng.randint(4, 8))]
            originals.append(sentences)
        yield {
            "id": f"article-{number}",
            "text": " ".join(sentences),
            "source": rng.choice(TITLES),
            "date": f"20{rng.randrange(10, 26)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        }


def edited(sentences: list[str], rng: random.Random) -> list[str]:
    """Return a copy as a paper would print it: as it is, shortened, with a sentence added or one changed."""
    kind, copy = rng.randrange(4), list(sentences)
    if kind == 1:
        copy.pop()
    elif kind == 2:
        copy.append("The agency contributed to this report.")
    elif kind == 3:
        place = rng.randrange(len(copy))
        copy[place] = sentence(rng)
    return copy


def make(folder: Path, count: int, seed: int) -> Made:
    """Write an archive."""
    rng = random.Random(seed)
    made = Made()
    stream = articles(count, rng)
    for number, kind in enumerate(itertools.cycle(KINDS)):
        rows = list(itertools.islice(stream, min(FILE_ARTICLES, max(1, count // 20))))
        if not rows:
            break
        part = folder / f"year-{number // 10:03d}"
        part.mkdir(parents=True, exist_ok=True)
        single, many = rows[: len(rows) // 50], rows[len(rows) // 50 :]
        write_single(part / f"single-{number:04d}", single, rng)
        write_many(part / f"many-{number:04d}.{kind}", kind, many)
        made.readable += sum(row is not None for row in rows)
        made.unreadable += sum(row is None for row in rows)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    made.files, made.size = len(paths), sum(path.stat().st_size for path in paths)
    return made


def write_single(folder: Path, rows: list[dict[str, Any] | None], rng: random.Random) -> None:
    """Write articles as files of their own, text or HTML; one that is to be unreadable has NUL bytes in it."""
    folder.mkdir(exist_ok=True)
    for number, row in enumerate(rows):
        if row is None:
            (folder / f"{number}.txt").write_bytes(b"\0\1\2" * 100)
        elif rng.random() < 0.2:
            body = "".join(f"<p>{line}</p>" for line in [row["text"]] * 2)
            page = (
                f"<html><head><title>{row['id']}</title></head><body><article>{body}</article></body></html>"
            )
            (folder / f"{number}.html").write_text(page, encoding="utf-8")
        else:
            (folder / f"{number}.txt").write_text(row["text"], encoding="utf-8")


def write_many(path: Path, kind: str, rows: list[dict[str, Any] | None]) -> None:
    """Write a file of many articles."""
    if kind == "parquet":
        gone = {"id": None, "text": None, "source": None, "date": None}
        pq.write_table(pa.Table.from_pylist([row or gone for row in rows]), path)
        return
    data = (lines(rows) if kind.startswith("jsonl") else table(rows, "\t" if kind == "tsv" else ",")).encode()
    if kind.endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    elif kind.endswith(".zst"):
        data = zstandard.compress(data)
    path.write_bytes(data)


def lines(rows: list[dict[str, Any] | None]) -> str:
    """Return JSON lines; one that is to be unreadable breaks off."""
    return "".join((json.dumps(row) if row else '{"id": "broken", "text": "The road') + "\n" for row in rows)


def table(rows: list[dict[str, Any] | None], delimiter: str) -> str:
    """Return a table; a row that is to be unreadable has too few fields."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["id", "text", "source", "date"])
    writer.writerows(list(row.values()) if row else ["broken", "The road"] for row in rows)
    return file.getvalue()


@dataclass
class Watched:
    """One run of the job."""

    seconds: float
    code: int
    memory: list[int]
    """Resident memory in bytes, five times a second."""

    def peaks(self) -> list[float]:
        """Return the peak memory of each quarter of the run, in MiB."""
        edges = [len(self.memory) * quarter // 4 for quarter in range(5)]
        return [max(self.memory[a:b] or [0]) / 2**20 for a, b in itertools.pairwise(edges)]


def run(
    archive: Path, out: Path, options: argparse.Namespace, kill_at: tuple[int, float] | None = None
) -> Watched:
    """Run the job, watch its memory, and kill it so many seconds after so many parts are there."""
    command = [sys.executable, "-m", "brinkline", "predict", str(archive), "--out", str(out)]
    command += ["--keep", "source,date", "--part-rows", str(options.part_rows)]
    command += ["--model", str(options.model)] if options.model else []
    began, memory, reached = time.monotonic(), [], None
    with out.with_suffix(".log").open("ab") as log:
        process = psutil.Popen(command, stderr=log)
        while process.poll() is None:
            if kill_at and reached is None and len(list(out.glob("*.parquet"))) >= kill_at[0]:
                reached = time.monotonic()
            if kill_at and reached is not None and time.monotonic() - reached >= kill_at[1]:
                process.send_signal(signal.SIGKILL)
                process.wait()
                break
            try:
                memory.append(process.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.2)
        process.wait()
    return Watched(time.monotonic() - began, process.returncode, memory or [0])


def same(one: Path, other: Path) -> bool:
    """Tell whether two tables have the same rows in the same order, and the same failures."""
    names = sorted(path.name for path in one.glob("*.parquet"))
    if names != sorted(path.name for path in other.glob("*.parquet")):
        return False
    if not all(pq.read_table(one / name).equals(pq.read_table(other / name)) for name in names):
        return False
    failures = [path.with_name(f"{path.name}.job") / "failed.jsonl" for path in (one, other)]
    return failures[0].read_bytes() == failures[1].read_bytes()


def counts(out: Path) -> dict[str, int]:
    """Return the counts that the last part holds."""
    last = max(out.glob("*.parquet"))
    state: dict[str, int] = json.loads(pq.read_schema(last).metadata[b"brinkline"])["state"]
    return state


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--articles", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--model", type=Path, help="a model folder; default: the shipped one")
    parser.add_argument("--part-rows", type=int, default=50_000)
    parser.add_argument(
        "--folder", type=Path, help="keep archive and tables here; default: a temporary folder"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return soak(folder, options)


def soak(folder: Path, options: argparse.Namespace) -> int:
    """Make the archive, run the job in both ways, and compare."""
    archive, whole, killed = folder / "archive", folder / "whole.parquet", folder / "killed.parquet"
    made = make(archive, options.articles, options.seed)
    size = f"{made.files:,} files, {made.size / 2**20:.1f} MiB"
    print(f"archive: {size}, {made.readable:,} articles and {made.unreadable:,} that cannot be read")
    undisturbed = run(archive, whole, options)
    state, seconds = counts(whole), undisturbed.seconds
    rates = [state[name] / seconds for name in ("articles", "sentences", "scored")]
    told = "{:,.0f} articles/s, {:,.0f} sentences/s, {:,.0f} distinct sentences/s".format(*rates)
    print(f"undisturbed: {seconds:.0f} s, start of the program included; {told}")
    counted = f"{state['sentences']:,} sentences, {state['scored']:,} of them scored"
    print(f"rows: {counted}, in {state['parts']} parts")
    peaks = undisturbed.peaks()
    print(f"peak memory of each quarter of the run, in MiB: {', '.join(f'{peak:.0f}' for peak in peaks)}")
    rng = random.Random(options.seed)
    for number, part in enumerate(sorted(rng.sample(range(state["parts"]), options.kills))):
        stopped = run(archive, killed, options, (part, rng.uniform(0, seconds / state["parts"])))
        how = "killed" if stopped.code == -signal.SIGKILL else f"ended with {stopped.code}"
        parts = len(list(killed.glob("*.parquet")))
        print(f"run {number + 1}: {how} after {stopped.seconds:.1f} s, with {parts} parts")
    last = run(archive, killed, options)
    print(f"last run: {last.seconds:.1f} s")
    # What the cache of sentences may have grown by in the second half of the run.
    cache = 300 * min(CACHED_SENTENCES, state["scored"] // 2) / 2**20
    checks = {
        "all articles are read": (state["articles"], state["failed"]) == (made.readable, made.unreadable),
        "both jobs end with exit code 1, for what cannot be read": (undisturbed.code, last.code) == (1, 1),
        "the same rows, in the same order, after the kills": same(whole, killed),
        "under 1 GiB": max(*undisturbed.memory, *last.memory) < 2**30,
        "memory is flat but for the cache, which is bounded": peaks[3] - peaks[1] <= 0.15 * peaks[1] + cache,
    }
    for name, passed in checks.items():
        print(f"{'yes' if passed else 'NO '}  {name}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
