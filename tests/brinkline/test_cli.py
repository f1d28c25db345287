import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brinkline.cli import app

ROOT = Path(__file__).parents[2]
ARTICLE = "The army fire on the city. They met.\n\nRain on monday."

runner = CliRunner()


@pytest.fixture
def article(tmp_path: Path) -> Path:
    path = tmp_path / "article.txt"
    path.write_text(ARTICLE)
    return path


def run(*arguments: object, stdin: str | None = None) -> tuple[int, str, str]:
    result = runner.invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_pipe_gets_json_lines(article: Path, model_folder: Path) -> None:
    code, out, err = run("predict", article, "--model", model_folder)
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [row["text"] for row in rows] == ["The army fire on the city.", "They met.", "Rain on monday."]
    assert all(ARTICLE[row["start"] : row["end"]] == row["text"] for row in rows)
    assert list(rows[0]) == [
        "article",
        "index",
        "start",
        "end",
        "text",
        "stance",
        "stance_probabilities",
        "signals",
        "signal_probabilities",
        "truncated",
    ]
    assert rows[0]["article"].endswith("article.txt")


def test_table(article: Path, model_folder: Path) -> None:
    code, out, _ = run("predict", article, "--model", model_folder, "--format", "table")
    assert code == 0
    assert "3 sentences" in " ".join(out.split())  # a long path breaks the line
    assert "They met." in out


def test_csv(article: Path, model_folder: Path, tmp_path: Path) -> None:
    code, out, _ = run("predict", article, "--model", model_folder, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["index"] for row in rows] == ["0", "1", "2"]
    assert {row["threat"] for row in rows} <= {"True", "False"}


def test_suffix_of_out_names_the_format(article: Path, model_folder: Path, tmp_path: Path) -> None:
    import pandas as pd

    for name in ("a.parquet", "a.csv", "a.jsonl", "a.html"):
        code, out, err = run("predict", article, "--model", model_folder, "--out", tmp_path / name)
        assert (code, out, err) == (0, "", "")
    parquet, table = pd.read_parquet(tmp_path / "a.parquet"), pd.read_csv(tmp_path / "a.csv")
    assert parquet["text"].tolist() == table["text"].tolist()
    assert parquet["threat"].dtype == bool
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    assert (tmp_path / "a.html").read_text().lower().startswith("<!doctype html>")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [
        ".csv",
        ".html",
        ".job",
        ".jsonl",
        ".parquet",
        ".txt",
    ]


def test_standard_input(model_folder: Path) -> None:
    code, out, _ = run("predict", "-", "--model", model_folder, stdin="They met.")
    assert code == 0
    assert json.loads(out)["text"] == "They met."


def test_json_lines_and_csv_with_named_fields(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "They met.", "key": 7}\n')
    (tmp_path / "a.csv").write_text("key,body\n8,They fire.\n")
    code, out, _ = run(
        "predict",
        tmp_path / "a.jsonl",
        tmp_path / "a.csv",
        "--text",
        "body",
        "--id",
        "key",
        "--model",
        model_folder,
    )
    assert code == 0
    assert [json.loads(line)["article"] for line in out.splitlines()] == ["7", "8"]


def test_html(model_folder: Path, tmp_path: Path) -> None:
    paragraphs = "".join(f"<p>The army fire on the city, report {n} said. They met.</p>" for n in range(8))
    (tmp_path / "a.html").write_text(
        f"<html><body><nav>Home</nav><article>{paragraphs}</article></body></html>"
    )
    code, out, _ = run("predict", tmp_path / "a.html", "--model", model_folder)
    texts = [json.loads(line)["text"] for line in out.splitlines()]
    assert code == 0
    assert "They met." in texts
    assert "Home" not in texts


