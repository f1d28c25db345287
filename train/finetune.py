"""Fine-tune, calibrate, evaluate, export: from labelled data to a model folder.

    python train/finetune.py configs/default.yaml
    python train/finetune.py configs/default.yaml trainer.num_train_epochs=3 'seeds=[0,1,2]'
    python train/finetune.py configs/default.yaml --resume            # after a kill
    python train/finetune.py configs/default.yaml --fast-dev-run      # two steps through every stage
    torchrun --nproc_per_node=2 train/finetune.py configs/default.yaml

The same as ``brinkline train``. Everything lands in one folder, ``runs/NAME``: ``settings.yaml``, ``split.json``,
``seed-N/checkpoints`` (best and last), ``model``, ``report``, ``log.txt``.
"""

from __future__ import annotations

import json
import logging
import re
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from transformers import set_seed

import brinkline.data
from brinkline.data.corpus import content_sha256, to_dataset_dict
from brinkline.data.schema import Document, sentences_of
from brinkline.model.encoding import SentenceEncoder
from brinkline.model.network import Network, load_base
from brinkline.train import averaging, calibrate, contrastive, distil, second_stage
from brinkline.train.arguments import training_arguments
from brinkline.train.augment import with_other_names
from brinkline.train.baselines import Baselines
from brinkline.train.card import OWN_LICENCE
from brinkline.train.evaluate import Evaluation, evaluate, figures, write_report
from brinkline.train.export import Origin, add_metrics, export
from brinkline.train.layers import keep_layers
from brinkline.train.loading import LEAST_DOCUMENTS, Data, load_data
from brinkline.train.metrics import Truth
from brinkline.train.objective import objective_of
from brinkline.train.probe import name_swap
from brinkline.train.runs import (
    SeedResult,
    best_checkpoint,
    check_folder,
    is_main_process,
    last_checkpoint,
    log_to_file,
    make_folder,
    read_result,
    wait_for_everyone,
    write_result,
)
from brinkline.train.scoring import network_logits
from brinkline.train.scripts import run_script
from brinkline.train.settings import Settings, SettingsError, load_settings
from brinkline.train.trainer import StanceSignalTrainer, build_trainer, train_from_last

# Not __name__: as a script this file is __main__, and the log is that of the package.
logger = logging.getLogger("brinkline.train.finetune")

OWN = [Path(brinkline.data.__file__).parent.resolve() / name for name in ("corpus", "contrast")]
"""The project's own corpus stands here."""


def run(
    settings: Settings, *, resume: bool = False, overwrite: bool = False, limit: int | None = None
) -> Path:
    """Carry out a training run.

    :param settings: as :func:`brinkline.train.settings.load_settings` gives them.
    :param resume: go on with a run that was killed; finished seeds are kept.
    :param overwrite: delete an earlier run of the same name first.
    :param limit: use only so many documents, evenly out of all.
    :return: the run folder; its ``model`` is a model folder.
    :raises SettingsError: where the run folder exists and neither is asked for, or was made with other settings.
    :raises LabelledDataError: where the data cannot be read.
    """
    if not is_main_process():
        data = load_data(settings, limit)
        wait_for_everyone(settings)
        for seed in settings.seeds:
            train_seed(settings, data, seed)
        return settings.run_folder
    check_folder(settings, limit, resume, overwrite)
    data = load_data(settings, limit)
    make_folder(settings, limit, resume)
    data.split.write(settings.run_folder / "split.json")
    wait_for_everyone(settings)
    with log_to_file(settings.run_folder):
        results = [train_seed(settings, data, seed) for seed in settings.seeds]
        best = max(results, key=lambda result: result.dev_mean_f1)
        _finish(settings, data, best, summarise_seeds(results))
    return settings.run_folder


