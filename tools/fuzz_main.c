/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_main.c - runs a fuzzer without libFuzzer: every file named on the command line (or every file of a folder), then
 * --mutate N random changes of them. --seed S repeats a run: the seed of a run is printed first, and the input under
 * way is written to the file named by --keep when the program is about to try it. With clang, libFuzzer takes its place
 * (see CONTRIBUTING). */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_MAX = 4096, INPUT_BYTES_MAX = 1 << 20 };
static struct input {
	uint8_t *data;
	size_t size;
} inputs[INPUTS_MAX];
static size_t ninputs;
static uint64_t rng;
static const char *keep_path;

static uint64_t
next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void
run_one(const uint8_t *data, size_t size)
{
	if (keep_path) {
		FILE *f = fopen(keep_path, "wb");
		if (f) {
			fwrite(data, 1, size, f);
			fclose(f);
		}
	}
	uint8_t *copy = malloc(size ? size : 1); /* exactly as large as the input, so that reading past it is seen */
	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void
load_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f || ninputs == INPUTS_MAX) {
		if (f)
			fclose(f);
		return;
	}
	uint8_t *data = malloc(INPUT_BYTES_MAX);
	if (!data)
		abort();
	size_t size = fread(data, 1, INPUT_BYTES_MAX, f);
	fclose(f);
	inputs[ninputs++] = (struct input){ data, size };
}

static void
load(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(2);
	}
	if (!S_ISDIR(st.st_mode)) {
		load_file(path);
		return;
	}
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		char file[4096];
		snprintf(file, sizeof file, "%s/%s", path, e->d_name);
		if (e->d_name[0] != '.')
			load_file(file);
	}
	if (d)
		closedir(d);
}

/* One to eight small changes: flip, insert, delete, repeat a stretch, or cross with another input. */
static size_t
mutate(const struct input *from, uint8_t *to, size_t room)
{
	size_t n = from->size < room / 2 ? from->size : room / 2;
	if (n)
		memcpy(to, from->data, n);
	for (uint64_t left = 1 + next_random() % 8; left > 0; left--) {
		size_t at = n ? next_random() % n : 0, len = 1 + next_random() % 16;
		static const char spice[] = "\r\n\t \"\\()<>@[]{}:;,.=%*?/\0\xff\x80"
		                            "0129";
		switch (next_random() % 6) {
		case 0:
			if (n)
				to[at] ^= (uint8_t)(1u << next_random() % 8);
			break;
		case 1:
			if (n)
				to[at] = (uint8_t)spice[next_random() % (sizeof spice - 1)];
			break;
		case 2:
			len = len < n - at ? len : n - at;
			memmove(to + at, to + at + len, n - at - len);
			n -= len;
			break;
		case 3:
			if (n + 1 < room) {
				memmove(to + at + 1, to + at, n - at);
				to[at] = (uint8_t)spice[next_random() % (sizeof spice - 1)];
				n++;
			}
			break;
		case 4:
			len = (1 + next_random() % 64) * len;
			len = len < n - at ? len : n - at;
			if (n + len < room) {
				memmove(to + at + len, to + at, n - at);
				n += len;
			}
			break;
		default: {
			const struct input *other = &inputs[next_random() % ninputs];
			size_t from_at = other->size ? next_random() % other->size : 0;
			len *= 8;
			len = len < other->size - from_at ? len : other->size - from_at;
			if (at + len < room && len) {
				memcpy(to + at, other->data + from_at, len);
				n = n > at + len ? n : at + len;
			}
		}
		}
	}
	return n;
}

int
main(int argc, char **argv)
{
	unsigned long count = 0, seed = (unsigned long)time(NULL), seconds = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--mutate") == 0 && i + 1 < argc)
			count = strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			seconds = strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			seed = strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc)
			keep_path = argv[++i];
		else
			load(argv[i]);
	}
	if (ninputs == 0) /* no corpus: begin with an empty input */
		inputs[ninputs++] = (struct input){ calloc(1, 1), 0 };
	for (size_t i = 0; i < ninputs; i++)
		run_one(inputs[i].data, inputs[i].size);
	fprintf(stderr, "%zu inputs, seed %lu\n", ninputs, seed);
	rng = seed * 0x9e3779b97f4a7c15u | 1;
	size_t room = INPUT_BYTES_MAX;
	uint8_t *work = malloc(room);
	if (!work)
		abort();
	time_t end = time(NULL) + (time_t)seconds;
	unsigned long done = 0;
	for (; done < count || (seconds && time(NULL) < end); done++)
		run_one(work, mutate(&inputs[next_random() % ninputs], work, room));
	fprintf(stderr, "%lu mutations, no failure\n", done);
	free(work);
	for (size_t i = 0; i < ninputs; i++)
		free(inputs[i].data);
	return 0;
}
