"""Runs the program that the file `program` names, and notes what it took in $BENCH_NOTES.

What the engine is timed with has the engine and its plugins in it; these figures are the program's.
"""

import atexit
import json
import os
import resource
import runpy
import sys
from pathlib import Path

program = Path(Path(__file__).with_name("program").read_text())


@atexit.register
def note() -> None:
    """A line: seconds of processors, and megabytes at the peak."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    line = {"cpu": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024}
    with Path(os.environ.get("BENCH_NOTES", os.devnull)).open("a") as notes:
        notes.write(json.dumps(line) + "\n")


sys.path.insert(0, str(program.parent))
runpy.run_path(str(program), run_name="__main__")
