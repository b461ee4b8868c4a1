#!/usr/bin/env bash
# Runs a command as a root that may not make user namespaces, as inside most containers, in a throwaway copy of this checkout:
#
#     tests/setup/as_root_without_namespaces.sh make test
#
# That root lives in a user namespace of its own with the users 0 to 65535, and the number of namespaces left in it is none.
# Needs root, and a machine that lets root make that one. See fresh_copy.sh.
set -euo pipefail
if [ "$(id -u)" != 0 ]; then
    echo "$0 needs root" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
talk=$(mktemp -d /tmp/headwater-talk-XXXXXX)
trap 'rm -rf "$talk"' EXIT
mkfifo "$talk/number" "$talk/mapped"

# Only somebody outside may map more than one user into a namespace.
(
    read -r number < "$talk/number"
    echo 0 0 65536 > "/proc/$number/uid_map"
    echo 0 0 65536 > "/proc/$number/gid_map"
    echo done > "$talk/mapped"
) &

# The second bash is root in the namespace with all that belongs to it; the first began before there was a root.
code=0
unshare --user -- bash -c '
    echo $$ > "$0/number"
    read -r _ < "$0/mapped"
    exec bash -euc "
        echo 0 > /proc/sys/user/max_user_namespaces
        if unshare --user true 2> /dev/null; then echo \"user namespaces are still allowed\" >&2; exit 2; fi
        exec \"\$@\"
    " inside "$@"
' "$talk" "$here/fresh_copy.sh" "$@" || code=$?
exit "$code"