def train_seed(settings: Settings, data: Data, seed: int) -> SeedResult:
    """Train with one seed, calibrate, and measure; a seed that is finished already is read back.

    :param settings: of the run.
    :param data: from :func:`load_data`.
    :param seed: seeds weights, dropout and the order of the data.
    """
    folder = settings.run_folder / f"seed-{seed}"
    if (done := read_result(folder)) is not None:
        logger.info("seed %d is finished already", seed)
        return done
    if settings.second_stage:  # a source that is not there is told now, not after the first stage
        second_stage.chosen(data.split.train, settings.second_stage, seed)
    set_seed(seed)
    trainer, base_hash = _prepare(settings, data, seed, folder)
    checkpoints = folder / "checkpoints"
    state = train_from_last(trainer, checkpoints, settings.patience)
    best = best_checkpoint(checkpoints, state.best_model_checkpoint)
    if settings.averaging:
        best = averaging.train_rounds(best, trainer, settings.averaging, settings, seed, checkpoints)
    if settings.second_stage:
        checkpoints = checkpoints / "second-stage"
        trainer = second_stage.prepare(best, settings.second_stage, settings, data.split, seed, checkpoints)
        state = train_from_last(trainer, checkpoints, settings.patience)
        best = best_checkpoint(checkpoints, state.best_model_checkpoint)
    if not is_main_process():
        return SeedResult(seed, best, 0.0, {})
    Origin(
        settings.model_name,
        settings.model_version,
        {"name": _base_name(settings.base_model), "sha256": base_hash},
        describe_training(data.split.train),
        {**json.loads(settings.model_dump_json()), "seed": seed},
    ).write(best)
    result = _measure_seed(seed, best, state.best_metric, data, settings)
    write_result(folder, result)
    return result


def _prepare(settings: Settings, data: Data, seed: int, folder: Path) -> tuple[StanceSignalTrainer, str]:
    """Return the trainer of a seed, and the hash of the base model's weights."""
    limits = {"max_tokens": settings.max_tokens, "context": settings.context}
    module, tokenizer, base_hash = load_base(settings.base_model)
    _check_length(module, settings.max_tokens)
    if settings.layers:
        keep_layers(module, settings.layers)
    network = Network(module, settings.dropout, settings.pooling)
    encoder = SentenceEncoder(tokenizer, settings.max_tokens)
    split = replace(data.split, train=with_other_names(data.split.train, settings.swap_names, seed))
    columns = to_dataset_dict(split, settings.context)
    train = columns["train"]
    objective = objective_of(settings, train)
    checkpoints = folder / "checkpoints"
    if settings.contrastive_epochs and last_checkpoint(checkpoints) is None:
        contrastive.warm_up(network, encoder, limits, train, settings, folder / "contrastive", seed)
    if settings.distillation:
        distil.check_teacher(settings.distillation, data.split.train, data.held_out)
        known = distil.Known.of(data.split.train, data.held_out)
        train = distil.with_teacher(train, settings.distillation, known)
    trainer = build_trainer(
        network,
        encoder,
        limits,
        train,
        columns["dev"],
        training_arguments(settings.trainer, checkpoints, seed),
        objective=objective,
        layer_decay=settings.layer_decay,
        patience=settings.patience,
    )
    return trainer, base_hash


def summarise_seeds(results: Sequence[SeedResult]) -> dict[str, Any]:
    """Return mean and standard deviation over the seeds of each headline figure, by evaluation set."""
    summary: dict[str, Any] = {"seeds": [result.seed for result in results]}
    for name in results[0].figures:
        summary[name] = {}
        for figure in results[0].figures[name]:
            values = [result.figures[name][figure] for result in results]
            spread = statistics.stdev(values) if len(values) > 1 else None
            summary[name][figure] = {"mean": statistics.fmean(values), "sd": spread, "values": values}
    return summary


def _measure_seed(
    seed: int, checkpoint: Path, mean_f1: float | None, data: Data, settings: Settings
) -> SeedResult:
    """Calibrate the best checkpoint on the dev split and measure it, in fp32.

    :param mean_f1: the best on the dev split while it trained.
    """
    dev, truth = data.split.dev, Truth.of(data.split.dev)
    logits = network_logits(checkpoint, dev)
    calibration = calibrate.fit(logits, truth, shifted=settings.class_weight == "balanced")
    calibrate.write(calibration, checkpoint)
    if mean_f1 is None:  # nothing was measured while it trained
        metrics, _ = figures(logits, truth, calibration)
        mean_f1 = statistics.fmean(metrics[task]["macro_f1"] for task in ("stance", "signals"))
    headline = {}
    for name, documents in data.evaluate.items():
        metrics, _ = figures(network_logits(checkpoint, documents), Truth.of(documents), calibration)
        headline[name] = {
            "stance_macro_f1": metrics["stance"]["macro_f1"],
            "signals_macro_f1": metrics["signals"]["macro_f1"],
            "stance_ece": metrics["calibration"]["after"]["stance"]["ece"],
        }
        logger.info("seed %d on %s: %s", seed, name, headline[name])
    return SeedResult(seed, checkpoint, float(mean_f1), headline)


