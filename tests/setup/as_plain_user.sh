#!/usr/bin/env bash
# Runs a command as an ordinary user with a home of his own, in a throwaway copy of this checkout:
#
#     tests/setup/as_plain_user.sh make test
#
# As root it becomes nobody, or OWNER=NUMBER, who needs no account; anybody else stays who he is. See fresh_copy.sh.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
    export OWNER=${OWNER:-65534}
fi
exec "$(dirname "${BASH_SOURCE[0]}")/fresh_copy.sh" "$@"
