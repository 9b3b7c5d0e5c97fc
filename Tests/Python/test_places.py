"""`geo_info_from_ip_address` over a MaxMind database made here, through the real program."""

import json
import os
import shutil
import signal
import subprocess
import unittest

from support import Case, Daemon, append, json_lines, vedette, wait_for
from test_content import rule, signin

WRITER = r"""
use strict; use warnings; use MaxMind::DB::Writer::Tree; use JSON::PP;
my ($path, $type, $version, $rows) = @ARGV;
my %types = (country => 'map', city => 'map', names => 'map', location => 'map', subdivisions => ['array', 'map'], traits => 'map',
  en => 'utf8_string', de => 'utf8_string', latitude => 'double', longitude => 'double', registered_country => 'map',
  autonomous_system_number => 'uint32');
my $tree = MaxMind::DB::Writer::Tree->new(ip_version => $version, record_size => 24, database_type => $type, languages => ['en'],
  description => { en => 'test' }, map_key_type_callback => sub { $types{$_[0]} }, remove_reserved_networks => 0);
for my $row (@{ decode_json($rows) }) { $tree->insert_network($row->[0], $row->[1]) }
open my $file, '>:raw', $path or die $!;
$tree->write_tree($file);
"""

FULL = {
    "country": {"names": {"en": "Netherlands", "de": "Niederlande"}}, "subdivisions": [{"names": {"en": "Utrecht"}}],
    "city": {"names": {"en": "Zeist"}}, "location": {"latitude": 52.09, "longitude": 5.2333},
}  # fmt: skip
PLACES = [
    ["192.0.2.0/25", FULL],
    ["198.51.100.0/24", {"country": {"names": {"en": "Côte d'Ivoire"}}, "location": {"latitude": 7.5, "longitude": -5.5}}],
    ["203.0.113.0/24", {"registered_country": {"names": {"en": "Norway"}}}],
    ["2001:db8:1::/48", {"country": {"names": {"en": "Iceland"}}}],
]


def database(test, name="places.mmdb", rows=PLACES, kind="Test-City", version=6):
    path = test.path(name)
    subprocess.run(["perl", "-e", WRITER, path, kind, str(version), json.dumps(rows)], check=True, capture_output=True, timeout=60)
    return path


