#!/usr/bin/env python3
"""Speed of queries beside DuckDB and chdb: over the same data in memory, and end to end over gzip'd JSON lines.

    python3 queries.py --peers PYTHON                      # both parts; PYTHON has duckdb, chdb, numpy (see below)
    python3 queries.py --peers PYTHON --rows 1000000 --only memory --out QUERIES.md
    python3 queries.py --quick --peers PYTHON              # small data, one sample: a smoke test

The peers live in a virtual environment that is not part of the project:

    python3 -m venv /var/tmp/peers && /var/tmp/peers/bin/pip install duckdb chdb numpy pytz

Every result is compared with the peer's, cell by cell; a difference is an error (exit code 1). Binaries: a release build of the products
`query-bench` and `vedette` (`swift build -c release`). Samples of the programs take turns, so that a slow minute of the machine meets all.
"""

import argparse
import csv
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TICKS_1970 = 621_355_968_000_000_000

# name, KQL, SQL, columns compared as text ('t'), integers ('i') or doubles ('d')
MEMORY = [
    ("filter: 1 % by a number", "Events | where Size < 1000 | summarize n = count(), s = sum(Size)",
     "select count(*), sum(Size) from Events where Size < 1000", "ii"),
    ("filter: 50 % by a number", "Events | where Size < 50000 | summarize n = count(), s = sum(Other)",
     "select count(*), sum(Other) from Events where Size < 50000", "ii"),
    ("filter: text equals", "Events | where App == 'app-042' | summarize n = count(), s = sum(Size)",
     "select count(*), sum(Size) from Events where App = 'app-042'", "ii"),
    ("filter: two conditions, rows out", "Events | where Size < 2000 and App != 'app-042' | project Time, User, Size",
     "select Time, \"User\", Size from Events where Size < 2000 and App <> 'app-042'", "iti"),
    ("has", "Events | where Message has 'denied' | summarize n = count(), s = sum(Size)",
     "select count(*), sum(Size) from Events where regexp_matches(Message, '(?i)(^|[^a-z0-9])denied([^a-z0-9]|$)')", "ii"),
    ("contains", "Events | where Message contains_cs 'denied' | summarize n = count(), s = sum(Size)",
     "select count(*), sum(Size) from Events where contains(Message, 'denied')", "ii"),
    ("regex", "Events | where Message matches regex 'user=a[0-9]+7 ' | summarize n = count(), s = sum(Size)",
     "select count(*), sum(Size) from Events where regexp_matches(Message, 'user=a[0-9]+7 ')", "ii"),
    ("summarize: 1 group", "Events | summarize n = count(), s = sum(Size), m = max(Other), a = avg(Score)",
     "select count(*), sum(Size), max(Other), avg(Score) from Events", "iiid"),
    ("summarize: 100 groups, text key", "Events | summarize n = count(), s = sum(Size) by App",
     "select App, count(*), sum(Size) from Events group by App", "tii"),
    ("summarize: 100 groups, min max avg", "Events | summarize a = min(Size), b = max(Other), c = avg(Score) by App",
     "select App, min(Size), max(Other), avg(Score) from Events group by App", "tiid"),
    ("summarize: 1 M groups, number key", "Events | summarize n = count(), s = sum(Size) by Key",
     "select Key, count(*), sum(Size) from Events group by Key", "iii"),
    ("summarize: by user and hour", "Events | summarize n = count() by User, bin(Time, 1h)",
     "select \"User\", Time - Time % 36000000000, count(*) from Events group by all", "tii"),
    ("summarize: dcount by app", "Events | summarize n = count_distinct(User) by App",
     "select App, count(distinct \"User\") from Events group by App", "ti"),
    ("join: 1 M x 100 k", "Left | join kind=inner Right on Key | summarize n = count(), s = sum(Value), t = sum(Weight)",
     "select count(*), sum(Value), sum(Weight) from \"Left\" join \"Right\" on \"Left\".Key = \"Right\".Key", "iii"),
    ("join: 1 M x 100 k, rows out", "Left | join kind=inner Right on Key | project Value, Weight, Name",
     "select Value, Weight, Name from \"Left\" join \"Right\" on \"Left\".Key = \"Right\".Key", "iit"),
    ("mv-expand", "Tagged | mv-expand Tag = Tags to typeof(string) | summarize n = count() by Tag",
     "select Tag, count(*) from (select unnest(from_json(Tags, '[\"VARCHAR\"]')) as Tag from Tagged) group by Tag", "ti"),
    ("parse", "Events | parse Message with 'op=' Op ' user=' Who ' ' Rest | summarize n = count() by Op",
     "select g.op, count(*) from (select regexp_extract(Message, '^op=(.*?) user=(.*?) (.*)$', ['op', 'who', 'rest']) as g from Events) "
     "group by all", "ti"),
    ("make-series", "Events | make-series n = count() on Time from long_start to long_end step 1h by App",
     "with g as (select App, (Time - long_start) // 36000000000 as h, count(*) as c from Events group by all) "
     "select a.App, '[' || string_agg(coalesce(g.c, 0)::varchar, ',' order by r.range) || ']' "
     "from (select distinct App from Events) a cross join range(0, 24) r left join g on g.App = a.App and g.h = r.range group by a.App",
     "tt"),
]

