#!/bin/sh
# Dumps the database, and sees that the dump can be read, before anybody takes it for a backup. It asks
# the primary: a standby may lag, and ends a query that its replay would have to wait for.
set -eu
# shellcheck source=backup.sh
. "$CONFIG/backup.sh"

name=$(date -u +%Y%m%dT%H%M%SZ) # the dump has what was written until now
write_passfile
pg_dump --format=custom --no-password --file=dump
pg_restore --list dump >/dev/null
sum=$(sha256sum dump)
echo "${sum%% *}  $name.dump" >sha256
say "$name: dumped, $(wc -c <dump) bytes"
