// swift-tools-version: 6.1
import PackageDescription

/// Every Swift target is built in Swift 6 mode with these two features, so that existentials and imports stay visible.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// Hyperscan exists for x86-64 only; elsewhere literals are tested one by one.
#if arch(x86_64)
let literalScanner: [LinkerSetting] = [.linkedLibrary("hs")]
#else
let literalScanner: [LinkerSetting] = []
#endif

/// A room of the house (`docs/architecture.md`): one module, which may import only the rooms above it.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func roomTests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies, resources: resources,
        swiftSettings: settings)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "vedette",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "vedette", targets: ["vedette"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .target(
            name: "CKernels",
            linkerSettings: literalScanner + [
                .linkedLibrary("isal"), .linkedLibrary("z"), .linkedLibrary("zstd"), .linkedLibrary("simdjson"),
                .linkedLibrary("re2"), .linkedLibrary("s2"), .linkedLibrary("xxhash"), .linkedLibrary("crypto"),
                .linkedLibrary("maxminddb"), .linkedLibrary("stdc++"),
            ]),
        room("Columnar", ["CKernels"]),
        room("KQL", ["Columnar"]),
        room("Evaluation", ["CKernels", "Columnar", "KQL"]),
        room("Tables", ["CKernels", "Columnar", "KQL"]),
        room("Ingest", ["CKernels", "Columnar"]),
        room("Matcher", ["CKernels", "Columnar", "KQL", "Evaluation"]),
        room("Rules", ["CKernels", "Columnar", "KQL", yams]),
        room("Detection", ["CKernels", "Columnar", "KQL", "Evaluation", "Matcher", "Rules"]),
        room("Pipeline", ["CKernels", "Columnar", "KQL", "Evaluation", "Tables", "Ingest", "Matcher", "Rules", "Detection"]),
        room("Storage", ["CKernels", "Columnar", "Ingest", "Rules", "Detection", grdb]),
        room("Sinks", ["Columnar", "Detection", "Rules"]),
        room("Charts", ["CKernels", "Columnar", "KQL"]),
        room(
            "Service",
            [
                "CKernels", "Columnar", "KQL", "Evaluation", "Tables", "Ingest", "Matcher", "Rules", "Detection", "Pipeline", "Storage",
                "Sinks", logging, yams,
            ]),
        .executableTarget(
            name: "vedette",
            dependencies: [
                "CKernels", "Columnar", "KQL", "Evaluation", "Tables", "Ingest", "Matcher", "Rules", "Detection", "Pipeline", "Storage",
                "Sinks", "Charts", "Service", argumentParser, logging,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "query-bench", dependencies: ["Columnar", "KQL", "Evaluation"], path: "Benchmarks/QueryBench", swiftSettings: settings),
        // Test support: random numbers, the plain evaluator that is the oracle of the engine, and the fuzzers' entry points (Tools/fuzz.sh).
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        .target(name: "ReferenceEvaluator", dependencies: ["Columnar", "KQL"], path: "Tests/ReferenceEvaluator", swiftSettings: settings),
        .target(
            name: "CSimdjson", path: "Tests/CSimdjson", linkerSettings: [.linkedLibrary("simdjson"), .linkedLibrary("stdc++")]),
        .target(
            name: "FuzzTargets",
            dependencies: ["CKernels", "CSimdjson", "Columnar", "KQL", "Evaluation", "Tables", "Ingest", "Matcher", "Rules"],
            path: "Tests/FuzzTargets", swiftSettings: settings),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets", "TestSupport"], exclude: ["Corpus", "Dictionaries", "Fixtures"],
            swiftSettings: settings),
        .testTarget(
            name: "ReferenceTests", dependencies: ["ReferenceEvaluator", "TestSupport", "Columnar", "KQL", "Evaluation"],
            swiftSettings: settings),
        roomTests("CKernels", []),
        roomTests("Columnar", []),
        roomTests("KQL", ["Columnar"]),
        roomTests("Evaluation", ["Columnar", "KQL"]),
        roomTests("Tables", ["CKernels", "Columnar", "KQL"]),
        roomTests("Ingest", ["CKernels", "Columnar"]),
        roomTests("Matcher", ["Columnar", "KQL", "Evaluation"]),
        roomTests("Rules", ["Columnar"]),
        roomTests("Detection", ["CKernels", "Columnar", "KQL", "Evaluation", "Matcher", "Rules", "Tables"]),
        roomTests("Charts", ["Columnar", "KQL"]),
        roomTests("Storage", ["Columnar", "Ingest", "Rules", "Detection", grdb]),
        roomTests("Sinks", ["Columnar", "Detection", "Rules"]),
        roomTests(
            "Service",
            ["CKernels", "Columnar", "KQL", "Evaluation", "Matcher", "Detection", "Ingest", "Rules", "Sinks", "Storage", "Tables", logging]),
        roomTests(
            "Pipeline", ["ReferenceEvaluator", "Columnar", "KQL", "Evaluation", "Tables", "Ingest", "Matcher", "Rules", "Detection"]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
