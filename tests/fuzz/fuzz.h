/* What every fuzz target defines; libFuzzer or replay.c calls it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Runs the code under test on one input; returns 0. Ends the process (CHECK, sanitizer) when it finds something. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
