/* See the header. */
#include "policies/identity.h"

#include "policies/places.h"
#include "proxy/exchange.h"

bool identity_check_realm(struct prepare *prepare, struct text realm)
{
    if (http_is_field_value(realm) && text_find_char(realm, '"') == TEXT_NONE
        && text_find_char(realm, '\\') == TEXT_NONE)
        return true;
    return bind_error(prepare->binder, field_place(prepare, "realm"), "realm",
                      "must not have quotes, backslashes or control characters");
}

enum verdict identity_refuse(struct exchange *ex, struct text challenge, struct text detail)
{
    enum verdict verdict = exchange_respond_problem(ex, 401, detail);
    (void)fields_add_known(&ex->response.fields, NAME_WWW_AUTHENTICATE,
                           challenge); /* without memory the arena says so */
    return verdict;
}

enum verdict identity_missing(struct exchange *ex, struct text anonymous, struct text challenge,
                              struct text detail)
{
    if (anonymous.size == 0)
        return identity_refuse(ex, challenge, detail);
    if (ex->consumer)
        return VERDICT_NEXT;
    const struct consumer *consumer = consumer_set_find_name(exchange_consumers(ex), anonymous);
    if (!consumer)
        return exchange_fault(ex, "the consumer that `anonymous` names is not configured");
    exchange_identify(ex, consumer, TEXT("anonymous"));
    return VERDICT_NEXT;
}
