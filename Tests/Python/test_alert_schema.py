"""The alerts that the program prints are what docs/alert-schema.json says, and the schema refuses what it should.

Runs the program named by VEDETTE (default: the release build) over the sample day.
"""

import copy
import json
import os
import subprocess
import unittest

import jsonschema

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VEDETTE = os.environ.get("VEDETTE", os.path.join(ROOT, ".build", "release", "vedette"))

EXAMPLE = {
    "id": "00112233445566778899aabbccddeeff",
    "revision": 2,
    "status": "closed",
    "time": "2026-03-02T10:04:00.0000000Z",
    "rule_id": "6fd2f5a4-7c3e-4dd1-8f8e-2b4d1c0d6c55",
    "rule_name": "Owner granted",
    "rule_version": "1.0.0",
    "name": "Owner granted to eve",
    "description": "",
    "severity": "High",
    "tactics": ["PrivilegeEscalation"],
    "techniques": ["T1098.003"],
    "entities": [{"type": "Account", "Name": "eve", "UPNSuffix": "contoso.example"}],
    "start_time": "2026-03-02T10:00:00.0000000Z",
    "end_time": "2026-03-02T10:04:00.0000000Z",
    "window": {
        "start": "2026-03-02T09:45:00.0000000Z",
        "end": "2026-03-02T10:15:00.0000000Z",
        "first_tick": "2026-03-02T10:00:00.0000000Z",
        "last_tick": "2026-03-02T10:15:00.0000000Z",
        "frequency": "00:15:00",
        "period": "14.00:00:00",
    },
    "window_complete": True,
    "history_complete": False,
    "result_count": 1,
    "event_count": 2,
    "custom_details": {"Role": ["Owner"]},
    "evidence": [
        {
            "time": "2026-03-02T10:00:00.0000000Z",
            "table": "AzureActivity",
            "record_hash": "ffeeddccbbaa99887766554433221100",
            "record": {"operationName": "X"},
        }
    ],
}


def schema():
    with open(os.path.join(ROOT, "docs", "alert-schema.json"), encoding="utf-8") as file:
        return json.load(file)


def replay(*arguments):
    command = [VEDETTE, "replay", "--rules", os.path.join(ROOT, "AnalyticsRules"), "--format", "jsonl", *arguments]
    command += ["--", os.path.join(ROOT, "SampleLogs", "2026-03-02")]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(command)} exits with {result.returncode}:\n{result.stderr}")
    return [json.loads(line) for line in result.stdout.splitlines()]


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.schema = schema()
        cls.validator = jsonschema.Draft202012Validator(cls.schema)

    def test_is_a_valid_schema(self):
        jsonschema.Draft202012Validator.check_schema(self.schema)

    def test_describes_every_field(self):
        for name, field in self.schema["properties"].items():
            text = field.get("description") or self.schema["$defs"][field["$ref"].rsplit("/", 1)[1]].get("description")
            self.assertTrue(text, name)

    def test_takes_the_example(self):
        self.validator.validate(EXAMPLE)
        for key, value in [("rule_version", None), ("amended", True), ("entities_dropped", 3), ("properties", {"AlertLink": "x"})]:
            self.validator.validate({**EXAMPLE, key: value})
        self.validator.validate({**EXAMPLE, "status": "merged", "merged_into": EXAMPLE["id"]})

    def test_refuses_what_is_wrong(self):
        for key in self.schema["required"]:
            changed = copy.deepcopy(EXAMPLE)
            del changed[key]
            self.assertFalse(self.validator.is_valid(changed), f"without {key}")
        wrong = [
            ("id", "xyz"), ("revision", 0), ("revision", "1"), ("status", "new"), ("time", "2026-03-02T10:04:00Z"), ("severity", "Critical"),
            ("techniques", ["T1098.3"]), ("techniques", ["t1098"]), ("tactics", ["Privilege Escalation"]), ("entities", [{"Name": "eve"}]),
            ("custom_details", {"Role": "Owner"}), ("evidence", EXAMPLE["evidence"] * 11),
            ("amended", False), ("surprise", 1), ("merged_into", EXAMPLE["id"]), ("entities_dropped", 0), ("result_count", -1),
            ("window", {**EXAMPLE["window"], "frequency": "15m"}), ("window", {**EXAMPLE["window"], "more": 1}),
        ]
        for key, value in wrong:
            self.assertFalse(self.validator.is_valid({**EXAMPLE, key: value}), f"{key}: {value!r}")


class PrintedAlerts(unittest.TestCase):
    def check(self, alerts):
        validator = jsonschema.Draft202012Validator(schema())
        self.assertGreater(len(alerts), 10)
        for alert in alerts:
            errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator.iter_errors(alert)]
            self.assertEqual(errors, [], alert.get("rule_name"))
            self.assertEqual(alert["time"], alert["end_time"])
            self.assertLessEqual(alert["start_time"], alert["end_time"])
            self.assertLessEqual(alert["window"]["first_tick"], alert["window"]["last_tick"])
        ids = [a["id"] for a in alerts]
        self.assertEqual(len(ids), len(set(ids)), "an alert is printed once")

    def test_streaming(self):
        self.check(replay("--to", "2026-03-03T00:00:00Z"))

    def test_parity(self):
        self.check(replay("--mode", "parity", "--to", "2026-03-03T00:00:00Z"))

    def test_keys_stand_in_the_order_of_the_schema(self):
        order = list(schema()["properties"])
        for alert in replay("--to", "2026-03-03T00:00:00Z"):
            keys = list(alert)
            self.assertEqual(keys, sorted(keys, key=order.index))


if __name__ == "__main__":
    unittest.main()
