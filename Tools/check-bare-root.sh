#!/bin/sh
# Proves that a fresh clone runs and passes its tests on a Debian 12 machine on which nothing was installed by hand:
# makes a minimal root, mounts the Swift toolchain into it, clones the committed tree, and runs `make run` and `make test` there.
#
#   sudo sh Tools/check-bare-root.sh [TARGET...]          targets of make; default: run test
#
# Environment:
#   SWIFT_HOME   folder of the toolchain, mounted read-only at the same path   (default: where `swift` on PATH is)
#   MIRROR_DIR   folder of package repositories, mounted read-only at the same path                (default: none)
#   GITCONFIG    file that becomes /etc/gitconfig in the root                                      (default: none)
#   APT_MIRROR   Debian mirror for the root                                        (default: that of mmdebstrap)
#   REVISION     commit to check                                                                (default: HEAD)
#   ROOT         folder of the root; made if missing, used again if it holds one      (default: a temporary one)
#   KEEP         1: leave the root behind                                         (default: only a given ROOT)
set -eu

source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
fail() { echo "check-bare-root.sh: $1" >&2; exit "${2:-2}"; }

[ "$(id -u)" = 0 ] || fail "needs root, for mounts and chroot"
for tool in mmdebstrap git mount chroot; do command -v "$tool" > /dev/null || fail "needs $tool (apt-get install mmdebstrap git)"; done

if [ -z "${SWIFT_HOME:-}" ]; then
    swift=$(command -v swift) || fail "no swift on PATH; name the toolchain's folder with SWIFT_HOME"
    # .../usr/bin/swift stands in a folder of its own unless it is the system's.
    SWIFT_HOME=$(dirname "$(dirname "$(dirname "$(readlink -f "$swift")")")")
fi
[ -x "$SWIFT_HOME/usr/bin/swift" ] || fail "no usr/bin/swift in $SWIFT_HOME"
[ "$SWIFT_HOME" != / ] || fail "the toolchain lies in the system's own folders; name a separate one with SWIFT_HOME"

keep=${KEEP:-0}
if [ -n "${ROOT:-}" ]; then keep=1; else ROOT=$(mktemp -d) && chmod 755 "$ROOT"; fi
mkdir -p "$ROOT"
ROOT=$(CDPATH='' cd -- "$ROOT" && pwd)

mounts=""
unmount() {
    for point in $mounts; do umount -l "$point" 2> /dev/null || echo "check-bare-root.sh: still mounted: $point" >&2; done
    mounts=""
}
finish() {
    code=$?
    trap - EXIT
    unmount
    # A mount that is left would be deleted with the root.
    if [ "$keep" != 1 ] && ! grep -q " $ROOT/" /proc/mounts; then rm -rf --one-file-system "$ROOT"; fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

bind() { # folder, options
    mkdir -p "$ROOT$1"
    mount --bind "$1" "$ROOT$1"
    mounts="$ROOT$1 $mounts"
    if [ "${2:-}" = ro ]; then mount -o remount,ro,bind "$ROOT$1"; fi
}

if [ ! -e "$ROOT/etc/debian_version" ]; then
    # Beside the minimal root: what the toolchain's own installation page asks for (no -dev package that this project needs), and make.
    mmdebstrap --variant=minbase \
        --include=ca-certificates,git,make,gcc,libc6-dev,libstdc++-12-dev,libcurl4,libxml2,libedit2,libncurses6,libsqlite3-0,tzdata \
        bookworm "$ROOT" ${APT_MIRROR:+"$APT_MIRROR"}
fi
echo "== root: Debian $(cat "$ROOT/etc/debian_version"), $(chroot "$ROOT" dpkg-query -f '.\n' -W | wc -l) packages"

bind /proc
bind /dev
bind /dev/pts
bind "$SWIFT_HOME" ro
if [ -n "${MIRROR_DIR:-}" ]; then bind "$MIRROR_DIR" ro; fi
cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
if [ -n "${GITCONFIG:-}" ]; then cp "$GITCONFIG" "$ROOT/etc/gitconfig"; fi

clone=/root/vedette
rm -rf "$ROOT$clone"
git clone --quiet --no-hardlinks "$source" "$ROOT$clone"
git -C "$ROOT$clone" checkout --quiet --detach "$(git -C "$source" rev-parse "${REVISION:-HEAD}")"
echo "== commit $(git -C "$ROOT$clone" rev-parse HEAD)"

[ "$#" -gt 0 ] || set -- run test
for target in "$@"; do
    echo "== make $target"
    began=$(date +%s)
    chroot "$ROOT" /usr/bin/env -i HOME=/root LANG=C.UTF-8 PATH="$SWIFT_HOME/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
        make -C "$clone" "$target" 2>&1
    echo "== make $target: $(($(date +%s) - began)) s"
done
