#!/bin/sh
# Builds the modules' reference (DocC) into .build/docs, one archive a module; `make docs`. Fails on a link or a symbol that does not exist.
set -eu
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
out=.build/docs
rm -rf "$out"
mkdir -p "$out/graphs"
"$swift" package ${DOCS_FLAGS:-} dump-symbol-graph --minimum-access-level public --skip-synthesized-members > "$out/dump.log" 2>&1 || {
    tail -n 20 "$out/dump.log" >&2
    exit 1
}
graphs=$(sed -n 's/^Files written to //p' "$out/dump.log" | tail -n 1)
status=0
for catalog in Sources/*/*.docc; do
    module=$(basename "$catalog" .docc)
    mkdir -p "$out/graphs/$module"
    cp "$graphs/$module".symbols.json "$out/graphs/$module/"
    if ! docc convert "$catalog" --additional-symbol-graph-dir "$out/graphs/$module" --output-path "$out/$module.doccarchive" \
        --fallback-display-name "$module" --fallback-bundle-identifier "vedette.$module" --warnings-as-errors > "$out/$module.log" 2>&1; then
        cat "$out/$module.log" >&2
        status=1
    fi
    echo "$out/$module.doccarchive"
done
exit $status
