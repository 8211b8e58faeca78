/* SPDX-License-Identifier: Apache-2.0 */
/* The card of an emulation: XRT's shim starts this process, which loads the image's kernels, keeps the card's memory, and
 * runs a kernel when its control register says so.
 *   veto-model                    software emulation; the shim then says where the kernels are
 *   veto-model hw_emu KERNELS.so  hardware emulation; from the image's simulate.sh */
#include "emulated.h"
#include "wire.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* XRT's numbers of its calls, and the fields of each. */
enum {
	CALL_CLOSE = 1,
	CALL_LOAD = 3,
	CALL_ALLOC = 4,
	CALL_FREE = 5,
	CALL_COPY_TO_DEVICE = 6,
	CALL_COPY_TO_HOST = 7,
	CALL_WRITE_REGISTERS = 9,
	CALL_READ_REGISTERS = 11,
	CALL_DEBUG_MESSAGES = 19,
	CALL_WRITE_REGISTER = 51,
	CALL_READ_REGISTER = 52,
};

enum { AP_START = 1, AP_DONE = 2, AP_IDLE = 4 };

#define UNITS_MAX 16
#define STACK_BYTES (64u << 20)
#define BEAT_BYTES 64
#define REGISTER_BYTES 4096
#define KERNEL_RANGE 0x10000u

/* A buffer of the card, between two pages that nothing may touch.  Its last beat ends at the second. */
struct block {
	struct block *next;
	uint64_t address, bytes;
	char *memory, *map;
	size_t map_bytes;
};

struct unit {
	unsigned char registers[REGISTER_BYTES];
	uint32_t status;
};

static struct {
	struct wire wire;
	bool is_hardware; /* that is emulated */
	struct block *blocks;
	void *code;
	const struct emulated_kernel *kernels;
	struct unit unit[UNITS_MAX];
	const char *running; /* a kernel's name */
	pid_t shim; /* the process that started this one */
	unsigned loads, writes, runs, reads;
} model;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "veto model: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (getppid() == model.shim)
		kill(model.shim, SIGKILL); /* which would wait for this process for ever */
	_exit(EXIT_FAILURE);
}

/* --- Faults on request: VETO_MODEL_FAULT=ACTION:PHASE:N, at the N-th time.  For tests.
 * Actions: die and hang in any phase; slow, each time, by N ms; stray (a row lies behind its buffer) and skip (nothing is done) in run; flip (a bit)
 * in read. --- */

static bool is_due(const char *action, const char *phase, unsigned times)
{
	const char *wanted = getenv("VETO_MODEL_FAULT");
	char fault[64];

	snprintf(fault, sizeof(fault), "%s:%s:%u", action, phase, times);
	return wanted && strcmp(wanted, fault) == 0;
}

static unsigned delay_ms(const char *phase)
{
	const char *wanted = getenv("VETO_MODEL_FAULT");
	char fault[64];
	const int length = snprintf(fault, sizeof(fault), "slow:%s:", phase);

	return wanted && strncmp(wanted, fault, (size_t)length) == 0 ? (unsigned)atoi(wanted + length) : 0;
}

/* phase: load, write (to the card), run, read (from the card). */
static void inject(const char *phase, unsigned times)
{
	usleep(1000 * delay_ms(phase));
	if (is_due("die", phase, times))
		_exit(EXIT_FAILURE);
	while (is_due("hang", phase, times))
		pause();
}

