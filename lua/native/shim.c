/*
 * The Lua module "ampulla": takes the arguments off the Lua stack, calls Go, and
 * pushes what it returns. Lua raises errors by jumping, which Go does not
 * survive; so all that may raise happens before Go is entered or after it has
 * returned.
 *
 * Lua's functions are declared here, and only those that 5.2, 5.3 and 5.4
 * share: one module serves Wireshark 4.0 to 4.6, whose process has them. They
 * are weak so that the Go tests link without Lua.
 */
#include <stddef.h>
#include <unistd.h>
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

static pid_t owner; /* the process that Go was started in */

/* Go does not work in a child made by fork: its threads are not there. */
static void check_process(lua_State *L)
{
	if (getpid() != owner)
		luaL_error(L, "loaded before a fork");
}

static int open_capture(lua_State *L)
{
	struct options o = {
		.address = luaL_checklstring(L, 1, NULL),
		.program = luaL_checklstring(L, 2, NULL),
		.client = luaL_checklstring(L, 3, NULL),
		.patience_ms = (int)luaL_checknumber(L, 4),
		.ahead = lua_toboolean(L, 5),
		.eager = lua_toboolean(L, 6),
	};
	check_process(L);
	lua_pushboolean(L, goOpen(&o));
	return 1;
}

static int pass(lua_State *L)
{
	double number = luaL_checknumber(L, 1);
	check_process(L);
	lua_pushboolean(L, goPass(number));
	return 1;
}

static struct reply last; /* what Go said */

/* verdict() returns the verdict whose score frame() has just returned. */
static int verdict(lua_State *L)
{
	static const char *const names[TEXTS] = {"class", "verdict", "type", "reason", "cid", "model"};
	const char *text = last.text;

	check_process(L);
	goVerdict(&last);
	lua_createtable(L, 0, 10);
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
	if (last.flow > 0) {
		lua_pushnumber(L, last.flow);
		lua_setfield(L, -2, "flow");
	}
	return 1;
}

/*
 * frame(number, time, length, visited, look, caught, data [, secs, nsecs, encap])
 * returns a score; nil; nil and what is wrong; or false if the last three
 * arguments are needed.
 */
static int frame(lua_State *L)
{
	size_t len;
	struct shot s = {
		.number = luaL_checknumber(L, 1),
		.time = luaL_checknumber(L, 2),
		.length = luaL_checknumber(L, 3),
		.visited = lua_toboolean(L, 4),
		.look = lua_toboolean(L, 5),
		.caught = luaL_checknumber(L, 6),
		.data = luaL_checklstring(L, 7, &len),
		.exact = lua_gettop(L) >= 10,
	};
	if (s.exact) {
		s.secs = luaL_checknumber(L, 8);
		s.nsecs = luaL_checknumber(L, 9);
		s.encap = luaL_checknumber(L, 10);
	}
	s.data_len = len < TEXT_MAX ? (int)len : TEXT_MAX;
	check_process(L);
	goFrame(&s, &last);
	switch (last.answer) {
	case ANSWER_JUDGED:
		lua_pushnumber(L, last.score);
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

static int close_capture(lua_State *L)
{
	check_process(L);
	goClose();
	return 0;
}

int luaopen_ampulla(lua_State *L)
{
	static const struct {
		const char *name;
		lua_CFunction function;
	} functions[] = {{"open", open_capture}, {"pass", pass}, {"frame", frame}, {"verdict", verdict}, {"close", close_capture}};

	if (owner == 0)
		owner = getpid();
	check_process(L);
	lua_createtable(L, 0, 4);
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		lua_pushcclosure(L, functions[i].function, 0);
		lua_setfield(L, -2, functions[i].name);
	}
	return 1;
}
