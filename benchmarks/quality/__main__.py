"""`python -m benchmarks.quality run | table | cell`: run missing cells, write their figures down, or run CI's one cell.

Belongs here: the command line. Does not belong here: any work.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.quality import cell, pooling, report, transfer
from benchmarks.quality.cells import CONTENDERS, main_cells, permuted_cells, run_missing
from benchmarks.quality.store import Store
from benchmarks.quality.tables import TABLES

PARTS = ("main", "permuted", "pooling", "transfer")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 1 when CI's cell is not as it should be, or there is no cell to make a figure of."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the cells whose predictions are not kept yet, one at a time")
    run.add_argument("--part", choices=PARTS, default="main")
    run.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    run.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="main and permuted")
    run.add_argument("--draws", type=int, help="pooling (default: 10) and transfer (default: 20)")
    run.add_argument("--contenders", nargs="+", help=f"main: such as {', '.join(CONTENDERS)}; transfer: its own")
    table = commands.add_parser(
        "table", help=f"print the figures of all kept cells, and write them to {report.FIGURES.name}"
    )
    table.add_argument("--resamples", type=int, default=1000)
    commands.add_parser("cell", help="the small cell that CI runs; needs no AutoGluon")
    given = parser.parse_args(arguments)
    if given.command == "table":
        store = Store()
        if not store.cells():
            print(
                f"There is no cell in {store.folder}: `python -m benchmarks.quality run` makes them.", file=sys.stderr
            )
            return 1
        lines = []
        for line in report.lines(store, given.resamples):
            print(line, flush=True)
            lines.append(line)
        report.FIGURES.write_text("\n".join(lines).rstrip("\n") + "\n")
        return 0
    if given.command == "cell":
        found = cell.figures()
        for name, figures in found.items():
            print(name, *(f"{figure} {value:.4f}" for figure, value in figures.items()))
        wrong = cell.complaints(found)
        print(*wrong, sep="\n", file=sys.stderr)
        return 1 if wrong else 0
    parts = {
        "main": lambda: main_cells(given.tables, given.seeds, given.contenders or CONTENDERS),
        "permuted": lambda: permuted_cells(given.tables, given.seeds),
        "pooling": lambda: pooling.cells(range(given.draws or 10)),
        "transfer": lambda: transfer.cells(range(given.draws or 20), given.contenders or transfer.CONTENDERS),
    }
    run_missing(parts[given.part](), Store(), lambda sentence: print(sentence, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
