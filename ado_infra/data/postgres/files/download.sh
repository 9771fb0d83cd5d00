#!/bin/sh
# download.sh NAME: fetches a backup; restore.sh judges it.
set -eu
# shellcheck source=backup.sh
. "$CONFIG/backup.sh"

rclone copyto "$REMOTE/$1.sha256" sha256
rclone copyto "$REMOTE/$1.dump" dump
# rclone takes an object that is not there for an empty directory.
if [ ! -e sha256 ] || [ ! -e dump ]; then
	refuse "there is no backup $1 in $REMOTE; \`ado-ops postgres restore --list\` shows those that there are"
fi
