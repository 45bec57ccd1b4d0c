/* The note of each thread. */
#include "base/crash_note.h"

_Thread_local const struct crash_note *crash_note_current;
