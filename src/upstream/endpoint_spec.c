/* The fields of an endpoint. */
#include "upstream/endpoint_spec.h"

static const struct field endpoint_spec_fields[] = {
    {FIELD_MEMBER_(
         struct endpoint_spec, url, "url", FIELD_KIND_TEXT, REQUIRED,
         "`http://HOST:PORT`, `https://HOST:PORT`, `unix:/PATH` for a socket file, or `srv:NAME` (`srv+https:NAME`) for service records."),
     .flags = FIELD_SHORTHAND},
    FIELD_INTEGER(
        struct endpoint_spec, weight, "weight", "1", 0, 65535,
        "Share of the requests, beside the other endpoints' weights. 0 takes no new clients, as `drain`."),
    FIELD_INTEGER(struct endpoint_spec, priority, "priority", "0", 0, 255,
                  "Endpoints with the lowest number take the requests as long as enough of them are usable."),
    FIELD_TEXT(struct endpoint_spec, zone, "zone", OPTIONAL,
               "Where it is, such as a data centre, for `balance.zones`."),
    FIELD_MAP(struct endpoint_spec, labels, "labels", OPTIONAL, &field_item_text_pair, 0,
              "What it is, for `balance.subset`, such as `{ version: v2 }`."),
    FIELD_BOOL(struct endpoint_spec, drain, "drain", "false",
               "Takes no new requests; sticky clients that it has stay until they end."),
    FIELD_END,
};
const struct field endpoint_spec_item = ITEM_STRUCT(struct endpoint_spec, endpoint_spec_fields);
