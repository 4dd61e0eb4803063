#!/bin/bash
# rustc, as cargo calls it for dist/make.sh, with metadata that say what a crate is and not where it lies: cargo makes
# them of the folder that the source is in; symbols are named by them, and their names decide the order of the code.
# The standard library has crates of its own beside ours of the same name and version, with features of their own.
set -eu

is=${CARGO_PKG_VERSION:-} name='' previous=''
for word; do
    case $previous in
    --crate-name) name=$word ;;
    --cfg | --target) is+=" $word" ;;
    esac
    previous=$word
done
arguments=()
for word; do
    case $word in
    metadata=*) word="metadata=$name $is" ;;
    esac
    arguments+=("$word")
done
exec "${arguments[@]}"
