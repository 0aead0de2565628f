"""What grading costs: the figures of docs/grade.md.

    python benchmarks/grading.py                    500 copies of the ONNX reference, and one with Keras
    python benchmarks/grading.py --copies 20        fewer

Each copy is graded for serve-1 to serve-3, as a class on all cores: one start of the server for each.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlops_lab.grade.classroom import grade_class
from mlops_lab.grade.rubric.images import MATERIAL
from mlops_lab.grade.runner import Grading, grade_submission

ONLY = ("serve-1", "serve-2", "serve-3")
REFERENCE = (MATERIAL / "api.txt").read_text(encoding="utf-8")
ONNX = "session = onnxruntime.InferenceSession("


def submission(folder):
    """Write the ONNX reference into a folder."""
    (folder / "models").mkdir(parents=True)
    (folder / "api.py").write_text(REFERENCE, encoding="utf-8")
    (folder / "models" / "clothes.onnx").write_bytes((MATERIAL / "clothes.onnx").read_bytes())
    return folder


def with_keras(folder):
    """Write the same with Keras, as most students load the model."""
    start = REFERENCE.index("options = ") if "options = " in REFERENCE else REFERENCE.index(ONNX)
    end = REFERENCE.index("\n\n", start)
    text = REFERENCE[:start] + 'model = keras.saving.load_model("models/clothes.keras")' + REFERENCE[end:]
    text = text.replace("import onnxruntime", "import keras")
    place = text.index("    row = session")
    line_end = text.index("\n", place)
    row = "    row = model(pixels.reshape(1, 28, 28, 1) / 255).numpy()[0]"
    folder.mkdir(parents=True)
    (folder / "api.py").write_text(text[:place] + row + text[line_end:], encoding="utf-8")
    return folder


def import_seconds(rounds=7):
    """Return the median time of importing mlops_lab.grade in a new interpreter, without the interpreter's own."""
    code = "import time; t = time.perf_counter(); import mlops_lab.grade; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    return statistics.median(
        float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(rounds)
    )


def one(folder, name):
    """Grade one submission, and print the time of its checks and of everything."""
    report = grade_submission(folder, Grading(only=ONLY))
    checks = sum(check.seconds for result in report.results for check in result.leaves())
    print(f"one submission with {name}: {report.score:g} of {report.max_score:g} points, checks {checks:.1f} s "
          f"(HTTP and images), with start and end {report.seconds:.1f} s")  # fmt: skip


def many(copies, folder):
    """Grade a class of copies, and print the time."""
    for number in range(copies):
        submission(folder / "class" / f"{number:03}")
    started = time.monotonic()
    reports = grade_class(folder / "class", folder / "reports", Grading(only=ONLY))
    seconds = time.monotonic() - started
    full = sum(report.score == report.max_score for report in reports)
    print(f"{copies} copies of the ONNX reference: {seconds:.0f} s, {seconds / copies:.2f} s each; {full} are full "
          f"(500: {500 * seconds / copies / 60:.1f} minutes; to reach: 10)")  # fmt: skip


def main():
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=500)
    options = parser.parse_args()
    print(f"import mlops_lab.grade: {import_seconds():.3f} s (to reach: 0.1)")
    with tempfile.TemporaryDirectory() as folder:
        one(submission(Path(folder, "onnx")), "ONNX")
        one(with_keras(Path(folder, "keras")), "Keras")
        many(options.copies, Path(folder))


if __name__ == "__main__":
    main()
