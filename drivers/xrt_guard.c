/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the process that runs XRT's emulation, where it is Debian's build: that drops the result of a realloc()
 * in alloc_void() of both shims, so their RPC buffer is used after it has moved.  Here the buffer never moves.  The shims
 * also wait in whole seconds; here in milliseconds. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM_BYTES (20u << 20)
#define SHIM_WAIT_US 1000
#define PUBLIC __attribute__((visibility("default")))

extern void *__libc_malloc(size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);

/* Code of a shim: the library, and in it the function that is at fault. */
struct shim {
	const char *library, *symbol;
	uintptr_t start, end; /* of the function */
	const void *base; /* of the library */
};

static struct shim shims[] = {
	{"libxrt_swemu.so", "_ZN12xclcpuemhal29CpuemShim10alloc_voidEm", 0, 0, NULL},
	{"libxrt_hwemu.so", "_ZN11xclhwemhal28HwEmShim10alloc_voidEm", 0, 0, NULL},
};
#define SHIMS (sizeof(shims) / sizeof(*shims))

static void find_function(struct shim *shim, void *library)
{
	void *function = dlsym(library, shim->symbol);
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	if (!function || !dladdr1(function, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
		return;
	shim->base = info.dli_fbase;
	shim->end = (uintptr_t)function + symbol->st_size;
	shim->start = (uintptr_t)function;
}

PUBLIC void *dlopen(const char *file, int mode)
{
	static void *(*real)(const char *file, int mode);
	void *library;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "dlopen");
	library = real(file, mode);
	for (size_t i = 0; library && file && i < SHIMS; i++)
		if (!shims[i].start && strstr(file, shims[i].library))
			find_function(&shims[i], library);
	return library;
}

static bool is_at_fault(const void *caller)
{
	for (size_t i = 0; i < SHIMS; i++)
		if ((uintptr_t)caller > shims[i].start && (uintptr_t)caller <= shims[i].end)
			return true;
	return false;
}

/* What can't be had must not be written beyond. */
static void check_room(size_t bytes)
{
	static const char message[] =
		"veto: XRT's emulation wants an RPC buffer of more than 20 MiB: copy less at a time\n";

	if (bytes <= ROOM_BYTES)
		return;
	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0) {
		/* Nobody is left to tell. */
	}
	_exit(EXIT_FAILURE);
}

PUBLIC void *malloc(size_t bytes)
{
	if (!is_at_fault(__builtin_return_address(0)))
		return __libc_malloc(bytes);
	check_room(bytes);
	return __libc_malloc(ROOM_BYTES);
}

PUBLIC void *realloc(void *memory, size_t bytes)
{
	if (!memory || !is_at_fault(__builtin_return_address(0)))
		return __libc_realloc(memory, bytes);
	check_room(bytes);
	return memory;
}

PUBLIC unsigned int sleep(unsigned int seconds)
{
	static unsigned int (*real)(unsigned int seconds);
	Dl_info info;

	if (dladdr(__builtin_return_address(0), &info) && info.dli_fname && strstr(info.dli_fname, "libxrt_")) {
		usleep(SHIM_WAIT_US);
		return 0;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "sleep");
	return real(seconds);
}
