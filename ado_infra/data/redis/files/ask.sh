#!/bin/sh
# ask.sh ready|alive: whether this node answers; one that still loads its data is alive only.
REDISCLI_AUTH=$(cat "$SECRETS/password")
export REDISCLI_AUTH
answer=$(timeout 4 redis-cli ping 2>&1)
case "$1:$answer" in
*:PONG | alive:LOADING*) exit 0 ;;
esac
echo "$answer" >&2
exit 1
