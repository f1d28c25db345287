"""The site builds with warnings as errors, its links lead somewhere, and what its pages show runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]

MARKS = {"needs R", "needs a network", "needs the wheels fetched above", "needs a cluster"}
"""What a block of code may say, in its title, that keeps it from being run here."""

# What a training of the tutorials is given besides, to take seconds: the tiny model, two steps, no baselines.
SHORT = ["trainer.max_steps=2", "trainer.eval_strategy=steps", "trainer.eval_steps=2", "trainer.save_steps=2"]
SHORT += ["trainer.save_strategy=steps", "baselines=false", "max_tokens=32", "--limit", "60"]


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    title: str
    code: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(
        r'^```(\w*)(?: title="([^"\n]*)")?\n(.*?)^```$', page.read_text(), re.DOTALL | re.MULTILINE
    )
    return [Block(*match) for match in found]


def commands(block: Block) -> list[list[str]]:
    """Return the calls of brinkline that a block shows, as lists of arguments."""
    if block.language not in ("", "bash"):
        return []
    lines = re.sub(r"\\\n", " ", block.code).splitlines()
    calls = [re.search(r"(?:^|[|=\w] )brinkline (?=[a-z])(.*)", line.split(" #")[0]) for line in lines]
    return [shlex.split(call[1]) for call in calls if call]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


# The site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; any warning is a failure."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed (extra [docs])")
    pytest.importorskip("material", reason="mkdocs-material is not installed (extra [docs])")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed (extra [docs])")
    folder = tmp_path_factory.mktemp("site")
    # A proxy that nobody answers at: whatever asked for the network would fail.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Links(HTMLParser):
    """Collects what a page points at, and what can be pointed at in it."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        for name in ("href", "src"):
            if name in values:
                (self.targets if tag == "a" else self.loaded).append(values[name])


@pytest.fixture(scope="module")
def parsed(site: Path) -> dict[Path, Links]:
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = Links()
        pages[path].feed(path.read_text(encoding="utf-8"))
    return pages


def test_every_page_of_the_sources_is_built(parsed: dict[Path, Links], site: Path) -> None:
    for page in sorted(DOCS.rglob("*.md")):
        assert site / page.relative_to(DOCS).with_suffix(".html") in parsed


def test_links_inside_the_site_lead_somewhere(parsed: dict[Path, Links], site: Path) -> None:
    checked = 0
    for page, links in parsed.items():
        for target in (*links.targets, *links.loaded):
            parts = urlsplit(target)
            if parts.scheme in ("http", "https", "mailto", "data"):
                continue
            assert not parts.scheme, f"{page}: {target}"
            path = unquote(parts.path)
            base = site if path.startswith("/") else page.parent
            found = (base / path.lstrip("/")).resolve() if path else page
            if found.is_dir():
                found /= "index.html"
            assert found.is_file(), f"{page.name}: {target} leads nowhere"
            if parts.fragment and found in parsed:
                assert unquote(parts.fragment) in parsed[found].anchors, f"{page.name}: no {target}"
            checked += 1
    assert checked > 1000


def test_nothing_is_loaded_from_other_hosts(parsed: dict[Path, Links], site: Path) -> None:
    for page, links in parsed.items():
        assert [url for url in links.loaded if urlsplit(url).netloc] == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_places_are_filled_and_roles_are_turned(parsed: dict[Path, Links]) -> None:
    for page in parsed:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"\{\{ ?\w", text), page
        assert not re.search(r":(?:meth|func|class|mod|data|attr|exc):", text), page


def test_the_codebook_stands_there_whole(site: Path) -> None:
    text = (site / "explanation" / "codebook.html").read_text(encoding="utf-8")
    for heading in re.findall(r"^## (.*)", (ROOT / "data" / "CODEBOOK.md").read_text(), re.MULTILINE):
        assert heading in text


