/* method invoke: ask a device or module, and print its answer. */
#include "cli/priv.h"

#include <stdio.h>

#define SPARE_S 30 /* for what is not the device's: the connection, TLS, the hub */

int
method_payload_take(const struct args *a, struct out *o)
{
	const char *text = a->option[OPT_PAYLOAD], *file = a->option[OPT_FILE];
	struct buf doc = { 0 };
	int code = EXIT_DONE;

	if (text != NULL && file != NULL)
		return cli_fail(EXIT_USAGE, "--payload and --file are both given");
	if (text != NULL)
		code = json_take(str_of(text), "--payload", &doc);
	else if (file != NULL)
		code = json_take_file(file, &doc);
	if (code == EXIT_DONE) /* null is said, for no byte at all is no JSON to some SDKs */
		out_doc(out_key(o, "payload"), doc.n > 0 ? doc_of(buf_view(&doc)) : DOC_NONE);
	buf_fini(&doc);
	return code;
}

/* *wait_s: how long the device may take in all. */
static int
method_body(struct buf *json, const struct args *a, uint64_t *wait_s)
{
	uint64_t response_s = a->number[OPT_METHOD_TIMEOUT],
	         connect_s = a->number[OPT_CONNECT_TIMEOUT];
	struct str name = str_of(a->operand[1]);
	struct out o = out_to(json);
	int code;

	if (!utf8_valid(name))
		return cli_fail(EXIT_USAGE, "the method's name is not UTF-8");
	out_open(&o);
	out_str_or_null(out_key(&o, "methodName"), name);
	out_u64(out_key(&o, "responseTimeoutInSeconds"), response_s);
	out_u64(out_key(&o, "connectTimeoutInSeconds"), connect_s);
	code = method_payload_take(a, &o);
	out_close(&o);
	*wait_s = response_s + connect_s;
	return code;
}

static int
method_call(const struct args *a, const struct ask *ask, uint64_t wait_s)
{
	struct answer answer = { 0 };
	struct target t;
	int code;

	code = target_open(a, &t);
	t.timeout_s = wait_s + SPARE_S;
	if (code != EXIT_DONE)
		goto done;
	if ((code = hub_call(&t, ask, &answer)) != EXIT_DONE)
		goto done;
	show_record(a, doc_of(buf_view(&answer.doc)));
done:
	answer_fini(&answer);
	target_fini(&t);
	return code;
}

int
cli_method_invoke(const struct args *a)
{
	struct buf path = { 0 }, body = { 0 };
	struct subject s;
	uint64_t wait_s = 0;
	int code;

	if (subject_of(a->operand[0], a->option[OPT_MODULE], &s) != EXIT_DONE)
		return EXIT_USAGE;
	subject_path(&path, "/twins/", s, "/methods");
	code = method_body(&body, a, &wait_s);
	if (code == EXIT_DONE)
		code = method_call(a,
		    &(struct ask){ .method = POST, .path = path.p, .body = buf_view(&body) },
		    wait_s);
	buf_fini(&path);
	buf_fini(&body);
	return code;
}
