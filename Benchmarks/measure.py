"""Runs one process and measures it; runs Vedette over the benchmark's files and counts its alerts."""

import glob
import json
import os
import platform
import re
import select
import shutil
import statistics
import subprocess
import time
import zlib

TIMEOUT = 1800
LOOKS = 20  # at a process's memory, in as long as it has run


class Figures:
    """What one process took: CPU seconds, wall seconds, largest resident set in MB, and its exit code."""

    def __init__(self, cpu, wall, memory, code, first=None):
        self.cpu, self.wall, self.memory, self.code, self.first = cpu, wall, memory, code, first

    def raw(self):
        return {"cpu_s": round(self.cpu, 4), "wall_s": round(self.wall, 4), "peak_mb": round(self.memory, 1)}


def high_water(pid):
    """The largest resident set so far, in MB. wait4's figure would count this program's own pages, which a child has before exec."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return next((int(line.split()[1]) / 1000 for line in file if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


def measure(command, out_path, error_path, env=None):
    """Runs a command to its end and measures it alone (wait4, so that other children do not count)."""
    with open(out_path, "wb") as out, open(error_path, "wb") as err:
        began, memory = time.monotonic(), 0.0
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=env)
        with open(os.pidfd_open(process.pid), "rb", buffering=0) as descriptor:
            ends = select.poll()
            ends.register(descriptor, select.POLLIN)
            passed = 0.0
            while passed < TIMEOUT:
                memory = max(memory, high_water(process.pid))
                # Rarely: where every core has a thread, looking takes time from one of them. The end itself is seen at once.
                if ends.poll(max(2, min(50, 1000 * passed / LOOKS))):
                    break
                passed = time.monotonic() - began
            else:
                process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    return Figures(usage.ru_utime + usage.ru_stime, wall, memory, process.returncode)


def median(runs):
    """The median run by CPU."""
    return sorted(runs, key=lambda r: r.cpu)[len(runs) // 2]


def alerts_of(path):
    """The number of alerts by rule id, the last revision of each; an alert that was merged into another does not count."""
    last, anonymous = {}, 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                alert = json.loads(line)
                rule = alert["rule_id"]
            except (ValueError, KeyError, TypeError) as error:
                raise SystemExit(f"line {number} of the output is not an alert ({error}): {line[:200]}") from error
            anonymous += 1
            last[alert.get("id", anonymous)] = (rule, bool(alert.get("merged_into")))
    counts = {}
    for rule, merged in last.values():
        if not merged:
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


def tail(path, size=800):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()[-size:].strip()


def counters(path):
    """Rows and survivors that the matcher counted (`--counters`)."""
    with open(path, encoding="utf-8", errors="replace") as file:
        found = re.search(r"matcher: (\d+) rows,.* (\d+) residual rows in (\d+) runs, (\d+) survivors", file.read())
    return (int(found[1]), int(found[4])) if found else (0, 0)


def state(path):
    """Rows kept at the end, and the bytes of state and evidence that the runtime accounts for them (`--counters`)."""
    with open(path, encoding="utf-8", errors="replace") as file:
        found = re.search(r"state: (\d+) rows kept, (\d+) bytes of state, (\d+) bytes of evidence", file.read())
    return tuple(int(g) for g in found.groups()) if found else (0, 0, 0)


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


class Vedette:
    """The program under test, with a cache of compiled rules of its own."""

    def __init__(self, binary, work, extra=()):
        self.binary, self.work, self.extra = binary, work, list(extra)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("VEDETTE")} | {"XDG_CACHE_HOME": os.path.join(work, "cache")}

    def path(self, name):
        return os.path.join(self.work, name)

    def inflate(self, files):
        """Inflating the files and nothing else: by the product's own library where it offers that, else by zlib."""
        result = measure([self.binary, "bench", "inflate", *files], self.path("inflate.out"), self.path("inflate.err"), self.env)
        if result.code == 0:
            return "inflate only (vedette bench inflate)", result
        cpu, wall = inflate_with_zlib(files)
        return "inflate only (Python zlib, fallback)", Figures(cpu, wall, 0, 0)

    def replay(self, folder, files, name, *options):
        """One replay; the figures, the path of its alerts, and that of what it said."""
        out, err = self.path(name + ".out"), self.path(name + ".err")
        command = [self.binary, "replay", "--rules", folder, "--format", "jsonl", "--cold-raise", *options, *self.extra, *files]
        return measure(command, out, err, self.env), out, err

    def daemon(self, folder, files, name):
        """The daemon over the same files from their beginning: alerts to a file, positions, windows and alerts committed to its state."""
        state, out, err = self.path(name + ".state"), self.path(name + ".alerts"), self.path(name + ".err")
        # A new state, but the compiled rules of before, as after a restart.
        for entry in os.listdir(state) if os.path.isdir(state) else []:
            if entry != "cache":
                os.remove(os.path.join(state, entry))
        if os.path.exists(out):
            os.remove(out)
        command = [self.binary, "run", "--rules", folder, "--state-dir", state, "--start-at", "beginning", "--exit-when-idle", "--cold-raise"]
        command += ["--outputs", f"file:{out}", "--log-level", "error"]
        for pattern in sorted({os.path.join(os.path.dirname(f), "*.jsonl.gz") for f in files}):
            command += ["--inputs", pattern]
        result = measure(command, self.path(name + ".out"), err, self.env)
        return result, out, err

    def start(self, folder, warm, repeat=7):
        """Seconds of CPU and of wall time from the start to the first event, by an input of one record."""
        one = self.path("one.jsonl")
        with open(one, "w", encoding="utf-8") as file:
            file.write('{"eventVersion":"1.08","eventTime":"2026-03-02T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject",')
            file.write('"awsRegion":"eu-west-1","sourceIPAddress":"198.18.0.1","userAgent":"x","eventID":"a","recipientAccountId":"1"}\n')
        options = [] if warm else ["--no-cache"]
        runs = [self.replay(folder, [one], "start", *options)[0] for _ in range(repeat + 1)][1:]
        if any(r.code for r in runs):
            raise SystemExit(f"the start over {folder} failed: {tail(self.path('start.err'))}")
        return statistics.median(r.cpu for r in runs), statistics.median(r.wall for r in runs)


def warm(files):
    for path in files:
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}"


def data_files(folder):
    return sorted(glob.glob(os.path.join(folder, "*.jsonl.gz")))
