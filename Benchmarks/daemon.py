#!/usr/bin/env python3
"""The daemon under load: how long a line takes to become an alert, and whether memory grows.

    python3 daemon.py latency                        # finds the highest rate, then appends at half of it for 30 s
    python3 daemon.py latency --rate 100 --seconds 60
    python3 daemon.py soak --minutes 30              # event time runs 60 times as fast as the clock
    python3 daemon.py noise                          # a replay in which 1 % of the records match, against a quiet one

Everything is made here: records from the generator's templates, rules from its clones. The daemon runs with a state directory of its
own, checkpoints on, alerts to a file. The exit code is 1 when an alert is missing or a limit (--max-p50, --max-p99, --max-growth,
--max-ratio) is not kept; 2 for usage; 3 without a binary.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import generate  # noqa: E402
import rules as rulebook  # noqa: E402
import run as throughput  # noqa: E402

BLOCK = 2_000_000  # raw bytes of one prepared block, about
BLOCKS = 12
IDENTIFIERS = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def gzip_member(data, level=6):
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


class Records:
    """Quiet records of all four kinds, in the shares of the generator, and records that match a rule."""

    def __init__(self, seed=1):
        self.templates = generate.load_templates()
        self.users, self.addresses = generate.pools(seed)
        self.dice = random.Random(f"{seed}/daemon")
        self.kinds, self.weights = zip(*generate.KINDS.items())

    def quiet(self, kind, ticks):
        form = self.templates[kind][int(self.dice.random() * len(self.templates[kind]))]
        return generate.fill(form, ticks, self.dice, self.users, self.addresses)

    def lines(self, size, start, span):
        """About `size` bytes of quiet lines with times in [start, start + span) ticks, ascending."""
        made, total = [], 0
        while total < size:
            kind = self.dice.choices(self.kinds, self.weights)[0]
            line = self.quiet(kind, start + span * total // size)
            made.append(line)
            total += len(line) + 1
        return made

    def matching(self, rule, ticks, tail):
        """A line that raises one alert of the rule, and the identifier that its entity has."""
        record = rule.plant(json.loads(self.quiet(rule.kind, ticks)), tail)
        return generate.encode(record), rulebook.rule_id(f"planted {tail}")


class Daemon:
    """`vedette run` over a folder of files, with its memory and its alerts."""

    def __init__(self, options, work, rules, *extra):
        self.folder, self.alerts = os.path.join(work, "logs"), os.path.join(work, "alerts.jsonl")
        self.binary, self.state = options.binary, os.path.join(work, "state")
        os.makedirs(self.folder, exist_ok=True)
        self.errors = open(os.path.join(work, "daemon.err"), "w+b")
        command = [options.binary, "run", "--rules", rules, "--inputs", os.path.join(self.folder, "*.gz")]
        command += ["--state-dir", self.state, "--start-at", "beginning", "--outputs", f"file:{self.alerts}"]
        command += ["--dead-letter-path", os.path.join(work, "dead.jsonl"), "--log-level", "warning", *extra]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.errors, stdin=subprocess.DEVNULL)

    def check(self):
        """Ends the benchmark if the daemon has ended."""
        if self.process.poll() is None:
            return
        self.errors.seek(0)
        raise SystemExit(f"daemon.py: the daemon ended with {self.process.returncode}: {self.errors.read()[-800:].decode(errors='replace')}")

    def resident(self):
        """MB of memory resident now."""
        return self.memory()[0]

    def memory(self):
        """MB of memory resident now: all of it, and what no file backs (heap, stacks). The rest is pages of the program and its libraries."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            values = dict(line.split()[:2] for line in file if line.startswith(("VmRSS:", "RssAnon:")))
        return int(values["VmRSS:"]) / 1000, int(values["RssAnon:"]) / 1000

    def status(self):
        """What `vedette status` knows; nothing before the first checkpoint."""
        command = [self.binary, "status", "--state-dir", self.state, "--format", "json"]
        done = subprocess.run(command, capture_output=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def cpu(self):
        """User and system seconds so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.errors.close()


class Sink:
    """Follows the alert file and notes when the line of each alert was complete. Looks twice a millisecond."""

    def __init__(self, path):
        self.path, self.seen, self.stopped = path, {}, threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        rest = b""
        while not os.path.exists(self.path):
            if self.stopped.wait(0.0005):
                return
        with open(self.path, "rb") as file:
            while True:
                data = file.read()
                if data:
                    now = time.monotonic()
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        for identifier in IDENTIFIERS.findall(line):
                            self.seen.setdefault(identifier.decode(), now)
                elif self.stopped.wait(0.0005):
                    return

    def stop(self):
        self.stopped.set()
        self.thread.join()


class Feeder:
    """Appends gzip members to files of its own, begins a new one when one is large, and removes the oldest."""

    def __init__(self, folder, file_bytes=64_000_000, keep=4):
        self.folder, self.file_bytes, self.keep = folder, file_bytes, keep
        self.number, self.size, self.file = 0, 0, None

    def path(self, number):
        return os.path.join(self.folder, f"feed-{number:06d}.jsonl.gz")

    def append(self, member):
        if self.file is None or self.size > self.file_bytes:
            self.close()
            self.file, self.size = open(self.path(self.number), "ab", buffering=0), 0
            if self.number >= self.keep:
                os.remove(self.path(self.number - self.keep))
            self.number += 1
        self.file.write(member)
        self.size += len(member)

    def close(self):
        if self.file:
            self.file.close()


def blocks(records, count, span):
    """Blocks of quiet lines, all within the first `span` seconds of the day."""
    return [("\n".join(records.lines(BLOCK, generate.DAY_TICKS, span * generate.TICKS)) + "\n").encode() for _ in range(count)]


def highest_rate(options, members, rules, work):
    """MB of raw JSON a second that the daemon reads when all of it is there already; state and checkpoints as always."""
    folder = os.path.join(work, "calibrate")
    os.makedirs(os.path.join(folder, "logs"))
    times = max(1, round(options.calibrate * 1e6 / sum(size for size, _ in members)))
    for part in range(4):
        with open(os.path.join(folder, "logs", f"part-{part}.jsonl.gz"), "wb") as file:
            for _ in range(times):
                for _, member in members[part::4]:
                    file.write(member)
    began = time.monotonic()
    daemon = Daemon(options, folder, rules, "--exit-when-idle")
    if daemon.process.wait() != 0:
        daemon.check()
    wall = time.monotonic() - began
    daemon.stop()
    shutil.rmtree(folder)
    return times * sum(size for size, _ in members) / 1e6 / wall


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latency(options, work):
    """One matching line every --every seconds beside quiet ones at half of the highest rate: append to alert, in ms."""
    records = Records()
    rules = os.path.join(work, "rules")
    rulebook.write_rules(rules, options.rules, options.stateful)
    members = [(len(data), gzip_member(data)) for data in blocks(records, BLOCKS, 60)]
    best = highest_rate(options, members, rules, work)
    rate = options.rate or best / 2
    print(f"highest rate {best:,.0f} MB/s; feeding {rate:,.0f} MB/s for {options.seconds} s, {options.rules} rules", file=sys.stderr)
    planted = rulebook.single(options.rules)
    probes = []
    for i in range(int(options.seconds / options.every)):
        line, identifier = records.matching(planted[i % len(planted)], generate.DAY_TICKS + 30 * generate.TICKS, f"probe {i}")
        probes.append((gzip_member((line + "\n").encode()), identifier))
    daemon = Daemon(options, work, rules)
    sink, load = Sink(daemon.alerts), Feeder(daemon.folder)
    sent = {}
    with open(os.path.join(daemon.folder, "probes.jsonl.gz"), "ab", buffering=0) as single:
        try:
            load.append(members[0][1])
            time.sleep(1)  # until it watches
            began = time.monotonic()
            fed = turn = 0
            while (elapsed := time.monotonic() - began) < options.seconds:
                daemon.check()
                while fed < rate * 1e6 * elapsed:
                    size, member = members[turn % len(members)]
                    load.append(member)
                    fed, turn = fed + size, turn + 1
                if len(sent) < len(probes) and elapsed >= len(sent) * options.every:
                    member, identifier = probes[len(sent)]
                    sent[identifier] = time.monotonic()
                    single.write(member)
                time.sleep(0.001)
            limit = time.monotonic() + 30
            while time.monotonic() < limit and sent.keys() - sink.seen.keys():
                time.sleep(0.05)
            cpu, memory = daemon.cpu(), daemon.resident()
        finally:
            daemon.stop()
            sink.stop()
            load.close()
    waits = [(sink.seen[i] - t) * 1000 for i, t in sent.items() if i in sink.seen]
    missing = len(sent) - len(waits)
    problems = [f"{missing} of {len(sent)} alerts did not come"] if missing else []
    p50, p99 = (percentile(waits, share) if waits else float("inf") for share in (0.5, 0.99))
    for name, value, most in (("p50", p50, options.max_p50), ("p99", p99, options.max_p99)):
        if most is not None and value > most:
            problems.append(f"{name} is {value:.0f} ms, the limit is {most:.0f}")
    report = {
        "rules": options.rules,
        "highest_rate_mb_s": round(best, 1),
        "fed_mb_s": round(fed / 1e6 / options.seconds, 1),
        "seconds": options.seconds,
        "alerts": len(waits),
        "missing": missing,
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(max(waits, default=float("inf")), 1),
        "cpu_seconds": round(cpu, 2),
        "memory_mb": round(memory, 1),
    }
    return report, problems


def slope(samples):
    """Least squares over (seconds, value): how much the value grows in an hour."""
    times, values = zip(*samples)
    middle, mean = statistics.fmean(times), statistics.fmean(values)
    spread = sum((t - middle) ** 2 for t in times)
    return 3600 * sum((t - middle) * (v - mean) for t, v in samples) / spread if spread else 0.0


def growth(samples):
    """Of (seconds, MB): medians of the second and the last quarter, growth between them in percent, MB an hour over the second half, and
    what that comes to over the second half, in percent of its mean."""
    quarter, half = max(1, len(samples) // 4), samples[len(samples) // 2 :]
    early, late = (statistics.median(v for _, v in part) for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
    hourly = slope(half)
    drift = 100 * hourly * (half[-1][0] - half[0][0]) / 3600 / statistics.fmean(v for _, v in half)
    return {
        "second_quarter_mb": round(early, 2),
        "last_quarter_mb": round(late, 2),
        "peak_mb": round(max(v for _, v in samples), 1),
        "growth_percent": round(100 * (late / early - 1), 2),
        "slope_mb_per_hour": round(hourly, 2),
        "second_half_percent": round(drift, 2),
    }


def kept(status):
    """What the daemon says that it holds, in MB: the rules' windows and groups, raw records for evidence, the matcher's memos, the heap in use."""
    rules, memory = status.get("rules", []), status.get("memory", {})
    bytes_of = {
        "state": sum(r["state_bytes"] for r in rules),
        "evidence": sum(r["evidence_bytes"] for r in rules),
        "memos": memory.get("memo_bytes", 0),
        "allocated": memory.get("allocated_bytes", 0),
    }
    return {name: round(n / 1e6, 2) for name, n in bytes_of.items()}


def soak(options, work):
    """Quiet and matching records whose time runs --speed times as fast as the clock; resident memory each second."""
    records = Records()
    rules = os.path.join(work, "rules")
    rulebook.write_rules(rules, options.rules, options.stateful)
    stock = blocks(records, BLOCKS, 60)
    old = generate.iso0(generate.DAY_TICKS)[:16].encode()  # the minute that all blocks lie in: the next one takes its place
    dice = random.Random(7)
    daemon = Daemon(options, work, rules, "--retention-alerts", "1h", "--retention-evidence", "1h")
    load = Feeder(daemon.folder, file_bytes=4_000_000, keep=3)
    resident, anonymous, held, number = [], [], [], 0
    try:
        began = time.monotonic()
        minute = -1
        while (elapsed := time.monotonic() - began) < options.minutes * 60:
            daemon.check()
            # A minute that is late is made up for: with some left out, the rules' windows would hold less for a while.
            if minute < int(elapsed * options.speed / 60):
                minute += 1
                ticks = generate.DAY_TICKS + minute * 60 * generate.TICKS
                lines = []
                for _ in range(options.alerts):
                    rule = dice.choice(rulebook.single(options.rules))
                    lines.append(records.matching(rule, ticks + dice.randrange(60) * generate.TICKS, f"soak {number}")[0])
                    number += 1
                if options.stateful:
                    rule, address = rulebook.burst(dice, f"soak-{minute}")
                    for user in range(rulebook.BURST_USERS):
                        extra = json.loads(records.quiet("signin", ticks + user * generate.TICKS))
                        lines.append(generate.encode(rule.plant(extra, address, user)))
                data = stock[minute % len(stock)].replace(old, generate.iso0(ticks)[:16].encode())
                load.append(gzip_member(data + ("\n".join(lines) + "\n").encode(), 1))
            if len(resident) <= elapsed:
                everything, own = daemon.memory()
                resident.append((elapsed, everything))
                anonymous.append((elapsed, own))
            if len(held) < int(elapsed / 60):
                held.append(kept(daemon.status()))
            if minute >= int(elapsed * options.speed / 60):
                time.sleep(0.01)
        cpu = daemon.cpu()
    finally:
        daemon.stop()
        load.close()
    with open(daemon.alerts, "rb") as file:
        alerts = sum(1 for _ in file)
    figures = {"resident": growth(resident), "anonymous": growth(anonymous)}
    problems = []
    for name, f in figures.items():
        worst = max(f["growth_percent"], f["second_half_percent"])
        if options.max_growth is not None and worst > options.max_growth:
            problems.append(f"{name} memory grew by {worst} % (quarters: {f['growth_percent']} %), more than {options.max_growth} %")
    if alerts < number:
        problems.append(f"{alerts} lines of alerts for {number} matching records")
    report = {
        "minutes": options.minutes,
        "event_hours": round(minute / 60, 1),
        "raw_mb": round(minute * BLOCK / 1e6),
        "rules": options.rules,
        "stateful": options.stateful,
        "alert_lines": alerts,
        "memory_second_quarter_mb": figures["resident"]["second_quarter_mb"],
        "memory_last_quarter_mb": figures["resident"]["last_quarter_mb"],
        "growth_percent": figures["resident"]["growth_percent"],
        "anonymous_growth_percent": figures["anonymous"]["growth_percent"],
        "anonymous_slope_mb_per_hour": figures["anonymous"]["slope_mb_per_hour"],
        **figures,
        "cpu_seconds": round(cpu, 1),
        "resident_by_minute_mb": [round(m, 1) for _, m in resident[::60]],
        "anonymous_by_minute_mb": [round(m, 1) for _, m in anonymous[::60]],
        "held_by_minute_mb": {name: [h[name] for h in held] for name in kept({})},
    }
    return report, problems


def noise(options, work):
    """CPU of a replay in which --share of the records match some rule, against the same without them (all lines the same length)."""
    records = Records()
    rules = os.path.join(work, "rules")
    rulebook.write_rules(rules, options.rules, options.stateful)
    planted = rulebook.single(options.rules)
    dice = random.Random(5)
    quiet, noisy, expected = [], [], 0
    hour = 3600 * generate.TICKS
    for i, line in enumerate(records.lines(int(options.size * 1e6), generate.DAY_TICKS, hour)):
        quiet.append(line)
        if dice.random() < options.share / 100:
            rule = planted[dice.randrange(len(planted))]
            body = json.loads(line)
            kind = "cloudtrail" if "eventSource" in body else "signin" if "SignIn" in body["category"] else "audit" if body["category"] == "AuditLogs" else "activity"
            rule = next(r for r in planted[rule.number :] + planted if r.kind == kind)
            line = generate.encode(rule.plant(body, f"noise {i}"))
            expected += 1
        noisy.append(line)
    figures = {}
    for name, lines in (("quiet", quiet), ("noisy", noisy)):
        files = []
        for part in range(4):
            files.append(os.path.join(work, f"{name}-{part}.jsonl.gz"))
            with open(files[-1], "wb") as file:
                file.write(gzip_member(("\n".join(lines[part * len(lines) // 4 : (part + 1) * len(lines) // 4]) + "\n").encode()))
        command = [options.binary, "replay", "--rules", rules, "--format", "jsonl", *files]
        runs = []
        for _ in range(options.repeat):
            out = os.path.join(work, f"{name}.out")
            result = throughput.measure(command, out, os.path.join(work, f"{name}.err"))
            runs.append((result, sum(throughput.alerts_of(out).values()) if result.code == 0 else -1))
        figures[name] = sorted(runs, key=lambda r: r[0].cpu)[len(runs) // 2]
    ratio = figures["noisy"][0].cpu / figures["quiet"][0].cpu
    problems = []
    if figures["quiet"][1] != 0 or figures["noisy"][1] != expected:
        problems.append(f"{figures['quiet'][1]} and {figures['noisy'][1]} alerts, 0 and {expected} planted")
    if options.max_ratio is not None and ratio > options.max_ratio:
        problems.append(f"the noisy hour costs {ratio:.2f} of the quiet one, the limit is {options.max_ratio}")
    report = {
        "rules": options.rules,
        "records": len(quiet),
        "matching": expected,
        "quiet_cpu_s": round(figures["quiet"][0].cpu, 3),
        "noisy_cpu_s": round(figures["noisy"][0].cpu, 3),
        "ratio": round(ratio, 3),
        "microseconds_per_match": round((figures["noisy"][0].cpu - figures["quiet"][0].cpu) / max(1, expected) * 1e6, 1),
        "quiet_memory_mb": round(figures["quiet"][0].memory, 1),
        "noisy_memory_mb": round(figures["noisy"][0].memory, 1),
    }
    return report, problems


def parse(arguments):
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--binary", default=os.path.join(os.path.dirname(HERE), ".build", "release", "vedette"))
    shared.add_argument("--rules", type=int, default=100, help="rules cloned from ten (default 100)")
    shared.add_argument("--stateful", type=int, default=20, help="threshold rules beside them (default 20)")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("latency", parents=[shared], help="append to alert, at half of the highest rate")
    one.add_argument("--rate", type=float, help="MB of raw JSON a second (default: half of the highest)")
    one.add_argument("--seconds", type=float, default=30)
    one.add_argument("--every", type=float, default=0.05, help="seconds between two matching lines")
    one.add_argument("--calibrate", type=float, default=1000, help="MB that the highest rate is found with")
    one.add_argument("--max-p50", type=float, help="ms")
    one.add_argument("--max-p99", type=float, help="ms")
    two = commands.add_parser("soak", parents=[shared], help="memory over time")
    two.add_argument("--minutes", type=float, default=30)
    two.add_argument("--speed", type=float, default=60, help="event time against the clock")
    two.add_argument("--alerts", type=int, default=3, help="matching records a minute of event time")
    two.add_argument("--max-growth", type=float, help="percent: last quarter against the second, and the trend of the second half")
    three = commands.add_parser("noise", parents=[shared], help="a replay with many matches against one without")
    three.add_argument("--size", type=float, default=300, help="MB of raw JSON")
    three.add_argument("--share", type=float, default=1.0, help="percent of the records that match")
    three.add_argument("--repeat", type=int, default=3)
    three.add_argument("--max-ratio", type=float)
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    binary = shutil.which(options.binary) or options.binary
    if not os.access(binary, os.X_OK):
        print(f"daemon.py: no executable at {binary}; build it first: swift build -c release", file=sys.stderr)
        return 3
    options.binary = os.path.abspath(binary)
    with tempfile.TemporaryDirectory(prefix="vedette-daemon-") as work:
        report, problems = {"latency": latency, "soak": soak, "noise": noise}[options.command](options, work)
    print(json.dumps({"benchmark": options.command, "machine": throughput.machine(), **report}, indent=1))
    for problem in problems:
        print(f"daemon.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
