// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/family.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#define JE    ALLOCATOR_JEMALLOC
#define TC    ALLOCATOR_TCMALLOC
#define MI    ALLOCATOR_MIMALLOC
#define OTHER ALLOCATOR_UNKNOWN

#define NAME(symbol, shown, like, other, layout, kind, class)                    \
	{                                                                        \
		symbol, shown, {like, other}, ARG_##layout, kind, FAMILY_##class \
	}
#define C(name, layout, kind, class) NAME(name, name, NULL, NULL, layout, kind, class)
#define OWN(name, layout, kind)      NAME(name, name, NULL, NULL, layout, kind, PREFIX)
#define OWN_LIKE(name, like, other, layout, kind) \
	NAME(name, name, like, other, layout, kind, PREFIX)
#define NEW(symbol, shown, like) \
	NAME(symbol, "operator new" shown, like, NULL, SIZE, OTHER, DEPENDS)
#define DELETE(symbol, shown, like, other) \
	NAME(symbol, "operator delete" shown, like, other, FREE, OTHER, DEPENDS)

/* free_sized and free_aligned_sized are C23's; cfree is what glibc before 2.26 also called free. */
#define C_NAMES(prefix, kind, class)                                                               \
	C(prefix "malloc", SIZE, kind, class), C(prefix "calloc", NMEMB_SIZE, kind, class),        \
		C(prefix "realloc", REALLOC, kind, class),                                         \
		C(prefix "reallocarray", REALLOCARRAY, kind, class),                               \
		C(prefix "posix_memalign", POSIX_MEMALIGN, kind, class),                           \
		C(prefix "aligned_alloc", ALIGNED, kind, class),                                   \
		C(prefix "memalign", ALIGNED, kind, class), C(prefix "valloc", SIZE, kind, class), \
		C(prefix "pvalloc", SIZE, kind, class), C(prefix "free", FREE, kind, class),       \
		NAME(prefix "free_sized", prefix "free_sized", prefix "free", NULL, FREE, kind,    \
		     class),                                                                       \
		NAME(prefix "free_aligned_sized", prefix "free_aligned_sized", prefix "free",      \
		     NULL, FREE, kind, class),                                                     \
		NAME(prefix "cfree", prefix "cfree", prefix "free", NULL, FREE, kind, class)

/* jemalloc(3): flags behind the other arguments. xallocx, sallocx and nallocx make and free none.
 */
#define X_NAMES(prefix, class)                                                         \
	C(prefix "mallocx", SIZE, JE, class), C(prefix "rallocx", REALLOC, JE, class), \
		C(prefix "dallocx", FREE, JE, class), C(prefix "sdallocx", FREE, JE, class)

/* gperftools' tcmalloc.h has both operators again, in C. */
#define TC_NEW(suffix)                  \
	OWN("tc_new" suffix, SIZE, TC), \
		OWN_LIKE("tc_newarray" suffix, "tc_new" suffix, NULL, SIZE, TC)
#define TC_DELETE(suffix, like)                             \
	OWN_LIKE("tc_delete" suffix, like, NULL, FREE, TC), \
		OWN_LIKE("tc_deletearray" suffix, "tc_delete" suffix, "tc_deletearray", FREE, TC)

/* mimalloc.h: the alignment and its offset come last, in both forms. */
#define MI_ALIGNED(name, layout) \
	OWN(name "_aligned", layout, MI), OWN(name "_aligned_at", layout, MI)

/*
 * Prefixes: je_ is what jemalloc's manual proposes (ristretto, Redis), _rjem_ Rust's jemalloc
 * crates, sn_ snmalloc. The operators are mangled for 64-bit size_t (Itanium C++ ABI).
 */
