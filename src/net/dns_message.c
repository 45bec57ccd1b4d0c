/* Reads answers of name servers. Names are expanded by c-ares, which follows compression within bounds. */
#include "net/dns_message.h"

#include <ares.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/memory.h"

enum {
    HEADER_SIZE = 12,
    QUESTION_REST = 4,
    RECORD_REST = 10,
    SOA_NUMBERS = 20,
    SRV_NUMBERS = 6,
    ALIASES_MAX = 16,
    DISORDER_MAX = 256
};

struct reader {
    const uint8_t *message, *at;
    size_t size;
    uint16_t type;            /* that was asked for */
    char name[DNS_NAME_SIZE]; /* that is looked for: the question's, then what aliases make of it */
    struct dns_answer *answer;
};

/* One record; `data` lies within the message. */
struct record {
    char name[DNS_NAME_SIZE];
    uint16_t type;
    uint32_t ttl_s;
    const uint8_t *data;
    uint16_t data_size;
};

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static size_t left(const struct reader *reader)
{
    return reader->size - (size_t)(reader->at - reader->message);
}

/* The name at `at`, lower case; its bytes there, 0: malformed. */
static size_t read_name(const struct reader *reader, const uint8_t *at, char to[DNS_NAME_SIZE])
{
    char *expanded;
    long used;
    if (at >= reader->message + reader->size
        || ares_expand_name(at, reader->message, (int)reader->size, &expanded, &used) != ARES_SUCCESS)
        return 0;
    size_t size = strlen(expanded);
    if (size >= DNS_NAME_SIZE)
        used = 0;
    else
        memcpy(to, expanded, size + 1);
    ares_free_string(expanded);
    for (size_t i = 0; used && i < size; i++)
        if (to[i] >= 'A' && to[i] <= 'Z')
            to[i] = (char)(to[i] + ('a' - 'A'));
    return (size_t)used;
}

static bool read_record(struct reader *reader, struct record *ret_record)
{
    size_t used = read_name(reader, reader->at, ret_record->name);
    if (!used || left(reader) < used + RECORD_REST)
        return false;
    const uint8_t *rest = reader->at + used;
    ret_record->type = get16(rest + 2) == 1 ? get16(rest) : 0; /* of the class IN, or of none that matters */
    ret_record->ttl_s = get32(rest + 4);
    if (ret_record->ttl_s > INT32_MAX)
        ret_record->ttl_s = 0; /* RFC 2181 section 8 */
    ret_record->data_size = get16(rest + 8);
    ret_record->data = rest + RECORD_REST;
    reader->at = ret_record->data;
    if (left(reader) < ret_record->data_size)
        return false;
    reader->at += ret_record->data_size;
    return true;
}

static void note_ttl(struct dns_answer *answer, uint32_t ttl_s)
{
    if (answer->ttl_s < 0 || ttl_s < answer->ttl_s)
        answer->ttl_s = ttl_s;
}

/* --- what is looked for --- */

static bool add_address(struct reader *reader, const struct record *record)
{
    struct dns_answer *answer = reader->answer;
    bool v6 = record->type == DNS_TYPE_AAAA;
    struct sockaddr_storage storage = {.ss_family = v6 ? AF_INET6 : AF_INET};
    struct address address;
    if (record->data_size != (v6 ? 16 : 4))
        return false;
    if (v6)
        memcpy(&((struct sockaddr_in6 *)&storage)->sin6_addr, record->data, 16);
    else
        memcpy(&((struct sockaddr_in *)&storage)->sin_addr, record->data, 4);
    address_from_socket(&storage, &address);
    for (size_t i = 0; i < answer->count; i++)
        if (address_equal(&answer->addresses[i], &address))
            return true;
    answer->addresses[answer->count++] = address;
    return true;
}

