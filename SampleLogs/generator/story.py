"""The attack: one stranger, one night. Each step is written down with its technique where it is played, never from a rule's name."""

import json

from .aws import User, call
from .azure import key_vault, operation, role_assignment
from .core import TICKS, at, guid, seconds
from .entra import LINUX, app_signin, audit, credential, json_list, modified, signin, target
from .m365 import inbox_rule, security_alert
from .tenant import (
    ATTACKER_IP,
    ATTACKER_IP6,
    AWS_ACCOUNT,
    AWS_OUTSIDE,
    LEGACY,
    LEGACY_DISKS,
    LEGACY_STORAGE,
    LEGACY_VMS,
    PEOPLE,
    PROD,
    REPORTING,
    TENANT,
    VAULTS,
    VICTIM,
    Person,
    group,
    resource,
)

EMERGENCY = Person("Emergency", "Access", 50, admin=True)
THIEF = User("deploy-legacy", ATTACKER_IP, "aws-cli/2.15.30 Python/3.11.8 Linux/6.6.9-kali exe/x86_64.kali.2024")
NADIA = {"type": "Account", "Name": "nadia.verhoeven", "UPNSuffix": "contoso.example", "AadUserId": VICTIM.id}
STRANGER = {"type": "IP", "Address": ATTACKER_IP}
CLOUD_FIREWALL = ["T1562.007", "T1686.001"]  # ATT&CK 18 id, and its successor in 19
CLOUD_LOGS = ["T1562.008", "T1685.002"]
TOOLS = ["T1562.001", "T1685"]


def azure_resource(identifier):
    return {"type": "AzureResource", "ResourceId": identifier}


def aws_user(name):
    return {"type": "Account", "Name": name, "CloudAppAccountId": AWS_ACCOUNT}


def story(log):
    for part in (entry, ladder, back_door, blinding, machines, theft, mail, amazon, destruction):
        part(log)


def act(log, time, name, resource_id, dice, tag, **more):
    """An operation of the stolen account, from the stranger's address."""
    return operation(log, time, VICTIM, name, resource_id, dice=dice, ip=ATTACKER_IP, tag=tag, role="Owner", scope="/", **more)


def entry(log):
    dice = log.dice("story/entry")
    tag = log.step(
        "password-spray",
        "One address tries one or two passwords on 37 accounts, is locked out of two, and gets into Nadia Verhoeven's.",
        ["T1110.003", "T1078.004"],
        [STRANGER, NADIA],
    )
    start = at(2, 12)
    for i, who in enumerate(PEOPLE + [VICTIM]):
        for attempt in range(2 if i % 3 == 0 else 1):
            time = start + seconds(i * 41 + attempt * 700 + dice.between(0, 20))
            code = 50053 if who in PEOPLE[4:6] and attempt == 0 else 50126
            signin(
                log,
                time,
                who,
                "OfficeHome",
                dice=dice,
                resource="Office 365 Exchange Online",
                code=code,
                ip=ATTACKER_IP,
                place="stranger",
                agent=LINUX,
                managed=False,
                tag=tag,
            )
    time = at(2, 47, 11)
    for gap, app in ((0, "Azure Portal"), (95, "OfficeHome")):
        signin(
            log,
            time + seconds(gap),
            VICTIM,
            app,
            dice=dice,
            resource="Windows Azure Service Management API" if gap == 0 else "Office 365 Exchange Online",
            ip=ATTACKER_IP,
            place="stranger",
            agent=LINUX,
            managed=False,
            risk="high",
            risk_state="atRisk",
            risk_types=["passwordSpray"],
            tag=tag,
            session=guid("session/stranger"),
        )
    security_alert(
        log,
        at(2, 55, 2),
        "Password Spray",
        "High",
        dice=dice,
        provider="IPC",
        product="Azure Active Directory Identity Protection",
        tag=tag,
        description="A password spray attack was performed against several users and succeeded for this one.",
        tactics="CredentialAccess",
        entities=[
            {"Type": "account", "Name": "nadia.verhoeven", "UPNSuffix": "contoso.example", "AadUserId": VICTIM.id},
            {"Type": "ip", "Address": ATTACKER_IP},
        ],
    )

    tag = log.step(
        "mfa-method-added",
        "Nadia's account puts an authentication method of its own on the emergency account.",
        ["T1556.006", "T1098.005"],
        [NADIA, STRANGER, {"type": "Account", "Name": "emergency.access", "UPNSuffix": "contoso.example"}],
    )
    audit(
        log,
        at(2, 53, 40),
        "Admin registered security info",
        "UserManagement",
        "Authentication Methods",
        dice=dice,
        user=VICTIM,
        ip=ATTACKER_IP,
        kind="Add",
        targets=[target("User", EMERGENCY.id, None, (), EMERGENCY.upn)],
        reason="Admin registered temporary access pass method for user",
        tag=tag,
        details=[("AuthenticationMethod", "Temporary Access Pass")],
    )


