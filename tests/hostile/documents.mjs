// JSON that no section of a twin takes, as [name, text or bytes, error number]. Used as a reported patch over MQTT
// and inside a desired patch over HTTPS. Rules: twins.md, section 6.
const repeat = (text, n) => Array(n).fill(text).join(',');
const nested = (open, close, n) => open.repeat(n) + close.repeat(n);
const objects = (n) => '{"a":'.repeat(n) + '1' + '}'.repeat(n);

const FORMAT = 400006; // IotHubFormatError: not JSON
const INVALID = 400004; // ArgumentInvalid: JSON that breaks a rule
const LARGE = 403100; // DeviceModelMaxPropertiesExceeded: a section over its size

export const malformed = [
	['an object that does not end', '{', FORMAT],
	['a member without value', '{"a":}', FORMAT],
	['a member without colon', '{"a" 1}', FORMAT],
	['a key without quotes', '{a:1}', FORMAT],
	['quotes of the wrong kind', "{'a':1}", FORMAT],
	['a comma before the end', '{"a":1,}', FORMAT],
	['a comma in an array before the end', '{"a":[1,]}', FORMAT],
	['two commas', '{"a":1,,"b":2}', FORMAT],
	['a leading zero', '{"a":01}', FORMAT],
	['a number that ends in a point', '{"a":1.}', FORMAT],
	['a plus sign', '{"a":+1}', FORMAT],
	['hexadecimal', '{"a":0x10}', FORMAT],
	['NaN', '{"a":NaN}', FORMAT],
	['Infinity', '{"a":-Infinity}', FORMAT],
	['a misspelt literal', '{"a":nul}', FORMAT],
	['a comment', '{"a":1/* x */}', FORMAT],
	['a string that does not end', '{"a":"x}', FORMAT],
	['a raw control character in a string', '{"a":"\u0001"}', FORMAT],
	['a raw line break in a string', '{"a":"x\ny"}', FORMAT],
	['an unknown escape', '{"a":"\\q"}', FORMAT],
	['a lone high surrogate', '{"a":"\\ud800"}', FORMAT],
	['a lone low surrogate', '{"a":"\\udc00x"}', FORMAT],
	['a short unicode escape', '{"a":"\\u12"}', FORMAT],
	['invalid UTF-8', Buffer.from('7b2261223a22c328227d', 'hex'), FORMAT],
	['overlong UTF-8', Buffer.from('7b2261223a22c0af227d', 'hex'), FORMAT],
	['a surrogate in UTF-8', Buffer.from('7b2261223a22eda080227d', 'hex'), FORMAT],
	['a cut UTF-8 character', Buffer.from('7b2261223a22e282', 'hex'), FORMAT],
	['a NUL byte', Buffer.from('7b2261223a310000', 'hex'), FORMAT],
	['brackets that do not match', '{"a":[1}]', FORMAT],
];

// Only as a whole text: inside another document they would be something else.
export const malformedWhole = [
	['two documents', '{}{}', FORMAT],
	['text behind the end', '{} x', FORMAT],
	['only blanks', '   ', FORMAT],
	['UTF-16', Buffer.from('{"a":1}', 'utf16le'), FORMAT],
];

export const notObjects = [
	['an array', '[]', INVALID],
	['a number', '1', INVALID],
	['a string', '"x"', INVALID],
	['true', 'true', INVALID],
];

export const badKeys = [
	['a key with a point', '{"a.b":1}', INVALID],
	['a key with a dollar sign', '{"$a":1}', INVALID],
	['a dollar sign inside a key', '{"a$b":1}', INVALID],
	['a key with a blank', '{"a b":1}', INVALID],
	['an empty key', '{"":1}', INVALID],
	['a key with a C0 control character', '{"a\\u0007":1}', INVALID],
	['a key with a C1 control character', '{"a\\u0085":1}', INVALID],
	['a key with DEL', '{"a\\u007f":1}', INVALID],
	['a key of 1,025 bytes', `{"${'k'.repeat(1025)}":1}`, INVALID],
	['a key of 1,026 bytes in two-byte characters', `{"${'é'.repeat(513)}":1}`, INVALID],
	['a bad key three levels down', '{"a":{"b":{"c.d":1}}}', INVALID],
	['a bad key in an array', '{"a":[{"b c":1}]}', INVALID],
	['a bad key whose value deletes', '{"a.b":null}', INVALID],
	['a bad key that a duplicate overwrites', '{"a":{"x.y":1},"a":2}', INVALID],
	['$version below the root', '{"a":{"$version":3}}', INVALID],
	['$metadata below the root', '{"a":{"$metadata":{}}}', INVALID],
];

export const badValues = [
	['an integer of 2^52', '{"a":4503599627370496}', INVALID],
	['an integer below -2^52', '{"a":-4503599627370497}', INVALID],
	['an integer of 64 bits', '{"a":9223372036854775807}', INVALID],
	['an integer over 64 bits', '{"a":99999999999999999999}', INVALID],
	['a number over a double', '{"a":1e400}', INVALID],
	['an integer of 300 digits', `{"a":${'9'.repeat(300)}}`, INVALID],
	['a big integer in an array', '{"a":[1,4503599627370496]}', INVALID],
	['a string of 4,097 bytes', `{"a":"${'x'.repeat(4097)}"}`, INVALID],
	['a string of 4,098 bytes in two-byte characters', `{"a":"${'é'.repeat(2049)}"}`, INVALID],
	['a long string in an array', `{"a":["${'x'.repeat(4097)}"]}`, INVALID],
	['null in an array', '{"a":[1,null]}', INVALID],
	['null in an object in an array', '{"a":[{"b":null}]}', INVALID],
	['null in an array in an array', '{"a":[[null]]}', INVALID],
	['eleven levels of objects', objects(12), INVALID],
	['eleven levels of arrays', `{"a":${nested('[', ']', 11)}}`, INVALID],
	['fifty levels', objects(50), INVALID],
	['a thousand levels', objects(1000), INVALID],
	['30,000 arrays in each other', `{"a":${nested('[', ']', 30_000)}}`, INVALID],
	['a section over its size by one string', `{${Array.from({ length: 9 }, (_, i) => `"s${i}":"${'x'.repeat(4000)}"`).join(',')}}`, LARGE],
	['5,000 keys with numbers, over the size', `{${Array.from({ length: 5000 }, (_, i) => `"${i.toString(36)}":1`).join(',')}}`, LARGE],
	['an array of 5,000 numbers', `{"a":[${repeat('1', 5000)}]}`, LARGE],
	['a string of 100,000 control characters, which count nothing', `{"a":"${'\u0080'.repeat(100_000)}"}`, LARGE],
];

export const allBad = [...malformed, ...notObjects, ...badKeys, ...badValues];
