"""Damage media files at random and read them: frames or an error that names the file must come of it, nothing else.

python experiments/fuzz/run.py           # 2,000 files; appends a line to results.jsonl
python experiments/fuzz/run.py 500 7     # 500 files, seed 7
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo.runs.provenance import find_commit
from zoo.testing.fuzz import fuzz

HERE = Path(__file__).parent
COUNT = 2000


def study(count: int, seed: int) -> dict[str, object]:
    """Read ``count`` damaged files; returns their number by kind of file, and what went wrong."""
    kinds: Counter[str] = Counter()
    wrong = []
    with TemporaryDirectory() as folder:
        for name, number, problem in fuzz(Path(folder), count, seed):
            kinds[name] += 1
            if problem:
                wrong.append({"file": name, "number": number, "problem": problem})
    return {"files": count, "seed": seed, "by_kind": dict(kinds), "wrong": wrong}


def main(arguments: list[str]) -> None:
    """Run the study; append a line to results.jsonl and print it."""
    count, seed = (int(word) for word in (*arguments, *(str(COUNT), "0")[len(arguments) :]))
    command = f"python experiments/fuzz/run.py {count} {seed}"
    line = json.dumps(study(count, seed) | {"command": command, "commit": find_commit()})
    with (HERE / "results.jsonl").open("a") as out:
        out.write(line + "\n")
    print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
