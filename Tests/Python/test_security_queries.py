"""Queries of the shapes that detection content has, over a small day whose answers can be worked out by hand."""

import gzip
import json
import unittest

from support import Case, json_lines, lines, vedette

DOMAIN = "@contoso.example"
SPRAY = "203.0.113.9"


def sign_in(time, user, address, result, app, country):
    return {
        "Type": "SigninLogs", "TimeGenerated": time, "UserPrincipalName": user + DOMAIN, "IPAddress": address, "ResultType": result,
        "AppDisplayName": app, "Location": country, "DeviceDetail": {"operatingSystem": "Windows" if country == "NL" else "Linux", "browser": "Edge"},
    }


SIGN_INS = [
    sign_in("2026-02-27T09:00:00Z", "ann", "198.51.100.1", "0", "Portal", "NL"),
    sign_in("2026-02-27T09:30:00Z", "bob", "198.51.100.2", "0", "Mail", "NL"),
    sign_in("2026-03-02T09:00:00Z", "ann", "198.51.100.1", "0", "Portal", "NL"),
    sign_in("2026-03-02T09:10:00Z", "bob", "198.51.100.2", "0", "Portal", "NL"),
    sign_in("2026-03-02T10:00:00Z", "ann", SPRAY, "50126", "Mail", "NL"),
    sign_in("2026-03-02T10:01:00Z", "bob", SPRAY, "50126", "Mail", "NL"),
    sign_in("2026-03-02T10:02:00Z", "cas", SPRAY, "50126", "Mail", "NL"),
    sign_in("2026-03-02T10:03:00Z", "cas", SPRAY, "0", "Mail", "BR"),
    sign_in("2026-03-02T11:00:00Z", "ann", "198.51.100.1", "0", "Mail", "NL"),
]

AUDITS = [
    {
        "Type": "AuditLogs", "TimeGenerated": "2026-03-02T10:10:00Z", "OperationName": "Add member to role", "Result": "success",
        "InitiatedBy": {"user": {"userPrincipalName": "cas" + DOMAIN, "ipAddress": SPRAY}},
        "TargetResources": [
            {"type": "User", "userPrincipalName": "eve" + DOMAIN, "modifiedProperties": [
                {"displayName": "Role.DisplayName", "oldValue": None, "newValue": '"Global Administrator"'},
                {"displayName": "Role.TemplateId", "oldValue": None, "newValue": '"62e9"'}]},
            {"type": "Role", "id": "r1", "modifiedProperties": []},
        ],
        "AdditionalDetails": [{"key": "User-Agent", "value": "curl/8"}, {"key": "ticket", "value": "none"}],
    },
    {
        "Type": "AuditLogs", "TimeGenerated": "2026-03-02T08:00:00Z", "OperationName": "Update application", "Result": "success",
        "InitiatedBy": {"app": {"displayName": "pipeline"}}, "TargetResources": [{"type": "Application", "modifiedProperties": []}],
        "AdditionalDetails": [],
    },
]


def users(*names):
    return [{"UserPrincipalName": n + DOMAIN} for n in names]


