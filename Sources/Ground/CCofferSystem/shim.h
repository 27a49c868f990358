// What Swift's Glibc and Darwin modules do not import: extended attributes, holes in files, writing past the cache, the
// processors that are allowed, the processor time of a thread, and how malloc keeps memory.
#ifndef CCOFFER_SYSTEM_H
#define CCOFFER_SYSTEM_H
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
/* Which glibc shows with _GNU_SOURCE alone. */
ssize_t pwritev2(int, const struct iovec *, int, off_t, int);
int syncfs(int);
void *memmem(const void *, size_t, const void *, size_t);
#endif

/// Whether some bytes stand anywhere in others.
static inline int coffer_holds(const void *bytes, size_t count, const void *sought, size_t sought_count) {
    return memmem(bytes, count, sought, sought_count) != 0;
}

/// Where data begins at or behind a place in a file; -1 and ENXIO if there is none.
static inline off_t coffer_next_data(int file, off_t offset) {
#ifdef __APPLE__
    return lseek(file, offset, SEEK_DATA);
#else
    return lseek(file, offset, 3 /* SEEK_DATA, which glibc shows with _GNU_SOURCE alone */);
#endif
}

/// Writes behind what a file has, and lets the system forget the pages once they are on the disk: a backup that is written once
/// would push out what people work with, and new pages cost more than the copying (RWF_DONTCACHE, Linux 6.14; elsewhere it is a
/// write like others). Writing to the disk begins at once, so little is written as usual.
static inline ssize_t coffer_write_some_once(int file, const void *bytes, size_t count) {
#ifdef __GLIBC__
    if (count >= 128 << 10) {
        struct iovec part = {(void *)bytes, count};
        ssize_t written = pwritev2(file, &part, 1, -1, 0x80 /* RWF_DONTCACHE */);
        if (written >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS)) return written;
    }
#endif
    return write(file, bytes, count);
}

/// The same for all of the bytes: 0, or -1 and errno.
static inline int coffer_write_once(int file, const void *bytes, size_t count) {
    const char *next = (const char *)bytes;
    while (count > 0) {
        ssize_t written = coffer_write_some_once(file, next, count);
        if (written < 0 && errno == EINTR) continue;
        if (written == 0) errno = EIO;
        if (written <= 0) return -1;
        next += written;
        count -= (size_t)written;
    }
    return 0;
}

/// Where temporary files go that are too large for memory: `$TMPDIR`, if it says anything, else where they lie on a disk.
const char *coffer_temporary_folder(void);

/// Opens a new file that has no name at any time, for its owner alone; -1 and errno if it cannot be.
int coffer_open_nameless(const char *folder);

/// Whether that failed for another reason than that the file system knows no such files.
int coffer_knows_nameless(int code);

/// The same on any file system: where there are no such files, the file loses its name at once. The system takes its room back
/// when it is closed, even if the program is killed.
int coffer_open_temporary(const char *folder);

/// How many processors this process may run on; 0 if the system does not say.
int coffer_allowed_processors(void);

/// Processor time of the calling thread, in nanoseconds; 0 if the system does not say.
static inline unsigned long long coffer_thread_nanoseconds(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 0;
    return (unsigned long long)time.tv_sec * 1000000000ULL + (unsigned long long)time.tv_nsec;
}

/// What this user may still write, in bytes; -1 if the file system does not say (some of FUSE answer with zeros).
static inline long long coffer_free_bytes(const struct statvfs *status) {
    long long bytes;
    if (status->f_blocks == 0 || status->f_frsize == 0) return -1;
    if (__builtin_mul_overflow(geteuid() == 0 ? status->f_bfree : status->f_bavail, status->f_frsize, &bytes)) return -1;
    return bytes;
}

/// Waits until everything that was written to the file system of an open file is on the disk.
static inline void coffer_sync_file_system(int file) {
#ifdef __GLIBC__
    syncfs(file);
#else
    (void)file;
    sync();
#endif
}

static inline ssize_t coffer_llistxattr(const char *path, char *names, size_t count) {
#ifdef __APPLE__
    return listxattr(path, names, count, XATTR_NOFOLLOW);
#else
    return llistxattr(path, names, count);
#endif
}

static inline ssize_t coffer_lgetxattr(const char *path, const char *name, void *value, size_t count) {
#ifdef __APPLE__
    return getxattr(path, name, value, count, 0, XATTR_NOFOLLOW);
#else
    return lgetxattr(path, name, value, count);
#endif
}

static inline int coffer_fsetxattr(int file, const char *name, const void *value, size_t count) {
#ifdef __APPLE__
    return fsetxattr(file, name, value, count, 0, 0);
#else
    return fsetxattr(file, name, value, count, 0);
#endif
}

/// Lets malloc keep up to `bytes` of freed memory, and take blocks of up to `bytes` from it; one pool for all threads.
static inline void coffer_keep_freed_memory(size_t bytes) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, (int)bytes);
    mallopt(M_TRIM_THRESHOLD, (int)bytes);
    mallopt(M_ARENA_MAX, 1);
#endif
}
#endif
