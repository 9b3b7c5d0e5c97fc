#!/usr/bin/env python3
"""Makes the sample day: a working day of the fictional tenant contoso.example in native log formats, with an attack planted in it.

    python3 generate.py                          # writes 2026-03-02/ and ground-truth.json beside this file
    python3 generate.py --out DIR --seed 7 --scale 3
    python3 generate.py --out DIR --without nsg-opened
    python3 generate.py --out DIR --only-quiet

The same options give the same bytes (for the same zlib). Only the standard library is used.
"""

import argparse
import json
import os
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from generator.background import background  # noqa: E402
from generator.background_aws import background_aws  # noqa: E402
from generator.core import DAY, Log  # noqa: E402
from generator.lookalikes import lookalikes  # noqa: E402
from generator.output import truth, write  # noqa: E402
from generator.story import story  # noqa: E402


def generate(seed, scale, without=(), quiet=False):
    """The day's records. A step left out takes nothing else with it: everything is made, then the step's records are dropped."""
    log = Log(seed)
    background(log, scale)
    background_aws(log, scale)
    lookalikes(log)
    story(log)
    steps = {s.identifier for s in log.steps}
    unknown = set(without) - steps
    if unknown:
        raise SystemExit(
            f"generate.py: no step named {', '.join(sorted(unknown))}; the steps are: {', '.join(s.identifier for s in log.steps)}"
        )
    dropped = steps if quiet else set(without)
    log.records = [r for r in log.records if r.tag not in dropped]
    return log


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=here, help="folder to write to (default: beside this file); the day's folder in it is replaced")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything that is left to chance (default 1)")
    parser.add_argument("--scale", type=int, default=1, help="multiplies the quiet part; the story stays as it is (default 1)")
    parser.add_argument(
        "--without", action="append", default=[], metavar="STEP", help="leave out one step's records (may be given several times)"
    )
    parser.add_argument("--only-quiet", action="store_true", help="leave out the whole attack")
    options = parser.parse_args(arguments)
    if options.scale < 1:
        parser.error("--scale is at least 1")
    log = generate(options.seed, options.scale, options.without, options.only_quiet)
    day = os.path.join(options.out, f"{DAY:%Y-%m-%d}")
    if os.path.isdir(day):
        shutil.rmtree(day)
    files, size = write(log.records, options.seed, day)
    facts = truth(log, options.seed, options.scale, options.only_quiet, set(options.without))
    with open(os.path.join(options.out, "ground-truth.json"), "w", encoding="utf-8") as out:
        json.dump(facts, out, indent=1, ensure_ascii=False)
        out.write("\n")
    print(
        f"{len(log.records)} records, {files} files, {size / 1e6:.2f} MB compressed, {len(facts['steps'])} steps, {len(facts['benign'])} look-alikes"
    )


if __name__ == "__main__":
    main()
