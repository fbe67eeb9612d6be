// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/judgement.h"

#define VERDICT_TEXT(name, text) [DRIFT_##name] = (text),
static const char *const texts[DRIFT_VERDICT_MAX] = {DRIFT_VERDICTS(VERDICT_TEXT)};

const char *drift_verdict__text(enum drift_verdict verdict)
{
	return verdict < DRIFT_VERDICT_MAX ? texts[verdict] : "";
}
