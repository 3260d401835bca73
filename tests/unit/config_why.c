/* Why a configuration is not applied to a twin: each reason, with what it names (J-64 to J-67). */
#include "configuration_kit.h"
#include "config/why.h"

static struct buf answer;

static struct why_when
when_of(const struct kit *k)
{
	return (struct why_when){ .now_us = k->env.now_us,
		.again_us = k->env.now_us + 60 * SECOND,
		.can_write = k->env.can_write,
		.has_room = k->env.identities_left > 0 };
}

static void
visit(struct kit *k, struct why *y, uint32_t row)
{
	struct why_when when = when_of(k);
	struct buf entries = { 0 };
	struct str device, module;
	unsigned records;
	uint32_t other;

	while ((other = why_row(y, k->sh, row, &records)) != TABLE_NONE) {
		unsigned missing;

		k->key.n = 0;
		missing = shard_row_missing(k->sh, other, records, &k->key);
		str_cut(str_sub(buf_view(&k->key), 2), '\0', &device, &module);
		kit_fill(k, device, module, missing);
	}
	if (why_visit(y, k->sh, row, &when, &entries) > 0 && answer.n > 0)
		buf_putc(&answer, '\n');
	buf_str(&answer, buf_view(&entries));
	buf_fini(&entries);
}

static const char *
answer_text(struct why *y)
{
	why_free(y);
	buf_putc(&answer, '\0');
	kit_quotes(&answer, '"', '\'');
	return answer.p;
}

/* The entries of one configuration, a line for each row's. */
static const char *
why_of(struct kit *k, const char *id, enum why_state state)
{
	struct why *y = why_new(published, str_of(id), state);

	answer.n = 0;
	for (uint32_t row = 0; row < k->sh->nrow; row++)
		if (why_wants(y, k->sh, row))
			visit(k, y, row);
	return answer_text(y);
}

static const char *
why_twin_of(struct kit *k, const char *id)
{
	struct str device, module;
	struct why *y;

	str_cut(str_of(id), '/', &device, &module);
	y = why_twin(published, device, module);
	answer.n = 0;
	visit(k, y, shard_find(k->sh, device, STR_NONE));
	return answer_text(y);
}

#define says(text, part)                                                                           \
	do {                                                                                       \
		const char *says_ = (text);                                                        \
		if (strstr(says_, (part)) == NULL)                                                 \
			fail_msg("'%s' is not in\n%s", (part), says_);                             \
	} while (0)
#define says_not(text, part)                                                                       \
	do {                                                                                       \
		const char *says_ = (text);                                                        \
		if (strstr(says_, (part)) != NULL)                                                 \
			fail_msg("'%s' is in\n%s", (part), says_);                                 \
	} while (0)

static void
why__J65_a_path_is_owned_by_another(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "a", NULL, simple("*", 1, ".cfg", "{'a':1}"));
	put(&k, "b", NULL, simple("*", 5, ".cfg", "{'a':2}"));
	says(why_of(&k, "a", WHY_ALL),
	    "{'deviceId':'d','configurationId':'a','priority':1,'targeted':true,'reached':true,'"
	    "applied':"
	    "false,'reasons':[{'reason':'owned','path':'properties.desired.cfg','configurationId':'"
	    "b',"
	    "'priority':5,'text':'properties.desired.cfg is owned by the configuration 'b' "
	    "(priority "
	    "5)'}]}");
	says(
	    why_of(&k, "b", WHY_ALL), "'targeted':true,'reached':true,'applied':true,'reasons':[]");
	drop(&k, "b");
	says(why_of(&k, "a", WHY_ALL), "'applied':true,'reasons':[]");
	end(&k);
}

/* One that has a path is applied, and still is told which it does not have. */
static void
why__J65_applied_in_part(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "a", NULL,
	    "{'targetCondition':'*','priority':1,'content':{'deviceContent':{'properties.desired.x'"
	    ":1,"
	    "'properties.desired.y':1}}}");
	put(&k, "b", NULL, simple("*", 5, ".y", "2"));
	says(why_of(&k, "a", WHY_ALL),
	    "'applied':true,'reasons':[{'reason':'owned','path':'properties."
	    "desired.y','configurationId':'b'");
	end(&k);
}

static void
why__J64_states(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "in");
	kit_device(&k, "out");
	kit_patch(&k, "in", NULL, "{'tags':{'env':'t'}}");
	put(&k, "a", NULL, simple(ENV_T, 1, ".x", "1"));
	put(&k, "b", NULL, simple("*", 5, ".x", "2"));
	says(why_of(&k, "a", WHY_NOT_APPLIED), "{'deviceId':'in'");
	says_not(why_of(&k, "a", WHY_ALL), "'deviceId':'out'");
	assert_string_equal(why_of(&k, "a", WHY_APPLIED), "");
	assert_string_equal(why_of(&k, "a", WHY_NOT_REACHED), "");
	says(why_of(&k, "a", WHY_REACHED), "{'deviceId':'in'");
	says(why_of(&k, "b", WHY_APPLIED), "{'deviceId':'out'");
	says(why_twin_of(&k, "out"),
	    "'configurationId':'a','priority':1,'targeted':false,'reached':false,"
	    "'applied':false,'reasons':[{'reason':'condition'");
	says(why_twin_of(&k, "out"), "'configurationId':'b','priority':5,'targeted':true");
	end(&k);
}

