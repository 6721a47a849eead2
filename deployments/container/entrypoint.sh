#!/bin/sh
# Turns secret files into variables, then becomes the command. A file's name is its variable's name:
# /run/secrets/PREFECT_API_AUTH_STRING, /run/faber-db/PROD_DATABASE_URL. So no secret stands in a compose file,
# in `docker inspect` or among a process's arguments.
set -eu

for file in /run/secrets/* /run/faber-db/*; do
    name=${file##*/}
    case $name in
    [!A-Z]* | *[!A-Z0-9_]*) continue ;;
    esac
    [ -f "$file" ] || continue
    if [ ! -r "$file" ]; then
        echo "The secret $file cannot be read by user $(id -u)." >&2
        echo "Next: chown $(id -u) the file on the host, mode 0400" >&2
        exit 3
    fi
    value=$(cat "$file")
    export "$name=$value"
done
unset file name value

exec "$@"
