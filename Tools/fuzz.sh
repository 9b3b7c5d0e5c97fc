#!/usr/bin/env bash
# Runs one fuzzer: Tools/fuzz.sh TARGET SECONDS [libFuzzer options]; Tools/fuzz.sh build only builds; Tools/fuzz.sh list names the targets.
#
# libFuzzer cannot be had through a SwiftPM executable (SwiftPM renames main), so the modules are compiled here by hand, with address
# sanitizer and coverage, in a scratch folder (VEDETTE_FUZZ_SCRATCH, .build-fuzz). A module is rebuilt when its sources or those below it
# changed. Findings go to SCRATCH/findings/TARGET: make each a file of Tests/FuzzTests/Fixtures/TARGET, where every test run replays it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=${VEDETTE_FUZZ_SCRATCH:-.build-fuzz}
targets="parser binder functions query json ingest yaml"
if [ "${1:-}" = list ]; then echo "$targets"; exit 0; fi
case " build $targets " in *" ${1:-none} "*) ;; *) echo "usage: Tools/fuzz.sh build|list|TARGET SECONDS [options]; targets: $targets" >&2; exit 64 ;; esac

mkdir -p "$scratch"
swiftc=${SWIFTC:-swiftc}
clang=$(dirname "$(readlink -f "$(command -v "$swiftc")")")/clang
swift_flags=(-O -wmo -g -assert-config Debug -sanitize=fuzzer,address -parse-as-library -I "$scratch"
    -Xcc -fmodule-map-file="$scratch/CKernels.modulemap" -Xcc -fmodule-map-file="$scratch/CYaml.modulemap"
    -Xcc -fmodule-map-file="$scratch/CSimdjson.modulemap")
project_flags=(-package-name vedette -swift-version 6 -enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility)
c_flags=(-O1 -g -fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer)

checkouts=
for folder in .build-debug .build; do [ -d "$folder/checkouts/Yams" ] && checkouts=$folder/checkouts && break; done
if [ -z "$checkouts" ]; then swift package resolve > /dev/null; checkouts=.build/checkouts; fi

root=$PWD
echo "module CKernels { umbrella header \"$root/Sources/CKernels/include/CKernels.h\" export * }" > "$scratch/CKernels.modulemap"
echo "module CSimdjson { header \"$root/Tests/CSimdjson/include/CSimdjson.h\" export * }" > "$scratch/CSimdjson.modulemap"
echo "module CYaml { umbrella header \"$root/$checkouts/Yams/Sources/CYaml/include/CYaml.h\" export * }" > "$scratch/CYaml.modulemap"

fresh() { [ -e "$1" ] && [ -z "$(find "${@:2}" -newer "$1" -print -quit)" ]; }

c_module() {  # name folder flags...
    local name=$1 folder=$2
    shift 2
    fresh "$scratch/$name.a" "$folder" && return
    echo "fuzz: compiling $name" >&2
    mkdir -p "$scratch/$name.objects"
    local file
    while read -r file; do
        case "$file" in
            *.c) "$clang" "${c_flags[@]}" "$@" -std=gnu11 -I "$folder/include" -c "$file" -o "$scratch/$name.objects/$(basename "$file").o" ;;
            # Abseil's containers, which S2 hands over, have another layout under the address sanitizer than in Debian's library.
            */vk_geo.cpp) "$clang++" "${c_flags[@]}" -fno-sanitize=address "$@" -DNDEBUG -std=c++17 -I "$folder/include" -c "$file" \
                -o "$scratch/$name.objects/$(basename "$file").o" ;;
            *) "$clang++" "${c_flags[@]}" "$@" -DNDEBUG -std=c++17 -I "$folder/include" -c "$file" -o "$scratch/$name.objects/$(basename "$file").o" ;;
        esac
    done < <(find "$folder" -name '*.c' -o -name '*.cpp')
    rm -f "$scratch/$name.a"
    ar rcs "$scratch/$name.a" "$scratch/$name.objects"/*.o
}

built=()
swift_module() {  # name folder flags...
    local name=$1 folder=$2
    shift 2
    if ! fresh "$scratch/$name.o" "$folder" "${built[@]}"; then
        echo "fuzz: compiling $name" >&2
        find "$folder" -name '*.swift' -print0 | sort -z | xargs -0 "$swiftc" "${swift_flags[@]}" "$@" -module-name "$name" -emit-module \
            -emit-module-path "$scratch/$name.swiftmodule" -c -o "$scratch/$name.o.new"
        mv "$scratch/$name.o.new" "$scratch/$name.o"
    fi
    built+=("$scratch/$name.o")
}

c_module CKernels Sources/CKernels
c_module CSimdjson Tests/CSimdjson
c_module CYaml "$checkouts/Yams/Sources/CYaml" -DYAML_DECLARE_STATIC
swift_module Yams "$checkouts/Yams/Sources/Yams" -swift-version 5 -DSWIFT_PACKAGE
for room in Columnar KQL Evaluation Tables Ingest Matcher Rules; do swift_module "$room" "Sources/$room" "${project_flags[@]}"; done
swift_module FuzzTargets Tests/FuzzTargets "${project_flags[@]}"

fuzzer=$scratch/fuzzer
if ! fresh "$fuzzer" Tests/FuzzDriver "${built[@]}" "$scratch/CKernels.a"; then
    literals=
    [ "$(uname -m)" = x86_64 ] && literals=-lhs
    "$swiftc" "${swift_flags[@]}" "${project_flags[@]}" -module-name FuzzDriver Tests/FuzzDriver/Driver.swift "${built[@]}" \
        "$scratch/CKernels.a" "$scratch/CSimdjson.a" "$scratch/CYaml.a" $literals -lisal -lz -lzstd -lsimdjson -lre2 -ls2 -lxxhash -lcrypto \
        -lmaxminddb -labsl_raw_logging_internal -lstdc++ -o "$fuzzer"
fi
[ "$1" = build ] && exit 0

target=$1
seconds=${2:-600}
shift $(($# > 1 ? 2 : 1))
corpus=$scratch/corpus/$target
findings=$scratch/findings/$target
mkdir -p "$corpus" "$findings"
options=(-max_total_time="$seconds" -timeout=25 -rss_limit_mb=4096 -artifact_prefix="$findings/" -print_final_stats=1 -max_len=4096)
dictionary=Tests/FuzzTests/Dictionaries/$target.dict
[ -e "$dictionary" ] && options+=(-dict="$dictionary")
seeds=()
for folder in Tests/FuzzTests/Corpus/$target Tests/FuzzTests/Fixtures/$target; do [ -d "$folder" ] && seeds+=("$folder"); done
# Swift's own backtracer would be taken for an unknown crash. Leaks are not looked for: Swift's lazy globals live as long as the process.
VEDETTE_FUZZ_TARGET=$target SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:${ASAN_OPTIONS:-} \
    "$fuzzer" "${options[@]}" "$@" "$corpus" "${seeds[@]}"
