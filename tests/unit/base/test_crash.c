/* Crash reports of processes that do crash. */
#include "base/crash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/crash_note.h"
#include "unit.h"

static char data_dir[64], crashes[96], report[16384];

static int set_up(void **state)
{
    (void)state;
    snprintf(data_dir, sizeof data_dir, "/tmp/crash_XXXXXX");
    assert_non_null(mkdtemp(data_dir));
    snprintf(crashes, sizeof crashes, "%s/crashes", data_dir);
    return 0;
}

/* Calls `visit` for each file in the folder of reports; returns how many. */
static int each_report(void (*visit)(const char *path))
{
    DIR *folder = opendir(crashes);
    int count = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[400];
        if (entry->d_name[0] == '.')
            continue;
        count++;
        snprintf(path, sizeof path, "%s/%s", crashes, entry->d_name);
        if (visit)
            visit(path);
    }
    if (folder)
        closedir(folder);
    return count;
}

static void remove_report(const char *path)
{
    unlink(path);
}

static int tear_down(void **state)
{
    (void)state;
    each_report(remove_report);
    rmdir(crashes);
    return rmdir(data_dir);
}

static void read_report(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t size = read(fd, report, sizeof report - 1);
    assert_true(size > 0);
    report[size] = '\0';
    close(fd);
}

/* Runs `crash` in a process with handlers, checks that the signal killed it, reads its report. */
static void die_of(int number, void (*crash)(void))
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (size_t i = 0; i < COUNT_OF(fatal); i++)
            signal(fatal[i], SIG_DFL); /* sanitizers have handlers, to which the signal would go on */
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, STDERR_FILENO);
        if (crash_install(data_dir, NULL) == 0)
            crash();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
    assert_int_equal(each_report(read_report), 1);
    char pid[32];
    snprintf(pid, sizeof pid, "\"pid\": %d,", (int)child);
    assert_non_null(strstr(report, pid));
}

static void *const volatile bad_address = (void *)0x10; /* volatile: the compiler must not know */

static void write_to_bad_address(void)
{
    *(volatile char *)bad_address = 1;
}

static void segmentation_fault_names_address_and_thread(void **state)
{
    (void)state;
    die_of(SIGSEGV, write_to_bad_address);
    assert_non_null(strstr(report, "{\n  \"time\": \"20"));
    assert_non_null(strstr(report, "\"version\": \"" TURNPIKE_VERSION "\""));
    assert_non_null(strstr(report, "\"signal\": \"SIGSEGV\""));
    assert_non_null(strstr(report, "\"fault_address\": \"0x10\""));
    assert_non_null(strstr(report, "\"thread\": \"turnpike\""));
    assert_non_null(strstr(report, "\"stack\": [\n    \""));
    assert_true(text_ends_with(text_of(report), TEXT("\n  ]\n}\n")));
    assert_null(strstr(report, "\"doing\""));
}

static void fail_a_check(void)
{
    CHECK(!bad_address);
}

static void failed_check_is_reported_without_an_address(void **state)
{
    (void)state;
    die_of(SIGABRT, fail_a_check);
    assert_non_null(strstr(report, "\"signal\": \"SIGABRT\""));
    assert_null(strstr(report, "fault_address"));
    assert_true(text_ends_with(text_of(report), TEXT("\n  ]\n}\n")));
}

static void crash_in_an_exchange(void)
{
    static struct crash_note note = {
        .exchange = 42,
        .path = TEXT_INIT("/orders/\x01"),
        .route = TEXT_INIT("read-\"order"),
        .policy = TEXT_INIT("forward-auth"),
        .step = "forward_auth_answer",
        .waiting_for = NULL,
    };
    crash_note_set(&note);
    write_to_bad_address();
}

static void report_says_what_the_thread_was_doing(void **state)
{
    (void)state;
    die_of(SIGSEGV, crash_in_an_exchange);
    assert_non_null(strstr(report, "  \"doing\": {\"exchange\": 42, \"path\": \"/orders/\\u0001\", "
                                   "\"route\": \"read-\\\"order\", \"policy\": \"forward-auth\", "
                                   "\"step\": \"forward_auth_answer\", \"waiting_for\": null},\n"));
}

static void crash_with_dangling_texts(void)
{
    static struct crash_note note = {.exchange = 7, .step = (const char *)0x20};
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + 4096, 4096, PROT_NONE) < 0)
        _exit(0);
    memcpy(pages + 4096 - 3, "abc", 3);
    note.route = (struct text){pages + 4096 - 3, 100};
    note.policy = (struct text){(const char *)0x30, 5};
    note.waiting_for = pages + 4096 - 2;
    crash_note_set(&note);
    write_to_bad_address();
}

static void dangling_texts_do_no_harm(void **state)
{
    (void)state;
    die_of(SIGSEGV, crash_with_dangling_texts);
    assert_non_null(strstr(report, "{\"exchange\": 7, \"path\": null, \"route\": \"abc\", \"policy\": \"\", "
                                   "\"step\": \"\", \"waiting_for\": \"bc\"}"));
    assert_true(text_ends_with(text_of(report), TEXT("\n  ]\n}\n")));
}

static void crash_with_dangling_note(void)
{
    crash_note_set(bad_address);
    write_to_bad_address();
}

