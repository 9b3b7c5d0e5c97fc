/// Translations of single values, by name. Keys are matched with ASCII letters folded; a value that is not listed stays as it is.
enum ValueMaps {
    static func entries(_ name: String, options: NormalizerOptions) -> [(String, String)] {
        switch name {
        case "activityLevel": [("Information", "Informational")]
        case "activityStatus": longStatus
        case "activityStatusValue": options.longActivityStatus ? longStatus : []
        case "auditResult": [("0", "success"), ("1", "failure"), ("2", "timeout")]
        case "officeUserType":
            [
                ("0", "Regular"), ("1", "Reserved"), ("2", "Admin"), ("3", "DcAdmin"), ("4", "System"), ("5", "Application"),
                ("6", "ServicePrincipal"), ("7", "CustomPolicy"), ("8", "SystemPolicy"),
            ]
        case "officeLogonType": [("0", "Owner"), ("1", "Admin"), ("2", "Delegated"), ("3", "Transport"), ("4", "SystemService")]
        case "officeRecordType": recordTypes
        case "httpStatus": httpStatus
        case "activityOperations": operations
        default: []
        }
    }

    static let longStatus = [
        ("Start", "Started"), ("Success", "Succeeded"), ("Failure", "Failed"), ("Accept", "Accepted"),
    ]

    static let recordTypes = [
        ("1", "ExchangeAdmin"), ("2", "ExchangeItem"), ("3", "ExchangeItemGroup"), ("4", "SharePoint"), ("6", "SharePointFileOperation"),
        ("7", "OneDrive"), ("8", "AzureActiveDirectory"), ("9", "AzureActiveDirectoryAccountLogon"), ("10", "DataCenterSecurityCmdlet"),
        ("11", "ComplianceDLPSharePoint"), ("13", "ComplianceDLPExchange"), ("14", "SharePointSharingOperation"),
        ("15", "AzureActiveDirectoryStsLogon"), ("16", "SkypeForBusinessPSTNUsage"), ("18", "SecurityComplianceCenterEOPCmdlet"),
        ("20", "PowerBIAudit"), ("21", "CRM"), ("22", "Yammer"), ("23", "SkypeForBusinessCmdlets"), ("24", "Discovery"),
        ("25", "MicrosoftTeams"), ("28", "ThreatIntelligence"), ("30", "MicrosoftFlow"), ("31", "AeD"), ("32", "MicrosoftStream"),
        ("35", "Project"), ("36", "SharePointListOperation"), ("40", "SecurityComplianceAlerts"), ("41", "ThreatIntelligenceUrl"),
        ("43", "MipLabel"), ("47", "ThreatIntelligenceAtpContent"), ("50", "ExchangeItemAggregated"), ("52", "DataInsightsRestApiAudit"),
        ("54", "SharePointListItemOperation"), ("55", "SharePointContentTypeOperation"), ("56", "SharePointFieldOperation"),
        ("64", "AirInvestigation"), ("65", "Quarantine"), ("66", "MicrosoftForms"),
    ]

    /// HTTP status names with their numbers, for the display form of a sub-status.
    static let httpStatus = [
        ("OK", "200"), ("Created", "201"), ("Accepted", "202"), ("NoContent", "204"), ("BadRequest", "400"), ("Unauthorized", "401"),
        ("Forbidden", "403"), ("NotFound", "404"), ("Conflict", "409"), ("Gone", "410"), ("PreconditionFailed", "412"),
        ("TooManyRequests", "429"), ("InternalServerError", "500"), ("BadGateway", "502"), ("ServiceUnavailable", "503"),
        ("GatewayTimeout", "504"),
    ]

    /// Display names of frequent operations: Log Analytics has them in OperationName, the stream has not.
    static let operations = [
        ("Microsoft.Authorization/roleAssignments/write", "Create role assignment"),
        ("Microsoft.Authorization/roleAssignments/delete", "Delete role assignment"),
        ("Microsoft.Authorization/elevateAccess/action", "Assigns the caller to User Access Administrator role"),
        ("Microsoft.Authorization/locks/delete", "Delete management locks"),
        ("Microsoft.Authorization/policyAssignments/write", "Create policy assignment"),
        ("Microsoft.Authorization/policyAssignments/delete", "Delete policy assignment"),
        ("Microsoft.Resources/deployments/write", "Create Deployment"),
        ("Microsoft.Resources/subscriptions/resourceGroups/write", "Update resource group"),
        ("Microsoft.Resources/subscriptions/resourceGroups/delete", "Delete resource group"),
        ("Microsoft.Compute/virtualMachines/write", "Create or Update Virtual Machine"),
        ("Microsoft.Compute/virtualMachines/delete", "Delete Virtual Machine"),
        ("Microsoft.Compute/virtualMachines/start/action", "Start Virtual Machine"),
        ("Microsoft.Compute/virtualMachines/deallocate/action", "Deallocate Virtual Machine"),
        ("Microsoft.Compute/virtualMachines/runCommand/action", "Run Command on Virtual Machine"),
        ("Microsoft.Compute/virtualMachines/extensions/write", "Create or Update Virtual Machine Extension"),
        ("Microsoft.Compute/snapshots/write", "Create or Update Snapshot"),
        ("Microsoft.Compute/snapshots/delete", "Delete Snapshot"),
        ("Microsoft.Compute/disks/beginGetAccess/action", "Get Disk SAS URI"),
        ("Microsoft.Network/networkSecurityGroups/write", "Create or Update Network Security Group"),
        ("Microsoft.Network/networkSecurityGroups/delete", "Delete Network Security Group"),
        ("Microsoft.Network/networkSecurityGroups/securityRules/write", "Create or Update Security Rule"),
        ("Microsoft.Network/networkSecurityGroups/securityRules/delete", "Delete Security Rule"),
        ("Microsoft.Storage/storageAccounts/write", "Create/Update Storage Account"),
        ("Microsoft.Storage/storageAccounts/delete", "Delete Storage Account"),
        ("Microsoft.Storage/storageAccounts/listKeys/action", "List Storage Account Keys"),
        ("Microsoft.KeyVault/vaults/write", "Update Key Vault"),
        ("Microsoft.KeyVault/vaults/delete", "Delete Key Vault"),
    ]
}
