"""Benign look-alikes on Azure's control plane and in its data planes."""

from .azure import blob, key_vault, operation
from .core import at, guid, seconds
from .tenant import (
    ADMIN,
    AKS,
    BACKUP,
    ENGINEER,
    FUNCTIONS,
    PATCHING,
    PIPELINE,
    POSTURE,
    RUNNER_IPS,
    SANDBOX,
    STORAGE,
    VAULTS,
    VMS,
    group,
    resource,
)


def deletions(log):
    dice = log.dice("benign/deletions")
    tag = log.lookalike(
        "lifecycle-blob-deletion",
        "Lifecycle management deletes 420 blobs that have reached their age.",
        "userAgentHeader is the service's own scanner and identity.type is TrustedAccess: no user, key or link was used.",
    )
    for i in range(420):
        blob(
            log,
            at(3, 10) + seconds(i * 1.4),
            STORAGE,
            "DeleteBlob",
            f"spool/2025/11/{10000 + i}.tmp",
            dice=dice,
            ip="10.0.0.14",
            auth="TrustedAccess",
            agent="ObjectLifeCycleScanner/0.50",
            status="202",
            tag=tag,
        )

    tag = log.lookalike(
        "environment-replaced",
        "Terraform replaces a preview environment: setting and resource group deleted, then both written again.",
        "The diagnostic setting belongs to a resource whose group is deleted under the same correlation id, by the pipeline in the sandbox; "
        "the new setting is written under that id as well.",
    )
    run, old, new = dice.guid(), "rg-preview-118", "rg-preview-119"
    setting = "providers/Microsoft.Insights/diagnosticSettings/to-sentinel"
    facts = {"dice": dice, "correlation": run, "ip": RUNNER_IPS[0], "tag": tag, "scope": f"/subscriptions/{SANDBOX}"}
    site = resource(old, "Microsoft.Web/sites", "app-preview-118", SANDBOX)
    operation(log, at(14, 3, 1), PIPELINE, "Microsoft.Insights/diagnosticSettings/delete", f"{site}/{setting}", **facts)
    operation(
        log, at(14, 3, 9), PIPELINE, "Microsoft.Resources/subscriptions/resourceGroups/delete", group(old, SANDBOX), accept=True, **facts
    )
    operation(
        log,
        at(14, 5, 2),
        PIPELINE,
        "Microsoft.Resources/subscriptions/resourceGroups/write",
        group(new, SANDBOX),
        code="Created",
        body={"location": "westeurope", "tags": {"preview": "119"}},
        **facts,
    )
    operation(
        log,
        at(14, 6, 40),
        PIPELINE,
        "Microsoft.Insights/diagnosticSettings/write",
        resource(new, "Microsoft.Web/sites", "app-preview-119", SANDBOX) + "/" + setting,
        body={"properties": {"workspaceId": "law-contoso"}},
        **facts,
    )

    tag = log.lookalike(
        "test-vault-deleted",
        "The pipeline's integration test makes a key vault and deletes it 20 minutes later, without purging.",
        "The same service principal wrote this vault (kv-test-...) earlier in the day, in the sandbox; no purge follows.",
    )
    vault = resource("rg-test", "Microsoft.KeyVault/vaults", "kv-test-7f3a", SANDBOX)
    body = {
        "location": "westeurope",
        "properties": {
            "sku": {"family": "A", "name": "standard"},
            "enableSoftDelete": True,
            "enableRbacAuthorization": True,
            "networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices"},
        },
    }
    operation(
        log,
        at(13, 10, 5),
        PIPELINE,
        "Microsoft.KeyVault/vaults/write",
        vault,
        dice=dice,
        body=body,
        ip=RUNNER_IPS[1],
        code="Created",
        tag=tag,
    )
    operation(log, at(13, 30, 44), PIPELINE, "Microsoft.KeyVault/vaults/delete", vault, dice=dice, ip=RUNNER_IPS[1], tag=tag)

    tag = log.lookalike(
        "own-lock-removed",
        "The backup service removes the lock that it had put on a storage account itself.",
        "The lock's name is AzureBackupProtectionLock and the caller's appid is the backup service's; nothing under the scope is deleted.",
    )
    operation(
        log,
        at(16, 4, 10),
        BACKUP,
        "Microsoft.Authorization/locks/delete",
        f"{STORAGE}/providers/Microsoft.Authorization/locks/AzureBackupProtectionLock",
        dice=dice,
        tag=tag,
    )

    tag = log.lookalike(
        "lab-cleaned-up",
        "An engineer deletes four disks that were left over in the lab.",
        "Four distinct resources of a sandbox group, far below a mass deletion.",
    )
    for i in range(4):
        operation(
            log,
            at(15, 20) + seconds(i * 30),
            ENGINEER,
            "Microsoft.Compute/disks/delete",
            resource("rg-lab-12", "Microsoft.Compute/disks", f"old-{i}", SANDBOX),
            dice=dice,
            accept=True,
            tag=tag,
        )


