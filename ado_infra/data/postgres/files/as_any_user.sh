#!/bin/sh
# Starts PostgreSQL as a user that the cluster has chosen. Such a uid has no name, or one of the cluster's:
# initdb makes nothing without one, and the server lets nobody but `postgres` in by it (pg_hba.conf). A
# library, which the official image has, tells both that it is `postgres`.
set -eu

refuse() {
	echo "${0##*/}: $*" >&2
	exit 1
}

user=$(id -u)
if [ -e "$PGDATA" ]; then
	owner=$(stat -c %u "$PGDATA")
	[ "$owner" = "$user" ] || refuse "the volume's data belongs to uid $owner, and this is uid $user: no" \
		"server starts with another's. Set \`securityContext\` back; see docs/pods.md, Users of the cluster's"
fi
if [ "$(id -un 2>/dev/null)" != postgres ]; then
	for library in /usr/lib/*/libnss_wrapper.so; do :; done
	[ -s "$library" ] || refuse "uid $user is not \`postgres\`, and this image has no libnss_wrapper.so to say" \
		"so: make yours from the official one, or set \`securityContext: restricted\`"
	echo "postgres:x:$user:$(id -g):PostgreSQL:$SOCKET:/bin/false" >"$SOCKET/passwd"
	echo "postgres:x:$(id -g):" >"$SOCKET/group"
	export LD_PRELOAD="$library" NSS_WRAPPER_PASSWD="$SOCKET/passwd" NSS_WRAPPER_GROUP="$SOCKET/group"
fi
exec /bin/sh "$CONFIG/start.sh"
