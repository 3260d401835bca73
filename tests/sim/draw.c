/* Values of a few kinds at a few paths, so that conditions meet them, and questions of every shape. */
#include "draw.h"
#include "query_draw.h"

static void
draw_begin(void)
{
	pool_used = tree_used = 0;
	wide = real_twins = true;
}

static void
put_member(struct buf *out, bool *first, const char *name, const struct val *v)
{
	buf_printf(out, "%s\"%s\":", *first ? "" : ",", name);
	if (v != NULL)
		val_json(out, v);
	else
		buf_cstr(out, "null");
	*first = false;
}

void
draw_tags(struct rnd *r, bool nulls, struct buf *out)
{
	uint32_t share = nulls ? 25 : 80;
	bool first = true;

	draw_begin();
	buf_putc(out, '{');
	for (size_t i = 0; i < sizeof(wide_names) / sizeof(wide_names[0]); i++)
		if (rnd_below(r, 100) < (wide_names[i][0] == 'r' ? 3 : share))
			put_member(out, &first, wide_names[i],
			    nulls && rnd_below(r, 5) == 0 ? NULL : wide_val(r, wide_names[i]));
	if (rnd_below(r, 3) == 0)
		put_member(out, &first, PICK(r, names), random_val(r, 2));
	buf_putc(out, '}');
}

void
draw_properties(struct rnd *r, bool nulls, struct buf *out)
{
	bool first = true;

	draw_begin();
	buf_putc(out, '{');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (rnd_below(r, 2))
			put_member(out, &first, names[i],
			    nulls && rnd_below(r, 5) == 0 ? NULL : random_val(r, 2));
	buf_putc(out, '}');
}

/* One that some devices meet and others do not. */
static void
usual_condition(struct rnd *r, struct buf *out)
{
	switch (rnd_below(r, 9)) {
	case 0: buf_printf(out, "tags.state = 's000%u'", rnd_below(r, 4)); break;
	case 1: buf_printf(out, "tags.level > %u", rnd_below(r, 100)); break;
	case 2: buf_printf(out, "tags.code >= 'c0%u'", rnd_below(r, 40)); break;
	case 3:
		buf_printf(out, "NOT IS_DEFINED(tags.%s) OR tags.flag = true", PICK(r, wide_names));
		break;
	case 4:
		buf_printf(out, "properties.desired.%s = properties.reported.%s", PICK(r, names),
		    PICK(r, names));
		break;
	case 5: buf_cstr(out, "status = 'enabled' AND connectionState = 'Disconnected'"); break;
	case 6: buf_printf(out, "IS_CONVERGED() OR tags.temp < %u", rnd_below(r, 9000)); break;
	case 7: buf_printf(out, "version > %u", rnd_below(r, 9)); break;
	default: buf_printf(out, "tags.serial >= 's%u'", rnd_below(r, 8)); break;
	}
}

void
draw_condition(struct rnd *r, struct buf *out)
{
	draw_begin();
	if (rnd_below(r, 2) == 0)
		usual_condition(r, out);
	else
		tree_text(out, random_tree(r, 1 + (int)rnd_below(r, 3)));
}

void
draw_query(struct rnd *r, struct buf *out)
{
	static const char *const of_jobs[] = { "SELECT * FROM devices.jobs",
		"SELECT * FROM devices.jobs WHERE devices.jobs.status = 'completed'",
		"SELECT * FROM jobs" };
	struct buf text = { 0 }, tail = { 0 };

	draw_begin();
	if (rnd_below(r, 16) == 0) {
		buf_cstr(out, PICK(r, of_jobs));
	} else if (rnd_below(r, 2) == 0) {
		random_query(r, &text);
		buf_str(out, (struct str){ text.p, text.n - 1 }); /* without the NUL */
	} else {
		buf_cstr(out, "SELECT ");
		random_list(r, out, &tail);
		buf_cstr(out, rnd_below(r, 6) == 0 ? " FROM devices.modules" : " FROM devices");
		buf_cstr(out, " WHERE ");
		usual_condition(r, out);
		buf_str(out, buf_view(&tail));
	}
	buf_fini(&text);
	buf_fini(&tail);
}

void
draw_quoted(struct str s, struct buf *out)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (char_among(s.p[i], "\"\\"))
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
	buf_putc(out, '"');
}
