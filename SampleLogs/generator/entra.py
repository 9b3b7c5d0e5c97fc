"""Shapes of Entra ID records: directory audit and the four sign-in categories, as diagnostic settings write them."""

import json

from .core import Stream, guid, iso7
from .tenant import APPS, PLACES, TENANT

ENTRA_DELAY = (60, 900)


def _stream(name, members=1):
    return Stream(f"insights-logs-{name}/tenantId={TENANT}", "lines", ENTRA_DELAY, "PT1H.json", members)


AUDIT = _stream("auditlogs")
SIGNIN = _stream("signinlogs", members=2)
NON_INTERACTIVE = _stream("noninteractiveusersigninlogs", members=3)
SERVICE_PRINCIPAL = _stream("serviceprincipalsigninlogs")
MANAGED_IDENTITY = _stream("managedidentitysigninlogs")

ERRORS = {
    0: None,
    50126: "Error validating credentials due to invalid username or password.",
    50053: "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
    50034: "The user account {EUII Hidden} does not exist in the directory.",
    50074: "Strong Authentication is required.",
    50076: "Due to a configuration change made by your administrator, you must use MFA.",
    50140: "This occurred due to 'Keep me signed in' interrupt when the user was signing-in.",
    500121: "Authentication failed during strong authentication request.",
    65001: "The user or administrator has not consented to use the application.",
    53003: "Access has been blocked by Conditional Access policies.",
    700016: "Application with identifier was not found in the directory.",
    7000215: "Invalid client secret is provided.",
}
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36 Edg/133.0.0.0"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0"
SYSTEMS = {
    EDGE: ("Windows10", "Edge 133.0.0"),
    MAC: ("MacOs", "Safari 18.3"),
    PHONE: ("Ios 18.3", "Mobile Safari"),
    LINUX: ("Linux", "Firefox 135.0"),
}
POLICIES = [
    ("Require MFA for all users", ["Mfa"]),
    ("Block legacy authentication", ["Block"]),
    ("Require compliant device for admins", ["RequireCompliantDevice"]),
    ("Block countries outside the list", ["Block"]),
]


def modified(name, old, new):
    """One `modifiedProperties` entry: both values are JSON text inside a string."""
    return {"displayName": name, "oldValue": old, "newValue": new}


def target(kind, identifier, name, properties=(), upn=None):
    entry = {"id": identifier, "displayName": name, "type": kind}
    if upn:
        entry["userPrincipalName"] = upn
    return entry | {"modifiedProperties": list(properties), "administrativeUnits": []}


def audit(
    log,
    time,
    operation,
    category,
    service,
    *,
    dice,
    targets,
    user=None,
    app=None,
    ip=None,
    kind="Update",
    details=(),
    result="success",
    reason="",
    correlation=None,
    tag=None,
    agent="",
):
    """One directory audit record, started by a user or by an application (the other key is missing or null)."""
    correlation = correlation or dice.guid()
    ip = ip or (user.ip if user else None)
    if user:
        initiator = {"user": {"id": user.id, "displayName": None, "userPrincipalName": user.upn, "ipAddress": ip, "roles": []}}
    else:
        initiator = {"app": {"displayName": app.name, "appId": app.app_id, "servicePrincipalId": app.id, "servicePrincipalName": None}}
        if dice.chance(0.5):
            initiator = {"user": None} | initiator
    record = {
        "time": iso7(time),
        "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "operationName": operation,
        "operationVersion": "1.0",
        "category": "AuditLogs",
        "tenantId": TENANT,
        "resultSignature": "None",
        "durationMs": 0,
    }
    if ip and user:
        record["callerIpAddress"] = ip
    record |= {
        "correlationId": correlation,
        "identity": user.name if user else app.name,
        "Level": 4,
        "properties": {
            "tenantId": TENANT,
            "resultType": "",
            "resultDescription": "",
            "operationName": operation,
            "identity": "",
            "tenantGeo": "EU",
            "id": f"{service.replace(' ', '')}_{correlation}_{dice.token(5).upper()}_{dice.between(10**7, 10**8)}",
            "category": category,
            "correlationId": correlation,
            "result": result,
            "resultReason": reason,
            "activityDisplayName": operation,
            "activityDateTime": iso7(time, "+00:00"),
            "loggedByService": service,
            "operationType": kind,
            "userAgent": agent or None,
            "initiatedBy": initiator,
            "targetResources": list(targets),
            "additionalDetails": [{"key": k, "value": v} for k, v in details],
        },
    }
    log.add(AUDIT, time, record, "AuditLogs", tag, correlation)
    return correlation


def _location(place):
    city, state, country, latitude, longitude, asn = PLACES[place]
    return (
        {"city": city, "state": state, "countryOrRegion": country, "geoCoordinates": {"latitude": latitude, "longitude": longitude}},
        country,
        asn,
    )


