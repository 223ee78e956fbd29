/* A library to preload (Linux): writes down each attempt to reach a network.
 *
 *   WATCH_LOG  the file that gets a line for each attempt, and one for each program that begins
 *
 * Sockets between processes of this machine (AF_UNIX) and questions to its kernel (AF_NETLINK) are
 * no network.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void note(const char *what, const char *of) {
    const char *path = getenv("WATCH_LOG");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    char line[512];
    int length = snprintf(line, sizeof line, "%s %s %s\n", what, program_invocation_short_name, of);
    if (fd < 0 || write(fd, line, length < (int)sizeof line ? length : (int)sizeof line - 1) < 0)
        abort(); /* nobody would notice the missing lines */
    close(fd);
}

static void family(const char *what, int of) {
    char text[16];
    snprintf(text, sizeof text, "%d", of);
    if (of != AF_UNIX && of != AF_NETLINK && of != AF_UNSPEC) note(what, text);
}

__attribute__((constructor)) static void begin(void) {
    if (getenv("WATCH_LOG")) note("began", "");
}

int socket(int domain, int type, int protocol) {
    family("socket", domain);
    return REAL(socket)(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    if (address) family("connect", address->sa_family);
    return REAL(connect)(fd, address, length);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address,
               socklen_t length) {
    if (address) family("sendto", address->sa_family);
    return REAL(sendto)(fd, data, size, flags, address, length);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    note("getaddrinfo", name ? name : "");
    return REAL(getaddrinfo)(name, service, hints, found);
}

struct hostent *gethostbyname(const char *name) {
    note("gethostbyname", name);
    return REAL(gethostbyname)(name);
}

/* Whoever makes sockets past the functions above goes through here. */
long syscall(long number, ...) {
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_socket) family("syscall", (int)a[0]);
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