def ladder(log):
    dice = log.dice("story/ladder")
    tag = log.step(
        "root-elevation",
        "The Global Administrator's right over all subscriptions is switched on at root scope.",
        ["T1098.003", "T1548.005"],
        [NADIA, STRANGER],
    )
    time = at(3, 4, 12)
    act(log, time, "Microsoft.Authorization/elevateAccess/action", "/providers/Microsoft.Authorization", dice, tag)
    audit(
        log,
        time + seconds(1.2),
        "User has elevated their access to User Access Administrator for their Azure Resources",
        "AzureRBACRoleManagementElevateAccess",
        "Azure RBAC (Elevated Access)",
        dice=dice,
        user=VICTIM,
        ip=ATTACKER_IP,
        kind="Assign",
        tag=tag,
        targets=[target("Other", VICTIM.id, VICTIM.upn)],
    )

    tag = log.step(
        "owner-grant",
        "Owner of the production subscription is granted to the reporting application's service principal.",
        ["T1098.003"],
        [NADIA, STRANGER, azure_resource(f"/subscriptions/{PROD}")],
    )
    role_assignment(
        log,
        at(3, 9, 33),
        VICTIM,
        f"/subscriptions/{PROD}",
        "Owner",
        REPORTING,
        dice=dice,
        ip=ATTACKER_IP,
        tag=tag,
        role="User Access Administrator",
        scope="/",
    )


def back_door(log):
    dice = log.dice("story/back door")
    tag = log.step(
        "app-credential",
        "A second client secret is added to the reporting application and its service principal, then used from outside.",
        ["T1098.001"],
        [NADIA, STRANGER, {"type": "CloudApplication", "Name": REPORTING.name}],
    )
    time, secret = at(3, 16, 5), guid("credential/stranger")
    # The key lists are JSON text; the operation's name has an en dash and ends in a blank.
    old, new = (
        json_list(k)
        for k in (
            [credential(REPORTING.key, "Password", "sync")],
            [credential(REPORTING.key, "Password", "sync"), credential(secret, "Password", "backup")],
        )
    )
    changed = [modified("KeyDescription", old, new), modified("Included Updated Properties", None, '"KeyDescription"')]
    link = audit(
        log,
        time,
        "Update application \u2013 Certificates and secrets management ",
        "ApplicationManagement",
        "Core Directory",
        dice=dice,
        user=VICTIM,
        ip=ATTACKER_IP,
        targets=[target("Application", REPORTING.application_object, REPORTING.name, changed)],
        tag=tag,
    )
    audit(
        log,
        time + TICKS // 3,
        "Add service principal credentials",
        "ApplicationManagement",
        "Core Directory",
        dice=dice,
        user=VICTIM,
        ip=ATTACKER_IP,
        targets=[target("ServicePrincipal", REPORTING.id, REPORTING.name, changed)],
        correlation=link,
        tag=tag,
    )
    for gap in (0, 61, 340):
        app_signin(
            log,
            at(3, 31, 18) + seconds(gap),
            REPORTING,
            "Windows Azure Service Management API",
            dice=dice,
            ip=ATTACKER_IP6,
            place="stranger",
            tag=tag,
        )


