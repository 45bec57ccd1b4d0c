/* error-pages: the error answers of the gateway in words and looks of one's own. */
#include "base/check.h"
#include "policies/accept.h"
#include "policies/header_lines.h"
#include "policies/places.h"
#include "proxy/exchange.h"

enum { PAGES_MAX = 64 };

struct status_range {
    uint16_t first, last;
};

struct error_page {
    struct array status; /* struct status_range */
    struct array errors; /* int: enum exchange_error less one */
    struct text accept, content_type;
    const struct expr *body;
    struct array headers; /* struct template_pair */
    uint32_t errors_set;  /* a bit for each enum exchange_error */
    enum expr_escape escape;
};

struct error_pages_config {
    struct array pages; /* struct error_page */
    bool origin;
};

static_assert(ERRORS_COUNT <= 32, "a bit for each kind of error");

static const char *const error_choices[] = {
#define OUTCOME(identifier, text) text,
#include "proxy/outcome.def"
#undef OUTCOME
    NULL,
};
static_assert(COUNT_OF(error_choices) == ERRORS_COUNT, "the choices are the errors, but for none");

static bool bind_status(struct binder *binder, const struct field *field, const struct node *node, void *at)
{
    (void)field;
    uint64_t status;
    struct text t = node->kind == NODE_SCALAR ? node->text : TEXT("");
    if (text_equal_nocase(t, TEXT("4xx")) || text_equal_nocase(t, TEXT("5xx"))) {
        uint16_t first = t.at[0] == '4' ? 400 : 500;
        *(struct status_range *)at = (struct status_range){first, first + 99};
        return true;
    }
    if (!text_to_uint64(t, &status) || status < 400 || status > 599)
        return bind_error(binder, node, NULL, "wants a status from 400 to 599, `4xx` or `5xx`");
    *(struct status_range *)at = (struct status_range){(uint16_t)status, (uint16_t)status};
    return true;
}

static const struct field status_item =
    ITEM_CUSTOM(struct status_range, bind_status,
                "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":400,\"maximum\":599},"
                "{\"type\":\"string\",\"pattern\":\"^([45][xX][xX]|[45][0-9][0-9])$\"}]}");
static const struct field error_item = ITEM_CHOICE(error_choices);

static const struct field page_fields[] = {
    FIELD_LIST(
        struct error_page, status, "status", OPTIONAL, &status_item, FIELD_ONE_OR_MORE,
        "Statuses that have this page: `404`, or `4xx` and `5xx` for all of a class. All, unless given."),
    FIELD_LIST(struct error_page, errors, "errors", OPTIONAL, &error_item, FIELD_ONE_OR_MORE,
               "Kinds of errors that have this page, as in the access log. All, unless given."),
    FIELD_TEXT(
        struct error_page, accept, "accept", OPTIONAL,
        "Media type that the client must take; that of `content_type` unless given. `*/*`: any client."),
    FIELD_TEXT(struct error_page, content_type, "content_type", "text/html; charset=utf-8",
               "Content-Type of the page."),
    FIELD_TEMPLATE(struct error_page, body, "body", REQUIRED,
                   "The page. Values are escaped for HTML, XML and JSON, as `content_type` says."),
    FIELD_MAP(struct error_page, headers, "headers", OPTIONAL, &field_item_template_pair, 0,
              "Header fields that the answer gets; they replace those of the same name."),
    FIELD_END,
};
static const struct field page_item = ITEM_STRUCT(struct error_page, page_fields);

static const struct field error_pages_fields[] = {
    {FIELD_MEMBER_(struct error_pages_config, pages, "pages", FIELD_KIND_LIST, REQUIRED,
                   "The pages. Of those that fit, the one that the client likes best; then the first."),
     .item = &page_item, .flags = FIELD_NOT_EMPTY, .max = PAGES_MAX},
    FIELD_BOOL(struct error_pages_config, origin, "origin", "false",
               "Replaces the error answers of the service too."),
    FIELD_END,
};

/* --- preparing --- */

