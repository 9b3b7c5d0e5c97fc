"""Shape of a CloudTrail record, as the trail writes it to S3."""

import hashlib

from .core import Dice, HOUR, Stream, guid, iso0, moment, seconds
from .tenant import AWS_ACCOUNT

REGIONS = ("eu-west-1", "us-east-1")
STREAMS = {r: Stream(f"AWSLogs/{AWS_ACCOUNT}/CloudTrail/{r}", "cloudtrail", (60, 600), r) for r in REGIONS}
GLOBAL = {"iam.amazonaws.com", "signin.amazonaws.com", "sts.amazonaws.com", "organizations.amazonaws.com", "route53.amazonaws.com"}


def _code(prefix, name, length=17):
    """A made-up unique id in the form of AWS (`AIDA...`, `ASIA...`)."""
    digest = hashlib.sha256(name.encode()).digest()
    return prefix + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[b % 32] for b in digest[:length])


class User:
    """An IAM user with a long-term key."""

    def __init__(self, name, ip, agent="aws-cli/2.24.5 md/awscrt#0.23.8 ua/2.0 os/linux#6.8 lang/python#3.12.6"):
        self.name, self.ip, self.agent = name, ip, agent

    def identity(self, time, mfa=False):
        who = {
            "type": "IAMUser",
            "principalId": _code("AIDA", self.name),
            "arn": f"arn:aws:iam::{AWS_ACCOUNT}:user/{self.name}",
            "accountId": AWS_ACCOUNT,
            "accessKeyId": _code("AKIA", self.name, 16),
            "userName": self.name,
        }
        if mfa:
            who["sessionContext"] = {"attributes": {"creationDate": iso0(time - time % HOUR), "mfaAuthenticated": "true"}}
        return who


class Role:
    """A role session: of a workload, of a person through single sign-on, or of an instance (session name `i-...`)."""

    def __init__(self, name, session, ip, agent, endpoint=None):
        self.name, self.session, self.ip, self.agent, self.endpoint = name, session, ip, agent, endpoint

    def identity(self, time, mfa=False):
        hour = time - time % HOUR
        return {
            "type": "AssumedRole",
            "principalId": f"{_code('AROA', self.name)}:{self.session}",
            "arn": f"arn:aws:sts::{AWS_ACCOUNT}:assumed-role/{self.name}/{self.session}",
            "accountId": AWS_ACCOUNT,
            "accessKeyId": _code("ASIA", f"{self.name}/{self.session}/{hour}", 16),
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": _code("AROA", self.name),
                    "arn": f"arn:aws:iam::{AWS_ACCOUNT}:role/{self.name}",
                    "accountId": AWS_ACCOUNT,
                    "userName": self.name,
                },
                "webIdFederationData": {},
                "attributes": {"creationDate": iso0(hour), "mfaAuthenticated": "true" if mfa else "false"},
            },
        }


class Service:
    """An AWS service that acts by itself."""

    def __init__(self, host):
        self.host = self.ip = self.agent = host

    def identity(self, time, mfa=False):
        return {"type": "AWSService", "invokedBy": self.host}


def call(
    log,
    time,
    who,
    service,
    name,
    *,
    dice,
    request=None,
    response=None,
    region="eu-west-1",
    read=None,
    error=None,
    tag=None,
    mfa=False,
    resources=None,
    extra=None,
    kind="AwsApiCall",
    ip=None,
    additional=None,
):
    """One API call. `requestParameters` and `responseElements` are JSON null when there is nothing to say."""
    source = f"{service}.amazonaws.com"
    if source in GLOBAL and service != "sts":
        region = "us-east-1"
    event = dice.guid()
    record = {
        "eventVersion": "1.11" if service != "s3" else "1.10",
        "userIdentity": who.identity(time, mfa),
        "eventTime": iso0(time),
        "eventSource": source,
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": ip or who.ip,
        "userAgent": who.agent,
    }
    if error:
        record |= {
            "errorCode": error,
            "errorMessage": f"User: {record['userIdentity'].get('arn', who.ip)} is not authorized to perform: {service}:{name}",
        }
    record |= {"requestParameters": request, "responseElements": None if error else response}
    if additional:
        record["additionalEventData"] = additional
    record |= {
        "requestID": dice.guid(),
        "eventID": event,
        "readOnly": read if read is not None else name.startswith(("Get", "List", "Describe", "Assume")),
    }
    if resources:
        record["resources"] = resources
    record |= {"eventType": kind, "managementEvent": True, "recipientAccountId": AWS_ACCOUNT}
    if getattr(who, "endpoint", None):
        record |= {"vpcEndpointId": who.endpoint, "vpcEndpointAccountId": AWS_ACCOUNT}
    if isinstance(who, Service):
        record["sharedEventID"] = guid(f"shared/{log.seed}/{len(log.records)}")
    record["eventCategory"] = "Management"
    if kind == "AwsApiCall" and not isinstance(who, Service):
        record["tlsDetails"] = {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"{service}.amazonaws.com" if source in GLOBAL else f"{service}.{region}.amazonaws.com",
        }
    log.add(STREAMS[region], time, record | (extra or {}), "AWSCloudTrail", tag, event)


def file_name(region, arrival, seed):
    """`{account}_CloudTrail_{region}_{yyyyMMddTHHmmZ}_{16 characters}.json.gz`."""
    when = moment(arrival)
    suffix = Dice(seed, f"file/{region}/{when:%H%M}").token(16)
    return f"{when:%Y/%m/%d}/{AWS_ACCOUNT}_CloudTrail_{region}_{when:%Y%m%dT%H%MZ}_{suffix}.json.gz"


def delivery_slot(region, arrival):
    """Trails deliver every few minutes: here every 15 minutes, hourly for the quiet region."""
    width = seconds(900) if region == REGIONS[0] else HOUR
    return arrival - arrival % width + width
