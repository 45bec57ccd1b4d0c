/* The explain page: the same answer as `turnpike explain`, about the configuration in force. */
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "control/admin.h"
#include "proxy/explain.h"

enum { HEADERS_MAX = 32 };

static void refuse(struct page *page, const char *said)
{
    page->status = 400;
    page_put(page, TEXT("{\"error\":"));
    page_string(page, text_of(said));
    page_put(page, TEXT("}\n"));
}

/* Each `header` of the query. */
static size_t header_lines(struct text query, struct arena *arena, struct text lines[HEADERS_MAX])
{
    struct text rest = query, name, value;
    size_t count = 0;
    while (count < HEADERS_MAX && uri_query_next(&rest, &name, &value))
        if (text_equal(name, TEXT("header")))
            lines[count++] = uri_decode(value, true, arena);
    return count;
}

void admin_explain(struct page *page)
{
    struct exchange *ex = page->exchange;
    struct arena *arena = &ex->arena;
    struct text query = ex->request.query.at ? ex->request.query : TEXT("");
    struct text lines[HEADERS_MAX];
    struct explain_question question = {
        .method = uri_query_get(query, TEXT("method"), arena),
        .url = uri_query_get(query, TEXT("url"), arena),
        .headers = lines,
        .headers_count = header_lines(query, arena, lines),
        .listener = uri_query_get(query, TEXT("listener"), arena),
        .client = uri_query_get(query, TEXT("client"), arena),
        .local = uri_query_get(query, TEXT("local"), arena),
        .scheme = uri_query_get(query, TEXT("scheme"), arena),
        .sni = uri_query_get(query, TEXT("sni"), arena),
        .at = uri_query_get(query, TEXT("at"), arena),
        .body = uri_query_get(query, TEXT("body"), arena),
    };
    struct explanation *explanation = ARENA_NEW(arena, struct explanation);
    struct error error = {0};
    char *text = NULL;
    size_t size = 0;
    if (!question.method.at)
        question.method = TEXT("GET");
    if (!question.url.at || !explanation) {
        refuse(
            page,
            "ask with ?method=GET&url=/path, and header=NAME:%20VALUE, client, listener, local, scheme, sni, at, body where they matter");
        return;
    }
    if (!explain_request(page->gateway->snapshot, &question, arena, explanation, &error)) {
        refuse(page, error.said);
        return;
    }
    FILE *to = open_memstream(&text, &size);
    if (to) {
        explain_print_json(explanation, to);
        fclose(to);
        page_put(page, (struct text){text, size});
        memory_free(text); /* open_memstream takes it from the same heap */
    } else {
        page->failed = true;
    }
}
