#!/usr/bin/env bash
# Makes everything ready for the first question: migrations, administrator, golden copy and checks. May be run again.
# Usage: scripts/db_init.sh [options of `assay init`]. ASSAY names the program where it is not found by itself.
set -euo pipefail
if [ -z "${ASSAY:-}" ]; then
  built=$(dirname "$0")/../target/release/assay
  ASSAY=assay
  [ ! -x "$built" ] || ASSAY=$built
fi
exec "$ASSAY" init "$@"
