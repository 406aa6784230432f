#!/usr/bin/env python3
"""Makes the tables of BENCHMARKS.md and benches/plots/*.svg out of what the runs left behind.

benches/plots.py [FOLDER] [--only-tables | --only-goals]: the folder with the runs' results, if it is not where cargo puts them.
Needs Python 3.10 or later; the plots need matplotlib (pip install -r benches/requirements.txt).
"""

import argparse
import os
import sys
from pathlib import Path

from report import goals, runs, tables

BENCHES = Path(__file__).resolve().parent
DOCUMENT = BENCHES.parent / "BENCHMARKS.md"


def default_folder():
    if folder := os.environ.get("RESULTS"):
        return Path(folder)
    return Path(os.environ.get("CARGO_TARGET_DIR", BENCHES / "target")) / "results"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", nargs="?", type=Path, default=default_folder())
    arguments.add_argument("--only-tables", action="store_true", help="for where matplotlib is not")
    arguments.add_argument("--only-goals", action="store_true", help="prints the goals of a short run, and writes nothing")
    arguments.add_argument("--quick-filters", metavar="BENCH", help="prints what a short run measures of a benchmark")
    arguments.add_argument("--document", type=Path, default=DOCUMENT, help=argparse.SUPPRESS)
    arguments.add_argument("--plots", type=Path, default=BENCHES / "plots", help=argparse.SUPPRESS)
    given = arguments.parse_args()

    if given.quick_filters:
        print("\n".join(goals.filters(given.quick_filters)))
        return
    found = runs.Runs(given.folder)
    if not found.rows:
        sys.exit(f"no results in {given.folder}: cargo bench --manifest-path benches/Cargo.toml leaves them there")

    wanted = goals.quick_goals(found) if given.only_goals else goals.all_goals(found)
    cells = [goal.cells() for goal in wanted]
    print(tables.plain(goals.HEADER, cells))
    if given.only_goals:
        return
    goal_table = tables.table(goals.HEADER, cells)
    document = given.document.read_text()
    document = tables.replace(document, "goals", goal_table)
    document = tables.replace(document, "results", tables.all_groups(found))
    document = tables.replace(document, "runs", "\n".join(f"- {run}" for run in runs.told(found.rows)))
    given.document.write_text(document)
    print(f"\n{given.document}")

    if given.only_tables:
        return
    try:
        from report import figures
    except ImportError as error:
        sys.exit(f"no plots: {error}; pip install -r benches/requirements.txt, or --only-tables")
    for path in figures.write_all(found, given.plots):
        print(path)


if __name__ == "__main__":
    main()
