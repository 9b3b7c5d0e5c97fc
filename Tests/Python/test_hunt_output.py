"""Charts, files, saved tables, explanations, interruption and the prompt of hunts."""

import array
import fcntl
import gzip
import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
import unittest
import xml.etree.ElementTree as ElementTree

import support
from support import Case, json_lines, lines, vedette

SVG = "{http://www.w3.org/2000/svg}"


def sign_in(minute, user, result="0"):
    return {
        "Type": "SigninLogs", "TimeGenerated": f"2026-03-02T{10 + minute // 60:02}:{minute % 60:02}:00Z", "UserPrincipalName": user,
        "ResultType": result, "AppDisplayName": "Portal",
    }


class Output(Case):
    def setUp(self):
        super().setUp()
        rows = [sign_in(i, f"u{i % 3}@contoso.example", "0" if i % 4 else "50126") for i in range(120)]
        self.file = self.write("signins.json.gz", gzip.compress(json_lines(rows)))

    def hunt(self, query, *options, expect=0, stdin=None):
        done = vedette("hunt", query, "--data", self.file, *options, stdin=stdin)
        self.assertEqual(done.returncode, expect, done.stderr.decode())
        return done

    TIMES = "SigninLogs | summarize n = count() by bin(TimeGenerated, 20m), UserPrincipalName | render timechart with (title='Sign-ins')"
    KINDS = "SigninLogs | summarize Sign_ins = count(), Users = dcount(UserPrincipalName) by ResultType | sort by ResultType asc | render "

    # Charts

    def test_a_time_chart_has_a_band_for_each_series_and_no_colour_in_a_pipe(self):
        text = self.hunt(self.TIMES).stdout.decode()
        self.assertTrue(text.startswith("Sign-ins\n"), text)
        for user in ("u0", "u1", "u2"):
            self.assertIn(f"{user}@contoso.example", text)
        self.assertIn("█", text)
        self.assertIn("03-02 10:00", text)
        self.assertNotIn("\x1b", text)

    def test_bars_carry_their_numbers(self):
        text = self.hunt(self.KINDS + "barchart with (ycolumns=Sign_ins)").stdout.decode()
        bars = {l.split()[0]: (l.count("█"), l.split()[-1]) for l in text.splitlines() if l}
        self.assertEqual(bars["0"][1], "90")
        self.assertEqual(bars["50126"][1], "30")
        self.assertAlmostEqual(bars["0"][0] / bars["50126"][0], 3, delta=0.2)

    def test_what_cannot_be_drawn_is_a_table_and_said(self):
        done = self.hunt("SigninLogs | summarize n = count() by ResultType | render timechart")
        self.assertIn("not drawn: a `timechart` needs a datetime column", done.stderr.decode())
        self.assertIn("ResultType", done.stdout.decode())

    def test_render_does_not_change_rows(self):
        query = "SigninLogs | summarize n = count() by ResultType | sort by n desc"
        self.assertEqual(self.hunt(query, "--format", "csv").stdout, self.hunt(query + " | render piechart", "--format", "csv").stdout)

    def test_svg_is_well_formed_and_holds_every_value(self):
        for kind in ("barchart", "columnchart", "columnchart with (kind=stacked)", "piechart", "linechart", "areachart", "scatterchart", "card"):
            with self.subTest(kind):
                root = ElementTree.fromstring(self.hunt(self.KINDS + kind, "--format", "svg").stdout)
                self.assertEqual(root.tag, SVG + "svg")
                self.assertIsNotNone(root.find(SVG + "title"))
        root = ElementTree.fromstring(self.hunt(self.TIMES, "--format", "svg").stdout)
        self.assertEqual(len([p for p in root.iter(SVG + "path") if p.get("fill") == "none"]), 3)

    def test_html_holds_query_chart_and_rows(self):
        path = os.path.join(self.folder, "page.html")
        done = self.hunt(self.TIMES, "--format", "html", "--output", path)
        self.assertEqual(done.stdout, b"")
        with open(path, encoding="utf-8") as file:
            page = file.read()
        self.assertIn("<svg", page)
        self.assertIn("render timechart", page)
        self.assertEqual(page.count("<tr>"), 1 + 18)
        self.assertEqual([n for n in os.listdir(self.folder) if n.endswith(".part")], [])

    def test_png_is_a_picture(self):
        path = os.path.join(self.folder, "chart.png")
        self.hunt(self.TIMES, "--format", "png", "--output", path)
        with open(path, "rb") as file:
            head = file.read(24)
        self.assertEqual(head[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual((int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")), (1920, 960))

    def test_pictures_need_a_chart(self):
        done = self.hunt("SigninLogs | count", "--format", "svg", expect=1)
        self.assertIn("render timechart", done.stderr.decode())
        self.assertEqual(done.stdout, b"")

    def test_a_failed_query_leaves_no_file(self):
        path = os.path.join(self.folder, "out.csv")
        self.hunt("SigninLogs | where Nothing == 1", "--format", "csv", "--output", path, expect=1)
        self.assertFalse(os.path.exists(path))
        self.hunt("SigninLogs | take 2", "--output", os.path.join(self.folder, "no", "such", "folder"), expect=3)

    def test_list_shows_cells_whole(self):
        text = self.hunt("print a = strrep('x', 500), b = 1", "--format", "list").stdout.decode()
        self.assertIn("x" * 500, text)
        self.assertIn("b  1", text)

    # Saved tables

    def test_a_saved_table_is_read_with_its_types(self):
        tables = os.path.join(self.folder, "tables")
        query = "SigninLogs | summarize First = min(TimeGenerated), n = count(), r = avg(1.5), Who = make_set(ResultType), d = 90m by UserPrincipalName"
        done = self.hunt(query, "--save-table", "Users", "--tables", tables)
        self.assertIn("3 rows saved", done.stderr.decode())
        again = vedette("hunt", "Users | getschema | project ColumnName, ColumnType", "--tables", tables, "--format", "csv")
        self.assertEqual(
            again.stdout.decode().split(),
            ["ColumnName,ColumnType", "UserPrincipalName,string", "First,datetime", "n,long", "r,real", "Who,dynamic", "d,timespan"],
            again.stderr.decode())
        order = " | sort by UserPrincipalName asc"
        first = self.hunt(query + order, "--format", "csv").stdout.decode()
        self.assertEqual(vedette("hunt", "Users" + order, "--tables", tables, "--format", "csv").stdout.decode(), first)
        joined = self.hunt("SigninLogs | join kind=inner Users on UserPrincipalName | count", "--tables", tables, "--format", "jsonl")
        self.assertEqual(json.loads(joined.stdout), {"Count": 120})

    def test_rows_of_a_known_table_stay_in_the_table_that_they_were_saved_in(self):
        tables = os.path.join(self.folder, "tables")
        self.hunt("SigninLogs | where ResultType == '50126'", "--save-table", "Failures", "--tables", tables)
        counts = self.hunt("union withsource=T SigninLogs, Failures | summarize n = count() by T | sort by T asc", "--tables", tables, "--format", "csv")
        self.assertEqual(counts.stdout.decode().split(), ["T,n", "Failures,30", "SigninLogs,120"])

    def test_cells_cannot_command_the_terminal(self):
        for form in ("list", "table"):
            text = self.hunt("print a = strcat('x', make_string(27), '[2J', make_string(155), '0m')", "--format", form).stdout.decode()
            self.assertNotIn("\x1b", text)
            self.assertNotIn("\x9b", text)

    def test_names_of_saved_tables_are_checked(self):
        for name, code in (("SigninLogs", 2), ("a b", 2), ("../x", 2)):
            done = vedette("hunt", "print 1", "--save-table", name, "--tables", self.folder)
            self.assertEqual(done.returncode, code, done.stderr)

    # Explanations

    def test_explain_tells_what_was_read_and_done(self):
        query = "SigninLogs | where UserPrincipalName == 'u1@contoso.example' and ResultType == '50126' | summarize n = count() by AppDisplayName"
        text = self.hunt(query, "--explain").stdout.decode()
        self.assertIn("summarize", text)
        self.assertIn("1 row ", text)
        self.assertRegex(text, r"columns .*AppDisplayName")
        self.assertIn("contoso", text)
        told = json.loads(self.hunt(query, "--explain", "--format", "json").stdout)
        self.assertEqual(told["records"], 120)
        self.assertEqual(set(told["reads"][0]["tables"][0]["columns"]), {"UserPrincipalName", "ResultType", "AppDisplayName"})
        rows = {}

        def visit(node):
            rows[node["operator"]] = node.get("rows")
            for n in node["inputs"]:
                visit(n)

        visit(told["plan"][0])
        self.assertEqual(rows["summarize"], 1)
        self.assertEqual(rows["where"], 10)
        # What was read stands apart from the condition above it.
        read = told["reads"][0]
        self.assertEqual(read["records"], 120)
        self.assertLessEqual(read["records_taken_apart"], 120)
        self.assertEqual(read["tables"][0]["rows_left"], 10)
        self.assertGreaterEqual(read["tables"][0]["rows_made"], 10)
        self.assertEqual(read["tables"][0]["filters"], ["UserPrincipalName == 'u1@contoso.example'", "ResultType == '50126'"])

    def test_a_dry_run_tells_the_plan_and_reads_nothing(self):
        query = "let who = 'u1@contoso.example'; SigninLogs | where UserPrincipalName == who | summarize n = count() by AppDisplayName | where n > 2"
        text = self.hunt(query, "--dry-run").stdout.decode()
        for part in ("where n > 2", "summarize n = count() by AppDisplayName", "UserPrincipalName == 'u1@contoso.example'", "only records that hold"):
            self.assertIn(part, text)
        told = json.loads(self.hunt(query, "--dry-run", "--format", "json").stdout)
        self.assertNotIn("records", told)
        self.assertEqual(told["plan"][0]["text"], "where n > 2")
        self.assertEqual(set(told["reads"][0]["tables"][0]["columns"]), {"UserPrincipalName", "AppDisplayName"})
        self.assertEqual(told["reads"][0]["needles"], ["contoso"])
        # Data that cannot be read is no matter, and a wrong query is refused as ever.
        self.assertEqual(vedette("hunt", "SigninLogs | take 1", "--dry-run").returncode, 0)
        self.assertEqual(vedette("hunt", "SigninLogs | where Nothing == 1", "--dry-run").returncode, 1)
        self.assertEqual(vedette("hunt", "SigninLogs | take 1", "--dry-run", "--at", "latest").returncode, 2)

    def test_diagnostics_are_json_where_rows_are(self):
        done = vedette("hunt", "SigninLogs\n| where ResultTyp == '0' and frob(1) == 2", "--format", "json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, b"")
        first, second = [json.loads(line) for line in done.stderr.splitlines()]
        self.assertEqual((first["severity"], first["code"], first["mend"]), ("error", "VK0100", "did you mean `ResultType`?"))
        self.assertEqual(first["start"], {"line": 2, "column": 9, "offset": 19})
        self.assertEqual(first["end"], {"line": 2, "column": 18, "offset": 28})
        self.assertEqual(first["fixes"][0]["replacement"], "ResultType")
        self.assertEqual(second["code"], "VK0102")
        (told,) = [json.loads(line) for line in vedette("hunt", "SigninLogs | take 1", "--format", "jsonl").stderr.splitlines()]
        self.assertEqual(told["severity"], "error")
        self.assertIn("--data", told["message"])


class Interrupted(Case):
    def wait_until_read(self, pipe, seconds=30):
        """Until the other side has taken what was written."""
        limit = time.monotonic() + seconds
        left = array.array("i", [1])
        while left[0] > 0:
            self.assertLess(time.monotonic(), limit, "the pipe is not read")
            fcntl.ioctl(pipe, termios.FIONREAD, left)
            time.sleep(0.01)

    def test_what_is_known_is_shown_and_called_partial(self):
        rows = json_lines([sign_in(i % 60, f"u{i}@contoso.example") for i in range(2000)])
        process = subprocess.Popen(
            [support.VEDETTE, "hunt", "SigninLogs | summarize n = count()", "--data", "SigninLogs=-", "--format", "jsonl"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=support.environment())
        self.addCleanup(process.kill)
        process.stdin.write(rows)
        process.stdin.flush()
        self.wait_until_read(process.stdin)
        process.send_signal(signal.SIGINT)
        # The pipe stays open until the signal was seen: its end would end the query as well.
        said = process.stderr.readline() + process.stderr.readline()
        self.assertIn(b"stopping", said)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn(b"partial", err)
        self.assertGreater(json.loads(out)["n"], 0)

    def test_a_computation_ends_at_once(self):
        process = subprocess.Popen(
            [support.VEDETTE, "hunt", "range x from 1 to 15000000 step 1 | summarize max(hash_sha256(strcat(x, 'a')))"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=support.environment())
        self.addCleanup(process.kill)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(out, b"")


class PromptSession(Case):
    """The prompt on a pseudo-terminal, as a person has it."""

    def start(self, *options):
        main, side = pty.openpty()
        self.addCleanup(os.close, main)
        home = os.path.join(self.folder, "home")
        os.makedirs(home, exist_ok=True)
        env = support.environment({"HOME": home, "TERM": "xterm", "XDG_STATE_HOME": os.path.join(home, "state")})

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(
            [support.VEDETTE, "hunt", *options], stdin=side, stdout=side, stderr=side, env=env, preexec_fn=own_terminal)
        os.close(side)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        self.seen = ""
        return main, process

    def press(self, main, key, has_happened):
        """A key that means something to the editor. It prints the prompt a moment before it takes the terminal over; a key pressed between
        the two is lost or becomes text, so the line is cleared and it is pressed again, as a person would."""
        for clear in [b""] + 20 * [b"\x15"]:
            os.write(main, clear + key)
            limit = time.monotonic() + 1
            while time.monotonic() < limit:
                if has_happened():
                    return
                time.sleep(0.01)
        self.fail(f"{key!r} does nothing; got {self.seen!r}")

    def comes(self, main, text):
        """Whether the text has come by now; what is read stays for `expect`."""
        if select.select([main], [], [], 0)[0]:
            self.seen += os.read(main, 65536).decode("utf-8", "replace")
        return text in self.seen

    def text_of(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    @property
    def history(self):
        return os.path.join(self.folder, "home", "state", "vedette", "history")

    def ends_with_query(self, main, process, query):
        """The query, completed so, was asked for its data and is remembered; Ctrl-D ends the session."""
        self.expect(main, "name its data")
        self.expect(main, "kql> ")
        self.assertIn(query, self.text_of(self.history))
        self.press(main, b"\x04", lambda: process.poll() is not None)
        self.assertEqual(process.returncode, 0)

    def expect(self, main, text, seconds=30):
        """Reads until the text has come, and gives what came up to its end; the rest is for the next call."""
        limit = time.monotonic() + seconds
        while True:
            self.seen = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.seen)
            before, found, after = self.seen.partition(text)
            if found:
                self.seen = after
                return before + found
            left = limit - time.monotonic()
            ready = select.select([main], [], [], max(0, left))[0]
            if not ready:
                self.fail(f"{text!r} did not come; got {self.seen!r}")
            try:
                self.seen += os.read(main, 65536).decode("utf-8", "replace")
            except OSError:
                self.fail(f"{text!r} did not come before the end; got {self.seen!r}")

    def test_queries_mistakes_commands_and_the_end(self):
        rows = [sign_in(i, f"u{i % 3}@contoso.example") for i in range(30)]
        file = self.write("signins.json.gz", gzip.compress(json_lines(rows)))
        main, process = self.start("--data", file)
        self.expect(main, "kql> ")
        os.write(main, b"SigninLogs | summarize many = count();\n")
        self.assertIn("30", self.expect(main, "1 row"))
        self.expect(main, "kql> ")
        os.write(main, b"SigninLogs\n| where Nothing == 1\n\n")
        self.expect(main, "unknown column")
        self.expect(main, "kql> ")
        os.write(main, b".schema SigninLogs\n")
        self.expect(main, "UserPrincipalName")
        self.expect(main, "kql> ")
        # Ctrl-C gives up what was typed, and the prompt stays.
        os.write(main, b"SigninLogs | \n")
        self.expect(main, "...> ")
        self.press(main, b"\x03", lambda: self.comes(main, "kql> "))
        self.expect(main, "kql> ")
        os.write(main, b"let n = 2;\nprint n * 21;\n")
        self.expect(main, "42")
        self.expect(main, "kql> ")
        os.write(main, b".quit\n")
        process.wait(20)
        self.assertEqual(process.returncode, 0)
        self.assertIn("SigninLogs | summarize many = count()", self.text_of(self.history))
        self.assertEqual(os.stat(self.history).st_mode & 0o777, 0o600)

    def test_tab_completes_columns(self):
        main, process = self.start()
        self.expect(main, "kql> ")
        os.write(main, b"SigninLogs | where UserPrincipalN\t == 'x'\n\n")
        self.ends_with_query(main, process, "where UserPrincipalName == 'x'")

    def test_tab_sees_the_lines_before_and_what_they_make(self):
        main, process = self.start()
        self.expect(main, "kql> ")
        os.write(main, b"let lowest = 2;\nSigninLogs\n| summarize manyTimes = count() by UserPrincipalName\n")
        for _ in range(3):
            self.expect(main, "...> ")
        os.write(main, b"| where manyT\t > lowe\t and UserPri\t == 'x'\n\n")
        self.ends_with_query(main, process, "where manyTimes > lowest and UserPrincipalName == 'x'")

    def test_without_a_terminal_a_query_is_asked_for(self):
        done = vedette("hunt")
        self.assertEqual(done.returncode, 2)
        self.assertIn("a query is needed", done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
