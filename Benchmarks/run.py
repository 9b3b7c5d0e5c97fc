#!/usr/bin/env python3
"""End-to-end throughput: gzip'd logs in, alerts out, at several rule counts, beside inflating the same files and nothing else.

    python3 run.py                                  # 1 GB, 40 and 400 rules, median of 3
    python3 run.py --counts 10,100,400,1000 --stateful 20 --out report.md
    python3 run.py --quick                          # about 20 MB, one run each: a smoke test

CPU is user plus system time of the process (wait4), memory its largest resident set. The exit code is 1 when an alert is missing,
doubled or surplus against the ground truth, or when a limit (--max-ratio, --min-rate) is not kept; 2 for usage; 3 without a binary.
"""

import argparse
import glob
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import generate  # noqa: E402
import rules as rulebook  # noqa: E402

TIMEOUT = 1800


class Figures:
    """What one process took: CPU seconds, wall seconds, largest resident set in MB, and its exit code."""

    def __init__(self, cpu, wall, memory, code):
        self.cpu, self.wall, self.memory, self.code = cpu, wall, memory, code


def high_water(pid):
    """The largest resident set so far, in MB. wait4's figure would count this program's own pages, which a child has before exec."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return next((int(line.split()[1]) / 1000 for line in file if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


def measure(command, out_path, error_path):
    """Runs a command to its end and measures it alone (wait4, so that other children do not count)."""
    with open(out_path, "wb") as out, open(error_path, "wb") as err:
        began, memory = time.monotonic(), 0.0
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        while True:
            memory = max(memory, high_water(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > TIMEOUT:
                process.kill()
                _, status, usage = os.wait4(process.pid, 0)
                break
            time.sleep(0.002)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    return Figures(usage.ru_utime + usage.ru_stime, wall, memory, process.returncode)


def alerts_of(path):
    """The number of alerts by rule id; an alert that was merged into another does not count."""
    counts = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                alert = json.loads(line)
                rule = alert["rule_id"]
            except (ValueError, KeyError, TypeError) as error:
                raise SystemExit(f"run.py: line {number} of the output is not an alert ({error}): {line[:200]}") from error
            if not alert.get("merged_into"):
                counts[rule] = counts.get(rule, 0) + 1
    return counts


def differences(found, truth, loaded):
    """What is wrong with the alerts, in words; empty when all is right."""
    expected = {rule: count for rule, count in truth["planted"].items() if rule in loaded}
    wrong = []
    for rule in sorted(expected.keys() | found.keys()):
        if expected.get(rule, 0) != found.get(rule, 0):
            wrong.append(f"rule {rule}: {found.get(rule, 0)} alerts, {expected.get(rule, 0)} planted")
    return wrong, sum(expected.values()), sum(found.values())


def inflate_with_zlib(files):
    """The fallback reference: Python's zlib over the same files. Returns CPU and wall seconds."""
    cpu, wall = time.process_time(), time.monotonic()
    for path in files:
        unpacker = zlib.decompressobj(31)
        with open(path, "rb") as file:
            while chunk := file.read(1 << 18):
                while chunk:
                    unpacker.decompress(chunk, 1 << 20)
                    chunk = unpacker.unconsumed_tail
    return time.process_time() - cpu, time.monotonic() - wall


def reference(binary, files, work):
    """Inflating the files and nothing else: by the product's own library where it offers that, else by zlib."""
    result = measure([binary, "bench", "inflate", *files], os.path.join(work, "inflate.out"), os.path.join(work, "inflate.err"))
    if result.code == 0:
        return "inflate only (vedette bench inflate)", result.cpu, result.wall, result.memory
    cpu, wall = inflate_with_zlib(files)
    return "inflate only (Python zlib, fallback)", cpu, wall, None


def warm(files):
    for path in files:
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}"


