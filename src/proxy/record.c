/* Writes access log lines into the worker's ring and counts exchanges. */
#include "proxy/record.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/check.h"
#include "proxy/attributes.h"
#include "proxy/connection.h"
#include "proxy/worker.h"
#include "tls/peer.h"

enum { LINE_MAX_BYTES = 18 * 1024, LINE_ROOM = LINE_MAX_BYTES - 8 };

/* Bytes that a value may take in a line, escapes included; a longer one is cut. All of them together leave room for the rest, so that a
 * line is always whole. */
enum {
    NAME_MAX_BYTES = 256,
    HOST_MAX_BYTES = 512,
    URL_MAX_BYTES = 1024,
    PATH_MAX_BYTES = 4 * 1024,
    LABELS_MAX_BYTES = 1024
};
static_assert(12 * NAME_MAX_BYTES + HOST_MAX_BYTES + 3 * URL_MAX_BYTES + 2 * PATH_MAX_BYTES + LABELS_MAX_BYTES
                      + 1024
                  < LINE_ROOM,
              "a line fits");

struct line {
    char *at;
    size_t size;
};

static void put(struct line *line, struct text t)
{
    size_t n = MIN_OF(t.size, LINE_ROOM - line->size);
    if (n)
        memcpy(line->at + line->size, t.at, n);
    line->size += n;
}

static void put_number(struct line *line, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    put(line, (struct text){digits + at, sizeof digits - at});
}

/* Milliseconds with three decimals. */
static void put_ms(struct line *line, int64_t ns)
{
    uint64_t us = (uint64_t)MAX_OF(ns, 0) / 1000;
    put_number(line, us / 1000);
    char decimals[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10)};
    put(line, (struct text){decimals, 4});
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* How many bytes from the start have nothing to escape. */
static size_t plain_prefix(const char *at, size_t size)
{
    size_t i = 0;
#ifdef __SSE2__
    for (; size - i >= 16; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
        __m128i odd = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)); /* signed: from 0x80 on as well */
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
        odd = _mm_or_si128(odd, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        int mask = _mm_movemask_epi8(odd);
        if (mask)
            return i + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < size && is_plain((unsigned char)at[i]))
        i++;
    return i;
}

/* Most values have nothing to escape: what is plain is copied, the rest goes the careful way. */
static void put_escaped(struct line *line, struct text t, size_t max)
{
    size_t plain_max = MIN_OF(t.size, max), plain = plain_prefix(t.at, plain_max);
    put(line, text_slice(t, 0, plain));
    if (plain < plain_max)
        line->size += log_escape_json(text_slice(t, plain, t.size), line->at + line->size,
                                      MIN_OF(max - plain, LINE_ROOM - line->size));
}

/* ,"name":"value" where there is a value. */
static void put_member(struct line *line, struct text name, struct text value, size_t max)
{
    if (value.size == 0)
        return;
    put(line, name);
    put_escaped(line, value, max);
    put(line, TEXT("\""));
}

/* The wall clock as text, written anew once a millisecond. */
static struct text now_text(struct exchange *ex)
{
    struct worker *worker = ex->worker;
    int64_t ms = ex->loop->wall_ns / NS_PER_MS;
    if (ms / 1000 != worker->log_second) {
        worker->log_second = ms / 1000;
        time_write_iso(ex->loop->wall_ns, worker->log_time);
    }
    worker->log_time[20] = (char)('0' + ms / 100 % 10);
    worker->log_time[21] = (char)('0' + ms / 10 % 10);
    worker->log_time[22] = (char)('0' + ms % 10);
    return (struct text){worker->log_time, TIME_ISO_SIZE};
}

static struct text header(const struct exchange *ex, enum field_name name)
{
    return fields_get_known(&ex->request.fields, name);
}

static unsigned status_of(const struct exchange *ex)
{
    return ex->head_sent ? ex->response.status : 0;
}

static struct text protocol(const struct exchange *ex)
{
    return ex->request.version_minor ? TEXT("HTTP/1.1") : TEXT("HTTP/1.0");
}

