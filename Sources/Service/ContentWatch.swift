import Columnar
import Dispatch
import Glibc
import Synchronization

/// Looks, beside the daemon's own work, whether watchlists, functions or external data changed, and then asks for a reload.
///
/// Fetching happens on this thread alone; the reload finds what was fetched in memory.
public final class ContentWatch: Sendable {
    private let settings: ContentSettings
    private let check: Int64
    private let external: ExternalData
    private let changed: @Sendable () -> Void
    private let isStopping = Atomic<Bool>(false)

    public init(_ configuration: VedetteConfiguration, external: ExternalData, changed: @escaping @Sendable () -> Void) {
        settings = configuration.content
        check = max(configuration.contentCheck, KustoTime.ticksPerSecond / 10)
        self.external = external
        self.changed = changed
    }

    /// Starts to look; nothing where there is nothing to look at.
    public func start() {
        guard !watched.isEmpty || !settings.external.allowed.isEmpty else { return }
        let thread = DispatchQueue(label: "vedette.content", qos: .utility)
        thread.async { [self] in run() }
    }

    /// Files and folders whose changes ask for a reload.
    private var watched: [String] {
        settings.functions + settings.watchlists + [settings.geoDatabase, settings.userAgents].compactMap { $0 }
    }

    public func stop() { isStopping.store(true, ordering: .relaxed) }

    private func run() {
        var stamp = ContentWatch.stamp(watched)
        var nextCheck = WallClock.monotonic + check
        var nextFetch = WallClock.monotonic + settings.external.refresh
        while !isStopping.load(ordering: .relaxed) {
            usleep(100_000)
            let now = WallClock.monotonic
            var isNew = false
            if now >= nextCheck {
                let fresh = ContentWatch.stamp(watched)
                if fresh != stamp {
                    stamp = fresh
                    isNew = true
                }
                nextCheck = now + check
            }
            if now >= nextFetch {
                if external.refresh() { isNew = true }
                nextFetch = WallClock.monotonic + settings.external.refresh
            }
            if isNew { changed() }
        }
    }

    /// Names, sizes and times of all files of the paths.
    static func stamp(_ paths: [String]) -> [String] {
        var out: [String] = []
        func add(_ path: String, _ depth: Int) {
            var s = stat()
            guard stat(path, &s) == 0 else { return }
            guard s.st_mode & S_IFMT == S_IFDIR else {
                out.append("\(path) \(s.st_ino) \(s.st_size) \(s.st_mtim.tv_sec) \(s.st_mtim.tv_nsec)")
                return
            }
            guard depth < 16, let d = opendir(path) else { return }
            defer { closedir(d) }
            while let e = readdir(d) {
                let name = withUnsafePointer(to: &e.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if !name.hasPrefix(".") { add(path + "/" + name, depth + 1) }
            }
        }
        for p in paths { add(p, 0) }
        return out.sorted()
    }
}
