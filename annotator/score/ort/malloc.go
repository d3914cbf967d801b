//go:build cgo

package ort

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

// Before there are threads: none that has its own memory gives that up.
__attribute__((constructor)) static void share(void) { mallopt(M_ARENA_MAX, 1); }

static void reserve(size_t size) {
	mallopt(M_MMAP_THRESHOLD, 32 << 20); // the most that glibc takes
	mallopt(M_TRIM_THRESHOLD, size);
	mallopt(M_TOP_PAD, size);
	void *first = malloc(1 << 20); // brings all of it
	uintptr_t huge = 2 << 20, from = ((uintptr_t)first + huge - 1) & -huge, to = (uintptr_t)sbrk(0) & -huge;
	if (first != NULL && from < to)
		madvise((void *)from, to - from, MADV_HUGEPAGE);
	free(first);
}

static void trim(void) {
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
	mallopt(M_TOP_PAD, 128 << 10);
	malloc_trim(0);
}
#else
static void reserve(size_t size) {}
static void trim(void) {}
#endif
*/
import "C"

// The package has all threads take C's memory from one place: glibc gives each
// thread one of its own otherwise, which grows page by page while models are
// loaded, and is kept. Running them takes hardly any.

// loading is how much memory it takes to load the models, in bytes.
const loading = 24 << 20

// reserve makes room for loading models at once, in huge pages if the system has
// any: it takes longer to get 6,000 pages one after the other than to fill them.
func reserve() { C.reserve(loading) }

// trim gives the memory back to the system that loading models took and is free
// now: glibc keeps it otherwise, 15 MB and more.
func trim() { C.trim() }
