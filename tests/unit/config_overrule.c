/* What a back end hears of a write that configurations have not let stand (J-68). */
#include "configuration_kit.h"

#define warns(k, text) assert_string_equal(warning_of(k), text)

static const char *
warning_of(struct kit *k)
{
	buf_putc(&k->reply.warning, '\0');
	return k->reply.warning.p;
}

static void
desired(struct kit *k, const char *id, const char *members)
{
	char body[512];

	snprintf(body, sizeof(body), "{'properties':{'desired':%s}}", members);
	assert_int_equal(kit_patch(k, id, NULL, body), F_NONE);
}

static void
overrule__J68_an_owned_path_is_put_back(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	desired(&k, "d", "{'free':1,'cfg':{'mine':1}}");
	warns(&k, "");
	put(&k, "b", NULL, simple("*", 5, ".cfg", "{'a':2,'o':{'x':1}}"));
#define OWNED " is owned by the configuration 'b' (priority 5), and its value was put back"
	desired(&k, "d", "{'cfg':{'a':9}}");
	warns(&k, "properties.desired.cfg.a" OWNED);
	kit_shows(&k, "properties/desired/cfg/a", "2");
	desired(&k, "d", "{'cfg':{'a':null}}");
	warns(&k, "properties.desired.cfg.a" OWNED);
	desired(&k, "d", "{'cfg':null}");
	warns(&k, "properties.desired.cfg" OWNED);
	desired(&k, "d", "{'cfg':7}");
	warns(&k, "properties.desired.cfg" OWNED);
	desired(&k, "d", "{'cfg':{'o':{}}}");
	warns(&k, "");
	desired(&k, "d", "{'cfg':{'o':5,'a':3}}");
	warns(&k, "properties.desired.cfg.a" OWNED "; and 1 more path likewise");
	end(&k);
}

static void
overrule__J68_what_stands_is_not_told(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "b", NULL, simple(ENV_T, 5, ".cfg", "{'a':2}"));
	kit_patch(&k, "d", NULL, "{'tags':{'env':'t'}}");
	warns(&k, "");
	desired(&k, "d", "{'cfg':{'a':2}}");
	warns(&k, "");
	desired(&k, "d", "{'cfg':{'z':2},'other':1}");
	warns(&k, "");
	kit_replace(
	    &k, "d", NULL, "{'tags':{'env':'t'},'properties':{'desired':{'cfg':{'a':2},'n':1}}}");
	warns(&k, "");
	kit_replace(&k, "d", NULL, "{'tags':{'env':'t'},'properties':{'desired':{'n':1}}}");
	warns(&k,
	    "properties.desired.cfg is owned by the configuration 'b' (priority 5), and its value "
	    "was put back");
	kit_patch(&k, "d", NULL, "{'tags':{'env':'p'},'properties':{'desired':{'cfg':{'a':5}}}}");
	warns(&k, ""); /* it leaves the target by the same write */
	kit_shows(&k, "properties/desired/cfg/a", "5");
	kit_patch(&k, "d", NULL, "{'tags':{'env':'t'},'properties':{'desired':{'cfg':{'a':6}}}}");
	warns(&k,
	    "properties.desired.cfg.a is owned by the configuration 'b' (priority 5), and its "
	    "value was put back");
	end(&k);
}

static void
overrule__J59_J68_what_is_taken_away_again(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "b", NULL, simple("*", 5, ".cfg", "{'a':2,'no':null}"));
	desired(&k, "d", "{'cfg':{'no':1}}");
	warns(&k,
	    "properties.desired.cfg.no was taken away again: a configuration says that it is not "
	    "there");
	end(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overrule__J68_an_owned_path_is_put_back),
		cmocka_unit_test(overrule__J68_what_stands_is_not_told),
		cmocka_unit_test(overrule__J59_J68_what_is_taken_away_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
