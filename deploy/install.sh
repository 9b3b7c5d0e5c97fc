#!/bin/sh
# Installs the built vedette with its unit, users, folders, example configuration and rules.
#
#   DESTDIR=/tmp/stage PREFIX=/usr sh deploy/install.sh [BINARY]
#
# BINARY defaults to .build/release/vedette. DESTDIR is put before every path (packaging); without it, users and folders are made
# at once. An existing /etc/vedette/vedette.yaml is left alone: the new example then stands beside it as vedette.yaml.dist.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
binary=${1:-"$root/.build/release/vedette"}
destdir=${DESTDIR:-}
prefix=${PREFIX:-/usr}
case $prefix in /*) ;; *) echo "install.sh: PREFIX must be an absolute path, not '$prefix'" >&2; exit 2 ;; esac
prefix=${prefix%/}

if [ ! -x "$binary" ]; then
    echo "install.sh: no executable at $binary; build it first: swift build -c release" >&2
    exit 3
fi

install -D -m 0755 "$binary" "$destdir$prefix/bin/vedette"
install -D -m 0644 "$here/vedette.sysusers" "$destdir$prefix/lib/sysusers.d/vedette.conf"
install -D -m 0644 "$here/vedette.tmpfiles" "$destdir$prefix/lib/tmpfiles.d/vedette.conf"

# The unit names the binary by its full path.
unit="$destdir$prefix/lib/systemd/system/vedette.service"
install -d -m 0755 "$(dirname -- "$unit")"
sed "s|/usr/bin/vedette|$prefix/bin/vedette|; s|/usr/share/doc|$prefix/share/doc|" "$here/vedette.service" > "$unit"
chmod 0644 "$unit"

config="$destdir/etc/vedette/vedette.yaml"
if [ -e "$config" ] && ! cmp -s "$here/vedette.yaml" "$config"; then
    install -m 0644 "$here/vedette.yaml" "$config.dist"
    echo "install.sh: kept $config, the new example is $config.dist"
else
    install -D -m 0644 "$here/vedette.yaml" "$config"
fi

# Rules (without their tests); files that the administrator changed or added are kept.
if [ -d "$root/AnalyticsRules" ]; then
    (cd "$root/AnalyticsRules" && find . -name '*.yaml' ! -name '*.test.yaml' -type f) | while IFS= read -r rule; do
        target="$destdir/etc/vedette/rules/${rule#./}"
        if [ -e "$target" ] && ! cmp -s "$root/AnalyticsRules/$rule" "$target"; then
            install -m 0644 "$root/AnalyticsRules/$rule" "$target.dist"
            echo "install.sh: kept $target, the new rule is $target.dist"
        else
            install -D -m 0644 "$root/AnalyticsRules/$rule" "$target"
        fi
    done
fi
install -d -m 0755 "$destdir/etc/vedette/rules"

for page in README.md LICENSE CHANGELOG.md; do
    if [ -f "$root/$page" ]; then install -D -m 0644 "$root/$page" "$destdir$prefix/share/doc/vedette/$page"; fi
done

if [ -z "$destdir" ]; then
    if command -v systemd-sysusers > /dev/null; then systemd-sysusers "$prefix/lib/sysusers.d/vedette.conf"; fi
    if command -v systemd-tmpfiles > /dev/null; then systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/vedette.conf"; fi
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        echo "install.sh: edit /etc/vedette/vedette.yaml, then: systemctl enable --now vedette"
    fi
fi
echo "install.sh: installed $destdir$prefix/bin/vedette"
