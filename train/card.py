"""The model card, written from a model folder's manifest.

python -m brinkline.train.card MODEL
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brinkline.model.checkpoint import CARD, Calibration, Manifest, read_manifest, write_manifest
from brinkline.model.labels import SIGNALS, STANCES
from brinkline.train.report import table, with_interval

OWN_LICENCE = "Apache-2.0 (this project)"
"""Of sentences that were written for this project."""

_POOLING = {"mean": "Mean pooling", "first": "The first token's vector"}

_BY_MODELS = """\
Most of what it learned from was written and labelled by language models under the codebook and has not been checked
  by human experts. Figures on data labelled in the same way share its blind spots."""
_BY_OTHERS = """\
How its training data were labelled, and under what licence it may be passed on, is for those to say who trained it.
  Figures on data labelled in the same way share their blind spots."""
_FITTED = "Fitted on the development split of the training data."
_UNFITTED = "Not fitted: temperatures of 1, thresholds of 0.5."

_TEMPLATE = """\
---
{front}
library_name: brinkline
pipeline_tag: text-classification
---
# {name} {version}

Gives one sentence of news about conflict and diplomacy a **stance** ({stances}) and **escalation signals**
({signals}: any combination). The labels are defined in Brinkline's codebook (`data/CODEBOOK.md`).

```python
import brinkline

classifier = brinkline.load("path/to/this/folder")
classifier.predict("The foreign ministry expelled two envoys and warned of further steps.")
```

## Model

Base model: {base_model}. {pooling}, two heads in one pass: a softmax over the stances, a sigmoid for each signal.
Longest input: {max_tokens} tokens; longer sentences are cut and flagged `truncated`. Sentences of context read along:
{context}.{language}

## Trained on

{training_data}

## Figures

{figures}

## Calibration

{fitted}

{calibration}

## Limits

- {labelled_by}
- A label says what the sentence reports an actor as doing or saying, not whether it is true or justified.
- Probabilities are calibrated on the development split; on text of another kind they can be off. Label a sample of
  your own and measure (`brinkline evaluate`) before citing counts.
- It reads {context_words}: what a pronoun stands for, or whether an earlier act happened, it can only guess.

## Versions

{libraries}
"""


def write_card(path: Path, manifest: Manifest) -> None:
    """Write the model card.

    :param path: the ``README.md`` of the model folder.
    :param manifest: what the folder says of itself.
    """
    path.write_text(render_card(manifest), encoding="utf-8", newline="\n")


def render_card(manifest: Manifest) -> str:
    """Return the model card as Markdown with a Hugging Face front matter."""
    base = manifest.base_model
    context_words = "one sentence at a time, without those before it"
    if manifest.context:
        context_words = f"no more than the {manifest.context} sentence(s) before"
    # What is known of this project's corpus is not said of a user's own data.
    own = any(OWN_LICENCE in item["licence"] for item in manifest.training_data)
    return _TEMPLATE.format(
        front="license: apache-2.0\nlanguage: en" if own else "license: other",
        language=" English only." if own else "",
        labelled_by=_BY_MODELS if own else _BY_OTHERS,
        fitted=_UNFITTED if manifest.calibration == Calibration() else _FITTED,
        name=manifest.name,
        version=manifest.version,
        stances=", ".join(STANCES),
        signals=", ".join(SIGNALS),
        base_model=f"{base.get('name', 'unknown')} (sha256 of its weights `{base.get('sha256', 'unknown')}`)",
        pooling=_POOLING[manifest.metrics.get("export", {}).get("pooling", "mean")],
        max_tokens=manifest.max_tokens,
        context=manifest.context,
        context_words=context_words,
        training_data=_training_data(manifest),
        figures=_figures(manifest.metrics),
        calibration=_calibration(manifest),
        libraries=", ".join(f"{name} {number}" for name, number in manifest.libraries.items())
        or "Not recorded.",
    )


def _training_data(manifest: Manifest) -> str:
    if not manifest.training_data:
        return "Not recorded."
    columns = ["source", "licence", "documents", "sentences", "sha256 of texts and labels"]
    rows = [
        [item["source"], item["licence"], item["documents"], item["sentences"], f"`{item['sha256'][:16]}…`"]
        for item in manifest.training_data
    ]
    told = manifest.settings.get("distillation")
    if not told:
        return table(columns, rows)
    return f"{table(columns, rows)}\n\n{_teacher(told)}"


def _teacher(told: Mapping[str, Any]) -> str:
    name = f"`{Path(told['teacher']).name}`"
    unlabelled = ", ".join(Path(path).name for path in told["unlabelled"])
    if not told["share"]:
        return f"A teacher, {name}, alone labelled further sentences: {unlabelled}."
    teacher = f"Beside each label stood a teacher's word, with a weight of {told['share']}: the run {name}"
    return (
        f"{teacher}; sentences that the teacher alone labelled: {unlabelled}."
        if unlabelled
        else f"{teacher}."
    )


def _figures(metrics: Mapping[str, Any]) -> str:
    measured = metrics.get("evaluations", {})
    if not measured:
        return "Not measured yet."
    rows = []
    for name, figures in measured.items():
        intervals = figures["intervals"]
        rows.append(
            [
                name,
                figures["sentences"],
                with_interval(figures["stance_macro_f1"], intervals["stance_macro_f1"]),
                with_interval(figures["signals_macro_f1"], intervals["signals_macro_f1"]),
                f"{figures['stance_ece']:.3f}",
            ]
        )
    columns = ["data", "sentences", "stance macro-F1", "signals macro-F1", "stance calibration error"]
    note = "In brackets: 95 % bootstrap intervals over documents."
    return "\n\n".join([table(columns, rows), note, *_probes(metrics)])


def _probes(metrics: Mapping[str, Any]) -> list[str]:
    """Return lines on what rounding to 8 bits costs, on contrast groups and on the name-swap probe."""
    lines = []
    if metrics.get("export", {}).get("rounded_before"):
        lines.append("Measured before this file was turned from 8 bits back into fp32.")
    for name, figures in metrics.get("evaluations", {}).items():
        if before := figures.get("fp32"):
            lines.append(
                f"The same network in fp32 on {name}: stance {before['stance_macro_f1']:.3f}, signals "
                f"{before['signals_macro_f1']:.3f}."
            )
    for name, figures in metrics.get("evaluations", {}).items():
        if found := figures.get("contrast"):
            lines.append(
                f"Contrast groups of {name} wholly right: {found['wholly_right']:.1%} of {found['groups']}."
            )
    if swapped := metrics.get("name_swap"):
        lines.append(
            f"With the names of the actors exchanged, the stance changes in {swapped['stance']:.1%} and a signal in "
            f"{swapped['signals']:.1%} of {swapped['swaps']} template sentences."
        )
    return lines


def _calibration(manifest: Manifest) -> str:
    calibration = manifest.calibration
    rows: list[list[object]] = [["stance", calibration.stance_temperature, "most probable label"]]
    rows += [[name, calibration.signal_temperatures[name], calibration.thresholds[name]] for name in SIGNALS]
    return table(["", "temperature", "given from probability"], rows)


def main(model: Path) -> None:
    """Write the model card of a model folder anew."""
    manifest = read_manifest(model)
    write_card(model / CARD, manifest)
    write_manifest(model, manifest)


if __name__ == "__main__":
    from brinkline.train.scripts import run_script

    run_script(main)