/* A string of n bytes as JSON. */
static const char *
filled(uint32_t n)
{
	static char text[5000];

	assert_true(n < sizeof(text) - 3);
	memset(text, 'x', n + 2);
	text[0] = text[n + 1] = '\'';
	text[n + 2] = '\0';
	return text;
}

static void
fill_by_hand(struct kit *k, const char *id, unsigned from, unsigned n)
{
	struct buf body = { 0 };

	buf_cstr(&body, "{'properties':{'desired':{");
	for (unsigned i = from; i < from + n; i++)
		buf_printf(&body, "%s'h%u':%s", i > from ? "," : "", i, filled(4000));
	buf_cstr(&body, "}}}");
	buf_putc(&body, '\0');
	assert_int_equal(kit_patch(k, id, NULL, body.p), F_NONE);
	buf_fini(&body);
}

static void
why__J66_a_limit_would_be_passed(void **state)
{
	char big[6000];
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	fill_by_hand(&k, "d", 0, 8); /* 8 * 4002 = 32016 */
	snprintf(big, sizeof(big),
	    "{'targetCondition':'*','priority':1,'content':{'deviceContent':{'properties.desired.x'"
	    ":%s}}}",
	    filled(1000));
	put(&k, "a", NULL, big);
	/* and 1 + 1000: 33017, 249 more than 32768 */
	says(why_of(&k, "a", WHY_ALL),
	    "'applied':false,'reasons':[{'reason':'size','size':33017,'limit':32768,'over':249,");
	put(&k, "b", NULL, simple("*", 5, ".y", "1"));
	says(why_of(&k, "b", WHY_ALL), "'applied':true");
	says(why_of(&k, "a", WHY_ALL), "'over':258,");
	says(why_twin_of(&k, "d"), ", 258 more than the limit of 32768'");
	end(&k);
}

static void
why__J66_it_would_make_room(void **state)
{
	struct kit k;
	char big[6000];

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	fill_by_hand(&k, "d", 0, 8);
	snprintf(big, sizeof(big),
	    "{'targetCondition':'*','priority':5,'content':{'deviceContent':{'properties.desired'"
	    ":{'a':%s,'b':1}}}}",
	    filled(2000));
	put(&k, "high", NULL, big);
	put(&k, "low", NULL,
	    "{'targetCondition':'*','priority':1,'content':{'deviceContent':{'properties.desired':{"
	    "'h0':null}}}}");
	says(why_of(&k, "high", WHY_ALL), "'reason':'size'");
	says(why_of(&k, "low", WHY_ALL), "'applied':false,'reasons':[{'reason':'room','text':");
	end(&k);
}

static void
why__J67_a_rollout_has_not_reached_it(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "a", NULL,
	    "{'targetCondition':'*','priority':1,'content':{'deviceContent':{'properties.desired.x'"
	    ":1}},"
	    "'rollout':{'waves':[{'percent':50},{'percent':100}]}}");
	says(why_of(&k, "a", WHY_NOT_REACHED),
	    "'targeted':true,'reached':false,'applied':false,'reasons':[{'reason':'rollout','"
	    "status':'"
	    "pending','place':");
	says(why_of(&k, "a", WHY_NOT_REACHED), "has reached places below 0.0000 %");
	end(&k);
}

static void
why__J67_late(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	publish(&k);
	assert_int_equal(try_put(&k, "a", NULL, simple("*", 1, ".x", "1")), F_NONE);
	publish(&k);
	says(why_of(&k, "a", WHY_ALL),
	    "'targeted':true,'reached':true,'applied':false,'reasons':[{'reason':'sweep'");
	k.env.can_write = false;
	says(why_of(&k, "a", WHY_ALL), "'reason':'noWrites'");
	k.env.can_write = true;
	sweep(&k);
	says(why_of(&k, "a", WHY_ALL), "'applied':true,'reasons':[]");
	put(&k, "flip", NULL, simple("NOT IS_DEFINED(properties.desired.flip)", 0, ".flip", "1"));
	says(why_of(&k, "flip", WHY_ALL), "'reason':'putOff','until':'2024-01-01T00:01:");
	end(&k);
}

#define BARE "'properties.desired'"
#define BASE(target, priority, v, more)                                                            \
	"{'targetCondition':'" target "','priority':" priority                                     \
	",'content':{'modulesContent':{'$edgeAgent':{" BARE ":{'v':" v "}},'$edgeHub':{" BARE      \
	":{'routes':{}}}" more "}}}"

