"""Shapes of Azure records: activity log, Key Vault audit, storage logs, flow logs, as diagnostic settings write them."""

import json

from .core import Dice, HOUR, Stream, TICKS, at, guid, iso7, moment, seconds
from .tenant import APPS, GROUP_ROOT, PROD, REGION, ROLES, SANDBOX, TENANT

OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
UPN_CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
AZURE_DELAY = (15, 210)
_streams = {}
_tokens = {}


def resource_stream(container, resource_id, form="lines", name="PT1H.json", delay=AZURE_DELAY, members=1, key="resourceId="):
    """The stream of one resource's category: `insights-logs-.../resourceId=/SUBSCRIPTIONS/...`."""
    folder = f"{container}/{key}{resource_id.upper()}"
    return _streams.setdefault((folder, name), Stream(folder, form, delay, name, members))


def activity_stream(resource_id):
    """The activity log is exported by subscription; what stands above subscriptions comes from the root management group."""
    parts = resource_id.split("/")
    scope = "/".join(parts[:3]) if parts[1].lower() == "subscriptions" else f"/providers/Microsoft.Management/managementGroups/{TENANT}"
    return resource_stream("insights-activity-logs", scope, form="crlf", members=2)


def token(log, who, ip, time):
    """The claims that stay the same while one token lives (an hour)."""
    hour = time // HOUR
    key = (log.seed, who.id, ip, hour)
    if key not in _tokens:
        dice = Dice(log.seed, f"token/{who.id}/{ip}/{hour}")
        _tokens[key] = (dice.token(60), dice.token(22), int(hour * 3600) - dice.between(5, 280))
    return _tokens[key]


def claims(log, who, ip, time, client):
    aio, uti, issued = token(log, who, ip, time)
    common = {
        "aud": "https://management.core.windows.net/",
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": str(issued),
        "nbf": str(issued),
        "exp": str(issued + 3900),
    }
    if who.kind == "User":
        return common | {
            "http://schemas.microsoft.com/claims/authnclassreference": "1",
            "aio": aio,
            "http://schemas.microsoft.com/claims/authnmethodsreferences": "pwd,mfa" if ip.startswith("203.") else "pwd",
            "appid": client,
            "appidacr": "0",
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname": who.last,
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname": who.first,
            "groups": f"{guid('group/all')},{guid('group/platform')},{guid('group/' + who.last)}",
            "ipaddr": ip,
            "name": who.name,
            OBJECT_ID: who.id,
            "puid": f"1003200{int(who.id[:8], 16):09d}"[:16],
            "rh": f"0.AXoA{guid('rh/' + who.id)[:12]}.",
            "http://schemas.microsoft.com/identity/claims/scope": "user_impersonation",
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier": guid("sub/" + who.id).replace("-", ""),
            "http://schemas.microsoft.com/identity/claims/tenantid": TENANT,
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name": who.upn,
            UPN_CLAIM: who.upn,
            "uti": uti,
            "ver": "1.0",
            "wids": "62e90394-69f5-4237-9190-012177145e10" if who.admin else "b79fbf4d-3ef9-4689-8143-76b194e85509",
            "xms_tcdt": "1491922190",
        }
    return common | {
        "aio": aio,
        "appid": who.app_id,
        "appidacr": "2",
        "http://schemas.microsoft.com/identity/claims/identityprovider": f"https://sts.windows.net/{TENANT}/",
        "idtyp": "app",
        OBJECT_ID: who.id,
        "rh": f"0.AXoA{guid('rh/' + who.id)[:12]}.",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier": who.id,
        "http://schemas.microsoft.com/identity/claims/tenantid": TENANT,
        "uti": uti,
        "ver": "1.0",
        "xms_tcdt": "1491922190",
    }


RESULTS = {
    "Start": ("Started.", "Information"),
    "Accept": ("Accepted.Accepted", "Information"),
    "Success": ("Succeeded.", "Information"),
    "Failure": ("Failed.", "Error"),
    "Active": ("Active.", "Warning"),
    "Resolved": ("Resolved.", "Information"),
}


