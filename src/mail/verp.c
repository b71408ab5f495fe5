/* SPDX-License-Identifier: Apache-2.0 */
/* verp.c - see verp.h. Relay makes return paths and fields with keys that the store gave it for the rows that it sends;
 * the store checks those that come back. */
#include "mail/verp.h"

#include "base/cursor.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { MAC_BYTES = 32, DAYS = 1024, TAG_CHARS = 12, HASH_CHARS = 13, LOCAL_BYTES_MAX = 64, FIELD_TAG_BYTES = 8 };

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
static const struct slice before = S_ROW("bounce+");

/* ---- base 32 */

static int
digit_of(char c)
{
	return c >= 'a' && c <= 'z' ? c - 'a' : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

/* The first `chars` times five bits of what there is. */
static void
put_bits(struct buf *to, const uint8_t *at, size_t chars)
{
	for (size_t i = 0; i < chars; i++) {
		size_t bit = 5 * i;
		unsigned two = (unsigned)at[bit / 8] << 8 | (bit % 8 > 3 ? at[bit / 8 + 1] : 0);
		buf_put_char(to, base32[two >> (11 - bit % 8) & 31]);
	}
}

/* Whole bytes; what is left of the last character is dropped. */
static bool
take_bits(struct slice text, struct arena *a, struct slice *out)
{
	uint8_t *at = arena_alloc(a, text.len + 1);
	uint32_t bits = 0;
	size_t n = 0, have = 0;
	for (size_t i = 0; i < text.len; i++) {
		int digit = digit_of(text.at[i]);
		if (digit < 0)
			return false;
		bits = bits << 5 | (uint32_t)digit;
		have += 5;
		if (have >= 8) {
			have -= 8;
			at[n++] = (uint8_t)(bits >> have);
		}
	}
	*out = slice_of(at, n);
	return true;
}

static void
put_number(struct buf *to, uint64_t n)
{
	char digits[13];
	size_t i = sizeof digits;
	do
		digits[--i] = base32[n & 31];
	while (n >>= 5);
	buf_put(to, slice_of(digits + i, sizeof digits - i));
}

static bool
take_number(struct slice s, uint64_t *n)
{
	*n = 0;
	for (size_t i = 0; i < s.len; i++) {
		int digit = digit_of(s.at[i]);
		if (digit < 0 || *n >> 59)
			return false;
		*n = *n << 5 | (uint64_t)digit;
	}
	return s.len > 0 && (s.len == 1 || *s.at != base32[0]);
}

/* ---- keys */

static void
mac(const uint8_t key[VERP_KEY_BYTES], struct slice text, uint8_t out[MAC_BYTES])
{
	unsigned n = MAC_BYTES;
	ASSERT(HMAC(EVP_sha256(), key, VERP_KEY_BYTES, (const uint8_t *)text.at, text.len, out, &n) && n == MAC_BYTES);
}

static void
put_lower(struct buf *to, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		buf_put_char(to, ascii_lower(s.at[i]));
}

void
verp_key(const uint8_t master[VERP_KEY_BYTES], uint64_t account, int64_t day, struct slice domain,
         uint8_t key[VERP_KEY_BYTES])
{
	struct buf b;
	buf_init(&b, 17 + domain.len);
	buf_put_char(&b, 'k');
	buf_put_le(&b, account, 8);
	buf_put_le(&b, (uint64_t)day, 8);
	put_lower(&b, domain);
	mac(master, buf_slice(&b), key);
	buf_release(&b);
}

/* what: 'r' a return path, 'f' a field, 's' the bytes that hide what a field says. */
static void
mac_of(const uint8_t key[VERP_KEY_BYTES], char what, struct slice text, uint8_t out[MAC_BYTES])
{
	struct buf b;
	buf_init(&b, 1 + text.len);
	buf_put_char(&b, what);
	put_lower(&b, text);
	mac(key, buf_slice(&b), out);
	buf_release(&b);
}

static void
put_tag(struct buf *to, const uint8_t key[VERP_KEY_BYTES], struct slice text)
{
	uint8_t all[MAC_BYTES];
	mac_of(key, 'r', text, all);
	put_bits(to, all, TAG_CHARS);
}

static void
put_hash(struct buf *to, struct slice recipient)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct buf b;
	buf_init(&b, recipient.len);
	put_lower(&b, recipient);
	ASSERT(EVP_Digest(b.at, b.len, digest, NULL, EVP_sha256(), NULL));
	put_bits(to, digest, HASH_CHARS);
	buf_release(&b);
}

