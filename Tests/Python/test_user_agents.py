"""`parse_user_agent` over a file of patterns, through the real program: in a hunt, in a rule, and refused without patterns."""

import json
import unittest

from support import Case, json_lines, vedette
from test_content import rule, signin

PATTERNS = r"""
user_agent_parsers:
  - regex: '(python-requests)/(\d+)\.(\d+)'
    family_replacement: 'Python Requests'
os_parsers:
  - regex: '(Windows) NT (\d+)'
device_parsers:
  - regex: '; (Pixel) (\d)'
    device_replacement: '$1 $2'
    brand_replacement: 'Google'
"""


class UserAgents(Case):
    def test_hunt(self):
        path = self.write("regexes.yaml", PATTERNS)
        done = vedette(
            "hunt", "datatable(a: string)['python-requests/2.31', 'x', 'python-requests/2.31'] | project b = parse_user_agent(a, 'browser')",
            "--user-agents", path, "--format", "jsonl",
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        known = {"Family": "Python Requests", "MajorVersion": "2", "MinorVersion": "31", "Patch": ""}
        other = {"Family": "Other", "MajorVersion": "", "MinorVersion": "", "Patch": ""}
        rows = [json.loads(line)["b"]["Browser"] for line in done.stdout.decode().splitlines()]
        self.assertEqual(rows, [known, other, known])

    def test_a_rule(self):
        path = self.write("regexes.yaml", PATTERNS)
        query = (
            "SigninLogs | extend b = parse_user_agent('python-requests/2.31', 'browser') | where b.Browser.Family == 'Python Requests' "
            "| project TimeGenerated, UserPrincipalName"
        )
        rules = self.write("agents.yaml", rule(query))
        data = self.write("s.json", json_lines([signin(0, "a@contoso.example")]))
        self.assertEqual(len(self.replay("--rules", rules, data, "--user-agents", path)), 1)

    def test_files_that_are_no_patterns(self):
        for name, text in {"empty": "", "other": "a: 1\n", "missing": None}.items():
            with self.subTest(name):
                path = self.path(name + ".yaml") if text is None else self.write(name + ".yaml", text)
                done = vedette("hunt", "print parse_user_agent('x', 'os')", "--user-agents", path)
                self.assertEqual(done.returncode, 1, done.stderr.decode())
                self.assertIn("VK0214", done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
