/* A library to preload (Linux): counts what a process changes below one folder, and at a chosen
 * change lets it fail as disks do, or ends the process.
 *
 *   FAULT_FOLDER  changes below this folder are counted
 *   FAULT_AT      the change at which it happens, from 1; 0 for never
 *   FAULT_KIND    kill   the process ends there by SIGKILL, a write half done
 *                 error  that change alone fails (EIO)
 *                 full   half of a write, and from there on nothing more fits (ENOSPC)
 *                 short  half of the write is done, as the system may; the rest has to be asked for
 *                 closed the folder cannot be written to at all (EROFS)
 *   FAULT_LOG     a file outside of the folder that gets a line for each change
 *   FAULT_SLOW    milliseconds that each read of a file below SLOW_FOLDER takes
 *   FAULT_BACK    seconds that the clock goes back, all of a sudden, at the FAULT_AT-th change
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum kind { NEVER, KILL, ERROR, FULL, SHORT, CLOSED, BACK };
enum way { PASS, FAIL, HALF };

static char folder[PATH_MAX], slow_folder[PATH_MAX];
static enum kind kind;
static long at, slow_ms, back_s;
static int log_fd = -1;
static atomic_long changes;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAULT_KIND");
    const char *names[] = {"", "kill", "error", "full", "short", "closed", "back"};
    for (int i = 1; text && i < 7; i++)
        if (!strcmp(text, names[i])) kind = i;
    if ((text = getenv("FAULT_FOLDER"))) snprintf(folder, sizeof folder, "%s", text);
    if ((text = getenv("SLOW_FOLDER"))) snprintf(slow_folder, sizeof slow_folder, "%s", text);
    if ((text = getenv("FAULT_AT"))) at = atol(text);
    if ((text = getenv("FAULT_SLOW"))) slow_ms = atol(text);
    if ((text = getenv("FAULT_BACK"))) back_s = atol(text);
    real_write = REAL(write);
    real_pwrite = REAL(pwrite64);
    if ((text = getenv("FAULT_LOG")))
        log_fd = open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static int below(const char *path, const char *top) {
    size_t length = strlen(top);
    if (length == 1) return path[0] == '/'; /* all files, and neither pipes nor sockets */
    return length && !strncmp(path, top, length) && (path[length] == '/' || !path[length]);
}

static const char *path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

static const char *absolute(const char *given, char *path) {
    if (given[0] == '/' || !getcwd(path, PATH_MAX / 2)) return given;
    strncat(path, "/", 2);
    strncat(path, given, PATH_MAX / 2 - 2);
    return path;
}

/* Counts a change and says what becomes of it. `grows`: whether it takes room on the disk;
 * `bytes`: whether a half of it can be done. */