# Query, then its rows.
QUERIES = {
    # An application that a user has not used in the two weeks before.
    """let recent = 1d; let lookback = 14d;
    let baseline = SigninLogs | where TimeGenerated between (ago(lookback) .. ago(recent)) | where ResultType == 0
        | distinct UserPrincipalName, AppDisplayName;
    SigninLogs | where TimeGenerated > ago(recent) and ResultType == "0"
    | join kind=leftanti baseline on UserPrincipalName, AppDisplayName
    | project u = tostring(split(UserPrincipalName, "@")[0]), AppDisplayName | sort by u asc""":
        [{"u": "ann", "AppDisplayName": "Mail"}, {"u": "bob", "AppDisplayName": "Portal"}, {"u": "cas", "AppDisplayName": "Mail"}],
    # A spray, and who fell for it.
    """SigninLogs | where ResultType in ("50126", "50053")
    | summarize Users = dcount(UserPrincipalName), First = min(TimeGenerated), make_set(AppDisplayName, 5) by IPAddress, bin(TimeGenerated, 1h)
    | where Users >= 3 | project IPAddress, Users, First, set_AppDisplayName""":
        [{"IPAddress": SPRAY, "Users": 3, "First": "2026-03-02T10:00:00.0000000Z", "set_AppDisplayName": ["Mail"]}],
    """let fails = SigninLogs | where ResultType != "0" | project Failed = TimeGenerated, UserPrincipalName, IPAddress;
    SigninLogs | where ResultType == "0" | project Worked = TimeGenerated, UserPrincipalName, IPAddress
    | join kind=inner fails on UserPrincipalName, $left.IPAddress == $right.IPAddress
    | where Worked between (Failed .. 10m) | extend minutes = datetime_diff("minute", Worked, Failed) | project UserPrincipalName, minutes""":
        [{"UserPrincipalName": "cas" + DOMAIN, "minutes": 1}],
    # The last sign-in of everybody.
    """SigninLogs | summarize arg_max(TimeGenerated, *) by UserPrincipalName | sort by UserPrincipalName asc
    | project AppDisplayName, h = format_datetime(TimeGenerated, "HH:mm"), os = tostring(DeviceDetail.operatingSystem)""":
        [{"AppDisplayName": "Mail", "h": "11:00", "os": "Windows"}, {"AppDisplayName": "Mail", "h": "10:01", "os": "Windows"},
         {"AppDisplayName": "Mail", "h": "10:03", "os": "Linux"}],
    """SigninLogs | make-series Fails = countif(ResultType != "0") default=0
        on TimeGenerated from datetime(2026-03-02 09:00) to datetime(2026-03-02 12:00) step 1h
    | project Fails, peak = array_index_of(Fails, 3)""":
        [{"Fails": [0, 3, 0], "peak": 1}],
    """SigninLogs | where TimeGenerated > ago(1d) | make-series n = count() default=0 on TimeGenerated from ago(1d) to now() step 1h by UserPrincipalName
    | extend (flags, score, base) = series_decompose_anomalies(n, 1.5, -1, "linefit")
    | mv-expand TimeGenerated to typeof(datetime), n to typeof(long), flags to typeof(long) | where flags > 0 and UserPrincipalName startswith "cas"
    | project TimeGenerated, n""":
        [{"TimeGenerated": "2026-03-02T10:00:00.0000000Z", "n": 2}],
    # A change of country between two sign-ins.
    """SigninLogs | sort by UserPrincipalName asc, TimeGenerated asc
    | extend before = prev(Location), user = prev(UserPrincipalName), gap = TimeGenerated - prev(TimeGenerated)
    | where user == UserPrincipalName and before != Location and gap < 1h | project UserPrincipalName, before, Location, gap""":
        [{"UserPrincipalName": "cas" + DOMAIN, "before": "NL", "Location": "BR", "gap": "00:01:00"}],
    # Roles, out of nested properties.
    """AuditLogs | where OperationName has_any ("member to role", "eligible member") | mv-expand TargetResources
    | mv-apply p = TargetResources.modifiedProperties on (where tostring(p.displayName) =~ "role.displayname"
        | extend Role = trim('"', tostring(p.newValue)))
    | extend Actor = tostring(parse_json(tostring(InitiatedBy.user)).userPrincipalName)
    | project Role, Actor, Target = tostring(TargetResources.userPrincipalName)""":
        [{"Role": "Global Administrator", "Actor": "cas" + DOMAIN, "Target": "eve" + DOMAIN}],
    """AuditLogs | extend Actor = iff(isnotempty(InitiatedBy.app), tostring(InitiatedBy.app.displayName), tostring(InitiatedBy.user.userPrincipalName))
    | mv-apply AdditionalDetails on (summarize d = make_bag(bag_pack(tostring(AdditionalDetails.key), AdditionalDetails.value)))
    | project Actor, ua = tostring(d["User-Agent"]) | sort by Actor asc""":
        [{"Actor": "cas" + DOMAIN, "ua": "curl/8"}],
    # Several tables, some of which are not there.
    """union isfuzzy=true withsource=T SigninLogs, AuditLogs, NoSuchTable_CL | summarize n = count() by T | sort by T asc""":
        [{"T": "AuditLogs", "n": 2}, {"T": "SigninLogs", "n": 9}],
    """search in (SigninLogs, AuditLogs) "eve" | summarize n = count() by $table""": [{"$table": "AuditLogs", "n": 1}],
    # Functions over tables, lists, ranges.
    """let noisy = (T: (IPAddress: string, ResultType: string), least: long = 2) {
        T | where ResultType !in ("0", "50125") | summarize n = count() by IPAddress | where n >= least };
    union (noisy(SigninLogs)), (noisy(SigninLogs, 4))""":
        [{"IPAddress": SPRAY, "n": 3}],
    """let bad = dynamic(["203.0.113.0/24", "192.0.2.7"]); SigninLogs | where ipv4_is_in_any_range(IPAddress, bad) | summarize n = count(), dcount(UserPrincipalName)""":
        [{"n": 4, "dcount_UserPrincipalName": 3}],
    """datatable(ip: string, why: string)["203.0.113.9", "scan", "192.0.2.1", "c2"]
    | join kind=inner (SigninLogs | where ResultType == 0) on $left.ip == $right.IPAddress | project why, UserPrincipalName""":
        [{"why": "scan", "UserPrincipalName": "cas" + DOMAIN}],
    """let all = toscalar(SigninLogs | count); SigninLogs | summarize n = count(), ok = countif(ResultType == 0), bad = make_set_if(UserPrincipalName, ResultType != "0") by AppDisplayName
    | extend share = round(100.0 * n / all, 1), who = array_length(bad) | project-away bad | sort by n desc""":
        [{"AppDisplayName": "Mail", "n": 6, "ok": 3, "share": 66.7, "who": 3}, {"AppDisplayName": "Portal", "n": 3, "ok": 3, "share": 33.3, "who": 0}],
    # Tables turned around.
    """SigninLogs | extend r = iff(ResultType == "0", "ok", "bad") | evaluate pivot(r, count(), AppDisplayName) | sort by AppDisplayName asc""":
        [{"AppDisplayName": "Mail", "bad": 3, "ok": 3}, {"AppDisplayName": "Portal", "bad": 0, "ok": 3}],
    """SigninLogs | where Location == "BR" | project DeviceDetail, UserPrincipalName | evaluate bag_unpack(DeviceDetail, "d_")""":
        [{"UserPrincipalName": "cas" + DOMAIN, "d_browser": "Edge", "d_operatingSystem": "Linux"}],
    """SigninLogs | top-nested 1 of IPAddress by n = count(), top-nested 1 of UserPrincipalName by m = count()""":
        [{"IPAddress": SPRAY, "n": 4, "UserPrincipalName": "cas" + DOMAIN, "m": 2}],
    """SigninLogs | partition hint.strategy=native by UserPrincipalName (top 1 by TimeGenerated desc) | sort by UserPrincipalName asc | project UserPrincipalName""":
        users("ann", "bob", "cas"),
    # Sessions and sequences.
    """SigninLogs | where TimeGenerated > ago(1d) | sort by TimeGenerated asc
    | scan with_match_id=m declare (ip: string) with (step fail: ResultType != "0" => ip = IPAddress; step in1: ResultType == "0" and IPAddress == fail.ip;)
    | where ResultType == "0" | summarize n = count() by UserPrincipalName""":
        [{"UserPrincipalName": "cas" + DOMAIN, "n": 1}],
    """SigninLogs | make-graph UserPrincipalName --> IPAddress with_node_id=id
    | graph-match (a)-[x]->(ip)<-[y]-(b) where strcmp(a.id, b.id) < 0 and x.ResultType == "50126" and y.ResultType == "50126"
        project a = a.id, b = b.id, ip = ip.id | count""":
        [{"Count": 3}],
    # The project's own parsers.
    """_Im_Authentication(starttime=ago(1d), endtime=now(), eventresult="Failure") | summarize n = count() by SrcIpAddr""": [{"SrcIpAddr": SPRAY, "n": 3}],
}


