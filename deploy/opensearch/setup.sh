#!/usr/bin/env bash
# Makes what compose.yaml needs, once: an authority and certificates of your own (certs/), random passwords (.env)
# and their hashes (internal_users.yml). What is there already stays. Needs openssl, and docker for the hashes.
#
#   ./setup.sh && docker compose up -d
set -euo pipefail
cd "${1:-$(dirname "$0")}"
umask 077
version=${OPENSEARCH_VERSION:-2.19.1}

if [ ! -e certs/ca.pem ]; then
  rm -rf certs.new && mkdir certs.new
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=elasticintel-ca -keyout certs.new/ca.key -out certs.new/ca.pem 2>/dev/null
  # Names of one part: a list in an environment variable is cut at commas.
  for name in node admin; do
    openssl req -newkey rsa:2048 -nodes -subj "/CN=elasticintel-$name" -keyout certs.new/$name.rsa -out certs.new/$name.csr 2>/dev/null
    openssl pkcs8 -topk8 -nocrypt -in certs.new/$name.rsa -out certs.new/$name.key
    openssl x509 -req -days 825 -in certs.new/$name.csr -CA certs.new/ca.pem -CAkey certs.new/ca.key -CAcreateserial -out certs.new/$name.pem \
      -extfile <(echo 'subjectAltName=DNS:opensearch1,DNS:opensearch2,DNS:opensearch3,DNS:localhost,IP:127.0.0.1
extendedKeyUsage=serverAuth,clientAuth') 2>/dev/null
  done
  rm certs.new/*.rsa certs.new/*.csr
  mv certs.new certs
fi

if [ ! -e .env ]; then
  for name in ADMIN DASHBOARDS; do echo "${name}_PASSWORD=$(openssl rand -hex 16)"; done >.env.new
  mv .env.new .env
fi

hash_of() {
  if [ -n "${HASH_TOOL:-}" ]; then bash "$HASH_TOOL" -p "$1"; else
    docker run --rm --entrypoint bash "opensearchproject/opensearch:$version" plugins/opensearch-security/tools/hash.sh -p "$1"
  fi 2>/dev/null | tail -n 1
}

if [ ! -e internal_users.yml ]; then
  # shellcheck source=/dev/null
  . ./.env
  admin=$(hash_of "$ADMIN_PASSWORD" || true) dashboards=$(hash_of "$DASHBOARDS_PASSWORD" || true)
  case $admin$dashboards in '$2'*'$2'*) ;; *) echo "setup.sh: no hashes could be made: does docker run? (or set HASH_TOOL to hash.sh of the security plug-in)" >&2 && exit 1 ;; esac
  printf '_meta: {type: internalusers, config_version: 2}\nadmin: {hash: "%s", reserved: true, backend_roles: [admin]}\nkibanaserver: {hash: "%s", reserved: true}\n' \
    "$admin" "$dashboards" >internal_users.yml.new
  mv internal_users.yml.new internal_users.yml
fi

# The containers' user is 1000; what only setup.sh and people need (ca.key, admin.key) is not mounted.
mounted=(certs/ca.pem certs/node.pem certs/node.key internal_users.yml)
if [ "$(id -u)" = 0 ]; then chown 1000 "${mounted[@]}"; elif [ "$(id -u)" != 1000 ]; then
  chmod a+r "${mounted[@]}"
  echo "setup.sh: you are not user 1000, which the containers run as: certs/node.key and internal_users.yml can be read by everybody who can enter this folder" >&2
fi
chmod a+r certs/ca.pem
echo "Ready: docker compose up -d. The password of admin is in .env; clients trust certs/ca.pem."
