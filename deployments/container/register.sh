#!/bin/sh
# Registers the deployments and block types on the Prefect of PREFECT_API_URL. Running it again changes nothing.
set -eu

# Prefect has every run start in the folder that `deploy` ran in: one that each container of the image has.
cd /var/lib/faber-db
file=$(python -c 'from importlib.resources import files; print(files("deployments") / "prefect.yaml")')
prefect --no-prompt deploy --all --prefect-file "$file"
prefect --no-prompt block register --module blocks.postgres_environment
