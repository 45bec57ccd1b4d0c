/* What remains of an exchange: its line in the access log, its counts. */
#pragma once

#include "proxy/exchange.h"

enum access_log_format { ACCESS_LOG_JSON, ACCESS_LOG_COMBINED, ACCESS_LOG_TEMPLATE };

/* Once, when the exchange ends; no allocation, no waiting. */
void record_exchange(struct exchange *ex);
