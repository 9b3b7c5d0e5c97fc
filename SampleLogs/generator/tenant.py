"""Who and what there is: Contoso's people, applications, addresses and resources. All of it is fictional."""

from .core import guid

TENANT = guid("tenant")
DOMAIN = "contoso.example"
PARTNER = "fabrikam.example"
PROD = guid("subscription/production")
SANDBOX = guid("subscription/sandbox")
GROUP_ROOT = "mg-contoso"
REGION = "westeurope"
WORKSPACE = guid("workspace")
WORKSPACE_ID = f"/subscriptions/{PROD}/resourcegroups/rg-monitor/providers/microsoft.operationalinsights/workspaces/law-contoso"
AWS_ACCOUNT = "111122223333"
AWS_OUTSIDE = "444455556666"

# Addresses of the documentation ranges: 203.0.113.0/24 is Contoso's own egress, 198.51.100.0/24 homes, carriers and cloud
# services, 192.0.2.0/24 (and 2001:db8:bad::/48) strangers.
OFFICE_IP = "203.0.113.10"
OFFICE_IP6 = "2001:db8:c0::10"
VPN_IP = "203.0.113.20"
RUNNER_IPS = ["198.51.100.201", "198.51.100.202", "198.51.100.203"]
PLATFORM_IPS = ["198.51.100.230", "198.51.100.231", "198.51.100.232", "198.51.100.233"]
ATTACKER_IP = "192.0.2.66"
ATTACKER_IP6 = "2001:db8:bad::66"
SCANNER_IP = "192.0.2.130"

PLACES = {
    "office": ("Amsterdam", "Noord-Holland", "NL", 52.3702, 4.8952, 64496),
    "home": ("Amsterdam", "Noord-Holland", "NL", 52.3518, 4.9132, 64497),
    "mobile": ("Amsterdam", "Noord-Holland", "NL", 52.3676, 4.9041, 64500),
    "cloud": ("Amsterdam", "Noord-Holland", "NL", 52.3, 4.94, 64505),
    "stranger": ("Panama City", "Panama", "PA", 8.9824, -79.5199, 64511),
    "scanner": ("Reykjavik", "Hofudborgarsvaedi", "IS", 64.1466, -21.9426, 64510),
}

# First-party application ids and built-in role definitions are public constants of the products.
APPS = {
    "Azure Portal": "c44b4083-3bb0-49c1-b47d-974e53cbdf3c",
    "Microsoft Azure CLI": "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
    "Office 365 Exchange Online": "00000002-0000-0ff1-ce00-000000000000",
    "Office 365 SharePoint Online": "00000003-0000-0ff1-ce00-000000000000",
    "Microsoft Teams": "1fec8e78-bce4-4aaf-ab1b-5451cc387264",
    "OfficeHome": "4765445b-32c6-49b0-83e6-1d93765276ca",
    "Microsoft Graph": "00000003-0000-0000-c000-000000000000",
    "Windows Azure Service Management API": "797f4846-ba00-4fd7-ba43-dac1f8f63013",
    "Azure Key Vault": "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
    "Azure Storage": "e406a681-f3d4-42a8-90b6-c2b029497af1",
    "MS-PIM": "01fc33a7-78ba-4d2f-a4b7-768e336e890e",
    "Backup Management Service": "262044b1-e2ce-469f-a196-69ab7ada62d3",
    "AzureContainerService": "7319c514-987d-4e9b-ac3d-d38c4f427f4c",
}
ROLES = {
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "User Access Administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "Virtual Machine Contributor": "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
    "Backup Contributor": "5e467623-bb1f-42f4-a55d-6e525e11384b",
    "Disk Backup Reader": "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
}

FIRST = (
    "Anna Bram Carla Daan Elif Femke Gijs Hanna Ivo Jasmijn Koen Lotte Maarten Noor Olaf Petra Quinten Roos Sander Tess "
    "Umut Vera Wouter Xenia Yara Zeno Bodil Cas Dirk Esra Floor Guus Hidde Ilse Joris Karin"
).split()
LAST = (
    "Aarts Bakker Claes Dekker Evers Faber Geerts Hendriks Ilgaz Jansen Kok Linden Mulder Nagel Oosten Peters Quist Ruiter "
    "Smit Timmer Usta Visser Willems Xavier Ypma Zand Brandt Celik Dijk Engel Frank Groot Hoek Ipek Jonker Kuiper"
).split()


class Person:
    """A user: name, object id, the place this person works from today, and the address seen from there."""

    kind = "User"

    def __init__(self, first, last, index, admin=False, guest=False):
        self.name = f"{first} {last}"
        self.first, self.last, self.admin, self.guest = first, last, admin, guest
        local = f"{first}.{last}".lower()
        self.mail = f"{local}@{PARTNER if guest else DOMAIN}"
        self.upn = f"{local}_{PARTNER}#ext#@{DOMAIN}" if guest else self.mail
        self.id = guid(f"user/{local}")
        self.place = "home" if index % 4 == 3 else "office"
        self.ip = f"198.51.100.{20 + index}" if self.place == "home" else OFFICE_IP
        self.device = guid(f"device/{local}")
        self.host = f"LT-{last[:6].upper()}-{index:03d}"
        self.session = guid(f"session/{local}")


