"""Runs a command and writes what it took: `launched.py FILE PROGRAM ARGUMENT…`.

A process of its own, and a small one: Linux counts the memory of who starts a program as the
program's own.
"""

import json
import os
import sys
import time
from pathlib import Path

file, program, *arguments = sys.argv[1:]
started = time.perf_counter()
pid = os.posix_spawnp(program, [program, *arguments], os.environ)
_, status, usage = os.wait4(pid, 0)
run = {
    "seconds": time.perf_counter() - started,
    "cpu": usage.ru_utime + usage.ru_stime,
    "megabytes": usage.ru_maxrss / 1024,
}
Path(file).write_text(json.dumps(run))
sys.exit(os.waitstatus_to_exitcode(status))
