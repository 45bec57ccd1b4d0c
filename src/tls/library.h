/* OpenSSL as this program uses it: its memory. */
#pragma once

#include <stdbool.h>

/* At the start of the program, before anything else uses OpenSSL: its memory comes from base/memory.h from now on, so that what it leaves
 * behind while it reads a private key can be wiped. */
void tls_library_begin(void);

/* Makes the secure heap, where private keys are: locked in memory where the system allows it, and left out of core files. Once; any thread.
 * False: no memory. */
bool tls_library_ready(void);

/* OpenSSL takes a buffer of 17 KiB whenever a record comes or goes on an idle connection: each thread keeps some. The end of a thread gives them
 * back to the heap. */
void tls_library_thread_end(void);

/* Between these, what this thread's OpenSSL frees is wiped first: its decoders leave copies of keys in freed blocks. */
void tls_library_secret_begin(void);
void tls_library_secret_end(void);
