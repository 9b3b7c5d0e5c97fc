"""`rules check --format sarif`: what code-scanning services need of it."""

import json
import unittest

from support import RULES, Case, vedette

RULE = """id: 00000009-0000-4000-8000-000000000002
name: Lints
description: Finds little.
severity: Low
queryFrequency: 1h
queryPeriod: 1h
triggerOperator: gt
triggerThreshold: 0
tactics: [Discovery]
relevantTechniques: [T1087]
query: |
  AzureActivity
  | where OperationNameValue == "Microsoft.Sql/write"
  | where Missing has "x"
version: 1.0.0
"""


class Sarif(Case):
    def test_findings_have_places(self):
        file = self.write("a rule.yaml", RULE)
        done = vedette("rules", "check", "--format", "sarif", file)
        self.assertExit(done, 1)
        log = json.loads(done.stdout)
        self.assertEqual(log["version"], "2.1.0")
        (run,) = log["runs"]
        ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        found = {result["ruleId"]: result for result in run["results"]}
        self.assertEqual(set(ids), set(found))
        error = found["VK0100"]
        self.assertEqual(error["level"], "error")
        self.assertEqual(ids[error["ruleIndex"]], "VK0100")
        place = error["locations"][0]["physicalLocation"]
        self.assertTrue(place["artifactLocation"]["uri"].endswith("/a%20rule.yaml"))
        self.assertTrue(place["artifactLocation"]["uri"].startswith("file:///"))
        self.assertEqual(place["region"], {"startLine": 14, "startColumn": 11, "endLine": 14, "endColumn": 18})

    def test_lints_are_warnings(self):
        file = self.write("rule.yaml", RULE.replace('  | where Missing has "x"\n', ""))
        done = vedette("rules", "check", "--format", "sarif", file)
        self.assertExit(done, 0)
        (result,) = json.loads(done.stdout)["runs"][0]["results"]
        self.assertEqual((result["ruleId"], result["level"]), ("VK0504", "warning"))
        self.assertIn("`=~`", result["message"]["text"])
        self.assertExit(vedette("rules", "check", "--strict", file), 1)

    def test_pack_is_clean(self):
        done = vedette("rules", "check", "--strict", "--format", "sarif", RULES)
        self.assertExit(done, 0)
        self.assertEqual(json.loads(done.stdout)["runs"][0]["results"], [])


if __name__ == "__main__":
    unittest.main()
