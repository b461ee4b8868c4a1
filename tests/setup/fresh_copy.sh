#!/usr/bin/env bash
# Runs a command in a throwaway copy of this checkout, with next to nothing in its environment:
#
#     tests/setup/fresh_copy.sh make test
#
# The copy has what git has or would add, so no virtual environment, no data, no cache. It lies in a folder that is closed
# to everybody else, as a home often is, and is removed at the end. OWNER=NUMBER runs the command as that user (needs root;
# no account is needed). Variables of pip are passed on, as is what is named in PASS ("PASS='T OLIST'").
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: $0 COMMAND..." >&2
    exit 2
fi
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
place=$(mktemp -d /tmp/headwater-copy-XXXXXX)
trap 'rm -rf "$place"' EXIT
mkdir "$place/home" "$place/checkout"

cd "$checkout"
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar --create --null --files-from=- | tar --extract --directory "$place/checkout"
cd "$place/checkout"
git init --quiet --initial-branch=main . && git add --all

environment=(PATH=/usr/local/bin:/usr/bin:/bin HOME="$place/home" LANG=C.UTF-8 TERM="${TERM:-dumb}")
for name in $(compgen -e | grep '^PIP_' || true) ${PASS:-}; do
    [ -z "${!name:-}" ] || environment+=("$name=${!name}")
done
become=()
if [ -n "${OWNER:-}" ]; then
    chown -R "$OWNER:$OWNER" "$place"
    become=(setpriv --reuid="$OWNER" --regid="$OWNER" --clear-groups --no-new-privs --)
fi
code=0
env -i "${environment[@]}" "${become[@]}" "$@" || code=$?
exit "$code"
