# shellcheck shell=bash
# Shared by up, check and scripts/setup: bash, sourced. The caller has done `cd` to the repository.

TWINHUB_PORT=443

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
die() {
	printf '%s\n' "$*" >&2
	exit 1
}

# Run a command with a time limit in seconds; a command that hangs ends with code 124 and a word about it.
limited() {
	local seconds=$1 code=0
	shift
	timeout --kill-after=15 "$seconds" "$@" || code=$?
	[ "$code" -ne 124 ] && [ "$code" -ne 137 ] || printf 'stopped after %s s: %s\n' "$seconds" "$*" >&2
	return "$code"
}

# Seconds since 1970 that what is made of this tree bears: SOURCE_DATE_EPOCH, else the last commit's; of an archive of the source, all of whose files
# have that time, a file's.
source_time() {
	if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
		echo "$SOURCE_DATE_EPOCH"
	elif [ -e .git ]; then
		git log -1 --format=%ct
	else
		stat -c %Y CMakeLists.txt
	fi
}

# Do programs of this user get ports below 1024? The capability's number is 10 (CAP_NET_BIND_SERVICE).
may_bind_443() {
	local capabilities first_free
	capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
	[ $(((0x${capabilities:-0} >> 10) & 1)) -eq 1 ] && return 0
	first_free=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || echo 1024)
	[ "$first_free" -le "$TWINHUB_PORT" ] && return 0
	PATH="$PATH:/usr/sbin:/sbin" getcap build/release/bin/twinhub 2>/dev/null | grep -q cap_net_bind_service
}

explain_443() {
	cat >&2 <<-'TEXT'
	The Azure SDKs dial port 443 (back ends, WebSocket) and 8883 (devices) and no others, so twinhub must be
	allowed to listen on 443. This user is not. Any one of these grants it:

	  sudo sysctl -w net.ipv4.ip_unprivileged_port_start=443
	      for every program of every user, until the next start of the machine; to keep it:
	      echo net.ipv4.ip_unprivileged_port_start=443 | sudo tee /etc/sysctl.d/50-twinhub.conf

	  scripts/setup --build && sudo setcap cap_net_bind_service=+ep build/release/bin/twinhub
	      for this program only; again after each build

	Then run this command again.
	TEXT
}
