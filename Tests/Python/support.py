"""What the end-to-end tests share: the program, records as log sources write them, rules, a daemon that can be killed, alert sets."""

import atexit
import glob
import gzip
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest
import zlib
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
VEDETTE = os.environ.get("VEDETTE", os.path.join(ROOT, ".build", "release", "vedette"))
RULES = os.path.join(ROOT, "AnalyticsRules")
SAMPLES = os.path.join(ROOT, "SampleLogs")
DAY = os.path.join(SAMPLES, "2026-03-02")
GENERATE = os.path.join(SAMPLES, "generate.py")
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3"

SUBSCRIPTION = "00000000-0000-4000-8000-0000000000a1"
EVE = "00000000-0000-4000-8000-0000000000e1"
OWNER = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
ASSIGNMENT = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-0000000000ab"
START = datetime(2026, 3, 2, 8, 0, tzinfo=timezone.utc)


def vedette(*arguments, stdin=None, timeout=60, env=None):
    """Runs the program; returns the completed process with bytes. A missing program is an error, never a skipped test."""
    return subprocess.run(
        [VEDETTE, *arguments], input=b"" if stdin is None else stdin, capture_output=True, timeout=timeout, cwd=ROOT, env=environment(env)
    )


# What the program keeps for its next start: shared by the tests of one run, and not the user's own.
CACHE = tempfile.mkdtemp(prefix="vedette-cache-")
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)


def environment(extra=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("VEDETTE") and k != "NOTIFY_SOCKET"}
    return clean | {"XDG_CACHE_HOME": CACHE} | (extra or {})


