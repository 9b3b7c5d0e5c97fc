"""Benign look-alikes in the directory, in sign-ins and in mail."""

import json

from .azure import key_vault, role_assignment
from .core import at, guid, seconds
from .entra import LINUX, audit, credential, json_list, modified, signin, target
from .m365 import inbox_rule, security_alert
from .tenant import (
    ADMIN,
    AKS,
    DESK,
    ENGINEER,
    GUEST,
    JOINER,
    OFFICE_IP,
    OFFICE_IP6,
    PEOPLE,
    PIM,
    PIPELINE,
    ROTATOR,
    SANDBOX,
    SCANNER_IP,
    VAULTS,
    group,
)


def grants(log):
    dice = log.dice("benign/grants")
    tag = log.lookalike(
        "pim-scoped-grant",
        "Privileged Identity Management activates Contributor on one resource group for the platform admin.",
        "The caller's claim appid is MS-PIM's, and the assignment's scope is a resource group, not a subscription or root.",
    )
    role_assignment(log, at(8, 41, 3), PIM, group("rg-shop"), "Contributor", ADMIN, dice=dice, tag=tag)
    tag = log.lookalike(
        "admin-scoped-grant",
        "The platform admin gives an engineer Contributor on the lab's resource group.",
        "The role assignment's resource id lies under a resource group of the sandbox subscription, and the principal is not the caller.",
    )
    role_assignment(log, at(9, 17, 40), ADMIN, group("rg-lab-12", SANDBOX), "Contributor", ENGINEER, dice=dice, tag=tag)
    tag = log.lookalike(
        "pipeline-pull-grant",
        "The deployment pipeline lets the cluster's identity pull images.",
        "The role definition in the request body is AcrPull, which grants no management rights.",
    )
    role_assignment(log, at(10, 2, 12), PIPELINE, group("rg-aks"), "AcrPull", AKS, dice=dice, tag=tag)

    tag = log.lookalike(
        "pim-directory-activation",
        "The platform admin activates Security Administrator for two hours through PIM.",
        "The role change is initiated by the application MS-PIM (initiatedBy.app), after the admin's own activation request.",
    )
    role = [
        modified("Role.ObjectID", None, f'"{guid("role/secadmin")}"'),
        modified("Role.DisplayName", None, '"Security Administrator"'),
        modified("Role.TemplateId", None, '"194ae4cb-b126-40b2-bd5b-6091b380977d"'),
    ]
    audit(
        log,
        at(8, 30, 2),
        "Add member to role completed (PIM activation)",
        "RoleManagement",
        "PIM",
        dice=dice,
        user=ADMIN,
        kind="ActivateRole",
        tag=tag,
        targets=[target("Role", guid("role/secadmin"), "Security Administrator"), target("User", ADMIN.id, ADMIN.name, (), ADMIN.upn)],
        reason="Weekly review",
        details=[("RoleDefinitionOriginType", "BuiltInRole"), ("ipaddr", OFFICE_IP)],
    )
    audit(
        log,
        at(8, 30, 4),
        "Add member to role",
        "RoleManagement",
        "Core Directory",
        dice=dice,
        app=PIM,
        kind="Assign",
        tag=tag,
        targets=[target("User", ADMIN.id, None, role, ADMIN.upn), target("Role", guid("role/secadmin"), None)],
    )

    tag = log.lookalike(
        "policy-tightened",
        "A conditional access policy stays enabled and loses one of its excluded users.",
        "state is enabled in the old and the new value, and excludeUsers gets shorter.",
    )

    def policy(excluded):
        return json.dumps(
            {
                "displayName": "Require compliant device for admins",
                "state": "enabled",
                "conditions": {
                    "applications": {"includeApplications": ["All"]},
                    "users": {"includeRoles": ["62e90394-69f5-4237-9190-012177145e10"], "excludeUsers": excluded},
                },
                "grantControls": {"operator": "OR", "builtInControls": ["compliantDevice"]},
            },
            separators=(",", ":"),
        )

    audit(
        log,
        at(9, 5, 30),
        "Update conditional access policy",
        "Policy",
        "Conditional Access",
        dice=dice,
        user=ADMIN,
        tag=tag,
        targets=[
            target(
                "Policy",
                guid("policy/admins"),
                "Require compliant device for admins",
                [modified("ConditionalAccessPolicy", policy([DESK.id, ENGINEER.id]), policy([DESK.id]))],
            )
        ],
    )

    tag = log.lookalike(
        "guest-invited",
        "A guest from Fabrikam is invited, redeems the invitation and joins a project group.",
        "The group is an ordinary one: no directory role and no role assignment follows.",
    )
    audit(
        log,
        at(9, 50),
        "Invite external user",
        "UserManagement",
        "Invited Users",
        dice=dice,
        user=DESK,
        kind="Add",
        tag=tag,
        targets=[target("User", GUEST.id, GUEST.name, (), GUEST.upn)],
        details=[("InvitedUserEmailAddress", GUEST.mail)],
    )
    audit(
        log,
        at(10, 20),
        "Redeem external user invite",
        "UserManagement",
        "Invited Users",
        dice=dice,
        user=GUEST,
        kind="Update",
        tag=tag,
        targets=[target("User", GUEST.id, GUEST.name, [modified("UserState", '["PendingAcceptance"]', '["Accepted"]')], GUEST.upn)],
    )
    audit(
        log,
        at(10, 31),
        "Add member to group",
        "GroupManagement",
        "Core Directory",
        dice=dice,
        user=DESK,
        kind="Assign",
        tag=tag,
        targets=[
            target("User", GUEST.id, None, [modified("Group.DisplayName", None, '"prj-fabrikam"')], GUEST.upn),
            target("Group", guid("group/prj-fabrikam"), None),
        ],
    )

    tag = log.lookalike(
        "harmless-consent",
        "A user agrees that a meeting planner may read the user's own profile.",
        "ConsentAction.Permissions holds only openid, profile and User.Read, for this one principal.",
    )
    app = guid("application/meeting-planner")
    audit(
        log,
        at(13, 12),
        "Consent to application",
        "ApplicationManagement",
        "Core Directory",
        dice=dice,
        user=PEOPLE[9],
        kind="Assign",
        tag=tag,
        targets=[
            target(
                "ServicePrincipal",
                app,
                "Meeting planner",
                [
                    modified("ConsentContext.IsAdminConsent", None, '"False"'),
                    modified(
                        "ConsentAction.Permissions",
                        None,
                        f'"[] => [[Id: {dice.token(20)}, ClientId: {app}, PrincipalId: {PEOPLE[9].id}, ConsentType: Principal, '
                        'Scope: openid profile User.Read, CreatedDateTime: , LastModifiedDateTime ]];"',
                    ),
                ],
            )
        ],
    )


