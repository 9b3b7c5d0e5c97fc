"""Queries that are deep or long: an answer or a diagnostic, never a crash, on any stack."""

import gzip
import json
import os
import resource
import subprocess
import time
import unittest

from support import VEDETTE, Case, environment, vedette

N = 5_000


def nested(opening, closing, n=N, inner="1"):
    return opening * n + inner + closing * n


def joined(term, operator, n=N):
    return f" {operator} ".join([term] * n)


# Query, then the code of its diagnostic, or nothing where it has an answer.
QUERIES = {
    "pipes, where": ("range x from 1 to 3 step 1" + " | where x > 1" * 2 * N + " | count", None),
    "pipes, extend": ("print x = 1" + " | extend x = x + 1" * 2 * N, None),
    "pipes, summarize": ("print x = 1" + " | summarize x = max(x)" * 2 * N, None),
    "pipes, join": ("print x = 1" + " | join (print x = 1) on x | project x" * 1_000, None),
    "pipes in a function": ("let f = () { print x = 2" + " | where x > 1" * 2 * N + " }; f | count", None),
    "more pipes than the limit": ("print x = 1" + " | extend x = x + 1" * 25_000, "VK0172"),
    "parentheses": ("print " + nested("(", ")"), "VK0016"),
    "calls": ("print " + nested("abs(", ")"), "VK0016"),
    "calls over rows": ("range x from 1 to 3 step 1 | extend y = " + nested("abs(", ")", inner="x"), "VK0016"),
    "sub-queries": (nested("(", ")", inner="print x = 1"), "VK0016"),
    "unions in unions": (nested("union (", ")", 1_000, "print x = 1"), "VK0016"),
    "functions in functions": (nested("let f = () { ", " };", 2_000) + " print 1", "VK0016"),
    "indices": ("print a = dynamic([1]) | extend b = a" + "[0]" * N, "VK0016"),
    "and": ("range x from 1 to 3 step 1 | where " + joined("x > 0", "and"), None),
    "or": ("range x from 1 to 3 step 1 | where " + joined("x > 2", "or"), None),
    "plus": ("range x from 1 to 3 step 1 | extend y = " + joined("x", "+"), "VK0016"),
    "plus of constants": ("print " + joined("1", "+"), "VK0016"),
    "scalar lets": ("let a0 = 1;" + "".join(f"let a{i} = a{i - 1} + 1;" for i in range(1, 2_001)) + "print a2000", None),
    "tabular lets": (
        "let a0 = print x = 1;" + "".join(f"let a{i} = a{i - 1} | where x > 0;" for i in range(1, 2_001)) + "a2000", "VK0172"),
    "functions that call functions": (
        "let f0 = (x: long) { x };" + "".join(f"let f{i} = (x: long) {{ f{i - 1}(x) }};" for i in range(1, 2_001)) + "print f2000(1)",
        "VK0106"),
    "doubling functions": (
        "let f0 = (x: long) { x };" + "".join(f"let f{i} = (x: long) {{ f{i - 1}(x) + f{i - 1}(x) }};" for i in range(1, 51)) + "print f50(1)",
        "VK0172"),
    "doubling lets": (
        "let a0 = rand();" + "".join(f"let a{i} = iff(a{i - 1} > 1.0, a{i - 1}, 0.0);" for i in range(1, 51)) + "print a50", "VK0172"),
    "wide lists": ("range x from 1 to 3 step 1 | where x in (" + ",".join(map(str, range(20_000))) + ")", None),
    "wide unions": ("union " + ",".join(["(print x = 1)"] * N) + " | count", None),
    "wide case": ("print x = 7 | extend y = case(" + ",".join(f"x == {i}, {i}" for i in range(N)) + ", 0)", None),
}

RULE = """\
id: 00000000-0000-4000-8000-{number:012}
name: rule {number}
description: deep
severity: Low
queryFrequency: 5m
queryPeriod: 5m
triggerOperator: gt
triggerThreshold: 0
query: |
  {query}
"""

# As deep as rules may be, in the operators that run as records arrive, in those that run at ticks, and in expressions.
RULES = [
    "AzureActivity" + "|take 5" * 280,
    "AzureActivity" + "|extend a=1" * 280,
    "AzureActivity|extend a=1" + "|summarize a=max(a)" * 280,
    "AzureActivity|extend a=1|project a" + "|join(print a=1)on a|project a" * 90,
    "AzureActivity|where strlen(Caller)" + "+strlen(Caller)" * 220 + ">3",
    "let f0=(x:long){x+1};" + "".join(f"let f{i}=(x:long){{f{i - 1}(x)+1+1+1}};" for i in range(1, 60)) + "AzureActivity|where f59(strlen(Caller))>3",
]