static void
put_day(struct buf *to, int64_t day)
{
	buf_put_char(to, base32[day % DAYS >> 5]);
	buf_put_char(to, base32[day % DAYS & 31]);
}

/* ---- making */

/* RFC 5322 3.2.3: what needs no quotes. */
static bool
is_plain(struct slice local)
{
	for (size_t i = 0; i < local.len; i++) {
		char c = local.at[i];
		if (!ascii_alpha(c) && !ascii_digit(c) && slice_find_char(S("!#$%&'*+-/=?^_`{|}~."), c) < 0)
			return false;
	}
	return local.len && *local.at != '.' && local.at[local.len - 1] != '.' && slice_find(local, S("..")) < 0;
}

static void
put_text(struct buf *to, struct slice recipient, size_t room)
{
	ptrdiff_t at = slice_find_last_char(recipient, '@');
	struct slice local = slice_part(recipient, 0, at < 0 ? 0 : (size_t)at),
	             domain = slice_from(recipient, (size_t)(at + 1));
	if (recipient.len <= room && is_plain(local) && is_plain(domain) && slice_find_char(domain, '=') < 0) {
		put_lower(to, local);
		buf_put_char(to, '=');
		put_lower(to, domain);
		return;
	}
	buf_put_char(to, '=');
	put_hash(to, recipient);
}

bool
verp_put(struct buf *to, const uint8_t key[VERP_KEY_BYTES], uint64_t account, int64_t day, struct slice domain,
         struct slice recipient)
{
	struct buf number, text;
	if (domain.len == 0 || domain.len > 255 || day < 0 || !is_plain(domain))
		return false;
	buf_init(&number, 16);
	buf_init(&text, LOCAL_BYTES_MAX);
	put_number(&number, account);
	put_text(&text, recipient, LOCAL_BYTES_MAX - before.len - 2 - TAG_CHARS - number.len - 1);
	buf_put(to, before);
	put_day(to, day);
	put_tag(to, key, buf_slice(&text));
	buf_put(to, buf_slice(&number));
	buf_put_char(to, '=');
	buf_put(to, buf_slice(&text));
	buf_put_char(to, '@');
	buf_put(to, domain);
	buf_release(&number);
	buf_release(&text);
	return true;
}

/* Takes bytes to what hides them, and back. */
static void
hide(const uint8_t key[VERP_KEY_BYTES], struct slice tag, char *at, size_t len)
{
	uint8_t stream[MAC_BYTES];
	char seed[FIELD_TAG_BYTES + 1];
	memcpy(seed, tag.at, FIELD_TAG_BYTES);
	struct buf b;
	buf_init(&b, 2 + FIELD_TAG_BYTES);
	for (size_t i = 0; i < len; i++) {
		if (i % MAC_BYTES == 0) {
			seed[FIELD_TAG_BYTES] = (char)(i / MAC_BYTES);
			buf_clear(&b);
			buf_put_char(&b, 's');
			buf_put(&b, slice_of(seed, sizeof seed));
			mac(key, buf_slice(&b), stream);
		}
		at[i] = (char)(at[i] ^ stream[i % MAC_BYTES]);
	}
	buf_release(&b);
}

bool
verp_field_put(struct buf *to, const uint8_t key[VERP_KEY_BYTES], uint64_t account, int64_t day, struct slice domain,
               struct slice recipient)
{
	uint8_t tag[MAC_BYTES], all[FIELD_TAG_BYTES + VERP_RECIPIENT_BYTES_MAX + 1] = { 0 };
	if (day < 0 || recipient.len == 0 || recipient.len > VERP_RECIPIENT_BYTES_MAX || !is_plain(domain) ||
	    domain.len > 255)
		return false;
	mac_of(key, 'f', recipient, tag);
	memcpy(all, tag, FIELD_TAG_BYTES);
	for (size_t i = 0; i < recipient.len; i++)
		all[FIELD_TAG_BYTES + i] = (uint8_t)ascii_lower(recipient.at[i]);
	hide(key, slice_of(tag, FIELD_TAG_BYTES), (char *)all + FIELD_TAG_BYTES, recipient.len);
	put_day(to, day);
	put_number(to, account);
	buf_put_char(to, '.');
	put_bits(to, all, (8 * (FIELD_TAG_BYTES + recipient.len) + 4) / 5);
	buf_put_char(to, '@');
	buf_put(to, domain);
	return true;
}

/* ---- taking */

static struct slice
lower(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = ascii_lower(s.at[i]);
	return slice_of(to, s.len);
}

