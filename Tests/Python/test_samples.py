"""Tests of the sample day's generator: run with `python3 -m unittest discover -s Tests/Python`."""

import glob
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAMPLES = os.path.join(ROOT, "SampleLogs")
GENERATE = os.path.join(SAMPLES, "generate.py")
GUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SIZE_LIMIT = 8_000_000


def generate(folder, *options):
    subprocess.run([sys.executable, GENERATE, "--out", folder, *options], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, "ground-truth.json"), encoding="utf-8") as file:
        return json.load(file)


def files(folder):
    return sorted(glob.glob(os.path.join(folder, "2026-03-02", "**", "*.gz"), recursive=True))


def digests(folder):
    found = {}
    for path in files(folder):
        with open(path, "rb") as file:
            found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def inflate(path):
    with gzip.open(path) as file:
        return file.read()


def raw_records(path):
    """The file's records as bytes, one by one, whatever its form."""
    data = inflate(path)
    if data.startswith((b'{"Records":[', b'{"records":[', b"[")):
        document = json.loads(data)
        items = document if isinstance(document, list) else document.get("Records") or document.get("records")
        return [json.dumps(item, ensure_ascii=False).encode() for item in items]
    return data.splitlines()


def all_records(folder):
    return [record for path in files(folder) for record in raw_records(path)]


