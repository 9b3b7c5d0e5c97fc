"""What a user sees of the program: refusals of slips on the command line, exit codes, lists, messages."""

import json
import os
import subprocess
import unittest

import support
from support import RULES, VEDETTE, Case, environment, json_lines, vedette

RULE = """id: 00000009-0000-4000-8000-000000000001
name: Flows by source
description: Counts flows.
severity: Low
queryFrequency: 1h
queryPeriod: 1h
triggerOperator: gt
triggerThreshold: 0
tactics: [Discovery]
relevantTechniques: [T1046]
query: |
  AWSVPCFlow
  | summarize count() by SrcAddr
version: 1.0.0
"""


class Slips(Case):
    """What cannot be meant is refused with 2 and a word about it, and nothing is printed as if it were an answer."""

    def setUp(self):
        super().setUp()
        self.data = self.write("a.json", json_lines([support.grant_exported()]))

    def refused(self, word, *arguments):
        done = vedette(*arguments)
        self.assertExit(done, 2)
        self.assertIn(word, done.stderr.decode())
        self.assertEqual(done.stdout, b"")

    def test_replay(self):
        self.refused("AzureActivity", "replay", "--rules", RULES, "--table", "AzureActivty", self.data)
        self.refused("SigninLogs", "replay", "--rules", RULES, "--lateness", "SigninLog=5m", self.data)
        self.refused("--from", "replay", "--rules", RULES, "--from", "2026-03-03", "--to", "2026-03-02", self.data)

    def test_run(self):
        self.refused("exclude", "run", "--check-config", "--rules", RULES, "--inputs", self.data, "--input", "-")
        self.refused("SigninLogs", "run", "--check-config", "--rules", RULES, "--inputs", "SigninLog=" + self.data)
        self.refused("lateness", "run", "--check-config", "--rules", RULES, "--inputs", self.data, "--lateness", "AuditLog=5m")

    def test_hunt_of_a_table_without_data(self):
        self.refused("--data", "hunt", "AzureActivity | count")
        self.refused("--data", "hunt", "let n = toscalar(AzureActivity | count); print n")

    def test_alerts(self):
        self.refused("--severity", "alerts", "list", "--state-dir", self.folder, "--severity", "Urgent")
        self.refused("--limit", "alerts", "list", "--state-dir", self.folder, "--limit", "0")


class Rules(Case):
    def test_rules_that_are_not_there_are_three(self):
        absent, data = self.path("absent"), self.write("a.json", b"")
        for arguments in (
            ["rules", "check", absent], ["rules", "list", absent], ["rules", "test", absent], ["replay", "--rules", absent, data],
            ["run", "--check-config", "--rules", absent, "--inputs", data],
        ):  # fmt: skip
            with self.subTest(arguments):
                done = vedette(*arguments)
                self.assertExit(done, 3)
                self.assertIn("No such file", (done.stdout + done.stderr).decode())

    def test_all_errors_at_once_and_in_order(self):
        bad = RULE.replace("Low", "Loud").replace("SrcAddr", "Source").replace("T1046", "T9999")
        done = vedette("rules", "check", "--format", "json", self.write("bad.yaml", bad))
        self.assertExit(done, 1)
        found = json.loads(done.stdout)["findings"]
        self.assertEqual([f["code"] for f in found if f["severity"] == "error"], ["VR0018", "VR0032", "VK0100"])
        places = [(f["line"], f["column"]) for f in found]
        self.assertEqual(places, sorted(places))

    def test_blind(self):
        rule = self.write("blind.yaml", RULE)
        done = vedette("rules", "list", rule)
        self.assertExit(done, 0)
        self.assertIn("0 loaded, 1 blind, 0 refused", done.stdout.decode())
        self.assertExit(vedette("rules", "check", rule), 0)
        self.assertExit(vedette("rules", "check", "--strict", rule), 1)
        self.assertIn("0 blind", vedette("rules", "list", RULES).stdout.decode())
        check = ["run", "--check-config", "--rules", rule, "--inputs"]
        self.assertIn("blind", vedette(*check, "/nowhere/*.json").stdout.decode())
        self.assertNotIn("blind", vedette(*check, "AWSVPCFlow=/nowhere/*.json").stdout.decode())


class Output(Case):
    def test_a_full_disk_is_three(self):
        for arguments in (["hunt", "range x from 1 to 100000 step 1", "--format", "csv"], ["rules", "list", RULES]):
            with self.subTest(arguments), open("/dev/full", "wb") as full:
                done = subprocess.run([VEDETTE, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=60, env=environment())
                self.assertEqual(done.returncode, 3)
                self.assertIn("standard output", done.stderr.decode())

    def test_a_reader_that_goes_away_is_no_error(self):
        p = subprocess.Popen(
            [VEDETTE, "hunt", "range x from 1 to 1000000 step 1", "--format", "csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(),
        )  # fmt: skip
        p.stdout.readline()
        p.stdout.close()
        self.assertEqual(p.wait(60), 0)
        self.assertEqual(p.stderr.read(), b"")
        p.stderr.close()


class Status(Case):
    def test_a_restart_forgets_neither_sources_nor_last_alerts(self):
        data = self.write("a.json", json_lines([support.grant_exported()]))
        state = self.path("state", "x")
        arguments = ["run", "--rules", RULES, "--inputs", data, "--state-dir", os.path.dirname(state), "--start-at", "beginning", "--exit-when-idle"]  # fmt: skip
        seen = []
        for _ in range(2):
            self.assertExit(vedette(*arguments), 0)
            done = vedette("status", "--state-dir", os.path.dirname(state), "--format", "json")
            self.assertExit(done, 0)
            status = json.loads(done.stdout)
            source = next(s for s in status["sources"] if s["path"] == data)
            rules = {r["id"]: r["last_alert"] for r in status["rules"] if r["last_alert"]}
            seen.append(({k: source[k] for k in ("position", "lag_bytes", "records", "dead_letters", "event_time")}, rules))
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0][0]["records"], 1)
        self.assertEqual(len(seen[0][1]), 1)


if __name__ == "__main__":
    unittest.main()
