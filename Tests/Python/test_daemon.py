"""`vedette run` from outside: files that grow and rotate, restarts, kills at random moments, outputs, signals."""

import fcntl
import glob
import gzip
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest
import zlib

import support
from support import (
    DAY, EVENT_RULE, RULES, TEST_RULES, Case, Daemon, GrowingGzip, append, database, difference, final_set, identity, json_lines, lines,
    pieces, stored, tail, traffic, vedette, wait_for,
)  # fmt: skip

# Pieces are appended one after the other, so the files drift apart by less than this.
LATENESS = "40m"


class DaemonCase(Case):
    def setUp(self):
        super().setUp()
        for name, body in TEST_RULES.items():
            self.write(f"rules/{name}", body)
        self.rules = self.path("rules")
        self.state = self.path("state")
        os.makedirs(self.path("logs"), exist_ok=True)

    def daemon(self, *arguments, inputs=None, rules=None, state=None, **options):
        return Daemon(
            self, "--rules", rules or self.rules, "--inputs", inputs or self.path("logs") + "/*", "--state-dir", state or self.state,
            "--start-at", "beginning", "--lateness", LATENESS, *arguments, **options,
        )  # fmt: skip

    def finish(self, *arguments, seconds=60, **options):
        """Reads what is left and completes all windows, as replay does."""
        d = self.daemon("--exit-when-idle", *arguments, **options)
        self.assertEqual(d.wait(seconds), 0, tail(d.log))
        return d

    def expected(self, records, rules=None):
        return final_set(self.replay("--rules", rules or self.rules, "--lateness", LATENESS, "-", stdin=json_lines(records)))

    def assertStored(self, want, state=None):
        found = final_set(stored(state or self.state))
        self.assertGreater(len(want), 5, "too few alerts to prove anything")
        self.assertEqual(found, want, difference(want, found))

    def positions(self):
        return {path: (raw, inflated) for path, raw, inflated in database(self.state, "SELECT path, raw_offset, inflated FROM stream")}

    def wait_until_read(self, path, daemon):
        size = os.path.getsize(path)

        def there():
            self.assertIsNone(daemon.process.poll(), f"the daemon ended: {tail(daemon.log)}")
            return self.positions().get(path, (0, 0))[0] >= size

        wait_for(there, 15, f"{path} read to {size}; positions: {self.positions()}; log: {tail(daemon.log, 1000)}")

    def lock_removed(self, number):
        """A record on which the near-real-time rule raises."""
        moment = support.START + support.timedelta(hours=9, minutes=number)
        return support.activity(moment, "Microsoft.Authorization/locks/delete", "zoe@contoso.example", 900_000 + number)


class Following(DaemonCase):
    def test_appended_pieces(self):
        records = traffic(11, 900)
        want = self.expected(records)
        plain, packed = self.path("logs/a.log"), GrowingGzip(self.path("logs/b.log.gz"))
        open(plain, "wb").close()
        d = self.daemon("--checkpoint-interval", "50ms")
        d.wait_for_log("vedette starts")
        for i, piece in enumerate(pieces(records, 24)):
            half = len(piece) // 2
            append(plain, json_lines(piece[:half]))
            packed.append(json_lines(piece[half:]))
            time.sleep(0.03 if i % 3 else 0.15)
        self.wait_until_read(plain, d)
        self.wait_until_read(packed.file.name, d)
        self.assertEqual(d.stop(), 0, tail(d.log))
        packed.finish()
        self.finish()
        self.assertStored(want)

    def test_pieces_cut_inside_records(self):
        records = traffic(12, 500)
        want = self.expected(records)
        path = self.path("logs/a.log")
        data, dice = json_lines(records), random.Random(12)
        d = self.daemon("--checkpoint-interval", "50ms")
        while data:
            cut = dice.choice([1, 50, 700, 4000, 40_000])
            append(path, data[:cut])
            data = data[cut:]
            if dice.random() < 0.1:
                time.sleep(0.05)
        self.wait_until_read(path, d)
        self.assertEqual(d.stop(), 0)
        self.finish()
        self.assertStored(want)

    def test_rotation_by_rename_compression_and_copy_truncate_with_restarts(self):
        records = traffic(13, 1200)
        want = self.expected(records)
        log = self.path("logs/app.log")
        parts = pieces(records, 8)
        d = self.daemon("--checkpoint-interval", "50ms")

        append(log, json_lines(parts[0]))
        self.wait_until_read(log, d)
        # Renamed; the writer opens a new file.
        os.rename(log, log + ".1")
        append(log, json_lines(parts[1]))
        self.wait_until_read(log, d)
        # The rotated file is compressed: the same data under a third name.
        with open(log + ".1", "rb") as file, open(log + ".1.gz", "wb") as out:
            out.write(gzip.compress(file.read()))
        os.remove(log + ".1")
        append(log, json_lines(parts[2]))
        self.wait_until_read(log, d)
        # Copied and truncated.
        shutil.copyfile(log, log + ".2")
        self.wait_until_read(log, d)
        with open(log, "r+b") as file:
            file.truncate(0)
        time.sleep(0.4)
        append(log, json_lines(parts[3]))
        self.wait_until_read(log, d)
        self.assertEqual(d.stop(), 0, tail(d.log))
        # While nobody looks: appended, renamed, a new file begun.
        append(log, json_lines(parts[4]))
        os.rename(log, log + ".3")
        append(log, json_lines(parts[5]))
        d = self.daemon("--checkpoint-interval", "50ms")
        d.wait_for_log("following")
        self.wait_until_read(log, d)
        time.sleep(0.5)  # the position of the old file under this name may have been as large
        self.wait_until_read(log, d)
        # Renamed and compressed while nobody looks.
        self.assertEqual(d.stop(), 0, tail(d.log))
        with open(log, "rb") as file, open(log + ".4.gz", "wb") as out:
            out.write(gzip.compress(file.read()))
        os.remove(log)
        append(log, json_lines(parts[6] + parts[7]))
        last = self.finish()
        self.assertStored(want)
        self.assertIn("vedette stops", last.log)

    def test_files_that_appear_later(self):
        records = traffic(14, 400)
        want = self.expected(records)
        d = self.daemon("--checkpoint-interval", "50ms", inputs=self.path("logs") + "/**/*.json*")
        d.wait_for_log("no file matches")
        for i, piece in enumerate(pieces(records, 6)):
            self.write(f"logs/h={i:02d}/PT1H.json.gz", gzip.compress(json_lines(piece)))
            time.sleep(0.05)
        self.wait_until_read(self.path("logs/h=05/PT1H.json.gz"), d)
        self.assertEqual(d.stop(), 0)
        self.finish(inputs=self.path("logs") + "/**/*.json*")
        self.assertStored(want)

    def test_start_at_end_reads_only_what_comes(self):
        log = self.write("logs/a.log", json_lines([self.lock_removed(0)]))
        d = self.daemon("--start-at", "end", "--checkpoint-interval", "50ms")
        d.wait_for_log("following")
        wait_for(lambda: self.positions().get(log), 10, "a first checkpoint")
        append(log, json_lines([self.lock_removed(5)]))
        self.wait_until_read(log, d)
        self.assertEqual(d.stop(), 0)
        d = self.finish("--start-at", "end")
        self.assertEqual([a["start_time"][:16] for a in stored(self.state)], ["2026-03-02T17:05"])

    def test_sample_day_equals_replay(self):
        shutil.copytree(DAY, self.path("logs/day"))
        alerts = self.replay("--rules", RULES, "--lateness", "1d", DAY, timeout=120)
        want = final_set(alerts)
        d = Daemon(
            self, "--rules", RULES, "--inputs", self.path("logs/day"), "--state-dir", self.state, "--start-at", "beginning", "--lateness", "1d",
            "--exit-when-idle",
        )  # fmt: skip
        self.assertEqual(d.wait(120), 0, tail(d.log))
        self.assertStored(want)