/* --- Memory --- */

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static size_t round_up(uint64_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

static struct block *find_block(uint64_t address)
{
	for (struct block *b = model.blocks; b; b = b->next)
		if (address >= b->address && address - b->address < b->bytes)
			return b;
	return NULL;
}

static void alloc_block(uint64_t address, uint64_t bytes)
{
	struct block *b = calloc(1, sizeof(*b));
	const size_t page = page_bytes(), inside = round_up(bytes, page);
	char *map = mmap(NULL, inside + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (!b || map == MAP_FAILED || mprotect(map + page, inside, PROT_READ | PROT_WRITE))
		fail("no memory for a buffer of %" PRIu64 " bytes", bytes);
	*b = (struct block){model.blocks, address, bytes, map + page + inside - round_up(bytes, BEAT_BYTES), map,
		inside + 2 * page};
	model.blocks = b;
}

static void free_block(uint64_t address)
{
	for (struct block **at = &model.blocks; *at; at = &(*at)->next) {
		struct block *b = *at;

		if (b->address != address)
			continue;
		*at = b->next;
		munmap(b->map, b->map_bytes);
		free(b);
		return;
	}
}

/* For bursts and copies, which stay inside one buffer. */
static char *memory_for(const char *what, uint64_t address, uint64_t bytes)
{
	struct block *b = find_block(address);

	if (!b || bytes > b->bytes - (address - b->address))
		fail("%s: %" PRIu64 " bytes at 0x%" PRIx64 " lie outside every buffer", what, bytes, address);
	return b->memory + (address - b->address);
}

/* For kernels: see emulated.h. */
static void *memory_at(uint64_t address, uint64_t bytes)
{
	const struct block *b = find_block(address);

	if (b && is_due("stray", "run", model.runs)) { /* a row that ends behind its buffer */
		if (bytes == 0)
			return b->memory + round_up(b->bytes, BEAT_BYTES) - BEAT_BYTES;
		address = b->address + b->bytes;
	}
	return memory_for(model.running, address, bytes);
}

/* A kernel has left its buffers. */
static void see_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	for (const struct block *b = model.blocks; b; b = b->next) {
		const char *at = info->si_addr;

		if (at >= b->map && at < b->map + b->map_bytes)
			fail("%s: access at 0x%" PRIx64 ", outside the buffer of %" PRIu64 " bytes at 0x%" PRIx64,
				model.running ? model.running : "model", b->address + (uint64_t)(at - b->memory),
				b->bytes, b->address);
	}
	fail("%s: access at %p, in no buffer", model.running ? model.running : "model", info->si_addr);
}

/* --- Kernels --- */

static void load(const char *path)
{
	inject("load", ++model.loads);
	model.code = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!model.code)
		fail("can't load '%s': %s", path, dlerror());
	model.kernels = dlsym(model.code, "veto_emulated_kernels");
	if (!model.kernels)
		fail("'%s' holds no kernels", path);
	for (size_t i = 0; model.kernels[i].name; i++)
		if (i == UNITS_MAX)
			fail("'%s' holds more than %d units", path, UNITS_MAX);
}

/* The kernel whose registers lie there. */
static size_t find_kernel(uint64_t address, uint64_t bytes)
{
	for (size_t i = 0; model.kernels && model.kernels[i].name; i++)
		if (address >= model.kernels[i].base && bytes <= REGISTER_BYTES &&
			address - model.kernels[i].base <= REGISTER_BYTES - bytes)
			return i;
	fail("%" PRIu64 " bytes of registers at 0x%" PRIx64 ": no kernel has them", bytes, address);
}

static void write_registers(uint64_t address, const void *data, size_t bytes)
{
	const size_t i = find_kernel(address, bytes);
	struct unit *unit = &model.unit[i];
	const char *broken = NULL;
	uint32_t control;

	memcpy(unit->registers + (address - model.kernels[i].base), data, bytes);
	memcpy(&control, unit->registers, sizeof(control));
	if (!(control & AP_START))
		return;
	inject("run", ++model.runs);
	model.running = model.kernels[i].name;
	if (!is_due("skip", "run", model.runs))
		broken = model.kernels[i].call(unit->registers, memory_at);
	if (broken)
		fail("%s: %s", model.running, broken);
	model.running = NULL;
	memset(unit->registers, 0, sizeof(control));
	unit->status = AP_DONE;
}

static void read_registers(uint64_t address, void *data, size_t bytes)
{
	const size_t i = find_kernel(address, bytes);
	struct unit *unit = &model.unit[i];
	uint32_t control = unit->status | AP_IDLE;

	memcpy(unit->registers, &control, sizeof(control));
	memcpy(data, unit->registers + (address - model.kernels[i].base), bytes);
	memset(unit->registers, 0, sizeof(control));
	if (address == model.kernels[i].base)
		unit->status = 0;
}

/* Before each load, and at the end. */
static void reset(void)
{
	while (model.blocks)
		free_block(model.blocks->address);
	if (model.code)
		dlclose(model.code);
	model.code = NULL;
	model.kernels = NULL;
	memset(model.unit, 0, sizeof(model.unit));
}

/* --- Calls --- */

static void answer_load(const struct wire_call *call)
{
	char path[4096];

	if (!call->field[2].bytes || call->field[2].length >= sizeof(path))
		fail("a load names no file");
	memcpy(path, call->field[2].bytes, call->field[2].length);
	path[call->field[2].length] = 0;
	load(path);
}