static void write_request(const struct exchange *ex, struct line *line)
{
    put(line, TEXT(",\"exchange\":"));
    put_number(line, ex->id);
    put_member(line, TEXT(",\"request_id\":\""), ex->request_id, NAME_MAX_BYTES);
    put_member(line, TEXT(",\"client\":\""), ex->client_ip, NAME_MAX_BYTES);
    put_member(line, TEXT(",\"listener\":\""), ex->connection->listener->config->name, NAME_MAX_BYTES);
    put_member(line, TEXT(",\"method\":\""), ex->request.method_text, NAME_MAX_BYTES);
    put_member(line, TEXT(",\"host\":\""), ex->request.authority, HOST_MAX_BYTES);
    put_member(line, TEXT(",\"path\":\""), ex->request.path, PATH_MAX_BYTES);
    put_member(line, TEXT(",\"query\":\""), ex->request.query, PATH_MAX_BYTES);
    put_member(line, TEXT(",\"protocol\":\""), protocol(ex), NAME_MAX_BYTES);
}

static void write_tls(const struct exchange *ex, struct line *line)
{
    const struct tls_layer *tls = ex->connection->tls;
    if (!tls)
        return;
    put_member(line, TEXT(",\"tls_version\":\""), tls_peer_version(tls), NAME_MAX_BYTES);
    put_member(line, TEXT(",\"tls_cipher\":\""), tls_peer_cipher(tls), NAME_MAX_BYTES);
    put_member(line, TEXT(",\"tls_sni\":\""), tls_peer_name(tls), NAME_MAX_BYTES);
}

static void write_outcome(const struct exchange *ex, struct line *line)
{
    put(line, TEXT(",\"status\":"));
    put_number(line, status_of(ex));
    put_member(line, TEXT(",\"error\":\""), exchange_error_text(ex->error), NAME_MAX_BYTES);
    put(line, TEXT(",\"request_bytes\":"));
    put_number(line, ex->request_bytes);
    put(line, TEXT(",\"response_bytes\":"));
    put_number(line, ex->response_bytes);
    put(line, TEXT(",\"duration_ms\":"));
    put_ms(line, exchange_age_ns(ex));
}

static void write_service(const struct exchange *ex, struct line *line)
{
    put_member(line, TEXT(",\"route\":\""), ex->route ? ex->route->name : TEXT(""), NAME_MAX_BYTES);
    put_member(line, TEXT(",\"service\":\""), ex->service ? ex->service->name : TEXT(""), NAME_MAX_BYTES);
    put_member(line, TEXT(",\"endpoint\":\""), ex->endpoint_url, URL_MAX_BYTES);
    if (ex->attempts == 0)
        return;
    put(line, TEXT(",\"attempts\":"));
    put_number(line, ex->attempts);
    if (ex->answered_ns) {
        put(line, TEXT(",\"service_ms\":"));
        put_ms(line, ex->answered_ns - ex->attempt_ns);
    }
}

/* Of the route: as many as find room. */
static void write_labels(const struct exchange *ex, struct line *line)
{
    static const size_t punctuation = 8;
    size_t count = ex->route ? ex->route->labels_count : 0, end = line->size + LABELS_MAX_BYTES;
    put(line, count ? TEXT(",\"labels\":{") : TEXT(""));
    for (size_t i = 0; i < count; i++) {
        const struct text_pair *label = &ex->route->labels[i];
        if (line->size + 2 * (label->key.size + label->value.size) + punctuation > end)
            break;
        put(line, i ? TEXT(",\"") : TEXT("\""));
        put_escaped(line, label->key, (end - line->size) / 2);
        put(line, TEXT("\":\""));
        put_escaped(line, label->value, (end - line->size) / 2);
        put(line, TEXT("\""));
    }
    put(line, count ? TEXT("}") : TEXT(""));
}