class SampleDay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.full = os.path.join(cls.temporary.name, "full")
        cls.truth = generate(cls.full)
        cls.records = all_records(cls.full)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def fresh(self, name, *options):
        folder = os.path.join(self.temporary.name, name)
        return folder, generate(folder, *options)

    def owners(self):
        return {m.encode(): s["id"] for part in ("steps", "benign") for s in self.truth[part] for m in s["marker"]}

    def test_two_runs_give_the_same_bytes(self):
        folder, truth = self.fresh("again")
        self.assertEqual(digests(folder), digests(self.full))
        self.assertEqual(truth, self.truth)

    def test_another_seed_gives_other_bytes_but_the_same_story(self):
        folder, truth = self.fresh("seed", "--seed", "9")
        self.assertNotEqual(digests(folder), digests(self.full))
        self.assertEqual([s["id"] for s in truth["steps"]], [s["id"] for s in self.truth["steps"]])
        self.assertEqual([s["records"] for s in truth["steps"]], [s["records"] for s in self.truth["steps"]])

    def test_scale_leaves_the_story_alone(self):
        _, truth = self.fresh("scale", "--scale", "2")
        self.assertEqual([(s["id"], s["records"]) for s in truth["steps"]], [(s["id"], s["records"]) for s in self.truth["steps"]])
        self.assertGreater(sum(truth["tables"].values()), 1.7 * sum(self.truth["tables"].values()))

    def test_the_committed_set_is_the_generated_one_in_its_records(self):
        """Compared inflated, because another build of zlib may compress to other bytes."""
        with open(os.path.join(SAMPLES, "ground-truth.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), self.truth)
        made, kept = ({os.path.relpath(p, base): inflate(p) for p in files(base)} for base in (self.full, SAMPLES))
        self.assertEqual(sorted(made), sorted(kept))
        self.assertEqual([p for p in made if made[p] != kept[p]], [])

    def test_size(self):
        size = sum(os.path.getsize(path) for path in files(SAMPLES))
        self.assertLess(size, SIZE_LIMIT)
        self.assertGreater(len(self.records), 20_000)
        self.assertEqual(len(self.records), sum(self.truth["tables"].values()))

    def test_markers_stand_in_exactly_the_records_of_their_step(self):
        owner = self.owners()
        self.assertEqual(
            len(owner), sum(len(s["marker"]) for part in ("steps", "benign") for s in self.truth[part]), "a marker has two owners"
        )
        counts = {}
        for record in self.records:
            found = {owner[g] for g in GUID.findall(record) if g in owner}
            self.assertLessEqual(len(found), 1, record[:300])
            for name in found:
                counts[name] = counts.get(name, 0) + 1
        expected = {s["id"]: s["records"] for part in ("steps", "benign") for s in self.truth[part]}
        self.assertEqual(counts, expected)

    def test_without_removes_exactly_one_step(self):
        owner = self.owners()
        everything = sorted(self.records)
        for step in ("password-spray", "mass-deletion"):
            with self.subTest(step=step):
                folder, truth = self.fresh(step, "--without", step)
                kept = sorted(r for r in everything if step not in {owner.get(g) for g in GUID.findall(r)})
                self.assertEqual(sorted(all_records(folder)), kept)
                self.assertNotIn(step, [s["id"] for s in truth["steps"]])

    def test_only_quiet_removes_all_steps(self):
        folder, truth = self.fresh("quiet", "--only-quiet")
        self.assertEqual(truth["steps"], [])
        self.assertEqual(truth["benign"], self.truth["benign"])
        self.assertEqual(len(all_records(folder)), len(self.records) - sum(s["records"] for s in self.truth["steps"]))

    def test_an_unknown_step_is_refused(self):
        result = subprocess.run(
            [sys.executable, GENERATE, "--out", self.temporary.name, "--without", "nothing"], capture_output=True, text=True
        )
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("password-spray", result.stderr)

    def test_the_truth_is_complete(self):
        self.assertGreaterEqual(len(self.truth["benign"]), 15)
        for step in self.truth["steps"]:
            with self.subTest(step=step["id"]):
                self.assertTrue(step["techniques"] and step["tables"] and step["marker"] and step["entities"] and step["description"])
                self.assertTrue(all(re.fullmatch(r"T\d{4}(\.\d{3})?", t) for t in step["techniques"]))
                self.assertLessEqual(step["time"], step["end_time"])
        with open(os.path.join(SAMPLES, "README.md"), encoding="utf-8") as file:
            readme = file.read()
        for item in self.truth["steps"] + self.truth["benign"]:
            self.assertIn(f"`{item['id']}`", readme)
            self.assertIn(item["description"], readme)

    def test_native_traits(self):
        activity = [json.loads(r) for p in files(self.full) if "activity-logs" in p for r in raw_records(p)]
        bodies = {r["resultType"] for r in activity if "requestbody" in r["properties"]}
        self.assertEqual(bodies, {"Start"})
        self.assertTrue({"Start", "Accept", "Success", "Failure"} <= {r["resultType"] for r in activity})
        self.assertTrue(
            all(isinstance(json.loads(r["properties"]["requestbody"]), dict) for r in activity if "requestbody" in r["properties"])
        )
        self.assertTrue(any("callerIpAddress" not in r for r in activity))
        blobs = [json.loads(r) for p in files(self.full) if "storageread" in p for r in raw_records(p)]
        self.assertTrue(all(re.fullmatch(r"[0-9.]+:\d+", r["callerIpAddress"]) for r in blobs))
        self.assertTrue(any("Update application \u2013 Certificates and secrets management " in r.decode() for r in self.records))

    def test_addresses_are_of_the_documentation_ranges_or_private(self):
        allowed = re.compile(r"^(10\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.)")
        keys = re.compile(rb'"(?:callerIpAddress|ipAddress|sourceIPAddress|ClientIP|ClientIPAddress)": ?"([^"]*)"')
        for record in self.records:
            for found in keys.findall(record):
                address = found.decode().strip("[")
                if address and not address.startswith("2001:db8:") and not address.endswith("amazonaws.com"):
                    self.assertRegex(address, allowed)

    def test_arrival_order_stays_within_the_default_lateness(self):
        """In each stream no record is older than the newest before it by more than the lateness that the tables have by default."""
        for kind, limit in (("insights-activity-logs", 300), ("insights-logs-signinlogs", 1800), ("insights-logs-auditevent", 300)):
            newest = {}
            for path in files(self.full):
                if f"/{kind}/" not in path:
                    continue
                stream = path.split("/y=")[0]
                for record in raw_records(path):
                    time = json.loads(record)["time"]
                    seconds = int(time[8:10]) * 86400 + int(time[11:13]) * 3600 + int(time[14:16]) * 60 + float(time[17:-1])
                    newest[stream] = max(newest.get(stream, 0), seconds)
                    self.assertLess(newest[stream] - seconds, limit, path)


if __name__ == "__main__":
    unittest.main()
