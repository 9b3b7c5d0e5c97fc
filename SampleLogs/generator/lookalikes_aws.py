"""Benign look-alikes in AWS."""

from .aws import Role, Service, User, call
from .background_aws import DEPLOY, SSO
from .core import at, seconds
from .tenant import OFFICE_IP


def amazon(log):
    dice = log.dice("benign/amazon")
    tag = log.lookalike(
        "config-access-denied",
        "AWS Config is refused hundreds of times while it takes inventory of services that are not in use.",
        "userIdentity.type is AWSService: the service itself calls, no principal of the account.",
    )
    names = [
        ("ec2", "DescribeSnapshots"),
        ("rds", "DescribeDBInstances"),
        ("iam", "ListUsers"),
        ("iam", "ListRoles"),
        ("s3", "ListBuckets"),
        ("secretsmanager", "ListSecrets"),
        ("logs", "DescribeLogGroups"),
        ("kms", "ListKeys"),
        ("iam", "ListGroups"),
        ("ec2", "DescribeInstances"),
    ]
    for i in range(300):
        service, name = names[i % len(names)]
        call(log, at(2, 0) + seconds(i * 11), Service("config.amazonaws.com"), service, name, dice=dice, error="AccessDenied", tag=tag)
    tag = log.lookalike(
        "role-access-denied",
        "A deploy role without a permission retries the same call all morning.",
        "One event name only (DescribeClusters), denied 45 times.",
    )
    for i in range(45):
        call(log, at(8, 30) + seconds(i * 200), DEPLOY, "ecs", "DescribeClusters", dice=dice, error="AccessDenied", tag=tag)
    tag = log.lookalike(
        "own-access-key", "An operator renews the operator's own access key.", "requestParameters.userName equals the caller's user name."
    )
    call(
        log,
        at(9, 22),
        User("ops-anna", OFFICE_IP),
        "iam",
        "CreateAccessKey",
        dice=dice,
        request={"userName": "ops-anna"},
        mfa=True,
        tag=tag,
        response={
            "accessKey": {
                "accessKeyId": "AKIA" + dice.token(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
                "status": "Active",
                "userName": "ops-anna",
            }
        },
    )
    tag = log.lookalike("snapshot-unshared", "The share of an old snapshot is taken back.", "createVolumePermission has remove, not add.")
    call(
        log,
        at(10, 30),
        SSO,
        "ec2",
        "ModifySnapshotAttribute",
        dice=dice,
        mfa=True,
        tag=tag,
        request={
            "snapshotId": "snap-0" + dice.hex(16),
            "createVolumePermission": {"remove": {"items": [{"userId": "123456789012"}]}},
            "attributeType": "CREATE_VOLUME_PERMISSION",
        },
        response={"_return": True},
    )
    tag = log.lookalike(
        "federated-console-login",
        "An operator signs in to the console through single sign-on.",
        "MFAUsed is No, but userIdentity.type is AssumedRole: the identity provider asked for the second factor.",
    )
    call(
        log,
        at(8, 55),
        SSO,
        "signin",
        "ConsoleLogin",
        dice=dice,
        kind="AwsConsoleSignIn",
        response={"ConsoleLogin": "Success"},
        read=False,
        tag=tag,
        additional={"MobileVersion": "No", "MFAUsed": "No"},
    )
    tag = log.lookalike(
        "patch-baseline",
        "Patching runs the AWS baseline document on twelve machines.",
        "documentName is AWS-RunPatchBaseline, sent by the maintenance window's role.",
    )
    window = Role("maintenance-window-role", "MW-0a1b2c3d", "ssm.amazonaws.com", "ssm.amazonaws.com")
    for i in range(4):
        call(
            log,
            at(1, 0) + seconds(i * 20),
            window,
            "ssm",
            "SendCommand",
            dice=dice,
            read=False,
            tag=tag,
            request={
                "documentName": "AWS-RunPatchBaseline",
                "instanceIds": ["i-0" + dice.hex(16) for _ in range(3)],
                "parameters": "HIDDEN_DUE_TO_SECURITY_REASONS",
            },
        )
    tag = log.lookalike(
        "load-balancer-ingress", "HTTPS is opened on a load balancer's security group.", "Ports 443 only, on the group of a load balancer."
    )
    call(
        log,
        at(11, 44),
        DEPLOY,
        "ec2",
        "AuthorizeSecurityGroupIngress",
        dice=dice,
        read=False,
        tag=tag,
        response={"_return": True},
        request={
            "groupId": "sg-0" + dice.hex(16),
            "ipPermissions": {
                "items": [
                    {
                        "ipProtocol": "tcp",
                        "fromPort": 443,
                        "toPort": 443,
                        "groups": {},
                        "ipv6Ranges": {},
                        "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]},
                        "prefixListIds": {},
                    }
                ]
            },
        },
    )
