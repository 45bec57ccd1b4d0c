/* The driver: moves exchanges from step to step. Only this loop calls policies. */
#pragma once

#include "proxy/exchange.h"

/* An exchange for a request whose head is about to be read, from the worker's free ones. NULL: no memory. */
struct exchange *exchange_new(struct worker *worker);

/* Back to the worker; whatever it held is let go. */
void exchange_free(struct exchange *ex);

/* Starts it: the head was read (H1_FINE), or refused, or did not come in time (H1_REFUSALS_COUNT). */
void exchange_begin(struct exchange *ex, struct connection *connection, enum h1_refusal refusal);

/* Ends it from outside (the process stops): nothing more is sent. */
void exchange_kill(struct exchange *ex, enum exchange_error error);

/* Name of the step and of what is waited for, for pages and reports. */
const char *exchange_step_name(const struct exchange *ex);
const char *exchange_waiting_for(const struct exchange *ex); /* "client", "service", "connect", "http", ... */