def credentials(log):
    dice = log.dice("benign/credentials")
    tag = log.lookalike(
        "app-key-rotation",
        "The rotation job replaces its application's certificate before it expires.",
        "KeyDescription holds as many keys after the change as before: the old key is gone, none was put beside it; an application made the change.",
    )
    old, new = (
        json_list([credential(guid(n), "AsymmetricX509Cert", "CN=rotation.contoso.example")])
        for n in ("certificate/old", "certificate/new")
    )
    audit(
        log,
        at(4, 0, 9),
        "Update application \u2013 Certificates and secrets management ",
        "ApplicationManagement",
        "Core Directory",
        dice=dice,
        app=ROTATOR,
        targets=[target("Application", ROTATOR.application_object, ROTATOR.name, [modified("KeyDescription", old, new)])],
        tag=tag,
    )
    for i, name in enumerate(("orders-db", "billing-db", "payment-api")):
        key_vault(log, at(4, 1) + seconds(i * 4), ROTATOR, VAULTS["kv-shop-prod"], "SecretSet", f"secrets/{name}", dice=dice, tag=tag)

    tag = log.lookalike(
        "own-mfa-method",
        "A new colleague registers an authenticator on the first working day.",
        "Initiator and target are the same user (User registered security info), from the office, without sign-in risk.",
    )
    signin(log, at(8, 12, 4), JOINER, "OfficeHome", dice=dice, code=50074, tag=tag)
    audit(
        log,
        at(8, 14, 30),
        "User registered security info",
        "UserManagement",
        "Authentication Methods",
        dice=dice,
        user=JOINER,
        kind="Add",
        tag=tag,
        targets=[target("User", JOINER.id, None, (), JOINER.upn)],
        reason="User registered Authenticator App with Notification and Code",
    )
    signin(log, at(8, 15, 20), JOINER, "OfficeHome", dice=dice, mfa="MFA completed in Azure AD", tag=tag)


