"""Tests of the benchmark's generator: the ground truth is what the rules, evaluated plainly on the raw records, give."""

import gzip
import hashlib
import json
import os
import re
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "Benchmarks"))

import daemon  # noqa: E402
import generate  # noqa: E402
import rules  # noqa: E402
import run  # noqa: E402

SIZE = 6_000_000
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"


def read(path, opener=open):
    with opener(path, "rb") as file:
        return file.read()


def has(text, term):
    return re.search(rf"(?<![a-z0-9]){re.escape(term.lower())}(?![a-z0-9])", text.lower()) is not None


def matches(rule, record):
    """The rule's predicate, written a second time by hand for the raw record."""
    n, key, base = rule.number, rule.key, rule.base
    kind = "cloudtrail" if "eventSource" in record else {"SignInLogs": "signin", "AuditLogs": "audit"}.get(record["category"], "activity")
    if record.get("category") == "NonInteractiveUserSignInLogs" or rule.kind != kind:
        return False
    properties = record.get("properties", {})
    operation = record.get("operationName", "").lower()
    if base == 0:
        return operation == f"microsoft.{key}/accounts/rotate/action" and record["resultType"] in ("Success", "Succeeded")
    if base == 1:
        common = rules.OPERATIONS[n // 10 % len(rules.OPERATIONS)].lower()
        caller = record["identity"]["claims"].get(UPN, "").lower()
        return operation in (common, f"microsoft.{key}/keys/write", f"microsoft.{key}/keys/delete") and caller.startswith(f"robot-{key}-")
    if base == 2:
        return operation.endswith("/write") and has(record["resourceId"], f"rg-{key}")
    if base == 3:
        places = (rules.COUNTRIES[n // 10 % 10], rules.COUNTRIES[(n // 10 + 3) % 10], "NL")
        return record["resultType"] == "0" and properties["appDisplayName"] == f"Tool {key}" and record["location"] in places
    if base == 4:
        return has(properties["userAgent"], key) and record["resultType"] not in ("50140", "50074")
    if base == 5:
        return properties["deviceDetail"]["operatingSystem"] == f"{key} OS" and properties["appDisplayName"].startswith("Azure")
    if base == 6:
        user = properties["initiatedBy"].get("user") or {}
        return operation in (rules.CREDENTIAL_OPERATION.lower(), "update application") and user.get("displayName") == key
    if base == 7:
        return has(operation, "credentials") and f"-{key}-" in record["identity"].lower()
    if base == 8:
        event = rules.EVENTS[n // 10 % len(rules.EVENTS)]
        return record["eventName"] in (event, f"Delete{key}") and not record.get("errorCode") and has(record["userAgent"], key)
    return record["eventSource"] == "iam.amazonaws.com" and re.search(rf"(?i)\b{key}/[0-9]+\.[0-9]+", record["userAgent"]) is not None


class BenchmarkData(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = os.path.join(cls.temporary.name, "data")
        saved, generate.PLANTED = generate.PLANTED, 0.05  # many more than the benchmark plants, so that every rule is met
        try:
            cls.truth = generate.generate_data(cls.folder, SIZE, quiet=True)
        finally:
            generate.PLANTED = saved
        cls.records = []
        for file in cls.truth["files"]:
            with gzip.open(os.path.join(cls.folder, file["file"]), "rt", encoding="utf-8") as lines:
                cls.records += [json.loads(line) for line in lines]

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_truth_counts_the_file(self):
        self.assertEqual(len(self.records), self.truth["records"])
        self.assertAlmostEqual(self.truth["raw_bytes"] / SIZE, 1, delta=0.1)
        self.assertEqual(
            self.truth["raw_bytes"], sum(len(read(os.path.join(self.folder, f["file"]), gzip.open)) for f in self.truth["files"])
        )

    def test_clones_match_what_was_planted_and_nothing_else(self):
        found = {}
        for rule in map(rules.Rule, range(60)):
            targets = {}
            for r in self.records:
                if matches(rule, r):
                    target = r["eventID"] if rule.kind == "cloudtrail" else r["correlationId"]
                    targets[target] = targets.get(target, 0) + 1
            if rule.base == 4:
                self.assertEqual(set(targets.values()) - {rules.THRESHOLD}, set(), "every burst reaches the threshold, and no more")
            else:
                self.assertEqual(set(targets.values()) - {1}, set(), "two planted records share the entity that tells their alerts apart")
            if rule.base == 8:
                joined = {r["eventID"] for r in self.records if r.get("eventName") == f"Tag{rule.key}"}
                self.assertEqual(joined, set(targets), "both sides of the join are there")
            if targets:
                found[rule.id] = len(targets)
        planted = {rule: count for rule, count in self.truth["planted"].items() if not rules.is_stateful(rule)}
        self.assertEqual(found, planted)
        self.assertEqual(len(found), rules.PLANTED_RULES)

    def test_four_rules_of_ten_keep_state(self):
        queries = [rules.Rule(n).query() for n in range(10)]
        self.assertEqual(sum("summarize" in q or "join" in q for q in queries), 4)
        self.assertEqual([rules.Rule(n).is_stateful for n in range(10)], ["summarize" in q or "join" in q for q in queries])

    def test_threshold_rules_have_their_bursts(self):
        found = {}
        for record in self.records:
            if record.get("category") == "SignInLogs" and record["resultType"] in ("50126", "50053"):
                key = (record["properties"]["appDisplayName"], record["callerIpAddress"])
                found.setdefault(key, set()).add(record["properties"]["userPrincipalName"])
        by_app = {}
        for (app, _), users in found.items():
            self.assertEqual(len(users), rules.BURST_USERS)
            by_app[app] = by_app.get(app, 0) + 1
        expected = {rules.Threshold(i).app: self.truth["planted"].get(rules.Threshold(i).id, 0) for i in range(rules.STATEFUL_PLANTED)}
        self.assertEqual(by_app, {app: count for app, count in expected.items() if count})

    def test_the_same_seed_gives_the_same_data(self):
        digests = []
        for name in ("one", "two"):
            folder = os.path.join(self.temporary.name, name)
            generate.generate_data(folder, 1_000_000, seed=5, processes=1 if name == "one" else 2, quiet=True)
            digests.append([hashlib.sha256(read(os.path.join(folder, f))).hexdigest() for f in sorted(os.listdir(folder))])
        self.assertEqual(*digests)

    def test_rules_are_counted_and_distinct(self):
        folder = os.path.join(self.temporary.name, "rules")
        ids = rules.write_rules(folder, 400, 20)
        self.assertEqual(len(set(ids)), 420)
        self.assertEqual(len(os.listdir(folder)), 420)
        queries = {re.search(rb"query: \|\n(.*?)\nentityMappings", read(os.path.join(folder, f)), re.S)[1] for f in os.listdir(folder)}
        self.assertEqual(len(queries), 420)
        rules.write_rules(folder, 10)
        self.assertEqual(len(os.listdir(folder)), 10)

    def test_differences_see_missing_surplus_and_doubled_alerts(self):
        truth = {"planted": {"a": 2, "b": 1, "c": 4}}
        self.assertEqual(run.differences({"a": 2, "b": 1}, truth, {"a", "b"}), ([], 3, 3))
        for found in ({"a": 2}, {"a": 3, "b": 1}, {"a": 2, "b": 1, "d": 1}):
            self.assertTrue(run.differences(found, truth, {"a", "b"})[0])

    def test_merged_alerts_are_not_counted(self):
        path = os.path.join(self.temporary.name, "alerts")
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"rule_id":"a"}\n{"rule_id":"a","merged_into":"x"}\n\n{"rule_id":"b","merged_into":null}\n')
        self.assertEqual(run.alerts_of(path), {"a": 1, "b": 1})

    def test_growth_is_told_from_noise(self):
        noise = [(-1) ** second / 2 for second in range(1800)]
        flat = daemon.growth([(second, 60 + noise[second]) for second in range(1800)])
        self.assertEqual((flat["growth_percent"], flat["peak_mb"]), (0, 60.5))
        self.assertLess(abs(flat["second_half_percent"]), 0.02)
        # What fills up early is no growth, what goes on growing is.
        filling = daemon.growth([(second, min(60, 40 + second / 10)) for second in range(1800)])
        self.assertEqual((filling["growth_percent"], filling["slope_mb_per_hour"]), (0, 0))
        growing = daemon.growth([(second, 60 + second / 300 + noise[second]) for second in range(1800)])
        self.assertAlmostEqual(growing["slope_mb_per_hour"], 12, delta=0.1)
        self.assertGreater(growing["growth_percent"], 4)
        self.assertAlmostEqual(growing["second_half_percent"], 100 * 3 / 64.5, delta=0.1)

    def test_what_is_held_is_summed(self):
        status = {"rules": [{"state_bytes": 1_000_000, "evidence_bytes": 20_000}] * 2, "memory": {"memo_bytes": 30_000, "allocated_bytes": 9_000_000}}
        self.assertEqual(daemon.kept(status), {"state": 2.0, "evidence": 0.04, "memos": 0.03, "allocated": 9.0})
        self.assertEqual(set(daemon.kept({}).values()), {0})


if __name__ == "__main__":
    unittest.main()
