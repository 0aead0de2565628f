"""Every part of the course text is taught where its table says, in words that a reader would search for."""

import re
from pathlib import Path

import pytest

from mlops_lab.course.sources import read

ROOT = Path(__file__).parents[2]
# What the course text has; the notebook that teaches it; words that stand there.
TAUGHT = [
    ("the life cycle", "01_data", r"life cycle.*Open the stages"),
    ("DevOps and its history", "01_data", r"2009.*DevOpsDays"),
    ("what DevOps automates", "01_data", r"\*\*build\*\*.*\*\*test\*\*.*\*\*integrate\*\*.*\*\*deploy\*\*"),
    ("data collection and preparation", "01_data", r"## 2\. .*## 3\. .*## 4\. .*## 5\. .*## 6\. "),
    ("normalising", "01_data", r"between 0 and 1"),
    ("training", "02_train", r"LeNet-5"),
    ("search over models and settings", "02_train", r"## 5\. Search"),
    ("LeNet-5, its code", "02_train", r"Conv2D\(6, 5, activation=\"relu\"\)"),
    ("one-hot", "02_train", r"def one_hot"),
    ("compile and fit", "02_train", r"\.compile\(.*\.fit\("),
    ("reading the log", "02_train", r"read the log"),
    ("validation_split", "02_train", r"validation_split=0\.2, epochs=2, batch_size=128, verbose=2"),
    ("model.save and .keras", "03_store", r"model\.save\(path\)"),
    ("a zip archive of some 550 KB", "03_store", r"zip archive"),
    ("format v3", "03_store", r"format `v3`"),
    ("restart, load, evaluate", "03_store", r"Kernel → Restart.*load_model"),
    ("the same preparation after loading", "03_store", r"not your preparation"),
    ("pickle for scikit-learn, why not for TensorFlow", "03_store", r"scikit-learn\?.*`pickle`.*TensorFlow model"),
    ("the warning about versions", "03_store", r"save and load with the same versions"),
    ("133280", "03_store", r"133,280 or 44,426"),
    ("versioning", "03_store", r"versions side by side"),
    ("inference server, GET", "04_serve", r"/models/clothes/v1"),
    ("the five duties", "04_serve", r"(?i)five duties"),
    ("framework agnostic", "04_serve", r"(?i)scikit-learn.*framework agnostic"),
    ("gRPC", "04_serve", r"gRPC"),
    ("language agnostic", "04_serve", r"curl"),
    ("scalability, several instances", "04_serve", r"(?i)instances"),
    ("plug-and-play and chaining", "04_serve", r"(?i)chain"),
    ("app.run(debug=True)", "04_serve", r"debug=True"),
    ("accuracy, precision, recall, F1", "05_validate", r"(?i)precision.*F1"),
    ("tests of important and edge cases", "05_validate", r"(?i)invarian"),
    ("fairness and bias, the representative hold-out", "05_validate", r"(?i)hold-?out"),
    ("integration and acceptance tests", "05_validate", r"(?i)integration.*acceptance"),
    ("performance and load tests", "05_validate", r"(?i)load"),
    ("pre-production and production", "06_deploy", r"(?i)production"),
    ("Docker", "06_deploy", r"Dockerfile"),
    ("Compose", "06_deploy", r"compose\.yaml"),
    ("Kubernetes", "06_deploy", r"Kubernetes"),
    ("a simple script", "06_deploy", r"run\.py"),
    ("TensorFlow Serving", "06_deploy", r"TensorFlow Serving"),
    ("0.0.0.0", "06_deploy", r"0\.0\.0\.0"),
    ("monitoring, collecting samples", "07_monitor", r"(?i)recorder"),
    ("drift", "07_monitor", r"(?i)drift"),
    ("masks", "07_monitor", r"(?i)mask"),
    ("new words", "07_monitor", r"(?i)new words"),
    ("the three aims: a whole life", "08_grade", r"(?i)capstone"),
]
EXIST = {path.stem: path for path in sorted((ROOT / "notebooks" / "src").glob("*.py"))}
ROWS = [row for row in TAUGHT if row[1] in EXIST]


@pytest.mark.parametrize(("what", "where", "words"), ROWS, ids=[f"{where}: {what}" for what, where, _ in ROWS])
def test_it_is_taught_there(what, where, words):
    text = "\n".join(cell.text for cell in read(EXIST[where]))
    assert re.search(words, text, re.DOTALL), f"{where} says nothing of {what}"


@pytest.mark.parametrize("name", EXIST)
def test_the_life_cycle_is_drawn_first(name):
    first = next(cell for cell in read(EXIST[name]) if cell.kind == "code")
    assert f'course.lifecycle("{name.partition("_")[2]}")' in first.text


@pytest.mark.parametrize("name", EXIST)
def test_commands_in_the_text_exist(name):
    """A line after ``$ mlops-lab`` names a command, and options that it has."""
    from mlops_lab.cli import commands

    lines = re.findall(r"\$ mlops-lab (.+?)(?:  +#.*)?$", "\n".join(c.text for c in read(EXIST[name])), re.MULTILINE)
    for line in lines:
        words, command = line.split(), commands
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if re.fullmatch(r"--[a-z-]+", word)} <= options, line
