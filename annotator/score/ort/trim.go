//go:build cgo

package ort

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
static void trim(void) { malloc_trim(0); }
#else
static void trim(void) {}
#endif
*/
import "C"

// trim gives the memory back to the system that loading models took and is free
// now: glibc keeps it otherwise, 15 MB and more.
func trim() { C.trim() }
