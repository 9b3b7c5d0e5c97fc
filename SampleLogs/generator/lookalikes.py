"""Benign look-alikes: what the attack's steps look like when nothing is wrong, each with the field that tells it apart."""

from .lookalikes_aws import amazon
from .lookalikes_azure import cluster, deletions, exports, network, secrets
from .lookalikes_identity import credentials, grants, mail, signins


def lookalikes(log):
    for part in (grants, credentials, signins, deletions, exports, cluster, network, secrets, mail, amazon):
        part(log)