def _finish(settings: Settings, data: Data, best: SeedResult, seeds: dict[str, Any]) -> None:
    """Export the best seed, write the reports, and put the figures into the model folder."""
    folder = settings.run_folder
    (folder / "report").mkdir(exist_ok=True)
    (folder / "report" / "seeds.json").write_text(json.dumps(seeds, indent=2) + "\n", encoding="utf-8")
    if not settings.export:
        return
    dev = sentences_of(data.split.dev)
    classifier = export(
        best.checkpoint,
        folder / "model",
        weights=settings.weights,
        sentences=[sentence.text for sentence in dev],
        previous=[sentence.context(settings.context) for sentence in dev],
    )
    rivals = None
    if settings.baselines:
        logger.info("training the baselines")
        rivals = Baselines(data.split.train, data.split.dev, settings.base_model, settings.max_tokens).decide
    slugs: list[str] = []
    measured, swapped = {}, name_swap(classifier)
    for name, documents in data.evaluate.items():
        result = evaluate(classifier, documents, name, rivals, swapped)
        result.metrics["fp32"] = best.figures[
            name
        ]  # the exported file may compute in 8 bits: this tells the cost
        measured[name] = {**_headline(result), "fp32": best.figures[name]}
        slugs.append(_slug(name, slugs))
        write_report(folder / "report" / slugs[-1], result)
    add_metrics(
        folder / "model", classifier.manifest, {"evaluations": measured, "name_swap": swapped, "seeds": seeds}
    )
    logger.info("model: %s; report: %s", folder / "model", folder / "report")


def describe_training(documents: Sequence[Document]) -> list[dict[str, Any]]:
    """Return for each source its licences, counts, and a hash over texts and labels."""
    rows = []
    for source in dict.fromkeys(document.source for document in documents):
        members = [document for document in documents if document.source == source]
        own = all(Path(document.file).resolve().parent in OWN for document in members)
        unnamed = OWN_LICENCE if own else "not stated"
        licences = sorted({s.licence or unnamed for s in sentences_of(members)})
        rows.append(
            {
                "source": source,
                "licence": ", ".join(licences),
                "documents": len(members),
                "sentences": len(sentences_of(members)),
                "sha256": content_sha256(members),
            }
        )
    return rows


def _headline(evaluation: Evaluation) -> dict[str, Any]:
    metrics = evaluation.metrics
    return {
        "sentences": metrics["sentences"],
        "sha256": metrics["data"]["sha256"],
        "stance_macro_f1": metrics["stance"]["macro_f1"],
        "signals_macro_f1": metrics["signals"]["macro_f1"],
        "stance_ece": metrics["calibration"]["after"]["stance"]["ece"],
        "intervals": metrics["intervals"],
        **({"contrast": metrics["contrast"]} if metrics["contrast"] else {}),
    }


def _check_length(module: Any, max_tokens: int) -> None:
    positions = getattr(module.config, "max_position_embeddings", None)
    if positions is not None and max_tokens > positions:
        raise SettingsError([f"max_tokens: {max_tokens} is more than the base model's {positions}"])


def _base_name(base_model: str) -> str:
    return "sentence-transformers/all-MiniLM-L6-v2" if base_model == "packaged" else base_model


def _slug(name: str, taken: Sequence[str] = ()) -> str:
    """Return a name for a folder that no set before has."""
    slug = re.sub(r"[^\w.-]+", "-", name.removesuffix(".jsonl")).strip("-.") or "data"
    while slug in taken:
        slug += "-2"
    return slug


def main(
    config: Path,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value …, in place of what the file says")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with a run that was killed")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="delete an earlier run of the name")] = False,
    fast_dev_run: Annotated[
        bool, typer.Option("--fast-dev-run", help="two steps through every stage")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=LEAST_DOCUMENTS, help="use only so many documents")] = None,
) -> None:
    """Fine-tune, calibrate, evaluate and export a model by the settings of a YAML file."""
    settings = load_settings(config, overrides or [])
    if fast_dev_run:
        few = {
            "max_steps": 2,
            "eval_strategy": "steps",
            "eval_steps": 2,
            "save_strategy": "steps",
            "save_steps": 2,
        }
        trainer = {**settings.trainer, **few, "logging_steps": 1}
        settings = settings.model_copy(update={"name": f"{settings.name}-fast", "trainer": trainer})
        limit, overwrite = limit or 60, True
    run(settings, resume=resume, overwrite=overwrite, limit=limit)


if __name__ == "__main__":
    run_script(main)
