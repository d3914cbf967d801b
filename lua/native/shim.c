/*
 * The Lua module "ampulla": takes the arguments off the Lua stack, looks into
 * the table of frames, or else calls Go, and pushes what there is. Lua raises
 * errors by jumping, which Go does not survive; so all that may raise happens
 * before Go is entered or after it has returned.
 *
 * Lua's functions are declared here, and only those that 5.2, 5.3 and 5.4
 * share: one module serves Wireshark 4.0 to 4.6, whose process has them. They
 * are weak so that the Go tests link without Lua.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "shim.h"
#include "_cgo_export.h"

typedef struct lua_State lua_State;
typedef int (*lua_CFunction)(lua_State *);
#define WEAK __attribute__((weak))

extern void lua_createtable(lua_State *, int, int) WEAK;
extern void lua_pushcclosure(lua_State *, lua_CFunction, int) WEAK;
extern void lua_setfield(lua_State *, int, const char *) WEAK;
extern void lua_pushnil(lua_State *) WEAK;
extern void lua_pushnumber(lua_State *, double) WEAK;
extern void lua_pushboolean(lua_State *, int) WEAK;
extern const char *lua_pushlstring(lua_State *, const char *, size_t) WEAK;
extern int lua_toboolean(lua_State *, int) WEAK;
extern int lua_gettop(lua_State *) WEAK;
extern double luaL_checknumber(lua_State *, int) WEAK;
extern const char *luaL_checklstring(lua_State *, int, size_t *) WEAK;
extern int luaL_error(lua_State *, const char *, ...) WEAK;

static int forked; /* this process is a child of the one that Go was started in */

static void note_fork(void)
{
	forked = 1;
}

/* Go does not work in a child made by fork: its threads are not there. */
static void check_process(lua_State *L)
{
	if (forked)
		luaL_error(L, "loaded before a fork");
}

static struct table *table; /* of the capture that is open; NULL for none */
static struct reply last;   /* what was found last */

static int open_capture(lua_State *L)
{
	struct options o = {
		.address = luaL_checklstring(L, 1, NULL),
		.program = luaL_checklstring(L, 2, NULL),
		.client = luaL_checklstring(L, 3, NULL),
		.patience_ms = (uint32_t)luaL_checknumber(L, 4),
		.ahead = lua_toboolean(L, 5),
		.eager = lua_toboolean(L, 6),
		.notes = lua_toboolean(L, 7),
		.terse = lua_toboolean(L, 8),
	};
	check_process(L);
	table = NULL;
	lua_pushboolean(L, goOpen(&o, &table));
	return 1;
}

static int pass(lua_State *L)
{
	double number = luaL_checknumber(L, 1);
	check_process(L);
	lua_pushboolean(L, goPass(number));
	return 1;
}

static void push_positive(lua_State *L, const char *name, double value)
{
	if (value > 0) {
		lua_pushnumber(L, value);
		lua_setfield(L, -2, name);
	}
}

/* verdict() returns the verdict whose score frame() has just returned. */
static int verdict(lua_State *L)
{
	static const char *const names[TEXTS] = {"class", "verdict", "type", "reason", "cid", "model"};
	const char *text = last.text;

	check_process(L);
	goVerdict(&last);
	lua_createtable(L, 0, 13);
	for (int i = 0; i < TEXTS; text += last.len[i++]) {
		if (last.len[i] > 0) {
			lua_pushlstring(L, text, (size_t)last.len[i]);
			lua_setfield(L, -2, names[i]);
		}
	}
	lua_pushnumber(L, last.score);
	lua_setfield(L, -2, "score");
	lua_pushnumber(L, last.confidence);
	lua_setfield(L, -2, "conf");
	push_positive(L, "flow", last.flow);
	push_positive(L, "incident", last.incident);
	push_positive(L, "first", last.first);
	push_positive(L, "last", last.last);
	return 1;
}

#define NEAR 2e-6 /* seconds, see row.near */

/* key_of is table.keyOf. */
static uint64_t key_of(const struct table *t, const struct shot *s)
{
	const char *data = s->data;
	size_t left = (size_t)s->data_len;
	uint64_t h = t->seed ^ (uint32_t)s->caught;

	if (left > SNAP)
		left = SNAP;
	while (left > 0) {
		size_t n = left < 8 ? left : 8;
		uint64_t word = 0;
		memcpy(&word, data, n);
		h = (h ^ word) * UINT64_C(0xa0761d6478bd642f);
		h = h << 29 | h >> 35;
		data += n;
		left -= n;
	}
	return h ^ h >> 32;
}

/*
 * ampulla_look_up answers for a frame without Go, if it is the one that is
 * expected and all is known of it that is asked for. What position that is, and
 * what is the same frame, are as in capture.shown and row.near.
 */