class Kills(DaemonCase):
    """`kill -9` at random moments must not show in the result."""

    def scenario(self, seed, kills, checkpoints=True):
        """Appends while the daemon is killed again and again. Returns what was found wrong, by kind, and figures."""
        dice = random.Random(seed)
        records = traffic(seed, 1000)
        want = self.expected(records)
        out = self.path("alerts.jsonl")
        plain, packed = self.path("logs/a.log"), GrowingGzip(self.path("logs/b.log.gz"))
        options = ["--checkpoint-interval", "30ms", "--outputs", "file:" + out] + ([] if checkpoints else ["--checkpoints", "false"])
        problems, busy, resumed = {}, 0, []
        for i, piece in enumerate(pieces(records, kills)):
            before = self.positions()
            d = self.daemon(*options)
            # Every second kill comes when windows hold rows and the position is inside the open member.
            aimed = i % 2 == 1
            parts = pieces(piece, dice.randint(1, 4))
            for part in parts:
                half = len(part) // 2
                append(plain, json_lines(part[:half]))
                packed.append(json_lines(part[half:]))
                time.sleep(dice.uniform(0, 0.06))
            if aimed and checkpoints:
                self.wait_until_read(packed.file.name, d)
                rows = database(self.state, "SELECT count(*) FROM segment")[0][0]
                inside = self.positions()[packed.file.name]
                busy += rows > 0 and 0 < inside[0] and inside[1] > 0
            elif aimed:
                d.wait_for_log("following")
                time.sleep(0.3)
            else:
                time.sleep(dice.uniform(0, 0.5))
            self.assertIsNone(d.process.poll(), f"ended by itself: {tail(d.log)}")
            d.process.send_signal(signal.SIGKILL)
            d.process.wait(timeout=10)
            if i > 0:
                resumed.append((before, d.opened()))
        packed.finish()
        last = self.finish(*options)
        resumed.append((self.positions(), last.opened()))
        found = final_set(stored(self.state))
        if found != want:
            problems["set"] = difference(want, found)
        with open(out, "rb") as file:
            versions = [(a["id"], a["revision"]) for a in lines(file.read())]
        twice = sorted({v for v in versions if versions.count(v) > 1})
        if twice:
            problems["file"] = f"{len(twice)} versions stand more than once in the file, as {twice[:3]}"
        written = {v[0] for v in versions}
        unwritten = {a["id"] for a in stored(self.state)} - written
        if unwritten:
            problems["lost"] = f"{len(unwritten)} alerts never reached the file"
        zero = [path for path, at in last.opened().items() if at == 0]
        if zero or len(last.opened()) < 2:
            problems["position"] = f"read from the beginning after a kill: {zero or last.opened()}"
        for before, opened in resumed[:-1]:
            for path, at in opened.items():
                if at < before.get(path, (0, 0))[0]:
                    problems["back"] = f"{path} resumed at {at}, behind its checkpoint {before[path][0]}"
        return problems, busy, len(want)

    def test_twenty_kills(self):
        problems, busy, alerts = self.scenario(20_260_302, 20)
        self.assertGreater(alerts, 20)
        self.assertEqual(problems, {}, "\n".join(f"{k}: {v}" for k, v in problems.items()))
        self.assertGreaterEqual(busy, 9, "kills while windows held rows, inside a gzip member")

    def test_the_same_fails_without_checkpoints(self):
        problems, _, _ = self.scenario(20_260_302, 6, checkpoints=False)
        self.assertIn("position", problems, f"without checkpoints everything is read again; found: {problems}")
        self.assertTrue({"set", "file"} & set(problems), f"without checkpoints the outcome must differ; found: {problems}")

    def test_kill_after_consumed_data_is_gone(self):
        """What was read and then deleted is known only to the checkpoint."""
        records = traffic(31, 600)
        want = self.expected(records)
        first, second = pieces(records, 2)
        for checkpoints in (True, False):
            with self.subTest(checkpoints=checkpoints):
                state = self.path(f"state-{checkpoints}")
                self.state = state
                folder = self.path(f"logs-{checkpoints}", "x")[:-2]
                log = os.path.join(folder, "a.log")
                extra = ["--checkpoint-interval", "30ms"] + ([] if checkpoints else ["--checkpoints", "false"])
                append(log, json_lines(first))
                d = self.daemon(*extra, inputs=folder + "/*.log")
                if checkpoints:
                    self.wait_until_read(log, d)
                else:
                    d.wait_for_log("following")
                    time.sleep(1.5)
                d.process.kill()
                d.process.wait(timeout=10)
                os.remove(log)
                append(os.path.join(folder, "b.log"), json_lines(second))
                self.finish(*extra, inputs=folder + "/*.log")
                found = final_set(stored(state))
                if checkpoints:
                    self.assertEqual(found, want, difference(want, found))
                else:
                    self.assertNotEqual(found, want, "equal without checkpoints: the test proves nothing")


