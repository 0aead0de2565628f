"""Invent the admissions that mlops_lab ships for the lesson on fairness: 8,000 people, of whom none exists.

    python tools/admissions.py > mlops_lab/data/admissions.csv

Whether somebody would succeed depends on ability alone, and ability is distributed alike in both groups. But the test
measures people of the evening school lower than they are, so a model that never sees the group treats it worse.
"""

import sys

import numpy as np

SEED, PEOPLE = 17, 8000


def main():
    """Print the table."""
    random = np.random.default_rng(SEED)
    evening = random.random(PEOPLE) < 0.4
    ability = random.normal(0, 1, PEOPLE)
    test = 60 + 12 * (ability - 1.2 * evening + random.normal(0, 0.6, PEOPLE))
    essay = 60 + 12 * (0.6 * ability - 0.48 * evening + random.normal(0, 1, PEOPLE))
    distance = np.exp(1.5 + 0.5 * evening + random.normal(0, 0.6, PEOPLE))
    succeeds = ability + random.normal(0, 0.55, PEOPLE) > 0
    print("test_score,essay_score,distance_km,school,succeeds")
    for row in zip(test, essay, distance, evening, succeeds, strict=True):
        scores = ",".join(f"{np.clip(value, 0, 100):.0f}" for value in row[:2])
        print(f"{scores},{row[2]:.1f},{'evening' if row[3] else 'day'},{int(row[4])}")


if __name__ == "__main__":
    sys.exit(main())