def _steps(time, code, mfa):
    steps = [
        {
            "authenticationStepDateTime": iso7(time, "+00:00"),
            "authenticationMethod": "Password",
            "authenticationMethodDetail": "Password Hash Sync",
            "succeeded": code not in (50126, 50053, 50034),
            "authenticationStepResultDetail": "Invalid username or password" if code == 50126 else "Correct password",
            "authenticationStepRequirement": "Primary authentication",
            "StatusSequence": 0,
            "RequestSequence": 1,
        }
    ]
    if mfa:
        steps.append(
            {
                "authenticationStepDateTime": iso7(time, "+00:00"),
                "authenticationMethod": "Mobile app notification",
                "succeeded": code == 0,
                "authenticationStepResultDetail": mfa,
                "authenticationStepRequirement": "Multifactor authentication",
                "StatusSequence": 0,
                "RequestSequence": 1,
            }
        )
    return steps


def signin(
    log,
    time,
    who,
    app,
    *,
    dice,
    resource=None,
    code=0,
    ip=None,
    place=None,
    agent=EDGE,
    interactive=True,
    mfa=None,
    risk="none",
    tag=None,
    client="Browser",
    session=None,
    managed=True,
    risk_state="none",
    risk_detail="none",
    risk_types=(),
    upn=None,
):
    """A user's sign-in, interactive or not."""
    ip, place = ip or who.ip, place or who.place
    location, country, asn = _location(place)
    resource = resource or dice.pick(["Microsoft Graph", "Office 365 Exchange Online", "Office 365 SharePoint Online"])
    correlation = dice.guid()
    identifier = dice.guid()
    system, browser = SYSTEMS[agent]
    known = managed and place != "stranger" and agent in (EDGE, MAC)
    device = (
        {
            "deviceId": who.device,
            "displayName": who.host,
            "operatingSystem": system,
            "browser": browser,
            "isCompliant": True,
            "isManaged": True,
            "trustType": "Azure AD joined",
        }
        if known
        else {"deviceId": "", "operatingSystem": system, "browser": browser}
    )
    status = {"errorCode": code}
    if ERRORS.get(code):
        status["failureReason"] = ERRORS[code]
    status["additionalDetails"] = (
        "MFA requirement satisfied by claim in the token" if code == 0 and not mfa and place != "stranger" else (mfa or None)
    )
    applied = (
        []
        if code in (50126, 50053, 50034)
        else [
            {
                "id": guid("policy/" + name),
                "displayName": name,
                "enforcedGrantControls": grants,
                "enforcedSessionControls": [],
                "result": "notApplied" if grants != ["Mfa"] or place == "stranger" else "success" if code == 0 else "failure",
                "conditionsSatisfied": 0 if grants != ["Mfa"] else 3,
                "conditionsNotSatisfied": 0 if grants == ["Mfa"] else 16,
            }
            for name, grants in POLICIES
        ]
    )
    category = "SignInLogs" if interactive else "NonInteractiveUserSignInLogs"
    properties = {
        "id": identifier,
        "createdDateTime": iso7(time, "+00:00"),
        "userDisplayName": who.name,
        "userPrincipalName": upn or who.upn,
        "userId": who.id,
        "appId": APPS.get(app) or guid("application/" + app),
        "appDisplayName": app,
        "ipAddress": ip,
        "status": status,
        "clientAppUsed": client,
        "userAgent": agent,
        "deviceDetail": device,
        "location": location,
        "mfaDetail": {"authMethod": "Mobile app notification"} if mfa and code == 0 else {},
        "correlationId": correlation,
        "conditionalAccessStatus": "notApplied" if not applied or place == "stranger" else "success" if code == 0 else "failure",
        "appliedConditionalAccessPolicies": applied,
        "authenticationContextClassReferences": [],
        "originalRequestId": identifier,
        "isInteractive": interactive,
        "tokenIssuerName": "",
        "tokenIssuerType": "AzureAD",
        "authenticationProcessingDetails": [
            {"key": "Root Key Type", "value": "Unknown"},
            {"key": "Legacy TLS (TLS 1.0, 1.1, 3DES)", "value": "False"},
        ],
        "networkLocationDetails": (
            [{"networkType": "trustedNamedLocation", "networkNames": ["Contoso offices"]}] if place == "office" else []
        ),
        "clientCredentialType": "none",
        "processingTimeInMilliseconds": dice.between(60, 900),
        "riskDetail": risk_detail,
        "riskLevelAggregated": risk,
        "riskLevelDuringSignIn": risk,
        "riskState": risk_state,
        "riskEventTypes": list(risk_types),
        "riskEventTypes_v2": list(risk_types),
        "resourceDisplayName": resource,
        "resourceId": APPS.get(resource, guid("resource/" + resource)),
        "resourceTenantId": TENANT,
        "homeTenantId": guid("tenant/partner") if who.guest else TENANT,
        "tenantId": TENANT,
        "authenticationDetails": _steps(time, code, mfa) if interactive else [],
        "authenticationRequirementPolicies": (
            [{"requirementProvider": "multiConditionalAccess", "detail": "Conditional Access"}] if applied and place != "stranger" else []
        ),
        "sessionLifetimePolicies": [],
        "authenticationRequirement": "singleFactorAuthentication" if place == "stranger" or not applied else "multiFactorAuthentication",
        "servicePrincipalId": "",
        "userType": "Guest" if who.guest else "Member",
        "flaggedForReview": False,
        "isTenantRestricted": False,
        "autonomousSystemNumber": asn,
        "crossTenantAccessType": "b2bCollaboration" if who.guest else "none",
        "privateLinkDetails": {},
        "ssoExtensionVersion": "",
        "uniqueTokenIdentifier": dice.token(22),
        "authenticationStrengths": [],
        "incomingTokenType": "none" if interactive else "primaryRefreshToken",
        "authenticationProtocol": "none",
        "appServicePrincipalId": None,
        "resourceServicePrincipalId": guid("resourceprincipal/" + resource),
        "signInTokenProtectionStatus": "none",
        "originalTransferMethod": "none",
        "isThroughGlobalSecureAccess": False,
        "conditionalAccessAudiences": [],
        "sessionId": session or (who.session if code == 0 else dice.guid()),
        "appOwnerTenantId": "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
    }
    record = {
        "time": iso7(time),
        "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity",
        "operationVersion": "1.0",
        "category": category,
        "tenantId": TENANT,
        "resultType": str(code),
        "resultSignature": "None" if code == 0 else "FAILURE",
    }
    if ERRORS.get(code):
        record["resultDescription"] = ERRORS[code]
    record |= {
        "durationMs": 0,
        "callerIpAddress": ip,
        "correlationId": correlation,
        "identity": who.name,
        "Level": 4,
        "location": country,
        "properties": properties,
    }
    log.add(
        SIGNIN if interactive else NON_INTERACTIVE,
        time,
        record,
        "SigninLogs" if interactive else "AADNonInteractiveUserSignInLogs",
        tag,
        correlation,
    )


