"""Tests of what is kept from start to start: compiled rules and literals."""

import glob
import os
import re
import unittest

from support import DAY, RULES, Case, lines, vedette


class CompiledRules(Case):
    """However the rules come to be compiled, alerts and diagnostics are the same."""

    def run_day(self, *options, cache="cache"):
        done = vedette(
            "replay", "--rules", RULES, "--format", "jsonl", "--counters", *options, DAY, env={"XDG_CACHE_HOME": os.path.join(self.folder, cache)}
        )
        self.assertExit(done, 0)
        said = re.search(rb"cache: (\d+) rule files compiled before, (\d+) compiled now", done.stderr)
        return done.stdout, tuple(map(int, said.groups())) if said else None

    def test_alerts_are_the_same_cold_warm_and_without(self):
        plain, said = self.run_day("--no-cache")
        self.assertIsNone(said)
        self.assertFalse(os.path.exists(self.path("cache", "vedette")))
        cold, (found, compiled) = self.run_day()
        self.assertEqual(found, 0)
        warm, (again, anew) = self.run_day()
        self.assertGreater(again, 0)
        self.assertEqual(again + anew, compiled)
        self.assertLess(anew, compiled / 4)
        self.assertTrue(lines(plain))
        self.assertEqual(plain, cold)
        self.assertEqual(plain, warm)

    def test_damaged_files_change_nothing(self):
        plain, _ = self.run_day()
        for damage in (lambda b: b[: len(b) // 2], lambda b: b[:-20] + bytes([b[-20] ^ 4]) + b[-19:], lambda b: b""):
            for path in glob.glob(os.path.join(self.folder, "cache", "vedette", "*")):
                with open(path, "rb") as file:
                    content = file.read()
                with open(path, "wb") as file:
                    file.write(damage(content))
            found, (known, _) = self.run_day()
            self.assertEqual(found, plain)
            self.assertEqual(known, 0)
            self.assertGreater(self.run_day()[1][0], 0, "the damaged file was not replaced")

    def test_a_folder_that_cannot_be_written_does_no_harm(self):
        blocked = self.write("file", "no folder")
        done = vedette("replay", "--rules", RULES, "--format", "jsonl", "--cache-dir", blocked + "/x", DAY)
        self.assertExit(done, 0)
        self.assertEqual(done.stdout, self.run_day("--no-cache")[0])

    def test_checks_say_the_same(self):
        wrong = self.write("rules/wrong.yaml", "id: x\nname: y\nquery: AzureActivity | where Nothing == 1\n")
        cache = os.path.join(self.folder, "cache")
        said = [
            vedette("rules", "check", "--notes", "--format", "json", RULES, wrong, *options, env={"XDG_CACHE_HOME": cache}).stdout
            for options in (["--no-cache"], [], [])
        ]
        self.assertEqual(said[0], said[1])
        self.assertEqual(said[0], said[2])
        self.assertIn(b"Nothing", said[0])


if __name__ == "__main__":
    unittest.main()
