#!/usr/bin/env python3
"""Runs the integration tests, two files at a time, and prints how long each took.

    run.py [-j N] [-v] [FILE ...]     FILE: test_imap_commands, test_imap_commands.Login, ...
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def run(name):
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "unittest", "-v", name], cwd=HERE, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    return name, time.monotonic() - begin, done.returncode, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-j", type=int, default=2, metavar="N", help="files at a time (default 2)")
    parser.add_argument("-v", action="store_true", help="show the output of files that pass too")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    import harness
    if not os.access(harness.BINARY, os.X_OK):
        print(f"no program at {harness.BINARY}: build it, or set APUS_BINARY", file=sys.stderr)
        return 2
    names = [name.removesuffix(".py").removeprefix("Tests/Integration/") for name in options.files] or sorted(
        path.stem for path in HERE.glob("test_*.py"))
    bad = []
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        for job in concurrent.futures.as_completed([pool.submit(run, name) for name in names]):
            name, seconds, status, output = job.result()
            last = [line for line in output.splitlines() if line.strip()][-1:] or ["(no output)"]
            count = next((line for line in reversed(output.splitlines()) if line.startswith("Ran ")), "Ran nothing")
            print(f"{'ok    ' if status == 0 else 'FAILED'}  {name:24} {seconds:7.1f} s   "
                  f"{count.split(' in ')[0][4:]:>10}  {last[0]}", flush=True)
            for line in output.splitlines():
                if skipped := re.search(r"\.\.\. skipped (.*)", line):
                    print(f"        skipped: {line.split()[0]}: {skipped[1]}", flush=True)
                if measured := re.search(r"measured: .*", line):
                    print(f"        {measured[0]}", flush=True)
            if status != 0:
                bad.append((name, output))
            if options.v:
                print(output, flush=True)
    # Last, where whoever reads only the end of it finds them.
    for name, output in bad:
        print(f"\n--- {name}\n{output[max(output.find('=' * 70), 0):]}")
    if bad:
        print("failed: " + ", ".join(name for name, _ in bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
