import Foundation

/// GRDB moves blobs as Foundation's `Data`; this room is the only engine room that imports it.
typealias BlobData = Data
