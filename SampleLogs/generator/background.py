"""What a quiet working day writes: people sign in, applications call each other, the platform looks after itself."""

from .azure import activity, blob, every_minute, key_vault, nsg_flow, operation, vnet_flow
from .core import TICKS, at, guid, seconds
from .entra import EDGE, MAC, PHONE, app_signin, audit, modified, signin, target
from .m365 import office, security_alert
from .tenant import (
    ADMIN,
    APPS,
    AUTOSTOP,
    BILLING,
    DATABASES,
    DESK,
    ENGINEER,
    FUNCTIONS,
    GUEST,
    MANAGED,
    ORDERS,
    PATCHING,
    PEOPLE,
    PIPELINE,
    POSTURE,
    RUNNER_IPS,
    SANDBOX,
    SERVICES,
    SITES,
    STAFF,
    STORAGE,
    VAULTS,
    VMS,
    group,
    resource,
)


def background(log, scale):
    for part in (people, applications, directory, control_plane, platform, secrets, storage, network, office_work, alerts):
        part(log, scale)


def people(log, scale):
    dice = log.dice("people")
    workers = PEOPLE + [ADMIN, DESK, ENGINEER, GUEST]
    apps = [
        ("OfficeHome", 5),
        ("Microsoft Teams", 5),
        ("Azure Portal", 2),
        ("Contoso Intranet", 4),
        ("Contoso Orders", 3),
        ("Microsoft Azure CLI", 1),
    ]
    for _ in range(1500 * scale):
        who, time = dice.pick(workers), dice.office_hours()
        code = dice.weighted([(0, 90), (50140, 4), (50074, 3), (50076, 2), (65001, 1)])
        mfa = "MFA completed in Azure AD" if code == 0 and dice.chance(0.15) else None
        agent = MAC if int(who.device[0], 16) % 3 == 0 else EDGE
        signin(log, time, who, dice.weighted(apps), dice=dice, code=code, mfa=mfa, agent=agent)
    for _ in range(4200 * scale):
        who = dice.pick(workers)
        phone = dice.chance(0.25)
        time = dice.any_hour() if phone else dice.office_hours()
        signin(
            log,
            time,
            who,
            dice.pick(["Microsoft Teams", "OfficeHome", "Microsoft Outlook", "OneDrive SyncEngine"]),
            dice=dice,
            interactive=False,
            agent=PHONE if phone else EDGE,
            place="mobile" if phone else None,
            client="Mobile Apps and Desktop clients",
            ip=f"198.51.100.{100 + PEOPLE.index(who) % 60 if who in PEOPLE else 170}" if phone else None,
            session=guid(f"session/phone/{who.upn}") if phone else None,
        )


def applications(log, scale):
    dice = log.dice("applications")
    for app in SERVICES:
        for _ in range((220 if app is PIPELINE else 90) * scale):
            ip = dice.pick(RUNNER_IPS) if app is PIPELINE else app.ip
            time = dice.office_hours() if app is PIPELINE else dice.any_hour()
            app_signin(
                log,
                time,
                app,
                "Windows Azure Service Management API" if app in (PIPELINE, POSTURE) else "Microsoft Graph",
                dice=dice,
                ip=ip,
            )
    for app in MANAGED:
        for _ in range(260 * scale):
            resource_name = {ORDERS: "Azure Key Vault", BILLING: "Azure Key Vault", FUNCTIONS: "Azure Storage"}.get(
                app, "Windows Azure Service Management API"
            )
            app_signin(log, dice.any_hour(), app, resource_name, dice=dice)


