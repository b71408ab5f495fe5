/* SPDX-License-Identifier: Apache-2.0 */
/* print.c - what people read: tables, sizes, times, errors. */
#include "cmd/cmd.h"

#include <stdarg.h>
#include <time.h>

int
cmd_fail(const struct args *a, const char *hint, const char *format, ...)
{
	va_list args;
	char text[2000];
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (a->json) {
		json_t *o = json_object();
		json_object_set_new(o, "error", json_string(text));
		if (hint)
			json_object_set_new(o, "hint", json_string(hint));
		cmd_print_json(o);
		json_decref(o);
	}
	fprintf(stderr, "posthouse: %s\n", text);
	if (hint)
		fprintf(stderr, "  %s\n", hint);
	return EXIT_FAILED;
}

void
cmd_print_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER);
	putchar('\n');
}

const char *
cmd_size(struct arena *a, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t unit = 0;
	for (; v >= 1024 && unit + 1 < COUNT_OF(units); unit++)
		v /= 1024;
	return arena_printf(a, unit && v < 100 ? "%.1f %s" : "%.0f %s", v, units[unit]).at;
}

const char *
cmd_when(struct arena *a, int64_t sec)
{
	char text[40];
	time_t t = (time_t)sec;
	struct tm tm;
	if (!localtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%d %H:%M", &tm) == 0)
		return "?";
	return slice_keep_text(a, slice_text(text));
}

const char *
cmd_span(struct arena *a, int64_t sec)
{
	int64_t n = sec < 0 ? 0 : sec;
	if (n < 60)
		return arena_printf(a, "%llds", (long long)n).at;
	if (n < 3600)
		return arena_printf(a, "%lldm", (long long)(n / 60)).at;
	if (n < 86400)
		return arena_printf(a, "%lldh %lldm", (long long)(n / 3600), (long long)(n % 3600 / 60)).at;
	return arena_printf(a, "%lldd %lldh", (long long)(n / 86400), (long long)(n % 86400 / 3600)).at;
}

/* Control characters would act on the terminal. */
const char *
cmd_text(const json_t *object, const char *name)
{
	const json_t *j = json_object_get(object, name);
	if (!json_is_string(j))
		return "";
	char *text = (char *)json_string_value(j);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text;
}

uint64_t
cmd_number(const json_t *object, const char *name)
{
	const json_t *j = json_object_get(object, name);
	return json_is_integer(j) && json_integer_value(j) > 0 ? (uint64_t)json_integer_value(j) : 0;
}

static void
add_row(struct table *t, va_list cells)
{
	if (t->nrows == t->cap) {
		const char **old = t->cells;
		t->cap = t->cap ? t->cap * 2 : 64;
		t->cells = ARENA_ARRAY(t->arena, const char *, t->cap * t->ncolumns);
		if (old)
			memcpy(t->cells, old, t->nrows * t->ncolumns * sizeof *old);
	}
	for (size_t i = 0; i < t->ncolumns; i++)
		t->cells[t->nrows * t->ncolumns + i] = slice_keep_text(t->arena, slice_text(va_arg(cells, const char *)));
	t->nrows++;
}

void
table_init(struct table *t, struct arena *a, size_t ncolumns, ...)
{
	*t = (struct table){ .arena = a, .ncolumns = ncolumns };
	ASSERT(ncolumns <= COUNT_OF(t->right));
	va_list headings;
	va_start(headings, ncolumns);
	add_row(t, headings);
	va_end(headings);
	for (size_t i = 0; i < ncolumns; i++)
		if (t->cells[i][0] == '>') {
			t->cells[i]++;
			t->right[i] = true;
		}
}

void
table_add(struct table *t, ...)
{
	va_list cells;
	va_start(cells, t);
	add_row(t, cells);
	va_end(cells);
}

/* Characters of UTF-8, not bytes: near enough for columns. */
static int
width(const char *text)
{
	int n = 0;
	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

void
table_print(const struct table *t)
{
	int widths[COUNT_OF(t->right)] = { 0 };
	for (size_t i = 0; i < t->nrows * t->ncolumns; i++)
		widths[i % t->ncolumns] = MAX(widths[i % t->ncolumns], width(t->cells[i]));
	for (size_t i = 0; i < t->nrows * t->ncolumns; i++) {
		size_t column = i % t->ncolumns;
		int pad = widths[column] - width(t->cells[i]);
		bool last = column + 1 == t->ncolumns;
		if (t->right[column])
			printf("%*s%s%s", pad, "", t->cells[i], last ? "\n" : "  ");
		else
			printf("%s%*s%s", t->cells[i], last ? 0 : pad, "", last ? "\n" : "  ");
	}
}
