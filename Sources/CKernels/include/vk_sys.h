#ifndef VK_SYS_H
#define VK_SYS_H

#include "vk_common.h"

VK_BEGIN

/// Last offset of `byte`, or SIZE_MAX.
size_t vk_memrchr(const uint8_t *bytes, size_t len, uint8_t byte);
/// First offset of the needle, or SIZE_MAX; 0 for an empty one.
size_t vk_memmem(const uint8_t *bytes, size_t len, const uint8_t *needle, size_t needle_len);

/// The path of the file that this code was loaded from: the program, or a library of it. It may be relative. False if that is not known.
bool vk_program_path(char *out, size_t cap);

/// Whether the file at a path lies on a local file system that stamps changes in nanoseconds (ext2 to 4, xfs, btrfs, tmpfs, overlayfs,
/// F2FS). A file of a network may have changed before this machine hears of it.
bool vk_file_system_stamps_changes(const char *path);

/// Sends one sd_notify datagram to an AF_UNIX socket: a path, or an abstract name written with a leading `@`. 0 or an errno.
int32_t vk_sd_notify(const char *socket_path, const char *message);

// inotify masks, as plain numbers (0 where the platform has no inotify).
extern const uint32_t VK_IN_MODIFY;
extern const uint32_t VK_IN_CLOSE_WRITE;
extern const uint32_t VK_IN_MOVED_FROM;
extern const uint32_t VK_IN_MOVED_TO;
extern const uint32_t VK_IN_CREATE;
extern const uint32_t VK_IN_DELETE;
extern const uint32_t VK_IN_DELETE_SELF;
extern const uint32_t VK_IN_MOVE_SELF;
extern const uint32_t VK_IN_IGNORED;
extern const uint32_t VK_IN_Q_OVERFLOW;
extern const uint32_t VK_IN_ISDIR;
extern const uint32_t VK_IN_ONLYDIR;

/// inotify_init1 with IN_NONBLOCK and IN_CLOEXEC: a descriptor, or -errno.
int32_t vk_inotify_open(void);
/// A watch descriptor, or -errno.
int32_t vk_inotify_watch(int32_t fd, const char *path, uint32_t mask);

/// One decoded inotify event; `name` points into the buffer (not terminated), `name_len` without the padding.
typedef struct vk_inotify_event {
    int32_t watch;
    uint32_t mask;
    uint32_t cookie;
    uint32_t name_len;
    const uint8_t *name;
} vk_inotify_event;

/// Decodes the event at `offset` of a buffer filled by read(2). Returns the offset of the next one, or 0 when there is none (or it is
/// cut short).
size_t vk_inotify_decode(const uint8_t *bytes, size_t len, size_t offset, vk_inotify_event *event);

/// CPU time used so far, in nanoseconds: by all threads of the process, and by the calling thread.
uint64_t vk_process_cpu_ns(void);
uint64_t vk_thread_cpu_ns(void);
/// Monotonic clock, in nanoseconds.
uint64_t vk_monotonic_ns(void);
/// Settles how the C library's heap deals with large blocks, once, before the first of them: from a quarter of a MiB on each is mapped by
/// itself and given back when it is freed. Left alone, glibc moves that border up to the largest block that was ever freed, and small blocks
/// then settle in the holes that buffers leave. Does nothing with other C libraries.
void vk_heap_settle(void);
/// Gives pages that hold nothing back to the system. It looks at the whole heap: a millisecond or a few.
void vk_heap_trim(void);

/// Resident memory of the process in bytes: now, and the peak. 0 when unknown.
uint64_t vk_resident_bytes(void);
uint64_t vk_peak_resident_bytes(void);
/// Bytes that the allocator has handed out and not got back. 0 when unknown.
uint64_t vk_allocated_bytes(void);

VK_END

#endif