def signins(log):
    dice = log.dice("benign/sign-ins")
    tag = log.lookalike(
        "scanner-three-failures",
        "An internet scanner tries three accounts and gives up.",
        "Three distinct users fail from one address: far from a spray, and nothing succeeds.",
    )
    for i, who in enumerate(PEOPLE[11:14]):
        signin(
            log,
            at(1, 20) + seconds(i * 7),
            who,
            "OfficeHome",
            dice=dice,
            code=50126,
            ip=SCANNER_IP,
            place="scanner",
            agent=LINUX,
            managed=False,
            tag=tag,
        )
    tag = log.lookalike(
        "mistyped-password",
        "A user mistypes the password four times, then gets in.",
        "One user, four failures, the user's own registered device and usual address before and after.",
    )
    for i in range(4):
        signin(log, at(8, 3) + seconds(i * 16), PEOPLE[6], "OfficeHome", dice=dice, code=50126, tag=tag)
    signin(log, at(8, 4, 30), PEOPLE[6], "OfficeHome", dice=dice, mfa="MFA completed in Azure AD", tag=tag)
    tag = log.lookalike(
        "monday-behind-the-gateway",
        "Six people in the office mistype their password in the same hour.",
        "The address is the company's own gateway, six users are below a spray's breadth, and each gets in afterwards.",
    )
    for i, who in enumerate(PEOPLE[14:26:2]):
        time = at(7, 31) + seconds(i * 430)
        signin(log, time, who, "OfficeHome", dice=dice, code=50126, ip=OFFICE_IP, place="office", tag=tag)
        signin(log, time + seconds(25), who, "OfficeHome", dice=dice, ip=OFFICE_IP, place="office", tag=tag)
    tag = log.lookalike(
        "prompt-missed-twice",
        "A user misses two authenticator prompts and answers the third.",
        "Two failures 500121 only, with 'no response' as their detail, from the user's usual address and device.",
    )
    for i in range(2):
        signin(
            log,
            at(11, 2) + seconds(i * 75),
            PEOPLE[20],
            "Azure Portal",
            dice=dice,
            code=500121,
            mfa="MFA denied; user did not respond to mobile app notification",
            tag=tag,
        )
    signin(log, at(11, 5, 1), PEOPLE[20], "Azure Portal", dice=dice, mfa="MFA completed in Azure AD", tag=tag)
    tag = log.lookalike(
        "risk-remediated",
        "A sign-in of medium risk (a new phone) is confirmed by multi-factor authentication.",
        "riskState is remediated and riskDetail says that the user passed MFA driven by risk-based policy.",
    )
    signin(
        log,
        at(12, 40, 12),
        PEOPLE[27],
        "Microsoft Teams",
        dice=dice,
        mfa="MFA completed in Azure AD",
        risk="medium",
        risk_state="remediated",
        risk_detail="userPassedMFADrivenByRiskBasedPolicy",
        risk_types=["unfamiliarFeatures"],
        tag=tag,
    )
    security_alert(
        log,
        at(12, 52),
        "Unfamiliar sign-in properties",
        "Low",
        dice=dice,
        provider="IPC",
        status="Dismissed",
        tag=tag,
        tactics="InitialAccess",
        product="Azure Active Directory Identity Protection",
        description="Unfamiliar properties, resolved by multi-factor authentication.",
        entities=[{"Type": "account", "Name": PEOPLE[27].upn.split("@")[0], "UPNSuffix": "contoso.example", "AadUserId": PEOPLE[27].id}],
    )


def mail(log):
    dice = log.dice("benign/mail")
    tag = log.lookalike(
        "newsletter-rule", "An inbox rule files newsletters in a folder.", "The rule has no ForwardTo or RedirectTo parameter."
    )
    inbox_rule(
        log,
        at(9, 3),
        PEOPLE[2],
        "Newsletters",
        [("Name", "Newsletters"), ("From", "news@fabrikam.example"), ("MoveToFolder", "Newsletters")],
        dice=dice,
        ip=OFFICE_IP6,
        tag=tag,
    )
    tag = log.lookalike(
        "forward-to-colleague", "A colleague going on leave forwards mail to a colleague.", "ForwardTo is an address of the own domain."
    )
    inbox_rule(log, at(16, 40), PEOPLE[3], "On leave", [("Name", "On leave"), ("ForwardTo", PEOPLE[5].upn)], dice=dice, tag=tag)
