"""What mkdocs does for this site besides Markdown: nothing on it is typed twice.

``{{ include data/CODEBOOK.md }}`` puts in a file of the repository, ``{{ figures }}`` and the like what
:data:`VALUES` makes out of the model's manifest, the command line and the modules. Links to files of the repository
become links to the pages that show them. What is not known here stops the build.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ROOMS = ("model", "train", "data", "configs")

SHOWN = {
    "README.md": "index.md",
    "CHANGELOG.md": "reference/changelog.md",
    "CITATION.cff": "explanation/citing.md",
    "CONTRIBUTING.md": "explanation/contributing.md",
    "data/CODEBOOK.md": "explanation/codebook.md",
    "data/DATASHEET.md": "explanation/datasheet.md",
    "model/default/README.md": "explanation/model-card.md",
}
"""Files of the repository, and the pages that show them."""

_PLACE = re.compile(r"\{\{ (?:include (?P<file>[\w./-]+)|(?P<name>\w+)(?: (?P<argument>\w+))?) \}\}")
_LINK = re.compile(r"(?<=\]\()(?P<path>[\w./-]+\.(?:md|cff))(?=[)#])")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def on_startup(**_: Any) -> None:
    """Show the mapped folders as one package, as ``make lint`` does for mypy."""
    package = ROOT / "build" / "docs" / "brinkline"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    for path in (ROOT / "brinkline").iterdir():
        if path.name != "__pycache__":
            (package / path.name).symlink_to(path)
    for room in ROOMS:
        (package / room).symlink_to(ROOT / room)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in the places of a page, and turn its links to files of the repository."""
    here = page.file.src_uri
    text = _turn_links(markdown, f"docs/{here}", here)

    def fill(match: re.Match[str]) -> str:
        if match["file"]:
            return _included(match["file"], here)
        if match["name"] not in VALUES:
            raise PluginError(f"{here}: nothing is known by the name {match['name']!r}")
        return VALUES[match["name"]](*filter(None, [match["argument"]]))

    return _PLACE.sub(fill, text)


def _included(name: str, page: str) -> str:
    path = ROOT / name
    if not path.is_file():
        raise PluginError(f"{page}: there is no file {name}")
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        return text
    return _turn_links(_FRONT_MATTER.sub("", text), name, page)


def _turn_links(text: str, source: str, page: str) -> str:
    """Rewrite relative links of ``source`` so that they hold on ``page``.

    :param text: Markdown.
    :param source: its path in the repository.
    :param page: the page that it stands on, in ``docs``.
    """

    def turn(match: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(source), match["path"]))  # noqa: PTH118, PTH120
        target = SHOWN.get(target, target.removeprefix("docs/"))
        return os.path.relpath(target, os.path.dirname(page)).replace(os.sep, "/")  # noqa: PTH120

    return _LINK.sub(turn, text)


def _manifest() -> Any:
    return json.loads((ROOT / "model" / "default" / "manifest.json").read_text(encoding="utf-8"))


def _model() -> str:
    manifest = _manifest()
    return f"{manifest['name']} {manifest['version']}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figures() -> str:
    """Headline figures of the shipped model, one row a set of data."""
    rows = []
    for data, metrics in _manifest()["metrics"].get("evaluations", {}).items():
        cells = [f"`{data}`", str(metrics["sentences"])]
        for name in ("stance_macro_f1", "signals_macro_f1"):
            low, high = metrics["intervals"][name]
            cells.append(f"{metrics[name]:.3f} [{low:.3f}, {high:.3f}]")
        rows.append([*cells, f"{metrics['stance_ece']:.3f}"])
    if not rows:
        return "*Its manifest has no figures.*"
    return _table(
        ["data", "sentences", "stance macro-F1", "signals macro-F1", "stance calibration error"], rows
    )


def _calibration() -> str:
    """Temperatures and thresholds of the shipped model."""
    from brinkline.model.checkpoint import DEFAULT_FOLDER, read_manifest

    found = read_manifest(DEFAULT_FOLDER).calibration
    rows = [["stance", f"{found.stance_temperature:.3f}", "the most probable is given"]]
    rows += [
        [f"`{signal}`", f"{temperature:.3f}", f"given from {found.thresholds[signal]:.3f}"]
        for signal, temperature in found.signal_temperatures.items()
    ]
    return _table(["", "temperature", "threshold"], rows)


def _modules(room: str) -> str:
    """Every module of a room by its docstrings; a new one needs no line anywhere."""
    folder = "brinkline" if room == "brinkline" else f"brinkline.{room}"
    names = sorted(path.stem for path in (ROOT / room).glob("*.py") if not path.stem.startswith("_"))
    options = "    options: {heading_level: 2, show_root_full_path: true, members_order: source}"
    return "\n\n".join(f"::: {folder}.{name}\n{options}" for name in names)


def _command_line() -> str:
    """The help of every command, from the application itself."""
    import typer
    from typer.main import get_command

    from brinkline.cli import app

    return "\n".join(_commands(get_command(app), "brinkline", typer.Context))


def _commands(command: Any, name: str, context: Callable[..., Any], parent: Any = None) -> Iterator[str]:
    here = context(command, info_name=name.rsplit(" ", 1)[-1], parent=parent)
    yield f"\n## `{name}`\n"
    usage = " ".join(command.collect_usage_pieces(here))
    yield f"```\n{name} {usage}\n```\n\n{(command.help or '').strip()}\n"
    rows = []
    for parameter in command.get_params(here):
        record = parameter.get_help_record(here)
        if record:
            shown, said = (re.sub(r"\s+", " ", part).strip() for part in record)
            rows.append([f"`{shown}`", said.replace("|", "\\|").replace("[", "\\[")])
    yield _table(["argument or option", ""], rows) + "\n"
    for child in getattr(command, "commands", {}).values():
        yield from _commands(child, f"{name} {child.name}", context, here)


VALUES: dict[str, Callable[..., str]] = {
    "calibration": _calibration,
    "command_line": _command_line,
    "figures": _figures,
    "model": _model,
    "modules": _modules,
}
"""What stands between double braces, and what makes it."""
