#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// epoll
int linux_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
int linux_epoll_ctl(int epoll, int operation, int fd, unsigned int events, unsigned long token) {
    struct epoll_event event = { .events = events, .data = { .u64 = token } };
    return epoll_ctl(epoll, operation, fd, &event);
}

// sockets
int linux_accept4(int fd, void *address, unsigned int *length) {
    return accept4(fd, (struct sockaddr *)address, (socklen_t *)length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
int linux_socket_stream(int family, int protocol) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}
int linux_socket_datagram(int family) { return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }
int linux_socketpair_stream(int pair[2]) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}
int linux_socketpair_seqpacket(int pair[2]) {
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}
int linux_connect(int fd, const void *address, unsigned int length) {
    return connect(fd, (const struct sockaddr *)address, length);
}
int linux_bind(int fd, const void *address, unsigned int length) {
    return bind(fd, (const struct sockaddr *)address, length);
}
int linux_getsockname(int fd, void *address, unsigned int *length) {
    return getsockname(fd, (struct sockaddr *)address, (socklen_t *)length);
}
int linux_setsockopt_int(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}
int linux_getsockopt_int(int fd, int level, int option, int *value) {
    socklen_t length = sizeof *value;
    return getsockopt(fd, level, option, value, &length);
}
long linux_notify(const char *name, const void *bytes, unsigned long count, int passed) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    unsigned long length = strlen(name);
    if (length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, name, length);
    if (name[0] == '@') address.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    struct iovec piece = { .iov_base = (void *)bytes, .iov_len = count };
    union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
    struct msghdr message = {
        .msg_name = &address,
        .msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length),
        .msg_iov = &piece,
        .msg_iovlen = 1,
    };
    if (passed >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed, sizeof(int));
    }
    long result = sendmsg(fd, &message, MSG_NOSIGNAL);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}
int linux_peer_user(int fd, unsigned int *user) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    int result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    if (result == 0) *user = peer.uid;
    return result;
}
long linux_send(int fd, const void *bytes, unsigned long count) {
    return send(fd, bytes, count, MSG_NOSIGNAL);
}
long linux_recv(int fd, void *bytes, unsigned long count) { return recv(fd, bytes, count, 0); }
long linux_peek(int fd, void *bytes, unsigned long count) { return recv(fd, bytes, count, MSG_PEEK); }

// One message over a UNIX socket, with at most one descriptor (-1: none).
long linux_send_with_fd(int fd, const void *bytes, unsigned long count, int passed) {
    struct iovec part = { .iov_base = (void *)bytes, .iov_len = count };
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control;
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (passed >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed, sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}
long linux_receive_with_fd(int fd, void *bytes, unsigned long count, int *passed) {
    struct iovec part = { .iov_base = bytes, .iov_len = count };
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space };
    *passed = -1;
    long result = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (result < 0) return result;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h))
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) memcpy(passed, CMSG_DATA(h), sizeof(int));
    return result;
}

// descriptors
int linux_open(const char *path, int flags, unsigned int mode) { return open(path, flags, mode); }
int linux_set_cloexec(int fd, int on) { return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0); }
int linux_set_nonblocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }
int linux_pipe(int pair[2]) { return pipe2(pair, O_CLOEXEC | O_NONBLOCK); }
int linux_pipe_size(int fd, int size) { return fcntl(fd, F_SETPIPE_SZ, size); }
long linux_splice(int from, int to, unsigned long count) {
    return splice(from, NULL, to, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}
int linux_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
int linux_memfd_sized(const char *name, unsigned long size) {
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -1;
    if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}
void *linux_map_shared(unsigned long size, int fd) {
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
    return start == MAP_FAILED ? NULL : start;
}

// signals
const int linux_si_queue = SI_QUEUE;

int linux_signalfd(int fd, const sigset_t *set) { return signalfd(fd, set, SFD_NONBLOCK | SFD_CLOEXEC); }
void linux_signal_default(int number) { signal(number, SIG_DFL); }
void linux_signal_ignore(int number) { signal(number, SIG_IGN); }
int linux_wait_exited(int status) { return WIFEXITED(status); }
int linux_wait_exit_code(int status) { return WEXITSTATUS(status); }
int linux_wait_signal(int status) { return WTERMSIG(status); }
int linux_wait_core(int status) { return WCOREDUMP(status); }

// processes
int linux_prctl(int option, unsigned long value) { return prctl(option, value, 0, 0, 0); }
int linux_set_affinity(const unsigned char *cpus, int count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < count && i < CPU_SETSIZE; i++) if (cpus[i]) CPU_SET(i, &set);
    return sched_setaffinity(0, sizeof set, &set);
}
int linux_set_limit(int resource, unsigned long value) {
    struct rlimit limit = { value, value };
    return setrlimit((__rlimit_resource_t)resource, &limit);
}
int linux_get_limit(int resource, unsigned long *soft, unsigned long *hard) {
    struct rlimit limit;
    int result = getrlimit((__rlimit_resource_t)resource, &limit);
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return result;
}
int linux_set_priority(int value) { return setpriority(PRIO_PROCESS, 0, value); }
int linux_forgo_privileges(void) {
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 } };
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, none) != 0) return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
void linux_wipe(void *start, unsigned long count) { explicit_bzero(start, count); }

// clocks
unsigned long linux_monotonic_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000ul + (unsigned long)now.tv_nsec / 1000000ul;
}
