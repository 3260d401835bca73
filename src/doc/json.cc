/*
 * The one C++ file: simdjson reads JSON text, std::to_chars prints doubles; C17 has no shortest round trip. Its face is C
 * (priv.h), no exception leaves it and none is made: it is built with -fno-exceptions -fno-rtti.
 *
 * The tape of simdjson is walked once and written straight into the encoding. The output is reserved for the worst case
 * before, so the walk writes through a bare pointer.
 */
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <simdjson.h>

#include "doc/priv.h"

namespace dom = simdjson::dom;

struct json {
	explicit json(size_t max_bytes) noexcept : parser(max_bytes)
	{
	}
	dom::parser parser;
	struct keys keys = {};
};

namespace
{

/* What simdjson has room for at first; it grows to the longest text seen. */
constexpr size_t capacity_least = 1024;

struct walk {
	struct keys *keys;
	uint32_t nduplicate = 0;
	enum err status = ERR_OK;

	uint8_t *put(uint8_t *p, dom::element e) noexcept;
	uint8_t *put_array(uint8_t *p, dom::array a) noexcept;
	uint8_t *put_object(uint8_t *p, dom::object o) noexcept;
	uint8_t *text(uint8_t *p, std::string_view s) noexcept;
	uint8_t *close(uint8_t *tag, uint8_t *p, enum doc_kind kind) noexcept;
};

uint8_t *
walk::text(uint8_t *p, std::string_view s) noexcept
{
	if (s.size() > DOC_PAYLOAD_MAX) {
		status = ERR_SIZE;
		return p;
	}
	return put_str(p, s.data(), s.size());
}

uint8_t *
walk::close(uint8_t *tag, uint8_t *p, enum doc_kind kind) noexcept
{
	if (static_cast<size_t>(p - tag) - HEAD_GUESS > DOC_PAYLOAD_MAX) {
		status = ERR_SIZE;
		return p;
	}
	return put_end(tag, p, kind);
}

uint8_t *
walk::put_array(uint8_t *p, dom::array a) noexcept
{
	uint8_t *tag = p;

	p += HEAD_GUESS;
	for (dom::element e : a)
		p = put(p, e);
	return close(tag, p, DOC_ARRAY);
}

uint8_t *
walk::put_object(uint8_t *p, dom::object o) noexcept
{
	uint8_t *tag = p;
	uint32_t n = 0;

	p += HEAD_GUESS;
	for (dom::key_value_pair member : o) {
		p = put(text(p, member.key), member.value);
		n++;
	}
	if (n > 1 && status == ERR_OK)
		nduplicate += keys_repeated(keys, tag + HEAD_GUESS, p, n);
	return close(tag, p, DOC_OBJECT);
}

uint8_t *
walk::put(uint8_t *p, dom::element e) noexcept
{
	switch (e.type()) {
	case dom::element_type::ARRAY:
		return put_array(p, dom::array(e.get_array().value_unsafe()));
	case dom::element_type::OBJECT:
		return put_object(p, dom::object(e.get_object().value_unsafe()));
	case dom::element_type::STRING: return text(p, e.get_string().value_unsafe());
	case dom::element_type::INT64: return put_int(p, e.get_int64().value_unsafe());
	case dom::element_type::DOUBLE: return put_double(p, e.get_double().value_unsafe());
	case dom::element_type::BOOL:
		*p = e.get_bool().value_unsafe() ? DOC_TRUE : DOC_FALSE;
		return p + 1;
	case dom::element_type::NULL_VALUE: *p = DOC_NULL; return p + 1;
	case dom::element_type::UINT64: break; /* at least 2^63: the smaller ones are INT64 */
	}
	status = ERR_SYNTAX;
	return p;
}

} // namespace

extern "C" struct json *
json_new(size_t max_bytes)
{
	void *p = xmalloc(sizeof(struct json));

	return new (p) json(max_bytes < capacity_least ? capacity_least : max_bytes);
}

extern "C" void
json_free(struct json *j)
{
	if (j == nullptr)
		return;
	keys_fini(&j->keys);
	j->~json();
	free(j);
}

extern "C" enum err
json_encode(struct json *j, struct str text, struct buf *out, uint32_t *nduplicate)
{
	dom::element root;
	simdjson::error_code refused;
	walk w = { &j->keys };
	uint8_t *start, *end;

	/* At the first text only: the depth is kept when the capacity grows. */
	if (j->parser.max_depth() != DOC_DEPTH_MAX &&
	    j->parser.allocate(capacity_least, DOC_DEPTH_MAX))
		out_of_memory(capacity_least);
	refused = j->parser.parse(text.p, text.n).get(root);
	if (refused == simdjson::MEMALLOC) /* no fault of the text */
		out_of_memory(text.n);
	if (refused)
		return refused == simdjson::CAPACITY ? ERR_SIZE : ERR_SYNTAX;
	/* The worst of all texts is an array of doubles like 1e1: nine bytes for four characters. */
	buf_reserve(out, text.n / 4 * 9 + 32);
	start = reinterpret_cast<uint8_t *>(out->p) + out->n;
	end = w.put(start, root);
	if (w.status != ERR_OK)
		return w.status;
	out->n += static_cast<size_t>(end - start);
	*nduplicate = w.nduplicate;
	return ERR_OK;
}

extern "C" size_t
json_double(double v, char out[JSON_DOUBLE_MAX])
{
	double magnitude = std::fabs(v);
	bool plain = magnitude == 0 || (magnitude >= 1e-5 && magnitude < 1e15);
	auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
	char *end = std::to_chars(out, out + JSON_DOUBLE_MAX - 2, v, format).ptr;

	if (plain && std::memchr(out, '.', static_cast<size_t>(end - out)) == nullptr) {
		*end++ = '.';
		*end++ = '0';
	}
	return static_cast<size_t>(end - out);
}
