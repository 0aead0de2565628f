#!/bin/sh
# The same as compose.yaml in one command: sh run.sh. Stop it with Ctrl-C.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec docker run --rm --name tfserving-{{ serving.name }} --platform linux/amd64 \
  --publish 127.0.0.1:{{ serving.port }}:8501 \
{%- if serving.grpc_port is not none %}
  --publish 127.0.0.1:{{ serving.grpc_port }}:8500 \
{%- endif %}
  --mount {{ serving.shell_folder }} \
  --mount "type=bind,\"source=$here\",target=/config,readonly" \
  --user 10001:10001 --read-only --tmpfs /tmp:size=64m,noexec \
  --cap-drop ALL --security-opt no-new-privileges:true \
  --pids-limit 1024 --memory 2g --cpus {{ serving.cpus }} \
  {{ serving.image }} \
  --model_config_file=/config/models.config \
  --model_config_file_poll_wait_seconds=10 \
  --allow_version_labels_for_unavailable_models=true \
  --enable_batching=true \
  --batching_parameters_file=/config/batching_parameters.txt \
  --monitoring_config_file=/config/monitoring.config
