#!/bin/bash
# rustc, as cargo calls it for native/make.sh, with a crate's name alone for its metadata. Cargo makes that of the
# folder that the source lies in; symbols are named by it, and their names decide the order of the code.
set -eu

arguments=()
name='' previous=''
for word; do
    [ "$previous" != --crate-name ] || name=$word
    case $word in
    metadata=*) word=metadata=$name ;;
    esac
    arguments+=("$word")
    previous=$word
done
exec "${arguments[@]}"
