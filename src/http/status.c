/* Reason phrases of the assigned statuses (IANA registry, RFC 9110 section 15). */
#include "http/message.h"

#include "base/check.h"

static const char *const informational[] = {"Continue", "Switching Protocols", "Processing", "Early Hints"};

static const char *const successful[] = {
    "OK",
    "Created",
    "Accepted",
    "Non-Authoritative Information",
    "No Content",
    "Reset Content",
    "Partial Content",
    "Multi-Status",
    "Already Reported",
    [26] = "IM Used",
};

static const char *const redirection[] = {
    "Multiple Choices",         "Moved Permanently",  "Found", "See Other", "Not Modified", "Use Proxy",
    [7] = "Temporary Redirect", "Permanent Redirect",
};

static const char *const client_error[] = {
    "Bad Request",
    "Unauthorized",
    "Payment Required",
    "Forbidden",
    "Not Found",
    "Method Not Allowed",
    "Not Acceptable",
    "Proxy Authentication Required",
    "Request Timeout",
    "Conflict",
    "Gone",
    "Length Required",
    "Precondition Failed",
    "Content Too Large",
    "URI Too Long",
    "Unsupported Media Type",
    "Range Not Satisfiable",
    "Expectation Failed",
    [21] = "Misdirected Request",
    "Unprocessable Content",
    "Locked",
    "Failed Dependency",
    "Too Early",
    "Upgrade Required",
    [28] = "Precondition Required",
    "Too Many Requests",
    [31] = "Request Header Fields Too Large",
    [51] = "Unavailable For Legal Reasons",
};

static const char *const server_error[] = {
    "Internal Server Error",
    "Not Implemented",
    "Bad Gateway",
    "Service Unavailable",
    "Gateway Timeout",
    "HTTP Version Not Supported",
    "Variant Also Negotiates",
    "Insufficient Storage",
    "Loop Detected",
    [11] = "Network Authentication Required",
};

static const struct {
    const char *const *reasons;
    size_t count;
} hundreds[] = {
    [1] = {informational, COUNT_OF(informational)}, [2] = {successful, COUNT_OF(successful)},
    [3] = {redirection, COUNT_OF(redirection)},     [4] = {client_error, COUNT_OF(client_error)},
    [5] = {server_error, COUNT_OF(server_error)},
};

struct text status_reason(unsigned status)
{
    unsigned hundred = status / 100, rest = status % 100;
    if (hundred >= COUNT_OF(hundreds) || rest >= hundreds[hundred].count || !hundreds[hundred].reasons[rest])
        return TEXT("");
    return text_of(hundreds[hundred].reasons[rest]);
}