def activity(
    log,
    time,
    who,
    operation,
    resource_id,
    status,
    correlation,
    *,
    dice,
    code="",
    body=None,
    response=None,
    ip=None,
    category="Administrative",
    role=None,
    scope=None,
    tag=None,
    client=None,
    extra=None,
    level=None,
):
    """One activity record. `body` goes to `properties.requestbody` as JSON text, as only Start events have it."""
    ip = who.ip if ip is None else ip
    role = role or getattr(who, "role", "Owner" if who.kind == "User" else "Contributor")
    word, grade = RESULTS[status]
    subscription = SANDBOX if SANDBOX in resource_id else PROD
    evidence = {
        "role": role,
        "roleAssignmentScope": scope or f"/providers/Microsoft.Management/managementGroups/{GROUP_ROOT}",
        "roleAssignmentId": guid(f"assignment/{who.id}/{role}").replace("-", ""),
        "roleDefinitionId": ROLES.get(role, guid("role/" + role)).replace("-", ""),
        "principalId": who.id.replace("-", ""),
        "principalType": who.kind,
    }
    properties = {
        "eventCategory": category,
        "entity": resource_id,
        "message": operation,
        "hierarchy": f"{TENANT}/{GROUP_ROOT}/{subscription}",
    }
    if body is not None:
        properties = {"requestbody": json.dumps(body, separators=(",", ":"))} | properties
    if status in ("Success", "Failure", "Accept"):
        properties = {"statusCode": code or "OK", "serviceRequestId": dice.guid()} | properties
    elif status == "Start":
        properties = {"serviceRequestId": None} | properties if dice.chance(0.3) else properties
    if response is not None:
        properties["responseBody"] = response if isinstance(response, str) else json.dumps(response, separators=(",", ":"))
    properties |= extra or {}
    record = {
        "RoleLocation": "West Europe",
        "ReleaseVersion": "6.2026.8.4+Official.release_2026w08_az.1c4f9d2",
        "time": iso7(time),
        "resourceId": resource_id.upper(),
        "operationName": operation.upper(),
        "category": category,
        "resultType": status,
        "resultSignature": word + (code if status in ("Success", "Failure") else ""),
        "durationMs": str(dice.between(40, 2400)) if status != "Start" else dice.pick([0, "0"]),
    }
    if dice.chance(0.4):
        record = {"Stamp": "weprod01"} | record
    if ip:
        record["callerIpAddress"] = ip
    record |= {
        "correlationId": correlation,
        "identity": {
            "authorization": {"scope": resource_id, "action": operation, "evidence": evidence},
            "claims": claims(log, who, ip, time, client or APPS["Azure Portal"]),
        },
        "level": level or grade,
        "properties": properties,
        "tenantId": TENANT,
    }
    log.add(activity_stream(resource_id), time, record, "AzureActivity", tag, correlation)


