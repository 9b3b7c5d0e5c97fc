"""What a quiet day writes in AWS: workloads assume roles, autoscaling starts small machines, a monitor looks around."""

from .aws import Role, Service, User, call
from .core import at
from .tenant import AWS_ACCOUNT, OFFICE_IP, RUNNER_IPS

SDK = "aws-sdk-java/2.30.12 md/io#async md/http#NettyNio ua/2.1 os/Linux#6.8 lang/java#21.0.6"
BOTO = "Boto3/1.37.4 md/Botocore#1.37.4 ua/2.0 os/linux#6.8 md/arch#x86_64 lang/python#3.12.9"
TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.11.0 (+https://www.terraform.io) terraform-provider-aws/5.89.0 aws-sdk-go-v2/1.36.1"
INSTANCE = Role("app-instance-role", "i-0a1b2c3d4e5f60718", "10.40.1.23", BOTO, "vpce-0f1e2d3c4b5a69788")
WORKER = Role("order-worker-role", "order-worker", "10.40.2.14", SDK, "vpce-0f1e2d3c4b5a69788")
DEPLOY = Role("github-deploy-role", "GitHubActions", RUNNER_IPS[1], TERRAFORM)
MONITOR = Role("monitoring-role", "metrics-collector", "198.51.100.220", "Datastream-Collector/4.2 aws-sdk-go-v2/1.36.1")
SSO = Role(
    "AWSReservedSSO_Operator_0a1b2c3d4e5f6071",
    "ravi.pronk@contoso.example",
    OFFICE_IP,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Edg/133.0.0.0",
)
AUTOSCALING, LAMBDA, CONFIG = Service("autoscaling.amazonaws.com"), Service("lambda.amazonaws.com"), Service("config.amazonaws.com")


def key_use(dice, key):
    return [{"accountId": AWS_ACCOUNT, "type": "AWS::KMS::Key", "ARN": f"arn:aws:kms:eu-west-1:{AWS_ACCOUNT}:key/{key}"}]


def background_aws(log, scale):
    dice = log.dice("aws")
    for _ in range(900 * scale):
        role = dice.pick(["order-worker-role", "app-instance-role", "thumbnail-role"])
        call(
            log,
            dice.any_hour(),
            LAMBDA,
            "sts",
            "AssumeRole",
            dice=dice,
            request={"roleArn": f"arn:aws:iam::{AWS_ACCOUNT}:role/{role}", "roleSessionName": role.replace("-role", "")},
            response={
                "credentials": {
                    "accessKeyId": "ASIA" + dice.token(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
                    "expiration": "Mar 2, 2026, 11:00:00 PM",
                    "sessionToken": "REDACTED",
                }
            },
            resources=[{"accountId": AWS_ACCOUNT, "type": "AWS::IAM::Role", "ARN": f"arn:aws:iam::{AWS_ACCOUNT}:role/{role}"}],
        )
    for _ in range(900 * scale):
        call(
            log,
            dice.any_hour(),
            WORKER,
            "kms",
            "Decrypt",
            dice=dice,
            read=True,
            request={
                "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
                "encryptionContext": {"aws:sqs:arn": f"arn:aws:sqs:eu-west-1:{AWS_ACCOUNT}:orders"},
            },
            resources=key_use(dice, "1f0e8d6c-orders"),
        )
    for _ in range(350 * scale):
        call(log, dice.any_hour(), WORKER, "secretsmanager", "GetSecretValue", dice=dice, request={"secretId": "prod/orders/db"})
    for _ in range(500 * scale):
        name = dice.pick(["DescribeInstances", "DescribeVolumes", "DescribeInstanceStatus", "DescribeRegions"])
        call(log, dice.any_hour(), MONITOR, "ec2", name, dice=dice, request={"maxResults": 200, "filterSet": {}})
    for _ in range(250 * scale):
        call(
            log,
            dice.any_hour(),
            INSTANCE,
            "ssm",
            "UpdateInstanceInformation",
            dice=dice,
            read=False,
            request={"instanceId": INSTANCE.session, "agentVersion": "3.3.1611.0", "agentStatus": "Active", "platformType": "Linux"},
        )
    for _ in range(160 * scale):
        call(
            log,
            dice.any_hour(),
            Role("thumbnail-role", "thumbnail", "10.40.3.9", BOTO, "vpce-0f1e2d3c4b5a69788"),
            "logs",
            "CreateLogStream",
            dice=dice,
            request={"logGroupName": "/aws/lambda/thumbnail", "logStreamName": f"2026/03/02/[$LATEST]{dice.hex(32)}"},
        )
    for _ in range(40 * scale):
        item = {
            "instanceId": "i-0" + dice.hex(16),
            "imageId": "ami-0c55b159cbfafe1f0",
            "instanceType": dice.pick(["t3.medium", "m7i.large"]),
        }
        call(
            log,
            dice.any_hour(),
            AUTOSCALING,
            "ec2",
            "RunInstances",
            dice=dice,
            request={
                "instanceType": item["instanceType"],
                "instancesSet": {"items": [{"imageId": item["imageId"], "minCount": 1, "maxCount": 1}]},
            },
            response={"instancesSet": {"items": [item]}},
        )
    for _ in range(160 * scale):
        name, service = dice.pick(
            [
                ("DescribeSecurityGroups", "ec2"),
                ("GetBucketLocation", "s3"),
                ("DescribeClusters", "ecs"),
                ("GetRole", "iam"),
                ("UpdateService", "ecs"),
                ("RegisterTaskDefinition", "ecs"),
                ("PutMetricAlarm", "monitoring"),
            ]
        )
        request = {"family": "orders", "cpu": "512", "memory": "1024"} if name == "RegisterTaskDefinition" else {"name": "orders"}
        call(log, dice.office_hours(), DEPLOY, service, name, dice=dice, request=request)
    for _ in range(120 * scale):
        service, name = dice.pick([("ec2", "DescribeInstances"), ("rds", "DescribeDBInstances"), ("monitoring", "DescribeAlarms")])
        call(log, dice.office_hours(), SSO, service, name, dice=dice, mfa=True, extra={"sessionCredentialFromConsole": "true"})
    anna = User("ops-anna", OFFICE_IP)
    for hour in (8, 12, 15):
        call(log, at(hour, 4, dice.between(0, 59)), anna, "s3", "ListBuckets", dice=dice, mfa=True)
    call(
        log,
        at(8, 2, 10),
        anna,
        "signin",
        "ConsoleLogin",
        dice=dice,
        kind="AwsConsoleSignIn",
        response={"ConsoleLogin": "Success"},
        read=False,
        additional={
            "LoginTo": "https://console.aws.amazon.com/console/home",
            "MobileVersion": "No",
            "MFAUsed": "Yes",
            "MFAIdentifier": f"arn:aws:iam::{AWS_ACCOUNT}:mfa/ops-anna",
        },
    )
