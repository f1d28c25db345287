"""The web page, served by the command and used through Chromium."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Any

import pytest

import brinkline

ARTICLE = "The army fire on the city. They met.\n\nIf they attack we will answer."
MARKS = "#view .brinkline-text span[title]"


@pytest.fixture(scope="module")
def address(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where the page is served, by a process that finds no one else to talk to; stop it at the end."""
    pytest.importorskip("gradio", reason="gradio is not installed")
    folder = tmp_path_factory.mktemp("served")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    command = [
        sys.executable,
        "-m",
        "brinkline",
        "app",
        "--no-open",
        "--port",
        str(port),
        "--model",
        model_folder,
    ]
    server = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **nowhere, "TMPDIR": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    line = next((line for line in server.stderr if "http" in line), "")
    assert f"http://127.0.0.1:{port}/" in line
    yield f"http://127.0.0.1:{port}/"
    assert list(folder.glob("brinkline-app-*"))
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
    assert list(folder.glob("brinkline-app-*")) == []


@pytest.fixture
def page(address: str, open_page: Callable[..., Any]) -> Any:
    shown = open_page(address)
    shown.get_by_role("button", name="Score").wait_for()
    return shown


def paste(page: Any, text: str = ARTICLE) -> None:
    page.get_by_label("Article").first.fill(text)
    page.get_by_role("button", name="Score").click()
    page.locator(MARKS).first.wait_for()


def labels(page: Any, signal: str) -> int:
    count: int = page.locator(f"{MARKS} small span", has_text=signal).count()
    return count


def download(page: Any, name: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Download {name}").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_pasted_article_is_marked(page: Any, model_folder: Path) -> None:
    paste(page)
    expected = brinkline.load(model_folder).predict(ARTICLE)
    bare = [mark.locator("bdi").first.inner_text() for mark in page.locator(MARKS).all()]
    assert bare == [s.text for s in expected.sentences]
    for name, count in expected.summary.signals.items():
        assert labels(page, name) == count


def test_thresholds_move_the_marks_and_the_downloads(page: Any, tmp_path: Path) -> None:
    paste(page)
    for value, given in (("0", 3), ("1", 0)):
        page.get_by_label("number input for threat").fill(value)
        page.get_by_label("number input for threat").press("Enter")
        page.wait_for_function(
            "([marks, n]) => Array.from(document.querySelectorAll(marks + ' small span'))"
            ".filter(e => e.textContent === 'threat').length === n",
            arg=[MARKS, given],
        )
    rows = list(csv.DictReader(download(page, "CSV", tmp_path).open(encoding="utf-8", newline="")))
    assert [row["threat"] for row in rows] == ["False"] * 3


def test_why(page: Any) -> None:
    paste(page)
    page.locator(MARKS).nth(2).click()
    why = page.locator("#why .brinkline-why")
    why.wait_for()
    assert "answer" in why.inner_text()
    # The same without a mouse:
    box = page.get_by_label("Why?")
    box.click()
    page.get_by_role("option", name="2. They met.").click()
    page.locator("#why .brinkline-why", has_text="met").wait_for()


def test_file_of_many_articles_and_downloads(page: Any, tmp_path: Path) -> None:
    import pandas as pd

    file = tmp_path / "many.jsonl"
    texts = [f"They met on monday. Report {n}." for n in range(3)]
    file.write_text("".join(json.dumps({"id": f"k{n}", "text": text}) + "\n" for n, text in enumerate(texts)))
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text("many").first.wait_for()
    page.get_by_role("button", name="Score").click()
    page.get_by_text("3 articles, 6 sentences").wait_for()
    page.get_by_label("Article", exact=True).last.click()
    page.get_by_role("option", name="3. k2").click()
    page.locator("#view", has_text="Report 2.").wait_for()
    table = list(csv.DictReader(download(page, "CSV", tmp_path).open(encoding="utf-8", newline="")))
    parquet = pd.read_parquet(download(page, "Parquet", tmp_path))
    html = download(page, "HTML", tmp_path).read_text(encoding="utf-8")
    assert (
        [row["article"] for row in table]
        == parquet["article"].tolist()
        == ["k0", "k0", "k1", "k1", "k2", "k2"]
    )
    assert [row["text"] for row in table] == parquet["text"].tolist()
    assert html.count("<tr data-a") == 6


def test_bad_file_is_told_in_the_page(page: Any, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    (tmp_path / "bad.jsonl").write_text(
        json.dumps({"text": "They met."}) + "\n" + json.dumps({name: 1}) + "\n"
    )
    page.locator("input[type=file]").set_input_files(tmp_path / "bad.jsonl")
    page.get_by_text("bad").first.wait_for()
    page.get_by_role("button", name="Score").click()
    said = page.get_by_role("alert").filter(has_text="bad.jsonl:2").inner_text()
    assert f"has no field 'text': its field is '{name}'" in said or name in said
    page.get_by_text("1 article, 1 sentence").wait_for()


def test_phone(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(address, viewport={"width": 390, "height": 800}, color_scheme="dark")
    paste(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_twenty_visitors_at_once(address: str, model_folder: Path) -> None:
    from gradio_client import Client

    classifier = brinkline.load(model_folder)

    def visit(number: int) -> tuple[str, str]:
        visitor = Client(address, verbose=False, download_files=False, httpx_kwargs={"timeout": 120})
        text = f"The army fire on city {number}. They met. " + "Report on rain. " * number
        *_, marked, _, _ = visitor.predict(text, None, "text", "id", api_name="/score")
        *_, moved = visitor.predict(0, 0.0, 1.0, 1.0, api_name="/thresholds")
        return marked, moved

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(visit, range(20)))
    for number, (marked, moved) in enumerate(answers):
        text = f"The army fire on city {number}. They met. " + "Report on rain. " * number
        expected = classifier.predict(text, id="pasted text")
        assert expected.to_html() in marked
        assert escape(f"city {number}.") in moved
        assert moved.count(">threat</span>") == len(expected.sentences) + 1  # the legend's
