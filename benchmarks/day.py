"""Two days in production with LeNet-5: the story must be told whole. Ends with 1 where it is not.

python benchmarks/day.py [--fast] [--times 1]
"""

from __future__ import annotations

import argparse
import sys

from mlops_lab import pipeline

STORY = ["promoted", "shift", "labels asked", "retrained", "canary", "promoted", "broken camera", "camera repaired"]


def main() -> None:
    """Simulate the days, and print what happened in each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="digits and a small network")
    parser.add_argument("--times", type=int, default=1, help="each with other customers")
    options = parser.parse_args()
    broken = 0
    for seed in range(options.times):
        day = pipeline.day(fast=options.fast, seed=seed)
        print(f"{day}\n", flush=True)
        kept = [event.kind for event in day.events] == STORY and day.failed == 0 and day.versions == (1, 2)
        broken += not kept
    print(f"{options.times - broken} of {options.times} stories were told whole")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