def small_stack():
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))


class Limits(Case):
    def test_deep_and_long_queries(self):
        for name, (query, code) in QUERIES.items():
            with self.subTest(name):
                done = vedette("hunt", "--format", "json", "--query-file", self.write("q.kql", query), timeout=120)
                if code is None:
                    self.assertExit(done, 0)
                    self.assertTrue(json.loads(done.stdout)["Tables"][0]["Rows"])
                else:
                    self.assertExit(done, 1)
                    self.assertIn(code, [json.loads(line).get("code") for line in done.stderr.splitlines()])

    def test_deep_rules_on_a_small_stack(self):
        for i, query in enumerate(RULES):
            self.write(f"rules/{i}.yaml", RULE.format(number=i, query=query))
        record = {
            "time": "2026-03-02T10:00:00.0000000Z", "resourceId": "/SUBSCRIPTIONS/0/RESOURCEGROUPS/R/PROVIDERS/X/Y",
            "operationName": "MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE", "category": "Administrative", "resultType": "Success",
            "caller": "eve@contoso.example", "correlationId": "c", "level": "Information", "properties": {},
        }
        for i in range(3):
            with gzip.open(self.path(f"{i}.json.gz"), "wt") as f:
                f.write(json.dumps(dict(record, correlationId=str(i))) + "\n")
        done = subprocess.run(
            [VEDETTE, "replay", "--rules", self.path("rules"), "--format", "jsonl", "--threads", "3", "--to", "2026-03-02T11:00:00Z"]
            + [self.path(f"{i}.json.gz") for i in range(3)],
            capture_output=True, text=True, timeout=120, preexec_fn=small_stack)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertEqual({json.loads(line)["rule_name"] for line in done.stdout.splitlines()}, {f"rule {i}" for i in range(len(RULES))})


# Each holds far more than a quarter of the limit below, which is what one operator may hold before it puts rows on the disk.
ROWS = "range x from 1 to 400000 step 1 | extend k = hash_sha256(tostring(x))"
LARGE = {
    "aggregate": f"{ROWS} | summarize n = count(), last = max(x) by k | summarize groups = count(), rows = sum(n), total = sum(last)",
    "join": f"{ROWS} | join kind=inner ({ROWS}) on k | summarize n = count(), same = countif(x == x1)",
    "sort": f"{ROWS} | project k | sort by k asc",
}


def high_water(pid):
    """The most memory that was resident, in bytes. What wait4 says counts this program's own pages too, which a child has before exec."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


class Spilling(Case):
    """Under a memory limit rows go to temporary files, and the answer stays the same."""

    LIMIT = 112 << 20

    def hunt(self, query, folder, *options):
        """The exit code, the rows, what was said, and the most memory that was resident."""
        out, err = self.path("rows"), self.path("said")
        with open(out, "wb") as rows, open(err, "wb") as said:
            process = subprocess.Popen(
                [VEDETTE, "hunt", query, "--format", "jsonl", *options], stdout=rows, stderr=said, env=environment({"TMPDIR": folder}))
            most = 0
            while process.poll() is None:
                most = max(most, high_water(process.pid))
                time.sleep(0.002)
        with open(out, "rb") as rows, open(err, "rb") as said:
            return process.returncode, rows.read(), said.read().decode(), most

    def test_the_answer_is_that_of_a_hunt_with_room(self):
        limit = ("--max-memory", str(self.LIMIT))
        for name, query in LARGE.items():
            with self.subTest(name):
                code, whole, said, _ = self.hunt(query, self.folder)
                self.assertEqual(code, 0, said)
                self.assertTrue(whole)
                code, rows, said, most = self.hunt(query, self.folder, *limit)
                self.assertEqual(code, 0, said)
                self.assertEqual(rows == whole, True, f"{len(rows)} bytes instead of {len(whole)}")
                self.assertLess(most, self.LIMIT * 5 // 4)
                # Without a place for temporary files it cannot be done: rows did go there.
                code, _, said, _ = self.hunt(query, self.path("nowhere", "at", "all"), *limit)
                self.assertEqual(code, 1)
                self.assertIn("temporary file", said)
                # Temporary files have no names, so nothing is left behind.
                self.assertEqual(sorted(os.listdir(self.folder)), ["nowhere", "rows", "said"])


if __name__ == "__main__":
    unittest.main()
