"""Reading the rows of a benchmark's file: this package's reader against the packages datasets and pandas.

    python benchmarks/reading_rows.py math_train12k.jsonl.gz

Each reader works in a process of its own, its import included, and `datasets` without a cache from before. Printed is
the processor time, and its ratio to this package's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

READERS = {
    "scorebench": "from pathlib import Path\nfrom scorebench.storage.datasets import read_rows\n"
    "rows = read_rows(Path(file), {})",
    "datasets": "import datasets\n"
    "rows = datasets.load_dataset('json', data_files=file, split='train', cache_dir=cache).to_list()",
    "pandas": "import pandas\nrows = pandas.read_json(file, lines=True).to_dict('records')",
}


def main() -> None:
    """Prints a line a reader."""
    (file,) = sys.argv[1:]
    first = 0.0
    for name, code in READERS.items():
        with tempfile.TemporaryDirectory() as cache:
            whole = f"import time\nfile, cache = {file!r}, {cache!r}\n{code}\nprint(len(rows), time.process_time())"
            done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True)
        if done.returncode:
            print(f"{name:12} cannot be run: {done.stderr.strip().splitlines()[-1]}")
            continue
        rows, seconds = done.stdout.split()
        first = first or float(seconds)
        print(f"{name:12} {int(rows):,} rows  {float(seconds):.2f} s  x {float(seconds) / first:.1f}")


if __name__ == "__main__":
    main()