def operation(
    log, time, who, name, resource_id, *, dice, body=None, correlation=None, accept=False, fails=None, code="OK", took=None, **more
):
    """Start and Success (or Failure) of one operation, with Accept between them where it is a long one. Returns the correlation id."""
    correlation = correlation or dice.guid()
    response = more.pop("response", None)
    activity(log, time, who, name, resource_id, "Start", correlation, dice=dice, body=body, **more)
    took = seconds(took or dice.between(200, 2600) / 1000)
    if accept:
        activity(log, time + took // 4, who, name, resource_id, "Accept", correlation, dice=dice, code="Accepted", **more)
        took += seconds(dice.between(4, 40))
    if fails:
        response = {"error": {"code": fails, "message": f"The client '{who.id}' with object id '{who.id}' failed: {fails}."}}
        activity(
            log,
            time + took,
            who,
            name,
            resource_id,
            "Failure",
            correlation,
            dice=dice,
            code="Forbidden" if "Auth" in fails else "Conflict",
            response=response,
            **more,
        )
    else:
        activity(log, time + took, who, name, resource_id, "Success", correlation, dice=dice, code=code, response=response, **more)
    return correlation


def role_assignment(log, time, who, granted_scope, granted, principal, *, dice, **more):
    """A role grant: the body (principal and role definition) stands in the Start event only."""
    name = dice.guid()
    resource_id = f"{granted_scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
    definition = f"{'/'.join(granted_scope.split('/')[:3])}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[granted]}"
    body = {
        "Id": name,
        "Properties": {
            "PrincipalId": principal.id,
            "PrincipalType": principal.kind,
            "RoleDefinitionId": definition,
            "Scope": granted_scope,
            "Condition": None,
            "ConditionVersion": None,
        },
    }
    return operation(
        log, time, who, "Microsoft.Authorization/roleAssignments/write", resource_id, dice=dice, body=body, code="Created", **more
    )


def key_vault(log, time, who, vault, verb, item="", *, dice, ip=None, status=200, tag=None, agent=None, correlation=None):
    """A Key Vault data-plane (or vault) call. Every client's first call is a 401 handshake without an identity."""
    ip = ip or who.ip
    name = vault.rsplit("/", 1)[1]
    url = f"https://{name}.vault.azure.net/{item}"
    correlation = correlation or dice.guid()
    words = {200: ("Success", "OK"), 401: ("Success", "Unauthorized"), 403: ("Success", "Forbidden")}
    claim = {OBJECT_ID: who.id, "appid": APPS["Azure Portal"] if who.kind == "User" else who.app_id}
    if who.kind == "User":
        claim[UPN_CLAIM] = who.upn
        claim["ipaddr"] = ip
    elif who.managed:
        claim["xms_az_rid"] = (
            f"/subscriptions/{PROD}/resourcegroups/rg-shop/providers/microsoft.managedidentity/userassignedidentities/{who.name}"
        )
    record = {
        "time": iso7(time),
        "category": "AuditEvent",
        "operationName": verb,
        "operationVersion": "7.4",
        "resultType": words[status][0],
        "correlationId": correlation,
        "callerIpAddress": ip,
        "identity": {"claim": claim} if status != 401 else {},
        "resourceId": vault.upper(),
        "durationMs": str(dice.between(5, 90)),
        "resultSignature": words[status][1],
        "properties": {
            "id": f"{url}{'/' + dice.hex(32) if verb.endswith('Get') and status == 200 and item else ''}",
            "clientInfo": agent
            or ("azsdk-net-Security.KeyVault.Secrets/4.6.0" if who.kind != "User" else "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"),
            "requestUri": f"{url}{'?' if '/' in item else '/?'}api-version=7.4",
            "httpStatusCode": status,
            "tlsVersion": "TLS1_3",
            "isRbacAuthorized": status == 200,
            "isAddressAuthorized": True,
            "appliedAssignmentId": guid(f"assignment/{who.id}/kv"),
        },
    }
    if status == 403:
        record["resultDescription"] = "Caller is not authorized to perform action on resource."
        record["properties"]["isAccessPolicyMatch"] = False
    log.add(resource_stream("insights-logs-auditevent", vault), time, record, "AzureDiagnostics", tag, correlation)


def blob(
    log,
    time,
    account,
    verb,
    path,
    *,
    dice,
    ip,
    who=None,
    auth="OAuth",
    status="200",
    agent="azsdk-net-Storage.Blobs/12.19.1",
    size=0,
    tag=None,
):
    """A storage data-plane call. `callerIpAddress` carries the source port."""
    name = account.rsplit("/", 1)[1]
    kind = "Delete" if verb.startswith("Delete") else "Read" if verb.startswith(("Get", "List")) else "Write"
    correlation = dice.guid()
    identity = {"type": auth}
    if auth == "OAuth" and who:
        identity |= {
            "requester": {
                "appId": who.app_id,
                "audience": "https://storage.azure.com/",
                "objectId": who.id,
                "tenantId": TENANT,
                "tokenIssuer": f"https://sts.windows.net/{TENANT}/",
            },
            "authorization": [
                {
                    "action": f"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/{kind.lower()}",
                    "denyAssignmentId": "",
                    "principals": [{"id": who.id, "type": "ServicePrincipal"}],
                    "reason": "",
                    "result": "Granted",
                    "roleAssignmentId": guid(f"assignment/{who.id}/blob"),
                    "roleDefinitionId": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
                    "type": "RBAC",
                }
            ],
        }
    if auth in ("SAS", "AccountKey"):
        identity["tokenHash"] = (
            f"key1({guid('key/' + name).replace('-', '')}),SasSignature({guid('sas/' + path.split('/')[0]).replace('-', '')})"
            if auth == "SAS"
            else f"key1({guid('key/' + name).replace('-', '')})"
        )
    server = dice.between(2, 60)
    properties = {
        "accountName": name,
        "userAgentHeader": agent,
        "clientRequestId": dice.guid(),
        "serviceType": "blob",
        "operationCount": 0,
        "requestHeaderSize": dice.between(480, 1900),
        "responseHeaderSize": dice.between(280, 600),
        "serverLatencyMs": server,
        "tlsVersion": "TLS 1.2",
        "objectKey": f"/{name}/{path}",
        "metricResponseType": "Success" if status[0] == "2" else "ClientOtherError",
    }
    if kind != "Delete":
        properties |= {"etag": f'"0x8DE{dice.hex(12).upper()}"', "lastModifiedTime": f"{moment(time):%Y/%m/%d %H:%M:%S}.{time % TICKS:07d}"}
        properties["responseBodySize" if kind == "Read" else "requestBodySize"] = size or dice.between(900, 400_000)
    else:
        properties["conditionsUsed"] = ""
    record = {
        "time": iso7(time),
        "resourceId": f"{account}/blobServices/default",
        "category": f"Storage{kind}",
        "operationName": verb,
        "operationVersion": "2023-11-03",
        "schemaVersion": "1.0",
        "statusCode": int(status) if dice.chance(0.5) else status,
        "statusText": {"200": "Success", "201": "Success", "202": "Success", "404": "BlobNotFound", "206": "Success"}.get(
            status, "Success"
        ),
        "durationMs": server + dice.between(0, 9),
        "callerIpAddress": f"{ip}:{dice.between(20000, 65000)}",
        "correlationId": correlation,
        "identity": identity,
        "location": REGION,
        "properties": properties,
        "uri": f"https://{name}.blob.core.windows.net:443/{path}" + ("?sv=2023-11-03&sr=c&sig=XXXXX&sp=r" if auth == "SAS" else ""),
        "protocol": "HTTPS",
        "resourceType": "Microsoft.Storage/storageAccounts/blobServices",
    }
    log.add(
        resource_stream(f"insights-logs-storage{kind.lower()}", record["resourceId"]), time, record, "StorageBlobLogs", tag, correlation
    )


def nsg_flow(log, time, nsg, mac, rules, *, tag=None):
    """A minute's record of an NSG flow log, version 2; `rules` maps a rule name to its tuples."""
    record = {
        "time": iso7(time),
        "systemId": guid("flow/system"),
        "macAddress": mac,
        "category": "NetworkSecurityGroupFlowEvent",
        "resourceId": nsg.upper(),
        "operationName": "NetworkSecurityGroupFlowEvents",
        "properties": {"Version": 2, "flows": [{"rule": r, "flows": [{"mac": mac, "flowTuples": t}]} for r, t in rules.items()]},
    }
    stream = resource_stream("insights-logs-networksecuritygroupflowevent", nsg, "document", f"macAddress={mac}/PT1H.json", (60, 90))
    log.add(stream, time, record, "AzureNetworkAnalytics_CL", tag)


def vnet_flow(log, time, mac, groups, *, tag=None):
    """A minute's record of a virtual network flow log, version 4 (times in milliseconds, protocol by number)."""
    network = f"/subscriptions/{PROD}/resourceGroups/rg-net/providers/Microsoft.Network/virtualNetworks/vnet-hub"
    name = f"/{PROD}_NETWORKWATCHERRG/NETWORKWATCHER_WESTEUROPE_VNET-HUB-FLOWLOG"
    record = {
        "time": iso7(time),
        "flowLogVersion": 4,
        "flowLogGUID": guid("flow/vnet"),
        "macAddress": mac,
        "category": "FlowLogFlowEvent",
        "flowLogResourceID": f"/SUBSCRIPTIONS/{PROD.upper()}/RESOURCEGROUPS/NETWORKWATCHERRG/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/"
        "NETWORKWATCHER_WESTEUROPE/FLOWLOGS/VNET-HUB-FLOWLOG",
        "targetResourceID": network,
        "operationName": "FlowLogFlowEvent",
        "flowRecords": {"flows": [{"aclID": guid("acl/hub"), "flowGroups": [{"rule": r, "flowTuples": t} for r, t in groups.items()]}]},
    }
    stream = resource_stream(
        "insights-logs-flowlogflowevent", name, "document", f"macAddress={mac}/PT1H.json", (60, 90), key="flowLogResourceID="
    )
    log.add(stream, time, record, "NTANetAnalytics", tag)


def every_minute(step=1):
    return (at(0, minute) for minute in range(0, 1440, step))