static enum expr_escape escape_for(struct text type)
{
    static const struct {
        struct text end;
        enum expr_escape escape;
    } ends[] = {
        {TEXT_INIT("/html"), EXPR_ESCAPE_HTML}, {TEXT_INIT("/xml"), EXPR_ESCAPE_HTML},
        {TEXT_INIT("+xml"), EXPR_ESCAPE_HTML},  {TEXT_INIT("/json"), EXPR_ESCAPE_JSON},
        {TEXT_INIT("+json"), EXPR_ESCAPE_JSON},
    };
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (type.size > ends[i].end.size
            && text_equal_nocase(text_slice(type, type.size - ends[i].end.size, type.size), ends[i].end))
            return ends[i].escape;
    return EXPR_ESCAPE_NONE;
}

static bool page_error(struct prepare *prepare, const struct node *page, const char *field, const char *said)
{
    const struct node *at = node_get(page, text_of(field));
    return bind_error(prepare->binder, at ? at : page, field, "%s", said);
}

static bool prepare_page(struct prepare *prepare, const struct node *node, struct error_page *page)
{
    const struct template_pair *headers = page->headers.items;
    const struct node *map = node_get(node, TEXT("headers"));
    struct text type = media_type(page->content_type);
    const int *errors = page->errors.items;
    bool fine = true;
    if (!media_type_is_valid(type) || !http_is_field_value(page->content_type))
        fine = page_error(prepare, node, "content_type", "wants a type such as `text/html; charset=utf-8`");
    if (page->accept.size == 0)
        page->accept = type;
    else if (!media_type_is_valid(page->accept))
        fine = page_error(prepare, node, "accept",
                          "wants a type without parameters such as `text/html`, or `*/*`");
    for (size_t i = 0; i < page->headers.count; i++)
        if (field_name_parse(headers[i].key) == NAME_CONTENT_TYPE)
            fine = bind_error(prepare->binder, &map->keys[i], "headers", "the type is set by `content_type`");
    for (size_t i = 0; i < page->errors.count; i++)
        page->errors_set |= 1u << (errors[i] + 1);
    page->escape = escape_for(type);
    return header_check_map(prepare, map, "headers", &page->headers, false) && fine;
}

static bool error_pages_prepare(struct prepare *prepare, void *config_)
{
    struct error_pages_config *config = config_;
    struct error_page *pages = config->pages.items;
    bool fine = true;
    for (size_t i = 0; i < config->pages.count; i++) {
        struct text path_before = bind_enter(prepare->binder, TEXT("pages")),
                    path_list = bind_enter_index(prepare->binder, i);
        fine &= prepare_page(prepare, item_place(prepare, "pages", i), &pages[i]);
        bind_leave(prepare->binder, path_list);
        bind_leave(prepare->binder, path_before);
    }
    return fine;
}

/* --- which page --- */

/* Answers that are not written anew: no errors, those of the service, and those that somebody wrote on purpose (the body of `respond`, the page of an
 * authentication service, a page of this policy at a narrower scope). */
static bool is_concerned(const struct exchange *ex, const struct error_pages_config *config)
{
    struct text type = fields_get_known(&ex->response.fields, NAME_CONTENT_TYPE);
    if (ex->response.status < 400)
        return false;
    if (!ex->local)
        return config->origin;
    return ex->local_body.size == 0 || text_equal(type, TEXT("application/problem+json"));
}

static bool page_fits(const struct error_page *page, const struct exchange *ex)
{
    const struct status_range *ranges = page->status.items;
    bool fits = page->status.count == 0;
    for (size_t i = 0; i < page->status.count && !fits; i++)
        fits = ex->response.status >= ranges[i].first && ex->response.status <= ranges[i].last;
    return fits && (page->errors.count == 0 || (page->errors_set >> ex->error & 1));
}

/* How much the client likes the answer that is there already. */
static struct accept_rank rank_of_answer(const struct exchange *ex)
{
    struct text type = media_type(fields_get_known(&ex->response.fields, NAME_CONTENT_TYPE));
    if (type.size == 0)
        return (struct accept_rank){0, 0};
    struct accept_rank own = accept_rank(&ex->request.fields, type), json = {0, 0};
    if (escape_for(type) == EXPR_ESCAPE_JSON)
        json = accept_rank(&ex->request.fields, TEXT("application/json"));
    return accept_is_better(json, own) ? json : own;
}

