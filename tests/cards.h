/* SPDX-License-Identifier: Apache-2.0 */
/* Emulated cards under test: devices, a row for them, what they say, and what is left of them. */
#ifndef VETO_TESTS_CARDS_H
#define VETO_TESTS_CARDS_H

#include "veto.h"

#include <sys/types.h>

/* One a mode, with a deadline of two seconds. */
#define CARDS 2
extern const char *const cards[CARDS];

/* One row, and its score. */
extern const struct veto_rows card_row;
int card_score(struct veto_device *dev, struct veto_record *record);

/* The program whose devices are looked at: what runs in their folders, the folders, and that nothing is left. */
void cards_watch(pid_t pid);
int cards_count_processes(void);
size_t cards_memory(void); /* bytes that its processes map */
size_t cards_count_folders(void);
void cards_age_folders(void); /* as if they were old */
void assert_nothing_is_left(void);

/* Keep what children and their models say to standard error, until the end, where it is handed out. */
struct hearing {
	int heard, before;
};
struct hearing hear(void);
void hear_end(struct hearing *h, char text[4096]);

#endif
