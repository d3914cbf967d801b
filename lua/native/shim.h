/*
 * What the C shim and Go share: plain data. Requests and replies are the shim's
 * own; the table is memory that Go has mapped, see table.go, which says the same
 * in Go.
 */
#pragma once
#include <stdint.h>

struct options {
	const char *address, *program, *client; /* NUL-terminated; "" for the standard ones */
	uint32_t patience_ms;
	int ahead, eager, notes, terse;
};

struct shot {
	double number, time, length, caught;
	int visited, look;
	const char *data;
	int data_len;
	int exact; /* the next three are known */
	double secs, nsecs, encap;
};

enum { TEXTS = 6, TEXT_MAX = 4096 };

enum { ANSWER_NOTHING, ANSWER_JUDGED, ANSWER_NOTED, ANSWER_EXACTLY, ANSWER_WRONG }; /* as in capture.go */

struct reply {
	int answer;
	uint64_t position; /* of the frame, if it is judged */
	double score, confidence, flow, incident, first, last;
	/* class, level, type, reason, Community ID and model behind one another;
	   for a comment or an error just the text. */
	int len[TEXTS];
	char text[TEXT_MAX];
};

enum { SNAP = 512, ROWS = 1 << 22 };

struct row {
	int64_t time;  /* nanoseconds since 1970-01-01 UTC */
	uint64_t key;  /* of its bytes */
	uint8_t noted; /* there is a comment to show */
};

struct table {
	_Atomic uint64_t known;  /* rows that are there */
	_Atomic uint64_t judged; /* scores that are there */
	uint64_t passed;         /* position of the last frame dissected for the first time */
	uint64_t second;         /* not 0: the first pass kept frames to itself, they come in the second */
	uint64_t seed;
	uint32_t numbers[ROWS]; /* position by Wireshark's number */
	struct row rows[ROWS];  /* by position; of those that share a row, the last */
	uint16_t scores[ROWS];  /* thousandths, likewise */
};

int ampulla_look_up(struct table *t, const struct shot *s, struct reply *r);