class Hunt(Case):
    def read(self, path):
        with open(path, "rb") as file:
            return file.read()

    def places(self, path, *addresses):
        rows = ", ".join(f"'{a}'" for a in addresses)
        done = vedette(
            "hunt", f"datatable(a: string)[{rows}] | project g = geo_info_from_ip_address(a)", "--geo-database", path, "--format", "jsonl"
        )
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return [json.loads(line)["g"] for line in done.stdout.decode().splitlines()]

    def test_fields_that_are_known(self):
        found = self.places(
            database(self), "192.0.2.5", "198.51.100.1", "203.0.113.9", "192.0.2.200", "2001:db8:1::7", "2001:db8:2::7", "::ffff:192.0.2.5",
            "no address", "", "192.0.2.0/24",
        )  # fmt: skip
        whole = {"country": "Netherlands", "state": "Utrecht", "city": "Zeist", "latitude": 52.09, "longitude": 5.2333}
        self.assertEqual(list(found[0]), list(whole), "the order of the fields is Kusto's")
        self.assertEqual(
            found,
            [whole, {"country": "Côte d'Ivoire", "latitude": 7.5, "longitude": -5.5}, None, None, {"country": "Iceland"}, None, whole, None,
             None, None],
        )  # fmt: skip

    def test_a_database_of_ipv4_alone(self):
        self.assertEqual(
            self.places(database(self, rows=PLACES[1:2], version=4), "198.51.100.1", "2001:db8:1::7")[1], None, "IPv6 is not in it"
        )

    def test_without_a_database(self):
        done = vedette("hunt", "print geo_info_from_ip_address('192.0.2.5')")
        self.assertEqual(done.returncode, 1, done.stderr.decode())
        self.assertIn("VK0213", done.stderr.decode())
        self.assertIn("--geo-database", done.stderr.decode())

    def test_files_that_are_no_database(self):
        whole = self.read(database(self))
        cases = {
            "missing": None, "empty": b"", "text": b"not a database\n" * 100, "cut at the end": whole[:-60], "half": whole[: len(whole) // 2],
            "folder": "folder",
        }  # fmt: skip
        for name, data in cases.items():
            with self.subTest(name):
                path = self.path(f"{name}.mmdb")
                if data == "folder":
                    os.makedirs(path)
                elif data is not None:
                    with open(path, "wb") as file:
                        file.write(data)
                done = vedette("hunt", "print geo_info_from_ip_address('192.0.2.5')", "--geo-database", path)
                self.assertEqual(done.returncode, 1, done.stderr.decode())
                self.assertIn("cannot be used", done.stderr.decode())

    def test_a_database_without_places(self):
        path = database(self, rows=[["192.0.2.0/24", {"autonomous_system_number": 64500}]], kind="GeoLite2-ASN")
        done = vedette("hunt", "print geo_info_from_ip_address('192.0.2.5')", "--geo-database", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("holds no places", done.stderr.decode())

    def test_damage_in_the_middle_never_crashes(self):
        whole = self.read(database(self))
        addresses = [f"192.0.2.{i}" for i in (1, 100)] + ["198.51.100.1", "203.0.113.1", "2001:db8:1::1"]
        query = f"datatable(a: string)[{', '.join(repr(a) for a in addresses)}] | project g = geo_info_from_ip_address(a)"
        for i in range(24):
            damaged = bytearray(whole)
            for at in range(i * 7, len(damaged) - 200, 97):
                damaged[at] ^= 0xFF
            path = self.path("damaged.mmdb")
            with open(path, "wb") as file:
                file.write(damaged)
            done = vedette("hunt", query, "--geo-database", path, "--format", "jsonl")
            self.assertGreaterEqual(done.returncode, 0, done.stderr.decode())
            if done.returncode != 0:
                self.assertRegex(done.stderr.decode(), "corrupt|cannot be used")


class Rules(Case):
    QUERY = (
        "SigninLogs | extend g = geo_info_from_ip_address(IPAddress) | where g.country == 'Netherlands' "
        "| project TimeGenerated, UserPrincipalName, City = tostring(g.city)"
    )

    def setUp(self):
        super().setUp()
        self.rules = self.write("places.yaml", rule(self.QUERY))
        self.data = self.write(
            "s.json", json_lines([signin(0, "a@contoso.example", address="192.0.2.5"), signin(1, "b@contoso.example")])
        )

    def test_replay(self):
        found = self.replay("--rules", self.rules, self.data, "--geo-database", database(self))
        self.assertEqual(len(found), 1)
        self.assertIn("a@contoso.example", json.dumps(found[0]))

    def test_a_rule_is_refused_without_a_database(self):
        done = vedette("rules", "check", self.rules)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"VK0213", done.stdout + done.stderr)
        self.assertEqual(vedette("rules", "check", self.rules, "--geo-database", database(self)).returncode, 0)

    def test_the_daemon_takes_another_database_on_reload(self):
        path = database(self, rows=[["192.0.2.0/24", {"country": {"names": {"en": "Iceland"}}}]])
        alerts = self.path("alerts.jsonl")
        daemon = Daemon(
            self, "--rules", self.rules, "--inputs", self.data, "--start-at", "beginning", "--state-dir", self.path("state", ".")[:-2],
            "--outputs", f"file:{alerts}", "--geo-database", path, "--content-check", "1h", "--lateness", "1s",
        )  # fmt: skip
        daemon.wait_for_log("following")

        def raised(user):
            with open(alerts, "rb") as file:
                return user in file.read()

        def reload(words):
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for_log(words)

        # Over the file itself, as `cp` does: the daemon reads its own copy.
        shutil.copyfile(database(self, "other.mmdb"), path)
        reload("rules reloaded")
        append(self.data, json_lines([signin(12, "c@contoso.example", address="192.0.2.6"), signin(22, "x@contoso.example")]))
        wait_for(lambda: raised(b"c@contoso"), 10, "an alert by the new database")
        self.assertFalse(raised(b"a@contoso"), "the row came when its address was in Iceland")
        # A file that is no database: the old rules and their database stay in force.
        with open(path, "wb") as file:
            file.write(b"broken")
        reload("old rules stay in force")
        self.assertIn("cannot be used", daemon.log)
        append(self.data, json_lines([signin(32, "d@contoso.example", address="192.0.2.7"), signin(42, "x@contoso.example")]))
        wait_for(lambda: raised(b"d@contoso"), 10, "an alert by the old database")
        self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