def blinding(log):
    dice = log.dice("story/blinding")
    tag = log.step(
        "conditional-access-off",
        "The policy that asks everyone for multi-factor authentication is set from enabled to disabled.",
        ["T1556.009"],
        [NADIA, STRANGER],
    )

    def policy(state):
        return json.dumps(
            {
                "id": guid("policy/Require MFA for all users"),
                "displayName": "Require MFA for all users",
                "state": state,
                "conditions": {
                    "applications": {"includeApplications": ["All"]},
                    "users": {"includeUsers": ["All"], "excludeUsers": []},
                    "clientAppTypes": ["all"],
                },
                "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
            },
            separators=(",", ":"),
        )

    audit(
        log,
        at(3, 24, 50),
        "Update conditional access policy",
        "Policy",
        "Conditional Access",
        dice=dice,
        user=VICTIM,
        ip=ATTACKER_IP,
        tag=tag,
        targets=[
            target(
                "Policy",
                guid("policy/Require MFA for all users"),
                "Require MFA for all users",
                [modified("ConditionalAccessPolicy", policy("enabled"), policy("disabled"))],
            )
        ],
    )

    tag = log.step(
        "log-export-deleted",
        "The archive export of the activity log and the log exports of two storage accounts are deleted (this collection's own export goes on).",
        CLOUD_LOGS,
        [NADIA, STRANGER],
    )
    for i, owner in enumerate((f"/subscriptions/{PROD}", LEGACY_STORAGE[0], LEGACY_STORAGE[1])):
        act(
            log,
            at(3, 40, 7 + 29 * i),
            "Microsoft.Insights/diagnosticSettings/delete",
            f"{owner}/providers/Microsoft.Insights/diagnosticSettings/{'to-archive' if i == 0 else 'to-sentinel'}",
            dice,
            tag,
        )

    tag = log.step("defender-off", "Two plans of Defender for Cloud are set back to the free tier.", TOOLS, [NADIA, STRANGER])
    for i, plan in enumerate(("VirtualMachines", "KeyVaults")):
        act(
            log,
            at(3, 44, 20 + 17 * i),
            "Microsoft.Security/pricings/write",
            f"/subscriptions/{PROD}/providers/Microsoft.Security/pricings/{plan}",
            dice,
            tag,
            body={"properties": {"pricingTier": "Free"}},
        )


def machines(log):
    dice = log.dice("story/machines")
    nsg = resource(LEGACY, "Microsoft.Network/networkSecurityGroups", "nsg-erp")
    tag = log.step(
        "nsg-opened",
        "A rule lets the whole internet reach SSH on the old ERP's machines.",
        CLOUD_FIREWALL,
        [NADIA, STRANGER, azure_resource(nsg)],
    )
    act(
        log,
        at(3, 52, 41),
        "Microsoft.Network/networkSecurityGroups/securityRules/write",
        f"{nsg}/securityRules/allow-support",
        dice,
        tag,
        code="Created",
        body={
            "properties": {
                "protocol": "Tcp",
                "sourcePortRange": "*",
                "destinationPortRange": "22",
                "sourceAddressPrefix": "*",
                "destinationAddressPrefix": "*",
                "access": "Allow",
                "priority": 110,
                "direction": "Inbound",
            }
        },
    )

    tag = log.step(
        "run-command",
        "Scripts are run on four machines through the control plane.",
        ["T1651"],
        [NADIA, STRANGER] + [azure_resource(vm) for vm in LEGACY_VMS[:4]],
    )
    for i, vm in enumerate(LEGACY_VMS[:4]):
        act(
            log,
            at(4, 5) + seconds(i * 140),
            "Microsoft.Compute/virtualMachines/runCommand/action",
            vm,
            dice,
            tag,
            accept=True,
            body={"commandId": "RunShellScript", "script": ["REDACTED"]},
        )


