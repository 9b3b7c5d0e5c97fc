"""Hunts that read several tables, values as Kusto gives them, and how data is named."""

import gzip
import json
import unittest

import support
from support import Case, json_lines, lines, vedette

COMPOSED, DECOMPOSED = "\u00e9", "e\u0301"


def sign_in(second, user, address):
    return {"Type": "SigninLogs", "TimeGenerated": f"2026-03-02T10:00:{second:02}Z", "UserPrincipalName": user, "IPAddress": address}


def activity(second, user, address):
    return {"Type": "AzureActivity", "TimeGenerated": f"2026-03-02T10:01:{second:02}Z", "Caller": user, "CallerIpAddress": address}


class Several(Case):
    """Both tables lie mixed in one file, and again in a pipe, which can be read once only."""

    def setUp(self):
        super().setUp()
        rows = []
        for i in range(40):
            rows.append(sign_in(i, f"u{i % 5}@contoso.example", f"192.0.2.{i % 7}"))
            rows.append(activity(i, f"u{i % 4}@contoso.example", f"192.0.2.{i % 3}"))
        self.data = json_lines(rows)
        self.file = self.write("mixed.json.gz", gzip.compress(self.data))

    QUERIES = {
        "SigninLogs | summarize n = count() by UserPrincipalName "
        "| join kind=inner (AzureActivity | summarize m = count() by Caller) on $left.UserPrincipalName == $right.Caller "
        "| project u = UserPrincipalName, n, m | sort by u asc":
            [{"u": f"u{i}@contoso.example", "n": 8, "m": 10} for i in range(4)],
        "union withsource=T SigninLogs, AzureActivity | summarize n = count() by T | sort by T asc":
            [{"T": "AzureActivity", "n": 40}, {"T": "SigninLogs", "n": 40}],
        # One table several times, under different conditions.
        "SigninLogs | where IPAddress in ((SigninLogs | where UserPrincipalName startswith 'u1' | where IPAddress endswith '.1' | project IPAddress)) "
        "| summarize n = count(), least = min(toscalar(AzureActivity | where Caller startswith 'u3' | count))":
            [{"n": 6, "least": 10}],
        # The left side stops early; the others still have all their rows.
        "SigninLogs | take 2 | extend k = 1 | join kind=inner (AzureActivity | summarize c = count() | extend k = 1) on k | project c":
            [{"c": 40}, {"c": 40}],
        "let s = materialize(SigninLogs | where UserPrincipalName startswith 'u0'); union (s | summarize n = count()), (s | summarize n = dcount(IPAddress))"
        " | sort by n desc":
            [{"n": 8}, {"n": 7}],
    }

    def test_files(self):
        for query, want in self.QUERIES.items():
            with self.subTest(query):
                done = vedette("hunt", query, "--data", self.file, "--format", "jsonl")
                self.assertExit(done, 0)
                self.assertEqual(lines(done.stdout), want)

    def test_standard_input(self):
        for query, want in self.QUERIES.items():
            with self.subTest(query):
                done = vedette("hunt", query, "--data", "-", "--format", "jsonl", stdin=self.data)
                self.assertExit(done, 0)
                self.assertEqual(lines(done.stdout), want)

    def test_many_files_are_one_table(self):
        more = self.write("more.json", self.data)
        query = "union (SigninLogs | count), (AzureActivity | where CallerIpAddress == '192.0.2.1' | count)"
        for arguments in (["--data", self.file, "--data", more], ["--data", self.file, more], [more, "--data", self.file]):
            done = vedette("hunt", query, *arguments, "--format", "csv")
            self.assertExit(done, 0)
            self.assertEqual(done.stdout.split(), [b"Count", b"80", b"26"])
        path = self.write("q.kql", query)
        done = vedette("hunt", "--query-file", path, "--data", self.file, more, "--format", "csv")
        self.assertEqual(done.stdout.split(), [b"Count", b"80", b"26"])

    def test_threads(self):
        query = "SigninLogs | summarize n = count() by UserPrincipalName"
        several = [self.file, self.write("more.json", self.data)]
        one, three = (vedette("hunt", query, "--data", *several, "--format", "csv", "--threads", n) for n in ("1", "3"))
        self.assertExit(one, 0)
        self.assertEqual(one.stdout, three.stdout)
        self.assertEqual(len(one.stdout.split()), 6)
        explained = vedette("hunt", query, "--data", *several, "--explain", "--threads", "1")
        self.assertIn(b"1 thread", explained.stdout)
        self.assertExit(vedette("hunt", query, "--data", self.file, "--threads", "many"), 2)
        self.assertExit(vedette("hunt", query, "--data", self.file, "--threads", "-1"), 2)


