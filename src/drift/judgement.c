// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/judgement.h"

const char *drift_verdict__text(enum drift_verdict verdict)
{
	static const char *const texts[DRIFT_VERDICT_MAX] = {
#define DRIFT_VERDICT_TEXT(name, text) [DRIFT_##name] = (text),
		DRIFT_VERDICTS(DRIFT_VERDICT_TEXT)
#undef DRIFT_VERDICT_TEXT
	};

	return texts[verdict];
}
