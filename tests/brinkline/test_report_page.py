import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import brinkline
from brinkline.citation import AUTHORS, TITLE, citation
from brinkline.model.scores import ArticleScores, SentenceScore
from brinkline.report_page import write_page

ROOT = Path(__file__).parents[2]
ATTACK = (
    "</script><script>document.title='bad'</script><img src=x onerror=\"document.title='bad'\">'\"&amp;\u202e"
)


def article(id: str | None, *sentences: tuple[str, str, float, float]) -> ArticleScores:
    """Make an article of sentences: text, stance, its probability, probability of a threat."""
    text, scores = "", []
    for words, stance, p, threat in sentences:
        rest = [name for name in brinkline.STANCES if name != stance]
        start = len(text)
        text += words
        scores.append(
            SentenceScore(
                words,
                start,
                len(text),
                stance,
                {n: p if n == stance else (1 - p) / len(rest) for n in brinkline.STANCES},
                ("threat",) if threat >= 0.5 else (),
                {"threat": threat, "deterrence": 0.1, "retaliation": 0.0},
                False,
            )
        )
        text += "\n\n"
    return ArticleScores(text, tuple(scores), "tiny 1.0", id)


TWO = [
    article("first", ("We will strike.", "hostile", 0.9, 0.8), ("It rained.", "neutral", 0.7, 0.3)),
    article("second", ("They met.", "conciliatory", 0.6, 0.0)),
]


def page(scores: list[ArticleScores], **options: Any) -> str:
    file = io.StringIO()
    write_page(iter(scores), file, **options)
    return file.getvalue()


@pytest.fixture
def opened(tmp_path: Path, open_page: Callable[..., Any]) -> Callable[..., Any]:
    def open_scores(scores: list[ArticleScores], **settings: Any) -> Any:
        (tmp_path / "r.html").write_text(page(scores), encoding="utf-8")
        return open_page((tmp_path / "r.html").as_uri(), **settings)

    return open_scores


def rows(opened_page: Any) -> list[str]:
    return [row.inner_text() for row in opened_page.locator("#rows .t").all() if row.is_visible()]


def test_says_what_it_is() -> None:
    html = page(TWO, thresholds={"threat": 0.5, "deterrence": 0.4, "retaliation": 0.3})
    assert "2 articles, 3 sentences" in html
    assert "threat 0.50, deterrence 0.40, retaliation 0.30" in html
    assert citation("tiny 1.0") in html
    assert html.count('class="brinkline"') == 2


def test_needs_no_other_file() -> None:
    html = page(TWO)
    assert not re.search(r"https?:|@import|url\(|\ssrc=|<link", html)
    assert "default-src 'none'" in html


@pytest.mark.parametrize("scores", [[], [article(None)], [article("empty")] * 2])
def test_without_a_sentence(scores: list[ArticleScores]) -> None:
    html = page(scores)
    assert "0 sentences" in html
    assert 'id="filters"' not in html


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@given(st.text(min_size=1), st.text())
def test_no_text_makes_a_tag(text: str, id: str) -> None:
    def tags(words: str, name: str) -> Tags:
        parser = Tags()
        parser.feed(page([article(name, (words, "hostile", 0.9, 0.8))]))
        return parser

    found, plain = tags(text, id), tags("word", "name")
    assert found.open == []
    for tag in ("script", "img", "article", "tr", "td", "a", "style"):
        assert found.seen.get(tag) == plain.seen.get(tag)


def test_citation_is_that_of_the_repository() -> None:
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cff["title"], cff["version"]) == (TITLE, brinkline.__version__)
    assert [author["name"] for author in cff["authors"]] == [AUTHORS]


def test_filters(opened: Callable[..., Any]) -> None:
    shown = opened(TWO)
    assert rows(shown) == ["We will strike.", "It rained.", "They met."]
    shown.get_by_label("threat").check()
    shown.locator("#count", has_text="1 of 3 sentences, 1 article").wait_for()
    assert rows(shown) == ["We will strike."]
    assert [a.is_visible() for a in shown.locator("article").all()] == [True, False]
    assert [a.inner_text() for a in shown.locator(".off").all() if a.is_visible()] == ["It rained."]
    # Below its threshold, where it was not given:
    shown.get_by_label("Probability").select_option("300")
    shown.locator("#count", has_text="2 of 3 sentences").wait_for()
    assert rows(shown) == ["We will strike.", "It rained."]
    shown.get_by_label("Words").fill("RAIN")
    shown.locator("#count", has_text="1 of 3 sentences").wait_for()
    shown.get_by_role("button", name="Show all").first.click()
    shown.locator("#count", has_text=re.compile("^3 sentences$")).wait_for()
    assert len(rows(shown)) == 3


def test_sorting_and_the_way_to_a_sentence(opened: Callable[..., Any]) -> None:
    shown = opened(TWO)
    shown.get_by_role("button", name="p", exact=True).press("Enter")
    assert rows(shown) == ["We will strike.", "It rained.", "They met."]
    shown.get_by_role("button", name="p", exact=True).press("Enter")
    assert rows(shown) == ["They met.", "It rained.", "We will strike."]
    assert shown.locator("th[aria-sort=ascending]").inner_text().strip() == "p"
    shown.locator("#rows a").nth(1).click()
    assert "It rained." in shown.locator(".here").inner_text()


def test_many_rows_come_in_steps(opened: Callable[..., Any]) -> None:
    shown = opened([article(f"a{n}", *[("It rained.", "neutral", 0.7, 0.0)] * 10) for n in range(60)])
    assert shown.locator("#rows tr.on").count() == 200
    shown.get_by_role("button", name="Show 200 more").click()
    assert shown.locator("#rows tr.on").count() == 400
    shown.locator("#all").click()
    assert shown.locator("#rows tr.on").count() == 600
    assert not shown.locator("#more").is_visible()


def test_without_scripts_everything_is_shown(opened: Callable[..., Any]) -> None:
    shown = opened(TWO, java_script_enabled=False)
    assert len(rows(shown)) == 3
    assert not shown.locator("#filters").is_visible()


def test_hostile_text_is_text(opened: Callable[..., Any]) -> None:
    shown = opened([article(ATTACK, (ATTACK, "hostile", 0.9, 0.8))], viewport={"width": 390, "height": 800})
    assert rows(shown) == [ATTACK.replace("\u202e", "\ufffd")]
    assert shown.title() == "Brinkline: 1 article, 1 sentence"
    assert shown.locator("img").count() == 0
    assert shown.evaluate("document.documentElement.scrollWidth") == 390
