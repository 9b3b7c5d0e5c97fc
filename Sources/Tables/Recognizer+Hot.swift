import CKernels

// Hot file: decides each record's form from the discriminator cells alone. The decision never depends on the shape that was predicted, so
// results do not depend on how a stream is cut. Order and tests: `docs/tables.md`, "Recognition".

extension RecordState {
    /// The shape of the record in `cells`; sets `kind` and `counted`.
    @inline(__always)
    mutating func recognize(_ stream: StreamState) -> Int32 {
        if stream.isTableCertain { return row(max(stream.forcedTable, -1), stream.forcedShape) }
        if isString(.type) {
            let name = text(cell(.type))
            let table = view.types.find(name)
            // Names that other producers use for their own types count only on rows that are certainly ours.
            let isCommonWord = name.isFolded("event") || name.isFolded("operation") || name.isFolded("usage")
            if table >= 0, !isCommonWord || isThere(.timeGenerated) { return row(table, view.rows[Int(table)]) }
            if name.hasSuffix("_CL") { return row(-1, view.ids.row) }
        }
        let native = isThere(.timeGenerated) ? alertExport() : nativeForm()
        if native >= 0 {
            let counted = view.shapes[Int(native)].counted
            if stream.forcedTable == -1 || counted.0 == stream.forcedTable || counted.1 == stream.forcedTable {
                kind = .known
                self.counted = -1
                return native
            }
        }
        if stream.forcedTable != -1 { return row(max(stream.forcedTable, -1), stream.forcedShape) }
        kind = .custom
        counted = stream.customCounted
        return stream.customShape
    }

    @inline(__always)
    private mutating func row(_ table: Int32, _ shape: Int32) -> Int32 {
        kind = .row
        counted = table
        return shape
    }

    private func alertExport() -> Int32 {
        isThere(.systemAlertID) || (isThere(.alertType) && isThere(.productName)) ? view.ids.alertExport : -1
    }

    @inline(__always)
    private mutating func nativeForm() -> Int32 {
        let ids = view.ids
        if isString(.category), isThere(.time) || isThere(.resourceID) || isThere(.eventTimestamp) {
            let shape = azureForm()
            if shape >= 0 { return shape }
        }
        if isThere(.eventSource), isThere(.eventVersion), isThere(.awsRegion) { return ids.trail }
        return otherForm()
    }

    /// A record with a category in a string.
    private mutating func azureForm() -> Int32 {
        let ids = view.ids
        if cell(.operationName).type == VK_CELL_OBJECT { return ids.activityREST }
        let found = view.categories.find(text(cell(.category)))
        if found >= 0, found < ShapeIDs.activityCategory { return found }
        let resource = isString(.resourceID) ? text(cell(.resourceID)) : Text(base, 0)
        switch found {
        case ShapeIDs.activityCategory:
            // Activity of a subscription, of a management group or the tenant root; an event category settles it.
            if isThere(.eventCategory) || resource.startsFolded("/subscriptions/") || resource.startsFolded("/providers/") {
                return ids.activity
            }
        case ShapeIDs.auditCategory:
            if resource.startsFolded("/tenants/") { return ids.audit }
            if resource.isEmpty, text(cell(.category)).isFolded("auditlogs") { return ids.audit }
        case ShapeIDs.storageCategory:
            if resource.containsFolded("/providers/microsoft.storage/") || resource.containsFolded("/providers/microsoft.classicstorage/") {
                if resource.containsFolded("/blobservices") { return ids.storageBlob }
                if resource.containsFolded("/fileservices") { return ids.storageFile }
                if resource.containsFolded("/queueservices") { return ids.storageQueue }
                if resource.containsFolded("/tableservices") { return ids.storageTable }
            }
        case ShapeIDs.auditEventCategory:
            if resource.containsFolded("/providers/microsoft.keyvault/") { return ids.keyVault }
        case ShapeIDs.nsgFlowCategory: return ids.nsgFlow
        case ShapeIDs.vnetFlowCategory: return ids.vnetFlow
        default: break
        }
        return resource.startsFolded("/") ? ids.diagnostics : -1
    }

    private mutating func otherForm() -> Int32 {
        let ids = view.ids
        if cell(.operationName).type == VK_CELL_OBJECT, isThere(.eventTimestamp) { return ids.activityREST }
        // The oldest Activity records have no category.
        if !isThere(.category), isThere(.time), isThere(.operationName), isString(.resourceID),
            isThere(.eventCategory) || isThere(.authorization)
        {
            return ids.activity
        }
        if isString(.detailType), cell(.detail).type == VK_CELL_OBJECT {
            let kind = text(cell(.detailType))
            if kind.hasSuffix("via CloudTrail") { return ids.trailEnvelope }
            if kind.isFolded("guardduty finding") { return ids.guardDutyEnvelope }
        }
        if isString(.cloudTrailEvent) { return ids.trailText }
        if isString(.arn), text(cell(.arn)).containsFolded(":guardduty:") { return ids.guardDuty }
        if isThere(.workload), isThere(.recordType), isThere(.creationTime) { return ids.office }
        if alertExport() >= 0 { return ids.alertExport }
        if isString(.protoType), text(cell(.protoType)).hasSuffix("AuditLog") { return ids.gcp }
        if isThere(.activityDateTime), isThere(.initiatedBy) { return ids.auditGraph }
        if isThere(.createdDateTime) {
            if isThere(.alertWebURL) { return ids.alertGraph2 }
            if cell(.vendorInformation).type == VK_CELL_OBJECT { return ids.alertGraph1 }
            if isThere(.conditionalAccessStatus) { return ids.signInGraph }
        }
        return -1
    }
}
