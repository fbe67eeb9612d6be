// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/unwind_rules.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct known_rule {
	UT_hash_handle hh;
	struct unwind_rule rule; /* 8 bytes without padding: the key */
	uint16_t index;
};

/* In front of the hash: most rows have one of some dozens of rules. A power of two. */
#define RECENT_RULES 1024

struct unwind_rules {
	struct unwind_rule *rules; /* the caller's */
	struct known_rule *by_rule;
	struct known_rule *known; /* UNWIND_RULES_MAX of them */
	struct known_rule *recent[RECENT_RULES];
	uint32_t count;
	uint64_t refused;
};

struct unwind_rules *unwind_rules__new(struct unwind_rule *rules)
{
	struct unwind_rules *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->known = calloc(UNWIND_RULES_MAX, sizeof(all->known[0]));
	if (!all->known) {
		free(all);
		return NULL;
	}
	all->rules = rules;
	unwind_rules__intern(all, (struct unwind_rule){.kind = UNWIND_UNKNOWN});
	return all;
}

void unwind_rules__free(struct unwind_rules *rules)
{
	if (!rules)
		return;
	HASH_CLEAR(hh, rules->by_rule);
	free(rules->known);
	free(rules);
}

static struct known_rule **recent_slot(struct unwind_rules *rules, struct unwind_rule rule)
{
	uint64_t key;

	memcpy(&key, &rule, sizeof(key));
	return &rules->recent[(key * 0x9e3779b97f4a7c15u) >> 54];
}

static struct known_rule *find_or_add(struct unwind_rules *rules, struct unwind_rule rule)
{
	struct known_rule *known;

	HASH_FIND(hh, rules->by_rule, &rule, sizeof(rule), known);
	if (known || rules->count == UNWIND_RULES_MAX)
		return known;
	known = &rules->known[rules->count];
	known->rule = rule;
	known->index = (uint16_t)rules->count;
	HASH_ADD(hh, rules->by_rule, rule, sizeof(rule), known);
	/* Before any row that refers to it: those are written with a release, see the pool. */
	rules->rules[rules->count++] = rule;
	return known;
}

uint16_t unwind_rules__intern(struct unwind_rules *rules, struct unwind_rule rule)
{
	struct known_rule **recent = recent_slot(rules, rule), *known = *recent;

	if (known && unwind_rule__equal(known->rule, rule))
		return known->index;
	known = find_or_add(rules, rule);
	if (!known) {
		rules->refused++;
		return 0;
	}
	*recent = known;
	return known->index;
}

uint32_t unwind_rules__count(const struct unwind_rules *rules)
{
	return rules->count;
}

uint64_t unwind_rules__refused(const struct unwind_rules *rules)
{
	return rules->refused;
}