GENERATE = r'''
import json, os, sys
import numpy as np
folder, rows = sys.argv[1], int(sys.argv[2])
dice = np.random.default_rng(7)
start = 621355968000000000 + 1772409600 * 10000000
schema = []
def numbers(table, column, kind, values):
    values.astype(np.float64 if kind == "real" else np.int64).tofile(f"{folder}/{table}.{column}")
    schema.append(f"{table} {column} {kind}")
def texts(table, column, kind, values):
    raw = [v.encode() for v in values]
    np.concatenate([[0], np.cumsum([len(r) for r in raw], dtype=np.int64)]).astype(np.uint32).tofile(f"{folder}/{table}.{column}.offsets")
    with open(f"{folder}/{table}.{column}", "wb") as out:
        out.write(b"".join(raw))
    schema.append(f"{table} {column} {kind}")
pick = lambda n: dice.integers(0, n, rows)
numbers("Events", "Time", "long", np.sort(start + dice.integers(0, 86400 * 10000000, rows)))
users = pick(5000)
texts("Events", "User", "string", [f"user{u:04d}@contoso.example" for u in users])
texts("Events", "App", "string", [f"app-{a:03d}" for a in pick(100)])
numbers("Events", "Key", "long", pick(1000000) * 7919)
numbers("Events", "Size", "long", pick(100000))
numbers("Events", "Other", "long", pick(1 << 40))
numbers("Events", "Score", "real", pick(4096) / 4.0)
ops = ["GET", "PUT", "list", "delete-object", "Assume"]
states = ["granted", "denied", "undeniedly", "Denied", "granted again", "granted", "granted", "pending"]
o, s, k = pick(len(ops)), pick(400), pick(100000)
texts("Events", "Message", "string",
      [f"op={ops[o[i]]} user=a{k[i]} from 10.{k[i] % 200}.{o[i]}.7 was {states[s[i]] if s[i] < 8 else 'granted'} by policy-{s[i]}" for i in range(rows)])
left, right = min(rows, 1000000), min(rows // 10, 100000)
numbers("Left", "Key", "long", dice.integers(0, right, left) * 31)
numbers("Left", "Value", "long", dice.integers(0, 1000, left))
numbers("Right", "Key", "long", dice.permutation(right) * 31)
numbers("Right", "Weight", "long", dice.integers(0, 1000, right))
texts("Right", "Name", "string", [f"name-{i % 977}" for i in range(right)])
tags = [f"tag{i}" for i in range(50)]
t = dice.integers(0, 50, (left, 4))
n = dice.integers(1, 5, left)
texts("Tagged", "Tags", "dynamic", [json.dumps([tags[x] for x in t[i][: n[i]]], separators=(",", ":")) for i in range(left)])
with open(f"{folder}/schema.txt", "w") as out:
    out.write("\n".join(schema) + "\n")
'''

