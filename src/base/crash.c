/* The handler of fatal signals and what it prepares.
 *
 * The handler uses only what POSIX calls async-signal-safe, with two exceptions that are covered: backtrace() was called once before, so
 * that it loads nothing, and it and backtrace_symbols_fd() come last, under an alarm that ends the process if one of their locks is
 * held for good. A fault inside the handler comes back to it: it then closes the JSON and lets the process die. */
#include "base/crash.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crash_note.h"
#include "base/log.h"
#include "base/memory.h"

enum {
    PATH_SIZE = 4096,
    PART_MAX = 128,            /* bytes of a text in the report */
    FRAMES_MAX = 64,           /* of the stack */
    HANDLER_STACK = 64 * 1024, /* bytes */
    HANDLER_SECONDS_MAX = 5,
};

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

static char folder[PATH_SIZE - 64]; /* with '/' at the end */
static char report_path[PATH_SIZE];
static struct sigaction before[COUNT_OF(fatal_signals)];
static atomic_int reporter;     /* thread that reports, 0: none */
static const char *report_tail; /* what closes the JSON as far as it is written */
static int report_fd = -1;
static int probe[2] = {-1, -1}; /* a pipe, to read memory that may not be there */

/* Lists of exchanges by thread; `all` is NULL where a slot is free, and is set last. */
static struct exchanges {
    ptrdiff_t note_offset;
    _Atomic(const struct list *) all;
    atomic_bool taken;
} exchanges[CRASH_THREADS_MAX];

/* Text that is built without the heap or stdio. */
struct piece {
    char at[2048];
    size_t size;
};

static void add(struct piece *piece, struct text t)
{
    size_t n = MIN_OF(t.size, sizeof piece->at - piece->size);
    memcpy(piece->at + piece->size, t.at, n);
    piece->size += n;
}

static void add_number(struct piece *piece, uint64_t value, unsigned base, unsigned digits_min)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0 || sizeof digits - at < digits_min);
    add(piece, (struct text){digits + at, sizeof digits - at});
}

static void add_quoted(struct piece *piece, struct text t)
{
    add(piece, TEXT("\""));
    size_t room = sizeof piece->at - piece->size;
    piece->size += log_escape_json(t, piece->at + piece->size, room > 8 ? room - 8 : 0);
    add(piece, TEXT("\""));
}

/* gmtime_r() may take a lock; this is the usual arithmetic on days since 1970 (years from 1970 on). */
static void add_time(struct piece *piece, int64_t seconds, bool compact)
{
    uint64_t day = (uint64_t)seconds / 86400, second = (uint64_t)seconds % 86400;
    uint64_t shifted = day + 719468, era = shifted / 146097, of_era = shifted % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_shifted = (5 * of_year + 2) / 153;
    uint64_t month = month_shifted < 10 ? month_shifted + 3 : month_shifted - 9;
    struct text dash = compact ? TEXT("") : TEXT("-"), colon = compact ? TEXT("") : TEXT(":");
    add_number(piece, year_of_era + era * 400 + (month <= 2), 10, 4);
    add(piece, dash);
    add_number(piece, month, 10, 2);
    add(piece, dash);
    add_number(piece, of_year - (153 * month_shifted + 2) / 5 + 1, 10, 2);
    add(piece, TEXT("T"));
    add_number(piece, second / 3600, 10, 2);
    add(piece, colon);
    add_number(piece, second / 60 % 60, 10, 2);
    add(piece, colon);
    add_number(piece, second % 60, 10, 2);
    add(piece, TEXT("Z"));
}

