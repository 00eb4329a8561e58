#define _GNU_SOURCE
#include "CrashReport.h"
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { MODULES = 24, FRAMES = 32, STACK = 65536 };

unsigned long linux_activity_session;
const char *linux_activity_text;

static struct { char name[32]; uintptr_t base, low, high; } modules[MODULES];
static int module_count;
static uintptr_t stack_low, stack_high;
static char *report;
static unsigned long report_size;
static const char *report_prefix;

// --- writing text -----------------------------------------------------------------------------------------------------

struct text { char *bytes; unsigned long count, size; };

static void add_byte(struct text *text, char byte) {
    if (text->count < text->size) text->bytes[text->count++] = byte;
}
static void add(struct text *text, const char *string) {
    while (*string) add_byte(text, *string++);
}
static void add_number(struct text *text, uintptr_t number, unsigned base) {
    char digits[20];
    int count = 0;
    do digits[count++] = "0123456789abcdef"[number % base]; while ((number /= base) && count < 20);
    while (count) add_byte(text, digits[--count]);
}
// `libssl.so.3+0x1f2c0`: what addr2line wants to know.
static void add_place(struct text *text, uintptr_t place) {
    for (int i = 0; i < module_count; i++)
        if (place >= modules[i].low && place < modules[i].high) {
            add(text, modules[i].name);
            add(text, "+0x");
            return add_number(text, place - modules[i].base, 16);
        }
    add(text, "0x");
    add_number(text, place, 16);
}

// --- the handler ------------------------------------------------------------------------------------------------------

static const char *name_of(int signal) {
    switch (signal) {
    case SIGILL: return "SIGILL";
    case SIGTRAP: return "SIGTRAP";
    case SIGABRT: return "SIGABRT";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    default: return "SIGSEGV";
    }
}

// Follows the frame pointers, each of which must lie further up this thread's stack.
static void add_frames(struct text *text, const ucontext_t *context) {
#if defined(__x86_64__)
    uintptr_t frame = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
    uintptr_t low = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#else
    uintptr_t frame = context->uc_mcontext.regs[29], low = context->uc_mcontext.sp;
#endif
    if (low < stack_low || low >= stack_high) return;
    for (int i = 0; i < FRAMES; i++) {
        if (frame < low || frame > stack_high - 2 * sizeof(uintptr_t) || frame % sizeof(uintptr_t)) return;
        const uintptr_t *link = (const uintptr_t *)frame;
        if (!link[1]) return;
        add(text, i ? " " : ", frames ");
        // The call is before where it returns to.
        add_place(text, link[1] - 1);
        low = frame + 1;
        frame = link[0];
    }
}

static void write_report(int signal, const siginfo_t *info, const ucontext_t *context) {
    static char line[1024];
    struct text text = { line, 0, sizeof line - 1 };
    if (report) {
        text.bytes = report + sizeof(unsigned);
        text.size = report_size - sizeof(unsigned);
    } else {
        add(&text, report_prefix);
    }
#if defined(__x86_64__)
    uintptr_t place = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#else
    uintptr_t place = context->uc_mcontext.pc;
#endif
    add(&text, "signal ");
    add_number(&text, (uintptr_t)signal, 10);
    add(&text, " (");
    add(&text, name_of(signal));
    add(&text, ")");
    // From the kernel, not from another process.
    if (info->si_code > 0) {
        add(&text, ", address 0x");
        add_number(&text, (uintptr_t)info->si_addr, 16);
    } else {
        add(&text, " sent by process ");
        add_number(&text, (uintptr_t)info->si_pid, 10);
    }
    add(&text, ", at ");
    add_place(&text, place);
    if (linux_activity_session) {
        add(&text, ", in session *");
        add_number(&text, linux_activity_session, 10);
    }
    // Whoever reads it may read now what is there already: what follows can fail once more.
    unsigned count = (unsigned)text.count;
    if (report) __atomic_store_n((unsigned *)report, count, __ATOMIC_RELEASE);
    if (linux_activity_text) {
        add(&text, " while ");
        for (int i = 0; i < 64 && linux_activity_text[i]; i++) add_byte(&text, linux_activity_text[i]);
    }
    add_frames(&text, context);
    count = (unsigned)text.count;
    if (report) {
        __atomic_store_n((unsigned *)report, count, __ATOMIC_RELEASE);
    } else {
        text.size = sizeof line;
        add(&text, "\n");
        if (write(2, line, text.count) < 0) return;
    }
}

// The default is in force again (SA_RESETHAND): the process ends by the signal, with a core file where one is wanted.
static void crashed(int signal, siginfo_t *info, void *context) {
    int error = errno;
    write_report(signal, info, context);
    errno = error;
    // A fault happens once more when the handler returns; what was sent, does not.
    if (info->si_code <= 0) raise(signal);
}

// --- before -----------------------------------------------------------------------------------------------------------

static int note_module(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size, (void)context;
    if (module_count == MODULES) return 1;
    const char *name = strrchr(info->dlpi_name, '/');
    name = name ? name + 1 : *info->dlpi_name ? info->dlpi_name : "apus";
    uintptr_t high = 0, low = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD) continue;
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        if (start < low) low = start;
        if (start + part->p_memsz > high) high = start + part->p_memsz;
    }
    strncpy(modules[module_count].name, name, sizeof modules[0].name - 1);
    modules[module_count].base = info->dlpi_addr;
    modules[module_count].low = low;
    modules[module_count].high = high;
    module_count++;
    return 0;
}

static void note_stack(void) {
    pthread_attr_t attributes;
    void *start;
    size_t count;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
    if (pthread_attr_getstack(&attributes, &start, &count) == 0) {
        stack_low = (uintptr_t)start;
        stack_high = stack_low + count;
    }
    pthread_attr_destroy(&attributes);
}

int linux_report_crashes(void *space, unsigned long count, const char *prefix) {
    // Not SIGSYS, which the daemon ignores as nginx does.
    static const int signals[] = { SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV };
    static void *stack;
    report = space;
    report_size = count;
    report_prefix = prefix;
    linux_note_activity(0, 0);
    if (!stack) {
        dl_iterate_phdr(note_module, 0);
        note_stack();
        stack = mmap(0, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED) {
            stack = 0;
            return -1;
        }
        // An overflow of the ordinary stack must leave room to tell of it.
        stack_t other = { .ss_sp = stack, .ss_size = STACK };
        if (sigaltstack(&other, 0) != 0) return -1;
    }
    struct sigaction action = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND | SA_NODEFER };
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], &action, 0) != 0) return -1;
    return 0;
}

static int find_build_id(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    struct text *text = context;
    // The first one is the program itself.
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_NOTE) continue;
        const char *place = (const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        const char *end = place + info->dlpi_phdr[i].p_memsz;
        while (end - place >= (long)sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)place;
            const unsigned char *bytes = (const unsigned char *)place + sizeof *note + ((note->n_namesz + 3) & ~3u);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(place + sizeof *note, "GNU", 4)) {
                for (unsigned j = 0; j < note->n_descsz; j++) {
                    add_byte(text, "0123456789abcdef"[bytes[j] >> 4]);
                    add_byte(text, "0123456789abcdef"[bytes[j] & 15]);
                }
                return 1;
            }
            place = (const char *)bytes + ((note->n_descsz + 3) & ~3u);
        }
    }
    return 1;
}

long linux_build_id(char *space, unsigned long count) {
    struct text text = { space, 0, count };
    dl_iterate_phdr(find_build_id, &text);
    return (long)text.count;
}