def app_signin(log, time, app, resource, *, dice, code=0, ip=None, place="cloud", tag=None):
    """A sign-in of a service principal (with a secret) or of a managed identity."""
    ip = ip or app.ip
    location, country, asn = _location(place)
    correlation = dice.guid()
    record = {
        "time": iso7(time),
        "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity",
        "operationVersion": "1.0",
        "category": "ManagedIdentitySignInLogs" if app.managed else "ServicePrincipalSignInLogs",
        "tenantId": TENANT,
        "resultType": str(code),
        "resultSignature": "None",
        "durationMs": 0,
    }
    if not app.managed:
        record["callerIpAddress"] = ip
    record |= {
        "correlationId": correlation,
        "Level": "4",
        "location": "" if app.managed else country,
        "properties": {
            "id": dice.guid(),
            "createdDateTime": iso7(time, "+00:00"),
            "userDisplayName": "",
            "appId": app.app_id,
            "ipAddress": "" if app.managed else ip,
            "status": {"errorCode": code} | ({"failureReason": ERRORS[code]} if code else {}),
            "location": {"geoCoordinates": {}} if app.managed else location,
            "correlationId": correlation,
            "isInteractive": False,
            "conditionalAccessStatus": "notApplied",
            "appliedConditionalAccessPolicies": [],
            "processingTimeInMilliseconds": 0,
            "riskDetail": "none",
            "riskLevelAggregated": "none",
            "riskLevelDuringSignIn": "none",
            "riskState": "none",
            "riskEventTypes": [],
            "resourceDisplayName": resource,
            "resourceId": APPS.get(resource, guid("resource/" + resource)),
            "resourceTenantId": TENANT,
            "homeTenantId": TENANT,
            "tenantId": TENANT,
            "servicePrincipalId": app.id,
            "servicePrincipalName": app.name,
            "servicePrincipalCredentialKeyId": app.key,
            "servicePrincipalCredentialThumbprint": "",
            "clientCredentialType": "managedIdentity" if app.managed else "clientSecret",
            "autonomousSystemNumber": 0 if app.managed else asn,
            "uniqueTokenIdentifier": dice.token(22),
            "incomingTokenType": "none",
            "federatedCredentialId": "",
            "authenticationProcessingDetails": [],
            "resourceServicePrincipalId": guid("resourceprincipal/" + resource),
            "sessionId": "",
            "crossTenantAccessType": "none",
        },
    }
    table = "AADManagedIdentitySignInLogs" if app.managed else "AADServicePrincipalSignInLogs"
    log.add(MANAGED_IDENTITY if app.managed else SERVICE_PRINCIPAL, time, record, table, tag, correlation)


def credential(identifier, kind, name):
    """The text form that the directory uses for a key credential in `KeyDescription`."""
    return f"[KeyIdentifier={identifier},KeyType={kind},KeyUsage=Verify,DisplayName={name}]"


def json_list(values):
    return json.dumps(list(values), separators=(",", ":"))