class Case(unittest.TestCase):
    """A test with a folder of its own and messages that carry the program's words."""

    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vedette-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, *parts):
        full = os.path.join(self.folder, *parts)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        return full

    def write(self, name, data):
        full = self.path(name)
        with open(full, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return full

    def assertExit(self, done, code):
        self.assertEqual(done.returncode, code, f"exit code; standard error:\n{tail(done.stderr)}\nstandard output:\n{tail(done.stdout)}")

    def replay(self, *arguments, stdin=None, code=0, timeout=60):
        """Alerts of a replay, as a list of objects."""
        done = vedette("replay", "--format", "jsonl", *arguments, stdin=stdin, timeout=timeout)
        self.assertExit(done, code)
        return lines(done.stdout)


def tail(data, limit=3000):
    text = data.decode(errors="replace") if isinstance(data, bytes) else data
    return text if len(text) <= limit else "..." + text[-limit:]


def lines(data):
    return [json.loads(line) for line in data.splitlines() if line.strip()]


def iso(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0Z"


def text(record):
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


def json_lines(records):
    return "".join(text(r) + "\n" for r in records).encode()


# Records.


def claims():
    return {
        "appid": "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
        "idtyp": "user",
        "http://schemas.microsoft.com/identity/claims/objectidentifier": EVE,
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "eve@contoso.example",
        "name": "Eve",
    }


def grant_body():
    return json.dumps(
        {"Properties": {"PrincipalId": "00000000-0000-4000-8000-0000000000a7", "PrincipalType": "User", "RoleDefinitionId": OWNER}}
    )


def grant_exported():
    """Owner granted on a subscription, as a diagnostic setting writes it."""
    return {
        "time": "2026-03-02T10:05:10.0000000Z",
        "resourceId": ASSIGNMENT.upper(),
        "operationName": "MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE",
        "category": "Administrative",
        "resultType": "Start",
        "resultSignature": "Started.",
        "durationMs": "0",
        "callerIpAddress": "203.0.113.66",
        "correlationId": "00000000-0000-4000-9000-00000000c0de",
        "identity": {
            "authorization": {
                "scope": ASSIGNMENT,
                "action": "Microsoft.Authorization/roleAssignments/write",
                "evidence": {"role": "Owner", "principalId": EVE.replace("-", ""), "principalType": "User"},
            },
            "claims": claims(),
        },
        "level": "Information",
        "properties": {
            "eventCategory": "Administrative",
            "entity": ASSIGNMENT,
            "message": "Microsoft.Authorization/roleAssignments/write",
            "hierarchy": f"00000000-0000-4000-8000-0000000000ff/{SUBSCRIPTION}",
            "requestbody": grant_body(),
        },
        "tenantId": "00000000-0000-4000-8000-0000000000ff",
    }


def grant_event_hub():
    """The same inside the envelope in which Event Hubs deliver it."""
    return {"records": [grant_exported() | {"RoleLocation": "West Europe", "ReleaseVersion": "6.2026.8.4+Official"}]}


def grant_rest():
    """The same as the REST interface answers it."""
    return {
        "eventTimestamp": "2026-03-02T10:05:10.0000000Z",
        "submissionTimestamp": "2026-03-02T10:05:10.0000000Z",
        "operationName": {
            "value": "Microsoft.Authorization/roleAssignments/write",
            "localizedValue": "Microsoft.Authorization/roleAssignments/write",
        },
        "status": {"value": "Started", "localizedValue": "Started"},
        "subStatus": {"value": "", "localizedValue": ""},
        "category": {"value": "Administrative", "localizedValue": "Administrative"},
        "eventName": {"value": "BeginRequest", "localizedValue": ""},
        "resourceId": ASSIGNMENT,
        "subscriptionId": SUBSCRIPTION,
        "caller": "eve@contoso.example",
        "claims": claims(),
        "authorization": {
            "action": "Microsoft.Authorization/roleAssignments/write",
            "scope": ASSIGNMENT,
            "evidence": {"role": "Owner", "principalType": "User"},
        },
        "httpRequest": {"clientRequestId": "00000000-0000-4000-9000-000000000131", "clientIpAddress": "203.0.113.66", "method": "PUT"},
        "level": "Informational",
        "eventDataId": "00000000-0000-4000-9000-000000000132",
        "operationId": "00000000-0000-4000-9000-000000000130",
        "correlationId": "00000000-0000-4000-9000-000000000130",
        "properties": {
            "eventCategory": "Administrative",
            "entity": ASSIGNMENT,
            "message": "Microsoft.Authorization/roleAssignments/write",
            "requestbody": grant_body(),
        },
    }


def activity(moment, operation, caller, number, result="Success"):
    """One event of the activity log; `number` makes it distinct."""
    resource = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-{number % 7}/providers/Microsoft.Compute/disks/disk-{number}"
    return {
        "time": iso(moment),
        "resourceId": resource.upper(),
        "operationName": operation.upper(),
        "category": "Administrative",
        "resultType": result,
        "resultSignature": "Succeeded.OK",
        "durationMs": "12",
        "callerIpAddress": f"203.0.113.{number % 200 + 1}",
        "correlationId": f"00000000-0000-4000-9000-{number:012x}",
        "identity": {
            "authorization": {"scope": resource, "action": operation, "evidence": {"role": "Owner", "principalType": "User"}},
            "claims": {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": caller, "name": caller.split("@")[0]},
        },
        "level": "Information",
        "properties": {"eventCategory": "Administrative", "entity": resource, "message": operation},
        "tenantId": "00000000-0000-4000-8000-0000000000ff",
    }


OPERATIONS = [
    ("Microsoft.Compute/disks/read", 60),
    ("Microsoft.Compute/disks/delete", 14),
    ("Microsoft.Compute/disks/beginGetAccess/action", 3),
    ("Microsoft.Authorization/locks/delete", 3),
    ("Microsoft.Compute/disks/write", 20),
]


def traffic(seed, count, hours=8, first=0):
    """Seeded events in order of time over some hours; the disorder inside is below a minute."""
    dice = random.Random(seed)
    offsets = sorted(dice.uniform(0, hours * 3600) for _ in range(count))
    found = []
    for number, offset in enumerate(offsets):
        operation = dice.choices([o for o, _ in OPERATIONS], [w for _, w in OPERATIONS])[0]
        caller = dice.choice(["ada", "bob", "cyd", "dee"]) + "@contoso.example"
        moment = START + timedelta(microseconds=int((offset + dice.uniform(-20, 20)) * 1_000_000))
        found.append(activity(moment, operation, caller, first + number))
    return found


# Rules: one record, one record at once, a count in a window, two acts in order.

HEAD = """id: {id}
name: {name}
description: For tests.
severity: {severity}
requiredDataConnectors: []
{clock}tactics:
  - {tactic}
relevantTechniques:
  - {technique}
query: |
{query}
entityMappings:
  - entityType: Account
    fieldMappings:
      - identifier: FullName
        columnName: Caller
eventGroupingSettings:
  aggregationKind: {grouping}
version: 1.0.0
kind: {kind}
"""


def rule(number, name, query, clock=("15m", "15m"), severity="Medium", tactic="Impact", technique="T1485", grouping="AlertPerResult"):
    times = ""
    if clock:
        times = f"queryFrequency: {clock[0]}\nqueryPeriod: {clock[1]}\ntriggerOperator: gt\ntriggerThreshold: 0\n"
    return HEAD.format(
        id=f"0000000{number}-0000-4000-a000-00000000000{number}", name=name, severity=severity, clock=times, tactic=tactic,
        technique=technique, query="\n".join("  " + line for line in query.strip().splitlines()), grouping=grouping,
        kind="Scheduled" if clock else "NRT",
    )  # fmt: skip


EVENT_RULE = rule(
    1,
    "Disk download link",
    """
AzureActivity
| where OperationNameValue =~ "Microsoft.Compute/disks/beginGetAccess/action"
| project TimeGenerated, Caller, CallerIpAddress, _ResourceId
""",
    tactic="Exfiltration",
    technique="T1537",
    severity="High",
)
NRT_RULE = rule(
    2,
    "Lock removed",
    """
AzureActivity
| where OperationNameValue =~ "Microsoft.Authorization/locks/delete"
| project TimeGenerated, Caller, _ResourceId
""",
    clock=None,
    technique="T1490",
)
THRESHOLD_RULE = rule(
    3,
    "Many disks deleted",
    """
AzureActivity
| where OperationNameValue =~ "Microsoft.Compute/disks/delete"
| summarize Deleted = dcount(_ResourceId), Last = max(TimeGenerated) by Caller
| where Deleted >= 4
""",
    clock=("10m", "30m"),
    severity="High",
)
JOIN_RULE = rule(
    4,
    "Lock removed, then a disk deleted",
    """
let unlocked = AzureActivity
| where OperationNameValue =~ "Microsoft.Authorization/locks/delete"
| project Caller, Unlocked = TimeGenerated;
AzureActivity
| where OperationNameValue =~ "Microsoft.Compute/disks/delete"
| project Caller, TimeGenerated, _ResourceId
| join kind=inner unlocked on Caller
| where TimeGenerated between (Unlocked .. 20m)
| summarize Disks = dcount(_ResourceId), TimeGenerated = max(TimeGenerated) by Caller
""",
    clock=("15m", "1h"),
    technique="T1490",
)
TEST_RULES = {"event.yaml": EVENT_RULE, "nrt.yaml": NRT_RULE, "threshold.yaml": THRESHOLD_RULE, "join.yaml": JOIN_RULE}


# Alerts.


def identity(alert):
    """What must not depend on how and when the records were read: everything but the revision and what follows from it."""
    return (
        alert["id"],
        alert["rule_id"],
        alert["severity"],
        tuple(alert["techniques"]),
        tuple(sorted(text(e) for e in alert["entities"])),
        alert["start_time"],
        alert["end_time"],
        alert["event_count"],
        tuple(sorted(e["record_hash"] for e in alert["evidence"])),
    )


def final_set(alerts):
    return sorted(identity(a) for a in alerts if a["status"] != "merged")


def difference(expected, found):
    """A few lines that say what two final sets do not share."""
    expected, found = set(expected), set(found)
    out = [f"{len(expected)} alerts expected, {len(found)} found"]
    for what, some in (("missing", expected - found), ("unexpected", found - expected)):
        out.append(f"{what}: {len(some)}")
        out += [f"  {a[0][:12]} rule {a[1][:8]} {a[2]} {a[5]}..{a[6]} events {a[7]} evidence {len(a[8])}" for a in sorted(some)[:5]]
    return "\n".join(out)


def stored(state):
    """The alerts in a state directory."""
    done = vedette("alerts", "list", "--state-dir", state, "--format", "jsonl", "--limit", "100000")
    if done.returncode != 0:
        raise AssertionError(f"alerts list: exit code {done.returncode}: {tail(done.stderr)}")
    return lines(done.stdout)


def database(state, query, *arguments):
    """Rows of the state database, or none if it is not there yet."""
    path = os.path.join(state, "vedette.db")
    if not os.path.exists(path):
        return []
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute(query, arguments).fetchall()
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return []


def wait_for(condition, seconds=20.0, what="condition", step=0.03):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(step)
    raise AssertionError(f"timed out after {seconds} s: {what}")


class Daemon:
    """`vedette run` as a child process, its standard error in a file."""

    count = 0

    def __init__(self, test, *arguments, env=None, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec=None):
        Daemon.count += 1
        self.log_path = test.path(f"daemon-{Daemon.count}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [VEDETTE, "run", "--log-format", "json", *arguments], stdin=stdin, stdout=stdout, stderr=log, cwd=ROOT,
                env=environment(env), preexec_fn=preexec,
            )  # fmt: skip
        test.addCleanup(self.kill)

    @property
    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def opened(self):
        """Path of each followed file → the byte from which it was first followed; 0 for one that was not resumed."""
        found = {}
        for line in self.log.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if "following" in str(entry.get("message", "")):
                path, at = entry.get("path"), entry.get("from")
                if path is not None:
                    digits = re.match(r"byte (\d+)", str(at))
                    found.setdefault(path, int(digits.group(1)) if digits else 0)
        return found

    def wait_for_log(self, words, seconds=15):
        wait_for(lambda: words in self.log or self.process.poll() is not None, seconds, f"`{words}` in the log")
        if words not in self.log:
            raise AssertionError(f"the daemon ended with {self.process.returncode} without saying `{words}`:\n{tail(self.log)}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def catches(self, number):
        """Whether the program has a handler for a signal yet; the first moments of any program belong to the system."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
                return any(line.startswith("SigCgt:") and int(line.split()[1], 16) >> (number - 1) & 1 for line in file)
        except OSError:
            return True

    def stop(self, number=signal.SIGTERM, seconds=10):
        wait_for(lambda: self.process.poll() is not None or self.catches(number), 10, "a handler", step=0.002)
        self.process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds=60):
        return self.process.wait(timeout=seconds)


class GrowingGzip:
    """A gzip file of one member that is still being written: every piece is flushed to the disk, the member stays open."""

    def __init__(self, path):
        self.file = open(path, "ab", buffering=0)
        self.packer = zlib.compressobj(6, zlib.DEFLATED, 31)

    def append(self, data):
        self.file.write(self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH))

    def finish(self):
        self.file.write(self.packer.flush(zlib.Z_FINISH))
        self.file.close()


def append(path, data):
    with open(path, "ab", buffering=0) as file:
        file.write(data)


def pieces(items, count):
    """A list cut into `count` runs of about equal length."""
    return [items[i * len(items) // count : (i + 1) * len(items) // count] for i in range(count)]


def cloudtrail_records():
    found = []
    for path in glob.glob(os.path.join(DAY, "AWSLogs", "**", "*.json.gz"), recursive=True):
        with gzip.open(path) as file:
            found += json.load(file)["Records"]
    return found