class SecurityQueries(Case):
    def setUp(self):
        super().setUp()
        self.data = self.write("day.json.gz", gzip.compress(json_lines(SIGN_INS + AUDITS)))

    def test_rows(self):
        for query, want in QUERIES.items():
            with self.subTest(query):
                done = vedette("hunt", query, "--data", self.data, "--at", "2026-03-02T12:00:00Z", "--format", "jsonl")
                self.assertExit(done, 0)
                self.assertEqual(lines(done.stdout), want)

    def test_lints_are_told_on_demand(self):
        query = "SigninLogs | where AppDisplayName contains 'portal' | count"
        quiet = vedette("hunt", query, "--data", self.data, "--format", "csv")
        self.assertEqual(quiet.stderr, b"")
        told = vedette("hunt", query, "--data", self.data, "--format", "csv", "--lint")
        self.assertExit(told, 0)
        self.assertIn(b"VK0500", told.stderr)
        self.assertIn(b"VK0502", told.stderr)
        self.assertEqual(told.stdout, quiet.stdout)

    def test_limits_name_their_option(self):
        for option, value, query in [
            ("--max-rows", "3", "SigninLogs"), ("--max-held-rows", "3", "SigninLogs | sort by TimeGenerated asc"),
            ("--timeout", "200ms", "range x from 1 to 10000000 step 1 | mv-expand y = range(1, 1000) | where x < 0"),
            ("--max-memory", "1M", "SigninLogs | summarize count() by UserPrincipalName"),
            ("--max-regex-memory", "64k", "print 'a' matches regex '(?:[[:alpha:]][^\\\\p{L}]){900}'"),
        ]:
            with self.subTest(option):
                done = vedette("hunt", query, "--data", self.data, option, value, "--format", "csv")
                self.assertExit(done, 1)
                self.assertIn(option.encode(), done.stderr)

    def test_every_error_is_told(self):
        done = vedette("hunt", "SigninLogs | where foo == 1 | summarize cnt(), sum(bar) by UserPrincipalNam", "--data", self.data, "--format", "json")
        self.assertExit(done, 1)
        self.assertEqual(done.stdout, b"")
        for part in (b"`foo`", b"`cnt`", b"`bar`", b"did you mean `UserPrincipalName`?"):
            self.assertIn(part, done.stderr)


class Functions(Case):
    def test_kinds_and_formats(self):
        done = vedette("functions", "--kind", "aggregate", "--format", "json")
        self.assertExit(done, 0)

        entries = json.loads(done.stdout)
        self.assertGreater(len(entries), 50)
        self.assertEqual({e["kind"] for e in entries}, {"aggregate"})
        self.assertIn(b"Also written: filter", vedette("functions", "where").stdout)
        self.assertIn(b"Makes a graph", vedette("functions", "make-graph").stdout)
        refused = vedette("functions", "python")
        self.assertExit(refused, 1)
        self.assertIn(b"is not supported", refused.stderr)
        near = vedette("functions", "sumarize")
        self.assertExit(near, 1)
        self.assertIn(b"did you mean `summarize`?", near.stderr)
        self.assertIn(b"| `summarize` | yes |", vedette("functions", "--format", "markdown").stdout)


if __name__ == "__main__":
    unittest.main()