# Serves DuckDB as query-bench serves the product: the same data, a line a command.
DUCKDB = r'''
import json, resource, sys, time
import duckdb, numpy as np
folder = sys.argv[1]
con = duckdb.connect()
con.execute("set enable_progress_bar=false")
tables = {}
for line in open(f"{folder}/schema.txt"):
    table, column, kind = line.split()
    tables.setdefault(table, []).append((column, kind))
for table, columns in tables.items():
    data = {}
    for column, kind in columns:
        path = f"{folder}/{table}.{column}"
        if kind in ("string", "dynamic"):
            offsets = np.fromfile(path + ".offsets", np.uint32)
            raw = open(path, "rb").read()
            data[column] = np.array([raw[a:b].decode() for a, b in zip(offsets[:-1], offsets[1:])], dtype=object)
        else:
            data[column] = np.fromfile(path, np.float64 if kind == "real" else np.int64)
    con.execute(f'create table "{table}" as select * from data')
    del data
print(json.dumps({"ready": True, "version": duckdb.__version__}), flush=True)
def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime
for line in sys.stdin:
    word, first, query = line.rstrip("\n").split(" ", 2)
    try:
        if word == "run":
            con.execute(f"set threads={first}")
            con.execute("drop table if exists result")
            c, w = cpu(), time.monotonic()
            con.execute("create temp table result as " + query)
            print(json.dumps({"cpu": cpu() - c, "wall": time.monotonic() - w}), flush=True)
        else:
            kinds, path = first.split(",", 1)
            con.execute("drop table if exists result")
            con.execute("create temp table result as " + query)
            names = [r[0] for r in con.execute("select column_name from information_schema.columns where table_name = 'result' order by ordinal_position").fetchall()]
            types = {"t": "varchar", "i": "bigint", "d": "double"}
            described = ", ".join(f"'c{i}': '{types[k]}'" for i, k in enumerate(kinds))
            other = f"select * from read_csv('{path}', delim='\t', header=false, quote='', escape='', nullstr='\\N', columns={{{described}}})"
            quoted = lambda name: '"' + name.replace('"', '""') + '"'
            cast = lambda name, k: f'round({quoted(name)}::double, 6)' if k == "d" else f'{quoted(name)}::{types[k]}'
            mine = "select " + ", ".join(cast(n, k) for n, k in zip(names, kinds)) + " from result"
            theirs = "select " + ", ".join(f"round(c{i}, 6)" if k == "d" else f"c{i}" for i, k in enumerate(kinds)) + f" from ({other})"
            differ = con.execute(f"select (select count(*) from (({mine}) except all ({theirs}))) + (select count(*) from (({theirs}) except all ({mine})))").fetchone()[0]
            rows = con.execute("select count(*) from result").fetchone()[0]
            print(json.dumps({"rows": rows, "differ": differ}), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)[:300]}), flush=True)
'''


