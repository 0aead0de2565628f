#!/usr/bin/env bash
# Bring up a Docker engine for the docker suite, as root on Debian, where no registry of images can be reached:
#   1. install Docker and debootstrap if they are missing,
#   2. start dockerd unless one answers,
#   3. make `python:3.11-slim` out of Debian's packages unless it is there.
# Run again, it does only what is missing. It never touches an engine that already answers with that image.
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
    nohup setsid dockerd $options >"$log" 2>&1 </dev/null &
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

if ! docker image inspect python:3.11-slim >/dev/null 2>&1; then
  say "making python:3.11-slim from Debian's packages"
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  mirror=$(awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) {print $i; exit}} $1 == "URIs:" {print $2; exit}' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
  debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
    bookworm "$root" ${mirror:+"$mirror"} >/dev/null
  ln -sf python3 "$root/usr/bin/python"
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/locale/*
  # A machine behind a proxy has its own certificates and its own package index: the image learns both from it.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  settings=$(python3 -m pip config list 2>/dev/null | sed -n "s/^global\.//p" | sed "s/=/ = /; s/'//g" || true)
  [ -z "$settings" ] || printf '[global]\n%s\n' "$settings" >"$root/etc/pip.conf"
  tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - python:3.11-slim >/dev/null
fi
say "ready: $(docker info --format '{{.ServerVersion}}, {{.Driver}}')"