/* NULL: the answer stays. `*ret_varies`: there is a page for it, so that another client could get another answer. */
static const struct error_page *choose(const struct exchange *ex, const struct error_pages_config *config,
                                       bool *ret_varies)
{
    const struct error_page *pages = config->pages.items, *best = NULL, *for_any = NULL;
    struct accept_rank best_rank = {0, 0};
    *ret_varies = false;
    for (size_t i = 0; i < config->pages.count; i++) {
        if (!page_fits(&pages[i], ex))
            continue;
        *ret_varies = true;
        if (text_equal(pages[i].accept, TEXT("*/*"))) {
            for_any = for_any ? for_any : &pages[i];
            continue;
        }
        struct accept_rank rank = accept_rank(&ex->request.fields, pages[i].accept);
        if (rank.quality > 0 && (!best || accept_is_better(rank, best_rank))) {
            best = &pages[i];
            best_rank = rank;
        }
    }
    return best && !accept_is_better(rank_of_answer(ex), best_rank) ? best : for_any;
}

/* --- the new answer --- */

/* Fields that tell of the body that is replaced. */
static bool is_about_body(struct text name)
{
    static const struct text names[] = {
        TEXT_INIT("Accept-Ranges"),    TEXT_INIT("Content-Digest"),   TEXT_INIT("Content-Disposition"),
        TEXT_INIT("Content-Encoding"), TEXT_INIT("Content-Language"), TEXT_INIT("Content-Length"),
        TEXT_INIT("Content-Location"), TEXT_INIT("Content-MD5"),      TEXT_INIT("Content-Range"),
        TEXT_INIT("Content-Type"),     TEXT_INIT("Digest"),           TEXT_INIT("ETag"),
        TEXT_INIT("Last-Modified"),    TEXT_INIT("Repr-Digest"),      TEXT_INIT("Trailer"),
        TEXT_INIT("Signature"),        TEXT_INIT("Signature-Input"),
    };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (text_equal_nocase(names[i], name))
            return true;
    return false;
}

/* Puts the fields of the earlier answer back. Those of a service are in its connection's memory, which goes with the connection. */
static void keep_fields(struct exchange *ex, const struct fields *fields, bool copied)
{
    FIELDS_EACH (line, fields) {
        if (is_about_body(line->name))
            continue;
        struct text name = copied ? arena_copy(&ex->arena, line->name) : line->name;
        struct text value = copied ? arena_copy(&ex->arena, line->value) : line->value;
        (void)fields_add(&ex->response.fields, name, value); /* without memory the arena says so */
    }
}

/* Caches must not give one client's page to another. */
static void add_vary(struct exchange *ex)
{
    FIELDS_EACH (line, &ex->response.fields)
        if (line->id == NAME_VARY
            && (http_list_contains(line->value, TEXT("Accept"))
                || http_list_contains(line->value, TEXT("*"))))
            return;
    (void)fields_add_known(&ex->response.fields, NAME_VARY, TEXT("Accept")); /* likewise */
}

static enum verdict answer_with(struct exchange *ex, const struct error_page *page)
{
    const struct template_pair *headers = page->headers.items;
    const struct fields fields = ex->response.fields;
    bool of_service = !ex->local;
    struct text body, *values;
    if (!exchange_eval_escaped(ex, page->body, page->escape, &body)
        || !header_eval_all(ex, &page->headers, &values))
        return VERDICT_FAULT;
    if (of_service) /* the templates may have given what is in the same memory */
        body = arena_copy(&ex->arena, body);
    enum verdict verdict = exchange_respond(ex, ex->response.status, page->content_type, body);
    keep_fields(ex, &fields, of_service);
    for (size_t i = 0; i < page->headers.count; i++) {
        struct text value = of_service ? arena_copy(&ex->arena, values[i]) : values[i];
        (void)fields_set(&ex->response.fields, headers[i].key, value); /* likewise */
    }
    add_vary(ex);
    return verdict;
}

