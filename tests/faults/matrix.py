"""Two real processes, a guest, something that goes wrong, and what must hold afterwards.

  matrix.py              the short part (CI)
  matrix.py --all        every cell, once
  matrix.py --runs N     N cells, drawn from all of them
  matrix.py --only TEXT  the cells whose line has TEXT in it

Prints one line for each cell: who runs the guest, the status and the error of each side. A witness that asks the guest
itself looks on in each (tests/support/run_witness.py). Exit status 1 if something is not as it must be.
"""
import argparse
import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")
sys.path.insert(0, SUPPORT)
import shortages
from broken_wire import BrokenWire
from cells import all_cells, short_cells


def choose(options):
    is_short = not (options.all or options.runs or options.only)
    cells = short_cells() if is_short else all_cells()
    cells = shortages.all_cells() + cells
    if options.only:
        cells = [c for c in cells if options.only in " ".join(str(c).split())]
    if options.runs:
        cells = random.Random(options.seed).choices(cells, k=options.runs)
    return cells


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--only")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not (os.geteuid() == 0 or os.access("/dev/userfaultfd", os.R_OK | os.W_OK)):
        print("SKIP: userfaultfd is not permitted")
        return 77
    cells = choose(options)
    keys = tempfile.mkdtemp(prefix="godwit-keys-")
    if shutil.which("certtool"):
        subprocess.run([os.path.join(SUPPORT, "make_certificates.sh"), keys], check=True)
    else:
        print("SKIP: certtool is missing, cells with TLS are left out")
        cells = [c for c in cells if not getattr(c, "tls", False)]
    start, failed, skipped = time.monotonic(), 0, 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = [shortages.attempt(c) if isinstance(c, shortages.Cell) else BrokenWire(c, keys) for c in cells]
        for done in concurrent.futures.as_completed([pool.submit(each.run) for each in work]):
            attempt = done.result()
            failed += bool(attempt.problems)
            skipped += attempt.result.startswith("SKIP")
            print(attempt.line(), flush=True)
    shutil.rmtree(keys, True)
    print("%d cells in %.0f s, %d failed, %d skipped" % (len(cells), time.monotonic() - start, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    if shortages.needs_own_mounts():
        shortages.enter_own_mounts()
    sys.exit(main())
