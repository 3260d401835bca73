#!/bin/bash
# The standby: a copy of the primary at its first start, then what it was.
set -eu
export PGDATA=/var/lib/postgresql/data PGPASSWORD="$POSTGRES_PASSWORD"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	find "$PGDATA" -mindepth 1 -delete
	pg_basebackup -h 10.77.0.10 -U twinhub -D "$PGDATA" -R -X stream -d 'application_name=standby'
	chmod 700 "$PGDATA"
fi
exec "$@"
