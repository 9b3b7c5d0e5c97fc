import CKernels
import Columnar
import Detection
import Ingest
import Logging
import Pipeline
import Storage
import Tables

/// Checkpoints, reloads, and what is done once a minute.
extension Daemon {
    // MARK: Checkpoints

    /// A status as old as this is written again, though nothing happened.
    static let statusInterval = 10 * KustoTime.ticksPerSecond

    /// Least time between two searches of the heap for pages that hold nothing.
    static let trimInterval = 10 * KustoTime.ticksPerSecond

    func checkpointIfDue() throws {
        try sinks.pump()
        let age = WallClock.monotonic - lastCheckpoint
        let isDue = age >= configuration.checkpointInterval && (bytesSinceCheckpoint > 0 || hasNews || sinks.hasChanges)
        // A new alert asks for a barrier at once.
        guard !pendingEvents.isEmpty || isDue || bytesSinceCheckpoint >= 64 << 20 || age >= Daemon.statusInterval else { return }
        try checkpoint(final: false)
    }

    /// Writes everything that changed in one transaction. Called when every record that was read is in the engine.
    func checkpoint(final: Bool) throws {
        let events = pendingEvents
        pendingEvents = []
        try sinks.deliver(events.filter(\.notifies).map(\.alert))
        var c = Checkpoint()
        let wall = WallClock.now
        if configuration.checkpoints {
            if let tails {
                let (changed, forgotten) = tails.checkpoint()
                c.streams = changed.map { StreamRecord($0, records: sources[$0.id]?.records ?? 0) }
                c.forgottenStreams = forgotten
            }
            c.forgottenRules = forgottenRules.sorted()
        }
        c.alerts = events.map(\.alert)
        (c.fileMarks, c.outbox) = sinks.checkpoint()
        for file in [deadLetters.file, lateRecords] {
            if let m = file.mark() { c.fileMarks["lines:" + file.path] = FileMark(inode: m.inode, length: m.length) }
        }
        let isStatusDue = final || wall - lastStatus > 5 * KustoTime.ticksPerSecond
        if isStatusDue {
            c.status = status()
            lastStatus = wall
        }
        let changes: ((CheckpointDelta.Change) throws -> Void) throws -> Void = { [engine] in try engine.forEachChange($0) }
        try store.commit(c, now: wall, changes: configuration.checkpoints ? changes : nil)
        // Which rows cannot be saved is known only now.
        if isStatusDue { reportFailures() }
        engine.checkpointed()
        forgottenRules = []
        hasNews = false
        bytesSinceCheckpoint = 0
        lastCheckpoint = WallClock.monotonic
        // Encoding leaves holes; and a burst's memory is not kept for the quiet after it, in which checkpoints go on for the status.
        guard lastCheckpoint - lastTrim >= Daemon.trimInterval else { return }
        lastTrim = lastCheckpoint
        vk_heap_trim()
    }

    // MARK: Housekeeping

    func housekeeping() throws {
        if control.takeReload() { try reload() }
        let now = WallClock.monotonic
        notify.watchdog(now)
        guard now - lastHeartbeat >= KustoTime.ticksPerMinute else { return }
        lastHeartbeat = now
        // Values that have stopped coming are not kept.
        for p in processors { p.forgetUnused() }
        heartbeat()
        try prune()
    }

    private func heartbeat() {
        var lag = 0
        for s in sources.values where !s.isDone {
            lag = max(lag, Int((WallClock.now - (s.clock.watermark ?? WallClock.now)) / KustoTime.ticksPerSecond))
        }
        let figures = engine.figures
        log.info(
            "heartbeat",
            metadata: [
                "sources": "\(sources.count)", "records": "\(totals.records)", "raw_mb": "\(totals.raw / 1_000_000)",
                "alerts": "\(totals.alerts)", "dead_letters": "\(totals.dead)", "late_records": "\(totals.late)",
                "retained_rows": "\(figures.reduce(0) { $0 + $1.retainedRows })",
                "event_time_lag_s": "\(lag)", "memory_mb": "\(vk_resident_bytes() / 1_000_000)", "outbox": "\(sinks.waitingCount)",
                "paused": "\(pausedSince != nil)",
            ])
        for (what, file) in [("dead letters", deadLetters.file), ("late records", lateRecords)] {
            if let problem = file.failure {
                log.error("\(what) cannot be written", metadata: ["reason": "\(problem)", "lost": "\(file.dropped)"])
            }
            if file.discardedFiles > 0 {
                log.warning(
                    "old \(what) were deleted because the files reached their cap",
                    metadata: ["files": "\(file.discardedFiles)", "bytes": "\(file.discardedBytes)"])
            }
        }
        reported = [:]
        reportFailures()
    }

