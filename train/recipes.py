"""Try one change of the recipe at a time, over several seeds, and keep the results as a table.

    python train/recipes.py configs/recipes.yaml --out docs/recipe.md

Each variant is the base settings with a few keys changed. Variants that are finished are not run again, one that was
killed goes on where it stopped: the table may be made over many sittings.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from brinkline.train import finetune
from brinkline.train.loading import LEAST_DOCUMENTS, TEST_SPLIT
from brinkline.train.report import table
from brinkline.train.runs import check_folder
from brinkline.train.scripts import run_script
from brinkline.train.settings import Settings, SettingsError, load_settings

logger = logging.getLogger("brinkline.train.recipes")

FIGURES = {"stance_macro_f1": "stance", "signals_macro_f1": "signals", "stance_ece": "stance ECE"}


@dataclass(frozen=True)
class Variant:
    """One row of the table."""

    name: str
    says: str
    """What is changed, in words."""
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The content of a file of recipes."""

    base: Path
    common: tuple[str, ...]
    variants: tuple[Variant, ...]
    limit: int | None = None
    """Use only so many documents, evenly out of all: many small runs tell more than one large one."""


def read_plan(path: Path) -> Plan:
    """Read a file of recipes: ``base`` (a file of settings), ``common`` (overrides), ``variants``
    and, for runs on part of the data, ``limit`` (documents).

    :raises SettingsError: where it does not have them.
    """
    try:
        values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        variants = tuple(
            Variant(name, item["says"], tuple(item.get("set", [])))
            for name, item in values["variants"].items()
        )
        if not variants:
            raise KeyError("variants")
        limit = values.get("limit")
        if limit is not None and (type(limit) is not int or limit < LEAST_DOCUMENTS):
            raise KeyError(f"limit: {limit!r}, expected a whole number, at least {LEAST_DOCUMENTS}")
        return Plan(Path(values["base"]), tuple(values.get("common", [])), variants, limit)
    except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        problem = f"{path}: expected base, common and variants with 'says' and 'set'"
        raise SettingsError([f"{problem}: {error!r}"]) from None


def run_variant(plan: Plan, variant: Variant) -> Path:
    """Train a variant with all seeds, unless that is done, and return its run folder."""
    settings = _settings(plan, variant)
    # a run made with other settings or data is refused
    check_folder(settings, plan.limit, resume=True, overwrite=False)
    if not _seeds_file(settings.run_folder).is_file():
        logger.info("%s: %s", variant.name, variant.says)
        finetune.run(settings, resume=True, limit=plan.limit)
    return settings.run_folder


def write_table(plan: Plan, folders: dict[str, Path], out: Path) -> None:
    """Write the finished variants as Markdown, between the two marks that ``out`` holds, or as the whole file.

    :param plan: the variants, in order.
    :param folders: run folders of the finished ones, by name.
    :param out: the Markdown file.
    """
    results = {name: json.loads(_seeds_file(folder).read_text("utf-8")) for name, folder in folders.items()}
    # The test split is drawn from a variant's own data: only sets that all were measured on can be compared.
    first, *others = results.values()
    sets = [s for s in first if s not in ("seeds", TEST_SPLIT) and all(s in other for other in others)]
    columns = ["variant", "changed", "seeds", *(f"{s}: {label}" for s in sets for label in FIGURES.values())]
    rows = []
    for variant in plan.variants:
        if variant.name in results:
            found = results[variant.name]
            cells = [_cell(found[s][figure]) for s in sets for figure in FIGURES]
            rows.append([variant.name, variant.says, len(found["seeds"]), *cells])
    text = table(columns, rows)
    begin, end = "<!-- recipes -->", "<!-- /recipes -->"
    before = out.read_text(encoding="utf-8") if out.is_file() else f"# Recipe\n\n{begin}\n{end}\n"
    head, _, rest = before.partition(begin)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def _settings(plan: Plan, variant: Variant) -> Settings:
    return load_settings(plan.base, [f"name=recipe-{variant.name}", *plan.common, *variant.overrides])


def _cell(figure: dict[str, Any]) -> str:
    spread = "" if figure["sd"] is None else f" ± {figure['sd']:.3f}"
    return f"{figure['mean']:.3f}{spread}"


def _seeds_file(folder: Path) -> Path:
    return folder / "report" / "seeds.json"


def main(
    plan: Path,
    out: Path = Path("docs/recipe.md"),
    only: Annotated[list[str] | None, typer.Option(help="run only these variants")] = None,
) -> None:
    """Train every variant of a plan that is not finished, and write the table."""
    recipes = read_plan(plan)
    known = [variant.name for variant in recipes.variants]
    if unknown := set(only or []) - set(known):
        raise SettingsError([f"{name}: no such variant in {plan}" for name in sorted(unknown)])
    for variant in recipes.variants:
        if not only or variant.name in only:
            run_variant(recipes, variant)
    folders = {}
    for variant in recipes.variants:
        settings = _settings(recipes, variant)
        if _seeds_file(settings.run_folder).is_file():
            # old figures never beside new ones
            check_folder(settings, recipes.limit, resume=True, overwrite=False)
            folders[variant.name] = settings.run_folder
    write_table(recipes, folders, out)


if __name__ == "__main__":
    run_script(main)
