/* Completion: names that the word at the end of a line may become. */
#include <string.h>

#include "base/check.h"
#include "cli/expr_repl.h"
#include "proxy/exchange.h"

struct search {
    struct completion *into;
    struct text word;  /* "request.pa", ":he" */
    struct text field; /* what stands behind its last dot; no bytes at all: there is no dot */
    bool on_value;     /* what stands before the dot may be a value, and not only the first part of names */
};

/* Takes a candidate for `word`, of which `typed` are there already. */
static void offer(struct completion *into, struct text name, const char *end, struct text typed)
{
    char line[160];
    if (!text_starts_with(name, typed))
        return;
    int size = snprintf(line, sizeof line, "%.*s%s", TEXT_ARGS(name), end);
    struct text candidate = {line, (size_t)size}, rest = text_slice(candidate, typed.size, candidate.size);
    char entry[170];
    int entry_size = snprintf(entry, sizeof entry, "\n%s\n", line);
    if (size >= (int)sizeof line || entry_size >= (int)sizeof entry)
        return;
    if (into->count && text_find((struct text){into->list, into->list_size}, text_of(entry)) != TEXT_NONE)
        return; /* another form of the same name */
    if (!into->count)
        snprintf(into->common, sizeof into->common, "%.*s", TEXT_ARGS(rest));
    else
        for (size_t i = 0; into->common[i]; i++)
            if (i >= rest.size || into->common[i] != rest.at[i])
                into->common[i] = 0;
    size_t skip = into->count > 0; /* the line end before it is there */
    if (into->list_size + (size_t)entry_size < sizeof into->list) {
        memcpy(into->list + into->list_size, entry + skip, (size_t)entry_size - skip);
        into->list_size += (size_t)entry_size - skip;
    }
    into->word_size = typed.size;
    into->count++;
}

static void offer_function(void *context, const struct expr_function *function)
{
    const struct search *search = context;
    const char *open = text_find(function->signature, TEXT("()")) != TEXT_NONE ? "()" : "(";
    if (!function->receiver)
        offer(search->into, text_of(function->name), "(", search->word);
    bool either = text_find(function->signature, TEXT(" or ")) != TEXT_NONE;
    if (search->field.at && search->on_value && (function->receiver || either))
        offer(search->into, text_of(function->name), open, search->field);
}

static void offer_words(struct search *search)
{
    static const char *const keywords[] = {"true", "false", "null", "in", "now"};
    for (size_t i = 0; i < COUNT_OF(keywords); i++)
        offer(search->into, text_of(keywords[i]), "", search->word);
}

static void offer_commands(struct search *search)
{
    static const char *const commands[] = {":help", ":functions", ":attributes", ":type ",
                                           ":let ", ":context ",  ":quit"};
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        offer(search->into, text_of(commands[i]), "", search->word);
}

/* The keys of a map that a word names: "request." of a variable. */
static void offer_members(const struct session *session, struct search *search)
{
    struct arena arena;
    struct expr_error error;
    struct value value, key, item;
    struct text target = {search->word.at, (size_t)(search->field.at - search->word.at) - 1};
    arena_init(&arena, 0, 16 << 20);
    bool known = session_evaluate((struct session *)session, target, &arena, &value, &error);
    if (known && value.kind == VALUE_MAP)
        for (size_t cursor = 0; value.map->next(value.map, &cursor, &arena, &key, &item);)
            if (key.kind == VALUE_STRING)
                offer(search->into, key.text, "", search->field);
    arena_release(&arena);
}

static bool is_word_part(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '_' || c == '.';
}

void repl_complete(const struct session *session, struct text line, struct completion *ret_completion)
{
    size_t start = line.size;
    while (start > 0 && is_word_part(line.at[start - 1]))
        start--;
    if (start == 1 && line.at[0] == ':')
        start = 0;
    ret_completion->count = ret_completion->list_size = ret_completion->word_size = 0;
    ret_completion->common[0] = 0;
    struct search search = {ret_completion, text_slice(line, start, line.size), {NULL, 0}, true};
    for (size_t i = search.word.size; i-- > 0 && !search.field.at;)
        if (search.word.at[i] == '.')
            search.field = (struct text){search.word.at + i + 1, search.word.size - i - 1};
    if (search.word.size && search.word.at[0] == ':') {
        offer_commands(&search);
        return;
    }
    offer_words(&search);
    for (size_t i = 0; i < session->count; i++)
        offer(ret_completion, text_of(session->attributes[i].name), "", search.word);
    for (size_t i = 0; i < exchange_environment.count; i++)
        offer(ret_completion, text_of(exchange_environment.attributes[i].name), "", search.word);
    search.on_value = !ret_completion->count;
    if (search.field.at && search.field.at - search.word.at > 1)
        offer_members(session, &search);
    expr_functions_each(offer_function, &search);
}
