/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c - reads posthouse.conf by the table of conf/options.txt. Called by the supervisor, by every role (which gets
 * the text handed) and by `posthouse check`. Everything lives in the arena of the struct conf. Fails: each wrong line
 * gives one error with its number; then there is no result. */
#include "role/conf_special.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>

/* ---- errors */

void
conf_complain(struct conf_parser *p, const char *format, ...)
{
	if (p->nerrors++ >= p->errors_max)
		return;
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	p->errors[p->nerrors - 1] = (struct conf_error){ slice_keep_text(p->arena, slice_text(p->file)), p->line,
		                                             slice_keep_text(p->arena, slice_text(text)) };
}

const char *
conf_show(struct conf_parser *p, struct slice value)
{
	char *text = arena_alloc(p->arena, 84);
	size_t n = MIN(value.len, (size_t)80);
	for (size_t i = 0; i < n; i++)
		text[i] = (unsigned char)value.at[i] < 0x20 || value.at[i] == 0x7f ? '?' : value.at[i];
	memcpy(text + n, "...", value.len > n ? 3 : 0);
	return text;
}

/* ---- names */

static const char *
nearest_name(struct slice name)
{
	const char *best = NULL;
	size_t least = MAX(name.len / 3, (size_t)2) + 1;
	for (size_t i = 0; i < conf_options_count; i++) {
		size_t d = slice_distance(name, slice_text(conf_options[i].name));
		if (d < least) {
			least = d;
			best = conf_options[i].name;
		}
	}
	return best;
}

static const struct conf_option *
option_find(struct conf_parser *p, struct slice name)
{
	for (size_t i = 0; i < conf_options_count; i++)
		if (slice_equal(name, slice_text(conf_options[i].name)))
			return &conf_options[i];
	const char *near = nearest_name(name);
	if (near)
		conf_complain(p, "unknown option '%s'; is '%s' meant?", conf_show(p, name), near);
	else
		conf_complain(p, "unknown option '%s'; posthouse.conf(5) lists those there are", conf_show(p, name));
	return NULL;
}

/* ---- values */

