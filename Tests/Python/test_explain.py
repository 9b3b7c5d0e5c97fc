"""Tests of `rules explain` and `rules cost`: how a rule is run, and what it takes."""

import json
import os
import unittest

from support import DAY, RULES, Case, lines, vedette

RULE = """id: 6a1f2f4e-6f0c-4a57-8a6e-0c4d8f1e2b3c
name: Explained
description: For tests.
severity: Low
requiredDataConnectors: []
queryFrequency: 5m
queryPeriod: 1h
triggerOperator: gt
triggerThreshold: 0
tactics: [Impact]
relevantTechniques: [T1485]
query: |
  AzureActivity
  | where OperationNameValue endswith "/write" and Caller has_any ("alpha", "beta")
  | where TimeGenerated > ago(30m)
  | summarize Events = count() by Caller
entityMappings: []
version: 1.0.0
kind: Scheduled
"""


class Explain(Case):
    def test_legs_witnesses_horizon_and_strategy_are_told(self):
        done = vedette("rules", "explain", self.write("rule.yaml", RULE))
        self.assertExit(done, 0)
        text = done.stdout.decode()
        for part in (
            "leg 1 of 1: AzureActivity", "OperationNameValue has '/write'", "'alpha', 'beta'", "horizon", "00:30:00", "strategy", "distinct keys",
            "expected", "every 5m over 1h",
        ):
            self.assertIn(part, text)
        self.assertNotIn("observed", text)

    def test_observed_cost_with_data(self):
        done = vedette("rules", "explain", self.write("rule.yaml", RULE.replace('"alpha", "beta"', '"contoso"')), "--data", DAY)
        self.assertExit(done, 0)
        text = done.stdout.decode()
        self.assertIn("observed", text)
        self.assertRegex(text, r"[1-9][\d,]* candidate rows")
        self.assertRegex(text, r"[1-9][\d,]* evaluations")

    def test_a_rule_that_is_refused_is_no_success(self):
        done = vedette("rules", "explain", self.write("rule.yaml", RULE.replace("Caller has_any", "Nobody has_any")))
        self.assertExit(done, 1)
        self.assertIn(b"Nobody", done.stderr)


class Cost(Case):
    def test_rules_are_listed_dearest_first_over_logs(self):
        done = vedette("rules", "cost", "--rules", RULES, "--format", "json", "--limit", "0", DAY)
        self.assertExit(done, 0)
        costs = json.loads(done.stdout)
        self.assertGreater(len(costs), 10)
        self.assertEqual([c["cpu_ms"] for c in costs], sorted((c["cpu_ms"] for c in costs), reverse=True))
        self.assertGreater(costs[0]["survivors"], 0)
        self.assertGreater(costs[0]["cpu_ms"], 0)
        self.assertEqual(sum(c["survivors"] > c["tested_rows"] * 50 for c in costs), 0)

    def test_the_daemon_counts_and_reports_what_is_over_its_budget(self):
        state, out = os.path.join(self.folder, "state"), os.path.join(self.folder, "alerts.jsonl")
        run = [
            "run", "--rules", RULES, "--inputs", DAY, "--state-dir", state, "--start-at", "beginning", "--exit-when-idle", "--outputs",
            f"file:{out}", "--log-format", "json", "--limits-rule-cpu", "1",
        ]
        done = vedette(*run)
        self.assertExit(done, 0)
        costs = json.loads(vedette("rules", "cost", "--state-dir", state, "--format", "json", "--limit", "0").stdout)
        self.assertGreater(sum(c["survivors"] for c in costs), 0)
        self.assertEqual([c["cpu_ms"] for c in costs], sorted((c["cpu_ms"] for c in costs), reverse=True))
        # Whoever is over says so in the log as well, and nothing is lost.
        over = {c["name"] for c in costs if c["over_budget"]}
        logged = {line["rule"] for line in lines(done.stderr) if line.get("message") == "rule is over its budget"}
        self.assertLessEqual(over, logged)
        table = vedette("rules", "cost", "--state-dir", state).stdout.decode()
        self.assertIn("ROWS TESTED", table)
        self.assertEqual("OVER" in table, bool(over))

    def test_usage(self):
        self.assertExit(vedette("rules", "cost", "--rules", RULES), 2)
        self.assertExit(vedette("rules", "cost", "--state-dir", os.path.join(self.folder, "none")), 3)


if __name__ == "__main__":
    unittest.main()
