// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Names of C++ and Rust as c++filt gives them, and names that nobody's compiler makes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "stack/demangle.h"

#define LIBSTDCPP "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"

static struct demangler *demangler;

static int make(void **state)
{
	demangler = demangler__new();
	return demangler ? 0 : -1;
}

static int drop(void **state)
{
	demangler__free(demangler);
	return 0;
}

static void expect(const char *raw, const char *text)
{
	assert_string_equal(demangler__name(demangler, raw), text);
}

static void known_names(void **state)
{
	expect("_ZN3app5Store3addEi", "app::Store::add(int)");
	expect("_ZN3app5Store3addEi.cold", "app::Store::add(int) [clone .cold]");
	/* Both schemes of Rust; the hash of the older one says nothing to people. */
	expect("_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place");
	expect("_RNvCs1234_7mycrate3foo", "mycrate::foo");
	expect("_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>");
	/* What only looks like one. */
	expect("_Zebra", "_Zebra");
	expect("_R", "_R");
	expect("_Z", "_Z");
	expect("__Z", "__Z");
	expect("", "");
	expect("malloc", "malloc");
	expect("main.(*T).f", "main.(*T).f");
	expect("\xff\xfe_Z1fv", "\xff\xfe_Z1fv");
}

static void each_name_is_one(void **state)
{
	char raw[] = "_ZN1a1bEv", other[] = "_ZN1a1bEv", none[] = "_Zno", none_too[] = "_Zno";
	const char *first = demangler__name(demangler, raw);

	assert_ptr_equal(first, demangler__name(demangler, other));
	assert_ptr_equal(demangler__name(demangler, none), demangler__name(demangler, none_too));
	/* It is kept although the caller's goes. */
	memset(raw, 'x', sizeof(raw) - 1);
	assert_string_equal(first, "a::b()");
}

/* All that libstdc++ exports. */
static void libstdcpp_is_as_by_cxxfilt(void **state)
{
	FILE *names = popen("nm -D --defined-only " LIBSTDCPP " | sed 's/.* //; s/@.*//'", "re");
	FILE *filtered = popen("nm -D --defined-only " LIBSTDCPP
			       " | sed 's/.* //; s/@.*//' | c++filt --no-verbose",
			       "re");
	static char raw[65536], text[65536];
	unsigned int compared = 0;

	assert_non_null(names);
	assert_non_null(filtered);
	while (fgets(raw, sizeof(raw), names)) {
		assert_non_null(fgets(text, sizeof(text), filtered));
		raw[strcspn(raw, "\n")] = '\0';
		text[strcspn(text, "\n")] = '\0';
		assert_string_equal(demangler__name(demangler, raw), text);
		compared++;
	}
	pclose(names);
	pclose(filtered);
	print_message("%u names\n", compared);
	assert_true(compared > 4000);
}

/* f(pair<int, int>, pair<pair<…>, pair<…>>, …): each parameter names the last one twice, so that
 * the answer doubles with each. */
static char *make_doubling(unsigned int levels)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char *name = malloc(16 * (size_t)levels + 64);
	size_t at = (size_t)sprintf(name, "_Z1fSt4pairIiiE");

	assert_true(levels < sizeof(digits));
	for (unsigned int i = 1; i < levels; i++)
		at += (size_t)sprintf(name + at, "S_IS%c_S%c_E", digits[i - 1], digits[i - 1]);
	return name;
}

static void names_that_grow_without_end_stay_as_they_are(void **state)
{
	static const char *const starts[] = {"_Z", "_RNvC", "_ZN", "_ZZ", "_RI"};
	static const char *const repeated[] = {"I", "P",  "N1a", "B_", "Dp",
					       "X", "S_", "T_",  "M",  "Z1a"};
	char *long_name = malloc(MANGLED_MAX_BYTES + 2);
	char *fair = make_doubling(3), *large = make_doubling(14), *endless = make_doubling(34);

	expect(fair, "f(std::pair<int, int>, std::pair<std::pair<int, int>, std::pair<int, int> >, "
		     "std::pair<std::pair<std::pair<int, int>, std::pair<int, int> >, "
		     "std::pair<std::pair<int, int>, std::pair<int, int> > >)");
	/* Half a megabyte; and more than there is time for, after which others still come. */
	expect(large, large);
	expect(endless, endless);
	expect("_Z1fv", "f()");
	free(fair);
	free(large);
	free(endless);
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (size_t r = 0; r < sizeof(repeated) / sizeof(repeated[0]); r++) {
			size_t at = (size_t)sprintf(long_name, "%s", starts[s]);
			size_t step = strlen(repeated[r]);

			while (at + step <= MANGLED_MAX_BYTES) {
				memcpy(long_name + at, repeated[r], step);
				at += step;
			}
			long_name[at] = '\0';
			demangler__name(demangler, long_name);
		}
	}
	memset(long_name, 'P', MANGLED_MAX_BYTES + 1);
	memcpy(long_name, "_Z1f", 4);
	long_name[MANGLED_MAX_BYTES + 1] = '\0';
	expect(long_name, long_name);
	free(long_name);
}

static void damaged_names_do_no_harm(void **state)
{
	static const char *const whole[] = {
		"_ZNSt6vectorINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEESaIS5_EE9push_"
		"backEOS5_",
		"_RNvXs5_NtNtCs3_4core5slice4iterINtB5_4IterpENtNtNtNtB9_4iter6traits8iterator8"
		"Iterator4next",
	};
	unsigned int seed = 99;
	char name[256];

	log_set_level(LOG_ERROR);
	for (int i = 0; i < 4000; i++) {
		size_t length = strlen(strcpy(name, whole[i % 2]));

		for (int n = 0; n < 3; n++) {
			seed = seed * 1103515245 + 12345;
			name[2 + (seed >> 8) % (length - 2)] = (char)(1 + (seed >> 24) % 255);
		}
		assert_true(strlen(demangler__name(demangler, name)) < DEMANGLED_MAX_BYTES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(known_names, make, drop),
		cmocka_unit_test_setup_teardown(each_name_is_one, make, drop),
		cmocka_unit_test_setup_teardown(libstdcpp_is_as_by_cxxfilt, make, drop),
		cmocka_unit_test_setup_teardown(names_that_grow_without_end_stay_as_they_are, make,
						drop),
		cmocka_unit_test_setup_teardown(damaged_names_do_no_harm, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