static const struct family_name family[] = {
	C_NAMES("", OTHER, PLAIN),
	C_NAMES("je_", JE, PREFIX),
	C_NAMES("_rjem_", JE, PREFIX),
	C_NAMES("tc_", TC, PREFIX),
	C_NAMES("mi_", MI, PREFIX),
	C_NAMES("sn_", OTHER, PREFIX),

	NEW("_Znwm", "", NULL),
	NEW("_Znam", "[]", "_Znwm"),
	NEW("_ZnwmRKSt9nothrow_t", "(nothrow)", NULL),
	NEW("_ZnamRKSt9nothrow_t", "[](nothrow)", "_ZnwmRKSt9nothrow_t"),
	NEW("_ZnwmSt11align_val_t", "(align)", NULL),
	NEW("_ZnamSt11align_val_t", "[](align)", "_ZnwmSt11align_val_t"),
	NEW("_ZnwmSt11align_val_tRKSt9nothrow_t", "(align,nothrow)", NULL),
	NEW("_ZnamSt11align_val_tRKSt9nothrow_t", "[](align,nothrow)",
	    "_ZnwmSt11align_val_tRKSt9nothrow_t"),
	DELETE("_ZdlPv", "", NULL, NULL),
	DELETE("_ZdaPv", "[]", "_ZdlPv", NULL),
	DELETE("_ZdlPvRKSt9nothrow_t", "(nothrow)", "_ZdlPv", NULL),
	DELETE("_ZdaPvRKSt9nothrow_t", "[](nothrow)", "_ZdlPvRKSt9nothrow_t", "_ZdaPv"),
	DELETE("_ZdlPvSt11align_val_t", "(align)", "_ZdlPv", NULL),
	DELETE("_ZdaPvSt11align_val_t", "[](align)", "_ZdlPvSt11align_val_t", "_ZdaPv"),
	DELETE("_ZdlPvSt11align_val_tRKSt9nothrow_t", "(align,nothrow)", "_ZdlPvSt11align_val_t",
	       "_ZdlPv"),
	DELETE("_ZdaPvSt11align_val_tRKSt9nothrow_t", "[](align,nothrow)",
	       "_ZdlPvSt11align_val_tRKSt9nothrow_t", "_ZdaPv"),
	DELETE("_ZdlPvm", "(sized)", NULL, NULL),
	DELETE("_ZdaPvm", "[](sized)", "_ZdlPvm", NULL),
	DELETE("_ZdlPvmSt11align_val_t", "(sized,align)", "_ZdlPvm", NULL),
	DELETE("_ZdaPvmSt11align_val_t", "[](sized,align)", "_ZdlPvmSt11align_val_t", "_ZdaPvm"),

	X_NAMES("", DEPENDS),
	X_NAMES("je_", PREFIX),
	X_NAMES("_rjem_", PREFIX),

	OWN("tc_malloc_skip_new_handler", SIZE, TC),
	TC_NEW(""),
	TC_NEW("_nothrow"),
	TC_NEW("_aligned"),
	TC_NEW("_aligned_nothrow"),
	TC_DELETE("_nothrow", "tc_delete"),
	TC_DELETE("_aligned", "tc_delete"),
	TC_DELETE("_aligned_nothrow", "tc_delete"),
	OWN("tc_delete", FREE, TC),
	OWN_LIKE("tc_deletearray", "tc_delete", NULL, FREE, TC),
	OWN("tc_delete_sized", FREE, TC),
	OWN_LIKE("tc_delete_sized_aligned", "tc_delete_sized", NULL, FREE, TC),
	OWN_LIKE("tc_deletearray_sized", "tc_delete_sized", NULL, FREE, TC),
	OWN_LIKE("tc_deletearray_sized_aligned", "tc_delete_sized_aligned", "tc_deletearray_sized",
		 FREE, TC),

	OWN("mi_malloc_small", SIZE, MI),
	OWN("mi_zalloc_small", SIZE, MI),
	OWN("mi_zalloc", SIZE, MI),
	OWN("mi_mallocn", NMEMB_SIZE, MI),
	OWN("mi_reallocn", REALLOCARRAY, MI),
	OWN("mi_reallocf", REALLOC, MI),
	OWN("mi_rezalloc", REALLOC, MI),
	OWN("mi_recalloc", REALLOCARRAY, MI),
	MI_ALIGNED("mi_malloc", SIZE),
	MI_ALIGNED("mi_zalloc", SIZE),
	MI_ALIGNED("mi_calloc", NMEMB_SIZE),
	MI_ALIGNED("mi_realloc", REALLOC),
	MI_ALIGNED("mi_rezalloc", REALLOC),
	MI_ALIGNED("mi_recalloc", REALLOCARRAY),
	OWN_LIKE("mi_free_size", "mi_free", NULL, FREE, MI),
	OWN_LIKE("mi_free_size_aligned", "mi_free", NULL, FREE, MI),
	OWN_LIKE("mi_free_aligned", "mi_free", NULL, FREE, MI),
	OWN("mi_new", SIZE, MI),
	OWN("mi_new_nothrow", SIZE, MI),
	OWN("mi_new_aligned", SIZE, MI),
	OWN("mi_new_aligned_nothrow", SIZE, MI),
	OWN("mi_new_n", NMEMB_SIZE, MI),
	OWN("mi_new_realloc", REALLOC, MI),
	OWN("mi_new_reallocn", REALLOCARRAY, MI),
	OWN("mi_heap_malloc", HEAP_SIZE, MI),
	OWN("mi_heap_malloc_small", HEAP_SIZE, MI),
	OWN("mi_heap_zalloc", HEAP_SIZE, MI),
	OWN("mi_heap_calloc", HEAP_NMEMB_SIZE, MI),
	OWN("mi_heap_mallocn", HEAP_NMEMB_SIZE, MI),
	OWN("mi_heap_realloc", HEAP_REALLOC, MI),
	OWN("mi_heap_reallocf", HEAP_REALLOC, MI),
	OWN("mi_heap_rezalloc", HEAP_REALLOC, MI),
	OWN("mi_heap_alloc_new", HEAP_SIZE, MI),
	OWN("mi_heap_alloc_new_n", HEAP_NMEMB_SIZE, MI),
	MI_ALIGNED("mi_heap_malloc", HEAP_SIZE),
	MI_ALIGNED("mi_heap_zalloc", HEAP_SIZE),
	MI_ALIGNED("mi_heap_calloc", HEAP_NMEMB_SIZE),
	MI_ALIGNED("mi_heap_realloc", HEAP_REALLOC),
	MI_ALIGNED("mi_heap_rezalloc", HEAP_REALLOC),
};