def exports(log):
    dice = log.dice("benign/exports")
    tag = log.lookalike(
        "backup-disk-sas",
        "The nightly backup takes download links of its own snapshots.",
        "The claim appid is the Backup Management Service's, and the snapshots lie in its own resource group.",
    )
    for i in range(1, 6):
        snapshot = resource("AzureBackupRG_westeurope_1", "Microsoft.Compute/snapshots", f"AzureBackup_vm-shop-{i:02d}")
        operation(
            log,
            at(1, 5) + seconds(i * 45),
            BACKUP,
            "Microsoft.Compute/snapshots/beginGetAccess/action",
            snapshot,
            dice=dice,
            accept=True,
            tag=tag,
            body={"access": "Read", "durationInSeconds": 3600},
            client=BACKUP.app_id,
        )
    tag = log.lookalike(
        "portal-lists-keys",
        "The platform admin opens one storage account in the portal, which lists its keys three times.",
        "One storage account only.",
    )
    for i in range(3):
        operation(
            log, at(10, 40) + seconds(i * 55), ADMIN, "Microsoft.Storage/storageAccounts/listKeys/action", STORAGE, dice=dice, tag=tag
        )
    tag = log.lookalike(
        "storage-hardened",
        "The pipeline writes a storage account with public access off.",
        "The request body says allowBlobPublicAccess false, defaultAction Deny.",
    )
    operation(
        log,
        at(11, 15),
        PIPELINE,
        "Microsoft.Storage/storageAccounts/write",
        STORAGE,
        dice=dice,
        ip=RUNNER_IPS[2],
        tag=tag,
        body={
            "properties": {
                "allowBlobPublicAccess": False,
                "allowSharedKeyAccess": False,
                "minimumTlsVersion": "TLS1_2",
                "networkAcls": {"defaultAction": "Deny"},
            }
        },
    )