class Values(Case):
    def rest(self, query):
        done = vedette("hunt", query, "--format", "json")
        self.assertExit(done, 0)
        return json.loads(done.stdout)["Tables"][0]["Rows"]

    def test_views_need_no_data(self):
        views = "let A = view () { print x = 'hello' }; let B = view () { print x = 'other' }; "
        for query, want in {"union withsource=T * | sort by T asc": [{"T": "A", "x": "hello"}, {"T": "B", "x": "other"}],
                            "search 'hello'": [{"$table": "A", "x": "hello"}],
                            "search in (A*) 'hello'": [{"$table": "A", "x": "hello"}],
                            "find where x == 'other'": [{"source_": "B", "x": "other"}]}.items():
            with self.subTest(query):
                done = vedette("hunt", views + query, "--format", "jsonl")
                self.assertExit(done, 0)
                self.assertEqual(lines(done.stdout), want)
        for query in "union *", "union Sign* | count", "union A, SigninLogs":
            with self.subTest(query):
                done = vedette("hunt", ("" if "*" in query else views) + query)
                self.assertIn(b"name its data", done.stderr)

    def test_datetimes_of_the_rest_form(self):
        rows = self.rest("print datetime(2014-01-01T01:01:01Z), datetime(2018-04-30T12:25:11.0778Z), datetime(2000-01-01), 1.5h, 1ms")
        self.assertEqual(rows, [["2014-01-01T01:01:01Z", "2018-04-30T12:25:11.0778Z", "2000-01-01T00:00:00Z", "01:30:00", "00:00:00.0010000"]])

    def test_bools_as_text(self):
        rows = self.rest("print tostring(true), tostring(1 == 2), strcat('a', true), tostring(dynamic(true)), tostring(dynamic({'a': false}).a)")
        self.assertEqual(rows, [["True", "False", "aTrue", "true", "false"]])
        # Constants and columns give the same.
        rows = self.rest("datatable(b: bool)[true, false] | extend s = tostring(b), c = strcat(b, '')")
        self.assertEqual(rows, [[True, "True", "True"], [False, "False", "False"]])
        # A text compared with true or false is read as one.
        rows = self.rest("datatable(s: string)['true', 'True', 'no'] | where s == true | count")
        self.assertEqual(rows, [[2]])

    def test_strings_are_bytes(self):
        table = f"datatable(x: string)['{COMPOSED}', '{DECOMPOSED}', '{COMPOSED}']"
        self.assertEqual(self.rest(f"print '{COMPOSED}' == '{DECOMPOSED}', '{COMPOSED}' in ('{DECOMPOSED}')"), [[False, False]])
        self.assertEqual(self.rest(f"{table} | summarize n = count() by x | sort by n desc"), [[COMPOSED, 2], [DECOMPOSED, 1]])
        self.assertEqual(self.rest(f"{table} | distinct x | count"), [[2]])
        self.assertEqual(self.rest(f"{table} | summarize dcount(x), array_length(make_set(x))"), [[2, 2]])
        self.assertEqual(self.rest(f"{table} | join kind=inner (print x = '{DECOMPOSED}') on x | count"), [[1]])
        self.assertEqual(self.rest(f"{table} | summarize b = make_bag(bag_pack(x, 1)) | project array_length(bag_keys(b))"), [[2]])
        bag = f"bag_pack('{COMPOSED}', 1, '{DECOMPOSED}', 2)"
        self.assertEqual(self.rest(f"print b = {bag} | project b['{COMPOSED}'], b['{DECOMPOSED}']"), [[1, 2]])
        self.assertEqual(self.rest(f"print bag_remove_keys({bag}, dynamic(['{DECOMPOSED}']))"), [[{COMPOSED: 1}]])
        self.assertEqual(self.rest(f"print array_length(bag_keys(bag_merge(bag_pack('{COMPOSED}', 1), bag_pack('{DECOMPOSED}', 2))))"), [[2]])
        self.assertEqual(self.rest(f"print array_length(bag_keys(parse_json('{{\"{COMPOSED}\":1,\"{DECOMPOSED}\":2}}')))"), [[2]])
        self.assertEqual(self.rest(f"print dynamic({{'{COMPOSED}':1,'{DECOMPOSED}':2}})"), [[{COMPOSED: 1, DECOMPOSED: 2}]])

    def test_longest_timespans(self):
        rows = self.rest("print totimespan('10675199.02:48:05.4775807'), totimespan('10675199.23:59:59'), totimespan('-10675199.23:59:59')")
        self.assertEqual(rows, [["10675199.02:48:05.4775807", None, None]])


if __name__ == "__main__":
    unittest.main()