#define FAMILY_SIZE  (sizeof(family) / sizeof(family[0]))
#define PLAIN_MALLOC 0
#define PLAIN_FREE   9

_Static_assert(FAMILY_SIZE <= FAMILY_MAX, "FAMILY_MAX has a bit for each name");

size_t family__size(void)
{
	return FAMILY_SIZE;
}

const struct family_name *family__name(size_t index)
{
	return &family[index];
}

static int compare_indexed(const void *a, const void *b)
{
	return strcmp(family[*(const uint8_t *)a].symbol, family[*(const uint8_t *)b].symbol);
}

/* Indexes in the order of their symbols. */
static const uint8_t *sorted_index(void)
{
	static uint8_t index[FAMILY_SIZE];
	static bool sorted;

	for (size_t i = 0; !sorted && i < FAMILY_SIZE; i++)
		index[i] = (uint8_t)i;
	if (!sorted)
		qsort(index, FAMILY_SIZE, sizeof(index[0]), compare_indexed);
	sorted = true;
	return index;
}

/* Nearly every symbol ends here: Chromium has 1.5 million, most of them C++'s. */
static bool may_be_name(const char *symbol)
{
	if (symbol[0] != '_')
		return symbol[0] && strchr("mcrpavfjtsd", symbol[0]);
	return symbol[1] == 'r' || (symbol[1] == 'Z' && (symbol[2] == 'n' || symbol[2] == 'd'));
}

int family__find(const char *symbol)
{
	size_t low = 0, high = FAMILY_SIZE;
	const uint8_t *index;

	if (!may_be_name(symbol))
		return -1;
	index = sorted_index();
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(symbol, family[index[middle]].symbol);

		if (!order)
			return index[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

void family_set__add(struct family_set *set, size_t name)
{
	set->words[name / 64] |= 1ull << (name % 64);
}

bool family_set__has(const struct family_set *set, size_t name)
{
	return set->words[name / 64] >> (name % 64) & 1;
}

void family_set__join(struct family_set *set, const struct family_set *other)
{
	for (size_t i = 0; i < FAMILY_MAX / 64; i++)
		set->words[i] |= other->words[i];
}

void family_set__remove(struct family_set *set, const struct family_set *other)
{
	for (size_t i = 0; i < FAMILY_MAX / 64; i++)
		set->words[i] &= ~other->words[i];
}

size_t family_set__first(const struct family_set *set)
{
	for (size_t i = 0; i < FAMILY_MAX / 64; i++)
		if (set->words[i])
			return i * 64 + (size_t)__builtin_ctzll(set->words[i]);
	return FAMILY_SIZE;
}

bool family_set__has_malloc(const struct family_set *set)
{
	return family_set__has(set, PLAIN_MALLOC);
}

bool family_set__has_free(const struct family_set *set)
{
	return family_set__has(set, PLAIN_FREE);
}

static bool is_stood_for(const struct family_set *set, size_t name)
{
	for (int i = 0; i < 2; i++) {
		int like = family[name].like[i] ? family__find(family[name].like[i]) : -1;

		if (like >= 0 && family_set__has(set, (size_t)like))
			return true;
	}
	return false;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void family_set__key(const struct family_set *set, char key[ALLOCATOR_KEY_MAX])
{
	const char *shown[FAMILY_SIZE] = {NULL};
	size_t count = 0;

	for (size_t i = 0; i < FAMILY_SIZE; i++) {
		if (family_set__has(set, i) && !is_stood_for(set, i))
			shown[count++] = family[i].shown;
	}
	qsort(shown, count, sizeof(shown[0]), compare_names);
	key[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (strlen(key) + strlen(shown[i]) + 2 > ALLOCATOR_KEY_MAX)
			continue;
		if (key[0])
			strlcat(key, "|", ALLOCATOR_KEY_MAX);
		strlcat(key, shown[i], ALLOCATOR_KEY_MAX);
	}
}

bool family__has_own(enum allocator_kind kind)
{
	return kind == JE || kind == TC || kind == MI;
}

bool family_name__is_operator(const struct family_name *name)
{
	return !strncmp(name->shown, "operator ", strlen("operator "));
}

int family__role(const char *role, enum arg_layout *layout)
{
	int index = family__find(role);

	if (index < 0 || family[index].class != FAMILY_PLAIN)
		return -EINVAL;
	*layout = family[index].layout;
	return 0;
}
