"""One headless Chromium for the tests of pages."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


KNOWN = {"Method not implemented."}  # Gradio 6 says so at every upload, and uploads


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return a running Chromium; skip where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page, which must write nothing to the console and ask no other host."""
    contexts, noise, asked = [], [], []

    def open_at(url: str, **settings: Any) -> Any:
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("console", lambda m: noise.append(m.text) if m.type in ("error", "warning") else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        return page

    yield open_at
    for context in contexts:
        context.close()
    near = ("file:", "data:", "blob:", "http://127.0.0.1:", "ws://127.0.0.1:")
    assert [url for url in asked if not url.startswith(near)] == []
    assert [said for said in noise if said not in KNOWN] == []
