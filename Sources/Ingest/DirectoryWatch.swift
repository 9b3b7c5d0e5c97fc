import CKernels
import Glibc

/// Wakes a tail when something happens in the folders that it reads from: inotify, or plain waiting where that is not to be had.
final class DirectoryWatch {
    private let descriptor: Int32
    private var folders: [Int32: String] = [:]
    private var watched: Set<String> = []
    /// Files came, went or changed their names (or that cannot be told).
    private(set) var hasNewNames = true

    init() { descriptor = vk_inotify_open() }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Folders that cannot be watched are polled like everything else.
    func watch(_ folder: String) {
        guard descriptor >= 0, watched.count < 8192, watched.insert(folder).inserted else { return }
        let mask = VK_IN_CREATE | VK_IN_MOVED_TO | VK_IN_MOVED_FROM | VK_IN_MODIFY | VK_IN_CLOSE_WRITE | VK_IN_DELETE | VK_IN_DELETE_SELF
        let id = vk_inotify_watch(descriptor, folder, mask | VK_IN_MOVE_SELF | VK_IN_ONLYDIR)
        if id >= 0 { folders[id] = folder } else { watched.remove(folder) }
    }

    func noteScan() { hasNewNames = false }

    /// Waits until something happens or the time is over. True if something did.
    func wait(milliseconds: Int32) -> Bool {
        guard descriptor >= 0 else {
            poll(nil, 0, max(0, milliseconds))
            hasNewNames = true
            return false
        }
        var p = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&p, 1, max(0, milliseconds)) > 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let n = read(descriptor, &buffer, buffer.count)
            guard n > 0 else { return true }
            look(at: buffer, count: n)
        }
    }

    private func look(at buffer: [UInt8], count: Int) {
        var at = 0
        repeat {
            var e = vk_inotify_event()
            let next = buffer.withUnsafeBufferPointer { vk_inotify_decode($0.baseAddress, count, at, &e) }
            guard next > at else { return }
            at = next
            if e.mask & ~(VK_IN_MODIFY | VK_IN_CLOSE_WRITE) != 0 { hasNewNames = true }
            if e.mask & (VK_IN_IGNORED | VK_IN_MOVE_SELF) != 0, let folder = folders.removeValue(forKey: e.watch) {
                // The name may come to mean another folder.
                watched.remove(folder)
            }
        } while at < count
    }
}
