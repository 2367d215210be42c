#!/usr/bin/env bash
# Makes PostgreSQL, Redis and RabbitMQ available on this machine, for the tests. Starts only those that do not answer yet, and
# prints a line about each. On Debian as root it also installs what is missing. Fails if one is not available.
# shellcheck disable=SC2329  # functions are called by names put together from the service's
set -euo pipefail

database_url=${TEST_DATABASE_URL:-postgres://postgres@127.0.0.1:5432/}
redis_url=${TEST_REDIS_URL:-redis://127.0.0.1:6379/}
broker_url=${TEST_BROKER_URL:-amqp://guest:guest@127.0.0.1:5672//}

have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }
say() { printf '%-11s %s\n' "$1" "$2"; }

# host_of URL, port_of URL DEFAULT. The URL itself may hold a password, so it is never printed.
url_pattern='^[a-z+]+://([^@/]*@)?([^:/?]+)(:([0-9]+))?'
host_of() { [[ $1 =~ $url_pattern ]] && echo "${BASH_REMATCH[2]}"; }
port_of() { [[ $1 =~ $url_pattern ]] && echo "${BASH_REMATCH[4]:-$2}"; }

pg_host=$(host_of "$database_url") pg_port=$(port_of "$database_url" 5432)
redis_host=$(host_of "$redis_url") redis_port=$(port_of "$redis_url" 6379)
amqp_host=$(host_of "$broker_url") amqp_port=$(port_of "$broker_url" 5672)

# --- Does it answer? A real reply in its own protocol: an open port may be any program's. ---------

# first_byte HOST PORT GREETING: the first byte of the reply, as two hexadecimal digits.
first_byte() {
  # shellcheck disable=SC2016  # expanded by the inner shell
  timeout 3 bash -c 'exec 3<>"/dev/tcp/$1/$2"; printf "$3" >&3; head -c 1 <&3' - "$@" 2>/dev/null | od -An -tx1 | tr -d ' \n'
}

postgres_answers() {
  if have psql; then
    PGCONNECT_TIMEOUT=3 psql --no-password --no-psqlrc "$database_url" -Atqc 'select 1' >/dev/null 2>&1
  else
    # SSLRequest, answered by one letter, S or N: https://www.postgresql.org/docs/current/protocol-message-formats.html
    [[ $(first_byte "$pg_host" "$pg_port" '\x00\x00\x00\x08\x04\xd2\x16\x2f') =~ ^(53|4e)$ ]]
  fi
}

redis_answers() {
  if have redis-cli; then
    [ "$(timeout 3 redis-cli --no-auth-warning -u "$redis_url" ping 2>/dev/null)" = PONG ]
  else
    [ "$(first_byte "$redis_host" "$redis_port" 'PING\r\n')" = 2b ] # "+PONG"
  fi
}

# The broker greets a client's protocol header with a method frame, type 1: AMQP 0-9-1, 2.2.4 and 2.3.5.
rabbitmq_answers() { [ "$(first_byte "$amqp_host" "$amqp_port" 'AMQP\x00\x00\x09\x01')" = 01 ]; }

# wait_for SECONDS COMMAND…
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.5
  done
}

# --- Installing ----------------------------------------------------------------------------------

loopback() { [[ $1 =~ ^(127\.|localhost$) ]]; }

# Debian keeps servers in sbin, which is not on every user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

installed=" "
was_installed() { [[ $installed == *" $1 "* ]]; }

apt() {
  DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -y \
    -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@" </dev/null
}

# install_missing: all packages at once, if this is Debian and we may. Anything still missing is reported by name later.
install_missing() {
  local packages=()
  needs_package postgres "$pg_host" pg_ctlcluster && packages+=(postgresql)
  needs_package redis "$redis_host" redis-server && packages+=(redis-server)
  needs_package rabbitmq "$amqp_host" rabbitmq-server && packages+=(rabbitmq-server)
  if ((${#packages[@]} == 0)) || ! is_root || ! have apt-get; then return; fi
  say Installing "${packages[*]}"
  apt update >/dev/null || true # stale lists may still work
  apt install --no-install-recommends "${packages[@]}" >/dev/null || true
  installed=" ${packages[*]} "
}

# needs_package SERVICE HOST PROGRAM
needs_package() { ! "$1_answers" && loopback "$2" && ! have "$3"; }

# --- Starting: each prints why it failed ---------------------------------------------------------

start_postgres() {
  local version cluster status
  # Debian's clusters: "15 main 5432 down …". Ours is the one at the port, or a new one.
  read -r version cluster status < <(pg_lsclusters --no-header | awk -v port="$pg_port" '$3 == port { print $1, $2, $4 }') || true
  if [ -z "$version" ]; then
    version=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | tail -1)
    cluster=tests$pg_port
    pg_createcluster "$version" "$cluster" --port "$pg_port" || return 1
  fi
  # The user who started a server decides who may log in there.
  if [[ $status == online* ]] && ! was_installed postgresql; then
    echo "it runs but refuses the login: set TEST_DATABASE_URL to a user who may create databases"
    return 1
  fi
  [[ $status == online* ]] || pg_ctlcluster --skip-systemctl-redirect "$version" "$cluster" start || return 1
  wait_for 30 pg_isready -q -h "$pg_host" -p "$pg_port" || return 1
  postgres_answers || trust_loopback "$version" "$cluster"
}

# Debian asks for a password over TCP, and the user postgres has none.
trust_loopback() {
  sed -i '1i # for the tests: the superuser over loopback, without a password\nhost all postgres 127.0.0.1/32 trust' \
    "/etc/postgresql/$1/$2/pg_hba.conf"
  pg_ctlcluster --skip-systemctl-redirect "$1" "$2" reload
}

start_redis() {
  redis-server --bind 127.0.0.1 --port "$redis_port" --daemonize yes --save '' --appendonly no --dir /tmp
}

start_rabbitmq() {
  local node=rabbit@localhost config # a container's own name often resolves to nothing
  [ "$amqp_port" = 5672 ] || node=rabbit-$amqp_port@localhost
  # Our own configuration, since one in /etc may name another listener. All three ports stay on loopback.
  config=$(mktemp --suffix=.conf)
  echo "listeners.tcp.1 = 127.0.0.1:$amqp_port" >"$config"
  chmod a+r "$config" # the server runs as rabbitmq
  export RABBITMQ_NODENAME=$node RABBITMQ_NODE_PORT=$amqp_port RABBITMQ_CONFIG_FILE=$config
  export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' ERL_EPMD_ADDRESS=127.0.0.1
  rabbitmq-server -detached
  echo "See /var/log/rabbitmq/$node.log"
}

# --- One service ---------------------------------------------------------------------------------

failed=0
give_up() {
  say "$1" "NOT AVAILABLE, $2"
  failed=1
}

# ensure NAME SERVICE HOST PORT PROGRAM VARIABLE SECONDS
ensure() {
  local name=$1 service=$2 host=$3 port=$4 program=$5 variable=$6 seconds=$7 log
  if "${service}_answers"; then
    say "$name" "answers at $host:$port"
  elif ! loopback "$host"; then
    give_up "$name" "$host:$port is not this machine and does not answer; start it there, or change $variable"
  elif ! have "$program"; then
    give_up "$name" "not installed; install it (on Debian, 'make services' as root does), or set $variable"
  elif ! is_root && [ "$service" != redis ]; then
    give_up "$name" "does not answer at $host:$port, and only root may start it; start it, or set $variable"
  else
    log=$(mktemp)
    if "start_$service" >"$log" 2>&1 </dev/null && wait_for "$seconds" "${service}_answers"; then
      say "$name" "started, answers at $host:$port"
    else
      give_up "$name" "at $host:$port: $(tail -1 "$log" | grep . || echo 'started, but it does not answer')"
    fi
    rm -f "$log"
  fi
}

install_missing
ensure PostgreSQL postgres "$pg_host" "$pg_port" pg_ctlcluster TEST_DATABASE_URL 30
ensure Redis redis "$redis_host" "$redis_port" redis-server TEST_REDIS_URL 15
ensure RabbitMQ rabbitmq "$amqp_host" "$amqp_port" rabbitmq-server TEST_BROKER_URL 60
exit "$failed"
