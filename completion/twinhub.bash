# Completion of twinhub for bash. Made by `twinhub completion bash`.

_twinhub_words() {
	case $1 in
	'') echo 'help completion serve wait stop device module method message twin configuration job query monitor statistics policy connection-string sas backup export import migrate diff restore check ca' ;;
	completion) echo 'bash zsh' ;;
	device) echo 'create show list update delete' ;;
	module) echo 'create show list update delete' ;;
	method) echo 'invoke' ;;
	message) echo 'send purge feedback' ;;
	twin) echo 'show convergence update replace' ;;
	configuration) echo 'create show list why update delete halt resume advance rollback' ;;
	job) echo 'create show list cancel results' ;;
	policy) echo 'show rotate reset' ;;
	ca) echo 'renew' ;;
	esac
}
_twinhub_options() {
	case $1 in
	'serve') echo '--help --data --background --check --hostname --bind --mqtts-port --https-port --mqtt-port --cert --key --client-ca --memory --workers --io-threads --max-devices --max-connections --max-connections-per-address --address-free --proxy --connect-timeout --request-timeout --query-timeout --token-skew --max-token-ttl --log-max-size --log-max-age --changes-max-size --changes-max-age --free-space --scrub-rate --verify --rate-limit --import-export-dir --log-file --log-level --tls-legacy --strict-queries' ;;
	'wait') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'stop') echo '--help --data --timeout --json --table' ;;
	'device create') echo '--help --data --connection-string --ca --timeout --json --table --status-reason --disabled --edge --primary-key --secondary-key --thumbprint --secondary-thumbprint --x509-ca' ;;
	'device show') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'device list') echo '--help --data --connection-string --ca --timeout --json --table --csv --page-size' ;;
	'device update') echo '--help --data --connection-string --ca --timeout --json --table --status --status-reason --primary-key --secondary-key --thumbprint --secondary-thumbprint --x509-ca --etag' ;;
	'device delete') echo '--help --data --connection-string --ca --timeout --json --table --etag' ;;
	'module create') echo '--help --data --connection-string --ca --timeout --json --table --primary-key --secondary-key --thumbprint --secondary-thumbprint --x509-ca' ;;
	'module show') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'module list') echo '--help --data --connection-string --ca --timeout --json --table --csv' ;;
	'module update') echo '--help --data --connection-string --ca --timeout --json --table --primary-key --secondary-key --thumbprint --secondary-thumbprint --x509-ca --etag' ;;
	'module delete') echo '--help --data --connection-string --ca --timeout --json --table --etag' ;;
	'method invoke') echo '--help --data --connection-string --ca --timeout --json --table --module --payload --connect-timeout --file' ;;
	'message send') echo '--help --data --connection-string --ca --timeout --text --properties --message-id --correlation-id --content-type --ack --expires-in --file' ;;
	'message purge') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'message feedback') echo '--help --data --connection-string --ca --timeout --json --table --keep' ;;
	'twin show') echo '--help --data --connection-string --ca --timeout --json --table --module' ;;
	'twin convergence') echo '--help --data --connection-string --ca --timeout --json --table --module' ;;
	'twin update') echo '--help --data --connection-string --ca --timeout --json --table --module --etag --tags --desired --file' ;;
	'twin replace') echo '--help --data --connection-string --ca --timeout --json --table --module --etag --tags --desired --file' ;;
	'configuration create') echo '--help --data --connection-string --ca --timeout --json --table --file --condition --priority --labels --dry-run' ;;
	'configuration show') echo '--help --data --connection-string --ca --timeout --json --table --watch --until-applied' ;;
	'configuration list') echo '--help --data --connection-string --ca --timeout --json --table --csv' ;;
	'configuration why') echo '--help --data --connection-string --ca --timeout --json --table --csv --module --state' ;;
	'configuration update') echo '--help --data --connection-string --ca --timeout --json --table --etag --file --condition --priority --labels --dry-run' ;;
	'configuration delete') echo '--help --data --connection-string --ca --timeout --json --table --etag' ;;
	'configuration halt') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'configuration resume') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'configuration advance') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'configuration rollback') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'job create') echo '--help --data --connection-string --ca --timeout --json --table --payload --text --properties --message-id --correlation-id --content-type --ack --expires-in --connect-timeout --tags --desired --file --condition --patch --method --response-timeout --start --max-time --rate --dry-run' ;;
	'job show') echo '--help --data --connection-string --ca --timeout --json --table --watch' ;;
	'job list') echo '--help --data --connection-string --ca --timeout --json --table --csv --status --page-size --type' ;;
	'job cancel') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'job results') echo '--help --data --connection-string --ca --timeout --json --table --csv --status --page-size' ;;
	'query') echo '--help --data --connection-string --ca --timeout --json --table --csv --explain --watch --page-size' ;;
	'monitor') echo '--help --data --connection-string --ca --timeout --json --table --module --device --source --path --where --from --no-follow' ;;
	'statistics') echo '--help --data --connection-string --ca --timeout --json --table --columns --store --messages' ;;
	'policy show') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'policy rotate') echo '--help --data --connection-string --ca --timeout --json --table --key' ;;
	'policy reset') echo '--help --data --json --table' ;;
	'connection-string') echo '--help --data --connection-string --ca --timeout --module --policy --device --key --hostname' ;;
	'sas') echo '--help --data --connection-string --ca --timeout --module --policy --device --key --hostname --ttl --resource' ;;
	'backup') echo '--help --data --connection-string --ca --timeout --json --table' ;;
	'export') echo '--help --data --connection-string --ca --timeout --json --table --resume --no-keys' ;;
	'import') echo '--help --data --connection-string --ca --timeout --json --table --dry-run --resume --yes --mode' ;;
	'migrate') echo '--help --timeout --json --table --rate --resume --no-keys --from --from-ca' ;;
	'diff') echo '--help --data --connection-string --ca --timeout --json --table --rate --no-keys --from --from-ca' ;;
	'restore') echo '--help --data --json --table' ;;
	'check') echo '--help --data --json --table' ;;
	'ca renew') echo '--help --data --json --table --new-key' ;;
	esac
}
# What the value of an option is; fails where it takes none.
_twinhub_value() {
	case $1 in
	'serve --data') echo -d ;;
	'serve --hostname')  ;;
	'serve --bind')  ;;
	'serve --mqtts-port')  ;;
	'serve --https-port')  ;;
	'serve --mqtt-port')  ;;
	'serve --cert') echo -f ;;
	'serve --key') echo -f ;;
	'serve --client-ca') echo -f ;;
	'serve --memory')  ;;
	'serve --workers')  ;;
	'serve --io-threads')  ;;
	'serve --max-devices')  ;;
	'serve --max-connections')  ;;
	'serve --max-connections-per-address')  ;;
	'serve --address-free')  ;;
	'serve --proxy')  ;;
	'serve --connect-timeout')  ;;
	'serve --request-timeout')  ;;
	'serve --query-timeout')  ;;
	'serve --token-skew')  ;;
	'serve --max-token-ttl')  ;;
	'serve --log-max-size')  ;;
	'serve --log-max-age')  ;;
	'serve --changes-max-size')  ;;
	'serve --changes-max-age')  ;;
	'serve --free-space')  ;;
	'serve --scrub-rate')  ;;
	'serve --rate-limit')  ;;
	'serve --import-export-dir') echo -d ;;
	'serve --log-file') echo -f ;;
	'serve --log-level') echo -W 'error warn info debug' ;;
	'wait --data') echo -d ;;
	'wait --connection-string')  ;;
	'wait --ca') echo -f ;;
	'wait --timeout')  ;;
	'stop --data') echo -d ;;
	'stop --timeout')  ;;
	'device create --data') echo -d ;;
	'device create --connection-string')  ;;
	'device create --ca') echo -f ;;
	'device create --timeout')  ;;
	'device create --status-reason')  ;;
	'device create --primary-key')  ;;
	'device create --secondary-key')  ;;
	'device create --thumbprint')  ;;
	'device create --secondary-thumbprint')  ;;
	'device show --data') echo -d ;;
	'device show --connection-string')  ;;
	'device show --ca') echo -f ;;
	'device show --timeout')  ;;
	'device list --data') echo -d ;;
	'device list --connection-string')  ;;
	'device list --ca') echo -f ;;
	'device list --timeout')  ;;
	'device list --page-size')  ;;
	'device update --data') echo -d ;;
	'device update --connection-string')  ;;
	'device update --ca') echo -f ;;
	'device update --timeout')  ;;
	'device update --status') echo -W 'enabled disabled' ;;
	'device update --status-reason')  ;;
	'device update --primary-key')  ;;
	'device update --secondary-key')  ;;
	'device update --thumbprint')  ;;
	'device update --secondary-thumbprint')  ;;
	'device update --etag')  ;;
	'device delete --data') echo -d ;;
	'device delete --connection-string')  ;;
	'device delete --ca') echo -f ;;
	'device delete --timeout')  ;;
	'device delete --etag')  ;;
	'module create --data') echo -d ;;
	'module create --connection-string')  ;;
	'module create --ca') echo -f ;;
	'module create --timeout')  ;;
	'module create --primary-key')  ;;
	'module create --secondary-key')  ;;
	'module create --thumbprint')  ;;
	'module create --secondary-thumbprint')  ;;
	'module show --data') echo -d ;;
	'module show --connection-string')  ;;
	'module show --ca') echo -f ;;
	'module show --timeout')  ;;
	'module list --data') echo -d ;;
	'module list --connection-string')  ;;
	'module list --ca') echo -f ;;
	'module list --timeout')  ;;
	'module update --data') echo -d ;;
	'module update --connection-string')  ;;
	'module update --ca') echo -f ;;
	'module update --timeout')  ;;
	'module update --primary-key')  ;;
	'module update --secondary-key')  ;;
	'module update --thumbprint')  ;;
	'module update --secondary-thumbprint')  ;;
	'module update --etag')  ;;
	'module delete --data') echo -d ;;
	'module delete --connection-string')  ;;
	'module delete --ca') echo -f ;;
	'module delete --timeout')  ;;
	'module delete --etag')  ;;
	'method invoke --data') echo -d ;;
	'method invoke --connection-string')  ;;
	'method invoke --ca') echo -f ;;
	'method invoke --timeout')  ;;
	'method invoke --module')  ;;
	'method invoke --payload')  ;;
	'method invoke --connect-timeout')  ;;
	'method invoke --file') echo -f ;;
	'message send --data') echo -d ;;
	'message send --connection-string')  ;;
	'message send --ca') echo -f ;;
	'message send --timeout')  ;;
	'message send --text')  ;;
	'message send --properties')  ;;
	'message send --message-id')  ;;
	'message send --correlation-id')  ;;
	'message send --content-type')  ;;
	'message send --ack') echo -W 'none positive negative full' ;;
	'message send --expires-in')  ;;
	'message send --file') echo -f ;;
	'message purge --data') echo -d ;;
	'message purge --connection-string')  ;;
	'message purge --ca') echo -f ;;
	'message purge --timeout')  ;;
	'message feedback --data') echo -d ;;
	'message feedback --connection-string')  ;;
	'message feedback --ca') echo -f ;;
	'message feedback --timeout')  ;;
	'twin show --data') echo -d ;;
	'twin show --connection-string')  ;;
	'twin show --ca') echo -f ;;
	'twin show --timeout')  ;;
	'twin show --module')  ;;
	'twin convergence --data') echo -d ;;
	'twin convergence --connection-string')  ;;
	'twin convergence --ca') echo -f ;;
	'twin convergence --timeout')  ;;
	'twin convergence --module')  ;;
	'twin update --data') echo -d ;;
	'twin update --connection-string')  ;;
	'twin update --ca') echo -f ;;
	'twin update --timeout')  ;;
	'twin update --module')  ;;
	'twin update --etag')  ;;
	'twin update --tags')  ;;
	'twin update --desired')  ;;
	'twin update --file') echo -f ;;
	'twin replace --data') echo -d ;;
	'twin replace --connection-string')  ;;
	'twin replace --ca') echo -f ;;
	'twin replace --timeout')  ;;
	'twin replace --module')  ;;
	'twin replace --etag')  ;;
	'twin replace --tags')  ;;
	'twin replace --desired')  ;;
	'twin replace --file') echo -f ;;
	'configuration create --data') echo -d ;;
	'configuration create --connection-string')  ;;
	'configuration create --ca') echo -f ;;
	'configuration create --timeout')  ;;
	'configuration create --file') echo -f ;;
	'configuration create --condition')  ;;
	'configuration create --priority')  ;;
	'configuration create --labels')  ;;
	'configuration show --data') echo -d ;;
	'configuration show --connection-string')  ;;
	'configuration show --ca') echo -f ;;
	'configuration show --timeout')  ;;
	'configuration show --watch')  ;;
	'configuration list --data') echo -d ;;
	'configuration list --connection-string')  ;;
	'configuration list --ca') echo -f ;;
	'configuration list --timeout')  ;;
	'configuration why --data') echo -d ;;
	'configuration why --connection-string')  ;;
	'configuration why --ca') echo -f ;;
	'configuration why --timeout')  ;;
	'configuration why --module')  ;;
	'configuration why --state') echo -W 'targeted reached applied notReached notApplied' ;;
	'configuration update --data') echo -d ;;
	'configuration update --connection-string')  ;;
	'configuration update --ca') echo -f ;;
	'configuration update --timeout')  ;;
	'configuration update --etag')  ;;
	'configuration update --file') echo -f ;;
	'configuration update --condition')  ;;
	'configuration update --priority')  ;;
	'configuration update --labels')  ;;
	'configuration delete --data') echo -d ;;
	'configuration delete --connection-string')  ;;
	'configuration delete --ca') echo -f ;;
	'configuration delete --timeout')  ;;
	'configuration delete --etag')  ;;
	'configuration halt --data') echo -d ;;
	'configuration halt --connection-string')  ;;
	'configuration halt --ca') echo -f ;;
	'configuration halt --timeout')  ;;
	'configuration resume --data') echo -d ;;
	'configuration resume --connection-string')  ;;
	'configuration resume --ca') echo -f ;;
	'configuration resume --timeout')  ;;
	'configuration advance --data') echo -d ;;
	'configuration advance --connection-string')  ;;
	'configuration advance --ca') echo -f ;;
	'configuration advance --timeout')  ;;
	'configuration rollback --data') echo -d ;;
	'configuration rollback --connection-string')  ;;
	'configuration rollback --ca') echo -f ;;
	'configuration rollback --timeout')  ;;
	'job create --data') echo -d ;;
	'job create --connection-string')  ;;
	'job create --ca') echo -f ;;
	'job create --timeout')  ;;
	'job create --payload')  ;;
	'job create --text')  ;;
	'job create --properties')  ;;
	'job create --message-id')  ;;
	'job create --correlation-id')  ;;
	'job create --content-type')  ;;
	'job create --ack') echo -W 'none positive negative full' ;;
	'job create --expires-in')  ;;
	'job create --connect-timeout')  ;;
	'job create --tags')  ;;
	'job create --desired')  ;;
	'job create --file') echo -f ;;
	'job create --condition')  ;;
	'job create --patch')  ;;
	'job create --method')  ;;
	'job create --response-timeout')  ;;
	'job create --start')  ;;
	'job create --max-time')  ;;
	'job create --rate')  ;;
	'job show --data') echo -d ;;
	'job show --connection-string')  ;;
	'job show --ca') echo -f ;;
	'job show --timeout')  ;;
	'job show --watch')  ;;
	'job list --data') echo -d ;;
	'job list --connection-string')  ;;
	'job list --ca') echo -f ;;
	'job list --timeout')  ;;
	'job list --status') echo -W 'queued scheduled running completed failed cancelled canceled enqueued unknown' ;;
	'job list --page-size')  ;;
	'job list --type') echo -W 'twin-update method message scheduleUpdateTwin scheduleDeviceMethod scheduleDeviceMessage' ;;
	'job cancel --data') echo -d ;;
	'job cancel --connection-string')  ;;
	'job cancel --ca') echo -f ;;
	'job cancel --timeout')  ;;
	'job results --data') echo -d ;;
	'job results --connection-string')  ;;
	'job results --ca') echo -f ;;
	'job results --timeout')  ;;
	'job results --status') echo -W 'pending scheduled running completed failed canceled' ;;
	'job results --page-size')  ;;
	'query --data') echo -d ;;
	'query --connection-string')  ;;
	'query --ca') echo -f ;;
	'query --timeout')  ;;
	'query --watch')  ;;
	'query --page-size')  ;;
	'monitor --data') echo -d ;;
	'monitor --connection-string')  ;;
	'monitor --ca') echo -f ;;
	'monitor --timeout')  ;;
	'monitor --module')  ;;
	'monitor --device')  ;;
	'monitor --source')  ;;
	'monitor --path')  ;;
	'monitor --where')  ;;
	'monitor --from')  ;;
	'statistics --data') echo -d ;;
	'statistics --connection-string')  ;;
	'statistics --ca') echo -f ;;
	'statistics --timeout')  ;;
	'policy show --data') echo -d ;;
	'policy show --connection-string')  ;;
	'policy show --ca') echo -f ;;
	'policy show --timeout')  ;;
	'policy rotate --data') echo -d ;;
	'policy rotate --connection-string')  ;;
	'policy rotate --ca') echo -f ;;
	'policy rotate --timeout')  ;;
	'policy rotate --key') echo -W 'primary secondary' ;;
	'policy reset --data') echo -d ;;
	'connection-string --data') echo -d ;;
	'connection-string --connection-string')  ;;
	'connection-string --ca') echo -f ;;
	'connection-string --timeout')  ;;
	'connection-string --module')  ;;
	'connection-string --policy')  ;;
	'connection-string --device')  ;;
	'connection-string --key') echo -W 'primary secondary' ;;
	'connection-string --hostname')  ;;
	'sas --data') echo -d ;;
	'sas --connection-string')  ;;
	'sas --ca') echo -f ;;
	'sas --timeout')  ;;
	'sas --module')  ;;
	'sas --policy')  ;;
	'sas --device')  ;;
	'sas --key') echo -W 'primary secondary' ;;
	'sas --hostname')  ;;
	'sas --ttl')  ;;
	'sas --resource')  ;;
	'backup --data') echo -d ;;
	'backup --connection-string')  ;;
	'backup --ca') echo -f ;;
	'backup --timeout')  ;;
	'export --data') echo -d ;;
	'export --connection-string')  ;;
	'export --ca') echo -f ;;
	'export --timeout')  ;;
	'import --data') echo -d ;;
	'import --connection-string')  ;;
	'import --ca') echo -f ;;
	'import --timeout')  ;;
	'import --mode') echo -W 'createOrUpdate create update updateIfMatchETag createOrUpdateIfMatchETag delete deleteIfMatchETag updateTwin updateTwinIfMatchETag' ;;
	'migrate --timeout')  ;;
	'migrate --rate')  ;;
	'migrate --from')  ;;
	'migrate --from-ca') echo -f ;;
	'diff --data') echo -d ;;
	'diff --connection-string')  ;;
	'diff --ca') echo -f ;;
	'diff --timeout')  ;;
	'diff --rate')  ;;
	'diff --from')  ;;
	'diff --from-ca') echo -f ;;
	'restore --data') echo -d ;;
	'check --data') echo -d ;;
	'ca renew --data') echo -d ;;
	*) return 1 ;;
	esac
}
_twinhub_takes_files() {
	case $1 in
	'backup' | 'export' | 'import' | 'migrate' | 'restore') return 0 ;;
	*) return 1 ;;
	esac
}
_twinhub() {
	local current=${COMP_WORDS[COMP_CWORD]} former=${COMP_WORDS[COMP_CWORD - 1]} at=1 command value
	COMPREPLY=()
	[[ $current == '=' ]] && current='' || { [[ $former == '=' ]] && former=${COMP_WORDS[COMP_CWORD - 2]}; }
	command=${COMP_WORDS[1]}
	[[ $command == help ]] && command=${COMP_WORDS[2]} at=2
	if ((COMP_CWORD == at)); then
		COMPREPLY=($(compgen -W "$(_twinhub_words '')" -- "$current"))
		return
	fi
	value=$(_twinhub_words "$command")
	if [[ -n $value ]] && ((COMP_CWORD == at + 1)); then
		COMPREPLY=($(compgen -W "$value" -- "$current"))
		return
	fi
	[[ -n $value ]] && command="$command ${COMP_WORDS[at + 1]}"
	if value=$(_twinhub_value "$command $former"); then
		case $value in
		-W*) COMPREPLY=($(compgen -W "${value:3}" -- "$current")) ;;
		-*) compopt -o filenames; mapfile -t COMPREPLY < <(compgen "$value" -- "$current") ;;
		esac
	elif [[ $current == -* || $at == 2 ]] || ! _twinhub_takes_files "$command"; then
		COMPREPLY=($(compgen -W "$(_twinhub_options "$command")" -- "$current"))
	else
		compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}
complete -F _twinhub twinhub