static void flush(struct piece *piece)
{
    for (size_t done = 0; done < piece->size;) {
        ssize_t n = write(report_fd, piece->at + done, piece->size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* a full disk: what is there is there */
        done += (size_t)n;
    }
    piece->size = 0;
}

static void empty_probe(void)
{
    char rest[256];
    while (read(probe[0], rest, sizeof rest) > 0) {
    }
}

/* Copies a few bytes from an address that may be bad: the kernel says so instead of faulting. Past the C library, because sanitizers look
 * at what write() is given. */
static bool read_carefully(const void *from, void *to, size_t size)
{
    if (syscall(SYS_write, probe[1], from, size) == (long)size)
        return read(probe[0], to, size) == (ssize_t)size;
    empty_probe(); /* of the part before the bad page */
    return false;
}

/* A text of the note, byte by byte, so that it may end at the end of a page; `size` SIZE_MAX: ends with a zero byte. */
static void add_careful(struct piece *piece, const char *from, size_t size)
{
    char copy[PART_MAX];
    size_t n = 0;
    if (!from) {
        add(piece, TEXT("null"));
        return;
    }
    while (n < MIN_OF(size, sizeof copy) && read_carefully(from + n, copy + n, 1)
           && (size != SIZE_MAX || copy[n]))
        n++;
    flush(piece); /* escaped, one text may be six times as long */
    add_quoted(piece, (struct text){copy, n});
}

static struct text signal_name(int number)
{
    switch (number) {
    case SIGSEGV: return TEXT("SIGSEGV");
    case SIGBUS: return TEXT("SIGBUS");
    case SIGILL: return TEXT("SIGILL");
    case SIGFPE: return TEXT("SIGFPE");
    default: return TEXT("SIGABRT");
    }
}

static bool report_open(struct piece *piece, int64_t now)
{
    struct piece path = {.size = 0};
    add(&path, text_of(folder));
    add_time(&path, now, true);
    add(&path, TEXT("-"));
    add_number(&path, (uint64_t)getpid(), 10, 1);
    add(&path, TEXT(".json"));
    if (path.size >= sizeof path.at)
        return false;
    memcpy(report_path, path.at, path.size);
    report_path[path.size] = '\0';
    report_fd = open(report_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    add(piece, report_fd < 0 ? TEXT("turnpike: no crash report, cannot create ")
                             : TEXT("turnpike: crash report in "));
    add(piece, (struct text){path.at, path.size});
    add(piece, TEXT("\n"));
    ssize_t written = write(STDERR_FILENO, piece->at, piece->size);
    (void)written; /* nothing is left to tell it to */
    piece->size = 0;
    return report_fd >= 0;
}

static void report_head(struct piece *piece, const siginfo_t *info, int64_t now)
{
    char name[16] = "";
    (void)prctl(PR_GET_NAME, name); /* cannot fail with a buffer of 16 */
    add(piece, TEXT("{\n  \"time\": \""));
    add_time(piece, now, false);
    add(piece, TEXT("\",\n  \"pid\": "));
    add_number(piece, (uint64_t)getpid(), 10, 1);
    add(piece, TEXT(",\n  \"version\": \"" TURNPIKE_VERSION "\",\n  \"signal\": "));
    add_quoted(piece, signal_name(info->si_signo));
    bool sent = info->si_code <= 0; /* by a process or by abort(): no address */
    if (!sent) {
        add(piece, TEXT(",\n  \"fault_address\": \"0x"));
        add_number(piece, (uint64_t)(uintptr_t)info->si_addr, 16, 1);
        add(piece, TEXT("\""));
    }
    add(piece, TEXT(",\n  \"thread\": "));
    add_quoted(piece, text_of(name));
    flush(piece);
    report_tail = "\n}\n";
}

static void add_note(struct piece *piece, const struct crash_note *note)
{
    add(piece, TEXT("{\"exchange\": "));
    add_number(piece, note->exchange, 10, 1);
    add(piece, TEXT(", \"path\": "));
    add_careful(piece, note->path.at, note->path.size);
    add(piece, TEXT(", \"route\": "));
    add_careful(piece, note->route.at, note->route.size);
    add(piece, TEXT(", \"policy\": "));
    add_careful(piece, note->policy.at, note->policy.size);
    add(piece, TEXT(", \"step\": "));
    add_careful(piece, note->step, SIZE_MAX);
    add(piece, TEXT(", \"waiting_for\": "));
    add_careful(piece, note->waiting_for, SIZE_MAX);
    add(piece, TEXT("}"));
    flush(piece);
}

static void report_note(struct piece *piece)
{
    struct crash_note note;
    if (!crash_note_current || !read_carefully(crash_note_current, &note, sizeof note))
        return;
    add(piece, TEXT(",\n  \"doing\": "));
    add_note(piece, &note);
}

/* Other threads go on meanwhile, so that a ring may change under our feet: each step may end it, and the count is bounded. */
static size_t report_ring(struct piece *piece, const struct list *all, ptrdiff_t note_offset, size_t count)
{
    struct list link;
    struct crash_note note;
    if (!read_carefully(all, &link, sizeof link))
        return count;
    for (const struct list *at = link.next; at != all && count < CRASH_EXCHANGES_MAX; at = link.next) {
        const void *place = (const void *)((uintptr_t)at + (uintptr_t)note_offset);
        if (!read_carefully(at, &link, sizeof link) || !read_carefully(place, &note, sizeof note))
            break;
        add(piece, count++ ? TEXT(",\n    ") : TEXT("\n    "));
        add_note(piece, &note);
    }
    return count;
}

static void report_exchanges(struct piece *piece)
{
    size_t count = 0;
    add(piece, TEXT(",\n  \"under_way\": ["));
    flush(piece);
    report_tail = "\n  ]\n}\n";
    for (size_t i = 0; i < COUNT_OF(exchanges); i++) {
        const struct list *all = atomic_load(&exchanges[i].all);
        if (all)
            count = report_ring(piece, all, exchanges[i].note_offset, count);
    }
    add(piece, TEXT("\n  ]"));
    flush(piece);
    report_tail = "\n}\n";
}

static void report_stack(struct piece *piece)
{
    void *frames[FRAMES_MAX];
    add(piece, TEXT(",\n  \"stack\": ["));
    flush(piece);
    report_tail = "\n  ]\n}\n";
    int count = backtrace(frames, FRAMES_MAX);
    for (int i = 0; i < count; i++) {
        char line[1024];
        backtrace_symbols_fd(&frames[i], 1, probe[1]);
        ssize_t n = read(probe[0], line, sizeof line);
        struct text symbol = {line, n > 0 ? (size_t)n : 0};
        if (text_ends_with(symbol, TEXT("\n")))
            symbol.size--;
        add(piece, i ? TEXT(",\n    ") : TEXT("\n    "));
        add_quoted(piece, symbol);
        flush(piece);
        empty_probe();
    }
}

static void report_finish(struct piece *piece)
{
    add(piece, text_of(report_tail));
    flush(piece);
    close(report_fd);
    report_fd = -1;
}

/* Bounds the risky part: ends the process if it does not end by itself. */
static void alarm_set(unsigned seconds)
{
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGALRM);
    (void)signal(SIGALRM, SIG_DFL); /* these do not fail with valid arguments */
    (void)pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    alarm(seconds);
}

/* To whoever handled it before. A fault of the instruction itself comes again when the handler returns, with its true address; a signal
 * that was sent is sent again. */
static void pass_on(const siginfo_t *info)
{
    alarm(0);
    for (size_t i = 0; i < COUNT_OF(fatal_signals); i++)
        (void)sigaction(fatal_signals[i], &before[i], NULL);
    if (info->si_code <= 0)
        (void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), info->si_signo);
}

