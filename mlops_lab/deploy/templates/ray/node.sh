#!/bin/sh
# A further machine: RAY_ADDRESS=<first machine>:6379 sh node.sh. Copy the first machine's token to it before.
set -eu
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_TOKEN_PATH="${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}"
exec ray start --block --address "$RAY_ADDRESS" --include-log-monitor false --disable-usage-stats "$@"
