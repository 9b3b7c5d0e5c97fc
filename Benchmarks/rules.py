"""The benchmark's rules: ten base rules, cloned with other literals; threshold rules; and the records that match them.

Of the clones' predicates about 45 % are equalities and lists, 20 % `has`, 15 % substrings and prefixes, 5 % regular expressions,
10 % dynamic paths. Four bases of ten keep state: an aggregate, a threshold, a first-seen baseline, a join. Common predicates (a status,
an operation) are shared by many clones, the telling literal is each clone's own. Only the clones below `PLANTED_RULES` have matches in
the data, so that the alerts are the same for any count above.
"""

import hashlib
import itertools
import os
import uuid

PLANTED_RULES = 10
THRESHOLD = 3  # events of one identity that the threshold clones wait for
STATEFUL_PLANTED = 10
BURST_USERS = 14
OPERATIONS = [
    f"Microsoft.{p}/write"
    for p in (
        "Compute/virtualMachines",
        "Network/networkSecurityGroups/securityRules",
        "Storage/storageAccounts",
        "KeyVault/vaults/accessPolicies",
        "Authorization/roleAssignments",
        "Sql/servers/firewallRules",
        "Web/sites/config",
    )
]
EVENTS = [
    "CreateUser",
    "AttachUserPolicy",
    "PutUserPolicy",
    "CreateAccessKey",
    "UpdateAssumeRolePolicy",
    "StopLogging",
    "DeleteTrail",
    "PutBucketPolicy",
    "ModifySnapshotAttribute",
    "AuthorizeSecurityGroupIngress",
]
COUNTRIES = ["AQ", "BV", "CX", "GS", "HM", "IO", "NF", "PN", "TF", "UM"]
WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "jetty",
    "knoll",
    "larch",
    "moor",
    "north",
    "ocean",
    "pine",
]
CREDENTIAL_OPERATION = "Add service principal credentials"


def rule_id(name):
    return str(uuid.UUID(bytes=hashlib.sha256(f"vedette benchmark/{name}".encode()).digest()[:16], version=4))


def is_stateful(identifier):
    return identifier in _STATEFUL_IDS


def word(i):
    return f"{WORDS[i % 16]}{WORDS[i // 16 % 16]}{i:04d}"


