/// What becomes of a file that no open stream reads.
extension TailSet {
    /// Goes on where a remembered stream stopped. False if the file is not the one that was read.
    func resume(_ f: InputFile, _ e: TailMemory.Entry, _ spec: TailSpec) -> Bool {
        if retired.contains(e.saved.id) { return true }
        guard f.size >= e.saved.resume.rawOffset else {
            log(.truncated(path: f.path))
            memory.unbind(e)
            return false
        }
        guard hasRoom(f) else { return true }
        guard let input = openInput(f.path) else { return true }
        guard FileKey(device: input.device, inode: input.inode) == f.identity else {
            hasBacklog = true
            return true
        }
        do {
            let reader = try RecordReader(input, limits: limits, from: e.saved.resume)
            if try RecordReader.Saved(e.saved.resume).isDamaged {
                // Nothing can be decoded behind the damage, however the file grows.
                e.parked = (f.size, f.modified)
                return true
            }
            if e.saved.path != f.path { log(.rotated(from: e.saved.path, to: f.path)) }
            log(.opened(path: f.path, from: "byte \(e.saved.resume.rawOffset) (resumed)"))
            take(over: e, f, spec, input, reader)
            return true
        } catch is ContentChanged {
            log(.truncated(path: f.path))
        } catch {
            log(.unreadable(path: f.path, reason: "\(error); it is read from its beginning"))
        }
        memory.unbind(e)
        return false
    }

    private func take(over e: TailMemory.Entry, _ f: InputFile, _ spec: TailSpec, _ input: FileInput, _ reader: RecordReader) {
        memory.remove(e)
        let s = TailedStream(id: e.saved.id, path: f.path, table: spec.table, input: input, reader: reader)
        s.deadLetters = e.saved.deadLetters
        s.watermark = e.saved.watermark
        s.lastTime = e.saved.lastTime
        add(s, f)
    }

    private func hasRoom(_ f: InputFile) -> Bool {
        if streams.count < maximumOpen { return true }
        hasBacklog = true
        if isFirstScan { initial.insert(f.identity) }
        return false
    }

    private enum Verdict {
        case new
        /// It may be a copy, or agrees with data that is still being read under another name.
        case wait
        case adopted
    }

    /// A file never seen: new data, or a rotated copy of a stream that is known.
    func discover(_ f: InputFile, _ spec: TailSpec) {
        // In an empty file there is nothing to read, and nothing to tell it by.
        guard f.size > 0 else {
            if isFirstScan { initial.remove(f.identity) }
            return
        }
        let now = clock()
        var w = waiting[f.identity] ?? Waiting(size: f.size, modified: f.modified, since: now, looked: 0, epoch: epoch &- 1)
        if w.size != f.size || w.modified != f.modified {
            w = Waiting(size: f.size, modified: f.modified, since: now, looked: 0, epoch: epoch &- 1)
        } else if w.epoch == epoch, now &- w.looked < patience.again {
            return
        }
        guard hasRoom(f) else { return }
        guard let input = openInput(f.path) else {
            if isFirstScan { initial.insert(f.identity) }
            return
        }
        guard FileKey(device: input.device, inode: input.inode) == f.identity else {
            hasBacklog = true
            return
        }
        do {
            switch try judge(f, spec, input, isQuiet: now &- w.since >= patience.copy) {
            case .new: try open(f, spec, input)
            case .adopted: initial.remove(f.identity)
            case .wait:
                w.looked = now
                w.epoch = epoch
                waiting[f.identity] = w
                if isFirstScan { initial.insert(f.identity) }
            }
        } catch {
            complain(f.path, "\(error)")
        }
    }

    private func judge(_ f: InputFile, _ spec: TailSpec, _ input: FileInput, isQuiet: Bool) throws -> Verdict {
        let family = TailSet.family(f.path)
        let living = self.family(family).filter { !$0.isFinished }
        let remembered = memory.family(family)
        if living.isEmpty, remembered.isEmpty { return .new }
        let head = try RecordReader.peek(input, limits: limits)

        for s in living {
            // The document that had this name is read to its end before a new version of it.
            if s.path == f.path, s.reader.isSingleDocument { return .wait }
            let known = s.reader.headLength > 0 ? s.reader.head : s.look(limits)
            switch StreamHead.compare(head, hash: known.hash, length: known.length, rungs: known.rungs) {
            case .different: continue
            case .same:
                if known.length > 0 { return .wait }
            case .undecided:
                // All there is of it is part of the other, or it is not.
                if head.isEmpty, isQuiet { continue }
                let theirs = try RecordReader.peek(try s.input.again(), limits: limits)
                if theirs.starts(with: head) { return .wait }
            }
        }

        for e in remembered where e.saved.headLength > 0 {
            switch StreamHead.compare(head, hash: e.saved.headHash, length: e.saved.headLength, rungs: e.rungs) {
            case .different: continue
            case .undecided:
                // A copy in the making becomes longer; what stays shorter is something else.
                if !isQuiet { return .wait }
            case .same:
                if retired.contains(e.saved.id) { return .wait }
                // A parked file that still stands is the original.
                if e.parked != nil, e.seen + 1 >= generation { return .wait }
                do {
                    let reader = try RecordReader(input, limits: limits, from: e.saved.resume, fresh: true)
                    log(.rotated(from: e.saved.path, to: f.path))
                    take(over: e, f, spec, input, reader)
                    return .adopted
                } catch let change as ContentChanged {
                    // A copy in the making, or one from before: all that is in it was read.
                    if change.holdsLess { return .wait }
                }
            }
        }
        return .new
    }

    private func open(_ f: InputFile, _ spec: TailSpec, _ input: FileInput) throws {
        let isInitial = (isFirstScan || initial.contains(f.identity)) && !hasHistory
        let skip = isInitial && startAt == .end
        var origin = skip ? "end" : "beginning"
        var reader = RecordReader(input, limits: limits)
        if let old = memory.document(at: f.path),
            let again = RecordReader(input, limits: limits, rewriting: old.saved.resume)
        {
            reader = again
            memory.forget(old)
            origin = "beginning (what was read before is passed over)"
        } else {
            guard try input.seek(to: 0) else { return complain(f.path, "cannot seek") }
        }
        if skip { try reader.skipToEnd() }
        initial.remove(f.identity)
        add(TailedStream(id: TailSet.newID(), path: f.path, table: spec.table, input: input, reader: reader), f)
        log(.opened(path: f.path, from: origin))
    }
}
