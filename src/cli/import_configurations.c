/* Lines {"configuration":{...}} of an import: created one by one by the service API, for they are no identities. */
#include "cli/import.h"

struct sending {
	const struct target *t;
	struct doc_parser *parser;
	struct buf doc, json, errors;
	uint64_t done, there, failed;
	struct answer answer;
	char *why;
};

static void
refuse(struct sending *s, uint64_t line, struct str id, const char *why)
{
	struct out o = out_next(&s->errors);

	s->failed++;
	out_open(&o);
	out_u64(out_key(&o, "line"), line);
	out_some_str(&o, "configuration", id);
	out_cstr(out_key(&o, "errorStatus"), why);
	out_close(&o);
}

/* Nothing, null, and an empty text or object are the same. */
static bool
is_empty(struct doc d)
{
	enum doc_kind kind = doc_kind(d);

	return kind == DOC_UNDEFINED || kind == DOC_NULL ||
	    (kind == DOC_STRING && doc_str(d).n == 0) || (kind == DOC_OBJECT && doc_count(d) == 0);
}

static bool
same_value(struct doc a, struct doc b)
{
	return is_empty(a) ? is_empty(b) : doc_equal(a, b);
}

/* Parts of the content that are there and empty count as nothing, too. */
static bool
same_content(struct doc a, struct doc b)
{
	static const char *const parts[] = { "deviceContent", "moduleContent", "modulesContent" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!same_value(doc_get(a, str_of(parts[i])), doc_get(b, str_of(parts[i]))))
			return false;
	return true;
}

static bool
same_configuration(struct doc a, struct doc b)
{
	return same_content(doc_getc(a, "content"), doc_getc(b, "content")) &&
	    same_value(doc_getc(a, "targetCondition"), doc_getc(b, "targetCondition")) &&
	    same_value(doc_getc(a, "priority"), doc_getc(b, "priority")) &&
	    same_value(doc_getc(a, "labels"), doc_getc(b, "labels")) &&
	    same_value(doc_getc(doc_getc(a, "metrics"), "queries"),
	        doc_getc(doc_getc(b, "metrics"), "queries"));
}

/* The hub is away, or busy: the same may work in a moment. */
static bool
worth_another(int code, int status)
{
	return code == EXIT_UNREACHABLE || status == 503 || status == 429;
}

static int
exists(struct sending *s, const char *path, struct doc wanted, uint64_t line, struct str id)
{
	int code = hub_try(s->t, &(struct ask){ .method = GET, .path = path }, &s->answer, s->why);

	if (worth_another(code, s->answer.status))
		return code;
	if (code == EXIT_DONE && same_configuration(wanted, doc_of(buf_view(&s->answer.doc)))) {
		s->done++;
		s->there++;
	} else {
		refuse(s, line, id,
		    code == EXIT_DONE
		        ? "ConfigurationAlreadyExists: the hub has it with another content, "
		          "condition, priority, labels or metrics"
		        : s->why);
	}
	return EXIT_DONE;
}

static int
put(struct sending *s, struct doc wanted, uint64_t line, struct str id)
{
	struct buf path = { 0 };
	int code;

	path_of(&path, "/configurations/", id);
	s->json.n = 0;
	doc_write_json(&s->json, wanted);
	code = hub_try(s->t,
	    &(struct ask){ .method = PUT, .path = path.p, .body = buf_view(&s->json) }, &s->answer,
	    s->why);
	if (code == EXIT_CONFLICT) {
		code = exists(s, path.p, wanted, line, id);
	} else if (code == EXIT_DONE) {
		s->done++;
	} else if (!worth_another(code, s->answer.status)) {
		refuse(s, line, id, s->why);
		code = EXIT_DONE;
	}
	buf_fini(&path);
	return code;
}

static int
line_send(struct sending *s, struct str text, uint64_t line)
{
	struct doc_parsed info;
	struct fault f = { 0 };
	struct doc wanted, id;

	s->doc.n = 0;
	if (doc_parse(s->parser, text, &s->doc, &info, &f) != ERR_OK) {
		refuse(s, line, STR_NONE, f.text);
		return EXIT_DONE;
	}
	wanted = doc_getc(doc_of(buf_view(&s->doc)), "configuration");
	id = doc_getc(wanted, "id");
	if (doc_kind(id) != DOC_STRING || doc_str(id).n == 0) {
		refuse(s, line, STR_NONE,
		    "ArgumentInvalid: configuration.id is missing, or no string");
		return EXIT_DONE;
	}
	return put(s, wanted, line, doc_str(id));
}

int
configurations_send(const struct target *t, struct str lines, uint64_t first_line,
    struct answer *out, char why[WHY_MAX])
{
	struct sending s = { .t = t, .parser = doc_parser_new(IMPORT_LINE_MAX), .why = why };
	struct str line, rest = lines;
	struct out o;
	int code = EXIT_DONE;

	for (uint64_t n = first_line; rest.n > 0 && code == EXIT_DONE; n++) {
		str_cut(rest, '\n', &line, &rest);
		if (line.n > 0)
			code = line_send(&s, line, n);
	}
	answer_fini(out);
	out->status = code == EXIT_DONE ? 200 : s.answer.status;
	o = out_to(&out->body);
	out_open(&o);
	out_u64(out_key(&o, "done"), s.done);
	out_u64(out_key(&o, "there"), s.there);
	out_u64(out_key(&o, "failed"), s.failed);
	out_list(out_key(&o, "errors"));
	out_json(&o, buf_view(&s.errors));
	out_close(&o);
	out_close(&o);
	answer_parse(out);
	buf_fini(&s.doc);
	buf_fini(&s.json);
	buf_fini(&s.errors);
	answer_fini(&s.answer);
	doc_parser_free(s.parser);
	return code;
}
