"""Saved functions, watchlists, external data and the shipped ASIM parsers, through the real program."""

import gzip
import http.server
import json
import os
import threading
import time
import unittest
from datetime import timedelta

from support import DAY, HERE, START, Case, Daemon, iso, json_lines, vedette

RULES = os.path.join(HERE, "content", "rules")
FUNCTIONS = os.path.join(HERE, "content", "functions")
WATCHLISTS = os.path.join(HERE, "content", "watchlists")

RULE = """id: 00000009-0000-4000-8000-0000000000c1
name: Named
description: Finds little.
severity: Low
queryFrequency: 5m
queryPeriod: 1h
triggerOperator: gt
triggerThreshold: 0
tactics: [InitialAccess]
relevantTechniques: [T1078]
query: |
%s
entityMappings:
  - entityType: Account
    fieldMappings:
      - identifier: FullName
        columnName: UserPrincipalName
version: 1.0.0
"""


def rule(query):
    return RULE % "\n".join("  " + line for line in query.splitlines())


def signin(minute, user, code="0", address="203.0.113.7"):
    return {
        "Type": "SigninLogs", "TimeGenerated": iso(START + timedelta(minutes=minute)), "UserPrincipalName": user, "ResultType": code,
        "IPAddress": address, "OperationName": "Sign-in activity",
    }  # fmt: skip


class Server:
    """Answers on 127.0.0.1 as a table of paths says; `hits` are the paths asked for."""

    def __init__(self, test, pages):
        self.pages, self.hits = pages, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.hits.append(self.path)
                page = outer.pages.get(self.path)
                if page is None:
                    self.send_error(404)
                elif callable(page):
                    page(self)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(page)))
                    self.end_headers()
                    self.wfile.write(page)

            def log_message(self, *arguments):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)


def redirect(target):
    def page(handler):
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return page


class Parsers(Case):
    def test_rules_over_parsers(self):
        done = vedette("rules", "test", "--functions", FUNCTIONS, "--watchlists", WATCHLISTS, RULES)
        self.assertExit(done, 0)
        self.assertIn(b" passed, 0 failed", done.stdout)
        self.assertNotIn(b"no tests", done.stdout)

    def test_check_is_clean(self):
        done = vedette("rules", "check", "--strict", "--functions", FUNCTIONS, "--watchlists", WATCHLISTS, RULES)
        self.assertExit(done, 0)

    def test_replay_of_the_sample_day(self):
        file = self.write(
            "r.yaml",
            rule(
                "_Im_Authentication(eventresult='Failure')\n| where EventProduct == 'Entra ID'\n"
                "| summarize Failures = count() by UserPrincipalName = TargetUsername\n| where Failures >= 5"
            ),
        )
        found = self.replay("--rules", file, DAY, "--to", "2026-03-03T00:00:00Z")
        self.assertGreater(len(found), 0)
        query = (
            "union SigninLogs, AADNonInteractiveUserSignInLogs | where ResultType != '0' "
            "| summarize count() by UserPrincipalName, bin(TimeGenerated, 1h) | where count_ >= 5 | distinct UserPrincipalName"
        )
        done = vedette("hunt", "--format", "jsonl", query, DAY)
        self.assertExit(done, 0)
        wanted = {json.loads(line)["UserPrincipalName"] for line in done.stdout.splitlines()}
        seen = {f"{e['name']}@{e['upnSuffix']}" for a in found for e in self.accounts(a)}
        self.assertTrue(wanted <= seen, (wanted, seen))

    def accounts(self, alert):
        out = []
        for entity in alert["entities"]:
            fields = {k.lower(): v for k, v in entity.items()}
            if fields.get("type", "").lower() == "account":
                out.append({"name": fields.get("name", ""), "upnSuffix": fields.get("upnsuffix", "")})
        return out


