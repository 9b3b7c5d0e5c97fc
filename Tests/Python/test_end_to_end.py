"""The program from outside, without the daemon: replay, hunt, exit codes, the sample day against its ground truth."""

import collections
import csv
import gzip
import io
import json
import os
import re
import subprocess
import unittest
from datetime import datetime, timedelta, timezone

import support
from support import DAY, EVENT_RULE, RULES, SAMPLES, START, TEST_RULES, Case, json_lines, lines, tail, text, vedette

GRANT_RULE = "0b15bcb1-019b-4b47-b873-28dff5789ebd"
SHAPES = {"diagnostic setting": support.grant_exported, "Event Hub": support.grant_event_hub, "REST": support.grant_rest}
TO = "2026-03-03T00:00:00Z"


class Program(Case):
    def test_version_and_help(self):
        done = vedette("--version")
        self.assertExit(done, 0)
        self.assertRegex(done.stdout.decode(), r"^vedette \d+\.\d+\.\d+")
        done = vedette("--help")
        self.assertExit(done, 0)
        for command in ("replay", "run", "hunt", "rules", "alerts", "status"):
            self.assertIn(command, done.stdout.decode())


class OneRecord(Case):
    """One role assignment through `gzip | vedette replay -`, in each shape, whole and damaged."""

    def run_pipe(self, packed, *options, timeout=30):
        done = vedette("replay", "--rules", RULES, "--format", "jsonl", *options, "-", stdin=packed, timeout=timeout)
        self.assertGreaterEqual(done.returncode, 0, f"ended by a signal: {tail(done.stderr)}")
        return done

    def letters(self, packed, code=0):
        """Runs a damaged record; returns (alerts, dead letters, standard error)."""
        path = self.path("dead.jsonl")
        if os.path.exists(path):
            os.remove(path)
        done = self.run_pipe(packed, "--dead-letter", path)
        self.assertExit(done, code)
        found = []
        if os.path.exists(path):
            with open(path, "rb") as file:
                found = lines(file.read())
        return lines(done.stdout), found, done.stderr.decode()

    def assertDeadLetter(self, packed, words=None):
        alerts, letters, said = self.letters(packed)
        self.assertGreaterEqual(len(letters), 1, f"no dead letter; said: {tail(said)}")
        self.assertIn("vedette:", said)
        if words:
            self.assertRegex(said.lower(), words)
        return alerts, letters

    def test_each_shape_alerts(self):
        for name, make in SHAPES.items():
            with self.subTest(name):
                done = self.run_pipe(gzip.compress(json_lines([make()])))
                self.assertExit(done, 0)
                alerts = [a for a in lines(done.stdout) if a["rule_id"] == GRANT_RULE]
                self.assertEqual(len(alerts), 1, f"alerts of the rule; all: {tail(done.stdout)}; said: {tail(done.stderr)}")
                alert = alerts[0]
                self.assertEqual((alert["severity"], alert["techniques"]), ("High", ["T1098.003"]))
                entities = [e for e in alert["entities"] if e["type"] == "Account"]
                self.assertTrue(any(e.get("Name") == "eve" and e.get("UPNSuffix") == "contoso.example" for e in entities), entities)
                self.assertEqual(len(alert["evidence"]), 1)
                self.assertEqual(alert["start_time"], "2026-03-02T10:05:10.0000000Z")

    def test_plain_and_zstandard_alike(self):
        plain = json_lines([support.grant_exported()])
        packed = subprocess.run(["zstd", "-q", "-c"], input=plain, capture_output=True, check=True, timeout=20).stdout
        want = lines(self.run_pipe(gzip.compress(plain)).stdout)
        for name, data in (("plain", plain), ("zstd", packed)):
            with self.subTest(name):
                self.assertEqual(lines(self.run_pipe(data).stdout), want)

    def test_pretty_printed(self):
        for name, make in SHAPES.items():
            with self.subTest(name):
                alerts = lines(self.run_pipe(gzip.compress(json.dumps(make(), indent=2).encode())).stdout)
                self.assertEqual([a["rule_id"] for a in alerts].count(GRANT_RULE), 1)

    def test_garbage(self):
        for name, make in SHAPES.items():
            with self.subTest(name):
                body = text(make()).encode()
                broken = body[: len(body) // 2] + b'\x00\xff}"{' + body[len(body) // 2 + 40 :]
                alerts, letters = self.assertDeadLetter(gzip.compress(broken + b"\n"))
                self.assertEqual([a for a in alerts if a["rule_id"] == GRANT_RULE], [])
                for key in ("source", "reason", "length", "sha256"):
                    self.assertIn(key, letters[0])

    def test_good_record_after_garbage_is_read(self):
        body = text(support.grant_exported()).encode()
        alerts, letters = self.assertDeadLetter(gzip.compress(b"\x80 this is no JSON {\n" + body[:200] + b"\n" + body + b"\n"))
        self.assertEqual([a["rule_id"] for a in alerts].count(GRANT_RULE), 1)

    def test_truncated_member(self):
        for name, make in SHAPES.items():
            with self.subTest(name):
                packed = gzip.compress(json_lines([make()]))
                self.assertDeadLetter(packed[: len(packed) * 2 // 3])

    def test_noise_instead_of_gzip(self):
        packed = gzip.compress(json_lines([support.grant_exported()]))
        self.assertDeadLetter(packed[:12] + b"\xff" * 200 + packed[12:])

    def test_ten_thousand_levels(self):
        for name, make in SHAPES.items():
            with self.subTest(name):
                body = text(make())
                deep = body.replace('"eventCategory":', '"deep":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + ',"eventCategory":', 1)
                self.assertDeadLetter(gzip.compress(deep.encode() + b"\n"), "deep|nest|level|depth")

    def test_ten_thousand_open_brackets(self):
        for opener in (b"[", b'{"a":', b'{"records":['):
            with self.subTest(opener):
                alerts, letters, said = self.letters(gzip.compress(opener * 10_000 + b"\n"))
                self.assertGreaterEqual(len(letters), 1, said)

    def test_fifty_megabytes(self):
        filler = os.urandom(25_000_000).hex()
        for name, make in SHAPES.items():
            with self.subTest(name):
                body = text(make()).replace('"eventCategory":', '"filler":"' + filler + '","eventCategory":', 1)
                follower = json_lines([support.grant_exported() | {"time": "2026-03-02T12:00:00.0000000Z"}])
                packed = gzip.compress(body.encode() + b"\n", compresslevel=1)
                alerts, letters = self.assertDeadLetter(packed + gzip.compress(follower), "long|large|bytes|size")
                self.assertLess(len(text(letters[0])), 512 * 1024, "a dead letter keeps at most 64 KiB of the record")
                self.assertEqual([a["start_time"][:13] for a in alerts if a["rule_id"] == GRANT_RULE], ["2026-03-02T12"])

    def test_large_envelope_is_streamed(self):
        """An envelope of any size is no record: its elements are."""
        fillers = [support.activity(support.START, "Microsoft.Compute/disks/read", "ada@contoso.example", n) for n in range(12_000)]
        envelope = text({"records": fillers + support.grant_event_hub()["records"]}).encode()
        self.assertGreater(len(envelope), 10_000_000)
        done = self.run_pipe(gzip.compress(envelope, compresslevel=1), "--fail-on-dead-letter")
        self.assertExit(done, 0)
        self.assertEqual([a["rule_id"] for a in lines(done.stdout)].count(GRANT_RULE), 1)

    def test_fail_on_dead_letter(self):
        packed = gzip.compress(b"{nonsense\n" + json_lines([support.grant_exported()]))
        self.assertExit(self.run_pipe(packed), 0)
        self.assertExit(self.run_pipe(packed, "--fail-on-dead-letter"), 1)
        self.assertExit(self.run_pipe(gzip.compress(json_lines([support.grant_exported()])), "--fail-on-dead-letter"), 0)


def sample_alerts(day):
    done = vedette("replay", "--rules", RULES, "--format", "jsonl", "--to", TO, day, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"replay of the sample day: exit code {done.returncode}: {tail(done.stderr)}")
    return lines(done.stdout), done


class SampleDay(Case):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(SAMPLES, "ground-truth.json"), encoding="utf-8") as file:
            cls.truth = json.load(file)
        cls.alerts, cls.done = sample_alerts(DAY)
        # A revoked id and its successor are the same technique: compared under the id of version 18, which the truth writes first.
        cls.older = {"T1685": "T1562.001", "T1685.002": "T1562.008", "T1686.001": "T1562.007", "T1686": "T1562.004"}

    def techniques(self, ids):
        return {self.older.get(t, t) for t in ids}

    @staticmethod
    def marks(item, alert):
        """Whether a record of the step is named in the alert (its evidence above all)."""
        whole = text(alert)
        return any(mark in whole for mark in item["marker"])

    def alert_of(self, step, alerts):
        return [a for a in alerts if self.techniques(a["techniques"]) & self.techniques(step["techniques"]) and self.marks(step, a)]

    def test_every_step_has_its_alert(self):
        missing = []
        for step in self.truth["steps"]:
            if self.alert_of(step, self.alerts):
                continue
            near = [f"{a['rule_name']} {a['techniques']}" for a in self.alerts if self.marks(step, a)]
            missing.append(f"{step['id']} {step['techniques']} in {step['tables']}; alerts on its records: {near or 'none'}")
        self.assertEqual(missing, [], "steps without their alert:\n" + "\n".join(missing) + "\nsaid: " + tail(self.done.stderr))

    def test_quiet_part_is_at_most_informational(self):
        markers = {mark for step in self.truth["steps"] for mark in step["marker"]}
        loud = []
        for alert in self.alerts:
            whole = text(alert)
            if alert["severity"] == "Informational" or any(mark in whole for mark in markers):
                continue
            names = [b["id"] for b in self.truth["benign"] if self.marks(b, alert)]
            loud.append(f"{alert['severity']} {alert['rule_name']}: {alert['name']} at {alert['end_time']}; look-alike: {names or 'background'}")
        self.assertEqual(loud, [], "alerts that no planted record explains:\n" + "\n".join(loud))

    def test_look_alikes_are_not_evidence_of_loud_alerts_alone(self):
        for look in self.truth["benign"]:
            with self.subTest(look["id"]):
                loud = [
                    a["rule_name"]
                    for a in self.alerts
                    if a["severity"] != "Informational"
                    and a["evidence"]
                    and all(any(mark in text(e) for mark in look["marker"]) for e in a["evidence"])
                ]
                self.assertEqual(loud, [])

    def test_only_quiet_day(self):
        subprocess.run(
            [support.PYTHON, "-B", support.GENERATE, "--out", self.folder, "--only-quiet"], check=True, capture_output=True, timeout=90
        )
        alerts, _ = sample_alerts(os.path.join(self.folder, "2026-03-02"))
        loud = [f"{a['severity']} {a['rule_name']}: {a['name']}" for a in alerts if a["severity"] != "Informational"]
        self.assertEqual(loud, [])

    def test_without_a_step_its_alert_is_gone(self):
        steps = {s["id"]: s for s in self.truth["steps"]}
        chosen = ["owner-grant", "password-spray", "nsg-opened", "mass-deletion", "aws-trail-stopped"]
        for name in chosen:
            with self.subTest(name):
                out = self.path(name)
                os.makedirs(out, exist_ok=True)
                subprocess.run(
                    [support.PYTHON, "-B", support.GENERATE, "--out", out, "--without", name], check=True, capture_output=True, timeout=90
                )
                alerts, _ = sample_alerts(os.path.join(out, "2026-03-02"))
                gone = {a["id"] for a in self.alert_of(steps[name], self.alerts)}
                self.assertTrue(gone, "the step has no alert in the whole day")
                # Judged by the records: an alert that other steps' records raise may have the same id.
                left = [a["rule_name"] for a in alerts if self.marks(steps[name], a)]
                self.assertEqual(left, [], "alerts that name records which are not there")
                before = collections.Counter(a["rule_id"] for a in self.alert_of(steps[name], self.alerts))
                after = collections.Counter(a["rule_id"] for a in alerts if a["id"] in gone)
                self.assertLess(sum(after.values()), sum(before.values()), "every alert of the step is still raised")
                others = [s["id"] for s in self.truth["steps"] if s["id"] != name and not self.alert_of(s, alerts)]
                whole = [s["id"] for s in self.truth["steps"] if s["id"] != name and not self.alert_of(s, self.alerts)]
                self.assertEqual(others, whole, "other steps lose their alerts")

    def test_every_record_is_read(self):
        found = re.search(r"([\d,]+) files, ([\d,]+) events", self.done.stderr.decode())
        self.assertIsNotNone(found, tail(self.done.stderr))
        self.assertEqual(int(found.group(2).replace(",", "")), sum(self.truth["tables"].values()))
        self.assertRegex(self.done.stderr.decode(), r"\b0 dead letters")

    def test_tables_hold_what_the_truth_counts(self):
        for table, count in self.truth["tables"].items():
            with self.subTest(table):
                done = vedette("hunt", f"{table} | count", "--data", DAY, "--format", "csv", timeout=60)
                self.assertExit(done, 0)
                found = int(done.stdout.decode().split()[1])
                if table in ("AzureNetworkAnalytics_CL", "NTANetAnalytics"):
                    self.assertGreaterEqual(found, count, "a flow record holds one or more flows, each a row")
                else:
                    self.assertEqual(found, count)

    def test_threads_and_repetition_do_not_show(self):
        runs = {}
        for threads in ("1", "2", "2"):
            done = vedette("replay", "--rules", RULES, "--format", "jsonl", "--to", TO, "--threads", threads, DAY, timeout=120)
            self.assertExit(done, 0)
            runs.setdefault(threads, []).append(done.stdout)
        self.assertGreater(len(runs["1"][0]), 1000)
        self.assertEqual(runs["2"][0], runs["2"][1], "two runs differ")
        self.assertEqual(runs["1"][0], runs["2"][0], "one and two threads differ")
        self.assertEqual(runs["1"][0], self.done.stdout, "the default differs")

    def test_table_output(self):
        done = vedette("replay", "--rules", RULES, "--to", TO, DAY, timeout=120)
        self.assertExit(done, 0)
        out = done.stdout.decode()
        for word in ("SEVERITY", "TECHNIQUES", "ENTITIES", "High", "T1098.003", "files", "events", "MB", "late rows", "dead letters"):
            self.assertIn(word, out)
        self.assertNotIn("\x1b", out, "colour in a pipe")
        self.assertEqual(done.stderr.decode().count("\r"), 0, "a progress bar in a pipe")


class Replay(Case):
    def setUp(self):
        super().setUp()
        for name, body in TEST_RULES.items():
            self.write(f"rules/{name}", body)
        self.rules = self.path("rules")
        self.records = support.traffic(5, 600)

    def test_paths_globs_folders_and_standard_input_agree(self):
        halves = support.pieces(self.records, 2)
        for i, half in enumerate(halves):
            self.write(f"logs/deep/{i}.json.gz", gzip.compress(json_lines(half)))
        whole = gzip.compress(json_lines(self.records))
        self.write("whole.json.gz", whole)
        want = support.final_set(self.replay("--rules", self.rules, self.path("whole.json.gz")))
        self.assertGreater(len(want), 5)
        ways = {
            "folder": [self.path("logs")],
            "glob": [self.path("logs/**/*.json.gz")],
            "files": [self.path("logs/deep/1.json.gz"), self.path("logs/deep/0.json.gz")],
        }
        for name, paths in ways.items():
            with self.subTest(name):
                found = support.final_set(self.replay("--rules", self.rules, *paths))
                self.assertEqual(found, want, support.difference(want, found))
        found = support.final_set(self.replay("--rules", self.rules, "-", stdin=whole))
        self.assertEqual(found, want, support.difference(want, found))

    def test_members_and_envelopes_agree(self):
        parts = support.pieces(self.records, 5)
        want = support.final_set(self.replay("--rules", self.rules, "-", stdin=json_lines(self.records)))
        forms = {
            "members": b"".join(gzip.compress(json_lines(p)) for p in parts),
            "array": gzip.compress(text(self.records).encode()),
            "records": gzip.compress(text({"records": self.records}).encode()),
            "envelopes": gzip.compress(b"".join(text({"records": p}).encode() + b"\n" for p in parts)),
            "carriage returns": json_lines(self.records).replace(b"\n", b"\r\n"),
        }
        for name, data in forms.items():
            with self.subTest(name):
                alerts = self.replay("--rules", self.rules, "--fail-on-dead-letter", "-", stdin=data)
                # Hashes are of the record's bytes, which are the same in all forms.
                found = support.final_set(alerts)
                self.assertEqual(found, want, support.difference(want, found))

    def test_from_and_to(self):
        every = self.replay("--rules", self.path("rules/event.yaml"), "-", stdin=json_lines(self.records))
        middle = "2026-03-02T12:00:00Z"
        before = self.replay("--rules", self.path("rules/event.yaml"), "--to", middle, "-", stdin=json_lines(self.records))
        after = self.replay("--rules", self.path("rules/event.yaml"), "--from", middle, "-", stdin=json_lines(self.records))
        self.assertTrue(before and after)
        self.assertTrue(all(a["end_time"] <= "2026-03-02T12:00:00.0000000Z" for a in before))
        self.assertTrue(all(a["start_time"] >= "2026-03-02T12:00:00.0000000Z" for a in after))
        count = lambda alerts: sum(a["event_count"] for a in alerts)  # noqa: E731
        self.assertLessEqual(count(before), count(every))

    def test_json_format_is_one_array(self):
        data = json_lines(self.records)
        done = vedette("replay", "--rules", self.rules, "--format", "json", "-", stdin=data)
        self.assertExit(done, 0)
        self.assertEqual(json.loads(done.stdout), self.replay("--rules", self.rules, "-", stdin=data))

    def test_parity_mode(self):
        alerts = self.replay("--rules", self.rules, "--mode", "parity", "-", stdin=json_lines(self.records))
        self.assertGreater(len(alerts), 5)

    def test_a_wrong_clock_does_not_cost_decades_of_ticks(self):
        """One record of 2001 and one of 2099 beside two of today: a rule about absence ends in seconds and says what it left out."""
        body = support.rule(7, "Silence", 'AzureActivity | where OperationNameValue endswith "disks/delete"', ("5m", "5m"), grouping="SingleAlert")
        body = body.replace("triggerOperator: gt", "triggerOperator: lt").replace("triggerThreshold: 0", "triggerThreshold: 1")
        rule = self.write("silence/silence.yaml", body)
        moments = [
            datetime(2001, 1, 1, tzinfo=timezone.utc),
            START,
            START + timedelta(minutes=30),
            datetime(2099, 1, 1, tzinfo=timezone.utc),
        ]
        records = [support.activity(m, "MICROSOFT.COMPUTE/DISKS/DELETE", "eve@contoso.example", n) for n, m in enumerate(moments)]
        done = vedette("replay", "--rules", rule, "-", stdin=json_lines(records), timeout=30)
        self.assertExit(done, 0)
        said = (done.stdout + done.stderr).decode()
        self.assertIn("the logs have a hole", said)
        self.assertIn("records were ahead", said)
        alerts = self.replay("--rules", rule, "-", stdin=json_lines(records), timeout=30)
        # The silence between the two records of today is no hole.
        self.assertIn("2026-03-02T08:10:00.0000000Z", [a["window"]["first_tick"] for a in alerts])

    def test_threshold_and_join_count_what_python_counts(self):
        deletes = collections.Counter()
        for record in self.records:
            if record["operationName"] == "MICROSOFT.COMPUTE/DISKS/DELETE":
                name = record["identity"]["claims"]["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"]
                deletes[name] += 1
        done = vedette(
            "hunt", 'AzureActivity | where OperationNameValue endswith "disks/delete" | summarize n=count() by Caller',
            "--data", self.write("a.json", json_lines(self.records)), "--format", "jsonl",
        )  # fmt: skip
        self.assertExit(done, 0)
        self.assertEqual({r["Caller"]: r["n"] for r in lines(done.stdout)}, dict(deletes))


class ExitCodes(Case):
    def setUp(self):
        super().setUp()
        self.data = self.write("a.json", json_lines([support.grant_exported()]))
        self.good = self.write("rules/good.yaml", EVENT_RULE)

    def test_usage_is_two(self):
        for arguments in (
            [], ["replay"], ["replay", "--rules", self.good], ["replay", "--rules", self.good, "--no-such-option", self.data],
            ["replay", "--rules", self.good, "--from", "yesterday", self.data], ["replay", "--rules", self.good, "--lateness", "x", self.data],
            ["replay", "--rules", self.good, "--format", "xml", self.data], ["hunt"], ["nonsense"], ["run"],
            ["run", "--rules", self.good, "--inputs", self.data, "--start-at", "middle"],
        ):  # fmt: skip
            with self.subTest(arguments):
                done = vedette(*arguments)
                if not arguments:
                    self.assertIn(done.returncode, (0, 2))
                    continue
                self.assertExit(done, 2)
                self.assertTrue(done.stderr.strip())

    def test_input_that_is_not_there_is_three(self):
        self.assertExit(vedette("replay", "--rules", self.good, self.path("absent.json.gz")), 3)
        self.assertExit(vedette("hunt", "AzureActivity | count", "--data", self.path("absent.json.gz")), 3)
        self.assertExit(vedette("alerts", "list", "--state-dir", self.path("absent-state")), 3)
        self.assertExit(vedette("status", "--state-dir", self.path("absent-state")), 3)

    def test_one_missing_input_does_not_stop_the_others(self):
        done = vedette("replay", "--rules", RULES, "--format", "jsonl", self.path("absent.json"), self.data)
        self.assertExit(done, 3)
        self.assertEqual([a["rule_id"] for a in lines(done.stdout)].count(GRANT_RULE), 1)
        self.assertIn("absent.json", done.stderr.decode())

    def test_no_rule_is_one(self):
        bad = self.write("bad.yaml", "name: [")
        self.assertExit(vedette("replay", "--rules", bad, self.data), 1)

    def test_one_bad_rule_does_not_stop_the_others(self):
        self.write("rules/bad.yaml", EVENT_RULE.replace("project TimeGenerated, Caller", "project TimeGenerated, Callerr").replace("00000001-", "10000001-"))
        self.write("rules/worse.yaml", "id: [\n")
        records = self.write("traffic.json", json_lines(support.traffic(1, 200)))
        done = vedette("replay", "--rules", self.path("rules"), "--format", "jsonl", records)
        self.assertExit(done, 0)
        self.assertGreater(len(lines(done.stdout)), 0)
        self.assertIn("bad.yaml", done.stderr.decode())
        self.assertIn("worse.yaml", done.stderr.decode())
        done = vedette("replay", "--rules", self.path("rules"), "--strict", "--format", "jsonl", records)
        self.assertExit(done, 1)
        done = vedette("rules", "check", self.path("rules"))
        self.assertExit(done, 1)
        said = (done.stdout + done.stderr).decode()
        self.assertIn("Callerr", said)
        self.assertRegex(said, r"bad\.yaml:\d+:\d+")
        self.assertIn("^", said)

    def test_check_of_good_rules(self):
        self.assertExit(vedette("rules", "check", "--strict", RULES), 0)

    def test_check_as_json(self):
        bad = self.write("bad.yaml", EVENT_RULE.replace("CallerIpAddress,", "CallerIpAdress,"))
        done = vedette("rules", "check", "--format", "json", bad)
        self.assertExit(done, 1)
        self.assertIn("CallerIpAdress", json.dumps(json.loads(done.stdout)))


class Hunt(Case):
    def hunt(self, query, *arguments, code=0, stdin=None):
        done = vedette("hunt", query, *arguments, stdin=stdin, timeout=60)
        self.assertExit(done, code)
        return done

    def test_print_needs_no_data(self):
        done = self.hunt("print x = 1 + 1, s = 'a', t = datetime(2026-03-02), b = true, d = dynamic({'k':[1]}), r = 0.5", "--format", "json")
        # Times may be written with or without a fraction of zeros.
        self.assertEqual(
            json.loads(done.stdout.replace(b":00.0000000Z", b":00Z")),
            {
                "Tables": [
                    {
                        "TableName": "Table_0",
                        "Columns": [
                            {"ColumnName": "x", "DataType": "Int64", "ColumnType": "long"},
                            {"ColumnName": "s", "DataType": "String", "ColumnType": "string"},
                            {"ColumnName": "t", "DataType": "DateTime", "ColumnType": "datetime"},
                            {"ColumnName": "b", "DataType": "SByte", "ColumnType": "bool"},
                            {"ColumnName": "d", "DataType": "Object", "ColumnType": "dynamic"},
                            {"ColumnName": "r", "DataType": "Double", "ColumnType": "real"},
                        ],
                        "Rows": [[2, "a", "2026-03-02T00:00:00Z", True, {"k": [1]}, 0.5]],
                    }
                ]
            },
        )

    def test_range_and_datatable(self):
        done = self.hunt("range x from 1 to 5 step 2 | extend y = x * x", "--format", "csv")
        self.assertEqual(list(csv.reader(io.StringIO(done.stdout.decode()))), [["x", "y"], ["1", "1"], ["3", "9"], ["5", "25"]])
        done = self.hunt("datatable(a:string, n:long)['q', 1, 'r', 2] | where n > 1", "--format", "jsonl")
        self.assertEqual(lines(done.stdout), [{"a": "r", "n": 2}])

    def test_empty_result_keeps_its_columns(self):
        done = self.hunt("datatable(a:string)['q'] | where a == 'z'", "--format", "json")
        table = json.loads(done.stdout)["Tables"][0]
        self.assertEqual(([c["ColumnName"] for c in table["Columns"]], table["Rows"]), (["a"], []))
        self.assertEqual(self.hunt("datatable(a:string)['q'] | where a == 'z'", "--format", "csv").stdout, b"a\r\n")

    def test_csv_quotes(self):
        done = self.hunt("print a = 'x,y', b = 'say \"hi\"', c = 'two\\nlines'", "--format", "csv")
        rows = list(csv.reader(io.StringIO(done.stdout.decode(), newline="")))
        self.assertEqual(rows, [["a", "b", "c"], ["x,y", 'say "hi"', "two\nlines"]])

    def test_error_has_place_and_caret(self):
        done = self.hunt("print x = strcatt('a')", code=1)
        said = done.stderr.decode()
        self.assertIn("strcatt", said)
        self.assertIn("^", said)
        self.assertIn("strcat", said.replace("strcatt", ""), "no hint at the right name")
        done = self.hunt("AzureActivity | where OperationNameValu == 'x'", "--data", DAY, code=1)
        said = done.stderr.decode()
        self.assertIn("OperationNameValu", said)
        caret = next(line for line in said.splitlines() if "^" in line)
        source = next(line for line in said.splitlines() if "AzureActivity | where" in line)
        self.assertEqual(source.index("OperationNameValu"), caret.index("^"))

    def test_syntax_error(self):
        self.assertIn("^", self.hunt("AzureActivity | where (", code=1).stderr.decode())

    def test_runaway_query_nesting_is_refused(self):
        for query in ("print " + "(" * 20_000 + "1" + ")" * 20_000, "print " + "-" * 20_000 + "1", "print x=1" + " | extend y=1" * 3000):
            done = vedette("hunt", query, timeout=60)
            self.assertIn(done.returncode, (0, 1), f"exit code {done.returncode} for {query[:20]}...: {tail(done.stderr, 300)}")

    def test_cloudtrail_counts_equal_pythons(self):
        records = support.cloudtrail_records()
        want = collections.Counter(r["eventName"] for r in records)
        done = self.hunt(
            "AWSCloudTrail | summarize count() by EventName | sort by count_ desc, EventName asc",
            "--data", os.path.join(DAY, "AWSLogs"), "--format", "json",
        )  # fmt: skip
        rows = json.loads(done.stdout)["Tables"][0]["Rows"]
        self.assertEqual(rows, [[name, n] for name, n in sorted(want.items(), key=lambda p: (-p[1], p[0]))])
        hours = collections.Counter(r["eventTime"][:13] for r in records)
        done = self.hunt(
            "AWSCloudTrail | summarize n = count() by h = bin(TimeGenerated, 1h) | sort by h asc",
            "--data", os.path.join(DAY, "AWSLogs"), "--format", "jsonl",
        )  # fmt: skip
        self.assertEqual({r["h"][:13]: r["n"] for r in lines(done.stdout)}, dict(hours))

    def test_at_latest_and_hint(self):
        data = self.write("a.json", json_lines(support.traffic(2, 300)))
        old = self.hunt("AzureActivity | where TimeGenerated > ago(1h) | count", "--data", data, "--format", "csv")
        self.assertEqual(old.stdout.decode().split(), ["Count", "0"])
        self.assertIn("--at latest", old.stderr.decode())
        self.assertIn("2026-03-02T", old.stderr.decode())
        new = self.hunt("AzureActivity | where TimeGenerated > ago(1h) | count", "--data", data, "--at", "latest", "--format", "csv")
        newest = max(r["time"] for r in support.traffic(2, 300))
        hour_before = f"{newest[:11]}{int(newest[11:13]) - 1:02d}{newest[13:]}"
        want = sum(1 for r in support.traffic(2, 300) if r["time"] > hour_before)
        self.assertEqual(new.stdout.decode().split(), ["Count", str(want)])
        fixed = self.hunt("print now()", "--at", "2026-03-02T10:00:00Z", "--format", "csv")
        self.assertIn("2026-03-02T10:00:00", fixed.stdout.decode())

    def test_unknown_json_becomes_a_custom_table(self):
        rows = [{"color": c, "size": i, "when": f"2026-03-02T10:00:{i:02d}Z", "deep": {"n": i}} for i, c in enumerate(["red", "blue", "red"] * 10)]
        for name in ("widgets.json", "widgets.json.gz"):
            with self.subTest(name):
                body = json_lines(rows)
                path = self.write(name, gzip.compress(body) if name.endswith("gz") else body)
                done = self.hunt("widgets_CL | summarize n = count(), s = sum(size) by color", "--data", path, "--format", "jsonl")
                found = {r["color"]: (r["n"], r["s"]) for r in lines(done.stdout)}
                want = {c: (sum(r["color"] == c for r in rows), sum(r["size"] for r in rows if r["color"] == c)) for c in ("red", "blue")}
                self.assertEqual(found, want)
                done = self.hunt("widgets_CL | where deep.n >= 28 | count", "--data", path, "--format", "csv")
                self.assertEqual(done.stdout.decode().split(), ["Count", "2"])

    def test_named_table(self):
        path = self.write("rows.json", json_lines([{"TimeGenerated": "2026-03-02T10:00:00Z", "UserPrincipalName": "eve@contoso.example"}]))
        done = self.hunt("SigninLogs | project UserPrincipalName", "--data", f"SigninLogs={path}", "--format", "csv")
        self.assertEqual(done.stdout.decode().split(), ["UserPrincipalName", "eve@contoso.example"])

    def test_query_from_file_and_standard_input(self):
        path = self.write("q.kql", "print a = 7\n")
        self.assertEqual(vedette("hunt", "--query-file", path, "--format", "csv").stdout.split(), [b"a", b"7"])
        self.assertEqual(vedette("hunt", "--query-file", "-", "--format", "csv", stdin=b"print b = 8").stdout.split(), [b"b", b"8"])
        data = gzip.compress(json_lines([support.grant_exported()]))
        done = self.hunt("AzureActivity | count", "--data", "-", "--format", "csv", stdin=data)
        self.assertEqual(done.stdout.split(), [b"Count", b"1"])


if __name__ == "__main__":
    unittest.main()