class Server:
    """A program that answers a line a command."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hello = json.loads(self.process.stdout.readline() or '{"error": "no start"}')
        if "error" in self.hello:
            raise SystemExit(f"queries.py: {command[0]}: {self.hello['error']}")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else {"error": "the program ended"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def memory_part(options, work):
    """The table of the queries in memory; what was wrong."""
    rows = options.rows
    script = os.path.join(work, "generate.py")
    with open(script, "w", encoding="utf-8") as out:
        out.write(GENERATE)
    subprocess.run([options.peers, script, work, str(rows)], check=True)
    ours = Server([options.bench, work, str(options.batch)])
    script = os.path.join(work, "duck.py")
    with open(script, "w", encoding="utf-8") as out:
        out.write(DUCKDB)
    peer = Server([options.peers, script, work])
    start = TICKS_1970 + 1_772_409_600 * 10_000_000
    lines, wrong, raw = [], [], []
    for name, kql, sql, kinds in MEMORY:
        if options.match and options.match not in name:
            continue
        names = {"long_start": str(start), "long_end": str(start + 864_000_000_000)}
        if "make-series" in name:
            kql = kql.replace("step 1h", "step 36000000000").replace("[", "[")
        for word, value in names.items():
            kql, sql = kql.replace(word, value), sql.replace(word, value)
        if "bin(Time, 1h)" in kql:
            kql = kql.replace("bin(Time, 1h)", "bin(Time, 36000000000)")
        if "make-series" in name:
            kql += " | project App, n"
        path = os.path.join(work, "result.tsv")
        written = ours.ask(f"write {path} {kql}")
        checked = peer.ask(f"check {kinds},{path} {sql}") if "error" not in written else {"error": "not run"}
        if "error" in written or "error" in checked or checked["differ"] or checked["rows"] != written["rows"]:
            wrong.append(f"{name}: ours {written}, the peer's {checked}")
            print(wrong[-1], file=sys.stderr)
            if "error" in written or "error" in checked:
                continue
        size = min(rows, 1_000_000) if kql.startswith(("Left", "Tagged")) else rows
        for threads in (1, 2):
            samples = {"ours": [], "peer": []}
            for _ in range(options.samples + 1):
                a, b = ours.ask(f"run {threads} {kql}"), peer.ask(f"run {threads} {sql}")
                if "error" in a or "error" in b:
                    raise SystemExit(f"queries.py: {name}: {a} {b}")
                samples["ours"].append(a)
                samples["peer"].append(b)
            samples = {k: v[1:] or v for k, v in samples.items()}  # the first run of each warms up
            a, b = (statistics.median(s["wall"] for s in samples[k]) for k in ("ours", "peer"))
            x, y = (statistics.median(s["cpu"] for s in samples[k]) for k in ("ours", "peer"))
            lines.append((name, threads, size / x, size / y, y / x, b / a))
            raw.append({"query": name, "threads": threads, "kql": kql, "sql": sql, **samples})
            print(
                f"{name:38} {threads} thread(s) {size / x / 1e6:9.1f} {size / y / 1e6:9.1f} M rows a CPU-second  x{y / x:.2f}  wall x{b / a:.2f}",
                file=sys.stderr,
            )
    version = peer.hello["version"]
    ours.close()
    peer.close()
    text = [
        f"## In memory: {rows:,} rows, DuckDB {version}",
        "",
        f"Batches of {options.batch:,} rows, text as plain strings on both sides; median of {options.samples} samples that take turns. "
        "Rates are million rows a CPU-second; ratios above 1 mean that the product is faster.",
        "",
        "| Query | Threads | Vedette | DuckDB | Ratio by CPU | Ratio by wall time |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    text += [f"| {n} | {t} | {a / 1e6:,.1f} | {b / 1e6:,.1f} | {r:.2f} | {w:.2f} |" for n, t, a, b, r, w in lines]
    return text, raw, wrong


# name, KQL, columns of the table of records, SQL over it: DuckDB's and ClickHouse's
FILES = [
    (
        "selective filter",
        "AWSCloudTrail | where EventName == 'ConsoleLogin' | project TimeGenerated, UserIdentityArn, SourceIpAddress",
        "select substr(eventTime, 1, 19) || '.0000000Z', coalesce(userIdentity.arn, ''), sourceIPAddress from {source} "
        "where eventName = 'ConsoleLogin'",
        "select concat(substring(eventTime, 1, 19), '.0000000Z'), ifNull(tupleElement(userIdentity, 'arn'), ''), sourceIPAddress "
        "from {source} where eventName = 'ConsoleLogin'",
    ),
    (
        "summarize by user and hour",
        "AWSCloudTrail | summarize n = count() by UserIdentityPrincipalid, bin(TimeGenerated, 1h)",
        "select coalesce(userIdentity.principalId, ''), substr(eventTime, 1, 13) || ':00:00.0000000Z', count(*) from {source} group by all",
        "select ifNull(tupleElement(userIdentity, 'principalId'), '') as u, concat(substring(eventTime, 1, 13), ':00:00.0000000Z') as h, "
        "count(*) from {source} group by u, h",
    ),
]

PEER = r'''
import csv, json, resource, sys
kind, threads, query, out = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime
if kind == "duckdb":
    import duckdb
    con = duckdb.connect()
    con.execute("set enable_progress_bar=false")
    con.execute(f"set threads={threads}")
    con.execute("set timezone='UTC'")
    began = cpu()
    rows = con.execute(query).fetchall()
    spent = cpu() - began
    version = duckdb.__version__
else:
    import chdb
    chdb.query("select 1")
    began = cpu()
    text = str(chdb.query(query + f" settings max_threads={threads}, input_format_skip_unknown_fields=1, "
        "input_format_json_defaults_for_missing_elements_in_named_tuple=1, input_format_json_ignore_unknown_keys_in_named_tuple=1", "CSV"))
    spent = cpu() - began
    rows = list(csv.reader(text.splitlines()))
    version = chdb.__version__
with open(out, "w", newline="") as file:
    csv.writer(file).writerows(rows)
print(json.dumps({"cpu": spent, "version": version}))
'''

EXPLICIT_DUCKDB = (
    "read_json('{glob}', format='newline_delimited', columns={{eventName: 'VARCHAR', eventTime: 'VARCHAR', sourceIPAddress: 'VARCHAR', "
    "userIdentity: 'STRUCT(arn VARCHAR, principalId VARCHAR)'}})"
)
FOUND_DUCKDB = "(select * replace (strftime(eventTime, '%Y-%m-%dT%H:%M:%SZ') as eventTime) from read_json('{glob}', format='newline_delimited'))"
EXPLICIT_CHDB = (
    "file('{glob}', 'JSONEachRow', 'eventName String, eventTime String, sourceIPAddress String, "
    "userIdentity Tuple(arn Nullable(String), principalId Nullable(String))')"
)


def cells(path):
    with open(path, encoding="utf-8", newline="") as file:
        return sorted(csv.reader(file))


def files_part(options, work):
    """End to end over gzip'd JSON lines."""
    sys.path.insert(0, HERE)
    import generate

    folder = os.path.join(work, "cloudtrail")
    os.makedirs(folder)
    generate._templates.update(generate.load_templates())
    parts = 4
    with multiprocessing.get_context("fork").Pool(2) as pool:
        made = pool.map(
            generate.write_part,
            [(folder, (p, "cloudtrail", options.records // parts, p * 86400 / parts, (p + 1) * 86400 / parts, 1)) for p in range(parts)],
        )
    raw_bytes, packed = (sum(m[k] for m in made) for k in ("raw_bytes", "gz_bytes"))
    script = os.path.join(work, "peer.py")
    with open(script, "w", encoding="utf-8") as out:
        out.write(PEER)
    glob = f"{folder}/*.gz"
    out = os.path.join(work, "out.csv")
    lines, raw, wrong, versions = [], [], [], {}

    def child(command, path):
        """CPU and wall seconds of a process, and what it printed."""
        began = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if path:
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(done.stdout)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - began, done.stdout

    # What a hunt takes without data: the peers' figures are without their start.
    start = statistics.median(child([options.binary, "hunt", "print 1", "--format", "csv"], None)[0] for _ in range(2 * options.samples + 1))
    for name, kql, sql, clickhouse in FILES:
        runs = [
            ("DuckDB, columns given", "duckdb", sql.format(source=EXPLICIT_DUCKDB.format(glob=glob))),
            ("DuckDB, columns found", "duckdb", sql.format(source=FOUND_DUCKDB.format(glob=glob))),
            ("chdb, columns given", "chdb", clickhouse.format(source=EXPLICIT_CHDB.format(glob=glob))),
        ]
        for threads in (1, os.cpu_count() or 1):
            ours, peers, reference = [], {label: [] for label, _, _ in runs}, None
            for turn in range(options.samples + 1):
                cpu, wall, _ = child([options.binary, "hunt", kql, "--data", folder, "--format", "csv", "--threads", str(threads)], out)
                ours.append({"cpu": cpu, "wall": wall})
                reference = cells(out) if turn == 0 else reference
                for label, kind, query in runs:
                    if turn > 1 and "found" in label:
                        continue
                    _, wall, answer = child([options.peers, script, kind, str(threads), query, out], None)
                    answer = json.loads(answer)
                    versions[kind] = answer["version"]
                    peers[label].append({"cpu": answer["cpu"], "wall": wall})
                    if turn == 0:
                        header = csv_header(kql)
                        mine = [row for row in reference if row != header]
                        if mine != cells(out):
                            wrong.append(f"{name}: {label} has other rows ({len(mine)} and {len(cells(out))})")
                            print(wrong[-1], mine[:2], cells(out)[:2], file=sys.stderr)
            a = statistics.median(s["cpu"] for s in ours[1:] or ours)
            for label, _, _ in runs:
                b = statistics.median(s["cpu"] for s in peers[label][1:] or peers[label])
                lines.append((name, label, threads, raw_bytes / a / 1e6, raw_bytes / b / 1e6, b / (a - start), b / a))
                print(f"{name:28} {label:24} {threads} thread(s) {a:.3f} s {b:.3f} s  x{b / (a - start):.2f} x{b / a:.2f}", file=sys.stderr)
            raw.append({"query": name, "kql": kql, "hunt threads": threads, "start": start, "ours": ours, **peers})
    text = [
        f"## End to end: {options.records:,} CloudTrail records, {raw_bytes / 1e6:,.0f} MB raw, {packed / 1e6:,.0f} MB gzip",
        "",
        f"DuckDB {versions['duckdb']}, chdb {versions['chdb']}. CPU-seconds, of all threads: of the peers the query alone, without Python, "
        f"imports and start; of `hunt` the process with its printing. Its start takes {1000 * start:.0f} ms (`hunt 'print 1'`): the first ratio "
        "leaves it out, as it is left out of the peers' figures; the second counts it.",
        "",
        "| Query | Peer | Threads | Vedette, MB a CPU-second | Peer, MB a CPU-second | Ratio | Ratio with our start |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    text += [f"| {n} | {label} | {t} | {a:,.0f} | {b:,.0f} | {r:.2f} | {w:.2f} |" for n, label, t, a, b, r, w in lines]
    return text, raw, wrong


def csv_header(kql):
    return ["TimeGenerated", "UserIdentityArn", "SourceIpAddress"] if "project" in kql else ["UserIdentityPrincipalid", "TimeGenerated", "n"]


def machine():
    """What the figures were taken on."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            cpu = next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    try:
        swift = subprocess.run(["swift", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        swift = "Swift of unknown version"
    return {"cpu": cpu, "cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version(), "swift": swift}


# Part of a query's name, peers that it concerns, least ratio by CPU-seconds.
GOALS = [("filter", "DuckDB", 1), ("summarize", "DuckDB", 1), ("join", "DuckDB", 0.5)]
FILE_GOALS = [("DuckDB", 2), ("chdb", 1.2)]


def verdicts(raw):
    """Lines on the goals, met or not, and on the cases that the product loses."""
    missed, lost = [], []
    for sample in raw:
        name = sample["query"]
        if "threads" in sample:
            ratio = statistics.median(s["cpu"] for s in sample["peer"]) / statistics.median(s["cpu"] for s in sample["ours"])
            label = f"{name}, {sample['threads']} thread(s), DuckDB: {ratio:.2f}"
            goals = [least for part, _, least in GOALS if name.startswith(part)]
            if goals and ratio < min(goals):
                missed.append(f"{label} (goal {min(goals)})")
            if ratio < 1:
                lost.append(label)
            continue
        ours = statistics.median(s["cpu"] for s in sample["ours"][1:] or sample["ours"])
        for peer, samples in sample.items():
            if peer in ("query", "kql", "hunt threads", "start", "ours"):
                continue
            ratio = statistics.median(s["cpu"] for s in samples[1:] or samples) / (ours - sample["start"])
            label = f"end to end, {name}, {sample['hunt threads']} thread(s), {peer}: {ratio:.2f}"
            goals = [least for part, least in FILE_GOALS if peer.startswith(part)]
            if goals and ratio < goals[0]:
                missed.append(f"{label} (goal {goals[0]})")
            if ratio < 1:
                lost.append(label)
    none = ["none"]
    return [
        "Goals by CPU-seconds: filters and `summarize` in memory at least as fast as DuckDB, joins at least half as fast; end to end at least "
        "2 times DuckDB and 1.2 times chdb.",
        "",
        "Goals missed:",
        "",
        *[f"- {m}" for m in missed or none],
        "",
        "Cases slower than a peer by CPU-seconds:",
        "",
        *[f"- {m}" for m in lost or none],
        "",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers", default=sys.executable, help="a Python with duckdb, chdb and numpy")
    parser.add_argument("--bench", default=os.path.join(ROOT, ".build/release/query-bench"))
    parser.add_argument("--binary", default=os.path.join(ROOT, ".build/release/vedette"))
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--batch", type=int, default=8192, help="rows of a batch in memory")
    parser.add_argument("--records", type=int, default=400_000, help="records of the files")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--only", choices=["memory", "files"])
    parser.add_argument("--match", help="only queries whose name holds this")
    parser.add_argument("--note", help="a sentence for the report: what was built, what else the machine did")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", help="a file for the report (Markdown), raw samples beside it as .json")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.records, options.samples = 100_000, 20_000, 1
    for program in (options.bench, options.binary):
        if not os.path.exists(program):
            print(f"queries.py: no {program}: swift build -c release", file=sys.stderr)
            return 3
    report, raw, wrong = [], [], []
    host, began = machine(), os.getloadavg()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as work:
        if options.only != "files":
            text, samples, bad = memory_part(options, work)
            report += text
            raw += samples
            wrong += bad
        if options.only != "memory":
            text, samples, bad = files_part(options, work)
            report += ["", *text]
            raw += samples
            wrong += bad
    load = [round(x, 1) for x in (began[0], os.getloadavg()[0])]
    words = [f"{k} {v}" for k, v in vars(options).items() if v not in (None, False) and k in ("rows", "batch", "records", "samples", "match", "only")]
    report = [
        "# Queries beside DuckDB and chdb",
        "",
        f"Made by `Benchmarks/queries.py` ({', '.join(words)}); see `Benchmarks/README.md`.",
        "",
        f"Machine: {host['cpu']}, {host['cpus']} cores; {host['system']}; {host['swift']}; Python {host['python']}. One-minute load "
        f"{load[0]} at the start and {load[1]} at the end: above the number of cores, wall times mean little. What counts is user and "
        "system time of the process alone, in samples that take turns with the peer's.",
        "",
        *([options.note, ""] if options.note else []),
        *verdicts(raw),
        *report,
    ]
    print("\n".join(report))
    for w in wrong:
        print("WRONG:", w)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as out:
            out.write("\n".join(report) + "\n")
        with open(os.path.splitext(options.out)[0] + ".json", "w", encoding="utf-8") as out:
            json.dump({"machine": host, "load": load, "options": {k: vars(options)[k] for k in ("rows", "batch", "records", "samples")}, "samples": raw}, out, indent=1)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
