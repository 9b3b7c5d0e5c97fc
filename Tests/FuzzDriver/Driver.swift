import FuzzTargets
import Glibc

/// The entry that libFuzzer calls. The target is named by VEDETTE_FUZZ_TARGET, so that one binary serves all.
private let target: FuzzTarget = {
    guard let name = getenv("VEDETTE_FUZZ_TARGET"), let target = FuzzTarget(rawValue: String(cString: name)) else {
        say("VEDETTE_FUZZ_TARGET must be one of \(FuzzTarget.allCases.map(\.rawValue))\n")
        exit(64)
    }
    return target
}()

private func say(_ text: String) { _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) } }

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    do throws(FuzzFinding) {
        try target.run(UnsafeRawBufferPointer(start: data, count: size))
    } catch {
        say("finding: \(error.description)\n")
        abort()
    }
    return 0
}