static enum verdict error_pages_response(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct error_pages_config *config = config_;
    bool varies;
    if (!is_concerned(ex, config))
        return VERDICT_NEXT;
    const struct error_page *page = choose(ex, config, &varies);
    if (page)
        return answer_with(ex, page);
    if (varies)
        add_vary(ex);
    return VERDICT_NEXT;
}

static const char error_pages_manual[] =
    "Gives error answers the words and looks of your site, or the form that your clients expect. Without it, the gateway's own errors are problem\n"
    "documents (RFC 9457). Put it first among the policies for all requests, so that it sees what every other one refuses.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main: { address: \"127.0.0.1:8080\" }\n"
    "services:\n"
    "  shop: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  shop:\n"
    "    match: { path: \"/shop/*\" }\n"
    "    service: shop\n"
    "policies:\n"
    "  - error-pages:\n"
    "      pages:\n"
    "        - status: 404\n"
    "          errors: no-route\n"
    "          body: |\n"
    "            <!doctype html>\n"
    "            <title>Not here</title>\n"
    "            <p>There is no page <code>${request.path}</code>. <a href=\"/shop/\">To the shop</a></p>\n"
    "        - status: 5xx\n"
    "          body: |\n"
    "            <!doctype html>\n"
    "            <title>Out of order</title>\n"
    "            <p>Please try again in a minute. If you call us, tell us <b>${request.id}</b>.</p>\n"
    "          headers: { Cache-Control: no-store }\n"
    "        - status: [4xx, 5xx]\n"
    "          content_type: application/vnd.shop.error+json\n"
    "          accept: application/json\n"
    "          body: '{\"error\": {\"code\": ${response.status}, \"kind\": \"${error}\", \"request\": \"${request.id}\"}}'\n"
    "```\n"
    "\n"
    "Of the pages whose `status` and `errors` fit, the request's `Accept` chooses (RFC 9110 section 12.5.1): the highest `q` wins, then the range that\n"
    "names the type most exactly, then the order of the list. The answer that is there already takes part, after the pages: a client that asks for\n"
    "JSON by name keeps the problem document where there is no better page for it, and so does one that takes none of the pages. A page with\n"
    "`accept: \"*/*\"` is for all whom no other page suits, whatever they take.\n"
    "\n"
    "The status stays, and so do the header fields: `WWW-Authenticate`, `Retry-After`, `Allow`, the request's id and what other policies set. Only fields\n"
    "about the old body (such as `Content-Encoding` and `ETag`) go. `Vary: Accept` is added where the choice depends on it.\n"
    "\n"
    "What somebody wrote on purpose stays: the body of `respond`, the page of an authentication service, and the page of this policy at a narrower scope.\n"
    "An answer of `respond` without a body gets a page. With `origin: true` the error answers of the service are replaced by the same rules; its body is\n"
    "not read, so the connection to it is closed. A request that is refused before policies run (a malformed head, a `Content-Length` beyond the\n"
    "limit) gets the problem document.\n"
    "\n"
    "If a template fails, the answer is a 503 problem document; with `on_error: allow` the earlier answer stays instead.\n"
    "\n"
    "**Security.** What clients send is theirs to choose, and an error page is where it is shown back to them. What `${...}` gives is therefore\n"
    "escaped by the type of the page: `& < > \" '` in HTML and XML, as in a string in JSON; all else, such as `text/plain`, is not. That holds for text\n"
    "between tags and for attributes in quotes, not in `<script>` or `<style>`, in attributes without quotes, or for a link's whole address (`javascript:`):\n"
    "put no value there. In JSON, write quotes around a text. Do not show what helps an attacker, such as `destination.address`.\n";

const struct policy policy_error_pages = {
    .name = "error-pages",
    .summary = "Gives error answers pages of your own.",
    .manual = error_pages_manual,
    .stage = STAGE_EDGE,
    .status = POLICY_STABLE,
    .fields = error_pages_fields,
    .config_size = sizeof(struct error_pages_config),
    .prepare = error_pages_prepare,
    .on_response = error_pages_response,
};
