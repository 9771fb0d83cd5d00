#!/bin/sh
# The names of the backups that are whole, newest first.
set -eu
listed=$(rclone lsf --files-only "$REMOTE")
echo "$listed" | sed -n 's/^\([0-9]\{8\}T[0-9]\{6\}Z\)\.sha256$/\1/p' | LC_ALL=C sort -r