def theft(log):
    dice = log.dice("story/theft")
    tag = log.step(
        "storage-keys-listed",
        "The access keys of six storage accounts are listed within minutes.",
        ["T1552", "T1555.006", "T1528"],
        [NADIA, STRANGER] + [azure_resource(a) for a in LEGACY_STORAGE[:2]],
    )
    for i, account in enumerate(LEGACY_STORAGE):
        act(log, at(4, 20) + seconds(i * 23), "Microsoft.Storage/storageAccounts/listKeys/action", account, dice, tag)

    vault = VAULTS["kv-erp-prod"]
    tag = log.step(
        "secrets-read",
        "Nadia's account gives itself access to a vault, then reads 32 secrets in six minutes.",
        ["T1555.006", "T1098"],
        [NADIA, STRANGER, azure_resource(vault)],
    )
    act(
        log,
        at(4, 31, 9),
        "Microsoft.KeyVault/vaults/accessPolicies/write",
        f"{vault}/accessPolicies/add",
        dice,
        tag,
        body={
            "properties": {
                "accessPolicies": [
                    {"tenantId": TENANT, "objectId": VICTIM.id, "permissions": {"secrets": ["get", "list"], "keys": [], "certificates": []}}
                ]
            }
        },
    )
    key_vault(log, at(4, 33, 4), VICTIM, vault, "SecretGet", "secrets", dice=dice, ip=ATTACKER_IP, status=401, tag=tag)
    key_vault(log, at(4, 33, 5), VICTIM, vault, "SecretList", "secrets", dice=dice, ip=ATTACKER_IP, tag=tag)
    for i in range(32):
        key_vault(
            log,
            at(4, 33, 20) + seconds(i * 10.5),
            VICTIM,
            vault,
            "SecretGet",
            f"secrets/{'aws-deploy-legacy' if i == 7 else f'erp-{i:02d}'}",
            dice=dice,
            ip=ATTACKER_IP,
            tag=tag,
        )

    tag = log.step(
        "disk-sas-export",
        "Three data disks are copied to snapshots, and a download link is taken of each.",
        ["T1537", "T1578.001", "T1530"],
        [NADIA, STRANGER] + [azure_resource(resource(LEGACY, "Microsoft.Compute/snapshots", f"tmp-{i}")) for i in (1, 2, 3)],
    )
    for i, disk in enumerate(LEGACY_DISKS[:3]):
        snapshot = resource(LEGACY, "Microsoft.Compute/snapshots", f"tmp-{i + 1}")
        act(
            log,
            at(4, 50) + seconds(i * 100),
            "Microsoft.Compute/snapshots/write",
            snapshot,
            dice,
            tag,
            accept=True,
            body={
                "location": "westeurope",
                "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": disk}, "incremental": False},
            },
        )
        act(
            log,
            at(4, 51, 10) + seconds(i * 100),
            "Microsoft.Compute/snapshots/beginGetAccess/action",
            snapshot,
            dice,
            tag,
            accept=True,
            body={"access": "Read", "durationInSeconds": 86400},
        )


def mail(log):
    dice = log.dice("story/mail")
    tag = log.step(
        "mail-forwarding",
        "An inbox rule sends mail about invoices to an outside address and deletes it.",
        ["T1114.003", "T1564.008"],
        [NADIA, STRANGER, {"type": "Mailbox", "MailboxPrimaryAddress": VICTIM.upn}],
    )
    inbox_rule(
        log,
        at(5, 10, 44),
        VICTIM,
        "..",
        [
            ("AlwaysDeleteOutlookRulesBlob", "False"),
            ("Name", ".."),
            ("SubjectOrBodyContainsWords", "invoice;payment;iban"),
            ("ForwardTo", "accounts@mail.wingtip.example"),
            ("DeleteMessage", "True"),
            ("StopProcessingRules", "True"),
        ],
        dice=dice,
        ip=ATTACKER_IP,
        tag=tag,
    )