int ampulla_look_up(struct table *t, const struct shot *s, struct reply *reply)
{
	uint64_t n, end;
	const struct row *r;
	int numbered = s->number >= 0 && s->number < ROWS;
	int again = s->visited && !(t->second && s->number > (double)t->passed);

	if (again)
		n = numbered ? t->numbers[(size_t)s->number] : 0;
	else
		n = t->passed + 1;
	end = atomic_load_explicit(&t->known, memory_order_acquire);
	if (n == 0 || n > end || end - n >= ROWS / 2)
		return 0;
	if (s->look && n > atomic_load_explicit(&t->judged, memory_order_acquire))
		return 0;
	r = &t->rows[n % ROWS];
	if (r->noted || (s->time != 0 && fabs((double)r->time / 1e9 - s->time) > NEAR) || r->key != key_of(t, s))
		return 0;
	if (!again) {
		t->passed = n;
		if (numbered && n <= UINT32_MAX)
			t->numbers[(size_t)s->number] = (uint32_t)n;
	}
	reply->answer = s->look ? ANSWER_JUDGED : ANSWER_NOTHING;
	reply->position = n;
	reply->score = s->look ? t->scores[n % ROWS] / 1000.0 : 0;
	return 1;
}

#define MOST_SECONDS 9223372036.854775807 /* that fit into 64 bits of nanoseconds */

/*
 * frame(number, time, visited, look, caught, data [, length, secs, nsecs, encap])
 * returns a score; nil; nil and what is wrong; the comment that has the verdict;
 * or false if the last four arguments are needed.
 */
static int frame(lua_State *L)
{
	size_t len;
	struct shot s = {
		.number = luaL_checknumber(L, 1),
		.time = fmin(fmax(luaL_checknumber(L, 2), -MOST_SECONDS), MOST_SECONDS),
		.visited = lua_toboolean(L, 3),
		.look = lua_toboolean(L, 4),
		.caught = luaL_checknumber(L, 5),
		.data = luaL_checklstring(L, 6, &len),
		.exact = lua_gettop(L) >= 10,
	};
	if (s.exact) {
		s.length = luaL_checknumber(L, 7);
		s.secs = luaL_checknumber(L, 8);
		s.nsecs = luaL_checknumber(L, 9);
		s.encap = luaL_checknumber(L, 10);
	}
	s.data_len = len < TEXT_MAX ? (int)len : TEXT_MAX;
	check_process(L);
	if (!table || !ampulla_look_up(table, &s, &last))
		goFrame(&s, &last, &table);
	switch (last.answer) {
	case ANSWER_JUDGED:
		lua_pushnumber(L, last.score);
		return 1;
	case ANSWER_NOTED:
		lua_pushlstring(L, last.text, (size_t)last.len[0]);
		return 1;
	case ANSWER_EXACTLY:
		lua_pushboolean(L, 0);
		return 1;
	case ANSWER_WRONG:
		lua_pushnil(L);
		lua_pushlstring(L, last.text, (size_t)last.len[0]);
		return 2;
	default:
		lua_pushnil(L);
		return 1;
	}
}

/* push_text pushes a text of Go's and frees it. */
static void push_text(lua_State *L, char *text)
{
	lua_pushlstring(L, text, strlen(text));
	free(text);
}

/* start(kind, number, out) begins something that may take a while; it returns
 * what is wrong, if anything. */
static int start(lua_State *L)
{
	const char *kind = luaL_checklstring(L, 1, NULL);
	double number = luaL_checknumber(L, 2);
	const char *out = luaL_checklstring(L, 3, NULL);
	char *problem;

	check_process(L);
	problem = goStart((char *)kind, number, (char *)out);
	if (!problem)
		return 0;
	push_text(L, problem);
	return 1;
}

/*
 * result(milliseconds) waits for what was begun, for at most so long. It returns
 * a text; nil and how much is done, 0 to 1; or false and what is wrong.
 */
static int result(lua_State *L)
{
	double milliseconds = luaL_checknumber(L, 1), done = 0;
	int answer = ANSWER_WRONG;
	char *text;

	check_process(L);
	text = goResult(milliseconds, &answer, &done);
	switch (answer) {
	case ANSWER_JUDGED:
		push_text(L, text);
		return 1;
	case ANSWER_NOTHING:
		lua_pushnil(L);
		lua_pushnumber(L, done);
		return 2;
	default:
		lua_pushboolean(L, 0);
		push_text(L, text);
		return 2;
	}
}

static int stop(lua_State *L)
{
	check_process(L);
	goStop();
	return 0;
}

static int close_capture(lua_State *L)
{
	check_process(L);
	table = NULL;
	goClose();
	return 0;
}

int luaopen_ampulla(lua_State *L)
{
	static const struct {
		const char *name;
		lua_CFunction function;
	} functions[] = {
		{"open", open_capture}, {"pass", pass}, {"frame", frame}, {"verdict", verdict},
		{"start", start}, {"result", result}, {"stop", stop}, {"close", close_capture},
	};

	static int watching;

	check_process(L);
	if (!watching)
		watching = pthread_atfork(NULL, NULL, note_fork) == 0;
	lua_createtable(L, 0, 8);
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		lua_pushcclosure(L, functions[i].function, 0);
		lua_setfield(L, -2, functions[i].name);
	}
	return 1;
}