static enum way change(const char *what, const char *path, int grows, int bytes) {
    if (!below(path, folder)) return PASS;
    long number = ++changes;
    if (log_fd >= 0) {
        char line[PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%ld %s %s\n", number, what, path);
        if (real_write(log_fd, line, length) < 0) abort();
    }
    if (kind == CLOSED) {
        errno = EROFS;
        return FAIL;
    }
    if (kind == NEVER || kind == BACK || !at || number < at) return PASS;
    switch (kind) {
    case KILL:
        if (bytes && number == at) return HALF;
        kill(getpid(), SIGKILL);
        pause();
        return FAIL;
    case ERROR:
        errno = EIO;
        return number == at ? FAIL : PASS;
    case FULL:
        errno = ENOSPC;
        if (!grows) return PASS;
        return number == at && bytes ? HALF : FAIL;
    case SHORT:
        return number == at && bytes ? HALF : PASS;
    default:
        return PASS;
    }
}

static ssize_t after_half(ssize_t done) {
    if (kind == KILL) kill(getpid(), SIGKILL);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    char path[PATH_MAX];
    if (!real_write) begin();
    switch (change("write", path_of(fd, path), 1, length > 1)) {
    case FAIL: return -1;
    case HALF: return after_half(real_write(fd, bytes, length / 2));
    default: return real_write(fd, bytes, length);
    }
}

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t offset) {
    char path[PATH_MAX];
    if (!real_pwrite) begin();
    switch (change("pwrite", path_of(fd, path), 1, length > 1)) {
    case FAIL: return -1;
    case HALF: return after_half(real_pwrite(fd, bytes, length / 2, offset));
    default: return real_pwrite(fd, bytes, length, offset);
    }
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return write_at(fd, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return write_at(fd, bytes, length, offset);
}

#define BY_FD_AS(type, name, grows, parameters, ...)                          \
    type name parameters {                                                    \
        char path[PATH_MAX];                                                  \
        if (change(#name, path_of(fd, path), grows, 0) == FAIL) return -1;    \
        return REAL(name)(__VA_ARGS__);                                       \
    }
#define BY_FD(name, ...) BY_FD_AS(int, name, __VA_ARGS__)
BY_FD(fsync, 0, (int fd), fd)
BY_FD(fdatasync, 0, (int fd), fd)
BY_FD_AS(ssize_t, copy_file_range, 1, (int in, off64_t *at_in, int fd, off64_t *at_out, size_t length, unsigned flags),
         in, at_in, fd, at_out, length, flags)
BY_FD(ftruncate, 1, (int fd, off_t length), fd, length)
BY_FD(ftruncate64, 1, (int fd, off64_t length), fd, length)

#define BY_PATH(name, grows, parameters, given, ...)                          \
    int name parameters {                                                     \
        char path[PATH_MAX];                                                  \
        if (change(#name, absolute(given, path), grows, 0) == FAIL) return -1; \
        return REAL(name)(__VA_ARGS__);                                       \
    }
BY_PATH(rename, 0, (const char *from, const char *to), from, from, to)
BY_PATH(unlink, 0, (const char *name), name, name)
BY_PATH(rmdir, 0, (const char *name), name, name)
BY_PATH(mkdir, 1, (const char *name, mode_t mode), name, name, mode)
BY_PATH(link, 1, (const char *from, const char *to), to, from, to)
BY_PATH(linkat, 1, (int from_fd, const char *from, int to_fd, const char *to, int flags), to,
        from_fd, from, to_fd, to, flags)
int unlinkat(int fd, const char *name, int flags) {
    char top[PATH_MAX / 2], path[PATH_MAX];
    if (fd == AT_FDCWD || name[0] == '/') absolute(name, path);
    else {
        char whole[PATH_MAX];
        snprintf(top, sizeof top, "%s", path_of(fd, whole));
        snprintf(path, sizeof path, "%s/%s", top, name);
    }
    if (change("unlinkat", name[0] == '/' ? name : path, 0, 0) == FAIL) return -1;
    return REAL(unlinkat)(fd, name, flags);
}

/* Opening is a change where the file is new or loses what it held, or is meant to be written to a
 * folder that is closed. */
static int changes_file(const char *path, int flags) {
    struct stat stat;
    if (kind == CLOSED && (flags & O_ACCMODE) != O_RDONLY) return 1;
    return (flags & O_TRUNC) || ((flags & O_CREAT) && lstat(path, &stat) != 0);
}
#define OPENS(name, parameters, ...)                                          \
    int name parameters {                                                     \
        char whole[PATH_MAX];                                                 \
        mode_t mode = 0;                                                      \
        if (flags & (O_CREAT | O_TMPFILE)) {                                  \
            va_list rest;                                                     \
            va_start(rest, flags);                                            \
            mode = va_arg(rest, mode_t);                                      \
            va_end(rest);                                                     \
        }                                                                     \
        const char *path = absolute(given, whole);                            \
        if (changes_file(path, flags) && change("open", path, 1, 0) == FAIL)  \
            return -1;                                                        \
        return REAL(name)(__VA_ARGS__, mode);                                 \
    }
OPENS(open, (const char *given, int flags, ...), given, flags)
OPENS(open64, (const char *given, int flags, ...), given, flags)
OPENS(openat, (int fd, const char *given, int flags, ...), fd, given, flags)
OPENS(openat64, (int fd, const char *given, int flags, ...), fd, given, flags)

ssize_t read(int fd, void *bytes, size_t length) {
    char path[PATH_MAX];
    if (slow_ms && below(path_of(fd, path), slow_folder)) usleep(slow_ms * 1000);
    return REAL(read)(fd, bytes, length);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = REAL(clock_gettime)(clock, time);
    if (kind == BACK && clock == CLOCK_REALTIME && changes >= at) time->tv_sec -= back_s;
    return result;
}