def test_figures_are_those_of_the_manifest(site: Path) -> None:
    manifest = json.loads((ROOT / "model" / "default" / "manifest.json").read_text())
    home = (site / "index.html").read_text(encoding="utf-8")
    assert f"{manifest['name']} {manifest['version']}" in home
    for metrics in manifest["metrics"].get("evaluations", {}).values():
        assert f"{metrics['stance_macro_f1']:.3f} [" in home
    calibration = (site / "explanation" / "calibration.html").read_text(encoding="utf-8")
    assert calibration.count("given from 0.") == 3


def test_reference_names_everything(site: Path) -> None:
    import brinkline
    from brinkline.train.settings import DataSettings, Distillation, Settings

    python = (site / "reference" / "brinkline.html").read_text(encoding="utf-8")
    for name in brinkline.__all__:
        assert name == "__version__" or f'id="brinkline.{name}"' in python, name
    assert 'id="brinkline.Classifier.predict_frame"' in python
    settings = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    for model in (Settings, DataSettings, Distillation):
        for field in model.model_fields:
            assert f"settings.{model.__name__}.{field}" in settings, field
    for room in ("model", "train", "data"):
        page = (site / "reference" / f"{room}.html").read_text(encoding="utf-8")
        for module in (ROOT / room).glob("[a-z]*.py"):
            assert f'id="brinkline.{room}.{module.stem}"' in page, module


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    text = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    for path, command in leaves(application()):
        assert f"<code>{' '.join(['brinkline', *path])}</code>" in text
        for parameter in command.params:
            for option in (name for name in parameter.opts if name.startswith("--")):
                assert option in text


# The examples


def application() -> Any:
    from typer.main import get_command

    from brinkline.cli import app

    return get_command(app)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from leaves(child, (*path, name))


@every_page
def test_commands_are_understood(page: Path) -> None:
    known = dict(leaves(application()))
    for block in blocks(page):
        for arguments in commands(block):
            depth = 2 if arguments[0] == "data" else 1
            command = known[tuple(arguments[:depth])]
            rest = [word for word in arguments[depth:] if word != "…"]
            parser = command.make_parser(parent := command.context_class(command, info_name="brinkline"))
            _, left, _ = parser.parse_args(args=rest)
            assert left == [], (parent.info_name, arguments)


@every_page
def test_extras_that_pages_name_exist(page: Path) -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for named in re.findall(r"(?:brinkline|-e '?\.)\[([\w,]+)\]", page.read_text()):
        assert set(named.split(",")) <= set(extras), named


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "data/DATASHEET.md"])
def test_links_to_files_of_the_repository_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text())
    for target in targets:
        assert ((ROOT / name).parent / target).exists(), target


def test_what_is_not_run_says_why() -> None:
    for page in PAGES:
        for block in blocks(page):
            assert block.title in {"", *MARKS}, page
            assert block.language != "r" or block.title == "needs R", page


# So much of the corpus as shows that the settings find it.
PART = ("corpus/briefs.jsonl", "corpus/crises.jsonl", "contrast/contrast1.jsonl", "contrast/held-out.jsonl")


def link_rooms(folder: Path) -> None:
    for name in PART:
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).symlink_to(ROOT / "data" / name)
    (folder / "model").symlink_to(ROOT / "model")


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, model_folder: Path
) -> tuple[Path, Path]:
    """A folder with the files that pages speak of, and the tiny model."""
    folder = tmp_path_factory.mktemp("workspace")
    link_rooms(folder)
    text = (ROOT / "tests" / "data" / "article.txt").read_text(encoding="utf-8")
    (folder / "article.txt").write_text(text)
    (folder / "archive").mkdir()
    rows = [
        {"id": f"a{n}", "text": text[: 400 + 40 * n], "source": f"s{n % 2}", "date": f"2024-0{1 + n % 3}-11"}
        for n in range(12)
    ]
    (folder / "archive" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "archive.csv").write_text("key,body\n1,They met.\n2,They vowed to retaliate.\n")
    labelled = [
        {"document": f"d{n}", "text": f"{word} {n}.", "stance": stance, "signals": []}
        for n in range(10)
        for word, stance in (("They met", "conciliatory"), ("They fired", "hostile"))
    ]
    for name in ("mine.jsonl", "labelled.jsonl", "random.jsonl"):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in labelled))
    (folder / "runs" / "mine" / "seed-0" / "checkpoints").mkdir(parents=True)
    (folder / "runs" / "mine" / "model").symlink_to(ROOT / "model" / "default")
    (folder / "runs" / "mine" / "seed-0" / "checkpoints" / "checkpoint-2904").symlink_to(checkpoint)
    return folder, model_folder