def directory(log, scale):
    dice = log.dice("directory")
    for _ in range(170 * scale):
        time, who = dice.office_hours(), dice.pick(PEOPLE)
        kind = dice.weighted([("group", 5), ("user", 5), ("password", 2), ("device", 2), ("licence", 4)])
        if kind == "group":
            audit(
                log,
                time,
                "Add member to group",
                "GroupManagement",
                "Core Directory",
                dice=dice,
                user=DESK,
                kind="Assign",
                targets=[
                    target(
                        "User",
                        who.id,
                        None,
                        [
                            modified("Group.ObjectID", None, f'"{guid("group/" + who.last)}"'),
                            modified("Group.DisplayName", None, f'"grp-{who.last.lower()}"'),
                        ],
                        who.upn,
                    ),
                    target("Group", guid("group/" + who.last), None),
                ],
            )
        elif kind == "user":
            audit(
                log,
                time,
                "Update user",
                "UserManagement",
                "Core Directory",
                dice=dice,
                user=DESK,
                targets=[
                    target(
                        "User",
                        who.id,
                        None,
                        [
                            modified("JobTitle", '["Analyst"]', '["Senior analyst"]'),
                            modified("Included Updated Properties", None, '"JobTitle"'),
                        ],
                        who.upn,
                    )
                ],
            )
        elif kind == "password":
            audit(
                log,
                time,
                "Change user password",
                "UserManagement",
                "Core Directory",
                dice=dice,
                user=who,
                targets=[target("User", who.id, None, (), who.upn)],
            )
        elif kind == "device":
            audit(
                log,
                time,
                "Update device",
                "Device",
                "Core Directory",
                dice=dice,
                user=who,
                targets=[
                    target("Device", who.device, who.host, [modified("DeviceOSVersion", '["10.0.26100.3194"]', '["10.0.26100.3323"]')])
                ],
            )
        else:
            audit(
                log,
                time,
                "Change user license",
                "UserManagement",
                "Core Directory",
                dice=dice,
                user=DESK,
                targets=[
                    target("User", who.id, None, [modified("AssignedLicense", '["[SkuName=SPE_E3]"]', '["[SkuName=SPE_E5]"]')], who.upn)
                ],
            )


def _deployment(log, time, dice):
    rg = dice.pick(["rg-web", "rg-shop", "rg-data"])
    resource_id = resource(rg, "Microsoft.Resources/deployments", f"release-{dice.between(4000, 4999)}")
    body = {
        "properties": {
            "mode": "Incremental",
            "debugSetting": {"detailLevel": "none"},
            "parameters": {"environment": {"value": "prod"}, "version": {"value": f"2026.9.{dice.between(1, 60)}"}},
            "templateLink": {"id": f"{group('rg-templates')}/providers/Microsoft.Resources/" f"templateSpecs/{rg}/versions/3.2"},
        }
    }
    operation(
        log,
        time,
        PIPELINE,
        "Microsoft.Resources/deployments/write",
        resource_id,
        dice=dice,
        body=body,
        accept=True,
        code="Created",
        ip=dice.pick(RUNNER_IPS),
    )


