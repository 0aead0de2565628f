"""Speed and memory of `mlops-lab serve` beside what others reach: `make bench`.

    python benchmarks/bench.py                          everything: about an hour, and the peers' environments once
    python benchmarks/bench.py --only echo fastapi      some rows
    python benchmarks/bench.py --quick                  shows that everything runs; its figures are worth little

Load comes from wrk, which must be installed. Both servers run all the time and are driven in turn, five pairs with a
null pair beside them; ratios are medians. Every answer is counted by its status and size, and a hundred of each run
are read and found right. The results are kept in ``--out``; ``python benchmarks/plot.py`` draws them. Exit status 1
where a bar is not reached.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import anatomy
import batches
import footprint
import log_cost
import rates
from results import QUICK, Effort, Result

OUT = Path(__file__).parent / ".results_cache" / "results.json"
ROWS: dict[str, Callable[[Effort], Iterator[Result]]] = {
    "echo": rates.against_echo,
    "fastapi": rates.against_fastapi,
    "bare": rates.against_bare,
    "mlserver": rates.against_quickstart("mlserver"),
    "litserve": rates.against_quickstart("litserve"),
    "bentoml": rates.against_quickstart("bentoml"),
    "batch": batches.batch,
    "testset": batches.test_set,
    "tail": rates.tail,
    "start": footprint.cold_start,
    "versions": footprint.versions,
    "workers": rates.workers,
    "accesslog": rates.access_log,
    "log": log_cost.prediction_log,
    "connections": rates.connections,
    "anatomy": anatomy.anatomy,
}


def keep(path: Path, row: str, results: list[Result], quick: bool) -> None:
    """Put the results of a row into the file, beside those of other rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    known[row] = {"quick": quick, "results": [result.to_dict() for result in results]}
    path.write_text(json.dumps(known, indent=1))


def main() -> None:
    """Measure row after row, print each, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="Measure two pairs of one second.")
    parser.add_argument("--out", type=Path, default=OUT, help=f"Where the results are kept (default: {OUT}).")
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    missed = []
    for row in options.only:
        print(f"{row}:", flush=True)
        results = []
        for result in ROWS[row](effort):
            print(result, flush=True)
            results.append(result)
        keep(options.out, row, results, options.quick)
        missed += [result.measure for result in results if not result.is_met]
    print(f"{len(missed)} not reached" + "".join(f"\n  {measure}" for measure in missed))
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