class Rule:
    """One clone: its query, its entity mapping, and how a record is changed so that this rule, and no other, matches it."""

    def __init__(self, number):
        self.number, self.base = number, number % 10
        self.id = rule_id(f"clone {number}")
        self.key = word(number)
        self.kind = ("activity", "activity", "activity", "signin", "signin", "signin", "audit", "audit", "cloudtrail", "cloudtrail")[
            self.base
        ]

    # Each pair of methods below belongs together: the predicate, and the record that satisfies it. The tail (a serial number) goes to
    # the column that becomes the alert's entity, so that each planted record is an alert of its own.

    def query(self):
        n, key = self.number, self.key
        common, event = OPERATIONS[n // 10 % len(OPERATIONS)], EVENTS[n // 10 % len(EVENTS)]
        where = [
            f'AzureActivity\n  | where OperationNameValue =~ "Microsoft.{key}/accounts/rotate/action"\n'
            f'  | where ActivityStatusValue in~ ("Success", "Succeeded")',
            f'AzureActivity\n  | where OperationNameValue in~ ("{common}", "Microsoft.{key}/keys/write", "Microsoft.{key}/keys/delete")\n'
            f'  | where Caller startswith "robot-{key}-"',
            f'AzureActivity\n  | where OperationNameValue endswith "/write" and _ResourceId has "rg-{key}"',
            f'SigninLogs\n  | where ResultType == "0" and AppDisplayName == "Tool {key}"\n'
            f'  | where Location in ("{COUNTRIES[n // 10 % 10]}", "{COUNTRIES[(n // 10 + 3) % 10]}", "NL")',
            f'SigninLogs\n  | where UserAgent has "{key}" and ResultType !in ("50140", "50074")',
            f'SigninLogs\n  | where tostring(DeviceDetail.operatingSystem) == "{key} OS"\n  | where AppDisplayName startswith "Azure"',
            f'AuditLogs\n  | where OperationName in~ ("{CREDENTIAL_OPERATION}", "Update application")\n'
            f'  | where tostring(InitiatedBy.user.displayName) == "{key}"',
            f'AuditLogs\n  | where OperationName has "credentials" and Identity contains "-{key}-"',
            f'AWSCloudTrail\n  | where EventName in ("{event}", "Delete{key}")\n  | where isempty(ErrorCode) and UserAgent has "{key}"',
            f'AWSCloudTrail\n  | where EventSource == "iam.amazonaws.com"\n  | where UserAgent matches regex @"(?i)\\b{key}/[0-9]+\\.[0-9]+"',
        ][self.base]
        target = self.target()
        if self.base == 2:
            return f"{where}\n  | summarize Events = count(), First = min(TimeGenerated), Callers = dcount(Caller) by Target = {target}"
        if self.base == 4:
            return f"{where}\n  | summarize Events = count() by Target = {target}\n  | where Events >= {THRESHOLD}"
        if self.base == 6:
            return (
                f"let own = {where};\n  own\n  | where TimeGenerated > ago(5m)\n"
                f"  | join kind=leftanti (own | where TimeGenerated between (ago(2h) .. ago(5m))) on {target}\n"
                f"  | project TimeGenerated, Target = {target}"
            )
        if self.base == 8:
            return (
                f'{where}\n  | join kind=inner (AWSCloudTrail | where EventName == "Tag{key}" and EventSource == "iam.amazonaws.com") on {target}\n'
                f"  | project TimeGenerated, Target = {target}"
            )
        return f"{where}\n  | project TimeGenerated, Target = {target}"

    @property
    def is_stateful(self):
        return self.base in (2, 4, 6, 8)

    @property
    def records(self):
        """Records that one alert takes."""
        return {4: THRESHOLD, 8: 2}.get(self.base, 1)

    def plants(self, fresh, tail):
        """The records of one alert, from a function that gives quiet records in ascending order of time."""
        made = [self.plant(fresh(), tail) for _ in range(self.records)]
        if self.base == 8:
            made[1] |= {"eventName": f"Tag{self.key}", "eventSource": "iam.amazonaws.com"}
        return made

    def target(self):
        return {"activity": "CorrelationId", "signin": "CorrelationId", "audit": "CorrelationId", "cloudtrail": "AwsEventId"}[self.kind]

    def plant(self, record, tail):
        """Changes a record of this rule's kind so that its condition holds. The identifier that becomes the entity is made from the tail."""
        key, n = self.key, self.number
        unique = rule_id(f"planted {tail}")
        if self.kind == "cloudtrail":
            record["eventID"] = unique
        else:
            record["correlationId"] = unique
        if self.base == 0:
            record |= {"operationName": f"Microsoft.{key}/accounts/rotate/action".upper(), "resultType": "Success"}
        elif self.base == 1:
            record["operationName"] = f"Microsoft.{key}/keys/write".upper()
            name = f"robot-{key}-{tail}@contoso.example"
            record["identity"]["claims"] |= {
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": name,
                "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name": name,
            }
        elif self.base == 2:
            parts = record["resourceId"].split("/")
            record["resourceId"] = "/".join(parts[:3]) + f"/RESOURCEGROUPS/RG-{key.upper()}/PROVIDERS/MICROSOFT.WEB/SITES/APP-1"
            record["operationName"] = "MICROSOFT.WEB/SITES/WRITE"
        elif self.base == 3:
            record |= {"resultType": "0", "location": COUNTRIES[n // 10 % 10], "category": "SignInLogs"}
            record["properties"] |= {"appDisplayName": f"Tool {key}", "isInteractive": True}
        elif self.base == 4:
            record |= {"resultType": "0", "category": "SignInLogs"}
            record["properties"]["userAgent"] = f"python-{key}/2.1 (Linux)"
        elif self.base == 5:
            record["category"] = "SignInLogs"
            record["properties"]["deviceDetail"] = {"deviceId": "", "operatingSystem": f"{key} OS", "browser": "Firefox 135.0"}
            record["properties"]["appDisplayName"] = "Azure Portal"
        elif self.base == 6:
            record["operationName"] = CREDENTIAL_OPERATION
            record["properties"]["initiatedBy"] = {
                "user": {"id": unique, "displayName": key, "userPrincipalName": "x@contoso.example", "ipAddress": ""}
            }
        elif self.base == 7:
            record["operationName"] = "Remove service principal credentials"
            record["identity"] = f"svc-{key}-{tail}"
        elif self.base == 8:
            record |= {"eventName": EVENTS[n // 10 % len(EVENTS)], "userAgent": f"aws-cli/2.24 ({key})"}
            record.pop("errorCode", None)
        else:
            record |= {"eventSource": "iam.amazonaws.com", "userAgent": f"Tool-{key}/3.14 boto"}
        return record

    def text(self):
        period = {2: "10m", 4: "10m", 6: "2h", 8: "10m"}.get(self.base, "5m")
        return document(self.id, f"Benchmark clone {self.number}", self.query(), "Target", period, "5m")


class Threshold:
    """A threshold rule: many users fail from one address at one application."""

    def __init__(self, number):
        self.number, self.id, self.app = number, rule_id(f"threshold {number}"), f"Portal {word(number)}"

    def plant(self, record, address, user):
        """A failed sign-in of one of the burst's users."""
        record |= {"resultType": "50126", "category": "SignInLogs", "callerIpAddress": address}
        record["properties"] |= {"appDisplayName": self.app, "ipAddress": address, "userPrincipalName": f"target{user:02d}@contoso.example"}
        return record

    def text(self):
        query = (
            f'SigninLogs\n  | where AppDisplayName == "{self.app}" and ResultType in ("50126", "50053")\n'
            f"  | summarize Users = dcount(UserPrincipalName), Start = min(TimeGenerated), End = max(TimeGenerated) by IPAddress\n"
            f"  | where Users >= {BURST_USERS - 4 - self.number % 3}"
        )
        return document(self.id, f"Benchmark threshold {self.number}", query, "IPAddress", "10m", "5m", entity=("IP", "Address"))


_STATEFUL_IDS = {Threshold(i).id for i in range(10_000)}


def burst(dice, name):
    """The threshold rule that a burst is for, and the address that it comes from (one for each burst)."""
    number = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    return Threshold(dice.randrange(STATEFUL_PLANTED)), f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::1"


def planted_rules(kind):
    return [r for r in map(Rule, range(PLANTED_RULES)) if r.kind == kind]


def single(count):
    """The clones that have matches and alert for one record."""
    return [r for r in map(Rule, range(min(count, PLANTED_RULES))) if r.records == 1 and not r.is_stateful]


def document(identifier, name, query, column, period, frequency, entity=("CloudApplication", "Name")):
    body = "\n".join("  " + line.lstrip() if i == 0 else line for i, line in enumerate(query.split("\n")))
    return f"""id: {identifier}
name: {name}
description: A rule of the benchmark.
severity: Medium
requiredDataConnectors: []
queryFrequency: {frequency}
queryPeriod: {period}
triggerOperator: gt
triggerThreshold: 0
tactics:
  - InitialAccess
relevantTechniques:
  - T1078.004
query: |
{body}
entityMappings:
  - entityType: {entity[0]}
    fieldMappings:
      - identifier: {entity[1]}
        columnName: {column}
eventGroupingSettings:
  aggregationKind: AlertPerResult
version: 1.0.0
kind: Scheduled
"""


class Busy:
    """Rules that many rows match, one user's: what a row that survives costs. No alert, because nobody waits for that many rows."""

    TABLES = {"AzureActivity": "Caller", "SigninLogs": "UserPrincipalName", "AADNonInteractiveUserSignInLogs": "UserPrincipalName"}
    SUFFIXES = [
        "| project TimeGenerated, {0}",
        "| summarize Events = count(), Addresses = dcount({0}) by bin(TimeGenerated, 5m)",
    ]

    @staticmethod
    def write(folder, users):
        """Writes a rule for each user, table and suffix; returns their number."""
        number = 0
        for user in range(users):
            for table, column in Busy.TABLES.items():
                for suffix in Busy.SUFFIXES:
                    query = f'{table}\n  | where {column} startswith "user{user:04d}."\n  {suffix.format(column)}'
                    text = document(rule_id(f"busy {number}"), f"Benchmark busy {number}", query, "TimeGenerated", "10m", "5m")
                    text = text.replace("triggerThreshold: 0", "triggerThreshold: 10000").replace("AlertPerResult", "SingleAlert")
                    _put(folder, f"bench-busy-{number:05d}.yaml", text)
                    number += 1
        return number


def write_wide(folder, columns):
    """Four rules that together read the columns given by table, and match nothing."""
    os.makedirs(folder, exist_ok=True)
    for number, (table, names) in enumerate(sorted(columns.items())):
        kinds = {"string": "isnotempty({0})", "dynamic": "isnotnull({0}.a)"}
        conditions = " or ".join(kinds.get(kind, "isnotnull({0})").format(name) for name, kind in names)
        telling = "EventName" if table == "AWSCloudTrail" else "OperationName"
        query = f'{table}\n  | where {telling} == "none"\n  | where {conditions}\n  | project TimeGenerated'
        text = document(rule_id(f"wide {number}"), f"Benchmark wide {number}", query, "TimeGenerated", "5m", "5m")
        _put(folder, f"bench-wide-{number}.yaml", text)


def _put(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        out.write(text)


def write_rules(folder, count, stateful=0, stateless_clones=False):
    """Writes `count` clones and `stateful` threshold rules; returns the ids of all. `stateless_clones` takes the first that keep no state."""
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        if old.startswith("bench-") and old.endswith(".yaml"):
            os.remove(os.path.join(folder, old))
    clones = (rule for rule in map(Rule, itertools.count()) if not (stateless_clones and rule.is_stateful))
    made = [(f"bench-{rule.number:05d}.yaml", rule) for rule in itertools.islice(clones, count)] + [
        (f"bench-stateful-{i:05d}.yaml", Threshold(i)) for i in range(stateful)
    ]
    for name, rule in made:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            out.write(rule.text())
    return [rule.id for _, rule in made]
