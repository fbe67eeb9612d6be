// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "probe/feature.h"
#include "probe/feature_internal.h"

#define BIT(capability) (1ull << (capability))

static void release_is_parsed(void **state)
{
	unsigned int major, minor;

	assert_int_equal(feature_parse_release("6.18.44-fc-v669", &major, &minor), 0);
	assert_int_equal(major, 6);
	assert_int_equal(minor, 18);
	assert_int_equal(feature_parse_release("7.2", &major, &minor), 0);
	assert_int_equal(major, 7);
	assert_int_equal(minor, 2);
	assert_int_equal(feature_parse_release("", &major, &minor), -EINVAL);
	assert_int_equal(feature_parse_release("6", &major, &minor), -EINVAL);
	assert_int_equal(feature_parse_release("six.one", &major, &minor), -EINVAL);
}

static void lockdown_is_what_stands_in_brackets(void **state)
{
	assert_int_equal(feature_parse_lockdown("[none] integrity confidentiality\n"),
			 LOCKDOWN_NONE);
	assert_int_equal(feature_parse_lockdown("none [integrity] confidentiality\n"),
			 LOCKDOWN_INTEGRITY);
	assert_int_equal(feature_parse_lockdown("none integrity [confidentiality]\n"),
			 LOCKDOWN_CONFIDENTIALITY);
	assert_int_equal(feature_parse_lockdown("none integrity confidentiality\n"),
			 LOCKDOWN_UNKNOWN);
	assert_int_equal(feature_parse_lockdown(""), LOCKDOWN_UNKNOWN);
}

static void hidepid_is_found(void **state)
{
	static const char plain[] = "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
				    "23 22 0:21 / /proc rw,relatime shared:5 - proc proc rw\n";
	static const char hiding[] =
		"23 22 0:21 / /proc rw shared:5 - proc proc rw,gid=4,hidepid=invisible\n";
	static const char covered[] = "23 22 0:21 / /proc rw - proc proc rw,hidepid=2\n"
				      "24 23 0:22 / /proc rw - proc proc rw\n"
				      "25 24 0:22 / /proc/fs rw - proc proc rw,hidepid=1\n";
	char value[16];

	assert_int_equal(feature_parse_proc_option(plain, "hidepid", value, sizeof(value)), 0);
	assert_string_equal(value, "");
	assert_int_equal(feature_parse_proc_option(hiding, "hidepid", value, sizeof(value)), 0);
	assert_string_equal(value, "invisible");
	assert_int_equal(feature_parse_proc_option(hiding, "pid", value, sizeof(value)), 0);
	assert_string_equal(value, "");
	assert_int_equal(feature_parse_proc_option(covered, "hidepid", value, sizeof(value)), 0);
	assert_string_equal(value, "");
}

static void damaged_mountinfo_is_survived(void **state)
{
	static const char line[] = "23 22 0:21 / /proc rw shared:5 - proc proc rw,hidepid=2";
	char cut[sizeof(line)], value[4];

	for (size_t len = 0; len < sizeof(line); len++) {
		memcpy(cut, line, len);
		cut[len] = '\0';
		feature_parse_proc_option(cut, "hidepid", value, sizeof(value));
	}
	assert_string_equal(value, "2");
	assert_int_equal(feature_parse_proc_option("\n\n    \n", "hidepid", value, sizeof(value)),
			 -ENOENT);
	assert_int_equal(feature_parse_proc_option("", "hidepid", value, sizeof(value)), -ENOENT);
}

static void missing_capabilities_are_named(void **state)
{
	uint64_t all = BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_PTRACE);
	char names[80], small[8];

	assert_int_equal(feature_missing_capabilities(all, true, names, sizeof(names)), 0);
	assert_string_equal(names, "");
	assert_int_equal(feature_missing_capabilities(0, true, names, sizeof(names)), 4);
	assert_string_equal(names, "CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE");
	assert_int_equal(
		feature_missing_capabilities(BIT(CAP_SYS_ADMIN), true, names, sizeof(names)), 1);
	assert_string_equal(names, "CAP_SYS_PTRACE");
	assert_int_equal(
		feature_missing_capabilities(all & ~BIT(CAP_SYS_ADMIN), true, names, sizeof(names)),
		3);
	/* Multi links do without. */
	assert_int_equal(
		feature_missing_capabilities(BIT(CAP_BPF) | BIT(CAP_PERFMON) | BIT(CAP_SYS_PTRACE),
					     false, names, sizeof(names)),
		0);
	assert_int_equal(feature_missing_capabilities(0, true, small, sizeof(small)), 4);
	assert_string_equal(small, "CAP_BPF");
}

static void files_are_cut_to_the_buffer(void **state)
{
	char buf[5];

	assert_int_equal(feature_read_file("/proc/version", buf, sizeof(buf)), 4);
	assert_string_equal(buf, "Linu");
	assert_int_equal(feature_read_file("/nonexistent", buf, sizeof(buf)), -ENOENT);
	assert_string_equal(buf, "");
	assert_int_equal(feature_read_file("/proc", buf, sizeof(buf)), -EISDIR);
}

static void every_feature_is_answered(void **state)
{
	struct feature features[FEATURES];

	feature__probe_all(features);
	for (int i = 0; i < FEATURES; i++) {
		const struct feature *f = &features[i];

		assert_non_null(f->name);
		assert_true(strlen(f->detail) > 0);
		assert_int_equal(strcspn(f->detail, "\n"), strlen(f->detail));
		assert_in_range(f->state, FEATURE_UNKNOWN, FEATURE_YES);
		if (f->state != FEATURE_NO)
			assert_string_equal(f->advice, "");
		assert_int_equal(f->required, i <= FEATURE_UPROBES);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(f->name, features[j].name);
	}
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* What is loaded and attached must be gone afterwards: links and programs live by descriptors. */
static void probing_leaves_no_descriptor(void **state)
{
	struct feature features[FEATURES];
	int before = open_descriptors();

	feature__probe_all(features);
	assert_int_equal(open_descriptors(), before);
}

static void require_agrees_with_the_list(void **state)
{
	char message[FEATURE_MESSAGE_MAX] = "";
	struct feature feature;
	int err = feature__require(message, sizeof(message));

	for (int i = 0; i <= FEATURE_UPROBES; i++) {
		feature__probe(i, &feature);
		if (feature.state != FEATURE_NO)
			continue;
		assert_true(err < 0);
		assert_non_null(strstr(message, feature.detail));
		return;
	}
	assert_int_equal(err, 0);
	assert_string_equal(message, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(release_is_parsed),
		cmocka_unit_test(lockdown_is_what_stands_in_brackets),
		cmocka_unit_test(hidepid_is_found),
		cmocka_unit_test(damaged_mountinfo_is_survived),
		cmocka_unit_test(missing_capabilities_are_named),
		cmocka_unit_test(files_are_cut_to_the_buffer),
		cmocka_unit_test(every_feature_is_answered),
		cmocka_unit_test(probing_leaves_no_descriptor),
		cmocka_unit_test(require_agrees_with_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
