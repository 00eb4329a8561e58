// What a crashing process writes about itself from its signal handler: only calls that are safe there, no memory of the
// heap, no locks.
#pragma once

// What the process is doing, for the report: the number of the session (0: none) and a text that lives for ever.
extern unsigned long linux_activity_session;
extern const char *linux_activity_text;
static inline void linux_note_activity(unsigned long session, const char *text) {
    linux_activity_session = session;
    linux_activity_text = text;
}

// Reports of this process go to `space` from now on: the length as an unsigned int, then the text. With NULL they are
// written to standard error, behind `prefix`, which must live for ever.
int linux_report_crashes(void *space, unsigned long count, const char *prefix);
// The build id of this program in hexadecimal.
long linux_build_id(char *text, unsigned long count);
