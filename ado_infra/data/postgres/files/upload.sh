#!/bin/sh
# Uploads the dump, reads all of it back, and only then lets go of what is beyond $KEEP backups. A
# backup is whole once its checksum lies beside it.
set -eu
# shellcheck source=backup.sh
. "$CONFIG/backup.sh"

# Our files in the bucket, newest first: nothing else there is ever touched.
ours() {
	listed=$(rclone lsf --files-only "$REMOTE")
	echo "$listed" | grep -E '^[0-9]{8}T[0-9]{6}Z\.(dump|sha256)$' | LC_ALL=C sort -r
}

read -r sum file <sha256
name=${file%.dump}
files=$(ours)
# A run that took its own backup for an old one would delete it.
newest=$(echo "$files" | sed -n 's/\.sha256$//p' | head -n 1)
if [ "$(printf '%s\n' "$newest" "$name" | LC_ALL=C sort | tail -n 1)" = "$newest" ]; then
	refuse "$name is not newer than $newest, which the bucket has: is the clock of this node right? Nothing" \
		"is uploaded. If it was that one's that was wrong, give it another name"
fi
rclone copyto dump "$REMOTE/$name.dump"
found=$(rclone hashsum sha256 --download "$REMOTE/$name.dump")
if [ "${found%% *}" != "$sum" ]; then
	refuse "$name: what the bucket has is not what was uploaded; no older backup is deleted"
fi
rclone copyto sha256 "$REMOTE/$name.sha256"
say "$name: uploaded, and read back as it was"

files=$(printf '%s\n' "$name.sha256" "$name.dump" "$files")
oldest=$(echo "$files" | sed -n 's/\.sha256$//p' | head -n "$KEEP" | tail -n 1)
# Also what failed uploads left. The checksum goes first: without it a dump is no backup.
for old in $(echo "$files" | sed "1,/^$oldest\.dump\$/d"); do
	rclone deletefile "$REMOTE/$old"
	say "$old: deleted, older than the last $KEEP backups"
done