static void write_json(struct exchange *ex, struct line *line)
{
    put(line, TEXT("{\"time\":\""));
    put(line, now_text(ex));
    put(line, TEXT("\""));
    write_request(ex, line);
    write_tls(ex, line);
    write_outcome(ex, line);
    write_service(ex, line);
    put_member(line, TEXT(",\"consumer\":\""), ex->consumer ? ex->consumer->name : TEXT(""), NAME_MAX_BYTES);
    write_labels(ex, line);
    put_member(line, TEXT(",\"trace_id\":\""), ex->trace_id, NAME_MAX_BYTES);
    put_member(line, TEXT(",\"user_agent\":\""), header(ex, NAME_USER_AGENT), URL_MAX_BYTES);
    put_member(line, TEXT(",\"referer\":\""), header(ex, NAME_REFERER), URL_MAX_BYTES);
    put(line, TEXT("}"));
}

/* 06/Nov/1994:08:49:37 +0000 from IMF-fixdate. */
static void put_common_time(struct exchange *ex, struct line *line)
{
    const char *date = worker_http_date(ex->worker).at;
    put(line, (struct text){date + 5, 2});
    put(line, TEXT("/"));
    put(line, (struct text){date + 8, 3});
    put(line, TEXT("/"));
    put(line, (struct text){date + 12, 4});
    put(line, TEXT(":"));
    put(line, (struct text){date + 17, 8});
    put(line, TEXT(" +0000"));
}

static void put_or_dash(struct line *line, struct text t, size_t max)
{
    if (t.size)
        put_escaped(line, t, max);
    else
        put(line, TEXT("-"));
}

/* A name between spaces: one that has spaces itself would be taken for several. */
static void put_word(struct line *line, struct text t)
{
    size_t start = line->size;
    put_or_dash(line, t, NAME_MAX_BYTES);
    for (size_t i = start; i < line->size; i++)
        if (line->at[i] == ' ')
            line->at[i] = '_';
}

static void put_request_line(const struct exchange *ex, struct line *line)
{
    put_or_dash(line, ex->request.method_text, NAME_MAX_BYTES);
    put(line, TEXT(" "));
    put_or_dash(line, ex->request.path, PATH_MAX_BYTES);
    if (ex->request.query.size) {
        put(line, TEXT("?"));
        put_escaped(line, ex->request.query, PATH_MAX_BYTES);
    }
    put(line, TEXT(" "));
    put(line, protocol(ex));
}

/* The "combined" format of web servers. */
static void write_combined(struct exchange *ex, struct line *line)
{
    put_word(line, ex->client_ip);
    put(line, TEXT(" - "));
    put_word(line, ex->consumer ? ex->consumer->name : TEXT(""));
    put(line, TEXT(" ["));
    put_common_time(ex, line);
    put(line, TEXT("] \""));
    put_request_line(ex, line);
    put(line, TEXT("\" "));
    if (status_of(ex))
        put_number(line, status_of(ex));
    else
        put(line, TEXT("000"));
    put(line, TEXT(" "));
    put_number(line, ex->response_bytes);
    put(line, TEXT(" \""));
    put_or_dash(line, header(ex, NAME_REFERER), URL_MAX_BYTES);
    put(line, TEXT("\" \""));
    put_or_dash(line, header(ex, NAME_USER_AGENT), URL_MAX_BYTES);
    put(line, TEXT("\""));
}

/* The text of the template is the configuration's; what its expressions give is escaped as it is written. */
static void write_template(struct exchange *ex, struct line *line)
{
    const struct expr *template = ex->snapshot->settings.access_log_template;
    struct expr_run run = {.lookup = exchange_lookup,
                           .context = ex,
                           .arena = &ex->arena,
                           .now_ns = ex->loop->wall_ns,
                           .escape = EXPR_ESCAPE_JSON};
    struct expr_error error;
    struct text text;
    if (expr_eval_text(template, &run, &text, &error)) {
        put(line, text);
        return;
    }
    put(line, TEXT("-"));
    if (worker_may_log(ex->worker))
        log_warn("access log template failed", LOG_STRING("reason", error.said), LOG_INT("exchange", ex->id));
}