static bool
take_day(struct cursor *c, uint32_t *day)
{
	struct slice two;
	uint64_t high, low;
	if (!take_bytes(c, 2, &two) || !take_number(slice_part(two, 0, 1), &high) || !take_number(slice_from(two, 1), &low))
		return false;
	*day = (uint32_t)(high << 5 | low);
	return true;
}

bool
verp_take(struct slice address, struct arena *a, struct verp *v)
{
	struct slice number;
	*v = (struct verp){ 0 };
	if (address.len > VERP_ADDRESS_BYTES_MAX || !slice_starts_nocase(address, before))
		return false;
	address = lower(a, address);
	ptrdiff_t at = slice_find_last_char(address, '@');
	struct cursor c = cursor_of(slice_part(address, before.len, at < 0 ? 0 : (size_t)at - before.len));
	v->domain = slice_from(address, (size_t)(at + 1));
	bool good = at > (ptrdiff_t)before.len && take_day(&c, &v->day) && take_bytes(&c, TAG_CHARS, &v->tag) &&
	            take_until_char(&c, '=', &number) && take_number(number, &v->account) && take_char(&c, '=');
	v->text = cursor_rest(&c);
	return good && v->text.len > 0 && v->domain.len > 0;
}

bool
verp_field_take(struct slice value, struct arena *a, struct verp *v)
{
	struct slice number, text, all;
	*v = (struct verp){ .field = true };
	value = lower(a, slice_part(slice_trim(value), 0, 1000));
	struct cursor c = cursor_of(value);
	if (!take_day(&c, &v->day) || !take_until_char(&c, '.', &number) || !take_number(number, &v->account) ||
	    !take_char(&c, '.') || !take_until_char(&c, '@', &text) || !take_char(&c, '@') || !take_bits(text, a, &all))
		return false;
	v->domain = cursor_rest(&c);
	v->tag = slice_part(all, 0, FIELD_TAG_BYTES);
	v->text = slice_from(all, FIELD_TAG_BYTES);
	return v->text.len > 0 && v->text.len <= VERP_RECIPIENT_BYTES_MAX && v->domain.len > 0;
}

/* The whole day of those of the last VERP_DAYS, and of tomorrow by another clock, which is this one of 1024. */
static bool
day_of(uint32_t day, int64_t today, int64_t *out)
{
	int64_t back = ((today + 1) % DAYS - (int64_t)day + DAYS) % DAYS;
	*out = today + 1 - back;
	return back <= VERP_DAYS + 1 && *out >= 0;
}

static bool
tag_equal(const void *x, const void *y, size_t n)
{
	const uint8_t *a = x, *b = y;
	unsigned differ = 0;
	for (size_t i = 0; i < n; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

static bool
check_field(struct verp *v, const uint8_t key[VERP_KEY_BYTES], struct arena *a)
{
	uint8_t tag[MAC_BYTES];
	struct slice text = slice_keep(a, v->text);
	hide(key, v->tag, (char *)text.at, text.len);
	mac_of(key, 'f', text, tag);
	if (!tag_equal(tag, v->tag.at, FIELD_TAG_BYTES))
		return false;
	v->recipient = text;
	return true;
}

static bool
check_path(struct verp *v, const uint8_t key[VERP_KEY_BYTES], struct arena *a)
{
	struct buf tag;
	buf_init(&tag, TAG_CHARS);
	put_tag(&tag, key, v->text);
	bool good = tag_equal(tag.at, v->tag.at, TAG_CHARS);
	buf_release(&tag);
	ptrdiff_t at = slice_find_last_char(v->text, '=');
	if (!good || at <= 0) /* 0: a hash */
		return good;
	struct slice local = slice_part(v->text, 0, (size_t)at), domain = slice_from(v->text, (size_t)at + 1);
	v->recipient = arena_printf(a, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(domain));
	return true;
}

bool
verp_check(struct verp *v, const uint8_t master[VERP_KEY_BYTES], int64_t today, struct arena *a, int64_t *day)
{
	uint8_t key[VERP_KEY_BYTES];
	if (!day_of(v->day, today, day))
		return false;
	verp_key(master, v->account, *day, v->domain, key);
	bool good = v->field ? check_field(v, key, a) : check_path(v, key, a);
	secret_wipe(key, sizeof key);
	return good;
}

bool
verp_is_of(const struct verp *v, struct slice recipient)
{
	struct buf hash;
	if (v->recipient.len)
		return slice_equal_nocase(v->recipient, recipient);
	buf_init(&hash, HASH_CHARS);
	put_hash(&hash, recipient);
	bool same = slice_starts(v->text, S("=")) && slice_equal(slice_from(v->text, 1), buf_slice(&hash));
	buf_release(&hash);
	return same;
}
