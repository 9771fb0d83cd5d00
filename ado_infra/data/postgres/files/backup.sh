# shellcheck shell=sh
# What the scripts of backup and restore have in common. Sourced by them, in $BACKUP, where `dump` is the
# dump and `sha256` a line with its checksum and its name in the bucket. Changes nothing.
umask 077
cd "$BACKUP" || exit

say() {
	echo "${0##*/}: $*" >&2
}

refuse() {
	say "$*"
	exit 1
}

# libpq reads it only when nobody else could; a mounted Secret is readable by the pod's group.
write_passfile() {
	printf '*:*:*:%s:%s\n' "$PGUSER" "$(sed 's/[\\:]/\\&/g' "$SECRETS/password")" >"$PGPASSFILE"
}
