/* Lines of a terminal, with editing, history and completion by libedit; or of a file or pipe, as they are. */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/memory.h"
#include "cli/expr_repl.h"

enum { HISTORY_LINES_MAX = 1000, LINE_BYTES = 4096, LINE_BYTES_MAX = 4 << 20 };

struct repl_lines {
    const struct session *session;
    const char *history_path; /* NULL: it is not kept */
    EditLine *edit;           /* NULL: no terminal */
    History *history;
    char *plain; /* the line of a file or pipe */
    size_t plain_room;
};

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal)
{
    (void)signal; /* there is one */
    interrupted = 1;
}

static char *prompt(EditLine *edit)
{
    static char text[] = "> ";
    (void)edit; /* it is always the same */
    return text;
}

/* Tab: inserts what all candidates share; with nothing to insert it lists them. */
static unsigned char complete(EditLine *edit, int key)
{
    static struct completion completion; /* large */
    const struct repl_lines *lines;
    (void)key; /* it is bound to one */
    if (el_get(edit, EL_CLIENTDATA, &lines) != 0)
        return CC_ERROR;
    const LineInfo *info = el_line(edit);
    repl_complete(lines->session, (struct text){info->buffer, (size_t)(info->cursor - info->buffer)},
                  &completion);
    if (completion.count && completion.common[0])
        return el_insertstr(edit, completion.common) == 0 ? CC_REFRESH : CC_ERROR;
    if (completion.count < 2)
        return CC_REFRESH_BEEP;
    printf("%.*s", (int)completion.list_size, completion.list); /* it begins with a line end */
    fflush(stdout);
    return CC_REDISPLAY;
}

/* One character for libedit, whose own reading tries again after a signal. 0: the end of the input, -1: a failure, or Ctrl-C. */
static int read_character(EditLine *edit, wchar_t *ret_character)
{
    mbstate_t state = {0};
    (void)edit; /* it reads what we gave it */
    for (size_t bytes = 0; bytes < MB_CUR_MAX;) {
        char byte;
        ssize_t count = read(STDIN_FILENO, &byte, 1);
        if (count < 0 && errno == EINTR && !interrupted)
            continue; /* the window was resized */
        if (count <= 0)
            return (int)count;
        bytes++;
        size_t size = mbrtowc(ret_character, &byte, 1, &state);
        if (size == (size_t)-1)
            break;
        if (size != (size_t)-2)
            return 1;
    }
    *ret_character = L'?'; /* no character of this terminal's encoding */
    return 1;
}

/* Ctrl-C gives the line up, and not the program. */
static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = note_interrupt};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL); /* without it Ctrl-C ends the program: no harm */
}

static bool start_editing(struct repl_lines *lines)
{
    HistEvent event;
    (void)setlocale(LC_CTYPE,
                    ""); /* what a character is on this terminal; without it only ASCII is edited well */
    lines->history = history_init();
    lines->edit = el_init("turnpike", stdin, stdout, stderr);
    if (!lines->history || !lines->edit)
        return false;
    history(lines->history, &event, H_SETSIZE, HISTORY_LINES_MAX);
    history(lines->history, &event, H_SETUNIQUE, 1);
    if (lines->history_path)
        history(lines->history, &event, H_LOAD, lines->history_path); /* there may be none yet */
    el_set(lines->edit, EL_PROMPT, prompt);
    el_set(lines->edit, EL_EDITOR, "emacs");
    el_set(lines->edit, EL_HIST, history, lines->history);
    el_set(lines->edit, EL_CLIENTDATA, lines);
    el_wset(lines->edit, EL_GETCFN, read_character);
    el_wset(lines->edit, EL_ADDFN, L"complete", L"Completes a name", complete); /* el_set() leaks the names */
    el_set(lines->edit, EL_BIND, "^I", "complete", NULL);
    el_set(lines->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(lines->edit, NULL); /* the user's ~/.editrc, if there is one */
    catch_interrupts();
    return true;
}

struct repl_lines *repl_lines_new(const struct session *session, const char *history_path)
{
    struct repl_lines *lines = memory_zero(sizeof *lines);
    if (!lines)
        return NULL;
    lines->session = session;
    lines->history_path = history_path;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !start_editing(lines)) {
        repl_lines_free(lines);
        return NULL;
    }
    return lines;
}

void repl_lines_free(struct repl_lines *lines)
{
    HistEvent event;
    if (!lines)
        return;
    if (lines->history && lines->history_path
        && history(lines->history, &event, H_SAVE, lines->history_path) < 0)
        fprintf(stderr, "turnpike expr: cannot write %s: %s\n", lines->history_path, strerror(errno));
    if (lines->edit)
        el_end(lines->edit);
    if (lines->history)
        history_end(lines->history);
    memory_free(lines->plain);
    memory_free(lines);
}

bool repl_lines_are_edited(const struct repl_lines *lines)
{
    return lines->edit;
}

static bool next_edited(struct repl_lines *lines, struct text *ret_line)
{
    int size = 0;
    HistEvent event;
    for (;;) {
        interrupted = 0;
        el_set(lines->edit, EL_PREP_TERM, 1); /* before the prompt invites to type */
        const char *line = el_gets(lines->edit, &size);
        if (interrupted || (!line && size < 0 && errno == EINTR)) {
            el_reset(lines->edit);
            putchar('\n');
            continue;
        }
        if (!line || size <= 0) {
            putchar('\n'); /* behind the prompt */
            return false;
        }
        struct text whole = {line, (size_t)size - (line[size - 1] == '\n')};
        if (text_trim(whole).size)
            history(lines->history, &event, H_ENTER, line);
        *ret_line = whole;
        return true;
    }
}

/* Room for more of a line. False: it is too long, or no memory; the line ends here. */
static bool grow(struct repl_lines *lines)
{
    size_t room = lines->plain_room ? 2 * lines->plain_room : LINE_BYTES;
    char *larger = room <= LINE_BYTES_MAX ? memory_resize(lines->plain, room) : NULL;
    if (!larger)
        return false;
    lines->plain = larger;
    lines->plain_room = room;
    return true;
}

static bool next_plain(struct repl_lines *lines, struct text *ret_line)
{
    size_t size = 0;
    do {
        if (lines->plain_room < size + LINE_BYTES && !grow(lines))
            break;
        if (!fgets(lines->plain + size, (int)(lines->plain_room - size), stdin))
            break;
        size += strlen(lines->plain + size);
    } while (size && lines->plain[size - 1] != '\n');
    if (!size)
        return false;
    *ret_line = (struct text){lines->plain, size - (lines->plain[size - 1] == '\n')};
    return true;
}

bool repl_lines_next(struct repl_lines *lines, struct text *ret_line)
{
    return lines->edit ? next_edited(lines, ret_line) : next_plain(lines, ret_line);
}