def test_bad_inputs_are_named_and_the_others_are_done(
    article: Path, model_folder: Path, tmp_path: Path
) -> None:
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\x00\x01\x02" * 100)
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Le ministre a refusé.".encode("latin-1"))
    empty = tmp_path / "empty.txt"
    empty.write_bytes(b"")
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"text": "They met."}\n{"body": "x"}\nnot json\n{"text": "Rain."}\n')
    bad = [tmp_path / "missing.txt", tmp_path, binary, latin, empty]
    code, out, err = run("predict", *bad, lines, article, "--model", model_folder)
    assert code == 1
    assert len(out.splitlines()) == 2 + 3
    for path in bad:
        assert f"brinkline: {path}: " in err
    assert f"{lines}:2: " in err
    assert f"{lines}:3: " in err
    assert len(err.splitlines()) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict"], "Missing argument"),
        (["predict", "{article}", "--threshold", "threat"], "threat=0.3"),
        (["predict", "{article}", "--threshold", "menace=0.5"], "unknown signal 'menace'"),
        (["predict", "{article}", "--threshold", "threat=7"], "from 0 to 1"),
        (["predict", "{article}", "--format", "xml"], "xml"),
        (["predict", "{article}", "--format", "parquet"], "--out"),
        (["predict", "{article}", "--model", "nowhere"], "nowhere"),
        (["predict", "{article}", "--encoding", "klingon"], "klingon"),
        (["train", "nowhere.yaml"], "no such file"),
        (["evaluate", "nowhere", "{article}"], "nowhere"),
        (["export", "nowhere", "out"], "no checkpoint"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_exits_with_2(
    article: Path, model_folder: Path, arguments: list[str], message: str
) -> None:
    words = [argument.format(article=article) for argument in arguments]
    if words[0] == "predict" and len(words) > 1 and "--model" not in words:
        words += ["--model", str(model_folder)]
    code, out, err = run(*words)
    assert code == 2, err
    # typer draws a box around its messages, with line breaks where the box ends.
    assert message in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err + out


def test_evaluate(model_folder: Path, labelled_file: Path, tmp_path: Path) -> None:
    code, out, err = run("evaluate", model_folder, labelled_file, "--out", tmp_path / "report")
    assert code == 0, err
    assert "keyword list" in out
    assert (tmp_path / "report" / "metrics.json").is_file()


def test_labelled_data_that_cannot_be_read_exit_with_1(model_folder: Path, article: Path) -> None:
    code, _, err = run("evaluate", model_folder, article)
    assert code == 1
    assert f"{article}:1: not JSON" in err


def test_export(checkpoint: Path, tmp_path: Path) -> None:
    code, _, err = run("export", checkpoint, tmp_path / "model", "--name", "mine")
    assert code == 0, err
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["name"] == "mine"


def test_data_check(labelled_file: Path, tmp_path: Path) -> None:
    code, out, _ = run("data", "check", labelled_file)
    assert code == 0
    assert "240 sentences" in out
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "They met.", "stance": "hostil", "signals": ["menace"]}\n{"id": 1}\n')
    code, out, _ = run("data", "check", bad)
    assert code == 1
    assert f"{bad}:1: stance: 'hostil' is none of" in out
    assert "did you mean 'hostile'" in out
    assert f"{bad}:1: signals: 'menace'" in out
    assert f"{bad}:2: text: is missing" in out


def test_training_without_its_extra_names_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['datasets'] = None\nfrom brinkline.cli import main; main()"
    command = [sys.executable, "-c", code, "train", str(ROOT / "configs" / "default.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'brinkline[train]'" in done.stderr


def test_version() -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("brinkline ")


def test_a_reader_that_goes_away_is_no_error(model_folder: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("They met. " * 3000)
    command = f"{sys.executable} -m brinkline predict {long} --model {model_folder} | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert json.loads(done.stdout)["text"] == "They met."
    assert done.stderr == ""


def test_a_folder_as_target_is_refused_before_anything_is_scored(article: Path, tmp_path: Path) -> None:
    code, out, err = run("predict", article, "--out", tmp_path, "--model", "nowhere")
    assert (code, out) == (2, "")
    assert f"{tmp_path} is a folder" in err


def test_an_earlier_result_stays_when_nothing_could_be_read(model_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.jsonl"
    target.write_text("precious\n")
    code, _, _ = run("predict", tmp_path / "typo.txt", "--model", model_folder, "--out", target)
    assert code == 1
    assert target.read_text() == "precious\n"


def test_a_link_as_target_stays_a_link(article: Path, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    code, _, _ = run("predict", article, "--model", model_folder, "--out", tmp_path / "link.jsonl")
    assert code == 0
    assert (tmp_path / "link.jsonl").is_symlink()
    assert len((tmp_path / "real.jsonl").read_text().splitlines()) == 3


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout on this system")
def test_a_pipe_may_be_named_as_output(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("They met.", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "brinkline",
        "predict",
        str(tmp_path / "a.txt"),
        "--model",
        str(model_folder),
    ]
    done = subprocess.run(
        [*command, "--format", "jsonl", "--out", "/dev/stdout"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"] == "They met."


def test_a_pipe_carries_utf_8_whatever_the_system_s_encoding(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "greek.txt").write_text("Οι υπουργοί met.", encoding="utf-8")
    for form in ("jsonl", "csv", "html", "table"):
        command = [sys.executable, "-m", "brinkline", "predict", "greek.txt", "--format", form]
        environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
        done = subprocess.run(
            [*command, "--model", str(model_folder)], capture_output=True, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, done.stderr
        assert form == "table" or "Οι υπουργοί" in done.stdout.decode("utf-8")


def test_terminal_controls_in_an_article_do_not_reach_the_terminal(
    model_folder: Path, tmp_path: Path
) -> None:
    evil = tmp_path / "evil.txt"
    evil.write_text("They \x1b[31mmet\x1b[0m [bold]now[/bold].")
    _, out, _ = run("predict", evil, "--model", model_folder, "--format", "table")
    assert "\x1b" not in out
    assert "[bold]now[/bold]" in out
