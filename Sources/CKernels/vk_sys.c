#define _GNU_SOURCE
#include "include/vk_sys.h"

#include <dlfcn.h>
#include <errno.h>
#if defined(__linux__)
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <malloc.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#endif

size_t vk_memrchr(const uint8_t *bytes, size_t len, uint8_t byte) {
#if defined(__GLIBC__)
    const uint8_t *hit = len ? memrchr(bytes, byte, len) : NULL;
    return hit ? (size_t)(hit - bytes) : SIZE_MAX;
#else
    while (len--) {
        if (bytes[len] == byte) return len;
    }
    return SIZE_MAX;
#endif
}

size_t vk_memmem(const uint8_t *bytes, size_t len, const uint8_t *needle, size_t needle_len) {
    if (needle_len == 0) return 0;
    if (needle_len > len) return SIZE_MAX;
    const uint8_t *hit = memmem(bytes, len, needle, needle_len);
    return hit ? (size_t)(hit - bytes) : SIZE_MAX;
}

bool vk_file_system_stamps_changes(const char *path) {
#ifdef __linux__
    struct statfs s;
    if (statfs(path, &s) != 0) return false;
    switch ((uint32_t)s.f_type) {
    case 0x0000EF53u: // ext2, ext3, ext4
    case 0x58465342u: // xfs
    case 0x9123683Eu: // btrfs
    case 0x01021994u: // tmpfs
    case 0x794C7630u: // overlayfs
    case 0xF2F52010u: // F2FS
        return true;
    default: return false;
    }
#else
    (void)path;
    return false;
#endif
}

bool vk_program_path(char *out, size_t cap) {
    Dl_info info;
    if (!dladdr((const void *)(uintptr_t)&vk_program_path, &info) || !info.dli_fname) return false;
    size_t len = strlen(info.dli_fname);
    if (len + 1 > cap) return false;
    memcpy(out, info.dli_fname, len + 1);
    return true;
}

void vk_heap_settle(void) {
#if defined(__GLIBC__)
    // Settings of the environment (MALLOC_...) were read before and are the user's.
    if (getenv("MALLOC_MMAP_THRESHOLD_") || getenv("GLIBC_TUNABLES")) return;
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    // Setting the border fixes this one too, at a value that a batch's worth of columns would cross again and again.
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
#endif
}

void vk_heap_trim(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

int32_t vk_sd_notify(const char *socket_path, const char *message) {
    struct sockaddr_un address;
    size_t len = socket_path ? strlen(socket_path) : 0;
    if (len < 2 || (socket_path[0] != '/' && socket_path[0] != '@')) return EINVAL;
    // A path needs its terminator, an abstract name is as long as it says.
    if (len > sizeof address.sun_path - (socket_path[0] == '/')) return ENAMETOOLONG;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, socket_path, len);
    if (socket_path[0] == '@') address.sun_path[0] = 0;
    socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (socket_path[0] == '/'));
#if defined(SOCK_CLOEXEC)
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
#else
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
#endif
    if (fd < 0) return errno;
    size_t message_len = strlen(message);
    ssize_t sent;
    do {
        sent = sendto(fd, message, message_len,
#if defined(MSG_NOSIGNAL)
                      MSG_NOSIGNAL,
#else
                      0,
#endif
                      (struct sockaddr *)&address, address_len);
    } while (sent < 0 && errno == EINTR);
    int32_t result = sent < 0 ? errno : (size_t)sent == message_len ? 0 : EIO;
    close(fd);
    return result;
}

// MARK: inotify

#if defined(__linux__)
const uint32_t VK_IN_MODIFY = IN_MODIFY;
const uint32_t VK_IN_CLOSE_WRITE = IN_CLOSE_WRITE;
const uint32_t VK_IN_MOVED_FROM = IN_MOVED_FROM;
const uint32_t VK_IN_MOVED_TO = IN_MOVED_TO;
const uint32_t VK_IN_CREATE = IN_CREATE;
const uint32_t VK_IN_DELETE = IN_DELETE;
const uint32_t VK_IN_DELETE_SELF = IN_DELETE_SELF;
const uint32_t VK_IN_MOVE_SELF = IN_MOVE_SELF;
const uint32_t VK_IN_IGNORED = IN_IGNORED;
const uint32_t VK_IN_Q_OVERFLOW = IN_Q_OVERFLOW;
const uint32_t VK_IN_ISDIR = IN_ISDIR;
const uint32_t VK_IN_ONLYDIR = IN_ONLYDIR;

int32_t vk_inotify_open(void) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int32_t vk_inotify_watch(int32_t fd, const char *path, uint32_t mask) {
    int watch = inotify_add_watch(fd, path, mask);
    return watch < 0 ? -errno : watch;
}

size_t vk_inotify_decode(const uint8_t *bytes, size_t len, size_t offset, vk_inotify_event *event) {
    struct inotify_event head;
    if (offset > len || len - offset < sizeof head) return 0;
    memcpy(&head, bytes + offset, sizeof head);
    if (head.len > len - offset - sizeof head) return 0;
    const uint8_t *name = bytes + offset + sizeof head;
    *event = (vk_inotify_event){head.wd, head.mask, head.cookie, (uint32_t)strnlen((const char *)name, head.len), name};
    return offset + sizeof head + head.len;
}
#else
const uint32_t VK_IN_MODIFY = 0, VK_IN_CLOSE_WRITE = 0, VK_IN_MOVED_FROM = 0, VK_IN_MOVED_TO = 0, VK_IN_CREATE = 0, VK_IN_DELETE = 0;
const uint32_t VK_IN_DELETE_SELF = 0, VK_IN_MOVE_SELF = 0, VK_IN_IGNORED = 0, VK_IN_Q_OVERFLOW = 0, VK_IN_ISDIR = 0, VK_IN_ONLYDIR = 0;

int32_t vk_inotify_open(void) { return -ENOSYS; }

int32_t vk_inotify_watch(int32_t fd, const char *path, uint32_t mask) {
    (void)fd, (void)path, (void)mask;
    return -ENOSYS;
}

size_t vk_inotify_decode(const uint8_t *bytes, size_t len, size_t offset, vk_inotify_event *event) {
    (void)bytes, (void)len, (void)offset, (void)event;
    return 0;
}
#endif

// MARK: clocks and memory

static uint64_t clock_ns(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t vk_process_cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }
uint64_t vk_thread_cpu_ns(void) { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }
uint64_t vk_monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t vk_resident_bytes(void) {
#if defined(__linux__)
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    unsigned long long total = 0, resident = 0;
    int n = fscanf(file, "%llu %llu", &total, &resident);
    fclose(file);
    return n == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
#else
    return 0;
#endif
}

uint64_t vk_allocated_bytes(void) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

uint64_t vk_peak_resident_bytes(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss * 1024;
#endif
}