class App:
    """A service principal or managed identity of the tenant, and the address it calls from."""

    kind = "ServicePrincipal"
    guest = False

    def __init__(self, name, ip, app_id=None, managed=False, role="Contributor"):
        self.name, self.ip, self.managed, self.role = name, ip, managed, role
        self.app_id = app_id or guid(f"application/{name}")
        self.id = guid(f"serviceprincipal/{name}")
        self.key = guid(f"credential/{name}")
        self.application_object = guid(f"applicationobject/{name}")


PEOPLE = [Person(f, l, i) for i, (f, l) in enumerate(zip(FIRST, LAST))]
ADMIN = Person("Mirjam", "Bosch", 40, admin=True)  # runs the platform by day, through PIM
VICTIM = Person("Nadia", "Verhoeven", 41, admin=True)  # a Global Administrator; her account is the one that falls
DESK = Person("Tom", "Koster", 42, admin=True)  # service desk
JOINER = Person("Sara", "Winter", 44)  # started this morning
ENGINEER = Person("Ravi", "Pronk", 45)
GUEST = Person("Priya", "Nair", 46, guest=True)
STAFF = PEOPLE + [ADMIN, DESK, JOINER, ENGINEER]

PIPELINE = App("sp-iac-pipeline", RUNNER_IPS[0])
REPORTING = App("contoso-report-sync", "198.51.100.210", role="Reader")  # the application that gets a second secret
ROTATOR = App("app-key-rotation", "198.51.100.211")
POSTURE = App("sp-cloud-posture", "198.51.100.212", role="Reader")
ORDERS = App("id-orders-api", "10.20.4.11", managed=True)
BILLING = App("id-billing-worker", "10.20.4.12", managed=True)
FUNCTIONS = App("func-invoice-render", "10.20.6.7", managed=True)
PATCHING = App("id-policy-remediation", PLATFORM_IPS[0], managed=True)
AUTOSTOP = App("aa-start-stop", PLATFORM_IPS[1], managed=True, role="Virtual Machine Contributor")
BACKUP = App("Backup Management Service", PLATFORM_IPS[2], APPS["Backup Management Service"], role="Disk Backup Reader")
AKS = App("AzureContainerService", PLATFORM_IPS[3], APPS["AzureContainerService"])
PIM = App("MS-PIM", PLATFORM_IPS[0], APPS["MS-PIM"], role="User Access Administrator")
SERVICES = [PIPELINE, REPORTING, ROTATOR, POSTURE]
MANAGED = [ORDERS, BILLING, FUNCTIONS, PATCHING, AUTOSTOP]


def group(name, subscription=PROD):
    return f"/subscriptions/{subscription}/resourceGroups/{name}"


def resource(rg, kind, name, subscription=PROD):
    """`resource("rg-x", "Microsoft.Compute/virtualMachines", "vm-1")`; a child kind takes a name with as many parts."""
    provider, *types = kind.split("/")
    pairs = "/".join(f"{t}/{n}" for t, n in zip(types, name.split("/")))
    return f"{group(rg, subscription)}/providers/{provider}/{pairs}"


VMS = [resource("rg-shop", "Microsoft.Compute/virtualMachines", f"vm-shop-{i:02d}") for i in range(1, 9)]
SITES = [resource("rg-web", "Microsoft.Web/sites", n) for n in ("app-shop", "app-portal", "func-invoice-render", "app-intranet")]
DATABASES = [resource("rg-data", "Microsoft.Sql/servers/databases", f"sql-contoso/{n}") for n in ("orders", "billing", "hr")]
LEGACY = "rg-erp-legacy"  # what the attacker destroys; nothing else of the day happens there
LEGACY_VMS = [resource(LEGACY, "Microsoft.Compute/virtualMachines", f"vm-erp-{i:02d}") for i in range(1, 7)]
LEGACY_DISKS = [resource(LEGACY, "Microsoft.Compute/disks", f"vm-erp-{i:02d}_datadisk_0") for i in range(1, 7)]
LEGACY_STORAGE = [
    resource(LEGACY, "Microsoft.Storage/storageAccounts", f"sterp{n}") for n in ("arch", "docs", "scan", "edi", "dump", "diag")
]
VAULTS = {n: resource(rg, "Microsoft.KeyVault/vaults", n) for n, rg in (("kv-shop-prod", "rg-shop"), ("kv-erp-prod", LEGACY))}
STORAGE = resource("rg-data", "Microsoft.Storage/storageAccounts", "stcontosodata")
