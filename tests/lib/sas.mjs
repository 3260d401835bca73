// Shared access signatures (docs/spec/device-mqtt.md 2.3) and connection strings.
import { createHmac } from 'node:crypto';
import { keepSecret } from './secrets.mjs';

// "HostName=..;SharedAccessKey=.." as an object; values may contain "=".
export function parseConnectionString(text) {
	return Object.fromEntries(text.trim().split(';').filter(Boolean).map((part) => {
		const at = part.indexOf('=');
		return [part.slice(0, at), part.slice(at + 1)];
	}));
}

// The signature itself: base64, not URL-encoded.
export function sasSignature(sr, se, key) {
	const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
	keepSecret(key);
	keepSecret(signature);
	return signature;
}

// A token.
//   resource  host or host/devices/id, plain
//   key       base64
//   policy    skn; none for a device's own key
//   expires   seconds since 1970, or ttl seconds from now
//   sr        the resource exactly as it shall be sent; default: percent-encoded resource
//   order     order of the fields
export function sasToken({ resource, key, policy, ttl = 3600, expires = Math.floor(Date.now() / 1000) + ttl,
	sr = encodeURIComponent(resource), order = ['sr', 'sig', 'se', 'skn'] }) {
	const fields = { sr, sig: encodeURIComponent(sasSignature(sr, expires, key)), se: String(expires) };
	if (policy !== undefined) fields.skn = encodeURIComponent(policy);
	return 'SharedAccessSignature ' + order.filter((name) => name in fields).map((name) => `${name}=${fields[name]}`).join('&');
}
