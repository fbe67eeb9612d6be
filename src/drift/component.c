// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/component.h"

#include <string.h>

static const struct {
	const char *key, *text;
} components[COMPONENT_MAX] = {
#define COMPONENT_ROW(name, key, text) [COMPONENT_##name] = {key, text},
	COMPONENTS(COMPONENT_ROW)
#undef COMPONENT_ROW
};

const char *component__key(enum component component)
{
	return components[component].key;
}

const char *component__text(enum component component)
{
	return components[component].text;
}

enum component component__find(const char *key)
{
	enum component component = 0;

	while (component < COMPONENT_MAX && strcmp(components[component].key, key) != 0)
		component++;
	return component;
}
