#include "task/samples.h"

void
samples_fini(struct samples *s)
{
	buf_fini(&s->text);
	buf_fini(&s->marks);
}

void
samples_ends(struct samples *s, uint32_t shard, size_t begun)
{
	begun += begun > 0; /* a comma */
	buf_varint(&s->marks, shard);
	buf_varint(&s->marks, s->text.n - begun);
}

void
samples_put(const struct samples *s, struct buf *out)
{
	buf_lstr(out, buf_view(&s->marks));
	buf_str(out, buf_view(&s->text));
}

/* The one that is next; false: there is none, or what there is makes none (bad). */
struct cursor {
	struct rd marks, text;
	uint64_t shard, bytes;
	bool there;
};

static void
next(struct cursor *c)
{
	c->there = c->marks.p < c->marks.end;
	if (!c->there)
		return;
	c->shard = rd_varint(&c->marks);
	c->bytes = rd_varint(&c->marks);
}

static struct cursor
cursor_of(struct str marks, struct str text)
{
	struct cursor c = { rd_of(marks), rd_of(text), 0, 0, false };

	next(&c);
	return c;
}

static void
move(struct samples *to, struct cursor *from)
{
	size_t begun = to->text.n;
	struct str one = rd_bytes(&from->text, (size_t)from->bytes);

	if (from->text.bad || from->marks.bad)
		return;
	if (begun > 0)
		buf_putc(&to->text, ',');
	buf_str(&to->text, one);
	samples_ends(to, (uint32_t)from->shard, begun);
	if (from->text.p < from->text.end)
		(void)rd_u8(&from->text); /* the comma */
	next(from);
}

enum err
samples_take(struct samples *s, struct str part, unsigned most, size_t most_bytes)
{
	struct rd rd = rd_of(part);
	struct str marks = rd_lstr(&rd), text = { (const char *)rd.p, (size_t)(rd.end - rd.p) };
	struct cursor mine = cursor_of(buf_view(&s->marks), buf_view(&s->text)),
	              other = cursor_of(marks, text);
	struct samples all = { 0 };

	for (unsigned n = 0; (mine.there || other.there) && n < most && all.text.n < most_bytes;
	     n++) {
		bool from_other = other.there && (!mine.there || other.shard < mine.shard);

		move(&all, from_other ? &other : &mine);
		if (other.text.bad || other.marks.bad)
			break;
	}
	samples_fini(s);
	*s = all;
	return rd.bad || other.text.bad || other.marks.bad ? ERR_CORRUPT : ERR_OK;
}
