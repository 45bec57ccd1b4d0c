/* ip-restriction: which client addresses may call, by CIDR ranges in the configuration and in files. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "net/address.h"
#include "policies/places.h"
#include "proxy/exchange.h"

enum {
    FILE_BYTES_MAX = 64 * 1024 * 1024,
    FILE_ERRORS_MAX = 5, /* of one file that are reported */
};

/* "10.0.0.0/8", or {file: PATH}. */
struct range_config {
    struct text range, file;
};

struct ip_restriction_config {
    struct array allow_ranges, deny_ranges; /* struct range_config */
    int64_t status;
    struct text message;
    const struct cidr_set *allow, *deny; /* NULL: not given */
};

static const struct field range_fields[] = {
    {FIELD_MEMBER_(struct range_config, range, "range", FIELD_KIND_TEXT, OPTIONAL,
                   "An address, or a range in CIDR form."),
     .flags = FIELD_SHORTHAND},
    FIELD_TEXT(
        struct range_config, file, "file", OPTIONAL,
        "A file with an address or range on each line; `#` begins a comment. Relative to the configuration file, read again on reload."),
    FIELD_END,
};
static const struct field range_item = ITEM_STRUCT(struct range_config, range_fields);

static const struct field ip_restriction_fields[] = {
    FIELD_LIST(
        struct ip_restriction_config, allow_ranges, "allow", OPTIONAL, &range_item, FIELD_ONE_OR_MORE,
        "Addresses that may call; all others may not. Ranges such as `10.0.0.0/8`, or `{file: PATH}`."),
    FIELD_LIST(struct ip_restriction_config, deny_ranges, "deny", OPTIONAL, &range_item, FIELD_ONE_OR_MORE,
               "Addresses that may not call, even if `allow` holds them."),
    FIELD_INTEGER(struct ip_restriction_config, status, "status", "403", 400, 599, "Status of the refusal."),
    FIELD_TEXT(struct ip_restriction_config, message, "message", "Your address may not call this API.",
               "The `detail` of the refusal."),
    FIELD_END,
};

/* --- reading ranges --- */

struct ranges {
    struct prepare *prepare;
    const char *field;
    const struct node *place; /* of the entry */
    struct cidr *items;       /* on the heap */
    size_t count, capacity;
};

static bool fail(const struct ranges *ranges, struct text file, const char *why)
{
    return bind_error(ranges->prepare->binder, ranges->place, ranges->field, "`%.*s`: %s", TEXT_ARGS(file),
                      why);
}

static bool add_range(struct ranges *ranges, const struct cidr *range)
{
    if (ranges->count == ranges->capacity) {
        size_t capacity = ranges->capacity ? ranges->capacity * 2 : 16;
        struct cidr *moved = memory_resize(ranges->items, capacity * sizeof *moved);
        if (!moved)
            return bind_error(ranges->prepare->binder, ranges->place, ranges->field, "out of memory");
        ranges->items = moved;
        ranges->capacity = capacity;
    }
    ranges->items[ranges->count++] = *range;
    return true;
}

static bool add_lines(struct ranges *ranges, struct text file, struct text content)
{
    unsigned errors = 0;
    size_t number = 0;
    while (content.at && errors < FILE_ERRORS_MAX) {
        struct text rest = text_split(&content, '\n'), line = text_trim(text_split(&rest, '#'));
        struct cidr range;
        number++;
        if (line.size && line.at[line.size - 1] == '\r')
            line = text_trim(text_slice(line, 0, line.size - 1));
        if (line.size == 0)
            continue;
        if (!cidr_parse(line, &range)) {
            errors++;
            (void)bind_error(ranges->prepare->binder, ranges->place, ranges->field,
                             "`%.*s:%zu`: `%.*s` is not an address or a range such as `10.0.0.0/8`",
                             TEXT_ARGS(file), number, (int)MIN_OF(line.size, (size_t)60), line.at);
        } else if (!add_range(ranges, &range)) {
            return false;
        }
    }
    return errors == 0;
}

/* The whole of a regular file, on the heap. NULL: `*ret_why` says why. */
static char *read_whole(int fd, size_t *ret_size, const char **ret_why)
{
    struct stat status;
    *ret_why = "out of memory";
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > FILE_BYTES_MAX) {
        *ret_why = "is not a regular file of at most 64 MiB";
        return NULL;
    }
    size_t size = 0, room = (size_t)status.st_size;
    char *bytes = memory_alloc(room + 1);
    while (bytes && size < room) {
        ssize_t got = read(fd, bytes + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            memory_free(bytes);
            *ret_why = "could not be read";
            return NULL;
        }
        if (got == 0)
            break;
        size += (size_t)got;
    }
    *ret_size = size;
    return bytes;
}

/* Relative to the configuration file that names it. */
static struct text path_of(struct prepare *prepare, struct text file)
{
    struct text source = prepare->node->place.source ? source_name(prepare->node->place.source) : TEXT("");
    size_t slash = text_find_last_char(source, '/');
    if (text_starts_with(file, TEXT("/")) || slash == TEXT_NONE)
        return arena_copy(prepare->binder->arena, file);
    return arena_format(prepare->binder->arena, "%.*s%.*s", TEXT_ARGS(text_slice(source, 0, slash + 1)),
                        TEXT_ARGS(file));
}

