#!/usr/bin/env python3
"""What stateful rules cost: CPU a tick and peak memory, of one rule at a time over sign-ins that all match.

    python3 Benchmarks/state.py [--vedette .build/release/vedette] [--rows 100000] [--only NAME]

Two logs are generated: three hours with `--rows` records an hour, and sixteen days with a fifth of that a day. Each rule is replayed over
its log; the CPU time of the same replay with a rule that matches nothing is subtracted. Figures and their reading: NOTES-state.md.
Only the standard library is used.
"""

import argparse
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
START = 1_772_409_600  # 2026-03-02T00:00:00Z

HOUR = "SigninLogs | where ResultType == '50126'"
SHAPES = {
    # name: (log, query, frequency, period)
    "count": ("hours", HOUR + " | summarize n = count() by UserPrincipalName | where n > 100000", "PT5M", "PT1H"),
    "dcount": ("hours", HOUR + " | summarize n = dcount(IPAddress) by UserPrincipalName | where n > 100000", "PT5M", "PT1H"),
    "make_set": ("hours", HOUR + " | summarize s = make_set(IPAddress, 50) by UserPrincipalName | where array_length(s) > 1000", "PT5M", "PT1H"),
    "arg_max": (
        "hours",
        HOUR + " | summarize arg_max(TimeGenerated, IPAddress) by UserPrincipalName | where IPAddress == 'none'",
        "PT5M",
        "PT1H",
    ),
    "percentile": ("hours", HOUR + " | summarize p = percentile(toint(Level), 95) by UserPrincipalName | where p > 1000", "PT5M", "PT1H"),
    "many groups": ("hours", HOUR + " | summarize n = count() by CorrelationId | where n > 100000", "PT5M", "PT1H"),
    "baseline anti": (
        "days",
        "let past = SigninLogs | where TimeGenerated between (ago(14d) .. ago(1h)) | summarize count() by UserPrincipalName;\n"
        "SigninLogs | where TimeGenerated > ago(1h) | summarize n = count() by UserPrincipalName"
        " | join kind=leftanti past on UserPrincipalName",
        "PT1H",
        "P14D",
    ),
    "baseline rate": (
        "days",
        "let past = SigninLogs | where TimeGenerated between (ago(14d) .. ago(1h)) | summarize p = count() by UserPrincipalName;\n"
        "SigninLogs | where TimeGenerated > ago(1h) | summarize n = count() by UserPrincipalName"
        " | join kind=inner past on UserPrincipalName | where n > p",
        "PT1H",
        "P14D",
    ),
    "row join": (
        "hours",
        HOUR + " | project TimeGenerated, UserPrincipalName, IPAddress"
        " | join kind=inner (" + HOUR + " | where Level == 99 | project UserPrincipalName, Level) on UserPrincipalName",
        "PT5M",
        "PT1H",
    ),
}
# One side is rare: keys that both sides have are few, as in rules that look for a failed sign-in before a reset.
SHAPES["row join, few partners"] = (
    "hours",
    HOUR + " | project TimeGenerated, UserPrincipalName, IPAddress"
    " | join kind=inner (" + HOUR + " | where UserPrincipalName endswith '77@contoso.example' and Level == 7"
    " | project UserPrincipalName, Level) on UserPrincipalName | where Level == 99",
    "PT5M",
    "PT1H",
)
SHAPES["row anti join"] = (
    "hours",
    HOUR + " | where UserPrincipalName endswith '77@contoso.example' | project TimeGenerated, UserPrincipalName, IPAddress"
    " | join kind=leftanti (" + HOUR + " | project UserPrincipalName) on UserPrincipalName",
    "PT5M",
    "PT1H",
)
SHAPES["row join, all partners"] = (
    "hours",
    HOUR + " | project TimeGenerated, UserPrincipalName, IPAddress"
    " | join kind=innerunique (" + HOUR + " | where Level == 7 | project UserPrincipalName, Level) on UserPrincipalName | where Level == 99",
    "PT5M",
    "PT1H",
)
NOTHING = "SigninLogs | where ResultType == '50126' and UserPrincipalName == 'nobody' and IPAddress == 'x' and CorrelationId == 'y' and Level == 99"


# Ten rules for the share of matching rows: $U is a list of five users.
MIXED = [
    ("SigninLogs | where UserPrincipalName in ($U)", "PT5M", "PT5M"),
    ("SigninLogs | where UserPrincipalName in ($U) | project TimeGenerated, UserPrincipalName, IPAddress", "PT5M", "PT5M"),
    ("SigninLogs | where UserPrincipalName in ($U) | summarize n = count() by UserPrincipalName | where n > 1000", "PT5M", "PT1H"),
    ("SigninLogs | where UserPrincipalName in ($U) | summarize n = count() by UserPrincipalName, bin(TimeGenerated, 5m) | where n > 99", "PT5M", "PT1H"),
    ("SigninLogs | where UserPrincipalName in ($U) | summarize n = dcount(IPAddress) by UserPrincipalName | where n > 900", "PT5M", "PT1H"),
    ("SigninLogs | where UserPrincipalName in ($U) | summarize s = make_set(IPAddress) by UserPrincipalName | where array_length(s) > 900", "PT5M", "PT1H"),
    ("SigninLogs | where UserPrincipalName in ($U) | summarize arg_max(TimeGenerated, *) by UserPrincipalName | where IPAddress == 'x'", "PT5M", "PT1H"),
    ("SigninLogs | where UserPrincipalName in ($U) | summarize a = min(TimeGenerated), b = max(TimeGenerated) by UserPrincipalName | where b - a > 2h", "PT5M", "PT1H"),
    (
        "SigninLogs | where UserPrincipalName in ($U) and TimeGenerated > ago(10m) | summarize n = count() by IPAddress"
        " | join kind=leftanti (SigninLogs | where UserPrincipalName in ($U) and TimeGenerated < ago(10m) | distinct IPAddress) on IPAddress"
        " | where n > 99",
        "PT5M",
        "PT1H",
    ),
    (
        "SigninLogs | where UserPrincipalName in ($U) | join kind=inner (SigninLogs | where UserPrincipalName in ($U) and Level == 99) on IPAddress",
        "PT5M",
        "PT1H",
    ),
]