static void write_line(struct exchange *ex)
{
    struct worker *worker = ex->worker;
    const struct settings *settings = &ex->snapshot->settings;
    if (!worker->log)
        return;
    struct line line = {.at = log_source_reserve(worker->log, LINE_MAX_BYTES)};
    if (!line.at)
        return; /* counted there */
    switch ((enum access_log_format)settings->access_log_format) {
    case ACCESS_LOG_JSON: write_json(ex, &line); break;
    case ACCESS_LOG_COMBINED: write_combined(ex, &line); break;
    case ACCESS_LOG_TEMPLATE: write_template(ex, &line); break;
    }
    line.at[line.size++] = '\n';
    log_source_commit(worker->log, line.size);
}

/* Every attempt but the last one has failed, or there would have been no other. */
static bool last_attempt_failed(const struct exchange *ex)
{
    switch (ex->error) {
    case ERROR_NO_ENDPOINT:
    case ERROR_CONNECT_FAILED:
    case ERROR_TLS_FAILED:
    case ERROR_TLS_TIMEOUT:
    case ERROR_CONNECT_TIMEOUT:
    case ERROR_RESPONSE_TIMEOUT:
    case ERROR_IDLE_TIMEOUT:
    case ERROR_ORIGIN_CLOSED:
    case ERROR_RESPONSE_TOO_LARGE:
    case ERROR_ORIGIN_INVALID: return true;
    case ERROR_TOTAL_TIMEOUT: return !ex->answered_ns;
    case ERROR_BREAKER_OPEN: return ex->attempts > 0;
    case ERROR_NONE:
    case ERROR_BAD_REQUEST:
    case ERROR_REQUEST_TIMEOUT:
    case ERROR_MISDIRECTED:
    case ERROR_CLIENT_CERTIFICATE:
    case ERROR_NO_ROUTE:
    case ERROR_POLICY_REFUSED:
    case ERROR_POLICY_FAULT:
    case ERROR_BODY_TOO_LARGE:
    case ERROR_BUFFERS_FULL:
    case ERROR_QUEUE_FULL:
    case ERROR_QUEUE_TIMEOUT:
    case ERROR_CLIENT_CLOSED:
    case ERROR_CLIENT_TIMEOUT:
    case ERROR_NO_MEMORY:
    case ERROR_SHUTDOWN:
    case ERRORS_COUNT: break;
    }
    return false;
}

static void count(struct exchange *ex)
{
    struct worker *worker = ex->worker;
    const struct route_target *target = ex->target ? ex->target : &ex->snapshot->fallback->target;
    struct series_sample sample = {
        .status = status_of(ex),
        .bytes_in = ex->request_bytes,
        .bytes_out = ex->response_bytes,
        .total_ns = exchange_age_ns(ex),
        .upstream_ns = ex->answered_ns ? ex->answered_ns - ex->attempt_ns : -1,
        .own_ns = ex->own_ns,
        .queued_ns = ex->queued_ns,
        .waited_ns = ex->waited_ns,
        .attempts = ex->attempts,
        .failures = ex->attempts ? ex->attempts - 1u + last_attempt_failed(ex) : 0,
    };
    series_record(worker->metrics, target->series->index, &sample);
    if (ex->error != ERROR_NONE)
        counter_bump(&worker->counts.errors[ex->error], 1);
}

/* The trace id of a well-formed traceparent (W3C Trace Context section 3.2): "00-" 32 hex digits "-" ... */
static void find_trace(struct exchange *ex)
{
    struct text value = header(ex, NAME_TRACEPARENT);
    if (value.size < 55 || value.at[2] != '-' || value.at[35] != '-')
        return;
    for (size_t i = 3; i < 35; i++)
        if (char_hex(value.at[i]) < 0)
            return;
    ex->trace_id = text_slice(value, 3, 35);
}

void record_exchange(struct exchange *ex)
{
    find_trace(ex);
    write_line(ex);
    count(ex);
}
