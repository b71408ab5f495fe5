/* SPDX-License-Identifier: Apache-2.0 */
/* search_pack_fuzz.c - any bytes as a pack that is asked: nothing outside is read. And any bytes as texts: the pack
 * made of them proposes all that hold them, and calls certain none that do not. The first byte says which. */
#include "mail/search_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
read_memory(void *from, uint64_t at, void *to, size_t len)
{
	const struct slice *s = from;
	ASSERT(at <= s->len && len <= s->len - at);
	if (len)
		memcpy(to, s->at + at, len);
	return true;
}

static const struct search_key keys[] = {
	{ SEARCH_IN_TEXT, { "", 0 }, { "ABC", 3 } },          { SEARCH_IN_BODY, { "", 0 }, { "ABCABC", 6 } },
	{ SEARCH_IN_HEADER, { "SUBJECT", 7 }, { "A", 1 } },   { SEARCH_IN_HEADER, { "BCC", 3 }, { "", 0 } },
	{ SEARCH_IN_HEADER, { "X-OTHER", 7 }, { "ABC", 3 } },
};

static void
ask(struct slice bytes, const struct search_text *texts, size_t n)
{
	static uint32_t uids[SEARCH_PACK_MESSAGES_MAX];
	static uint64_t objects[SEARCH_PACK_MESSAGES_MAX];
	static uint8_t flags[SEARCH_PACK_MESSAGES_MAX];
	struct search_pack p = { .read = read_memory, .from = &bytes, .bytes = bytes.len };
	struct buf scratch;
	buf_init(&scratch, SEARCH_PACK_BYTES_MAX);
	bool open = search_pack_open(&p);
	ASSERT(open || !texts);
	(void)(open && search_pack_messages(&p, uids, objects, flags));
	for (size_t k = 0; open && k < COUNT_OF(keys); k++) {
		struct search_bits bits;
		bool column = search_pack_has_column(&keys[k]);
		bool good =
		    column ? search_pack_column(&p, &keys[k], &scratch, &bits) : search_pack_propose(&p, &keys[k], &bits);
		for (size_t i = 0; i < n; i++)
			ASSERT(good && (search_bits_get(&bits, i) || search_text_find(&texts[i], &keys[k]) != SEARCH_FOUND));
		good = search_pack_certain(&p, &keys[k], &scratch, &bits);
		for (size_t i = 0; i < n; i++)
			ASSERT(good && (!search_bits_get(&bits, i) || search_text_find(&texts[i], &keys[k]) == SEARCH_FOUND));
	}
	buf_release(&scratch);
}

static void
make_and_ask(struct slice text)
{
	static struct search_packer *packer;
	struct search_text texts[4] = { { .flags = 0 } };
	struct buf pack;
	buf_init(&pack, SEARCH_PACK_BYTES_MAX);
	packer = packer ? packer : search_packer_new();
	for (uint32_t i = 0; i < 4; i++) {
		texts[i].header = slice_part(text, i * text.len / 4, text.len / 8);
		texts[i].body = slice_part(text, i * text.len / 4 + text.len / 8, text.len / 8);
		(void)search_packer_add(packer, i + 1, i, &texts[i], S(""));
	}
	search_packer_finish(packer, &pack);
	ask(buf_slice(&pack), texts, 4);
	buf_release(&pack);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = size ? slice_of(data + 1, size - 1) : SLICE_NONE;
	if (size && data[0] % 2)
		make_and_ask(rest);
	else
		ask(rest, NULL, 0);
	return 0;
}