def mixed(folder, matching):
    os.makedirs(folder, exist_ok=True)
    for i, (query, frequency, period) in enumerate(MIXED):
        users = ", ".join(f"'user{i * 5 + j:05d}@contoso.example'" if matching else f"'nobody{i * 5 + j:05d}@contoso.example'" for j in range(5))
        rule(os.path.join(folder, f"rule{i}.yaml"), query.replace("$U", users), frequency, period, i)


def record(rng, at, users, addresses):
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".%07dZ" % (at % 1 * 10_000_000)
    user, ip = rng.randrange(users), rng.randrange(addresses)
    return json.dumps(
        {
            "time": stamp,
            "operationName": "Sign-in activity",
            "category": "SignInLogs",
            "tenantId": "4981642a-3082-4da2-9dff-d49e5dc88cdc",
            "resultType": "50126",
            "callerIpAddress": f"198.51.{ip // 256}.{ip % 256}",
            "correlationId": "%032x" % rng.getrandbits(128),
            "Level": rng.randrange(8),
            "properties": {
                "createdDateTime": stamp,
                "userPrincipalName": f"user{user:05d}@contoso.example",
                "ipAddress": f"198.51.{ip // 256}.{ip % 256}",
            },
        },
        separators=(",", ":"),
    )


def generate(path, rows, seconds, users, addresses):
    rng = random.Random(1)
    with gzip.open(path, "wt", compresslevel=1) as out:
        for i in range(rows):
            out.write(record(rng, START + i * seconds / rows, users, addresses) + "\n")


def rule(path, query, frequency, period, number=0):
    with open(path, "w") as f:
        f.write(
            f"id: 11111111-2222-4333-8444-55555555{number:04d}\nname: State {number}\ndescription: State\nseverity: Low\nkind: Scheduled\n"
            f"queryFrequency: {frequency}\nqueryPeriod: {period}\ntriggerOperator: gt\ntriggerThreshold: 0\n"
            "tactics: []\nrelevantTechniques: []\nquery: |\n" + "".join("  " + line + "\n" for line in query.split("\n"))
        )


def replay(vedette, rule_path, log):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.Popen([vedette, "replay", "--threads", "1", "--rules", rule_path, log], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = p.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if p.returncode != 0:
        sys.exit(err.decode())
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out, err


def peak(vedette, rule_path, log):
    """Peak resident memory in MB."""
    p = subprocess.Popen([vedette, "replay", "--threads", "1", "--rules", rule_path, log], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(p.pid, 0)
    p.returncode = 0
    return usage.ru_maxrss / 1024


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--vedette", default=os.path.join(os.path.dirname(HERE), ".build/release/vedette"))
    a.add_argument("--rows", type=int, default=100_000)
    a.add_argument("--only")
    a.add_argument("--share", action="store_true", help="instead: ten rules of which one in a hundred rows matches some, against none")
    a.add_argument("--folder")
    o = a.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = o.folder or scratch
        os.makedirs(folder, exist_ok=True)
        logs = {"hours": (os.path.join(folder, "hours.jsonl.gz"), 3 * o.rows, 3 * 3600, 36), "days": (os.path.join(folder, "days.jsonl.gz"), 16 * o.rows // 5, 16 * 86400, 384)}
        for path, rows, seconds, _ in logs.values():
            if not os.path.exists(path):
                generate(path, rows, seconds, users=5_000, addresses=2_000)
        if o.share:
            path = logs["hours"][0]
            costs = []
            for matching in (False, True):
                mixed(os.path.join(scratch, "rules"), matching)
                costs.append(min(replay(o.vedette, os.path.join(scratch, "rules"), path)[0] for _ in range(3)))
            print(f"quiet {costs[0]:.2f} s CPU, one row in a hundred {costs[1]:.2f} s: {costs[1] / costs[0]:.2f}x")
            return
        idle = {}
        print("| rule | ticks | rows a window | CPU ms a tick | ns a row | peak MB above idle |\n| --- | --: | --: | --: | --: | --: |")
        for name, (log, query, frequency, period) in SHAPES.items():
            if o.only and o.only not in name:
                continue
            path, rows, seconds, ticks = logs[log]
            at = os.path.join(scratch, "rule.yaml")
            if log not in idle:
                rule(at, NOTHING, "PT1H", "PT1H")
                idle[log] = (min(replay(o.vedette, at, path)[0] for _ in range(2)), peak(o.vedette, at, path))
            rule(at, query, frequency, period)
            cpu = min(replay(o.vedette, at, path)[0] for _ in range(2)) - idle[log][0]
            memory = peak(o.vedette, at, path) - idle[log][1]
            window = o.rows if log == "hours" else 14 * o.rows // 5
            print(f"| {name} | {ticks} | {window} | {1000 * cpu / ticks:.2f} | {1e9 * cpu / rows:.0f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