class Watchlists(Case):
    def test_lookup_and_mistake(self):
        lists = self.path("lists", "vips.csv")
        with open(lists, "w") as file:
            file.write("Name,UPN\nEve,eve@contoso.example\n")
        data = self.write("s.jsonl", json_lines([signin(1, "eve@contoso.example"), signin(2, "bob@contoso.example")]))
        file = self.write("r.yaml", rule("let v = _GetWatchlist('VIPs');\nSigninLogs | where UserPrincipalName in ((v | project SearchKey))"))
        folder = os.path.dirname(lists)
        arguments = ["--rules", file, "--watchlists", folder, data]
        self.assertEqual(len(self.replay("--watchlist-keys", "vips=UPN", *arguments)), 1)
        self.assertEqual(len(self.replay(*arguments)), 0)
        done = vedette("rules", "check", "--watchlists", folder, "--watchlist-keys", "vips=Mail", file)
        self.assertExit(done, 1)
        self.assertIn(b"the search key `Mail` is no column", done.stdout + done.stderr)
        done = vedette("rules", "check", file)
        self.assertExit(done, 1)
        self.assertIn(b"error[VK0210]: there is no watchlist `VIPs`", done.stdout)

    def test_daemon_takes_a_changed_list(self):
        """New rows count from the next evaluation on; what the rule retained stays."""
        lists = self.path("lists", "vips.csv")
        with open(lists, "w") as file:
            file.write("UPN\nnobody@contoso.example\n")
        data = self.write("in.jsonl", json_lines([signin(1, "eve@contoso.example")]))
        file = self.write("r.yaml", rule("SigninLogs | where UserPrincipalName in (_GetWatchlist('vips') | project UPN)"))
        alerts = self.path("alerts.jsonl")
        daemon = Daemon(
            self, "--rules", file, "--inputs", data, "--start-at", "beginning", "--state-dir", self.path("state", ".")[:-2],
            "--outputs", f"file:{alerts}", "--watchlists", os.path.dirname(lists), "--content-check", "200ms", "--lateness", "1s",
        )  # fmt: skip
        self.wait(lambda: "following" in daemon.log, daemon)
        time.sleep(1)
        self.assertFalse(os.path.exists(alerts) and os.path.getsize(alerts))
        with open(lists, "w") as out:
            out.write("UPN\neve@contoso.example\n")
        self.wait(lambda: "rules reloaded" in daemon.log, daemon)
        with open(data, "ab") as out:
            out.write(json_lines([signin(12, "bob@contoso.example"), signin(22, "bob@contoso.example")]))
        self.wait(lambda: os.path.exists(alerts) and os.path.getsize(alerts) > 0, daemon)
        with open(alerts) as found:
            self.assertIn("eve", found.readline())

    def wait(self, ready, daemon, seconds=20):
        end = time.monotonic() + seconds
        while not ready():
            self.assertLess(time.monotonic(), end, daemon.log)
            time.sleep(0.05)