def cluster(log):
    dice = log.dice("benign/cluster")
    tag = log.lookalike(
        "aks-node-pool",
        "A node pool is added to the cluster; the cluster's service makes the machines and their start-up extension.",
        "The scale set and its CustomScript extension are written by the AKS service (claim appid) in the node group MC_..., with ordinary machine sizes.",
    )
    aks = resource("rg-aks", "Microsoft.ContainerService/managedClusters", "aks-contoso")
    operation(
        log,
        at(10, 22),
        PIPELINE,
        "Microsoft.ContainerService/managedClusters/agentPools/write",
        f"{aks}/agentPools/batch",
        dice=dice,
        accept=True,
        tag=tag,
        body={"properties": {"count": 3, "vmSize": "Standard_D8s_v5", "mode": "User"}},
        ip=RUNNER_IPS[0],
        code="Created",
    )
    pool = resource("MC_rg-aks_aks-contoso_westeurope", "Microsoft.Compute/virtualMachineScaleSets", "aks-batch-31415926-vmss")
    operation(
        log,
        at(10, 22, 41),
        AKS,
        "Microsoft.Compute/virtualMachineScaleSets/write",
        pool,
        dice=dice,
        accept=True,
        tag=tag,
        code="Created",
        body={"location": "westeurope", "sku": {"name": "Standard_D8s_v5", "capacity": 3}},
    )
    operation(
        log,
        at(10, 23, 30),
        AKS,
        "Microsoft.Compute/virtualMachineScaleSets/extensions/write",
        f"{pool}/extensions/vmssCSE",
        dice=dice,
        tag=tag,
        body={"properties": {"publisher": "Microsoft.Azure.Extensions", "type": "CustomScript", "typeHandlerVersion": "2.0"}},
        code="Created",
    )
    tag = log.lookalike(
        "monitoring-agent",
        "Policy remediation installs the monitoring agent on all machines of the shop.",
        "The extension is AzureMonitorLinuxAgent, not one that runs a caller's code, and a policy's managed identity writes it.",
    )
    for i, vm in enumerate(VMS):
        operation(
            log,
            at(2, 30) + seconds(i * 12),
            PATCHING,
            "Microsoft.Compute/virtualMachines/extensions/write",
            f"{vm}/extensions/AzureMonitorLinuxAgent",
            dice=dice,
            accept=True,
            tag=tag,
            body={
                "properties": {"publisher": "Microsoft.Azure.Monitor", "type": "AzureMonitorLinuxAgent", "autoUpgradeMinorVersion": True}
            },
        )
    tag = log.lookalike(
        "posture-tool-denied",
        "The posture tool is refused where it has no rights, as every night.",
        "One service principal, one operation on four resources; a prober would try many operations.",
    )
    for i, vm in enumerate(VMS[:4]):
        operation(
            log,
            at(0, 40) + seconds(i * 6),
            POSTURE,
            "Microsoft.Compute/virtualMachines/instanceView/read",
            vm,
            dice=dice,
            fails="AuthorizationFailed",
            tag=tag,
        )


def network(log):
    dice = log.dice("benign/network")
    nsg = resource("rg-net", "Microsoft.Network/networkSecurityGroups", "nsg-web")
    tag = log.lookalike("nsg-bastion-rule", "SSH is allowed from the bastion's subnet.", "sourceAddressPrefix is 10.20.0.0/26, inside.")
    shared = {"protocol": "Tcp", "sourcePortRange": "*", "destinationAddressPrefix": "*", "access": "Allow", "direction": "Inbound"}
    operation(
        log,
        at(11, 31),
        PIPELINE,
        "Microsoft.Network/networkSecurityGroups/securityRules/write",
        f"{nsg}/securityRules/allow-bastion",
        dice=dice,
        tag=tag,
        body={"properties": shared | {"sourceAddressPrefix": "10.20.0.0/26", "destinationPortRange": "22", "priority": 200}},
        ip=RUNNER_IPS[0],
    )
    tag = log.lookalike(
        "nsg-public-https", "HTTPS is allowed from the internet to the shop.", "destinationPortRange is 443: the service's own public port."
    )
    operation(
        log,
        at(11, 32),
        PIPELINE,
        "Microsoft.Network/networkSecurityGroups/securityRules/write",
        f"{nsg}/securityRules/AllowHttpsInbound",
        dice=dice,
        tag=tag,
        body={"properties": shared | {"sourceAddressPrefix": "Internet", "destinationPortRange": "443", "priority": 210}},
        ip=RUNNER_IPS[0],
    )


def secrets(log):
    dice = log.dice("benign/secrets")
    tag = log.lookalike(
        "one-secret-polled",
        "A restarting function reads the same secret 60 times in five minutes.",
        "Sixty calls, but one distinct secret.",
    )
    for i in range(60):
        key_vault(
            log, at(14, 44) + seconds(i * 5), FUNCTIONS, VAULTS["kv-shop-prod"], "SecretGet", "secrets/render-licence", dice=dice, tag=tag
        )
    tag = log.lookalike(
        "app-own-access",
        "The pipeline gives the orders application's identity access to its vault.",
        "The grantee is another principal than the caller, an application without a user name.",
    )
    operation(
        log,
        at(10, 55),
        PIPELINE,
        "Microsoft.KeyVault/vaults/accessPolicies/write",
        VAULTS["kv-shop-prod"] + "/accessPolicies/add",
        dice=dice,
        tag=tag,
        ip=RUNNER_IPS[1],
        body={
            "properties": {"accessPolicies": [{"tenantId": guid("tenant"), "objectId": FUNCTIONS.id, "permissions": {"secrets": ["get"]}}]}
        },
    )