static void on_fatal_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    int self = (int)syscall(SYS_gettid), none = 0;
    struct piece piece = {.size = 0};
    if (!atomic_compare_exchange_strong(&reporter, &none, self)) {
        while (none != self)
            pause(); /* another thread crashed first and will end the process */
        if (report_fd >= 0 && report_tail)
            report_finish(&piece);
        pass_on(info);
        return;
    }
    alarm_set(HANDLER_SECONDS_MAX);
    int64_t now = (int64_t)time(NULL);
    if (report_open(&piece, now)) {
        report_head(&piece, info, now);
        report_note(&piece);
        report_exchanges(&piece);
        report_stack(&piece);
        report_finish(&piece);
    }
    pass_on(info);
}

/* --- preparation --- */

static int is_report(const struct dirent *entry)
{
    return char_is_digit(entry->d_name[0]) && text_ends_with(text_of(entry->d_name), TEXT(".json"));
}

/* Leaves room for one more. Names begin with the time, so that they sort by age. */
static void remove_old_reports(void)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_report, alphasort);
    for (int i = 0; i < count; i++) {
        char path[PATH_SIZE + 256];
        snprintf(path, sizeof path, "%s%s", folder, entries[i]->d_name);
        if (i < count - (CRASH_REPORTS_MAX - 1) && unlink(path) < 0)
            log_warn("cannot remove an old crash report", LOG_STRING("path", path), LOG_INT("errno", errno));
        memory_free(entries[i]);
    }
    if (count >= 0)
        memory_free(entries);
}

