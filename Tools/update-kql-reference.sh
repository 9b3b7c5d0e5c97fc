#!/bin/sh
# Writes the tables of docs/kql.md from the registry of the program named by VEDETTE (default: the release build).
set -eu
cd "$(dirname "$0")/.."
vedette=${VEDETTE:-.build/release/vedette}
mark='<!-- vedette functions --format markdown -->'
page=docs/kql.md
{
    sed "/^$mark\$/q" "$page"
    "$vedette" functions --format markdown
} > "$page.new"
grep -q "^$mark\$" "$page.new" || { echo "no mark in $page" >&2; rm "$page.new"; exit 1; }
mv "$page.new" "$page"
