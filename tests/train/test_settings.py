"""Settings: everything that is wrong is said at once, before anything is loaded."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from brinkline.train.settings import (
    OWNED,
    TRAINER_DEFAULTS,
    SettingsError,
    check_settings,
    load_settings,
    training_arguments,
)

ROOT = Path(__file__).parent.parent.parent
# recipes.yaml is a plan over another file of settings: tests/train/test_recipes.py reads it.
CONFIGS = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.stem != "recipes")


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "data.jsonl").touch()
    return {"name": "mine", "data": {"files": [str(tmp_path / "data.jsonl")]}}


@pytest.fixture
def config(tmp_path: Path, values: dict[str, Any]) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def problems_of(values: dict[str, Any], **changes: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        check_settings({**values, **changes})
    return list(caught.value.problems)


def only_problem(values: dict[str, Any], **changes: Any) -> str:
    (problem,) = problems_of(values, **changes)
    return problem


def test_valid_file_and_what_it_leaves_open(config: Path, tmp_path: Path) -> None:
    settings = load_settings(config)
    assert settings.run_folder == Path("runs") / "mine"
    assert settings.data.files == [tmp_path / "data.jsonl"]
    assert (settings.data.dev, settings.data.test, settings.seeds) == (0.1, 0.1, [0])
    assert settings.trainer == TRAINER_DEFAULTS


def test_trainer_is_completed_not_replaced(values: dict[str, Any]) -> None:
    settings = check_settings({**values, "trainer": {"num_train_epochs": 2, "max_grad_norm": 0.5}})
    assert settings.trainer == {**TRAINER_DEFAULTS, "num_train_epochs": 2, "max_grad_norm": 0.5}


def test_numbers_that_yaml_takes_for_texts_are_numbers(config: Path) -> None:
    # YAML 1.1 wants a dot in 1e-4, nobody else does.
    trainer = load_settings(config, ["trainer.learning_rate=1e-4", "trainer.save_total_limit='2'"]).trainer
    assert trainer["learning_rate"] == 1e-4
    assert isinstance(trainer["learning_rate"], float)
    assert isinstance(trainer["save_total_limit"], int)
    assert load_settings(config, ["dropout=1e-1"]).dropout == 0.1


def test_settings_can_be_written_as_yaml_and_read_again(values: dict[str, Any]) -> None:
    settings = check_settings({**values, "trainer": {"eval_strategy": "steps", "save_strategy": "steps"}})
    again = check_settings(yaml.safe_load(yaml.safe_dump(settings.model_dump(mode="json"))))
    assert again == settings


# Files


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no\.yaml: no such file"):
        load_settings(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected keys and values"),
        (b"# nothing\n", "expected keys and values"),
        (b"[a, b]", "expected keys and values"),
        (b"just words", "expected keys and values"),
        (b"a: [", "not YAML"),
        (b"name: \xff", "cannot be read"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"bad.yaml: {message}"):
        load_settings(path)


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path)


def test_number_of_configs() -> None:
    names = [str(path.relative_to(ROOT / "configs")) for path in CONFIGS]
    assert len(names) == 3, f"{names}: change the number here with the folder"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_own_configs_load(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    data = yaml.safe_load(path.read_text(encoding="utf-8"))["data"]
    outside = [Path(p) for key in ("files", "train_only", "evaluate") for p in data.get(key, [])]
    outside += [Path(pair[key]) for pair in data.get("detached", []) for key in ("labels", "texts")]
    outside = [p for p in outside if p.parts[:2] == ("..", "shared") or p.parts[0] == "build"]
    if missing := [str(p) for p in outside if not p.exists()]:
        pytest.skip(f"needs data that are not in the repository: {', '.join(missing)}")
    assert load_settings(path).name == path.stem


# Everything wrong at once


def test_all_errors_at_once(values: dict[str, Any]) -> None:
    problems = problems_of(
        values,
        name="a/b",
        seedz=[1],
        context="many",
        dropout=1,
        class_weight="auto",
        data={"files": ["nowhere", "gone"], "dev": 0.07, "fils": []},
        trainer={"learning_rat": 1, "seed": 3, "weight_decay": "much", "optim": "guess"},
    )
    places = {problem.split(":")[0] for problem in problems}
    assert places == {
        "name",
        "seedz",
        "context",
        "dropout",
        "class_weight",
        "data.files",
        "data.dev",
        "data.fils",
        "trainer.learning_rat",
        "trainer.seed",
        "trainer.weight_decay",
        "trainer.optim",
    }
    assert len(problems) == len(places)


def test_message_counts_and_lists(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        check_settings({**values, "a": 1, "b": 2}, ["known before"])
    assert str(caught.value).splitlines() == ["3 problem(s) in the settings:", *caught.value.problems]
    assert caught.value.problems[0] == "known before"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": [1]}, "seed: unknown key (did you mean 'seeds'?)"),
        ({"max_token": 64}, "max_token: unknown key (did you mean 'max_tokens'?)"),
        ({"zzzz": 1}, "zzzz: unknown key"),
        (
            {"trainer": {"num_epochs": 1}},
            "trainer.num_epochs: unknown key (did you mean 'num_train_epochs'?)",
        ),
        (
            {"trainer": {"learning_rte": 1}},
            "trainer.learning_rte: unknown key (did you mean 'learning_rate'?)",
        ),
    ],
)
def test_unknown_keys_name_the_nearest(values: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    assert only_problem(values, **changes) == message


def test_unknown_key_in_data_names_the_nearest_of_data(values: dict[str, Any]) -> None:
    data = {**values["data"], "evaluat": []}
    assert only_problem(values, data=data) == "data.evaluat: unknown key (did you mean 'evaluate'?)"
    data = {**values["data"], "seeds": [1]}
    assert only_problem(values, data=data) == "data.seeds: unknown key (did you mean 'split_seed'?)"


def test_needed_keys() -> None:
    assert problems_of({}) == ["name: Field required", "data: Field required"]
    assert problems_of({"name": "x", "data": {}}) == ["data.files: Field required"]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"name": 5}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "a\n"}, "name"),
        ({"seeds": []}, "seeds"),
        ({"seeds": 3}, "seeds"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"seeds": [0, 2**32]}, "seeds.1"),
        ({"seeds": [4, 4]}, "seeds"),
        ({"context": 9}, "context"),
        ({"layers": []}, "layers"),
        ({"layers": [-1]}, "layers.0"),
        ({"layers": [1, 0]}, "layers"),
        ({"layers": [1, 1]}, "layers"),
        ({"max_tokens": 3}, "max_tokens"),
        ({"patience": 0}, "patience"),
        ({"weights": "int4"}, "weights"),
        ({"baselines": "perhaps"}, "baselines"),
        ({"data": None}, "data"),
        ({"data": []}, "data"),
        ({"trainer": None}, "trainer"),
        ({"trainer": [1]}, "trainer"),
    ],
)
def test_wrong_values_are_named(values: dict[str, Any], changes: dict[str, Any], place: str) -> None:
    assert only_problem(values, **changes).startswith(f"{place}: ")


def test_missing_paths_are_named(values: dict[str, Any], tmp_path: Path) -> None:
    there, gone, away = values["data"]["files"][0], str(tmp_path / "gone"), str(tmp_path / "away")
    data = {"files": [gone, there, away], "train_only": [gone], "evaluate": [away]}
    assert problems_of(values, data=data) == [
        f"data.files: no such file or folder: {gone}, {away}",
        f"data.train_only: no such file or folder: {gone}",
        f"data.evaluate: no such file or folder: {away}",
    ]


@pytest.mark.parametrize("step", range(1, 11))
def test_every_twentieth_passes_in_floating_point(values: dict[str, Any], step: int) -> None:
    for share in (step / 20, step * 0.05, float(f"{step * 5 / 100:.2f}")):
        settings = check_settings({**values, "data": {**values["data"], "dev": share, "test": 0.15}})
        assert settings.data.dev == share


@pytest.mark.parametrize(
    ("key", "share"), [("dev", 0.12), ("test", 0.01), ("dev", -0.05), ("test", 0.55), ("dev", 0)]
)
def test_other_shares_do_not_pass(values: dict[str, Any], key: str, share: float) -> None:
    assert only_problem(values, data={**values["data"], key: share}).startswith(f"data.{key}: ")


def test_nothing_left_to_train_on(values: dict[str, Any]) -> None:
    data = {**values["data"], "dev": 0.5, "test": 0.5}
    assert "leave nothing to train on" in only_problem(values, data=data)
    assert check_settings({**values, "data": {**data, "test": 0.45}}).data.test == 0.45


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_split_seed_is_one_that_numpy_takes(values: dict[str, Any], seed: int) -> None:
    assert only_problem(values, data={**values["data"], "split_seed": seed}).startswith("data.split_seed: ")


# The trainer section


@pytest.mark.parametrize("key", sorted(OWNED))
def test_owned_keys_say_what_to_set(values: dict[str, Any], key: str) -> None:
    assert only_problem(values, trainer={key: 1}) == f"trainer.{key}: not settable here, {OWNED[key]}"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_train_epochs", "three"),
        ("num_train_epochs", True),
        ("learning_rate", [1e-4]),
        ("per_device_train_batch_size", 1.5),
        ("per_device_train_batch_size", "1e-4"),
        ("gradient_checkpointing", "perhaps"),
        ("weight_decay", None),
        ("max_steps", {}),
        ("eval_strategy", "sometimes"),
        ("lr_scheduler_type", "zigzag"),
        ("optim", "guess"),
        ("logging_steps", 0),
    ],
)
def test_wrong_values_of_the_trainer_are_refused(values: dict[str, Any], key: str, value: object) -> None:
    assert only_problem(values, trainer={key: value}).startswith(f"trainer.{key}: ")


def test_values_that_are_right_together(values: dict[str, Any]) -> None:
    steps = {"eval_strategy": "steps", "eval_steps": 10, "save_strategy": "steps", "save_steps": 20}
    assert check_settings({**values, "trainer": steps}).trainer["eval_steps"] == 10


def test_values_that_are_wrong_together(values: dict[str, Any]) -> None:
    pair = {"eval_strategy": "steps", "save_strategy": "epoch", "optim": "guess"}
    first, second = problems_of(values, trainer=pair)
    assert first.startswith("trainer.eval_strategy, trainer.save_strategy: ")
    assert second.startswith("trainer.optim: ")
    assert only_problem(values, trainer={"fp16": True, "bf16": True}).startswith("trainer: ")


def test_training_arguments_say_what_was_set(tmp_path: Path) -> None:
    arguments = training_arguments(
        {"learning_rate": 2e-5, "use_cpu": True, "bf16": False}, tmp_path / "out", seed=7
    )
    assert (arguments.learning_rate, arguments.seed, arguments.data_seed) == (2e-5, 7, 7)
    assert arguments.num_train_epochs == TRAINER_DEFAULTS["num_train_epochs"]
    assert arguments.report_to in ([], ["none"])
    assert arguments.load_best_model_at_end
    assert not (tmp_path / "out").exists()


# Overrides


def test_overrides(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.touch()
    settings = load_settings(
        config,
        [
            "name=other-1",
            "seeds=[0,1,2]",
            "dropout=0.25",
            "baselines=false",
            "data.dev=0.15",
            f"data.evaluate=[{other}]",
            "trainer.num_train_epochs=3",
            "trainer.learning_rate=0.00002",
            "trainer.lr_scheduler_kwargs={a: 1}",
            "model_name=a=b",
        ],
    )
    assert (settings.name, settings.seeds, settings.dropout, settings.baselines) == (
        "other-1",
        [0, 1, 2],
        0.25,
        False,
    )
    assert (settings.data.dev, settings.data.evaluate) == (0.15, [other])
    assert settings.trainer["num_train_epochs"] == 3
    assert settings.trainer["learning_rate"] == 2e-5
    assert settings.trainer["lr_scheduler_kwargs"] == {"a": 1}
    assert settings.model_name == "a=b"


def test_the_last_override_counts(config: Path) -> None:
    assert load_settings(config, ["context=1", "context=2"]).context == 2


def test_override_of_a_section_without_a_line(config: Path) -> None:
    config.write_text(config.read_text() + "trainer:\n")
    assert load_settings(config, ["trainer.max_steps=2"]).trainer["max_steps"] == 2


def test_bad_overrides_come_with_the_other_errors(config: Path) -> None:
    bad = ["context", "=3", "trainer.=3", "name.first=x", "dropout=[", "seedz=1", "data.dve=0.1"]
    with pytest.raises(SettingsError) as caught:
        load_settings(config, bad)
    assert list(caught.value.problems) == [
        "context: expected key=value",
        "=3: expected key=value",
        "trainer.=3: expected key=value",
        "name.first=x: name holds no keys",
        "dropout=[: the value is not YAML",
        "data.dve: unknown key (did you mean 'dev'?)",
        "seedz: unknown key (did you mean 'seeds'?)",
    ]
