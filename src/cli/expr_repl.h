/* turnpike expr --repl: expressions and commands line by line. */
#pragma once

#include <stdio.h>

#include "cli/expr_session.h"

/* Until :quit or the end of the input. On a terminal with line editing; elsewhere no prompt is written. The exit status: 1 when a line
 * failed that did not come from a terminal. */
int repl_run(struct session *session, bool json, const char *history_path);

/* expr_help.c: what the program can say of the language. */
void repl_print_functions(FILE *to);
void repl_print_attributes(FILE *to, const struct session *session);
/* A function, macro or attribute; false: there is nothing of this name (`*ret_near`, if not NULL, is what is nearest). */
bool repl_print_help(FILE *to, const struct session *session, struct text name, const char **ret_near);
/* The commands. */
void repl_print_commands(FILE *to);

/* expr_complete.c: what may follow at the end of `line`. */
struct completion {
    char common[128]; /* to insert: what all candidates go on with */
    size_t word_size; /* of what is there of the word */
    size_t count;     /* of candidates */
    char list[8192];  /* the candidates, one a line */
    size_t list_size;
};
void repl_complete(const struct session *session, struct text line, struct completion *ret_completion);

/* expr_line.c: lines from a terminal with editing, or from anything else. */
struct repl_lines;
struct repl_lines *repl_lines_new(const struct session *session, const char *history_path);
void repl_lines_free(struct repl_lines *lines);
bool repl_lines_are_edited(const struct repl_lines *lines); /* from a terminal */
/* The next line without its end, valid until the next call. False: there is none. */
bool repl_lines_next(struct repl_lines *lines, struct text *ret_line);