static bool add_target(struct reader *reader, const struct record *record)
{
    struct dns_target *target = &reader->answer->targets[reader->answer->count];
    if (record->data_size <= SRV_NUMBERS || !read_name(reader, record->data + SRV_NUMBERS, target->name))
        return false;
    target->priority = get16(record->data);
    target->weight = get16(record->data + 2);
    target->port = get16(record->data + 4);
    reader->answer->count++;
    return true;
}

/* False: malformed. */
static bool take(struct reader *reader, const struct record *record)
{
    if (record->type == DNS_TYPE_CNAME)
        return read_name(reader, record->data, reader->name) != 0;
    if (reader->answer->count == DNS_RECORDS_MAX)
        return true;
    return record->type == DNS_TYPE_SRV ? add_target(reader, record) : add_address(reader, record);
}

/* One pass over the answer section: the records that belong to the name, and the alias that leads on. */
static bool walk(struct reader *reader, unsigned count, bool *ret_alias)
{
    *ret_alias = false;
    for (unsigned i = 0; i < count; i++) {
        struct record record;
        if (!read_record(reader, &record))
            return false;
        bool wanted = record.type == reader->type || record.type == DNS_TYPE_CNAME;
        if (!wanted || strcasecmp(record.name, reader->name) != 0)
            continue;
        *ret_alias |= record.type == DNS_TYPE_CNAME;
        note_ttl(reader->answer, record.ttl_s);
        if (!take(reader, &record))
            return false;
    }
    return true;
}

/* How long it may be believed that there is nothing (RFC 2308 section 5). */
static void read_negative(struct reader *reader, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct record record;
        if (!read_record(reader, &record))
            return;
        if (record.type != DNS_TYPE_SOA || record.data_size < SOA_NUMBERS)
            continue;
        uint32_t minimum_s = get32(record.data + record.data_size - 4);
        note_ttl(reader->answer, MIN_OF(record.ttl_s, minimum_s));
    }
}

static bool make_room(struct reader *reader, unsigned records)
{
    size_t count = MIN_OF(records, (unsigned)DNS_RECORDS_MAX) + 1u;
    struct dns_answer *answer = reader->answer;
    if (reader->type == DNS_TYPE_SRV)
        answer->targets = memory_array(count, sizeof *answer->targets);
    else
        answer->addresses = memory_array(count, sizeof *answer->addresses);
    return answer->targets || answer->addresses;
}

/* Each pass follows one alias more; most servers write them in order, so that one pass meets all. A long answer is looked at once: what
 * it costs would be the sender's choice. */
static int read_answers(struct reader *reader, unsigned count)
{
    const uint8_t *begin = reader->at;
    bool alias = true;
    int passes = count > DISORDER_MAX ? 1 : ALIASES_MAX;
    for (int pass = 0; alias && reader->answer->count == 0 && pass < passes; pass++) {
        reader->at = begin;
        if (!walk(reader, count, &alias))
            return -EPROTO;
    }
    return 0;
}

int dns_answer_read(const uint8_t *message, size_t size, uint16_t type, struct dns_answer *ret_answer)
{
    struct reader reader = {message, message, size, type, "", ret_answer};
    *ret_answer = (struct dns_answer){.ttl_s = -1};
    if (size < HEADER_SIZE || get16(message + 4) != 1)
        return -EPROTO;
    unsigned answers = get16(message + 6), authorities = get16(message + 8);
    reader.at += HEADER_SIZE;
    size_t used = read_name(&reader, reader.at, reader.name);
    if (!used || left(&reader) < used + QUESTION_REST)
        return -EPROTO;
    reader.at += used + QUESTION_REST;
    if (!make_room(&reader, answers))
        return -ENOMEM;
    int error = read_answers(&reader, answers);
    if (!error && ret_answer->count == 0)
        read_negative(&reader, authorities);
    return error;
}

void dns_answer_release(struct dns_answer *answer)
{
    memory_free(answer->addresses);
    memory_free(answer->targets);
    *answer = (struct dns_answer){.ttl_s = -1};
}
