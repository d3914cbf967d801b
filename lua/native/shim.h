/* What goes between the C shim and Go: plain data, owned by the shim. */
#pragma once

struct options {
	const char *address, *program, *client; /* NUL-terminated; "" for the standard ones */
	int patience_ms, ahead, eager;
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

enum { ANSWER_NOTHING, ANSWER_JUDGED, ANSWER_EXACTLY, ANSWER_WRONG }; /* as in capture.go */

struct reply {
	int answer;
	double score, confidence, flow;
	/* class, level, type, reason, Community ID and model behind one another;
	   for an error just the text. */
	int len[TEXTS];
	char text[TEXT_MAX];
};
