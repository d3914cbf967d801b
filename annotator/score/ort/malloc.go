//go:build cgo

package ort

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void share(void) { mallopt(M_ARENA_MAX, 1); }
static void trim(void) { malloc_trim(0); }
#else
static void share(void) {}
static void trim(void) {}
#endif
*/
import "C"

// share has all threads take memory from one place: glibc gives each thread one
// of its own otherwise, which grows page by page while models are loaded, and is
// kept. Running them takes hardly any.
func share() { C.share() }

// trim gives the memory back to the system that loading models took and is free
// now: glibc keeps it otherwise, 15 MB and more.
func trim() { C.trim() }