static int make_folder(const char *data_dir, struct error *reterr)
{
    int size = snprintf(folder, sizeof folder, "%s/crashes/", data_dir);
    if (size < 0 || (size_t)size >= sizeof folder)
        return error_set(reterr, -ENAMETOOLONG, "data_dir is too long: %.100s...", data_dir);
    if (mkdir(data_dir, 0750) < 0 && errno != EEXIST)
        return error_system(reterr, -errno, "cannot create data_dir %s", data_dir);
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return error_system(reterr, -errno, "cannot create the folder of crash reports %s", folder);
    return 0;
}

static _Thread_local struct exchanges *own_exchanges;

void crash_thread_exchanges(const struct list *all, ptrdiff_t note_offset)
{
    CHECK(!own_exchanges);
    for (size_t i = 0; i < COUNT_OF(exchanges); i++) {
        if (atomic_exchange(&exchanges[i].taken, true))
            continue;
        own_exchanges = &exchanges[i];
        own_exchanges->note_offset = note_offset;
        atomic_store(&own_exchanges->all, all);
        return;
    }
}

static void forget_exchanges(void)
{
    if (!own_exchanges)
        return;
    atomic_store(&own_exchanges->all, NULL);
    atomic_store(&own_exchanges->taken, false);
    own_exchanges = NULL;
}

static _Thread_local void *own_stack;
static _Thread_local stack_t stack_before;

int crash_thread_begin(const char *name)
{
    CHECK(!own_stack);
    char short_name[16];
    snprintf(short_name, sizeof short_name, "%s", name);
    (void)prctl(PR_SET_NAME, short_name); /* cannot fail with a buffer of 16 */
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = HANDLER_STACK + page;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return -errno;
    stack_t wanted = {.ss_sp = stack + page, .ss_size = HANDLER_STACK};
    if (mprotect(stack, page, PROT_NONE) < 0 || sigaltstack(&wanted, &stack_before) < 0) {
        int code = -errno;
        munmap(stack, size);
        return code;
    }
    own_stack = stack;
    return 0;
}

void crash_thread_end(void)
{
    forget_exchanges();
    if (!own_stack)
        return;
    crash_note_set(NULL);
    (void)sigaltstack(&stack_before, NULL); /* cannot fail: it was valid, and this is not the handler */
    munmap(own_stack, HANDLER_STACK + (size_t)sysconf(_SC_PAGESIZE));
    own_stack = NULL;
}

int crash_install(const char *data_dir, struct error *reterr)
{
    int code = make_folder(data_dir, reterr);
    if (code < 0)
        return code;
    remove_old_reports();
    if (probe[0] < 0 && pipe2(probe, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_system(reterr, -errno, "cannot make a pipe for crash reports");
    void *frame[1];
    (void)backtrace(frame, 1); /* loads the unwinder now: in the handler it would allocate */
    code = crash_thread_begin("turnpike");
    if (code < 0)
        return error_system(reterr, code, "cannot make a stack for the handler of crashes");
    struct sigaction action = {.sa_sigaction = on_fatal_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT_OF(fatal_signals); i++)
        if (sigaction(fatal_signals[i], &action, &before[i]) < 0)
            return error_system(reterr, -errno, "cannot handle signal %d", fatal_signals[i]);
    return 0;
}
