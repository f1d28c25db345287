"""What a recipe may add to a run: teacher, detached labels, warm-up, other names; and the table of variants."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

import brinkline
from brinkline.data.corpus import normalised, to_dataset
from brinkline.data.detached import text_sha256
from brinkline.data.schema import LabelledDataError, read_labelled
from brinkline.model.network import STATE
from brinkline.train import contrastive, distil, finetune
from brinkline.train.arguments import stage_arguments
from brinkline.train.recipes import FIGURES, Plan, Variant, main, read_plan, write_table
from brinkline.train.runs import RESULT, best_checkpoint, best_seed, read_result
from brinkline.train.second_stage import chosen
from brinkline.train.settings import Distillation, SecondStage, SettingsError, check_settings


@pytest.fixture
def values(short_run: dict[str, Any]) -> dict[str, Any]:
    return short_run


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    rows = [
        {"source": "s", "document": "d", "index": i, "text": f"the rain on monday {i}"} for i in range(30)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_teacher_and_student(
    values: dict[str, Any], texts: Path, labelled_file: Path, tmp_path: Path
) -> None:
    teacher = finetune.run(check_settings({**values, "name": "teacher", "export": False}))
    assert not (teacher / "model").exists()
    assert (teacher / "report" / "seeds.json").is_file()
    told = {"teacher": str(teacher), "unlabelled": [str(texts)], "temperature": 2.0}
    run = finetune.run(check_settings({**values, "name": "student", "seeds": [0, 1], "distillation": told}))
    assert brinkline.load(run / "model").predict_sentences(["they met"])[0].stance
    log = (run / "log.txt").read_text(encoding="utf-8")
    assert "with a teacher beside, 30 with the teacher alone" in log
    assert log.count("the teacher") - log.count("with the teacher alone") == 2, (
        "labelled sentences and the others; the second seed reads the cache"
    )


def test_targets_mix_label_and_teacher(
    values: dict[str, Any], texts: Path, labelled_file: Path, tmp_path: Path
) -> None:
    teacher = finetune.run(check_settings({**values, "name": "teacher", "export": False}))
    train = to_dataset(read_labelled([labelled_file])[:5])
    alone = Distillation(teacher=teacher, unlabelled=[texts], share=1)
    half = Distillation(teacher=teacher, unlabelled=[texts], share=0.5)
    measured = distil.Known(frozenset({normalised("The rain, on Monday 7!")}))
    whole = distil.with_teacher(train, alone, measured)
    mixed = distil.with_teacher(train, half, measured)
    n = len(train)
    assert len(whole) == len(mixed) == n + 29, "what is measured on is not learned from"
    hard = np.eye(3)[train["stance"]]
    expected = (hard + np.array(whole["stance_target"])[:n]) / 2
    assert np.array(mixed["stance_target"])[:n] == pytest.approx(expected, abs=1e-6)
    assert np.array(whole["stance_target"]).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert mixed["stance_target"][n:] == whole["stance_target"][n:]
    assert mixed["text"][n] == "the rain on monday 0"
    stance_only = distil.with_teacher(train, half.model_copy(update={"signals": False}), measured)
    assert stance_only["stance_target"][:] == mixed["stance_target"][:]
    assert stance_only["signal_target"][:n] == train["signals"][:], "the labels alone"
    assert np.isnan(stance_only["signal_target"][n:]).all(), "nothing is learned from the others"
    assert np.isfinite(mixed["signal_target"][n:]).all()


def test_a_teacher_without_a_finished_run_is_refused(values: dict[str, Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SettingsError, match="no finished run"):
        best_seed(empty)
    with pytest.raises(SettingsError, match="no finished run, train it first"):
        finetune.run(check_settings({**values, "distillation": {"teacher": str(tmp_path / "none")}}))
    with pytest.raises(SettingsError, match="set context to 0"):
        check_settings({**values, "context": 1, "distillation": {"teacher": str(empty)}})


def test_detached_labels_are_trained_on(values: dict[str, Any], texts: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    rows = [
        {"sha256": text_sha256(f"the rain on monday {i}"), "stance": "neutral", "signals": []}
        for i in range(30)
    ]
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values["data"]["detached"] = [{"labels": str(labels), "texts": str(texts)}]
    data = finetune.load_data(check_settings(values))
    everything = [*data.split.train, *data.split.dev, *data.split.test]
    assert sum(d.source == "s" for d in everything) == 1
    assert sum(len(d.sentences) for d in everything) == 60 * 4 + 30
    texts.write_text('{"text": "another"}\n')
    with pytest.raises(LabelledDataError, match="30 of 30 labels have no text"):
        finetune.load_data(check_settings(values))


def test_a_teacher_that_knows_the_students_dev_part_is_refused(
    values: dict[str, Any], tmp_path: Path
) -> None:
    teacher = finetune.run(check_settings({**values, "name": "teacher", "export": False}))
    other = {**values, "data": {**values["data"], "split_seed": 1}, "distillation": {"teacher": str(teacher)}}
    with pytest.raises(SettingsError, match="documents that the student is measured on"):
        finetune.run(check_settings(other))
    (teacher / "split.json").unlink()
    with pytest.raises(SettingsError, match=r"split\.json cannot be read"):
        finetune.run(check_settings({**other, "name": "another"}))


def test_another_teacher_is_another_run(values: dict[str, Any]) -> None:
    teacher = check_settings({**values, "name": "teacher", "export": False})
    finetune.run(teacher)
    student = check_settings(
        {**values, "export": False, "distillation": {"teacher": str(teacher.run_folder)}}
    )
    finetune.run(student)
    finetune.run(student, resume=True)
    again = {**values, "name": "teacher", "export": False, "seeds": [3]}
    finetune.run(check_settings(again), overwrite=True)
    with pytest.raises(SettingsError, match=r"teacher/model\.safetensors: has changed since the run began"):
        finetune.run(student, resume=True)


@pytest.mark.parametrize(
    "change",
    [
        {"contrastive_epochs": 1},
        {"layer_decay": 0.5},
        {"r_drop": 1.0},
        {"label_smoothing": 0.1},
        {"focal_gamma": 1},
        {"swap_names": 1.0},
        {"class_weight": "balanced"},
    ],
)
def test_each_change_trains_to_other_weights(
    values: dict[str, Any], change: dict[str, Any], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    values |= {"export": False}
    # The tiny tokenizer spells country names in letters.
    text = Path(values["data"]["files"][0]).read_text(encoding="utf-8")
    named = tmp_path / "named.jsonl"
    named.write_text(text.replace("the city", "Iran"), encoding="utf-8")
    values["data"] = {"files": [str(named)]}
    plain = finetune.run(check_settings({**values, "name": "plain"}))
    changed = finetune.run(check_settings({**values, "name": "changed", **change}))
    one, other = (load_file(best_seed(run).checkpoint / "model.safetensors") for run in (plain, changed))
    assert any(bool((one[name] != other[name]).any()) for name in one)


def test_plan_and_table(values: dict[str, Any], tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump({**values, "export": False}))
    plan = tmp_path / "recipes.yaml"
    plan.write_text(
        yaml.safe_dump(
            {
                "base": str(base),
                "common": ["seeds=[0, 1]"],
                "variants": {
                    "base": {"says": "as it is"},
                    "smooth": {"says": "label smoothing | 0.1", "set": ["label_smoothing=0.1"]},
                },
            }
        )
    )
    out = tmp_path / "docs" / "recipe.md"
    main(plan, out, only=["base"])
    first = out.read_text()
    assert "| base | as it is | 2 |" in first
    assert "smooth" not in first
    out.write_text(first.replace("# Recipe", "# What was tried\n\nKept."))
    main(plan, out)
    second = out.read_text()
    assert second.startswith("# What was tried\n\nKept.")
    rows = [line for line in second.splitlines() if line.startswith(("| base", "| smooth"))]
    assert len(rows) == 2
    assert r"label smoothing \| 0.1" in rows[1]
    # Nothing here was measured but each run's own test split, which is no common measure.
    assert rows[0].count("±") == 0
    stale = yaml.safe_load(plan.read_text())
    stale["variants"]["base"]["set"] = ["dropout=0.3"]
    plan.write_text(yaml.safe_dump(stale))
    with pytest.raises(SettingsError, match="dropout: differs from the run to be resumed"):
        main(plan, out)
    with pytest.raises(SettingsError, match="no such variant"):
        main(plan, out, only=["other"])


def test_the_table_has_the_sets_that_all_variants_were_measured_on(tmp_path: Path) -> None:
    figures = {figure: {"mean": 0.5, "sd": None, "values": [0.5]} for figure in FIGURES}
    folders = {}
    for name, sets in {"a": ("dev.jsonl", "x.jsonl"), "b": ("y.jsonl", "dev.jsonl")}.items():
        folders[name] = tmp_path / name
        (folders[name] / "report").mkdir(parents=True)
        found = {"seeds": [0], **dict.fromkeys(sets, figures)}
        (folders[name] / "report" / "seeds.json").write_text(json.dumps(found))
    plan = Plan(tmp_path / "base.yaml", (), tuple(Variant(name, name, ()) for name in folders))
    write_table(plan, folders, tmp_path / "out.md")
    text = (tmp_path / "out.md").read_text()
    assert "dev.jsonl: stance" in text
    assert "x.jsonl" not in text
    assert "y.jsonl" not in text


def test_another_base_model_in_the_same_folder_is_another_run(
    values: dict[str, Any], tiny_base: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    run = check_settings({**values, "export": False, "base_model": str(base)})
    finetune.run(run)
    finetune.run(run, resume=True)
    weights = load_file(base / "model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, base / "model.safetensors")
    with pytest.raises(SettingsError, match=r"base/model\.safetensors: has changed since the run began"):
        finetune.run(run, resume=True)


def test_a_second_stage_goes_on_from_the_first(values: dict[str, Any]) -> None:
    stage = {"sources": ["articles"], "others": 0.5}
    run = finetune.run(check_settings({**values, "second_stage": stage}))
    first = load_file(best_checkpoint(run / "seed-0" / "checkpoints", None) / STATE)
    kept = best_seed(run).checkpoint
    assert kept.parent == run / "seed-0" / "checkpoints" / "second-stage"
    second = load_file(kept / STATE)
    apart = {name: float(abs(second[name] - first[name]).max()) for name in first}
    assert 0 < max(apart.values()) < 0.01, "it begins where the first stage ended"
    told = json.loads((run / "model" / "manifest.json").read_text(encoding="utf-8"))["settings"][
        "second_stage"
    ]
    assert told == {**stage, "num_train_epochs": 1.0, "learning_rate": 3e-5}
    shutil.rmtree(kept.parent)  # as if killed between the stages
    (run / "seed-0" / RESULT).unlink()
    finetune.run(check_settings({**values, "second_stage": stage}), resume=True)
    again = load_file(kept / STATE)
    assert all((again[name] == second[name]).all() for name in second)
    other = check_settings({**values, "name": "none", "second_stage": {"sources": ["nowhere"]}})
    with pytest.raises(SettingsError, match=r"no training documents of nowhere \(there are: "):
        finetune.run(other)
    assert not (other.run_folder / "seed-0").exists(), "told before the first stage"
    with pytest.raises(SettingsError, match=r"second_stage.source: unknown key \(did you mean 'sources'"):
        check_settings({**values, "second_stage": {"source": ["made"]}})


def test_a_stage_is_cut_short_by_max_steps_and_never_lengthened(
    values: dict[str, Any], tmp_path: Path, labelled_file: Path
) -> None:
    trainer = {**values["trainer"], "max_steps": 5000, "per_device_train_batch_size": 10}
    capped = stage_arguments({**trainer, "max_steps": 4}, 2, 95, tmp_path, 0)
    whole = stage_arguments(trainer, 2, 95, tmp_path, 0)
    assert (capped.max_steps, whole.max_steps, whole.num_train_epochs) == (4, -1, 2)
    assert stage_arguments({**trainer, "max_steps": 19}, 2, 95, tmp_path, 0).max_steps == 19
    assert stage_arguments({"use_cpu": True}, 0.5, 95, tmp_path, 0).max_steps == -1


def test_the_warm_up_reads_no_sentence_whose_signals_are_not_told(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labelled_file: Path
) -> None:
    seen: list[Any] = []
    train = to_dataset(read_labelled([labelled_file])[:5])
    signals = [[float("nan")] * 3 if i % 2 else row for i, row in enumerate(train["signals"])]
    train = train.remove_columns("signals").add_column("signals", signals)

    class StopError(Exception):
        """Ends the warm-up where the training would begin."""

    def build(*arguments: Any, **_: Any) -> None:
        seen.append(arguments[3])
        raise StopError

    monkeypatch.setattr(contrastive, "build_trainer", build)
    settings = check_settings({**values, "contrastive_epochs": 1})
    with pytest.raises(StopError):
        contrastive.warm_up(None, None, {}, train, settings, tmp_path, 0)  # type: ignore[arg-type]
    assert seen[0]["text"] == train["text"][::2]


def test_without_evaluation_while_training_the_best_seed_is_still_found(values: dict[str, Any]) -> None:
    trainer = {**values["trainer"], "eval_strategy": "no"}
    run = finetune.run(check_settings({**values, "trainer": trainer, "seeds": [0, 1], "export": False}))
    found = [read_result(run / f"seed-{seed}") for seed in (0, 1)]
    scores = [result.dev_mean_f1 for result in found if result]
    assert len(set(scores)) == 2
    assert all(0 < score < 1 for score in scores)
    assert best_seed(run).dev_mean_f1 == max(scores)


def test_what_a_second_stage_reads(labelled_file: Path) -> None:
    documents = read_labelled([labelled_file])
    named = [replace(document, source="near") for document in documents[:10]]
    others = documents[10:30]
    stage = SecondStage(sources=["near"], others=0.25)
    found = chosen([*others, *named], stage, seed=0)
    assert found[:10] == named
    assert len(found) == 15
    assert all(document in others for document in found[10:])
    assert found == chosen([*others, *named], stage, seed=0)
    assert found != chosen([*others, *named], stage, seed=1)


def test_a_broken_plan_is_refused(tmp_path: Path) -> None:
    plan = tmp_path / "recipes.yaml"
    plan.write_text("base: x\nvariants: [1]\n")
    with pytest.raises(SettingsError, match="expected base, common and variants"):
        read_plan(plan)


def test_a_plan_on_part_of_the_data(values: dict[str, Any], tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump({**values, "export": False}))
    plan = tmp_path / "recipes.yaml"
    told = {"base": str(base), "limit": 50, "variants": {"base": {"says": "as it is"}}}
    plan.write_text(yaml.safe_dump(told))
    out = tmp_path / "recipe.md"
    main(plan, out)
    assert "| base | as it is | 1 |" in out.read_text()
    split = json.loads((Path(values["runs"]) / "recipe-base" / "split.json").read_text())
    assert sum(split[name]["documents"] for name in ("train", "dev", "test")) == 50
    plan.write_text(yaml.safe_dump({**told, "limit": 45}))
    with pytest.raises(SettingsError, match="limit: 45, but 50 in the run to be resumed"):
        main(plan, out)
    for bad in (39, 50.0, True, "all"):
        plan.write_text(yaml.safe_dump({**told, "limit": bad}))
        with pytest.raises(SettingsError, match="expected a whole number, at least 40"):
            read_plan(plan)


def test_the_projects_own_plan_reads() -> None:
    root = Path(__file__).parents[2]
    plan = read_plan(root / "configs" / "recipes.yaml")
    assert len({variant.name for variant in plan.variants}) >= 12