static void
edge(struct kit *k, const char *id)
{
	assert_int_equal(kit_put(k, id, NULL, "{'capabilities':{'iotEdge':true}}"), F_NONE);
}

static void
why__J65_deployments(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	edge(&k, "e");
	kit_device(&k, "d");
	put(&k, "low", NULL, BASE("*", "1", "1", ",'m1':{'properties.desired.x':1}"));
	put(&k, "high", NULL, BASE("*", "5", "2", ""));
	says(why_of(&k, "low", WHY_ALL),
	    "{'deviceId':'e','configurationId':'low','priority':1,'targeted':true,'reached':true,'"
	    "applied'"
	    ":false,'reasons':[{'reason':'base','configurationId':'high','priority':5,");
	says(why_of(&k, "high", WHY_ALL), "'applied':true,'reasons':[]}");
	says_not(why_of(&k, "high", WHY_ALL), "'deviceId':'d'");
	put(&k, "layer", NULL,
	    "{'targetCondition':'*','priority':6,'content':{'modulesContent':{'m2':{'properties."
	    "desired.y'"
	    ":1}}}}");
	put(&k, "above", NULL,
	    "{'targetCondition':'*','priority':7,'content':{'modulesContent':{'m2':{'properties."
	    "desired.y'"
	    ":2}}}}");
	says(why_of(&k, "layer", WHY_ALL),
	    "'applied':false,'reasons':[{'reason':'owned','moduleId':'m2','path':'properties."
	    "desired.y','"
	    "configurationId':'above','priority':7,");
	says(why_twin_of(&k, "e/m2"),
	    "'moduleId':'m2','configurationId':'layer','priority':6,'targeted':"
	    "true,'reached':true,'applied':false,'reasons':[{'reason':'owned'");
	says(why_twin_of(&k, "e"), "'configurationId':'low'");
	assert_string_equal(why_twin_of(&k, "d"), "");
	end(&k);
}

static void
why__J66_a_module_cannot_be_made(void **state)
{
	struct kit k;
	char id[16];

	(void)state;
	kit_init(&k);
	edge(&k, "e");
	for (int i = 0; i < 48; i++) {
		snprintf(id, sizeof(id), "e/x%d", i);
		assert_int_equal(kit_put(&k, id, NULL, "{}"), F_NONE);
	}
	put(&k, "a", NULL, BASE("*", "1", "1", ",'m1':{'properties.desired.x':1}"));
	says(why_of(&k, "a", WHY_ALL),
	    "'applied':false,'reasons':[{'reason':'module','moduleId':'m1','limit':50,"
	    "'text':'the module 'm1' cannot be made: its device has as many");
	kit_delete(&k, "e/x0", "*");
	says(why_of(&k, "a", WHY_ALL), "'applied':true,'reasons':[]");
	edge(&k, "f");
	end(&k);

	kit_init(&k);
	edge(&k, "e");
	k.env.identities_left = 0;
	put(&k, "a", NULL, BASE("*", "1", "1", ",'m1':{'properties.desired.x':1}"));
	says(why_of(&k, "a", WHY_ALL),
	    "'reason':'module','moduleId':'m1','text':'the module 'm1' cannot be made: the "
	    "hub has as many identities as it may have'");
	end(&k);
}

static void
why__J65_at_most_twenty_reasons(void **state)
{
	struct buf low = { 0 }, high = { 0 };
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	buf_cstr(&low, "{'targetCondition':'*','priority':1,'content':{'deviceContent':{");
	for (int i = 0; i < 25; i++)
		buf_printf(&low, "%s'properties.desired.p%d':1", i > 0 ? "," : "", i);
	buf_cstr(&low, "}}}");
	buf_putc(&low, '\0');
	buf_cstr(&high, low.p);
	high.p[strlen("{'targetCondition':'*','priority':")] = '2';
	buf_putc(&high, '\0');
	put(&k, "low", NULL, low.p);
	put(&k, "high", NULL, high.p);
	says(why_of(&k, "low", WHY_ALL), "],'moreReasons':5}");
	buf_fini(&low);
	buf_fini(&high);
	end(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(why__J65_a_path_is_owned_by_another),
		cmocka_unit_test(why__J65_applied_in_part),
		cmocka_unit_test(why__J64_states),
		cmocka_unit_test(why__J66_a_limit_would_be_passed),
		cmocka_unit_test(why__J66_it_would_make_room),
		cmocka_unit_test(why__J67_a_rollout_has_not_reached_it),
		cmocka_unit_test(why__J67_late),
		cmocka_unit_test(why__J65_deployments),
		cmocka_unit_test(why__J66_a_module_cannot_be_made),
		cmocka_unit_test(why__J65_at_most_twenty_reasons),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_fini(&answer);
	return failed;
}
