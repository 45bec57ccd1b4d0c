/* The explain page: the same answer as `turnpike explain`, about the configuration in force. */
#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "control/admin.h"
#include "proxy/explain.h"

static void refuse(struct page *page, const char *said)
{
    page->status = 400;
    page_put(page, TEXT("{\"error\":"));
    page_string(page, text_of(said));
    page_put(page, TEXT("}\n"));
}

void admin_explain(struct page *page)
{
    struct exchange *ex = page->exchange;
    struct arena *arena = &ex->arena;
    struct text query = ex->request.query.at ? ex->request.query : TEXT("");
    struct text method = uri_query_get(query, TEXT("method"), arena),
                url = uri_query_get(query, TEXT("url"), arena);
    struct text header = uri_query_get(query, TEXT("header"), arena);
    struct explanation *explanation = ARENA_NEW(arena, struct explanation);
    struct error error = {0};
    char *text = NULL;
    size_t size = 0;
    if (!url.at || !explanation) {
        refuse(page, "ask with ?method=GET&url=/path, and header=NAME:%20VALUE if one matters");
        return;
    }
    if (!explain_request(page->gateway->snapshot, method.at ? method : TEXT("GET"), url, &header,
                         header.at != NULL, arena, explanation, &error)) {
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