    /// Says at once what went wrong with a rule, and again each minute.
    private func reportFailures() {
        for f in engine.figures {
            guard let failure = f.failure, reported[f.id] != failure else { continue }
            reported[f.id] = failure
            log.error("rule failed; its alerts are not complete", metadata: ["rule": "\(f.name)", "reason": "\(failure)"])
        }
    }

    /// Lets alerts and evidence age out, a bounded number at a time.
    func prune() throws {
        let now = WallClock.now
        let alerts = configuration.alertRetention.map { now - $0 }
        let evidence = configuration.evidenceRetention.map { now - $0 }
        guard alerts != nil || evidence != nil else { return }
        for _ in 0..<20 {
            let done = try store.prune(alertsBefore: alerts, evidenceBefore: evidence)
            if done.deleted == 0, done.stripped == 0 { return }
        }
    }

    private func reload() throws {
        notify.send("RELOADING=1\nMONOTONIC_USEC=\(WallClock.monotonic / 10)")
        defer { notify.send("READY=1") }
        sinks.reopen()
        deadLetters.reopen()
        lateRecords.reopen()
        deadLetters.file.prepare()
        lateRecords.prepare()
        // The new files are known before anything is written to them.
        try checkpoint(final: false)
        do {
            let fresh = try loadRules()
            guard fresh.refused.isEmpty else {
                for r in fresh.refused {
                    log.error(
                        "rule is not valid; the old rules stay in force", metadata: ["file": "\(r.file)", "reason": "\(r.firstError)"])
                }
                return
            }
            guard !fresh.programs.isEmpty else {
                log.error("no rule was found; the old rules stay in force", metadata: ["rules": "\(configuration.rules)"])
                return
            }
            let before = Set(engine.programs.map(\.fingerprint))
            try engine.reload(fresh.programs)
            let after = Set(engine.programs.map(\.fingerprint))
            forgottenRules.formUnion(before.subtracting(after))
            forgottenRules.subtract(after)
            hasNews = true
            book = fresh
            makeProcessors()
            for id in sources.keys {
                guard let old = sources[id] else { continue }
                var stream = normalizer.stream(path: old.path, table: old.stream.configuredTable)
                stream.lastTime = old.stream.lastTime
                stream.recognized = old.stream.recognized
                stream.unrecognized = old.stream.unrecognized
                sources[id]?.stream = stream
            }
            log.notice(
                "rules reloaded",
                metadata: ["rules": "\(fresh.programs.count)", "kept": "\(before.intersection(after).count)"])
        } catch {
            log.error("reload failed; the old rules stay in force", metadata: ["reason": "\(error)"])
        }
    }

    static func report(_ e: TailEvent, _ log: Logger) {
        switch e {
        case .opened(let path, let from): log.info("following", metadata: ["path": "\(path)", "from": "\(from)"])
        case .rotated(let from, let to): log.info("rotated", metadata: ["from": "\(from)", "to": "\(to)"])
        case .truncated(let path): log.notice("file was truncated; reading it from its beginning", metadata: ["path": "\(path)"])
        case .finished(let path): log.info("finished", metadata: ["path": "\(path)"])
        case .unreadable(let path, let reason): log.warning("cannot read", metadata: ["path": "\(path)", "reason": "\(reason)"])
        case .noMatch(let pattern): log.warning("no file matches (yet)", metadata: ["pattern": "\(pattern)"])
        }
    }
}

extension StreamRecord {
    init(_ s: SavedStream, records: UInt64) {
        self.init(
            id: s.id, path: s.path, device: s.device, inode: s.inode, resume: s.resume, records: records, deadLetters: s.deadLetters,
            watermark: s.watermark, lastTime: s.lastTime, isFinished: s.isFinished, headHash: s.headHash, headLength: s.headLength)
    }

    var saved: SavedStream {
        SavedStream(
            id: id, path: path, device: device, inode: inode, resume: resume, isFinished: isFinished, headHash: headHash,
            headLength: headLength, deadLetters: deadLetters, watermark: watermark, lastTime: lastTime)
    }
}
