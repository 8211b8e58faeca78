/* SPDX-License-Identifier: Apache-2.0 */
/* The cards in this machine, as the kernel module of XRT (xocl) shows them in sysfs. */
#ifndef VETO_XRT_CARDS_H
#define VETO_XRT_CARDS_H

#include <stdbool.h>
#include <stdint.h>

#define CARDS_SYSFS "/sys/bus/pci" /* the root below; tests make up their own */

struct card {
	char address[16]; /* of its PCI function, as 0000:65:00.1 */
	char platform[64]; /* of the shell on it; "": it does not say */
	bool is_ready;
};

/* How many there are. */
uint32_t cards_count(const char *root);

/* The card of that index, in the order of addresses.
 *   -ENODEV  there is no such card, or it is not ready; `why` says which */
int cards_find(const char *root, uint32_t index, struct card *out, char *why);

/* Name of the board that has this shell: "U50"; of one that board-configs/ does not have, "another board". */
const char *card_board(const struct card *c);

/* Whether an image for that platform runs on the card.  XRT writes a platform with colons and points, or without.
 *   -EINVAL  it is for another; `why` says both */
int card_check(const struct card *c, const char *platform, const char *path, char *why);

#endif
