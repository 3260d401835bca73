/* Any bytes as twinhub.conf and as policies.json or hub.json: taken or refused with a reason, policies that are taken are the same
 * when they have been saved, and what has a checksum is what it was. */
#include "backup/backup.h"
#include "fuzz_dir.h"
#include "sealed/sealed.h"
#include "server/server.h"

/* Values of options live as long as the program. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void
try_conf(struct str text)
{
	char data[] = "--data", why[512] = "";
	char *argv[] = { data, fuzz_dir, NULL };
	struct server_options o;

	fuzz_file("twinhub.conf", text);
	require((options_parse(2, argv, &o, why, sizeof(why)) == ERR_OK) == (why[0] == '\0'));
}

/* A fuzzer does not find a checksum: the object gets one, and with another byte in it somewhere it is not taken. */
static void
try_sealed(struct str text)
{
	struct buf all = { 0 };
	struct sealed file;
	char why[512] = "";

	if (!str_ends(text, STR("}")))
		return;
	buf_put(&all, text.p, text.n - 1);
	sealed_end(&all);
	fuzz_file("sealed.json", buf_view(&all));
	if (sealed_read(fuzz_path("sealed.json"), &file, why, sizeof(why)) == ERR_OK)
		require(file.has_sum);
	else
		require(why[0] != '\0');
	sealed_fini(&file);
	all.p[(unsigned char)text.p[0] * all.n / 256] ^= 1;
	fuzz_file("sealed.json", buf_view(&all));
	if (sealed_read(fuzz_path("sealed.json"), &file, why, sizeof(why)) == ERR_OK)
		require(
		    !file.has_sum); /* what makes it a sum was hit: its members are asked for their names then */
	sealed_fini(&file);
	buf_fini(&all);
}

/* Of a backup that somebody hands over. What is taken stays in its directory. */
static void
try_manifest(void)
{
	struct manifest m;
	char why[BACKUP_WHY_MAX] = "";

	require((manifest_read(fuzz_dir, &m, why, sizeof(why)) == ERR_OK) == (why[0] == '\0'));
	for (size_t i = 0; i < m.n; i++) {
		require(m.files[i].name[0] != '/' && m.files[i].name[0] != '.' &&
		    strstr(m.files[i].name, "/.") == NULL);
		require(manifest_find(&m, m.files[i].name) == &m.files[i]);
	}
	manifest_fini(&m);
}

static void
try_manifests(struct str text)
{
	struct buf all = { 0 };

	fuzz_file("backup.json", text);
	try_manifest();
	if (!str_ends(text, STR("}")))
		return;
	buf_put(&all, text.p, text.n - 1);
	sealed_end(&all);
	fuzz_file("backup.json", buf_view(&all));
	try_manifest();
	buf_fini(&all);
}

static void
try_policies(struct str text)
{
	struct policies *p = NULL, *again = NULL;
	char why[512] = "";

	try_sealed(text);
	try_manifests(text);
	fuzz_file("policies.json", text);
	if (policies_load(fuzz_dir, &p, why, sizeof(why)) != ERR_OK) {
		require(why[0] != '\0');
		return;
	}
	require(policies_save(fuzz_dir, p) == ERR_OK);
	require(policies_load(fuzz_dir, &again, why, sizeof(why)) == ERR_OK);
	require(again->n == p->n);
	for (size_t i = 0; i < p->n; i++) {
		require(str_eq(p->v[i].name, again->v[i].name) &&
		    p->v[i].rights == again->v[i].rights &&
		    str_eq(p->v[i].primary, again->v[i].primary) &&
		    str_eq(p->v[i].secondary, again->v[i].secondary));
	}
	policies_free(p);
	policies_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	fuzz_dir_make();
	if (fuzz_choice(&in, 2) == 0)
		try_conf(in);
	else
		try_policies(in);
	return 0;
}
