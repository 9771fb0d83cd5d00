#!/bin/sh
# ask.sh ready|alive: whether this node answers. One that loads its data, runs a long script or cannot
# write its log is alive only: starting it again would not help.
REDISCLI_AUTH=$(cat "$RUN/password")
export REDISCLI_AUTH
answer=$(timeout 4 redis-cli ping 2>&1)
case "$1:$answer" in
*:PONG | alive:LOADING* | alive:BUSY* | alive:MISCONF*) exit 0 ;;
esac
echo "$answer" >&2
exit 1