class External(Case):
    def hunt(self, address, *arguments, options=""):
        query = f"externaldata (ip: string, n: long) ['{address}'] {options}"
        return vedette("hunt", "--format", "jsonl", query, *arguments)

    def refused(self, done, words):
        self.assertExit(done, 1)
        self.assertIn(b"VK0212", done.stderr)
        self.assertIn(words.encode(), done.stderr)

    def test_fetches_what_is_allowed(self):
        text = b"ip,n\n192.0.2.1,5\n"
        packed = gzip.compress(text)

        def encoded(handler):
            handler.send_response(200)
            handler.send_header("Content-Encoding", "gzip")
            handler.send_header("Content-Length", str(len(packed)))
            handler.end_headers()
            handler.wfile.write(packed)

        pages = {"/l/a.csv": text, "/l/b.csv": encoded, "/l/c.csv.gz": packed}
        server = Server(self, pages | {"/l/d.csv": redirect("a.csv")})
        for page in ["a.csv", "b.csv", "c.csv.gz", "d.csv"]:
            done = self.hunt(
                f"{server.url}/l/{page}", "--allow-external", f"{server.url}/l", "--allow-private", options="with (ignoreFirstRecord=true)"
            )
            self.assertExit(done, 0)
            self.assertEqual(json.loads(done.stdout), {"ip": "192.0.2.1", "n": 5}, page)

    def test_refuses_the_rest(self):
        server = Server(self, {"/l/a.csv": b"x,1\n", "/secret": b"s,1\n"})
        address = f"{server.url}/l/a.csv"
        self.refused(self.hunt(address), "is not allowed")
        self.refused(self.hunt(address, "--allow-external", f"{server.url}/m", "--allow-private"), "is not allowed")
        self.refused(self.hunt(f"{server.url}/l/../secret", "--allow-external", f"{server.url}/l", "--allow-private"), "no plain http")
        self.assertEqual(server.hits, [])
        self.refused(self.hunt(address, "--allow-external", server.url), "is on a private network")
        port = server.url.rsplit(":", 1)[1]
        for host in ["localhost", "0.0.0.0", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"]:
            address = f"http://{host}:{port}/l/a.csv"
            done = self.hunt(address, "--allow-external", f"http://{host}:{port}")
            self.assertExit(done, 1)
            self.assertIn(b"VK0212", done.stderr, host)
        self.assertEqual(server.hits, [])

    def test_hostile_answers(self):
        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            try:
                while True:
                    handler.wfile.write(b"x" * 65536)
            except OSError:
                pass

        def cut(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b"a,1\n")
            handler.close_connection = True

        bomb = gzip.compress(bytes(80 << 20), 9)
        pages = {
            "/l/endless": endless, "/l/cut": cut, "/l/bomb.gz": bomb, "/l/loop": redirect("loop"), "/l/out": redirect("/secret"),
            "/l/file": redirect("file:///etc/passwd"), "/l/gone": redirect("http://other.example/x"), "/l/damaged.gz": bomb[:500],
            "/l/binary": b"\xff\xfe\x00", "/l/quote.csv": b'"open\n', "/l/nojson.json": b'{"ip": 1} nonsense', "/secret": b"s,1\n",
        }  # fmt: skip
        server = Server(self, pages)
        words = {
            "endless": "gives more than", "cut": "cannot be fetched", "bomb.gz": "inflates to more than", "loop": "redirects too often",
            "out": "which is not allowed", "file": "which is not allowed", "gone": "which is not allowed", "damaged.gz": "damaged",
            "binary": "UTF-8", "quote.csv": "not closed", "nojson.json": "no JSON", "missing": "status 404",
        }  # fmt: skip
        for page, word in words.items():
            with self.subTest(page):
                done = self.hunt(f"{server.url}/l/{page}", "--allow-external", f"{server.url}/l", "--allow-private")
                self.refused(done, word)
        self.assertNotIn("/secret", server.hits)

    def test_a_silent_server_ends_in_time(self):
        server = Server(self, {"/slow": lambda handler: time.sleep(20)})
        config = self.write(
            "v.yaml",
            f"rules: [{self.write('r.yaml', rule('externaldata (UserPrincipalName: string) [h@' + repr(server.url + '/slow') + ']'))}]\n"
            f"inputs: [{self.folder}/*.jsonl]\nexternal:\n  allow: ['{server.url}/']\n  allow_private: true\n  timeout: 1s\n",
        )
        begin = time.monotonic()
        done = vedette("run", "--config", config, "--check-config")
        self.assertExit(done, 1)
        self.assertLess(time.monotonic() - begin, 15)
        self.assertIn(b"cannot be fetched", done.stderr)

    def test_daemon_fetches_again(self):
        server = Server(self, {"/l.txt": b"nobody@contoso.example\n"})
        data = self.write("in.jsonl", json_lines([signin(1, "eve@contoso.example")]))
        list_of = f"(externaldata (u: string) ['{server.url}/l.txt'])"
        file = self.write("r.yaml", rule(f"SigninLogs | where UserPrincipalName in {list_of}"))
        alerts = self.path("alerts.jsonl")
        config = self.write(
            "v.yaml", f"external:\n  allow: ['{server.url}/']\n  allow_private: true\n  refresh: 1s\n  timeout: 2s\n"
        )
        daemon = Daemon(
            self, "--config", config, "--rules", file, "--inputs", data, "--start-at", "beginning", "--state-dir",
            self.path("state", ".")[:-2], "--outputs", f"file:{alerts}", "--lateness", "1s",
        )  # fmt: skip
        Watchlists.wait(self, lambda: len(server.hits) >= 2, daemon)
        self.assertNotIn("rules reloaded", daemon.log)
        server.pages["/l.txt"] = b"eve@contoso.example\n"
        Watchlists.wait(self, lambda: "rules reloaded" in daemon.log, daemon)
        # An answer that fails keeps the list.
        del server.pages["/l.txt"]
        hits = len(server.hits)
        Watchlists.wait(self, lambda: len(server.hits) > hits + 1, daemon)
        with open(data, "ab") as out:
            out.write(json_lines([signin(12, "bob@contoso.example"), signin(22, "bob@contoso.example")]))
        Watchlists.wait(self, lambda: os.path.exists(alerts) and os.path.getsize(alerts) > 0, daemon)


class Functions(Case):
    def test_listed_and_explained(self):
        done = vedette("functions", "--functions", FUNCTIONS, "PrivilegedSignins")
        self.assertExit(done, 0)
        self.assertIn(b"PrivilegedSignins.kql", done.stdout)
        self.assertIn(b"_Im_Authentication", vedette("functions").stdout)

    def test_texts_inside_a_saved_function_are_its_own(self):
        # Not those of the query at the same place.
        for name, body, query, want in [
            ("Searched", "datatable(a: string)['foobar', 'x', 'foo'] | search a:'foo*' | count", "Searched", [{"Count": 2}]),
            ("Shared", "range x from 1 to 9 step 1 | summarize p = hll(x), q = hll(x % 3) | evaluate dcount_intersect(p, q)",
             "Shared | project s1", [{"s1": 2}]),
        ]:
            file = self.path(name, name + ".kql")
            with open(file, "w") as out:
                out.write(body)
            done = vedette("hunt", query, "--functions", os.path.dirname(file), "--format", "jsonl")
            self.assertExit(done, 0)
            self.assertEqual([json.loads(line) for line in done.stdout.splitlines()], want)

    def test_broken_function_is_told_once_and_refuses_its_rules(self):
        bad = self.path("f", "Bad.kql")
        with open(bad, "w") as file:
            file.write("// Bad()\nSigninLogs\n| wher 1 == 1\n")
        file = self.write("r.yaml", rule("Bad | project UserPrincipalName"))
        done = vedette("rules", "check", "--functions", os.path.dirname(bad), file)
        self.assertExit(done, 1)
        self.assertIn(b"Bad.kql:3:3: error[VK", done.stderr)
        self.assertIn(b"the saved function `Bad` cannot be used", done.stdout)


if __name__ == "__main__":
    unittest.main()