static bool add_file(struct ranges *ranges, struct text file)
{
    struct text path = path_of(ranges->prepare, file);
    size_t size = 0;
    const char *why = NULL;
    if (memchr(path.at, '\0', path.size))
        return fail(ranges, file, "is not a path");
    bind_depends_on(ranges->prepare->binder, path);
    int fd = open(path.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail(ranges, path, errno == ENOENT ? "there is no such file" : "could not be opened");
    char *bytes = read_whole(fd, &size, &why);
    (void)close(fd); /* it was only read */
    if (!bytes)
        return fail(ranges, path, why);
    bool added = add_lines(ranges, path, (struct text){bytes, size});
    memory_free(bytes);
    return added;
}

static bool add_entry(struct ranges *ranges, const struct range_config *entry)
{
    struct cidr range;
    if (!entry->range.at == !entry->file.at)
        return bind_error(ranges->prepare->binder, ranges->place, ranges->field,
                          "wants a range or `{file: PATH}` in each entry");
    if (entry->file.at)
        return add_file(ranges, entry->file);
    if (!cidr_parse(entry->range, &range))
        return bind_error(
            ranges->prepare->binder, ranges->place, ranges->field,
            "`%.*s` is not an address or a range such as `10.0.0.0/8` (with no bits set behind the prefix)",
            TEXT_ARGS(entry->range));
    return add_range(ranges, &range);
}

static bool build_set(struct prepare *prepare, const char *field, const struct array *list,
                      const struct cidr_set **ret_set)
{
    struct ranges ranges = {.prepare = prepare, .field = field};
    const struct range_config *entries = list->items;
    bool fine = true;
    for (size_t i = 0; i < list->count; i++) {
        ranges.place = item_place(prepare, field, i);
        fine &= add_entry(&ranges, &entries[i]);
    }
    if (fine && list->count) {
        *ret_set = cidr_set_new(prepare->binder->arena, ranges.items, ranges.count);
        fine = *ret_set || bind_error(prepare->binder, prepare->node, field, "out of memory");
    }
    memory_free(ranges.items);
    return fine;
}

static bool ip_restriction_prepare(struct prepare *prepare, void *config_)
{
    struct ip_restriction_config *config = config_;
    if (config->allow_ranges.count + config->deny_ranges.count == 0)
        return bind_error(prepare->binder, prepare->node, NULL,
                          "says neither whom to `allow` nor whom to `deny`");
    bool fine = build_set(prepare, "allow", &config->allow_ranges, &config->allow);
    fine &= build_set(prepare, "deny", &config->deny_ranges, &config->deny);
    return fine;
}

/* --- the policy --- */

static enum verdict ip_restriction_request(struct exchange *ex, const void *config_, void *state)
{
    (void)state;
    const struct ip_restriction_config *config = config_;
    int family = ex->client_address.any.sa_family;
    bool has_ip = family == AF_INET || family == AF_INET6;
    struct ip ip = address_ip(&ex->client_address);
    bool denied = config->deny && has_ip && cidr_set_contains(config->deny, ip);
    bool allowed = !config->allow || (has_ip && cidr_set_contains(config->allow, ip));
    if (allowed && !denied)
        return VERDICT_NEXT;
    return exchange_respond_problem(ex, (unsigned)config->status, config->message);
}

static const char ip_restriction_manual[] =
    "Decides by the client's address whether a request may pass. Use it for networks that you know: offices, partners, the\n"
    "machines of a data centre, or a list of addresses to keep out.\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  main:\n"
    "    address: \"127.0.0.1:8080\"\n"
    "    trusted_proxies: [\"10.0.0.0/8\"]   # whose X-Forwarded-For is believed\n"
    "services:\n"
    "  admin: { endpoints: [\"http://127.0.0.1:7001\"] }\n"
    "routes:\n"
    "  admin:\n"
    "    match: { path: \"/admin/*\" }\n"
    "    service: admin\n"
    "    policies:\n"
    "      - ip-restriction:\n"
    "          allow: [\"192.0.2.0/24\", \"2001:db8::/32\"]\n"
    "          deny: \"192.0.2.66\"\n"
    "```\n"
    "\n"
    "An address in `deny` is refused. If there is an `allow`, an address that is not in it is refused too; an `allow` whose file is empty refuses\n"
    "everyone. IPv4 and IPv6 ranges may be mixed, and an IPv4 address that arrives in IPv6 form is taken for what it is.\n"
    "An entry `{file: blocked.txt}` reads ranges from a file, one on each line, with comments after `#`. A file with a line\n"
    "that is not a range is an error, and the configuration before it stays in force. Look-ups cost the same for a few\n"
    "ranges and hardly more for a million.\n"
    "\n"
    "**Security.** The address is that of the connection. Only if that is one of the listener's `trusted_proxies`, the address is\n"
    "taken from what the proxy says; a client cannot choose it. Set `trusted_proxies` if there is a load balancer in front, or\n"
    "every client has its address. Clients of a unix socket have no address: `allow` refuses them, `deny` does not.\n";

const struct policy policy_ip_restriction = {
    .name = "ip-restriction",
    .summary = "Allows or denies clients by their address.",
    .manual = ip_restriction_manual,
    .stage = STAGE_EDGE, /* before identity: whoever is kept out costs no password check */
    .status = POLICY_STABLE,
    .fields = ip_restriction_fields,
    .config_size = sizeof(struct ip_restriction_config),
    .prepare = ip_restriction_prepare,
    .on_request = ip_restriction_request,
};