class Benchmark:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.data = options.data or os.path.join(work, "data")
        self.truth = self.prepare()
        self.files = sorted(glob.glob(os.path.join(self.data, "*.jsonl.gz")))
        self.problems, self.rows, self.cpu = [], [], {}

    def prepare(self):
        """The data: what lies in --data when it has the wanted size, else made anew."""
        path = os.path.join(self.data, "truth.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                truth = json.load(file)
            if truth["requested_bytes"] == self.options.size and truth["seed"] == self.options.seed:
                return truth
            raise SystemExit(
                f"run.py: {self.data} holds other data ({truth['requested_bytes']} bytes, seed {truth['seed']}); name another folder"
            )
        return generate.generate_data(self.data, self.options.size, self.options.seed, quiet=self.options.quick)

    def replay(self, count):
        """One rule count: the median run by CPU of --repeat runs, each checked against the truth."""
        folder = os.path.join(self.work, f"rules-{count}")
        loaded = set(rulebook.write_rules(folder, count, self.options.stateful))
        command = [self.options.binary, "replay", "--rules", folder, "--format", "jsonl", *self.options.extra, *self.files]
        runs = []
        for turn in range(self.options.repeat):
            out, err = (os.path.join(self.work, f"replay-{count}.{end}") for end in ("out", "err"))
            result = measure(command, out, err)
            if result.code != 0:
                with open(err, encoding="utf-8", errors="replace") as file:
                    text = file.read()[-800:]
                self.problems.append(f"{count} rules: exit code {result.code}: {text.strip()}")
                break
            wrong, expected, found = differences(alerts_of(out), self.truth, loaded)
            if wrong:
                self.problems.append(f"{count} rules, run {turn + 1}: {found} alerts for {expected} planted; " + "; ".join(wrong[:5]))
            runs.append((result, found, expected))
        if not runs:
            return
        runs.sort(key=lambda r: r[0].cpu)
        result, found, expected = runs[len(runs) // 2]
        self.cpu[count] = result.cpu
        name = f"replay, {count} rules" + (f" + {self.options.stateful} stateful" if self.options.stateful else "")
        self.row(name, result.cpu, result.wall, result.memory, f"{found} of {expected}")

    def row(self, name, cpu, wall, memory, alerts):
        raw = self.truth["raw_bytes"] / 1e6
        self.rows.append(
            (name, cpu, wall, raw / max(cpu, 1e-9), raw / max(wall, 1e-9), self.truth["records"] / max(cpu, 1e-9), memory, alerts)
        )

    def run(self):
        warm(self.files)
        references = [reference(self.options.binary, self.files, self.work)]
        for count in self.options.counts:
            self.replay(count)
        references.append(reference(self.options.binary, self.files, self.work))  # before and after: the machine may drift
        name = references[0][0]
        self.inflate = statistics.median(r[1] for r in references)
        self.row(name, self.inflate, statistics.median(r[2] for r in references), references[0][3], "")
        return self.report()

    def ratios(self):
        """CPU of the largest rule count against the smallest, and 400 against 40 where both were run."""
        pairs = [(400, 40)] if {40, 400} <= self.cpu.keys() else []
        low, high = min(self.cpu, default=0), max(self.cpu, default=0)
        if high != low and (high, low) not in pairs:
            pairs.append((high, low))
        return [(a, b, self.cpu[a] / self.cpu[b]) for a, b in pairs]

    def report(self):
        truth = self.truth
        lines = [
            "# Replay throughput",
            "",
            f"{truth['records']:,} records, {truth['raw_bytes'] / 1e6:,.0f} MB raw in {len(self.files)} gzip files "
            f"({truth['gz_bytes'] / 1e6:,.1f} MB, ratio {truth['ratio']}), seed {truth['seed']}; median of {self.options.repeat}; page cache warm; "
            f"MB are 10^6 bytes of raw JSON.",
            f"Machine: {machine()}.",
            "",
            "| Run | CPU s | Wall s | MB per CPU-s | MB/s (wall) | Records per CPU-s | Peak MB | Alerts |",
            "| --- | --: | --: | --: | --: | --: | --: | --: |",
        ]
        for name, cpu, wall, rate, speed, records, memory, alerts in self.rows:
            lines.append(
                f"| {name} | {cpu:.2f} | {wall:.2f} | {rate:,.0f} | {speed:,.0f} | {records:,.0f} | {'' if memory is None else f'{memory:,.0f}'} | {alerts} |"
            )
        lines.append("")
        for a, b, ratio in self.ratios():
            lines.append(f"* CPU({a} rules) / CPU({b} rules) = {ratio:.2f}")
            if self.options.max_ratio and ratio > self.options.max_ratio:
                self.problems.append(f"CPU({a})/CPU({b}) is {ratio:.2f}, the limit is {self.options.max_ratio}")
        for count, cpu in self.cpu.items():
            lines.append(f"* CPU({count} rules) / CPU(inflate only) = {cpu / max(self.inflate, 1e-9):.1f}")
            rate = truth["raw_bytes"] / 1e6 / max(cpu, 1e-9)
            if self.options.min_rate and rate < self.options.min_rate:
                self.problems.append(f"{rate:.0f} MB per CPU-second at {count} rules, the limit is {self.options.min_rate}")
        lines.append(f"* Alerts: {'all as planted' if not self.problems else 'see below'}")
        lines += ["", "## Problems", ""] + [f"* {p}" for p in self.problems] if self.problems else []
        return "\n".join(lines) + "\n"


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.path.join(os.path.dirname(HERE), ".build", "release", "vedette"))
    parser.add_argument("--data", help="folder of the data; made there if it is missing (default: a temporary folder)")
    parser.add_argument("--size", type=generate.bytes_of, default=None, help="raw bytes (default 1GB; 20MB with --quick)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--counts", default="40,400", help="rule counts (default 40,400)")
    parser.add_argument("--stateful", type=int, default=0, help="threshold rules beside the others")
    parser.add_argument("--repeat", type=int, default=None, help="runs of each count (default 3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small and once: for a smoke test")
    parser.add_argument("--out", help="write the report to this file as well")
    parser.add_argument(
        "--max-ratio", type=float, help="fail when the CPU of the largest count is more than this times that of the smallest"
    )
    parser.add_argument("--min-rate", type=float, help="fail below this many MB per CPU-second")
    parser.add_argument("extra", nargs="*", help="after --: further options of vedette replay")
    options = parser.parse_args(arguments)
    options.size = options.size or generate.bytes_of("20MB" if options.quick else "1GB")
    options.repeat = options.repeat or (1 if options.quick else 3)
    try:
        options.counts = [int(c) for c in options.counts.split(",")]
    except ValueError:
        parser.error(f"--counts takes numbers with commas, not {options.counts!r}")
    if not options.counts or min(options.counts) < 1 or options.stateful < 0:
        parser.error("--counts are at least 1, --stateful is at least 0")
    return options


def main(arguments=None):
    options = parse(arguments)
    binary = shutil.which(options.binary) or options.binary
    if not os.access(binary, os.X_OK):
        print(f"run.py: no executable at {binary}; build it first: swift build -c release", file=sys.stderr)
        return 3
    options.binary = os.path.abspath(binary)
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as work:
        benchmark = Benchmark(options, work)
        report = benchmark.run()
    print(report, end="")
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(report)
    for problem in benchmark.problems:
        print(f"run.py: {problem}", file=sys.stderr)
    return 1 if benchmark.problems else 0


if __name__ == "__main__":
    sys.exit(main())