def amazon(log):
    """The key of an old deployment user lay in the vault."""
    dice = log.dice("story/amazon")
    caller = [aws_user(THIEF.name), STRANGER]
    tag = log.step(
        "aws-discovery", "The stolen key looks around: who, what, where, with a few refusals.", ["T1087.004", "T1580", "T1069.003"], caller
    )
    looks = [
        ("sts", "GetCallerIdentity"),
        ("iam", "ListUsers"),
        ("iam", "ListRoles"),
        ("iam", "ListGroups"),
        ("iam", "ListPolicies"),
        ("iam", "GetAccountSummary"),
        ("iam", "ListAttachedUserPolicies"),
        ("iam", "GetAccountAuthorizationDetails"),
        ("s3", "ListBuckets"),
        ("ec2", "DescribeInstances"),
        ("ec2", "DescribeSnapshots"),
        ("secretsmanager", "ListSecrets"),
        ("rds", "DescribeDBInstances"),
        ("cloudtrail", "DescribeTrails"),
    ]
    for i, (service, name) in enumerate(looks):
        call(
            log,
            at(5, 19) + seconds(i * 11),
            THIEF,
            service,
            name,
            dice=dice,
            tag=tag,
            error="AccessDenied" if name in ("ListSecrets",) else None,
        )

    tag = log.step("aws-access-key", "A second access key is made for another user, the backup administrator.", ["T1098.001"], caller)
    call(
        log,
        at(5, 25, 31),
        THIEF,
        "iam",
        "CreateAccessKey",
        dice=dice,
        tag=tag,
        request={"userName": "svc-backup-admin"},
        response={
            "accessKey": {
                "accessKeyId": "AKIA" + dice.token(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
                "status": "Active",
                "userName": "svc-backup-admin",
                "createDate": "Mar 2, 2026, 5:25:31 AM",
            }
        },
    )

    tag = log.step(
        "aws-trail-stopped", "Logging of the account's main trail is stopped (the organisation's trail goes on).", CLOUD_LOGS, caller
    )
    call(
        log,
        at(5, 31, 2),
        THIEF,
        "cloudtrail",
        "StopLogging",
        dice=dice,
        tag=tag,
        request={"name": f"arn:aws:cloudtrail:eu-west-1:{AWS_ACCOUNT}:trail/main"},
    )

    tag = log.step("aws-snapshot-shared", "A database server's snapshot is shared with an account outside.", ["T1537"], caller)
    call(
        log,
        at(5, 38, 19),
        THIEF,
        "ec2",
        "ModifySnapshotAttribute",
        dice=dice,
        tag=tag,
        response={"requestId": dice.guid(), "_return": True},
        request={
            "snapshotId": "snap-0" + dice.hex(16),
            "createVolumePermission": {"add": {"items": [{"userId": AWS_OUTSIDE}]}},
            "attributeType": "CREATE_VOLUME_PERMISSION",
        },
    )


def destruction(log):
    dice = log.dice("story/destruction")
    scope = group(LEGACY)
    tag = log.step(
        "locks-deleted",
        "The delete locks of the ERP's resource group are removed, and its resources are deleted minutes later.",
        ["T1490", "T1485"] + TOOLS,
        [NADIA, STRANGER, azure_resource(scope)],
    )
    for i, name in enumerate(("do-not-delete", "finance-retention")):
        act(
            log,
            at(5, 50, 12 + 21 * i),
            "Microsoft.Authorization/locks/delete",
            f"{scope}/providers/Microsoft.Authorization/locks/{name}",
            dice,
            tag,
        )

    vault = resource("rg-backup", "Microsoft.RecoveryServices/vaults", "rsv-contoso")
    tag = log.step(
        "backup-disabled",
        "Soft delete of the backup vault is switched off and two machines' backups are deleted.",
        ["T1490"],
        [NADIA, STRANGER, azure_resource(vault)],
    )
    act(
        log,
        at(5, 53, 2),
        "Microsoft.RecoveryServices/vaults/backupconfig/write",
        f"{vault}/backupconfig/vaultconfig",
        dice,
        tag,
        body={"properties": {"enhancedSecurityState": "Disabled", "softDeleteFeatureState": "Disabled"}},
    )
    for i, vm in enumerate(LEGACY_VMS[:2]):
        name = vm.rsplit("/", 1)[1]
        item = f"{vault}/backupFabrics/Azure/protectionContainers/iaasvmcontainer;{LEGACY};{name}/protectedItems/vm;iaasvmcontainerv2;{LEGACY};{name}"
        act(
            log,
            at(5, 54, 15 + 20 * i),
            "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/delete",
            item,
            dice,
            tag,
            accept=True,
        )

    tag = log.step(
        "mass-deletion",
        "Machines, disks, storage accounts and a database of the ERP are deleted within six minutes.",
        ["T1485", "T1489"],
        [NADIA, STRANGER] + [azure_resource(r) for r in (LEGACY_VMS[0], LEGACY_DISKS[0], LEGACY_STORAGE[0])],
    )
    doomed = (
        [(vm, "Microsoft.Compute/virtualMachines/delete") for vm in LEGACY_VMS]
        + [(d, "Microsoft.Compute/disks/delete") for d in LEGACY_DISKS]
        + [(s, "Microsoft.Storage/storageAccounts/delete") for s in LEGACY_STORAGE]
        + [(resource(LEGACY, "Microsoft.Sql/servers/databases", "sql-erp/ledger"), "Microsoft.Sql/servers/databases/delete")]
    )
    for i, (victim, name) in enumerate(doomed):
        act(log, at(5, 58) + seconds(i * 18), name, victim, dice, tag, accept="Compute" in name)

    tag = log.step(
        "vault-purged",
        "The ERP's key vault is deleted and then purged, so that it cannot be recovered.",
        ["T1485", "T1490"],
        [NADIA, STRANGER, azure_resource(VAULTS["kv-erp-prod"])],
    )
    act(log, at(6, 10, 8), "Microsoft.KeyVault/vaults/delete", VAULTS["kv-erp-prod"], dice, tag)
    act(
        log,
        at(6, 11, 30),
        "Microsoft.KeyVault/locations/deletedVaults/purge/action",
        f"/subscriptions/{PROD}/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv-erp-prod",
        dice,
        tag,
        accept=True,
    )