class Service(DaemonCase):
    def test_second_instance_is_refused(self):
        self.write("logs/a.log", json_lines([self.lock_removed(0)]))
        d = self.daemon()
        d.wait_for_log("following")
        second = self.daemon()
        self.assertEqual(second.wait(15), 3, tail(second.log))
        self.assertIn("in use", second.log)
        self.assertIn(str(d.process.pid), second.log)
        self.assertIsNone(d.process.poll())
        self.assertEqual(d.stop(), 0)

    def test_terminate_stops_within_five_seconds(self):
        self.write("logs/a.log", json_lines(traffic(41, 3000)))
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                d = self.daemon()
                d.wait_for_log("following")
                start = time.monotonic()
                self.assertEqual(d.stop(number, 10), 0, tail(d.log))
                self.assertLess(time.monotonic() - start, 5)
                self.assertIn("vedette stops", d.log)

    def test_reload_with_a_bad_file_keeps_the_old_rules(self):
        log = self.write("logs/a.log", json_lines([self.lock_removed(0)]))
        d = self.daemon("--checkpoint-interval", "50ms")
        self.wait_until_read(log, d)
        bad = self.write("rules/bad.yaml", EVENT_RULE.replace("00000001-", "10000001-").replace("project TimeGenerated", "projekt TimeGenerated"))
        d.process.send_signal(signal.SIGHUP)
        d.wait_for_log("old rules stay in force")
        self.assertIn("bad.yaml", d.log)
        append(log, json_lines([self.lock_removed(20)]))
        wait_for(lambda: len(stored(self.state)) >= 2, 10, "an alert of the old rules")
        os.remove(bad)
        self.write("rules/more.yaml", support.rule(7, "Read", 'AzureActivity | where OperationNameValue endswith "disks/read"\n| project TimeGenerated, Caller', clock=None))  # fmt: skip
        d.process.send_signal(signal.SIGHUP)
        d.wait_for_log("rules reloaded")
        moment = support.START + support.timedelta(hours=10)
        append(log, json_lines([support.activity(moment, "Microsoft.Compute/disks/read", "zoe@contoso.example", 5)]))
        wait_for(lambda: any(a["rule_name"] == "Read" for a in stored(self.state)), 10, "an alert of the new rule")
        self.assertEqual(d.stop(), 0)

    def test_reload_keeps_windows_of_unchanged_rules(self):
        records = traffic(42, 600)
        want = self.expected(records)
        log = self.path("logs/a.log")
        first, second = pieces(records, 2)
        append(log, json_lines(first))
        d = self.daemon("--checkpoint-interval", "50ms")
        self.wait_until_read(log, d)
        d.process.send_signal(signal.SIGHUP)
        d.wait_for_log("rules reloaded")
        append(log, json_lines(second))
        self.wait_until_read(log, d)
        self.assertEqual(d.stop(), 0)
        self.finish()
        self.assertStored(want)

    def test_reload_forgets_rules_that_were_taken_out(self):
        log = self.write("logs/a.log", json_lines(traffic(45, 300)))
        d = self.daemon("--checkpoint-interval", "50ms")
        self.wait_until_read(log, d)
        states = lambda: database(self.state, "SELECT count(*) FROM rule_state")[0][0]
        segments = lambda: {r for r, in database(self.state, "SELECT DISTINCT rule FROM segment")}
        wait_for(lambda: states() == 4 and len(segments()) == 4, 10, f"state of four rules: {states()}")
        os.rename(self.path("rules/threshold.yaml"), self.path("threshold.kept"))
        d.process.send_signal(signal.SIGHUP)
        wait_for(lambda: states() == 3 and len(segments()) == 3, 10, "state of three rules")
        # An empty folder is taken for a mistake.
        names = os.listdir(self.rules)
        for name in names:
            os.rename(self.path("rules", name), self.path("kept-" + name))
        d.process.send_signal(signal.SIGHUP)
        d.wait_for_log("no rule was found; the old rules stay in force")
        for name in names:
            os.rename(self.path("kept-" + name), self.path("rules", name))
        os.rename(self.path("threshold.kept"), self.path("rules/threshold.yaml"))
        d.process.send_signal(signal.SIGHUP)
        d.wait_for_log("rules reloaded")
        append(log, json_lines([self.lock_removed(20)]))
        self.wait_until_read(log, d)
        self.assertEqual(d.stop(), 0, tail(d.log))
        self.finish()
        self.assertTrue(any("T17:20" in a["start_time"] for a in stored(self.state)))

    def test_hangup_reopens_the_output_file(self):
        out = self.path("alerts.jsonl")
        log = self.write("logs/a.log", json_lines([self.lock_removed(0)]))
        d = self.daemon("--checkpoint-interval", "50ms", "--outputs", "file:" + out)
        wait_for(lambda: os.path.exists(out) and os.path.getsize(out) > 0, 10, "a first alert")
        os.rename(out, out + ".1")
        d.process.send_signal(signal.SIGHUP)
        d.wait_for_log("rules reloaded")
        append(log, json_lines([self.lock_removed(20)]))
        wait_for(lambda: os.path.exists(out) and os.path.getsize(out) > 0, 10, "an alert in the new file")
        self.assertEqual(d.stop(), 0)

    def test_standard_input(self):
        records = traffic(43, 400)
        want = self.expected(records)
        done = vedette(
            "run", "--rules", self.rules, "--input", "-", "--state-dir", self.state, "--lateness", LATENESS, "--outputs", "stdout",
            stdin=gzip.compress(json_lines(records)),
        )  # fmt: skip
        self.assertExit(done, 0)
        self.assertStored(want)
        printed = {a["id"] for a in lines(done.stdout)}
        self.assertEqual({a["id"] for a in stored(self.state)} - printed, set())

    def test_standard_input_alerts_before_it_ends(self):
        d = Daemon(
            self, "--rules", self.rules, "--input", "-", "--state-dir", self.state, "--outputs", "stdout", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        d.process.stdin.write(json_lines([self.lock_removed(0)]))
        d.process.stdin.flush()
        timer = threading.Timer(15, d.process.kill)
        timer.start()
        line = d.process.stdout.readline()
        timer.cancel()
        self.assertTrue(line, tail(d.log))
        self.assertEqual(json.loads(line)["rule_name"], "Lock removed")
        d.process.stdin.close()
        self.assertEqual(d.wait(10), 0)

    def test_a_silent_pipe_keeps_nothing_waiting(self):
        """Heartbeats to the watchdog, retries and status go on while no data comes."""
        address, out = self.path("notify.sock"), self.path("late.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(address)
            server.settimeout(10)
            d = Daemon(
                self, "--rules", self.rules, "--input", "-", "--state-dir", self.state, "--outputs", "syslog:unix:" + out, stdin=subprocess.PIPE,
                env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"},
            )  # fmt: skip
            # Half a gzip member: the decoder waits in its middle.
            packer = zlib.compressobj(6, zlib.DEFLATED, 31)
            d.process.stdin.write(packer.compress(json_lines([self.lock_removed(0)])) + packer.flush(zlib.Z_SYNC_FLUSH))
            d.process.stdin.flush()
            d.wait_for_log("output failed")
            said = [server.recv(4096).decode() for _ in range(20)]
            self.assertGreater(said.count("WATCHDOG=1"), 15)
            # A receiver that lets its queue fill up would be waited for.
            server.close()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sink:
                sink.bind(out)
                sink.settimeout(15)
                self.assertIn("Lock removed", sink.recv(65536).decode())
            self.assertEqual(d.stop(), 0, tail(d.log))

    def test_a_reader_that_does_not_read_stops_neither_detection_nor_the_end(self):
        log = self.write("logs/a.log", json_lines([self.lock_removed(i) for i in range(0, 55)]))
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
        d = self.daemon("--outputs", "stdout", "--checkpoint-interval", "50ms", stdout=write)
        os.close(write)
        self.wait_until_read(log, d)
        append(log, json_lines([self.lock_removed(70)]))
        self.wait_until_read(log, d)
        wait_for(lambda: any("T18:10" in a["start_time"] for a in stored(self.state)), 10, "an alert of the later record")
        self.assertEqual(d.stop(seconds=20), 0, tail(d.log))
        # What was not taken is there for the next run.
        waiting = database(self.state, "SELECT count(*) FROM outbox_item")[0][0]
        self.assertGreater(waiting, 0)
        done = vedette("run", "--rules", self.rules, "--inputs", log, "--state-dir", self.state, "--lateness", LATENESS, "--outputs", "stdout", "--exit-when-idle")  # fmt: skip
        self.assertExit(done, 0)
        self.assertGreaterEqual(len({(a["id"], a["revision"]) for a in lines(done.stdout)}), waiting)

    def test_check_config(self):
        config = self.write(
            "vedette.yaml",
            f"rules:\n  - {self.rules}\ninputs:\n  - path: {self.folder}/logs/*.log\nstate_dir: {self.state}\n"
            "lateness:\n  default: 5m\n  AWSCloudTrail: 20m\nlimits:\n  depth: 64\noutputs:\n  - type: stdout\n",
        )
        done = vedette("run", "--config", config, "--check-config")
        self.assertExit(done, 0)
        self.assertIn("4 rules load", done.stdout.decode())
        self.assertFalse(os.path.exists(self.state), "a check leaves nothing behind")
        wrong = self.write("wrong.yaml", f"rules: {self.rules}\ninputs: /x\nlatenes: 5m\n")
        done = vedette("run", "--config", wrong, "--check-config")
        self.assertExit(done, 2)
        self.assertRegex(done.stderr.decode(), r"wrong\.yaml:3:1.*latenes")
        self.write("rules/bad.yaml", "id: [")
        self.assertExit(vedette("run", "--config", config, "--check-config"), 1)
        self.assertExit(vedette("run", "--config", config, "--check-config", env={"VEDETTE_MODE": "fast"}), 2)

    def test_configuration_file_flag_and_environment(self):
        self.write("logs/a.log", json_lines([self.lock_removed(0)]))
        config = self.write(
            "vedette.yaml",
            f"rules: {self.rules}\ninputs: {self.folder}/logs/*.log\nstate_dir: {self.folder}/file-state\nstart_at: end\noutputs: stdout\n",
        )
        done = vedette("run", "--config", config, "--exit-when-idle", env={"VEDETTE_START_AT": "beginning", "VEDETTE_STATE_DIR": self.state})
        self.assertExit(done, 0)
        self.assertEqual(len(stored(self.state)), 1)
        self.assertFalse(os.path.exists(self.path("file-state", "x")[:-2] + "/vedette.db"))

    def test_readiness_is_notified(self):
        address = self.path("notify.sock")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(address)
        server.settimeout(10)
        self.write("logs/a.log", json_lines([self.lock_removed(0)]))
        d = self.daemon(env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"})
        said = server.recv(4096).decode()
        self.assertIn("READY=1", said.splitlines())
        for _ in range(3):
            self.assertIn("WATCHDOG=1", server.recv(4096).decode())
        d.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in said:
            said = server.recv(4096).decode()
        self.assertEqual(d.wait(10), 0)

    def test_status_and_alert_commands(self):
        log = self.write("logs/a.log", b"this is no record\n" + json_lines(traffic(44, 300)))
        self.finish()
        done = vedette("status", "--state-dir", self.state, "--format", "json")
        self.assertExit(done, 0)
        status = json.loads(done.stdout)
        self.assertEqual((status["records"], status["dead_letters"]), (300, 1))
        memory = status["memory"]
        self.assertGreater(memory["resident_bytes"], memory["memo_bytes"])
        self.assertGreater(memory["allocated_bytes"], memory["memo_bytes"])
        self.assertGreater(status["matcher"]["memo_values"], 0)
        source = next(s for s in status["sources"] if s["path"] == log)
        self.assertEqual((source["position"], source["lag_bytes"]), (os.path.getsize(log), 0))
        self.assertEqual({r["name"] for r in status["rules"]}, {"Disk download link", "Lock removed", "Many disks deleted", "Lock removed, then a disk deleted"})  # fmt: skip
        done = vedette("status", "--state-dir", self.state)
        self.assertExit(done, 0)
        self.assertIn("a.log", done.stdout.decode())
        alert = stored(self.state)[0]
        done = vedette("alerts", "show", alert["id"][:12], "--state-dir", self.state)
        self.assertExit(done, 0)
        self.assertEqual(json.loads(done.stdout), alert)
        self.assertExit(vedette("alerts", "show", "nothing", "--state-dir", self.state), 1)
        done = vedette("alerts", "list", "--state-dir", self.state, "--severity", "High", "--format", "jsonl", "--limit", "1000")
        self.assertEqual({a["severity"] for a in lines(done.stdout)}, {"High"})
        letters = glob.glob(os.path.join(self.state, "dead-letter*"))
        self.assertEqual(len(letters), 1)
        with open(letters[0], "rb") as file:
            self.assertEqual(len(lines(file.read())), 1)

    def test_warnings(self):
        self.write("logs/a.log", b'{"what":"nobody knows"}\n' * 50)
        d = self.daemon(inputs=self.path("logs") + "/*.log," + self.path("logs") + "/*.never")
        d.wait_for_log("no file matches")
        d.wait_for_log("no record was recognised")
        self.assertEqual(d.stop(), 0)


class Stops(DaemonCase):
    def test_a_stop_asked_early_is_a_clean_one(self):
        """From the moment at which the handlers are there, which is before a rule is read, every stop ends with 0."""
        self.write("logs/a.log", json_lines(traffic(51, 500)))
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                d = self.daemon(rules=RULES)
                wait_for(lambda: int(self.caught(d), 16) >> (number - 1) & 1, 10, "a handler", step=0.0005)
                self.assertNotIn("vedette starts", d.log, "too late to prove anything")
                d.process.send_signal(signal.SIGHUP)
                self.assertEqual(d.stop(number), 0, tail(d.log))
                self.assertIn("vedette stops", d.log)
        self.finish()
        self.assertStored(self.expected(traffic(51, 500)))

    def caught(self, daemon):
        with open(f"/proc/{daemon.process.pid}/status") as file:
            return next(line.split()[1] for line in file if line.startswith("SigCgt"))

    def test_stops_at_many_moments_lose_nothing(self):
        records = traffic(52, 1500)
        want = self.expected(records)
        log, dice = self.path("logs/a.log"), random.Random(52)
        for piece in pieces(records, 8):
            append(log, json_lines(piece))
            d = self.daemon("--checkpoint-interval", "10s")
            wait_for(lambda d=d: int(self.caught(d), 16) >> (signal.SIGTERM - 1) & 1, 10, "a handler", step=0.0005)
            time.sleep(dice.uniform(0, 0.4))
            self.assertEqual(d.stop(), 0, tail(d.log))
        self.finish()
        self.assertStored(want)

    def test_full_disk_is_said_and_nothing_is_lost(self):
        records = traffic(53, 3000)
        want = self.expected(records)
        self.write("logs/a.log", json_lines(records))
        limit = 300_000

        def small():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        d = self.daemon(preexec=small)
        self.assertEqual(d.wait(20), 3, tail(d.log))
        self.assertRegex(d.log, "cannot write the state .*(disk is full|too large)")
        self.finish()
        self.assertStored(want)

    def test_unfinished_last_record(self):
        """At the end of complete input it is a dead letter; when its end comes after all, it is read."""
        whole, cut = json_lines([self.lock_removed(0)]), json_lines([self.lock_removed(40)])
        log = self.write("logs/a.log", whole + cut[:300])
        self.finish()
        self.assertEqual(len(stored(self.state)), 1)
        with open(self.state + "/dead-letter.jsonl", "rb") as file:
            letters = lines(file.read())
        self.assertEqual([(l["source"], l["position"]["offset"], l["length"], l["text"]) for l in letters], [(log, len(whole), 300, cut[:300].decode())])  # fmt: skip
        self.assertExit(vedette("run", "--rules", self.rules, "--inputs", log, "--state-dir", self.path("other") + "/s", "--start-at", "beginning", "--exit-when-idle", "--fail-on-dead-letter"), 3)  # fmt: skip
        os.makedirs(self.path("other"), exist_ok=True)
        self.assertExit(vedette("run", "--rules", self.rules, "--inputs", log, "--state-dir", self.path("other") + "/s", "--start-at", "beginning", "--exit-when-idle", "--fail-on-dead-letter"), 1)  # fmt: skip
        append(log, cut[300:])
        self.finish()
        self.assertEqual(len(stored(self.state)), 2)

    def test_record_without_a_time_after_a_restart(self):
        """It has the time of the record before it, not the highest that the file has reached."""
        quiet = support.activity(support.START + support.timedelta(hours=9), "Microsoft.Compute/disks/read", "zoe@contoso.example", 1)
        timeless = self.lock_removed(7)
        del timeless["time"]
        log = self.write("logs/a.log", json_lines([self.lock_removed(40), quiet]))
        self.finish()
        append(log, json_lines([timeless]))
        self.finish()
        moments = sorted(a["start_time"][:16] for a in stored(self.state))
        self.assertEqual(moments, ["2026-03-02T17:00", "2026-03-02T17:40"])

    def test_unfinished_last_record_of_standard_input(self):
        cut = json_lines([self.lock_removed(40)])[:300]
        for data in (json_lines([self.lock_removed(0)]) + cut, gzip.compress(json_lines([self.lock_removed(0)]) + cut)):
            state = self.path("state-" + str(len(data)))
            done = vedette("run", "--rules", self.rules, "--input", "-", "--state-dir", state, "--fail-on-dead-letter", stdin=data)
            self.assertExit(done, 1)
            self.assertEqual(len(stored(state)), 1)
            with open(state + "/dead-letter.jsonl", "rb") as file:
                self.assertEqual([l["text"] for l in lines(file.read())], [cut.decode()])


class Late(DaemonCase):
    """Records that no window takes any more."""

    def record(self, minute, number, operation="Microsoft.Compute/disks/delete"):
        return support.activity(support.START + support.timedelta(minutes=minute), operation, "zoe@contoso.example", number)

    def late_lines(self):
        with open(self.state + "/late.jsonl", "rb") as file:
            return lines(file.read())

    def run_late(self, *arguments, records=None, **options):
        return Daemon(
            self, "--rules", self.rules, "--inputs", self.path("logs") + "/*", "--state-dir", self.state, "--start-at", "beginning",
            "--lateness", "1s", "--checkpoint-interval", "30ms", *arguments, **options,
        )  # fmt: skip

    def test_late_records_are_kept_after_stateless_rules_saw_them(self):
        current = [self.record(10 * i, 100 + i) for i in range(60)] + [self.record(600 + i, 200 + i, "Microsoft.Authorization/locks/delete") for i in range(3)]  # fmt: skip
        # More than a chunk in between, so that a replay, too, has passed the old ones before it sees them.
        current += [self.record(603 + i / 1000, 2000 + i, "Microsoft.Compute/disks/read") for i in range(2000)]
        log = self.write("logs/a.log", json_lines(current))
        self.assertGreater(os.path.getsize(log), 3 << 19)
        d = self.run_late()
        self.wait_until_read(log, d)
        self.assertEqual(self.late_lines(), [])
        # A count that no window sees, a lock on which the stateless rule still alerts, and something that no rule asks for.
        old = [self.record(61, 901), self.record(62, 902, "Microsoft.Authorization/locks/delete"), self.record(63, 903, "Microsoft.Compute/disks/read")]
        append(log, json_lines(old))
        self.wait_until_read(log, d)
        self.assertEqual(d.stop(), 0, tail(d.log))
        found = sorted(self.late_lines(), key=lambda l: l["time"])
        self.assertEqual([l["record"] for l in found], old[:2])
        self.assertEqual({l["source"] for l in found}, {log})
        self.assertEqual([l["table"] for l in found], ["AzureActivity"] * 2)
        self.assertEqual(sorted(found[0]["missed_by"]), ["Lock removed, then a disk deleted", "Many disks deleted"])
        self.assertEqual(found[1]["evaluated_by"], ["Lock removed"])
        self.assertEqual(found[1]["missed_by"], ["Lock removed, then a disk deleted"])
        raised = [a for a in stored(self.state) if a["start_time"] == found[1]["time"]]
        self.assertEqual([(a["rule_name"], a.get("amended")) for a in raised], [("Lock removed", True)])
        done = vedette("status", "--state-dir", self.state, "--format", "json")
        status = json.loads(done.stdout)
        self.assertEqual((status["late_records"], status["sources"][0]["late_records"]), (2, 2))
        self.assertIn("2 late records", vedette("status", "--state-dir", self.state).stdout.decode())
        # The same in a replay.
        out = self.path("late.jsonl")
        done = vedette("replay", "--rules", self.rules, "--lateness", "1s", "--late", out, log)
        self.assertExit(done, 0)
        self.assertIn("2 records came too late for every window", done.stdout.decode())
        with open(out, "rb") as file:
            self.assertEqual(sorted(lines(file.read()), key=lambda l: l["time"]), found)

    def test_kills_neither_lose_nor_double_late_records_and_dead_letters(self):
        log = self.write("logs/a.log", json_lines([self.record(10 * i, 100 + i) for i in range(60)]))
        dice = random.Random(61)
        old = [self.record(dice.uniform(0, 200), 1000 + i) for i in range(400)]
        bad = [f"bad line {i} {'x' * 300}\n".encode() for i in range(400)]
        d = self.run_late()
        self.wait_until_read(log, d)
        options = ["--late-max-bytes", "100000", "--late-max-files", "20", "--dead-letter-max-bytes", "50000", "--dead-letter-max-files", "20"]
        for i in range(8):
            part = [x for pair in zip((json_lines([r]) for r in old[50 * i : 50 * i + 50]), bad[50 * i : 50 * i + 50]) for x in pair]
            for piece in pieces(part, 5):
                append(log, b"".join(piece))
                time.sleep(dice.uniform(0, 0.02))
            time.sleep(dice.uniform(0, 0.1))
            d.process.kill()
            d.process.wait(timeout=10)
            d = self.run_late(*options)
        self.wait_until_read(log, d)
        self.assertEqual(d.stop(), 0, tail(d.log))
        numbers, texts = [], []
        for path in glob.glob(self.state + "/late.jsonl*"):
            with open(path, "rb") as file:
                numbers += [int(l["record"]["correlationId"][-12:], 16) for l in lines(file.read())]
        for path in glob.glob(self.state + "/dead-letter.jsonl*"):
            with open(path, "rb") as file:
                texts += [l["text"].split(" xx")[0] for l in lines(file.read())]
        self.assertEqual(sorted(numbers), list(range(1000, 1400)))
        self.assertEqual(sorted(texts), sorted(f"bad line {i}" for i in range(400)))
        self.assertGreater(len(glob.glob(self.state + "/late.jsonl*")), 2, "rotation was part of it")
        self.assertGreater(len(glob.glob(self.state + "/dead-letter.jsonl*")), 2)


class Memory(DaemonCase):
    """What must not grow without bound."""

    def test_streams_of_files_that_are_gone_are_forgotten(self):
        total, wave, bound = 3_000, 600, 500
        d = self.daemon("--checkpoint-interval", "100ms", "--log-level", "warning", "--limits-remembered-files", str(bound))
        count = lambda: (database(self.state, "SELECT count(*) FROM stream") or [(0,)])[0][0]
        most = 0
        for first in range(0, total, wave):
            names = []
            for i in range(first, first + wave):
                record = support.activity(support.START + support.timedelta(seconds=i), "Microsoft.Compute/disks/read", f"u{i}@x.example", i)
                names.append(self.write(f"logs/f{i:05d}.log", json_lines([record])))
            size = {n: os.path.getsize(n) for n in names}
            wait_for(lambda: {p: r for p, (r, _) in self.positions().items() if p in size} == size, 60, f"wave {first}: {count()} streams", step=0.1)  # fmt: skip
            most = max(most, count())
            for n in names:
                os.remove(n)
        self.assertGreater(most, 2 * bound, "the bound was never reached")
        wait_for(lambda: count() <= bound * 1.1, 30, f"{count()} streams", step=0.1)
        self.assertEqual(d.stop(), 0, tail(d.log))
        status = json.loads(vedette("status", "--state-dir", self.state, "--format", "json").stdout)
        self.assertEqual((status["records"], status["dead_letters"]), (total, 0))

    def test_a_file_that_appears_while_down_is_read_from_its_beginning(self):
        """Also if the daemon had seen no file at all by then."""
        d = self.daemon("--start-at", "end")
        d.wait_for_log("no file matches")
        self.assertEqual(d.stop(), 0)
        self.write("logs/a.log", json_lines([self.lock_removed(0)]))
        self.finish("--start-at", "end")
        self.assertEqual(len(stored(self.state)), 1)

    def test_evidence_ages_out(self):
        self.write("logs/a.log", json_lines(traffic(71, 400)))
        self.finish()
        before = {a["id"]: a for a in stored(self.state)}
        self.assertTrue(all(e["record"] for a in before.values() for e in a["evidence"]))
        self.finish("--retention-evidence", "90d", "--retention-alerts", "365d")
        self.assertEqual({a["id"]: a for a in stored(self.state)}, before)
        time.sleep(0.05)
        self.finish("--retention-evidence", "1ms")
        after = {a["id"]: a for a in stored(self.state)}
        self.assertEqual(set(after), set(before))
        closed = [a for a in after.values() if a["status"] != "open"]
        self.assertGreater(len(closed), 5)
        self.assertFalse(any(e["record"] for a in closed for e in a["evidence"]))
        for a in after.values():
            self.assertEqual(identity(a), identity(before[a["id"]]))
        self.finish("--retention-alerts", "1ms")
        self.assertEqual([a["status"] for a in stored(self.state)], ["open"] * (len(after) - len(closed)))

    def test_a_rule_over_its_budget_spills_and_finds_the_same(self):
        records = traffic(72, 900)
        want = self.expected(records)
        log = self.path("logs/a.log")
        for piece in pieces(records, 6):
            append(log, json_lines(piece))
            d = self.daemon("--limits-rule-rows", "8", "--checkpoint-interval", "50ms")
            self.wait_until_read(log, d)
            self.assertEqual(glob.glob(self.state + "/spill*"), [], "the file has no name")
            d.kill()
        d = self.finish("--limits-rule-rows", "8")
        self.assertNotIn("rule failed", d.log)
        status = json.loads(vedette("status", "--state-dir", self.state, "--format", "json").stdout)
        self.assertGreater(max(r["spilled_rows"] for r in status["rules"]), 0)
        self.assertStored(want)

    def test_a_rule_over_all_budgets_refuses_loudly(self):
        records = traffic(72, 900)
        self.write("logs/a.log", json_lines(records))
        complete = {a["id"]: a for a in self.replay("--rules", self.rules, "--lateness", LATENESS, "-", stdin=json_lines(records))}
        d = self.finish("--limits-rule-rows", "5", "--limits-spilled-rows", "15")
        self.assertRegex(d.log, "rule failed; its alerts are not complete.*Many disks deleted")
        self.assertRegex(d.log, "retains more than 20 rows and refuses others")
        status = json.loads(vedette("status", "--state-dir", self.state, "--format", "json").stdout)
        rules = {r["name"]: r for r in status["rules"]}
        self.assertIn("more than 20 rows", rules["Many disks deleted"]["failure"])
        self.assertLessEqual(max(r["retained_rows"] for r in rules.values()), 20)
        # The text form says it, too.
        self.assertIn("more than 20 rows", vedette("status", "--state-dir", self.state).stdout.decode())
        # Nothing is raised that is not so, and nothing passes for complete that is not.
        for a in stored(self.state):
            self.assertTrue(not a["window_complete"] or a["id"] in complete, a)

class Flags(DaemonCase):
    def test_every_setting_is_a_flag(self):
        values = {
            "--rules": self.rules, "--inputs": "/nowhere/*.log,SigninLogs=/nowhere/s", "--state-dir": self.state, "--start-at": "end",
            "--mode": "parity", "--lateness": "5m,AuditLogs=1h", "--idle-timeout": "5m", "--outputs": "stdout:table,syslog:udp:h:1",
            "--dead-letter-path": "/x/d", "--dead-letter-max-bytes": "4096", "--dead-letter-max-files": "1", "--late-path": "/x/l",
            "--late-max-bytes": "4096", "--late-max-files": "1", "--outbox-max-alerts": "10", "--outbox-max-bytes": "4096",
            "--outbox-when-full": "drop_oldest", "--limits-record-bytes": "4096", "--limits-depth": "9", "--limits-expansion-ratio": "9",
            "--limits-rule-rows": "9", "--limits-spilled-rows": "9", "--limits-evidence-bytes": "9", "--limits-remembered-files": "9", "--log-level": "debug", "--log-format": "json",
            "--retention-alerts": "1d", "--retention-evidence": "1d", "--checkpoint-interval": "2s", "--threads": "1", "--checkpoints": "true",
        }  # fmt: skip
        # The example that is installed sets everything that has a default to it.
        self.assertExit(vedette("run", "--check-config", "--config", os.path.join(support.ROOT, "deploy", "vedette.yaml"), "--rules", self.rules), 0)
        switches = ["--strict", "--cold-raise", "--fail-on-dead-letter"]
        flat = [x for pair in values.items() for x in pair]
        self.assertExit(vedette("run", "--check-config", *flat, *switches), 0)
        for flag in sorted(set(values) - {"--rules", "--inputs", "--state-dir", "--dead-letter-path", "--late-path"}):
            with self.subTest(flag):
                wrong = [x for k, v in values.items() for x in (k, "~" if k == flag else v)]
                done = vedette("run", "--check-config", *wrong)
                self.assertExit(done, 2)
                self.assertIn(flag, done.stderr.decode())


MESSAGE = re.compile(
    r"^<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z \S{1,255} vedette (-|\d+) \S{1,32} -(?: (.*))?$", re.S
)


class Outputs(DaemonCase):
    def setUp(self):
        super().setUp()
        self.records = [self.lock_removed(20 * i) for i in range(5)]
        self.write("logs/a.log", json_lines(self.records))

    def check(self, messages):
        """Messages are RFC 5424 lines with an alert as JSON; all alerts are among them."""
        seen = set()
        for message in messages:
            found = MESSAGE.match(message.decode())
            self.assertIsNotNone(found, message[:200])
            self.assertEqual(int(found.group(1)) // 8, 16, "facility local0")
            seen.add(json.loads(found.group(3))["id"])
        return seen

    def collect(self, server):
        """Receives datagrams until every stored alert came."""
        server.settimeout(0.2)
        messages, end = [], time.monotonic() + 15
        while time.monotonic() < end:
            try:
                messages.append(server.recv(65536))
            except TimeoutError:
                want = {a["id"] for a in stored(self.state)} if os.path.exists(self.state + "/vedette.db") else set()
                if len(want) >= 5 and want <= self.check(messages):
                    return messages
        self.fail(f"{len(messages)} messages, {len(self.check(messages))} alerts of at least 5")

    def test_syslog_unix(self):
        address = self.path("log.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(address)
            d = self.daemon("--outputs", "syslog:unix:" + address)
            self.collect(server)
            self.assertEqual(d.stop(), 0)

    def test_syslog_udp(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            d = self.daemon("--outputs", f"syslog:udp:127.0.0.1:{server.getsockname()[1]}")
            self.assertLess(max(map(len, self.collect(server))), 8193)
            self.assertEqual(d.stop(), 0)

    def test_syslog_tcp(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            server.settimeout(15)
            d = self.daemon("--outputs", f"syslog:tcp:127.0.0.1:{server.getsockname()[1]}")
            peer, _ = server.accept()
            with peer:
                peer.settimeout(0.3)
                data, end = b"", time.monotonic() + 15
                while time.monotonic() < end:
                    try:
                        data += peer.recv(65536)
                    except TimeoutError:
                        if len(stored(self.state)) >= 5:
                            break
            messages = []
            while data:
                length, _, rest = data.partition(b" ")
                self.assertLessEqual(int(length), len(rest), "octet counting")
                messages.append(rest[: int(length)])
                data = rest[int(length) :]
            self.assertEqual(self.check(messages), {a["id"] for a in stored(self.state)})
            self.assertEqual(d.stop(), 0)

    def test_alerts_wait_for_an_output_that_is_down(self):
        address = self.path("late.sock")
        d = self.daemon("--outputs", "syslog:unix:" + address, "--checkpoint-interval", "50ms")
        d.wait_for_log("output failed")
        wait_for(lambda: len(stored(self.state)) >= 5, 10, "stored alerts")
        # The waiting alerts survive the process.
        d.process.kill()
        d.process.wait(timeout=10)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(address)
            d = self.daemon("--outputs", "syslog:unix:" + address)
            self.collect(server)
            self.assertEqual(d.stop(), 0)

    def test_file_and_standard_output_together(self):
        out = self.path("alerts.jsonl")
        d = self.finish("--outputs", f"file:{out},stdout")
        with open(out, "rb") as file:
            self.assertEqual({a["id"] for a in lines(file.read())}, {a["id"] for a in stored(self.state)})
        self.assertNotIn("output failed", d.log)

    def test_reading_pauses_for_a_server_that_is_down_and_goes_on_when_it_is_back(self):
        records = traffic(81, 7000)
        os.remove(self.path("logs/a.log"))
        log = self.write("logs/b.log", json_lines(records))
        self.assertGreater(os.path.getsize(log), 5 << 20)
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            address = f"syslog:tcp:127.0.0.1:{server.getsockname()[1]}"
            options = ["--outputs", address, "--outbox-max-alerts", "5", "--checkpoint-interval", "50ms"]
            d = self.daemon(*options)
            d.wait_for_log("outbox is full; reading pauses")
            wait_for(lambda: self.status().get("paused"), 10, "a pause in the status")
            waiting = self.status()["outbox"]
            time.sleep(1)
            self.assertLess(self.positions()[log][0], os.path.getsize(log), "reading went on")
            self.assertEqual(self.status()["outbox"], waiting)
            self.assertIn("Connection refused", self.status()["outputs"][0]["failure"])
            self.assertIn("READING PAUSES", vedette("status", "--state-dir", self.state).stdout.decode())
            # A pause survives a restart, and a stop during it is a clean one.
            self.assertEqual(d.stop(), 0, tail(d.log))
            d = self.daemon(*options)
            d.wait_for_log("outbox is full; reading pauses")
            self.assertLess(self.positions()[log][0], os.path.getsize(log))

            server.listen()
            server.settimeout(40)
            seen, done = set(), threading.Event()

            def collect():
                while not done.is_set():
                    try:
                        peer, _ = server.accept()
                    except OSError:
                        return
                    with peer, peer.makefile("rb") as stream:
                        while head := stream.read(1):
                            while not head.endswith(b" "):
                                head += stream.read(1)
                            seen.update(self.check([stream.read(int(head))]))

            thread = threading.Thread(target=collect, daemon=True)
            thread.start()
            d.wait_for_log("reading goes on", 40)
            wait_for(lambda: self.positions()[log][0] == os.path.getsize(log), 40, "all is read")
            wait_for(lambda: {a["id"] for a in stored(self.state)} <= seen, 40, "all alerts delivered")
            self.assertEqual(d.stop(), 0)
            done.set()
            self.assertEqual(self.status()["outputs"][0]["dropped"], 0)
            self.assertIsNone(self.status()["paused"])
        self.finish("--outputs", "stdout")
        want = self.expected(records)
        found = final_set(stored(self.state))
        self.assertEqual(found, want, difference(want, found))

    def status(self):
        done = vedette("status", "--state-dir", self.state, "--format", "json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def test_the_oldest_can_be_dropped_instead(self):
        records = traffic(82, 4000)
        log = self.write("logs/b.log", json_lines(records))
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            address = f"syslog:tcp:127.0.0.1:{server.getsockname()[1]}"
            d = self.daemon("--outputs", address, "--outbox-max-alerts", "5", "--outbox-when-full", "drop_oldest")
            d.wait_for_log("oldest alerts are given up")
            self.wait_until_read(log, d)
            self.assertEqual(d.stop(), 0)
        output = self.status()["outputs"][0]
        self.assertLessEqual(output["waiting"], 5)
        self.assertGreaterEqual(output["dropped"] + output["waiting"], len(stored(self.state)))
        self.assertEqual(database(self.state, "SELECT count(*) FROM outbox_item"), [(output["waiting"],)])
        # The store has them all the same.
        os.remove(self.path("logs/a.log"))
        self.finish("--outputs", "stdout")
        self.assertGreater(len(stored(self.state)), 50)


if __name__ == "__main__":
    unittest.main()
