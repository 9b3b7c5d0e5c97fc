#!/usr/bin/env python3
"""The benchmark: gzip'd logs in, alerts out, at several rule counts; as a replay, as a daemon, and beside other engines.

    python3 run.py                                       # 1 GB; 10, 100, 500 and 3,000 rules; median of 3
    python3 run.py --peers /var/tmp/peers --out REPORT   # also chdb, DuckDB, polars, Tenzir and ripgrep; REPORT.md and REPORT.json
    python3 run.py --latency --soak 30                   # also appended line to alert, and growth of memory
    python3 run.py --quick                               # about 20 MB, one run each: a smoke test

CPU is user plus system time of the process (wait4), memory its largest resident set. The exit code is 1 when an alert is missing,
doubled or surplus against the ground truth, or when a limit (--max-ratio, --min-rate) is not kept; 2 for usage; 3 without a binary.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import generate  # noqa: E402
import measure as measuring  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
import rules as rulebook  # noqa: E402
from measure import alerts_of, differences, machine, measure, median  # noqa: E402, F401

WIDE = (12, 40, 120)  # referenced paths
PAIRS = 7  # of runs on one thread and on all
BUSY_USERS = 6  # users whose every record matches a rule


class Benchmark:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.data = options.data or os.path.join(work, "data")
        self.truth = self.prepare()
        self.files = measuring.data_files(self.data)
        self.vedette = measuring.Vedette(options.binary, work, options.extra)
        self.problems = []
        self.result = {
            "made": time.strftime("%Y-%m-%d"),
            "machine": machine(),
            "load": [round(x, 1) for x in os.getloadavg()],
            "versions": self.versions(),
            "repeat": options.repeat,
            "data": {k: v for k, v in self.truth.items() if k not in ("planted", "files")} | {"files": len(self.files)},
        }

    def versions(self):
        def said(*command):
            try:
                return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip().splitlines()[0]
            except (OSError, IndexError, subprocess.SubprocessError):
                return "?"

        commit = said("git", "-C", os.path.dirname(HERE), "rev-parse", "--short", "HEAD")
        return {"vedette": f"{said(self.options.binary, '--version').removeprefix('vedette ')} ({commit})", "python": sys.version.split()[0]}

    def prepare(self):
        """The data: what lies in --data when it has the wanted size, else made anew."""
        path = os.path.join(self.data, "truth.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                truth = json.load(file)
            if (truth["requested_bytes"], truth["seed"], truth.get("form")) == (self.options.size, self.options.seed, generate.FORM):
                return truth
            raise SystemExit(f"run.py: {self.data} holds other data ({truth['requested_bytes']} bytes, seed {truth['seed']}); name another folder")
        command = [sys.executable, os.path.join(HERE, "generate.py"), "data", "--out", self.data, "--size", str(self.options.size)]
        subprocess.run([*command, "--seed", str(self.options.seed)], check=True, stderr=subprocess.DEVNULL if self.options.quick else None)
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def rules(self, count):
        folder = os.path.join(self.work, f"rules-{count}")
        return folder, set(rulebook.write_rules(folder, count, self.options.stateful))

    def checked(self, what, run, loaded):
        """The figures of a run whose alerts are as planted; what is wrong is noted."""
        result, out, err = run
        if result.code != 0:
            self.problems.append(f"{what}: exit code {result.code}: {measuring.tail(err)}")
            return None
        wrong, expected, found = differences(alerts_of(out), self.truth, loaded)
        if wrong:
            self.problems.append(f"{what}: {found} alerts for {expected} planted; " + "; ".join(wrong[:5]))
        result.alerts, result.planted = found, expected
        return result

    def repeated(self, what, once, loaded):
        """--repeat runs after one that is not counted (it fills the cache of compiled rules)."""
        runs = []
        for _ in range(self.options.repeat + 1):
            result = self.checked(what, once(), loaded)
            if result is None:
                return None
            runs.append(result)
        runs = runs[1:]
        middle = median(runs)
        return middle.raw() | {"alerts": middle.alerts, "planted": middle.planted, "samples": [r.raw() for r in runs]}

    def scaling(self):
        """Replay and daemon at each rule count, and what a start takes."""
        self.result["replay"], self.result["daemon"], self.result["start"] = {}, {}, {}
        for count in self.options.counts:
            folder, loaded = self.rules(count)
            self.result["replay"][count] = self.repeated(
                f"replay, {count} rules", lambda f=folder, c=count: self.vedette.replay(f, self.files, f"replay-{c}", "--counters"), loaded
            )
            rows, survivors = measuring.counters(self.vedette.path(f"replay-{count}.err"))
            if self.result["replay"][count]:
                self.result["replay"][count] |= {"rows": rows, "survivors": survivors}
            self.result["daemon"][count] = self.repeated(
                f"daemon, {count} rules", lambda f=folder, c=count: self.vedette.daemon(f, self.files, f"daemon-{c}"), loaded
            )
            cold, warm = self.vedette.start(folder, warm=False), self.vedette.start(folder, warm=True)
            self.result["start"][count] = {"cold_cpu_s": cold[0], "cold_wall_s": cold[1], "warm_cpu_s": warm[0], "warm_wall_s": warm[1]}
            self.progress(f"{count} rules")

    def stateless(self):
        """Rules that keep no state: what the limit on memory is about."""
        count = min(500, max(self.options.counts))
        folder = os.path.join(self.work, "rules-stateless")
        loaded = set(rulebook.write_rules(folder, count, stateless_clones=True))
        run = self.repeated("stateless", lambda: self.vedette.replay(folder, self.files, "stateless"), loaded)
        self.result["stateless"] = run and run | {"rules": count}

    def busy(self):
        """What rows that survive cost: the same rules with and without some that match a good part of the rows."""
        count = self.options.counts[0]
        folder, loaded = self.rules(count)
        target = os.path.join(self.work, "rules-busy")
        shutil.copytree(folder, target, dirs_exist_ok=True)
        number = rulebook.Busy.write(target, BUSY_USERS)
        run = self.repeated("busy", lambda: self.vedette.replay(target, self.files, "busy", "--counters"), loaded)
        quiet = self.result["replay"][count]
        if not run or not quiet:
            return
        rows, survivors = measuring.counters(self.vedette.path("busy.err"))
        kept, state, evidence = measuring.state(self.vedette.path("busy.err"))
        more = survivors - quiet["survivors"]
        self.result["busy"] = run | {
            "rules": number,
            "rows": rows,
            "survivors": more,
            "share": more / max(1, rows) / len(rulebook.Busy.SUFFIXES),
            "ns_per_survivor": (run["cpu_s"] - quiet["cpu_s"]) * 1e9 / max(1, more),
            # As accounted, of the rows that are kept when the input ends: resident memory differs from run to run by more than this.
            "rows_kept": kept,
            "bytes_per_survivor": state / max(1, kept),
            "evidence_bytes_per_survivor": evidence / max(1, kept),
            "ratio": run["cpu_s"] / quiet["cpu_s"],
        }

    def wide(self):
        """CPU by the number of columns that rules read."""
        known = report.table_columns(["AWSCloudTrail", "AuditLogs", "AzureActivity", "SigninLogs"])
        self.result["paths"] = {}
        for number in WIDE:
            columns, left, names = {}, number, sorted(known, key=lambda t: len(known[t]))
            for i, table in enumerate(names):
                columns[table] = known[table][: left // (len(names) - i)]
                left -= len(columns[table])
            folder = os.path.join(self.work, f"wide-{number}")
            rulebook.write_wide(folder, columns)
            run = self.repeated(f"{number} paths", lambda f=folder: self.vedette.replay(f, self.files, "wide"), set())
            if run:
                self.result["paths"][number] = run | {"referenced": sum(map(len, columns.values()))}

    def cores(self):
        """One thread against all, over the many files and, if asked for, over one large gzip file of the same records."""
        self.result["cores"] = {}
        self.cores_over("files", self.files)
        if self.options.cores:
            large = os.path.join(self.work, "large.jsonl.gz")
            generate.merge(self.data, large)
            os.sync()  # nothing is to be written back while it is read
            measuring.warm([large])
            self.cores_over("file", [large])
            os.remove(large)
        self.progress("cores")

    def cores_over(self, name, files):
        """Pairs of a run on one thread and one on all: what disturbs the machine for a while disturbs both. The gain is the median of theirs."""
        folder, loaded = self.rules(self.options.counts[0])
        ways = {"one": "1", "all": str(os.cpu_count())}
        pairs = []
        for _ in range((1 if self.options.quick else max(PAIRS, self.options.repeat)) + 1):
            pair = {
                way: self.checked(f"{name}, {threads} threads", self.vedette.replay(folder, files, "cores", "--threads", threads), loaded)
                for way, threads in ways.items()
            }
            if None in pair.values():
                return
            pairs.append(pair)
        pairs = pairs[1:]  # the first fills the cache of compiled rules
        start = self.result["start"][self.options.counts[0]]["warm_wall_s"]
        result = {"files": len(files), "pairs": len(pairs)}
        for way in ways:
            runs = [pair[way] for pair in pairs]
            middle = sorted(runs, key=lambda r: r.wall)[len(runs) // 2]
            result[way] = middle.raw() | {"alerts": middle.alerts, "planted": middle.planted, "samples": [r.raw() for r in runs]}
        gains = [pair["one"].wall / pair["all"].wall for pair in pairs]
        result["speed_ups"] = [round(gain, 4) for gain in gains]
        result["speed_up"] = statistics.median(gains)
        result["speed_up_without_start"] = statistics.median((p["one"].wall - start) / (p["all"].wall - start) for p in pairs)
        result["cpu_ratio"] = statistics.median(p["all"].cpu / p["one"].cpu for p in pairs)
        self.result["cores"][name] = result

    def beside(self):
        """Other engines over the same files, in the same run."""
        python = os.path.join(self.options.peers, "bin", "python")
        if not os.path.exists(python):
            subprocess.run([sys.executable, "-m", "venv", self.options.peers], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *peers.ENGINES], check=True)
        listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True).stdout
        known = {p["name"]: p["version"] for p in json.loads(listed)}
        self.result["versions"] |= {engine: known.get(engine, "?") for engine in peers.ENGINES}
        counts = [c for c in self.options.counts if c <= 500]
        self.result["peers"] = {}
        for engine in peers.ENGINES:
            for count in counts:
                self.peer(engine, count, [python, os.path.join(HERE, "peers.py"), engine, str(count), self.data])
        if shutil.which("rg"):
            self.result["versions"]["ripgrep"] = subprocess.run(["rg", "--version"], capture_output=True, text=True).stdout.split()[1]
            literals = os.path.join(self.work, "literals")
            for count in counts:
                peers.write_literals(literals, count)
                self.peer("ripgrep", count, ["rg", "-z", "-i", "-F", "-f", literals, "--no-filename", "--count", *self.files])

    def peer(self, engine, count, command):
        out, err = self.vedette.path("peer.out"), self.vedette.path("peer.err")
        runs = []
        for _ in range(self.options.repeat):
            # Tenzir is started by the script: its children's time counts as well.
            result = measure(command, out, err)
            if result.code != 0:
                self.result["peers"].setdefault(engine, {})[count] = {"failed": measuring.tail(err, 300)}
                return
            runs.append(result)
        with open(out, encoding="utf-8") as file:
            text = file.read()
        if engine == "ripgrep":
            right = sum(int(n) for n in re.findall(r"\d+", text)) == peers.expected_lines(self.truth, count)
        else:
            right = {int(k): v for k, v in json.loads(text.splitlines()[-1]).items()} == peers.expected(self.truth, count)
        middle = median(runs)
        self.result["peers"].setdefault(engine, {})[count] = middle.raw() | {"right": right, "samples": [r.raw() for r in runs]}
        self.progress(f"{engine}, {count} rules: {middle.cpu:.2f} s")

    def alive(self, what, *options):
        """The daemon under load, measured by `daemon.py` in a process of its own."""
        command = [sys.executable, os.path.join(HERE, "daemon.py"), what, "--binary", self.options.binary, *options]
        done = subprocess.run([*command, "--rules", str(min(500, max(self.options.counts)))], capture_output=True, text=True)
        if done.returncode:
            self.problems.append(f"{what}: {done.stderr.strip()[-300:]}")
        if done.stdout:
            self.result[what] = json.loads(done.stdout)
        self.progress(what)

    def progress(self, text):
        if not self.options.quick:
            print(f"run.py: {text}", file=sys.stderr, flush=True)

    def run(self):
        measuring.warm(self.files)
        before = self.vedette.inflate(self.files)
        self.scaling()
        self.stateless()
        self.busy()
        self.wide()
        self.cores()
        if self.options.peers:
            self.beside()
        if self.options.latency:
            self.alive("latency")
        if self.options.soak:
            self.alive("soak", "--minutes", str(self.options.soak))
        after = self.vedette.inflate(self.files)  # before and after: the machine may drift
        self.result["inflate"] = {"name": before[0], "cpu_s": statistics.mean([before[1].cpu, after[1].cpu]), "wall_s": before[1].wall}
        self.limits()
        self.result["problems"] = self.problems
        return report.markdown(self.result)

    def limits(self):
        done = {c: r for c, r in self.result["replay"].items() if r}
        if not done:
            return
        low, high = min(done), max(done)
        ratio = done[high]["cpu_s"] / max(done[low]["cpu_s"], 1e-9)
        if self.options.max_ratio and ratio > self.options.max_ratio:
            self.problems.append(f"CPU({high})/CPU({low}) is {ratio:.2f}, the limit is {self.options.max_ratio}")
        for count, run in done.items():
            rate = self.truth["raw_bytes"] / 1e6 / max(run["cpu_s"], 1e-9)
            if self.options.min_rate and rate < self.options.min_rate:
                self.problems.append(f"{rate:.0f} MB per CPU-second at {count} rules, the limit is {self.options.min_rate}")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=os.path.join(os.path.dirname(HERE), ".build", "release", "vedette"))
    parser.add_argument("--data", help="folder of the data; made there if it is missing (default: a temporary folder)")
    parser.add_argument("--size", type=generate.bytes_of, default=None, help="raw bytes (default 1GB; 20MB with --quick)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--counts", default=None, help="rule counts (default 10,100,500,3000; 10,100 with --quick)")
    parser.add_argument("--stateful", type=int, default=0, help="threshold rules beside the others")
    parser.add_argument("--repeat", type=int, default=None, help="runs of each count (default 3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small and once: for a smoke test")
    parser.add_argument("--peers", metavar="DIR", help="run other engines too; their packages go to a virtual environment in this folder")
    parser.add_argument("--cores", action="store_true", help="one thread against all over one large gzip file too")
    parser.add_argument("--latency", action="store_true", help="measure the time from an appended line to its alert")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="let the daemon run for so long and watch its memory")
    parser.add_argument("--out", help="write the report to OUT.md and everything measured to OUT.json")
    parser.add_argument(
        "--max-ratio", type=float, help="fail when the CPU of the largest count is more than this times that of the smallest"
    )
    parser.add_argument("--min-rate", type=float, help="fail below this many MB per CPU-second")
    parser.add_argument("extra", nargs="*", help="after --: further options of vedette replay")
    options = parser.parse_args(arguments)
    options.size = options.size or generate.bytes_of("20MB" if options.quick else "1GB")
    options.repeat = options.repeat or (1 if options.quick else 3)
    options.counts = options.counts or ("10,100" if options.quick else "10,100,500,3000")
    try:
        options.counts = sorted({int(c) for c in options.counts.split(",")})
    except ValueError:
        parser.error(f"--counts takes numbers with commas, not {options.counts!r}")
    if min(options.counts) < rulebook.PLANTED_RULES or max(options.counts) > 9999 or options.stateful < 0:
        parser.error(f"--counts are from {rulebook.PLANTED_RULES} to 9999, --stateful is at least 0")
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
        text = benchmark.run()
    print(text, end="")
    if options.out:
        stem = options.out.removesuffix(".md")
        with open(stem + ".md", "w", encoding="utf-8") as file:
            file.write(text)
        with open(stem + ".json", "w", encoding="utf-8") as file:
            json.dump(benchmark.result, file, indent=1)
            file.write("\n")
    for problem in benchmark.problems:
        print(f"run.py: {problem}", file=sys.stderr)
    return 1 if benchmark.problems else 0


if __name__ == "__main__":
    sys.exit(main())
