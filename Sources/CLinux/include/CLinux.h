// What Glibc's Swift module lacks: Linux headers, variadic functions, GNU-only calls and macros, one function each.
// The bodies are in CLinux.c: with _GNU_SOURCE in this header, its view of libc would clash with Swift's.
#pragma once
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include "CrashReport.h"

// epoll
int linux_epoll_create(void);
int linux_epoll_ctl(int epoll, int operation, int fd, unsigned int events, unsigned long token);
#define LINUX_EPOLLET 0x80000000u
#define LINUX_EPOLLEXCLUSIVE 0x10000000u

// sockets
int linux_accept4(int fd, void *address, unsigned int *length);
int linux_socket_stream(int family, int protocol);
int linux_socket_datagram(int family);
int linux_socketpair_stream(int pair[2]);
int linux_socketpair_seqpacket(int pair[2]);
int linux_connect(int fd, const void *address, unsigned int length);
int linux_bind(int fd, const void *address, unsigned int length);
int linux_getsockname(int fd, void *address, unsigned int *length);
int linux_setsockopt_int(int fd, int level, int option, int value);
int linux_getsockopt_int(int fd, int level, int option, int *value);
// One datagram to a path, or with `@` to an abstract name, with at most one descriptor (-1: none).
long linux_notify(const char *name, const void *bytes, unsigned long count, int passed);
int linux_peer_user(int fd, unsigned int *user);
long linux_send(int fd, const void *bytes, unsigned long count);
long linux_recv(int fd, void *bytes, unsigned long count);
long linux_peek(int fd, void *bytes, unsigned long count);

// One message over a UNIX socket, with at most one descriptor (-1: none).
long linux_send_with_fd(int fd, const void *bytes, unsigned long count, int passed);
long linux_receive_with_fd(int fd, void *bytes, unsigned long count, int *passed);

// descriptors
int linux_open(const char *path, int flags, unsigned int mode);
int linux_set_cloexec(int fd, int on);
int linux_set_nonblocking(int fd);
int linux_pipe(int pair[2]);
int linux_pipe_size(int fd, int size);
long linux_splice(int from, int to, unsigned long count);
int linux_memfd(const char *name);
// One of this size for good: no process that has it can cut it from under the others' mappings.
int linux_memfd_sized(const char *name, unsigned long size);
void *linux_map_shared(unsigned long size, int fd);

// signals
/* SI_QUEUE: sent by sigqueue(3). */
extern const int linux_si_queue;
int linux_signalfd(int fd, const sigset_t *set);
void linux_signal_default(int number);
void linux_signal_ignore(int number);
int linux_wait_exited(int status);
int linux_wait_exit_code(int status);
int linux_wait_signal(int status);
int linux_wait_core(int status);

// processes
int linux_prctl(int option, unsigned long value);
int linux_set_affinity(const unsigned char *cpus, int count);
int linux_set_limit(int resource, unsigned long value);
int linux_get_limit(int resource, unsigned long *soft, unsigned long *hard);
int linux_set_priority(int value);
// No capability of any set, and no new privileges by exec.
int linux_forgo_privileges(void);
void linux_wipe(void *start, unsigned long count);

// clocks
unsigned long linux_monotonic_milliseconds(void);