static void answer_copy(const struct wire_call *call, struct wire_reply *reply)
{
	const struct wire_field *f = call->field;
	/* Software emulation's shim has added it to the address. */
	const uint64_t ahead = model.is_hardware ? f[6].number : 0;

	wire_put_number(reply, 1, f[5].number);
	if (call->api == CALL_COPY_TO_DEVICE) {
		inject("write", ++model.writes);
		if (f[4].length < f[5].number)
			fail("a copy of %" PRIu64 " bytes brings %zu", f[5].number, f[4].length);
		memcpy(memory_for("copy to the card", f[3].number + ahead, f[5].number), f[4].bytes,
			(size_t)f[5].number);
	} else {
		char *from = memory_for("copy from the card", f[4].number + ahead, f[5].number);

		inject("read", ++model.reads);
		*from ^= is_due("flip", "read", model.reads);
		wire_put_bytes(reply, 2, from, (size_t)f[5].number);
	}
}

static void answer_read(const struct wire_call *call, struct wire_reply *reply)
{
	static unsigned char data[REGISTER_BYTES];
	const bool is_one = call->api == CALL_READ_REGISTER;
	const uint64_t address = is_one ? call->field[1].number + call->field[2].number : call->field[2].number;
	const size_t bytes = (size_t)call->field[3].number;

	read_registers(address, data, bytes);
	wire_put_number(reply, 1, 1);
	wire_put_bytes(reply, 2, data, bytes);
}

static void answer(const struct wire_call *call, struct wire_reply *reply)
{
	const struct wire_field *f = call->field;

	switch (call->api) {
	case CALL_COPY_TO_DEVICE:
	case CALL_COPY_TO_HOST:
		answer_copy(call, reply);
		return;
	case CALL_READ_REGISTERS:
	case CALL_READ_REGISTER:
		answer_read(call, reply);
		return;
	case CALL_DEBUG_MESSAGES:
		return;
	case CALL_CLOSE:
		reset();
		break;
	case CALL_LOAD:
		answer_load(call);
		break;
	case CALL_ALLOC:
		alloc_block(f[1].number, f[2].number);
		break;
	case CALL_FREE:
		free_block(f[1].number);
		break;
	case CALL_WRITE_REGISTERS:
		write_registers(f[2].number, f[4].bytes, f[4].length);
		break;
	case CALL_WRITE_REGISTER:
		write_registers(f[1].number + f[2].number, f[3].bytes, f[3].length);
		break;
	default:
		break;
	}
	wire_put_number(reply, 1, 1);
}

/* Connect to /tmp/$USER/<kind><id>, where the shim listens soon. */
static int connect_to_shim(const char *kind, struct sockaddr_un *address)
{
	const char *user = getenv("USER"), *id = getenv("EMULATION_SOCKETID");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!id || snprintf(address->sun_path, sizeof(address->sun_path), "/tmp/%s%s%s%s", user ? user : "",
			   user ? "/" : "", kind, id) >= (int)sizeof(address->sun_path))
		fail("EMULATION_SOCKETID is missing or too long: XRT's shim starts this program");
	while (fd >= 0 && connect(fd, (struct sockaddr *)address, sizeof(*address))) {
		if (errno != ENOENT && errno != ECONNREFUSED)
			fail("can't connect to %s: %s", address->sun_path, strerror(errno));
		usleep(2000);
	}
	return fd;
}

/* Answer the shim until the card is closed: in software emulation, for good. */
static void serve(void)
{
	struct wire_call call;
	int err;

	while ((err = wire_read(&model.wire, &call)) == 0) {
		struct wire_reply reply = {.used = 0};

		answer(&call, &reply);
		err = wire_write(&model.wire, &reply);
		if (err || (call.api == CALL_CLOSE && (call.field[3].number || model.is_hardware)))
			break;
	}
	if (err && err != -EPIPE)
		fail("the shim's call can't be read or answered: %s", strerror(-err));
}

static void *run(void *kernels)
{
	struct sockaddr_un address, requests_address;
	int requests;

	model.wire.fd = connect_to_shim("", &address);
	if (!model.is_hardware) {
		serve();
		return NULL;
	}
	/* Here a card could ask for the host's memory.  It does not, but the shim waits for it to say that it won't. */
	requests = connect_to_shim("D2X_unix_sock_", &requests_address);
	load(kernels);
	serve();
	wire_call_bare(requests, CALL_CLOSE);
	unlink(requests_address.sun_path);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = see_fault, .sa_flags = SA_SIGINFO};
	pthread_attr_t attributes;
	pthread_t thread;

	model.shim = getppid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != model.shim)
		return EXIT_FAILURE; /* it had died before */
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	model.is_hardware = argc == 3 && strcmp(argv[1], "hw_emu") == 0;
	/* What lies in registers and block RAM of a card lies on the stack of a kernel, whatever the user's limit is. */
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	if (pthread_create(&thread, &attributes, run, argv[2]))
		fail("can't start a thread");
	pthread_join(thread, NULL);
	return EXIT_SUCCESS;
}
