// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/component.h"

#include <string.h>

#define COMPONENT_KEY(name, key, text) [COMPONENT_##name] = (key),
static const char *const keys[COMPONENT_MAX] = {COMPONENTS(COMPONENT_KEY)};

#define COMPONENT_TEXT(name, key, text) [COMPONENT_##name] = (text),
static const char *const texts[COMPONENT_MAX] = {COMPONENTS(COMPONENT_TEXT)};

const char *component__key(enum component component)
{
	return component < COMPONENT_MAX ? keys[component] : "";
}

const char *component__text(enum component component)
{
	return component < COMPONENT_MAX ? texts[component] : "";
}

enum component component__find(const char *key)
{
	for (int i = 0; i < COMPONENT_MAX; i++)
		if (!strcmp(key, keys[i]))
			return (enum component)i;
	return COMPONENT_MAX;
}
