#!/bin/bash
# At the primary's first start, before others can reach it: the standby may read its log, and from the next start on commits wait for it.
set -eu
echo "host replication twinhub 10.77.0.0/24 scram-sha-256" >>"$PGDATA/pg_hba.conf"
echo "synchronous_standby_names = 'ANY 1 (standby)'" >>"$PGDATA/postgresql.conf"