struct unit {
	const char *name;
	uint64_t factor;
};
static const struct unit time_units[] = { { "", 1000 },   { "ms", 1 },      { "s", 1000 },
	                                      { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
static const struct unit bytes_units[] = {
	{ "", 1 }, { "k", 1u << 10 }, { "m", 1u << 20 }, { "g", 1u << 30 }, { "t", UINT64_C(1) << 40 },
};

bool
conf_quantity(struct slice text, enum conf_type type, uint64_t *v)
{
	struct cursor c = cursor_of(text);
	uint64_t n;
	if (!take_u64(&c, &n))
		return false;
	const struct unit *units = type == CONF_TIME ? time_units : bytes_units;
	size_t count = type == CONF_TIME ? COUNT_OF(time_units) : type == CONF_BYTES ? COUNT_OF(bytes_units) : 1;
	for (size_t i = 0; i < count; i++)
		if (slice_equal_nocase(cursor_rest(&c), slice_text(units[i].name)))
			return !__builtin_mul_overflow(n, units[i].factor, v) && *v <= INT64_MAX;
	return false;
}

static void
number_set(struct conf_parser *p, const struct conf_option *o, struct slice value, char *to)
{
	static const char *const forms[] = { [CONF_NUMBER] = "a number",
		                                 [CONF_BYTES] = "a size such as 500k, 20m, 2g",
		                                 [CONF_TIME] = "a time such as 500ms, 30s, 5m, 4h, 2d" };
	uint64_t v;
	if (!conf_quantity(value, o->type, &v)) {
		conf_complain(p, "%s = '%s' is not %s", o->name, conf_show(p, value), forms[o->type]);
		return;
	}
	if (v < o->min || v > o->max) {
		conf_complain(p, "%s = '%s' is out of range; allowed: %s to %s", o->name, conf_show(p, value), o->min_text,
		              o->max_text);
		return;
	}
	memcpy(to, &v, sizeof v); /* int64_t and uint64_t alike: v fits both */
}

static void
word_set(struct conf_parser *p, const struct conf_option *o, struct slice value, char *to)
{
	char allowed[200] = "";
	size_t n = 0;
	for (const char *const *w = o->words; *w; w++) {
		if (slice_equal(value, slice_text(*w))) {
			memcpy(to, w, sizeof *w);
			return;
		}
		int more = snprintf(allowed + n, sizeof allowed - n, "%s%s", n ? ", " : "", *w);
		n = MIN(n + (size_t)more, sizeof allowed - 1);
	}
	conf_complain(p, "%s = '%s' is not known; allowed: %s", o->name, conf_show(p, value), allowed);
}

const char *
conf_path(struct conf *c, struct slice path)
{
	if (path.len == 0 || path.at[0] == '/' || !c->folder[0])
		return slice_keep_text(&c->arena, path);
	return arena_printf(&c->arena, "%s/%.*s", c->folder, SLICE_ARG(path)).at;
}

static void
list_add(struct conf *c, const struct conf_option *o, const char *value)
{
	char *v = (char *)&c->v;
	const char **list;
	size_t n;
	memcpy(&list, v + o->offset, sizeof list);
	memcpy(&n, v + o->count_offset, sizeof n);
	const char **longer = ARENA_ARRAY(&c->arena, const char *, n + 1);
	if (n)
		memcpy(longer, list, n * sizeof *list);
	longer[n++] = value;
	memcpy(v + o->offset, &longer, sizeof longer);
	memcpy(v + o->count_offset, &n, sizeof n);
}

static void
bool_set(struct conf_parser *p, const struct conf_option *o, struct slice value, char *to)
{
	bool yes = slice_equal(value, S("yes"));
	if (!yes && !slice_equal(value, S("no")))
		conf_complain(p, "%s = '%s' is neither yes nor no", o->name, conf_show(p, value));
	memcpy(to, &yes, sizeof yes);
}

static void
value_set(struct conf_parser *p, const struct conf_option *o, struct slice value)
{
	struct conf *c = p->conf;
	char *to = (char *)&c->v + o->offset;
	switch (o->type) {
	case CONF_BOOL: bool_set(p, o, value, to); return;
	case CONF_WORD: word_set(p, o, value, to); return;
	case CONF_NUMBER:
	case CONF_BYTES:
	case CONF_TIME: number_set(p, o, value, to); return;
	case CONF_TEXT:
	case CONF_PATH: break;
	}
	const char *text = o->type == CONF_PATH ? conf_path(c, value) : slice_keep_text(&c->arena, value);
	if (o->list)
		list_add(c, o, text);
	else
		memcpy(to, &text, sizeof text);
	conf_special_check(p, o->name, value);
}

/* ---- lines */

static struct slice
without_comment(struct slice line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.at[i] == '#' && (i == 0 || line.at[i - 1] == ' ' || line.at[i - 1] == '\t'))
			return slice_trim(slice_part(line, 0, i));
	return slice_trim(line);
}

static void
line_parse(struct conf_parser *p, struct slice raw)
{
	struct slice line = without_comment(raw), name, value;
	if (line.len == 0)
		return;
	if (memchr(line.at, 0, line.len)) {
		conf_complain(p, "'%s' holds a NUL byte", conf_show(p, line));
		return;
	}
	if (!slice_cut(line, '=', &name, &value)) {
		conf_complain(p, "'%s' is not of the form name = value", conf_show(p, line));
		return;
	}
	value = slice_trim(value);
	const struct conf_option *o = option_find(p, slice_trim(name));
	if (!o)
		return;
	unsigned *seen = &p->seen[o - conf_options];
	if (*seen && !o->list) {
		conf_complain(p, "%s = '%s' comes twice; line %u sets it already", o->name, conf_show(p, value), *seen);
		return;
	}
	*seen = p->line;
	value_set(p, o, value);
}

static void
defaults_set(struct conf_parser *p)
{
	for (size_t i = 0; i < conf_options_count; i++)
		if (!conf_options[i].list)
			value_set(p, &conf_options[i], slice_text(conf_options[i].standard));
	ASSERT(p->nerrors == 0);
}

struct conf *
conf_parse(struct slice text, const char *file, const char *folder, struct arena *a, struct conf_error *errors,
           size_t errors_max, size_t *nerrors)
{
	struct conf *c = must_calloc(1, sizeof *c);
	arena_init(&c->arena, 0);
	c->uses = 1;
	c->folder = slice_keep_text(&c->arena, slice_text(folder));
	struct conf_parser p = { .conf = c, .arena = a, .file = file, .errors = errors, .errors_max = errors_max };
	p.seen = ARENA_ARRAY(a, unsigned, conf_options_count);
	defaults_set(&p);
	if (text.len > CONF_BYTES_MAX)
		conf_complain(&p, "the file has %zu bytes; allowed: %u", text.len, CONF_BYTES_MAX);
	else
		c->text = slice_keep(&c->arena, text);
	struct slice rest = c->text, line;
	for (bool more = c->text.len > 0; more;) {
		more = slice_cut(rest, '\n', &line, &rest);
		p.line++;
		line_parse(&p, line);
	}
	if (p.nerrors == 0)
		conf_special_finish(&p);
	*nerrors = p.nerrors;
	if (p.nerrors)
		conf_free(&c);
	return c;
}

/* ---- the file */

static struct conf *
cannot_read(const char *path, struct arena *a, struct conf_error *errors, size_t errors_max, size_t *nerrors)
{
	*nerrors = 1;
	if (errors_max)
		errors[0] = (struct conf_error){
			slice_keep_text(a, slice_text(path)), 0,
			arena_printf(a, "cannot be read: %s; `posthouse init` makes one", strerror(errno)).at
		};
	return NULL;
}

struct conf *
conf_load(const char *path, struct arena *a, struct conf_error *errors, size_t errors_max, size_t *nerrors)
{
	char real[PATH_MAX];
	FILE *f = fopen(path, "re");
	if (!f || !realpath(path, real)) {
		if (f)
			fclose(f);
		return cannot_read(path, a, errors, errors_max, nerrors);
	}
	char *text = must_calloc(1, CONF_BYTES_MAX + 1);
	size_t n = fread(text, 1, CONF_BYTES_MAX + 1, f);
	bool bad = ferror(f);
	fclose(f);
	*strrchr(real, '/') = 0;
	struct conf *c = bad ? cannot_read(path, a, errors, errors_max, nerrors)
	                     : conf_parse(slice_of(text, n), path, real, a, errors, errors_max, nerrors);
	free(text);
	return c;
}

struct conf *
conf_keep(struct conf *c)
{
	__atomic_fetch_add(&c->uses, 1, __ATOMIC_RELAXED);
	return c;
}

void
conf_free(struct conf **conf)
{
	struct conf *c = *conf;
	*conf = NULL;
	if (!c || __atomic_sub_fetch(&c->uses, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	struct arena arena = c->arena;
	arena_release(&arena);
	free(c);
}

bool
conf_trusts(const struct conf *c, const uint8_t address[16])
{
	for (size_t i = 0; i < c->ntrusted; i++) {
		const struct conf_network *n = &c->trusted[i];
		unsigned whole = n->bits / 8, part = n->bits % 8;
		uint8_t mask = (uint8_t)(0xff00u >> part);
		if (memcmp(n->address, address, whole) == 0 &&
		    (part == 0 || ((n->address[whole] ^ address[whole]) & mask) == 0))
			return true;
	}
	return false;
}
