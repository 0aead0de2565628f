#!/bin/sh
# The first machine of the cluster for {{ name }}; options of `ray start` may follow. Each machine needs mlops-lab[ray],
# the same models folder under the same path, and the same token.
# Ray listens on every network of this machine. It refuses calls without the token, but answers anybody who asks for its
# metrics: a firewall keeps strangers away from its ports.
set -eu
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_TOKEN_PATH="${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}"
if [ ! -e "$RAY_AUTH_TOKEN_PATH" ]; then
  mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")"
  (umask 077 && python -c "import secrets; print(secrets.token_hex(32))" > "$RAY_AUTH_TOKEN_PATH")
fi
# What is not used is not started: the dashboard, the autoscaler of machines, the collector of logs.
exec ray start --head --block --include-dashboard false --no-monitor --include-log-monitor false \
  --disable-usage-stats "$@"
