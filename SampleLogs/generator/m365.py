"""Shapes of Office 365 management API records and of SecurityAlert rows in Log Analytics export."""

import json

from .core import Stream, iso0, iso7
from .tenant import TENANT, WORKSPACE, WORKSPACE_ID

EXCHANGE = Stream(f"office365-management-api/{TENANT}/Audit.Exchange", "array", (120, 400), "content.json")
SHAREPOINT = Stream(f"office365-management-api/{TENANT}/Audit.SharePoint", "array", (120, 400), "content.json")
ALERTS = Stream(f"am-securityalert/WorkspaceResourceId={WORKSPACE_ID}", "export", (30, 200), "PT05M.json")


def office(log, time, who, operation, workload, *, dice, record_type, object_id="", ip=None, tag=None, **fields):
    """One audit record: numbers for record and user type, `CreationTime` without a zone."""
    identifier = dice.guid()
    record = {
        "CreationTime": iso0(time, ""),
        "Id": identifier,
        "Operation": operation,
        "OrganizationId": TENANT,
        "RecordType": record_type,
        "ResultStatus": "True" if workload == "Exchange" and record_type == 1 else "Succeeded",
        "UserKey": who.id.replace("-", "")[:16].upper(),
        "UserType": 2 if record_type == 1 and who.admin else 0,
        "Version": 1,
        "Workload": workload,
        "ClientIP": ip or who.ip,
        "ObjectId": object_id,
        "UserId": who.upn,
    } | fields
    log.add(EXCHANGE if workload == "Exchange" else SHAREPOINT, time, record, "OfficeActivity", tag, identifier)


def inbox_rule(log, time, who, name, parameters, *, dice, ip=None, tag=None):
    """`New-InboxRule`: the address has a port here, IPv6 in brackets."""
    ip = ip or who.ip
    client = f"[{ip}]:{dice.between(20000, 64000)}" if ":" in ip else f"{ip}:{dice.between(20000, 64000)}"
    office(
        log,
        time,
        who,
        "New-InboxRule",
        "Exchange",
        dice=dice,
        record_type=1,
        ip=client,
        tag=tag,
        object_id=f"EURPR01A001.prod.outlook.com/Microsoft Exchange Hosted Organizations/contoso.example/{who.id}\\{name}",
        AppId="00000002-0000-0ff1-ce00-000000000000",
        ClientAppId="",
        ExternalAccess=False,
        OrganizationName="contoso.example",
        OriginatingServer="AM0PR01MB0001 (15.20.8489.021)",
        SessionId=who.session,
        Parameters=[{"Name": k, "Value": v} for k, v in parameters],
    )


def security_alert(log, time, name, severity, *, dice, provider, product, entities, description, tactics, tag=None, status="New", kind=""):
    identifier = dice.guid()
    row = {
        "TenantId": WORKSPACE,
        "TimeGenerated": iso7(time),
        "DisplayName": name,
        "AlertName": name,
        "AlertSeverity": severity,
        "Description": description,
        "ProviderName": provider,
        "VendorName": "Microsoft",
        "VendorOriginalId": identifier,
        "SystemAlertId": identifier,
        "ResourceId": "",
        "SourceComputerId": "",
        "AlertType": kind or name.replace(" ", ""),
        "ConfidenceLevel": "",
        "ConfidenceScore": None,
        "IsIncident": False,
        "StartTime": iso7(time - 3_000_000_000),
        "EndTime": iso7(time - 600_000_000),
        "ProcessingEndTime": iso7(time),
        "RemediationSteps": "[]",
        "ExtendedProperties": json.dumps({"Alert Id": identifier, "ProductComponentName": product}),
        "Entities": json.dumps([{"$id": str(i + 2)} | e for i, e in enumerate(entities)], separators=(",", ":")),
        "SourceSystem": "Detection",
        "WorkspaceSubscriptionId": "",
        "WorkspaceResourceGroup": "",
        "ExtendedLinks": "[]",
        "ProductName": product,
        "ProductComponentName": "",
        "AlertLink": "",
        "Status": status,
        "CompromisedEntity": entities[0].get("Name", ""),
        "Tactics": tactics,
        "Techniques": "[]",
        "SubTechniques": "[]",
        "Type": "SecurityAlert",
    }
    log.add(ALERTS, time, row, "SecurityAlert", tag, identifier)