def control_plane(log, scale):
    """Administrative operations of people and pipelines, none of them out of the ordinary."""
    dice = log.dice("control plane")
    for _ in range(330 * scale):
        time = dice.office_hours()
        kind = dice.weighted(
            [("deploy", 5), ("restart", 2), ("config", 3), ("tags", 3), ("scale", 2), ("cluster", 2), ("dns", 1), ("rg", 1), ("alert", 1)]
        )
        who = dice.weighted([(PIPELINE, 3), (ENGINEER, 2), (ADMIN, 1)])
        if kind == "deploy":
            _deployment(log, time, dice)
        elif kind == "restart":
            operation(log, time, who, "Microsoft.Web/sites/restart/Action", dice.pick(SITES), dice=dice)
        elif kind == "config":
            body = {"properties": {"alwaysOn": True, "http20Enabled": True, "minTlsVersion": "1.2", "appCommandLine": ""}}
            operation(log, time, who, "Microsoft.Web/sites/config/write", dice.pick(SITES) + "/config/web", dice=dice, body=body)
        elif kind == "tags":
            body = {"operation": "Merge", "properties": {"tags": {"costcentre": str(dice.between(1000, 1040)), "owner": who.name}}}
            target_id = dice.pick(VMS + SITES + DATABASES)
            operation(
                log,
                time,
                who,
                "Microsoft.Resources/tags/write",
                f"{target_id}/providers/Microsoft.Resources/tags/default",
                dice=dice,
                body=body,
            )
        elif kind == "scale":
            body = {"sku": {"name": "GP_S_Gen5", "capacity": dice.pick([2, 4, 8])}, "location": "westeurope"}
            operation(log, time, who, "Microsoft.Sql/servers/databases/write", dice.pick(DATABASES), dice=dice, body=body, accept=True)
        elif kind == "cluster":
            cluster = resource("rg-aks", "Microsoft.ContainerService/managedClusters", "aks-contoso")
            operation(
                log,
                time,
                PIPELINE,
                "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
                cluster,
                dice=dice,
                ip=dice.pick(RUNNER_IPS),
            )
        elif kind == "dns":
            zone = resource("rg-net", "Microsoft.Network/privateDnsZones/A", f"contoso.internal/host-{dice.between(1, 90)}")
            operation(
                log,
                time,
                PIPELINE,
                "Microsoft.Network/privateDnsZones/A/write",
                zone,
                dice=dice,
                body={"properties": {"ttl": 300}},
                ip=dice.pick(RUNNER_IPS),
            )
        elif kind == "rg":
            name = f"rg-lab-{dice.between(10, 40)}"
            operation(
                log,
                time,
                ENGINEER,
                "Microsoft.Resources/subscriptions/resourceGroups/write",
                group(name, SANDBOX),
                dice=dice,
                body={"location": "westeurope", "tags": {"lab": "yes"}},
                code="Created",
            )
        else:
            rule = resource("rg-monitor", "Microsoft.Insights/metricAlerts", f"cpu-{dice.between(1, 8)}")
            operation(
                log,
                time,
                who,
                "Microsoft.Insights/metricAlerts/write",
                rule,
                dice=dice,
                body={"properties": {"severity": 3, "enabled": True}},
            )
    for _ in range(14 * scale):
        operation(
            log,
            dice.office_hours(),
            PIPELINE,
            "Microsoft.Resources/deployments/write",
            resource("rg-web", "Microsoft.Resources/deployments", f"release-{dice.between(5000, 5999)}"),
            dice=dice,
            fails="DeploymentFailed",
            ip=dice.pick(RUNNER_IPS),
        )


def platform(log, scale):
    """Policy audits, health, autoscale, restarts by schedule: the part of the activity log that nobody reads."""
    dice = log.dice("platform")
    for _ in range(650 * scale):
        time, target_id = dice.any_hour(), dice.pick(VMS + SITES + DATABASES)
        action = dice.pick(["audit", "auditIfNotExists"])
        extra = {
            "isComplianceCheck": "True",
            "resourceLocation": "westeurope",
            "ancestors": f"mg-contoso,{guid('tenant')}",
            "policies": '[{"policyDefinitionId":"/providers/Microsoft.Authorization/policyDefinitions/'
            + guid(f"policy/{dice.between(1, 12)}")
            + '","policyDefinitionEffect":"'
            + action
            + '","policyAssignmentName":"contoso-baseline"}]',
        }
        activity(
            log,
            time,
            PATCHING,
            f"Microsoft.Authorization/policies/{action}/action",
            target_id,
            "Success",
            dice.guid(),
            dice=dice,
            category="Policy",
            extra=extra,
            level="Warning",
            ip="",
        )
    for _ in range(40 * scale):
        time, vm, correlation = dice.any_hour(), dice.pick(VMS), dice.guid()
        for status, gap in (("Active", 0), ("Resolved", dice.between(60, 900))):
            activity(
                log,
                min(time + seconds(gap), at(23, 59)),
                PATCHING,
                "Microsoft.Resourcehealth/healthevent/Activated/action",
                vm,
                status,
                correlation,
                dice=dice,
                category="ResourceHealth",
                ip="",
                extra={
                    "title": "Rebooted by the platform",
                    "currentHealthStatus": "Available",
                    "previousHealthStatus": "Unavailable",
                    "cause": "PlatformInitiated",
                },
            )
    for hour in range(24):
        plan = resource("rg-web", "Microsoft.Insights/autoscalesettings", "asp-shop-autoscale")
        activity(
            log,
            at(hour, 7, dice.between(0, 59)),
            PATCHING,
            "Microsoft.Insights/AutoscaleSettings/Scaleup/Action",
            plan,
            "Success",
            dice.guid(),
            dice=dice,
            category="Autoscale",
            ip="",
            extra={"OldInstancesCount": 2, "NewInstancesCount": 3},
        )
        site = SITES[2]
        operation(
            log,
            at(hour, dice.between(10, 50)),
            FUNCTIONS,
            "Microsoft.Storage/storageAccounts/listKeys/action",
            STORAGE,
            dice=dice,
            client=APPS["Azure Storage"],
        )
        operation(log, at(hour, dice.between(0, 9)), AUTOSTOP, "Microsoft.Web/sites/config/write", site + "/config/appsettings", dice=dice)