def names_for(page: Path, folder: Path) -> dict[str, Any]:
    """Return what a page's code takes for granted."""
    import pandas as pd

    import brinkline

    rows = [json.loads(line) for line in (folder / "archive" / "a.jsonl").read_text().splitlines()]
    df = pd.DataFrame(rows).rename(columns={"text": "body"})
    return {
        "brinkline": brinkline,
        "article": rows[0]["text"],
        "articles": df if page.name == "trends.md" else [row["text"] for row in rows],
        "df": df,
        "sentence": "They vowed to retaliate.",
        "sentences": brinkline.load().predict_frame(df, text="body"),
    }


@pytest.fixture
def near(workspace: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Let ``similar`` look at a few sentences with the tiny model: all of the corpus would take a minute."""
    import brinkline
    from brinkline import neighbours

    folder, model = workspace
    tiny, paths = brinkline.load(model), neighbours._paths
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(neighbours, "_shipped", lambda: tiny)
    monkeypatch.setattr(neighbours, "_paths", lambda data: paths(data or str(folder / "mine.jsonl")))
    return tiny


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if page not in TUTORIALS and any(b.language in ("python", "sql") for b in blocks(page))
    ],
    ids=name_of,
)
def test_examples_of_a_page_run(
    page: Path, workspace: tuple[Path, Path], near: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(workspace[0])
    import brinkline

    names = names_for(page, workspace[0])
    brinkline.score_archive("archive/", "scores.parquet", keep=["source", "date"])
    for block in blocks(page):
        if block.title:
            continue
        if block.language == "python":
            if "brinkline.similar(" in block.code:
                names["classifier"] = near
            exec(compile(block.code, page.name, "exec"), names)
        elif block.language == "sql":
            assert duckdb.sql(block.code).fetchall()


@every_page
def test_settings_that_are_shown_are_right(
    page: Path, workspace: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [block.code for block in blocks(page) if block.language == "yaml" and "{{" not in block.code]
    if not shown:
        return
    import yaml

    from brinkline.train.settings import check_settings

    monkeypatch.chdir(workspace[0])
    for text in shown:
        check_settings(yaml.safe_load(text))


@pytest.mark.parametrize("page", [page for page in TUTORIALS if page.stem != "index"], ids=name_of)
def test_a_tutorial_runs_from_its_first_line_to_its_last(
    page: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("duckdb")
    from typer.testing import CliRunner

    from brinkline.cli import app

    link_rooms(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    ran = 0
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.code, page.name, "exec"), names)
        elif block.language == "bash":
            for arguments in commands(block):
                more = [f"base_model={tiny_base}", *SHORT] if arguments[0] == "train" else []
                result = CliRunner().invoke(app, [*arguments, *more])
                assert result.exit_code == 0, f"{arguments}: {result.output} {result.exception!r}"
                ran += 1
    assert ran == sum(len(commands(block)) for block in blocks(page)) > 1


def test_checks_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```python title="needs luck"\n1 / 0\n```\n\n```\ncat x | brinkline predict - --nonsense 1\n```\n'
    )
    first, second = blocks(page)
    assert first.title not in MARKS
    assert commands(second) == [["predict", "-", "--nonsense", "1"]]
    with pytest.raises(Exception, match="nonsense"):
        test_commands_are_understood(page)