static void dangling_note_does_no_harm(void **state)
{
    (void)state;
    die_of(SIGSEGV, crash_with_dangling_note);
    assert_null(strstr(report, "\"doing\""));
    assert_true(text_ends_with(text_of(report), TEXT("\n  ]\n}\n")));
}

/* As an exchange is: a link and a note. */
static struct member {
    struct crash_note note;
    struct list link;
} members[CRASH_EXCHANGES_MAX + 5];
static struct list all_members;

#define NOTE_OFFSET ((ptrdiff_t)offsetof(struct member, note) - (ptrdiff_t)offsetof(struct member, link))

static void fill_members(size_t count)
{
    list_init(&all_members);
    for (size_t i = 0; i < count; i++) {
        members[i].note =
            (struct crash_note){.exchange = 100 + i, .path = TEXT("/waits"), .waiting_for = "http"};
        list_push_back(&all_members, &members[i].link);
    }
    crash_thread_exchanges(&all_members, NOTE_OFFSET);
}

static void crash_with_two_waiting(void)
{
    fill_members(2);
    raise(SIGABRT);
}

static void exchanges_under_way_are_listed(void **state)
{
    (void)state;
    die_of(SIGABRT, crash_with_two_waiting);
    assert_non_null(strstr(report, "  \"under_way\": [\n    {\"exchange\": 100, \"path\": \"/waits\", "));
    assert_non_null(strstr(report, "\"waiting_for\": \"http\"},\n    {\"exchange\": 101, "));
    assert_non_null(strstr(report, "\"waiting_for\": \"http\"}\n  ],\n  \"stack\""));
}

static void crash_with_many_waiting(void)
{
    fill_members(COUNT_OF(members));
    raise(SIGABRT);
}

static void long_list_is_cut(void **state)
{
    (void)state;
    die_of(SIGABRT, crash_with_many_waiting);
    assert_non_null(strstr(report, "\"exchange\": 131, "));
    assert_null(strstr(report, "\"exchange\": 132, "));
    assert_true(text_ends_with(text_of(report), TEXT("\n  ]\n}\n")));
}

static void crash_with_a_broken_ring(void)
{
    fill_members(3);
    members[1].link.next = bad_address;
    raise(SIGABRT);
}

static void broken_ring_ends_the_list(void **state)
{
    (void)state;
    die_of(SIGABRT, crash_with_a_broken_ring);
    assert_non_null(strstr(report, "\"exchange\": 101, "));
    assert_null(strstr(report, "\"exchange\": 102, "));
    assert_non_null(strstr(report, "\"stack\": ["));
}

static volatile int depth;

__attribute__((noinline)) static int descend(int from)
{
    volatile char frame[512];
    frame[0] = (char)from;
    if (depth < 0)
        return frame[0];
    return descend(from + 1) + frame[0];
}

static void *overflow(void *nothing)
{
    (void)nothing;
    if (crash_thread_begin("worker-7") == 0)
        depth = descend(0);
    return NULL;
}

static void overflow_in_a_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, overflow, NULL) == 0)
        pthread_join(thread, NULL);
}

static void stack_overflow_of_a_thread_is_reported(void **state)
{
    (void)state;
    die_of(SIGSEGV, overflow_in_a_thread);
    assert_non_null(strstr(report, "\"thread\": \"worker-7\""));
    assert_true(text_ends_with(text_of(report), TEXT("\n  ]\n}\n")));
}

static void *begin_and_end(void *argument)
{
    if (crash_thread_begin("short") < 0)
        return NULL;
    crash_thread_exchanges(&all_members, NOTE_OFFSET);
    crash_thread_end();
    return argument;
}

static void thread_may_end(void **state)
{
    (void)state;
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, begin_and_end, data_dir), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
}

static void make_file(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", crashes, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void newest_reports_are_kept(void **state)
{
    (void)state;
    assert_int_equal(mkdir(crashes, 0700), 0);
    make_file("notes.txt");
    for (int i = 0; i < 30; i++) {
        char name[64];
        snprintf(name, sizeof name, "202601%02dT000000Z-5.json", i + 1);
        make_file(name);
    }
    pid_t child = fork();
    if (child == 0)
        _exit(crash_install(data_dir, NULL) == 0 ? 0 : 1);
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(each_report(NULL),
                     CRASH_REPORTS_MAX - 1 + 1); /* room for one, and the file of someone else */
    char path[200];
    snprintf(path, sizeof path, "%s/20260130T000000Z-5.json", crashes);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/20260111T000000Z-5.json", crashes);
    assert_int_equal(access(path, F_OK), -1);
}

static void folder_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(crash_install("/dev/null", &error), -ENOTDIR);
    assert_true(text_find(text_of(error.said), TEXT("/dev/null/crashes")) != TEXT_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(segmentation_fault_names_address_and_thread),
        TEST(failed_check_is_reported_without_an_address),
        TEST(report_says_what_the_thread_was_doing),
        TEST(dangling_texts_do_no_harm),
        TEST(dangling_note_does_no_harm),
        TEST(exchanges_under_way_are_listed),
        TEST(long_list_is_cut),
        TEST(broken_ring_ends_the_list),
        TEST(stack_overflow_of_a_thread_is_reported),
        TEST(thread_may_end),
        TEST(newest_reports_are_kept),
        TEST(folder_that_cannot_be_made_is_an_error),
    };
    return RUN_TESTS(tests);
}