def secrets(log, scale):
    """Applications poll a few secrets each; each new connection starts with an unauthenticated call that gets a 401."""
    dice = log.dice("secrets")
    vault = VAULTS["kv-shop-prod"]
    wanted = {
        ORDERS: ["secrets/orders-db", "secrets/payment-api"],
        BILLING: ["secrets/billing-db", "certificates/billing-tls", "keys/invoice-signing"],
    }
    for app, items in wanted.items():
        for _ in range(700 * scale):
            time, item = dice.any_hour(), dice.pick(items)
            verb = {"s": "SecretGet", "c": "CertificateGet", "k": "KeySign"}[item[0]]
            if dice.chance(0.2):
                key_vault(log, time - TICKS // 10, app, vault, verb, item, dice=dice, status=401)
            key_vault(log, time, app, vault, verb, item, dice=dice)
    for hour in range(6, 19):
        key_vault(log, at(hour, 30, dice.between(0, 50)), POSTURE, vault, "VaultGet", dice=dice)
    for hour in range(5):
        key_vault(log, at(hour, 31, dice.between(0, 50)), POSTURE, VAULTS["kv-erp-prod"], "SecretList", "secrets", dice=dice, status=403)


def storage(log, scale):
    dice = log.dice("storage")
    for _ in range(2400 * scale):
        time = dice.any_hour()
        kind = dice.weighted([("image", 6), ("invoice", 3), ("list", 1), ("sas", 2)])
        if kind == "image":
            blob(log, time, STORAGE, "GetBlob", f"assets/img/{dice.between(1, 400):04d}.webp", dice=dice, ip="10.20.4.20", who=ORDERS)
        elif kind == "invoice":
            blob(
                log,
                time,
                STORAGE,
                "GetBlobProperties",
                f"invoices/2026/{dice.between(1, 3):02d}/{dice.between(10000, 19999)}.pdf",
                dice=dice,
                ip="10.20.6.7",
                who=FUNCTIONS,
            )
        elif kind == "list":
            blob(log, time, STORAGE, "ListBlobs", "invoices?restype=container&comp=list", dice=dice, ip="10.20.6.7", who=FUNCTIONS)
        else:
            blob(
                log,
                time,
                STORAGE,
                "GetBlob",
                f"assets/img/{dice.between(1, 400):04d}.webp",
                dice=dice,
                ip="198.51.100.240",
                auth="SAS",
                agent="Contoso-CDN/2.1",
                status=dice.weighted([("200", 9), ("206", 1), ("404", 1)]),
            )
    for _ in range(1000 * scale):
        time, name = dice.any_hour(), f"invoices/2026/03/{dice.between(20000, 29999)}.pdf"
        blob(log, time, STORAGE, "PutBlob", name, dice=dice, ip="10.20.6.7", who=FUNCTIONS, status="201")
        if dice.chance(0.06):
            blob(
                log,
                time + seconds(40),
                STORAGE,
                "DeleteBlob",
                name.replace("invoices", "spool"),
                dice=dice,
                ip="10.20.6.7",
                who=FUNCTIONS,
                status="202",
            )


def network(log, scale):
    """Flow logs of the web tier (NSG form) and of the hub (virtual network form): inside traffic, the shop's visitors, refused strangers."""
    dice = log.dice("network")
    nsg = resource("rg-net", "Microsoft.Network/networkSecurityGroups", "nsg-web")
    for minute in every_minute(2):
        time, epoch = minute + dice.between(0, TICKS), minute // TICKS
        allowed = []
        for _ in range(dice.between(2, 4) * scale):
            sent = dice.between(4, 60)
            allowed.append(
                f"{epoch - dice.between(0, 59)},198.51.100.{dice.between(1, 254)},10.20.4.10,{dice.between(20000, 65000)},443,T,I,A,E,"
                f"{sent},{sent * 310},{sent + 2},{sent * 1150}"
            )
        rules = {"UserRule_AllowHttpsInbound": allowed}
        if dice.chance(0.5):
            rules["DefaultRule_DenyAllInBound"] = [
                f"{epoch - dice.between(0, 59)},192.0.2.{dice.between(100, 200)},10.20.4.10,{dice.between(20000, 65000)},"
                f"{dice.pick([22, 3389, 8080])},T,I,D,B,,,,"
                for _ in range(dice.between(1, 2))
            ]
        nsg_flow(log, time, nsg, "000D3AF8B1C2", rules)
        tuples = []
        for _ in range(dice.between(2, 4) * scale):
            packets = dice.between(3, 90)
            tuples.append(
                f"{(epoch - dice.between(0, 59)) * 1000 + dice.between(0, 999)},10.20.{dice.pick([4, 6])}.{dice.between(10, 30)},10.20.8.4,"
                f"{dice.between(20000, 65000)},{dice.pick([1433, 443, 53])},6,O,E,NX,{packets},{packets * 220},{packets},{packets * 640}"
            )
        vnet_flow(log, time, "000D3AF8B1D7", {"DefaultRule_AllowVnetOutBound": tuples})


def office_work(log, scale):
    dice = log.dice("office work")
    for _ in range(750 * scale):
        who, time = dice.pick(PEOPLE), dice.office_hours()
        if dice.chance(0.6):
            name = f"{dice.pick(['Plan', 'Budget', 'Offer', 'Minutes', 'Report'])}-{dice.between(1, 300)}.{dice.pick(['docx', 'xlsx', 'pptx'])}"
            office(
                log,
                time,
                who,
                dice.weighted([("FileAccessed", 6), ("FileModified", 3), ("FileDownloaded", 1)]),
                dice.pick(["SharePoint", "OneDrive"]),
                dice=dice,
                record_type=6,
                object_id=f"https://contoso.sharepoint.example/sites/work/Shared Documents/{name}",
                SiteUrl="https://contoso.sharepoint.example/sites/work/",
                SourceFileName=name,
                SourceFileExtension=name.rsplit(".", 1)[1],
                SourceRelativeUrl="Shared Documents",
                UserAgent=EDGE,
                ItemType="File",
                EventSource="SharePoint",
            )
        else:
            office(
                log,
                time,
                who,
                dice.weighted([("MailItemsAccessed", 4), ("Send", 3), ("MoveToDeletedItems", 2)]),
                "Exchange",
                dice=dice,
                record_type=2,
                ClientIPAddress=who.ip,
                ClientInfoString="Client=OWA;Action=ViaProxy",
                ExternalAccess=False,
                InternalLogonType=0,
                LogonType=0,
                MailboxGuid=guid("mailbox/" + who.upn),
                MailboxOwnerUPN=who.upn,
                OrganizationName="contoso.example",
                OriginatingServer="AM0PR01MB0001 (15.20.8489.021)",
                Item={"Id": dice.token(24), "Subject": "Weekly figures", "ParentFolder": {"Path": "\\Inbox"}},
            )


def alerts(log, scale):
    """Alerts of other products: known, low, closed."""
    dice = log.dice("alerts")
    for i in range(8 * scale):
        who = dice.pick(STAFF)
        security_alert(
            log,
            dice.office_hours(),
            "Email reported by user as junk",
            "Informational",
            dice=dice,
            provider="OATP",
            status="Resolved",
            product="Office 365 Advanced Threat Protection",
            entities=[{"Type": "account", "Name": who.first.lower() + "." + who.last.lower(), "UPNSuffix": "contoso.example"}],
            description="A user reported a message as junk.",
            tactics="InitialAccess",
        )
