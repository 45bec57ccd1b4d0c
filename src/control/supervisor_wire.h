/* The messages between supervisor and gateway process: one packet each on a SOCK_SEQPACKET socket pair, fields separated by newlines.
 *
 *     gateway                              supervisor
 *     version VERSION                  ->
 *     listen NAME ADDRESS NUMBER       ->
 *                                      <-  ok NUMBER [passed] (with the descriptor) | error NUMBER ERRNO SENTENCE
 *     release NAME ADDRESS             ->
 *     ready                            ->
 *     reloaded ok|failed SENTENCE      ->
 *     log LEVEL FORMAT                 ->
 *     settings READY_MS DRAIN_MS       ->
 *     left CONNECTIONS                 ->
 *     alive                            ->
 *                                      <-  retire
 *                                      <-  watch PERIOD_MS
 *                                      <-  processes PID STATE VERSION SINCE_MS CONNECTIONS;...
 *                                      <-  upgrades DONE FAILED SENTENCE
 *
 * Only `listen` has an answer; NUMBER tells a late one from the one that is awaited. In an upgrade the two ends are of different versions of the
 * program: each ignores verbs that it does not know, and a verb never changes its meaning. See docs/internals/processes.md. */
#pragma once

#include <stdbool.h>

#include "base/text.h"

enum {
    WIRE_MESSAGE_SIZE = 1024,
    WIRE_FIELDS_MAX = 4,
};

/* Environment of the gateway process: the number of its end of the socket pair. */
#define WIRE_VARIABLE "TURNPIKE_SUPERVISOR_FD"

/* Present if another gateway process serves, and this one is to take over. */
#define WIRE_SUCCESSOR_VARIABLE "TURNPIKE_SUCCESSOR"

struct wire_message {
    struct text fields[WIRE_FIELDS_MAX]; /* in `bytes`, zero-terminated; the missing ones are empty */
    int fd;                              /* that came along, or -1; the receiver's to close */
    char bytes[WIRE_MESSAGE_SIZE];
};

/* Sends one message, with a descriptor unless `fd` is -1. Fields that hold a newline are refused, trailing empty ones are left out. 0, or a
 * negative errno. `flags` for sendmsg(2), which never raises SIGPIPE here. */
int wire_send(int socket, const struct text fields[WIRE_FIELDS_MAX], int fd, int flags);

/* Receives one message: 1, or 0 when the other side is gone, or a negative errno (-EAGAIN: none now; -EBADMSG: none of ours). */
int wire_receive(int socket, struct wire_message *ret_message, int flags);
