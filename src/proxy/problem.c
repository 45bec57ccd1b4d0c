/* Writes problem documents. */
#include "proxy/problem.h"

#include "base/check.h"
#include "proxy/exchange.h"

struct text problem_write(struct exchange *ex, unsigned status, struct text detail)
{
    char escaped[1024],
        number[4] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
    struct text safe = {escaped, log_escape_json(detail, escaped, sizeof escaped)};
    const struct text parts[] = {
        TEXT("{\"type\":\"about:blank\",\"title\":\""),
        status_reason(status),
        TEXT("\",\"status\":"),
        {number, 3},
        TEXT(",\"detail\":\""),
        safe,
        TEXT("\",\"request_id\":\""),
        exchange_request_id(ex),
        TEXT("\"}\n"),
    };
    return arena_join(&ex->arena, parts, COUNT_OF(parts));
}

struct problem problem_of(unsigned error)
{
    static const struct problem problems[ERRORS_COUNT] = {
        [ERROR_BAD_REQUEST] = {400, TEXT_INIT("The request is malformed.")},
        [ERROR_REQUEST_TIMEOUT] = {408, TEXT_INIT("The request did not arrive in time.")},
        [ERROR_MISDIRECTED] = {421, TEXT_INIT("This connection is not for that host: connect anew.")},
        [ERROR_CLIENT_CERTIFICATE] = {403, TEXT_INIT("A valid client certificate is needed here.")},
        [ERROR_NO_ROUTE] = {404, TEXT_INIT("No route matches this request.")},
        [ERROR_POLICY_REFUSED] = {403, TEXT_INIT("The request was refused.")},
        [ERROR_POLICY_FAULT] = {503, TEXT_INIT("The request could not be checked. Try again later.")},
        [ERROR_BODY_TOO_LARGE] = {413, TEXT_INIT("The request body is larger than this gateway accepts.")},
        [ERROR_RESPONSE_TOO_LARGE] = {502,
                                      TEXT_INIT("The service's answer is larger than this gateway accepts.")},
        [ERROR_BUFFERS_FULL] = {503,
                                TEXT_INIT("The gateway's memory for bodies is used up. Try again later.")},
        [ERROR_QUEUE_FULL] = {503,
                              TEXT_INIT("The service is busy, and too many wait for it. Try again later.")},
        [ERROR_QUEUE_TIMEOUT] = {503, TEXT_INIT("The service was busy for too long. Try again later.")},
        [ERROR_NO_ENDPOINT] = {503, TEXT_INIT("The service has no endpoint that could answer.")},
        [ERROR_BREAKER_OPEN] = {503, TEXT_INIT("The service is failing at the moment. Try again later.")},
        [ERROR_CONNECT_FAILED] = {502, TEXT_INIT("The service could not be reached.")},
        [ERROR_TLS_FAILED] = {502, TEXT_INIT("No secure connection to the service could be made.")},
        [ERROR_TLS_TIMEOUT] = {504, TEXT_INIT("The service did not make a secure connection in time.")},
        [ERROR_CONNECT_TIMEOUT] = {504, TEXT_INIT("The service did not accept the connection in time.")},
        [ERROR_RESPONSE_TIMEOUT] = {504, TEXT_INIT("The service did not answer in time.")},
        [ERROR_TOTAL_TIMEOUT] = {504, TEXT_INIT("The exchange took longer than it may.")},
        [ERROR_IDLE_TIMEOUT] = {504, TEXT_INIT("The service stopped in the middle of its answer.")},
        [ERROR_ORIGIN_CLOSED] = {502, TEXT_INIT("The service closed the connection without an answer.")},
        [ERROR_ORIGIN_INVALID] = {502, TEXT_INIT("The service gave an invalid answer.")},
        [ERROR_CLIENT_TIMEOUT] = {408, TEXT_INIT("The request body did not arrive in time.")},
        [ERROR_NO_MEMORY] = {503, TEXT_INIT("The gateway is at its memory limit. Try again later.")},
        [ERROR_SHUTDOWN] = {503, TEXT_INIT("The gateway is shutting down.")},
    };
    return problems[error];
}
