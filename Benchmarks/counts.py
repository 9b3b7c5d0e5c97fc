#!/usr/bin/env python3
"""Instructions and allocations for each event, from gzip'd logs to alerts: counts, which a busy machine does not change.

    python3 Benchmarks/counts.py             # prints the counts beside the committed ones
    python3 Benchmarks/counts.py --check     # the same; exit code 1 if one is more than 5 % off (for CI)
    python3 Benchmarks/counts.py --update    # writes Benchmarks/counts.json: commit it with the change that moved them

Each count is the difference of two runs of `vedette replay`, over a smaller and a larger set of the benchmark's data, so that start-up and
rule loading are not in it. The runs go through valgrind's callgrind, which knows no AVX-512: the AVX2 kernels are counted. Instructions
of system libraries are among them, so other versions of isa-l or Hyperscan give other figures.

It needs a release build, valgrind and objcopy. Exit codes: 0, 1 (out of bounds), 2 (usage), 3 (something is missing).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import generate  # noqa: E402
import rules as rulebook  # noqa: E402

COMMITTED = os.path.join(HERE, "counts.json")
SIZES = (4_000_000, 16_000_000)
RULES = {"40 rules": (40, 0), "500 rules": (500, 0), "500 rules, 20 stateful": (500, 20)}
TOLERANCE = 0.05
ALLOCATORS = {"malloc", "calloc", "realloc", "reallocarray", "posix_memalign", "aligned_alloc", "memalign"}


def missing(text):
    print(f"counts.py: {text}", file=sys.stderr)
    sys.exit(3)


def read_callgrind(path):
    """Instructions, and calls of allocation functions from elsewhere, of one callgrind file."""
    names, instructions, allocations, caller, callee = {}, None, 0, None, None
    line_of = re.compile(r"^(c?fn)=\((\d+)\)(?: (.*))?$")
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if found := line_of.match(line.rstrip("\n")):
                kind, number, name = found.groups()
                if name is not None:
                    names[number] = re.sub(r"('\d+|@.*)$", "", name)
                if kind == "fn":
                    caller = names.get(number)
                else:
                    callee = names.get(number)
            elif line.startswith("calls="):
                # An allocator that calls another of them allocates once.
                if callee in ALLOCATORS and caller not in ALLOCATORS:
                    allocations += int(line[6:].split()[0])
            elif line.startswith(("summary:", "totals:")):
                instructions = int(line.split()[1])
    if instructions is None:
        missing(f"{path} holds no summary")
    return instructions, allocations


def run(binary, rules, files, work):
    out = os.path.join(work, "callgrind.out")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", binary, "replay", "--rules", rules, "--format", "jsonl"]
    environment = os.environ | {"SWIFT_DETERMINISTIC_HASHING": "1"}
    result = subprocess.run([*command, "--threads", "1", *files], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    if result.returncode != 0:
        missing(f"the replay under valgrind failed: {result.stderr.decode(errors='replace')[-500:]}")
    return read_callgrind(out)


def measure(binary, work):
    """Counts by rule set."""
    # valgrind cannot read the debug information of Swift.
    plain = os.path.join(work, "vedette")
    subprocess.run(["objcopy", "--strip-debug", binary, plain], check=True)
    sets = []
    for size in SIZES:
        folder = os.path.join(work, f"data-{size}")
        truth = generate.generate_data(folder, size, quiet=True)
        sets.append((sorted(os.path.join(folder, f["file"]) for f in truth["files"]), truth["records"], truth["raw_bytes"]))
    counts = {}
    for name, (count, stateful) in RULES.items():
        folder = os.path.join(work, name.replace(" ", "-"))
        rulebook.write_rules(folder, count, stateful)
        (small, large) = (run(plain, folder, files, work) for files, _, _ in sets)
        events, raw = sets[1][1] - sets[0][1], sets[1][2] - sets[0][2]
        counts[name] = {
            "instructions_per_event": round((large[0] - small[0]) / events),
            "instructions_per_byte": round((large[0] - small[0]) / raw, 3),
            "allocations_per_event": round((large[1] - small[1]) / events, 3),
        }
    return counts


def compare(counts, committed):
    """The lines to print, and what is out of bounds."""
    lines, wrong = [], []
    for name, figures in counts.items():
        for figure, value in figures.items():
            known = committed.get(name, {}).get(figure)
            if not known:
                lines.append(f"{name}: {figure} {value:,} (none committed)")
                wrong.append(f"{name}: {figure} has no committed count")
                continue
            change = value / known - 1
            lines.append(f"{name}: {figure} {value:,}, committed {known:,} ({change:+.1%})")
            # A few allocations more or less in thousands of events say nothing.
            if abs(change) > TOLERANCE and abs(value - known) > 0.02:
                wrong.append(f"{name}: {figure} changed by {change:+.1%}")
    return lines, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.path.join(os.path.dirname(HERE), ".build", "release", "vedette"))
    parser.add_argument("--check", action="store_true", help="exit code 1 if a count is more than 5 %% off")
    parser.add_argument("--update", action="store_true", help="write counts.json")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        missing(f"{options.binary} is not there: swift build -c release --product vedette")
    for tool in ("valgrind", "objcopy"):
        if not shutil.which(tool):
            missing(f"{tool} is not there: apt-get install valgrind binutils")
    with tempfile.TemporaryDirectory(prefix="vedette-counts-") as work:
        counts = measure(options.binary, work)
    committed = {}
    if os.path.exists(COMMITTED):
        with open(COMMITTED, encoding="utf-8") as file:
            committed = json.load(file)
    lines, wrong = compare(counts, committed)
    print("\n".join(lines))
    if options.update:
        with open(COMMITTED, "w", encoding="utf-8") as file:
            json.dump(counts, file, indent=2)
            file.write("\n")
        print(f"wrote {COMMITTED}")
    elif options.check and wrong:
        print("\n".join(wrong), file=sys.stderr)
        print(
            "counts.py: out of bounds. If the change is meant (or a gain), run `python3 Benchmarks/counts.py --update` and commit "
            "Benchmarks/counts.json with it.",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
